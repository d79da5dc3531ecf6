//! Many viewers at once, fast and stuck ones, and what they type: nobody is slowed, nothing is lost.

use std::io::{Read, Write};
use std::num::NonZero;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use dsx_protocol::{Attach, Decoder, Hello, Kind, Reply, Request, body, decode, encode};
use dsx_tests::DEADLINE;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::attach::{session, shown, supervisor_pid, watch};
use crate::job::dsx;

/// A viewer that speaks to the supervisor itself, and reads when it is told to.
struct Raw {
    stream: UnixStream,
    decoder: Decoder,
    /// Bytes of output that came.
    read: u64,
    /// The answer to the attachment, which is its end.
    reply: Option<Reply>,
}

impl Raw {
    /// Attached, but nothing is read yet.
    fn attach(dsx: &Dsx<'_>, id: &str) -> Self {
        let status = dsx.json(["supervisor", "status"]);
        let mut stream = UnixStream::connect(status["socket"].as_str().unwrap()).unwrap();
        stream.set_read_timeout(Some(FLOOD_DEADLINE)).unwrap();
        let attach = Attach { session: id.to_owned(), read_only: false, cols: 120, rows: 40 };
        for (kind, channel, bytes) in
            [(Kind::Hello, 0, body(&Hello::ours())), (Kind::Request, 1, body(&Request::Attach(attach)))]
        {
            stream.write_all(&encode(kind, channel, &bytes.unwrap()).unwrap()).unwrap();
        }
        Self { stream, decoder: Decoder::new(), read: 0, reply: None }
    }

    fn type_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(&encode(Kind::Input, 1, bytes).unwrap()).unwrap();
    }

    /// Reads output until the screen shows `text`.
    fn read_until(&mut self, text: &str) {
        let cells = |n| NonZero::new(n).unwrap();
        let mut screen = vt100::Parser::new(cells(40), cells(120), 0);
        while !screen.screen().contents().contains(text) {
            for output in self.read() {
                screen.process(&output);
            }
        }
    }

    /// The output of one read.
    fn read(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 64 * 1024];
        let read = self.stream.read(&mut buffer).expect("more in time");
        assert!(read > 0, "the connection ended");
        self.decoder.push(&buffer[..read]);
        let mut outputs = Vec::new();
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            match frame.kind {
                Kind::Output => {
                    self.read += frame.body.len() as u64;
                    outputs.push(frame.body);
                }
                Kind::Reply => self.reply = Some(decode(&frame.body).unwrap()),
                _ => {}
            }
        }
        outputs
    }

    /// Reads on a thread of its own; tells when the screen shows `text`.
    fn reading_until(mut self, text: &'static str) -> Receiver<Self> {
        let (done, told) = sync_channel(1);
        thread::spawn(move || {
            self.read_until(text);
            let _ = done.send(self);
        });
        told
    }

    /// Reads until the session's end is told, behind a screen that shows `text`.
    fn read_to_the_end(mut self, text: &str) -> Reply {
        self.read_until(text);
        loop {
            if let Some(reply) = self.reply.take() {
                return reply;
            }
            self.read();
        }
    }
}

/// A flood goes through an unoptimised supervisor in these tests.
const FLOOD_DEADLINE: Duration = Duration::from_secs(300);
const FLOOD: u64 = 120_000_000;
/// What the supervisor may grow by, whatever waits for viewers.
const GROWTH: u64 = 64 * 1024 * 1024;

