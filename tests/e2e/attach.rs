//! `dsx attach`: people at the terminal of a session.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use dsx_protocol::{Attach, Decoder, Hello, Kind, Request, body, encode};
use dsx_tests::DEADLINE;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::pty::{Pty, PtyCommand, Seen, Terminal};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::job::{create, dsx};

/// What ends every mode that a session may have set; a part of what is written on leaving.
const RESETS: [&[u8]; 9] = [
    b"\x1b[<99u",
    b"\x1b[?1049l",
    b"\x1b[>4m",
    b"\x1b[r",
    b"\x1b[?1000l",
    b"\x1b[?1004l",
    b"\x1b[?2004l",
    b"\x1b[?25h",
    b"\x1b[0 q",
];

/// A session that runs a script of the shell.
fn session(dsx: &Dsx<'_>, script: &str) -> String {
    create(dsx, &["--", "sh", "-c", script])
}

/// `dsx attach`, as a command for a terminal that answers what it is asked.
fn attach(dsx: &Dsx<'_>, args: &[&str]) -> PtyCommand {
    let args = ["attach"].iter().chain(args);
    PtyCommand { terminal: Terminal::Plain, ..PtyCommand::new(dsx.home(), dsx.program(), args) }
}

fn watch(dsx: &Dsx<'_>, args: &[&str]) -> Pty {
    attach(dsx, args).spawn()
}

fn shown(pty: &Pty, text: &str) {
    pty.wait_screen(DEADLINE, text);
}

/// Waits until `text` stands on the screen so many times.
fn shown_times(pty: &Pty, text: &str, times: usize) {
    pty.wait(DEADLINE, |seen| (seen.screen().matches(text).count() >= times).then_some(()));
}

fn supervisor_pid(dsx: &Dsx<'_>) -> i32 {
    let status = dsx.json(["supervisor", "status"]);
    i32::try_from(status["pid"].as_i64().unwrap()).unwrap()
}

/// The user's terminal has been given back: everything that was set since `from` is reset.
fn is_reset(seen: &Seen, from: usize) -> Option<()> {
    RESETS.iter().all(|reset| seen.find(reset, from).is_some()).then_some(())
}

#[test]
fn it_shows_the_screen_and_types_into_the_program() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; exec cat");
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    pty.write("hello\r");
    shown(&pty, "hello\nhello");
    assert_eq!(dsx.json(["list"])[0]["viewers"], 1);
    let before = pty.look(|seen| seen.bytes.len());
    pty.write("\x1c");
    assert_eq!(pty.wait_exit(DEADLINE), 0);
    pty.wait(DEADLINE, |seen| seen.find(format!("[detached from {id}]").as_bytes(), before));
    pty.look(|seen| is_reset(seen, before)).expect("the terminal was reset");
    assert_eq!(dsx.json(["list"])[0]["viewers"], 0);
    // The next one sees what the last one left.
    let again = watch(&dsx, &[&id[..id.len() - 1]]);
    shown(&again, "ready\nhello\nhello");
}

#[test]
fn the_key_that_leaves_is_known_in_every_spelling_and_can_be_chosen() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; exec cat");
    for (args, key) in [
        (vec![], "\x1b[92;5u"),
        (vec![], "\x1b[92;5:1u"),
        (vec![], "\x1b[27;5;92~"),
        (vec!["--detach-keys", "C-q"], "\x11"),
        (vec!["--detach-keys", "F12"], "\x1b[24~"),
    ] {
        let args: Vec<&str> = [id.as_str()].into_iter().chain(args).collect();
        let pty = watch(&dsx, &args);
        shown(&pty, "ready");
        pty.write(key);
        assert_eq!(pty.wait_exit(DEADLINE), 0, "{}", key.escape_debug());
    }
    // Another one was chosen: this one is the program's, whom it ends.
    let pty = watch(&dsx, &[&id, "--detach-keys", "C-q"]);
    shown(&pty, "ready");
    pty.write("\x1c");
    pty.wait(DEADLINE, |seen| seen.find(format!("[{id} ended, exit code 131]").as_bytes(), 0));
    assert_eq!(pty.wait_exit(DEADLINE), 0);
    let bad = watch(&dsx, &[&id, "--detach-keys", "hello"]);
    assert_eq!(bad.wait_exit(DEADLINE), 2);
}

