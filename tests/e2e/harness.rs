//! The harness itself against a real agent: what it claims to see is what happens.

use std::path::Path;

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, Package, install_or_skip};
use dsx_tests::home::Home;
use dsx_tests::model_server::{Kind, ModelServer, digest};
use dsx_tests::pty::{Pty, PtyCommand, Seen};

const READY: &[u8] = b"\x1b[?2004h";

fn start(home: &Home) -> Pty {
    let pty = PtyCommand::new(home, Path::new("claude"), ["--dangerously-skip-permissions"]);
    pty.spawn()
}

fn settings(home: &Home) {
    let dir = home.claude_config();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("settings.json"), r#"{"skipDangerousModePermissionPrompt":true}"#).unwrap();
}

fn says_hello(package: Package, test: &str) {
    let Some(agent) = install_or_skip(package, test) else { return };
    let server = ModelServer::start();
    let home = Home::with_agent(&agent, &server);
    settings(&home);
    let claude = start(&home);
    let _ = claude.wait_bytes(DEADLINE, READY, 0);
    claude.write("say hello from the script\r");
    let turn = server.turn("say hello from the script");
    assert_eq!(turn.kind, Kind::Turn);
    assert_eq!(turn.path, "/v1/messages?beta=true");
    let answer = |seen: &Seen| seen.screen().matches("hello from the script").nth(1).map(drop);
    claude.wait(DEADLINE, answer);
    let answered = server.wait_for(DEADLINE, |log| log.requests[turn.number].sent);
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
fn a_held_answer_waits_for_the_test_and_status_reports_are_seen() {
    let test = "a_held_answer_waits_for_the_test_and_status_reports_are_seen";
    let Some(agent) = install_or_skip(CLAUDE, test) else { return };
    let server = ModelServer::start();
    let home = Home::with_agent(&agent, &server);
    settings(&home);
    let claude = start(&home);
    let said = |word: &'static str| move |seen: &Seen| find_report(seen, word);
    claude.wait(DEADLINE, said("state=idle"));
    claude.write("hold MIDDLE first-half second-half\r");
    server.held("MIDDLE");
    claude.wait(DEADLINE, said("state=working"));
    assert_eq!(claude.look(|seen| find_report(seen, "state=done")), None);
    server.release("MIDDLE");
    claude.wait(DEADLINE, said("state=done"));
    claude.write("hash what you got: é\r");
    let turn = server.turn("hash what you got: é");
    assert_eq!(turn.answer, digest("hash what you got: é"));
    claude.wait_screen(DEADLINE, &turn.answer);
}

fn find_report(seen: &Seen, word: &str) -> Option<()> {
    seen.reports().iter().any(|(_, report)| report.contains(word)).then_some(())
}
