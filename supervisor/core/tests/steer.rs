//! A message that joins the running turn, stops it, or waits for somebody's draft.

mod driver;

use driver::{Driver, asks, done, idle, stopped, taken};
use dsx_core::{
    Cli, Effect, Evidence, Fact, Input, Outcome, Recovery, RequestId, SendRequest, Source, Timer, TurnState,
    Until, WaiterId,
};
use dsx_protocol::{ErrorKind, TurnId};

fn steer(text: &str) -> SendRequest {
    SendRequest { text: text.into(), steer: true, ..SendRequest::default() }
}

fn interrupt(text: &str) -> SendRequest {
    SendRequest { text: text.into(), interrupt: true, ..SendRequest::default() }
}

fn plain(text: &str) -> SendRequest {
    SendRequest { text: text.into(), ..SendRequest::default() }
}

fn pressed(d: &Driver) -> bool {
    d.out.iter().any(|e| matches!(e, Effect::Press(_)))
}

fn armed(d: &Driver, timer: Timer) -> bool {
    d.out.iter().any(|e| matches!(e, Effect::Arm { timer: t, .. } if *t == timer))
}

/// The delivery and the turn that a send was answered with just now.
fn delivered(d: &Driver) -> Option<(String, Option<TurnId>)> {
    let receipt = d.reply()?.as_ref().ok()?;
    Some((receipt.delivery.clone(), receipt.turn))
}

/// A turn runs and another message has been typed into it.
fn steered() -> (Driver, TurnId, TurnId) {
    let mut d = Driver::ready(Cli::Claude);
    let first = d.run("one");
    let second = d.send_with(steer("more"));
    assert_eq!(d.typed_now(), Some(second));
    d.type_it(second);
    (d, first, second)
}

fn enqueued() -> Evidence {
    Evidence::Enqueued { text: "more".into() }
}

fn absorbed() -> Evidence {
    Evidence::Absorbed { text: "more".into() }
}

#[test]
fn what_the_agent_takes_into_its_work_has_joined_the_turn() {
    let (mut d, first, second) = steered();
    let waiting = d.send("later");
    // A hook tells of it under the id of the running turn: that is no turn of somebody's.
    d.said(Source::Hook, taken("more", "one")).said(Source::Transcript, enqueued());
    assert_eq!(delivered(&d), None);
    assert_eq!(d.state(second), Some(TurnState::Steering));
    d.said(Source::Transcript, absorbed());
    assert_eq!(delivered(&d), Some(("absorbed".to_owned(), Some(first))));
    d.said(Source::Hook, stopped("both", "one", 0, 0)).rests();
    assert_eq!(d.answer(first), Some("both"));
    assert!(d.is_over(second, Outcome::Absorbed) && d.not_sent().is_empty());
    assert_eq!(d.state(waiting), Some(TurnState::Delivering));
}

#[test]
fn what_the_agent_begins_afterwards_is_a_turn_of_its_own() {
    let (mut d, first, second) = steered();
    let waiting = d.send("later");
    d.said(Source::Transcript, enqueued()).said(Source::Hook, stopped("first", "one", 0, 0));
    // It rests for a moment between the two: nothing else is typed.
    d.said(Source::SessionFile, idle());
    assert!(d.is_over(first, Outcome::Ended));
    assert_eq!(d.state(waiting), Some(TurnState::Queued));
    d.said(Source::SessionFile, Evidence::Busy).said(Source::Transcript, taken("more", "two"));
    assert_eq!(delivered(&d), Some(("submitted".to_owned(), Some(second))));
    assert_eq!(d.state(waiting), Some(TurnState::Queued));
    d.said(Source::Hook, stopped("second", "two", 0, 0)).rests();
    assert_eq!((d.answer(first), d.answer(second)), (Some("first"), Some("second")));
    assert_eq!(d.state(waiting), Some(TurnState::Delivering));
}

#[test]
fn an_end_of_its_own_that_is_told_before_its_beginning_counts() {
    let (mut d, first, second) = steered();
    d.said(Source::Hook, taken("more", "one")).said(Source::Hook, stopped("first", "one", 0, 0));
    // The transcript, which alone tells that the agent began with it, is late.
    d.said(Source::Hook, stopped("second", "two", 0, 0)).rests();
    assert_eq!((d.answer(first), d.answer(second)), (Some("first"), Some("second")));
}

#[test]
fn one_at_a_time_is_in_the_agents_queue() {
    let (mut d, ..) = steered();
    let third = d.send_with(steer("and more"));
    assert_eq!(d.state(third), Some(TurnState::Queued));
    d.said(Source::Transcript, absorbed());
    assert_eq!(d.typed_now(), Some(third));
}

#[test]
fn nothing_joins_a_turn_that_asks_or_only_waits_for_its_agents() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    d.said(Source::Hook, stopped("so far", "one", 1, 0));
    let second = d.send_with(steer("more"));
    assert_eq!(d.state(second), Some(TurnState::Queued));
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    d.said(Source::Hook, asks());
    d.feed(Input::Send { request: RequestId(9), send: steer("more") });
    assert_eq!(d.reply().unwrap().as_ref().unwrap_err().kind, ErrorKind::Waiting);
}

