//! What a crash must not change. Each of these was found by the simulation (`tests/sim`).

mod driver;

use driver::{Driver, asks, done, idle, stopped, taken};
use dsx_core::{
    Cli, Effect, Evidence, Exit, Fact, Input, Outcome, Recovery, RequestId, SendRequest, Source, Timer,
    TurnState,
};
use dsx_protocol::ErrorKind;

#[test]
fn nothing_is_typed_before_the_restart_is_over() {
    let mut d = Driver::ready(Cli::Claude);
    let first = d.run("one");
    let second = d.send("two");
    d.crash();
    // All that shows the first turn's end can be read back, and the second could begin.
    d.said(Source::Hook, stopped("answer", "one", 0, 0)).rests();
    assert!(d.typed_now().is_none());
    assert_eq!(d.state(first), Some(TurnState::Confirmed));
    // What the shell found is of the first delivery; it must never be taken for one of the second.
    d.recovered(Recovery::NotSubmitted);
    assert!(d.is_over(first, Outcome::Ended));
    assert_ne!(d.state(second), Some(TurnState::Confirmed));
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(second));
    assert!(!d.facts.iter().any(|(_, f)| matches!(f, Fact::Withdrawn { .. })));
}

#[test]
fn an_exit_leaves_no_turn_behind_wherever_a_crash_cuts_it() {
    let mut whole = Driver::ready(Cli::Claude);
    whole.run("one");
    whole.send("two");
    let before = whole.facts.len();
    whole.feed(Input::Exited(Exit { code: Some(3), signal: None }));
    let after = whole.facts.len();
    for cut in before..=after {
        let mut d = Driver::ready(Cli::Claude);
        d.run("one");
        d.send("two");
        d.feed(Input::Exited(Exit { code: Some(3), signal: None }));
        d.crash_after(cut);
        // The keeper tells an exit until it is stored.
        if d.session.durable().exit.is_none() {
            d.feed(Input::Exited(Exit { code: Some(3), signal: None }));
        }
        assert!(d.session.durable().turns.iter().all(|t| t.is_over()), "cut after {cut} facts");
    }
}

#[test]
fn what_a_person_typed_is_never_typed_by_dsx() {
    let mut d = Driver::ready(Cli::Claude);
    let before = d.facts.len();
    d.said(Source::Hook, taken("by hand", "p"));
    for cut in before..=d.facts.len() {
        let mut d = Driver::ready(Cli::Claude);
        d.said(Source::Hook, taken("by hand", "p"));
        d.crash_after(cut);
        d.recovered(Recovery::NotSubmitted).box_shows("");
        assert!(d.typed_now().is_none(), "cut after {cut} facts");
        assert!(d.not_sent().iter().all(|t| t.state == TurnState::Confirmed));
    }
}

#[test]
fn a_plain_program_is_ready_however_its_start_was_cut() {
    let mut d = Driver::ready(Cli::Command);
    d.crash_after(2);
    d.recovered(Recovery::NotSubmitted);
    let turn = d.send("ls");
    assert_eq!(d.typed_now(), Some(turn));
}

#[test]
fn how_a_turn_ended_outlives_the_report_that_told_it() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.said(Source::Hook, stopped("answer", "one", 0, 0));
    d.crash();
    // The report was taken and is in no spool any more; the transcript is not written yet.
    d.recovered(Recovery::Unknown).rests();
    assert!(d.is_over(turn, Outcome::Ended));
    assert_eq!(d.answer(turn), Some("answer"));
}

#[test]
fn sub_agents_hold_a_turn_open_over_a_restart() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.said(Source::Hook, stopped("so far", "one", 1, 0));
    d.crash();
    d.said(Source::SessionFile, idle()).recovered(Recovery::Unknown);
    d.feed(Input::Fired(Timer::Settle(turn)));
    assert_eq!(d.state(turn), Some(TurnState::Confirmed));
}

#[test]
fn the_status_records_last_word_outlives_the_log_it_came_by() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.said(Source::Osc7501, done());
    d.crash();
    // Nothing is left to be read of it; only then does the stop come.
    d.said(Source::Hook, stopped("answer", "one", 0, 0)).recovered(Recovery::Unknown);
    d.feed(Input::Fired(Timer::Settle(turn)));
    assert!(d.is_over(turn, Outcome::Ended));
}

