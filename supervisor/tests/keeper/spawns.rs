//! What a started program finds, and what is said of one that cannot be started.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::home::{Home, Process, spawn};

#[test]
fn the_environment_the_directory_and_the_arguments_are_exactly_those_given() {
    let home = Home::new();
    let mut client = home.connect();
    let mut order = spawn("s", "/usr/bin/env", &[]);
    order["env"] = json!({"ONE": "1", "EMPTY": "", "SPACED": "a  b=c"});
    assert!(client.ask(&order)["error"].is_null());
    let seen = client.order("expect", "s", "")["text"].as_str().unwrap().to_owned();
    let mut lines: Vec<&str> = seen.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["EMPTY=", "ONE=1", "SPACED=a  b=c"]);

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let mut order = spawn("t", "sh", &["-c", "pwd; echo \"$0|$1|$#\"", "zero", "a b"]);
    order["cwd"] = json!(dir);
    assert!(client.ask(&order)["error"].is_null());
    let seen = client.order("expect", "t", "")["text"].as_str().unwrap().to_owned();
    assert_eq!(seen, format!("{}\r\nzero|a b|1\r\n", dir.display()));
}

#[test]
fn nothing_of_dsx_leaks_into_a_child() {
    let home = Home::new();
    let mut client = home.connect();
    // Something to leak: other terminals, a start under way.
    for session in ["a", "b", "c"] {
        client.spawn(session, "/bin/cat", &[]);
    }
    client.spawn("s", "/bin/sh", &["-c", "ls -l /proc/$$/fd; read wait"]);
    let seen = client.order("expect", "s", "2 ->")["text"].as_str().unwrap().to_owned();
    let fds: Vec<&str> = seen.lines().filter(|line| line.contains(" -> ")).collect();
    assert_eq!(fds.len(), 3, "{seen}");
    assert!(fds.iter().all(|line| line.contains("/dev/pts/")), "{seen}");

    client.spawn("t", "/bin/cat", &["/proc/self/status"]);
    let seen = client.order("expect", "t", "")["text"].as_str().unwrap().to_owned();
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(seen.contains(&format!("{mask}:\t0000000000000000")), "{seen}");
    }

    client.spawn("u", "/bin/sh", &["-c", "ulimit -Sn"]);
    let seen = client.order("expect", "u", "")["text"].as_str().unwrap().to_owned();
    let (soft, _) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!(seen.trim(), soft.to_string(), "the limit is the client's, not the keeper's own");
}

#[test]
fn a_child_leads_a_session_whose_terminal_it_controls() {
    let home = Home::new();
    let mut client = home.connect();
    let pid = client.spawn("s", "/bin/sh", &["-c", "cat /proc/$$/stat; tty; stty -a; stty size; read wait"]);
    let seen = client.order("expect", "s", "24 200")["text"].as_str().unwrap().to_owned();
    let fields: Vec<&str> = seen.lines().next().unwrap().split(' ').collect();
    let (own, group, session, terminal) = (fields[0], fields[4], fields[5], fields[6]);
    assert_eq!([own, group, session], [pid.to_string().as_str(); 3]);
    assert_ne!(terminal, "0");
    assert!(seen.contains("/dev/pts/") && seen.contains(" iutf8"), "{seen}");
    // Ctrl-C reaches it through the terminal.
    client.order("write", "s", "\x03");
    assert_eq!(client.order("exit", "s", ""), json!({"code": null, "signal": 2}));
}

fn refused(home: &Home, order: &Value) -> (String, String) {
    let answer = home.connect().ask(order);
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    (text("error"), text("message"))
}

#[test]
fn what_cannot_be_started_is_named_with_the_reason_and_leaves_nothing() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "text").unwrap();
    let file = file.to_str().unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();

    let mut order = spawn("s", "/bin/cat", &[]);
    order["cwd"] = json!("/nowhere/at all");
    let (kind, message) = refused(&home, &order);
    assert!(kind == "Directory" && message.contains("`/nowhere/at all`: No such file"), "{kind} {message}");
    order["cwd"] = json!(file);
    let (kind, message) = refused(&home, &order);
    assert!(kind == "Directory" && message.contains("Not a directory"), "{kind} {message}");

    let cases = [
        ("/nowhere/prog", "Program", "`/nowhere/prog`: No such file"),
        ("no-such-program", "Program", "`no-such-program`: No such file"),
        (file, "Program", "Permission denied"),
        (script.to_str().unwrap(), "Interpreter", "interpreter"),
        ("", "Invalid", "no name"),
    ];
    for (program, expected, says) in cases {
        let (kind, message) = refused(&home, &spawn("s", program, &[]));
        assert!(kind == expected && message.contains(says), "{program}: {kind} {message}");
    }
    let mut order = spawn("s", "/bin/cat", &[]);
    order["env"] = json!({"A": "x".repeat(5 << 20)});
    let (kind, message) = refused(&home, &order);
    assert!(kind == "Invalid" && message.contains("limit"), "{kind} {message}");

    // The session's name was not used up, and nothing runs under it.
    let mut client = home.connect();
    assert_eq!(client.signal("s", Signal::SIGTERM, "leader")["error"], "NoSession");
    client.spawn("s", "/bin/cat", &[]);
    assert_eq!(refused(&home, &spawn("s", "/bin/cat", &[])).0, "Exists");
    assert_eq!(client.ask(&json!({"op": "forget", "session": "s"}))["error"], "Running");
}

