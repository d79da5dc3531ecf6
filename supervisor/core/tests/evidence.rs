//! Evidence that is late, said again or out of order. Each of these was found by the simulation (`tests/sim`).

mod driver;

use driver::{Driver, asks, done, idle, reports, stopped, taken};
use dsx_core::{
    Asked, Cli, Effect, Evidence, Input, Outcome, RequestId, ScreenText, Source, Timer, TurnState,
};

#[test]
fn work_that_is_heard_of_before_the_write_is_known_to_be_done_counts() {
    let mut d = Driver::ready(Cli::Demo);
    let turn = d.send("one");
    d.said(Source::Osc7501, Evidence::Busy);
    d.type_it(turn);
    let line = Evidence::Submitted { text: "one".into(), prompt: None, origin_agent: false };
    d.said(Source::Transcript, line).said(Source::Osc7501, done());
    d.said(Source::Transcript, Evidence::Stopped { text: None, prompt: None, agents: 0, shells: 0 });
    assert!(d.is_over(turn, Outcome::Ended));
}

#[test]
fn the_same_question_from_two_sources_is_one() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    d.said(Source::Osc7501, asks());
    let tool = Some("Bash".to_owned());
    let more = Asked { kind: "permission".into(), text: "allow Bash?".into(), tool, ..Asked::default() };
    d.said(Source::Hook, Evidence::Blocked(more.clone()));
    assert_eq!(d.prompts(), 1);
    assert_eq!(d.session.durable().prompts[0].tool.as_deref(), Some("Bash"));
    // Its report comes once more when it was answered long ago.
    let at = d.now;
    d.said(Source::Osc7501, Evidence::Busy);
    assert_eq!(d.prompts(), 0);
    d.said_at(Source::Hook, at, Evidence::Blocked(more));
    assert_eq!(d.prompts(), 0);
}

#[test]
fn a_question_that_the_session_file_was_never_seen_with_is_closed_by_its_rest() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    d.said(Source::Hook, asks());
    d.said(Source::SessionFile, idle());
    assert_eq!(d.prompts(), 0);
}

#[test]
fn a_shells_report_begins_a_turn_of_its_own() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.said(Source::Hook, stopped("answer", "one", 0, 1));
    // It comes before any source has said that the agent rested in between.
    d.said(Source::Hook, reports("<task-notification>", "p2"));
    assert_eq!(d.answer(turn), Some("answer"));
    d.said(Source::Hook, stopped("the shell is done", "p2", 0, 0)).rests();
    assert_eq!(d.answer(turn), Some("answer"));
    assert_eq!(d.not_sent().first().and_then(|t| t.text.as_deref()), Some("the shell is done"));
}

#[test]
fn a_sub_agents_report_goes_on_with_the_turn() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.said(Source::Hook, stopped("so far", "one", 1, 0)).said(Source::SessionFile, idle());
    d.said(Source::Hook, reports("<task-notification>", "p2"));
    d.said(Source::Hook, stopped("all of it", "p2", 0, 0));
    assert_eq!(d.state(turn), Some(TurnState::Confirmed));
    d.rests();
    assert_eq!(d.answer(turn), Some("all of it"));
    assert!(d.not_sent().is_empty());
}

#[test]
fn the_end_of_work_that_got_in_front_is_not_the_messages_own() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.send("one");
    d.said(Source::Hook, reports("<task-notification>", "p1"));
    d.type_it(turn);
    // The agent put the message behind what it was at, and says so under that work's id.
    d.said(Source::Hook, taken("one", "p1")).said(Source::Osc7501, Evidence::Busy);
    d.said(Source::Hook, stopped("of the notification", "p1", 0, 0)).rests();
    assert_eq!(d.state(turn), Some(TurnState::Confirmed));
    d.said(Source::Osc7501, Evidence::Busy).said(Source::SessionFile, Evidence::Busy);
    d.said(Source::Hook, stopped("of the message", "p2", 0, 0)).rests();
    assert_eq!(d.answer(turn), Some("of the message"));
}

