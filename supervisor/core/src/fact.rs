use dsx_protocol::{Prompt, TurnId};
use serde::{Deserialize, Serialize};

use crate::durable::Origin;
use crate::spec::Spec;

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ended,
    Failed,
    Interrupted,
    /// No evidence that the agent got it, or that it ended; never typed again.
    Lost,
    /// The session ended first.
    Exited,
}

impl Outcome {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
            Self::Exited => "exited",
        }
    }
}

/// How the program ended. Neither is known when the keeper that was its parent died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    #[serde(default)]
    pub code: Option<i32>,
    #[serde(default)]
    pub signal: Option<i32>,
}

impl Exit {
    /// One number, as a shell gives it: the code, else 128 + signal.
    #[must_use]
    pub fn status(self) -> Option<i32> {
        self.code.or_else(|| self.signal.map(|s| 128 + s))
    }
}

/// What a restart needs. Facts are only ever added; their names are never reused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    Created(Box<Spec>),
    Started {
        pid: u32,
        /// The kernel's start time of the process, so that a reused pid is never taken for it.
        start_time: u64,
    },
    /// The agent takes input from here on.
    Ready,
    Queued {
        turn: TurnId,
        text: String,
        #[serde(default)]
        key: Option<String>,
        origin: Origin,
        /// The text as it is typed, where it differs (a message that goes by a file).
        #[serde(default)]
        typed: Option<String>,
        /// Let the agent run it as a command of its own.
        #[serde(default)]
        command: bool,
        /// When the agent began it, where it was not dsx that did: before this was known here.
        #[serde(default)]
        began: Option<u64>,
    },
    /// From here on bytes may have reached the agent.
    Delivering {
        turn: TurnId,
        /// Where the output log stood.
        output: u64,
    },
    /// Provably nothing was submitted: the turn is back in the queue.
    Withdrawn {
        turn: TurnId,
    },
    Confirmed {
        turn: TurnId,
        evidence: String,
    },
    Ended {
        turn: TurnId,
        outcome: Outcome,
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        error: Option<String>,
    },
    PromptOpened(Box<Prompt>),
    PromptClosed {
        prompt: String,
        /// What closed it.
        by: String,
    },
    /// The agent's own name for what it is doing, and where it writes it down.
    Conversation {
        id: String,
        #[serde(default)]
        transcript: Option<String>,
    },
    Exited(Exit),
}