#[test]
fn without_a_terminal_or_a_session_it_says_so() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "exit 5");
    dsx.run(["wait", &id, "--until", "exited"]).expect_code(0);
    let said = dsx.run(["attach", &id]).expect_code(1);
    assert!(said.stderr.contains("needs a terminal") && said.stderr.contains("hint: "), "{said:?}");
    for (id, code) in [(id.as_str(), 6), ("nobody-here", 3)] {
        let pty = watch(&dsx, &[id]);
        assert_eq!(pty.wait_exit(DEADLINE), code);
        pty.wait(DEADLINE, |seen| seen.ended.then_some(()));
        // Not a byte for a terminal: it was left alone.
        assert!(pty.look(|seen| seen.find(b"\x1b", 0)).is_none());
    }
}

#[test]
fn the_end_of_the_session_is_told() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; read x; echo last words; exit 7");
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    pty.write("go\r");
    pty.wait(DEADLINE, |seen| seen.find(format!("[{id} ended, exit code 7]").as_bytes(), 0));
    assert_eq!(pty.wait_exit(DEADLINE), 0);
    pty.look(|seen| seen.find(b"last words", 0)).expect("the last output");
    pty.look(|seen| is_reset(seen, 0)).expect("the terminal was reset");
}

/// `dsx attach` in a shell that says before and after how its terminal is set up.
fn between_stty(dsx: &Dsx<'_>, id: &str) -> Pty {
    let script = r#"stty -a; "$1" attach "$2"; echo "code=$?"; stty -a; echo over"#;
    let program = dsx.program().to_str().unwrap();
    PtyCommand::new(dsx.home(), Path::new("/bin/sh"), ["-c", script, "sh", program, id]).spawn()
}

/// The two listings of a [`between_stty`] must be the same.
fn assert_given_back(pty: &Pty, code: u8) {
    let code = format!("code={code}\r\n");
    pty.wait(DEADLINE, |seen| seen.find(b"over\r\n", 0));
    pty.look(|seen| {
        let text = String::from_utf8_lossy(&seen.bytes);
        let (before, after) = text.split_once(&code).unwrap_or_else(|| panic!("no {code} in {text}"));
        let last = after.strip_suffix("over\r\n").unwrap();
        assert!(before.starts_with(last), "before:\n{before}\nafter:\n{last}");
        assert!(last.contains(" icanon") && last.contains(" echo "));
        is_reset(seen, last.len()).expect("the terminal was reset");
    });
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let home = Home::new();
    let dsx = dsx(&home);
    let modes = r"printf '\033[?1049h\033[?1000h\033[>5u\033[?25lready'; exec cat";
    let id = session(&dsx, modes);
    let pty = between_stty(&dsx, &id);
    shown(&pty, "ready");
    pty.write("\x1c");
    assert_given_back(&pty, 0);
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)] {
        let pty = between_stty(&dsx, &id);
        shown(&pty, "ready");
        kill(Pid::from_raw(child_of(pty.pid())), signal).unwrap();
        assert_given_back(&pty, code);
    }
}

/// The one child of a process.
fn child_of(pid: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap_or_else(|_| panic!("not one child: {children:?}"))
}

#[test]
fn two_viewers_see_the_same_and_both_may_type() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; exec cat");
    let (one, two) = (watch(&dsx, &[&id]), watch(&dsx, &[&id]));
    shown(&one, "ready");
    shown(&two, "ready");
    one.write("from one\r");
    shown_times(&two, "from one", 2);
    two.write("from two\r");
    for pty in [&one, &two] {
        shown_times(pty, "from two", 2);
        assert_eq!(pty.look(Seen::screen), "ready\nfrom one\nfrom one\nfrom two\nfrom two");
    }
    one.write("\x1c");
    assert_eq!(one.wait_exit(DEADLINE), 0);
    two.write("still here\r");
    shown_times(&two, "still here", 2);
}

