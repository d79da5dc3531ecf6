//! Finds the key that leaves in what a person types. Pure: bytes in, bytes out.
//!
//! A key has several spellings, and the session's program chooses which the user's terminal uses: Ctrl-\ is
//! `1c`, with the kitty keyboard `ESC[92;5u`, with modifyOtherKeys `ESC[27;5;92~`. A sequence may be cut
//! anywhere by the reads, so an unfinished one is held back until the rest comes or [`Matcher::patience`] has
//! passed. What stands in a bracketed paste is text: no key is looked for in it.

use std::time::Duration;

use dsx_core::adapter::key_bytes;

use crate::failure::Failure;

/// A lone escape is most often the key, for which nobody should have to wait.
const LONE_ESCAPE: Duration = Duration::from_millis(20);
/// A sequence that has begun comes whole, unless the network cuts it.
const SEQUENCE: Duration = Duration::from_millis(300);
/// Longer sequences are no keys.
const LONGEST: usize = 64;

const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// A key, however it was spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// What has been one byte since teletypes; with Alt or not.
    Byte { byte: u8, alt: bool },
    /// What has always been a sequence: its last byte, its number, its modifiers as bits.
    Sequence { last: u8, number: u32, modifiers: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    Ss3,
    Csi,
    /// Inside a bracketed paste; so many bytes of its end were seen.
    Paste(usize),
}

/// What a finished sequence is to the matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Leave,
    /// The detach key going up again: nobody's business.
    Release,
    Other,
}

/// Watches for one key.
#[derive(Debug)]
pub(crate) struct Matcher {
    wanted: Key,
    state: State,
    /// The unfinished sequence.
    held: Vec<u8>,
}

impl Matcher {
    /// `name` is a key's tmux name. One that is typed as text, or with which other keys begin, is refused.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let bytes = key_bytes(name, false).unwrap_or_default();
        let wanted = key_of(&bytes).ok_or_else(|| {
            let what = format!("'{name}' cannot be the key that leaves");
            Failure::usage(what, "use a tmux name of one key that types no text: C-\\, C-q, M-d, F12")
        })?;
        Ok(Self { wanted, state: State::Ground, held: Vec::new() })
    }

    /// Takes what was typed and appends to `out` what the program shall have of it. True when the key that
    /// leaves was pressed; what came after it is dropped.
    #[must_use]
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        bytes.iter().any(|byte| self.step(*byte, out))
    }

    /// How long the rest of an unfinished sequence is worth waiting for; none where nothing is held back.
    pub(crate) fn patience(&self) -> Option<Duration> {
        match self.held.len() {
            0 => None,
            1 => Some(LONE_ESCAPE),
            _ => Some(SEQUENCE),
        }
    }

    /// The rest did not come: what is held back was meant as it is.
    pub(crate) fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        if !matches!(self.state, State::Paste(_)) {
            self.state = State::Ground;
        }
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match self.state {
            State::Ground => return self.ground(byte, out),
            State::Paste(seen) => {
                out.push(byte);
                self.state = match PASTE_END.get(seen) {
                    Some(next) if *next == byte && seen + 1 == PASTE_END.len() => State::Ground,
                    Some(next) if *next == byte => State::Paste(seen + 1),
                    _ => State::Paste(usize::from(byte == ESC)),
                };
            }
            State::Escape => match byte {
                b'[' => self.go_on(State::Csi, byte),
                b'O' => self.go_on(State::Ss3, byte),
                ESC => out.push(ESC),
                _ => return self.finish(byte, Key::Byte { byte, alt: true } == self.wanted, out),
            },
            State::Ss3 => {
                let key = Key::Sequence { last: byte, number: 1, modifiers: 0 };
                return self.finish(byte, key == self.wanted, out);
            }
            State::Csi => return self.csi(byte, out),
        }
        false
    }

    fn ground(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        if byte == ESC {
            self.go_on(State::Escape, byte);
            return false;
        }
        if self.wanted == (Key::Byte { byte, alt: false }) {
            return true;
        }
        out.push(byte);
        false
    }

    fn go_on(&mut self, state: State, byte: u8) {
        self.state = state;
        self.held.push(byte);
    }

    /// The end of a sequence that is one key and has no release.
    fn finish(&mut self, byte: u8, leaves: bool, out: &mut Vec<u8>) -> bool {
        self.held.push(byte);
        if leaves {
            self.held.clear();
        }
        self.release(out);
        leaves
    }

    fn csi(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match byte {
            0x20..=0x3f => {
                self.held.push(byte);
                if self.held.len() > LONGEST {
                    self.release(out);
                }
                false
            }
            0x40..=0x7e => self.end_csi(byte, out),
            // No part of any sequence: what was held is not one either.
            _ => {
                self.release(out);
                self.ground(byte, out)
            }
        }
    }

    fn end_csi(&mut self, last: u8, out: &mut Vec<u8>) -> bool {
        let body = self.held.get(2..).unwrap_or_default();
        let meaning = meaning(self.wanted, body, last);
        if (body, last) == (b"200", b'~') {
            self.state = State::Paste(0);
        }
        self.held.push(last);
        if meaning != Meaning::Other {
            self.held.clear();
        }
        self.release(out);
        meaning == Meaning::Leave
    }
}

