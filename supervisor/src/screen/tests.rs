//! What the terminal as a whole promises.

use super::*;

fn fed(rows: u16, cols: u16, bytes: &[u8]) -> (Terminal, Vec<TermEvent>) {
    let mut terminal = Terminal::new(rows, cols);
    let mut events = Vec::new();
    terminal.feed(bytes, &mut events);
    (terminal, events)
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let mut lines = fed(6, 20, bytes).0.contents().lines;
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn replies(bytes: &[u8]) -> String {
    let mut all = Vec::new();
    for event in fed(24, 80, bytes).1 {
        if let TermEvent::Reply(reply) = event {
            all.extend(reply);
        }
    }
    String::from_utf8(all).expect("text")
}

/// A small generator of numbers: the tests must be the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

const FRAGMENTS: &[&[u8]] = &[
    b"plain text ",
    b"\r\n",
    b"\n",
    "äöü 漢字 ✳ 🙂".as_bytes(),
    "👩‍👩‍👧".as_bytes(),
    b"\x1b[31;1m",
    b"\x1b[58;2;3;2;1m",
    b"\x1b[38:2::1:2:3m",
    b"\x1b[4:3;58:5:1m",
    b"\x1b[m",
    b"\x1b[H",
    b"\x1b[5;7H",
    b"\x1b[2J",
    b"\x1b[K",
    b"\x1b[3;10r",
    b"\x1b[r",
    b"\x1b[?6h\x1b[2;2H",
    b"\x1b[?6l",
    b"\x1b7",
    b"\x1b8",
    b"\x1b[s",
    b"\x1b[u",
    b"\x1bD",
    b"\x1bE",
    b"\x1bM",
    b"\x1b[?1049h",
    b"\x1b[?1049l",
    b"\x1b[?47h",
    b"\x1b[?47l",
    b"\x1b[?1047h",
    b"\x1b[?1047l",
    b"\x1b[?7l0123456789012345678901234567890123456789\x1b[?7h",
    b"\x1b[4habc\x1b[4l",
    b"\x1b(0lqqk\x1b(B",
    b"\x1b)0\x0eqx\x0f",
    b"\x1b[?2004h\x1b[?1004h\x1b[?1002;1006h",
    b"\x1b[?2004l",
    b"\x1b[?25l",
    b"\x1b[?25h",
    b"\x1b[>5u",
    b"\x1b[<u",
    b"\x1b[>4;2m",
    b"\x1b[2 q",
    b"\x1b[6n",
    b"\x1b[c\x1b[>q\x1b[?u",
    b"\x1b]7501;?\x1b\\\x1b[c",
    b"\x1b]7501;state=idle:app=claude\x07",
    b"\x1b]11;?\x07",
    b"\x1b]0;a title\x07",
    b"\x1b]2;another\x1b\\",
    b"\x1b]133;D;1\x07",
    b"\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    b"\x1bP$q q\x1b\\",
    b"\x1b_Gi=1,a=q;AAAA\x1b\\",
    b"\x1b[?2026$p",
    b"\x1b[18t",
    b"\x1b[!p",
    b"\x1bc",
    b"\x1b[3",
    b"\x1b]0;broken",
    b"\x18",
    b"\x07",
    b"\xff\xc3\x28\xe2\x82",
    b"\x1b[2\n5;3H",
    b"\x1b[12b",
    b"\x1b[3Z\x1b[2I",
    b"\t",
    b"\x08",
];

fn stream(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..numbers.below(60) + 5 {
        bytes.extend_from_slice(FRAGMENTS[numbers.below(FRAGMENTS.len())]);
    }
    bytes
}

fn split<'b>(bytes: &'b [u8], numbers: &mut Numbers) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = (numbers.below(9) + 1).min(rest.len());
        pieces.push(&rest[..len]);
        rest = &rest[len..];
    }
    pieces
}

/// Events with neighbouring replies and bells joined.
fn joined(events: Vec<TermEvent>) -> Vec<TermEvent> {
    let mut out: Vec<TermEvent> = Vec::new();
    for event in events {
        match (out.last_mut(), event) {
            (Some(TermEvent::Reply(bytes)), TermEvent::Reply(more)) => bytes.extend(more),
            (Some(TermEvent::Bell), TermEvent::Bell) => {}
            (_, event) => out.push(event),
        }
    }
    out
}

