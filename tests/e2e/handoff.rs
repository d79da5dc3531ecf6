//! The work of one session goes on in another.

use std::fs;
use std::path::PathBuf;

use dsx_tests::agents::CLAUDE;
use dsx_tests::home::Home;
use serde_json::{Value, json};

use crate::job::{answer, create, dsx, error, last, with_claude};

fn task(home: &Home, name: &str, text: impl AsRef<[u8]>) -> String {
    let file: PathBuf = home.project().join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_new_session_is_like_the_old_one() {
    let home = Home::new();
    let dsx = dsx(&home);
    let dir = home.project().join("sub");
    fs::create_dir(&dir).unwrap();
    let from = create(
        &dsx,
        &[
            "--cli",
            "demo",
            "--path",
            "sub",
            "--mode",
            "ask",
            "--group",
            "g",
            "--label",
            "a=1",
            "--ttl",
            "2h",
            "-d",
            "the first",
        ],
    );
    let file = task(&home, "next.md", "say {{session}} {{turn}} {{cwd}} {{group}}");
    let to = dsx.run(["handoff", &from, "--to", "new", "--file", &file]).expect_code(0).line().to_owned();
    assert_ne!(to, from);
    dsx.run(["wait", &to, "--timeout", "50"]).expect_code(0);
    assert_eq!(last(&dsx, &to), format!("{to} t1 {} g", dir.canonicalize().unwrap().display()));
    let all = dsx.json(["list"]);
    let shown = |id: &str| all.as_array().unwrap().iter().find(|s| s["id"] == id).unwrap().clone();
    let (old, new) = (shown(&from), shown(&to));
    for field in ["cli", "path", "mode", "group", "labels", "ttl_ms", "creator"] {
        assert_eq!(old[field], new[field], "{field}");
    }
    assert_eq!((&old["description"], &old["turn"]), (&json!("the first"), &Value::Null));
    assert_eq!(
        (&new["description"], &new["from"]),
        (&json!(format!("handed over from {from}")), &json!(from))
    );
}

#[test]
fn another_session_takes_over() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (from, to) = (create(&dsx, &["--", "cat"]), create(&dsx, &["--cli", "demo"]));
    let file = task(&home, "next.md", "say go on, {{session}}\n");
    let told = dsx.json(["handoff", &from, "--to", &to, "--file", &file]);
    assert_eq!(told, json!({ "from": from, "to": to, "turn": "t1" }));
    dsx.run(["wait", &to, "--timeout", "50"]).expect_code(0);
    assert_eq!(last(&dsx, &to), format!("go on, {to}"));
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_command_is_started_again() {
    let home = Home::new();
    let dsx = dsx(&home);
    let from = create(&dsx, &["--group", "g", "--", "bash", "--norc", "--noprofile"]);
    let file = task(&home, "next.sh", "echo $((6 * 7)) $DSX_GROUP");
    let told = dsx.json(["handoff", &from, "--to", "new", "-d", "second", "--file", &file]);
    let to = told["to"].as_str().unwrap();
    dsx.run(["wait", to, "--timeout", "50"]).expect_code(0);
    assert_eq!(last(&dsx, to), "42 g");
    let all = dsx.json(["list"]);
    assert!(all.as_array().unwrap().iter().any(|s| s["id"] == to && s["description"] == "second"), "{all}");
}

#[test]
fn a_session_hands_its_own_work_over() {
    let home = Home::new();
    let dsx = dsx(&home);
    let program = format!("DSX={}", dsx.program().display());
    let from = create(&dsx, &["--env", &program, "--", "bash", "--norc", "--noprofile"]);
    task(&home, "next.sh", "echo I am $DSX_SESSION");
    let to = answer(&dsx, &from, "$DSX handoff @self --to new --file next.sh");
    dsx.run(["wait", &to, "--timeout", "50"]).expect_code(0);
    assert_eq!(last(&dsx, &to), format!("I am {to}"));
}

#[test]
fn claude_hands_over_to_claude() {
    with_claude(CLAUDE, "claude_hands_over_to_claude", |dsx, server| {
        let from = create(dsx, &["--cli", "claude", "--model", "opus", "--group", "g"]);
        answer(dsx, &from, "hello");
        let file = task(dsx.home(), "next.md", "go on as {{session}} in {{group}}\n");
        let to = dsx.run(["handoff", &from, "--to", "new", "--file", &file]).expect_code(0).line().to_owned();
        dsx.run(["wait", &to, "--timeout", "50"]).expect_code(0);
        let asked = server.turn(&format!("go on as {to} in g"));
        let model = |request: &dsx_tests::model_server::Request| request.body["model"].clone();
        assert_eq!(model(&asked), model(&server.turn("hello")));
    });
}

#[test]
fn bad_input_starts_and_sends_nothing() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (from, to) = (create(&dsx, &["--cli", "demo"]), create(&dsx, &["--cli", "demo"]));
    let good = task(&home, "good.md", "say x");
    let (latin, unknown) =
        (task(&home, "latin.md", b"say \xe9"), task(&home, "unknown.md", "say {{sesion}}"));
    let empty = task(&home, "empty.md", "");
    let cases: [(&str, &str, &str, i32, &str); 9] = [
        ("nobody-here", "new", &good, 3, "nobody-here"),
        (&from, "nobody-here", &good, 3, "nobody-here"),
        (&from, "new", "missing.md", 1, "missing.md"),
        (&from, "new", &latin, 1, "not UTF-8"),
        (&from, &from, &good, 2, "itself"),
        (&from, "new", &unknown, 2, "{{sesion}}"),
        (&from, &to, &unknown, 2, "{{sesion}}"),
        (&from, "new", &empty, 2, "empty"),
        (&from, "", &good, 2, "empty"),
    ];
    for (from, to, file, code, named) in cases {
        let told = dsx.run(["handoff", "--json", from, "--to", to, "--file", file]);
        assert_eq!(told.code, code, "{to} {file}: {told:?}");
        let message = error(&told)["message"].as_str().unwrap().to_owned();
        assert!(message.contains(named), "{message}");
        let gave_up = to == "new" && (file == unknown || file == empty);
        assert_eq!(message.contains("was removed again"), gave_up, "{message}");
    }
    dsx.run(["handoff", &from, "--to", &to, "--file", &good, "-d", "x"]).expect_code(2);
    let all = dsx.json(["list", "-a"]);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert!(all.as_array().unwrap().iter().all(|s| s["turn"].is_null()), "{all}");
}

