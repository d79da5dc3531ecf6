//! The time to live, counted by the core.

mod driver;

use driver::{Driver, asks, idle, spec};
use dsx_core::{
    Cli, Durable, Effect, Exit, Input, Now, Recovery, SendRequest, Session, Source, Terms, Timer,
};
use dsx_protocol::ErrorKind;

const TTL: u64 = 60_000;

fn mortal(cli: Cli) -> Driver {
    let mut spec = spec(cli);
    spec.terms = Terms { ttl_ms: Some(TTL), ..Terms::default() };
    let mut out = Vec::new();
    let session = Session::create(spec, &mut out);
    let facts = out
        .iter()
        .filter_map(|e| match e {
            Effect::Persist(fact) => Some((10, fact.clone())),
            _ => None,
        })
        .collect();
    let mut d = Driver { session, now: 10, facts, out };
    d.feed(Input::Started { pid: 7, start_time: 7 });
    if cli != Cli::Command {
        d.said(Source::Osc7501, idle());
    }
    d
}

/// What the last input did to the timer: armed for so long, or disarmed.
fn timer(d: &Driver) -> Option<Option<u64>> {
    d.out.iter().rev().find_map(|e| match e {
        Effect::Arm { timer: Timer::TimeToLive, after_ms } => Some(Some(*after_ms)),
        Effect::Disarm(Timer::TimeToLive) => Some(None),
        _ => None,
    })
}

fn expires(d: &Driver) -> bool {
    d.out.contains(&Effect::Expire)
}

fn fire(d: &mut Driver, after: u64) {
    d.now += after;
    d.feed(Input::Fired(Timer::TimeToLive));
}

#[test]
fn without_one_there_is_no_timer() {
    let mut d = Driver::ready(Cli::Demo);
    assert_eq!(timer(&d), None);
    fire(&mut d, TTL * 100);
    assert!(!expires(&d));
}

#[test]
fn it_is_over_when_nobody_used_the_session() {
    let mut d = mortal(Cli::Demo);
    assert_eq!(timer(&d), Some(Some(TTL)));
    fire(&mut d, TTL);
    assert!(expires(&d));
    // It is being ended: nothing is begun in it, and it is ended once.
    d.feed(Input::Send {
        request: dsx_core::RequestId(1),
        send: SendRequest { text: "x".into(), ..SendRequest::default() },
    });
    let refused = d
        .out
        .iter()
        .any(|e| matches!(e, Effect::Sent { result: Err(error), .. } if error.kind == ErrorKind::Exited));
    assert!(refused, "{:?}", d.out);
    fire(&mut d, TTL);
    assert!(!expires(&d));
}

#[test]
fn a_turn_a_prompt_and_a_viewer_keep_it() {
    let mut d = mortal(Cli::Demo);
    d.send("x");
    assert_eq!(timer(&d), Some(None));
    fire(&mut d, TTL * 2);
    assert!(!expires(&d));

    let mut d = mortal(Cli::Demo);
    d.said(Source::Osc7501, asks());
    assert_eq!(timer(&d), Some(None));

    let mut d = mortal(Cli::Demo);
    d.feed(Input::Viewers(1));
    assert_eq!(timer(&d), Some(None));
    d.now += TTL * 2;
    d.feed(Input::Viewers(0));
    assert_eq!(timer(&d), Some(Some(TTL)));
    d.now += TTL / 2;
    d.feed(Input::Keys);
    assert_eq!(timer(&d), Some(Some(TTL)));
    // The timer of before, that was already on its way.
    d.feed(Input::Fired(Timer::TimeToLive));
    assert!(!expires(&d));
    assert_eq!(timer(&d), Some(Some(TTL - 10)));
}

#[test]
fn a_start_is_not_cut_short() {
    let mut spec = spec(Cli::Claude);
    spec.terms = Terms { ttl_ms: Some(1_000), ..Terms::default() };
    let mut d = Driver {
        session: Session::create(spec, &mut Vec::new()),
        now: 10,
        facts: Vec::new(),
        out: Vec::new(),
    };
    d.feed(Input::Started { pid: 7, start_time: 7 });
    assert_eq!(timer(&d), Some(Some(300_000)));
}

#[test]
fn what_has_exited_is_forgotten_after_the_same_time() {
    let mut d = mortal(Cli::Command);
    d.feed(Input::Exited(Exit { code: Some(0), signal: None }));
    assert_eq!(timer(&d), Some(Some(TTL)));
    fire(&mut d, TTL);
    assert!(expires(&d));
}

#[test]
fn a_restart_goes_on_counting() {
    let mut d = mortal(Cli::Demo);
    let durable = Durable::replay(d.facts.iter().map(|(at, fact)| (*at, fact))).unwrap();
    let used = durable.last_at;
    for (later, left) in [(TTL / 2, TTL / 2), (TTL * 3, 10_000)] {
        let mut session = Session::restore(durable.clone());
        let mut out = Vec::new();
        let now = Now { ms: used + later, ..Now::default() };
        session.handle(now, Input::Viewers(0), &mut out);
        assert!(!out.iter().any(|e| matches!(e, Effect::Arm { .. })), "nothing is judged yet: {out:?}");
        session = Session::restore(durable.clone());
        out.clear();
        session.handle(now, Input::Recovered(Recovery::NotSubmitted), &mut out);
        (d.session, d.out) = (session, out);
        assert_eq!(timer(&d), Some(Some(left)), "viewers have time to come back");
    }
}
