//! The supervisor's shell: it carries out effects, in order, and may die between any two of them.

use std::collections::{HashMap, VecDeque};

use dsx_core::adapter::{Drawn, Script, Step as Typing, drawn};
use dsx_core::{Durable, Effect, Evidence, Fact, Input, Now, Recovery, Session, Source, Timer};
use dsx_protocol::TurnId;

use crate::agent::{By, State};
use crate::note;
use crate::sources::Src;
use crate::world::{Ev, Step, World};

/// One script on its way to the PTY; scripts never overlap.
#[derive(Debug)]
pub struct Writing {
    /// `None` for keys that are no turn.
    pub turn: Option<TurnId>,
    pub by: By,
    pub script: Script,
    pub step: usize,
}

#[derive(Debug, Clone, Copy)]
pub struct LookAt {
    id: u64,
    quiet_ms: u64,
    /// Wait for output past this point.
    past: Option<u64>,
}

/// The mapped cursor: it outlives a crash.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cursor {
    pub turn: Option<TurnId>,
    pub submit_begun: bool,
}

#[derive(Debug, Default)]
pub struct Shell {
    pub session: Option<Session>,
    /// Which incarnation runs.
    pub life: u32,
    pub writing: VecDeque<Writing>,
    timers: HashMap<Timer, u64>,
    looks: Vec<LookAt>,
    pub watches: bool,
    ids: u64,
    // What outlives a crash:
    pub facts: Vec<(u64, Fact)>,
    pub shadow: Option<Durable>,
    pub cursor: Cursor,
    pub settled: u64,
}

impl World {
    pub fn is_up(&self) -> bool {
        self.shell.session.is_some()
    }

    /// One input, its effects, and perhaps a crash among them. `true` when it came through.
    pub fn feed(&mut self, input: Input) -> Result<bool, String> {
        let Some(mut session) = self.shell.session.take() else { return Ok(false) };
        self.count.steps += 1;
        note!(self, "  in  {input:?}");
        let now = Now { ms: self.now, output: self.agent.output, bracketed: true };
        let mut effects = Vec::new();
        session.handle(now, input, &mut effects);
        self.shell.session = Some(session);
        let cut = self.rng.chance(self.plan.crash).then(|| self.rng.index(effects.len() + 1));
        for (at, effect) in effects.into_iter().enumerate() {
            if cut == Some(at) {
                self.crash();
                return Ok(false);
            }
            note!(self, "  out {effect:?}");
            self.carry_out(effect)?;
        }
        self.check_step()?;
        if cut.is_some() {
            self.crash();
            return Ok(false);
        }
        Ok(true)
    }

    fn carry_out(&mut self, effect: Effect) -> Step {
        match effect {
            Effect::Persist(fact) => self.persist(fact)?,
            Effect::Type { turn, script } => {
                self.check_type(turn)?;
                self.shell.cursor = Cursor { turn: Some(turn), submit_begun: false };
                self.write_out(Writing { turn: Some(turn), by: By::Dsx(turn), script, step: 0 });
            }
            Effect::Press(script) => self.write_out(Writing { turn: None, by: By::Press, script, step: 0 }),
            Effect::Look { quiet_ms, fresh } => self.look(quiet_ms, fresh),
            Effect::Foreground => {
                let after = self.rng.range(0, 3);
                let life = self.shell.life;
                self.plan_in(after, Ev::Foreground(life));
            }
            Effect::Capture { turn, from } => {
                let (after, life) = (self.rng.range(0, 20), self.shell.life);
                self.plan_in(after, Ev::Captured(life, turn, from));
            }
            Effect::WatchOutput(on) => self.shell.watches = on,
            Effect::Arm { timer, after_ms } => {
                self.shell.ids += 1;
                let (id, life) = (self.shell.ids, self.shell.life);
                self.shell.timers.insert(timer, id);
                self.plan_in(after_ms, Ev::Timer(life, timer, id));
            }
            Effect::Disarm(timer) => {
                self.shell.timers.remove(&timer);
            }
            Effect::Sent { request, result } => self.sent(request, result)?,
            Effect::Done { request, result } => self.done(request, result.is_ok())?,
            Effect::Bound { waiter, turn } => self.bound(waiter, turn)?,
            Effect::Settle { waiter, result } => self.settle(waiter, result)?,
            Effect::Held { request, turn } => self.held(request, turn)?,
            Effect::Decide { request, output } => self.decided(request, output)?,
            Effect::Responded { request, result } => self.told_of_answer(request, result)?,
            Effect::WriteMessage { .. } | Effect::Changed => {}
            Effect::Expire => return Err("a session without a time to live was ended".to_owned()),
        }
        Ok(())
    }

