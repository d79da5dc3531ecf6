//! Questions of the real Claude: how soon whoever waits hears of one, and how soon Claude goes on after the answer.
//! Each is set against Claude alone in a plain PTY, with a hook that does nothing but wait and print.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dsx_benches::figures::{Samples, at_most, note, over, paired, side, title};
use dsx_benches::process::{command, fifo};
use dsx_benches::signals::{said, since_1970};
use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, install_or_skip};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::model_server::{Kind, ModelServer};
use dsx_tests::pty::{Pty, PtyCommand};
use serde_json::json;

const ROUNDS: usize = 30;
const OPEN: Duration = Duration::from_millis(100);
const ANSWER: Duration = Duration::from_millis(100);
fn main() {
    let Some(agent) = install_or_skip(CLAUDE, "the figures of prompts") else { return };
    let server = ModelServer::start();
    let home = Home::with_agent(&agent, &server);
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    let id = dsx.run(["create", "-q", "--cli", "claude", "--mode", "ask"]).expect_code(0).line().to_owned();
    let bare = Bare::start(&home);
    let bench = Bench { dsx: &dsx, server: &server, id, bare, round: Cell::new(0) };
    bench.run();
}

/// Claude in a plain PTY, whose only hook tells that it is asked, waits for the answer and prints it.
struct Bare {
    pty: Pty,
    asked: PathBuf,
    answer: PathBuf,
}

impl Bare {
    fn start(home: &Home) -> Self {
        let (asked, answer) = (fifo(home, "asked"), fifo(home, "answer"));
        let hook = format!("cat > '{}'; cat '{}'", asked.display(), answer.display());
        let settings = json!({ "tui": "fullscreen", "hooks": { "PermissionRequest":
            [{ "hooks": [{ "type": "command", "command": hook, "timeout": 3600 }] }] } });
        let file = home.project().join("settings.json");
        fs::write(&file, settings.to_string()).expect("writing settings");
        let args = ["--permission-mode", "manual", "--settings", file.to_str().expect("a UTF-8 path")];
        let pty = PtyCommand::new(home, Path::new("claude"), args).spawn();
        let bare = Self { pty, asked, answer };
        bare.reported("state=idle", 0);
        bare
    }

    /// When a report that begins with `state` came, the first `from` not counted.
    fn reported(&self, state: &str, from: usize) -> Instant {
        self.pty.wait(DEADLINE, |seen| {
            seen.reports().into_iter().skip(from).find(|(_, r)| r.starts_with(state)).map(|(at, _)| at)
        })
    }
}

#[derive(Default)]
struct Taken {
    after_hook: Vec<Duration>,
    after_report: Vec<Duration>,
    after_model: Vec<Duration>,
    bare_report: Vec<Duration>,
    bare_hook: Vec<Duration>,
    responded: Vec<Duration>,
}

struct Bench<'a> {
    dsx: &'a Dsx<'a>,
    server: &'a ModelServer,
    id: String,
    bare: Bare,
    round: Cell<usize>,
}

