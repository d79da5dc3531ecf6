//! What the sources say, taken in: whose it is, and what it changes.
//!
//! Sources are late, repeat themselves and overtake each other. So each piece of evidence is asked whether it
//! is of the running turn, of one that is over, or of one that dsx did not send, before it changes anything.

use dsx_protocol::TurnId;

use crate::adapter;
use crate::durable::{Origin, Turn, TurnState};
use crate::evidence::{Evidence, Rest, Source};
use crate::fact::{Fact, Outcome, Reported, Told};
use crate::input::{Effect, Now};
use crate::session::{Said, Session};
use crate::spec::Cli;
use crate::verdict::{Heard, Progress};

/// How much later than the agent's work begins its hook may say with what.
const LATE_MS: u64 = 1_000;

/// A message that the agent took, as a source tells it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub source: Source,
    pub at: u64,
    pub text: String,
    /// The agent's own id for what it began with it.
    pub prompt: Option<String>,
    pub origin_agent: bool,
}

/// Whether a message is this turn's. What people typed ahead is one turn of several messages.
pub(crate) fn is_of(turn: &Turn, text: &str) -> bool {
    adapter::holds(text, turn.as_typed())
        || (turn.origin == Origin::Typed && adapter::holds(turn.as_typed(), text))
}

/// Whether the agent's own id names it: as its own, or as that of the work it was put behind.
fn is_named(turn: &Turn, prompt: &String, text: &str) -> bool {
    turn.prompts.contains(prompt) || (turn.behind.as_ref() == Some(prompt) && is_of(turn, text))
}

/// What is taken of an ending that may be another's: that there was one, and never its words.
fn uncertain(told: Option<&Told>, how: Told) -> Option<Told> {
    match (told, how) {
        (None, Told::Stopped { agents, shells, .. }) => Some(Told::Stopped { text: None, agents, shells }),
        (None, how) => Some(how),
        (Some(Told::Stopped { text, agents: 1.., .. }), Told::Stopped { agents, shells, .. }) => {
            Some(Told::Stopped { text: text.clone(), agents, shells })
        }
        (Some(_), _) => None,
    }
}

impl Progress {
    /// The transcript shows a message: this turn's own, one that is known otherwise, or what came after it.
    fn read_in_transcript(&mut self, ours: bool, known: bool, at: u64, told: bool) {
        self.in_transcript |= ours;
        // Several messages that were taken together bear one time.
        let begun = self.since.max(self.taken_at);
        self.past_transcript |= !known && (at > begun || told);
    }
}

impl Session {
    pub(crate) fn said(
        &mut self,
        now: Now,
        source: Source,
        at: u64,
        evidence: Evidence,
        out: &mut Vec<Effect>,
    ) {
        if self.durable.exit.is_some() {
            return;
        }
        self.note(source, at, evidence.to_string());
        self.live.hooks_speak |= source == Source::Hook;
        match evidence {
            Evidence::Ready => self.ready(now, source, out),
            Evidence::Busy => self.busy(now, source, at, out),
            Evidence::Rest(rest) => self.rest(now, source, at, rest, out),
            Evidence::Blocked(asked) => self.blocked(now, source, at, asked, out),
            Evidence::Submitted { text, prompt, origin_agent } => {
                self.submitted(now, Taken { source, at, text, prompt, origin_agent }, out);
            }
            Evidence::Stopped { text, prompt, agents, shells } => {
                let how = Told::Stopped { text, agents, shells };
                self.told(now, source, at, prompt.as_ref(), how, out);
            }
            Evidence::Failed { error, text, prompt } => {
                self.told(now, source, at, prompt.as_ref(), Told::Failed { error, text }, out);
            }
            Evidence::Interrupted => self.told(now, source, at, None, Told::Interrupted, out),
            Evidence::ToolDone => self.close_prompts(now, at, "the tool ran", out),
            Evidence::Conversation { id, transcript } => {
                let same = self.durable.conversation.as_deref() == Some(&id)
                    && (transcript.is_none() || self.durable.transcript == transcript);
                if !same {
                    self.fact(now, Fact::Conversation { id, transcript }, out);
                }
            }
            Evidence::CommandDone => self.live.progress.command_done = self.live.progress.typed,
            Evidence::Quiet { own } => self.live.progress.quiet_own = own && self.live.progress.typed,
            Evidence::Dialog(_) | Evidence::Composer(_) => {}
        }
    }

