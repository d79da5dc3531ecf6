//! What the Claude adapter takes for granted, asked of the real thing: when a new version is pinned,
//! these say what has changed, before anything built on them does.

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, Package};
use dsx_tests::model_server::digest;

use crate::claude::Claude;

/// A text of many lines that is a `hash` script, with an end that stands nowhere else in it.
fn long_text() -> String {
    let words = (0..900).map(|n| if n % 12 == 11 { format!("w{n:05}\n") } else { format!("w{n:05} ") });
    format!("hash {}the-end", words.collect::<String>())
}

/// Parts of at most 700 characters and two newlines: longer pastes are delivered wrapped.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.split_inclusive('\n') {
        let last = parts.last_mut().unwrap();
        if last.matches('\n').count() == 2 || last.chars().count() + line.chars().count() > 700 {
            parts.push(line.to_owned());
        } else {
            last.push_str(line);
        }
    }
    parts
}

fn parts_arrive_as_one_exact_message(package: Package, test: &str) {
    let Some(claude) = Claude::start(package, test) else { return };
    let text = long_text();
    for part in parts(&text) {
        claude.pty.write(format!("\x1b[200~{part}\x1b[201~"));
    }
    // The older version submits what it had taken in when CR comes, and loses the rest.
    claude.pty.wait_screen(DEADLINE, "the-end");
    claude.pty.write("\r");
    let turn = claude.server.turn(&text);
    assert_eq!(turn.answer, digest(&text));
}

#[test]
fn parts_arrive_as_one_exact_message_with_7501() {
    parts_arrive_as_one_exact_message(CLAUDE, "parts_arrive_as_one_exact_message_with_7501");
}

#[test]
fn parts_arrive_as_one_exact_message_before_7501() {
    parts_arrive_as_one_exact_message(CLAUDE_BEFORE_7501, "parts_arrive_as_one_exact_message_before_7501");
}

fn an_early_interrupt_refills_the_box(package: Package, test: &str) {
    let Some(claude) = Claude::start(package, test) else { return };
    claude.submit("late FIRST one two three");
    claude.server.held("FIRST");
    claude.pty.write("\x1b");
    claude.wait_empty(false);
    // One Ctrl-C empties the box whatever its length; on an empty box it would be half of an exit.
    claude.pty.write("\x03");
    claude.wait_empty(true);
    claude.submit("say second");
    let _ = claude.server.turn("say second");
}

#[test]
fn an_early_interrupt_refills_the_box_with_7501() {
    an_early_interrupt_refills_the_box(CLAUDE, "an_early_interrupt_refills_the_box_with_7501");
}

#[test]
fn an_early_interrupt_refills_the_box_before_7501() {
    an_early_interrupt_refills_the_box(CLAUDE_BEFORE_7501, "an_early_interrupt_refills_the_box_before_7501");
}

#[test]
fn an_interrupt_in_the_stream_is_idle_and_not_done() {
    let test = "an_interrupt_in_the_stream_is_idle_and_not_done";
    let Some(claude) = Claude::start(CLAUDE, test) else { return };
    claude.submit("hold MIDDLE first-half second-half");
    claude.server.held("MIDDLE");
    claude.wait_report("state=working", 0);
    // The bullet alone: the words of an unfinished line are not shown yet.
    claude.pty.wait_screen(DEADLINE, "\n●");
    let before = claude.reports();
    claude.pty.write("\x1b");
    claude.wait_report("state=idle", before);
    claude.wait_empty(true);
    assert!(!claude.reports_soon("state=done", before));
}

#[test]
fn a_refused_login_is_blocked_and_the_next_turn_runs() {
    let Some(claude) = Claude::start(CLAUDE, "a_refused_login_is_blocked_and_the_next_turn_runs") else {
        return;
    };
    claude.submit("fail 401");
    claude.wait_report("state=blocked:app=claude-code:kind=auth", 0);
    claude.wait_empty(true);
    let before = claude.reports();
    claude.submit("say after");
    let _ = claude.server.turn("say after");
    claude.wait_report("state=done", before);
}

#[test]
fn a_failed_turn_is_an_error_with_a_message() {
    let Some(claude) = Claude::start(CLAUDE, "a_failed_turn_is_an_error_with_a_message") else { return };
    claude.submit("fail 500");
    claude.wait_report("state=error:app=claude-code:msg=", 0);
}

#[test]
fn a_background_shell_keeps_the_root_working() {
    let Some(claude) = Claude::start(CLAUDE, "a_background_shell_keeps_the_root_working") else {
        return;
    };
    claude.submit("background sleep 1000");
    // "1 shell still running". A turn beside it ends with `done` or with this once more.
    claude.wait_report("state=working:app=claude-code:msg=MSBzaGVsbCBzdGlsbCBydW5uaW5n", 0);
    claude.submit("say meanwhile");
    let _ = claude.server.turn("say meanwhile");
}
