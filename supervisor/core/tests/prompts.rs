//! Prompts by hand: several sources tell of one question, in any order and at any distance.

mod driver;

use driver::{Driver, asks, taken};
use dsx_core::{
    Asked, Cli, Effect, Evidence, Input, Recovery, RequestId, ScreenText, Source, Timer, Until, WaiterId,
};
use dsx_protocol::{PromptOption, Respond};

/// What a hook tells of a command that needs permission.
fn hook(key: &str, command: &str) -> Evidence {
    Evidence::Blocked(Asked {
        kind: "permission".into(),
        text: "allow Bash?".into(),
        tool: Some("Bash".into()),
        command: Some(command.into()),
        key: Some(key.into()),
        ..Asked::default()
    })
}

fn working() -> Driver {
    let mut driver = Driver::ready(Cli::Claude);
    driver.run("do it");
    driver
}

fn wait(driver: &mut Driver) {
    driver.feed(Input::Wait { waiter: WaiterId(1), turn: None, until: Until::Ended });
}

fn is_settled(driver: &Driver) -> bool {
    driver.out.iter().any(|e| matches!(e, Effect::Settle { .. }))
}

#[test]
fn who_waits_is_told_of_a_question_when_its_hook_has_told_what_it_is() {
    let mut d = working();
    wait(&mut d);
    d.said(Source::Osc7501, asks());
    d.said(Source::SessionFile, asks());
    d.feed(Input::Fired(Timer::Hook));
    assert_eq!(d.session.status().status, "waiting_for_input");
    assert!(!is_settled(&d));
    d.said(Source::Hook, hook("k", "rm x"));
    assert!(is_settled(&d));
    assert_eq!(d.session.durable().prompts.len(), 1);
    assert_eq!(d.session.durable().prompts[0].command.as_deref(), Some("rm x"));
}

#[test]
fn a_question_whose_hook_never_comes_is_told_all_the_same() {
    let mut d = working();
    wait(&mut d);
    d.said(Source::Osc7501, asks());
    d.said(Source::SessionFile, asks());
    d.feed(Input::Fired(Timer::Hook));
    d.feed(Input::Fired(Timer::Hook));
    assert!(is_settled(&d));
}

#[test]
fn an_answer_is_for_one_prompt_and_one_caller() {
    let mut d = working();
    d.said(Source::Hook, hook("k", "rm x"));
    d.feed(Input::Hold { request: RequestId(50), key: "k".into() });
    let allow = |key: &str| Respond { allow: true, key: Some(key.into()), ..Respond::default() };
    d.feed(Input::Respond { request: RequestId(51), by: "user".into(), respond: allow("one") });
    assert!(
        d.out
            .iter()
            .any(|e| matches!(e, Effect::Decide { request: RequestId(50), output } if !output.is_empty()))
    );
    d.feed(Input::Respond { request: RequestId(52), by: "user".into(), respond: allow("two") });
    let refused = |e: &Effect| matches!(e, Effect::Responded { request: RequestId(52), result: Err(_) });
    assert!(d.out.iter().any(refused));
    // The status record was later than the answer.
    d.said(Source::Osc7501, asks());
    d.said(Source::Osc7501, Evidence::Busy);
    let told = |e: &Effect| matches!(e, Effect::Responded { request: RequestId(51), result: Ok(_) });
    assert!(d.out.iter().any(told));
}

#[test]
fn a_decision_that_was_recorded_reaches_the_hook_after_a_crash() {
    let mut d = working();
    d.said(Source::Osc7501, asks());
    d.said(Source::Hook, hook("k", "rm x"));
    d.feed(Input::Hold { request: RequestId(50), key: "k".into() });
    let allow = Respond { allow: true, key: Some("one".into()), ..Respond::default() };
    d.feed(Input::Respond { request: RequestId(51), by: "user".into(), respond: allow.clone() });
    d.crash();
    d.recovered(Recovery::Unknown);
    // The caller asks the next supervisor, and so does the hook.
    d.feed(Input::Respond { request: RequestId(61), by: "user".into(), respond: allow });
    d.feed(Input::Hold { request: RequestId(60), key: "k".into() });
    let decided = |e: &Effect| matches!(e, Effect::Decide { request: RequestId(60), output } if output.contains("allow"));
    assert!(d.out.iter().any(decided), "{:?}", d.out);
    d.said(Source::Osc7501, Evidence::Busy);
    let told = |e: &Effect| matches!(e, Effect::Responded { request: RequestId(61), result: Ok(_) });
    assert!(d.out.iter().any(told), "{:?}", d.out);
    assert_eq!(d.prompts(), 0);
}

