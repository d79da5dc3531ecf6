//! Sessions of any command: how its turns end, and what their text is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use dsx_tests::home::Home;

use crate::job::{answer, create, dsx, fifo, heard, last, settled};

const BASH: [&str; 4] = ["--", "bash", "--norc", "--noprofile"];

fn script(home: &Home, name: &str, text: &str) -> String {
    let path = home.project().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn bash_sh_and_cat_answer() {
    let home = Home::new();
    let dsx = dsx(&home);
    let bash = create(&dsx, &BASH);
    assert_eq!(answer(&dsx, &bash, "echo hello"), "hello");
    assert_eq!(answer(&dsx, &bash, "printf 'no newline'"), "no newline");
    assert_eq!(answer(&dsx, &bash, "cd / && pwd"), "/");
    assert_eq!(answer(&dsx, &bash, "true"), "");
    let sh = create(&dsx, &["--", "sh"]);
    assert_eq!(answer(&dsx, &sh, "echo one; echo two"), "one\ntwo");
    let cat = create(&dsx, &["--", "cat"]);
    assert_eq!(answer(&dsx, &cat, "said twice"), "said twice");
    assert_eq!(answer(&dsx, &cat, "  é 漢字 🙂"), "  é 漢字 🙂");
}

#[test]
fn a_repl_answers_from_its_very_start() {
    let home = Home::new();
    let dsx = dsx(&home);
    if !dsx_tests::on_path("python3") {
        return;
    }
    let id = create(&dsx, &["--", "python3", "-q"]);
    assert_eq!(answer(&dsx, &id, "print(6 * 7)"), "42");
    assert_eq!(answer(&dsx, &id, "'x' * 3"), "'xxx'");
    // It computes: its silence is no end.
    let compute = "import time; t = time.monotonic()\nwhile time.monotonic() < t + 2: pass\n\nprint('done')";
    assert!(answer(&dsx, &id, compute).ends_with("done"));
}

#[test]
fn the_receipt_names_its_evidence_and_the_status_its_low_confidence() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    let sent = dsx.json(["send", &id, "sleep 1000"]);
    let expected = serde_json::json!({
        "session": id, "turn": "t1", "delivery": "submitted", "evidence": "the PTY took it", "via": "terminal",
        "interrupted": null,
    });
    assert_eq!(sent, expected);
    let status = dsx.json(["status", &id]);
    assert_eq!((&status["status"], &status["confidence"]), (&"working".into(), &"low".into()));
    assert_eq!(status["turn"], "t1");
    let because = dsx.json(["explain", &id]);
    assert!(because["because"].as_str().unwrap().contains("t1"), "{because}");
    let process = because["signals"].as_array().unwrap().iter().find(|s| s["source"] == "process").unwrap();
    assert!(process["said"].as_str().unwrap().contains("started"), "{because}");
    assert!(process["at"].as_str().unwrap().ends_with('Z') && process["strength"].is_string());
}

/// The silent program is in the foreground: silence is not the end.
#[test]
fn a_silent_program_in_the_foreground_holds_the_turn_open() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    let go = fifo(&home, "go");
    dsx.run(["send", &id, "cat go"]).expect_code(0);
    dsx.run(["wait", &id, "--timeout", "2"]).expect_code(124);
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "working");
    fs::write(&go, "it went\n").unwrap();
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(last(&dsx, &id), "it went");
}

#[test]
fn output_that_goes_on_holds_the_turn_open() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(
        &dsx,
        &[
            "--",
            "sh",
            "-c",
            "while read -r line; do for i in 1 2 3 4; do echo $line $i; sleep 0.3; done; done",
        ],
    );
    assert_eq!(answer(&dsx, &id, "tick"), "tick 1\ntick 2\ntick 3\ntick 4");
}

#[test]
fn many_lines_and_long_lines_come_back_whole() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    let numbers: Vec<String> = (1..=500).map(|n| n.to_string()).collect();
    assert_eq!(answer(&dsx, &id, "seq 500"), numbers.join("\n"));
    // Both the echo and the answer are wider than the terminal.
    let word = "0123456789".repeat(40);
    assert_eq!(answer(&dsx, &id, &format!("echo {word}; echo end")), format!("{word}\nend"));
    assert_eq!(answer(&dsx, &id, "clear; echo cleared"), "cleared");
    assert_eq!(answer(&dsx, &id, "echo a\necho b\necho c"), "a\nb\nc");
}

