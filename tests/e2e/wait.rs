//! `wait`: what it waits for, what it says, and its exit code.

use dsx_tests::dsx::{Dsx, Output};
use dsx_tests::home::Home;
use serde_json::{Value, json};

use crate::job::{answer, create, dsx, error, fifo, heard, settled};

const DEMO: [&str; 2] = ["--cli", "demo"];

fn lines(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A demo session that asks something, and is not answered.
fn asking(dsx: &Dsx<'_>) -> String {
    let id = create(dsx, &DEMO);
    dsx.run(["send", &id, "ask Which? | red | blue"]).expect_code(0);
    dsx.run(["wait", &id, "--until", "waiting"]).expect_code(0);
    id
}

/// A demo session whose turn takes an hour.
fn working(dsx: &Dsx<'_>) -> String {
    let id = create(dsx, &DEMO);
    dsx.run(["send", &id, "slow 3600 late"]).expect_code(0);
    id
}

#[test]
fn the_fields_of_a_settled_wait() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    let how = dsx.json(["wait", &id]);
    let none = json!({
        "session": id, "turn": null, "outcome": "ended", "error": null, "prompt": null, "exit_code": null,
    });
    assert_eq!(how, none);
    dsx.run(["send", &id, "fail the model is on holiday"]).expect_code(0);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(5));
    assert_eq!((&how["outcome"], &how["turn"]), (&"failed".into(), &"t1".into()));
    assert!(how["error"].as_str().unwrap().contains("the model is on holiday"), "{how}");
    let told = dsx.run(["wait", &id]).expect_code(5);
    assert_eq!(told.line(), format!("{id} failed t1: the model is on holiday"));
    assert_eq!(told.stderr, "");
}

#[test]
fn a_stored_outcome_is_said_as_often_as_it_is_asked() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    dsx.run(["send", &id, "fail x"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(5);
    assert_eq!(answer(&dsx, &id, "say well"), "well");
    for _ in 0..3 {
        dsx.run(["wait", &id, "--turn", "t1"]).expect_code(5);
        dsx.run(["wait", &id, "--turn", "2"]).expect_code(0);
        dsx.run(["wait", &id]).expect_code(0);
    }
    let unknown = dsx.run(["wait", &id, "--turn", "t99", "--json"]).expect_code(3);
    let told = error(&unknown);
    assert_eq!((&told["kind"], &told["session"]), (&"no_session".into(), &id.as_str().into()));
    dsx.run(["wait", &id, "--turn", "first"]).expect_code(2);
    dsx.run(["wait", &id, "--until", "bored"]).expect_code(2);
    dsx.run(["wait", &id, "--timeout", "-1"]).expect_code(2);
    dsx.run(["wait", &id, "--timeout", "soon"]).expect_code(2);
    dsx.run(["wait", &id, "--interval", "7"]).expect_code(0);
}

#[test]
fn an_open_prompt_is_4_and_comes_with_it() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = asking(&dsx);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(4));
    assert_eq!((&how["outcome"], &how["turn"]), (&"waiting".into(), &"t1".into()));
    let prompt = &how["prompt"];
    for field in ["id", "session", "turn", "kind", "tool", "text", "command", "options", "opened_at"] {
        assert!(prompt.get(field).is_some(), "{field} is missing: {prompt}");
    }
    assert!(prompt["text"].as_str().unwrap().contains("Which?"), "{prompt}");
    let told = dsx.run(["wait", &id]).expect_code(4);
    assert!(
        told.line().starts_with(&format!("{id} waiting t1: p1 question: Which? (1 red · 2 blue)")),
        "{told:?}"
    );
    dsx.run(["wait", &id, "--until", "waiting"]).expect_code(0);
    dsx.run(["wait", &id, "--until", "idle"]).expect_code(4);
    dsx.run(["wait", &id, "--until", "exited", "--timeout", "0.2"]).expect_code(124);
}

