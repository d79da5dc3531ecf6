//! Cuts a terminal's output into text, control bytes and whole escape sequences.
//!
//! Why not `vte` in front: it keeps no offsets, its OSC buffer grows without a bound, and its state
//! cannot be saved in a checkpoint. This scanner hands on *whole* sequences only, so what is behind it
//! (vt100, with its own `vte`) is in its ground state between any two calls, the bytes of an unfinished
//! sequence are at hand for a checkpoint, and no string can take more than [`STRING_LIMIT`] of memory.
//!
//! Invariant: how the input is split over calls never changes what is handed on, except that a run of
//! text may come in several pieces (cut between characters, where the text is valid UTF-8).

use super::csi::Csi;

/// Longest OSC, DCS or APC kept, in bytes; a longer one is dropped whole.
pub(crate) const STRING_LIMIT: usize = 64 * 1024;
/// Longest CSI kept, in bytes; real ones are under 100.
const CSI_LIMIT: usize = 512;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// How an OSC ended: a reply to it ends the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terminator {
    Bel,
    St,
}

/// The string sequences other than OSC. None of them means anything to the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StringKind {
    #[default]
    Dcs,
    Sos,
    Pm,
    Apc,
}

/// What the scanner hands on. `at` is the offset just past the last byte of the item.
pub(crate) trait Sink {
    /// Printable text and the control bytes that only move the cursor.
    fn text(&mut self, text: &[u8], at: u64);
    /// BEL, ENQ, SO and SI anywhere; any C0 byte when it stood inside an escape sequence.
    fn control(&mut self, byte: u8, at: u64);
    fn escape(&mut self, intermediates: &[u8], last: u8, at: u64);
    fn csi(&mut self, csi: &Csi<'_>, at: u64);
    fn osc(&mut self, body: &[u8], end: Terminator, at: u64);
    fn string(&mut self, kind: StringKind, body: &[u8], at: u64);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum State {
    #[default]
    Ground,
    /// A character whose last bytes are still to come; `pending` holds the first ones.
    Utf8,
    Escape,
    EscapeIntermediate,
    Csi,
    Osc,
    OscEscape,
    String(StringKind),
    StringEscape(StringKind),
}

/// The scanner's state between two calls: a few bytes, unless a long string is unfinished.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    state: State,
    pending: Vec<u8>,
    overlong: bool,
    offset: u64,
}

impl Scanner {
    pub(crate) fn at(offset: u64) -> Self {
        Self { offset, ..Self::default() }
    }

    /// A scanner that stands in the middle of the sequence `pending`, as [`Scanner::pending`] gave it.
    pub(crate) fn resume(offset: u64, pending: &[u8], overlong: bool) -> Self {
        let mut scanner = Self::at(offset.saturating_sub(pending.len() as u64));
        scanner.feed(pending, &mut Nowhere);
        scanner.offset = offset;
        scanner.overlong = overlong;
        scanner
    }

