//! What the tests of the whole product share: a home, a model server where an agent needs one, and `dsx`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, Package, install_or_skip};
use dsx_tests::dsx::{Call, Dsx, Output};
use dsx_tests::home::Home;
use dsx_tests::model_server::ModelServer;
use dsx_tests::pty::{Pty, PtyCommand};

/// The product under test in a home of its own.
pub fn dsx(home: &Home) -> Dsx<'_> {
    Dsx::new(home, env!("CARGO_BIN_EXE_dsx-under-test"))
}

/// Runs a test against each pinned Claude that can be had.
pub fn with_each_claude(test: &str, run: impl Fn(&Dsx<'_>, &ModelServer)) {
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        with_claude(package, test, &run);
    }
}

/// Runs a test against one pinned Claude.
pub fn with_claude(package: Package, test: &str, run: impl Fn(&Dsx<'_>, &ModelServer)) {
    let Some(agent) = install_or_skip(package, test) else { return };
    let server = ModelServer::start();
    let home = Home::with_agent(&agent, &server);
    run(&dsx(&home), &server);
}

/// Starts a session and returns its id.
pub fn create(dsx: &Dsx<'_>, args: &[&str]) -> String {
    let mut all = vec!["create", "-q"];
    all.extend(args);
    dsx.run(all).expect_code(0).line().to_owned()
}

/// Sends, waits, and returns the answer; the turn must end well.
pub fn answer(dsx: &Dsx<'_>, id: &str, text: &str) -> String {
    dsx.run(["send", id, text]).expect_code(0);
    let waited = dsx.run(["wait", id, "--timeout", "50"]);
    assert_eq!(
        waited.code,
        0,
        "{waited:?}\n{}\n{}",
        dsx.run(["explain", id]).stdout,
        dsx.run(["screen", id]).stdout
    );
    last(dsx, id)
}

/// The last message without the newline that ends it.
pub fn last(dsx: &Dsx<'_>, id: &str) -> String {
    let said: Output = dsx.run(["last-message", id]).expect_code(0);
    said.stdout.strip_suffix('\n').map_or(said.stdout.clone(), str::to_owned)
}

/// All transcripts Claude has written in this home.
pub fn transcripts(home: &Home) -> Vec<PathBuf> {
    let projects = fs::read_dir(home.claude_config().join("projects")).into_iter().flatten().flatten();
    let files = projects.flat_map(|project| fs::read_dir(project.path()).into_iter().flatten().flatten());
    files.map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect()
}

/// The text on a session's screen.
pub fn screen(dsx: &Dsx<'_>, id: &str) -> String {
    dsx.run(["screen", id]).expect_code(0).stdout
}

/// Asks again and again, for what no command of dsx waits for yet.
pub fn eventually(dsx: &Dsx<'_>, id: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + dsx_tests::DEADLINE;
    while !holds() {
        let late = std::time::Instant::now() > deadline;
        assert!(!late, "{}\n{}", dsx.run(["explain", id]).stdout, dsx.run(["screen", id]).stdout);
    }
}

/// The one line of `wait --json`.
pub fn settled(output: Output) -> serde_json::Value {
    let line = output.line();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("not one line of JSON ({e}): {output:?}"))
}

/// The error that a call with `--json` told on stderr, which must be its last line.
pub fn error(output: &Output) -> serde_json::Value {
    let line = output.stderr.lines().last().unwrap_or_default();
    let told: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON error ({e}): {output:?}"));
    for field in ["kind", "message", "hint", "session"] {
        assert!(told["error"].get(field).is_some(), "{field} is missing: {told}");
    }
    told["error"].clone()
}

/// A call of a shell script in the home's environment, in which `$DSX` is the product.
pub fn shell(dsx: &Dsx<'_>, script: &str) -> Call {
    let mut call = dsx.call(["-c", script]).env("DSX", dsx.program());
    call.program = "/bin/bash".into();
    call
}

/// A named pipe in the project directory, by which a program in a session and its test meet.
pub fn fifo(home: &Home, name: &str) -> PathBuf {
    let path = home.project().join(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("making a named pipe");
    path
}

/// What somebody writes into a named pipe, once he does.
pub fn heard(fifo: &Path) -> String {
    let (told, said) = sync_channel(1);
    let path = fifo.to_owned();
    thread::spawn(move || told.send(fs::read_to_string(path)));
    let text = said.recv_timeout(DEADLINE).expect("nobody wrote into the named pipe");
    text.expect("reading a named pipe")
}

/// The product in a terminal of 40 rows and 120 columns.
pub fn pty(dsx: &Dsx<'_>, args: &[&str]) -> Pty {
    PtyCommand::new(dsx.home(), dsx.program(), args).spawn()
}
