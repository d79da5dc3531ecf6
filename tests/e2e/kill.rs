//! `kill`: nothing of a session is left, whatever it does about it.

use std::path::Path;
use std::time::Instant;

use dsx_tests::home::Home;
use serde_json::{Value, json};

use crate::job::{create, dsx, error, fifo, heard, settled};

fn is_alive(pid: &str) -> bool {
    // A zombie has no environment any more.
    std::fs::read(Path::new("/proc").join(pid.trim()).join("environ")).is_ok_and(|e| !e.is_empty())
}

#[test]
fn a_program_that_ignores_every_request_is_forced_after_the_grace() {
    let home = Home::new();
    let dsx = dsx(&home);
    let begun = fifo(&home, "begun");
    let stubborn = "trap '' HUP TERM INT; (trap '' HUP TERM; exec sleep 1000) & echo $$ $! > begun; \
                    while :; do sleep 1000; done";
    let id = create(&dsx, &["--", "bash", "-c", stubborn]);
    let pids = heard(&begun);
    let before = Instant::now();
    let killed = dsx.run(["kill", &id, "--grace", "0.5", "--json"]).expect_code(0);
    assert!(before.elapsed().as_millis() >= 500, "the grace was cut short");
    assert_eq!(settled(killed), json!({ "session": id, "exit_code": 137 }));
    for pid in pids.split_whitespace() {
        assert!(!is_alive(pid), "{pid} lives on");
    }
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn a_program_may_use_its_grace() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (begun, bye) = (fifo(&home, "begun"), home.project().join("bye"));
    let polite =
        "trap 'echo saved > bye; exit 0' TERM; trap '' HUP; echo x > begun; while :; do sleep 0.1; done";
    let id = create(&dsx, &["--", "bash", "-c", polite]);
    heard(&begun);
    let killed = dsx.run(["kill", &id, "--grace", "60", "--json"]).expect_code(0);
    assert_eq!(settled(killed)["exit_code"], 0);
    assert_eq!(std::fs::read_to_string(bye).unwrap(), "saved\n");
    assert!(!home.dsx_home().join("sessions").join(&id).exists());
}

#[test]
fn of_several_an_unknown_one_is_told_and_the_others_end() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (one, two) = (create(&dsx, &["--", "cat"]), create(&dsx, &["--", "cat"]));
    let told = dsx.run(["kill", &one, "nobody-here", &two, "--json"]).expect_code(3);
    assert_eq!(error(&told)["kind"], "no_session");
    let mut killed: Vec<String> = told
        .stdout
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["session"].as_str().unwrap().to_owned())
        .collect();
    killed.sort_unstable();
    let mut both = vec![one.clone(), two];
    both.sort_unstable();
    assert_eq!(killed, both);
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
    dsx.run(["kill", &one]).expect_code(3);
}

#[test]
fn all_of_none_is_done() {
    let home = Home::new();
    let dsx = dsx(&home);
    dsx.run(["kill", "--all"]).expect_code(0);
    for _ in 0..3 {
        create(&dsx, &["--", "cat"]);
    }
    let exited = create(&dsx, &["--", "true"]);
    dsx.run(["wait", &exited, "--until", "exited"]).expect_code(0);
    dsx.run(["kill", "--all"]).expect_code(0);
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn who_waits_is_told_and_so_is_a_second_kill() {
    let home = Home::new();
    let dsx = dsx(&home);
    let begun = fifo(&home, "begun");
    let id =
        create(&dsx, &["--", "bash", "-c", "trap '' HUP TERM; echo x > begun; while :; do sleep 1; done"]);
    heard(&begun);
    let waiting = dsx.spawn(["wait", &id, "--until", "exited", "--json"]);
    // The wait is there once another that came later is.
    dsx.run(["wait", &id, "--timeout", "0", "--until", "exited"]).expect_code(124);
    let first = dsx.spawn(["kill", &id, "--grace", "1"]);
    let second = dsx.spawn(["kill", &id, "--grace", "1"]);
    for kill in [first, second] {
        // The later one may come when nothing is left to kill.
        let code = kill.wait().code;
        assert!(code == 0 || code == 3, "{code}");
    }
    let told = waiting.wait();
    assert!(told.code == 0 || told.code == 3, "{told:?}");
}
