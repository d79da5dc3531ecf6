//! The part of a session that a crash must not change: a fold over its facts.

use std::collections::VecDeque;

use dsx_protocol::{Prompt, TurnId};
use serde::{Deserialize, Serialize};

use crate::fact::{Exit, Fact, Outcome};
use crate::spec::Spec;

/// Ended turns kept in memory; older ones are answered from the store.
const ENDED_KEPT: usize = 32;
/// Keys of `send --key` that are remembered.
const KEYS_KEPT: usize = 1024;

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
}

impl Turn {
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, TurnState::Over(_))
    }

    /// The text that reaches the agent.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        self.typed.as_deref().unwrap_or(&self.request)
    }
}

/// The state that survives. Changes only through [`Durable::apply`].
#[derive(Debug, Clone, PartialEq)]
pub struct Durable {
    pub spec: Spec,
    pub pid: Option<u32>,
    pub start_time: u64,
    pub ready: bool,
    /// Oldest first: a bounded number of ended ones, then all that are not over.
    pub turns: VecDeque<Turn>,
    pub next_turn: u64,
    pub keys: VecDeque<(String, TurnId)>,
    /// Open prompts, oldest first.
    pub prompts: Vec<Prompt>,
    pub next_prompt: u64,
    pub conversation: Option<String>,
    pub transcript: Option<String>,
    pub exit: Option<Exit>,
    /// When the last fact came.
    pub last_at: u64,
}

impl Durable {
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self {
            conversation: spec.conversation.clone(),
            last_at: spec.created_at,
            spec,
            pid: None,
            start_time: 0,
            ready: false,
            turns: VecDeque::new(),
            next_turn: 1,
            keys: VecDeque::new(),
            prompts: Vec::new(),
            next_prompt: 1,
            transcript: None,
            exit: None,
        }
    }

    /// The state after all facts; `None` unless the first one is `Created`.
    pub fn replay<'a>(facts: impl IntoIterator<Item = (u64, &'a Fact)>) -> Option<Self> {
        let mut facts = facts.into_iter();
        let (_, Fact::Created(spec)) = facts.next()? else { return None };
        let mut state = Self::new((**spec).clone());
        for (at, fact) in facts {
            state.apply(at, fact);
        }
        Some(state)
    }

    #[must_use]
    pub fn turn(&self, id: TurnId) -> Option<&Turn> {
        self.turns.iter().rev().find(|t| t.id == id)
    }

    /// The one turn that is delivering or confirmed.
    #[must_use]
    pub fn running(&self) -> Option<&Turn> {
        self.turns.iter().find(|t| matches!(t.state, TurnState::Delivering | TurnState::Confirmed))
    }

    #[must_use]
    pub fn first_queued(&self) -> Option<&Turn> {
        self.turns.iter().find(|t| t.state == TurnState::Queued)
    }

    #[must_use]
    pub fn queued(&self) -> usize {
        self.turns.iter().filter(|t| t.state == TurnState::Queued).count()
    }

    #[must_use]
    pub fn newest(&self) -> Option<&Turn> {
        self.turns.back()
    }

    pub fn apply(&mut self, at: u64, fact: &Fact) {
        self.last_at = self.last_at.max(at);
        match fact {
            Fact::Created(spec) => self.spec = (**spec).clone(),
            Fact::Started { pid, start_time } => {
                self.pid = Some(*pid);
                self.start_time = *start_time;
            }
            Fact::Ready => self.ready = true,
            Fact::Queued { turn, text, key, origin, typed, command, began } => {
                self.queue(began.unwrap_or(at), *turn, text, *origin, typed.as_ref(), *command);
                if let Some(key) = key {
                    self.remember(key, *turn);
                }
            }
            Fact::Delivering { turn, output } => self.change(*turn, |t| {
                t.state = TurnState::Delivering;
                t.delivering_at = Some(at);
                t.output = *output;
            }),
            Fact::Withdrawn { turn } => self.change(*turn, |t| t.state = TurnState::Queued),
            Fact::Confirmed { turn, .. } => self.change(*turn, |t| {
                t.state = TurnState::Confirmed;
                t.confirmed_at = Some(at);
            }),
            Fact::Ended { turn, outcome, text, error } => {
                self.change(*turn, |t| {
                    t.state = TurnState::Over(*outcome);
                    t.ended_at = Some(at);
                    t.text.clone_from(text);
                    t.error.clone_from(error);
                });
                self.forget_old();
            }
            Fact::PromptOpened(prompt) => {
                self.next_prompt += 1;
                self.prompts.push((**prompt).clone());
            }
            Fact::PromptClosed { prompt, .. } => self.prompts.retain(|p| p.id != *prompt),
            Fact::Conversation { id, transcript } => {
                self.conversation = Some(id.clone());
                self.transcript.clone_from(transcript);
            }
            Fact::Exited(exit) => self.exit = Some(*exit),
        }
    }

    fn queue(
        &mut self,
        at: u64,
        id: TurnId,
        text: &str,
        origin: Origin,
        typed: Option<&String>,
        command: bool,
    ) {
        self.next_turn = self.next_turn.max(id.0 + 1);
        self.turns.push_back(Turn {
            id,
            origin,
            state: TurnState::Queued,
            request: text.to_owned(),
            typed: typed.cloned(),
            command,
            queued_at: at,
            delivering_at: None,
            confirmed_at: None,
            ended_at: None,
            output: 0,
            text: None,
            error: None,
        });
    }

    fn remember(&mut self, key: &str, turn: TurnId) {
        self.keys.push_back((key.to_owned(), turn));
        if self.keys.len() > KEYS_KEPT {
            self.keys.pop_front();
        }
    }

    fn change(&mut self, id: TurnId, edit: impl FnOnce(&mut Turn)) {
        if let Some(turn) = self.turns.iter_mut().rev().find(|t| t.id == id) {
            edit(turn);
        }
    }

    fn forget_old(&mut self) {
        let mut over = self.turns.iter().filter(|t| t.is_over()).count();
        self.turns.retain(|t| {
            let drop = t.is_over() && over > ENDED_KEPT;
            over -= usize::from(drop);
            !drop
        });
    }
}
