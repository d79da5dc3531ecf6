//! The demo agent through the product: it answers, takes time, asks, fails on request; and `run`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use dsx_tests::DEADLINE;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::json;

use crate::job::{answer, create, dsx, error, last, settled};

const DEMO: [&str; 2] = ["--cli", "demo"];

#[test]
fn it_answers_and_each_turn_has_its_own_answer() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    for word in ["alpha", "beta  two  spaces", "é 漢字 🙂"] {
        assert_eq!(answer(&dsx, &id, &format!("say {word}")), word);
    }
    assert_eq!(answer(&dsx, &id, "slow 250ms later"), "later");
    assert_eq!(dsx.run(["last-message", &id, "--turn", "t2"]).expect_code(0).line(), "beta  two  spaces");
    let all = dsx.json(["last-message", &id, "-n", "2"]);
    let turns: Vec<_> = all.as_array().unwrap().iter().map(|m| (&m["turn"], &m["text"])).collect();
    assert_eq!(turns, [(&json!("t3"), &json!("é 漢字 🙂")), (&json!("t4"), &json!("later"))]);
    assert_eq!(all[0]["blocks"], json!([{ "type": "text", "text": "é 漢字 🙂" }]));
    assert_eq!(dsx.run(["last-message", &id, "-n", "0"]).code, 2);
    let long = (1..=200).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    assert_eq!(answer(&dsx, &id, "long 200"), long);
}

#[test]
fn the_rules_of_last_message() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    let none = dsx.run(["last-message", &id, "--json"]).expect_code(1);
    assert_eq!(error(&none)["session"], id.as_str());
    dsx.run(["send", &id, "fail x"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(5);
    // It has ended, but not well.
    dsx.run(["last-message", &id]).expect_code(1);
    assert_eq!(dsx.run(["last-message", &id, "--turn", "t1"]).expect_code(0).stdout.trim(), "");
    dsx.run(["send", &id, "slow 3600 x"]).expect_code(0);
    let running = dsx.run(["last-message", &id, "--turn", "t2"]).expect_code(7);
    assert!(running.stderr.contains("t2") && running.stderr.contains("dsx wait"), "{running:?}");
    dsx.run(["send", &id, "say queued"]).expect_code(0);
    dsx.run(["last-message", &id, "--turn", "t3"]).expect_code(7);
    dsx.run(["last-message", &id, "--turn", "t4"]).expect_code(3);
}

#[test]
fn an_interrupted_turn_is_5_and_the_next_one_works() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    dsx.run(["interrupt", &id]).expect_code(7);
    dsx.run(["send", &id, "slow 3600 never"]).expect_code(0);
    let status = dsx.json(["status", &id]);
    for (field, value) in [("session", json!(id)), ("status", json!("working")), ("turn", json!("t1"))] {
        assert_eq!(status[field], value);
    }
    assert!(status["since"].as_str().unwrap().ends_with('Z') && status["prompt"].is_null(), "{status}");
    let waiting = dsx.spawn(["wait", &id, "--json"]);
    dsx.run(["interrupt", &id]).expect_code(0);
    assert_eq!(settled(waiting.wait().expect_code(5))["outcome"], "interrupted");
    assert_eq!(answer(&dsx, &id, "say after"), "after");
}

#[test]
fn with_an_open_question_a_send_is_refused_unless_it_queues() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    dsx.run(["send", &id, "ask Which? | red | blue"]).expect_code(0);
    dsx.run(["wait", &id, "--until", "waiting"]).expect_code(0);
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "waiting_for_input");
    let refused = dsx.run(["send", &id, "hello"]).expect_code(4);
    assert!(refused.stderr.contains("Which?") && refused.stderr.contains("--queue"), "{refused:?}");
    dsx.run(["ask", &id, "hello"]).expect_code(4);
    let queued = dsx.json(["send", &id, "say after", "--queue"]);
    assert_eq!((&queued["turn"], &queued["delivery"]), (&"t2".into(), &"queued".into()));
    // What is wrong with a message is wrong whatever the agent does.
    dsx.run(["send", &id, ""]).expect_code(2);
    dsx.run(["keys", &id, "1"]).expect_code(0);
    // The question is open until the agent has read the key; each look is an answer of its own.
    let end = Instant::now() + DEADLINE;
    while dsx.run(["wait", &id, "--turn", "t2", "--timeout", "60"]).code != 0 {
        assert!(Instant::now() < end, "the answer never arrived");
    }
    assert_eq!(dsx.run(["last-message", &id, "--turn", "t2"]).expect_code(0).line(), "after");
    assert!(dsx.run(["last-message", &id, "--turn", "t1"]).expect_code(0).stdout.contains("red"));
}

