//! What reaches the user: tables that fit, colours only on a terminal, and nothing of what an agent printed
//! that could act on it.

use std::fs;

use dsx_tests::DEADLINE;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::pty::{PtyCommand, Terminal};

use crate::job::{create, dsx, eventually, fifo, heard, screen, shell};

/// Sets a title and a colour, asks the terminal something, hides text, reorders it, beeps.
const HOSTILE: &str = "\u{1b}]0;EVIL TITLE\u{7}\u{1b}[31mred\u{1b}[0m \u{1b}[c\u{1b}]52;c;ZXZpbA==\u{7}a\u{202e}b\
                       \u{200b}c\u{7}\u{9b}31m d";

/// A session that has printed all of that and waits.
fn hostile(home: &Home, dsx: &Dsx<'_>) -> String {
    fs::write(home.project().join("hostile"), HOSTILE).unwrap();
    let done = fifo(home, "done");
    let say = "stty -echo; cat hostile; echo; echo x > done; while read -r x; do cat hostile; echo; done";
    let id = create(
        dsx,
        &[
            "-d",
            HOSTILE,
            "--label",
            &format!("x={}", HOSTILE.replace(char::is_control, "?")),
            "--",
            "sh",
            "-c",
            say,
        ],
    );
    heard(&done);
    // It has printed; the supervisor may be about to read it.
    eventually(dsx, &id, || screen(dsx, &id).contains("red "));
    id
}

/// Runs a verb in a terminal; returns its raw output and its exit code.
fn in_terminal(
    dsx: &Dsx<'_>,
    args: &[&str],
    rows: u16,
    cols: u16,
    change: &[(&str, Option<&str>)],
) -> (String, u32) {
    let mut command = PtyCommand::new(dsx.home(), dsx.program(), args);
    (command.rows, command.cols, command.terminal) = (rows, cols, Terminal::Silent);
    for (name, value) in change {
        command.env.retain(|(n, _)| n != name);
        command.env.extend(value.map(|v| (name.into(), v.into())));
    }
    let pty = command.spawn();
    let code = pty.wait_exit(DEADLINE);
    pty.wait(DEADLINE, |seen| seen.ended.then_some(()));
    (pty.look(|seen| String::from_utf8_lossy(&seen.bytes).into_owned()), code)
}

/// Nothing in it acts on a terminal, other than dsx's own colours.
fn assert_harmless(what: &str, text: &str) {
    let mut plain = text.to_owned();
    for code in ["0", "1", "2", "31", "32", "33", "34", "35", "36"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{200b}' | '\u{202e}')
    };
    assert!(!plain.contains(bad), "{what}: {text:?}");
    assert!(!text.contains("\u{1b}[31m"), "{what} is in the agent's colour: {text:?}");
}

#[test]
fn nothing_of_an_agent_acts_on_the_terminal() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = hostile(&home, &dsx);
    dsx.run(["send", &id, "again"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(0);
    let asking = create(&dsx, &["--cli", "demo"]);
    dsx.call(["send", &asking, "-"]).stdin(format!("ask {HOSTILE}? | {HOSTILE}")).run();
    dsx.run(["wait", &asking]);
    let all: [&[&str]; 16] = [
        &["list"],
        &["list", "--json"],
        &["screen", &id],
        &["screen", &id, "--json"],
        &["screen", &id, "--history", "100"],
        &["explain", &id],
        &["explain", &id, "--json"],
        &["status", &id, "--json"],
        &["wait", &id],
        &["wait", &asking],
        &["wait", &asking, "--json"],
        &["last-message", &id],
        &["last-message", &id, "--json"],
        &["logs", &id],
        &["logs", &id, "--json"],
        &["send", &asking, "more"],
    ];
    for args in all {
        let (text, code) = in_terminal(&dsx, args, 40, 120, &[]);
        assert_harmless(&args.join(" "), &text);
        assert!(code == 0 || code == 4, "{args:?} exited with {code}: {text}");
    }
    // An error names what it was given.
    let (text, code) = in_terminal(&dsx, &["status", "\u{1b}[31mred"], 40, 120, &[]);
    assert_eq!(code, 3);
    assert_harmless("an unknown id", &text);
    // Those that may: the bytes themselves, and the screen with its colours.
    let (text, _) = in_terminal(&dsx, &["logs", &id, "--raw"], 40, 120, &[]);
    assert!(text.contains("\u{1b}]0;EVIL TITLE\u{7}"));
    let (text, _) = in_terminal(&dsx, &["screen", &id, "--ansi"], 40, 120, &[]);
    assert!(text.contains("\u{1b}[0;31mred") && !text.contains("EVIL"), "{text:?}");
}

#[test]
fn the_screens_fields() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = hostile(&home, &dsx);
    let screen = dsx.json(["screen", &id]);
    for field in ["rows", "cols", "cursor", "title", "alternate", "lines"] {
        assert!(!screen[field].is_null(), "{field} is missing: {screen}");
    }
    assert_eq!((&screen["title"], &screen["alternate"]), (&"EVIL TITLE".into(), &false.into()));
    assert!(screen["lines"][0].as_str().unwrap().starts_with("red "), "{screen}");
    let cursor = &screen["cursor"];
    assert_eq!((&cursor["row"], &cursor["col"], &cursor["visible"]), (&1.into(), &0.into(), &true.into()));
    let shown = dsx.run(["screen", &id]).expect_code(0).stdout;
    assert_eq!(shown.lines().count(), 1, "{shown:?}");
    dsx.run(["screen", &id, "--ansi", "--json"]).expect_code(2);
    let counted = fifo(&home, "counted");
    let many = create(&dsx, &["--rows", "5", "--", "sh", "-c", "seq 20; echo x > counted; exec cat"]);
    heard(&counted);
    assert_eq!(crate::job::answer(&dsx, &many, "last"), "last");
    let all = dsx.run(["screen", &many, "--history", "100"]).expect_code(0).stdout;
    let expected: String = (1..=20).map(|n| format!("{n}\n")).collect::<String>() + "last\nlast\n";
    assert_eq!(all, expected);
    let some = dsx.json(["screen", &many, "--history", "3"]);
    assert_eq!(some["history"].as_array().unwrap().len(), 3);
}

