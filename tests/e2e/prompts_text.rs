//! What is in a prompt is the agent's word: shown without its escapes, told in JSON without a loss, cut where it is
//! too long. And what waits, waits consistently.

use std::fs;

use dsx_tests::agents::CLAUDE;
use dsx_tests::dsx::Dsx;
use serde_json::{Value, json};

use crate::job::{error, eventually, last, settled, with_claude, with_each_claude};
use crate::prompts::{ask_mode, asked, ended};

#[test]
fn escapes_and_bidi_are_told_and_never_shown() {
    with_each_claude("escapes_and_bidi_are_told_and_never_shown", |dsx, _| {
        let id = ask_mode(dsx);
        // Claude itself refuses commands with such characters.
        let evil = "\u{1b}[2J\u{1b}]0;t\u{7} \u{202e}txt.exe\u{2066} é\r \u{9b}31m";
        let escaped: String = evil.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        let path = dsx.home().project().join("evil.txt");
        let input = format!(r#"{{"file_path":"{}","content":"{escaped}"}}"#, path.display());
        let prompt = asked(dsx, &id, &format!(r#"tools [{{"name":"Write","input":{input}}}]"#));
        let told = prompt["diff"].as_str().unwrap();
        assert!(told.contains('\u{202e}') && told.contains("\u{1b}[2J"), "{told:?}");
        is_clean(dsx, &id);
        dsx.run(["respond", &id, "--deny", "--message", "no \u{1b}[2J such \u{202e}thing"]).expect_code(0);
        ended(dsx, &id);
        let late = dsx.run(["respond", &id, "--prompt", "p1", "--allow"]).expect_code(7);
        assert!(!late.stderr.contains('\u{1b}') && !late.stderr.contains('\u{202e}'), "{late:?}");
        // A question, its options and their descriptions.
        let option = format!(r#"{{"label":"a {escaped}","description":"{escaped}"}}"#);
        let question =
            format!(r#"askjson [{{"question":"{escaped}?","header":"h","options":[{option},"B"]}}]"#);
        let prompt = asked(dsx, &id, &question);
        assert!(prompt["text"].as_str().unwrap().contains('\u{202e}'), "{prompt}");
        is_clean(dsx, &id);
        dsx.run(["respond", &id, "--choice", "1"]).expect_code(0);
        ended(dsx, &id);
        is_clean(dsx, &id);
    });
}

/// Nothing that is printed of a session can drive a terminal.
fn is_clean(dsx: &Dsx<'_>, id: &str) {
    for args in [
        &["prompts", id][..],
        &["prompts", id, "--json"],
        &["wait", id],
        &["wait", id, "--json"],
        &["status", id, "--json"],
        &["events", id],
        &["events", id, "--json"],
        &["list"],
        &["list", "--json"],
        &["explain", id],
    ] {
        let said = dsx.run(args).stdout;
        let bad = said.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(c)
                || ('\u{2066}'..='\u{2069}').contains(c)
        });
        assert_eq!(bad, None, "{args:?}: {said:?}");
    }
}

#[test]
fn what_is_too_long_is_cut_and_can_be_answered() {
    with_each_claude("what_is_too_long_is_cut_and_can_be_answered", |dsx, _| {
        let id = ask_mode(dsx);
        let prompt = asked(dsx, &id, "tool bigbash 1000000");
        let command = prompt["command"].as_str().unwrap();
        assert!(command.len() < 300_000 && command.ends_with("bytes more)"), "{}", command.len());
        assert!(dsx.run(["prompts", &id]).expect_code(0).stdout.contains("bytes more)"));
        assert!(dsx.run(["events", &id, "--json"]).expect_code(0).stdout.len() < 2_000_000);
        dsx.run(["respond", &id, "--deny"]).expect_code(0);
        ended(dsx, &id);
    });
}

/// 2.1.197 itself takes minutes for such an input.
#[test]
fn ten_megabytes_are_written_when_they_are_allowed() {
    with_claude(CLAUDE, "ten_megabytes_are_written_when_they_are_allowed", |dsx, _| {
        let id = ask_mode(dsx);
        let path = dsx.home().project().join("big.txt");
        let prompt = asked(dsx, &id, &format!("tool bigwrite {} 9999995", path.display()));
        assert_eq!((&prompt["tool"], &prompt["command"]), (&"Write".into(), &path.to_str().unwrap().into()));
        assert!(prompt["diff"].as_str().unwrap().contains("bytes more)"));
        assert_eq!(dsx.json(["respond", &id, "--allow"])["via"], "hook");
        ended(dsx, &id);
        assert_eq!(fs::metadata(&path).unwrap().len(), 9_999_995);
    });
}

#[test]
fn what_waits_waits_for_the_answer() {
    with_each_claude("what_waits_waits_for_the_answer", |dsx, _| {
        let id = ask_mode(dsx);
        let waiting = dsx.spawn(["wait", &id, "--until", "waiting", "--timeout", "50"]);
        asked(dsx, &id, "tool bash touch one.txt");
        waiting.wait().expect_code(0);
        assert_eq!(dsx.json(["status", &id])["prompt"]["command"], "touch one.txt");
        assert_eq!(dsx.json(["list"])[0]["prompts"], 1);
        for until in [&["--turn", "t1"][..], &["--until", "idle"], &["--until", "ended"]] {
            let mut args = vec!["wait", &id, "--json"];
            args.extend(until);
            let how = settled(dsx.run(args).expect_code(4));
            assert_eq!(how["prompt"]["command"], "touch one.txt", "{how}");
        }
        let told = error(&dsx.run(["send", &id, "say no", "--json"]).expect_code(4));
        assert!(told["message"].as_str().unwrap().contains("waiting for input"), "{told}");
        let queued = dsx.json(["send", &id, "--queue", "say queued"]);
        assert_eq!((&queued["delivery"], &queued["turn"]), (&"queued".into(), &"t2".into()), "{queued}");
        dsx.run(["wait", &id, "--turn", "t2"]).expect_code(4);
        dsx.run(["respond", &id, "--allow"]).expect_code(0);
        dsx.run(["wait", &id, "--turn", "t2", "--timeout", "50"]).expect_code(0);
        assert_eq!(last(dsx, &id), "queued");
        assert!(dsx.home().project().join("one.txt").exists());
        // A sub-agent in the background asks while its creator's turn looks over.
        let agent = json!([{"name": "Agent", "input": {"description": "below", "subagent_type": "general-purpose",
            "prompt": "tool bash touch two.txt", "run_in_background": true}}]);
        let prompt = asked(dsx, &id, &format!("tools {agent}"));
        assert_eq!(prompt["command"], "touch two.txt", "{prompt}");
        assert_eq!(dsx.run(["status", &id]).line(), "waiting_for_input");
        dsx.run(["send", &id, "say no"]).expect_code(4);
        dsx.run(["respond", &id, "--deny", "--message", "not below"]).expect_code(0);
        eventually(dsx, &id, || dsx.run(["status", &id]).line() == "idle");
        assert_eq!(dsx.json(["prompts", &id]), Value::Array(Vec::new()));
    });
}