#[test]
fn a_key_makes_a_repeat_harmless() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    let first = dsx.json(["send", &id, "say once", "--key", "K"]);
    for _ in 0..2 {
        let again = dsx.json(["send", &id, "say once", "--key", "K"]);
        assert_eq!((&again["turn"], &again["session"]), (&first["turn"], &first["session"]));
    }
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(dsx.json(["send", &id, "say once", "--key", "K"])["turn"], "t1");
    assert_eq!(dsx.json(["send", &id, "say twice", "--key", "L"])["turn"], "t2");
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(
        dsx.run(["logs", &id]).expect_code(0).stdout,
        "[t1] > say once\nonce\n\n[t2] > say twice\ntwice\n"
    );
}

#[test]
fn a_message_comes_from_an_argument_a_file_or_standard_input() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    fs::write(home.project().join("message"), "say from a file\n\n").unwrap();
    let ask = |args: &[&str], stdin: &str| {
        let mut all = vec!["ask", id.as_str()];
        all.extend(args);
        dsx.call(all).stdin(stdin).run().expect_code(0).stdout
    };
    assert_eq!(ask(&["--file", "message"], ""), "from a file\n");
    assert_eq!(ask(&["-"], "say typed\n"), "typed\n");
    assert_eq!(ask(&["--file", "-"], "say typed too"), "typed too\n");
    assert_eq!(ask(&["--timeout", "60", "say -x"], ""), "-x\n");
    dsx.run(["send", &id, "x", "--file", "message"]).expect_code(2);
    dsx.run(["send", &id]).expect_code(2);
    dsx.call(["send", &id, "-"]).stdin("").run().expect_code(2);
    // What the agent's box would alter goes by a file, and is not altered.
    assert_eq!(dsx.json(["send", &id, "say a\tb"])["via"], "file");
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(last(&dsx, &id), "a\tb");
}

#[test]
fn a_crash_is_6_with_its_status() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    assert_eq!(answer(&dsx, &id, "say before"), "before");
    dsx.run(["ask", &id, "crash"]).expect_code(6);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(6));
    assert_eq!((&how["turn"], &how["exit_code"]), (&"t2".into(), &json!(3)));
    assert_eq!(last(&dsx, &id), "before");
    assert!(dsx.run(["logs", &id]).expect_code(0).stdout.ends_with("[t2] > crash\n"));
}

