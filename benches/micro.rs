//! The parts that every byte or every call passes through, by themselves: the codec, and the screen beside
//! vt100 alone.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::num::NonZero;
use std::time::Instant;

use dsx_benches::figures::{Samples, ms, note, paired, side, title};
use dsx_protocol::{Decoder, Kind, Reply, Request, Status, StatusReply, body, decode, encode};
use dsx_supervisor::screen::Terminal;

const ROWS: u16 = 50;
const COLS: u16 = 200;
/// Bytes of each kind of output that are folded in one sample.
const VOLUME: usize = 4 * 1024 * 1024;
/// As the supervisor folds them.
const PIECE: usize = 64 * 1024;

fn main() {
    codec();
    fold();
}

fn codec() {
    const TIMES: u32 = 20_000;
    let request = Request::Status(Status { session: "fizz-top".to_owned() });
    let reply = Reply::Status(StatusReply {
        session: "fizz-top".to_owned(),
        status: "working".to_owned(),
        confidence: "high".to_owned(),
        ..StatusReply::default()
    });
    let call = || {
        let begun = Instant::now();
        for _ in 0..TIMES {
            let asked = through(Kind::Request, &body(&request).expect("a body"));
            black_box(decode::<Request>(&asked).expect("a request"));
            let answered = through(Kind::Reply, &body(&reply).expect("a body"));
            black_box(decode::<Reply>(&answered).expect("a reply"));
        }
        begun.elapsed() / TIMES
    };
    let piece = vec![b'x'; PIECE];
    let output = || {
        let begun = Instant::now();
        for _ in 0..TIMES / 20 {
            black_box(through(Kind::Output, black_box(&piece)));
        }
        begun.elapsed() / (TIMES / 20)
    };
    let (call, output) = paired(20, call, output);
    title("The codec, there and back");
    side("a status request and its reply", &call);
    side("64 KiB of output", &output);
}

/// A body as a frame and out of it again.
fn through(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new();
    decoder.push(&encode(kind, 1, body).expect("a frame"));
    decoder.next_frame().expect("a frame").expect("a whole frame").body
}

fn fold() {
    for (name, bytes) in streams() {
        let ours = || {
            let mut terminal = Terminal::new(ROWS, COLS);
            let mut events = Vec::new();
            let begun = Instant::now();
            bytes.chunks(PIECE).for_each(|piece| terminal.feed(piece, &mut events));
            begun.elapsed()
        };
        let theirs = || {
            let cells = |n: u16| NonZero::new(n).expect("a size");
            let mut parser = vt100::Parser::new(cells(ROWS), cells(COLS), 0);
            let begun = Instant::now();
            bytes.chunks(PIECE).for_each(|piece| parser.process(piece));
            begun.elapsed()
        };
        let (ours, theirs) = paired(15, ours, theirs);
        title(&format!("The screen, {ROWS}x{COLS}: {name}"));
        side("dsx's terminal", &ours);
        side("vt100 alone", &theirs);
        let speed = |of: &Samples| bytes.len() as f64 / 1_048_576.0 / of.median().as_secs_f64();
        let ratio = ms(ours.median()) / ms(theirs.median());
        note("time", &format!("{ratio:.2}x ({:.0} and {:.0} MiB/s)", speed(&ours), speed(&theirs)));
    }
}

/// Kinds of output, each repeated to the same volume.
fn streams() -> [(&'static str, Vec<u8>); 4] {
    let (mut source, mut colours, mut redraw, mut wide) =
        (String::new(), String::new(), String::new(), String::new());
    for n in 0..200_u32 {
        let _ = write!(
            source,
            "{:indent$}let value_{n} = compute(&input[{n}..], {});\r\n",
            "",
            n * 7,
            indent = n as usize % 12
        );
        let _ =
            write!(colours, "\x1b[38;2;{};{};{}m\u{2588}{n:04}\x1b[0m", n % 256, n * 3 % 256, n * 7 % 256);
        // A spinner and a status line over a box of text, as the agents' interfaces draw them.
        let _ = write!(
            redraw,
            "\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K\x1b[G\x1b[36m\u{2733}\x1b[39m Working\u{2026} ({n}s)\r\n\x1b[2m\u{2500}\u{2500}\u{2500}\x1b[22m\r\n\u{276f}\u{a0}"
        );
        let _ = write!(wide, "{n} \u{6f22}\u{5b57}\u{304b}\u{306a}\u{4ea4}\u{3058}\u{308a}\r\n");
    }
    [
        ("source text", source),
        ("24-bit colour", colours),
        ("redrawn lines", redraw),
        ("wide characters", wide),
    ]
    .map(|(name, text)| (name, text.into_bytes().into_iter().cycle().take(VOLUME).collect()))
}