#[test]
fn with_nothing_to_join_or_stop_it_is_a_message_like_any_other() {
    for send in [steer("more"), interrupt("more")] {
        let mut d = Driver::ready(Cli::Claude);
        let turn = d.send_with(send);
        assert_eq!(d.state(turn), Some(TurnState::Delivering));
        assert!(!pressed(&d));
    }
}

#[test]
fn a_crash_while_it_is_typed_neither_doubles_nor_forgets_it() {
    // Provably nothing was submitted: it waits its turn, and what stands in the box is left until the agent rests.
    let (mut d, first, second) = steered();
    d.crash();
    d.said(Source::SessionFile, Evidence::Busy).recovered(Recovery::NotSubmitted);
    assert_eq!(d.state(second), Some(TurnState::Queued));
    d.box_shows("more");
    assert!(!pressed(&d), "the key that empties the box stops a turn that runs");
    d.said(Source::Hook, stopped("first", "one", 0, 0)).rests();
    assert!(d.is_over(first, Outcome::Ended));
    assert_eq!(d.typed_now(), None);
    // It may have been: only the agent's words tell.
    let (mut d, first, second) = steered();
    d.crash();
    d.said(Source::SessionFile, Evidence::Busy).recovered(Recovery::Unknown);
    assert_eq!(d.state(second), Some(TurnState::Steering));
    d.said(Source::Transcript, enqueued()).said(Source::Transcript, absorbed());
    assert!(d.is_over(second, Outcome::Absorbed));
    // And where they are silent it is lost.
    let (mut d, ..) = steered();
    d.crash();
    d.said(Source::SessionFile, Evidence::Busy).recovered(Recovery::Unknown);
    d.said(Source::Hook, stopped("first", "one", 0, 0)).rests();
    assert!(d.is_over(first, Outcome::Ended) && armed_confirm(&d, second));
    d.feed(Input::Fired(Timer::Confirm(second)));
    assert!(d.is_over(second, Outcome::Lost));
    assert!(d.turn(second).unwrap().error.as_deref().unwrap().contains("unconfirmed"));
}

fn armed_confirm(d: &Driver, turn: TurnId) -> bool {
    d.state(turn) == Some(TurnState::Delivering)
}

#[test]
fn what_the_agent_had_and_left_nothing_of_went_into_its_work() {
    let (mut d, first, second) = steered();
    d.said(Source::Transcript, enqueued());
    d.said(Source::Hook, stopped("first", "one", 0, 0)).rests();
    d.feed(Input::Fired(Timer::Confirm(second)));
    assert_eq!(delivered(&d), Some(("absorbed".to_owned(), Some(first))));
}

#[test]
fn a_message_that_the_box_does_not_show_alone_is_not_submitted() {
    let mut d = Driver::ready(Cli::Claude);
    d.run("one");
    let second = d.send_with(steer("more"));
    d.feed(Input::Mixed { turn: second });
    assert_eq!(d.state(second), Some(TurnState::Queued));
    assert_eq!(delivered(&d), Some(("queued".to_owned(), Some(second))));
    assert!(!pressed(&d));
    d.said(Source::Hook, stopped("first", "one", 0, 0)).rests();
    d.box_shows("more");
    assert!(pressed(&d));
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(second));
}

#[test]
fn a_line_for_a_program_has_joined_once_its_terminal_has_it() {
    let mut d = Driver::ready(Cli::Command);
    let first = d.run("cat");
    let second = d.send_with(steer("more"));
    assert_eq!(d.typed_now(), Some(second));
    d.feed(Input::Submitting { turn: second }).feed(Input::Typed { turn: second });
    assert_eq!(delivered(&d), Some(("absorbed".to_owned(), Some(first))));
    assert_eq!(d.state(first), Some(TurnState::Confirmed));
}

#[test]
fn a_wait_for_what_has_joined_is_for_the_turn_it_joined() {
    let (mut d, first, second) = steered();
    let settled = |d: &Driver| {
        d.out.iter().find_map(|e| match e {
            Effect::Settle { result: Ok(settled), .. } => Some((settled.turn, settled.outcome.clone())),
            _ => None,
        })
    };
    d.feed(Input::Wait { waiter: WaiterId(1), turn: Some(second), until: Until::Ended });
    d.said(Source::Transcript, enqueued()).said(Source::Transcript, absorbed());
    assert_eq!(settled(&d), None);
    d.said(Source::Hook, stopped("both", "one", 0, 0)).said(Source::Osc7501, done());
    d.said(Source::SessionFile, idle());
    assert_eq!(settled(&d), Some((Some(first), "ended".to_owned())));
}

