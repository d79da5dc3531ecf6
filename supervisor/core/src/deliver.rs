//! Handing a message to the agent: queued → delivering → confirmed.
//!
//! A turn is typed at most once. When it was typed and nothing shows that the agent took it, it is `lost`:
//! typing again could run it twice.

use dsx_protocol::{ErrorKind, TurnId, WireError};

use crate::adapter::{self, Drawn};
use crate::composer::Composer;
use crate::durable::TurnState;
use crate::evidence::Source;
use crate::fact::{Fact, Outcome, Reported};
use crate::input::{Effect, Now, Recovery, RequestId, ScreenText, Timer};
use crate::session::{Said, Session};
use crate::spec::Cli;
use crate::verdict::Progress;

/// How long a typed message may stay without any sign that the agent took it.
const CONFIRM_MS: u64 = 30_000;
/// After so long the input box is looked at: where the message still stands in it, the submitting key had no
/// effect (observed with 2.1.197) and is pressed again. That types nothing twice.
pub(crate) const STILL_THERE_MS: u64 = 1_500;
/// Times the submitting key is pressed again.
pub(crate) const SUBMITS_AGAIN: u32 = 3;
/// The same once the agent went to work: the sign of *what* it works on should follow at once.
const CONFIRM_BUSY_MS: u64 = 3_000;
/// The same after a restart, when all that could be read back has been read.
pub(crate) const CONFIRM_RECOVERED_MS: u64 = 5_000;
/// Times a message is typed again after the box held something else as well.
const MIXED: u32 = 5;
/// How long a first interrupt key is given before another is pressed.
const PRESS_AGAIN_MS: u64 = 1_000;
/// How long a command's output must be quiet.
pub(crate) const QUIET_MS: u64 = 500;

impl Session {
    /// Whether the agent works or asks, as far as its strongest source says.
    pub(crate) fn agent_is_busy(&self) -> bool {
        match (&self.durable.osc, &self.live.file) {
            (Some((said, _)), _) => matches!(said, Reported::Working | Reported::Blocked),
            (None, Some((said, _))) => matches!(said, Said::Busy | Said::Blocked),
            (None, None) => false,
        }
    }

    /// Whether the agent can be typed at now, as far as its input box goes.
    pub(crate) fn is_free(&self) -> bool {
        self.durable.exit.is_none()
            && !self.live.recovering
            && self.durable.ready
            && self.durable.running().is_none()
            && self.durable.prompts.is_empty()
            && (!self.agent_is_busy() || self.live.shells_linger || self.durable.spec.cli == Cli::Command)
    }

    pub(crate) fn begin_next(&mut self, now: Now, out: &mut Vec<Effect>) {
        if !self.is_free() || self.durable.first_queued().is_none() || !self.composer_is_clean(now, out) {
            return;
        }
        let Some(turn) = self.durable.first_queued() else { return };
        let (id, waited) = (turn.id, turn.waits_until > 0);
        let script = adapter::script(self.durable.spec.cli, turn.as_typed(), turn.command, now.bracketed);
        self.fact(now, Fact::Delivering { turn: id, output: now.output }, out);
        // In the same millisecond the status record may have said how the last turn ended.
        let begun = Progress::begun(id, now.ms, &self.durable);
        self.live.progress = Progress { osc_began: false, osc_rest: None, ..begun };
        self.live.typed_ahead.clear();
        if waited {
            out.push(Effect::Disarm(Timer::Held(id)));
            out.push(Effect::Disarm(Timer::Draft(id)));
        }
        out.push(Effect::Type { turn: id, script });
    }

    pub(crate) fn typed(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        if self.steer_typed(now, turn, out) {
            return;
        }
        if self.live.progress.turn != Some(turn) {
            return;
        }
        self.live.progress.typed = true;
        let Some((state, command)) = self.durable.turn(turn).map(|t| (t.state, t.command)) else { return };
        let plain = self.durable.spec.cli == Cli::Command;
        if state == TurnState::Delivering {
            match (plain, command) {
                (true, _) => self.confirm(now, turn, "the PTY took it", None, 0, out),
                (false, true) => self.confirm(now, turn, "typed", None, 0, out),
                (false, false) => {
                    let began = self.live.progress.osc_began && !self.durable.words;
                    let after_ms = if began { CONFIRM_BUSY_MS } else { CONFIRM_MS };
                    out.push(Effect::Arm { timer: Timer::Confirm(turn), after_ms });
                    if self.durable.spec.cli == Cli::Claude {
                        out.push(Effect::Arm { timer: Timer::StillThere(turn), after_ms: STILL_THERE_MS });
                    }
                }
            }
        }
        if plain || command {
            out.push(Effect::WatchOutput(true));
            out.push(Effect::Arm { timer: Timer::Quiet(turn), after_ms: QUIET_MS });
        }
    }

