use serde::{Deserialize, Serialize};

/// What went wrong, as a program needs to know it. Each kind has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The command line or the request does not make sense.
    Usage,
    /// No session has that id, or the prefix fits several.
    NoSession,
    /// The agent is waiting for input.
    Waiting,
    /// The turn failed, was interrupted or is lost.
    Turn,
    /// The session ended before what was asked could happen.
    Exited,
    /// A limit, a stale prompt, a full queue, a missing right.
    Refused,
    /// No supervisor, or its version is too far from ours.
    Unavailable,
    /// The time given ran out.
    Timeout,
    /// Anything else that failed, and every kind that a newer peer knows and we do not.
    #[serde(other)]
    Failed,
}

impl ErrorKind {
    /// The exit code of the whole command, the same with and without `--json`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoSession => 3,
            Self::Waiting => 4,
            Self::Turn => 5,
            Self::Exited => 6,
            Self::Refused => 7,
            Self::Unavailable => 8,
            Self::Timeout => 124,
        }
    }
}

/// An error as it travels and as it is printed: the thing, the reason, the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    pub kind: ErrorKind,
    /// Names the thing and the reason.
    pub message: String,
    /// The next step, where there is one.
    #[serde(default)]
    pub hint: Option<String>,
    /// The session it is about, by its full id.
    #[serde(default)]
    pub session: Option<String>,
}

impl WireError {
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, session: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }
}
