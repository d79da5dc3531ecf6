//! The harness itself against a real agent: what it claims to see is what happens.

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, Package};
use dsx_tests::model_server::Kind;

use crate::claude::Claude;

fn says_hello(package: Package, test: &str) {
    let Some(claude) = Claude::start(package, test) else { return };
    claude.submit("say hello from the script");
    let turn = claude.server.turn("say hello from the script");
    assert_eq!(turn.kind, Kind::Turn);
    assert_eq!(turn.path, "/v1/messages?beta=true");
    // The first is the echo of the message.
    claude.pty.wait(DEADLINE, |seen| seen.screen().matches("hello from the script").nth(1).map(drop));
    let answered = claude.server.wait_for(DEADLINE, |log| log.requests[turn.number].sent);
    assert!(answered >= turn.at);
}

#[test]
fn a_real_claude_gets_its_answer_from_the_scripted_server() {
    says_hello(CLAUDE, "a_real_claude_gets_its_answer_from_the_scripted_server");
}

#[test]
fn so_does_the_claude_before_osc_7501() {
    says_hello(CLAUDE_BEFORE_7501, "so_does_the_claude_before_osc_7501");
}

#[test]
fn a_held_answer_waits_for_the_test() {
    let Some(claude) = Claude::start(CLAUDE, "a_held_answer_waits_for_the_test") else { return };
    claude.submit("hold MIDDLE first-half second-half");
    claude.server.held("MIDDLE");
    claude.wait_report("state=working", 0);
    assert!(!claude.reports_soon("state=done", 0));
    claude.server.release("MIDDLE");
    claude.wait_report("state=done", 0);
    claude.pty.wait_screen(DEADLINE, "● first-half second-half");
}
