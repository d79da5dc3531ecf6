//! `dsx attach`: people at the terminal of a session.

use std::path::Path;

use dsx_tests::DEADLINE;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::pty::{Pty, PtyCommand, Seen, Terminal};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::job::{answer, create, dsx, with_each_claude};

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
pub fn session(dsx: &Dsx<'_>, script: &str) -> String {
    create(dsx, &["--", "sh", "-c", script])
}

/// `dsx attach`, as a command for a terminal that answers what it is asked.
pub fn attach(dsx: &Dsx<'_>, args: &[&str]) -> PtyCommand {
    let args = ["attach"].iter().chain(args);
    PtyCommand { terminal: Terminal::Plain, ..PtyCommand::new(dsx.home(), dsx.program(), args) }
}

pub fn watch(dsx: &Dsx<'_>, args: &[&str]) -> Pty {
    attach(dsx, args).spawn()
}

pub fn shown(pty: &Pty, text: &str) {
    pty.wait_screen(DEADLINE, text);
}

/// Waits until `text` stands on the screen so many times.
fn shown_times(pty: &Pty, text: &str, times: usize) {
    pty.wait(DEADLINE, |seen| (seen.screen().matches(text).count() >= times).then_some(()));
}

pub fn supervisor_pid(dsx: &Dsx<'_>) -> i32 {
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
        let _ = seen.find(b"\x1b]111\x1b\\", last.len()).expect("the background was reset");
    });
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let home = Home::new();
    let dsx = dsx(&home);
    let modes = r"printf '\033[?1049h\033[?1000h\033[>5u\033[?25l\033]11;#102030\007ready'; exec cat";
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
    let before = pty.look(|seen| seen.bytes.len());
    dsx.run(["supervisor", "restart"]).expect_code(0);
    let _ = pty.wait_bytes(DEADLINE, b"\x1b[?2026h", before);
    pty.write("restarted\r");
    shown_times(&pty, "restarted", 2);
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

#[test]
fn a_session_that_ends_without_a_supervisor_is_told() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = session(&dsx, "echo ready $$; exec cat");
    let pty = watch(&dsx, &[&id]);
    shown(&pty, "ready");
    let program = dsx.json(["list"])[0]["pid"].as_i64().unwrap();
    let supervisor = supervisor_pid(&dsx);
    // Stopped, it cannot tell; killed after, it never will.
    kill(Pid::from_raw(supervisor), Signal::SIGSTOP).unwrap();
    kill(Pid::from_raw(i32::try_from(program).unwrap()), Signal::SIGKILL).unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    pty.wait(DEADLINE, |seen| seen.find(format!("[{id} ended, exit code 137]").as_bytes(), 0));
    assert_eq!(pty.wait_exit(DEADLINE), 0);
}

#[test]
fn a_real_claude_can_be_talked_to() {
    with_each_claude("a_real_claude_can_be_talked_to", |dsx, _| {
        let id = create(dsx, &[]);
        let pty = watch(dsx, &[&id]);
        shown(&pty, "❯");
        pty.write("say typed by hand\r");
        shown(&pty, "● typed by hand");
        assert_eq!(answer(dsx, &id, "say sent by command"), "sent by command");
        shown(&pty, "● sent by command");
        let before = pty.look(|seen| seen.bytes.len());
        pty.write("\x1b[92;5u");
        assert_eq!(pty.wait_exit(DEADLINE), 0);
        pty.wait(DEADLINE, |seen| is_reset(seen, before));
        assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "idle");
    });
}
