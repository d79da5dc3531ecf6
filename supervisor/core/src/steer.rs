//! A message that joins the running turn.
//!
//! What is typed while an agent works goes into a queue of the agent's own. It may take it from there into the
//! work that is under way, between two steps, or begin a turn with all that is in the queue when that work is
//! over. Which of the two is the agent's choice, and only its own words tell. So at most one message of dsx's is
//! in that queue at a time, no other is typed until it is known what became of it, and the sender waits for that.
//!
//! ```text
//!  queued ──▶ steering ──▶ absorbed (it joined)
//!     ▲          ├──▶ confirmed (the agent began a turn with it)
//!     └──────────┘    lost (the evidence is silent)
//!   not submitted
//! ```
//!
//! When the turn it was typed into is over and nothing has shown yet, it counts as being delivered.

use dsx_protocol::TurnId;

use crate::adapter::{self, Drawn};
use crate::composer::Composer;
use crate::deliver::{CONFIRM_RECOVERED_MS, STILL_THERE_MS, SUBMITS_AGAIN};
use crate::durable::{Turn, TurnState};
use crate::evidence::Source;
use crate::fact::{Fact, Outcome, Reported, Told};
use crate::input::{Effect, Now, Recovery, ScreenText, Timer};
use crate::session::{Said, Session};
use crate::spec::Cli;
use crate::taken::{Taken, is_held, knows};
use crate::verdict::Progress;

/// What a crash may lose of a message that is to join the running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steer {
    pub turn: TurnId,
    /// The submitting write is done, or was begun.
    pub typed: bool,
    /// Times the submitting key was pressed again.
    pub submits_again: u32,
}

impl Steer {
    /// Of one that was typed when the last supervisor died.
    pub(crate) fn restored(turn: &Turn) -> Self {
        Self { turn: turn.id, typed: true, submits_again: 0 }
    }
}

impl Session {
    /// The next message that can be typed into the running turn.
    fn next_to_steer(&self) -> Option<TurnId> {
        let running = self.durable.running().filter(|t| t.state == TurnState::Confirmed)?;
        let busy = running.told.is_none() && self.live.progress.asked_interrupt.is_none();
        // Without the agent's own id for the turn its words could not be told from those of what follows.
        let known = self.durable.spec.cli != Cli::Claude || !running.prompts.is_empty();
        let may = busy
            && known
            && self.durable.exit.is_none()
            && !self.live.recovering
            && self.durable.prompts.is_empty()
            && self.durable.steering().is_none();
        let mut queued = self.durable.turns.iter().filter(|t| t.state == TurnState::Queued);
        queued.find(|t| may && t.steer == Some(running.id)).map(|t| t.id)
    }

    pub(crate) fn begin_steer(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(id) = self.next_to_steer() else { return };
        let Some(into) = self.durable.running().map(|t| t.id) else { return };
        if self.live.composer != Composer::Clean {
            // What dsx left there is removed when the agent rests; a person's draft is waited for.
            if self.live.composer == Composer::Touched && !self.live.reading {
                self.read_composer(false, out);
            }
            return;
        }
        let Some(turn) = self.durable.turn(id) else { return };
        let waited = turn.waits_until > 0;
        let script = adapter::steer(self.durable.spec.cli, turn.as_typed(), now.bracketed);
        self.fact(now, Fact::Steering { turn: id, into, output: now.output }, out);
        self.live.steer = Some(Steer { turn: id, typed: false, submits_again: 0 });
        if waited {
            out.push(Effect::Disarm(Timer::Held(id)));
            out.push(Effect::Disarm(Timer::Draft(id)));
        }
        out.push(Effect::Type { turn: id, script });
    }

    pub(crate) fn steer_submitting(&mut self, turn: TurnId) {
        if let Some(steer) = self.live.steer.as_mut().filter(|s| s.turn == turn) {
            steer.typed = true;
        }
    }

