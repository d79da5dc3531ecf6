//! Whoever answers first wins, in the dialog or by command, and the other is told.

use dsx_tests::dsx::Dsx;
use serde_json::{Value, json};

use crate::job::{create, error, eventually, screen, with_each_claude};
use crate::prompts::{ask_mode, asked, ended, labels, pressed};
use crate::prompts_tools::hooks;

/// A late answer is refused, and says what came before it.
fn late(dsx: &Dsx<'_>, id: &str, how: &[&str]) -> String {
    let mut args = vec!["respond", id, "--json"];
    args.extend(how);
    let told = error(&dsx.run(args).expect_code(7));
    assert_eq!(told["kind"], "refused", "{told}");
    told["message"].as_str().unwrap().to_owned()
}

fn open(dsx: &Dsx<'_>, id: &str) -> Vec<Value> {
    dsx.json(["prompts", id]).as_array().unwrap().clone()
}

#[test]
fn questions_and_plans_are_answered_in_the_dialog_too() {
    with_each_claude("questions_and_plans_are_answered_in_the_dialog_too", |dsx, _| {
        let id = create(dsx, &[]);
        assert!(late(dsx, &id, &["--allow"]).contains("asks nothing"));
        assert!(late(dsx, &id, &["--allow", "--prompt", "p1"]).contains("no prompt 'p1'"));
        asked(dsx, &id, "ask Which colour?|Red|Blue");
        eventually(dsx, &id, || screen(dsx, &id).contains("1. Red"));
        pressed(dsx, &id, "Enter");
        assert!(ended(dsx, &id).contains("Red"));
        // By what, as far as that shows: the agent may have stopped before it was seen to go on.
        let by =
            |told: String| told.contains("answered in the terminal") || told.contains("the agent stopped");
        assert!(by(late(dsx, &id, &["--choice", "2", "--prompt", "p1"])));
        // The agent's own answer to it, in the dialog's words, is no option of the question.
        asked(dsx, &id, "ask Which colour?|Red|Blue");
        eventually(dsx, &id, || screen(dsx, &id).contains("Chat about this"));
        dsx.run(["respond", &id, "--choice", "Chat about this"]).expect_code(2);
        // Left by Escape, the whole turn is. One that is pressed twice would open something else.
        pressed(dsx, &id, "Escape");
        dsx.run(["wait", &id]).expect_code(5);
        assert!(late(dsx, &id, &["--text", "x", "--prompt", "p2"]).contains("not open any more"));
        // The scripted model takes the first message after an interrupt for a tool's result.
        crate::job::answer(dsx, &id, "say again");
        crate::job::answer(dsx, &id, r#"tools [{"name":"EnterPlanMode","input":{}}]"#);
        asked(dsx, &id, "plan do it");
        labels(dsx, &id);
        pressed(dsx, &id, "Enter");
        assert!(ended(dsx, &id).contains("approved your plan"));
        assert!(by(late(dsx, &id, &["--deny", "--prompt", "p3"])));
        eventually(dsx, &id, || hooks(dsx, &id).is_empty());
        // What another session asks is not this one's.
        let other = create(dsx, &[]);
        asked(dsx, &other, "ask Which?|A|B");
        assert!(late(dsx, &id, &["--choice", "1", "--prompt", "p1"]).contains("not open any more"));
        assert!(late(dsx, &other, &["--choice", "1", "--prompt", "p3"]).contains("no prompt 'p3'"));
        assert!(late(dsx, &other, &["--choice", "1", "--prompt", "nonsense"]).contains("no prompt"));
        dsx.run(["respond", &other, "--choice", "1", "--prompt", "p1"]).expect_code(0);
        ended(dsx, &other);
        dsx.run(["kill", &other]).expect_code(0);
        dsx.run(["respond", &other, "--allow"]).expect_code(3);
    });
}

/// Two of one message: both hooks wait at the same time, and the screen shows one of them.
#[test]
fn of_several_open_prompts_the_one_that_is_named_is_answered() {
    with_each_claude("of_several_open_prompts_the_one_that_is_named_is_answered", |dsx, _| {
        let id = ask_mode(dsx);
        let fetch = |n: u32| json!({"name": "WebFetch", "input": {"url": format!("http://127.0.0.1:9/{n}"), "prompt": "x"}});
        let both = format!("tools {}", json!([fetch(1), fetch(2)]));
        asked(dsx, &id, &both);
        eventually(dsx, &id, || open(dsx, &id).len() == 2);
        assert!(late(dsx, &id, &["--allow"]).contains("several prompts"));
        let prompt = |n: &str| {
            let all = open(dsx, &id);
            let of = all.iter().find(|p| p["command"].as_str().unwrap().ends_with(n));
            of.unwrap_or_else(|| panic!("{all:?}"))["id"].as_str().unwrap().to_owned()
        };
        let (first, second) = (prompt("/1"), prompt("/2"));
        dsx.run(["respond", &id, "--prompt", &second, "--deny", "--message", "not the second"])
            .expect_code(0);
        eventually(dsx, &id, || open(dsx, &id).len() == 1);
        assert_eq!(open(dsx, &id)[0]["id"], first.as_str());
        assert!(late(dsx, &id, &["--allow", "--prompt", &second]).contains("not the second"));
        dsx.run(["respond", &id, "--prompt", &first, "--deny", "--message", "nor the first"]).expect_code(0);
        let said = ended(dsx, &id);
        assert!(said.contains("not the second") && said.contains("nor the first"), "{said}");
        // One by command, one in the dialog.
        asked(dsx, &id, &both);
        eventually(dsx, &id, || open(dsx, &id).len() == 2);
        let first = prompt("/1");
        dsx.run(["respond", &id, "--prompt", &first, "--deny", "--message", "no first"]).expect_code(0);
        eventually(dsx, &id, || screen(dsx, &id).contains("127.0.0.1:9/2"));
        pressed(dsx, &id, "Enter");
        assert!(ended(dsx, &id).contains("no first"));
        assert!(open(dsx, &id).is_empty());
        // Escape is for all of them.
        asked(dsx, &id, &both);
        eventually(dsx, &id, || open(dsx, &id).len() == 2);
        eventually(dsx, &id, || screen(dsx, &id).contains("1. Yes"));
        pressed(dsx, &id, "Escape");
        dsx.run(["wait", &id]).expect_code(5);
        assert!(open(dsx, &id).is_empty());
        eventually(dsx, &id, || hooks(dsx, &id).is_empty());
    });
}

#[test]
fn sub_agents_ask_at_the_same_time() {
    with_each_claude("sub_agents_ask_at_the_same_time", |dsx, _| {
        let id = ask_mode(dsx);
        let agent = |name: &str| {
            let prompt = format!("tool bash touch {name}.txt");
            let input = json!({"description": name, "prompt": prompt, "subagent_type": "general-purpose"});
            json!({"name": "Agent", "input": input})
        };
        dsx.run(["send", &id, &format!("tools {}", json!([agent("one"), agent("two")]))]).expect_code(0);
        eventually(dsx, &id, || open(dsx, &id).len() == 2);
        assert_eq!(dsx.run(["status", &id]).line(), "waiting_for_input");
        let all = open(dsx, &id);
        let one = all.iter().find(|p| p["command"] == "touch one.txt").unwrap()["id"].as_str().unwrap();
        let two = all.iter().find(|p| p["command"] == "touch two.txt").unwrap()["id"].as_str().unwrap();
        dsx.run(["respond", &id, "--prompt", two, "--allow"]).expect_code(0);
        dsx.run(["respond", &id, "--prompt", one, "--deny", "--message", "just one"]).expect_code(0);
        dsx.run(["wait", &id, "--until", "idle", "--timeout", "50"]).expect_code(0);
        assert!(dsx.home().project().join("two.txt").exists());
        assert!(!dsx.home().project().join("one.txt").exists());
        assert!(open(dsx, &id).is_empty());
    });
}
