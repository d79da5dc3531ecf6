//! The agent: an input box, what it takes from it, and what its sources say when.

use dsx_core::{Asked, Cli, Evidence, Exit, Rest};
use dsx_protocol::TurnId;

use crate::note;
use crate::sources::Src;
use crate::world::{Ev, Step, World};

/// Who put a text into the agent's box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Dsx(TurnId),
    /// A key of dsx's that is no turn.
    Press,
    Human,
    /// The agent itself: background work reports back.
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done,
    Failed,
    Interrupted,
}

/// A message that the agent took.
#[derive(Debug)]
pub struct Message {
    pub by: By,
    pub text: String,
    pub job: Option<usize>,
    /// The turn that dsx made of it.
    pub turn: Option<TurnId>,
    /// When it was put behind work that was under way.
    pub at: u64,
}

/// One stretch of work, as the agent knows it: what a turn is in truth.
#[derive(Debug)]
pub struct Job {
    pub messages: Vec<usize>,
    pub prompt: String,
    pub began: u64,
    /// What it said when it stopped last.
    pub answer: Option<String>,
    pub end: Option<End>,
    pub ended_at: u64,
    pub stops: u32,
    /// The hooks of its stop run.
    pub stopping: bool,
}

impl Job {
    pub fn of(messages: Vec<usize>, job: usize, began: u64) -> Self {
        let prompt = format!("a{job}");
        Self { messages, prompt, began, answer: None, end: None, ended_at: 0, stops: 0, stopping: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Starting,
    Idle,
    Working(usize),
    Asking(usize),
    Gone,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AgentEv {
    Dialog,
    Up,
    Read(Vec<u8>, By),
    Goes(usize, u32),
    Answered(usize, u32),
    /// The hook of its question says what was decided.
    Decided(usize, u32),
    Stopped(usize, u32, u32),
    Failed(usize, u32),
    /// The sub-agents of a job report back.
    Back(usize),
    ShellEnds,
    Prints(usize),
}

#[derive(Debug)]
pub struct Agent {
    pub state: State,
    pub inbox: String,
    pub inbox_by: Vec<By>,
    pub messages: Vec<Message>,
    pub jobs: Vec<Job>,
    /// Taken while another job ran; they begin together when it ends.
    pub waiting: Vec<usize>,
    /// Jobs that stopped while sub-agents go on: they are over when none does.
    pub held: Vec<usize>,
    /// The jobs for which sub-agents work.
    pub pending: Vec<usize>,
    /// Those whose sub-agents wait for a question to be answered.
    pub deferred: Vec<usize>,
    /// It works on a report of background work.
    pub reports: bool,
    pub shells: u32,
    /// A start-up dialog and the option that is highlighted.
    pub dialog: Option<usize>,
    pub output: u64,
    pub printed_at: u64,
    pub pty_due: u64,
    pub exit: Option<Exit>,
    /// Counts changes of state, so that what was planned for an older one is void.
    pub epoch: u32,
    pub own_foreground: bool,
    pub humans: u32,
    /// A person's message has waited behind a job: which of its turns is whose is not told by anybody.
    pub typed_ahead: bool,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            state: State::Starting,
            inbox: String::new(),
            inbox_by: Vec::new(),
            messages: Vec::new(),
            jobs: Vec::new(),
            waiting: Vec::new(),
            held: Vec::new(),
            pending: Vec::new(),
            deferred: Vec::new(),
            reports: false,
            shells: 0,
            dialog: None,
            output: 0,
            printed_at: 0,
            pty_due: 0,
            exit: None,
            epoch: 0,
            own_foreground: true,
            humans: 0,
            typed_ahead: false,
        }
    }
}

impl World {
    /// Bytes on their way through the PTY, in order.
    pub fn pty_write(&mut self, bytes: Vec<u8>, by: By) {
        let latency = if self.rng.chance(900) { self.rng.range(0, 3) } else { self.rng.range(0, 40) };
        self.agent.pty_due = self.agent.pty_due.max(self.now + latency);
        let due = self.agent.pty_due;
        self.plan_at(due, Ev::Agent(AgentEv::Read(bytes, by)));
    }