    pub fn persist(&mut self, fact: Fact) -> Step {
        self.check_fact(&fact)?;
        if let Some(shadow) = &mut self.shell.shadow {
            shadow.apply(self.now, &fact);
        }
        self.shell.facts.push((self.now, fact));
        Ok(())
    }

    // Writing to the PTY.

    fn write_out(&mut self, writing: Writing) {
        self.shell.writing.push_back(writing);
        if self.shell.writing.len() == 1 {
            let life = self.shell.life;
            self.plan_in(0, Ev::Write(life));
        }
    }

    pub fn write_keys(&mut self, keys: Vec<u8>) {
        let script = Script { steps: vec![Typing::Write(keys)] };
        self.write_out(Writing { turn: None, by: By::Human, script, step: 0 });
    }

    /// One script is done with: the next one's turn.
    fn writing_done(&mut self) {
        self.shell.writing.pop_front();
        if !self.shell.writing.is_empty() {
            self.plan_in(0, Ev::Write(self.shell.life));
        }
    }

    pub fn write_step(&mut self) -> Step {
        let gone = self.agent.state == State::Gone;
        let fault = self.rng.chance(self.plan.ignore / 50);
        let Some(writing) = self.shell.writing.front_mut() else { return Ok(()) };
        let (turn, by, at) = (writing.turn, writing.by, writing.step);
        writing.step += 1;
        let step = writing.script.steps.get(at).cloned();
        let life = self.shell.life;
        let Some(step) = step else {
            self.writing_done();
            return Ok(());
        };
        let submits = matches!(step, Typing::Submit(_));
        if submits {
            self.shell.cursor.submit_begun = true;
            self.begun.extend(turn);
            if self.rng.chance(self.plan.crash) {
                note!(self, "crash within the submitting write, before its byte");
                self.crash();
                return Ok(());
            }
        }
        if let (true, Some(turn)) = (gone || fault, turn) {
            let error = "the terminal took nothing".to_owned();
            self.plan_in(1, Ev::Feed(life, Input::TypeFailed { turn, submitted: submits, error }));
            self.writing_done();
            return Ok(());
        }
        let mut after = 0;
        match step {
            Typing::Write(bytes) => self.pty_write(bytes, by),
            Typing::Pause(ms) => after = ms,
            Typing::Quiet { ms, .. } => after = ms,
            Typing::Shown { text, must, .. } => {
                // It is looked for until it is drawn; here, once all that was written has been read.
                let drawn_at = self.agent.pty_due.max(self.now) + self.rng.range(1, 30);
                self.plan_at(drawn_at, Ev::Shown(life, text, must));
                return Ok(());
            }
            Typing::Submit(bytes) => {
                if let Some(turn) = turn {
                    self.plan_in(0, Ev::Feed(life, Input::Submitting { turn }));
                }
                self.pty_write(bytes, by);
                if let Some(turn) = turn {
                    self.check_submit(turn)?;
                    let later = if self.rng.chance(800) { 0 } else { self.rng.range(1, 80) };
                    self.plan_in(later, Ev::Feed(life, Input::Typed { turn }));
                }
            }
        }
        self.plan_in(after, Ev::Write(life));
        if self.rng.chance(self.plan.crash) {
            note!(self, "crash while typing");
            self.crash();
        }
        Ok(())
    }

    /// The message is drawn: it is submitted, unless something else is in the box as well.
    pub fn shown(&mut self, text: &str, must: bool) -> Step {
        let Some(turn) = self.shell.writing.front().and_then(|w| w.turn) else { return Ok(()) };
        let life = self.shell.life;
        let seen = drawn(self.plan.cli, &self.screen(), text);
        if seen == Drawn::Mixed || (must && seen != Drawn::Exactly) {
            note!(self, "{turn} is mixed with something else, and not submitted");
            self.count.mixed += 1;
            self.shell.writing.pop_front();
            self.plan_in(0, Ev::Feed(life, Input::Mixed { turn }));
            if self.shell.writing.is_empty() {
                return Ok(());
            }
        }
        self.plan_in(0, Ev::Write(life));
        Ok(())
    }

    // Looking at the screen.

    fn look(&mut self, quiet_ms: u64, fresh: bool) {
        self.shell.ids += 1;
        self.shell.looks.clear();
        let look = LookAt { id: self.shell.ids, quiet_ms, past: fresh.then_some(self.agent.output) };
        self.shell.looks.push(look);
        self.plan_look(look);
    }

    fn plan_look(&mut self, look: LookAt) {
        let waits = self.spins() || look.past.is_some_and(|past| self.agent.output <= past);
        if !waits {
            let at = self.now.max(self.agent.printed_at) + look.quiet_ms;
            let life = self.shell.life;
            self.plan_at(at, Ev::Look(life, look.id));
        }
    }

