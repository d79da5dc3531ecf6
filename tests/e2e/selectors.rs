//! Groups, labels, names: which sessions are meant by what people gave them.

use std::fs;

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::{Value, json};

use crate::job::{answer, create, dsx, error, last};

const DEMO: [&str; 2] = ["--cli", "demo"];

fn demo(dsx: &Dsx<'_>, args: &[&str]) -> String {
    create(dsx, &[&DEMO, args].concat())
}

fn shell(dsx: &Dsx<'_>, args: &[&str]) -> String {
    let program = format!("DSX={}", dsx.program().display());
    let given = ["--env", &program, "--env", "PS1=$ ", "--cols", "400"];
    create(dsx, &[&given, args, &["--", "bash", "--norc", "--noprofile"]].concat())
}

/// The ids that a list prints, in order of their names.
fn listed(dsx: &Dsx<'_>, args: &[&str]) -> Vec<String> {
    let list = dsx.json([&["list"], args].concat());
    let mut ids: Vec<String> =
        list.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
    ids.sort();
    ids
}

#[test]
fn terms_are_kept_and_shown() {
    let home = Home::new();
    let dsx = dsx(&home);
    let created = dsx.json([
        "create",
        "--group",
        "ci",
        "--label",
        "task=auth",
        "--label",
        "run=7",
        "--on-prompt",
        "deny",
        "--may-respond",
        "--ttl",
        "2h",
        "--",
        "cat",
    ]);
    for shown in [&created, &dsx.json(["list"])[0]] {
        assert_eq!(shown["labels"], json!({ "task": "auth", "run": "7" }));
        assert_eq!(shown["group"], "ci");
        assert_eq!(shown["on_prompt"], "deny");
        assert_eq!(shown["may_respond"], true);
        assert_eq!(shown["ttl_ms"], 7_200_000);
        assert_eq!((&shown["name"], &shown["from"]), (&Value::Null, &Value::Null));
    }
    let plain = dsx.json(["create", "--", "cat"]);
    assert_eq!((&plain["labels"], &plain["on_prompt"]), (&json!({}), &json!("ask")));
    assert_eq!((&plain["may_respond"], &plain["ttl_ms"]), (&json!(false), &Value::Null));
    // They outlive the supervisor.
    dsx.run(["supervisor", "restart"]).expect_code(0);
    let all = dsx.json(["list"]);
    let same = all.as_array().unwrap().iter().find(|s| s["id"] == created["id"]).unwrap();
    assert_eq!((&same["labels"], &same["ttl_ms"]), (&created["labels"], &created["ttl_ms"]));
}

#[test]
fn terms_that_make_no_sense_start_nothing() {
    let home = Home::new();
    let dsx = dsx(&home);
    let wrong: [&[&str]; 9] = [
        &["--label", "noequals"],
        &["--label", "a b=c"],
        &["--label", "=c"],
        &["--label", "a=1", "--label", "a=2"],
        &["--on-prompt", "maybe"],
        &["--ttl", "7"],
        &["--ttl", "0s"],
        &["--ttl", "-1s"],
        &["--group", ""],
    ];
    for args in wrong {
        let told = dsx.run([&["create"], args, &["--json", "--", "cat"]].concat());
        assert_eq!(told.code, 2, "{args:?}: {told:?}");
        error(&told);
    }
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn a_session_may_not_let_another_answer_prompts() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = shell(&dsx, &["--group", "g"]);
    let told = answer(&dsx, &id, "$DSX create -q --may-respond -- cat; echo code $?");
    assert!(told.contains("may not say that a session may answer prompts"), "{told}");
    assert!(told.ends_with("code 7"), "{told}");
    assert_eq!(listed(&dsx, &["-a"]), [id.as_str()]);
    assert_eq!(answer(&dsx, &id, "echo $DSX_GROUP"), "g");
    // The group is this session's own, not what those inside it are in.
    let inner = answer(&dsx, &id, "$DSX create -q -- bash --norc --noprofile");
    assert_eq!(answer(&dsx, &inner, "echo \"<$DSX_GROUP>\""), "<>");
}