#[test]
fn who_only_looks_types_nothing_and_decides_no_size() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "stty size; echo ready; while read line; do stty size; done");
    let command = PtyCommand { rows: 20, cols: 50, ..attach(&dsx, &[&id, "-r"]) };
    let looks = command.spawn();
    shown(&looks, "40 120\nready");
    looks.write("nothing\r\x03");
    looks.resize(10, 30);
    let types = watch(&dsx, &[&id]);
    shown(&types, "ready");
    types.write("something\r");
    shown(&types, "something\n40 120");
    assert!(!types.look(Seen::screen).contains("nothing"));
    looks.write("\x1c");
    assert_eq!(looks.wait_exit(DEADLINE), 0);
}

#[test]
fn the_size_of_the_viewers_terminal_arrives_in_the_program() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; while read line; do stty size; done");
    let pty = PtyCommand { rows: 30, cols: 100, ..attach(&dsx, &[&id]) }.spawn();
    shown(&pty, "ready");
    for (rows, cols) in [(31, 101), (1, 1), (2000, 2000), (32, 102)] {
        pty.resize(rows, cols);
        pty.write("size\r");
        let size = format!("{} {}\r\n", rows.clamp(2, 1000), cols.clamp(2, 1000));
        pty.wait(DEADLINE, |seen| seen.find(size.as_bytes(), 0));
    }
    // Another one comes, and its size counts; it goes, and that of the one who stays does again.
    let other = PtyCommand { rows: 24, cols: 80, ..attach(&dsx, &[&id]) }.spawn();
    shown(&other, "32 102");
    other.write("size\r");
    let _ = other.wait_bytes(DEADLINE, b"24 80\r\n", 0);
    other.write("\x1c");
    assert_eq!(other.wait_exit(DEADLINE), 0);
    let before = pty.look(|seen| seen.bytes.len());
    pty.write("size\r");
    let _ = pty.wait_bytes(DEADLINE, b"32 102\r\n", before);
}

#[test]
fn a_killed_supervisor_does_not_end_it() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; exec cat");
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    for round in 1..=3 {
        let (word, pid) = (format!("round-{round}"), supervisor_pid(&dsx));
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        let before = pty.look(|seen| seen.bytes.len());
        // The repaint of the next one. What is typed while there is none may be lost.
        let _ = pty.wait_bytes(DEADLINE, b"\x1b[?2026h", before);
        pty.write(format!("{word}\r"));
        shown_times(&pty, &word, 2);
        assert_ne!(supervisor_pid(&dsx), pid);
    }
    shown(&pty, "ready\nround-1\nround-1\nround-2");
    pty.write("\x1c");
    assert_eq!(pty.wait_exit(DEADLINE), 0);
}

#[test]
fn modes_are_replayed_to_the_next_viewer() {
    let home = Home::new();
    let dsx = dsx(&home);
    let modes = r"printf '\n\nmain\n\033[?1049h\033[?1002h\033[?1006h\033[?2004h\033[?1004h\033[>1u\033[>4;2m\033[5 q\033]2;a title\033\\alternate'; exec cat";
    let id = session(&dsx, modes);
    let first = watch(&dsx, &[&id]);
    shown(&first, "alternate");
    for _ in 0..2 {
        let pty = watch(&dsx, &[&id]);
        shown(&pty, "alternate");
        let modes: [&[u8]; 9] = [
            b"main",
            b"\x1b[?1049h",
            b"\x1b[?1002h",
            b"\x1b[?1006h",
            b"\x1b[?2004h",
            b"\x1b[?1004h",
            b"\x1b[>1u",
            b"\x1b[>4;2m",
            b"\x1b[5 q",
        ];
        for mode in modes {
            let _ = pty.wait_bytes(DEADLINE, mode, 0);
        }
        let _ = pty.wait_bytes(DEADLINE, b"\x1b]2;a title", 0);
        assert!(pty.look(|seen| seen.cells().alternate_screen()));
        let before = pty.look(|seen| seen.bytes.len());
        pty.write("\x1b[92;5u");
        assert_eq!(pty.wait_exit(DEADLINE), 0);
        pty.wait(DEADLINE, |seen| is_reset(seen, before));
        pty.look(|seen| assert!(!seen.cells().alternate_screen() && seen.screen().contains("main")));
    }
}

