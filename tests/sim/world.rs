//! Simulated time, and everything that happens in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use dsx_core::{Durable, Effect, Evidence, Exit, Input, Session, Spec, Timer};
use dsx_protocol::TurnId;

use crate::agent::{Agent, AgentEv, State};
use crate::clients::Clients;
use crate::plan::Plan;
use crate::questions::Questions;
use crate::rng::Rng;
use crate::shell::Shell;
use crate::sources::{Channel, Src};

/// What broke, in one sentence.
pub type Step = Result<(), String>;

/// Prints a line of the trace, in the run that follows a failure.
#[macro_export]
macro_rules! note {
    ($world:expr, $($what:tt)*) => {
        if $world.traced {
            println!("{:>9} s{} {}", $world.now, $world.number, format_args!($($what)*));
        }
    };
}

/// What happens. Whatever belongs to one incarnation of the supervisor names it first.
#[derive(Debug, Clone, PartialEq)]
// They are few, and each is moved once.
#[allow(clippy::large_enum_variant)]
pub enum Ev {
    Act,
    Agent(AgentEv),
    Deliver(Src, usize),
    Exited(u32),
    Write(u32),
    Shown(u32, String, bool),
    Feed(u32, Input),
    Timer(u32, Timer, u64),
    Look(u32, u64),
    Foreground(u32),
    Captured(u32, TurnId, u64),
    Output(u32),
    /// A hook that lost its supervisor has found another.
    Hold(u32, String),
    WaitAgain(u32, usize),
    SendAgain(u32, usize),
    Restart(u32),
}

impl Ev {
    fn life(&self) -> Option<u32> {
        match self {
            Self::Act | Self::Agent(_) | Self::Deliver(..) => None,
            Self::Exited(l)
            | Self::Write(l)
            | Self::Shown(l, ..)
            | Self::Feed(l, _)
            | Self::Timer(l, ..)
            | Self::Look(l, _)
            | Self::Foreground(l)
            | Self::Captured(l, ..)
            | Self::Output(l)
            | Self::Hold(l, _)
            | Self::WaitAgain(l, _)
            | Self::SendAgain(l, _)
            | Self::Restart(l) => Some(*l),
        }
    }
}

struct Due {
    at: u64,
    order: u64,
    ev: Ev,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Count {
    pub steps: u64,
    pub turns: u64,
    pub foreign: u64,
    pub crashes: u64,
    pub lost: u64,
    /// Ended without an answer's text.
    pub null: u64,
    /// Ended as something else than it truly did, for want of evidence.
    pub vague: u64,
    /// A message that met an agent already at work.
    pub raced: u64,
    /// Found mixed with something else before it was submitted, and typed again.
    pub mixed: u64,
    /// A message that answered a question it was not meant for.
    pub approved: u64,
}

impl Count {
    pub fn plus(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            turns: self.turns + other.turns,
            foreign: self.foreign + other.foreign,
            crashes: self.crashes + other.crashes,
            lost: self.lost + other.lost,
            null: self.null + other.null,
            vague: self.vague + other.vague,
            raced: self.raced + other.raced,
            mixed: self.mixed + other.mixed,
            approved: self.approved + other.approved,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, turns, foreign, crashes, lost, null, vague, raced, mixed, approved } = self;
        write!(f, "{steps} steps, {turns} turns ({foreign} not of dsx), {crashes} crashes, {lost} lost, ")?;
        write!(f, "{null} ended without text, {vague} vaguely, {raced} met work, {mixed} were mixed and ")?;
        write!(f, "typed again, {approved} answered a question unasked")
    }
}

pub struct World {
    pub number: usize,
    pub traced: bool,
    pub rng: Rng,
    pub plan: Plan,
    pub now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<Due>>,
    pub agent: Agent,
    pub channels: [Channel; 5],
    pub shell: Shell,
    pub clients: Clients,
    pub questions: Questions,
    /// Turns whose submitting byte was written.
    pub submits: Vec<TurnId>,
    /// Turns whose submitting byte was about to be written, at least.
    pub begun: Vec<TurnId>,
    pub count: Count,
    actions: u64,
    ending: bool,
}