    fn ready(&mut self, now: Now, source: Source, out: &mut Vec<Effect>) {
        if !self.durable.ready && self.durable.pid.is_some() {
            // Whatever dialog was up, it is not any more.
            self.close_prompts(now, now.ms, "the agent went on", out);
            self.fact(now, Fact::Ready, out);
            self.note(Source::Dsx, now.ms, format!("ready, by {}", source.name()));
        }
    }

    fn busy(&mut self, now: Now, source: Source, at: u64, out: &mut Vec<Effect>) {
        self.hear(now, source, at, Said::Busy, out);
        let p = &mut self.live.progress;
        if source == Source::Osc7501 {
            // It may come before dsx knows that its own write is done.
            p.osc_busy = true;
            p.osc_began = true;
            p.osc_sure = true;
            p.osc_rest = None;
            self.expect_soon(out);
        } else if source == Source::SessionFile && at >= p.since {
            p.file_began = true;
            p.file_rest = None;
        }
    }

    /// The agent works and no turn runs: it is on what was typed ahead while the last one did.
    pub(crate) fn begin_typed_ahead(&mut self, now: Now, out: &mut Vec<Effect>) {
        let waits = self.live.recovering || self.durable.running().is_some() || self.durable.exit.is_some();
        if waits || self.live.typed_ahead.is_empty() {
            return;
        }
        // Work that began before that turn's end was its own.
        let since = self.live.ahead_since;
        let file = matches!(self.live.file, Some((Said::Busy, at)) if at >= since);
        let osc = matches!(self.durable.osc, Some((Reported::Working, at)) if at >= since);
        if file || (osc && !self.live.shells_linger) {
            let text = std::mem::take(&mut self.live.typed_ahead).join("\n");
            let (source, at, prompt, origin_agent) = (Source::Dsx, since, None, false);
            self.foreign_turn(now, Taken { source, at, text, prompt, origin_agent }, false, out);
        }
    }

    fn rest(&mut self, now: Now, source: Source, at: u64, rest: Rest, out: &mut Vec<Effect>) {
        self.hear(now, source, at, Said::Rest(rest.clone()), out);
        if source == Source::Osc7501 {
            self.live.shells_linger = false;
        }
        // An agent at rest takes input: no start-up dialog says so.
        self.ready(now, source, out);
        let p = &mut self.live.progress;
        match source {
            Source::Osc7501 if p.osc_busy => {
                p.osc_rest = Some(rest);
                p.rest_at = p.rest_at.max(now.ms);
            }
            Source::SessionFile if at >= p.since => {
                p.file_rest = Some(at);
                p.rest_at = p.rest_at.max(at);
            }
            _ => {}
        }
        if self.durable.running().is_some_and(|t| t.ahead.is_some()) {
            self.expect_soon(out);
        }
    }

