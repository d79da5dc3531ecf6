//! The processes of dsx die, one or both; what ran under them, and what was promised of it, does not.

use std::fs;

use dsx_tests::crash::{self, is_alive, kill_supervisor, kill9};
use dsx_tests::home::Home;
use dsx_tests::stress::{self, Plan};
use rustix::process::Signal;
use serde_json::json;

use crate::job::{answer, create, dsx, last};

const DEMO: &[&str] = &["--cli", "demo"];

#[test]
fn a_turn_outlives_its_supervisor_and_the_waiting_client_gets_it() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, DEMO);
    assert_eq!(answer(&dsx, &id, "say before"), "before");
    dsx.run(["send", &id, "slow 2 the answer"]).expect_code(0);
    let waiting = dsx.spawn(["wait", &id, "--json", "--timeout", "50"]);
    let any = dsx.spawn(["wait", &id, "--any", "--timeout", "50"]);
    let screen = |dsx| crate::job::screen(dsx, &id);
    let old = crash::supervisor(&dsx);
    for _ in 0..3 {
        let before = screen(&dsx);
        kill_supervisor(&dsx);
        let after = screen(&dsx);
        // The spinner may have turned between the two.
        assert_eq!(before.lines().next(), after.lines().next());
    }
    assert_ne!(crash::supervisor(&dsx), old);
    let settled = waiting.wait().expect_code(0);
    let settled: serde_json::Value = serde_json::from_str(settled.line()).unwrap();
    assert_eq!((&settled["turn"], &settled["outcome"]), (&json!("t2"), &json!("ended")));
    any.wait().expect_code(0);
    assert_eq!(last(&dsx, &id), "the answer");
    assert_eq!(answer(&dsx, &id, "say after"), "after");
    let all = dsx.json(["last-message", &id, "-n", "9"]);
    let texts: Vec<&str> = all.as_array().unwrap().iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(texts, ["before", "the answer", "after"]);
}

