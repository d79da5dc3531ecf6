//! Messages that the agent took: the running turn's own, one that was put in front of it, behind it or after
//! it, or a turn that dsx did not send.

use dsx_protocol::TurnId;

use crate::adapter;
use crate::durable::{Origin, Turn, TurnState};
use crate::evidence::Source;
use crate::fact::{Fact, Outcome, Reported, Told};
use crate::input::{Effect, Now};
use crate::session::{Said, Session};
use crate::spec::Cli;
use crate::verdict::Progress;

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

/// Whether a message is among those that were typed ahead.
fn is_part(ahead: &str, text: &str) -> bool {
    adapter::holds(ahead, text)
}

/// Whether the agent's own id names it: as its own, or as that of the work it was put behind.
fn is_named(turn: &Turn, prompt: &String, text: &str) -> bool {
    turn.prompts.contains(prompt) || (turn.behind.as_ref() == Some(prompt) && is_of(turn, text))
}

/// Whether the agent's own id is one of the turn's, or of the work it was put behind.
pub(crate) fn knows(turn: &Turn, prompt: &String) -> bool {
    turn.prompts.contains(prompt) || turn.behind.as_ref() == Some(prompt)
}

/// Whether sub-agents hold the turn open.
pub(crate) fn is_held(turn: &Turn) -> bool {
    matches!(turn.told, Some(Told::Stopped { agents: 1.., .. }))
}

/// What a message means that the agent took while a turn runs.
enum Place {
    /// Nothing to this turn.
    Elsewhere,
    /// It is the turn's message; `news` where something is learnt by it.
    Own { news: bool },
    /// A sub-agent reported back: the same turn goes on under another id of the agent's.
    GoesOn,
    /// Typed ahead: the agent begins with it when this turn is over, or takes it into it.
    Behind,
    /// It bears no id, or one that may be of the turn or of what is before it.
    Unnamed { ahead: bool },
    /// It tells the turn's own id.
    Names,
    /// Something else has begun, so the turn is over, in this way.
    After(Told),
    /// It is of something else, which explains work that was taken for the turn's.
    Another,
}