#[test]
fn a_query_is_answered_once_and_not_by_the_viewer() {
    let home = Home::new();
    let dsx = dsx(&home);
    let script = r#"stty raw -echo; read go; printf '\033[c'; while :; do
        key=$(dd bs=1 count=1 2>/dev/null | od -An -tx1); printf '%s' "$key"; done"#;
    let id =
        session(&dsx, &format!("echo ready; {}", script.replace("read go;", "dd bs=1 count=1 2>/dev/null;")));
    // Both terminals would answer.
    let (one, two) = (watch(&dsx, &[&id]), watch(&dsx, &[&id]));
    shown(&one, "ready");
    shown(&two, "ready");
    one.write("g");
    // The whole of an answer to DA1, from the escape to the c.
    let answered = |seen: &Seen| seen.screen().contains(" 63").then_some(());
    one.wait(DEADLINE, answered);
    two.wait(DEADLINE, answered);
    // A viewer's own answer would be typed before this.
    for (pty, mark) in [(&one, "X"), (&two, "Y")] {
        pty.write(mark);
        let hex = format!(" {:02x}", mark.as_bytes()[0]);
        one.wait(DEADLINE, |seen| seen.screen().contains(&hex).then_some(()));
    }
    let typed = one.look(Seen::screen);
    assert_eq!(typed.matches(" 1b").count(), 1, "{typed}");
    assert!(one.look(|seen| seen.find(b"\x1b[c", 0)).is_none());
}

#[test]
fn interrupts_are_the_programs() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, r#"trap 'echo interrupted' INT; echo ready; while :; do sleep 1000 & wait; done"#);
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    pty.write("\x03");
    shown(&pty, "interrupted");
}

/// A viewer that speaks to the supervisor itself, and reads when it is told to.
struct Raw {
    stream: UnixStream,
    decoder: Decoder,
    /// Bytes of output that came.
    read: u64,
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
        Self { stream, decoder: Decoder::new(), read: 0 }
    }

    fn type_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(&encode(Kind::Input, 1, bytes).unwrap()).unwrap();
    }

    /// Reads output until the screen shows `text`.
    fn read_until(&mut self, text: &str) {
        let cells = |n| std::num::NonZero::new(n).unwrap();
        let mut screen = vt100::Parser::new(cells(40), cells(120), 0);
        let mut buffer = vec![0; 64 * 1024];
        while !screen.screen().contents().contains(text) {
            let read = self.stream.read(&mut buffer).expect("more output in time");
            assert!(read > 0, "the connection ended; the screen:\n{}", screen.screen().contents());
            self.decoder.push(&buffer[..read]);
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                if frame.kind == Kind::Output {
                    self.read += frame.body.len() as u64;
                    screen.process(&frame.body);
                }
            }
        }
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
fn a_terminal_that_takes_nothing_can_still_be_left() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready; read go; yes; cat");
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    // The harness reads; stopping the client is a terminal that shows nothing.
    pty.write("go\r");
    let _ = pty.wait_bytes(DEADLINE, b"y\r\ny\r\n", 0);
    pty.write("\x1c");
    assert_eq!(pty.wait_exit(DEADLINE), 0);
    pty.wait(DEADLINE, |seen| seen.find(b"[detached from", 0));
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