#[test]
fn any_split_gives_the_same_terminal_events_and_viewer_bytes() {
    let mut numbers = Numbers(0x5eed);
    for _ in 0..400 {
        let bytes = stream(&mut numbers);
        let (whole, events) = fed(12, 40, &bytes);
        let mut seen = Vec::new();
        ViewerFilter::new().feed(&bytes, &mut seen);

        let mut terminal = Terminal::new(12, 40);
        let mut filter = ViewerFilter::new();
        let (mut piecewise, mut visible) = (Vec::new(), Vec::new());
        for piece in split(&bytes, &mut numbers) {
            terminal.feed(piece, &mut piecewise);
            filter.feed(piece, &mut visible);
        }
        assert_eq!(terminal.checkpoint(), whole.checkpoint(), "{bytes:?}");
        assert_eq!(joined(piecewise), joined(events), "{bytes:?}");
        assert_eq!(visible, seen, "{bytes:?}");
    }
}

#[test]
fn a_checkpoint_anywhere_goes_on_as_if_nothing_had_been() {
    let mut numbers = Numbers(0xc0ffee);
    for _ in 0..400 {
        let bytes = stream(&mut numbers);
        let cut = numbers.below(bytes.len());
        let (whole, events) = fed(12, 40, &bytes);
        let (first, mut all) = fed(12, 40, &bytes[..cut]);
        let checkpoint = first.checkpoint();
        let packed = rmp_serde::to_vec_named(&checkpoint).expect("pack");
        let unpacked: Checkpoint = rmp_serde::from_slice(&packed).expect("unpack");
        assert_eq!(unpacked, checkpoint);
        let mut second = Terminal::restore(&unpacked);
        assert_eq!(second.contents(), first.contents());
        assert_eq!(second.lines_ansi(), first.lines_ansi());
        second.feed(&bytes[cut..], &mut all);
        assert_eq!(second.contents(), whole.contents(), "{cut} of {bytes:?}");
        assert_eq!(joined(all), joined(events), "{cut} of {bytes:?}");
    }
}

#[test]
fn a_repaint_makes_any_terminal_show_the_same() {
    let mut numbers = Numbers(0xbeef);
    for _ in 0..400 {
        let (terminal, _) = fed(12, 40, &stream(&mut numbers));
        let (top, bottom) = paint::margins(terminal.state.model.screen());
        if !(top..=bottom).contains(&terminal.state.model.cursor().0) {
            continue;
        }
        // The viewer's terminal is in some other state, as after a lag.
        let (mut viewer, _) = fed(12, 40, &stream(&mut numbers));
        viewer.feed(&terminal.repaint(), &mut Vec::new());
        assert_eq!(viewer.contents(), terminal.contents());
        assert_eq!(viewer.lines_ansi(), terminal.lines_ansi());
        assert_eq!(viewer.repaint(), terminal.repaint());
        viewer.feed(&Terminal::reset_bytes(), &mut Vec::new());
        let text = viewer.contents();
        assert!(!text.alternate && text.cursor.visible && !viewer.bracketed_paste());
        assert_eq!(viewer.kitty_flags(), 0);
    }
}

#[test]
fn after_the_alternate_screen_the_viewer_sees_the_main_one_again() {
    let bytes = b"shell $ \x1b[1mvi\x1b[m\r\nx\x1b[?1049h\x1b[Hfull screen";
    let (mut terminal, _) = fed(6, 20, bytes);
    let mut viewer = Terminal::new(6, 20);
    viewer.feed(&terminal.repaint(), &mut Vec::new());
    assert!(viewer.contents().alternate);
    for one in [&mut terminal, &mut viewer] {
        one.feed(b"\x1b[?1049l", &mut Vec::new());
        let text = one.contents();
        assert_eq!(text.lines[..2], ["shell $ vi", "x"]);
        assert_eq!((text.cursor.row, text.cursor.col), (1, 1));
    }
}

