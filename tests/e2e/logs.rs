//! What was said in a session, by role, and its output as it comes.

use std::path::Path;

use dsx_tests::crash::kill_supervisor;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::lines::Lines;
use serde_json::Value;

use crate::job::{answer, create, dsx, eventually, fifo, heard, with_each_claude};

const DEMO: [&str; 2] = ["--cli", "demo"];

fn entries(dsx: &Dsx<'_>, args: &[&str]) -> Vec<Value> {
    let said = dsx.run(["logs", "--json"].iter().chain(args)).expect_code(0);
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Turn, role and text of each.
fn told(entries: &[Value]) -> Vec<(&str, &str, &str)> {
    let one = |e: &'_ Value| assert!(e["at"].as_str().unwrap().starts_with("20"), "{e}");
    entries.iter().for_each(one);
    let text = |e, field: &str| -> &str { Value::get(e, field).and_then(Value::as_str).unwrap_or_default() };
    entries.iter().map(|e| (text(e, "turn"), text(e, "role"), text(e, "text"))).collect()
}

#[test]
fn every_turn_is_told_by_role_also_after_the_end() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    assert_eq!(dsx.run(["logs", &id]).expect_code(0).stdout, "");
    answer(&dsx, &id, "say well");
    dsx.run(["ask", &id, "fail x"]).expect_code(5);
    answer(&dsx, &id, "say well");
    dsx.run(["send", &id, "crash"]);
    dsx.run(["wait", &id, "--until", "exited"]).expect_code(0);
    let text = dsx.run(["logs", &id]).expect_code(0).stdout;
    let expected = "[t1] > say well\nwell\n\n[t2] > fail x\n(! x\n\n[t3] > say well\nwell\n\n[t4] > crash\n";
    assert_eq!(text, expected);
    let all = entries(&dsx, &[&id]);
    let expected = [
        ("t1", "user", "say well"),
        ("t1", "assistant", "well"),
        ("t2", "user", "fail x"),
        ("t2", "note", "x"),
        ("t3", "user", "say well"),
        ("t3", "assistant", "well"),
        ("t4", "user", "crash"),
    ];
    assert_eq!(told(&all), expected);
    for field in ["cursor", "at", "session", "role", "turn", "tool", "text", "error"] {
        assert!(all[0].get(field).is_some(), "{field} is missing: {}", all[0]);
    }
    assert!(all[3]["error"] == true && all[0]["error"] == false);
    assert_eq!(entries(&dsx, &[&id, "--tail", "3"]), all[4..]);
    assert_eq!(entries(&dsx, &[&id, "--tail", "0"]), all[7..]);
    assert_eq!(entries(&dsx, &[&id, "--tail", "99"]), all);
    // It ends with the session.
    assert_eq!(entries(&dsx, &[&id, "-f"]), all);
    dsx.run(["logs", &id, "--raw", "--tail", "3"]).expect_code(2);
    dsx.run(["logs", &id, "--tail", "few"]).expect_code(2);
    dsx.run(["logs", "nobody-here", "-f"]).expect_code(3);
    dsx.run(["logs", "nobody-here", "-f", "--raw"]).expect_code(3);
}

#[test]
fn a_command_tells_its_turns() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc"]);
    let (begun, go) = (fifo(&home, "begun"), fifo(&home, "go"));
    assert_eq!(answer(&dsx, &id, "echo one; echo two"), "one\ntwo");
    let mut following = Lines::of(dsx.call(["logs", "-f", "--json", &id]));
    assert_eq!(told(&[following.json(), following.json()])[1], ("t1", "assistant", "one\ntwo"));
    dsx.run(["send", &id, "echo x > begun; cat go"]).expect_code(0);
    heard(&begun);
    dsx.run(["send", &id, "echo third"]).expect_code(0);
    kill_supervisor(&dsx);
    std::fs::write(&go, "now\n").unwrap();
    dsx.run(["wait", &id]).expect_code(0);
    dsx.run(["send", &id, "exit 3"]).expect_code(0);
    let mut rest = Vec::new();
    while let Some(line) = following.next_line() {
        rest.push(serde_json::from_str(&line).unwrap());
    }
    let expected = [
        ("t2", "user", "echo x > begun; cat go"),
        ("t2", "assistant", "now"),
        ("t3", "user", "echo third"),
        ("t3", "assistant", "third"),
        ("t4", "user", "exit 3"),
    ];
    let seen = told(&rest);
    assert_eq!(seen[..5], expected);
    assert_eq!((seen.last().unwrap().1, seen.last().unwrap().2), ("note", "exited"));
    assert_eq!(following.code(), Some(0));
    assert_eq!(entries(&dsx, &[&id])[2..], rest);
}

#[test]
fn a_reader_misses_nothing_and_reads_nothing_twice_over_supervisors_that_are_killed() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    answer(&dsx, &id, "say before");
    let mut all = Lines::of(dsx.call(["logs", "-f", "--json", &id]));
    let mut last = Lines::of(dsx.call(["logs", "-f", "--json", "--tail", "1", &id]));
    assert_eq!(all.json()["text"], "say before");
    assert_eq!(last.json()["text"], "before");
    for n in 0..4 {
        dsx.run(["send", &id, &format!("slow 1 answer {n}")]).expect_code(0);
        kill_supervisor(&dsx);
        dsx.run(["wait", &id]).expect_code(0);
    }
    dsx.run(["kill", &id]).expect_code(0);
    let texts = |lines: &mut Lines| {
        let mut texts = Vec::new();
        while let Some(line) = lines.next_line() {
            texts.push(serde_json::from_str::<Value>(&line).unwrap()["text"].as_str().unwrap().to_owned());
        }
        texts
    };
    let mut expected: Vec<String> =
        (0..4).flat_map(|n| [format!("slow 1 answer {n}"), format!("answer {n}")]).collect();
    assert_eq!(texts(&mut last), expected);
    expected.insert(0, "before".to_owned());
    assert_eq!(texts(&mut all), expected);
    assert_eq!((all.code(), last.code()), (Some(0), Some(0)));
}

