//! Waits from inside of sessions: those that could never settle are refused.

use dsx_tests::crash::kill_supervisor;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::Value;

use crate::job::{answer, create, dsx, eventually, fifo, heard};

/// A shell session, in whose commands `$DSX` is the product.
fn shell(dsx: &Dsx<'_>) -> String {
    let program = format!("DSX={}", dsx.program().display());
    create(
        dsx,
        &["--env", &program, "--env", "PS1=$ ", "--cols", "400", "--", "bash", "--norc", "--noprofile"],
    )
}

/// What a command inside a session says of itself: its exit code, and the message of its JSON error.
fn inside(dsx: &Dsx<'_>, id: &str, command: &str) -> (i32, String) {
    answer(dsx, id, &format!("$DSX {command} --json > said 2> error; echo $? > code"));
    let read = |name: &str| std::fs::read_to_string(dsx.home().project().join(name)).unwrap();
    let told: Value = serde_json::from_str(read("error").lines().last().unwrap_or("null")).unwrap();
    let message = told["error"]["message"].as_str().unwrap_or_default().to_owned();
    (read("code").trim().parse().unwrap(), message)
}

#[test]
fn a_session_does_not_wait_for_itself() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = shell(&dsx);
    assert_eq!(answer(&dsx, &id, "echo first"), "first");
    for wait in
        ["wait @self", "wait @self --until exited", "wait @self --until idle", "wait @self --timeout 50"]
    {
        let (code, message) = inside(&dsx, &id, wait);
        assert_eq!(code, 7, "{wait}: {message}");
        assert!(message.contains(&format!("session {id} would wait for itself")), "{message}");
    }
    // What has ended can be asked for from anywhere.
    assert_eq!(inside(&dsx, &id, "wait @self --turn t1").0, 0);
    // Of several none is waited for in vain.
    let other = inside(&dsx, &id, "create --cli demo");
    assert_eq!(other.0, 0, "{other:?}");
    let (code, _) = inside(&dsx, &id, "wait --any @self @last");
    assert!([0, 7].contains(&code), "whichever is heard of first: {code}");
    assert_eq!(inside(&dsx, &id, "wait @last @self").0, 7);
}

#[test]
fn an_ask_that_could_never_be_answered_asks_nothing() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = shell(&dsx);
    let (code, message) = inside(&dsx, &id, "ask @self 'echo never'");
    assert_eq!(code, 7, "{message}");
    assert!(message.contains("itself"), "{message}");
    let turns = dsx.run(["events", "--json", &id]).expect_code(0).stdout;
    assert!(!turns.contains("echo never\""), "{turns}");
    assert_eq!(answer(&dsx, &id, "echo still here"), "still here");
    // One that it may wait for is answered, from inside as from outside.
    assert_eq!(inside(&dsx, &id, "create --cli demo -d child").0, 0);
    assert_eq!(answer(&dsx, &id, "$DSX ask @last 'say hello'"), "hello");
}

#[test]
fn a_wait_is_forgotten_with_the_command_that_waited_and_stands_again_after_a_restart() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = shell(&dsx);
    let (begun, go) = (fifo(&home, "begun"), fifo(&home, "go"));
    assert_eq!(inside(&dsx, &id, "create --cli demo").0, 0);
    let child = dsx.json(["list"]);
    let child = child.as_array().unwrap().iter().find(|s| s["creator"] == id.as_str()).unwrap()["id"].clone();
    let child = child.as_str().unwrap();
    dsx.run(["send", child, "slow 3600 late"]).expect_code(0);
    // A wait that is given up, and one that a supervisor's death passes over.
    assert_eq!(inside(&dsx, &id, "wait @last --timeout 0.1").0, 124);
    dsx.run(["send", &id, "echo x > begun; $DSX wait @last; echo code $?; cat go"]).expect_code(0);
    heard(&begun);
    kill_supervisor(&dsx);
    dsx.run(["interrupt", child]).expect_code(0);
    std::fs::write(&go, "").unwrap();
    dsx.run(["wait", &id]).expect_code(0);
    eventually(&dsx, &id, || crate::job::last(&dsx, &id).contains("code 5"));
}

#[test]
fn a_group_and_a_label_are_waited_for() {
    let home = Home::new();
    let dsx = dsx(&home);
    let demo = |args: &[&str]| create(&dsx, &[&["--cli", "demo"], args].concat());
    let (one, two) = (demo(&["--group", "g", "--label", "part=a"]), demo(&["--group", "g"]));
    let other = demo(&["--label", "part=a"]);
    dsx.run(["send", &other, "slow 3600 late"]).expect_code(0);
    for id in [&one, &two] {
        dsx.run(["send", id, "slow 1 well"]).expect_code(0);
    }
    let ids = |said: &dsx_tests::dsx::Output| {
        let mut ids: Vec<String> =
            said.stdout.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let mut both = vec![one.clone(), two.clone()];
    both.sort();
    assert_eq!(ids(&dsx.run(["wait", "--group", "g"]).expect_code(0)), both);
    assert_eq!(
        ids(&dsx.run(["wait", "--group", "g", "--label", "part=a"]).expect_code(0)),
        std::slice::from_ref(&one)
    );
    // Beside ids, each once.
    let all = dsx.run(["wait", &other, &one, "--group", "g", "--timeout", "0"]).expect_code(124);
    assert_eq!(all.stdout.lines().count(), 3, "{all:?}");
    assert!(all.stdout.contains(&format!("{other} timeout")), "{all:?}");
    let any = dsx.run(["wait", "--any", "--label", "part=a"]).expect_code(0);
    assert!(any.line().starts_with(&one) && any.stdout.lines().count() == 1, "{any:?}");
    // One that ended in its turn is told too.
    dsx.run(["send", &two, "crash"]);
    dsx.run(["wait", &two, "--until", "exited"]).expect_code(0);
    let crashed = dsx.run(["wait", "--group", "g"]);
    assert_eq!(crashed.code, 6, "{crashed:?}");
    for (args, named) in
        [(&["--group", "nobody"][..], "group 'nobody'"), (&["--group", "g", "--label", "x=y"], "label x=y")]
    {
        let empty = dsx.run(["wait"].iter().chain(args)).expect_code(3);
        assert!(empty.stderr.contains(named), "{empty:?}");
    }
    dsx.run(["wait", "--label", "nonsense"]).expect_code(2);
}
