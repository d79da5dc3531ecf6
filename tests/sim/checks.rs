//! What must hold, whatever happened.

use dsx_core::{Durable, Fact, Origin, Outcome, TurnState, Until};
use dsx_protocol::{Settled, TurnId};

use crate::agent::{By, End, State};
use crate::clients::Waits;
use crate::note;
use crate::world::{Step, World};

impl World {
    pub fn shadow(&self) -> Result<&Durable, String> {
        self.shell.shadow.as_ref().ok_or_else(|| "nothing was persisted yet".to_owned())
    }

    pub fn typed_text(&self, turn: TurnId) -> Option<&str> {
        self.shell.shadow.as_ref()?.turn(turn).map(|t| t.as_typed())
    }

    pub fn is_command(&self, turn: TurnId) -> bool {
        self.shell.shadow.as_ref().and_then(|d| d.turn(turn)).is_some_and(|t| t.command)
    }

    fn low_confidence(&self, turn: TurnId) -> bool {
        self.plan.cli == dsx_core::Cli::Command || self.is_command(turn)
    }

    /// The message that is this turn's, as the agent took it.
    fn message_of(&self, turn: TurnId) -> Option<usize> {
        self.agent.messages.iter().position(|m| m.by == By::Dsx(turn) || m.turn == Some(turn))
    }

    pub fn was_taken(&self, turn: TurnId) -> bool {
        let typed = self.begun.contains(&turn);
        if self.low_confidence(turn) { typed } else { self.message_of(turn).is_some() }
    }

    pub fn check_step(&mut self) -> Step {
        let Some(session) = &self.shell.session else { return Ok(()) };
        let durable = session.durable();
        if Some(durable) != self.shell.shadow.as_ref() {
            return Err(format!(
                "the live state is not what its facts give:\n live   {durable:?}\n replay {:?}",
                self.shell.shadow
            ));
        }
        let running =
            durable.turns.iter().filter(|t| matches!(t.state, TurnState::Delivering | TurnState::Confirmed));
        if running.count() > 1 {
            return Err("two turns are delivering or confirmed at once".into());
        }
        let mut prompts: Vec<&str> = durable.prompts.iter().map(|p| p.id.as_str()).collect();
        prompts.sort_unstable();
        prompts.dedup();
        if prompts.len() != durable.prompts.len() {
            return Err("a prompt is open twice under one id".into());
        }
        let works = durable.running().is_some_and(|t| t.state == TurnState::Confirmed);
        if works && session.status().status == "idle" {
            return Err("the status is idle while a turn runs".into());
        }
        Ok(())
    }

    pub fn check_type(&mut self, turn: TurnId) -> Step {
        let state = self.shadow()?.turn(turn).map(|t| t.state);
        match state {
            Some(TurnState::Delivering) if self.waits_for_stop(turn) => {
                Err(format!("{turn} is typed before a message for which a turn was stopped"))
            }
            Some(TurnState::Delivering | TurnState::Steering) if !self.submits.contains(&turn) => Ok(()),
            Some(TurnState::Delivering | TurnState::Steering) => {
                Err(format!("{turn} is typed though it was submitted before"))
            }
            state => Err(format!("{turn} is typed while its facts say {state:?}")),
        }
    }

    /// Whether another message, for which a turn was stopped, goes before this one.
    fn waits_for_stop(&self, turn: TurnId) -> bool {
        let Some(durable) = &self.shell.shadow else { return false };
        let before = |t: &dsx_core::Turn| {
            t.stops.is_some()
                && t.state == TurnState::Queued
                && (t.id < turn || durable.turn(turn).is_some_and(|t| t.stops.is_none()))
        };
        durable.turns.iter().any(before)
    }

    /// What is said to have joined a turn must have been taken into its work.
    fn check_absorbed(&self, turn: TurnId, into: TurnId) -> Step {
        if self.low_confidence(turn) || self.low_confidence(into) || !self.plan.ids {
            return Ok(());
        }
        let job = |t| self.message_of(t).map(|m| self.agent.messages[m].job);
        match (job(turn), job(into)) {
            (Some(Some(a)), Some(Some(b))) if a == b => Ok(()),
            // Its sub-agents held it open, and what was to join it came to an agent at rest.
            (Some(Some(a)), Some(Some(b))) if self.agent.jobs[a].began >= self.agent.jobs[b].began => {
                match self.agent.jobs[b].stops > 0 {
                    true => Ok(()),
                    false => Err(format!("{turn} (job {a}) is said to have joined {into} (job {b})")),
                }
            }
            (a, b) => Err(format!("{turn} (job {a:?}) is said to have joined {into} (job {b:?})")),
        }
    }

    pub fn check_submit(&mut self, turn: TurnId) -> Step {
        if self.submits.contains(&turn) {
            return Err(format!("{turn} is submitted twice"));
        }
        self.submits.push(turn);
        Ok(())
    }

