//! `kill -9` at any moment loses no byte: a child of the test pumps a PTY into a log and is killed, a
//! further child goes on, until the program's output has ended; then the log is compared with it.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::*;
use crate::pump::{Pump, PumpEvent};

const DIRECTORY: &str = "DSX_TEST_LOG_DIRECTORY";
const LIMITS: LogLimits = LogLimits { segment_bytes: 64 * 1024, keep_bytes: 1 << 30, memory_bytes: 1 << 20 };
const LINES: usize = 1_200_000;

fn output() -> Vec<u8> {
    (0..LINES).flat_map(|i| format!("line {i:09} of many\n").into_bytes()).collect()
}

fn child(dir: &std::path::Path, master: &OwnedFd) -> Child {
    Command::new(std::env::current_exe().expect("test binary"))
        .args(["--exact", "log::kill_tests::pumping_child", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdin(Stdio::from(master.try_clone().expect("master")))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("child")
}

/// Not a test by itself: what the children of the test below do.
#[test]
fn pumping_child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let log = LogWriter::open(dir.as_ref(), &LIMITS, 24, 80, 0, 0).expect("log");
    let master = std::io::stdin().as_fd().try_clone_to_owned().expect("master");
    let pump = Pump::start(|| 1).expect("pump");
    let (tell, told) = sync_channel(1);
    let on_event = Arc::new(move |event| {
        let mut out = std::io::stdout().lock();
        match event {
            PumpEvent::Data { .. } => drop(out.write_all(b"data\n")),
            _ => drop(tell.try_send(())),
        }
    });
    pump.add(1, master, log, u64::MAX, on_event).expect("add");
    told.recv().expect("the end");
    std::io::stdout().write_all(b"end\n").expect("write");
}

#[test]
fn kill_9_at_any_moment_loses_no_byte() {
    let dir = tempfile::tempdir().expect("directory");
    let (master, slave) = crate::pump::tests::raw_pty();
    let expected = output();
    let program = {
        let bytes = expected.clone();
        std::thread::spawn(move || std::fs::File::from(slave).write_all(&bytes))
    };
    let mut numbers = crate::screen::tests::Numbers(0x1234_5678);
    let mut kills = 0;
    loop {
        let mut child = child(dir.path(), &master);
        let mut out = BufReader::new(child.stdout.take().expect("stdout"));
        let mut left = numbers.below(20);
        let mut line = String::new();
        let mut ended = false;
        while out.read_line(&mut line).is_ok_and(|n| n > 0) {
            ended = line == "end\n";
            let data = line == "data\n";
            line.clear();
            if ended || (data && left == 0) {
                break;
            }
            left = left.saturating_sub(usize::from(data));
        }
        if !ended {
            child.kill().expect("kill");
            kills += 1;
        }
        let status = child.wait().expect("wait");
        assert!(!ended || status.success());
        if ended {
            break;
        }
    }
    program.join().expect("program").expect("write");
    let log = LogWriter::open(dir.path(), &LIMITS, 24, 80, 0, 0).expect("log");
    let reader = log.reader();
    let mut got = Vec::new();
    while let Ok(1..) = reader.read(got.len() as u64, 1 << 20, &mut got) {}
    let same = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    assert!(got == expected, "{kills} kills: same up to {same} of {}, got {}", expected.len(), got.len());
    println!("{kills} kills, {} bytes", got.len());
    assert!(kills > 10, "only {kills} kills");
}