#[test]
fn queries_are_answered_in_the_order_of_the_stream() {
    assert_eq!(
        replies(b"\x1b[>0q\x1b[?u\x1b]7501;?\x07\x1b[c"),
        concat!("\x1bP>|dsx(0.1.0)\x1b\\", "\x1b[?0u", "\x1b]7501;?\x1b\\", "\x1b[?62;22c")
    );
    assert_eq!(replies(b"\x1b[5;9H\x1b[6n\x1b[5n"), "\x1b[5;9R\x1b[0n");
    assert_eq!(replies(b"\x1b[5;20r\x1b[?6h\x1b[2;3H\x1b[6n"), "\x1b[2;3R");
    assert_eq!(replies(&[b"x".repeat(80), b"\x1b[6n".to_vec()].concat()), "\x1b[1;80R");
    assert_eq!(replies(b"\x1b]11;?\x07"), "\x1b]11;rgb:0000/0000/0000\x07");
    assert_eq!(
        replies(b"\x1b]10;?;?\x1b\\"),
        "\x1b]10;rgb:e5e5/e5e5/e5e5\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\"
    );
    assert_eq!(replies(b"\x1b]11;#fff\x07\x1b]11;?\x07"), "\x1b]11;#fff\x07");
    assert_eq!(
        replies(b"\x1b]4;1;?;21;?\x07"),
        concat!("\x1b]4;1;rgb:cdcd/0000/0000\x07", "\x1b]4;21;rgb:0000/0000/ffff\x07")
    );
    assert_eq!(
        replies(b"\x1b[?2026$p\x1b[?2004h\x1b[?2004$p\x1b[?1016$p\x1b[4$p"),
        "\x1b[?2026;2$y\x1b[?2004;1$y\x1b[?1016;0$y\x1b[4;2$y"
    );
    assert_eq!(replies(b"\x1b[14t\x1b[16t\x1b[18t"), "\x1b[4;480;800t\x1b[6;20;10t\x1b[8;24;80t");
    assert_eq!(replies(b"\x1b[>5u\x1b[?u\x1b[<u\x1b[?u"), "\x1b[?5u\x1b[?0u");
    assert_eq!(
        replies(b"\x1bP+q544e;zz\x1b\\"),
        concat!("\x1bP1+r544e=787465726D2D323536636F6C6F72\x1b\\", "\x1bP0+r\x1b\\")
            .replace("787465726D", "787465726D")
    );
    // The clipboard, the title and graphics: never.
    assert_eq!(replies(b"\x1b]52;c;?\x07\x1b[21t\x1b_Ga=q;\x1b\\\x05"), "");
}

#[test]
fn an_adopted_log_is_read_without_answers() {
    let mut terminal = Terminal::new(24, 80);
    terminal.set_answers(false);
    let mut events = Vec::new();
    terminal.feed(b"\x1b[c\x1b]7501;?\x07\x1b[6n\x1b]7501;state=idle\x07", &mut events);
    assert_eq!(
        events,
        [TermEvent::StatusQuery { answered: false }, TermEvent::Osc7501(b"state=idle".to_vec())]
    );
}

#[test]
fn events_say_what_happened() {
    let (_, events) = fed(
        24,
        80,
        b"\x1b]0;t\x07\x1b]0;t\x07\x07\x07\x1b[?2004h\x1b[?1049h\x1b]133;D;3\x07\x1b]7501;state=done\x1b\\",
    );
    assert_eq!(
        events,
        [
            TermEvent::Title("t".to_owned()),
            TermEvent::Bell,
            TermEvent::BracketedPaste(true),
            TermEvent::AlternateScreen(true),
            TermEvent::Osc133(b'D', b"3".to_vec()),
            TermEvent::Osc7501(b"state=done".to_vec()),
        ]
    );
}

#[test]
fn what_vt100_misreads_is_put_right() {
    let (terminal, _) = fed(4, 20, b"\x1b[58;2;3;2;1mA\x1b[m\x1b[38:2::1:2:3mB\x1b[m\x1b[4:3mC");
    assert_eq!(String::from_utf8_lossy(&terminal.lines_ansi()[0]), "A\x1b[0;38;2;1;2;3mB\x1b[0;4mC\x1b[m");
    assert_eq!(lines(b"ab\x1b[s\x1b[3;3Hx\x1b[uc"), ["abc", "", "  x"]);
    assert_eq!(lines(b"a\x1bDb\x1bEc"), ["a", " b", "c"]);
    assert_eq!(lines(b"\x1b(0lqk\x1b(Bq"), ["┌─┐q"]);
    assert_eq!(lines(b"abcd\r\x1b[4hX\x1b[4lY"), ["XYbcd"]);
    assert_eq!(lines(b"\x1b[?7l0123456789012345678901234Z"), ["0123456789012345678Z"]);
    assert_eq!(lines(b"0123456789\x1b[Zx\x1b[2Zy"), ["y1234567x9"]);
    assert_eq!(lines(b"a\xffb\xe2\x82c\xef\xbf\xbdd"), ["a?b?c?d"]);
    let mut full = vec!["x".repeat(20); 5];
    full.push("x".repeat(16));
    assert_eq!(lines(b"x\x1b[65535b"), full);
}

