//! One turn: a message, where it is on its way to the agent, and what came of it.

use dsx_protocol::TurnId;
use serde::{Deserialize, Serialize};

use crate::fact::{Outcome, Told};

/// The agent's own ids that are remembered of one turn.
const PROMPTS_KEPT: usize = 32;

/// Who began a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `dsx send`.
    Send,
    /// Somebody typed it into the agent's own terminal.
    Typed,
    /// The agent began it by itself, after background work for example.
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnState {
    Queued,
    /// Typed while another turn ran, which it was to join; what became of it is not known yet.
    Steering,
    Delivering,
    Confirmed,
    Over(Outcome),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub id: TurnId,
    pub origin: Origin,
    pub state: TurnState,
    /// What was asked, as it was given.
    pub request: String,
    /// What is typed, where that differs.
    pub typed: Option<String>,
    pub command: bool,
    pub queued_at: u64,
    pub delivering_at: Option<u64>,
    pub confirmed_at: Option<u64>,
    pub ended_at: Option<u64>,
    /// Where the output log stood when typing began.
    pub output: u64,
    pub text: Option<String>,
    pub error: Option<String>,
    /// The agent's own ids for what it did in this turn, the one that holds now last.
    pub prompts: Vec<String>,
    /// The agent's own id for work that was under way when it took the message.
    pub behind: Option<String>,
    /// While it was being handed over the agent took something else, under this id of its own.
    pub ahead: Option<Option<String>>,
    /// When the agent took it, by its own evidence.
    pub taken_at: u64,
    /// How it ended, as the agent told it so far.
    pub told: Option<Told>,
    /// The time of that evidence, or of the last that became void.
    pub told_at: u64,
    /// The turn that it is to join, if that still runs when it is typed.
    pub steer: Option<TurnId>,
    /// The turn into which it was typed; once it is over as absorbed, the one that it joined.
    pub joins: Option<TurnId>,
    /// The agent has it, in a queue of its own.
    pub enqueued: bool,
    /// The turn that was stopped for it.
    pub stops: Option<TurnId>,
    /// Somebody's draft is in its way, and so long it waits; 0 is not so.
    pub waits_until: u64,
}

impl Turn {
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, TurnState::Over(_))
    }

    pub(crate) fn know(&mut self, prompt: Option<&String>) {
        if let Some(prompt) = prompt.filter(|p| self.prompts.last() != Some(p)) {
            self.prompts.push(prompt.clone());
            if self.prompts.len() > PROMPTS_KEPT {
                self.prompts.remove(0);
            }
        }
    }

    /// The text that reaches the agent.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        self.typed.as_deref().unwrap_or(&self.request)
    }
}