#[test]
fn until_tells_what_is_waited_for() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    dsx.run(["wait", &id, "--until", "idle"]).expect_code(0);
    dsx.run(["wait", &id, "--until", "ended"]).expect_code(0);
    dsx.run(["wait", &id, "--until", "waiting", "--timeout", "0.2"]).expect_code(124);
    let bash = create(&dsx, &["--", "bash", "--norc"]);
    let exited = dsx.spawn(["wait", &bash, "--until", "exited", "--json"]);
    let ended = dsx.spawn(["wait", &bash, "--until", "waiting", "--json"]);
    dsx.run(["send", &bash, "exit 9"]).expect_code(0);
    assert_eq!(settled(exited.wait().expect_code(0))["exit_code"], 9);
    assert_eq!(settled(ended.wait().expect_code(6))["exit_code"], 9);
    dsx.run(["wait", &bash, "--until", "idle"]).expect_code(6);
    dsx.run(["wait", &bash]).expect_code(6);
}

#[test]
fn no_time_is_time_enough_for_what_has_settled() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (idle, busy) = (create(&dsx, &DEMO), working(&dsx));
    assert_eq!(answer(&dsx, &idle, "say x"), "x");
    dsx.run(["wait", &idle, "--timeout", "0"]).expect_code(0);
    // Each line has the full id, also of a prefix that timed out.
    let champion = busy.split('-').next().unwrap();
    let prefix = if idle.starts_with(champion) { busy.as_str() } else { champion };
    let told = dsx.run(["wait", prefix, "--timeout", "0"]).expect_code(124);
    assert_eq!(told.line(), format!("{busy} timeout t1"));
    let how = settled(dsx.run(["wait", prefix, "--timeout", "0", "--json"]).expect_code(124));
    assert_eq!((&how["session"], &how["outcome"]), (&busy.as_str().into(), &"timeout".into()));
}

#[test]
fn all_gives_the_first_code_in_the_order_of_the_arguments() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (well, asks, fails) = (create(&dsx, &DEMO), asking(&dsx), create(&dsx, &DEMO));
    dsx.run(["send", &fails, "fail x"]).expect_code(0);
    let busy = working(&dsx);
    let code = |ids: &[&str]| {
        let args = ["wait", "--json", "--timeout", "2"].iter().chain(ids);
        let told = dsx.run(args);
        assert_eq!(lines(&told).len(), ids.len(), "one line per id: {told:?}");
        told.code
    };
    dsx.run(["wait", &fails]).expect_code(5);
    assert_eq!(code(&[&well]), 0);
    assert_eq!(code(&[&well, &asks, &fails]), 4);
    assert_eq!(code(&[&fails, &well, &asks]), 5);
    assert_eq!(code(&[&well, &busy, &fails]), 124);
    assert_eq!(code(&[&fails, &busy]), 5);
    let all = dsx.run(["wait", "--all", &well, &well]).expect_code(0);
    assert_eq!(all.stdout.lines().count(), 2);
    dsx.run(["wait", "--all", "--any", &well]).expect_code(2);
}

#[test]
fn an_unknown_id_among_several_is_told_and_the_others_are_waited_for() {
    let home = Home::new();
    let dsx = dsx(&home);
    let well = create(&dsx, &DEMO);
    let told = dsx.run(["wait", "--json", "nobody-here", &well]).expect_code(3);
    assert_eq!(error(&told)["kind"], "no_session");
    assert_eq!(lines(&told)[0]["session"], well.as_str());
    let told = dsx.run(["wait", "nobody-here", &well]).expect_code(3);
    assert!(told.stderr.contains("nobody-here") && told.stderr.contains("dsx list"), "{told:?}");
    let told = dsx.run(["wait", &well, "nobody-here", "nobody-there"]).expect_code(3);
    assert!(told.stderr.contains("nobody-here") && told.stderr.contains("nobody-there"), "{told:?}");
    dsx.run(["wait"]).expect_code(2);
}