    pub fn agent_event(&mut self, event: AgentEv) -> Step {
        if self.agent.state == State::Gone {
            return Ok(());
        }
        match event {
            AgentEv::Dialog => {
                self.agent.dialog = Some(0);
                self.print();
            }
            AgentEv::Up => self.agent_up(),
            AgentEv::Read(bytes, by) => return self.agent_reads(&bytes, by),
            AgentEv::Goes(job, epoch) if self.agent.epoch == epoch => self.goes(job),
            AgentEv::Answered(job, epoch) if self.agent.epoch == epoch => self.answered(job),
            AgentEv::Decided(job, epoch) if self.agent.epoch == epoch => self.goes_on_after(job),
            AgentEv::Back(job) => self.sub_agents_back(job),
            AgentEv::ShellEnds => self.shell_ends(),
            AgentEv::Prints(job) => self.program_prints(job),
            AgentEv::Stopped(job, agents, epoch) if self.agent.epoch == epoch => self.stopped(job, agents),
            AgentEv::Failed(job, epoch) if self.agent.epoch == epoch => self.failed(job),
            AgentEv::Goes(..)
            | AgentEv::Answered(..)
            | AgentEv::Decided(..)
            | AgentEv::Stopped(..)
            | AgentEv::Failed(..) => {}
        }
        Ok(())
    }

    fn agent_up(&mut self) {
        note!(self, "agent: up");
        self.agent.dialog = None;
        self.set_state(State::Idle);
        self.say(Src::Osc, Evidence::Rest(Rest::Idle));
        self.say(Src::File, Evidence::Rest(Rest::Idle));
    }

    pub fn set_state(&mut self, state: State) {
        self.agent.state = state;
        self.agent.epoch += 1;
        self.print();
    }

