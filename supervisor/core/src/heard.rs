//! What the sources say, taken in: whose it is, and what it changes.
//!
//! Sources are late, repeat themselves and overtake each other. So each piece of evidence is asked whether it
//! is of the running turn, of one that is over, or of one that dsx did not send, before it changes anything.

use dsx_protocol::TurnId;

use crate::durable::{Turn, TurnState};
use crate::evidence::{Evidence, Rest, Source};
use crate::fact::{Fact, Reported, Told};
use crate::input::{Effect, Now};
use crate::session::{Said, Session};
use crate::taken::Taken;
use crate::verdict::Heard;

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
            Evidence::Enqueued { text } => self.enqueued(now, at, &text, out),
            Evidence::Absorbed { text } => self.absorbed(now, source, at, &text, out),
            Evidence::Stopped { text, prompt, agents, shells } => {
                let how = Told::Stopped { text, agents, shells };
                self.told(now, source, at, prompt.as_ref(), how, out);
            }
            Evidence::Failed { error, text, prompt } => {
                self.told(now, source, at, prompt.as_ref(), Told::Failed { error, text }, out);
            }
            Evidence::Interrupted => self.told(now, source, at, None, Told::Interrupted, out),
            Evidence::ToolDone { tool, command } => self.tool_ran(now, at, &tool, command.as_deref(), out),
            Evidence::Conversation { id, transcript } => {
                let same = self.durable.conversation.as_deref() == Some(&id)
                    && (transcript.is_none() || self.durable.transcript == transcript);
                if !same {
                    self.fact(now, Fact::Conversation { id, transcript }, out);
                }
            }
            Evidence::CommandDone => self.live.progress.command_done = self.live.progress.typed,
            Evidence::Quiet { own } => self.live.progress.quiet_own = own && self.live.progress.typed,
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
        if said != Said::Blocked {
            self.asks_no_more(source, out);
        }
        // The file is read now and then, and may have been seen neither waiting nor going on.
        let rests = source == Source::SessionFile && matches!(said, Said::Rest(_));
        // Closed first: a crash in between has the source say it again.
        if said != Said::Blocked && (was_blocked || rests || self.live.prompts_doubtful) {
            self.close_dialogs(now, at, said == Said::Busy, "answered in the terminal", out);
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
        self.steered_has_ended(now, source, at, prompt, out);
        let Some(turn) = self.durable.running().filter(|t| self.counts(t, source, at, prompt)) else {
            return;
        };
        let id = turn.id;
        let learnt = prompt.filter(|_| turn.prompts.is_empty() && turn.behind.is_none()).cloned();
        let how = match (&turn.told, how) {
            _ if at < turn.told_at => return,
            (told, how)
                if (prompt.is_none() || turn.prompts.is_empty())
                    && source == Source::Hook
                    && self.live.progress.uncertain =>
            {
                match uncertain(told.as_ref(), how) {
                    Some(how) => how,
                    None => return,
                }
            }
            // The transcript does not know of shells, and a hook has told the rest of it already.
            (
                Some(Told::Stopped { text, agents, shells }),
                Told::Stopped { text: other, agents: besides, .. },
            ) if source == Source::Transcript => {
                // After a restart it may be ahead of the hooks, and tell of a later stop than they did so far.
                let later = other.clone().filter(|_| self.live.recovering && at > turn.told_at);
                let text = later.or_else(|| text.clone()).or(other);
                Told::Stopped { text, agents: besides.max(*agents), shells: *shells }
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
        match how {
            Told::Stopped { agents: 1.., .. } => self.close_dialogs(now, at, false, "the agent stopped", out),
            _ => self.close_prompts(now, at, "the agent stopped", out),
        }
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
}
