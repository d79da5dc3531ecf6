//! What became of a start: what the child between fork and exec reports over its close-on-exec pipe.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// Where a start came to an end. The codes are part of the wire: never reuse or renumber one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Obstacle {
    /// A newer version's, or none of ours.
    Unknown = 0,
    /// No process, pipe or descriptor could be had.
    Resources = 1,
    /// No terminal could be had or made the child's own.
    Terminal = 2,
    /// The working directory cannot be entered.
    Directory = 3,
    /// The program cannot be executed.
    Program = 4,
    /// The program is there, but not the interpreter that it names.
    Interpreter = 5,
    /// The request makes no sense (a NUL in a name, an empty program).
    Invalid = 6,
    /// The session has a process already.
    Exists = 7,
    /// There is no such session.
    NoSession = 8,
    /// The process is gone.
    Exited = 9,
    /// The keeper does not know such a request.
    Unsupported = 10,
    /// The file for the output cannot be opened.
    Output = 11,
    /// The process runs, and so cannot be forgotten.
    Running = 12,
}

impl Obstacle {
    pub(crate) fn from_code(code: u8) -> Obstacle {
        use Obstacle::{
            Directory, Exists, Exited, Interpreter, Invalid, NoSession, Output, Program, Resources, Running,
            Terminal, Unknown, Unsupported,
        };
        let known = [
            Resources,
            Terminal,
            Directory,
            Program,
            Interpreter,
            Invalid,
            Exists,
            NoSession,
            Exited,
            Unsupported,
            Output,
            Running,
        ];
        known.into_iter().find(|obstacle| *obstacle as u8 == code).unwrap_or(Unknown)
    }
}

/// A start that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) at: Obstacle,
    pub(crate) errno: i32,
}

impl Failure {
    /// Bytes on the pipe: few enough that they are written whole or not at all.
    pub(crate) const SIZE: usize = 5;

    pub(crate) fn of(at: Obstacle, error: &io::Error) -> Failure {
        Failure { at, errno: error.raw_os_error().unwrap_or(0) }
    }

    /// Allocates nothing: called between fork and exec.
    pub(crate) fn to_bytes(self) -> [u8; Failure::SIZE] {
        let [a, b, c, d] = self.errno.to_le_bytes();
        [self.at as u8, a, b, c, d]
    }
}

/// Waits until the exec behind `pipe` has happened (`None`) or failed.
///
/// A child that is killed before its exec looks like one that was killed after it, and is told from it by its
/// exit status alone: no start is reported as failed that might have had an effect.
///
/// Returns when the pipe is closed, which a child that failed does by exiting, after everything with a lower number:
/// a lock that was passed on is no longer held by it then.
pub(crate) fn read(pipe: OwnedFd) -> io::Result<Option<Failure>> {
    let mut bytes = Vec::with_capacity(2 * Failure::SIZE);
    File::from(pipe).read_to_end(&mut bytes)?;
    match bytes.as_slice() {
        [code, a, b, c, d] => {
            let errno = i32::from_le_bytes([*a, *b, *c, *d]);
            Ok(Some(Failure { at: Obstacle::from_code(*code), errno }))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kept() {
        for code in 0..=12 {
            assert_eq!(Obstacle::from_code(code) as u8, code);
        }
        assert_eq!(Obstacle::from_code(200), Obstacle::Unknown);
    }
}
