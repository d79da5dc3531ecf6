//! The main job: hand a task to a real Claude Code and get its answer.

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, install_or_skip};
use dsx_tests::home::Home;
use dsx_tests::model_server::{ModelServer, digest};

use crate::job::{answer, create, dsx, last, transcripts, with_each_claude};

#[test]
fn each_turn_gives_its_own_answer() {
    with_each_claude("each_turn_gives_its_own_answer", |dsx, _| {
        let id = create(dsx, &["-d", "refactor auth"]);
        for word in ["alpha", "beta", "gamma delta"] {
            assert_eq!(answer(dsx, &id, &format!("say {word}")), word);
        }
        let all = dsx.json(["last-message", &id, "-n", "3"]);
        let texts: Vec<&str> = all.as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["alpha", "beta", "gamma delta"]);
        let second = dsx.json(["last-message", &id, "--turn", "t2"]);
        assert_eq!((&second[0]["turn"], &second[0]["text"]), (&"t2".into(), &"beta".into()));
        // An ended turn answers at once with its stored outcome, as often as it is asked.
        for _ in 0..2 {
            let settled = dsx.json(["wait", &id, "--turn", "t1"]);
            assert_eq!((&settled["turn"], &settled["outcome"]), (&"t1".into(), &"ended".into()));
        }
        assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "idle");
    });
}

#[test]
fn a_slow_turn_is_working_until_it_ends() {
    with_each_claude("a_slow_turn_is_working_until_it_ends", |dsx, server| {
        let id = create(dsx, &[]);
        let sent = dsx.json(["send", &id, "hold slow the answer comes late"]);
        assert_eq!((&sent["delivery"], &sent["turn"]), (&"submitted".into(), &"t1".into()));
        server.held("slow");
        assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "working");
        let early = dsx.run(["wait", &id, "--timeout", "0.3"]).expect_code(124);
        assert!(early.stdout.starts_with(&format!("{id} timeout")), "{early:?}");
        dsx.run(["last-message", &id, "--turn", "t1"]).expect_code(7);
        let waiting = dsx.spawn(["wait", &id, "--timeout", "120"]);
        server.release("slow");
        waiting.wait().expect_code(0);
        assert_eq!(last(dsx, &id), "the answer comes late");
    });
}

#[test]
fn a_failed_turn_is_5_and_the_next_one_works() {
    with_each_claude("a_failed_turn_is_5_and_the_next_one_works", |dsx, _| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        dsx.run(["send", &id, "fail 500"]).expect_code(0);
        let failed = dsx.run(["wait", &id, "--json", "--timeout", "120"]).expect_code(5);
        let settled: serde_json::Value = serde_json::from_str(failed.line()).unwrap();
        assert_eq!(settled["outcome"], "failed");
        assert!(settled["error"].as_str().unwrap().contains("server_error"), "{settled}");
        // Without --turn it is the newest turn that ended well.
        assert_eq!(last(dsx, &id), "before");
        assert_eq!(answer(dsx, &id, "say after"), "after");
    });
}

#[test]
fn a_long_message_arrives_byte_for_byte() {
    with_each_claude("a_long_message_arrives_byte_for_byte", |dsx, _| {
        let id = create(dsx, &[]);
        let mut text = String::from("hash this, exactly:\n");
        for n in 0.. {
            if text.len() > 10_000 {
                break;
            }
            text.push_str(&format!(
                "{n}. a line with \u{e9}, \u{6f22}\u{5b57}, \u{1f600} and  two spaces; #x @y ?z\n\n"
            ));
        }
        let text = text.trim_end();
        let sent = dsx.call(["send", &id, "-"]).stdin(text).run().expect_code(0);
        assert_eq!(sent.line(), "t1");
        dsx.run(["wait", &id, "--timeout", "120"]).expect_code(0);
        assert_eq!(last(dsx, &id), digest(text));
    });
}

#[test]
fn ask_is_the_three_in_one() {
    with_each_claude("ask_is_the_three_in_one", |dsx, _| {
        let id = create(dsx, &[]);
        assert_eq!(dsx.run(["ask", &id, "say at once"]).expect_code(0).stdout, "at once\n");
        let queued = dsx.spawn(["ask", &id, "say one"]);
        let other = dsx.spawn(["ask", &id, "say two"]);
        assert_eq!(queued.wait().expect_code(0).stdout, "one\n");
        assert_eq!(other.wait().expect_code(0).stdout, "two\n");
    });
}

#[test]
fn a_session_from_inside_claude_keeps_its_transcript() {
    let test = "a_session_from_inside_claude_keeps_its_transcript";
    let Some(agent) = install_or_skip(CLAUDE, test) else { return };
    let server = ModelServer::start();
    let mut home = Home::with_agent(&agent, &server);
    let outer = ["CLAUDECODE", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_CODE_DISABLE_TERMINAL_TITLE"];
    for name in outer {
        home.set(name, "1");
    }
    home.set("CLAUDE_CODE_SESSION_ID", "00000000-0000-4000-8000-000000000000");
    let dsx = dsx(&home);
    let id = create(&dsx, &[]);
    assert_eq!(answer(&dsx, &id, "say kept"), "kept");
    server.wait_for(DEADLINE, |_| (!transcripts(&home).is_empty()).then_some(()));
    let because = dsx.json(["explain", &id]);
    let heard = |source: &str| because["signals"].as_array().unwrap().iter().any(|s| s["source"] == source);
    assert!(heard("osc7501") && heard("hook") && heard("session_file"), "{because}");
}

#[test]
fn a_killed_session_leaves_nothing_behind() {
    with_each_claude("a_killed_session_leaves_nothing_behind", |dsx, _| {
        let id = create(dsx, &[]);
        let pid = dsx.json(["list"])[0]["pid"].as_u64().unwrap();
        dsx.run(["kill", &id]).expect_code(0);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(dsx.json(["list", "-a"]), serde_json::json!([]));
        dsx.run(["status", &id]).expect_code(3);
        assert!(!dsx.home().dsx_home().join("sessions").join(&id).exists());
        let status = dsx.json(["supervisor", "status"]);
        assert_eq!(status["sessions"], 0);
        dsx.run(["supervisor", "stop"]).expect_code(0);
        dsx.run(["supervisor", "status"]).expect_code(8);
    });
}
