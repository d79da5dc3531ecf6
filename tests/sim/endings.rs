//! How the simulated agent's work ends: it stops, fails, is interrupted, or goes on in the background.

use crate::agent::{AgentEv, By, End, Message, State};
use crate::note;
use crate::sources::Src;
use crate::world::{Ev, World};
use dsx_core::{Cli, Evidence, Rest};

impl World {
    pub fn stops(&mut self, job: usize) {
        let background = self.plan.cli == Cli::Claude;
        if background && self.rng.chance(self.plan.background) {
            self.agent.pending.push(job);
            let after = self.rng.range(10, 8_000);
            self.plan_in(after, Ev::Agent(AgentEv::Back(job)));
        }
        if background && self.rng.chance(self.plan.background) {
            self.agent.shells += 1;
            let after = self.rng.range(10, 20_000);
            self.plan_in(after, Ev::Agent(AgentEv::ShellEnds));
        }
        let (agents, shells) = (self.agent.pending.len() as u32, self.agent.shells);
        let text = Some(format!("answer {} of job {job}", self.agent.jobs[job].stops));
        self.agent.jobs[job].stops += 1;
        let prompt = Some(self.agent.jobs[job].prompt.clone());
        note!(self, "agent: job {job} stops with {agents} agents, {shells} shells");
        let heard = self.say(Src::Hook, Evidence::Stopped { text: text.clone(), prompt, agents, shells });
        if !self.agent.held.contains(&job) {
            self.agent.held.push(job);
        }
        for held in self.agent.held.clone() {
            self.agent.jobs[held].answer.clone_from(&text);
        }
        self.agent.jobs[job].stopping = true;
        let epoch = self.agent.epoch;
        self.plan_at(heard, Ev::Agent(AgentEv::Stopped(job, agents, epoch)));
    }

    /// The hooks of its stop have returned.
    pub fn stopped(&mut self, job: usize, agents: u32) {
        self.agent.jobs[job].stopping = false;
        if agents == 0 && self.rng.chance(self.plan.sent_on) {
            note!(self, "agent: job {job} is sent on");
            self.goes_on(job);
            return;
        }
        let text = self.agent.jobs[job].answer.clone();
        self.say(Src::Transcript, Evidence::Stopped { text, prompt: None, agents, shells: 0 });
        if agents == 0 {
            for held in std::mem::take(&mut self.agent.held) {
                self.over(held, End::Done);
            }
        }
        self.rests(Rest::Done);
    }

    pub fn fails(&mut self, job: usize) {
        self.agent.jobs[job].answer = None;
        let prompt = Some(self.agent.jobs[job].prompt.clone());
        let failed = |prompt| Evidence::Failed { error: format!("error of job {job}"), text: None, prompt };
        let heard = self.say(Src::Hook, failed(prompt));
        self.say(Src::Transcript, failed(None));
        self.over(job, End::Failed);
        self.agent.jobs[job].stopping = true;
        let epoch = self.agent.epoch;
        self.plan_at(heard, Ev::Agent(AgentEv::Failed(job, epoch)));
    }

    /// The hooks of its failure have returned.
    pub fn failed(&mut self, job: usize) {
        self.rests(Rest::Error(Some(format!("error of job {job}"))));
    }

    pub fn escape(&mut self) {
        match self.agent.state {
            State::Working(job) if self.agent.jobs[job].stopping => {}
            State::Working(job) => {
                let early = self.now < self.agent.jobs[job].began + 400 && self.rng.chance(600);
                self.interrupted(job, early);
            }
            State::Asking(job) => self.interrupted(job, false),
            State::Starting | State::Idle | State::Gone => {}
        }
    }

    /// `early`: before the model's first output. Then the message goes back into the box and the transcript
    /// says nothing.
    pub fn interrupted(&mut self, job: usize, early: bool) {
        let own = &self.agent.jobs[job].messages;
        let typed = own.iter().all(|m| self.agent.messages[*m].by != By::Agent);
        let early = early && typed && self.plan.cli == Cli::Claude && self.agent.jobs[job].stops == 0;
        if early {
            let texts: Vec<String> = own.iter().map(|m| self.agent.messages[*m].text.clone()).collect();
            let by: Vec<By> = own.iter().map(|m| self.agent.messages[*m].by).collect();
            let had = std::mem::take(&mut self.agent.inbox);
            self.agent.inbox = format!("{}{had}", texts.join("\n"));
            self.agent.inbox_by.splice(0..0, by);
        } else {
            self.say(Src::Transcript, Evidence::Interrupted);
        }
        let _ = self.hook_killed();
        note!(self, "agent: job {job} is interrupted{}", if early { ", early" } else { "" });
        self.over(job, End::Interrupted);
        self.rests(Rest::Idle);
    }

