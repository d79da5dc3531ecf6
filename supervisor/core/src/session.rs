//! One session: inputs in, effects out.

use std::collections::VecDeque;

use dsx_protocol::{ErrorKind, Signal, TurnId, WireError};

use crate::adapter;
use crate::composer::Composer;
use crate::durable::{Durable, Origin, TurnState};
use crate::evidence::{Asked, Evidence, Rest, Source};
use crate::fact::{Exit, Fact, Outcome};
use crate::input::{Effect, Input, Now, RequestId, Timer};
use crate::spec::{Cli, Spec};
use crate::verdict::{Failure, Heard, Progress, Stop, Verdict, weigh};
use crate::waiters::Waiter;

/// Signals kept for `explain`.
const SIGNALS_KEPT: usize = 64;

/// What a continuous source said last of the whole agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Busy,
    Rest,
    Blocked,
}

/// A message that the agent says it took.
pub(crate) struct Taken {
    pub text: String,
    /// The agent's own id for what it began with it.
    pub prompt: Option<String>,
    pub origin_agent: bool,
}

/// State that a crash may lose: it is built again from what the sources say.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub signals: VecDeque<Signal>,
    pub osc: Option<(Said, u64)>,
    pub file: Option<(Said, u64)>,
    pub progress: Progress,
    pub composer: Composer,
    pub waiters: Vec<Waiter>,
    /// Sends whose reply waits for the agent to take the message.
    pub sends: Vec<(RequestId, TurnId)>,
    pub interrupts: Vec<(RequestId, TurnId)>,
    /// The last turn left shells running, so the status record may say `working` with nothing to do.
    pub shells_linger: bool,
    /// The submitting write of the running turn is done.
    pub typed: bool,
    /// What somebody typed into the agent's terminal while a turn ran.
    pub typed_ahead: Vec<String>,
    /// Between a restart and [`Input::Recovered`]: what is said may be known already.
    pub recovering: bool,
    /// Times the message in hand was found mixed with something else.
    pub mixed: u32,
    /// A start-up dialog that only the status record has told of.
    pub start_asked: Option<Asked>,
    /// A look at the screen is under way.
    pub looking: bool,
    /// Answers given to start-up dialogs, so that one is never answered twice for one look.
    pub dialog_moves: u32,
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
            Input::Interrupt { request } => self.interrupt(request, out),
            Input::Wait { waiter, turn, until } => self.wait(waiter, turn, until, out),
            Input::Unwait { waiter } => self.live.waiters.retain(|w| w.id != waiter),
            Input::Said { source, at, evidence } => self.said(now, source, at, evidence, out),
            Input::Submitting { turn } => self.live.typed |= self.live.progress.turn == Some(turn),
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
    ///
    /// While what was read back is still being said, nothing follows from it: a half-told story would end a turn
    /// too early, and type the next one into an agent that still works.
    fn advance(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.live.recovering {
            return;
        }
        self.judge(now, out);
        if self.durable.first_queued().is_some() {
            self.retry_composer(out);
        }
        self.begin_next(now, out);
        self.settle_waiters(out);
    }

    fn started(&mut self, now: Now, pid: u32, start_time: u64, out: &mut Vec<Effect>) {
        self.fact(now, Fact::Started { pid, start_time }, out);
        self.note(Source::Process, now.ms, format!("started as process {pid}"));
        if self.durable.spec.cli == Cli::Command {
            self.fact(now, Fact::Ready, out);
        } else {
            self.look_at_start(false, out);
        }
    }

    fn exited(&mut self, now: Now, exit: Exit, out: &mut Vec<Effect>) {
        if self.durable.exit.is_some() {
            return;
        }
        self.note(
            Source::Process,
            now.ms,
            match exit.status() {
                Some(code) => format!("exited with {code}"),
                None => "exited, status unknown".to_owned(),
            },
        );
        self.close_prompts(now, "the session ended", out);
        let started = self.durable.ready;
        let open: Vec<TurnId> = self.durable.turns.iter().filter(|t| !t.is_over()).map(|t| t.id).collect();
        self.fact(now, Fact::Exited(exit), out);
        for turn in open {
            let (outcome, error) = match started {
                true => (Outcome::Exited, None),
                false => (Outcome::Lost, Some("the agent did not start".to_owned())),
            };
            self.end(now, turn, outcome, None, error, out);
        }
        self.fail_requests(out);
    }

    fn fail_requests(&mut self, out: &mut Vec<Effect>) {
        let error = || {
            WireError::new(ErrorKind::Exited, format!("session {} has ended", self.durable.spec.id))
                .session(&self.durable.spec.id)
        };
        out.extend(
            self.live.sends.drain(..).map(|(request, _)| Effect::Sent { request, result: Err(error()) }),
        );
        out.extend(
            self.live.interrupts.drain(..).map(|(request, _)| Effect::Done { request, result: Ok(()) }),
        );
    }

    fn said(&mut self, now: Now, source: Source, at: u64, evidence: Evidence, out: &mut Vec<Effect>) {
        if self.durable.exit.is_some() {
            return;
        }
        self.note(source, at, evidence.to_string());
        match evidence {
            Evidence::Ready => self.ready(now, source, out),
            Evidence::Busy => self.busy(now, source, at, out),
            Evidence::Rest(rest) => self.rest(now, source, at, rest, out),
            Evidence::Blocked(asked) => self.blocked(now, source, at, asked, out),
            Evidence::Submitted { text, prompt, origin_agent } => {
                self.submitted(now, source, at, Taken { text, prompt, origin_agent }, out);
            }
            Evidence::Stopped { text, prompt, agents, shells }
                if self.counts(source, at, prompt.as_ref()) =>
            {
                self.live.progress.stop = Some(Stop { text, agents, shells });
                self.close_prompts(now, "the agent stopped", out);
            }
            Evidence::Failed { error, text, prompt } if self.counts(source, at, prompt.as_ref()) => {
                self.live.progress.failure = Some(Failure { error, text });
                self.close_prompts(now, "the agent stopped", out);
            }
            Evidence::Interrupted if self.counts(source, at, None) => {
                self.live.progress.interrupted = true;
                self.close_prompts(now, "the turn was interrupted", out);
            }
            Evidence::ToolDone => self.close_prompts(now, "the tool ran", out),
            Evidence::Conversation { id, transcript } => {
                let same = self.durable.conversation.as_deref() == Some(&id)
                    && (transcript.is_none() || self.durable.transcript == transcript);
                if !same {
                    self.fact(now, Fact::Conversation { id, transcript }, out);
                }
            }
            Evidence::CommandDone => self.live.progress.command_done = self.live.typed,
            Evidence::Quiet { own } => self.live.progress.quiet_own = own && self.live.typed,
            Evidence::Dialog(_) | Evidence::Composer(_) => {}
            Evidence::Stopped { .. } | Evidence::Failed { .. } | Evidence::Interrupted => {}
        }
    }

    /// Whether an ending belongs to the running turn: not to an earlier one whose evidence comes late.
    fn counts(&self, source: Source, at: u64, prompt: Option<&String>) -> bool {
        let p = &self.live.progress;
        let Some(turn) = self.durable.running() else { return false };
        if turn.state != TurnState::Confirmed || p.turn != Some(turn.id) {
            return false;
        }
        match (source, prompt, &p.prompt) {
            (Source::Transcript, ..) => p.in_transcript && at >= p.since + u64::from(p.presumed),
            (_, Some(said), Some(ours)) => said == ours,
            _ => at >= p.since,
        }
    }

    fn ready(&mut self, now: Now, source: Source, out: &mut Vec<Effect>) {
        if !self.durable.ready && self.durable.pid.is_some() {
            self.close_prompts(now, "the agent went on", out);
            self.fact(now, Fact::Ready, out);
            self.note(Source::Dsx, now.ms, format!("ready, by {}", source.name()));
        }
    }

    fn busy(&mut self, now: Now, source: Source, at: u64, out: &mut Vec<Effect>) {
        self.hear(now, source, at, Said::Busy, out);
        let known = self.is_old_news(at);
        let p = &mut self.live.progress;
        if source == Source::Osc7501 && self.live.typed && !known {
            p.osc_busy = true;
            p.osc_rest = None;
            p.earlier_rest = None;
            let delivering =
                self.durable.running().filter(|t| t.state == TurnState::Delivering).map(|t| t.id);
            if let Some(turn) = delivering {
                self.expect_soon(turn, out);
            }
        } else if source == Source::SessionFile && at >= p.since {
            p.file_rest = false;
        }
        let typed_ahead = source == Source::SessionFile && !self.live.typed_ahead.is_empty();
        if typed_ahead && self.durable.running().is_none() {
            let text = std::mem::take(&mut self.live.typed_ahead).join("\n");
            self.foreign_turn(now, at, Taken { text, prompt: None, origin_agent: false }, out);
        }
    }

    fn rest(&mut self, now: Now, source: Source, at: u64, rest: Rest, out: &mut Vec<Effect>) {
        self.hear(now, source, at, Said::Rest, out);
        if source == Source::Osc7501 {
            self.live.shells_linger = false;
        }
        // An agent at rest takes input: no start-up dialog says so.
        self.ready(now, source, out);
        let known = self.is_old_news(at);
        let p = &mut self.live.progress;
        match source {
            Source::Osc7501 if p.osc_busy && !known => p.osc_rest = Some(rest),
            Source::Osc7501 if self.live.recovering => p.earlier_rest = Some(rest),
            Source::SessionFile if at >= p.since && self.live.typed => p.file_rest = true,
            _ => {}
        }
    }

    /// Said once more after a restart, and of the time before the running turn.
    fn is_old_news(&self, at: u64) -> bool {
        self.live.recovering && at < self.live.progress.since
    }

    fn hear(&mut self, now: Now, source: Source, at: u64, said: Said, out: &mut Vec<Effect>) {
        let slot = match source {
            Source::Osc7501 => &mut self.live.osc,
            Source::SessionFile => &mut self.live.file,
            _ => return,
        };
        let was_blocked = matches!(slot, Some((Said::Blocked, _)));
        let is_blocked = said == Said::Blocked;
        if slot.as_ref().is_none_or(|(last, _)| *last != said) {
            *slot = Some((said, at));
        }
        if was_blocked && !is_blocked {
            self.close_prompts(now, "answered in the terminal", out);
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        Heard { osc: self.live.osc.is_some(), file: self.live.file.is_some() }
    }

    fn submitted(&mut self, now: Now, source: Source, at: u64, taken: Taken, out: &mut Vec<Effect>) {
        self.live.shells_linger = false;
        match self.durable.running().map(|t| (t.id, t.state)) {
            Some((turn, TurnState::Delivering)) => {
                self.submitted_while_delivering(now, source, at, turn, taken, out);
            }
            Some((turn, TurnState::Confirmed)) if source == Source::Hook => {
                self.submitted_while_running(now, at, turn, taken, out);
            }
            Some((turn, TurnState::Confirmed)) if self.demo_went_on(at) => {
                self.demo_chained(now, at, turn, taken, out);
            }
            Some((turn, TurnState::Confirmed)) => {
                let asked = self.durable.turn(turn).map(|t| t.as_typed()).unwrap_or_default();
                let same = adapter::holds(&taken.text, asked);
                let p = &mut self.live.progress;
                if source == Source::Transcript && at >= p.since {
                    p.in_transcript = true;
                    p.presumed &= !same;
                }
            }
            // After a restart what was known before is said once more.
            _ if self.live.recovering && at <= self.durable.last_at => {}
            _ if source == Source::Hook || self.durable.spec.cli == Cli::Demo => {
                self.foreign_turn(now, at, taken, out);
            }
            _ => {}
        }
    }

    /// The agent took a message while a turn runs: into it, after it, or as its continuation.
    fn submitted_while_running(
        &mut self,
        now: Now,
        at: u64,
        turn: TurnId,
        taken: Taken,
        out: &mut Vec<Effect>,
    ) {
        let p = &mut self.live.progress;
        if at < p.since {
            // An earlier turn's, read back after a restart.
            return;
        }
        if p.prompt.is_none() {
            p.prompt = taken.prompt;
            return;
        }
        let another = taken.prompt.is_some() && taken.prompt != p.prompt;
        let over = p.stop.clone().filter(|s| another && s.agents == 0);
        if let Some(stop) = over {
            // The next turn began before the rest between the two was seen.
            self.end(now, turn, Outcome::Ended, stop.text, None, out);
            self.foreign_turn(now, at, taken, out);
        } else if taken.origin_agent {
            // A sub-agent reported back: the same turn goes on, under another id of the agent's.
            p.prompt = taken.prompt;
            p.stop = None;
            p.osc_rest = None;
            p.file_rest = false;
            p.waited = false;
        } else if !another {
            // Somebody typed ahead; the agent begins with it when this turn is over, or takes it into it.
            self.live.typed_ahead.push(taken.text);
        }
    }

    /// The demo agent's transcript is in order: a message after an ending begins the next turn, even where the
    /// rest between the two has been overtaken on the PTY.
    fn demo_went_on(&self, at: u64) -> bool {
        let p = &self.live.progress;
        let ended = p.stop.is_some() || p.failure.is_some() || p.interrupted;
        self.durable.spec.cli == Cli::Demo && ended && at >= p.since
    }

    fn demo_chained(&mut self, now: Now, at: u64, turn: TurnId, taken: Taken, out: &mut Vec<Effect>) {
        let progress = Progress { osc_rest: Some(Rest::Done), ..self.live.progress.clone() };
        if let Verdict::Over { outcome, text, error } = weigh(Cli::Demo, false, &progress, self.heard()) {
            self.end(now, turn, outcome, text, error, out);
            self.foreign_turn(now, at, taken, out);
        }
    }

    /// A turn that dsx did not send: somebody typed it, or the agent began it by itself.
    pub(crate) fn foreign_turn(&mut self, now: Now, at: u64, taken: Taken, out: &mut Vec<Effect>) {
        let turn = TurnId(self.durable.next_turn);
        let origin = if taken.origin_agent { Origin::Agent } else { Origin::Typed };
        let queued = Fact::Queued {
            turn,
            text: taken.text,
            key: None,
            origin,
            typed: None,
            command: false,
            began: Some(at),
        };
        self.fact(now, queued, out);
        self.fact(now, Fact::Confirmed { turn, evidence: "hook".to_owned() }, out);
        self.live.typed = true;
        self.live.typed_ahead.clear();
        let osc_busy = matches!(self.live.osc, Some((Said::Busy, _)));
        self.live.progress =
            Progress { turn: Some(turn), since: at, prompt: taken.prompt, osc_busy, ..Progress::default() };
    }

    /// Weighs the running turn.
    fn judge(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.running() else { return };
        if turn.state != TurnState::Confirmed {
            return;
        }
        let (id, from) = (turn.id, turn.output);
        match weigh(self.durable.spec.cli, turn.command, &self.live.progress, self.heard()) {
            Verdict::Running => {}
            Verdict::Wait(ms) => out.push(Effect::Arm { timer: Timer::Settle(id), after_ms: ms }),
            Verdict::Capture if self.live.progress.capturing => {}
            Verdict::Capture => {
                self.live.progress.capturing = true;
                out.push(Effect::Capture { turn: id, from });
            }
            Verdict::Over { outcome, text, error } => self.end(now, id, outcome, text, error, out),
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
        self.close_prompts(now, "the turn ended", out);
        let typed = self.durable.turn(turn).is_some_and(|t| t.state == TurnState::Delivering);
        let stop = self.live.progress.stop.take();
        self.live.shells_linger = stop.is_some_and(|s| s.shells > 0);
        self.fact(now, Fact::Ended { turn, outcome, text, error: error.clone() }, out);
        out.push(Effect::Disarm(Timer::Settle(turn)));
        for timer in [Timer::Confirm(turn), Timer::StillThere(turn), Timer::Quiet(turn)] {
            out.push(Effect::Disarm(timer));
        }
        if self.live.progress.turn == Some(turn) {
            self.live.progress = Progress::default();
            self.live.typed = false;
            out.push(Effect::WatchOutput(false));
        }
        match outcome {
            Outcome::Lost if typed => self.discard_draft(now, out),
            Outcome::Interrupted | Outcome::Lost => self.doubt_composer(out),
            _ => {}
        }
        self.answer_sends(turn, outcome, error, out);
        let done = |(request, _): (RequestId, TurnId)| Effect::Done { request, result: Ok(()) };
        out.extend(self.live.interrupts.extract_if(.., |(_, t)| *t == turn).map(done));
    }

    fn fired(&mut self, now: Now, timer: Timer, out: &mut Vec<Effect>) {
        match timer {
            Timer::Confirm(turn) => self.confirm_expired(now, turn, out),
            Timer::Settle(turn) if self.live.progress.turn == Some(turn) => {
                self.note(Source::Dsx, now.ms, "waited for a second signal".to_owned());
                self.live.progress.waited = true;
            }
            Timer::Quiet(turn) if self.live.progress.turn == Some(turn) => self.quiet_expired(out),
            Timer::Composer => self.composer_expired(now, out),
            Timer::StillThere(turn) => self.look_if_still_there(turn, out),
            Timer::Dialog => self.look_again_at_start(out),
            Timer::Settle(_) | Timer::Quiet(_) => {}
        }
    }
}
