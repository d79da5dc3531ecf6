//! Handing a message to the agent: queued → delivering → confirmed.
//!
//! A turn is typed at most once. When it was typed and nothing shows that the agent took it, it is `lost`:
//! typing again could run it twice.

use dsx_protocol::{ErrorKind, SendReceipt, TurnId, WireError};

use crate::adapter::{self, Drawn};
use crate::durable::{Origin, TurnState};
use crate::evidence::Source;
use crate::fact::{Fact, Outcome};
use crate::input::{Effect, Now, RequestId, ScreenText, SendRequest, Timer};
use crate::session::{Said, Session, Taken};
use crate::spec::Cli;
use crate::verdict::Progress;

/// Turns that may wait in one session's queue.
const QUEUE_BOUND: usize = 1_000;
/// How long a typed message may stay without any sign that the agent took it.
const CONFIRM_MS: u64 = 30_000;
/// After so long the input box is looked at: where the message still stands in it, the submitting key had no
/// effect (observed with 2.1.197) and is pressed again. That types nothing twice.
pub(crate) const STILL_THERE_MS: u64 = 1_500;
/// Times the submitting key is pressed again.
const SUBMITS_AGAIN: u32 = 3;
/// The same once the agent went to work: the sign of *what* it works on should follow at once.
const CONFIRM_BUSY_MS: u64 = 3_000;
/// The same after a restart, when all that could be read back has been read.
pub(crate) const CONFIRM_RECOVERED_MS: u64 = 5_000;
/// Times a message is typed again after the box held something else as well.
const MIXED: u32 = 5;
/// How long a command's output must be quiet.
pub(crate) const QUIET_MS: u64 = 500;

impl Session {
    pub(crate) fn send(&mut self, now: Now, request: RequestId, send: SendRequest, out: &mut Vec<Effect>) {
        if let Some(result) = self.repeated(&send) {
            out.push(Effect::Sent { request, result: Ok(result) });
            return;
        }
        if let Err(error) = self.may_send(&send) {
            out.push(Effect::Sent { request, result: Err(error.session(&self.durable.spec.id)) });
            return;
        }
        let turn = TurnId(self.durable.next_turn);
        let spec = &self.durable.spec;
        let routed = match adapter::route(spec, turn, &send.text, send.command) {
            Ok(routed) => routed,
            Err(error) => {
                out.push(Effect::Sent { request, result: Err(error.session(&spec.id)) });
                return;
            }
        };
        if let Some((path, text)) = routed.file {
            out.push(Effect::WriteMessage { turn, path, text });
        }
        let fact = Fact::Queued {
            turn,
            text: send.text,
            key: send.key,
            origin: Origin::Send,
            typed: routed.typed,
            command: send.command,
            began: None,
        };
        self.fact(now, fact, out);
        if self.may_begin(turn) {
            self.live.sends.push((request, turn));
        } else {
            out.push(Effect::Sent { request, result: Ok(self.receipt(turn, "queued", None)) });
        }
    }

    fn repeated(&self, send: &SendRequest) -> Option<SendReceipt> {
        let key = send.key.as_ref()?;
        let (_, turn) = self.durable.keys.iter().rev().find(|(k, _)| k == key)?;
        let queued = self.durable.turn(*turn).is_some_and(|t| t.state == TurnState::Queued);
        Some(self.receipt(*turn, if queued { "queued" } else { "submitted" }, Some("repeat of the same key")))
    }

    fn may_send(&self, send: &SendRequest) -> Result<(), WireError> {
        let id = &self.durable.spec.id;
        if self.durable.exit.is_some() {
            return Err(WireError::new(ErrorKind::Exited, format!("session {id} has ended"))
                .hint("start another with 'dsx create'"));
        }
        if let (Some(prompt), false) = (self.durable.prompts.first(), send.queue) {
            let what = format!("session {id} is waiting for input: {}", prompt.text);
            return Err(WireError::new(ErrorKind::Waiting, what)
                .hint("answer it first ('dsx attach'), or send with --queue"));
        }
        if self.durable.queued() >= QUEUE_BOUND {
            let what = format!("the queue of session {id} is full ({QUEUE_BOUND} turns)");
            return Err(WireError::new(ErrorKind::Refused, what).hint("wait until some have ended"));
        }
        Ok(())
    }

    pub(crate) fn receipt(&self, turn: TurnId, delivery: &str, evidence: Option<&str>) -> SendReceipt {
        let by_file = self.durable.turn(turn).is_some_and(|t| t.typed.is_some());
        SendReceipt {
            session: self.durable.spec.id.clone(),
            turn: Some(turn),
            delivery: delivery.to_owned(),
            evidence: evidence.map(str::to_owned),
            via: if by_file { "file" } else { "terminal" }.to_owned(),
        }
    }