    pub(crate) fn type_failed(
        &mut self,
        now: Now,
        turn: TurnId,
        submitted: bool,
        error: &str,
        out: &mut Vec<Effect>,
    ) {
        if submitted && self.steer_typed(now, turn, out) {
            return;
        }
        let steers = self.live.steer.is_some_and(|s| s.turn == turn);
        if self.live.progress.turn != Some(turn) && !steers {
            return;
        }
        if submitted {
            self.live.progress.typed = true;
            out.push(Effect::Arm { timer: Timer::Confirm(turn), after_ms: CONFIRM_RECOVERED_MS });
        } else {
            let error = format!("it could not be typed: {error}");
            self.end(now, turn, Outcome::Lost, None, Some(error), out);
        }
    }

    /// The input box held something besides the message, which was not submitted: it is emptied and the message
    /// typed again.
    pub(crate) fn mixed(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        if self.steer_not_submitted(now, turn, out) {
            return;
        }
        let delivering = self.durable.turn(turn).is_some_and(|t| t.state == TurnState::Delivering);
        if !delivering || self.live.progress.turn != Some(turn) {
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
        self.doubt_composer(out);
    }

    pub(crate) fn message_failed(&mut self, now: Now, turn: TurnId, error: &str, out: &mut Vec<Effect>) {
        if self.durable.turn(turn).is_some_and(|t| !t.is_over()) {
            let error = format!("its file could not be written: {error}");
            self.end(now, turn, Outcome::Lost, None, Some(error), out);
        }
    }

    pub(crate) fn confirm(
        &mut self,
        now: Now,
        turn: TurnId,
        evidence: &str,
        prompt: Option<String>,
        as_of: u64,
        out: &mut Vec<Effect>,
    ) {
        // An id that is another's: it was put behind the work that was under way, or became part of it.
        let ahead = self.durable.turn(turn).and_then(|t| t.ahead.clone());
        let another =
            prompt.as_ref().is_some_and(|p| ahead.as_ref() == Some(&prompt) || self.is_of_another(turn, p));
        let (prompt, behind) = if another { (None, prompt) } else { (prompt, None) };
        let fact = Fact::Confirmed { turn, evidence: evidence.to_owned(), prompt, behind, as_of };
        self.fact(now, fact, out);
        self.is_confirmed(turn, evidence, out);
    }

    pub(crate) fn is_confirmed(&mut self, turn: TurnId, evidence: &str, out: &mut Vec<Effect>) {
        out.push(Effect::Disarm(Timer::Confirm(turn)));
        out.push(Effect::Disarm(Timer::StillThere(turn)));
        self.live.mixed = 0;
        let receipt = self.receipt(turn, "submitted", Some(evidence));
        self.reply_to_sends(turn, &Ok(receipt), out);
    }

    pub(crate) fn look_if_still_there(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        if self.is_untouched(turn) || self.may_stand_there(turn) {
            out.push(Effect::Look { quiet_ms: 100, fresh: false });
        }
    }

    /// Whether nothing at all has happened since the turn was typed: no work began, nobody pressed a key. An
    /// interrupted message that the agent put back looks the same in the box, and must not be sent off again.
    fn is_untouched(&self, turn: TurnId) -> bool {
        let p = &self.live.progress;
        p.turn == Some(turn)
            && p.typed
            && !(p.osc_began || p.file_began || p.asked_interrupt.is_some())
            && self.live.composer == Composer::Clean
            && self
                .durable
                .turn(turn)
                .is_some_and(|t| t.state == TurnState::Delivering && t.ahead.is_none() && !t.enqueued)
    }

    /// The box was looked at while a typed message is unconfirmed.
    pub(crate) fn submit_again(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let Some(turn) = self.live.progress.turn.filter(|t| self.is_untouched(*t)) else { return };
        let Some(text) = self.durable.turn(turn).map(|t| t.as_typed().to_owned()) else { return };
        let still_there = adapter::drawn(Cli::Claude, screen, &text) == Drawn::Exactly;
        if still_there && self.live.progress.submits_again < SUBMITS_AGAIN {
            self.live.progress.submits_again += 1;
            self.note(Source::Screen, now.ms, "the message still stands in the input box".to_owned());
            out.push(Effect::Press(adapter::key("Enter")));
            out.push(Effect::Arm { timer: Timer::StillThere(turn), after_ms: STILL_THERE_MS });
        }
    }

    /// The agent went to work, or is free again: what it works on should be told at once.
    pub(crate) fn expect_soon(&mut self, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.running().filter(|t| t.state == TurnState::Delivering) else { return };
        // Where words are heard, they are waited for: work alone may be on something else.
        let soon = !self.durable.words || turn.ahead.is_some();
        if soon && self.live.progress.typed {
            out.push(Effect::Arm { timer: Timer::Confirm(turn.id), after_ms: CONFIRM_BUSY_MS });
        }
    }

    pub(crate) fn confirm_expired(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) {
        let delivering = self.durable.turn(turn).filter(|t| t.state == TurnState::Delivering);
        let p = &self.live.progress;
        let Some(known) = delivering.filter(|_| p.turn == Some(turn)) else { return };
        // For shells the status record says `working` with nothing to do; the session file does not.
        let by_file =
            (known.enqueued || known.ahead.is_some()) && matches!(self.live.file, Some((Said::Busy, _)));
        // What asks is at work on something, whatever shells there are.
        let asks = !self.durable.prompts.is_empty();
        let works = by_file || asks || (self.agent_is_busy() && !self.live.shells_linger);
        match (&known.ahead, p.osc_began) {
            // It had it in its queue, and nothing is left there: it went into the turn that ran.
            _ if !works && known.enqueued && known.joins.is_some() => {
                self.absorb(now, turn, "the agent had it and has nothing left to do", out);
            }
            // It may wait in the agent's own queue until that work is done, whose end is then heard.
            (Some(_), _) if works => {}
            (None, _) if self.durable.words && works => {
                self.fact(now, Fact::Ahead { turn, prompt: None }, out);
            }
            (None, true) if !self.durable.words => {
                self.confirm(now, turn, Source::Osc7501.name(), None, 0, out)
            }
            // Work that other words explain, or should explain, does not show that this one was taken.
            _ => {
                let error = "unconfirmed: it was typed, but nothing shows that the agent took it; it is not \
                             typed again";
                self.end(now, turn, Outcome::Lost, None, Some(error.to_owned()), out);
            }
        }
    }

    pub(crate) fn output(&mut self, out: &mut Vec<Effect>) {
        if let (Some(turn), true) = (self.live.progress.turn, self.live.progress.typed) {
            let p = &mut self.live.progress;
            p.quiet_own = false;
            // What was asked for, or came, lacks what is printed now.
            (p.capturing, p.captured) = (false, None);
            out.push(Effect::Arm { timer: Timer::Quiet(turn), after_ms: QUIET_MS });
        }
    }

    /// Output has been quiet: who is in the foreground is looked at by the shell, which then says so.
    pub(crate) fn quiet_expired(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Foreground);
    }