impl World {
    pub fn new(number: usize, mut rng: Rng, traced: bool) -> Self {
        let plan = Plan::draw(&mut rng);
        Self {
            number,
            traced,
            actions: plan.actions,
            rng,
            plan,
            now: 1_000_000,
            order: 0,
            queue: BinaryHeap::new(),
            agent: Agent::default(),
            channels: Default::default(),
            shell: Shell::default(),
            clients: Clients::default(),
            questions: Questions::default(),
            submits: Vec::new(),
            begun: Vec::new(),
            count: Count::default(),
            ending: false,
        }
    }

    pub fn plan_at(&mut self, at: u64, ev: Ev) {
        self.order += 1;
        self.queue.push(Reverse(Due { at: at.max(self.now), order: self.order, ev }));
    }

    pub fn plan_in(&mut self, after: u64, ev: Ev) {
        self.plan_at(self.now + after, ev);
    }

    fn spec(&self) -> Spec {
        Spec {
            id: format!("fizz-{}", self.number),
            cli: self.plan.cli,
            command: vec!["agent".into()],
            path: "/p".into(),
            mode: self.plan.mode,
            model: None,
            description: None,
            group: None,
            created_at: self.now,
            creator: "user".into(),
            depth: 0,
            conversation: None,
            agent_version: None,
            agent_home: None,
            key: None,
            dir: "/d".into(),

            terms: dsx_core::Terms::default(),
        }
    }

    pub fn create(&mut self) -> Step {
        note!(self, "{:?}", self.plan);
        let mut effects = Vec::new();
        let session = Session::create(self.spec(), &mut effects);
        for effect in effects {
            if let Effect::Persist(fact) = effect {
                self.shell.facts.push((self.now, fact));
            }
        }
        self.shell.shadow = Durable::replay(self.shell.facts.iter().map(|(at, f)| (*at, f)));
        self.shell.session = Some(session);
        let plain = self.plan.cli == dsx_core::Cli::Command;
        let up = if plain { 0 } else { self.rng.range(1, 600) };
        let dialog = self.plan.cli == dsx_core::Cli::Claude && self.rng.chance(200);
        let start = if dialog { AgentEv::Dialog } else { AgentEv::Up };
        self.plan_in(up, Ev::Agent(start));
        let starts_late = self.rng.range(0, up.min(20));
        let life = self.shell.life;
        self.plan_in(starts_late, Ev::Feed(life, Input::Started { pid: 7, start_time: 70 }));
        self.next_action();
        Ok(())
    }

    fn next_action(&mut self) {
        if self.actions > 0 {
            self.actions -= 1;
            let after = self.rng.below(2 * self.plan.gap);
            self.plan_in(after, Ev::Act);
        }
    }

    pub fn next_at(&self) -> Option<u64> {
        self.queue.peek().map(|due| due.0.at)
    }

    /// Takes the next thing that happens; `false` when nothing is left to happen.
    pub fn step(&mut self) -> Result<bool, String> {
        let Some(Reverse(due)) = self.queue.pop() else { return Ok(false) };
        self.now = due.at;
        if due.ev.life().is_some_and(|life| life != self.shell.life) {
            return Ok(true);
        }
        match due.ev {
            Ev::Act => self.act()?,
            Ev::Agent(event) => self.agent_event(event)?,
            Ev::Deliver(src, index) => self.deliver(src, index)?,
            Ev::Exited(_) => self.tell_exit()?,
            Ev::Write(_) => self.write_step()?,
            Ev::Shown(_, text, must) => self.shown(&text, must)?,
            Ev::Feed(_, input) => self.feed(input).map(|_| ())?,
            Ev::Timer(_, timer, id) => self.timer_due(timer, id)?,
            Ev::Look(_, id) => self.look_due(id)?,
            Ev::Foreground(_) => self.foreground()?,
            Ev::Captured(_, turn, from) => {
                let text = format!("output since {from}");
                self.feed(Input::Captured { turn, text }).map(|_| ())?;
            }
            Ev::Output(_) if self.shell.watches => self.feed(Input::Output).map(|_| ())?,
            Ev::Output(_) => {}
            Ev::Hold(_, key) => self.hold(key)?,
            Ev::WaitAgain(_, at) => self.wait_again(at)?,
            Ev::SendAgain(_, at) => self.send_again(at)?,
            Ev::Restart(_) => self.restart()?,
        }
        Ok(true)
    }