    /// Whether it was typed into a turn that still runs.
    pub(crate) fn steer_typed(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) -> bool {
        let Some(steer) = self.live.steer.as_mut().filter(|s| s.turn == turn) else { return false };
        steer.typed = true;
        match self.durable.spec.cli {
            // Its input is all there is to join.
            Cli::Command => self.absorb(now, turn, "the PTY took it", out),
            Cli::Claude => out.push(Effect::Arm { timer: Timer::StillThere(turn), after_ms: STILL_THERE_MS }),
            Cli::Demo => {}
        }
        true
    }

    /// It could not be seen in the input box alone, so it was not submitted: it waits its turn.
    pub(crate) fn steer_not_submitted(&mut self, now: Now, turn: TurnId, out: &mut Vec<Effect>) -> bool {
        if self.live.steer.take_if(|s| s.turn == turn).is_none() {
            return false;
        }
        self.note(Source::Screen, now.ms, "the input box did not show the message alone".to_owned());
        self.fact(now, Fact::Withdrawn { turn }, out);
        self.doubt_composer(out);
        true
    }

    /// Whether it may still stand in the input box.
    pub(crate) fn may_stand_there(&self, turn: TurnId) -> bool {
        // An interrupted agent may have put it back, once it had begun with it.
        let works = self.live.progress.asked_interrupt.is_none()
            && self.durable.running().is_some_and(|t| t.told.is_none());
        works
            && self.live.steer.is_some_and(|s| s.turn == turn && s.typed)
            && self.live.composer == Composer::Clean
            && self.durable.prompts.is_empty()
            && self.durable.turn(turn).is_some_and(|t| t.state == TurnState::Steering && !t.enqueued)
    }

    /// The box was looked at while nothing shows that the agent has the message.
    pub(crate) fn submit_steer_again(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let Some(steer) = self.live.steer.filter(|s| self.may_stand_there(s.turn)) else { return };
        let Some(text) = self.durable.turn(steer.turn).map(|t| t.as_typed().to_owned()) else { return };
        let still_there = adapter::drawn(self.durable.spec.cli, screen, &text) == Drawn::Exactly;
        if still_there && steer.submits_again < SUBMITS_AGAIN {
            self.live.steer = Some(Steer { submits_again: steer.submits_again + 1, ..steer });
            self.note(Source::Screen, now.ms, "the message still stands in the input box".to_owned());
            out.push(Effect::Press(adapter::key("Enter")));
            out.push(Effect::Arm { timer: Timer::StillThere(steer.turn), after_ms: STILL_THERE_MS });
        }
    }

    /// It joined the turn that ran.
    pub(crate) fn absorb(&mut self, now: Now, turn: TurnId, evidence: &str, out: &mut Vec<Effect>) {
        let Some(into) = self.durable.turn(turn).and_then(|t| t.joins) else { return };
        self.fact(now, Fact::Absorbed { turn, into, evidence: evidence.to_owned() }, out);
        self.live.steer.take_if(|s| s.turn == turn);
        if self.live.progress.turn == Some(turn) {
            self.live.progress = Progress::default();
        }
        out.push(Effect::Disarm(Timer::Confirm(turn)));
        out.push(Effect::Disarm(Timer::StillThere(turn)));
        let receipt = self.receipt(turn, "absorbed", Some(evidence));
        self.reply_to_sends(turn, &Ok(receipt), out);
        self.answer_interrupts(turn, out);
    }

