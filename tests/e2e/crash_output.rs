//! Output is complete to the byte whoever dies while it is printed, and the screen is the fold of it.

use std::fs;
use std::io::Read as _;
use std::process::Command;

use dsx_tests::crash::kill_supervisor;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

use crate::job::{create, dsx};

const LINES: usize = 1_500_000;

fn raw(dsx: &Dsx<'_>, id: &str) -> Vec<u8> {
    let mut command = Command::new(dsx.program());
    command.args(["logs", "--raw", id]).env_clear().envs(dsx.home().env());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// 24 MB while the supervisor dies eight times.
#[test]
fn a_flood_is_complete_to_the_byte() {
    let home = Home::new();
    let dsx = dsx(&home);
    let fifo = home.project().join("done");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script =
        format!("stty -onlcr -echo; read go; seq -f %015.0f {LINES}; echo x > done; read end; echo bye");
    let id = create(&dsx, &["--", "sh", "-c", &script]);
    let (told, done) = std::sync::mpsc::sync_channel(1);
    let reading = std::thread::spawn(move || {
        let mut said = String::new();
        fs::File::open(fifo).unwrap().read_to_string(&mut said).unwrap();
        let _ = told.send(());
    });
    dsx.run(["send", &id, "go"]).expect_code(0);
    let mut kills = 0;
    // So often that the flood is cut in the middle, and not so often that it never ends.
    while kills < 8 && done.recv_timeout(std::time::Duration::from_millis(150)).is_err() {
        kill_supervisor(&dsx);
        kills += 1;
    }
    reading.join().unwrap();
    dsx.run(["send", &id, "end", "--queue"]).expect_code(0);
    dsx.run(["wait", &id, "--until", "exited", "--timeout", "50"]).expect_code(0);
    assert!(kills >= 2, "the flood was over after {kills} kills");
    let kept = raw(&dsx, &id);
    let kept = kept.strip_suffix(b"bye\n").expect("the last line");
    assert!(kept.len() > 4_000_000, "{} bytes are kept", kept.len());
    let expected: Vec<u8> = expected_tail(kept.len());
    let wrong = kept.iter().zip(&expected).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "byte {wrong:?} of {} differs", kept.len());
    let mut whole = kept[kept.len() - 64 * 1024..].to_vec();
    whole.extend_from_slice(b"bye\n");
    same_screen(&dsx, &id, &whole);
}

/// The last `len` bytes of the flood.
fn expected_tail(len: usize) -> Vec<u8> {
    let first = LINES - len / 16;
    let all: Vec<u8> = (first..=LINES).flat_map(|n| format!("{n:015}\n").into_bytes()).collect();
    all[all.len() - len..].to_vec()
}

/// The screen is what a terminal shows that was given the same bytes and never disturbed.
fn same_screen(dsx: &Dsx<'_>, id: &str, bytes: &[u8]) {
    let shown = dsx.json(["screen", id]);
    let lines: Vec<&str> = shown["lines"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let mut undisturbed = vt100::Parser::new(40.try_into().unwrap(), 120.try_into().unwrap(), 0);
    undisturbed.process(bytes);
    let expected: Vec<String> =
        undisturbed.screen().rows(0, 120).map(|row| row.trim_end().to_owned()).collect();
    let lines: Vec<&str> = lines.iter().map(|l| l.trim_end()).collect();
    assert_eq!(lines, expected[..lines.len()]);
    let cursor = undisturbed.screen().cursor_position();
    assert_eq!((&shown["cursor"]["row"], &shown["cursor"]["col"]), (&cursor.0.into(), &cursor.1.into()));
}

/// Colours, the other screen, margins, wide characters, a cut sequence: the same after as before.
#[test]
fn the_screen_is_the_same_after_a_kill() {
    let home = Home::new();
    let dsx = dsx(&home);
    let script = r"stty -echo; printf '\033]0;a title\007plain \033[1;31mred\033[0m caf\303\251 \346\274\242\n\033[5;10Hhere';
        printf '\033[3;20r\033[?25l\033[?1h\033[38;5;2'; read x; printf '00mgreen'; read y";
    let id = create(&dsx, &["--", "sh", "-c", script]);
    dsx.run(["wait", &id, "--until", "idle", "--timeout", "50"]).expect_code(0);
    let show = || (dsx.run(["screen", "--ansi", &id]).stdout, dsx.json(["screen", &id]), raw(&dsx, &id));
    let fed = |what: &[u8]| show().2.windows(what.len()).any(|w| w == what);
    while !fed(b"\x1b[38;5;2") {
        std::thread::yield_now();
    }
    let before = show();
    kill_supervisor(&dsx);
    assert_eq!(show(), before);
    assert_eq!(before.1["title"], "a title");
    // The sequence that was cut goes on where it was.
    dsx.run(["send", &id, "go"]).expect_code(0);
    dsx.run(["wait", &id, "--timeout", "50"]).expect_code(0);
    let after = show();
    assert!(after.1.to_string().contains("green"), "{}", after.1);
    kill_supervisor(&dsx);
    assert_eq!(show(), after);
}
