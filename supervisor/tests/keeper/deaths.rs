//! `kill -9` of either process loses no session.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::home::{Client, Home, Process, send};

/// Kills the supervisor and connects to its successor.
fn kill_supervisor(home: &Home, mut client: Client) -> Client {
    let pid = client.about("pid");
    let process = Process::of(pid).unwrap();
    send(pid, Signal::SIGKILL);
    process.wait();
    let mut client = home.connect();
    assert_ne!(client.about("pid"), pid);
    client
}

/// Kills the keeper and waits until there is another.
fn kill_keeper(client: &mut Client) {
    let pid = client.about("keeper");
    let process = Process::of(pid).unwrap();
    send(pid, Signal::SIGKILL);
    process.wait();
    client.order("event", "", "revived");
    assert_ne!(client.about("keeper"), pid);
}

#[test]
fn a_killed_supervisor_has_a_successor_that_gets_everything() {
    let home = Home::new();
    let mut client = home.connect();
    let shell = client.spawn("shell", "/bin/sh", &[]);
    client.check_echo("shell", "before");
    client.spawn("ended", "/bin/sh", &["-c", "exit 5"]);
    client.order("exit", "ended", "");
    client.spawn("ending", "/bin/sh", &["-c", "read wait; exit 6"]);
    client.spawn("forgotten", "/bin/true", &[]);
    client.order("exit", "forgotten", "");
    client.order("forget", "forgotten", "");
    let keeper = client.about("keeper");
    // Ends in the very moment in which nobody is there to be told.
    client.order("write", "ending", "\r");
    let mut client = kill_supervisor(&home, client);
    assert_eq!((client.about("keeper"), client.about("adopted")), (keeper, 3));
    assert_eq!(client.order("exit", "ended", ""), json!({"code": 5, "signal": null}));
    assert_eq!(client.order("exit", "ending", ""), json!({"code": 6, "signal": null}));
    let child = client.order("child", "shell", "");
    assert_eq!((&child["pid"], &child["master"]), (&json!(shell), &json!(true)));
    assert_eq!(child["env"], json!(["PATH", "PS1"]));
    client.check_echo("shell", "after");
    client.order("write", "shell", "exit 9\r");
    assert_eq!(client.order("exit", "shell", ""), json!({"code": 9, "signal": null}));
}

#[test]
fn a_killed_keeper_has_a_successor_that_gets_everything_back() {
    let home = Home::new();
    let mut client = home.connect();
    let shell = client.spawn("shell", "/bin/sh", &[]);
    client.spawn("other", "/bin/sh", &[]);
    client.spawn("ended", "/bin/sh", &["-c", "exit 5"]);
    client.order("exit", "ended", "");
    let supervisor = client.about("pid");
    kill_keeper(&mut client);
    assert_eq!(client.about("pid"), supervisor, "the supervisor lives on");
    assert_eq!(home.holder().keeper_pid, client.about("keeper"), "the lock names the new keeper");
    client.check_echo("shell", "after");
    client.spawn("new", "/bin/sh", &["-c", "exit 3"]);
    assert_eq!(client.order("exit", "new", ""), json!({"code": 3, "signal": null}));
    // Orphans are signalled as well, and their end is seen, though not how it was.
    assert_eq!(client.signal("other", Signal::SIGKILL, "leader"), json!({"count": 1}));
    assert_eq!(client.order("exit", "other", ""), json!({"code": null, "signal": null}));
    assert_eq!(client.signal("other", Signal::SIGKILL, "group")["error"], "Exited");

    // The new keeper looks after the supervisor as the old one did.
    let mut client = kill_supervisor(&home, client);
    assert_eq!(client.about("adopted"), 4);
    assert_eq!(client.order("exit", "ended", ""), json!({"code": 5, "signal": null}));
    let child = client.order("child", "shell", "");
    assert_eq!((&child["pid"], &child["env"]), (&json!(shell), &json!(["PATH", "PS1"])));
    client.check_echo("shell", "again");
    kill_keeper(&mut client);
    client.check_echo("shell", "and again");
    assert_eq!(home.daemons().len(), 2);
}

#[test]
fn an_end_while_there_is_no_keeper_is_noticed() {
    let home = Home::new();
    let mut client = home.connect();
    let pid = client.spawn("s", "/bin/cat", &[]);
    let keeper = client.about("keeper");
    let (keeper_process, process) = (Process::of(keeper).unwrap(), Process::of(pid).unwrap());
    send(keeper, Signal::SIGSTOP);
    send(pid, Signal::SIGKILL);
    process.wait();
    send(keeper, Signal::SIGKILL);
    keeper_process.wait();
    assert_eq!(client.order("exit", "s", ""), json!({"code": null, "signal": null}));
    client.order("forget", "s", "");
}