#[test]
fn any_gives_the_code_of_the_one_that_settled_and_prints_only_it() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (busy, go) = (working(&dsx), fifo(&home, "go"));
    let bash = create(&dsx, &["--", "bash", "--norc"]);
    dsx.run(["send", &bash, "cat go; exit 4"]).expect_code(0);
    let any = dsx.spawn(["wait", "--any", "--json", &busy, &bash]);
    std::fs::write(&go, "").unwrap();
    let told = any.wait().expect_code(6);
    assert_eq!(lines(&told).len(), 1);
    assert_eq!((&lines(&told)[0]["session"], &lines(&told)[0]["exit_code"]), (&bash.into(), &4.into()));
    let asks = asking(&dsx);
    let told = dsx.run(["wait", "--any", &busy, &asks]).expect_code(4);
    assert!(told.line().starts_with(&asks) && told.stdout.lines().count() == 1, "{told:?}");
    dsx.run(["wait", "--any", "--timeout", "0.2", &busy]).expect_code(124);
}

#[test]
fn a_wait_is_for_the_turn_that_was_newest_when_it_came() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc"]);
    let (begun, go) = (fifo(&home, "begun"), fifo(&home, "go"));
    dsx.run(["send", &id, "echo x > begun; cat go"]).expect_code(0);
    heard(&begun);
    // It is bound when its first line is answered; the turns sent after it are not its own.
    let first = dsx.run(["wait", &id, "--timeout", "0", "--json"]).expect_code(124);
    assert_eq!(settled(first)["turn"], "t1");
    let sent = dsx.json(["send", &id, "echo second"]);
    assert_eq!(sent["turn"], "t2");
    let second = dsx.spawn(["wait", &id, "--json"]);
    std::fs::write(&go, "now\n").unwrap();
    assert_eq!(settled(second.wait().expect_code(0))["turn"], "t2");
    assert_eq!(dsx.run(["last-message", &id, "--turn", "t1"]).expect_code(0).line(), "now");
}

#[test]
fn a_wait_from_before_the_death_of_the_supervisor_goes_on() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc"]);
    let (begun, go) = (fifo(&home, "begun"), fifo(&home, "go"));
    dsx.run(["send", &id, "echo x > begun; cat go; exit 2"]).expect_code(0);
    heard(&begun);
    let waiting = dsx.spawn(["wait", &id, "--json"]);
    dsx.run(["supervisor", "restart"]).expect_code(0);
    std::fs::write(&go, "").unwrap();
    let how = settled(waiting.wait().expect_code(6));
    assert_eq!((&how["turn"], &how["exit_code"]), (&"t1".into(), &2.into()));
}

#[test]
fn ctrl_c_is_130_and_the_turn_goes_on() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc"]);
    let (begun, go) = (fifo(&home, "begun"), fifo(&home, "go"));
    dsx.run(["send", &id, "echo x > begun; cat go"]).expect_code(0);
    heard(&begun);
    // What it has printed shows that it waits: the other id has settled.
    let idle = create(&dsx, &["--", "cat"]);
    let waiting = crate::job::pty(&dsx, &["wait", &idle, &id]);
    waiting.wait_screen(dsx_tests::DEADLINE, &format!("{idle} ended"));
    waiting.write(b"\x03");
    assert_eq!(waiting.wait_exit(dsx_tests::DEADLINE), 130);
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "working");
    std::fs::write(&go, "still here\n").unwrap();
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(crate::job::last(&dsx, &id), "still here");
}

#[test]
fn a_wait_that_is_about_no_turn_outlives_many_turns_and_a_supervisor() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    assert_eq!(answer(&dsx, &id, "say 0"), "0");
    let waiting = dsx.spawn(["wait", &id, "--until", "exited", "--timeout", "50"]);
    for n in 1..40 {
        assert_eq!(answer(&dsx, &id, &format!("say {n}")), n.to_string());
    }
    dsx.run(["wait", &id, "--turn", "t1", "--until", "idle", "--timeout", "50"]).expect_code(0);
    dsx_tests::crash::kill_supervisor(&dsx);
    dsx.run(["keys", &id, "C-c"]).expect_code(0);
    dsx.run(["keys", &id, "C-c"]).expect_code(0);
    waiting.wait().expect_code(0);
}