#[test]
fn the_message_that_stops_a_turn_goes_before_those_that_wait() {
    let mut d = Driver::ready(Cli::Claude);
    let first = d.run("one");
    let waiting = d.send("two");
    let urgent = d.send_with(interrupt("three"));
    assert!(pressed(&d));
    let also = d.send_with(interrupt("four"));
    assert!(!pressed(&d), "a second Escape in quick succession is for what comes after the turn");
    d.said(Source::Transcript, taken("one", "one")).said(Source::Transcript, Evidence::Interrupted);
    d.said(Source::Osc7501, idle()).said(Source::SessionFile, idle());
    assert!(d.is_over(first, Outcome::Interrupted));
    d.box_shows("");
    assert_eq!(d.typed_now(), Some(urgent));
    d.type_it(urgent);
    d.said(Source::Hook, taken("three", "p3"));
    let receipt = d.reply().unwrap().as_ref().unwrap();
    assert_eq!((receipt.delivery.as_str(), receipt.interrupted), ("submitted", Some(first)));
    assert_eq!((d.state(also), d.state(waiting)), (Some(TurnState::Queued), Some(TurnState::Queued)));
    assert_eq!(d.session.durable().first_queued().map(|t| t.id), Some(also));
}

#[test]
fn the_key_that_stops_a_turn_is_pressed_again_after_a_crash_while_the_agent_works() {
    for works in [true, false] {
        let mut d = Driver::ready(Cli::Claude);
        d.run("one");
        d.send_with(interrupt("two"));
        d.crash();
        if !works {
            d.said(Source::Osc7501, idle()).said(Source::SessionFile, idle());
        }
        d.recovered(Recovery::Unknown);
        let escape =
            |e: &Effect| matches!(e, Effect::Press(script) if format!("{script:?}").contains("Write([27])"));
        assert_eq!(d.out.iter().any(escape), works);
    }
}

#[test]
fn a_message_waits_for_a_draft_and_is_given_up_for_good() {
    let mut d = Driver::ready(Cli::Claude);
    d.feed(Input::Keys);
    let turn = d.send_with(SendRequest { draft_ms: Some(5_000), ..plain("one") });
    assert!(armed(&d, Timer::Draft(turn)) && armed(&d, Timer::Held(turn)) && d.reply().is_none());
    d.box_shows("somebody's");
    d.feed(Input::Fired(Timer::Held(turn)));
    assert!(d.out.iter().any(|e| matches!(e, Effect::Held { turn: held, .. } if *held == turn)));
    // A death in between: it waits for what is left of the time.
    d.crash();
    d.recovered(Recovery::NotSubmitted);
    assert!(armed(&d, Timer::Draft(turn)));
    let key = SendRequest { key: Some("k".into()), ..plain("one") };
    d.feed(Input::Fired(Timer::Draft(turn)));
    assert!(d.is_over(turn, Outcome::Lost));
    d.box_shows("");
    assert_eq!(d.typed_now(), None);
    // A repeat is told the same.
    d.feed(Input::Keys);
    let turn = d.send_with(key.clone());
    d.feed(Input::Fired(Timer::Draft(turn)));
    let first = d.reply().unwrap().as_ref().unwrap_err().clone();
    assert_eq!(first.kind, ErrorKind::Timeout);
    d.feed(Input::Send { request: RequestId(77), send: key });
    assert_eq!(d.reply().unwrap().as_ref().unwrap_err(), &first);
}

#[test]
fn a_message_that_may_wait_is_not_given_up_for_a_draft() {
    let mut d = Driver::ready(Cli::Claude);
    d.feed(Input::Keys);
    let queued = d.send("one");
    assert_eq!(delivered(&d), Some(("queued".to_owned(), Some(queued))));
    let held = d.send_with(plain("two"));
    assert_eq!(delivered(&d), None);
    // The draft was sent off: the message is behind that turn now, and stays.
    d.said(Source::Hook, taken("somebody's", "p"));
    assert_eq!(delivered(&d), Some(("queued".to_owned(), Some(held))));
    d.feed(Input::Fired(Timer::Draft(held)));
    assert_eq!(d.state(held), Some(TurnState::Queued));
    assert!(matches!(
        d.facts.iter().rev().find(|(_, f)| matches!(f, Fact::Waits { .. })),
        Some((_, Fact::Waits { until: 0, .. }))
    ));
}

#[test]
fn only_what_the_agent_put_back_is_removed_from_a_box_in_which_somebody_wrote() {
    for (shown, removed) in [("one", true), ("somebody's", false), ("onesomebody's", false)] {
        let mut d = Driver::ready(Cli::Claude);
        let first = d.run("one");
        d.feed(Input::Keys);
        let next = d.send_with(interrupt("two"));
        d.said(Source::Osc7501, idle()).said(Source::SessionFile, idle());
        d.feed(Input::Fired(Timer::Settle(first)));
        assert!(d.is_over(first, Outcome::Interrupted), "{:?}", d.state(first));
        d.box_shows(shown);
        assert_eq!(pressed(&d), removed, "{shown}");
        assert_eq!(d.state(next), Some(TurnState::Queued));
    }
}
