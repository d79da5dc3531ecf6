//! Commands as whole processes, beside tmux's: what a script pays for each call.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use dsx_benches::figures::{Samples, paired, ratio, side, title};
use dsx_benches::process::timed_dsx;
use dsx_benches::tmux::Tmux;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

/// The most that a call may take of tmux's time for the like.
const BOUND: f64 = 1.5;
const ROUNDS: usize = 200;
/// Sessions that take turns, as one that was just sent to has to end its turn first.
const SESSIONS: usize = 8;

fn main() {
    let home = Home::new();
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    let ids: Vec<String> = (0..SESSIONS)
        .map(|_| dsx.run(["create", "-q", "--", "cat"]).expect_code(0).line().to_owned())
        .collect();
    let tmux = Tmux::new(&home);
    let names: Vec<String> = (0..SESSIONS).map(|n| format!("session-{n}")).collect();
    if let Some(tmux) = &tmux {
        names.iter().for_each(|name| tmux.session(name, "cat"));
    }
    let beside = |name: &str, args: &[&str], theirs: &[&str]| {
        let ours = || timed_dsx(&dsx, args);
        let theirs = || tmux.as_ref().map_or(Duration::MAX, |tmux| tmux.timed(theirs));
        show(name, &paired(ROUNDS, ours, theirs), tmux.is_some());
    };
    beside(
        "dsx status : tmux display-message",
        &["status", &ids[0]],
        &["display-message", "-p", "-t", &names[0], "#{pane_current_command}"],
    );
    beside("dsx keys : tmux send-keys", &["keys", &ids[0], "a"], &["send-keys", "-t", &names[0], "a"]);
    send(&dsx, tmux.as_ref(), &ids, &names);
}

/// Each sample is a session's first message since it fell silent: one behind a running turn would only be
/// queued, which is less work.
fn send(dsx: &Dsx<'_>, tmux: Option<&Tmux<'_>>, ids: &[String], names: &[String]) {
    let (mut mine, mut next) = (0, 0);
    let ours = || {
        let id = &ids[mine % ids.len()];
        if mine % ids.len() == 0 {
            let all = ["wait"].into_iter().chain(ids.iter().map(String::as_str));
            dsx.run(all.chain(["--timeout", "50"])).expect_code(0);
        }
        mine += 1;
        timed_dsx(dsx, ["send", id, "hello there"])
    };
    let theirs = || {
        next += 1;
        let name = &names[next % names.len()];
        tmux.map_or(Duration::MAX, |tmux| tmux.timed(&["send-keys", "-t", name, "hello there", "Enter"]))
    };
    show("dsx send : tmux send-keys TEXT Enter", &paired(ROUNDS / 2, ours, theirs), tmux.is_some());
}

fn show(name: &str, (ours, theirs): &(Samples, Samples), with_tmux: bool) {
    title(name);
    side("dsx", ours);
    if with_tmux {
        side("tmux", theirs);
        ratio(name, ours, theirs, BOUND);
    }
}