#[test]
fn a_restart_and_a_termination_are_friendlier_names_for_it() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (demo, shell) = (create(&dsx, DEMO), create(&dsx, &["--", "sh"]));
    for end in ["restart", "SIGTERM"] {
        dsx.run(["send", &demo, &format!("slow 1500ms over {end}")]).expect_code(0);
        let waiting = dsx.spawn(["wait", &demo, "--timeout", "50"]);
        let before = crash::supervisor(&dsx);
        match end {
            "restart" => drop(dsx.run(["supervisor", "restart"]).expect_code(0)),
            _ => crash::end_with(before, Signal::TERM),
        }
        crash::await_death(before);
        assert_ne!(crash::supervisor(&dsx), before);
        waiting.wait().expect_code(0);
        assert_eq!(last(&dsx, &demo), format!("over {end}"));
        assert_eq!(answer(&dsx, &shell, "echo still $((1+1))"), "still 2");
    }
    let refused = dsx.run(["supervisor", "stop"]).expect_code(7);
    assert!(refused.stderr.contains(&demo) && refused.stderr.contains("--kill"), "{refused:?}");
    let (pid, keeper) = (crash::supervisor(&dsx), crash::keeper(&dsx));
    dsx.run(["supervisor", "stop", "--kill"]).expect_code(0);
    crash::await_death(pid);
    crash::await_death(keeper);
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn the_keepers_death_costs_exit_statuses_and_nothing_else() {
    let home = Home::new();
    let dsx = dsx(&home);
    let demo = create(&dsx, DEMO);
    let shell = create(&dsx, &["--", "sh"]);
    dsx.run(["send", &demo, "slow 1500ms kept"]).expect_code(0);
    let waiting = dsx.spawn(["wait", &demo, "--timeout", "50"]);
    let exiting = dsx.spawn(["wait", &shell, "--until", "exited", "--json", "--timeout", "50"]);
    let (supervisor, keeper) = (crash::supervisor(&dsx), crash::keeper(&dsx));
    kill9(keeper);
    waiting.wait().expect_code(0);
    assert_eq!(last(&dsx, &demo), "kept");
    assert_eq!(answer(&dsx, &shell, "echo $((40+2))"), "42");
    // A create needs a keeper: it waits for the new one.
    let third = create(&dsx, DEMO);
    assert_eq!(answer(&dsx, &third, "say hi"), "hi");
    assert_eq!(crash::supervisor(&dsx), supervisor);
    assert_ne!(crash::keeper(&dsx), keeper);
    // And the supervisor's death is what it was before.
    kill_supervisor(&dsx);
    assert_eq!(answer(&dsx, &shell, "echo again"), "again");
    dsx.run(["send", &shell, "exit 3"]);
    let exited: serde_json::Value = serde_json::from_str(exiting.wait().expect_code(0).line()).unwrap();
    assert_eq!((&exited["outcome"], &exited["exit_code"]), (&json!("exited"), &json!(null)));
    assert_eq!(dsx.run(["status", &shell]).expect_code(0).line(), "exited");
    dsx.run(["kill", &demo, &third, &shell]).expect_code(0);
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn when_both_die_sessions_are_known_to_have_ended() {
    let home = Home::new();
    let dsx = dsx(&home);
    let demo = create(&dsx, DEMO);
    let deaf = create(&dsx, &["--", "sh", "-c", "trap '' HUP TERM; while :; do sleep 1000; done"]);
    assert_eq!(answer(&dsx, &demo, "say remembered"), "remembered");
    dsx.run(["send", &demo, "slow 100 never"]).expect_code(0);
    let waiting = dsx.spawn(["wait", &demo, "--json", "--timeout", "50"]);
    let list = dsx.json(["list"]);
    let pids: Vec<i32> = list.as_array().unwrap().iter().map(|s| s["pid"].as_i64().unwrap() as i32).collect();
    assert_eq!(pids.len(), 2);
    let (supervisor, keeper) = (crash::supervisor(&dsx), crash::keeper(&dsx));
    // The supervisor must not have the time to start another keeper.
    crash::stop(supervisor);
    kill9(keeper);
    kill9(supervisor);
    // The client that waited has started another of both.
    let settled: serde_json::Value = serde_json::from_str(waiting.wait().expect_code(6).line()).unwrap();
    assert_eq!((&settled["turn"], &settled["outcome"]), (&json!("t2"), &json!("exited")));
    for id in [&demo, &deaf] {
        assert_eq!(dsx.run(["status", id]).expect_code(0).line(), "exited");
    }
    pids.iter().for_each(|pid| crash::await_death(*pid));
    assert_eq!(last(&dsx, &demo), "remembered");
    dsx.run(["send", &demo, "say x"]).expect_code(6);
    let next = create(&dsx, DEMO);
    assert_eq!(answer(&dsx, &next, "say new"), "new");
    dsx.run(["kill", &demo, &deaf]).expect_code(0);
}

#[test]
fn a_program_that_ends_while_nobody_looks_is_told_with_its_status() {
    let home = Home::new();
    let dsx = dsx(&home);
    let fifo = home.project().join("go");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let id = create(&dsx, &["--", "sh", "-c", "read x < go; echo last words; exit 42"]);
    let pid = dsx.json(["list"])[0]["pid"].as_i64().unwrap() as i32;
    let supervisor = crash::supervisor(&dsx);
    let waiting = dsx.spawn(["wait", &id, "--until", "exited", "--json", "--timeout", "50"]);
    crash::stop(supervisor);
    fs::write(&fifo, "x\n").unwrap();
    // Nobody reaps it yet: the keeper does, and keeps its status.
    crash::await_death(pid);
    kill9(supervisor);
    let settled: serde_json::Value = serde_json::from_str(waiting.wait().expect_code(0).line()).unwrap();
    assert_eq!(settled["exit_code"], 42);
    assert!(crate::job::screen(&dsx, &id).contains("last words"));
    assert!(dsx.run(["logs", "--raw", &id]).expect_code(0).stdout.contains("last words"));
    // The next one knows it from the store, and the keeper holds nothing of it any more.
    kill_supervisor(&dsx);
    assert_eq!(dsx.json(["list", "-a"])[0]["exit_code"], 42);
    dsx.run(["supervisor", "stop"]).expect_code(0);
}

#[test]
fn what_the_database_has_lost_is_still_there_to_be_ended() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "sh", "-c", "echo printed before; exec cat"]);
    answer(&dsx, &id, "seen");
    let pid = dsx.json(["list"])[0]["pid"].as_i64().unwrap() as i32;
    let supervisor = crash::supervisor(&dsx);
    crash::stop(supervisor);
    for name in ["dsx.db", "dsx.db-wal", "dsx.db-shm"] {
        let path = home.dsx_home().join(name);
        if path.exists() {
            fs::write(&path, vec![0x5a; 8192]).unwrap();
        }
    }
    kill9(supervisor);
    let list = dsx.run(["list"]).expect_code(0);
    assert!(list.stdout.contains(&id), "{list:?}");
    assert!(list.stderr.contains("set aside") && list.stderr.contains(&pid.to_string()), "{list:?}");
    assert!(crate::job::screen(&dsx, &id).contains("printed before"));
    assert_eq!(answer(&dsx, &id, "hello"), "hello");
    dsx.run(["kill", &id]).expect_code(0);
    assert!(!is_alive(pid));
}

#[test]
fn a_hundred_sessions_are_adopted_and_each_answers() {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", "200");
    let dsx = dsx(&home);
    let script = "while read line; do echo \"got $line\"; done";
    let ids: Vec<String> = (0..100).map(|_| create(&dsx, &["--", "sh", "-c", script])).collect();
    dsx.run(["send", &ids[0], "before"]).expect_code(0);
    kill_supervisor(&dsx);
    let listed = dsx.json(["list"]);
    assert_eq!(listed.as_array().unwrap().len(), 100);
    let sending: Vec<_> = ids.iter().map(|id| dsx.spawn(["send", id, &format!("hello {id}")])).collect();
    sending.into_iter().for_each(|s| drop(s.wait().expect_code(0)));
    let mut wait = vec!["wait".to_owned(), "--all".to_owned(), "--timeout".to_owned(), "50".to_owned()];
    wait.extend(ids.iter().cloned());
    dsx.run(wait).expect_code(0);
    for id in &ids {
        assert_eq!(last(&dsx, id), format!("got hello {id}"));
    }
    dsx.run(["kill", "--all"]).expect_code(0);
}

#[test]
fn under_stress_nothing_is_lost_silently_doubled_or_wrong() {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", "40");
    let dsx = dsx(&home);
    let plan = Plan { sessions: 10, turns: 300, kill_every: std::time::Duration::from_millis(50), kills: 12 };
    let report = stress::run(&dsx, plan);
    println!("{report:#?}");
    assert_eq!(report.broken, Vec::<String>::new());
    assert_eq!(report.answered + report.lost, plan.turns);
    assert!(report.kills > 2, "{report:?}");
}
