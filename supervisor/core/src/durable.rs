//! The part of a session that a crash must not change: a fold over its facts.

use std::collections::VecDeque;

use dsx_protocol::{Prompt, TurnId};

use crate::fact::{Exit, Fact, Outcome, Reported};
use crate::spec::{Cli, Spec};
pub use crate::turn::{Origin, Turn, TurnState};

/// Ended turns kept in memory; older ones are answered from the store.
const ENDED_KEPT: usize = 32;
/// Prompts whose hooks, or whose end, are remembered.
const ANSWERED_KEPT: usize = 64;
/// Keys of `send --key` that are remembered.
const KEYS_KEPT: usize = 1024;

/// A hook of the agent's that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub key: String,
    pub prompt: String,
    /// What the tool was given, where an answer has to repeat it.
    pub input: Option<String>,
    /// No dialog of it is shown while the hook waits, so that nothing but the hook tells of it.
    pub unseen: bool,
}

/// What was decided on an open prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub prompt: String,
    /// For the hook's standard output; none where it is answered by keys.
    pub output: Option<String>,
    pub by: String,
    pub answer: String,
    /// Names the call that brought it.
    pub key: Option<String>,
    pub at: u64,
}

/// A prompt that is not open any more, and what closed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub prompt: String,
    pub by: String,
    pub answer: Option<String>,
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
    /// The newest hooks that wait, or waited, for a decision.
    pub held: VecDeque<Held>,
    /// Of open prompts, and of the newest closed ones.
    pub decisions: VecDeque<Decision>,
    /// The newest prompts that are closed.
    pub closed: VecDeque<Closed>,
    /// The newest evidence that closed a prompt.
    pub closed_as_of: u64,
    /// What the status record said last, and when.
    pub osc: Option<(Reported, u64)>,
    /// When it last began to say `working`.
    pub osc_worked_at: u64,
    /// When it last ceased to say that the agent works or asks.
    pub osc_rested_at: u64,
    /// Some source tells in words what the agent took.
    pub words: bool,
    /// The last turn left shells running.
    pub shells: bool,
    /// The input box may hold what dsx typed, or what an interrupted agent put back.
    pub box_doubtful: bool,
    pub conversation: Option<String>,
    pub transcript: Option<String>,
    pub exit: Option<Exit>,
    /// A name that is as good as its id.
    pub name: Option<String>,
    pub description: Option<String>,
    /// When the last fact came.
    pub last_at: u64,
}

