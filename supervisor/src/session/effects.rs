//! Carrying out what the core decided, in its order.

use std::collections::VecDeque;

use dsx_core::{Effect, Fact, Input, Now, Origin, RequestId, Timer};
use dsx_protocol::{Decided, ErrorKind, Event, Held, Reply, TurnId, WaitBound, WireError};
use tracing::error;

use super::Waiter;
use super::task::Task;
use super::timers::Due;
use super::typist::Job;
use crate::clock::now_ms;
use crate::store::StoreError;

impl Task {
    /// Gives the core one input, and all those that carrying out its effects brings.
    pub(super) async fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            let now = self.now();
            self.core.handle(now, input, &mut effects);
            self.carry_out(now, effects, &mut inputs).await;
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { ms: now_ms(), output: self.log.end(), bracketed: self.terminal.bracketed_paste() }
    }

    /// Facts are durable before the first effect after them that anybody could see.
    pub(super) async fn carry_out(&mut self, now: Now, effects: Vec<Effect>, inputs: &mut VecDeque<Input>) {
        let mut facts = Vec::new();
        let mut unstored = Vec::new();
        let mut failed: Option<StoreError> = None;
        for effect in effects {
            if let Effect::Persist(fact) = effect {
                self.follow_fact(&fact);
                facts.push(fact);
                continue;
            }
            if is_visible(&effect) && !facts.is_empty() {
                let queued = queued(&facts);
                if let Err(error) = self.persist(now, std::mem::take(&mut facts)).await {
                    unstored.extend(queued.into_iter().map(|turn| (turn, error.to_string())));
                    failed = Some(error);
                }
            }
            match &failed {
                Some(error) => self.perform_unstored(effect, error, inputs).await,
                None => self.perform(effect, inputs).await,
            }
        }
        // What is left is seen by nobody yet, but must not be lost either.
        let _ = self.persist(now, facts).await;
        // Whoever sent these was refused: they must not be typed after all, once there is room again.
        inputs.extend(unstored.into_iter().map(|(turn, error)| Input::MessageFailed { turn, error }));
    }

    pub(super) async fn persist(&mut self, now: Now, facts: Vec<Fact>) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        let stored = self.store.append(&self.id, now.ms, facts).await;
        if let Err(error) = &stored {
            error!(session = %self.id, %error, "facts could not be stored");
        }
        stored
    }

    fn follow_fact(&mut self, fact: &Fact) {
        if let (Fact::Conversation { transcript: Some(path), .. }, Some(sources)) = (fact, &self.sources) {
            sources.follow(path);
        }
    }

    async fn perform(&mut self, effect: Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            // Its file could not be written: what would be typed names a file that is not there.
            Effect::Type { turn, .. } if self.unwritten.take_if(|t| *t == turn).is_some() => {}
            Effect::Type { turn, .. } if self.would_be_cut(turn) => {
                let error = format!("its terminal takes lines of at most {} bytes", super::tty::LINE);
                inputs.push_back(Input::TypeFailed { turn, submitted: false, error });
            }
            Effect::Type { turn, script } => {
                if !self.type_job(Job::Turn { turn, script }) {
                    let error = "the terminal takes no input".to_owned();
                    inputs.push_back(Input::TypeFailed { turn, submitted: false, error });
                }
            }
            Effect::Press(script) => {
                self.type_job(Job::Press(script));
            }
            Effect::Look { quiet_ms, fresh } => self.look(quiet_ms, fresh),
            Effect::Foreground => inputs.extend(self.foreground()),
            Effect::Capture { turn, from } => {
                inputs.push_back(Input::Captured { turn, text: self.capture(turn, from) });
            }
            Effect::WatchOutput(on) => self.watches_output = on,
            Effect::Arm { timer, after_ms } => self.arm(timer, after_ms),
            Effect::Disarm(timer) => self.timers.disarm(Due::Core(timer)),
            Effect::Sent { request, result } => self.answer(request, result.map(Reply::Sent)),
            Effect::Held { request, turn } => {
                if let Some(to) = self.requests.get(&request) {
                    to.event(&Event::Held(Held { session: self.id.clone(), turn: Some(turn) }));
                }
            }
            Effect::Done { request, result } => self.answer(request, result.map(|()| Reply::Done)),
            Effect::Decide { request, output } => {
                self.answer(request, Ok(Reply::Decided(Decided { output: output.into_bytes().into() })));
            }
            Effect::Responded { request, result } => self.answer(request, result.map(Reply::Responded)),
            Effect::Bound { waiter, turn } => {
                if let Some(Waiter { to, .. }) = self.waiters.get(&waiter) {
                    to.event(&Event::WaitBound(WaitBound { session: self.id.clone(), turn }));
                }
            }
            Effect::Settle { waiter, result } => {
                if let Some(waiter) = self.waiters.remove(&waiter) {
                    waiter.settle(result);
                }
            }
            Effect::WriteMessage { turn, path, text } => {
                if let Some(failed) = Self::write_message(turn, path, text).await {
                    self.unwritten = Some(turn);
                    inputs.push_back(failed);
                }
            }
            Effect::Expire => self.expire().await,
            Effect::Changed => self.publish(),
            Effect::Persist(_) => {}
        }
    }

    /// The disk is full, or gone: nothing is done that a restart would not know of.
    async fn perform_unstored(&mut self, effect: Effect, error: &StoreError, inputs: &mut VecDeque<Input>) {
        let refusal = || WireError::new(ErrorKind::Failed, error.to_string()).session(&self.id);
        match effect {
            Effect::Type { turn, .. } => {
                let error = error.to_string();
                inputs.push_back(Input::TypeFailed { turn, submitted: false, error });
            }
            // Nobody is told what a restart would not know of.
            Effect::Settle { waiter, .. } => {
                if let Some(waiter) = self.waiters.remove(&waiter) {
                    waiter.settle(Err(refusal()));
                }
            }
            Effect::Sent { request, .. }
            | Effect::Done { request, .. }
            | Effect::Responded { request, .. } => {
                let refusal = refusal();
                self.answer(request, Err(refusal));
            }
            // The agent is not told what a restart would not know of; its dialog still stands.
            Effect::Decide { request, .. } => self.answer(request, Ok(Reply::Decided(Decided::default()))),
            other => self.perform(other, inputs).await,
        }
    }

    /// Whoever asked is told, if he is still there.
    fn answer(&mut self, request: RequestId, result: Result<Reply, WireError>) {
        if let Some(to) = self.requests.remove(&request) {
            to.answer(result);
        }
    }

    /// A timer that runs is not set back by the same decision made again.
    fn arm(&mut self, timer: Timer, after_ms: u64) {
        let due = Due::Core(timer);
        if matches!(timer, Timer::Settle(_)) && self.timers.is_armed(due) {
            return;
        }
        self.timers.arm(due, after_ms);
    }

    pub(super) fn type_job(&mut self, job: Job) -> bool {
        self.typist.as_ref().is_some_and(|t| t.put(job))
    }

    async fn write_message(turn: TurnId, path: String, text: String) -> Option<Input> {
        let write = move || crate::files::write_private(path.as_ref(), text.as_bytes());
        let error = tokio::task::spawn_blocking(write).await.ok()?.err()?;
        Some(Input::MessageFailed { turn, error: error.to_string() })
    }
}

/// The turns that clients have asked for in these facts.
fn queued(facts: &[Fact]) -> Vec<TurnId> {
    let sent = |fact: &Fact| match fact {
        Fact::Queued { turn, origin: Origin::Send, .. } => Some(*turn),
        _ => None,
    };
    facts.iter().filter_map(sent).collect()
}

/// Whether somebody outside could see it, and so has to find its facts stored.
fn is_visible(effect: &Effect) -> bool {
    !matches!(effect, Effect::Arm { .. } | Effect::Disarm(_) | Effect::WatchOutput(_) | Effect::Look { .. })
}