#[test]
fn list_shows_what_is_selected() {
    let home = Home::new();
    let dsx = dsx(&home);
    let one = create(&dsx, &["--group", "g", "--label", "a=1", "--", "cat"]);
    let two = create(&dsx, &["--group", "g", "--label", "a=1", "--label", "b=2", "--", "cat"]);
    let three = create(&dsx, &["--group", "h", "--label", "b=2", "--", "cat"]);
    assert_eq!(listed(&dsx, &["--group", "g"]), sorted(&[&one, &two]));
    assert_eq!(listed(&dsx, &["--label", "b=2"]), sorted(&[&two, &three]));
    assert_eq!(listed(&dsx, &["--label", "b=2", "--label", "a=1"]), [two.as_str()]);
    assert_eq!(listed(&dsx, &["--group", "h", "--label", "b=2"]), [three.as_str()]);
    let none = dsx.run(["list", "--json", "--group", "h", "--label", "a=1"]).expect_code(3);
    assert_eq!(none.line(), "[]");
    let told = error(&none);
    assert_eq!(told["kind"], "no_session");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("'h'") && message.contains("a=1"), "{message}");
    dsx.run(["keys", &three, "C-d"]).expect_code(0);
    dsx.run(["wait", &three, "--until", "exited"]).expect_code(0);
    dsx.run(["list", "--group", "h"]).expect_code(3);
    assert_eq!(listed(&dsx, &["-a", "--group", "h"]), [three]);
}

#[test]
fn one_message_goes_to_each_of_a_group() {
    let home = Home::new();
    let dsx = dsx(&home);
    let mut ids = [demo(&dsx, &["--group", "g"]), demo(&dsx, &["--group", "g", "--label", "a=1"])];
    ids.sort();
    let outsider = demo(&dsx, &[]);
    let sent = dsx.run(["send", "--group", "g", "say to all"]).expect_code(0);
    let lines: Vec<&str> = sent.stdout.lines().collect();
    assert_eq!(lines, ids.iter().map(|id| format!("{id} t1 submitted")).collect::<Vec<_>>());
    for id in &ids {
        dsx.run(["wait", id, "--timeout", "50"]).expect_code(0);
        assert_eq!(last(&dsx, id), "to all");
    }
    dsx.run(["last-message", &outsider]).expect_code(1);
    // A repeat of the whole is a repeat in each.
    for _ in 0..2 {
        let sent = dsx.run(["send", "--json", "--key", "k", "--group", "g", "say once"]).expect_code(0);
        let turns: Vec<Value> = sent.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(turns.len(), 2);
        for (told, id) in turns.iter().zip(&ids) {
            assert_eq!((&told["session"], &told["turn"]), (&json!(id), &json!("t2")));
        }
    }
    // One that is selected alone has its line with its id as well.
    let sent = dsx.run(["send", "--label", "a=1", "say one"]).expect_code(0);
    assert!(sent.line().contains(" t3 "), "{sent:?}");
    let none = dsx.run(["send", "--json", "--group", "nobody", "say x"]).expect_code(3);
    assert!(error(&none)["message"].as_str().unwrap().contains("'nobody'"));
    assert_eq!(none.stdout, "");
    dsx.run(["send", "--group", "g", "two", "words"]).expect_code(2);
    dsx.run(["send", "--group", "g"]).expect_code(2);
    dsx.run(["send"]).expect_code(2);
}

#[test]
fn the_first_failure_in_order_is_the_exit_code() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (asks, free) = (demo(&dsx, &["--group", "g"]), demo(&dsx, &["--group", "g"]));
    dsx.run(["send", &asks, "ask Which? | A | B"]).expect_code(0);
    dsx.run(["wait", &asks, "--timeout", "50"]).expect_code(4);
    let sent = dsx.run(["send", "--group", "g", "--json", "say x"]).expect_code(4);
    assert_eq!(error(&sent)["session"], asks.as_str());
    let told: Value = serde_json::from_str(sent.line()).unwrap();
    assert_eq!(told["session"], free.as_str());
    dsx.run(["wait", &free, "--timeout", "50"]).expect_code(0);
}