#[test]
fn a_shell_that_reports_its_commands_ends_at_once() {
    let home = Home::new();
    let dsx = dsx(&home);
    // It never falls silent, and another group than its own is never in the foreground: the mark alone ends it.
    let text = "#!/bin/bash\nwhile read -r line; do\n printf '\\e]133;C\\a'; echo \"did $line\"; \
                printf '\\e]133;D;0\\a'\n while ! read -r -t 0; do printf '\\e]0;tick\\a'; sleep 0.2; done\ndone\n";
    let id = create(&dsx, &["--", &script(&home, "marks", text)]);
    assert_eq!(answer(&dsx, &id, "one"), "did one");
    assert_eq!(answer(&dsx, &id, "two"), "did two");
    let because = dsx.json(["explain", &id]);
    assert!(because["signals"].as_array().unwrap().iter().any(|s| s["source"] == "osc133"), "{because}");
}

#[test]
fn a_program_that_reports_its_status_is_believed() {
    let home = Home::new();
    let dsx = dsx(&home);
    // It says that it works: its silence meanwhile is no end.
    let text = "#!/bin/bash\nwhile read -r line; do\n printf '\\e]7501;state=working\\a'; echo \"did $line\"; \
                sleep 1.5; echo more; printf '\\e]7501;state=error:msg=YnJva2U=\\a'; done\n";
    let id = create(&dsx, &["--", &script(&home, "reports", text)]);
    dsx.run(["send", &id, "x"]).expect_code(0);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(5));
    assert_eq!((&how["outcome"], &how["error"]), (&"failed".into(), &"broke".into()));
    assert_eq!(dsx.run(["last-message", &id, "--turn", "t1"]).expect_code(0).stdout, "did x\nmore\n");
}

#[test]
fn an_exit_tells_its_status_and_the_last_words() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    assert_eq!(answer(&dsx, &id, "echo before"), "before");
    dsx.run(["send", &id, "echo bye; exit 3"]).expect_code(0);
    let ended = dsx.run(["wait", &id, "--json"]).expect_code(6);
    let how = settled(ended);
    assert_eq!(
        (&how["outcome"], &how["exit_code"], &how["turn"]),
        (&"exited".into(), &3.into(), &"t2".into())
    );
    let until = settled(dsx.run(["wait", &id, "--json", "--until", "exited"]).expect_code(0));
    assert_eq!(until["exit_code"], 3);
    let said = dsx.run(["last-message", &id, "--turn", "t2"]).expect_code(0);
    assert!(said.stdout.starts_with("bye\n"), "{said:?}");
    // Without --turn it is the newest that ended.
    assert_eq!(last(&dsx, &id), "before");
    let refused = dsx.run(["send", &id, "more"]).expect_code(6);
    assert!(refused.stderr.contains(&id) && refused.stderr.contains("dsx create"), "{refused:?}");
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "exited");
    dsx.run(["keys", &id, "Enter"]).expect_code(6);
    dsx.run(["interrupt", &id]).expect_code(6);
    assert!(dsx.run(["screen", &id]).expect_code(0).stdout.contains("bye"));
}

#[test]
fn a_death_by_signal_is_an_exit_too() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    dsx.run(["send", &id, "kill -9 $$"]).expect_code(0);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(6));
    assert_eq!(how["exit_code"], 137);
}

#[test]
fn a_program_that_ends_at_once_is_a_session_that_has_exited() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "sh", "-c", "echo words; exit 5"]);
    dsx.run(["wait", &id, "--until", "exited"]).expect_code(0);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(6));
    assert_eq!((&how["exit_code"], &how["turn"]), (&5.into(), &serde_json::Value::Null));
    assert_eq!(dsx.run(["screen", &id]).expect_code(0).line(), "words");
    let listed = dsx.json(["list", "-a"]);
    assert_eq!((&listed[0]["status"], &listed[0]["exit_code"]), (&"exited".into(), &5.into()));
    assert_eq!(listed[0]["pid"], serde_json::Value::Null);
    assert_eq!(dsx.json(["list"]), serde_json::json!([]));
    dsx.run(["last-message", &id]).expect_code(1);
}

