//! One session: inputs in, effects out.

use std::collections::VecDeque;

use dsx_protocol::{Signal, TurnId};

use crate::composer::Composer;
use crate::durable::{Durable, TurnState};
use crate::evidence::{Asked, Rest, Source};
use crate::fact::{Fact, Outcome, Reported, Told};
use crate::input::{Effect, Input, Now, Recovery, RequestId, Timer};
use crate::prompts::Asking;
use crate::receipts::Sending;
use crate::respond::Responding;
use crate::spec::{Cli, Spec};
use crate::steer::Steer;
use crate::verdict::{Progress, Verdict, weigh};
use crate::waiters::Waiter;

/// Signals kept for `explain`.
const SIGNALS_KEPT: usize = 64;

/// What a continuous source said last of the whole agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Busy,
    Rest(Rest),
    Blocked,
}

impl From<Said> for Reported {
    fn from(said: Said) -> Self {
        match said {
            Said::Busy => Self::Working,
            Said::Rest(rest) => Self::Resting(rest),
            Said::Blocked => Self::Blocked,
        }
    }
}

impl From<Reported> for Said {
    fn from(said: Reported) -> Self {
        match said {
            Reported::Working => Self::Busy,
            Reported::Resting(rest) => Self::Rest(rest),
            Reported::Blocked => Self::Blocked,
        }
    }
}

/// State that a crash may lose: it is built again from what the sources say.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub signals: VecDeque<Signal>,
    /// What the session file says, and of when. (The status record's last word is durable.)
    pub file: Option<(Said, u64)>,
    pub progress: Progress,
    pub composer: Composer,
    pub waiters: Vec<Waiter>,
    /// Sends whose reply waits for the agent to take the message.
    pub sends: Vec<Sending>,
    /// A message that was typed while a turn ran.
    pub steer: Option<Steer>,
    /// What an interrupted agent may have put into a box in which somebody else has written.
    pub put_back: Option<String>,
    pub interrupts: Vec<(RequestId, TurnId)>,
    /// The status record may say `working` with nothing to do, for shells that a turn left running.
    pub shells_linger: bool,
    /// What somebody typed into the agent's terminal while a turn ran.
    pub typed_ahead: Vec<String>,
    /// When that turn ended, by the evidence: work that began before was its own.
    pub ahead_since: u64,
    /// What the last supervisor left is not settled yet: nothing is typed.
    pub recovering: bool,
    /// Times the message in hand was found mixed with something else.
    pub mixed: u32,
    /// A start-up dialog that only the status record has told of, and since when.
    pub start_asked: Option<(u64, Asked)>,
    /// Prompts were open when the last supervisor died; they may have been answered since.
    pub prompts_doubtful: bool,
    /// A hook has spoken since this supervisor came.
    pub hooks_speak: bool,
    /// A look at the start-up screen is under way.
    pub looking: bool,
    /// A look at the input box is under way, in the place of any other.
    pub reading: bool,
    /// Somebody has pressed keys since that look was asked for.
    pub overlooked: bool,
    /// A mark was typed into the box behind what a crash cut off: a box that looks empty is not drawn yet.
    pub marked: bool,
    pub asking: Asking,
    pub responding: Responding,
    /// Answers given to start-up dialogs, so that one is never answered twice for one look.
    pub dialog_moves: u32,
    /// People who look at the terminal.
    pub viewers: u32,
    /// When somebody last looked at the terminal, or pressed a key in it.
    pub used_at: u64,
    /// When its time to live is over, as the timer stands.
    pub due: Option<u64>,
    /// It is over.
    pub expired: bool,
}

/// A session's state machine. It has no clock: every call brings the time.
#[derive(Debug)]
pub struct Session {
    pub(crate) durable: Durable,
    pub(crate) live: Live,
}

impl Session {
    /// A new session; its first effect persists it.
    pub fn create(spec: Spec, out: &mut Vec<Effect>) -> Self {
        out.push(Effect::Persist(Fact::Created(Box::new(spec.clone()))));
        Self { durable: Durable::new(spec), live: Live::default() }
    }

    /// A session read back. The shell then says what the sources say, and [`Input::Recovered`] last.
    ///
    /// A source may say again what it said before the crash, from any point on: what is durable already is
    /// recognised. What it said once and can never say again is durable ([`Fact::Reported`], [`Fact::Told`]).
    #[must_use]
    pub fn restore(durable: Durable) -> Self {
        let composer = Composer::restored(&durable);
        let live = Live {
            progress: durable.running().map(|t| Progress::restored(t, &durable)).unwrap_or_default(),
            composer,
            steer: durable.steering().map(Steer::restored),
            shells_linger: durable.shells,
            recovering: true,
            prompts_doubtful: !durable.prompts.is_empty(),
            ..Live::default()
        };
        Self { durable, live }
    }

