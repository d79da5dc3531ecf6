//! What `send` is answered: the message was submitted, joined the running turn, is queued, or came to nothing.
//!
//! A send whose message can begin is answered when the agent has it. One whose message has to wait behind
//! another turn is answered `queued` at once. One that only somebody's draft keeps from beginning waits for a
//! bounded time, is told so, and is then taken back for good.

use dsx_protocol::{ErrorKind, SendReceipt, TurnId, WireError};

use crate::adapter;
use crate::composer::Composer;
use crate::durable::{Origin, Turn, TurnState};
use crate::evidence::Source;
use crate::fact::{Fact, Outcome};
use crate::input::{Effect, Now, RequestId, SendRequest, Timer};
use crate::session::Session;
use crate::template;

/// Turns that may wait in one session's queue.
const QUEUE_BOUND: usize = 1_000;
/// How long somebody's draft is waited for, where the sender does not say.
const DRAFT_MS: u64 = 30_000;
/// At least so long: what is in the box has to be read first.
const DRAFT_LEAST_MS: u64 = 500;
/// After so long a sender is told that a draft is in the way.
const HELD_MS: u64 = 500;
/// How a message ends that was taken back before it was typed.
const GIVEN_UP: &str = "it was never typed: somebody's draft stayed in the agent's input box";

/// A send whose reply is owed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    pub request: RequestId,
    pub turn: TurnId,
    /// How long it waits while somebody's draft is in its way; none does not.
    pub patience: Option<u64>,
    /// A call with the same key came before.
    pub repeat: bool,
}

impl Session {
    pub(crate) fn send(&mut self, now: Now, request: RequestId, send: SendRequest, out: &mut Vec<Effect>) {
        if let Some(turn) = self.repeated(&send) {
            self.send_again(request, turn, out);
            return;
        }
        let turn = TurnId(self.durable.next_turn);
        // What is wrong with the message itself is said first: it would be wrong later too.
        let send = match self.worded(turn, send) {
            Ok(send) => send,
            Err(error) => return out.push(Effect::Sent { request, result: Err(error) }),
        };
        let routed = adapter::route(&self.durable.spec, turn, &send.text, send.command);
        let routed = match routed.and_then(|routed| self.may_send(&send).map(|()| routed)) {
            Ok(routed) => routed,
            Err(error) => {
                out.push(Effect::Sent { request, result: Err(error.session(&self.durable.spec.id)) });
                return;
            }
        };
        if let Some((path, text)) = routed.file {
            out.push(Effect::WriteMessage { turn, path, text });
        }
        let running = self.durable.running().map(|t| (t.id, t.command));
        let stops = running.filter(|_| send.interrupt).map(|(id, _)| id);
        let fact = Fact::Queued {
            turn,
            text: send.text,
            key: send.key,
            origin: Origin::Send,
            typed: routed.typed,
            command: send.command,
            prompt: None,
            behind: None,
            as_of: 0,
            // A command of the agent's own is no work that a message could join.
            steer: running.filter(|(_, command)| send.steer && !command && !send.command).map(|(id, _)| id),
            stops,
        };
        self.fact(now, fact, out);
        if stops.is_some() {
            self.press_interrupt(now, out);
        }
        let patience = (!send.queue).then(|| send.draft_ms.unwrap_or(DRAFT_MS));
        self.live.sends.push(Sending { request, turn, patience, repeat: false });
    }

    /// The message as it is meant for this session and turn.
    fn worded(&self, turn: TurnId, send: SendRequest) -> Result<SendRequest, WireError> {
        if !send.template {
            return Ok(send);
        }
        let spec = &self.durable.spec;
        let text = template::expand(&send.text, spec, turn).map_err(|e| e.session(&spec.id))?;
        Ok(SendRequest { text, ..send })
    }

    /// The same answer as to the first call, as soon as there is one.
    fn send_again(&mut self, request: RequestId, turn: TurnId, out: &mut Vec<Effect>) {
        let Some(known) = self.durable.turn(turn) else {
            // It ended, and has left memory since.
            let receipt = self.receipt(turn, "submitted", REPEAT);
            out.push(Effect::Sent { request, result: Ok(receipt) });
            return;
        };
        let (state, waits, confirmed) = (known.state, known.waits_until > 0, known.confirmed_at.is_some());
        let error = known.error.clone();
        // What was answered as queued once is not given up for a draft.
        let first = self.live.sends.iter().find(|s| s.turn == turn);
        let patience = first.map_or(waits.then_some(DRAFT_MS), |s| s.patience);
        self.live.sends.push(Sending { request, turn, patience, repeat: true });
        match state {
            TurnState::Queued if waits => {
                out.push(Effect::Arm { timer: Timer::Held(turn), after_ms: HELD_MS });
            }
            TurnState::Queued | TurnState::Steering | TurnState::Delivering => {}
            TurnState::Over(Outcome::Absorbed) => {
                let receipt = self.receipt(turn, "absorbed", REPEAT);
                self.reply_to_sends(turn, &Ok(receipt), out);
            }
            TurnState::Over(outcome) if !confirmed => self.answer_sends(turn, outcome, error, out),
            TurnState::Confirmed | TurnState::Over(_) => {
                let receipt = self.receipt(turn, "submitted", REPEAT);
                self.reply_to_sends(turn, &Ok(receipt), out);
            }
        }
    }