#[test]
fn a_message_behind_other_work_is_not_lost_while_that_lasts() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.send("one");
    d.said(Source::Hook, taken("by hand", "p1")).said(Source::Osc7501, Evidence::Busy);
    d.type_it(turn);
    d.feed(Input::Fired(Timer::Confirm(turn)));
    assert_eq!(d.state(turn), Some(TurnState::Delivering));
    // Now it should be told of at once.
    d.said(Source::Osc7501, done());
    assert!(d.out.iter().any(|e| matches!(e, Effect::Arm { timer: Timer::Confirm(t), .. } if *t == turn)));
    d.feed(Input::Fired(Timer::Confirm(turn)));
    assert!(d.is_over(turn, Outcome::Lost));
}

#[test]
fn the_transcript_does_not_take_back_what_a_hook_told() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("serve");
    d.said(Source::Transcript, taken("serve", "serve"));
    d.said(Source::Hook, stopped("it runs", "serve", 0, 1));
    // It knows nothing of shells.
    d.said(Source::Transcript, Evidence::Stopped { text: None, prompt: None, agents: 0, shells: 0 });
    d.said(Source::SessionFile, idle());
    assert_eq!(d.answer(turn), Some("it runs"));
    let next = d.send("next");
    assert_eq!(d.typed_now(), Some(next), "the status record says working for the shell alone");
}

#[test]
fn an_interrupt_that_came_too_late_leaves_the_answer() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    d.rests();
    d.feed(Input::Interrupt { request: RequestId(1) });
    assert_eq!(d.state(turn), Some(TurnState::Confirmed));
    d.said(Source::Hook, stopped("answer", "one", 0, 0));
    assert_eq!(d.answer(turn), Some("answer"));
    assert!(d.out.iter().any(|e| matches!(e, Effect::Done { result: Ok(()), .. })));
}

#[test]
fn a_message_waits_while_a_person_writes() {
    let mut d = Driver::ready(Cli::Claude);
    d.feed(Input::Keys);
    let turn = d.send("one");
    assert!(d.typed_now().is_none());
    d.box_shows("half a sent");
    assert!(d.typed_now().is_none());
    assert!(!d.out.iter().any(|e| matches!(e, Effect::Press(_))), "nobody's words are removed");
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(turn));
}

#[test]
fn a_look_from_before_the_keys_says_nothing() {
    let mut d = Driver::ready(Cli::Claude);
    // One was asked for at the start, and is answered only now.
    d.feed(Input::Keys).box_shows("");
    let turn = d.send("one");
    assert!(d.typed_now().is_none());
    assert!(d.out.iter().any(|e| matches!(e, Effect::Look { .. })));
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(turn));
}

#[test]
fn a_hidden_box_is_waited_for() {
    let mut d = Driver::ready(Cli::Claude);
    let first = d.run("one");
    d.said(Source::Transcript, taken("one", "one")).said(Source::Transcript, Evidence::Interrupted).rests();
    assert!(d.is_over(first, Outcome::Interrupted));
    let turn = d.send("two");
    for _ in 0..50 {
        d.feed(Input::Looked(ScreenText::default()));
        d.feed(Input::Fired(Timer::Composer));
    }
    assert_eq!(d.state(turn), Some(TurnState::Queued));
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(turn));
}

#[test]
fn the_next_message_shows_that_the_turn_before_was_interrupted() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    // Escape fires no hook, and the rest between the two has not been heard of.
    d.said(Source::Hook, taken("by hand", "p2"));
    assert!(d.is_over(turn, Outcome::Interrupted));
    d.said(Source::Hook, stopped("to the person", "p2", 0, 0)).rests();
    assert_eq!(d.answer(turn), None);
}

#[test]
fn what_is_typed_ahead_begins_when_the_turn_is_over() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    // Under the running turn's own id.
    d.said(Source::Hook, taken("and then this", "one"));
    d.said(Source::Hook, stopped("answer", "one", 0, 0)).rests();
    assert_eq!(d.answer(turn), Some("answer"));
    d.said(Source::SessionFile, Evidence::Busy);
    assert_eq!(d.not_sent().first().map(|t| t.request.as_str()), Some("and then this"));
}

