use dsx_protocol::{Prompt, TurnId};
use serde::{Deserialize, Serialize};

use crate::durable::Origin;
use crate::evidence::Rest;
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
    /// It joined the turn that ran, and has no end of its own.
    Absorbed,
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
            Self::Absorbed => "absorbed",
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

/// What the status record said last. It is in no file, and the log it came by is read only once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reported {
    Working,
    Blocked,
    Resting(Rest),
}

/// How a turn ended, as the agent told it. The turn goes on until the agent rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// `agents` and `shells` still work in the background.
    Stopped {
        text: Option<String>,
        agents: u32,
        shells: u32,
    },
    Failed {
        error: String,
        text: Option<String>,
    },
    Interrupted,
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
        /// One that dsx did not send is with the agent already: it is confirmed from the start, so that no
        /// crash can leave it among those that are to be typed.
        origin: Origin,
        /// The text as it is typed, where it differs (a message that goes by a file).
        #[serde(default)]
        typed: Option<String>,
        /// Let the agent run it as a command of its own.
        #[serde(default)]
        command: bool,
        /// The agent's own id for it, where the agent began it.
        #[serde(default)]
        prompt: Option<String>,
        /// The agent's own id for work that was under way, behind which it waits.
        #[serde(default)]
        behind: Option<String>,
        /// When the agent took it, where the agent has it already.
        #[serde(default)]
        as_of: u64,
        /// The turn that it is to join, if that still runs when it is typed.
        #[serde(default)]
        steer: Option<TurnId>,
        /// The turn that is stopped for it: it goes before what waits otherwise.
        #[serde(default)]
        stops: Option<TurnId>,
    },
    /// Somebody's draft is in its way. It is given up at that time, or for 0 it waits its turn.
    Waits {
        turn: TurnId,
        until: u64,
    },
    /// It is to join a running turn: from here on bytes of it may have reached the agent.
    Steering {
        turn: TurnId,
        into: TurnId,
        /// Where the output log stood.
        output: u64,
    },
    /// The agent has it, behind or within the turn that it was to join.
    Enqueued {
        turn: TurnId,
    },
    /// The agent took it into the turn that ran.
    Absorbed {
        turn: TurnId,
        into: TurnId,
        evidence: String,
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
        /// The agent's own id for what it began with it.
        #[serde(default)]
        prompt: Option<String>,
        /// The agent's own id for work that was under way: the turn waits behind it, or became part of it.
        #[serde(default)]
        behind: Option<String>,
        /// When the agent took it, by its own evidence; 0 where only its work shows it.
        #[serde(default)]
        as_of: u64,
    },
    /// While it was being handed over the agent took something else, under this id of its own.
    Ahead {
        turn: TurnId,
        #[serde(default)]
        prompt: Option<String>,
    },
    /// The agent's own id became known, or it goes on with the turn under another one.
    Known {
        turn: TurnId,
        #[serde(default)]
        prompt: Option<String>,
        /// A sub-agent reported back: what was told of the turn's end is void.
        #[serde(default)]
        goes_on: bool,
        /// When the agent took it, by its own evidence.
        #[serde(default)]
        as_of: u64,
    },
    Told {
        turn: TurnId,
        how: Told,
        /// The time of the evidence: a question asked before it is not open.
        #[serde(default)]
        as_of: u64,
    },
    Reported {
        said: Reported,
    },
    Ended {
        turn: TurnId,
        outcome: Outcome,
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        error: Option<String>,
        /// It left shells running, for which the status record may say `working` with nothing to do.
        #[serde(default)]
        shells: bool,
    },
    /// Under the id of an open prompt: more became known of it.
    PromptOpened(Box<Prompt>),
    /// A hook of the agent's waits for the decision on it.
    PromptHeld {
        prompt: String,
        /// Names the hook's report: it asks again under the same one.
        key: String,
        /// What the tool was given, where an answer has to repeat it.
        #[serde(default)]
        input: Option<String>,
        /// No dialog of it is shown while the hook waits, so that nothing but the hook tells of it.
        #[serde(default)]
        unseen: bool,
    },
    /// What the agent is told by whoever holds it. Recorded before it is told, so that after a crash it is told
    /// again, and never something else.
    PromptDecided {
        prompt: String,
        /// For the hook's standard output; none where it is answered by keys.
        #[serde(default)]
        output: Option<String>,
        /// Who decided.
        by: String,
        /// What, in the words of the dialog.
        answer: String,
        /// Names the call.
        #[serde(default)]
        key: Option<String>,
    },
    /// The agent did not go on by it: the prompt is open as it was.
    DecisionVoid {
        prompt: String,
    },
    PromptClosed {
        prompt: String,
        /// What closed it.
        by: String,
        /// What was answered, where dsx knows it.
        #[serde(default)]
        answer: Option<String>,
        /// The time of the evidence that closed it: a question asked before it is not open.
        #[serde(default)]
        as_of: u64,
    },
    /// The agent's own name for what it is doing, and where it writes it down.
    Conversation {
        id: String,
        #[serde(default)]
        transcript: Option<String>,
    },
    Exited(Exit),
    /// It has a name now that is as good as its id, or none any more.
    Renamed {
        name: Option<String>,
    },
    Described {
        description: Option<String>,
    },
}