#[test]
fn kill_takes_what_is_selected_and_nothing_else() {
    let home = Home::new();
    let dsx = dsx(&home);
    let kept = create(&dsx, &["--label", "a=2", "--", "cat"]);
    let ours = create(&dsx, &["--group", "g", "--label", "a=1", "--", "cat"]);
    let exited = create(&dsx, &["--group", "g", "--", "true"]);
    dsx.run(["wait", &exited, "--until", "exited"]).expect_code(0);
    let none = dsx.run(["kill", "--group", "x", "--label", "a=1"]).expect_code(3);
    assert!(none.stderr.contains("'x'") && none.stderr.contains("a=1") && none.stdout.is_empty(), "{none:?}");
    dsx.run(["kill", &kept, "--group", "g"]).expect_code(2);
    dsx.run(["kill"]).expect_code(2);
    dsx.run(["kill", "--label", "a=1"]).expect_code(0);
    assert_eq!(listed(&dsx, &["-a"]), sorted(&[&kept, &exited]));
    drop(ours);
    dsx.run(["kill", "--all", "--group", "g"]).expect_code(0);
    assert_eq!(listed(&dsx, &["-a"]), [kept]);
}

#[test]
fn only_what_is_old_is_killed() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (busy, idle) = (demo(&dsx, &[]), demo(&dsx, &["--group", "g"]));
    let exited = create(&dsx, &["--", "true"]);
    dsx.run(["wait", &exited, "--until", "exited"]).expect_code(0);
    for args in [
        &["--older-than", "7d"][..],
        &["--older-than", "1h", "--group", "g"],
        &["--older-than", "1h", "--all"],
    ] {
        let told = dsx.run([&["kill"], args].concat()).expect_code(0);
        assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("", ""));
    }
    dsx.run(["kill", "--older-than", "1h", "--group", "x"]).expect_code(3);
    dsx.run(["kill", "--older-than", "soon"]).expect_code(2);
    assert_eq!(listed(&dsx, &["-a"]).len(), 3);
    // Works for as long as this test: it is in use, however old.
    dsx.run(["send", &busy, "slow 600 x"]).expect_code(0);
    let began = std::time::Instant::now();
    dsx.run(["wait", &busy, "--timeout", "2.1"]).expect_code(124);
    assert!(began.elapsed().as_secs() >= 2);
    dsx.run(["kill", "--older-than", "1s", "--group", "g"]).expect_code(0);
    assert_eq!(listed(&dsx, &["-a"]), sorted(&[&busy, &exited]));
    drop(idle);
    dsx.run(["kill", "--older-than", "1s"]).expect_code(0);
    assert_eq!(listed(&dsx, &["-a"]), [busy]);
}

#[test]
fn a_session_reaches_what_it_may_drive_and_never_itself() {
    let home = Home::new();
    let dsx = dsx(&home);
    let outside = create(&dsx, &["--group", "g", "--", "cat"]);
    let outer = shell(&dsx, &["--group", "g"]);
    let inner = answer(&dsx, &outer, "$DSX create -q --group g -- cat");
    assert_eq!(answer(&dsx, &outer, "$DSX send --group g hello"), format!("{inner} t1 submitted"));
    assert_eq!(answer(&dsx, &outer, "$DSX kill --group g; echo code $?"), "code 0");
    assert_eq!(listed(&dsx, &["-a"]), sorted(&[&outside, &outer]));
    let told = answer(&dsx, &outer, "$DSX kill --all; echo code $?; $DSX kill --group g; echo code $?");
    assert!(told.starts_with("code 0\n") && told.ends_with("code 3"), "{told}");
    assert_eq!(listed(&dsx, &["-a"]), sorted(&[&outside, &outer]));
}

