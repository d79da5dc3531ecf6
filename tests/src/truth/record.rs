//! Makes a recording: the real Claude in a terminal of its own, with dsx's settings and hook, dsx's part played
//! by a scenario.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dsx_core::adapter::{Drawn, drawn, launch};
use dsx_core::{Cli, Mode, Spec};
use dsx_protocol::Respond;
use dsx_supervisor::screen::{TermEvent, Terminal};

use super::files::Files;
use super::hooks::Hooks;
use super::label::{Did, Facts};
use super::scenario::{Needs, Scenario};
use super::screen::{COLS, ROWS, Screen, shown};
use super::strip::Words;
use super::tape::{Clock, Tape, now};
use super::{Event, Recording, What};
use crate::DEADLINE;
use crate::agents::Agent;
use crate::home::Home;
use crate::model_server::{Kind, Manner, ModelServer};
use crate::pty::{Pty, PtyCommand, Seen};

/// Nothing more comes of a change that nothing has followed for so long.
const SETTLED: Duration = Duration::from_millis(700);
/// How long a person looks at a dialog before answering it.
const READING: Duration = Duration::from_millis(1_200);
/// Time enough for dsx to read the input box.
const LOOKED_AT: Duration = Duration::from_millis(500);
/// Output that is further apart than this, in milliseconds, may have been looked at in between.
const APART_MS: u64 = 20;

/// The agent and everything that is written down about it, for a scenario to act on.
pub struct Stage {
    // Dropped in this order: the agent before its home, the home before the server it talks to.
    pty: Pty,
    hooks: Hooks,
    files: Arc<Files>,
    home: Home,
    pub server: ModelServer,
    tape: Arc<Tape>,
    clock: Clock,
    did: Vec<(u64, Did)>,
    sent: Vec<String>,
    terminal: RefCell<(Terminal, usize)>,
    asked: usize,
    /// Somebody has pressed keys since the last message.
    touched: bool,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("did", &self.did).finish_non_exhaustive()
    }
}

/// What dsx would be asked to run.
#[must_use]
pub fn spec(asks: bool, version: &str, dir: &str) -> Spec {
    Spec {
        id: "truth-top".into(),
        cli: Cli::Claude,
        command: vec!["claude".into()],
        path: "/project".into(),
        mode: if asks { Mode::Ask } else { Mode::Native },
        model: None,
        description: None,
        group: None,
        created_at: 1,
        creator: "user".into(),
        depth: 0,
        conversation: None,
        agent_version: Some(version.to_owned()),
        agent_home: None,
        key: None,
        dir: dir.to_owned(),
        terms: dsx_core::Terms::default(),
    }
}

/// Records one scenario; `dsx` is the product, for its hook.
#[must_use]
pub fn record(scenario: &Scenario, agent: &Agent, dsx: &Path) -> Recording {
    let mut stage = Stage::start(scenario, agent, dsx);
    stage.settle();
    (scenario.run)(&mut stage);
    stage.settle();
    stage.finish(scenario, agent.version)
}

impl Stage {
    fn start(scenario: &Scenario, agent: &Agent, dsx: &Path) -> Self {
        // What tools say is in the agent's words.
        let server = ModelServer::start_with(Manner::Terse);
        let mut home = Home::with_agent(agent, &server);
        let dir = home.dsx_home().join("truth-top");
        fs::create_dir_all(dir.join("spool")).expect("making the session's directory");
        fs::create_dir_all(dir.join("own")).expect("making the harness' own directory");
        fs::write(dir.join("token"), "token").expect("writing a token");
        let spec = spec(scenario.needs != Needs::Nothing, agent.version, &dir.to_string_lossy());
        let launch = launch(&spec, &dsx.to_string_lossy());
        for (name, content) in &launch.files {
            fs::write(dir.join(name), content).expect("writing the agent's settings");
        }
        let mut args = launch.args;
        if let (Needs::Plan, Some(mode)) = (scenario.needs, args.last_mut()) {
            "plan".clone_into(mode);
        }
        let socket = dir.join("socket");
        home.set("DSX_SOCKET", &socket);
        let tape = Arc::new(Tape::default());
        let files = Files::watch(&home.claude_config().join("sessions"), &dir.join("own"));
        let hooks = Hooks::listen(&socket, &tape, &files);
        let mut command = PtyCommand::new(&home, Path::new("claude"), args);
        (command.rows, command.cols) = (ROWS, COLS);
        let pty = command.spawn();
        tape.put(What::Started(pty.pid().unsigned_abs()));
        files.read(pty.pid(), &tape);
        let terminal = RefCell::new((Terminal::new(ROWS, COLS), 0));
        let (clock, did, sent) = (Clock::start(), Vec::new(), Vec::new());
        Self { pty, hooks, files, home, server, tape, clock, did, sent, terminal, asked: 0, touched: false }
    }

