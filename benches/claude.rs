//! What dsx adds to the real Claude Code: to its start, to its taking of a message, and after its last word.
//! Each is set against Claude in a plain PTY, or against the moment at which Claude itself said it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::cell::Cell;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use dsx_benches::figures::{Samples, at_most, note, over, paired, side, title};
use dsx_benches::process::{command, timed_dsx};
use dsx_benches::signals::{said, since_1970};
use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, install_or_skip};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::model_server::ModelServer;
use dsx_tests::pty::{Pty, PtyCommand};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::Value;

const CREATE: Duration = Duration::from_millis(150);
const SEND: Duration = Duration::from_millis(60);
const WAIT: Duration = Duration::from_millis(20);

fn main() {
    let Some(agent) = install_or_skip(CLAUDE, "the figures of Claude") else { return };
    let server = ModelServer::start();
    let home = Home::with_agent(&agent, &server);
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    create(&dsx);
    let id = dsx.run(["create", "-q", "--cli", "claude"]).expect_code(0).line().to_owned();
    send(&dsx, &server, &id);
    wait(&dsx, &server, &id);
}

/// Claude in a plain PTY, with nothing of dsx in its settings.
fn plain(home: &Home) -> Pty {
    let settings = r#"{"skipDangerousModePermissionPrompt":true,"tui":"fullscreen"}"#;
    let args = ["--dangerously-skip-permissions", "--settings", settings];
    PtyCommand::new(home, Path::new("claude"), args).spawn()
}

/// When a report that begins with `state` came, the first `from` not counted.
fn reported(pty: &Pty, state: &str, from: usize) -> Instant {
    pty.wait(DEADLINE, |seen| {
        seen.reports().into_iter().skip(from).find(|(_, report)| report.starts_with(state)).map(|(at, _)| at)
    })
}

fn create(dsx: &Dsx<'_>) {
    let mut after_ready = Vec::new();
    let ours = || {
        let begun = Instant::now();
        let id = dsx.run(["create", "-q", "--cli", "claude"]).expect_code(0).line().to_owned();
        let (took, ended) = (begun.elapsed(), since_1970());
        // The session file may have said it before, and this not have come yet.
        let ready = said(&dsx.json(["explain", &id]), "osc7501", "idle");
        after_ready.extend(ready.map(|ready| ended.saturating_sub(ready)));
        dsx.run(["kill", &id]).expect_code(0);
        took
    };
    let theirs = || {
        let begun = Instant::now();
        let sessions = dsx.home().claude_config().join("sessions");
        let watched = watch(&sessions);
        let pty = plain(dsx.home());
        let file = idle_in(&watched, &sessions.join(format!("{}.json", pty.pid())));
        reported(&pty, "state=idle", 0).min(file).duration_since(begun)
    };
    let (ours, theirs) = paired(15, ours, theirs);
    title(
        "dsx create until ready : Claude in a plain PTY until it first says idle, by its file or its report",
    );
    side("dsx create", &ours);
    side("Claude alone", &theirs);
    over("create over Claude's own start", &ours, &theirs, CREATE);
    if !after_ready.is_empty() {
        note("dsx create ends after its own Claude said `idle`", &Samples::new(after_ready));
    }
}

/// Claude's directory of live sessions, watched from before it starts: whichever of its two signs of being
/// ready comes first is its own start, as dsx too goes by the first.
fn watch(sessions: &Path) -> Inotify {
    std::fs::create_dir_all(sessions).expect("making Claude's directory");
    let watched = Inotify::init(InitFlags::IN_CLOEXEC).expect("watching");
    let changes = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MODIFY;
    watched.add_watch(sessions, changes).expect("watching a directory");
    watched
}

/// When a session's file first says idle.
fn idle_in(watched: &Inotify, file: &Path) -> Instant {
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let at = Instant::now();
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        if said["status"] == "idle" {
            return at;
        }
        let limit = PollTimeout::try_from(DEADLINE).expect("a deadline of less than a month");
        let came = poll(&mut [PollFd::new(watched.as_fd(), PollFlags::POLLIN)], limit);
        assert_eq!(came, Ok(1), "{} does not say idle: {text}", file.display());
        watched.read_events().expect("reading what changed");
    }
}

fn send(dsx: &Dsx<'_>, server: &ModelServer, id: &str) {
    let pty = plain(dsx.home());
    reported(&pty, "state=idle", 0);
    let (round, number) = (Cell::new(0), Cell::new(0));
    let ours = || {
        round.set(round.get() + 1);
        let took = timed_dsx(dsx, ["send", id, &format!("say through dsx {}", round.get())]);
        dsx.run(["wait", id, "--timeout", "50"]).expect_code(0);
        took
    };
    let mut requests = Vec::new();
    let theirs = || {
        number.set(number.get() + 1);
        let text = format!("say by hand {}", number.get());
        let from = pty.look(|seen| seen.reports().len());
        let begun = Instant::now();
        pty.write(format!("{text}\r"));
        let working = reported(&pty, "state=working", from);
        requests.push(server.turn(&text).at.duration_since(begun));
        reported(&pty, "state=done", from);
        working.duration_since(begun)
    };
    let (ours, theirs) = paired(40, ours, theirs);
    title("dsx send until confirmed : a line typed into Claude until it reacts");
    side("dsx send", &ours);
    side("typed, until Claude says `working`", &theirs);
    let requests = Samples::new(requests);
    side("typed, until the model is asked", &requests);
    over("send over Claude's own reaction", &ours, &theirs, SEND);
}

/// The turn ends with the later of Claude's `done` and its Stop hook's answer, both by the supervisor's
/// own record; the command ends when its caller sees it end.
fn wait(dsx: &Dsx<'_>, server: &ModelServer, id: &str) {
    let (mut after_signal, mut after_model) = (Vec::new(), Vec::new());
    for round in 0..40 {
        let name = format!("round-{round}");
        let text = format!("hold {name} first second");
        dsx.run(["send", id, &text]).expect_code(0);
        let mut waiting = command(dsx.home(), dsx.program(), ["wait", id]).spawn().expect("starting dsx");
        server.held(&name);
        server.release(&name);
        let status = waiting.wait().expect("waiting for dsx");
        let (ended, ended_at) = (Instant::now(), since_1970());
        assert!(status.success(), "dsx wait: {status}");
        let number = server.turn(&text).number;
        let sent = server.wait_for(DEADLINE, |log| log.requests[number].sent);
        after_model.push(ended.saturating_duration_since(sent));
        let explained = dsx.json(["explain", id]);
        let decided = said(&explained, "osc7501", "done").max(said(&explained, "hook", "stopped"));
        after_signal.push(ended_at.saturating_sub(decided.expect("the signals of a turn's end")));
    }
    let (after_signal, after_model) = (Samples::new(after_signal), Samples::new(after_model));
    title("The deciding signal and the answer in hand : exit of dsx wait");
    side("after the deciding signal", &after_signal);
    at_most("wait after the deciding signal", &after_signal, WAIT);
    note("after the model's last byte (Claude's own time in it)", &after_model);
}