#[test]
fn a_name_is_as_good_as_an_id() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (id, other) = (demo(&dsx, &[]), create(&dsx, &["--", "cat"]));
    dsx.run(["rename", &id, "reviewer"]).expect_code(0);
    assert_eq!(answer(&dsx, "reviewer", "say hi"), "hi");
    assert_eq!(dsx.json(["status", "reviewer"])["session"], id.as_str());
    let table = dsx.run(["list"]).expect_code(0).stdout;
    assert!(table.lines().next().unwrap().contains("NAME") && table.contains("reviewer"), "{table}");
    // Exactly, and nobody else's.
    dsx.run(["status", "review"]).expect_code(3);
    let taken = dsx.run(["rename", "--json", &other, "reviewer"]).expect_code(7);
    assert!(error(&taken)["message"].as_str().unwrap().contains(&id), "{taken:?}");
    dsx.run(["rename", &id, "reviewer"]).expect_code(0);
    // It outlives the supervisor, and so does that it is taken.
    dsx.run(["supervisor", "restart"]).expect_code(0);
    assert_eq!(dsx.json(["status", "reviewer"])["session"], id.as_str());
    dsx.run(["rename", &other, "reviewer"]).expect_code(7);
    // What could be an id is no name.
    let champion = other.split('-').next().unwrap();
    for bad in [&other, champion, "fizz-top-3", "Upper", "a b", "-x", "@last"] {
        let told = dsx.run(["rename", "--json", &id, "--", bad]);
        assert_eq!(told.code, 2, "{bad}: {told:?}");
    }
    dsx.run(["rename", "nobody-here", "x1"]).expect_code(3);
    dsx.run(["rename", "reviewer", ""]).expect_code(0);
    dsx.run(["status", "reviewer"]).expect_code(3);
    dsx.run(["rename", &other, "reviewer"]).expect_code(0);
    // A name is free again once its session is gone.
    dsx.run(["kill", "reviewer"]).expect_code(0);
    dsx.run(["rename", &id, "reviewer"]).expect_code(0);
}

#[test]
fn what_a_session_is_for_can_be_said_later() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["-d", "first", "--", "cat"]);
    let shown = || dsx.json(["list"])[0]["description"].clone();
    assert_eq!(shown(), "first");
    dsx.run(["describe", &id, "second\nline"]).expect_code(0);
    assert_eq!(shown(), "second\nline");
    assert!(dsx.run(["list"]).expect_code(0).stdout.lines().count() == 2);
    dsx.run(["supervisor", "restart"]).expect_code(0);
    assert_eq!(shown(), "second\nline");
    let long = "x".repeat(5_000);
    dsx.run(["describe", &id, &long]).expect_code(2);
    dsx.run(["describe", &id, ""]).expect_code(0);
    assert_eq!(shown(), Value::Null);
    dsx.run(["describe", "nobody-here", "x"]).expect_code(3);
}

#[test]
fn a_file_to_a_group_is_each_ones_own() {
    let home = Home::new();
    let dsx = dsx(&home);
    let ids = [demo(&dsx, &["--group", "g"]), demo(&dsx, &["--group", "g"])];
    let file = home.project().join("task.md");
    fs::write(&file, "say {{session}} {{turn}} {{cwd}} {{group}} \\{{turn}} {{ code: 1 }}").unwrap();
    let file = file.to_str().unwrap();
    dsx.run(["send", "--group", "g", "--file", file]).expect_code(0);
    let cwd = home.project().canonicalize().unwrap();
    for id in &ids {
        dsx.run(["wait", id, "--timeout", "50"]).expect_code(0);
        assert_eq!(last(&dsx, id), format!("{id} t1 {} g {{{{turn}}}} {{{{ code: 1 }}}}", cwd.display()));
    }
    dsx.run(["send", "--group", "g", "--file", file, "words"]).expect_code(2);
}
