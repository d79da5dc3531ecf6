//! A thousand turns while the supervisor is killed again and again: what was promised of every message is
//! counted. A broken promise fails the run; turns that dsx itself reports as lost are no broken promise.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::process::ExitCode;
use std::time::Duration;

use dsx_benches::figures::{note, title, verdict};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::stress::{Plan, run};

const SESSIONS: usize = 10;
const TURNS: usize = 1_000;

fn main() -> ExitCode {
    let seldom =
        Plan { sessions: SESSIONS, turns: TURNS, kill_every: Duration::from_secs(2), kills: usize::MAX };
    // A machine on which a thousand turns take a few seconds sees few kills so.
    let often = Plan { kill_every: Duration::from_millis(200), kills: 20, ..seldom };
    let kept = [seldom, often].map(promises_hold);
    if kept == [true; 2] { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn promises_hold(plan: Plan) -> bool {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", plan.sessions.to_string());
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    let report = run(&dsx, plan);
    title(&format!(
        "{} turns across {} sessions, the supervisor killed every {} ms",
        plan.turns,
        plan.sessions,
        plan.kill_every.as_millis()
    ));
    note("kills", &report.kills);
    note("time", &format!("{:.1} s", report.elapsed.as_secs_f64()));
    note("turns answered", &report.answered);
    note("turns reported `lost`", &report.lost);
    report.broken.iter().for_each(|trouble| note("broken", trouble));
    let missing = plan.turns.saturating_sub(report.answered + report.lost);
    let broken = report.broken.len().max(missing);
    verdict("silently lost, doubled or wrong", &broken.to_string(), "0", broken == 0)
}