    fn agent_reads(&mut self, bytes: &[u8], by: By) -> Step {
        if self.plan.cli == Cli::Command {
            return self.program_reads(bytes, by);
        }
        if self.agent.state == State::Starting {
            return self.dialog_reads(bytes);
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let asks = matches!(self.agent.state, State::Asking(_));
        match text.as_str() {
            "\x1b[B" if asks => self.agent.dialog = Some(1),
            "\x1b[A" if asks => self.agent.dialog = Some(0),
            "\r" => return self.enter(by),
            "\x1b" => self.escape(),
            "\x03" if self.agent.inbox.is_empty() => self.escape(),
            "\x1b[201~\x15" => self.set_inbox(String::new(), Vec::new()),
            "\x15" => self.kill_line(),
            "\x1b[201~" => {}
            "\x03" => self.set_inbox(String::new(), Vec::new()),
            _ if text.len() > 1 && text.ends_with('\r') => {
                self.agent_reads(text.trim_end_matches('\r').as_bytes(), by)?;
                return self.enter(by);
            }
            _ if matches!(self.agent.state, State::Asking(_)) => {}
            _ => {
                let pasted = text.replace("\x1b[200~", "").replace("\x1b[201~", "");
                self.agent.inbox.push_str(&pasted);
                if self.agent.inbox_by.last() != Some(&by) {
                    self.agent.inbox_by.push(by);
                }
                self.print();
            }
        }
        Ok(())
    }

    fn dialog_reads(&mut self, bytes: &[u8]) -> Step {
        let Some(selected) = self.agent.dialog else { return Ok(()) };
        match bytes {
            b"\x1b[B" => self.agent.dialog = Some(1),
            b"\x1b[A" => self.agent.dialog = Some(0),
            b"\r" if selected == 1 => {
                self.agent.dialog = None;
                self.plan_in(30, Ev::Agent(AgentEv::Up));
            }
            b"\r" => self.agent_exits(Exit { code: Some(1), signal: None }),
            _ => {}
        }
        self.print();
        Ok(())
    }

    pub fn set_inbox(&mut self, text: String, by: Vec<By>) {
        self.agent.inbox = text;
        self.agent.inbox_by = by;
        self.print();
    }

    /// Kills the last line, or the empty one that the kill before left.
    pub fn kill_line(&mut self) {
        let text = self.agent.inbox.trim_end_matches('\n');
        let kept = text.rfind('\n').map_or(0, |at| at + 1);
        let text = text[..kept].to_owned();
        let by = if text.is_empty() { Vec::new() } else { self.agent.inbox_by.clone() };
        self.set_inbox(text, by);
    }

    fn enter(&mut self, presses: By) -> Step {
        if let State::Asking(job) = self.agent.state {
            // Enter is what is highlighted, whatever was meant.
            self.count.approved += u64::from(presses != By::Press);
            if self.agent.dialog == Some(1) {
                self.interrupted(job, false);
                return Ok(());
            }
            let epoch = self.agent.epoch;
            return self.agent_event(AgentEv::Answered(job, epoch));
        }
        let text = self.agent.inbox.clone();
        let by = self.agent.inbox_by.clone();
        if text.is_empty() {
            return Ok(());
        }
        // A person may send off what dsx left in the box together with words of his own.
        let own = presses == By::Human && by.contains(&By::Human);
        let by = if own { vec![By::Human] } else { by };
        let dsx = by.iter().find(|b| matches!(b, By::Dsx(_))).copied();
        if let Some(By::Dsx(turn)) = dsx {
            if by.len() > 1 || self.typed_text(turn) != Some(text.as_str()) {
                return Err(format!("{turn} reached the agent mixed or altered: {text:?}"));
            }
            if self.rng.chance(self.plan.ignore) {
                note!(self, "agent: ignores {text:?}");
                if self.plan.cli == Cli::Demo || self.rng.chance(500) {
                    self.set_inbox(String::new(), Vec::new());
                }
                return Ok(());
            }
        }
        self.set_inbox(String::new(), Vec::new());
        self.take(by.first().copied().unwrap_or(By::Human), text)
    }

    /// The agent takes a message: now, or behind the job that runs.
    pub fn take(&mut self, by: By, text: String) -> Step {
        if let By::Dsx(turn) = by
            && self.agent.messages.iter().any(|m| m.by == by)
        {
            return Err(format!("{turn} was taken by the agent twice"));
        }
        let message = self.agent.messages.len();
        self.agent.messages.push(Message { by, text: text.clone(), job: None, turn: None, at: 0 });
        if let By::Dsx(turn) = by
            && self.is_command(turn)
            && self.rng.chance(500)
        {
            note!(self, "agent: runs {text:?} at once");
            self.agent.messages[message].job = Some(self.instant_job(message));
            self.print();
            return Ok(());
        }
        match self.agent.state {
            State::Working(job) => {
                note!(self, "agent: queues {text:?} behind job {job}");
                self.count.raced += 1;
                let prompt = Some(self.agent.jobs[job].prompt.clone());
                self.agent.messages[message].at = self.now;
                if self.plan.cli == Cli::Claude {
                    self.say(Src::Transcript, Evidence::Enqueued { text: text.clone() });
                }
                if self.plan.enqueue_hook || by == By::Human {
                    self.say(Src::Hook, Evidence::Submitted { text, prompt, origin_agent: false });
                }
                self.agent.waiting.push(message);
                self.agent.typed_ahead |= by == By::Human;
            }
            _ => self.begin(vec![message]),
        }
        Ok(())
    }

    fn instant_job(&mut self, message: usize) -> usize {
        let job = self.agent.jobs.len();
        let end = Some(End::Done);
        self.agent.jobs.push(Job { end, ended_at: self.now, ..Job::of(vec![message], job, self.now) });
        job
    }

    pub fn begin(&mut self, messages: Vec<usize>) {
        let job = self.agent.jobs.len();
        let prompt = format!("a{job}");
        note!(self, "agent: job {job} begins with messages {messages:?}");
        for &message in &messages {
            self.agent.messages[message].job = Some(job);
        }
        let queued = messages.len() > 1 || self.agent.waiting.iter().any(|w| messages.contains(w));
        self.agent.waiting.retain(|w| !messages.contains(w));
        let late = !self.plan.enqueue_hook;
        let said: Vec<(String, bool, bool)> = messages
            .iter()
            .map(|m| &self.agent.messages[*m])
            .map(|m| (m.text.clone(), m.by == By::Agent, late && matches!(m.by, By::Dsx(_))))
            .collect();
        self.agent.jobs.push(Job::of(messages, job, self.now));
        self.set_state(State::Working(job));
        for (text, origin_agent, late) in said {
            let prompt = Some(prompt.clone());
            let submitted = Evidence::Submitted { text, prompt, origin_agent };
            if !queued || origin_agent || late {
                self.say(Src::Hook, submitted.clone());
            }
            self.say(Src::Transcript, self.as_in_transcript(submitted));
        }
        // With a shell in the background the record says `working` already.
        if self.agent.shells == 0 || self.rng.chance(500) {
            self.say(Src::Osc, Evidence::Busy);
        }
        self.say(Src::File, Evidence::Busy);
        self.goes_on(job);
    }

    pub fn as_in_transcript(&self, submitted: Evidence) -> Evidence {
        match (self.plan.cli, submitted) {
            (Cli::Demo, Evidence::Submitted { text, origin_agent, .. }) => {
                Evidence::Submitted { text, prompt: None, origin_agent }
            }
            (_, submitted) => submitted,
        }
    }

    pub fn goes_on(&mut self, job: usize) {
        let after = match self.rng.below(10) {
            0..=1 => self.rng.range(1, 60),
            2..=6 => self.rng.range(50, 1_500),
            _ => self.rng.range(1_000, 15_000),
        };
        let epoch = self.agent.epoch;
        self.plan_in(after, Ev::Agent(AgentEv::Goes(job, epoch)));
    }

    /// What waits behind the work becomes part of it.
    fn absorbs(&mut self, job: usize) {
        for message in std::mem::take(&mut self.agent.waiting) {
            note!(self, "agent: job {job} takes in message {message}");
            let taken = &mut self.agent.messages[message];
            taken.job = Some(job);
            let (text, at) = (taken.text.clone(), taken.at);
            self.say_of(Src::Transcript, at, Evidence::Absorbed { text });
        }
        self.goes_on(job);
    }

    pub fn goes(&mut self, job: usize) {
        let waits = self.plan.cli == Cli::Claude && !self.agent.waiting.is_empty();
        if waits && self.plan.steers > 0 && self.rng.chance(self.plan.absorbs) {
            self.absorbs(job);
        } else if self.rng.chance(self.plan.ask) {
            self.asks(job);
        } else if self.rng.chance(self.plan.fail) {
            self.fails(job);
        } else {
            self.stops(job);
        }
    }

    pub fn asks(&mut self, job: usize) {
        note!(self, "agent: job {job} asks");
        self.set_state(State::Asking(job));
        let asked = Asked { kind: "permission".into(), text: format!("allow {job}?"), ..Asked::default() };
        self.agent.dialog = Some(0);
        let (tool, key) = (Some("Bash".to_owned()), self.hook_of_question());
        self.say(Src::Hook, Evidence::Blocked(Asked { tool, key, ..asked.clone() }));
        self.say(Src::Osc, Evidence::Blocked(asked.clone()));
        self.say(Src::File, Evidence::Blocked(asked));
        if self.plan.attended {
            let (after, epoch) = (self.rng.range(20, 6_000), self.agent.epoch);
            self.plan_in(after, Ev::Agent(AgentEv::Answered(job, epoch)));
        }
    }

    pub fn answered(&mut self, job: usize) {
        if self.rng.chance(250) {
            self.interrupted(job, false);
            return;
        }
        self.goes_on_after(job);
    }

    /// After its question.
    fn goes_on_after(&mut self, job: usize) {
        note!(self, "agent: job {job} goes on");
        self.questions.standing = None;
        self.set_state(State::Working(job));
        self.say(Src::Osc, Evidence::Busy);
        self.say(Src::File, Evidence::Busy);
        self.goes_on(job);
    }

    pub fn agent_exits(&mut self, exit: Exit) {
        if self.agent.state == State::Gone {
            return;
        }
        note!(self, "agent: exits with {exit:?}");
        self.agent.exit = Some(exit);
        self.set_state(State::Gone);
        let (after, life) = (self.rng.range(0, 50), self.shell.life);
        self.plan_in(after, Ev::Exited(life));
    }

    /// Something appears on the screen.
    pub fn print(&mut self) {
        self.agent.output += 1;
        self.agent.printed_at = self.now;
        self.wake_looks();
        if self.shell.watches {
            let life = self.shell.life;
            self.plan_in(1, Ev::Output(life));
        }
    }

    /// A working agent's screen is never quiet: its spinner turns.
    pub fn spins(&self) -> bool {
        self.plan.cli != Cli::Command && matches!(self.agent.state, State::Working(_))
    }
}
