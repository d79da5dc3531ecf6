//! Questions that are answered by command: hooks that wait for the decision, and dialogs that keys answer.
//!
//! A hook's process lives until it is told something, or the agent kills it. One that loses its supervisor asks the
//! next one under the same key. The agent believes a decision as long as the question stands.

use std::collections::BTreeMap;

use dsx_core::{Cli, Evidence, Input, RequestId};
use dsx_protocol::{ErrorKind, Respond, Responded, WireError};

use crate::agent::{AgentEv, State};
use crate::note;
use crate::world::{Ev, Step, World};

#[derive(Debug, Default)]
pub struct Questions {
    asked: u64,
    ids: u64,
    /// The report of the question that stands.
    pub standing: Option<String>,
    /// Processes of hooks that wait, or will once they have reported.
    hooks: Vec<String>,
    /// Those that wait in this supervisor, each by its request.
    holds: Vec<(RequestId, String)>,
    /// What each was told to print.
    told: BTreeMap<String, String>,
    /// Answers by command that nobody was told the end of yet.
    open: Vec<RequestId>,
}

impl World {
    /// The agent asks: the name of its hook's report, where it has hooks.
    pub fn hook_of_question(&mut self) -> Option<String> {
        if self.plan.cli != Cli::Claude || !self.plan.hooks {
            return None;
        }
        self.questions.asked += 1;
        let key = format!("k{}", self.questions.asked);
        self.questions.standing = Some(key.clone());
        self.questions.hooks.push(key.clone());
        Some(key)
    }

    fn request(&mut self) -> RequestId {
        self.questions.ids += 1;
        // Apart from those of the other clients.
        RequestId(1_000_000 + self.questions.ids)
    }

    /// The report of a question has been taken: its hook waits from here on.
    pub fn hook_waits(&mut self, evidence: &Evidence) -> Step {
        let Evidence::Blocked(asked) = evidence else { return Ok(()) };
        match asked.key.clone().filter(|key| self.questions.hooks.contains(key)) {
            Some(key) => self.hold(key),
            None => Ok(()),
        }
    }

    pub fn hold(&mut self, key: String) -> Step {
        let known = self.questions.holds.iter().any(|(_, k)| *k == key);
        if known || !self.questions.hooks.contains(&key) {
            return Ok(());
        }
        let request = self.request();
        self.questions.holds.push((request, key.clone()));
        self.feed(Input::Hold { request, key }).map(|_| ())
    }

    /// The supervisor died: all connections are gone.
    pub fn questions_break(&mut self) {
        self.questions.holds.clear();
        self.questions.open.clear();
    }

    /// There is another one: hooks find it, each in its own time.
    pub fn hooks_return(&mut self) {
        for key in self.questions.hooks.clone() {
            let (after, life) = (self.rng.range(1, 400), self.shell.life);
            self.plan_in(after, Ev::Hold(life, key));
        }
    }

    /// The agent kills the hook of its question, and no other.
    pub fn hook_killed(&mut self) -> Step {
        let Some(key) = self.questions.standing.take() else { return Ok(()) };
        self.questions.hooks.retain(|k| *k != key);
        let gone: Vec<(RequestId, String)> =
            self.questions.holds.extract_if(.., |(_, k)| *k == key).collect();
        for (request, _) in gone {
            let (after, life) = (self.rng.range(0, 120), self.shell.life);
            self.plan_in(after, Ev::Feed(life, Input::Unhold { request }));
        }
        Ok(())
    }

    /// A hook is told what to print, and ends.
    pub fn decided(&mut self, request: RequestId, output: String) -> Step {
        let Some(at) = self.questions.holds.iter().position(|(r, _)| *r == request) else {
            // It was killed just now.
            return Ok(());
        };
        let (_, key) = self.questions.holds.remove(at);
        self.questions.hooks.retain(|k| *k != key);
        if output.is_empty() {
            return Ok(());
        }
        if let Some(before) = self.questions.told.insert(key.clone(), output.clone()) {
            return Err(format!("the hook {key} was told {before} and then {output}"));
        }
        if let (State::Asking(job), true) = (self.agent.state, self.questions.standing.as_ref() == Some(&key))
        {
            note!(self, "agent: the hook {key} said {output}");
            let (after, epoch) = (self.rng.range(5, 60), self.agent.epoch);
            self.plan_in(after, Ev::Agent(AgentEv::Decided(job, epoch)));
        }
        Ok(())
    }

    /// Somebody answers an open prompt by command, or one that is not open.
    pub fn client_responds(&mut self) -> Step {
        let Some(durable) = &self.shell.shadow else { return Ok(()) };
        let open = match durable.prompts.len() {
            0 => None,
            several => durable.prompts.get(self.rng.index(several)).map(|p| p.id.clone()),
        };
        let prompt = match open {
            Some(open) => Some(open).filter(|_| self.rng.chance(800)),
            None if self.rng.chance(100) => Some("p1".to_owned()),
            None => return Ok(()),
        };
        let allow = self.rng.chance(600);
        let key = self.rng.chance(300).then(|| format!("r{}", self.questions.ids / 3));
        let session = format!("fizz-{}", self.number);
        let respond = Respond { session, prompt, allow, deny: !allow, key, ..Respond::default() };
        let request = self.request();
        self.questions.open.push(request);
        self.feed(Input::Respond { request, by: "user".to_owned(), respond }).map(|_| ())
    }

    pub fn told_of_answer(&mut self, request: RequestId, result: Result<Responded, WireError>) -> Step {
        let before = self.questions.open.len();
        self.questions.open.retain(|r| *r != request);
        if self.questions.open.len() == before {
            return Err(format!("{request:?} is told twice what became of its answer"));
        }
        let Some(durable) = &self.shell.shadow else { return Ok(()) };
        match result {
            Ok(done) if durable.prompts.iter().any(|p| p.id == done.prompt) => {
                Err(format!("{} was answered and is open", done.prompt))
            }
            Ok(done) if durable.decision(&done.prompt).is_none() => {
                Err(format!("{} was answered without a decision", done.prompt))
            }
            Ok(_) => Ok(()),
            Err(error) => match error.kind {
                // Of one that only the status record told of little is known, and a question is not allowed but answered.
                ErrorKind::Refused | ErrorKind::Failed | ErrorKind::Exited | ErrorKind::Usage => Ok(()),
                kind => Err(format!("an answer is an error of kind {kind:?}: {error}")),
            },
        }
    }

    /// The world has run dry: no hook waits for what is not asked any more, and nobody for an answer's end.
    pub fn check_questions(&self) -> Step {
        let Some(durable) = &self.shell.shadow else { return Ok(()) };
        if let Some(request) = self.questions.open.first() {
            return Err(format!("{request:?} never hears what became of its answer"));
        }
        for (_, key) in &self.questions.holds {
            let held = durable.held.iter().find(|h| h.key == *key);
            if held.is_none_or(|h| durable.prompts.iter().all(|p| p.id != h.prompt)) {
                return Err(format!("the hook {key} waits for what is not open"));
            }
        }
        Ok(())
    }
}