#[test]
fn a_turn_that_was_over_before_it_was_heard_of_ends() {
    let mut d = Driver::ready(Cli::Claude);
    let at = d.now + 1;
    d.said(Source::Osc7501, Evidence::Busy).rests();
    d.said_at(Source::Hook, at, taken("by hand", "p"));
    d.said_at(Source::Hook, at + 1, stopped("answer", "p", 0, 0));
    assert_eq!(d.not_sent().first().map(|t| t.state), Some(TurnState::Over(Outcome::Ended)));
}

fn written(text: &str) -> Evidence {
    let options = vec![dsx_protocol::PromptOption { n: 1, label: "Red".into(), description: None }];
    Evidence::Blocked(dsx_core::Asked {
        kind: "question".into(),
        text: text.into(),
        options,
        ..Default::default()
    })
}

/// What is asked, and the labels.
fn open(d: &Driver) -> Vec<(String, Vec<String>)> {
    let prompts = d.session.durable().prompts.iter();
    prompts.map(|p| (p.text.clone(), p.options.iter().map(|o| o.label.clone()).collect())).collect()
}

#[test]
fn the_demo_agents_options_are_known_whatever_comes_first() {
    let which = || vec![("Which?".to_owned(), vec!["Red".to_owned()])];
    let asking = || {
        let mut d = Driver::ready(Cli::Demo);
        let turn = d.send("ask");
        d.feed(Input::Typed { turn });
        d.said(
            Source::Transcript,
            Evidence::Submitted { text: "ask".into(), prompt: None, origin_agent: false },
        );
        d.said(Source::Osc7501, Evidence::Busy);
        d
    };
    let mut d = asking();
    d.said(Source::Transcript, written("Which?"));
    assert_eq!(open(&d), vec![], "it may have been answered meanwhile");
    d.said(Source::Osc7501, asks());
    assert_eq!(open(&d), which());

    let mut d = asking();
    d.said(Source::Osc7501, asks());
    assert_eq!(open(&d), vec![]);
    d.said(Source::Transcript, written("Which?"));
    assert_eq!(open(&d), which());
    d.said(Source::Osc7501, Evidence::Busy);
    assert_eq!(open(&d), vec![]);
    // Read again: it was answered.
    let asked_at = d.now - 20;
    d.said_at(Source::Transcript, asked_at, written("Which?"));
    d.said(Source::Osc7501, asks());
    d.feed(Input::Fired(Timer::Hook));
    assert_eq!(open(&d), vec![("allow?".to_owned(), vec![])]);
    // Late, but better than never.
    d.said(Source::Transcript, written("What now?"));
    assert_eq!(open(&d), vec![("What now?".to_owned(), vec!["Red".to_owned()])]);
}

#[test]
fn the_newest_turn_to_wait_for_is_the_one_that_ends_last() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    d.said(Source::Hook, taken("typed ahead", "a9"));
    let queued = d.send("two");
    d.said(Source::Hook, stopped("answer", "p1", 0, 0));
    d.rests();
    d.feed(Input::Wait { waiter: dsx_core::WaiterId(7), turn: None, until: dsx_core::Until::Ended });
    let bound = d.out.iter().find_map(|e| match e {
        Effect::Bound { turn, .. } => Some(*turn),
        _ => None,
    });
    assert_eq!(bound, Some(Some(queued)));
}

#[test]
fn what_was_typed_ahead_is_a_turn_though_the_agent_was_never_seen_to_rest() {
    let mut d = Driver::ready(Cli::Claude);
    let turn = d.run("one");
    let id = d.turn(turn).unwrap().prompts[0].clone();
    // It is told of when it is queued, under the running turn's id, and its own is in the transcript alone.
    d.said(Source::Hook, taken("typed ahead", &id));
    d.said(Source::Hook, stopped("answer", &id, 0, 0));
    d.said(Source::Hook, stopped("ahead's answer", "a9", 0, 0));
    d.said(Source::Transcript, taken("typed ahead", "a9"));
    assert!(d.is_over(turn, Outcome::Ended));
    assert_eq!(d.answer(turn), Some("answer"));
    d.said(Source::Transcript, stopped("ahead's answer", "a9", 0, 0));
    d.rests();
    let ahead = dsx_protocol::TurnId(turn.0 + 1);
    assert!(d.is_over(ahead, Outcome::Ended));
    assert_eq!(d.answer(ahead), Some("ahead's answer"));
}