    /// Whether the agent can be typed at now.
    fn is_free(&self) -> bool {
        let agent_busy = matches!(self.live.osc, Some((Said::Busy | Said::Blocked, _)));
        self.durable.exit.is_none()
            && self.durable.ready
            && self.durable.running().is_none()
            && self.durable.prompts.is_empty()
            && self.live.composer.is_clean()
            && (!agent_busy || self.live.shells_linger || self.durable.spec.cli == Cli::Command)
    }

    fn may_begin(&self, turn: TurnId) -> bool {
        self.is_free() && self.durable.first_queued().is_some_and(|t| t.id == turn)
    }

    pub(crate) fn begin_next(&mut self, now: Now, out: &mut Vec<Effect>) {
        if !self.is_free() {
            return;
        }
        let Some(turn) = self.durable.first_queued() else { return };
        let id = turn.id;
        let script = adapter::script(self.durable.spec.cli, turn.as_typed(), turn.command, now.bracketed);
        self.fact(now, Fact::Delivering { turn: id, output: now.output }, out);
        self.live.typed = false;
        self.live.progress = Progress { turn: Some(id), since: now.ms, ..Progress::default() };
        out.push(Effect::Type { turn: id, script });
    }

    pub(crate) fn typed(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        if self.live.progress.turn != Some(turn) {
            return;
        }
        self.live.typed = true;
        let Some(state) = self.durable.turn(turn).map(|t| (t.state, t.command)) else { return };
        match state {
            (TurnState::Delivering, true) => self.confirm(now, turn, "typed", out),
            (TurnState::Delivering, false) if self.durable.spec.cli == Cli::Command => {
                self.confirm(now, turn, "the PTY took it", out);
            }
            (TurnState::Delivering, false) => {
                out.push(Effect::Arm { timer: Timer::Confirm(turn), after_ms: CONFIRM_MS });
                if self.durable.spec.cli == Cli::Claude {
                    out.push(Effect::Arm { timer: Timer::StillThere(turn), after_ms: STILL_THERE_MS });
                }
                return;
            }
            _ => return,
        }
        out.push(Effect::WatchOutput(true));
        out.push(Effect::Arm { timer: Timer::Quiet(turn), after_ms: QUIET_MS });
    }

    pub(crate) fn type_failed(
        &mut self,
        now: Now,
        turn: TurnId,
        submitted: bool,
        error: &str,
        out: &mut Vec<Effect>,
    ) {
        if self.live.progress.turn != Some(turn) {
            return;
        }
        if submitted {
            self.live.typed = true;
            out.push(Effect::Arm { timer: Timer::Confirm(turn), after_ms: CONFIRM_RECOVERED_MS });
        } else {
            let error = format!("it could not be typed: {error}");
            self.end(now, turn, Outcome::Lost, None, Some(error), out);
        }
    }

    /// The input box held something besides the message, which was not submitted: it is emptied and the message
    /// typed again.
    pub(crate) fn mixed(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        if !self.is_unconfirmed(turn) {
            return;
        }
        self.note(Source::Screen, now.ms, "the input box held something else as well".to_owned());
        self.live.mixed += 1;
        if self.live.mixed > MIXED {
            self.live.mixed = 0;
            let error = "the agent's input box keeps holding something else as well; nothing was submitted";
            self.end(now, turn, Outcome::Lost, None, Some(error.to_owned()), out);
            return;
        }
        self.fact(now, Fact::Withdrawn { turn }, out);
        self.live.progress = Progress::default();
        self.live.typed = false;
        self.doubt_composer(out);
    }

    pub(crate) fn message_failed(&mut self, now: Now, turn: TurnId, error: &str, out: &mut Vec<Effect>) {
        if self.durable.turn(turn).is_some_and(|t| !t.is_over()) {
            let error = format!("its file could not be written: {error}");
            self.end(now, turn, Outcome::Lost, None, Some(error), out);
        }
    }

    pub(crate) fn confirm(&mut self, now: Now, turn: TurnId, evidence: &str, out: &mut Vec<Effect>) {
        self.fact(now, Fact::Confirmed { turn, evidence: evidence.to_owned() }, out);
        out.push(Effect::Disarm(Timer::Confirm(turn)));
        out.push(Effect::Disarm(Timer::StillThere(turn)));
        self.live.mixed = 0;
        // It was free when the typing began: what it works on now is this, though the beginning may not have been
        // seen (by another supervisor).
        self.live.progress.osc_busy |= matches!(self.live.osc, Some((Said::Busy, _)));
        let receipt = self.receipt(turn, "submitted", Some(evidence));
        let sent = |(request, _): (RequestId, TurnId)| Effect::Sent { request, result: Ok(receipt.clone()) };
        out.extend(self.live.sends.extract_if(.., |(_, t)| *t == turn).map(sent));
    }