    /// The turn that it was typed into is over: it is being delivered, for all that is known.
    pub(crate) fn follow_on(&mut self, out: &mut Vec<Effect>) {
        let Some(steer) = self.live.steer else { return };
        let Some(turn) = self.durable.turn(steer.turn).filter(|t| t.state == TurnState::Delivering) else {
            return;
        };
        self.live.steer = None;
        // It may have begun with it already, and been interrupted at that.
        let interrupted = self.live.progress.asked_interrupt.is_some();
        let file_began =
            matches!(self.live.file, Some((Said::Busy, at)) if turn.delivering_at.is_some_and(|t| at >= t));
        let begun = Progress::begun(turn.id, turn.delivering_at.unwrap_or(turn.queued_at), &self.durable);
        self.live.progress = Progress {
            typed: steer.typed,
            submits_again: if interrupted { SUBMITS_AGAIN } else { steer.submits_again },
            file_began,
            osc_busy: !matches!(self.durable.osc, Some((Reported::Resting(_), _)) | None),
            osc_began: false,
            osc_rest: None,
            ..begun
        };
        if steer.typed {
            out.push(Effect::Arm { timer: Timer::Confirm(steer.turn), after_ms: CONFIRM_RECOVERED_MS });
        }
    }

    /// The agent has put a message into its queue.
    pub(crate) fn enqueued(&mut self, now: Now, at: u64, text: &str, out: &mut Vec<Effect>) {
        let turn = self.steered(at, text).filter(|t| is_open(t)).or_else(|| self.met_work(at, text));
        if let Some(turn) = turn.filter(|t| !t.enqueued).map(|t| t.id) {
            self.fact(now, Fact::Enqueued { turn }, out);
        }
    }

    /// The turn that is being delivered, if it is of these words: the agent was at work on something else.
    fn met_work(&self, at: u64, text: &str) -> Option<&Turn> {
        let delivering = self.durable.running().filter(|t| t.state == TurnState::Delivering)?;
        let ours = at >= self.live.progress.since && adapter::holds(text, delivering.as_typed());
        (ours && self.live.progress.turn == Some(delivering.id)).then_some(delivering)
    }

    /// The agent has taken a message from its queue into its work.
    pub(crate) fn absorbed(&mut self, now: Now, source: Source, at: u64, text: &str, out: &mut Vec<Effect>) {
        if let Some(turn) = self.steered(at, text).filter(|t| is_open(t)).map(|t| t.id) {
            self.absorb(now, turn, source.name(), out);
        } else if let Some(turn) = self.met_work(at, text) {
            // It became part of work that is no turn of dsx's, and ends with it.
            let (turn, ahead) = (turn.id, turn.ahead.clone().flatten());
            self.confirm(now, turn, source.name(), ahead, at, out);
            (self.live.progress.taken_at, self.live.progress.in_transcript) = (at, true);
        } else {
            self.live.typed_ahead.retain(|ahead| !adapter::same_text(ahead, text));
        }
    }

    /// The newest message of these words that was typed by then while a turn ran.
    fn steered(&self, at: u64, text: &str) -> Option<&Turn> {
        self.durable.turns.iter().rev().find(|t| {
            t.joins.is_some()
                && t.delivering_at.is_some_and(|typed| at >= typed)
                && adapter::holds(text, t.as_typed())
        })
    }

    /// Whether a message that the agent took is one that was to join a turn, and what that means.
    pub(crate) fn steered_is_taken(&mut self, now: Now, taken: &Taken, out: &mut Vec<Effect>) -> bool {
        let Some(turn) = self.steered(taken.at, &taken.text).filter(|_| !taken.origin_agent) else {
            return false;
        };
        let id = turn.id;
        if !is_open(turn) {
            // Said late: of the time before it was known what became of it.
            return turn.state != TurnState::Over(Outcome::Lost) && taken.at < turn.taken_at;
        }
        let into = turn.joins.and_then(|t| self.durable.turn(t));
        let named = taken.prompt.as_ref().is_some_and(|p| into.is_some_and(|t| knows(t, p)));
        let runs = into.is_some_and(|t| !t.is_over());
        let unnamed = runs && taken.prompt.is_none();
        // A hook tells of it when it is put into the queue, under the id of the work that is under way; the
        // transcript only when it is taken from there to begin a turn.
        if taken.source == Source::Hook && (named || unnamed) {
            if !turn.enqueued {
                self.fact(now, Fact::Enqueued { turn: id }, out);
            }
        } else if runs && into.is_some_and(|t| is_held(t) || taken.at < t.taken_at) {
            // Its sub-agents hold the turn open, or have done: the message is part of what goes on in it.
            self.absorb(now, id, taken.source.name(), out);
        } else {
            self.steered_begins(now, id, taken, out);
        }
        true
    }