#[test]
fn a_shell_left_running_does_not_stop_the_queue_after_a_restart() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("serve");
    d.said(Source::Hook, stopped("it runs", "serve", 0, 1)).said(Source::SessionFile, idle());
    d.crash();
    d.said(Source::SessionFile, idle()).recovered(Recovery::NotSubmitted);
    let turn = d.send("next");
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(turn));
}

#[test]
fn a_report_that_is_said_again_makes_no_second_turn() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    let began = d.turn(turn).and_then(|t| t.confirmed_at).unwrap_or_default();
    d.said(Source::Hook, stopped("answer", "one", 0, 0)).rests();
    assert!(d.is_over(turn, Outcome::Ended));
    d.crash();
    d.said_at(Source::Hook, began, taken("one", "one"));
    d.recovered(Recovery::NotSubmitted);
    assert!(d.not_sent().is_empty());
    assert!(d.session.durable().running().is_none());
}

#[test]
fn a_transcript_that_is_read_again_makes_no_turn() {
    let line = |text: &str| Evidence::Submitted { text: text.into(), prompt: None, origin_agent: false };
    let end = Evidence::Stopped { text: Some("answer".into()), prompt: None, agents: 0, shells: 0 };
    let mut d = Driver::ready(Cli::Demo);
    let turn = d.send("one");
    d.type_it(turn);
    d.said(Source::Osc7501, Evidence::Busy);
    d.said_at(Source::Transcript, 100, line("one"));
    d.said_at(Source::Transcript, 110, end.clone());
    d.crash();
    // From its beginning, while the turn still waits for the agent's rest.
    d.said_at(Source::Transcript, 100, line("one"));
    d.said_at(Source::Transcript, 110, end.clone());
    d.recovered(Recovery::Unknown).said(Source::Osc7501, done());
    d.feed(Input::Fired(Timer::Settle(turn)));
    assert_eq!(d.answer(turn), Some("answer"));
    d.crash();
    d.said_at(Source::Transcript, 100, line("one"));
    d.said_at(Source::Transcript, 110, end);
    d.recovered(Recovery::NotSubmitted);
    assert!(d.not_sent().is_empty());
}

#[test]
fn a_repeated_key_is_answered_as_the_first_call_would_have_been() {
    let send = SendRequest { text: "one".into(), key: Some("k".into()), ..SendRequest::default() };
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.send_with(send.clone());
    d.type_it(turn);
    d.crash();
    d.recovered(Recovery::Unknown);
    d.feed(Input::Send { request: RequestId(2), send: send.clone() });
    assert!(d.reply().is_none(), "nothing shows yet that the agent took it");
    d.feed(Input::Fired(Timer::Confirm(turn)));
    assert!(d.is_over(turn, Outcome::Lost));
    assert!(matches!(d.reply(), Some(Err(e)) if e.kind == ErrorKind::Failed));
    d.feed(Input::Send { request: RequestId(3), send });
    assert!(matches!(d.reply(), Some(Err(e)) if e.kind == ErrorKind::Failed));
}

#[test]
fn a_question_answered_meanwhile_is_not_open() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    d.said(Source::Osc7501, asks()).said(Source::SessionFile, asks()).feed(Input::Fired(Timer::Hook));
    assert_eq!(d.prompts(), 1);
    d.crash();
    d.said(Source::SessionFile, Evidence::Busy).recovered(Recovery::Unknown);
    assert_eq!(d.prompts(), 0);
}

#[test]
fn an_interrupted_message_in_the_box_is_not_forgotten() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.feed(Input::Interrupt { request: RequestId(1) });
    d.said(Source::Osc7501, idle()).said(Source::SessionFile, idle());
    assert!(d.is_over(turn, Outcome::Interrupted));
    d.crash();
    d.said(Source::SessionFile, idle()).recovered(Recovery::NotSubmitted);
    d.send("two");
    d.box_shows("one");
    assert!(d.typed_now().is_none());
    assert!(d.out.iter().any(|e| matches!(e, Effect::Press(_))));
}

#[test]
fn a_draft_may_be_somebodys_after_a_restart() {
    let mut d = Driver::ready(Cli::Claude);
    d.crash();
    d.said(Source::SessionFile, idle()).recovered(Recovery::NotSubmitted);
    let turn = d.send("one");
    d.box_shows("what I was about to say");
    assert!(d.typed_now().is_none());
    assert!(!d.out.iter().any(|e| matches!(e, Effect::Press(_))));
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(turn));
}
