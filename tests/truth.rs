//! How dsx sees what the real Claude did, by recordings beside which the true state stands: no machine's speed
//! is in it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use dsx_tests::truth::replay::play;
use dsx_tests::truth::scenario::SCENARIOS;
use dsx_tests::truth::score::{Score, Wrong, score};
use dsx_tests::truth::{Recording, State};

/// How long `working` may be said of an agent that asks.
const ASKED_MS: u64 = 150;

fn each(check: impl Fn(&Score) -> Vec<String>) {
    let recordings = Recording::all();
    let wrong: Vec<String> = recordings
        .iter()
        .flat_map(|(name, recording)| {
            let played = play(recording);
            let found = check(&score(recording, &played));
            found.into_iter().map(move |what| format!("{name}: {what}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn told(wrong: &Wrong) -> String {
    let Wrong { from, until, said, state } = wrong;
    format!("{said} for {} ms from {from} on, when it was {state:?}", until - from)
}

#[test]
fn every_scenario_is_recorded_with_both_versions() {
    let recordings = Recording::all();
    let mut heads: Vec<(String, String)> = Vec::new();
    for (name, recording) in &recordings {
        let (scenario, version, _) = recording.head();
        assert_eq!(*name, format!("{scenario}-{version}"));
        heads.push((scenario.to_owned(), version.to_owned()));
    }
    for scenario in SCENARIOS {
        let of: Vec<&str> = heads.iter().filter(|h| h.0 == scenario.name).map(|h| h.1.as_str()).collect();
        assert_eq!(of, ["2.1.197", "2.1.328"], "{}", scenario.name);
    }
    assert_eq!(heads.len(), 2 * SCENARIOS.len());
}

#[test]
fn it_is_never_idle_while_a_turn_runs() {
    each(|score| score.idle_at_work.iter().map(told).collect());
}

#[test]
fn it_is_not_working_for_long_while_a_prompt_is_open() {
    each(|score| score.working_heard.iter().filter(|w| w.until - w.from > ASKED_MS).map(told).collect());
}

#[test]
fn every_change_is_told() {
    each(|score| {
        let untold = score.changes.iter().filter(|c| c.is_untold());
        untold.map(|c| format!("{:?} from {} until {} was never said", c.state, c.at, c.until)).collect()
    });
}

#[test]
fn every_turn_ends_as_it_did() {
    let recordings = Recording::all();
    for (name, recording) in &recordings {
        let played = play(recording);
        let score = score(recording, &played);
        assert_eq!(played.outcomes, score.expected, "{name}");
        assert_eq!((played.left, &played.troubles), (0, &Vec::new()), "{name}");
        assert_eq!(played.status_at(played.end), State::Idle.status(), "{name}");
    }
}

/// What the other tests rely on is found: a replay that saw nothing would pass most of them.
#[test]
fn the_recordings_hold_what_they_are_for() {
    let recordings = Recording::all();
    let questions = |r: &Recording| {
        let score = score(r, &play(r));
        score.changes.iter().filter(|c| c.state == State::WaitingForInput).count()
    };
    for (scenario, count) in
        [("text", 0), ("allow", 1), ("several", 2), ("question", 2), ("agent-asks", 1), ("prose", 0)]
    {
        let of = recordings.iter().filter(|(_, r)| r.head().0 == scenario);
        for (name, recording) in of {
            assert_eq!(questions(recording), count, "{name}");
        }
    }
}