    pub fn check_fact(&mut self, fact: &Fact) -> Step {
        match fact {
            Fact::Queued { turn, text, origin, key, .. } => {
                let durable = self.shadow()?;
                if durable.turn(*turn).is_some() {
                    return Err(format!("{turn} is queued twice"));
                }
                if let Some(key) = key
                    && durable.keys.iter().any(|(k, _)| k == key)
                {
                    return Err(format!("key {key:?} makes a second turn, {turn}"));
                }
                self.count.turns += 1;
                match origin {
                    Origin::Send => Ok(()),
                    Origin::Typed | Origin::Agent => self.check_foreign(*turn, text),
                }
            }
            Fact::Withdrawn { turn } if self.submits.contains(turn) => {
                Err(format!("{turn} is withdrawn though it was submitted"))
            }
            Fact::Absorbed { turn, into, .. } => self.check_absorbed(*turn, *into),
            Fact::Ended { turn, outcome, text, .. } => self.check_end(*turn, *outcome, text.as_deref()),
            _ => Ok(()),
        }
    }

    /// A turn that dsx did not send must be one that somebody else began, and be told once.
    fn check_foreign(&mut self, turn: TurnId, text: &str) -> Step {
        let found = self
            .agent
            .messages
            .iter()
            .position(|m| m.text == text && m.turn.is_none() && !self.is_known(m.by));
        let Some(found) = found.map(|m| vec![m]).or_else(|| self.typed_together(text)) else {
            return Err(format!("{turn} is a turn that nobody began: {text:?}"));
        };
        for message in found {
            self.agent.messages[message].turn = Some(turn);
        }
        self.count.foreign += 1;
        Ok(())
    }

    /// What people typed ahead, one after another, may begin as one. Which of it the agent had begun and
    /// ended meanwhile is not always told; the words must be theirs.
    fn typed_together(&self, text: &str) -> Option<Vec<usize>> {
        let theirs =
            |line: &str| self.agent.messages.iter().position(|m| m.by == By::Human && m.text == line);
        let found: Option<Vec<usize>> = text.split('\n').map(theirs).collect();
        found.filter(|_| self.agent.typed_ahead)
    }

    /// Whether dsx has a turn for it that may still be told of.
    fn is_known(&self, by: By) -> bool {
        let By::Dsx(turn) = by else { return false };
        let Some(known) = self.shell.shadow.as_ref().and_then(|d| d.turn(turn)) else { return true };
        known.state != TurnState::Over(Outcome::Lost) && !known.command
    }

    fn check_end(&mut self, turn: TurnId, outcome: Outcome, text: Option<&str>) -> Step {
        let state = self.shadow()?.turn(turn).map(|t| t.state);
        if state.is_none_or(|s| matches!(s, TurnState::Over(_))) {
            return Err(format!("{turn} ends as {outcome:?} while it is {state:?}"));
        }
        match outcome {
            Outcome::Exited if self.agent.state == State::Gone => return Ok(()),
            Outcome::Exited => return Err(format!("{turn} exited with an agent that lives")),
            Outcome::Lost => return self.check_lost(turn),
            Outcome::Absorbed => return Err(format!("{turn} ends, although it has joined another")),
            Outcome::Ended | Outcome::Failed | Outcome::Interrupted => {}
        }
        if self.low_confidence(turn) {
            return Ok(());
        }
        if !self.plan.ids {
            // Whose an ending is that names nothing cannot always be told; no known version is like that.
            return Ok(());
        }
        let origin = self.shadow()?.turn(turn).map(|t| t.origin);
        if origin != Some(Origin::Send) && self.agent.typed_ahead {
            return self.check_loosely(turn, text);
        }
        let job = self.message_of(turn).and_then(|m| self.agent.messages[m].job);
        let Some(job) = job else { return Err(format!("{turn} is {outcome:?} before the agent began it")) };
        let truth = &self.agent.jobs[job];
        if self.message_of(turn).is_some_and(|m| !truth.messages.contains(&m)) {
            // It met work that is no turn of dsx's and went into it: it ends when the agent rests.
            return Ok(());
        }
        // Its stop has been told and its hooks still run. Without the session file a rest that comes late
        // from what was before cannot be told from its own.
        let told = truth.stopping && outcome == Outcome::Ended && !self.plan.file;
        let Some(end) = truth.end.or(told.then_some(End::Done)) else {
            return Err(format!("{turn} is {outcome:?} while the agent works on it (job {job})"));
        };
        if text.is_some() && text != truth.answer.as_deref() {
            return Err(format!("{turn} (job {job}) has the answer {text:?}, not {:?}", truth.answer));
        }
        let matches = matches!(
            (outcome, end),
            (Outcome::Ended, End::Done)
                | (Outcome::Failed, End::Failed)
                | (Outcome::Interrupted, End::Interrupted)
        );
        self.count.null += u64::from(outcome == Outcome::Ended && text.is_none());
        if !matches {
            self.count.vague += 1;
            note!(self, "VAGUE {turn} {outcome:?} truly {end:?}");
        }
        Ok(())
    }

