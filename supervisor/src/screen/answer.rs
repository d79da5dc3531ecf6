//! The answers to terminal queries. The supervisor is the terminal: one fixed identity, the same
//! whether or not anybody looks on, so that an agent never learns of a viewer coming or going.
//!
//! A query that is not listed here gets no answer, which every program known to us survives. Absent on
//! purpose: reading the clipboard (OSC 52;?) and reporting the title (CSI 21 t), both of which would
//! type foreign text into the agent, and everything about graphics.

use super::csi::Csi;
use super::ledger::Ledger;
use super::scan::Terminator;

/// One cell in pixels (height, width), for programs that ask for the size in pixels.
const CELL: (u32, u32) = (20, 10);

/// What an answer may depend on.
pub(crate) struct Facts<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    /// Row and column, from 1, the row counted from the top margin in origin mode.
    pub(crate) cursor: (u16, u16),
}

/// Is this control sequence a query, so that a viewer must never see it?
pub(crate) fn is_query(csi: &Csi<'_>) -> bool {
    matches!(
        csi.kind(),
        (0 | b'>' | b'=', 0, b'c')
            | (0 | b'?', 0, b'n')
            | (b'?', 0, b'u' | b'm' | b'S')
            | (0 | b'?', b'$', b'p')
            | (0, b'$', b'w')
            | (0, b'*', b'y')
            | (0, b'&', b'u')
            | (b'>', 0, b'q')
            | (0, 0, b'x')
            | (0, b'#', b'R')
            | (0, b'\'', b'|' | b'z' | b'{')
    )
}

/// The answer to a control sequence, or None where it is no query or one that is left unanswered.
pub(crate) fn to_csi(csi: &Csi<'_>, facts: &Facts<'_>) -> Option<String> {
    let first = csi.params().first_of(0).unwrap_or(0);
    let answer = match csi.kind() {
        (0, 0, b'c') if first == 0 => primary_attributes(),
        (b'>', 0, b'c') if first == 0 => "\x1b[>0;277;1c".to_owned(),
        (b'=', 0, b'c') if first == 0 => "\x1bP!|00000000\x1b\\".to_owned(),
        (b'>', 0, b'q') if first == 0 => {
            format!("\x1bP>|dsx({})\x1b\\", env!("CARGO_PKG_VERSION"))
        }
        (b'?', 0, b'u') => format!("\x1b[?{}u", facts.ledger.kitty_flags()),
        (b'?', 0, b'm') if first == 4 => {
            let level = facts.ledger.modify_other_keys.unwrap_or(0);
            format!("\x1b[>4;{level}m")
        }
        (0, 0, b'n') => return status(first, "", facts),
        (b'?', 0, b'n') => return status(first, "?", facts),
        (b'?', b'$', b'p') => {
            let state = mode_state(facts.ledger.mode(first));
            format!("\x1b[?{first};{state}$y")
        }
        (0, b'$', b'p') => {
            let state = mode_state(match first {
                4 => Some(facts.ledger.insert),
                20 => Some(facts.ledger.newline),
                _ => None,
            });
            format!("\x1b[{first};{state}$y")
        }
        (0, 0, b't') => return size(first, facts),
        _ => return None,
    };
    Some(answer)
}

/// DA1: a VT220 with colour. Also the answer to `ESC Z`.
pub(crate) fn primary_attributes() -> String {
    "\x1b[?62;22c".to_owned()
}

fn mode_state(mode: Option<bool>) -> u8 {
    match mode {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    }
}

fn status(what: u16, prefix: &str, facts: &Facts<'_>) -> Option<String> {
    let (row, col) = facts.cursor;
    match (what, prefix) {
        (5, "") => Some("\x1b[0n".to_owned()),
        (6, _) => Some(format!("\x1b[{prefix}{row};{col}R")),
        // Dark, in agreement with the background that OSC 11 reports.
        (996, "?") => Some("\x1b[?997;1n".to_owned()),
        _ => None,
    }
}