impl Durable {
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        Self {
            conversation: spec.conversation.clone(),
            description: spec.description.clone(),
            name: None,
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
            held: VecDeque::new(),
            decisions: VecDeque::new(),
            closed: VecDeque::new(),
            closed_as_of: 0,
            osc: None,
            osc_worked_at: 0,
            osc_rested_at: 0,
            words: false,
            shells: false,
            box_doubtful: false,
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

    /// The one that was typed while another turn ran, as long as nothing shows what became of it.
    #[must_use]
    pub fn steering(&self) -> Option<&Turn> {
        self.turns.iter().find(|t| t.state == TurnState::Steering)
    }

    /// The turn that is being typed, or was typed last: the one that a crash may have cut off.
    #[must_use]
    pub fn in_hand(&self) -> Option<&Turn> {
        self.steering().or_else(|| self.running())
    }

    /// The next to be typed: what a turn was stopped for goes first, each in the order in which they came.
    #[must_use]
    pub fn first_queued(&self) -> Option<&Turn> {
        let mut queued = self.turns.iter().filter(|t| t.state == TurnState::Queued);
        queued.clone().find(|t| t.stops.is_some()).or_else(|| queued.next())
    }

    #[must_use]
    pub fn queued(&self) -> usize {
        self.turns.iter().filter(|t| t.state == TurnState::Queued).count()
    }

    /// The newest that is, or may become, a turn of its own.
    #[must_use]
    pub fn newest(&self) -> Option<&Turn> {
        let joins = |t: &&Turn| matches!(t.state, TurnState::Steering | TurnState::Over(Outcome::Absorbed));
        self.turns.iter().rev().find(|t| !joins(t))
    }

    /// The turn that ends after all others there are: the last in the queue, though somebody may have typed
    /// another one ahead of it since.
    #[must_use]
    pub fn last_to_end(&self) -> Option<&Turn> {
        let mut queued = self.turns.iter().rev().filter(|t| t.state == TurnState::Queued);
        // What a turn was stopped for goes before what waits.
        let waits = queued.clone().find(|t| t.stops.is_none());
        waits.or_else(|| queued.next()).or(self.newest())
    }

    pub fn apply(&mut self, at: u64, fact: &Fact) {
        self.last_at = self.last_at.max(at);
        match fact {
            Fact::Created(spec) => self.spec = (**spec).clone(),
            Fact::Started { pid, start_time } => {
                self.pid = Some(*pid);
                self.start_time = *start_time;
                // A plain program takes input from its first moment.
                self.ready |= self.spec.cli == Cli::Command;
            }
            Fact::Ready => self.ready = true,
            Fact::Queued { turn, key, .. } => {
                self.queue(at, fact);
                if let Some(key) = key {
                    self.remember(key, *turn);
                }
            }
            Fact::PromptOpened(_)
            | Fact::PromptHeld { .. }
            | Fact::PromptDecided { .. }
            | Fact::DecisionVoid { .. }
            | Fact::PromptClosed { .. } => self.apply_to_prompt(at, fact),
            Fact::Conversation { id, transcript } => {
                self.conversation = Some(id.clone());
                self.transcript.clone_from(transcript);
            }
            Fact::Reported { said } => {
                let rested = matches!(self.osc, Some((Reported::Resting(_), _)) | None);
                match said {
                    Reported::Working => self.osc_worked_at = at,
                    Reported::Resting(_) if !rested => self.osc_rested_at = at,
                    Reported::Resting(_) | Reported::Blocked => {}
                }
                self.osc = Some((said.clone(), at));
            }
            Fact::Exited(exit) => self.exit = Some(*exit),
            Fact::Renamed { name } => self.name.clone_from(name),
            Fact::Described { description } => self.description.clone_from(description),
            Fact::Waits { .. }
            | Fact::Steering { .. }
            | Fact::Enqueued { .. }
            | Fact::Absorbed { .. }
            | Fact::Withdrawn { .. } => self.apply_to_message(at, fact),
            Fact::Delivering { .. }
            | Fact::Confirmed { .. }
            | Fact::Ahead { .. }
            | Fact::Known { .. }
            | Fact::Told { .. }
            | Fact::Ended { .. } => self.apply_to_turn(at, fact),
        }
    }

    fn apply_to_prompt(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::PromptOpened(prompt) => match self.prompts.iter_mut().find(|p| p.id == prompt.id) {
                Some(open) => *open = (**prompt).clone(),
                None => {
                    self.next_prompt += 1;
                    self.prompts.push((**prompt).clone());
                }
            },
            Fact::PromptHeld { prompt, key, input, unseen } => {
                self.held.retain(|h| h.key != *key);
                let (key, prompt, input) = (key.clone(), prompt.clone(), input.clone());
                keep(&mut self.held, Held { key, prompt, input, unseen: *unseen });
            }
            Fact::PromptDecided { prompt, output, by, answer, key } => {
                let (prompt, output) = (prompt.clone(), output.clone());
                let (by, answer, key) = (by.clone(), answer.clone(), key.clone());
                keep(&mut self.decisions, Decision { prompt, output, by, answer, key, at });
            }
            Fact::DecisionVoid { prompt } => self.decisions.retain(|d| d.prompt != *prompt),
            Fact::PromptClosed { prompt, by, answer, as_of } => {
                self.prompts.retain(|p| p.id != *prompt);
                self.closed_as_of = self.closed_as_of.max(*as_of);
                // It was kept to be repeated in an answer.
                for held in self.held.iter_mut().filter(|h| h.prompt == *prompt) {
                    held.input = None;
                }
                let (prompt, by, answer) = (prompt.clone(), by.clone(), answer.clone());
                keep(&mut self.closed, Closed { prompt, by, answer });
            }
            _ => {}
        }
    }

    /// The hook that waits for the decision on a prompt, or waited.
    #[must_use]
    pub fn held(&self, prompt: &str) -> Option<&Held> {
        self.held.iter().rev().find(|h| h.prompt == prompt)
    }

    /// What was decided on a prompt.
    #[must_use]
    pub fn decision(&self, prompt: &str) -> Option<&Decision> {
        self.decisions.iter().rev().find(|d| d.prompt == prompt)
    }

