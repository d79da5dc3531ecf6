//! Bytes from the terminal, as keys and pastes.
//!
//! A paste is exact to the byte: nothing in it is a key, not even an escape or a carriage return, until the
//! one sequence that ends it, however the reads happen to cut it.

/// A longer paste is refused as a whole rather than cut.
pub(super) const PASTE_MAX: usize = 4 << 20;
/// An unknown sequence longer than that is no sequence.
const SEQUENCE_MAX: usize = 32;
const PASTE_END: &[u8] = b"\x1b[201~";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Paste(String),
    /// A paste over [`PASTE_MAX`], of so many bytes.
    PasteTooLong(usize),
    Enter,
    Newline,
    Backspace,
    Delete,
    Left,
    Right,
    Home,
    End,
    KillBefore,
    KillAfter,
    KillWord,
    Redraw,
    Escape,
    CtrlC,
    CtrlD,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    Escape,
    /// Behind `ESC [`.
    Sequence(Vec<u8>),
    /// Behind `ESC O`.
    Single,
    Paste(Paste),
}

#[derive(Debug, Default)]
struct Paste {
    bytes: Vec<u8>,
    /// All bytes so far, also those past the bound, which are not kept.
    total: usize,
    /// How much of [`PASTE_END`] the last bytes were.
    matched: usize,
}

impl Paste {
    /// How many of the bytes belong to it, and whether that was its end.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == PASTE_END[self.matched] {
                self.matched += 1;
                if self.matched == PASTE_END.len() {
                    return (at + 1, true);
                }
                continue;
            }
            // The end's first byte occurs in it only once: a match that breaks can only begin anew here.
            self.keep(&PASTE_END[..self.matched]);
            self.matched = usize::from(*byte == PASTE_END[0]);
            if self.matched == 0 {
                self.keep(&[*byte]);
            }
        }
        (bytes.len(), false)
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.total += bytes.len();
        if self.total <= PASTE_MAX {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn key(self) -> Key {
        if self.total > PASTE_MAX {
            return Key::PasteTooLong(self.total);
        }
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Key::Paste(String::from_utf8(self.bytes).unwrap_or_else(|e| lossy(e.as_bytes())))
    }
}

#[derive(Debug, Default)]
pub(super) struct Parser {
    state: State,
    /// The beginning of a character of several bytes.
    partial: Vec<u8>,
}

impl Parser {
    pub(super) fn feed(&mut self, bytes: &[u8], keys: &mut Vec<Key>) {
        let mut rest = bytes;
        while let Some(byte) = rest.first() {
            let State::Paste(paste) = &mut self.state else {
                self.byte(*byte, keys);
                rest = &rest[1..];
                continue;
            };
            let (used, ended) = paste.take(rest);
            if ended {
                keys.push(std::mem::take(paste).key());
                self.state = State::Ground;
            }
            rest = &rest[used..];
        }
    }

    /// Whether an escape was read that is either a key or the begin of more: only time tells.
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.state, State::Escape)
    }

    /// Nothing followed the escape: it was the key.
    pub(super) fn decide(&mut self, keys: &mut Vec<Key>) {
        if self.is_undecided() {
            self.state = State::Ground;
            keys.push(Key::Escape);
        }
    }

    fn byte(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match std::mem::take(&mut self.state) {
            State::Ground => self.ground(byte, keys),
            State::Escape => match byte {
                b'[' => self.state = State::Sequence(Vec::new()),
                b'O' => self.state = State::Single,
                // Two keys, read at once.
                _ => {
                    keys.push(Key::Escape);
                    self.ground(byte, keys);
                }
            },
            State::Single => keys.extend(single(byte)),
            State::Sequence(parameters) => self.sequence(parameters, byte, keys),
            // `feed` takes these itself.
            paste @ State::Paste(_) => self.state = paste,
        }
    }

    fn ground(&mut self, byte: u8, keys: &mut Vec<Key>) {
        if byte >= 0x80 {
            return self.part_of_char(byte, keys);
        }
        if !self.partial.is_empty() {
            self.partial.clear();
            keys.push(Key::Char(char::REPLACEMENT_CHARACTER));
        }
        keys.push(match byte {
            0x1b => {
                self.state = State::Escape;
                return;
            }
            b'\r' => Key::Enter,
            b'\n' => Key::Newline,
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::CtrlC,
            0x04 => Key::CtrlD,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::Backspace,
            b'\t' => Key::Char('\t'),
            0x0b => Key::KillAfter,
            0x0c => Key::Redraw,
            0x15 => Key::KillBefore,
            0x17 => Key::KillWord,
            ..0x20 => return,
            _ => Key::Char(char::from(byte)),
        });
    }

    fn part_of_char(&mut self, byte: u8, keys: &mut Vec<Key>) {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => keys.extend(text.chars().map(Key::Char)),
            Err(error) if error.error_len().is_none() => return,
            Err(_) => {
                keys.push(Key::Char(char::REPLACEMENT_CHARACTER));
                // The byte that broke the character may begin another.
                if self.partial.len() > 1 {
                    self.partial.clear();
                    return self.part_of_char(byte, keys);
                }
            }
        }
        self.partial.clear();
    }

    fn sequence(&mut self, mut parameters: Vec<u8>, byte: u8, keys: &mut Vec<Key>) {
        match byte {
            0x40..=0x7e if parameters == b"200" && byte == b'~' => {
                self.state = State::Paste(Paste::default());
            }
            0x40..=0x7e => keys.extend(sequence_key(&parameters, byte)),
            0x20..=0x3f if parameters.len() < SEQUENCE_MAX => {
                parameters.push(byte);
                self.state = State::Sequence(parameters);
            }
            // No sequence after all; what broke it counts by itself.
            _ => self.ground(byte, keys),
        }
    }
}