#[test]
fn requests_wait_for_the_next_keeper() {
    let home = Home::new();
    let mut client = home.connect();
    for n in 0..3 {
        let keeper = client.about("keeper");
        send(keeper, Signal::SIGKILL);
        // Refused if it was under way when the keeper died; otherwise it has only waited.
        let session = format!("s{n}");
        let answer = client.ask(&super::home::spawn(&session, "/bin/cat", &[]));
        assert!(answer["error"].is_null() || answer["error"] == "Keeper", "{answer}");
        client.spawn(&format!("t{n}"), "/bin/cat", &[]);
    }
}

#[test]
fn killing_the_supervisor_under_load_loses_nobody() {
    let home = Home::new();
    let mut client = home.connect();
    for n in 0..20 {
        client.spawn(&format!("s{n}"), "/bin/sh", &[]);
    }
    for round in 0..4 {
        for n in 0..20 {
            client.order("write", &format!("s{n}"), &format!("echo round{round}\r"));
        }
        client = kill_supervisor(&home, client);
        assert_eq!(client.about("adopted"), 20);
    }
    for n in 0..20 {
        client.check_echo(&format!("s{n}"), "alive");
    }
}

#[test]
fn what_agents_leave_becomes_the_keepers_and_is_reaped() {
    let home = Home::new();
    let mut client = home.connect();
    let keeper = client.about("keeper");
    client.spawn(
        "s",
        "/bin/sh",
        &["-c", "(setsid sh -c 'echo stray $$ here; exec sleep 1000' &); read wait"],
    );
    let seen = client.order("expect", "s", "here")["text"].as_str().unwrap().to_owned();
    let word = seen.split_whitespace().skip_while(|word| *word != "stray").nth(1);
    let stray: u32 = word.map_or_else(|| panic!("{seen}"), |word| word.parse().unwrap());
    let stat = fs::read_to_string(format!("/proc/{stray}/stat")).unwrap();
    assert_eq!(stat.split(' ').nth(3), Some(keeper.to_string().as_str()));
    let process = Process::of(stray).unwrap();
    send(stray, Signal::SIGKILL);
    process.wait();
    // The keeper has seen the death of the stray before or with that of the next child.
    client.spawn("next", "/bin/true", &[]);
    client.order("exit", "next", "");
    let left = fs::read_to_string(format!("/proc/{stray}/stat")).unwrap_or_default();
    assert!(!left.contains(&format!(" {keeper} ")), "not reaped: {left}");
}

#[test]
fn a_shutdown_ends_both_and_leaves_neither_socket_nor_lock() {
    let home = Home::new();
    let mut client = home.connect();
    let processes: Vec<Process> = home.daemons().into_iter().map(|pid| Process::of(pid).unwrap()).collect();
    assert_eq!(processes.len(), 2);
    let _: Option<Value> = client.try_ask(&json!({"op": "shutdown"}));
    processes.iter().for_each(Process::wait);
    assert!(!home.paths.socket.exists());
    assert!(!dsx_supervisor::launch::lock::is_held(&home.paths.lock()).unwrap());
    assert!(home.daemons().is_empty());
    assert_eq!(home.connect().about("adopted"), 0);
}

#[test]
fn a_runtime_directory_that_is_taken_away_takes_no_session_with_it() {
    let mut home = Home::new();
    let runtime = tempfile::tempdir().unwrap();
    home.paths.socket = runtime.path().join("dsx/sock");
    let mut client = home.connect();
    client.spawn("s", "/bin/sh", &[]);
    let pids = (client.about("keeper"), client.about("pid"));
    fs::remove_dir_all(runtime.path().join("dsx")).unwrap();
    client.order("event", "", "moved");
    assert_eq!(home.holder().socket, home.state("sock"));
    // After the next login: the client looks in its own runtime directory, and then in the lock.
    let mut client = home.connect();
    assert_eq!((client.about("keeper"), client.about("pid")), pids);
    client.check_echo("s", "found");
    kill_keeper(&mut client);
    let mut client = kill_supervisor(&home, client);
    client.check_echo("s", "again");
    // Only the file: it is back in its place.
    fs::remove_file(home.state("sock")).unwrap();
    client.order("event", "", "moved");
    home.connect().check_echo("s", "still");
}
