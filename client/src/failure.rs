use std::io;

use dsx_protocol::{ErrorKind, WireError};
use dsx_supervisor::launch::LaunchError;

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    Error(WireError),
    /// Nobody reads our output any more.
    Closed,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, hint: &str) -> Self {
        Self::Error(WireError::new(ErrorKind::Usage, message).hint(hint))
    }

    pub(crate) fn failed(message: impl Into<String>, hint: &str) -> Self {
        Self::Error(WireError::new(ErrorKind::Failed, message).hint(hint))
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Error(error) => error.kind.exit_code(),
            Self::Closed => 0,
        }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Error(error)
    }
}

/// Of what is written to stdout; everything read or connected says what it was itself.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::failed(format!("the output cannot be written: {error}"), "check where it goes"),
        }
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self::Error(WireError::new(ErrorKind::Unavailable, error.to_string()).hint("look with 'dsx doctor'"))
    }
}
