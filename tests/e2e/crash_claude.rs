//! The essential deaths, with the real Claude Code.

use std::time::Duration;

use dsx_tests::crash::{self, kill9};
use dsx_tests::model_server::{ModelServer, digest};
use serde_json::Value;

use crate::crash_delivery::{cut, long_message};
use crate::job::{answer, create, last, with_each_claude};

/// How often the model was given a text as a message of the user's.
fn given(server: &ModelServer, text: &str) -> usize {
    server.log().turns().filter(|r| r.text() == text).count()
}

#[test]
fn a_held_turn_outlives_its_supervisor() {
    with_each_claude("a_held_turn_outlives_its_supervisor", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        dsx.run(["send", &id, "hold mid half and half"]).expect_code(0);
        server.held("mid");
        let waiting = dsx.spawn(["wait", &id, "--timeout", "50"]);
        for _ in 0..2 {
            crash::kill_supervisor(dsx);
            assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "working");
        }
        server.release("mid");
        waiting.wait().expect_code(0);
        assert_eq!(last(dsx, &id), "half and half");
        assert_eq!(answer(dsx, &id, "say after"), "after");
        for text in ["say before", "hold mid half and half", "say after"] {
            assert_eq!(given(server, text), 1, "{text}");
        }
    });
}

/// The supervisor stands still while the turn ends, and dies: what the hooks left is read by its successor.
#[test]
fn an_answer_that_no_supervisor_heard_is_in_the_spool() {
    with_each_claude("an_answer_that_no_supervisor_heard_is_in_the_spool", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold end told to nobody"]).expect_code(0);
        server.held("end");
        let waiting = dsx.spawn(["wait", &id, "--timeout", "50"]);
        let supervisor = crash::supervisor(dsx);
        crash::stop(supervisor);
        server.release("end");
        let spool = dsx.home().dsx_home().join("sessions").join(&id).join("spool");
        crash::until_a_file_in(&spool, |text| text.contains("told to nobody"));
        kill9(supervisor);
        waiting.wait().expect_code(0);
        assert_eq!(last(dsx, &id), "told to nobody");
        assert_eq!(answer(dsx, &id, "say next"), "next");
    });
}

/// The same without a death: the supervisor only stood still for longer than a hook waits.
#[test]
fn a_supervisor_that_stood_still_hears_it_too() {
    with_each_claude("a_supervisor_that_stood_still_hears_it_too", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold end told late"]).expect_code(0);
        server.held("end");
        let waiting = dsx.spawn(["wait", &id, "--timeout", "50"]);
        let supervisor = crash::supervisor(dsx);
        crash::stop(supervisor);
        server.release("end");
        let spool = dsx.home().dsx_home().join("sessions").join(&id).join("spool");
        crash::until_a_file_in(&spool, |text| text.contains("told late"));
        crash::resume(supervisor);
        waiting.wait().expect_code(0);
        assert_eq!(last(dsx, &id), "told late");
        assert_eq!(answer(dsx, &id, "say next"), "next");
    });
}

#[test]
fn a_long_paste_cut_off_anywhere_arrives_once_and_whole_or_is_lost() {
    with_each_claude("a_long_paste_cut_off_anywhere", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        let mut lost = 0;
        let mut sent = Vec::new();
        for n in 0..8_u64 {
            let text = format!("hash {}", long_message(&format!("m{n}")));
            match cut(dsx, &id, &text, Duration::from_millis(4 + n * 10)) {
                Value::String(outcome) if outcome == "ended" => {
                    let explained = || dsx.run(["explain", &id]).stdout;
                    assert_eq!(last(dsx, &id), digest(&text), "message {n}\n{}", explained());
                }
                Value::String(outcome) if outcome == "lost" => lost += 1,
                other => panic!("{other}"),
            }
            sent.push(text);
        }
        println!("{lost} of {} lost", sent.len());
        for text in &sent {
            assert!(given(server, text) <= 1, "given twice: {text:.100}");
        }
        let log = server.log();
        let strange =
            log.turns().find(|r| r.text().starts_with("hash") && !sent.iter().any(|s| s == r.text()));
        assert!(strange.is_none(), "an altered message: {:.300}", strange.unwrap().text());
        assert_eq!(answer(dsx, &id, "say after"), "after");
    });
}