    /// Sends a message as dsx does, whose turn is to end so, and waits until the model is asked.
    pub fn send(&mut self, text: &str, outcome: &'static str) {
        let asked = self.tape.put(What::Send(text.to_owned()));
        self.sent.push(text.to_owned());
        // What somebody may have typed is looked at first.
        if std::mem::take(&mut self.touched) {
            self.tape.quiet(LOOKED_AT);
        }
        self.pty.write(format!("\x1b[200~{text}\x1b[201~"));
        self.wait_box(text);
        let at = self.tape.put(What::Submit);
        self.pty.write("\r");
        self.did.push((at, Did::Submitted { asked, outcome }));
        // After an interrupted tool its result stands in front of the text, in the same request.
        self.server.wait_for(DEADLINE, |log| log.requests.iter().find(|r| r.text() == text).map(drop));
    }

    /// Waits until the input box holds just this.
    fn wait_box(&self, text: &str) {
        self.pty.wait(DEADLINE, |seen| (self.drawn(seen, text) == Drawn::Exactly).then_some(()));
    }

    fn drawn(&self, seen: &Seen, text: &str) -> Drawn {
        let (terminal, fed) = &mut *self.terminal.borrow_mut();
        terminal.feed(&seen.bytes[*fed..], &mut Vec::new());
        *fed = seen.bytes.len();
        drawn(Cli::Claude, &shown(terminal), text)
    }

    /// Waits until nothing is going on: the agent says that it rests, and nothing follows.
    pub fn settle(&mut self) {
        let status = |events: &[Event]| {
            events.iter().rev().find_map(|e| match &e.what {
                What::File(said) => Some(said["status"].as_str().unwrap_or_default().to_owned()),
                _ => None,
            })
        };
        let rests = |events: &[Event]| status(events).filter(|s| s == "idle" || s == "shell").map(drop);
        loop {
            self.tape.wait("a rest", rests);
            self.tape.quiet(SETTLED);
            if rests(&self.tape.events()).is_some() {
                break;
            }
        }
        self.hooks.let_go();
        // An interrupted message comes back into the box: dsx takes it out again.
        if self.pty.look(|seen| self.drawn(seen, "")) != Drawn::Exactly {
            self.pty.write("\x03");
            self.wait_box("");
            self.tape.quiet(SETTLED);
        }
    }

    /// Waits until something in the background was told to the model.
    pub fn notified(&mut self) {
        self.server.wait_for(DEADLINE, |log| {
            log.turns().find(|r| r.text().starts_with("<task-notification>") && r.sent.is_some()).map(drop)
        });
    }

    /// dsx interrupts the turn.
    pub fn interrupt(&mut self) {
        let at = self.tape.put(What::Interrupt);
        self.pty.write("\x1b");
        self.did.push((at, Did::Interrupted));
    }

    /// A person presses a key.
    pub fn press(&mut self, key: &str) -> u64 {
        self.touched = true;
        let at = self.tape.put(What::Keys);
        self.pty.write(key);
        at
    }

    /// A person interrupts the turn.
    pub fn escape(&mut self) {
        let at = self.press("\x1b");
        self.did.push((at, Did::Interrupted));
    }

    /// A person types something and takes it back.
    pub fn type_and_take_back(&mut self) {
        self.press("x");
        self.wait_box("x");
        self.press("\x7f");
        self.wait_box("");
        self.tape.quiet(SETTLED);
    }