/// The key that a terminal of old sends these bytes for; none for text and for what begins other keys.
fn key_of(bytes: &[u8]) -> Option<Key> {
    match bytes {
        [ESC] => None,
        [byte] if *byte < 0x20 || *byte == 0x7f => Some(Key::Byte { byte: *byte, alt: false }),
        [ESC, b'O', last] => Some(Key::Sequence { last: *last, number: 1, modifiers: 0 }),
        [ESC, b'[' | b'O' | ESC] => None,
        [ESC, byte] if byte.is_ascii() => Some(Key::Byte { byte: *byte, alt: true }),
        [ESC, b'[', body @ .., last] => sequence(&fields(body)?, *last),
        _ => None,
    }
}

/// What `CSI body last` says about the key `wanted`.
fn meaning(wanted: Key, body: &[u8], last: u8) -> Meaning {
    let Some(fields) = fields(body) else { return Meaning::Other };
    let modifiers = modifiers(&fields);
    let is_it = match (last, fields.as_slice()) {
        // The key, what it gives with Shift, what it is on a Latin keyboard.
        (b'u', [codes, ..]) => codes.iter().any(|code| typed(*code, modifiers) == Some(wanted)),
        (b'~', [[27, ..], _, [code, ..]]) => typed(*code, modifiers) == Some(wanted),
        _ => sequence(&fields, last) == Some(wanted),
    };
    let event = fields.get(1).map_or(0, |[_, event, _]| *event);
    match (is_it, event) {
        (true, 3) => Meaning::Release,
        (true, _) => Meaning::Leave,
        (false, _) => Meaning::Other,
    }
}

/// The parameters of a CSI, each with its first sub-parameters; what is left out is 0. None where it has a
/// prefix (a mouse report, a terminal's answer) and so is no key.
fn fields(body: &[u8]) -> Option<Vec<[u32; 3]>> {
    let mut fields = vec![[0; 3]];
    let mut at = 0;
    for byte in body {
        match byte {
            b'0'..=b'9' => {
                if let Some(n) = fields.last_mut().and_then(|f: &mut [u32; 3]| f.get_mut(at)) {
                    *n = n.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
                }
            }
            b':' => at += 1,
            b';' => {
                fields.push([0; 3]);
                at = 0;
            }
            _ => return None,
        }
    }
    Some(fields)
}

const SHIFT: u32 = 1;
const ALT: u32 = 2;
const CTRL: u32 = 4;
/// Caps Lock and Num Lock: they are on or not, and change no key.
const LOCKS: u32 = 64 | 128;

/// The modifiers as bits.
fn modifiers(fields: &[[u32; 3]]) -> u32 {
    fields.get(1).map_or(0, |[m, ..]| m.saturating_sub(1)) & !LOCKS
}

/// The key with a sequence of its own.
fn sequence(fields: &[[u32; 3]], last: u8) -> Option<Key> {
    let number = fields.first().map_or(0, |[n, ..]| *n).max(1);
    let (last, number) = match (last, number) {
        // F1 to F4 have two spellings.
        (b'~', 11) => (b'P', 1),
        (b'~', 12) => (b'Q', 1),
        (b'~', 13) => (b'R', 1),
        (b'~', 14) => (b'S', 1),
        other => other,
    };
    Some(Key::Sequence { last, number, modifiers: modifiers(fields) })
}

/// The key that used to be a byte, from its code point and modifiers.
fn typed(code: u32, modifiers: u32) -> Option<Key> {
    if modifiers & !(SHIFT | ALT | CTRL) != 0 {
        return None;
    }
    let shift = modifiers & SHIFT != 0;
    let code = u8::try_from(code).ok().filter(u8::is_ascii)?;
    let byte = if modifiers & CTRL != 0 { control(code, shift)? } else { plain(code, shift) };
    Some(Key::Byte { byte, alt: modifiers & ALT != 0 })
}

/// Ctrl with a letter is another key with Shift; of the others Shift is how some keyboards have them at all.
fn control(code: u8, shift: bool) -> Option<u8> {
    match code {
        b'a'..=b'z' if !shift => Some(code - b'a' + 1),
        b'@' | b' ' => Some(0),
        b'[' => Some(0x1b),
        b'\\' => Some(0x1c),
        b']' => Some(0x1d),
        b'^' => Some(0x1e),
        b'_' | b'/' => Some(0x1f),
        b'?' => Some(0x7f),
        _ => None,
    }
}

