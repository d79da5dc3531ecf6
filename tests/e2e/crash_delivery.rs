//! The supervisor dies while a message is typed.

use std::fs;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dsx_tests::crash::{self, kill9};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::model_server::digest;
use serde_json::Value;

use crate::job::{answer, create, dsx};

/// A message of some 10 KB, on many lines, no two of them alike.
pub fn long_message(word: &str) -> String {
    let mut text = String::new();
    for n in 0.. {
        text.push_str(&format!("{word} line {n}: caf\u{e9} \u{6f22}\u{5b57}, exactly; "));
        text.push_str(if n % 3 == 0 { "\n" } else { "" });
        if text.len() > 10_000 {
            break;
        }
    }
    text.trim_end().to_owned()
}

/// Kills the supervisor so many milliseconds after a send began, and says how the turn settled.
pub fn cut(dsx: &Dsx<'_>, id: &str, text: &str, after: Duration) -> Value {
    dsx.run(["status", id]).expect_code(0);
    let supervisor = crash::supervisor(dsx);
    let sending = dsx.call(["send", id, "-", "--json"]).stdin(text).spawn();
    // A moment, not a wait for anything: it falls anywhere in the delivery, and every place must come out right.
    let (_never, moment) = sync_channel::<()>(0);
    let _ = moment.recv_timeout(after);
    kill9(supervisor);
    let sent = sending.wait();
    if sent.code == 1 {
        assert!(sent.stderr.contains("it is not typed again"), "{sent:?}");
        return Value::from("lost");
    }
    let receipt: Value = serde_json::from_str(sent.line()).unwrap_or_else(|_| panic!("{sent:?}"));
    let turn = receipt["turn"].as_str().unwrap();
    let waited = dsx.run(["wait", id, "--turn", turn, "--json", "--timeout", "50"]);
    let settled: Value = serde_json::from_str(waited.line()).unwrap_or_else(|_| panic!("{waited:?}"));
    let explained = || format!("{waited:?}\n{}", dsx.run(["explain", id]).stdout);
    assert!(matches!(waited.code, 0 | 5), "{}", explained());
    assert_eq!(settled["outcome"] == "lost", waited.code == 5, "{}", explained());
    settled["outcome"].clone()
}

#[test]
fn a_message_cut_off_anywhere_arrives_once_and_whole_or_is_lost() {
    // The fifth death within ten seconds is waited after: a home for every four.
    for seed in 0..6 {
        cut_four(seed);
    }
}

fn cut_four(seed: u64) {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    let mut lost = 0;
    let mut sent = Vec::new();
    for n in (0..4).map(|n| n * 6 + seed) {
        let text = format!("hash {}", long_message(&format!("m{n}")));
        match cut(&dsx, &id, &text, Duration::from_micros(n * 1500)) {
            Value::String(outcome) if outcome == "ended" => {
                let told = dsx.run(["last-message", &id]).expect_code(0);
                let hash = digest(text.strip_prefix("hash ").unwrap());
                assert_eq!(told.line(), format!("fnv1a64 {}", hash.strip_prefix("hash ").unwrap()));
            }
            Value::String(outcome) if outcome == "lost" => lost += 1,
            other => panic!("{other}"),
        }
        sent.push(text);
    }
    let transcript =
        fs::read_to_string(home.dsx_home().join("sessions").join(&id).join("demo.jsonl")).unwrap();
    let lines = transcript.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let got: Vec<String> =
        lines.filter(|l| l["type"] == "user").map(|l| l["text"].as_str().unwrap().to_owned()).collect();
    println!("{lost} of {} lost", sent.len());
    for text in &got {
        assert!(sent.contains(text), "an altered message: {text:.100}");
    }
    for text in &sent {
        assert!(got.iter().filter(|g| *g == text).count() <= 1, "sent twice: {text:.100}");
    }
    assert!(got.len() + lost >= sent.len());
    assert_eq!(answer(&dsx, &id, "say clean"), "clean");
}

/// What waits in the queue is neither lost nor typed into an agent that still works.
#[test]
fn a_queue_outlives_its_supervisor() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &id, "slow 1500ms first"]).expect_code(0);
    for n in 0..5 {
        dsx.run(["send", &id, &format!("say queued {n}")]).expect_code(0);
    }
    let waiting = dsx.spawn(["wait", &id, "--timeout", "50"]);
    for _ in 0..2 {
        crash::kill_supervisor(&dsx);
    }
    waiting.wait().expect_code(0);
    let all = dsx.json(["last-message", &id, "-n", "9"]);
    let texts: Vec<&str> = all.as_array().unwrap().iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(texts, ["first", "queued 0", "queued 1", "queued 2", "queued 3", "queued 4"]);
}

/// A key makes a repeat harmless across a restart too.
#[test]
fn a_repeat_with_the_same_key_is_not_sent_again() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &id, "--key", "k1", "say once"]).expect_code(0);
    crash::kill_supervisor(&dsx);
    assert_eq!(dsx.run(["send", &id, "--key", "k1", "say once"]).expect_code(0).line(), "t1");
    assert_eq!(answer(&dsx, &id, "say twice"), "twice");
    assert_eq!(dsx.json(["last-message", &id, "-n", "9"]).as_array().unwrap().len(), 2);
}
