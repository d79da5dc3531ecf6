//! When descriptors run out: an error, and neither a hang nor a busy loop.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::home::{Client, Home, spawn};

/// Clock ticks of CPU that a process has used.
fn cpu(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Starts sessions until one is refused. Returns the kind of refusal and how many were started.
fn fill(client: &mut Client) -> (String, usize) {
    for n in 0..200 {
        let answer = client.ask(&spawn(&format!("s{n}"), "/bin/sh", &[]));
        if let Some(error) = answer["error"].as_str() {
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains("ulimit -n"), "no next step: {message}");
            return (error.to_owned(), n);
        }
    }
    panic!("no limit was met");
}

fn check_alive_and_quiet(client: &mut Client, started: usize) {
    let daemons = [client.about("keeper"), client.about("pid")];
    let before: Vec<u64> = daemons.iter().map(|pid| cpu(*pid)).collect();
    // A second of everyone's time, measured by a program and not slept away here.
    assert!(Command::new("sleep").arg("1").status().unwrap().success());
    for (pid, before) in daemons.iter().zip(before) {
        assert!(cpu(*pid) - before < 20, "{pid} spins");
    }
    for n in 0..started {
        client.check_echo(&format!("s{n}"), "alive");
    }
    // Room again as soon as one is gone.
    client.order("write", "s0", "exit 4\r");
    assert_eq!(client.order("exit", "s0", ""), json!({"code": 4, "signal": null}));
    client.order("forget", "s0", "");
    client.spawn("s0", "/bin/sh", &[]);
    client.check_echo("s0", "again");
}

#[test]
fn sixty_four_descriptors_are_an_error_and_not_a_spin() {
    let home = Home::new();
    let mut args = vec!["-c".into(), "ulimit -n 64; exec \"$@\"".into(), "sh".into()];
    args.push(Home::exe().as_os_str().to_owned());
    args.push("connect".into());
    args.extend(home.origin().to_args());
    assert!(Command::new("/bin/sh").args(args).status().unwrap().success());
    let mut client = home.connect();
    // Two for each session in the supervisor, which therefore meets its limit first.
    let (error, started) = fill(&mut client);
    assert!(error == "Descriptors" && started > 10, "{error} after {started}");
    check_alive_and_quiet(&mut client, started);
}

#[test]
fn a_keeper_without_descriptors_refuses_and_goes_on() {
    let home = Home::new();
    let mut client = home.connect();
    limit_open_files(client.about("keeper"), 24);
    let (error, started) = fill(&mut client);
    assert!((error == "Terminal" || error == "Resources") && started > 4, "{error} after {started}");
    check_alive_and_quiet(&mut client, started);
}

#[allow(unsafe_code)]
fn limit_open_files(pid: u32, most: u64) {
    let limit = nix::libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: reads one rlimit, writes none.
    let result = unsafe {
        nix::libc::prlimit(
            pid.cast_signed(),
            nix::libc::RLIMIT_NOFILE,
            &raw const limit,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(result, 0);
}