    pub fn over(&mut self, job: usize, end: End) {
        let now = self.now;
        if self.agent.reports && end != End::Done {
            self.agent.reports = false;
            for held in std::mem::take(&mut self.agent.held) {
                self.over(held, end);
            }
        }
        self.agent.held.retain(|held| *held != job);
        let ended = &mut self.agent.jobs[job];
        ended.end = Some(end);
        ended.ended_at = now;
    }

    /// Back at its input box; what waited there begins.
    pub fn rests(&mut self, rest: Rest) {
        note!(self, "agent: rests, {rest:?}");
        self.set_state(State::Idle);
        self.agent.reports = false;
        let background = self.agent.shells > 0 || !self.agent.pending.is_empty();
        if !background {
            self.say(Src::Osc, Evidence::Rest(rest));
        }
        let follows = self.plan.file_follows && !self.agent.pending.is_empty();
        if !follows {
            self.say(Src::File, Evidence::Rest(Rest::Idle));
        }
        for job in std::mem::take(&mut self.agent.deferred) {
            self.plan_in(100, Ev::Agent(AgentEv::Back(job)));
        }
        if !self.agent.waiting.is_empty() {
            let waiting = self.agent.waiting.clone();
            self.begin(waiting);
        }
    }

    pub fn sub_agents_back(&mut self, job: usize) {
        if matches!(self.agent.state, State::Asking(_)) && !self.plan.attended {
            self.agent.deferred.push(job);
            return;
        }
        if self.agent.state != State::Idle {
            let after = self.rng.range(100, 3_000);
            self.plan_in(after, Ev::Agent(AgentEv::Back(job)));
            return;
        }
        note!(self, "agent: sub-agents of job {job} are back");
        if let Some(at) = self.agent.pending.iter().position(|j| *j == job) {
            self.agent.pending.remove(at);
        }
        self.notified(job, format!("<task-notification>agent of job {job}"));
    }

    /// Background work reports: whom it holds open goes on with it, else it is a turn of its own.
    pub fn notified(&mut self, of: usize, text: String) {
        let held = if self.agent.held.contains(&of) { Some(of) } else { self.agent.held.last().copied() };
        let message = self.agent.messages.len();
        let text = format!("{text} {message}");
        self.agent.messages.push(Message { by: By::Agent, text: text.clone(), job: held, turn: None, at: 0 });
        let Some(job) = held else {
            self.begin(vec![message]);
            return;
        };
        let prompt = format!("a{job}.{}", self.agent.jobs[job].stops);
        self.agent.jobs[job].prompt.clone_from(&prompt);
        // It speaks for all that is held open.
        if !self.agent.held.contains(&job) {
            self.agent.held.push(job);
        }
        self.agent.reports = true;
        self.set_state(State::Working(job));
        let submitted = Evidence::Submitted { text, prompt: Some(prompt), origin_agent: true };
        self.say(Src::Hook, submitted.clone());
        self.say(Src::Transcript, submitted);
        if self.rng.chance(500) {
            self.say(Src::Osc, Evidence::Busy);
        }
        self.say(Src::File, Evidence::Busy);
        self.goes_on(job);
    }

    pub fn shell_ends(&mut self) {
        self.agent.shells = self.agent.shells.saturating_sub(1);
        let reports = self.rng.chance(600);
        note!(self, "agent: a shell ends{}", if reports { " and reports" } else { "" });
        if self.agent.state != State::Idle {
            return;
        }
        if reports {
            self.notified(usize::MAX, "<task-notification>shell".to_owned());
        } else if self.agent.shells == 0 && self.agent.pending.is_empty() {
            self.say(Src::Osc, Evidence::Rest(Rest::Done));
            self.say(Src::File, Evidence::Rest(Rest::Idle));
            self.print();
        }
    }
}
