//! A plain program in a PTY: it reads a line, prints for a while, and is ready again.

use dsx_core::{Evidence, Rest};

use crate::agent::{AgentEv, By, End, Job, Message, State};
use crate::note;
use crate::sources::Src;
use crate::world::{Ev, Step, World};

impl World {
    pub fn program_reads(&mut self, bytes: &[u8], by: By) -> Step {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match text.as_str() {
            "\r" => return self.program_line(),
            _ if text.len() > 1 && text.ends_with('\r') => {
                self.program_reads(text.trim_end_matches('\r').as_bytes(), by)?;
                return self.program_line();
            }
            "\x15" | "\x1b[201~\x15" => {
                self.agent.inbox.clear();
                self.agent.inbox_by.clear();
            }
            "\x03" => {
                self.agent.inbox.clear();
                self.agent.inbox_by.clear();
                if let State::Working(job) = self.agent.state {
                    self.program_done(job, End::Interrupted);
                }
            }
            _ => {
                self.agent.inbox.push_str(&text.replace("\x1b[200~", "").replace("\x1b[201~", ""));
                self.agent.inbox_by.push(by);
            }
        }
        Ok(())
    }

    fn program_line(&mut self) -> Step {
        let text = std::mem::take(&mut self.agent.inbox);
        let by = std::mem::take(&mut self.agent.inbox_by);
        let Some(&by) = by.first() else { return Ok(()) };
        if let By::Dsx(turn) = by
            && self.agent.messages.iter().any(|m| m.by == by)
        {
            return Err(format!("{turn} was taken by the program twice"));
        }
        let (message, job) = (self.agent.messages.len(), self.agent.jobs.len());
        let joins =
            |turn| self.shell.shadow.as_ref().and_then(|d| d.turn(turn)).is_some_and(|t| t.joins.is_some());
        if let (State::Working(job), By::Dsx(turn)) = (self.agent.state, by)
            && joins(turn)
        {
            note!(self, "program: line {text:?} is read within job {job}");
            self.agent.messages.push(Message { by, text, job: Some(job), turn: None, at: 0 });
            return Ok(());
        }
        note!(self, "program: line {text:?} begins job {job}");
        self.agent.messages.push(Message { by, text, job: Some(job), turn: None, at: 0 });
        self.agent.jobs.push(Job::of(vec![message], job, self.now));
        self.agent.own_foreground = self.rng.chance(400);
        self.set_state(State::Working(job));
        self.say(Src::Osc, Evidence::Busy);
        self.print_on(job);
        Ok(())
    }

    fn print_on(&mut self, job: usize) {
        let after = if self.rng.chance(800) { self.rng.range(1, 400) } else { self.rng.range(400, 3_000) };
        self.plan_in(after, Ev::Agent(AgentEv::Prints(job)));
    }

    pub fn program_prints(&mut self, job: usize) {
        if self.agent.state != State::Working(job) {
            return;
        }
        if self.rng.chance(400) {
            self.program_done(job, End::Done);
        } else {
            self.print();
            self.print_on(job);
        }
    }

    fn program_done(&mut self, job: usize, end: End) {
        note!(self, "program: job {job} is over, {end:?}");
        self.agent.jobs[job].end = Some(end);
        self.agent.jobs[job].ended_at = self.now;
        self.agent.own_foreground = true;
        self.set_state(State::Idle);
        self.say(Src::Osc, Evidence::Rest(Rest::Done));
        self.say(Src::Mark, Evidence::CommandDone);
    }
}
