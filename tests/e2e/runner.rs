//! The runner of the harness, with a shell in the place of `dsx`: what it promises to every other test.

use std::path::Path;
use std::time::Duration;

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

#[test]
fn a_call_reports_its_code_and_both_outputs() {
    let home = Home::new();
    let shell = Dsx::new(&home, "/bin/sh");
    let said = shell.run(["-c", "echo out; echo err >&2; pwd; exit 7"]).expect_code(7);
    assert_eq!(said.stdout, format!("out\n{}\n", home.project().display()));
    assert_eq!(said.stderr, "err\n");
    assert_eq!(shell.run(["-c", "kill -9 $$"]).code, 137);
    assert_eq!(shell.call(["-c", "cat"]).stdin("typed").run().stdout, "typed");
}

#[test]
fn nothing_is_inherited_from_the_real_environment() {
    let home = Home::new();
    let said = Dsx::new(&home, "/usr/bin/env").run::<&str>([]);
    let mut names: Vec<&str> =
        said.stdout.lines().filter_map(|l| l.split_once('=')).map(|(k, _)| k).collect();
    names.sort_unstable();
    let meant: Vec<&str> = home.env().map(|(k, _)| k.to_str().unwrap()).collect();
    assert_eq!(names, meant);
}

#[test]
fn a_call_past_its_deadline_is_killed_and_told() {
    let home = Home::new();
    let call = Dsx::new(&home, "/bin/sh").call(["-c", "echo half; exec sleep 1000"]);
    let told = told(move || call.deadline(Duration::from_secs(1)).run());
    assert!(told.contains("did not end in time") && told.contains("half"), "{told}");
}

#[test]
fn a_daemon_that_keeps_the_output_open_is_told() {
    let home = Home::new();
    let shell = Dsx::new(&home, "/bin/sh");
    let call = shell.call(["-c", "sleep 1000 & echo started"]).deadline(Duration::from_secs(1));
    let told = told(move || call.run());
    assert!(told.contains("keeps its output open"), "{told}");
}

#[test]
fn dropping_the_runner_ends_what_the_home_started_and_nothing_else() {
    let (home, other) = (Home::new(), Home::new());
    let script = "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!";
    let bystander = Dsx::new(&other, "/bin/sh");
    let theirs = bystander.run(["-c", script]).line().to_owned();
    let ours = Dsx::new(&home, "/bin/sh").run(["-c", script]).line().to_owned();
    assert!(!is_alive(&ours), "{ours} outlived its home's runner");
    assert!(is_alive(&theirs), "{theirs} was another home's");
}

fn is_alive(pid: &str) -> bool {
    // An orphan that nobody reaps stays as a zombie, which has no environment any more.
    std::fs::read(Path::new("/proc").join(pid).join("environ")).is_ok_and(|e| !e.is_empty())
}

fn told(run: impl FnOnce() -> dsx_tests::dsx::Output) -> String {
    let trouble =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).expect_err("it should have failed");
    trouble.downcast_ref::<String>().cloned().unwrap_or_default()
}