#[test]
fn variables_are_of_files_alone() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    assert_eq!(answer(&dsx, &id, "say {{turn}} {{nothing}}"), "{{turn}} {{nothing}}");
    let file = task(&home, "task.md", "say {{turn}}");
    assert_eq!(dsx.run(["run", "--cli", "demo", "--file", &file]).expect_code(0).line(), "t1");
    assert_eq!(dsx.run(["ask", &id, "--file", &file]).expect_code(0).line(), "t2");
    // A repeat has the first one's turn in it, whatever would be next.
    dsx.run(["send", &id, "--key", "k", "--file", &file]).expect_code(0);
    dsx.run(["send", &id, "--key", "k", "--file", &file]).expect_code(0);
    dsx.run(["wait", &id, "--timeout", "50"]).expect_code(0);
    assert_eq!(last(&dsx, &id), "t3");
    let bad = task(&home, "bad.md", "say {{turn}} {{wher}}");
    let told = dsx.run(["send", &id, "--json", "--file", &bad]).expect_code(2);
    let told = error(&told);
    assert!(told["message"].as_str().unwrap().contains("{{wher}}"), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("{{session}}"), "{told}");
    dsx.run(["run", "--cli", "demo", "--file", &bad]).expect_code(2);
    assert_eq!(dsx.json(["list", "-a"]).as_array().unwrap().len(), 1);
    assert_eq!(dsx.json(["status", &id])["status"], "idle");
}