impl Bench<'_> {
    fn run(&self) {
        let (mut ours, mut theirs) = (Taken::default(), Taken::default());
        let (answered, bare) = paired(ROUNDS, || self.through_dsx(&mut ours), || self.alone(&mut theirs));
        title("Claude asks for a permission : dsx wait ends");
        let after_hook = Samples::new(ours.after_hook);
        side("dsx wait, after Claude started its hook", &after_hook);
        side("dsx wait, after the model's last byte", &Samples::new(ours.after_model));
        side("Claude alone, until its hook, after that byte", &Samples::new(theirs.bare_hook));
        side("Claude alone, until it says so, after that byte", &Samples::new(theirs.bare_report));
        note("dsx wait, after Claude said so itself (0: before)", &Samples::new(ours.after_report));
        at_most("wait after a prompt opens", &after_hook, OPEN);
        note("the slowest", &format!("{:?}", after_hook.max()));
        title("dsx respond until Claude asks the model again : a bare hook's answer until it does");
        side("dsx respond, from its start", &answered);
        side("the bare hook, from its answer", &bare);
        over("respond over the bare hook", &answered, &bare, ANSWER);
        note("the slowest", &format!("{:?} and {:?}", answered.max(), bare.max()));
        note("dsx respond, until it has verified the effect", &Samples::new(ours.responded));
    }

    /// A message whose tool needs a permission, and the name that lets the model answer it.
    fn next(&self, whose: &str) -> (String, String) {
        self.round.set(self.round.get() + 1);
        let name = format!("{whose}-{}", self.round.get());
        (format!("after {name} tool bash touch made-{name}"), name)
    }

    /// When the model had said that it wants the tool.
    fn wanted(&self, text: &str) -> (usize, Instant) {
        let number = self.server.turn(text).number;
        (number, self.server.wait_for(DEADLINE, |log| log.requests[number].sent))
    }

    /// When the model was asked again, with the tool's result.
    fn asked_again(&self, number: usize) -> Instant {
        self.server.wait_for(DEADLINE, |log| {
            log.requests.iter().skip(number + 1).find(|r| r.kind == Kind::ToolResult).map(|r| r.at)
        })
    }

    fn through_dsx(&self, taken: &mut Taken) -> Duration {
        let (text, name) = self.next("ours");
        self.dsx.run(["send", &self.id, &text]).expect_code(0);
        let mut waiting =
            command(self.dsx.home(), self.dsx.program(), ["wait", &self.id]).spawn().expect("starting dsx");
        self.server.held(&name);
        self.server.release(&name);
        let status = waiting.wait().expect("waiting for dsx");
        let (ended, ended_at) = (Instant::now(), since_1970());
        assert_eq!(status.code(), Some(4), "dsx wait");
        let (number, sent) = self.wanted(&text);
        taken.after_model.push(ended.saturating_duration_since(sent));
        let explained = self.dsx.json(["explain", &self.id]);
        let hook = said(&explained, "hook", "blocked").expect("the hook's report");
        taken.after_hook.push(ended_at.saturating_sub(hook));
        // Its report may not have come yet: then the last one is of another question.
        let asked_at = ended_at.saturating_sub(ended.saturating_duration_since(sent));
        let report = said(&explained, "osc7501", "blocked").filter(|report| *report >= asked_at);
        taken.after_report.extend(report.map(|report| ended_at.saturating_sub(report)));
        let begun = Instant::now();
        self.dsx.run(["respond", &self.id, "--allow"]).expect_code(0);
        taken.responded.push(begun.elapsed());
        let again = self.asked_again(number);
        self.dsx.run(["wait", &self.id, "--timeout", "50"]).expect_code(0);
        again.saturating_duration_since(begun)
    }

    fn alone(&self, taken: &mut Taken) -> Duration {
        let (text, name) = self.next("theirs");
        let from = self.bare.pty.look(|seen| seen.reports().len());
        self.bare.pty.write(&text);
        self.bare.pty.wait_screen(DEADLINE, &name);
        self.bare.pty.write("\r");
        self.server.held(&name);
        self.server.release(&name);
        fs::read(&self.bare.asked).expect("reading a named pipe");
        let asked = Instant::now();
        let blocked = self.bare.reported("state=blocked", from);
        let (number, sent) = self.wanted(&text);
        taken.bare_hook.push(asked.saturating_duration_since(sent));
        taken.bare_report.push(blocked.saturating_duration_since(sent));
        let allow = json!({ "hookSpecificOutput":
            { "hookEventName": "PermissionRequest", "decision": { "behavior": "allow" } } });
        let begun = Instant::now();
        fs::write(&self.bare.answer, allow.to_string()).expect("writing a named pipe");
        let again = self.asked_again(number);
        self.bare.reported("state=done", from);
        again.saturating_duration_since(begun)
    }
}