/// Keys would be another way, and for some prompts there is none.
#[test]
fn after_a_restart_an_answer_waits_for_its_hook() {
    let mut d = working();
    d.said(Source::Osc7501, asks());
    d.said(Source::Hook, hook("k", "rm x"));
    d.feed(Input::Hold { request: RequestId(50), key: "k".into() });
    d.crash();
    d.recovered(Recovery::Unknown);
    let allow = Respond { allow: true, key: Some("one".into()), ..Respond::default() };
    d.feed(Input::Respond { request: RequestId(61), by: "user".into(), respond: allow });
    assert!(
        !d.out.iter().any(|e| matches!(e, Effect::Look { .. } | Effect::Responded { .. })),
        "{:?}",
        d.out
    );
    d.feed(Input::Hold { request: RequestId(60), key: "k".into() });
    assert!(d.out.iter().any(|e| matches!(e, Effect::Decide { request: RequestId(60), .. })), "{:?}", d.out);
}

/// A record that a printed file forges is not what the session file says.
#[test]
fn the_status_record_alone_opens_no_prompt() {
    let mut d = working();
    d.said(Source::Hook, taken("do it", "do it"));
    d.said(Source::Osc7501, asks());
    d.feed(Input::Fired(Timer::Hook));
    assert_eq!(d.prompts(), 0);
    d.feed(Input::Fired(Timer::Hook));
    assert_eq!((d.prompts(), d.session.status().status.as_str()), (0, "working"));
    // The same, and the file agrees: late, or in time.
    d.said(Source::Osc7501, Evidence::Busy);
    d.said(Source::Osc7501, asks());
    d.feed(Input::Fired(Timer::Hook));
    d.said(Source::SessionFile, asks());
    assert!(d.out.iter().any(|e| matches!(e, Effect::Arm { timer: Timer::Hook, after_ms: 0 })));
    d.feed(Input::Fired(Timer::Hook));
    assert_eq!(d.prompts(), 1);
}

#[test]
fn a_demo_question_gets_its_options_from_the_transcript() {
    for transcript_first in [true, false] {
        let mut d = Driver::ready(Cli::Demo);
        d.run("ask Which? | red");
        wait(&mut d);
        let option = PromptOption { n: 1, label: "red".into(), ..PromptOption::default() };
        let asked = Asked {
            kind: "question".into(),
            text: "Which?".into(),
            options: vec![option],
            ..Asked::default()
        };
        let bare = Asked { options: Vec::new(), ..asked.clone() };
        if transcript_first {
            d.said(Source::Transcript, Evidence::Blocked(asked));
            d.said(Source::Osc7501, Evidence::Blocked(bare));
            assert!(is_settled(&d));
        } else {
            d.said(Source::Osc7501, Evidence::Blocked(bare));
            assert!(!is_settled(&d));
            d.said(Source::Transcript, Evidence::Blocked(asked));
            assert!(is_settled(&d));
            d.feed(Input::Fired(Timer::Hook));
        }
        assert_eq!(d.prompts(), 1);
        assert_eq!(d.session.durable().prompts[0].options[0].label, "red");
        d.said(Source::Osc7501, Evidence::Busy);
        assert_eq!(d.prompts(), 0);
    }
}

/// Where no status record tells that a dialog is gone, the next one on the screen does.
#[test]
fn at_the_start_one_dialog_follows_another() {
    let shown = |text: &str| {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        ScreenText { solid: lines.clone(), lines, ..ScreenText::default() }
    };
    let trust = shown(" Do you trust this?\n\n ❯ 1. Yes, I trust this folder\n   2. No, exit\n");
    let key = shown(" A custom API key\n\n   1. Yes\n ❯ 2. No (recommended)\n");
    let mut d = Driver::starting(Cli::Claude);
    d.feed(Input::Looked(trust.clone()));
    assert_eq!((d.prompts(), d.session.durable().prompts[0].kind.as_str()), (1, "trust"));
    let allow = Respond { allow: true, key: Some("one".into()), ..Respond::default() };
    d.feed(Input::Respond { request: RequestId(51), by: "user".into(), respond: allow });
    for _ in 0..2 {
        d.feed(Input::Looked(trust.clone()));
        d.now += 1_000;
    }
    assert!(d.session.durable().decision("p1").is_some());
    d.feed(Input::Looked(key));
    let told = |e: &Effect| matches!(e, Effect::Responded { request: RequestId(51), result: Ok(_) });
    assert!(d.out.iter().any(told), "{:?}", d.out);
    assert_eq!((d.prompts(), d.session.durable().prompts[0].kind.as_str()), (1, "login"));
}
