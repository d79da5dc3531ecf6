//! What somebody writes into an agent's input box is his: no message of dsx's is sent with it, or in its place.

use dsx_tests::crash;
use dsx_tests::dsx::Dsx;
use serde_json::Value;

use crate::job::{answer, create, error, eventually, pty, screen, settled, with_each_claude};

/// Writes something into the input box and does not send it.
fn draft(dsx: &Dsx<'_>, id: &str, text: &str) {
    dsx.run(["keys", id, text]).expect_code(0);
    eventually(dsx, id, || screen(dsx, id).contains(text));
}

/// The key that empties the input box of an agent at rest.
fn clear(dsx: &Dsx<'_>, id: &str, text: &str) {
    dsx.run(["keys", id, "C-c"]).expect_code(0);
    eventually(dsx, id, || !screen(dsx, id).contains(text));
}

const NOTE: &str = "input box: waiting";

#[test]
fn a_message_waits_for_a_draft_that_is_cleared() {
    with_each_claude("a_message_waits_for_a_draft_that_is_cleared", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        draft(dsx, &id, "half a thought");
        let sending = dsx.spawn(["ask", &id, "say the message"]);
        // It is typed no sooner for somebody looking.
        dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
        assert!(screen(dsx, &id).contains("half a thought"));
        clear(dsx, &id, "half a thought");
        let sent = sending.wait().expect_code(0);
        assert_eq!(sent.stdout, "the message\n");
        assert!(sent.stderr.contains(&format!("somebody's draft is in {id}'s {NOTE}")), "{sent:?}");
        let texts: Vec<String> = server.log().turns().map(|r| r.text().to_owned()).collect();
        assert_eq!(texts, ["say before", "say the message"]);
    });
}

#[test]
fn a_draft_that_a_viewer_sends_off_is_a_turn_before_the_message() {
    with_each_claude("a_draft_that_a_viewer_sends_off_is_a_turn_before_the_message", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        let viewer = pty(dsx, &["attach", &id]);
        viewer.wait_screen(dsx_tests::DEADLINE, "before");
        viewer.write("say typed by hand");
        viewer.wait_screen(dsx_tests::DEADLINE, "say typed by hand");
        let sending = dsx.spawn(["send", &id, "say the message", "--json"]);
        let queued = dsx.json(["send", &id, "--queue", "say later"]);
        assert_eq!(queued["delivery"], "queued");
        dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
        viewer.write("\r");
        let sent = settled(sending.wait().expect_code(0));
        assert!(["queued", "submitted"].contains(&sent["delivery"].as_str().unwrap()), "{sent}");
        for turn in [&sent["turn"], &queued["turn"]] {
            dsx.run(["wait", &id, "--turn", turn.as_str().unwrap(), "--timeout", "50"]).expect_code(0);
        }
        let mut texts: Vec<String> = server.log().turns().map(|r| r.text().to_owned()).collect();
        assert_eq!(texts[..2], ["say before", "say typed by hand"]);
        texts[2..].sort();
        assert_eq!(texts[2..], ["say later", "say the message"]);
    });
}

#[test]
fn a_message_is_given_up_for_a_draft_that_stays() {
    with_each_claude("a_message_is_given_up_for_a_draft_that_stays", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        draft(dsx, &id, "half a thought");
        let send = ["send", id.as_str(), "say never", "--timeout", "1", "--key", "k", "--json"];
        let refused = error(&dsx.run(send).expect_code(124));
        assert_eq!((&refused["kind"], &refused["session"]), (&"timeout".into(), &id.as_str().into()));
        assert!(refused["hint"].as_str().unwrap().contains("--queue"), "{refused}");
        assert!(screen(dsx, &id).contains("half a thought"));
        let lost = settled(dsx.run(["wait", &id, "--turn", "t2", "--json"]).expect_code(5));
        assert_eq!(lost["outcome"], "lost");
        assert!(lost["error"].as_str().unwrap().contains("never typed"), "{lost}");
        // Not after a restart either, nor when the same is sent again.
        crash::kill_supervisor(dsx);
        assert_eq!(error(&dsx.run(send).expect_code(124))["kind"], "timeout");
        clear(dsx, &id, "half a thought");
        assert_eq!(answer(dsx, &id, "say next"), "next");
        let texts: Vec<String> = server.log().turns().map(|r| r.text().to_owned()).collect();
        assert_eq!(texts, ["say before", "say next"]);
    });
}

#[test]
fn a_supervisor_that_dies_while_a_draft_is_waited_for_is_succeeded_in_that() {
    let test = "a_supervisor_that_dies_while_a_draft_is_waited_for_is_succeeded_in_that";
    with_each_claude(test, |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        draft(dsx, &id, "half a thought");
        let (short, long) =
            (dsx.spawn(["send", &id, "say short", "--timeout", "4"]), dsx.spawn(["ask", &id, "say long"]));
        dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
        crash::kill_supervisor(dsx);
        let given_up = short.wait().expect_code(124);
        assert!(given_up.stderr.contains("draft"), "{given_up:?}");
        clear(dsx, &id, "half a thought");
        assert_eq!(long.wait().expect_code(0).stdout, "long\n");
        let texts: Vec<String> = server.log().turns().map(|r| r.text().to_owned()).collect();
        assert_eq!(texts, ["say before", "say long"]);
    });
}

#[test]
fn keys_that_leave_no_draft_are_not_waited_for() {
    with_each_claude("keys_that_leave_no_draft_are_not_waited_for", |dsx, _| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        draft(dsx, &id, "xyz");
        dsx.run(["keys", &id, "BSpace", "BSpace", "BSpace", "Home"]).expect_code(0);
        let sent = dsx.run(["ask", &id, "say the message"]).expect_code(0);
        assert_eq!((sent.stdout.as_str(), sent.stderr.contains(NOTE)), ("the message\n", false));
    });
}

#[test]
fn a_draft_outlives_the_turn_that_is_stopped() {
    with_each_claude("a_draft_outlives_the_turn_that_is_stopped", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold stream half and half"]).expect_code(0);
        server.held("stream");
        draft(dsx, &id, "half a thought");
        let sending = dsx.spawn(["send", &id, "--interrupt", "say instead", "--json"]);
        dsx.run(["wait", &id, "--turn", "t1", "--timeout", "50"]).expect_code(5);
        dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
        assert!(screen(dsx, &id).contains("half a thought"));
        clear(dsx, &id, "half a thought");
        let sent: Value = settled(sending.wait().expect_code(0));
        assert_eq!((&sent["delivery"], &sent["interrupted"]), (&"submitted".into(), &"t1".into()));
        dsx.run(["wait", &id, "--timeout", "50"]).expect_code(0);
        assert_eq!(server.log().turns().last().unwrap().text(), "say instead");
    });
}
