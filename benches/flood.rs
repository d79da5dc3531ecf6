//! A program that prints as fast as its terminal takes it, with nobody looking: in dsx and in tmux, and in dsx
//! with a viewer who has stopped reading, which must slow nobody.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dsx_benches::figures::{Samples, note, paired, ratio, side, title};
use dsx_benches::tmux::Tmux;
use dsx_benches::viewer::stalled;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

const VOLUME: usize = 24 * 1024 * 1024;
const ROUNDS: usize = 9;
/// What the noise of a machine may add to a figure that should be the same.
const SAME: f64 = 1.15;
/// What a log and a screen of more abilities may cost beside tmux's screen alone.
const BESIDE_TMUX: f64 = 1.5;

/// Prints once it is told to, and tells when all of it was taken.
const PROGRAM: &str = "read go; cat flood; : > taken";

fn main() {
    let home = Home::new();
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    let line = format!("{}\n", "0123456789".repeat(10));
    fs::write(home.project().join("flood"), line.repeat(VOLUME / line.len())).expect("writing the flood");
    let taken = dsx_benches::process::fifo(&home, "taken");
    let tmux = Tmux::new(&home);
    if let Some(tmux) = &tmux {
        let theirs = || {
            tmux.session("flood", PROGRAM);
            let begun = Instant::now();
            tmux.timed(&["send-keys", "-t", "flood", "Enter"]);
            until(&taken, begun)
        };
        let (ours, theirs) = paired(ROUNDS, || flood(&dsx, &taken, false), theirs);
        title(&format!("A session prints {} MiB, nobody looks", VOLUME / 1_048_576));
        side("dsx", &ours);
        side("tmux", &theirs);
        ratio("a flood in dsx : in tmux", &ours, &theirs, BESIDE_TMUX);
        note("output of dsx and of tmux", &format!("{:.0} and {:.0} MiB/s", speed(&ours), speed(&theirs)));
    }
    let (stalled, alone) = paired(ROUNDS, || flood(&dsx, &taken, true), || flood(&dsx, &taken, false));
    title("The same with a viewer who has stopped reading");
    side("a stalled viewer", &stalled);
    side("nobody looks", &alone);
    ratio("a flood with a stalled viewer : with none", &stalled, &alone, SAME);
}

fn flood(dsx: &Dsx<'_>, taken: &Path, looked_at: bool) -> Duration {
    let id = dsx.run(["create", "-q", "--", "sh", "-c", PROGRAM]).expect_code(0).line().to_owned();
    let viewer = looked_at.then(|| stalled(dsx, &id));
    let begun = Instant::now();
    dsx.run(["keys", &id, "Enter"]).expect_code(0);
    let took = until(taken, begun);
    drop(viewer);
    dsx.run(["kill", &id]).expect_code(0);
    took
}

/// Until the program opens the pipe, which it does when its terminal has taken everything.
fn until(taken: &Path, begun: Instant) -> Duration {
    fs::read(taken).expect("reading a named pipe");
    begun.elapsed()
}

fn speed(of: &Samples) -> f64 {
    VOLUME as f64 / 1_048_576.0 / of.median().as_secs_f64()
}