/// A wide character is widened at the edge of the last row, then cut: vt100 0.18.1 panics.
const PANIC: &[u8] = b"\x1b[24;80H\xe2\x9d\xa4\xef\xb8\x8f\x1b[23;80HX";

#[test]
fn a_parser_panic_costs_the_screen_and_nothing_else() {
    let mut terminal = Terminal::new(24, 80);
    let mut events = Vec::new();
    terminal.feed(b"before \x1b[?2004h\x1b[?1049h", &mut events);
    events.clear();
    terminal.feed(PANIC, &mut events);
    assert_eq!(
        events,
        [TermEvent::Skipped { offset: 23, len: PANIC.len() as u64 }],
        "does vt100 no longer panic? then this guard may go"
    );
    assert_eq!(terminal.panics(), 1);
    assert!(!terminal.is_complete());
    assert!(terminal.contents().alternate && terminal.bracketed_paste());
    assert!(terminal.contents().lines.iter().all(String::is_empty));
    terminal.feed(b"\x1b[2J\x1b[Hafter", &mut events);
    assert!(terminal.is_complete());
    assert_eq!(terminal.contents().lines[0], "after");
}

#[test]
fn a_replay_that_skips_what_panicked_ends_up_the_same() {
    let before = b"\x1b[?2004hbefore".to_vec();
    let mut live = Terminal::new(24, 80);
    let mut events = Vec::new();
    live.feed(&before, &mut events);
    live.feed(&[PANIC, b"\x1b[?1004h"].concat(), &mut events);
    live.feed(b"after", &mut events);
    let Some(&TermEvent::Skipped { offset, len }) = events.last() else {
        panic!("no skip in {events:?}");
    };
    let stream = [&before[..], PANIC, b"\x1b[?1004h", b"after"].concat();
    let (from, to) = (offset as usize, (offset + len) as usize);
    let mut replayed = Terminal::new(24, 80);
    replayed.feed(&stream[..from], &mut Vec::new());
    replayed.skip(&stream[from..to], &mut Vec::new());
    replayed.feed(&stream[to..], &mut Vec::new());
    assert_eq!(replayed.checkpoint(), live.checkpoint());
    assert_eq!(replayed.panics(), 0);
}

#[test]
fn viewers_see_no_query_and_no_status_report() {
    let mut out = Vec::new();
    let mut filter = ViewerFilter::new();
    for query in [
        "\x1b[c",
        "\x1b[>c",
        "\x1b[=c",
        "\x1b[>q",
        "\x1b[?u",
        "\x1b[6n",
        "\x1b[?6n",
        "\x1b[5n",
        "\x1b]10;?\x07",
        "\x1b]11;?\x1b\\",
        "\x1b]4;3;?\x07",
        "\x1b[?2026$p",
        "\x1b[14t",
        "\x1b[16t",
        "\x1b[18t",
        "\x1b[8;50;100t",
        "\x1b]7501;?\x07",
        "\x1b]7501;state=idle\x07",
        "\x1bP+q544e\x1b\\",
        "\x1bP$qm\x1b\\",
        "\x1b_Gi=1,a=q;AA\x1b\\",
        "\x1bZ",
        "\x05",
        "\x1b]52;c;?\x07",
        "\x1b[?2048h",
        "\x1b%@",
        "\x1b[?1s",
        "\x1b[1;5s",
        "\x1b[1;1;2;2$z",
        "\x1b]1337;ReportCellSize\x07",
        "\x1b[?996n",
    ] {
        filter.feed(query.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "", "{query:?}");
    }
    let harmless = "text ä\x1b[1;31m\x1b[2J\x1b[?1049h\x1b[?2004h\x1b[>5u\x1b[>4;2m\x1b]0;what?\x07\
        \x1b]8;;http://x/?q\x1b\\l\x1b]8;;\x1b\\\x1b[2 q\x1b7\x1b[?2031h\x1b]52;c;QUJD\x07\x07\r\n";
    filter.feed(harmless.as_bytes(), &mut out);
    assert_eq!(String::from_utf8_lossy(&out), harmless);
}

