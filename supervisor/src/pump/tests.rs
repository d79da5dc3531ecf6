//! What the pump promises, on real PTYs.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::*;
use crate::log::{LogLimits, LogReader};

const SOON: Duration = Duration::from_secs(60);

/// A PTY in raw mode, the master non-blocking. Neither end is ever inherited, not even by a child that
/// another test starts at this moment: a slave too many and the end never comes.
pub(crate) fn raw_pty() -> (OwnedFd, OwnedFd) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags).expect("pty");
    grantpt(&master).expect("grant");
    unlockpt(&master).expect("unlock");
    let slave = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(ptsname_r(&master).expect("name"))
        .expect("slave");
    let mut termios = tcgetattr(&slave).expect("termios");
    cfmakeraw(&mut termios);
    tcsetattr(&slave, SetArg::TCSANOW, &termios).expect("raw");
    (master.as_fd().try_clone_to_owned().expect("master"), slave.into())
}

fn pump() -> Pump {
    Pump::start(|| 1).expect("pump")
}

/// The events of a session, kept by its own log's end so that no queue can fill up.
#[derive(Default)]
struct Inbox {
    state: Mutex<(u64, Vec<PumpEvent>)>,
    changed: Condvar,
}

impl Inbox {
    fn callback(self: &Arc<Self>) -> OnEvent {
        let its = Arc::clone(self);
        Arc::new(move |event| {
            let mut state = its.state.lock().expect("inbox");
            match event {
                PumpEvent::Data { end } => state.0 = end,
                other => state.1.push(other),
            }
            its.changed.notify_all();
        })
    }

    /// Waits until the session's end and other events are as wished.
    fn wait(&self, wish: impl Fn(u64, &[PumpEvent]) -> bool) -> (u64, Vec<PumpEvent>) {
        let state = self.state.lock().expect("inbox");
        let (state, waited) =
            self.changed.wait_timeout_while(state, SOON, |state| !wish(state.0, &state.1)).expect("inbox");
        assert!(!waited.timed_out(), "still {:?}", *state);
        state.clone()
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    reader: LogReader,
    flow: Flow,
    inbox: Arc<Inbox>,
    slave: OwnedFd,
}

fn session(pump: &Pump, key: u64, limits: LogLimits, processed: u64) -> Fixture {
    let dir = tempfile::tempdir().expect("directory");
    let log = LogWriter::create(dir.path(), &limits, 24, 80, 0).expect("log");
    let reader = log.reader();
    let inbox = Arc::new(Inbox::default());
    let (master, slave) = raw_pty();
    let flow = pump.add(key, master, log, processed, inbox.callback()).expect("add");
    Fixture { _dir: dir, reader, flow, inbox, slave }
}

/// Writes to a slave on a thread, as a program would; tells when it is done.
fn program(slave: OwnedFd, bytes: Vec<u8>) -> Receiver<()> {
    let (done, told) = sync_channel(1);
    std::thread::spawn(move || {
        let mut slave = std::fs::File::from(slave);
        let _ = slave.write_all(&bytes);
        drop(slave);
        let _ = done.send(());
    });
    told
}

fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("line {i:06}\n").into_bytes()).collect()
}

fn all(reader: &LogReader) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(1..) = reader.read(out.len() as u64, 1 << 20, &mut out) {}
    out
}

#[test]
fn output_comes_whole_and_in_order_then_one_end() {
    let pump = pump();
    let f = session(&pump, 7, LogLimits::default(), u64::MAX);
    let bytes = numbered(200_000);
    let _done = program(f.slave, bytes.clone());
    let (end, events) = f.inbox.wait(|_, events| !events.is_empty());
    assert_eq!(events, [PumpEvent::Eof { end }]);
    assert!(all(&f.reader) == bytes);
    pump.remove(7);
    let (_, events) = f.inbox.wait(|_, events| events.len() == 2);
    assert_eq!(events[1], PumpEvent::Removed);
    pump.remove(7);
    pump.remove(8);
}

