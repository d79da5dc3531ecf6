//! Sessions that nobody watches: whatever the real Claude asks, they go on, and each answer is an event.

use dsx_tests::dsx::Dsx;
use serde_json::{Value, json};

use crate::job::{create, with_each_claude};
use crate::prompts::ended;

/// What was answered by itself: the prompt's kind and the answer, in order.
fn answered(dsx: &Dsx<'_>, id: &str) -> Vec<(String, String)> {
    let events = dsx.run(["events", id, "--json"]).expect_code(0).stdout;
    let events = events.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let answered = events.filter(|e| e["event"] == "answered");
    let text = |v: &Value| v.as_str().unwrap_or_else(|| panic!("{events:?}", events = v)).to_owned();
    answered
        .map(|e| {
            assert_eq!(e["by"], "on-prompt", "{e}");
            (text(&e["prompt"]["kind"]), text(&e["outcome"]))
        })
        .collect()
}

#[test]
fn a_run_that_denies_never_hangs() {
    with_each_claude("a_run_that_denies_never_hangs", |dsx, _| {
        let run = |text: &str| {
            let mut call = dsx.call(["run", "--mode", "ask", "--on-prompt", "deny", text]);
            call.deadline = std::time::Duration::from_secs(60);
            call.run().expect_code(0).stdout
        };
        assert!(run("tool bash touch no.txt").contains("Denied"));
        assert!(!dsx.home().project().join("no.txt").exists());
        assert!(run("ask Which?|A|B").contains("Decide for yourself"));
        let agent = json!([{"name": "Agent", "input": {"description": "below", "subagent_type": "general-purpose",
            "prompt": "tool bash touch no.txt", "run_in_background": true}}]);
        run(&format!("tools {agent}"));
        assert!(!dsx.home().project().join("no.txt").exists());
    });
}

#[test]
fn each_answer_is_an_event() {
    with_each_claude("each_answer_is_an_event", |dsx, _| {
        for (how, word) in [("deny", "deny"), ("allow", "allow")] {
            let id = create(dsx, &["--mode", "ask", "--on-prompt", how]);
            let fetch = |n: u32| {
                let url = format!("http://127.0.0.1:9/{n}");
                json!({"name": "WebFetch", "input": {"url": url, "prompt": "x"}})
            };
            dsx.run(["send", &id, &format!("tools {}", json!([fetch(1), fetch(2)]))]).expect_code(0);
            ended(dsx, &id);
            dsx.run(["send", &id, r#"tools [{"name":"EnterPlanMode","input":{}}]"#]).expect_code(0);
            ended(dsx, &id);
            let planning = answered(dsx, &id).len() == 3 && how == "deny";
            if !planning {
                dsx.run(["send", &id, "plan do it"]).expect_code(0);
                let said = ended(dsx, &id);
                assert_eq!(said.contains("approved your plan"), how == "allow", "{said}");
            }
            let answers = answered(dsx, &id);
            assert!(answers.len() >= 3, "{answers:?}");
            assert!(answers.iter().all(|(_, answer)| answer.starts_with(word)), "{answers:?}");
            // Never anybody's to answer.
            assert_eq!(dsx.json(["prompts", &id]).as_array().unwrap().len(), 0);
        }
    });
}