fn plain(code: u8, shift: bool) -> u8 {
    if shift { code.to_ascii_uppercase() } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(name: &str) -> Matcher {
        Matcher::new(name).expect("a key that can leave")
    }

    /// What comes of `bytes` read in pieces: whether it left, and what was typed.
    fn read(name: &str, pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        let (mut matcher, mut out) = (matcher(name), Vec::new());
        let left = pieces.iter().any(|piece| matcher.feed(piece, &mut out));
        if !left {
            matcher.release(&mut out);
        }
        (left, out)
    }

    /// The same however the bytes are cut in two or three.
    fn cut(name: &str, bytes: &[u8]) -> (bool, Vec<u8>) {
        let whole = read(name, &[bytes]);
        for first in 0..=bytes.len() {
            let (a, rest) = bytes.split_at(first);
            for second in 0..=rest.len() {
                let (b, c) = rest.split_at(second);
                assert_eq!(read(name, &[a, b, c]), whole, "cut after {first} and {second} more");
            }
        }
        whole
    }

    #[test]
    fn every_spelling_of_ctrl_backslash_leaves_however_it_is_cut() {
        let spellings: [&[u8]; 11] = [
            b"\x1c",
            b"\x1b[92;5u",
            b"\x1b[92;5:1u",
            b"\x1b[92;5:2u",
            b"\x1b[92:124;5u",
            b"\x1b[92;5;28u",
            b"\x1b[92;69u",
            b"\x1b[92;133:1u",
            b"\x1b[1078::92;5u",
            b"\x1b[27;5;92~",
            b"\x1b[27;6;92~",
        ];
        for spelling in spellings {
            let typed = [b"before\x1b[A", spelling, b"after"].concat();
            assert_eq!(cut("C-\\", &typed), (true, b"before\x1b[A".to_vec()), "{}", spelling.escape_ascii());
        }
    }

    #[test]
    fn other_keys_pass_as_they_are_however_they_are_cut() {
        let others: [&[u8]; 16] = [
            b"\x1b",
            b"\x1b\x1b[A",
            b"\x1bOA\x1bOP",
            b"\x1bx\x1b\x1c",
            b"\x1b[92u",
            b"\x1b[92;3u",
            b"\x1b[92;7u",
            b"\x1b[92;13u",
            b"\x1b[93;5u",
            b"\x1b[27;5;93~",
            b"\x1b[24;5~\x1b[92;5~",
            b"\x1b[<0;92;5M\x1b[?92;5u",
            b"\x1b[I\x1b[O\x1b[M !!",
            "é漢❤️\u{1f600}".as_bytes(),
            b"\x1b[92;5",
            b"\x1b[92;\r5u",
        ];
        for other in others {
            assert_eq!(cut("C-\\", other), (false, other.to_vec()), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn the_release_of_the_key_is_nobodys() {
        assert_eq!(cut("C-\\", b"a\x1b[92;5:3ub"), (false, b"ab".to_vec()));
        assert_eq!(cut("C-\\", b"\x1b[93;5:3u"), (false, b"\x1b[93;5:3u".to_vec()));
    }

    #[test]
    fn a_paste_is_text() {
        let paste = b"\x1b[200~one\x1ctwo\x1b[92;5u\x1b[20\x1b[201~";
        assert_eq!(cut("C-\\", paste), (false, paste.to_vec()));
        let after = [paste.as_slice(), b"x\x1c"].concat();
        assert_eq!(read("C-\\", &[&after]), (true, [paste.as_slice(), b"x"].concat()));
    }

    #[test]
    fn keys_of_every_kind_can_be_chosen() {
        let leaves = |name, bytes: &[u8]| cut(name, bytes).0;
        for (name, spellings) in [
            ("C-b", vec!["\x02", "\x1b[98;5u", "\x1b[1080::98;5u", "\x1b[27;5;98~"]),
            ("C-Space", vec!["\0", "\x1b[32;5u"]),
            ("M-x", vec!["\x1bx", "\x1b[120;3u", "\x1b[27;3;120~"]),
            ("M-X", vec!["\x1bX", "\x1b[120:88;4u"]),
            ("F12", vec!["\x1b[24~", "\x1b[24;1:1~", "\x1b[24;129~"]),
            ("F1", vec!["\x1bOP", "\x1b[P", "\x1b[1;1:1P", "\x1b[11~"]),
            ("Home", vec!["\x1b[H", "\x1bOH", "\x1b[1;1H"]),
        ] {
            for spelling in spellings {
                assert!(leaves(name, spelling.as_bytes()), "{name} as {}", spelling.escape_debug());
            }
        }
        assert!(!leaves("C-b", b"\x1b[98;6u"), "with Shift it is another key");
        assert!(!leaves("F12", b"\x1b[24;1:3~"));
    }

    #[test]
    fn what_types_text_or_begins_other_keys_cannot_leave() {
        for name in ["d", "hello", "Escape", "C-[", "", "C-nonsense", "é", "M-[", "M-O", "C-b d"] {
            assert!(Matcher::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_lone_escape_waits_a_shorter_time() {
        let (mut matcher, mut out) = (matcher("C-\\"), Vec::new());
        assert_eq!(matcher.patience(), None);
        assert!(!matcher.feed(b"\x1b", &mut out));
        assert_eq!(matcher.patience(), Some(LONE_ESCAPE));
        assert!(!matcher.feed(b"[9", &mut out));
        assert_eq!((matcher.patience(), out.len()), (Some(SEQUENCE), 0));
        matcher.release(&mut out);
        assert_eq!((matcher.patience(), out.as_slice()), (None, b"\x1b[9".as_slice()));
    }
}