    /// Waits until the agent asks.
    pub fn asked(&mut self) {
        self.asked += 1;
        let count = self.asked;
        let is_question = |e: &&Event| matches!(&e.what, What::Hook { payload, .. } if payload["hook_event_name"] == "PermissionRequest");
        self.tape.wait("a question", |events| events.iter().filter(is_question).nth(count - 1).map(drop));
        self.did.push((now(), Did::Asked));
        self.tape.quiet(READING);
    }

    /// dsx answers by the hook that waits.
    pub fn respond(&mut self, respond: Respond, output: &serde_json::Value) {
        let at = self.tape.put(What::Respond(respond));
        let output = serde_json::json!({ "hookSpecificOutput":
            { "hookEventName": "PermissionRequest", "decision": output } });
        self.hooks.decide(output.to_string().as_bytes());
        self.did.push((at, Did::Answered));
    }

    /// What the question that is open was given.
    #[must_use]
    pub fn input(&self) -> serde_json::Value {
        let input = |e: &Event| match &e.what {
            What::Hook { payload, holds: true, .. } => Some(payload["tool_input"].clone()),
            _ => None,
        };
        self.tape.events().iter().rev().find_map(input).unwrap_or_default()
    }

    /// A person answers in the dialog, once it is drawn and read.
    pub fn answer(&mut self, key: &str) {
        self.pty.wait_screen(DEADLINE, "❯ 1.");
        self.tape.quiet(READING);
        let at = self.press(key);
        self.did.push((at, Did::Answered));
    }

    /// A person answers in the dialog so that the turn is interrupted.
    pub fn dismiss(&mut self) {
        self.pty.wait_screen(DEADLINE, "❯ 1.");
        self.tape.quiet(READING);
        self.escape();
    }

    fn finish(self, scenario: &Scenario, version: &str) -> Recording {
        let log = self.server.log();
        let mut ours = self.sent.clone();
        ours.extend(log.requests.iter().filter(|r| r.kind != Kind::Helper).map(|r| r.answer.clone()));
        let root = self.home.path().parent().map(|p| p.to_string_lossy().into_owned());
        let words = Words::new(ours, root.unwrap_or_default());
        let mut events = self.tape.events();
        events.extend(self.pty.look(|seen| printed(seen, &self.clock, &words)));
        events.sort_by_key(|e| e.at);
        let labels =
            Facts { did: &self.did, events: &events, log: &log, clock: &self.clock, apart: scenario.apart }
                .labels();
        let kept = |e: Event| words.keep(e.what).map(|what| Event { at: e.at, what });
        let mut events: Vec<Event> = events.into_iter().filter_map(kept).collect();
        events.extend(labels);
        let head = What::Recording {
            scenario: scenario.name.to_owned(),
            version: version.to_owned(),
            asks: scenario.needs != Needs::Nothing,
        };
        events.insert(0, Event { at: 0, what: head });
        events.sort_by_key(|e| e.at);
        self.files.stop();
        Recording { events }
    }
}

/// What the terminal was given: status records, when there was output, and the screens in its pauses.
fn printed(seen: &Seen, clock: &Clock, words: &Words) -> Vec<Event> {
    let mut terminal = Terminal::new(ROWS, COLS);
    let mut events: Vec<Event> = Vec::new();
    let mut last = Screen::default();
    for (n, (start, read)) in seen.marks.iter().enumerate() {
        let next = seen.marks.get(n + 1);
        let end = next.map_or(seen.bytes.len(), |(start, _)| *start);
        let at = clock.ms(*read);
        let mut said = Vec::new();
        terminal.feed(&seen.bytes[*start..end], &mut said);
        for event in said {
            if let TermEvent::Osc7501(record) = event {
                let record = String::from_utf8_lossy(&record).into_owned();
                events.push(Event { at, what: What::Osc(record) });
            }
        }
        let before = n.checked_sub(1).map_or(0, |n| clock.ms(seen.marks[n].1));
        let pause = next.is_none_or(|(_, next)| clock.ms(*next) > at + APART_MS);
        if pause || at > before + APART_MS {
            events.push(Event { at, what: What::Output });
        }
        let screen = Screen::of(&terminal, words);
        if pause && screen != last {
            last = screen.clone();
            events.push(Event { at, what: What::Screen(screen) });
        }
    }
    events
}
