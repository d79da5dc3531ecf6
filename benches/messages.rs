//! Messages of all sizes and alphabets through dsx into the real Claude: none may be lost, doubled, changed or
//! merged with another. The model answers each with the digest of what it got, and dsx has to have it as the
//! answer of that turn.
//!
//! `DSX_BENCH_MESSAGES=200` sends so many instead of 2,000.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use dsx_benches::corpus::{Random, message};
use dsx_benches::figures::{note, title, verdict};
use dsx_tests::agents::{Agent, CLAUDE, install_or_skip};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::model_server::{Manner, ModelServer, digest};
use serde_json::Value;

const MESSAGES: usize = 2_000;
/// Messages of one session: a conversation grows, and each request holds all of it.
const EACH: usize = 40;
/// How long a session may take for all of its messages.
const LONG: Duration = Duration::from_secs(1_200);

/// How a session is sent to: by so many at once, each going on when its last message was answered, or at once.
#[derive(Clone, Copy)]
struct Way {
    senders: usize,
    waits: bool,
}

/// What runs side by side.
const WAYS: [Way; 4] = [
    Way { senders: 1, waits: true },
    Way { senders: 1, waits: false },
    Way { senders: 2, waits: false },
    Way { senders: 3, waits: true },
];

/// A message as it was sent.
#[derive(Clone, Debug)]
struct Sent {
    turn: u64,
    text: String,
    by_file: bool,
    queued: bool,
}

#[derive(Debug, Default)]
struct Counts {
    sent: usize,
    bytes: usize,
    queued: usize,
    by_file: usize,
    /// Sent, and never asked of the model.
    lost: usize,
    /// Asked of the model more than once.
    doubled: usize,
    /// Asked of the model in other words.
    changed: usize,
    /// Asked of the model together with another.
    merged: usize,
    /// In another order than that of their turns.
    moved: usize,
    /// Whose turn has another answer than the model gave.
    answers: usize,
    /// Not taken by `dsx send`.
    refused: usize,
}