    fn tell_exit(&mut self) -> Step {
        match self.agent.exit {
            Some(exit) => self.feed(Input::Exited(exit)).map(|_| ()),
            None => Ok(()),
        }
    }

    fn act(&mut self) -> Step {
        self.next_action();
        let what = self.rng.below(1000);
        if !self.is_up() && what < 710 {
            return Ok(());
        }
        match what {
            0..=399 => self.client_sends(),
            400..=579 => self.client_waits(),
            580..=629 => self.client_unwaits(),
            630..=709 => self.client_interrupts(),
            710..=789 => self.human_types(),
            790..=829 => {
                note!(self, "a human presses Esc");
                self.human_keys(vec![b"\x1b".to_vec()])
            }
            830..=835 => {
                let code = self.rng.chance(500).then_some(0);
                let signal = code.is_none().then_some(9);
                self.agent_exits(Exit { code, signal });
                Ok(())
            }
            836..=856 if self.plan.crash > 0 && self.is_up() => {
                self.crash();
                Ok(())
            }
            857..=880 => self.stray_evidence(),
            881..=999 if self.is_up() => self.client_responds(),
            _ => Ok(()),
        }
    }

    /// People's keys come through the supervisor, which holds them while a turn is typed.
    fn human_keys(&mut self, keys: Vec<Vec<u8>>) -> Step {
        let held = self.shell.writing.iter().any(|w| w.turn.is_some());
        if held || !self.is_up() || !self.feed(Input::Keys)? {
            return Ok(());
        }
        for key in keys {
            self.write_keys(key);
        }
        Ok(())
    }

    fn human_types(&mut self) -> Step {
        let takes = matches!(self.agent.state, State::Idle | State::Working(_));
        if !takes || self.agent.pty_due > self.now {
            return Ok(());
        }
        if !self.agent.inbox.is_empty() {
            note!(self, "a human empties the box");
            return self.human_keys(vec![b"\x15".to_vec()]);
        }
        self.agent.humans += 1;
        let text = format!("human {}", self.agent.humans);
        // Nothing shows what is in another program's input line.
        if self.plan.cli == dsx_core::Cli::Claude && self.rng.chance(self.plan.drafts) {
            note!(self, "a human writes a draft, {text:?}");
            return self.human_keys(vec![text.into_bytes()]);
        }
        note!(self, "a human types {text:?}");
        if self.plan.cli == dsx_core::Cli::Claude {
            self.human_keys(vec![text.into_bytes(), b"\r".to_vec()])
        } else {
            self.human_keys(vec![format!("{text}\r").into_bytes()])
        }
    }

    /// Evidence of no consequence, which may come at any time.
    fn stray_evidence(&mut self) -> Step {
        let evidence = match self.rng.below(2) {
            0 => Evidence::ToolDone { tool: "Read".into(), command: None },
            _ => Evidence::Conversation { id: format!("c{}", self.rng.below(3)), transcript: None },
        };
        let at = self.now;
        self.feed(Input::Said { source: dsx_core::Source::Hook, at, evidence }).map(|_| ())
    }

    /// Runs dry, is looked at, ends the agent, and is looked at again.
    pub fn finish(&mut self) -> Result<bool, String> {
        if self.ending {
            self.check_gone()?;
            return Ok(false);
        }
        self.ending = true;
        if self.agent.state == State::Gone {
            self.check_gone()?;
            return Ok(false);
        }
        self.check_quiet()?;
        self.check_questions()?;
        self.agent_exits(Exit { code: Some(0), signal: None });
        Ok(true)
    }
}