    /// An ending under an id that nothing else explains: the agent had begun a turn with it, of which only the
    /// transcript tells, and that is late.
    pub(crate) fn steered_has_ended(
        &mut self,
        now: Now,
        source: Source,
        at: u64,
        prompt: Option<&String>,
        out: &mut Vec<Effect>,
    ) {
        let Some(prompt) = prompt.filter(|_| source == Source::Hook && self.live.typed_ahead.is_empty())
        else {
            return;
        };
        let open = |t: &&Turn| is_open(t) && t.joins.is_some() && t.enqueued;
        let Some(turn) = self.durable.turns.iter().rev().find(open) else { return };
        let into = turn.joins.and_then(|t| self.durable.turn(t));
        let told = into.is_none_or(|t| t.is_over() || (t.told.is_some() && !is_held(t)));
        let explained = turn.ahead.is_some()
            || into.is_some_and(|t| knows(t, prompt))
            || self.is_of_another(turn.id, prompt);
        if told && !explained && turn.delivering_at.is_some_and(|typed| at > typed) {
            let (id, text) = (turn.id, turn.as_typed().to_owned());
            // It had begun by then at the latest.
            let (at, prompt) = (at - 1, Some(prompt.clone()));
            self.steered_begins(now, id, &Taken { source, at, text, prompt, origin_agent: false }, out);
        }
    }

    /// The agent has begun a turn with it.
    fn steered_begins(&mut self, now: Now, id: TurnId, taken: &Taken, out: &mut Vec<Effect>) {
        if let Some(before) = self.durable.running().filter(|t| t.id != id) {
            // An interrupt is the one end that no hook tells.
            let (before, told) = (before.id, before.told.clone().unwrap_or(Told::Interrupted));
            self.end_as_told(now, before, told, out);
        }
        self.live.typed_ahead.clear();
        // What was taken together with others bears one id with them.
        let own = taken.prompt.clone().filter(|p| !self.is_of_another(id, p));
        let (evidence, as_of) = (taken.source.name().to_owned(), taken.at);
        let behind = if own.is_none() { taken.prompt.clone() } else { None };
        self.fact(now, Fact::Confirmed { turn: id, evidence, prompt: own, behind, as_of }, out);
        self.is_confirmed(id, taken.source.name(), out);
        // It may be over by the time it is heard of.
        let file_rest = match self.live.file {
            Some((Said::Rest(_), at)) if at > taken.at => Some(at),
            _ => None,
        };
        self.live.progress = Progress {
            taken_at: taken.at,
            typed: true,
            in_transcript: taken.source == Source::Transcript,
            file_rest,
            ..Progress::begun(id, taken.at, &self.durable)
        };
    }

    /// Whether what was typed into the running turn was taken back.
    pub(crate) fn recover_steering(&mut self, now: Now, recovery: Recovery, out: &mut Vec<Effect>) -> bool {
        let Some(turn) = self.durable.steering().map(|t| t.id) else { return false };
        match recovery {
            Recovery::NotSubmitted => self.steer_not_submitted(now, turn, out),
            Recovery::Unknown => {
                if self.durable.spec.cli == Cli::Command {
                    self.absorb(now, turn, "it was being typed when the supervisor died", out);
                }
                false
            }
        }
    }
}

/// Whether it is not known yet what became of it.
fn is_open(turn: &Turn) -> bool {
    matches!(turn.state, TurnState::Steering | TurnState::Delivering)
}