#[test]
fn an_interrupted_command_is_5() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    let begun = fifo(&home, "begun");
    dsx.run(["send", &id, "sh -c 'echo x > begun; exec sleep 1000'"]).expect_code(0);
    // One process from then on: between two commands the shell itself would get the key, and go on.
    assert_eq!(heard(&begun), "x\n");
    dsx.run(["interrupt", &id]).expect_code(0);
    let how = settled(dsx.run(["wait", &id, "--json"]).expect_code(5));
    assert_eq!(how["outcome"], "interrupted");
    assert_eq!(answer(&dsx, &id, "echo after"), "after");
    let none = dsx.run(["interrupt", &id]).expect_code(7);
    assert!(none.stderr.contains("no turn is running"), "{none:?}");
}

#[test]
fn sends_queue_behind_the_running_one_and_each_has_its_answer() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &BASH);
    dsx.run(["send", &id, "sleep 1; echo first"]).expect_code(0);
    for n in 2..=4 {
        let sent = dsx.json(["send", &id, &format!("echo number {n}")]);
        assert_eq!((&sent["delivery"], &sent["turn"]), (&"queued".into(), &format!("t{n}").into()));
    }
    dsx.run(["wait", &id]).expect_code(0);
    let all = dsx.json(["last-message", &id, "-n", "9"]);
    let texts: Vec<&str> = all.as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["first", "number 2", "number 3", "number 4"]);
}

#[test]
fn a_message_with_a_control_character_is_refused_for_a_command() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "cat"]);
    let refused = dsx.run(["send", &id, "a\u{1b}[31mb"]).expect_code(2);
    assert!(refused.stderr.contains("control") && refused.stderr.contains("dsx keys"), "{refused:?}");
    assert_eq!(settled(dsx.run(["wait", &id, "--json"]).expect_code(0))["turn"], serde_json::Value::Null);
}

#[test]
fn a_shell_inside_a_wrapper_ends_its_turns_too() {
    let home = Home::new();
    let dsx = dsx(&home);
    // The inner shell has a process group of its own, and takes the terminal for it.
    let ready = fifo(&home, "ready");
    let at_prompt = "PROMPT_COMMAND=unset PROMPT_COMMAND; echo x > ready";
    let id = create(&dsx, &["--env", at_prompt, "--", "sh", "-c", "bash --norc --noprofile; exit 7"]);
    heard(&ready);
    assert_eq!(answer(&dsx, &id, "echo hi"), "hi");
    let go = fifo(&home, "go");
    dsx.run(["send", &id, "cat go"]).expect_code(0);
    dsx.run(["wait", &id, "--timeout", "1.5"]).expect_code(124);
    fs::write(&go, "it went\n").unwrap();
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(last(&dsx, &id), "it went");
    dsx.run(["send", &id, "exit"]).expect_code(0);
    assert_eq!(settled(dsx.run(["wait", &id, "--json"]).expect_code(6))["exit_code"], 7);
}

#[test]
fn a_line_that_the_terminal_would_cut_is_refused() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cols", "1000", "--", "cat"]);
    let fits = "x".repeat(4095);
    assert_eq!(answer(&dsx, &id, &fits), fits);
    let refused = dsx.run(["send", &id, &"x".repeat(4096)]).expect_code(2);
    assert!(refused.stderr.contains("4096") && refused.stderr.contains("4095"), "{refused:?}");
    assert_eq!(dsx.json(["list"])[0]["turn"], "t1");
    // One that has to wait its turn is looked at when that comes, and says so instead of being cut.
    dsx.run(["send", &id, "short"]).expect_code(0);
    if dsx.run(["send", &id, &"x".repeat(4096)]).code == 0 {
        let lost = settled(dsx.run(["wait", &id, "--json", "--timeout", "50"]).expect_code(5));
        assert!(lost["error"].as_str().unwrap().contains("4095"), "{lost}");
    }
    // A shell that edits its line itself takes it.
    let bash = create(&dsx, &["--", "bash", "--norc", "--noprofile"]);
    assert_eq!(answer(&dsx, &bash, "true"), "");
    let long = "y".repeat(6000);
    assert_eq!(answer(&dsx, &bash, &format!("echo {long}")), long);
}

#[test]
fn of_very_much_output_the_end_is_kept_and_the_rest_is_said() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc", "--noprofile"]);
    assert_eq!(answer(&dsx, &id, "true"), "");
    let text = answer(&dsx, &id, "seq 300000");
    let (note, rest) = text.split_once('\n').unwrap_or_else(|| panic!("{text:?}"));
    assert!(note.contains("left out") && note.contains("dsx logs --raw"), "{note}");
    assert!(rest.ends_with("299999\n300000"), "{}", &rest[rest.len() - 40..]);
}
