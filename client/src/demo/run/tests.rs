//! The whole of it on a real PTY, in a thread of this process.

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::Value;

use super::*;
use crate::demo::script::digest;

/// Generous: a machine may be slow, an event that never comes is what fails.
const DEADLINE_MS: u16 = 60_000;

const IDLE: &str = "\x1b]7501;state=idle:app=demo\x07";
const WORKING: &str = "\x1b]7501;state=working\x07";
const DONE: &str = "\x1b]7501;state=done\x07";

struct Session {
    master: File,
    /// Kept open so that the terminal can be looked at once the program has left it.
    slave: OwnedFd,
    signals: UnixStream,
    seen: Vec<u8>,
    running: JoinHandle<Result<u8, Error>>,
    dir: tempfile::TempDir,
}

impl Session {
    fn start(rows: u16, cols: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        for fd in [&pty.master, &pty.slave] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("transcript.jsonl");
        let (signals, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let terminal = Terminal::raw(pty.slave.try_clone().unwrap().into()).unwrap();
        let transcript = Transcript::open(&path).unwrap();
        let demo = Demo::new(terminal, theirs, transcript, &path, Paint::PLAIN);
        let running = std::thread::spawn(move || demo.run());
        let (master, slave) = (pty.master.into(), pty.slave);
        let mut session = Self { master, slave, signals, seen: Vec::new(), running, dir };
        session.until(IDLE);
        session
    }

    /// Waits for this output and returns all that came up to it.
    fn until(&mut self, wanted: &str) -> String {
        loop {
            let at = self.seen.windows(wanted.len()).position(|w| w == wanted.as_bytes());
            if let Some(at) = at {
                let rest = self.seen.split_off(at + wanted.len());
                let seen = std::mem::replace(&mut self.seen, rest);
                return String::from_utf8_lossy(&seen).into_owned();
            }
            let ready = self.wait(PollFlags::POLLIN);
            assert!(ready, "no {wanted:?} in {:?}", String::from_utf8_lossy(&self.seen));
            self.take();
        }
    }

    fn wait(&self, wanted: PollFlags) -> bool {
        let mut polled = [PollFd::new(self.master.as_fd(), wanted)];
        poll(&mut polled, DEADLINE_MS).unwrap() > 0
    }

    fn take(&mut self) {
        let mut bytes = [0; 65536];
        if let Ok(read) = (&self.master).read(&mut bytes) {
            self.seen.extend(&bytes[..read]);
        }
    }

    /// Types at the speed at which it is read, reading along.
    fn press(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            assert!(self.wait(PollFlags::POLLOUT | PollFlags::POLLIN), "nobody reads");
            self.take();
            left = match io::Write::write(&mut &self.master, &left[..left.len().min(4096)]) {
                Ok(written) => &left[written..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => left,
                Err(e) => panic!("{e}"),
            };
        }
    }

    fn send(&mut self, text: &str) {
        self.press(format!("\x1b[200~{text}\x1b[201~").as_bytes());
        self.press(b"\r");
    }

    fn signal(&mut self, order: u8) {
        io::Write::write_all(&mut self.signals, &[order]).unwrap();
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("transcript.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Reads to the end, finds the terminal as it was before, and says how it ended.
    fn finish(mut self) -> u8 {
        self.until("\x1b[?2004l");
        let code = self.running.join().unwrap().unwrap();
        let modes = tcgetattr(&self.slave).unwrap().local_flags;
        assert!(modes.contains(LocalFlags::ICANON | LocalFlags::ECHO));
        code
    }
}

#[test]
fn what_is_told_is_in_the_transcript_already() {
    let mut session = Session::start(24, 80);
    for n in 0..50 {
        session.send(&format!("say answer {n}"));
        let seen = session.until(DONE);
        assert!(seen.contains(&format!("● answer {n}")) && seen.contains(WORKING));
        let records = session.records();
        let last = records.last().unwrap();
        assert_eq!((&last["type"], &last["text"]), (&"end".into(), &format!("answer {n}").into()));
        assert_eq!(records.len(), 3 * (n + 1));
    }
    session.press(b"\x03\x03");
    assert_eq!(session.finish(), 0);
}

#[test]
fn a_mebibyte_arrives_exactly() {
    let mut session = Session::start(24, 80);
    let piece = "é 漢\n\t\x1b[20\x1b]7501;state=done\u{7}\r🙂 \\";
    let text = piece.repeat((1 << 20) / piece.len() + 1);
    let text = format!("hash {text}");
    assert!(text.len() > 1 << 20);
    session.send(&text);
    session.until(WORKING);
    session.until(DONE);
    let records = session.records();
    assert!(records[0]["text"].as_str() == Some(text.as_str()));
    assert_eq!(records[2]["text"].as_str(), Some(digest(&text.as_bytes()[5..]).as_str()));
    session.press(b"\x04");
    assert_eq!(session.finish(), 0);
}

#[test]
fn an_escape_by_itself_interrupts() {
    let mut session = Session::start(24, 80);
    session.send("slow 3600 x");
    session.until(WORKING);
    session.press(b"\x1b");
    session.until(IDLE);
    let types: Vec<Value> = session.records().iter().map(|r| r["type"].clone()).collect();
    assert_eq!(types, ["user", "interrupted"]);
    session.press(b"say typed by hand\r");
    session.until(DONE);
    assert_eq!(session.records()[2]["text"], "say typed by hand");
    session.press(b"\x04");
    assert_eq!(session.finish(), 0);
}

#[test]
fn a_question_blocks_until_it_is_answered() {
    let mut session = Session::start(24, 80);
    session.send("ask Which? | Red | Blue");
    session.until("\x1b]7501;state=blocked:kind=question:msg=");
    session.press(b"2\r");
    session.until(DONE);
    assert_eq!(session.records().last().unwrap()["text"], "You chose: Blue");
    session.press(b"\x04");
    assert_eq!(session.finish(), 0);
}

#[test]
fn a_crash_is_in_the_middle_of_a_turn() {
    let mut session = Session::start(24, 80);
    session.send("crash");
    session.until(WORKING);
    let records = session.records();
    assert_eq!((records.len(), &records[0]["type"]), (1, &"user".into()));
    assert_eq!(session.finish(), 3);
}

#[test]
fn any_size_will_do_and_a_new_one_is_painted() {
    for (rows, cols) in [(1, 1), (2, 2), (1, 200), (60, 1), (60, 200)] {
        let mut session = Session::start(rows, cols);
        session.send("ask 漢? | 漢 | a long label of many words");
        session.until("state=blocked");
        session.signal(order::RESIZE);
        session.until("\x1b[2J");
        session.press(b"1");
        session.until(DONE);
        session.signal(order::TERMINATE);
        assert_eq!(session.finish(), 143);
    }
}

#[test]
fn it_ends_even_if_nobody_reads() {
    let mut session = Session::start(24, 80);
    session.send("long 100000");
    session.until("line 1\r\n");
    session.signal(order::TERMINATE);
    assert_eq!(session.running.join().unwrap().unwrap(), 143);
}

#[test]
fn it_ends_with_its_terminal() {
    let Session { master, slave, running, .. } = Session::start(24, 80);
    drop(master);
    assert_eq!(running.join().unwrap().unwrap(), 129);
    drop(slave);
}
