//! The end of a session's program, and what it means for everything that was open.

use dsx_protocol::{ErrorKind, TurnId, WireError};

use crate::durable::TurnState;
use crate::evidence::Source;
use crate::fact::{Exit, Fact, Outcome};
use crate::input::{Effect, Now};
use crate::session::Session;
use crate::spec::Cli;

impl Session {
    pub(crate) fn exited(&mut self, now: Now, exit: Exit, out: &mut Vec<Effect>) {
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
        self.close_prompts(now, now.ms, "the session ended", out);
        let took = self.durable.running().filter(|t| t.state == TurnState::Delivering).map(|t| t.id);
        if let Some(turn) = took.filter(|_| self.durable.spec.cli == Cli::Command && self.live.progress.typed)
        {
            // It may have ended because of what it read, before the writer told that all was written.
            self.confirm(now, turn, "the PTY took it", None, 0, out);
        }
        let started = self.durable.ready;
        let open: Vec<TurnId> = self.durable.turns.iter().filter(|t| !t.is_over()).map(|t| t.id).collect();
        let mut printed = self.live.progress.turn.zip(self.live.progress.captured.take());
        // The exit is the last fact: a crash before it has it told again, and nothing stays behind.
        for turn in open {
            let text = printed.take_if(|(captured, _)| *captured == turn).map(|(_, text)| text);
            let (outcome, error) = match started {
                true => (Outcome::Exited, None),
                false => (Outcome::Lost, Some("the agent did not start".to_owned())),
            };
            self.end(now, turn, outcome, text, error, out);
        }
        self.fact(now, Fact::Exited(exit), out);
        self.fail_requests(out);
    }

    fn fail_requests(&mut self, out: &mut Vec<Effect>) {
        let error = || {
            WireError::new(ErrorKind::Exited, format!("session {} has ended", self.durable.spec.id))
                .session(&self.durable.spec.id)
        };
        out.extend(
            self.live.sends.drain(..).map(|s| Effect::Sent { request: s.request, result: Err(error()) }),
        );
        out.extend(
            self.live.interrupts.drain(..).map(|(request, _)| Effect::Done { request, result: Ok(()) }),
        );
    }
}