    fn repeated(&self, send: &SendRequest) -> Option<TurnId> {
        let key = send.key.as_ref()?;
        self.durable.keys.iter().rev().find(|(k, _)| k == key).map(|(_, turn)| *turn)
    }

    fn may_send(&self, send: &SendRequest) -> Result<(), WireError> {
        let id = &self.durable.spec.id;
        self.check_not_expired()?;
        if [send.interrupt, send.steer, send.queue].iter().filter(|chosen| **chosen).count() > 1 {
            let what = "a message is queued, interrupts the running turn or joins it: one of them";
            return Err(WireError::new(ErrorKind::Usage, what).hint("give one of the three"));
        }
        if self.durable.exit.is_some() {
            return Err(WireError::new(ErrorKind::Exited, format!("session {id} has ended"))
                .hint("start another with 'dsx create'"));
        }
        // The key that stops a turn also declines what it asks.
        let stops = send.interrupt && self.durable.running().is_some();
        if let (Some(prompt), false) = (self.durable.prompts.first(), send.queue || stops) {
            let what = format!("session {id} is waiting for input: {}", prompt.text);
            return Err(WireError::new(ErrorKind::Waiting, what)
                .hint("answer it first ('dsx respond'), or send with --queue"));
        }
        if self.durable.queued() >= QUEUE_BOUND {
            let what = format!("the queue of session {id} is full ({QUEUE_BOUND} turns)");
            return Err(WireError::new(ErrorKind::Refused, what).hint("wait until some have ended"));
        }
        Ok(())
    }

    pub(crate) fn receipt(&self, turn: TurnId, delivery: &str, evidence: Option<&str>) -> SendReceipt {
        let known = self.durable.turn(turn);
        let by_file = known.is_some_and(|t| t.typed.is_some());
        let joined = known.filter(|t| t.state == TurnState::Over(Outcome::Absorbed)).and_then(|t| t.joins);
        let stopped = |t: &TurnId| {
            self.durable.turn(*t).is_some_and(|t| t.state == TurnState::Over(Outcome::Interrupted))
        };
        SendReceipt {
            session: self.durable.spec.id.clone(),
            turn: Some(joined.unwrap_or(turn)),
            delivery: delivery.to_owned(),
            evidence: evidence.map(str::to_owned),
            interrupted: known.and_then(|t| t.stops).filter(stopped),
            via: if by_file { "file" } else { "terminal" }.to_owned(),
        }
    }

    /// Answers all who have sent it.
    pub(crate) fn reply_to_sends(
        &mut self,
        turn: TurnId,
        result: &Result<SendReceipt, WireError>,
        out: &mut Vec<Effect>,
    ) {
        for sending in self.live.sends.extract_if(.., |s| s.turn == turn) {
            out.push(Effect::Sent { request: sending.request, result: result.clone() });
        }
    }

    /// Replies to sends whose turn ended before it was confirmed.
    pub(crate) fn answer_sends(
        &mut self,
        turn: TurnId,
        outcome: Outcome,
        error: Option<String>,
        out: &mut Vec<Effect>,
    ) {
        let id = &self.durable.spec.id;
        let given_up = self.durable.turn(turn).is_some_and(is_given_up);
        let result = match outcome {
            Outcome::Lost if given_up => {
                let what = format!("turn {turn} of session {id} was not typed and will not be: somebody's");
                let what = format!("{what} draft is in the agent's input box");
                Err(WireError::new(ErrorKind::Timeout, what)
                    .hint(format!("send it off or clear it ('dsx attach {id}'), or send with --queue"))
                    .session(id))
            }
            Outcome::Lost | Outcome::Exited => {
                let why = error.unwrap_or_else(|| "the session ended".to_owned());
                let kind = if outcome == Outcome::Lost { ErrorKind::Failed } else { ErrorKind::Exited };
                Err(WireError::new(kind, format!("turn {turn} of session {id}: {why}"))
                    .hint(format!("look with 'dsx screen {id}' before you send it again"))
                    .session(id))
            }
            _ => Ok(self.receipt(turn, "submitted", Some("the turn is over"))),
        };
        self.reply_to_sends(turn, &result, out);
    }