#[test]
fn raw_logs_are_byte_exact() {
    let home = Home::new();
    let dsx = dsx(&home);
    let bytes: Vec<u8> =
        (0..100_000_u32).flat_map(|n| format!("{n}\u{1b}[3{}m\r\n", n % 8).into_bytes()).collect();
    let path = home.project().join("bytes");
    fs::write(&path, &bytes).unwrap();
    let id = create(&dsx, &["--", "sh", "-c", "stty -opost; cat bytes"]);
    dsx.run(["wait", &id, "--until", "exited"]).expect_code(0);
    shell(&dsx, &format!("$DSX logs --raw {id} > copy && cmp copy bytes")).run().expect_code(0);
}

#[test]
fn a_table_fits_whatever_the_terminal_is() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(
        &dsx,
        &["-d", "a description that is longer than most terminals are wide, and then some", "--", "cat"],
    );
    for cols in [1, 2, 10, 20, 40, 80, 200] {
        let (text, code) = in_terminal(&dsx, &["list"], 24, cols, &[("NO_COLOR", Some("1"))]);
        assert_eq!(code, 0);
        assert_eq!(text.lines().count(), 2, "{cols}: {text:?}");
        for line in text.lines() {
            assert!(line.trim_end().chars().count() <= usize::from(cols), "{cols}: {line:?}");
        }
    }
    // Elsewhere nothing is cut.
    let piped = dsx.run(["list"]).expect_code(0).stdout;
    assert!(piped.contains("and then some") && piped.contains(&id), "{piped}");
}

#[test]
fn a_terminal_of_one_cell_and_none_with_a_name() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    assert_eq!(crate::job::answer(&dsx, &id, "say hi"), "hi");
    let verbs: [&[&str]; 8] = [
        &["list"],
        &["explain", &id],
        &["screen", &id],
        &["status", &id],
        &["logs", &id],
        &["last-message", &id],
        &["ask", &id, "say hi"],
        &["run", "say hi"],
    ];
    for args in verbs {
        for change in
            [&[][..], &[("TERM", None)], &[("TERM", Some("dumb"))], &[("TERM", None), ("HOME", None)]]
        {
            let (text, code) = in_terminal(&dsx, args, 1, 1, change);
            assert_eq!(code, 0, "{args:?} {change:?}: {text}");
            assert!(change.is_empty() || !text.contains('\u{1b}'), "{args:?} {change:?}: {text:?}");
        }
    }
    // A session of that size works too.
    let tiny = create(&dsx, &["--rows", "1", "--cols", "1", "--", "sh"]);
    dsx.run(["send", &tiny, "echo x"]).expect_code(0);
    dsx.run(["wait", &tiny, "--timeout", "60"]).expect_code(0);
    dsx.run(["screen", &tiny]).expect_code(0);
    let demo = create(&dsx, &["--rows", "1", "--cols", "1", "--cli", "demo"]);
    assert_eq!(crate::job::answer(&dsx, &demo, "say tiny"), "tiny");
}

#[test]
fn colours_are_for_terminals_that_can_and_users_who_want() {
    let home = Home::new();
    let dsx = dsx(&home);
    create(&dsx, &["--", "cat"]);
    let coloured =
        |change: &[(&str, Option<&str>)]| in_terminal(&dsx, &["list"], 24, 80, change).0.contains('\u{1b}');
    assert!(coloured(&[]));
    assert!(!coloured(&[("NO_COLOR", Some("1"))]));
    assert!(!coloured(&[("TERM", Some("dumb"))]));
    assert!(!coloured(&[("TERM", None)]));
    assert!(!dsx.run(["list"]).expect_code(0).stdout.contains('\u{1b}'));
}

#[test]
fn those_that_need_someone_come_first() {
    let home = Home::new();
    let dsx = dsx(&home);
    let asks = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &asks, "ask Which? | a | b"]).expect_code(0);
    dsx.run(["wait", &asks]).expect_code(4);
    let works = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &works, "slow 3600 x"]).expect_code(0);
    let (idle, newer) = (create(&dsx, &["--", "cat"]), create(&dsx, &["--", "cat"]));
    let gone = create(&dsx, &["--", "true"]);
    dsx.run(["wait", &gone, "--until", "exited"]).expect_code(0);
    let ids = |args: &[&str]| -> Vec<String> {
        dsx.json(args).as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["list"]), [&*asks, &newer, &idle, &works]);
    assert_eq!(ids(&["list", "-a"]), [&*asks, &newer, &idle, &works, &gone]);
    let table = dsx.run(["ls", "-a"]).expect_code(0).stdout;
    let rows: Vec<&str> = table.lines().skip(1).map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(rows, [&*asks, &newer, &idle, &works, &gone]);
    assert_eq!(dsx.json(["list"])[0]["prompts"], 1);
}