#[test]
fn a_viewer_that_attaches_within_a_sequence_sees_it_whole() {
    let stream = b"ab\x1b[31mcd";
    for cut in 0..stream.len() {
        let (terminal, _) = fed(4, 20, &stream[..cut]);
        let mut seen = terminal.repaint();
        terminal.viewer_filter().feed(&stream[cut..], &mut seen);
        let (viewer, _) = fed(4, 20, &seen);
        let (whole, _) = fed(4, 20, stream);
        assert_eq!(viewer.lines_ansi(), whole.lines_ansi(), "cut at {cut}");
    }
}

#[test]
fn an_endless_string_takes_bounded_memory_and_is_dropped() {
    let mut terminal = Terminal::new(4, 20);
    let mut events = Vec::new();
    terminal.feed(b"\x1b]0;", &mut events);
    for _ in 0..100 {
        terminal.feed(&[b'x'; 10_000], &mut events);
    }
    let checkpoint = terminal.checkpoint();
    let packed = rmp_serde::to_vec_named(&checkpoint).expect("pack");
    assert!(packed.len() < 80_000, "{}", packed.len());
    let mut restored = Terminal::restore(&checkpoint);
    for one in [&mut terminal, &mut restored] {
        one.feed(b"x\x07seen", &mut events);
        assert_eq!(one.contents().lines[0], "seen");
    }
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn sizes_are_clamped_and_changed() {
    let (mut terminal, _) = fed(0, 0, b"x");
    assert_eq!(terminal.size(), (2, 2));
    terminal.resize(5, 30);
    terminal.feed("\r\n".repeat(50).as_bytes(), &mut Vec::new());
    terminal.feed(b"bottom", &mut Vec::new());
    terminal.resize(8, 30);
    let text = terminal.contents();
    assert_eq!((text.rows, text.cols), (8, 30));
    assert_eq!(text.lines[4], "bottom");
    let mut restored = Terminal::restore(&terminal.checkpoint());
    for one in [&mut terminal, &mut restored] {
        one.resize(3, 10);
        one.resize(9, 40);
    }
    assert_eq!(restored.contents(), terminal.contents());
}

#[test]
fn random_bytes_and_tiny_screens_never_get_out() {
    let mut numbers = Numbers(99);
    for _ in 0..300 {
        let mut terminal = Terminal::new(numbers.below(6) as u16, numbers.below(6) as u16);
        let mut bytes = stream(&mut numbers);
        for _ in 0..20 {
            let at = numbers.below(bytes.len());
            bytes[at] = numbers.below(256) as u8;
        }
        terminal.feed(&bytes, &mut Vec::new());
        terminal.resize(numbers.below(30) as u16, numbers.below(30) as u16);
        let _ = (terminal.contents(), terminal.repaint(), terminal.lines_ansi());
        let _ = Terminal::restore(&terminal.checkpoint());
    }
}

#[test]
fn long_runs_cut_into_pieces_are_no_different() {
    let mut numbers = Numbers(7);
    let mut bytes = Vec::new();
    while bytes.len() < 300_000 {
        bytes.extend_from_slice(&"漢字 é text ".repeat(numbers.below(900)).into_bytes());
        bytes.extend(stream(&mut numbers));
    }
    let (whole, events) = fed(12, 40, &bytes);
    assert_eq!(whole.panics(), 0, "choose another seed");
    for size in [1, 7, 4095, 4097, 65_536] {
        let (mut terminal, mut piecewise) = (Terminal::new(12, 40), Vec::new());
        for piece in bytes.chunks(size) {
            terminal.feed(piece, &mut piecewise);
        }
        assert_eq!(terminal.checkpoint(), whole.checkpoint(), "pieces of {size}");
        assert!(joined(piecewise) == joined(events.clone()), "pieces of {size}");
    }
}