#[test]
fn the_output_is_followed_byte_for_byte() {
    let home = Home::new();
    let dsx = dsx(&home);
    let filler = "x".repeat(60);
    let script = format!("stty -echo; echo ready; while read n; do seq -f '%06.0f {filler}' $n; done");
    let id = create(&dsx, &["--", "sh", "-c", &script]);
    let mut following = Lines::of(dsx.call(["logs", "--raw", "-f", &id]));
    assert_eq!(following.next_line().unwrap().trim_end(), "ready");
    for round in 0..3 {
        // More than what may wait for a client.
        dsx.run(["keys", &id, "30000", "Enter"]).expect_code(0);
        if round == 1 {
            kill_supervisor(&dsx);
        }
        for n in 1..=30_000 {
            let line = following.next_line().unwrap();
            assert_eq!(line.trim_end(), format!("{n:06} {filler}"), "round {round}");
        }
    }
    dsx.run(["keys", &id, "C-d"]).expect_code(0);
    assert_eq!(following.code(), Some(0));
}

/// Two commands, the second of which failed, and a file.
fn assert_tools(all: &[Value], file: &Path) {
    let tools: Vec<_> = all.iter().filter(|e| !e["tool"].is_null()).cloned().collect();
    let seen: Vec<_> = tools
        .iter()
        .map(|e| (e["tool"].as_str().unwrap(), e["role"].as_str().unwrap(), e["error"] == true))
        .collect();
    let expected = [
        ("Bash", "tool", false),
        ("Bash", "result", false),
        ("Bash", "tool", false),
        ("Bash", "result", true),
        ("Write", "tool", false),
        ("Write", "result", false),
    ];
    assert_eq!(seen, expected);
    assert_eq!((&tools[0]["text"], &tools[1]["text"]), (&"echo hi; echo there".into(), &"hi\nthere".into()));
    assert_eq!(tools[4]["text"], file.to_str().unwrap());
    let turns: Vec<&str> = tools.iter().map(|e| e["turn"].as_str().unwrap()).collect();
    assert_eq!(turns, ["t1", "t1", "t2", "t2", "t3", "t3"]);
}

#[test]
fn the_real_claude_tells_its_tools() {
    with_each_claude("the_real_claude_tells_its_tools", |dsx, _| {
        let id = create(dsx, &["--cli", "claude"]);
        let mut following = Lines::of(dsx.call(["logs", "-f", "--json", &id]));
        let file = dsx.home().project().join("x.txt");
        let write = format!("tool write {} some text", file.display());
        answer(dsx, &id, "tool bash echo hi; echo there");
        answer(dsx, &id, "tool bash echo no >&2; exit 3");
        answer(dsx, &id, &write);
        dsx.run(["send", "--command", &id, "/clear"]).expect_code(0);
        dsx.run(["wait", &id]);
        // The same text as before, in another conversation.
        answer(dsx, &id, "say after");
        kill_supervisor(dsx);
        answer(dsx, &id, "say after");
        let written = |e: &[Value]| e.iter().filter(|e| e["text"] == "after").count() == 2;
        // The transcript is written after the turn has ended.
        let mut all = Vec::new();
        eventually(dsx, &id, || {
            all = entries(dsx, &[&id]);
            written(&all)
        });
        assert_tools(&all, &file);
        let seen = told(&all);
        assert_eq!(seen[0], ("t1", "user", "tool bash echo hi; echo there"));
        assert!(seen.iter().any(|(_, role, text)| (*role, *text) == ("user", "/clear")), "{seen:?}");
        let after: Vec<&str> =
            seen.iter().filter(|(.., text)| *text == "after").map(|(turn, ..)| *turn).collect();
        assert!(after.len() == 2 && after[0] < after[1], "{after:?}");
        let people = dsx.run(["logs", &id]).expect_code(0).stdout;
        for line in
            ["* Bash: echo hi; echo there", "  | there", "  ! no", "[t2] > tool bash echo no >&2; exit 3"]
        {
            assert!(people.lines().any(|l| l == line), "{line} is missing: {people}");
        }
        dsx.run(["kill", &id]).expect_code(0);
        let mut followed = Vec::new();
        while let Some(line) = following.next_line() {
            followed.push(serde_json::from_str::<Value>(&line).unwrap());
        }
        // A turn may be known later than what was said in it.
        let without = |entries: &[Value]| -> Vec<Value> {
            let bare = |e: &Value| serde_json::json!([e["cursor"], e["role"], e["text"], e["tool"]]);
            entries.iter().map(bare).collect()
        };
        assert_eq!(without(&followed[..all.len()]), without(&all));
    });
}

#[test]
fn what_is_too_long_for_a_frame_is_cut_and_says_so() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc"]);
    dsx.run(["send", &id, "head -c 900000 /dev/zero | tr '\\0' x; echo"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(0);
    answer(&dsx, &id, "echo small");
    let all = entries(&dsx, &[&id]);
    let seen = told(&all);
    assert_eq!((seen.len(), seen[3]), (4, ("t2", "assistant", "small")));
    assert!(seen[1].2.ends_with(" bytes more]"), "{}", seen[1].2.len());
    dsx.run(["events", "--json", &id]).expect_code(0);
}
