//! How often dsx knows what the real Claude does, by recordings beside which the true state stands: the share of
//! time in which it is right, and how long it takes to say each change.
//!
//! With `DSX_BENCH_RECORD=1` the recordings are made anew with the real programs, and those in the repository are
//! replaced; with names of scenarios (`text,slow`) in its place, only theirs.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use dsx_benches::figures::{Samples, ms, note, side, title, verdict};
use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, install_or_skip};
use dsx_tests::truth::record::record;
use dsx_tests::truth::replay::play;
use dsx_tests::truth::scenario::SCENARIOS;
use dsx_tests::truth::score::{Change, Score, Wrong, score};
use dsx_tests::truth::{Recording, State};

/// How long `working` may be said of an agent that asks.
const ASKED_MS: u64 = 150;

fn main() -> ExitCode {
    if let Some(which) = std::env::var_os("DSX_BENCH_RECORD") {
        record_again(&which.to_string_lossy());
    }
    let recordings = Recording::all();
    let mut right = true;
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        let of_version = recordings.iter().filter(|(_, r)| r.head().1 == package.version);
        let scores: Vec<(String, Score)> =
            of_version.map(|(_, r)| (r.head().0.to_owned(), score(r, &play(r)))).collect();
        if !scores.is_empty() {
            right &= table(package.version, &scores);
        }
    }
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record_again(which: &str) {
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        let Some(agent) = install_or_skip(package, "a recording") else { continue };
        for scenario in SCENARIOS.iter().filter(|s| which == "1" || which.split(',').any(|w| w == s.name)) {
            let recording = record(scenario, &agent, Path::new(env!("CARGO_BIN_EXE_dsx-under-bench")));
            let file = Recording::directory().join(format!("{}-{}.ndjson", scenario.name, package.version));
            recording.write(&file);
            println!("{}", file.display());
        }
    }
}

/// False where something is wrong that no machine's slowness excuses.
fn table(version: &str, scores: &[(String, Score)]) -> bool {
    title(&format!("Claude {version}: dsx status : the true state, in {} recordings", scores.len()));
    let sum = |of: fn(&Score) -> u64| scores.iter().map(|(_, s)| of(s)).sum::<u64>();
    let (total, right, excused) = (sum(|s| s.total), sum(|s| s.right), sum(|s| s.excused));
    let share = |of: u64| format!("{:.2} %", of as f64 * 100.0 / total as f64);
    side("right, by the model's and the harness' clock", &share(right));
    side("right, but for what the agent had not shown", &share(right + excused));
    let wrongs = scores.iter().flat_map(|(scenario, s)| s.wrong.iter().map(move |w| (scenario, w)));
    if let Some((scenario, Wrong { from, until, said, state })) = wrongs.max_by_key(|(_, w)| w.until - w.from)
    {
        let what = format!("`{said}` for {} ms in '{scenario}', when it was {state:?}", until - from);
        note("the longest that it was wrong", &what);
    }
    for (name, state) in
        [("working", State::Working), ("waiting_for_input", State::WaitingForInput), ("idle", State::Idle)]
    {
        let to =
            scores.iter().flat_map(|(_, s)| &s.changes).filter(|c| c.state == state && c.before.is_some());
        let to: Vec<&Change> = to.collect();
        delays(&format!("to {name}, after the change"), &to, Change::delay);
        delays(&format!("to {name}, after the agent's own sign"), &to, Change::delay_after_sign);
    }
    let longest = |wrong: fn(&Score) -> &[Wrong]| {
        scores.iter().flat_map(|(_, s)| wrong(s)).map(|w| w.until - w.from).max().unwrap_or(0)
    };
    let idle = longest(|s| &s.idle_at_work);
    let right = verdict("`idle` while a turn runs", &format!("{idle} ms"), "0 ms", idle == 0);
    let asked = longest(|s| &s.working_asked);
    let bound = format!("{ASKED_MS} ms");
    verdict("`working` while a prompt is open", &format!("{asked} ms"), &bound, asked <= ASKED_MS);
    note("the same, once dsx was given a sign of it", &format!("{} ms", longest(|s| &s.working_heard)));
    let untold = scores.iter().flat_map(|(_, s)| &s.changes).filter(|c| c.is_untold()).count();
    verdict("changes that were never told", &untold.to_string(), "0", untold == 0) && right
}

fn delays(name: &str, changes: &[&Change], delay: fn(&Change) -> Option<u64>) {
    let taken: Vec<Duration> = changes.iter().filter_map(|c| delay(c)).map(Duration::from_millis).collect();
    if taken.is_empty() {
        return side(name, &"never");
    }
    let taken = Samples::new(taken);
    side(name, &format!("{taken} max {:.0}", ms(taken.max())));
}