    /// Whether nothing but what somebody may be writing keeps it from being typed.
    fn is_behind_a_draft(&self, turn: &Turn) -> bool {
        let joins = self.durable.running().is_some_and(|r| turn.steer == Some(r.id));
        self.live.composer == Composer::Touched && (self.is_free() || joins)
    }

    /// Whether a send of what is queued may still be answered with more than that.
    fn may_come_to_it(&self, turn: &Turn) -> bool {
        match self.durable.running() {
            Some(running) => {
                turn.stops == Some(running.id)
                    || (turn.steer == Some(running.id) && self.durable.prompts.is_empty())
            }
            // The turn it stopped is over, and the agent rests at any moment.
            None if turn.stops.is_some() => self.durable.prompts.is_empty(),
            None => self.is_free() && self.durable.first_queued().is_some_and(|t| t.id == turn.id),
        }
    }

    /// Answers the sends whose message has to wait its turn, and lets those wait that a draft holds up.
    pub(crate) fn settle_sends(&mut self, now: Now, out: &mut Vec<Effect>) {
        let sends: Vec<Sending> = self.live.sends.clone();
        for sending in sends {
            let Some(turn) = self.durable.turn(sending.turn) else { continue };
            if turn.state != TurnState::Queued {
                continue;
            }
            let (id, waits) = (turn.id, turn.waits_until > 0);
            match (self.is_behind_a_draft(turn), sending.patience) {
                (true, Some(patience)) if !waits => self.wait_for_draft(now, id, patience, out),
                (true, Some(_)) => {}
                (false, _) if self.may_come_to_it(turn) => {}
                _ => self.leave_queued(now, sending, waits, out),
            }
        }
    }

    fn wait_for_draft(&mut self, now: Now, turn: TurnId, patience: u64, out: &mut Vec<Effect>) {
        let after_ms = patience.max(DRAFT_LEAST_MS);
        self.fact(now, Fact::Waits { turn, until: now.ms.saturating_add(after_ms) }, out);
        out.push(Effect::Arm { timer: Timer::Held(turn), after_ms: HELD_MS });
        out.push(Effect::Arm { timer: Timer::Draft(turn), after_ms });
    }

    /// It is not only a draft that it waits for: it stays until its turn comes.
    fn leave_queued(&mut self, now: Now, sending: Sending, waits: bool, out: &mut Vec<Effect>) {
        let turn = sending.turn;
        if waits {
            self.fact(now, Fact::Waits { turn, until: 0 }, out);
            out.push(Effect::Disarm(Timer::Held(turn)));
            out.push(Effect::Disarm(Timer::Draft(turn)));
        }
        let evidence = if sending.repeat { REPEAT } else { None };
        let receipt = self.receipt(turn, "queued", evidence);
        self.reply_to_sends(turn, &Ok(receipt), out);
    }

    /// Tells the senders that a draft is in the way.
    pub(crate) fn held(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        if self.durable.turn(turn).is_some_and(|t| t.state == TurnState::Queued && t.waits_until > 0) {
            let held = self.live.sends.iter().filter(|s| s.turn == turn);
            out.extend(held.map(|s| Effect::Held { request: s.request, turn }));
        }
    }

    /// The draft has been waited for long enough.
    pub(crate) fn draft_expired(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        let waits = |t: &&Turn| t.state == TurnState::Queued && t.waits_until > 0;
        let Some(known) = self.durable.turn(turn).filter(waits) else { return };
        out.push(Effect::Disarm(Timer::Held(turn)));
        match self.is_behind_a_draft(known) {
            true => {
                self.note(Source::Dsx, now.ms, format!("{turn} was given up for somebody's draft"));
                self.end(now, turn, Outcome::Lost, None, Some(GIVEN_UP.to_owned()), out);
            }
            // Something else is in its way by now.
            false => self.fact(now, Fact::Waits { turn, until: 0 }, out),
        }
    }

    /// The draft that was in the way before the restart is waited for as long as was said then.
    pub(crate) fn wait_on(&mut self, now: Now, out: &mut Vec<Effect>) {
        for turn in self.durable.turns.iter().filter(|t| t.state == TurnState::Queued && t.waits_until > 0) {
            let after_ms = turn.waits_until.saturating_sub(now.ms).max(DRAFT_LEAST_MS);
            out.push(Effect::Arm { timer: Timer::Draft(turn.id), after_ms });
        }
    }
}

const REPEAT: Option<&str> = Some("repeat of the same key");

/// Whether it was taken back because of a draft.
fn is_given_up(turn: &Turn) -> bool {
    turn.state == TurnState::Over(Outcome::Lost) && turn.waits_until > 0 && turn.delivering_at.is_none()
}
