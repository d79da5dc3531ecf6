//! Permissions for each of the real Claude's tools: what the prompt tells, and each way to answer it.

use std::fs;

use dsx_tests::dsx::Dsx;
use serde_json::Value;

use crate::job::{eventually, with_each_claude};
use crate::prompts::{ask_mode, asked, ended, labels};

/// The hooks of a session that live: a decided one has nothing to wait for.
pub fn hooks(dsx: &Dsx<'_>, id: &str) -> Vec<i32> {
    let dir = dsx.home().dsx_home().join("sessions").join(id);
    let is_hook = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("\0hook\0--dir\0") && line.contains(&*dir.to_string_lossy())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(is_hook).collect()
}

/// The label of the option that begins so.
fn labelled(dsx: &Dsx<'_>, id: &str, begins: &str) -> String {
    let labels = labels(dsx, id);
    labels.iter().find(|l| l.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {labels:?}")).clone()
}

fn responded(dsx: &Dsx<'_>, id: &str, how: &[&str]) -> Value {
    let mut args = vec!["respond", id];
    args.extend(how);
    dsx.json(args)
}

#[test]
fn a_command_is_answered_in_every_way() {
    with_each_claude("a_command_is_answered_in_every_way", |dsx, _| {
        let id = ask_mode(dsx);
        let long = format!("touch one.txt && echo {}", "word ".repeat(120));
        let prompt = asked(dsx, &id, &format!("tool bash {long}"));
        assert_eq!((&prompt["command"], &prompt["diff"]), (&long.trim_end().into(), &Value::Null));
        assert_eq!(dsx.json(["list"])[0]["status"], "waiting_for_input");
        // By number, before or after its dialog is drawn.
        let done = responded(dsx, &id, &["--choice", "1"]);
        assert_eq!((&done["via"], &done["answer"]), (&"hook".into(), &"allow".into()), "{done}");
        ended(dsx, &id);
        assert!(dsx.home().project().join("one.txt").exists());
        // By the label, and denied without a word: the turn goes on.
        asked(dsx, &id, "tool bash touch two.txt");
        let done = responded(dsx, &id, &["--choice", "no"]);
        assert_eq!((&done["via"], &done["answer"]), (&"hook".into(), &"deny".into()), "{done}");
        assert!(ended(dsx, &id).contains("does not allow"), "denied");
        asked(dsx, &id, "tool bash touch two.txt");
        for (how, code) in [(&["--choice", "9"][..], 2), (&["--text", "hm"], 2), (&["--choice", "Nope"], 2)] {
            let mut args = vec!["respond", &id];
            args.extend(how);
            dsx.run(args).expect_code(code);
        }
        dsx.run(["respond", &id, "--choice", "1", "--choice", "3"]).expect_code(2);
        assert_eq!(responded(dsx, &id, &["--deny"])["answer"], "deny");
        ended(dsx, &id);
        assert!(!dsx.home().project().join("two.txt").exists());
        // An option that is neither: only the dialog has it.
        asked(dsx, &id, "tool bash touch three.txt");
        let always = labelled(dsx, &id, "Yes, and always allow");
        let done = responded(dsx, &id, &["--choice", &always]);
        assert_eq!((&done["via"], &done["answer"]), (&"keys".into(), &always.into()), "{done}");
        ended(dsx, &id);
        assert!(dsx.home().project().join("three.txt").exists());
        eventually(dsx, &id, || hooks(dsx, &id).is_empty());
    });
}

#[test]
fn files_are_written_and_edited_as_the_diff_says() {
    with_each_claude("files_are_written_and_edited_as_the_diff_says", |dsx, _| {
        let id = ask_mode(dsx);
        let path = dsx.home().project().join("e.txt");
        let name = path.to_str().unwrap();
        let prompt = asked(dsx, &id, &format!("tool write {name} one\nzwei é\nthree\n"));
        assert_eq!((&prompt["tool"], &prompt["command"]), (&"Write".into(), &name.into()));
        let diff = format!("--- {name}\n+++ {name}\n@@\n+one\n+zwei é\n+three\n");
        assert_eq!(prompt["diff"], diff.as_str());
        assert!(dsx.run(["prompts", &id]).stdout.contains("    +zwei é\n"));
        assert_eq!(responded(dsx, &id, &["--allow"])["via"], "hook");
        ended(dsx, &id);
        assert!(fs::read_to_string(&path).unwrap().starts_with("one\nzwei é\nthree"));
        let prompt = asked(dsx, &id, &format!("tool edit {name} zwei é|two"));
        let diff = format!("--- {name}\n+++ {name}\n@@\n-zwei é\n+two\n");
        assert_eq!((&prompt["tool"], &prompt["diff"]), (&"Edit".into(), &diff.as_str().into()));
        responded(dsx, &id, &["--deny", "--message", "leave it alone"]);
        assert!(ended(dsx, &id).contains("leave it alone"));
        assert!(fs::read_to_string(&path).unwrap().contains("zwei"));
        // From now on edits are accepted without a question.
        asked(dsx, &id, &format!("tool edit {name} zwei é|two"));
        let labels = labels(dsx, &id);
        let accept =
            labels.iter().position(|l| l.starts_with("Yes, and switch") || l.starts_with("Yes, allow all"));
        let accept = accept.unwrap_or_else(|| panic!("{labels:?}")) + 1;
        let done = responded(dsx, &id, &["--choice", &accept.to_string()]);
        assert_eq!(done["via"], "keys", "{done}");
        ended(dsx, &id);
        assert!(fs::read_to_string(&path).unwrap().contains("two"));
        crate::job::answer(dsx, &id, &format!("tool edit {name} two|2"));
        assert!(fs::read_to_string(&path).unwrap().contains("\n2\n"));
        eventually(dsx, &id, || hooks(dsx, &id).is_empty());
    });
}

/// Nothing is fetched before it is allowed, and a test needs no network to be told that it failed.
#[test]
fn an_address_is_fetched_when_it_is_allowed() {
    with_each_claude("an_address_is_fetched_when_it_is_allowed", |dsx, _| {
        let id = ask_mode(dsx);
        let url = "http://127.0.0.1:9/page";
        let prompt = asked(dsx, &id, &format!("tool webfetch {url}"));
        assert_eq!((&prompt["tool"], &prompt["kind"]), (&"WebFetch".into(), &"permission".into()));
        assert_eq!(prompt["command"], url);
        responded(dsx, &id, &["--deny", "--message", "not that one"]);
        assert!(ended(dsx, &id).contains("not that one"));
        asked(dsx, &id, &format!("tool webfetch {url}"));
        let tell = labelled(dsx, &id, "No, and tell");
        assert_eq!(responded(dsx, &id, &["--choice", &tell])["answer"], "deny");
        ended(dsx, &id);
        asked(dsx, &id, &format!("tool webfetch {url}"));
        let again = labelled(dsx, &id, "Yes, and don't ask again");
        assert_eq!(responded(dsx, &id, &["--choice", &again])["via"], "keys");
        ended(dsx, &id);
        crate::job::answer(dsx, &id, &format!("tool webfetch {url}"));
    });
}