fn nothing_is_left(dsx: &Dsx<'_>) {
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn run_asks_a_fresh_session_and_removes_it() {
    let home = Home::new();
    let dsx = dsx(&home);
    // Nothing is on the PATH: the demo agent it is.
    let said = dsx.run(["run", "say at once"]).expect_code(0);
    assert_eq!(said.stdout, "at once\n");
    assert!(said.stderr.contains("demo"), "{said:?}");
    nothing_is_left(&dsx);
    let failed = dsx.run(["run", "fail x", "--json"]).expect_code(5);
    assert_eq!(settled(failed)["outcome"], "failed");
    dsx.run(["run", "ask Which? | red | blue"]).expect_code(4);
    dsx.run(["run", "slow 3600 x", "--timeout", "0.5"]).expect_code(124);
    dsx.run(["run", "crash"]).expect_code(6);
    dsx.run(["run", "/clear"]).expect_code(2);
    dsx.run(["run", ""]).expect_code(2);
    dsx.run(["run"]).expect_code(2);
    nothing_is_left(&dsx);
    assert_eq!(dsx.call(["run", "-"]).stdin("say typed").run().expect_code(0).stdout, "typed\n");
    assert_eq!(dsx.run(["run", "echo hi", "--", "bash", "--norc"]).expect_code(0).stdout, "hi\n");
    let once = ["run", "word", "--", "sh", "-c", "read -r x; echo got $x; exit 4"];
    let said = dsx.run(once).expect_code(6);
    assert_eq!(said.stdout, "got word\n");
    nothing_is_left(&dsx);
}

#[test]
fn run_keeps_its_session_when_told_to() {
    let home = Home::new();
    let dsx = dsx(&home);
    dsx.run(["run", "--keep", "fail x", "-d", "kept", "--cli", "demo"]).expect_code(5);
    let listed = dsx.json(["list"]);
    assert_eq!((&listed[0]["description"], &listed[0]["cli"]), (&"kept".into(), &"demo".into()));
    assert_eq!(dsx.run(["ask", "@last", "say more"]).expect_code(0).stdout, "more\n");
}

#[test]
fn an_agent_that_is_named_never_falls_back() {
    let home = Home::new();
    let dsx = dsx(&home);
    for verb in [vec!["create"], vec!["run", "hi"]] {
        let mut args = verb;
        args.extend(["--cli", "claude"]);
        let refused = dsx.run(&args).expect_code(1);
        assert!(refused.stderr.contains("claude") && refused.stderr.contains("PATH"), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    nothing_is_left(&dsx);
}

#[test]
fn an_agent_that_fails_to_start_leaves_nothing() {
    let home = Home::new();
    let dsx = dsx(&home);
    let bin = home.project().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("claude"), "#!/bin/sh\necho no licence today\nexit 9\n").unwrap();
    fs::set_permissions(bin.join("claude"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let failed = dsx.call(["create", "--json"]).env("PATH", &path).run().expect_code(1);
    let message = error(&failed)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("claude") && message.contains('9') && message.contains("no licence today"),
        "{message}"
    );
    assert_eq!(failed.stdout, "");
    nothing_is_left(&dsx);
    // One that never says a word is given up on, and is still there to be looked at.
    fs::write(bin.join("claude"), "#!/bin/sh\nexec sleep 1000\n").unwrap();
    let late = dsx.call(["create", "--timeout", "0.5"]).env("PATH", &path).run().expect_code(124);
    assert!(late.stderr.contains("dsx list"), "{late:?}");
    let listed = dsx.json(["list"]);
    assert_eq!(listed[0]["status"], "starting");
    let id = listed[0]["id"].as_str().unwrap();
    let sent = dsx.json(["send", id, "say hi"]);
    assert_eq!(sent["delivery"], "queued");
    let waiting = dsx.spawn(["wait", id, "--json"]);
    dsx.run(["keys", id, "C-c"]).expect_code(0);
    let lost = settled(waiting.wait().expect_code(5));
    assert_eq!(lost["outcome"], "lost");
}

#[test]
fn ctrl_c_leaves_the_turn_of_ask_running() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    let asking = crate::job::pty(&dsx, &["ask", &id, "slow 3600 x"]);
    dsx.run(["wait", &id, "--until", "exited", "--timeout", "0.2"]).expect_code(124);
    let began = || dsx.json(["status", &id])["turn"] == "t1";
    let end = Instant::now() + DEADLINE;
    while !began() {
        assert!(Instant::now() < end, "the turn never began");
    }
    asking.write(b"\x03");
    assert_eq!(asking.wait_exit(DEADLINE), 130);
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "working");
}

#[test]
fn a_message_whose_file_cannot_be_written_is_not_typed_either() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    fs::remove_dir_all(home.dsx_home().join("sessions").join(&id).join("messages")).unwrap();
    let refused = dsx.run(["send", &id, "a\ttab"]).expect_code(1);
    assert!(refused.stderr.contains("could not be written"), "{refused:?}");
    assert_eq!(answer(&dsx, &id, "say after"), "after");
    let all = dsx.json(["last-message", &id, "-n", "9"]);
    assert_eq!(all.as_array().unwrap().len(), 1, "the agent was told of a file that is not there: {all}");
    assert_eq!(dsx.json(["list"])[0]["turn"], "t2");
}