#[test]
fn a_reader_that_lags_stops_the_program_and_loses_nothing() {
    let pump = pump();
    let f = session(&pump, 1, LogLimits::default(), 0);
    let limit = LogLimits::default().lag_bytes();
    let bytes = numbered(500_000);
    let done = program(f.slave, bytes.clone());
    f.inbox.wait(|end, _| end > limit);
    // Held up: the log has at most a turn more than the limit, and the program cannot be done.
    let mut seen = Vec::new();
    let mut at = 0;
    while (seen.len() as u64) < bytes.len() as u64 {
        let (end, _) = f.inbox.wait(|end, _| end > at);
        assert!(f.reader.end() - at <= limit + 64 * 1024, "{end} {at}");
        while let Ok(n @ 1..) = f.reader.read(at, 100_000, &mut seen) {
            at += n as u64;
        }
        f.flow.processed(at);
    }
    assert!(seen == bytes);
    done.recv_timeout(SOON).expect("the program's end");
    f.inbox.wait(|_, events| events == [PumpEvent::Eof { end: at }]);
    assert!(!f.flow.is_paused());
}

#[test]
fn a_session_that_floods_slows_no_other() {
    let pump = pump();
    let flood = session(&pump, 1, LogLimits::default(), u64::MAX);
    let stuck = session(&pump, 2, LogLimits::default(), 0);
    let quiet = session(&pump, 3, LogLimits::default(), u64::MAX);
    let _flooding = program(flood.slave, numbered(1_500_000));
    let _sticking = program(stuck.slave, numbered(200_000));
    flood.inbox.wait(|end, _| end > 100_000);
    stuck.inbox.wait(|end, _| end > LogLimits::default().lag_bytes());
    let mut slave = std::fs::File::from(quiet.slave.try_clone().expect("slave"));
    for i in 1..=100_u64 {
        slave.write_all(b"ping").expect("write");
        quiet.inbox.wait(|end, _| end == 4 * i);
    }
    assert!(stuck.flow.is_paused());
    // Kept alive until here: closing it would have been an end.
    drop(quiet.slave);
}

#[test]
fn a_key_is_taken_once_and_free_again_when_removed() {
    let pump = pump();
    let f = session(&pump, 5, LogLimits::default(), 0);
    let dir = tempfile::tempdir().expect("directory");
    let again = |pump: &Pump| {
        let log = LogWriter::create(dir.path(), &LogLimits::default(), 24, 80, 0).expect("log");
        let (master, _slave) = raw_pty();
        pump.add(5, master, log, 0, Arc::new(|_| {}))
    };
    assert!(matches!(again(&pump), Err(PumpError::Known { key: 5 })));
    pump.remove(5);
    f.inbox.wait(|_, events| events == [PumpEvent::Removed]);
    assert!(again(&pump).is_ok());
}

#[test]
fn what_is_no_terminal_fails_by_name() {
    let pump = pump();
    let dir = tempfile::tempdir().expect("directory");
    let log = LogWriter::create(dir.path(), &LogLimits::default(), 24, 80, 0).expect("log");
    let inbox = Arc::new(Inbox::default());
    // epoll takes no plain file.
    let file = OwnedFd::from(tempfile::tempfile().expect("file"));
    pump.add(1, file, log, 0, inbox.callback()).expect("add");
    let (_, events) = inbox.wait(|_, events| !events.is_empty());
    assert!(matches!(events[..], [PumpEvent::Failed { .. }]), "{events:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn idle_sessions_cost_no_cpu() {
    let pump = pump();
    let sessions: Vec<_> = (0..30).map(|key| session(&pump, key, LogLimits::default(), u64::MAX)).collect();
    // Once all are in the thread's hands it sleeps: it wakes for a byte, and for nothing else.
    for f in &sessions {
        nix::unistd::write(&f.slave, b"x").expect("write");
        f.inbox.wait(|end, _| end == 1);
    }
    let before = pump.desk.poller.waits();
    for f in &sessions {
        nix::unistd::write(&f.slave, b"y").expect("write");
        f.inbox.wait(|end, _| end == 2);
    }
    let waits = pump.desk.poller.waits() - before;
    assert!(waits <= 2 * sessions.len() as u64, "{waits} waits");
}