fn main() -> ExitCode {
    let Some(agent) = install_or_skip(CLAUDE, "the count of messages") else { return ExitCode::SUCCESS };
    let wanted = std::env::var("DSX_BENCH_MESSAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(MESSAGES);
    let mut counts = Counts::default();
    let begun = Instant::now();
    let mut batch = 0;
    while counts.sent < wanted {
        let each = EACH.min((wanted - counts.sent).div_ceil(WAYS.len()));
        batch_of(&agent, batch, each, &mut counts);
        batch += 1;
    }
    show(&counts, begun.elapsed())
}

fn show(counts: &Counts, took: Duration) -> ExitCode {
    title(&format!("{} messages through the real Claude, {} at a time", counts.sent, WAYS.len()));
    let seconds = took.as_secs_f64();
    let speed = counts.sent as f64 / seconds;
    note("messages", &format!("{speed:.2} a second, {} KiB in {seconds:.0} s", counts.bytes / 1024));
    note("queued behind a running turn", &counts.queued);
    note("by a file", &counts.by_file);
    let none = |name: &str, count: usize| verdict(name, &count.to_string(), "0", count == 0);
    let all = [
        none("lost", counts.lost),
        none("doubled", counts.doubled),
        none("changed", counts.changed),
        none("merged", counts.merged),
        none("out of order", counts.moved),
        none("with another's answer", counts.answers),
        none("not taken", counts.refused),
    ];
    if all.iter().all(|within| *within) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One home, one session for each way, and a model for each session.
fn batch_of(agent: &Agent, batch: usize, each: usize, counts: &mut Counts) {
    let servers: Vec<ModelServer> = WAYS.iter().map(|_| ModelServer::start_with(Manner::Digests)).collect();
    let home = Home::with_agent(agent, &servers[0]);
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-bench"));
    let session = |server: &ModelServer| {
        let url = format!("ANTHROPIC_BASE_URL={}", server.url());
        let create = ["create", "-q", "--cli", "claude", "--env", &url, "--timeout", "120"];
        dsx.call(create).deadline(LONG).run().expect_code(0).line().to_owned()
    };
    let ids: Vec<String> = servers.iter().map(session).collect();
    let all: Vec<(Vec<Sent>, usize)> = thread::scope(|scope| {
        let sending: Vec<_> = (0..)
            .zip(ids.iter().zip(WAYS))
            .map(|(n, (id, way))| {
                let dsx = &dsx;
                scope.spawn(move || session_of(dsx, id, way, each, (batch * WAYS.len() + n) as u64))
            })
            .collect();
        sending.into_iter().map(|s| s.join().expect("a sender")).collect()
    });
    for ((id, server), (sent, refused)) in ids.iter().zip(&servers).zip(all) {
        counts.refused += refused;
        counts.add(&dsx, id, server, &sent);
    }
}

/// Sends `each` messages in one way; returns those that were taken, by their turns, and how many were not.
fn session_of(dsx: &Dsx<'_>, id: &str, way: Way, each: usize, seed: u64) -> (Vec<Sent>, usize) {
    let sent = Mutex::new(BTreeMap::new());
    let refused = Mutex::new(0);
    thread::scope(|scope| {
        for sender in 0..way.senders {
            let (sent, refused) = (&sent, &refused);
            let mine = each / way.senders + usize::from(sender < each % way.senders);
            scope.spawn(move || {
                let mut random = Random::new(seed * 16 + sender as u64 + 1);
                for _ in 0..mine {
                    match send(dsx, id, message(&mut random)) {
                        Some(one) => {
                            let turn = one.turn;
                            sent.lock().expect("the list").insert(turn, one);
                            if way.waits {
                                wait(dsx, id, &["--turn", &format!("t{turn}")]);
                            }
                        }
                        None => *refused.lock().expect("the count") += 1,
                    }
                }
            });
        }
    });
    wait(dsx, id, &[]);
    (sent.into_inner().expect("the list").into_values().collect(), refused.into_inner().expect("the count"))
}

fn send(dsx: &Dsx<'_>, id: &str, text: String) -> Option<Sent> {
    let said = dsx.call(["send", id, "-", "--json"]).stdin(text.as_bytes()).deadline(LONG).run();
    if said.code != 0 {
        eprintln!("{text:?}: {said:?}");
        return None;
    }
    let receipt: Value = serde_json::from_str(said.line()).expect("a receipt");
    let turn = receipt["turn"].as_str().and_then(|t| t.strip_prefix('t')?.parse().ok()).expect("a turn");
    Some(Sent { turn, text, by_file: receipt["via"] == "file", queued: receipt["delivery"] == "queued" })
}

fn wait(dsx: &Dsx<'_>, id: &str, more: &[&str]) {
    let args = ["wait", id, "--timeout", "1100"].into_iter().chain(more.iter().copied());
    let said = dsx.call(args).deadline(LONG).run();
    if said.code != 0 {
        eprintln!("{said:?}\n{}\n{}", dsx.run(["explain", id]).stdout, dsx.run(["screen", id]).stdout);
    }
}

impl Counts {
    /// What the model of a session got, beside what was sent to it.
    fn add(&mut self, dsx: &Dsx<'_>, id: &str, server: &ModelServer, sent: &[Sent]) {
        let log = server.log();
        let got: Vec<Vec<String>> = log.turns().map(|r| r.texts.clone()).collect();
        self.sent += sent.len();
        self.bytes += sent.iter().map(|s| s.text.len()).sum::<usize>();
        self.queued += sent.iter().filter(|s| s.queued).count();
        self.by_file += sent.iter().filter(|s| s.by_file).count();
        self.merged += got.iter().filter(|texts| texts.len() != 1).count();
        let got: Vec<String> = got.into_iter().flatten().map(as_sent).collect();
        self.compare(id, sent, &got);
        self.answers(dsx, id, sent);
    }

    fn compare(&mut self, id: &str, sent: &[Sent], got: &[String]) {
        let mut left: HashMap<&str, usize> = HashMap::new();
        for text in got {
            *left.entry(text).or_default() += 1;
        }
        let mut missing: Vec<&Sent> = Vec::new();
        for one in sent {
            match left.get_mut(one.text.as_str()) {
                Some(count @ 1..) => *count -= 1,
                _ => missing.push(one),
            }
        }
        let is_sent = |text: &str| sent.iter().any(|s| s.text == text);
        let (doubled, strange): (Vec<_>, Vec<_>) =
            left.iter().filter(|(_, count)| **count > 0).partition(|(text, _)| is_sent(text));
        let strange_count: usize = strange.iter().map(|(_, count)| **count).sum();
        self.doubled += doubled.iter().map(|(_, count)| **count).sum::<usize>();
        self.changed += strange_count;
        self.lost += missing.len().saturating_sub(strange_count);
        if missing.is_empty() && strange.is_empty() && doubled.is_empty() {
            self.moved += sent.iter().zip(got).filter(|(sent, got)| sent.text != **got).count();
        }
        for one in missing {
            eprintln!("{id} t{}: not got as sent: {:?}", one.turn, shortened(&one.text));
        }
        for (text, _) in strange.into_iter().chain(doubled) {
            eprintln!("{id}: got besides: {:?}", shortened(text));
        }
    }

    fn answers(&mut self, dsx: &Dsx<'_>, id: &str, sent: &[Sent]) {
        let messages = dsx.json(["last-message", id, "-n", "10000"]);
        let empty = Vec::new();
        let answers: HashMap<&str, &str> = messages
            .as_array()
            .unwrap_or(&empty)
            .iter()
            .filter_map(|m| Some((m["turn"].as_str()?, m["text"].as_str()?)))
            .collect();
        for one in sent.iter().filter(|s| !s.by_file) {
            let answer = answers.get(format!("t{}", one.turn).as_str());
            if answer != Some(&digest(&one.text).as_str()) {
                self.answers += 1;
                eprintln!("{id} t{}: answered with {answer:?}", one.turn);
            }
        }
    }
}

/// What goes by a file is in it, word for word, and its path is what the model is told.
fn as_sent(got: String) -> String {
    let path = got.strip_prefix("Your message is in the file ").and_then(|rest| rest.split(" - ").next());
    path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or(got)
}

fn shortened(text: &str) -> String {
    let chars = text.chars().count();
    if chars <= 400 {
        return text.to_owned();
    }
    let (head, tail): (String, String) =
        (text.chars().take(200).collect(), text.chars().skip(chars - 200).collect());
    format!("{head} … {tail} ({chars} characters)")
}