    /// Keeps the last word of a continuous source.
    pub(crate) fn hear(&mut self, now: Now, source: Source, at: u64, said: Said, out: &mut Vec<Effect>) {
        let was_blocked = match source {
            Source::Osc7501 => matches!(self.durable.osc, Some((Reported::Blocked, _))),
            Source::SessionFile => matches!(self.live.file, Some((Said::Blocked, _))),
            _ => return,
        };
        // The file is read now and then, and may have been seen neither waiting nor going on.
        let rests = source == Source::SessionFile && matches!(said, Said::Rest(_));
        // Closed first: a crash in between has the source say it again.
        if said != Said::Blocked && (was_blocked || rests || self.live.prompts_doubtful) {
            self.close_prompts(now, at, "answered in the terminal", out);
            self.live.prompts_doubtful &= !self.durable.prompts.is_empty();
        }
        if source == Source::SessionFile {
            self.live.file = Some((said, at));
            return;
        }
        let reported = Reported::from(said);
        if self.durable.osc.as_ref().is_none_or(|(last, _)| *last != reported) {
            self.fact(now, Fact::Reported { said: reported }, out);
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        // For shells the record says `working` whatever the agent does: it tells nothing then.
        let lingers = self.live.shells_linger && matches!(self.durable.osc, Some((Reported::Working, _)));
        let osc = self.durable.osc.as_ref().filter(|_| !lingers);
        let osc_rests = osc.is_none_or(|(said, _)| matches!(said, Reported::Resting(_)));
        let file_rests = self.live.file.as_ref().is_none_or(|(said, _)| matches!(said, Said::Rest(_)));
        let (osc, file) = (osc.is_some(), self.live.file.is_some());
        Heard { osc, file, hooks: self.live.hooks_speak, rest: (osc || file) && osc_rests && file_rests }
    }

    /// The agent says how its work ended. Whether the turn is over is for [`crate::verdict`].
    fn told(
        &mut self,
        now: Now,
        source: Source,
        at: u64,
        prompt: Option<&String>,
        how: Told,
        out: &mut Vec<Effect>,
    ) {
        let Some(turn) = self.durable.running().filter(|t| self.counts(t, source, at, prompt)) else {
            return;
        };
        let id = turn.id;
        let learnt = prompt.filter(|_| turn.prompts.is_empty() && turn.behind.is_none()).cloned();
        let how = match (&turn.told, how) {
            _ if at < turn.told_at => return,
            (told, how) if prompt.is_none() && source == Source::Hook && self.live.progress.uncertain => {
                match uncertain(told.as_ref(), how) {
                    Some(how) => how,
                    None => return,
                }
            }
            // The transcript does not know of shells, and a hook has told the rest of it already.
            (Some(Told::Stopped { text, agents, shells }), Told::Stopped { text: other, .. })
                if source == Source::Transcript =>
            {
                Told::Stopped { text: text.clone().or(other), agents: *agents, shells: *shells }
            }
            // Sub-agents work for it, so what is interrupted or fails meanwhile is something else.
            (Some(Told::Stopped { agents: 1.., .. }), Told::Failed { .. } | Told::Interrupted)
                if source == Source::Transcript =>
            {
                return;
            }
            (Some(Told::Failed { .. }), Told::Failed { .. }) => return,
            // Nothing of the turn follows these two in the transcript.
            (Some(Told::Failed { .. } | Told::Interrupted), _) if source == Source::Transcript => return,
            (_, how) => how,
        };
        if let Some(prompt) = learnt {
            self.fact(now, Fact::Known { turn: id, prompt: Some(prompt), goes_on: false, as_of: 0 }, out);
        }
        if self.durable.turn(id).is_some_and(|t| t.told.as_ref() != Some(&how)) {
            self.fact(now, Fact::Told { turn: id, how: how.clone(), as_of: at }, out);
        }
        if matches!(how, Told::Stopped { agents: 1.., .. }) {
            // What was typed ahead begins now, beside the sub-agents.
            self.live.typed_ahead.clear();
        }
        self.close_prompts(now, at, "the agent stopped", out);
    }

    /// Whether an ending belongs to the running turn: not to an earlier one whose evidence comes late.
    fn counts(&self, turn: &Turn, source: Source, at: u64, prompt: Option<&String>) -> bool {
        let p = &self.live.progress;
        if turn.state != TurnState::Confirmed || p.turn != Some(turn.id) || at < p.since {
            return false;
        }
        match (source, prompt, turn.prompts.last()) {
            // In the same millisecond only the order of its lines tells which is whose.
            (Source::Transcript, ..) if p.past_transcript => false,
            (Source::Transcript, ..) => p.in_transcript || (p.was_taken && at > p.taken_at),
            (_, Some(said), Some(ours)) => said == ours,
            // It was put behind work that was under way, and that work's end is not its own.
            (_, Some(said), None) if turn.behind.as_ref() == Some(said) => p.in_transcript,
            (_, Some(said), None) => {
                turn.ahead != Some(Some(said.clone())) && !self.is_of_another(turn.id, said)
            }
            (_, None, _) => turn.behind.is_none() || p.in_transcript,
        }
    }

    pub(crate) fn is_of_another(&self, turn: TurnId, prompt: &String) -> bool {
        self.durable.turns.iter().any(|t| t.id != turn && t.prompts.contains(prompt))
    }

    fn submitted(&mut self, now: Now, taken: Taken, out: &mut Vec<Effect>) {
        match self.durable.running().map(|t| (t.id, t.state)) {
            Some((turn, TurnState::Delivering)) => self.taken_while_delivering(now, turn, taken, out),
            Some((turn, _)) => self.taken_while_running(now, turn, taken, out),
            None if self.tells_turns(taken.source) => match self.turn_of(&taken) {
                Some(known) => self.taken_before(now, known, taken, out),
                None => {
                    let waits = !taken.origin_agent && self.worked_before(taken.at);
                    self.foreign_turn(now, taken, waits, out);
                }
            },
            None => {}
        }
    }

    /// It is of a turn that is over, or was put behind one that dsx holds to be over.
    fn taken_before(&mut self, now: Now, id: TurnId, taken: Taken, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.turn(id) else { return };
        let ours = adapter::holds(&taken.text, turn.as_typed());
        if taken.prompt.as_ref().is_some_and(|p| !turn.prompts.contains(p)) {
            self.fact(
                now,
                Fact::Known { turn: id, prompt: taken.prompt, goes_on: false, as_of: taken.at },
                out,
            );
        } else if taken.prompt.is_some() && !ours && !taken.origin_agent && !self.live.recovering {
            self.type_ahead(taken.text);
        }
    }

    /// The agent begins with it when the work under way is over, or takes it into it.
    fn type_ahead(&mut self, text: String) {
        if !self.live.typed_ahead.contains(&text) {
            self.live.typed_ahead.push(text);
        }
    }

    /// Whether a source tells of turns that dsx did not send.
    fn tells_turns(&self, source: Source) -> bool {
        source == Source::Hook || self.durable.spec.cli == Cli::Demo
    }

    /// The turn that is over and that it is of: said again, or late.
    pub(crate) fn turn_of(&self, taken: &Taken) -> Option<TurnId> {
        let mut over = self.durable.turns.iter().rev().filter(|t| t.is_over());
        let before_its_end = |t: &&Turn| match t.told_at {
            0 => t.ended_at.is_some_and(|end| taken.at <= end),
            told_at => taken.at < told_at || (taken.at == told_at && is_of(t, &taken.text)),
        };
        let turn = match &taken.prompt {
            Some(prompt) => over.clone().find(|t| is_named(t, prompt, &taken.text)).or_else(|| {
                over.filter(before_its_end).find(|t| {
                    t.state != TurnState::Over(Outcome::Lost)
                        && t.delivering_at.is_some_and(|begin| taken.at >= begin)
                        && adapter::holds(&taken.text, t.as_typed())
                })
            }),
            None => over.find(before_its_end),
        };
        turn.map(|t| t.id)
    }

    fn taken_while_running(&mut self, now: Now, id: TurnId, taken: Taken, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.turn(id).filter(|_| taken.at >= self.live.progress.since) else {
            return;
        };
        let ours = is_of(turn, &taken.text);
        let held = matches!(turn.told, Some(Told::Stopped { agents: 1.., .. }));
        let known = |p: &String| turn.prompts.contains(p) || turn.behind.as_ref() == Some(p);
        let is_known = taken.prompt.as_ref().is_some_and(known);
        if taken.source == Source::Transcript {
            let told = turn.told.is_some() && taken.at >= turn.told_at;
            self.live.progress.read_in_transcript(ours, ours || held || is_known, taken.at, told);
        }
        // A sub-agent reported back: the same turn goes on under another id of the agent's.
        let told_before = is_known || taken.at < turn.told_at;
        if held && taken.origin_agent && !told_before {
            self.fact(
                now,
                Fact::Known { turn: id, prompt: taken.prompt, goes_on: true, as_of: taken.at },
                out,
            );
            let p = &mut self.live.progress;
            p.since = taken.at;
            p.uncertain = false;
            // The status record works for sub-agents too: if it rests, it is at the end of all of it.
            p.file_rest = p.file_rest.filter(|rest| *rest > taken.at);
            return;
        }
        if ours && taken.at <= turn.taken_at {
            return;
        }
        if ours && turn.prompts.is_empty() && turn.told.is_none() {
            let another = taken.prompt.as_ref().is_some_and(|p| self.is_of_another(id, p));
            if !another && ((taken.prompt.is_some() && !is_known) || !self.durable.words) {
                let p = &mut self.live.progress;
                (p.taken_at, p.since) = (p.taken_at.max(taken.at), p.since.max(taken.at));
                self.fact(
                    now,
                    Fact::Known { turn: id, prompt: taken.prompt, goes_on: false, as_of: taken.at },
                    out,
                );
            }
            return;
        }
        if !self.tells_turns(taken.source) || self.turn_of(&taken).is_some() {
            return;
        }
        if is_known {
            if !ours && !taken.origin_agent {
                self.type_ahead(taken.text);
            }
            return;
        }
        if taken.prompt.is_none() && self.durable.spec.cli != Cli::Demo {
            // It may have been put behind the turn, or have come after it.
            self.live.progress.uncertain = true;
            if !held && !taken.origin_agent {
                self.type_ahead(taken.text);
            }
            return;
        }
        let (told, named) = (turn.told.clone(), !turn.prompts.is_empty());
        self.another_begins(now, id, told, named, taken, out);
    }

    /// The agent took something else than the running turn, which was told of so far as `told`; `named` says
    /// whether the agent has given that turn an id.
    fn another_begins(
        &mut self,
        now: Now,
        id: TurnId,
        told: Option<Told>,
        named: bool,
        taken: Taken,
        out: &mut Vec<Effect>,
    ) {
        match told {
            // Sub-agents work for the turn, and somebody types meanwhile.
            Some(Told::Stopped { agents: 1.., .. }) => {}
            Some(told) => {
                self.end_as_told(now, id, told, out);
                self.next_turn(now, taken, out);
            }
            // An interrupt is the one end that no hook tells.
            None if taken.prompt.is_some() && named => {
                self.end_as_told(now, id, Told::Interrupted, out);
                self.next_turn(now, taken, out);
            }
            // Only its work has shown that this turn was taken: what has a name by now is something else.
            None if !named && (taken.prompt.is_some() || !self.durable.words) => {
                self.fact(now, Fact::Ahead { turn: id, prompt: taken.prompt }, out);
            }
            None => {}
        }
    }

    fn end_as_told(&mut self, now: Now, turn: TurnId, told: Told, out: &mut Vec<Effect>) {
        let (outcome, text, error) = match told {
            Told::Stopped { text, .. } => (Outcome::Ended, text, None),
            Told::Failed { error, text } => (Outcome::Failed, text, Some(error)),
            Told::Interrupted => (Outcome::Interrupted, None, None),
        };
        self.end(now, turn, outcome, text, error, out);
    }

    /// The agent began something after a turn: with what was typed ahead, if anything was. Then the message
    /// that tells of it waits in its turn.
    fn next_turn(&mut self, now: Now, taken: Taken, out: &mut Vec<Effect>) {
        let ahead = std::mem::take(&mut self.live.typed_ahead).join("\n");
        if ahead.is_empty() || taken.origin_agent {
            return self.foreign_turn(now, taken, false, out);
        }
        let text = taken.text.clone();
        self.foreign_turn(now, Taken { text: ahead, ..taken }, false, out);
        self.type_ahead(text);
    }

    /// A turn that dsx did not send: somebody typed it, or the agent began it by itself.
    /// `waits`: behind work that dsx knows nothing of.
    fn foreign_turn(&mut self, now: Now, taken: Taken, waits: bool, out: &mut Vec<Effect>) {
        let turn = TurnId(self.durable.next_turn);
        let origin = if taken.origin_agent { Origin::Agent } else { Origin::Typed };
        let (prompt, behind) = if waits { (None, taken.prompt) } else { (taken.prompt, None) };
        let (key, typed, command) = (None, None, false);
        let (text, as_of) = (taken.text, taken.at);
        let queued = Fact::Queued { turn, text, key, origin, typed, command, prompt, behind, as_of };
        self.fact(now, queued, out);
        self.live.typed_ahead.clear();
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
            ..Progress::begun(turn, taken.at, &self.durable)
        };
    }

    /// Whether the agent was at work on something that dsx knows nothing of when it took a message.
    fn worked_before(&self, at: u64) -> bool {
        match (&self.live.file, &self.durable.osc) {
            (Some((said, since)), _) => *said == Said::Busy && since + LATE_MS < at,
            (None, Some((said, since))) => {
                *said == Reported::Working && since + LATE_MS < at && !self.live.shells_linger
            }
            (None, None) => false,
        }
    }
}