fn size(what: u16, facts: &Facts<'_>) -> Option<String> {
    let (rows, cols) = (u32::from(facts.rows), u32::from(facts.cols));
    let (height, width) = CELL;
    match what {
        11 => Some("\x1b[1t".to_owned()),
        13 => Some("\x1b[3;0;0t".to_owned()),
        14 => Some(format!("\x1b[4;{};{}t", rows * height, cols * width)),
        15 => Some(format!("\x1b[5;{};{}t", rows * height, cols * width)),
        16 => Some(format!("\x1b[6;{height};{width}t")),
        18 => Some(format!("\x1b[8;{rows};{cols}t")),
        19 => Some(format!("\x1b[9;{rows};{cols}t")),
        _ => None,
    }
}

/// The answer to the parts of an OSC that ask for a colour, in their order; empty for none.
pub(crate) fn to_osc(number: u16, rest: &[u8], end: Terminator, ledger: &Ledger) -> String {
    let Ok(rest) = std::str::from_utf8(rest) else {
        return String::new();
    };
    let mut parts = rest.split(';');
    let mut out = String::new();
    match number {
        4 => {
            while let (Some(index), Some(value)) = (parts.next(), parts.next()) {
                if let (Ok(n), "?") = (index.parse::<u8>(), value) {
                    out += &colour(&format!("4;{n}"), &palette(n), end);
                }
            }
        }
        10..=12 => {
            for (n, value) in (number..=12).zip(parts) {
                if value == "?" {
                    let index = usize::from(n - 10);
                    let now = ledger.colours[index].as_deref();
                    out += &colour(&n.to_string(), now.unwrap_or(COLOURS[index]), end);
                }
            }
        }
        _ => {}
    }
    out
}

/// Foreground, background and cursor of a dark theme.
const COLOURS: [&str; 3] = ["rgb:e5e5/e5e5/e5e5", "rgb:0000/0000/0000", "rgb:e5e5/e5e5/e5e5"];

fn colour(what: &str, value: &str, end: Terminator) -> String {
    let end = match end {
        Terminator::Bel => "\x07",
        Terminator::St => "\x1b\\",
    };
    format!("\x1b]{what};{value}{end}")
}

/// The 256 colours of xterm.
fn palette(index: u8) -> String {
    const BASE: [u32; 16] = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5, 0x7f_7f7f,
        0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    let level = |n: u32| if n == 0 { 0 } else { 55 + 40 * n };
    let n = u32::from(index);
    let (r, g, b) = match n {
        0..16 => {
            let rgb = BASE[index as usize];
            (rgb >> 16, rgb >> 8 & 0xff, rgb & 0xff)
        }
        16..232 => {
            let n = n - 16;
            (level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        _ => {
            let grey = 8 + 10 * (n - 232);
            (grey, grey, grey)
        }
    };
    format!("rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}")
}

/// The answer to a DCS: DECRQSS (`$q`) for the cursor style, XTGETTCAP (`+q`) for the terminal's name
/// and colours; any other setting is answered as not known.
pub(crate) fn to_dcs(body: &[u8], ledger: &Ledger) -> Option<String> {
    if let Some(setting) = body.strip_prefix(b"$q") {
        return Some(if setting == b" q" {
            format!("\x1bP1$r{} q\x1b\\", ledger.cursor_style)
        } else {
            "\x1bP0$r\x1b\\".to_owned()
        });
    }
    let names = std::str::from_utf8(body.strip_prefix(b"+q")?).ok()?;
    let answers = names.split(';').map(|name| match capability(name) {
        Some(value) => format!("\x1bP1+r{name}={}\x1b\\", hex(value)),
        None if name.bytes().all(|b| b.is_ascii_hexdigit()) => format!("\x1bP0+r{name}\x1b\\"),
        None => "\x1bP0+r\x1b\\".to_owned(),
    });
    Some(answers.collect())
}

fn capability(name: &str) -> Option<&'static str> {
    let known = [
        ("TN", "xterm-256color"),
        ("name", "xterm-256color"),
        ("Co", "256"),
        ("colors", "256"),
        ("RGB", "8/8/8"),
    ];
    let (_, value) = known.iter().find(|(known, _)| hex(known).eq_ignore_ascii_case(name))?;
    Some(value)
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02X}")).collect()
}