/// The most memory that a process has ever had, in bytes.
fn peak_memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_viewer_that_reads_nothing_slows_nobody_and_costs_no_memory() {
    let home = Home::new();
    let dsx = dsx(&home);
    let script = format!(
        "echo ready; read go; yes '0123456789 abcdefghij' | head -c {FLOOD}; echo; echo all over; cat"
    );
    let id = session(&dsx, &script);
    let stuck = Raw::attach(&dsx, &id);
    let mut reads = Raw::attach(&dsx, &id);
    reads.read_until("ready");
    let pid = supervisor_pid(&dsx);
    let before = peak_memory(pid);
    reads.type_bytes(b"go\r");
    let reads =
        reads.reading_until("all over").recv_timeout(FLOOD_DEADLINE).expect("the other viewer got it all");
    let grown = peak_memory(pid).saturating_sub(before);
    assert!(grown < GROWTH, "the supervisor grew by {grown} bytes");
    // It goes on where the program is now, and not where it stopped reading.
    let stuck = stuck.reading_until("all over").recv_timeout(DEADLINE).expect("the current screen");
    assert!(stuck.read < 8 * 1024 * 1024, "{} of {} bytes", stuck.read, reads.read);
    // And from there on it misses nothing.
    let mut both = [stuck, reads];
    both[0].type_bytes(b"and now\r");
    for mut viewer in both {
        viewer.read_until("and now");
    }
}

#[test]
fn a_viewer_that_lags_is_told_the_end_too() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; read go; yes | head -c 20000000; echo; echo last words; exit 9");
    let mut stuck = Raw::attach(&dsx, &id);
    stuck.type_bytes(b"go\r");
    let ended = dsx.call(["wait", &id, "--until", "exited"]).deadline(FLOOD_DEADLINE).run();
    ended.expect_code(0);
    let end = stuck.read_to_the_end("last words");
    assert!(matches!(&end, Reply::Settled(s) if s.exit_code == Some(9)), "{end:?}");
}

#[test]
fn a_terminal_that_takes_nothing_can_still_be_left() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; read go; yes");
    let other = watch(&dsx, &[&id]);
    shown(&other, "ready");
    // Nobody ever reads what this terminal is to show.
    let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(dsx.program());
    command.args(["attach", &id]);
    command.cwd(home.project());
    command.env_clear();
    home.env().for_each(|(key, value)| command.env(key, value));
    let mut child = pair.slave.spawn_command(command).unwrap();
    let mut writer = pair.master.take_writer().unwrap();
    writer.write_all(b"go\r").unwrap();
    // So much has been shown to others that this terminal is full.
    other.wait(DEADLINE, |seen| (seen.bytes.len() > 4_000_000).then_some(()));
    writer.write_all(b"\x1c").unwrap();
    let (ended, end) = sync_channel(1);
    thread::spawn(move || ended.send(child.wait().unwrap().exit_code()));
    assert_eq!(end.recv_timeout(DEADLINE), Ok(0));
}

/// As many bytes, none of them special to a terminal in whatever mode.
fn text(size: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("{n:07} ").into_bytes()).take(size).collect()
}

/// What `cksum` says of bytes.
fn cksum(bytes: &[u8]) -> String {
    let home = Home::new();
    let shell = Dsx::new(&home, "/bin/sh");
    shell.call(["-c", "cksum"]).stdin(bytes).run().expect_code(0).line().to_owned()
}

const PASTE: usize = 1024 * 1024;

#[test]
fn a_large_paste_arrives_whole() {
    let home = Home::new();
    let dsx = dsx(&home);
    let script = format!("stty raw -echo; echo ready; head -c {PASTE} | cksum; cat");
    let id = session(&dsx, &script);
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    let text = text(PASTE);
    pty.write(&text);
    shown(&pty, &cksum(&text));
}

#[test]
fn a_paste_waits_for_a_program_that_does_not_read_yet() {
    let home = Home::new();
    let dsx = dsx(&home);
    let gate = home.project().join("gate");
    mkfifo(&gate, Mode::S_IRWXU).unwrap();
    // Twice the room that typed bytes have in the supervisor.
    let size = 3 * PASTE;
    let script = format!("stty raw -echo; echo ready; read go < gate; head -c {size} | cksum; cat");
    let id = session(&dsx, &script);
    let (pty, other) = (watch(&dsx, &[&id]), watch(&dsx, &[&id]));
    shown(&pty, "ready");
    shown(&other, "ready");
    let text = text(size);
    pty.write(&text);
    // Whoever typed it may leave; it was typed all the same, as far as the supervisor has it.
    assert_eq!(dsx.run(["status", &id]).code, 0);
    std::fs::write(&gate, "go\n").unwrap();
    let sum = cksum(&text);
    shown(&pty, &sum);
    shown(&other, &sum);
}
