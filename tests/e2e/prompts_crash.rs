//! The supervisor dies while the real Claude asks something: it is the same prompt afterwards, and it is answered once.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dsx_tests::crash::{self, kill9};
use dsx_tests::dsx::Dsx;
use dsx_tests::model_server::ModelServer;
use serde_json::{Value, json};

use crate::job::{answer, eventually, settled, with_each_claude};
use crate::prompts::{ask_mode, asked, ended, labels};
use crate::prompts_tools::hooks;

fn open(dsx: &Dsx<'_>, id: &str) -> Vec<Value> {
    dsx.json(["prompts", id]).as_array().unwrap().clone()
}

fn made(dsx: &Dsx<'_>, name: &str) -> bool {
    dsx.home().project().join(name).exists()
}

#[test]
fn a_prompt_outlives_its_supervisor_and_is_answered_by_the_hook() {
    with_each_claude("a_prompt_outlives_its_supervisor", |dsx, _: &ModelServer| {
        let id = ask_mode(dsx);
        let before = asked(dsx, &id, "tool bash touch one.txt");
        labels(dsx, &id);
        for _ in 0..2 {
            crash::kill_supervisor(dsx);
            let now = open(dsx, &id);
            assert_eq!(now.len(), 1, "{now:?}");
            assert_eq!((&now[0]["id"], &now[0]["command"]), (&before["id"], &before["command"]));
            assert_eq!((&now[0]["opened_at"], &now[0]["turn"]), (&before["opened_at"], &before["turn"]));
            let waited = settled(dsx.run(["wait", &id, "--json"]).expect_code(4));
            assert_eq!(waited["prompt"]["id"], before["id"], "{waited}");
        }
        let done = dsx.json(["respond", &id, "--prompt", "p1", "--allow"]);
        assert_eq!((&done["via"], &done["prompt"]), (&"hook".into(), &"p1".into()), "{done}");
        ended(dsx, &id);
        assert!(made(dsx, "one.txt"));
        // A question answered by label, and by one who waits for the successor.
        asked(dsx, &id, "ask Which?|A|B");
        let supervisor = crash::supervisor(dsx);
        crash::stop(supervisor);
        let responding = dsx.spawn(["respond", &id, "--choice", "B", "--json"]);
        kill9(supervisor);
        let done: Value = serde_json::from_str(&responding.wait().expect_code(0).stdout).unwrap();
        assert_eq!((&done["via"], &done["answer"]), (&"hook".into(), &"B".into()), "{done}");
        assert!(ended(dsx, &id).contains("B"));
        assert_eq!(answer(dsx, &id, "say after"), "after");
        eventually(dsx, &id, || hooks(dsx, &id).is_empty());
    });
}

/// The supervisor stands still while the agent asks: its successor finds the question in the spool.
#[test]
fn who_waits_is_told_once_of_a_prompt_that_no_supervisor_heard() {
    with_each_claude("who_waits_is_told_once_of_a_prompt", |dsx, server| {
        let id = ask_mode(dsx);
        dsx.run(["send", &id, "tool bash touch two.txt", "--json"]).expect_code(0);
        let waiting = ["1", "2"].map(|_| dsx.spawn(["wait", &id, "--json", "--timeout", "50"]));
        let supervisor = crash::supervisor(dsx);
        crash::stop(supervisor);
        let _asked_for = server.turn("tool bash touch two.txt");
        kill9(supervisor);
        for waiting in waiting {
            let waited = settled(waiting.wait().expect_code(4));
            assert_eq!((&waited["outcome"], &waited["turn"]), (&"waiting".into(), &"t1".into()), "{waited}");
        }
        let now = open(dsx, &id);
        assert_eq!(now.len(), 1, "{now:?}");
        eventually(dsx, &id, || open(dsx, &id)[0]["command"] == "touch two.txt");
        dsx.run(["respond", &id, "--allow"]).expect_code(0);
        ended(dsx, &id);
        assert!(made(dsx, "two.txt"));
    });
}

/// The answer was recorded, and the supervisor is killed before the agent has shown to have taken it.
#[test]
fn a_decision_is_neither_lost_nor_made_twice() {
    with_each_claude("a_decision_is_neither_lost_nor_made_twice", |dsx, _| {
        let id = ask_mode(dsx);
        asked(dsx, &id, "tool bash echo x >>times.txt");
        let mut held = Vec::new();
        eventually(dsx, &id, || {
            held = hooks(dsx, &id);
            held.len() == 1
        });
        // Nothing is decided before the hook says so.
        crash::stop(held[0]);
        let responding = dsx.spawn(["respond", &id, "--allow", "--json"]);
        let late = dsx.spawn(["respond", &id, "--deny", "--json"]);
        eventually(dsx, &id, || dsx.run(["explain", &id, "--json"]).code == 0);
        crash::kill_supervisor(dsx);
        crash::resume(held[0]);
        let codes = (responding.wait().code, late.wait().code);
        ended(dsx, &id);
        let times = std::fs::read_to_string(dsx.home().project().join("times.txt")).unwrap_or_default();
        // Whoever came first.
        assert!(matches!((codes, times.as_str()), ((0, 7), "x\n") | ((7, 0), "")), "{codes:?} {times:?}");
        // By keys, cut off at any moment: pressed once or not at all, and the caller knows.
        for (n, after) in [(1_u64, 20_u64), (2, 350), (3, 650), (4, 780)] {
            asked(dsx, &id, &format!("tool webfetch http://127.0.0.1:9/{n}"));
            let label = labels(dsx, &id)[1].clone();
            let responding = dsx.spawn(["respond", &id, "--choice", &label, "--json"]);
            // Any moment will do; nothing comes on this channel.
            let (_told, moment) = sync_channel::<()>(1);
            let _ = moment.recv_timeout(Duration::from_millis(after));
            crash::kill_supervisor(dsx);
            let done = responding.wait();
            if done.code == 0 {
                ended(dsx, &id);
                assert!(open(dsx, &id).is_empty());
                break;
            }
            assert!(matches!(done.code, 1 | 7), "{done:?}");
            if !open(dsx, &id).is_empty() {
                dsx.run(["respond", &id, "--deny"]).expect_code(0);
            }
            ended(dsx, &id);
        }
        assert_eq!(answer(dsx, &id, "say after"), "after");
    });
}

/// No dialog of it is on the screen: only the hook tells of it, and has to find the next supervisor.
#[test]
fn a_background_sub_agents_prompt_outlives_its_supervisor() {
    with_each_claude("a_background_sub_agents_prompt_outlives_its_supervisor", |dsx, _| {
        let id = ask_mode(dsx);
        let prompt = "tool bash touch below.txt";
        let input = json!({"description": "below", "prompt": prompt, "subagent_type": "general-purpose",
            "run_in_background": true});
        dsx.run(["send", &id, &format!("tools {}", json!([{"name": "Agent", "input": input}]))])
            .expect_code(0);
        eventually(dsx, &id, || open(dsx, &id).len() == 1);
        assert_eq!(dsx.run(["status", &id]).line(), "waiting_for_input");
        let before = open(dsx, &id)[0].clone();
        for _ in 0..2 {
            crash::kill_supervisor(dsx);
            assert_eq!(open(dsx, &id)[0]["id"], before["id"]);
            dsx.run(["wait", &id]).expect_code(4);
        }
        dsx.run(["respond", &id, "--allow"]).expect_code(0);
        dsx.run(["wait", &id, "--until", "idle", "--timeout", "50"]).expect_code(0);
        assert!(made(dsx, "below.txt"));
        assert!(open(dsx, &id).is_empty());
    });
}
