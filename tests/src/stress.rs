//! Turns across many sessions while the supervisor is killed again and again: what was promised of every
//! message is counted, not assumed. No timed asserts; a bench may call it with a thousand turns.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::crash::kill_supervisor;
use crate::dsx::{Dsx, Output};

/// How long one call may take: a supervisor that dies often is started again ever more slowly.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Sessions of the demo agent, each driven by a caller of its own.
    pub sessions: usize,
    /// Turns in all.
    pub turns: usize,
    /// The supervisor is killed so long after it was seen to serve, over and over.
    pub kill_every: Duration,
    /// After so many kills it is left alone. (From the fifth death in ten seconds on a supervisor is started ever
    /// later, up to 5 s: kills without end make a run long and prove no more.)
    pub kills: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Turns that ended with their own answer.
    pub answered: usize,
    /// Turns reported as lost.
    pub lost: usize,
    /// Each promise that was broken, in words. Empty is the only good value.
    pub broken: Vec<String>,
    /// How often the supervisor was killed.
    pub kills: usize,
    pub elapsed: Duration,
}

/// Runs the plan in the home of `dsx`, which must have room for so many sessions
/// (`DSX_MAX_SESSIONS_PER_CREATOR`).
///
/// # Panics
/// When a session cannot be started.
#[must_use]
pub fn run(dsx: &Dsx<'_>, plan: Plan) -> Report {
    let begun = Instant::now();
    let ids: Vec<String> = (0..plan.sessions)
        .map(|_| dsx.run(["create", "-q", "--cli", "demo"]).expect_code(0).line().to_owned())
        .collect();
    let (stop, stopped) = sync_channel::<()>(0);
    let mut report = thread::scope(|scope| {
        let killer = scope.spawn(move || {
            let mut kills = 0;
            while kills < plan.kills
                && stopped.recv_timeout(plan.kill_every) == Err(RecvTimeoutError::Timeout)
            {
                kill_supervisor(dsx);
                kills += 1;
            }
            kills
        });
        let callers: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(n, id)| {
                let turns = plan.turns / plan.sessions + usize::from(n < plan.turns % plan.sessions);
                scope.spawn(move || drive(dsx, id, turns))
            })
            .collect();
        let mut report = Report::default();
        for caller in callers {
            let one = caller.join().unwrap_or_else(|_| Report {
                broken: vec!["a caller failed; see its panic above".to_owned()],
                ..Report::default()
            });
            report.answered += one.answered;
            report.lost += one.lost;
            report.broken.extend(one.broken);
        }
        drop(stop);
        report.kills = killer.join().unwrap_or_default();
        report
    });
    report.elapsed = begun.elapsed();
    report
}

/// One caller: sends, waits, compares; then reads what the agent really got.
fn drive(dsx: &Dsx<'_>, id: &str, turns: usize) -> Report {
    let mut report = Report::default();
    let mut sent: HashMap<String, bool> = HashMap::new();
    for n in 0..turns {
        let answer = words(id, n);
        let text = format!("say {answer}");
        let outcome = one_turn(dsx, id, &text, &answer);
        sent.insert(text, outcome == Ok(true));
        match outcome {
            Ok(true) => report.answered += 1,
            Ok(false) => report.lost += 1,
            Err(trouble) => report.broken.push(format!("{id}, message {n}: {trouble}")),
        }
    }
    let transcript = dsx.home().dsx_home().join("sessions").join(id).join("demo.jsonl");
    report.broken.extend(compare(id, &fs::read_to_string(transcript).unwrap_or_default(), &sent));
    report
}

/// Of several sizes, and of several lines, so that they are typed for some time.
fn words(id: &str, n: usize) -> String {
    let line = format!("{id} {n}: caf\u{e9} \u{6f22}\u{5b57}, exactly so;");
    vec![line; [1, 1, 1, 40, 200][n % 5]].join("\n")
}

/// Whether the turn ended with its answer; false where it was reported lost.
fn one_turn(dsx: &Dsx<'_>, id: &str, text: &str, answer: &str) -> Result<bool, String> {
    let ask = |args: &[&str], stdin: &str| dsx.call(args).stdin(stdin).deadline(PATIENCE).run();
    let told = |said: &Output| format!("{} {}{}", said.code, said.stdout, said.stderr);
    let sent = ask(&["send", id, "-", "--json"], text);
    if sent.code == 1 && sent.stderr.contains("it is not typed again") {
        return Ok(false);
    }
    let receipt: Value = serde_json::from_str(sent.line()).map_err(|_| format!("send: {}", told(&sent)))?;
    let turn = receipt["turn"].as_str().ok_or("send gave no turn")?.to_owned();
    let settled = ask(&["wait", id, "--turn", &turn, "--json", "--timeout", "500"], "");
    let outcome: Value = serde_json::from_str(settled.line()).unwrap_or_default();
    match (settled.code, outcome["outcome"].as_str()) {
        (0, Some("ended")) => {}
        (5, Some("lost")) => return Ok(false),
        _ => return Err(format!("wait for {turn}: {}", told(&settled))),
    }
    let last = ask(&["last-message", id, "--turn", &turn], "");
    match last.code == 0 && last.stdout.strip_suffix('\n') == Some(answer) {
        true => Ok(true),
        false => Err(format!("a wrong answer to {turn}: {}", told(&last))),
    }
}

/// What the agent was given, against what was sent to it.
fn compare(id: &str, transcript: &str, sent: &HashMap<String, bool>) -> Vec<String> {
    let mut got: HashMap<String, usize> = HashMap::new();
    for line in transcript.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        if line["type"] == "user" {
            *got.entry(line["text"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    let mut broken = Vec::new();
    for (text, times) in &got {
        if !sent.contains_key(text) {
            broken.push(format!("{id} was given what nobody sent: {text:.80}"));
        } else if *times > 1 {
            broken.push(format!("{id} was given {times} times: {text:.80}"));
        }
    }
    for (text, answered) in sent {
        if *answered && !got.contains_key(text) {
            broken.push(format!("{id} answered what it was never given: {text:.80}"));
        }
    }
    broken
}