fn sequence_key(parameters: &[u8], last: u8) -> Option<Key> {
    match (parameters, last) {
        (_, b'D') => Some(Key::Left),
        (_, b'C') => Some(Key::Right),
        (_, b'H') | (b"1" | b"7", b'~') => Some(Key::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(Key::End),
        (b"3", b'~') => Some(Key::Delete),
        _ => None,
    }
}

fn single(byte: u8) -> Option<Key> {
    match byte {
        b'M' => Some(Key::Enter),
        _ => sequence_key(b"", byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Vec<Key> {
        let (mut parser, mut keys) = (Parser::default(), Vec::new());
        parser.feed(bytes, &mut keys);
        parser.decide(&mut keys);
        keys
    }

    /// The same bytes in two reads, cut at every place, and one by one.
    fn all_ways(bytes: &[u8]) -> Vec<Vec<Key>> {
        let mut ways = vec![whole(bytes)];
        for at in 0..=bytes.len() {
            let (mut parser, mut keys) = (Parser::default(), Vec::new());
            parser.feed(&bytes[..at], &mut keys);
            parser.feed(&bytes[at..], &mut keys);
            parser.decide(&mut keys);
            ways.push(keys);
        }
        let (mut parser, mut keys) = (Parser::default(), Vec::new());
        for byte in bytes {
            parser.feed(&[*byte], &mut keys);
        }
        parser.decide(&mut keys);
        ways.push(keys);
        ways
    }

    fn always(bytes: &[u8], expected: &[Key]) {
        for keys in all_ways(bytes) {
            assert_eq!(keys, expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn keys_are_read_however_they_are_cut() {
        always(b"a\r", &[Key::Char('a'), Key::Enter]);
        always("é漢🙂".as_bytes(), &[Key::Char('é'), Key::Char('漢'), Key::Char('🙂')]);
        always(
            b"\x1b[D\x1b[C\x1bOH\x1b[4~\x1b[3~",
            &[Key::Left, Key::Right, Key::Home, Key::End, Key::Delete],
        );
        always(
            b"\x7f\x15\x0b\x17\x0c\x03\x04\n",
            &[
                Key::Backspace,
                Key::KillBefore,
                Key::KillAfter,
                Key::KillWord,
                Key::Redraw,
                Key::CtrlC,
                Key::CtrlD,
                Key::Newline,
            ],
        );
        // Reports of a terminal, keys without a meaning here: no key, no text.
        always(b"\x1b[I\x1b[<0;1;1M\x1b[5~\x1bOP\x1b[24;80R\x00\x1a", &[]);
    }

    #[test]
    fn an_escape_is_a_key_once_nothing_can_follow() {
        let (mut parser, mut keys) = (Parser::default(), Vec::new());
        parser.feed(b"\x1b", &mut keys);
        assert!(parser.is_undecided() && keys.is_empty());
        parser.decide(&mut keys);
        assert_eq!(keys, [Key::Escape]);
        assert!(!parser.is_undecided());
        always(b"\x1b\x1b[200~x\x1b[201~\r", &[Key::Escape, Key::Paste("x".into()), Key::Enter]);
        always(b"\x1bx", &[Key::Escape, Key::Char('x')]);
        always(b"\x1b\x1b", &[Key::Escape, Key::Escape]);
        always(b"\x1b\xc3\xa9", &[Key::Escape, Key::Char('é')]);
    }

    #[test]
    fn a_paste_is_exact_to_the_byte() {
        for text in [
            "",
            "one\ntwo\r\nthree\rfour\n",
            "\x1b",
            "\x1b[201",
            "\x1b[20\x1b[201\x1b[2x\x1b[\x1b",
            "\x03\x04\t\0\x7f é 漢 🙂 e\u{301}",
            "\x1b[200~inner",
        ] {
            let bytes = format!("\x1b[200~{text}\x1b[201~\r");
            always(bytes.as_bytes(), &[Key::Paste(text.into()), Key::Enter]);
        }
    }

    #[test]
    fn a_paste_of_a_mebibyte_is_whole_and_a_longer_one_than_the_bound_is_refused() {
        let text = "0123456789abcde\n".repeat(65_536);
        let bytes = format!("\x1b[200~{text}\x1b[201~");
        let (mut parser, mut keys) = (Parser::default(), Vec::new());
        for read in bytes.as_bytes().chunks(4095) {
            parser.feed(read, &mut keys);
        }
        assert_eq!(keys, [Key::Paste(text)]);
        let long = format!("\x1b[200~{}\x1b[201~x", "y".repeat(PASTE_MAX + 1));
        assert_eq!(whole(long.as_bytes()), [Key::PasteTooLong(PASTE_MAX + 1), Key::Char('x')]);
    }

    #[test]
    fn what_is_no_text_is_replaced_and_swallows_nothing() {
        always(b"\xffa", &[Key::Char('\u{fffd}'), Key::Char('a')]);
        always(b"\xc3a", &[Key::Char('\u{fffd}'), Key::Char('a')]);
        always(b"\xc3\xc3\xa9", &[Key::Char('\u{fffd}'), Key::Char('é')]);
        always(b"\xe6\xbc\r", &[Key::Char('\u{fffd}'), Key::Enter]);
        always(b"\x1b[1\x01z", &[Key::Home, Key::Char('z')]);
    }
}