    pub(crate) fn interrupt(&mut self, now: Now, request: RequestId, out: &mut Vec<Effect>) {
        let id = &self.durable.spec.id;
        let Some(turn) = self.durable.running().map(|t| t.id) else {
            let error = match self.durable.exit {
                Some(_) => WireError::new(ErrorKind::Exited, format!("session {id} has ended")),
                None => WireError::new(ErrorKind::Refused, format!("no turn is running in session {id}")),
            };
            let error = error.session(id).hint(format!("see 'dsx status {id}'"));
            out.push(Effect::Done { request, result: Err(error) });
            return;
        };
        self.press_interrupt(now, out);
        if self.durable.spec.cli == Cli::Command {
            out.push(Effect::Done { request, result: Ok(()) });
        } else {
            self.live.interrupts.push((request, turn));
        }
    }

    /// Presses the key that stops the running turn. A second one in quick succession would be for what comes
    /// after it.
    pub(crate) fn press_interrupt(&mut self, now: Now, out: &mut Vec<Effect>) {
        let p = &mut self.live.progress;
        if p.asked_interrupt.is_none_or(|at| now.ms >= at + PRESS_AGAIN_MS) {
            p.asked_interrupt = Some(now.ms);
            out.push(Effect::Press(adapter::interrupt(self.durable.spec.cli)));
        }
    }

    /// Whether the key was pressed before the crash is not known; the agent works on the turn that it is to stop.
    pub(crate) fn recover_interrupt(&mut self, now: Now, out: &mut Vec<Effect>) {
        let running = self.durable.running().filter(|t| t.state == TurnState::Confirmed).map(|t| t.id);
        let stops = self.durable.first_queued().and_then(|t| t.stops);
        if running.is_some() && running == stops && self.agent_is_busy() {
            self.press_interrupt(now, out);
        }
    }

    /// Whether the running turn was taken back: something of it may stand in the box, or be on its way there.
    pub(crate) fn recover_delivery(&mut self, now: Now, recovery: Recovery, out: &mut Vec<Effect>) -> bool {
        let withdrawn = self.recover_steering(now, recovery, out);
        let Some(turn) = self.durable.running() else { return false };
        let (id, state) = (turn.id, turn.state);
        let watches = self.durable.spec.cli == Cli::Command || turn.command;
        match (state, recovery) {
            (TurnState::Delivering, Recovery::NotSubmitted) => {
                self.fact(now, Fact::Withdrawn { turn: id }, out);
                self.live.progress = Progress::default();
                self.doubt_composer(out);
                return true;
            }
            (TurnState::Delivering, Recovery::Unknown) => {
                if watches {
                    self.confirm(now, id, "it was being typed when the supervisor died", None, 0, out);
                } else {
                    out.push(Effect::Arm { timer: Timer::Confirm(id), after_ms: CONFIRM_RECOVERED_MS });
                }
            }
            _ => {}
        }
        if watches {
            out.push(Effect::WatchOutput(true));
            out.push(Effect::Arm { timer: Timer::Quiet(id), after_ms: QUIET_MS });
        }
        withdrawn
    }
}
