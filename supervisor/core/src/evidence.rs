//! What the sources say. Evidence is never a state: [`crate::verdict`] weighs it.

use std::fmt;

use dsx_protocol::{PromptOption, Question};
use serde::{Deserialize, Serialize};

/// Who said it, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The program status protocol in the PTY's output.
    Osc7501,
    Hook,
    SessionFile,
    Transcript,
    /// Shell integration marks in the PTY's output.
    Osc133,
    /// What the kernel says of the process and its PTY.
    Process,
    Screen,
    /// dsx itself: what it typed, was asked to do, or waited for in vain.
    Dsx,
}

impl Source {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Osc7501 => "osc7501",
            Self::Hook => "hook",
            Self::SessionFile => "session_file",
            Self::Transcript => "transcript",
            Self::Osc133 => "osc133",
            Self::Process => "process",
            Self::Screen => "screen",
            Self::Dsx => "dsx",
        }
    }

    #[must_use]
    pub const fn strength(self) -> Strength {
        match self {
            Self::Osc7501 | Self::Hook | Self::Dsx => Strength::Strong,
            Self::SessionFile | Self::Transcript | Self::Osc133 => Strength::Medium,
            Self::Process | Self::Screen => Strength::Weak,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    Strong,
    Medium,
    Weak,
}

impl Strength {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Medium => "medium",
            Self::Weak => "weak",
        }
    }

    /// The confidence of a status that stands on it.
    #[must_use]
    pub const fn confidence(self) -> &'static str {
        match self {
            Self::Strong => "high",
            Self::Medium => "medium",
            Self::Weak => "low",
        }
    }
}

/// Not busy, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    Idle,
    Done,
    Error(Option<String>),
}

/// A question as a source describes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// `permission question plan trust login quota`.
    pub kind: String,
    pub tool: Option<String>,
    pub text: String,
    pub command: Option<String>,
    pub options: Vec<PromptOption>,
    pub diff: Option<String>,
    pub questions: Vec<Question>,
    /// Names the report of the hook that asks, which waits for the decision.
    pub key: Option<String>,
    /// What the tool was given, where an answer has to repeat it.
    pub input: Option<String>,
    /// A sub-agent asks. It may do so in the background, where nobody but its hook can tell or answer.
    pub agent: bool,
}

/// A dialog on the screen: its options by their labels and the one that is highlighted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    pub kind: String,
    pub text: String,
    pub options: Vec<String>,
    pub selected: usize,
}

impl Dialog {
    /// The options as a prompt has them.
    #[must_use]
    pub fn numbered(&self) -> Vec<PromptOption> {
        let option = |(n, label): (u32, &String)| PromptOption { n, label: label.clone(), description: None };
        (1..).zip(&self.options).map(option).collect()
    }

    /// The key that brings the pointer nearer to an option, or chooses it.
    #[must_use]
    pub fn key_towards(&self, option: usize) -> &'static str {
        match self.selected.cmp(&option) {
            std::cmp::Ordering::Equal => "Enter",
            std::cmp::Ordering::Less => "Down",
            std::cmp::Ordering::Greater => "Up",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// The agent takes input.
    Ready,
    Busy,
    Rest(Rest),
    Blocked(Asked),
    /// The agent took a message. `prompt` is the agent's own id for what it began with it.
    Submitted {
        text: String,
        prompt: Option<String>,
        origin_agent: bool,
    },
    /// The agent has put a message behind the work that is under way, or will take it into it.
    Enqueued {
        text: String,
    },
    /// The agent took a message into the work that was under way.
    Absorbed {
        text: String,
    },
    /// The agent says that it stopped; work in the background may go on.
    Stopped {
        text: Option<String>,
        prompt: Option<String>,
        agents: u32,
        shells: u32,
    },
    /// The agent says that it gave up.
    Failed {
        error: String,
        text: Option<String>,
        prompt: Option<String>,
    },
    Interrupted,
    /// A tool ran to its end, so no question about it can be open.
    ToolDone {
        tool: String,
        /// What it was to do, as its question has it.
        command: Option<String>,
    },
    Conversation {
        id: String,
        transcript: Option<String>,
    },
    /// A command reported its end.
    CommandDone,
    /// Output went quiet; whether the program itself is in the foreground of its PTY.
    Quiet {
        own: bool,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => write!(f, "ready"),
            Self::Busy => write!(f, "working"),
            Self::Rest(Rest::Idle) => write!(f, "idle"),
            Self::Rest(Rest::Done) => write!(f, "done"),
            Self::Rest(Rest::Error(message)) => {
                write!(f, "error {}", message.as_deref().unwrap_or_default())
            }
            Self::Blocked(asked) => write!(f, "blocked ({}): {}", asked.kind, asked.text),
            Self::Submitted { .. } => write!(f, "message taken"),
            Self::Enqueued { .. } => write!(f, "message put behind the running turn"),
            Self::Absorbed { .. } => write!(f, "message taken into the running turn"),
            Self::Stopped { agents, shells, .. } => {
                write!(f, "stopped ({agents} agents, {shells} shells in the background)")
            }
            Self::Failed { error, .. } => write!(f, "failed: {error}"),
            Self::Interrupted => write!(f, "interrupted"),
            Self::ToolDone { tool, .. } => write!(f, "{tool} was run"),
            Self::Conversation { id, .. } => write!(f, "conversation {id}"),
            Self::CommandDone => write!(f, "command done"),
            Self::Quiet { own: true } => write!(f, "quiet, program in the foreground"),
            Self::Quiet { own: false } => write!(f, "quiet, another program in the foreground"),
        }
    }
}