    #[must_use]
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.durable.spec
    }

    /// Whether anybody waits for anything. (A test looks here for forgotten waiters.)
    #[must_use]
    pub fn owes(&self) -> usize {
        self.live.waiters.len() + self.live.sends.len() + self.live.interrupts.len()
    }

    /// Takes one input and appends what is to be done about it, in order.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        let before = out.len();
        match input {
            Input::Started { pid, start_time } => self.started(now, pid, start_time, out),
            Input::Exited(exit) => self.exited(now, exit, out),
            Input::Send { request, send } => self.send(now, request, send, out),
            Input::Interrupt { request } => self.interrupt(now, request, out),
            Input::Keys => {
                self.live.used_at = now.ms;
                self.keys();
                self.typed_at(now, out);
            }
            Input::Viewers(count) => self.viewed(now, count, out),
            Input::Rename { request, name } => self.rename(now, request, name, out),
            Input::Describe { request, description } => self.describe(now, request, description, out),
            Input::Wait { waiter, turn, until } => self.wait(waiter, turn, until, out),
            Input::Unwait { waiter } => self.live.waiters.retain(|w| w.id != waiter),
            Input::Hold { request, key } => self.hold(now, request, key, out),
            Input::Unhold { request } => self.unhold(now, request, out),
            Input::Respond { request, by, respond } => self.respond(now, request, by, &respond, out),
            Input::Said { source, at, evidence } => self.said(now, source, at, evidence, out),
            Input::Submitting { turn } => {
                self.live.progress.typed |= self.live.progress.turn == Some(turn);
                self.steer_submitting(turn);
            }
            Input::Typed { turn } => self.typed(now, turn, out),
            Input::Mixed { turn } => self.mixed(now, turn, out),
            Input::TypeFailed { turn, submitted, error } => {
                self.type_failed(now, turn, submitted, &error, out);
            }
            Input::MessageFailed { turn, error } => self.message_failed(now, turn, &error, out),
            Input::Looked(screen) => self.looked(now, &screen, out),
            Input::Captured { turn, text } => {
                if self.live.progress.turn == Some(turn) {
                    self.live.progress.captured = Some(text);
                }
            }
            Input::Output => self.output(out),
            Input::Fired(timer) => self.fired(now, timer, out),
            Input::Recovered(recovery) => self.recovered(now, recovery, out),
        }
        self.advance(now, out);
        if out[before..].iter().any(|e| matches!(e, Effect::Persist(_))) {
            out.push(Effect::Changed);
        }
    }

    /// The only way durable state changes.
    pub(crate) fn fact(&mut self, now: Now, fact: Fact, out: &mut Vec<Effect>) {
        self.durable.apply(now.ms, &fact);
        out.push(Effect::Persist(fact));
    }

    pub(crate) fn note(&mut self, source: Source, at: u64, said: String) {
        let signal = Signal {
            source: source.name().to_owned(),
            said,
            at,
            strength: source.strength().name().to_owned(),
        };
        if self.live.signals.len() == SIGNALS_KEPT {
            self.live.signals.pop_front();
        }
        self.live.signals.push_back(signal);
    }

    /// Everything that follows from the state as it is now: the same after every input, so that no order of
    /// inputs can leave a turn or a waiter behind.
    fn advance(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.judge(now, out);
        self.answer_unattended(now, false, out);
        self.begin_typed_ahead(now, out);
        self.begin_steer(now, out);
        self.begin_next(now, out);
        self.settle_sends(now, out);
        self.settle_waiters(out);
        self.count_idle_time(now, out);
    }

    fn started(&mut self, now: Now, pid: u32, start_time: u64, out: &mut Vec<Effect>) {
        self.fact(now, Fact::Started { pid, start_time }, out);
        self.note(Source::Process, now.ms, format!("started as process {pid}"));
        if !self.durable.ready {
            self.look_at_start(false, out);
        }
    }

    /// Weighs the running turn.
    fn judge(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.running() else { return };
        // What the sources say again after a restart is weighed when all of it has been said.
        if turn.state != TurnState::Confirmed || self.live.recovering {
            return;
        }
        // A plain program that claims to ask something is not done because it is silent.
        let asks = self.durable.spec.cli == Cli::Command && !self.durable.prompts.is_empty();
        if asks && !self.live.progress.command_done {
            return;
        }
        let (id, from) = (turn.id, turn.output);
        match weigh(self.durable.spec.cli, turn, &self.live.progress, self.heard()) {
            Verdict::Running => self.await_word(id, None, out),
            Verdict::Wait(ms) => self.await_word(id, Some(ms), out),
            Verdict::Capture if self.live.progress.capturing => {}
            Verdict::Capture => {
                self.live.progress.capturing = true;
                out.push(Effect::Capture { turn: id, from });
            }
            Verdict::Over { outcome, text, error } => self.end(now, id, outcome, text, error, out),
        }
    }

    /// A second signal is waited for, as long as the first stands.
    fn await_word(&mut self, turn: TurnId, ms: Option<u64>, out: &mut Vec<Effect>) {
        let p = &mut self.live.progress;
        if p.awaits == ms {
            return;
        }
        if p.awaits.is_some() {
            out.push(Effect::Disarm(Timer::Settle(turn)));
            p.waited = false;
        }
        p.awaits = ms;
        if let Some(after_ms) = ms {
            out.push(Effect::Arm { timer: Timer::Settle(turn), after_ms });
        }
    }

    pub(crate) fn end(
        &mut self,
        now: Now,
        turn: TurnId,
        outcome: Outcome,
        text: Option<String>,
        error: Option<String>,
        out: &mut Vec<Effect>,
    ) {
        // One that never began has asked nothing.
        if self.durable.turn(turn).is_none_or(|t| t.state != TurnState::Queued) {
            self.close_prompts(now, now.ms, "the turn ended", out);
        }
        let told = self.durable.turn(turn).and_then(|t| t.told.as_ref());
        if let Some(Told::Stopped { shells, .. }) = told {
            self.live.shells_linger = *shells > 0;
        }
        let shells = self.live.shells_linger;
        self.fact(now, Fact::Ended { turn, outcome, text, error: error.clone(), shells }, out);
        out.push(Effect::Disarm(Timer::Settle(turn)));
        for timer in [Timer::Confirm(turn), Timer::StillThere(turn), Timer::Quiet(turn)] {
            out.push(Effect::Disarm(timer));
        }
        if self.live.progress.turn == Some(turn) {
            let p = &self.live.progress;
            let told_at = self.durable.turn(turn).map(|t| t.told_at).filter(|at| *at > 0);
            self.live.ahead_since = told_at.or(p.file_rest).unwrap_or(p.since.max(p.taken_at));
            self.live.progress = Progress::default();
            out.push(Effect::WatchOutput(false));
        }
        self.live.steer.take_if(|s| s.turn == turn);
        self.follow_on(out);
        if self.durable.box_doubtful {
            self.doubt_composer_after(turn, out);
        }
        self.answer_sends(turn, outcome, error, out);
        self.answer_interrupts(turn, out);
    }

    pub(crate) fn answer_interrupts(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        let done = |(request, _): (RequestId, TurnId)| Effect::Done { request, result: Ok(()) };
        out.extend(self.live.interrupts.extract_if(.., |(_, t)| *t == turn).map(done));
    }

    fn fired(&mut self, now: Now, timer: Timer, out: &mut Vec<Effect>) {
        match timer {
            Timer::Confirm(turn) => self.confirm_expired(now, turn, out),
            Timer::Settle(turn) if self.live.progress.turn == Some(turn) => {
                self.note(Source::Dsx, now.ms, "waited for a second signal".to_owned());
                self.live.progress.waited = self.live.progress.awaits.is_some();
            }
            Timer::Quiet(turn) if self.live.progress.turn == Some(turn) => self.quiet_expired(out),
            Timer::Composer => self.composer_expired(out),
            Timer::StillThere(turn) => self.look_if_still_there(turn, out),
            Timer::Dialog => self.look_again_at_start(out),
            Timer::Held(turn) => self.held(turn, out),
            Timer::Draft(turn) => self.draft_expired(now, turn, out),
            Timer::Hook => self.hook_awaited(now, out),
            Timer::Labels => self.labels_expired(now, out),
            Timer::Returned => {
                self.live.asking.returning_until = 0;
                self.respond_deferred(now, out);
            }
            Timer::Unattended => self.answer_unattended(now, true, out),
            Timer::Unheld => self.unheld_expired(now, out),
            Timer::Verify => self.verify_expired(out),
            Timer::Pick => self.pick_expired(out),
            Timer::TimeToLive => self.ttl_expired(now, out),
            Timer::Settle(_) | Timer::Quiet(_) => {}
        }
    }

    fn recovered(&mut self, now: Now, recovery: Recovery, out: &mut Vec<Effect>) {
        self.live.recovering = false;
        self.await_viewers(now);
        if self.durable.exit.is_some() {
            return;
        }
        self.note(Source::Dsx, now.ms, "the supervisor was restarted".to_owned());
        if !self.durable.ready && self.durable.pid.is_some() {
            self.look_at_start(false, out);
        }
        self.recover_prompts(now, out);
        let withdrawn = self.recover_delivery(now, recovery, out);
        self.end_cut_off_paste(withdrawn, out);
        self.recover_interrupt(now, out);
        self.wait_on(now, out);
    }
}