#[test]
fn exits_are_told_as_they_were() {
    let home = Home::new();
    let mut client = home.connect();
    client.spawn("code", "/bin/sh", &["-c", "exit 7"]);
    assert_eq!(client.order("exit", "code", ""), json!({"code": 7, "signal": null}));
    for (session, signal, number) in [("kill", Signal::SIGKILL, 9), ("term", Signal::SIGTERM, 15)] {
        client.spawn(session, "/bin/cat", &[]);
        assert_eq!(client.signal(session, signal, "leader"), json!({"count": 1}));
        assert_eq!(client.order("exit", session, ""), json!({"code": null, "signal": number}));
        assert_eq!(client.signal(session, signal, "leader")["error"], "Exited");
    }
    // Programs that end before their start can be answered are told to have started, then to have ended.
    for n in 0..20 {
        let session = format!("quick-{n}");
        client.spawn(&session, "/bin/true", &[]);
        assert_eq!(client.order("exit", &session, ""), json!({"code": 0, "signal": null}));
        client.order("forget", &session, "");
    }
    // Until it is forgotten its pid is its own: no signal can reach a stranger.
    let pid = client.order("child", "code", "")["pid"].as_u64().unwrap();
    let status = format!("/proc/{pid}/status");
    assert!(fs::read_to_string(&status).unwrap().contains("State:\tZ"));
    client.order("forget", "code", "");
    assert!(!fs::exists(&status).unwrap());
    assert_eq!(client.ask(&json!({"op": "forget", "session": "code"}))["error"], "NoSession");
}

#[test]
fn what_a_session_leaves_behind_is_found_and_ended() {
    let home = Home::new();
    let mut client = home.connect();
    // Jobs in groups of their own, deaf to the hangup; one that has made a session of its own has left.
    let jobs = "set -m; trap '' HUP; sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000 & \
                setsid sh -c 'echo left $$ here; exec sleep 1000' & echo running; read wait";
    client.spawn("s", "/bin/bash", &["-c", jobs]);
    client.order("expect", "s", "running");
    let seen = client.order("expect", "s", "here")["text"].as_str().unwrap().to_owned();
    let word = seen.split_whitespace().skip_while(|word| *word != "left").nth(1).unwrap();
    let left: u32 = word.parse().unwrap();
    client.signal("s", Signal::SIGKILL, "leader");
    client.order("exit", "s", "");
    let members = members_of(&client.ask(&json!({"op": "child", "session": "s"})));
    assert!(members.len() == 4, "{members:?}");
    let processes: Vec<Process> = members.iter().map(|pid| Process::of(*pid).unwrap()).collect();
    let count = client.signal("s", Signal::SIGKILL, "session")["count"].as_u64().unwrap();
    assert!(count == 4, "{count} of {members:?}");
    processes.iter().for_each(Process::wait);
    assert_eq!(client.signal("s", Signal::SIGKILL, "session")["count"], 0);
    let stray = Process::of(left).expect("a process that has left goes on");
    super::home::send(left, Signal::SIGKILL);
    stray.wait();
    client.order("forget", "s", "");
}

/// The processes, other than its leader, of the session of the child that `answer` tells of.
fn members_of(answer: &Value) -> Vec<u32> {
    let leader = answer["pid"].as_u64().unwrap().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.split(' ').collect();
        if fields.get(5) == Some(&leader.as_str()) && fields[0] != leader {
            found.push(fields[0].parse().unwrap());
        }
    }
    found
}

#[test]
fn a_program_without_a_terminal_writes_to_its_file() {
    let home = Home::new();
    let mut client = home.connect();
    let file = home.state("out");
    let mut order = spawn("s", "/bin/sh", &["-c", "echo out; echo err >&2; cat; cat /proc/$$/stat; tty"]);
    order["pty"] = json!(false);
    order["output"] = json!(file);
    let answer = client.ask(&order);
    assert!(answer["error"].is_null() && answer["master"] == json!(false), "{answer}");
    client.order("exit", "s", "");
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("out\nerr\n") && written.ends_with("not a tty\n"), "{written}");
    let stat: Vec<&str> = written.lines().nth(2).unwrap().split(' ').collect();
    assert_eq!((stat[0], stat[6]), (stat[5], "0"), "a session of its own without a terminal");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
}
