//! One word for what the agent does, and why dsx believes it.

use dsx_protocol::{Explained, StatusReply, Summary, TurnId};

use crate::durable::TurnState;
use crate::evidence::{Source, Strength};
use crate::session::{Said, Session};
use crate::spec::Cli;

impl Session {
    #[must_use]
    pub fn status(&self) -> StatusReply {
        let (status, confidence, _) = self.judgement();
        let d = &self.durable;
        let running = d.running();
        StatusReply {
            session: d.spec.id.clone(),
            status: status.to_owned(),
            turn: running.map(|t| t.id),
            since: running.map_or(d.last_at, |t| t.delivering_at.unwrap_or(t.queued_at)),
            confidence: confidence.to_owned(),
            prompt: d.prompts.first().cloned(),
        }
    }

    #[must_use]
    pub fn explain(&self) -> Explained {
        let (_, _, because) = self.judgement();
        Explained { status: self.status(), signals: self.live.signals.iter().cloned().collect(), because }
    }

    /// What `list` shows; what only the shell knows (viewers) is left at its default.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let d = &self.durable;
        let status = self.status();
        Summary {
            id: d.spec.id.clone(),
            cli: d.spec.cli.name().to_owned(),
            path: d.spec.path.clone(),
            mode: d.spec.mode.name().to_owned(),
            status: status.status,
            pid: d.pid.filter(|_| d.exit.is_none()),
            created_at: d.spec.created_at,
            creator: d.spec.creator.clone(),
            group: d.spec.group.clone(),
            description: d.description.clone(),
            turn: status.turn.or_else(|| d.newest().map(|t| t.id)),
            prompts: d.prompts.len() as u32,
            viewers: 0,
            last_used: d.last_at,
            exit_code: d.exit.and_then(crate::Exit::status),
            name: d.name.clone(),
            labels: d.spec.terms.labels.clone(),
            on_prompt: d.spec.terms.on_prompt.name().to_owned(),
            may_respond: d.spec.terms.may_respond,
            ttl_ms: d.spec.terms.ttl_ms,
            from: d.spec.terms.from.clone(),
        }
    }

    fn judgement(&self) -> (&'static str, &'static str, String) {
        let d = &self.durable;
        if let Some(exit) = d.exit {
            let how = exit.status().map_or("status unknown".to_owned(), |c| format!("status {c}"));
            return ("exited", "high", format!("the program ended ({how})"));
        }
        if let Some(prompt) = d.prompts.first() {
            return ("waiting_for_input", "high", format!("prompt {} is open: {}", prompt.id, prompt.text));
        }
        if let Some(turn) = d.running() {
            return self.judge_running(turn.id, turn.state);
        }
        if !d.ready {
            return match d.pid {
                Some(_) => ("starting", "medium", "nothing has shown yet that it takes input".to_owned()),
                None => ("starting", "high", "the program is being started".to_owned()),
            };
        }
        if d.spec.cli == Cli::Command {
            return ("idle", "low", "no turn is running; the program itself reports nothing".to_owned());
        }
        self.judge_between_turns()
    }

    fn judge_running(&self, turn: TurnId, state: TurnState) -> (&'static str, &'static str, String) {
        match (state, self.durable.spec.cli) {
            (TurnState::Delivering, _) => {
                ("working", "medium", format!("turn {turn} is being handed to the agent"))
            }
            (_, Cli::Command) => ("working", "low", format!("turn {turn}: its output has not gone quiet")),
            _ => ("working", "high", format!("turn {turn} was taken and has not ended")),
        }
    }

    fn judge_between_turns(&self) -> (&'static str, &'static str, String) {
        // They may stay at `working` for a background shell: the Stop hook named it.
        let tells = |said: &Said| *said != Said::Busy || !self.live.shells_linger;
        let osc = self.durable.osc.as_ref().map(|(said, _)| (Source::Osc7501, Said::from(said.clone())));
        let file = self.live.file.as_ref().map(|(said, _)| (Source::SessionFile, said.clone()));
        let strongest = osc.filter(|(_, said)| tells(said)).or(file.filter(|(_, said)| tells(said)));
        match strongest {
            Some((source, Said::Busy)) => {
                ("working", source.strength().confidence(), format!("{} says working", source.name()))
            }
            Some((source, Said::Rest(_))) => {
                ("idle", source.strength().confidence(), format!("{} says so", source.name()))
            }
            Some((source, Said::Blocked)) => (
                "waiting_for_input",
                source.strength().confidence(),
                format!("{} says blocked", source.name()),
            ),
            None if self.durable.newest().is_some_and(crate::Turn::is_over) => (
                "idle",
                Strength::Medium.confidence(),
                "the last turn ended and nothing was heard since".to_owned(),
            ),
            None => ("unknown", "none", "no source has said anything".to_owned()),
        }
    }
}