    /// Output came: each look's quiet begins anew.
    pub fn wake_looks(&mut self) {
        for look in self.shell.looks.clone() {
            self.plan_look(look);
        }
    }

    pub fn look_due(&mut self, id: u64) -> Step {
        let Some(at) = self.shell.looks.iter().position(|l| l.id == id) else { return Ok(()) };
        let look = self.shell.looks[at];
        let quiet = self.now >= self.agent.printed_at + look.quiet_ms;
        if self.spins() || !quiet || look.past.is_some_and(|past| self.agent.output <= past) {
            return Ok(());
        }
        self.shell.looks.remove(at);
        let screen = self.screen();
        self.feed(Input::Looked(screen)).map(|_| ())
    }

    pub fn timer_due(&mut self, timer: Timer, id: u64) -> Step {
        if self.shell.timers.get(&timer) != Some(&id) {
            return Ok(());
        }
        self.shell.timers.remove(&timer);
        self.feed(Input::Fired(timer)).map(|_| ())
    }

    pub fn deliver(&mut self, src: Src, index: usize) -> Step {
        if !self.is_up() || index < self.channels[src as usize].next {
            return Ok(());
        }
        let mut index = index;
        if src == Src::File && self.rng.chance(500) {
            // The file is read when its change is noticed: what it said in between is gone.
            let now = self.now;
            index = self.channels[2].entries.partition_point(|e| e.written <= now).max(index + 1) - 1;
        }
        self.channels[src as usize].next = index + 1;
        let times = if self.rng.chance(20) { 2 } else { 1 };
        for _ in 0..times {
            if !self.say_entry(src, index)? {
                break;
            }
        }
        Ok(())
    }

    fn say_entry(&mut self, src: Src, index: usize) -> Result<bool, String> {
        let entry = self.channels[src as usize].entries[index].clone();
        // What comes through the terminal bears the time at which it is read.
        let at = if matches!(src, Src::Osc | Src::Mark) { self.now } else { entry.at };
        let said = Input::Said { source: src.source(), at, evidence: entry.evidence.clone() };
        let mut through = self.feed(said)?;
        if through && src == Src::Hook {
            let life = self.shell.life;
            self.hook_waits(&entry.evidence)?;
            through = life == self.shell.life;
        }
        if through && self.rng.chance(800) {
            let channel = &mut self.channels[src as usize];
            channel.acked = channel.acked.max(index + 1);
        }
        Ok(through)
    }

    pub fn foreground(&mut self) -> Step {
        let own = self.agent.own_foreground;
        let evidence = Evidence::Quiet { own };
        self.feed(Input::Said { source: Source::Process, at: self.now, evidence }).map(|_| ())
    }

    // Death and resurrection.

    pub fn crash(&mut self) {
        note!(self, "CRASH");
        self.count.crashes += 1;
        self.shell.session = None;
        self.shell.life += 1;
        self.shell.writing.clear();
        self.shell.timers.clear();
        self.shell.looks.clear();
        self.shell.watches = false;
        self.connections_break();
        self.questions_break();
        let down = if self.rng.chance(700) { self.rng.range(1, 50) } else { self.rng.range(50, 4_000) };
        let life = self.shell.life;
        self.plan_in(down, Ev::Restart(life));
    }

    pub fn restart(&mut self) -> Step {
        note!(self, "RESTART");
        let replayed = Durable::replay(self.shell.facts.iter().map(|(at, fact)| (*at, fact)));
        if replayed != self.shell.shadow {
            return Err("the facts replayed give another state than the one that was lived".into());
        }
        let Some(durable) = replayed else { return Err("the facts cannot be replayed".into()) };
        let (pid, exited) = (durable.pid, durable.exit.is_some());
        let delivering = durable.in_hand().map(|t| t.id);
        self.shell.session = Some(Session::restore(durable));
        if pid.is_none() && !self.feed(Input::Started { pid: 7, start_time: 70 })? {
            return Ok(());
        }
        for (src, index) in self.read_back() {
            if !self.say_entry(src, index)? {
                return Ok(());
            }
        }
        let exit = self.agent.exit.filter(|_| !exited);
        let exit_first = self.rng.chance(500);
        if let (Some(exit), true) = (exit, exit_first)
            && !self.feed(Input::Exited(exit))?
        {
            return Ok(());
        }
        let cursor = self.shell.cursor;
        let unknown = cursor.submit_begun && cursor.turn == delivering;
        let recovery = if unknown { Recovery::Unknown } else { Recovery::NotSubmitted };
        if !self.feed(Input::Recovered(recovery))? {
            return Ok(());
        }
        if let (Some(exit), false) = (exit, exit_first)
            && !self.feed(Input::Exited(exit))?
        {
            return Ok(());
        }
        self.clients_return();
        self.hooks_return();
        Ok(())
    }
}