    /// A turn of a person's, after some were typed ahead: its text is never that of a turn dsx sent.
    fn check_loosely(&self, turn: TurnId, text: Option<&str>) -> Step {
        let joined = |t| {
            let known = self.shell.shadow.as_ref().and_then(|d| d.turn(t));
            known.is_some_and(|t| t.state == TurnState::Over(Outcome::Absorbed))
        };
        let sent =
            |m: &usize| matches!(self.agent.messages[*m].by, By::Dsx(t) if !self.is_command(t) && !joined(t));
        let stolen = self
            .agent
            .jobs
            .iter()
            .any(|job| text.is_some() && job.answer.as_deref() == text && job.messages.iter().all(&sent));
        match stolen {
            true => Err(format!("{turn} has the answer {text:?} of a turn that dsx sent")),
            false => Ok(()),
        }
    }

    fn check_lost(&mut self, turn: TurnId) -> Step {
        self.count.lost += 1;
        let durable = self.shadow()?;
        let unstarted = !durable.ready && self.agent.state == State::Gone;
        if unstarted || self.low_confidence(turn) {
            return Ok(());
        }
        if let Some(message) = self.message_of(turn) {
            return Err(format!("{turn} is lost, but the agent took it as message {message}"));
        }
        Ok(())
    }

    pub fn check_settled(&mut self, wait: &Waits, settled: &Settled) -> Step {
        let bound = wait.bound.ok_or("a wait is settled before it was bound")?;
        let joined = |t: TurnId| {
            let known = self.shell.shadow.as_ref()?.turn(t)?;
            known.joins.filter(|_| known.state == TurnState::Over(Outcome::Absorbed))
        };
        let bound = match bound.and_then(joined) {
            Some(joined) if settled.turn == Some(joined) => Some(joined),
            _ => bound,
        };
        if settled.turn != bound {
            return Err(format!("a wait for {bound:?} is settled by {:?}", settled.turn));
        }
        let durable = self.shadow()?;
        let state = bound.and_then(|t| durable.turn(t)).map(|t| t.state);
        let sound = match (wait.until, settled.outcome.as_str()) {
            (_, "exited") if durable.exit.is_some() => true,
            (Until::Ended | Until::Idle | Until::Waiting, "waiting") => !durable.prompts.is_empty(),
            (Until::Ended, outcome) => match state {
                Some(TurnState::Over(over)) => over.name() == outcome,
                Some(_) => false,
                None => bound.is_none() && durable.ready && outcome == "ended",
            },
            (Until::Idle, "ended") => durable.running().is_none(),
            _ => false,
        };
        match sound {
            true => Ok(()),
            false => Err(format!("{wait:?} is settled as {:?} while {state:?}", settled.outcome)),
        }
    }

    /// The world has run dry: nothing may be left behind.
    pub fn check_quiet(&mut self) -> Step {
        let Some(session) = &self.shell.session else { return Err("nothing restarts it".into()) };
        let durable = session.durable();
        let asks = matches!(self.agent.state, State::Asking(_));
        let starts = self.agent.state == State::Starting;
        let drafts = !self.agent.inbox.is_empty() && self.plan.cli == dsx_core::Cli::Claude;
        let delivers = durable.running().is_some();
        if !asks && !durable.prompts.is_empty() && !starts {
            return Err(format!("a prompt stays open that nobody asks: {:?}", durable.prompts));
        }
        let open: Vec<String> = durable
            .turns
            .iter()
            .filter(|t| !t.is_over())
            .map(|t| format!("{} {:?}", t.id, t.state))
            .collect();
        if !open.is_empty() && !asks && !starts && (delivers || !drafts) {
            return Err(format!("turns are left behind: {}", open.join(", ")));
        }
        if let Some(sender) = self.clients.senders.iter().find(|s| !s.replied)
            && open.is_empty()
        {
            return Err(format!("a send is never answered: {sender:?}"));
        }
        if let Some(wait) = self.clients.waits.iter().find(|w| !w.over && w.until == Until::Ended)
            && !starts
            && open.is_empty()
        {
            return Err(format!("a wait is never settled: {wait:?}"));
        }
        if open.is_empty() && self.clients.interrupts.iter().any(|i| !i.over) {
            return Err("an interrupt is never answered".into());
        }
        let waits = self.clients.waits.iter().filter(|w| !w.over).count();
        if open.is_empty() && session.owes() != waits {
            return Err(format!("{} are owed something, {waits} wait", session.owes()));
        }
        Ok(())
    }

    /// The agent is gone: everybody must have been told.
    pub fn check_gone(&mut self) -> Step {
        let Some(session) = &self.shell.session else { return Err("nothing restarts it".into()) };
        if session.owes() != 0 {
            return Err(format!("{} are owed something by a session that has ended", session.owes()));
        }
        if session.status().status != "exited" || session.durable().turns.iter().any(|t| !t.is_over()) {
            return Err("the session ended and a turn did not".into());
        }
        let forgotten = self.clients.waits.iter().any(|w| !w.over)
            || self.clients.senders.iter().any(|s| !s.replied)
            || self.clients.interrupts.iter().any(|i| !i.over);
        if forgotten { Err("somebody was forgotten when the session ended".into()) } else { Ok(()) }
    }
}