    pub(crate) fn submitted_while_delivering(
        &mut self,
        now: Now,
        source: Source,
        at: u64,
        turn: TurnId,
        taken: Taken,
        out: &mut Vec<Effect>,
    ) {
        let Some(sent) = self.durable.turn(turn) else { return };
        // Written before this turn was typed: an earlier turn's line, come late.
        if at < self.live.progress.since {
            return;
        }
        if !adapter::holds(&taken.text, sent.as_typed()) {
            self.note(Source::Dsx, now.ms, "the agent took another message than the one typed".to_owned());
            return;
        }
        let altered = !adapter::same_text(&taken.text, sent.as_typed());
        self.live.typed = true;
        self.live.progress.prompt = taken.prompt;
        self.live.progress.in_transcript = source == Source::Transcript;
        let evidence = match altered {
            true => format!("{} (the agent saw it altered)", source.name()),
            false => source.name().to_owned(),
        };
        self.confirm(now, turn, &evidence, out);
    }

    pub(crate) fn look_if_still_there(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        if self.is_unconfirmed(turn) && !self.live.progress.osc_busy {
            out.push(Effect::Look { quiet_ms: 100, fresh: false });
        }
    }

    fn is_unconfirmed(&self, turn: TurnId) -> bool {
        self.live.progress.turn == Some(turn)
            && self.durable.turn(turn).is_some_and(|t| t.state == TurnState::Delivering)
    }

    /// The box was looked at while a typed message is unconfirmed.
    pub(crate) fn submit_again(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let Some(turn) = self.live.progress.turn.filter(|t| self.live.typed && self.is_unconfirmed(*t))
        else {
            return;
        };
        let Some(text) = self.durable.turn(turn).map(|t| t.as_typed().to_owned()) else { return };
        let still_there =
            !self.live.progress.osc_busy && adapter::drawn(Cli::Claude, screen, &text) == Drawn::Exactly;
        if still_there && self.live.progress.submits_again < SUBMITS_AGAIN {
            self.live.progress.submits_again += 1;
            self.note(Source::Screen, now.ms, "the message still stands in the input box".to_owned());
            out.push(Effect::Press(adapter::key("Enter")));
            out.push(Effect::Arm { timer: Timer::StillThere(turn), after_ms: STILL_THERE_MS });
        }
    }

    /// The agent went to work: what it works on should be told at once.
    pub(crate) fn expect_soon(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        out.push(Effect::Arm { timer: Timer::Confirm(turn), after_ms: CONFIRM_BUSY_MS });
    }

    pub(crate) fn confirm_expired(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        let delivering = self.durable.turn(turn).is_some_and(|t| t.state == TurnState::Delivering);
        if !delivering || self.live.progress.turn != Some(turn) {
            return;
        }
        if self.live.progress.osc_busy {
            self.confirm(now, turn, Source::Osc7501.name(), out);
        } else {
            let error = "it was typed, but nothing shows that the agent took it; it is not typed again";
            self.end(now, turn, Outcome::Lost, None, Some(error.to_owned()), out);
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
        let receipt = self.receipt(turn, "submitted", Some("the turn is over"));
        for (request, _) in self.live.sends.extract_if(.., |(_, t)| *t == turn) {
            let result = match outcome {
                Outcome::Lost | Outcome::Exited => {
                    let why = error.clone().unwrap_or_else(|| "the session ended".to_owned());
                    let kind = if outcome == Outcome::Lost { ErrorKind::Failed } else { ErrorKind::Exited };
                    Err(WireError::new(kind, format!("turn {turn} of session {id}: {why}"))
                        .hint(format!("look with 'dsx screen {id}' before you send it again"))
                        .session(id))
                }
                _ => Ok(receipt.clone()),
            };
            out.push(Effect::Sent { request, result });
        }
    }

    pub(crate) fn output(&mut self, out: &mut Vec<Effect>) {
        if let (Some(turn), true) = (self.live.progress.turn, self.live.typed) {
            self.live.progress.quiet_own = false;
            out.push(Effect::Arm { timer: Timer::Quiet(turn), after_ms: QUIET_MS });
        }
    }

    /// Output has been quiet: who is in the foreground is looked at by the shell, which then says so.
    pub(crate) fn quiet_expired(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Foreground);
    }

    pub(crate) fn interrupt(&mut self, request: RequestId, out: &mut Vec<Effect>) {
        let id = &self.durable.spec.id;
        let running = self.durable.running().map(|t| t.id);
        let Some(turn) = running.filter(|_| self.durable.exit.is_none()) else {
            let error = WireError::new(ErrorKind::Refused, format!("no turn is running in session {id}"))
                .session(id)
                .hint(format!("see 'dsx status {id}'"));
            out.push(Effect::Done { request, result: Err(error) });
            return;
        };
        self.live.progress.asked_interrupt = true;
        out.push(Effect::Press(adapter::interrupt(self.durable.spec.cli)));
        if self.durable.spec.cli == Cli::Command {
            out.push(Effect::Done { request, result: Ok(()) });
        } else {
            self.live.interrupts.push((request, turn));
        }
    }
}