    /// Bytes taken so far, those of an unfinished sequence included.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes of the unfinished sequence or character, without the control bytes inside it that
    /// were already handed on.
    pub(crate) fn pending(&self) -> (&[u8], bool) {
        match self.state {
            State::Ground => (&[], false),
            _ => (&self.pending, self.overlong),
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let base = self.offset;
        let mut i = 0;
        while i < bytes.len() {
            if self.state == State::Ground {
                i = self.ground(bytes, i, base, sink);
            } else if self.step(bytes[i], base + i as u64 + 1, sink) {
                i += 1;
            }
        }
        self.offset = base + bytes.len() as u64;
        if self.state == State::Ground && self.pending.capacity() > 4096 {
            self.pending = Vec::new();
        }
    }

    fn ground(&mut self, bytes: &[u8], from: usize, base: u64, sink: &mut impl Sink) -> usize {
        let rest = &bytes[from..];
        let run = rest.iter().position(|b| SPECIAL[usize::from(*b)]).unwrap_or(rest.len());
        let end = from + run;
        let Some(&special) = bytes.get(end) else {
            let whole = end - unfinished_tail(&bytes[from..end]);
            if whole > from {
                sink.text(&bytes[from..whole], base + whole as u64);
            }
            if whole < end {
                self.start(State::Utf8, &bytes[whole..end]);
            }
            return end;
        };
        if run > 0 {
            sink.text(&bytes[from..end], base + end as u64);
        }
        if special != ESC {
            sink.control(special, base + end as u64 + 1);
            return end + 1;
        }
        if let Some((csi, len)) = whole_csi(&bytes[end..]) {
            sink.csi(&csi, base + (end + len) as u64);
            return end + len;
        }
        self.start(State::Escape, &[ESC]);
        end + 1
    }

    fn start(&mut self, state: State, bytes: &[u8]) {
        self.state = state;
        self.overlong = false;
        self.pending.clear();
        self.pending.extend_from_slice(bytes);
    }

    /// Takes one byte outside the ground state. False: not taken, the state changed, ask again.
    fn step(&mut self, byte: u8, at: u64, sink: &mut impl Sink) -> bool {
        match self.state {
            State::Ground => false,
            State::Utf8 => self.utf8(byte, at, sink),
            State::Osc => self.in_string(byte, at, sink, None),
            State::String(kind) => self.in_string(byte, at, sink, Some(kind)),
            State::OscEscape => self.string_escape(byte, at, sink, None),
            State::StringEscape(kind) => self.string_escape(byte, at, sink, Some(kind)),
            State::Escape | State::EscapeIntermediate | State::Csi => self.in_sequence(byte, at, sink),
        }
    }

    fn utf8(&mut self, byte: u8, at: u64, sink: &mut impl Sink) -> bool {
        let continues = (0x80..0xc0).contains(&byte);
        if continues {
            self.pending.push(byte);
        }
        if !continues || self.pending.len() >= utf8_len(self.pending[0]) {
            let text = std::mem::take(&mut self.pending);
            self.state = State::Ground;
            sink.text(&text, if continues { at } else { at - 1 });
        }
        continues
    }

    fn in_sequence(&mut self, byte: u8, at: u64, sink: &mut impl Sink) -> bool {
        match byte {
            ESC => self.start(State::Escape, &[ESC]),
            CAN | SUB => self.state = State::Ground,
            // A C0 byte inside a sequence acts at once and the sequence goes on, as in a real terminal.
            0x00..=0x1f => sink.control(byte, at),
            0x7f => {}
            0x80..=0xff => {
                self.state = State::Ground;
                return false;
            }
            _ if self.state == State::Csi => self.in_csi(byte, at, sink),
            0x20..=0x2f => {
                self.state = State::EscapeIntermediate;
                self.push(byte, 8);
            }
            b'[' if self.state == State::Escape => self.begin(State::Csi, byte),
            b']' if self.state == State::Escape => self.begin(State::Osc, byte),
            b'P' | b'X' | b'^' | b'_' if self.state == State::Escape => {
                self.begin(State::String(string_kind(byte)), byte);
            }
            _ => {
                self.state = State::Ground;
                if !self.overlong {
                    sink.escape(&self.pending[1..], byte, at);
                }
            }
        }
        true
    }

    fn begin(&mut self, state: State, byte: u8) {
        self.state = state;
        self.pending.push(byte);
    }

    fn in_csi(&mut self, byte: u8, at: u64, sink: &mut impl Sink) {
        if byte < 0x40 {
            self.push(byte, CSI_LIMIT);
            return;
        }
        self.state = State::Ground;
        if self.overlong {
            return;
        }
        if let Some(csi) = Csi::parse(&self.pending[2..], byte) {
            sink.csi(&csi, at);
        }
    }

    fn push(&mut self, byte: u8, limit: usize) {
        if self.pending.len() < limit {
            self.pending.push(byte);
        } else {
            self.overlong = true;
        }
    }

    fn in_string(&mut self, byte: u8, at: u64, sink: &mut impl Sink, kind: Option<StringKind>) -> bool {
        match byte {
            ESC => {
                // Kept with the rest, so that a checkpoint taken right here knows of it.
                self.pending.push(ESC);
                self.state = kind.map_or(State::OscEscape, State::StringEscape);
            }
            CAN | SUB => self.state = State::Ground,
            BEL if kind.is_none() => {
                self.state = State::Ground;
                if !self.overlong {
                    sink.osc(&self.pending[2..], Terminator::Bel, at);
                }
            }
            // Other control bytes mean nothing in an OSC.
            0x00..=0x1f if kind.is_none() => {}
            _ => self.push(byte, STRING_LIMIT),
        }
        true
    }

    fn string_escape(&mut self, byte: u8, at: u64, sink: &mut impl Sink, kind: Option<StringKind>) -> bool {
        if byte != b'\\' {
            // Not ST: the string is broken off, and the ESC begins a sequence of its own.
            self.start(State::Escape, &[ESC]);
            return false;
        }
        self.state = State::Ground;
        if !self.overlong {
            let body = &self.pending[2..self.pending.len() - 1];
            match kind {
                None => sink.osc(body, Terminator::St, at),
                Some(kind) => sink.string(kind, body, at),
            }
        }
        true
    }
}

/// Swallows everything: used to put a scanner back where it stood.
struct Nowhere;

impl Sink for Nowhere {
    fn text(&mut self, _: &[u8], _: u64) {}
    fn control(&mut self, _: u8, _: u64) {}
    fn escape(&mut self, _: &[u8], _: u8, _: u64) {}
    fn csi(&mut self, _: &Csi<'_>, _: u64) {}
    fn osc(&mut self, _: &[u8], _: Terminator, _: u64) {}
    fn string(&mut self, _: StringKind, _: &[u8], _: u64) {}
}

const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    table[ESC as usize] = true;
    table[BEL as usize] = true;
    table[0x05] = true;
    table[0x0e] = true;
    table[0x0f] = true;
    table
};

fn string_kind(byte: u8) -> StringKind {
    match byte {
        b'X' => StringKind::Sos,
        b'^' => StringKind::Pm,
        b'_' => StringKind::Apc,
        _ => StringKind::Dcs,
    }
}

/// The CSI at the start of `bytes`, if it is there whole and plain: the way nearly all of them take.
fn whole_csi(bytes: &[u8]) -> Option<(Csi<'_>, usize)> {
    if bytes.get(1) != Some(&b'[') {
        return None;
    }
    let body = bytes.get(2..)?;
    let end = body.iter().take(CSI_LIMIT - 2).position(|b| !(0x20..0x40).contains(b))?;
    let last = body[end];
    if !(0x40..0x7f).contains(&last) {
        return None;
    }
    Csi::parse(&body[..end], last).map(|csi| (csi, end + 3))
}

/// Length of the character that `lead` begins; 1 for a byte that begins none.
fn utf8_len(lead: u8) -> usize {
    match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

/// Number of bytes at the end of `text` that begin a character without finishing it.
pub(crate) fn unfinished_tail(text: &[u8]) -> usize {
    for back in 1..=text.len().min(3) {
        let byte = text[text.len() - back];
        if byte < 0x80 {
            return 0;
        }
        if byte >= 0xc0 {
            return if utf8_len(byte) > back { back } else { 0 };
        }
    }
    0
}