    fn apply_to_turn(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::Delivering { turn, output } => {
                self.box_doubtful = false;
                self.change(*turn, |t| {
                    t.state = TurnState::Delivering;
                    t.delivering_at = Some(at);
                    t.output = *output;
                });
            }
            Fact::Confirmed { turn, prompt, behind, as_of, .. } => {
                self.words |= *as_of > 0;
                self.change(*turn, |t| {
                    t.state = TurnState::Confirmed;
                    t.confirmed_at = Some(at);
                    t.taken_at = *as_of;
                    t.know(prompt.as_ref());
                    t.behind.clone_from(behind);
                });
            }
            Fact::Ahead { turn, prompt } => {
                self.words = true;
                self.change(*turn, |t| t.ahead = Some(prompt.clone()));
            }
            Fact::Known { turn, prompt, goes_on, as_of } => {
                self.words |= *as_of > 0;
                self.change(*turn, |t| {
                    t.know(prompt.as_ref());
                    t.taken_at = t.taken_at.max(*as_of);
                    if *goes_on {
                        t.told = None;
                        t.told_at = *as_of;
                    }
                });
            }
            Fact::Told { turn, how, as_of } => {
                self.closed_as_of = self.closed_as_of.max(*as_of);
                self.change(*turn, |t| {
                    t.told = Some(how.clone());
                    t.told_at = *as_of;
                });
            }
            Fact::Ended { turn, outcome, text, error, shells } => {
                let typed = self.turn(*turn).filter(|t| t.state != TurnState::Queued);
                self.box_doubtful |= typed.is_some_and(|t| self.leaves_doubt(t, *outcome));
                self.shells = *shells;
                self.change(*turn, |t| {
                    t.state = TurnState::Over(*outcome);
                    t.ended_at = Some(at);
                    t.text.clone_from(text);
                    t.error.clone_from(error);
                    // It is in `text` now, and an answer is not kept twice.
                    t.told = None;
                });
                self.let_go(*turn);
                self.forget_old();
            }
            _ => {}
        }
    }

    /// What happens to a message before it is a turn of its own, if it becomes one.
    fn apply_to_message(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::Waits { turn, until } => self.change(*turn, |t| t.waits_until = *until),
            Fact::Steering { turn, into, output } => self.change(*turn, |t| {
                t.state = TurnState::Steering;
                t.joins = Some(*into);
                t.delivering_at = Some(at);
                t.output = *output;
            }),
            Fact::Enqueued { turn } => self.change(*turn, |t| t.enqueued = true),
            Fact::Absorbed { turn, into, .. } => {
                self.change(*turn, |t| {
                    t.state = TurnState::Over(Outcome::Absorbed);
                    t.joins = Some(*into);
                    (t.taken_at, t.ended_at) = (at, Some(at));
                });
                self.forget_old();
            }
            Fact::Withdrawn { turn } => {
                self.box_doubtful = true;
                self.change(*turn, |t| {
                    t.state = TurnState::Queued;
                    // It did not come to join: it is a turn of its own when its time comes.
                    (t.steer, t.joins, t.enqueued) = (None, None, false);
                });
            }
            _ => {}
        }
    }

    /// Whether the input box may hold something after a turn that was typed. Where nothing told how it ended,
    /// it may have been interrupted, or not been taken at all.
    fn leaves_doubt(&self, turn: &Turn, outcome: Outcome) -> bool {
        match self.spec.cli {
            Cli::Command => outcome == Outcome::Lost,
            Cli::Claude | Cli::Demo => turn.command || turn.told.is_none() || outcome != Outcome::Ended,
        }
    }

    /// What was typed to join the turn that is over may have joined it, or is what the agent does next.
    fn let_go(&mut self, over: TurnId) {
        let joins = |t: &&mut Turn| t.state == TurnState::Steering && t.joins == Some(over);
        if let Some(turn) = self.turns.iter_mut().find(joins) {
            turn.state = TurnState::Delivering;
        }
    }

    fn queue(&mut self, at: u64, fact: &Fact) {
        let Fact::Queued { turn, text, origin, typed, command, prompt, behind, as_of, steer, stops, .. } =
            fact
        else {
            return;
        };
        let foreign = *origin != Origin::Send;
        self.words |= *as_of > 0;
        self.next_turn = self.next_turn.max(turn.0 + 1);
        let mut turn = Turn {
            id: *turn,
            origin: *origin,
            state: if foreign { TurnState::Confirmed } else { TurnState::Queued },
            request: text.clone(),
            typed: typed.clone(),
            command: *command,
            queued_at: at,
            delivering_at: None,
            confirmed_at: foreign.then_some(at),
            ended_at: None,
            output: 0,
            text: None,
            error: None,
            prompts: Vec::new(),
            behind: behind.clone(),
            ahead: None,
            taken_at: *as_of,
            told: None,
            told_at: 0,
            steer: *steer,
            joins: None,
            enqueued: false,
            stops: *stops,
            waits_until: 0,
        };
        turn.know(prompt.as_ref());
        self.turns.push_back(turn);
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

/// Keeps the newest.
fn keep<T>(list: &mut VecDeque<T>, item: T) {
    list.push_back(item);
    if list.len() > ANSWERED_KEPT {
        list.pop_front();
    }
}
