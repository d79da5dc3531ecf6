//! What the tests of the whole product share: a home, a model server where an agent needs one, and `dsx`.

use std::fs;
use std::path::PathBuf;

use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, Package, install_or_skip};
use dsx_tests::dsx::{Dsx, Output};
use dsx_tests::home::Home;
use dsx_tests::model_server::ModelServer;

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