impl Session {
    pub(crate) fn submitted(&mut self, now: Now, taken: Taken, out: &mut Vec<Effect>) {
        if self.steered_is_taken(now, &taken, out) {
            return;
        }
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

    fn taken_while_delivering(&mut self, now: Now, turn: TurnId, taken: Taken, out: &mut Vec<Effect>) {
        let Some(sent) = self.durable.turn(turn) else { return };
        let p = &mut self.live.progress;
        if !adapter::holds(&taken.text, sent.as_typed()) {
            let known = taken.prompt.as_ref().is_some_and(|p| self.is_of_another(turn, p));
            // Said late, or again, of a turn that is over: it explains nothing that the agent does now.
            let over = self
                .turn_of(&taken)
                .filter(|id| self.durable.turn(*id).is_some_and(|t| is_of(t, &taken.text)));
            match over {
                Some(turn) if !self.durable.words => {
                    let as_of = taken.at;
                    self.fact(now, Fact::Known { turn, prompt: taken.prompt, goes_on: false, as_of }, out);
                }
                Some(_) => {}
                None if known => {}
                None => {
                    self.fact(now, Fact::Ahead { turn, prompt: taken.prompt }, out);
                    let what = "the agent took another message than the one typed";
                    self.note(Source::Dsx, now.ms, what.to_owned());
                }
            }
            return;
        }
        // Written before this turn was typed: an earlier turn's line, come late.
        if taken.at < p.since {
            return;
        }
        let altered = !adapter::same_text(&taken.text, sent.as_typed());
        p.typed = true;
        p.taken_at = taken.at;
        p.in_transcript = taken.source == Source::Transcript;
        let evidence = match altered {
            true => format!("{} (the agent saw it altered)", taken.source.name()),
            false => taken.source.name().to_owned(),
        };
        self.confirm(now, turn, &evidence, taken.prompt, taken.at, out);
    }

    fn taken_while_running(&mut self, now: Now, id: TurnId, taken: Taken, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.turn(id) else { return };
        let (place, unnamed) = (self.place(turn, &taken), turn.prompts.is_empty());
        if taken.source == Source::Transcript {
            self.follow_transcript(id, &taken);
        }
        let (prompt, as_of) = (taken.prompt.clone(), taken.at);
        match place {
            Place::Elsewhere => {}
            Place::Own { news: false } => {}
            Place::Own { news: true } => {
                let p = &mut self.live.progress;
                (p.taken_at, p.since) = (p.taken_at.max(as_of), p.since.max(as_of));
                self.fact(now, Fact::Known { turn: id, prompt, goes_on: false, as_of }, out);
            }
            Place::GoesOn => {
                // Where it is not certain whose sub-agents they are, their words are not the turn's.
                let unsure = self.live.progress.uncertain && unnamed;
                let prompt = prompt.filter(|_| !unsure);
                self.fact(now, Fact::Known { turn: id, prompt, goes_on: true, as_of }, out);
                let p = &mut self.live.progress;
                p.since = as_of;
                p.uncertain = unsure;
                // The status record works for sub-agents too: if it rests, it is at the end of all of it.
                p.file_rest = p.file_rest.filter(|rest| *rest > as_of);
            }
            Place::Behind => self.type_ahead(taken.text),
            Place::Unnamed { ahead } => {
                self.live.progress.uncertain = true;
                if ahead {
                    self.type_ahead(taken.text);
                }
            }
            Place::Names => self.fact(now, Fact::Known { turn: id, prompt, goes_on: false, as_of: 0 }, out),
            Place::After(told) => {
                self.end_as_told(now, id, told, out);
                match self.durable.running().map(|t| t.id) {
                    // What was to join it is taken together with this, or after it.
                    Some(steered) => self.taken_while_delivering(now, steered, taken, out),
                    None => self.next_turn(now, taken, out),
                }
            }
            Place::Another => self.fact(now, Fact::Ahead { turn: id, prompt }, out),
        }
    }

    /// What a message means to the running turn.
    fn place(&self, turn: &Turn, taken: &Taken) -> Place {
        let p = &self.live.progress;
        let ours = is_of(turn, &taken.text);
        let named = taken.prompt.as_ref().is_some_and(|p| knows(turn, p));
        let words = taken.prompt.is_some() || !self.durable.words;
        let unnamed_so_far = turn.prompts.is_empty() && turn.told.is_none();
        if taken.at < p.since {
            return Place::Elsewhere;
        }
        if is_held(turn) && taken.origin_agent && !named && taken.at >= turn.told_at {
            return Place::GoesOn;
        }
        if ours && (taken.at <= turn.taken_at || unnamed_so_far) {
            let another = taken.prompt.as_ref().is_some_and(|p| self.is_of_another(turn.id, p));
            return Place::Own { news: taken.at > turn.taken_at && !another && !named && words };
        }
        if let Some(told) = turn.told.clone().filter(|_| self.begins_what_was_typed_ahead(turn, taken)) {
            return Place::After(told);
        }
        if !self.tells_turns(taken.source) || self.turn_of(taken).is_some() {
            return Place::Elsewhere;
        }
        if named {
            return if ours || taken.origin_agent { Place::Elsewhere } else { Place::Behind };
        }
        if taken.prompt.is_none() && self.durable.spec.cli != Cli::Demo {
            return Place::Unnamed { ahead: !is_held(turn) && !taken.origin_agent };
        }
        match &turn.told {
            _ if taken.at < p.taken_at => Place::Elsewhere,
            // Sub-agents work for the turn, and somebody types meanwhile.
            Some(_) if is_held(turn) => Place::Elsewhere,
            Some(told) => Place::After(told.clone()),
            // The id is the turn's own, if the agent has begun it, or of what is still before it.
            None if turn.behind.is_some() && turn.prompts.is_empty() => match p.in_transcript {
                true => Place::Names,
                false => Place::Unnamed { ahead: false },
            },
            // An interrupt is the one end that no hook tells.
            None if taken.prompt.is_some() && !turn.prompts.is_empty() => Place::After(Told::Interrupted),
            // Only its work has shown that this turn was taken: what has a name by now is something else.
            None if turn.prompts.is_empty() && words => Place::Another,
            None => Place::Elsewhere,
        }
    }

    /// The transcript says that the agent has gone on to what was typed while the turn ran. No hook may tell of
    /// that (2.1.328), and it may not have rested in between for long enough to be seen.
    fn begins_what_was_typed_ahead(&self, turn: &Turn, taken: &Taken) -> bool {
        taken.source == Source::Transcript
            && !is_held(turn)
            && taken.at > turn.told_at
            && self.live.typed_ahead.iter().any(|ahead| adapter::same_text(&taken.text, ahead))
    }

    /// The transcript is in order: after another message it speaks of that one.
    fn follow_transcript(&mut self, id: TurnId, taken: &Taken) {
        let Some(turn) = self.durable.turn(id).filter(|_| taken.at >= self.live.progress.since) else {
            return;
        };
        let ours = is_of(turn, &taken.text);
        let named = taken.prompt.as_ref().is_some_and(|p| knows(turn, p));
        let p = &mut self.live.progress;
        p.in_transcript |= ours;
        // Several messages that were taken together bear one time.
        let after = taken.at > p.since.max(p.taken_at) || (turn.told.is_some() && taken.at >= turn.told_at);
        p.past_transcript |= !ours && !is_held(turn) && !named && after;
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

    pub(crate) fn end_as_told(&mut self, now: Now, turn: TurnId, told: Told, out: &mut Vec<Effect>) {
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
        let began_it = is_part(&ahead, &text);
        self.foreign_turn(now, Taken { text: ahead, ..taken }, false, out);
        if !began_it {
            self.type_ahead(text);
        }
    }

    /// A turn that dsx did not send: somebody typed it, or the agent began it by itself.
    /// `waits`: behind work that dsx knows nothing of.
    fn foreign_turn(&mut self, now: Now, taken: Taken, waits: bool, out: &mut Vec<Effect>) {
        let turn = TurnId(self.durable.next_turn);
        let origin = if taken.origin_agent { Origin::Agent } else { Origin::Typed };
        let (prompt, behind) = if waits { (None, taken.prompt) } else { (taken.prompt, None) };
        let (key, typed, command, steer, stops) = (None, None, false, None, None);
        let (text, as_of) = (taken.text, taken.at);
        let queued =
            Fact::Queued { turn, text, key, origin, typed, command, prompt, behind, as_of, steer, stops };
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
