//! What each sequence of the stream means: for the model, the ledger, the events, the answers.

use unicode_width::UnicodeWidthChar;

use super::answer::{self, Facts};
use super::csi::Csi;
use super::scan::{Sink, StringKind, Terminator, unfinished_tail};
use super::terminal::Interpreter;
use super::{TermEvent, paint, rewrite};

/// Bytes given to vt100 in one call: also what a panic can cost at most, rewritten text apart.
const PIECE: usize = 4096;
/// Longest colour specification kept.
const COLOUR_LIMIT: usize = 64;

/// An interpreter while it is being fed.
pub(super) struct Feeding<'a> {
    state: &'a mut Interpreter,
    events: &'a mut Vec<TermEvent>,
}

impl Interpreter {
    pub(super) fn feeding<'a>(&'a mut self, events: &'a mut Vec<TermEvent>) -> Feeding<'a> {
        Feeding { state: self, events }
    }
}

impl Feeding<'_> {
    /// Brings the model up to date. The scanner must have handed on all that is whole.
    pub(super) fn finish(&mut self) {
        self.flush();
        if self.state.waiting.capacity() > 4 * PIECE {
            self.state.waiting = Vec::new();
        }
    }

    fn flush(&mut self) {
        self.flush_to(self.state.done);
    }

    fn flush_to(&mut self, at: u64) {
        let state = &mut *self.state;
        let from = std::mem::replace(&mut state.waiting_from, at);
        if state.waiting.is_empty() {
            return;
        }
        let failed = !state.muted && state.model.process(&state.waiting).is_err();
        state.waiting.clear();
        if failed {
            state.panics += 1;
            state.blank();
            self.events.push(TermEvent::Skipped { offset: from, len: at - from });
        }
    }

    /// Queues bytes of the stream itself, the last of them at offset `at` - 1.
    fn put(&mut self, bytes: &[u8], at: u64) {
        let mut rest = bytes;
        while self.state.waiting.len() + rest.len() > PIECE {
            let room = PIECE.saturating_sub(self.state.waiting.len());
            let mut cut = rest.len().min(room);
            cut -= unfinished_tail(&rest[..cut]);
            self.state.waiting.extend_from_slice(&rest[..cut]);
            rest = &rest[cut..];
            self.flush_to(at - rest.len() as u64);
        }
        self.state.waiting.extend_from_slice(rest);
        self.state.done = at;
    }

    /// Queues bytes that stand for those of the stream up to `at`.
    fn put_instead(&mut self, bytes: &[u8], at: u64) {
        self.state.waiting.extend_from_slice(bytes);
        self.state.done = at;
        if self.state.waiting.len() > PIECE {
            self.flush();
        }
    }

    fn put_csi(&mut self, csi: &Csi<'_>, at: u64) {
        let waiting = &mut self.state.waiting;
        waiting.extend_from_slice(b"\x1b[");
        waiting.extend_from_slice(csi.raw);
        waiting.push(csi.last);
        self.put_instead(b"", at);
    }

    /// The cursor as it is now, row and column from 0.
    fn cursor(&mut self) -> (u16, u16) {
        self.flush();
        self.state.model.cursor()
    }

    fn reply(&mut self, answer: String) {
        if !self.state.answers || answer.is_empty() {
            return;
        }
        match self.events.last_mut() {
            Some(TermEvent::Reply(bytes)) => bytes.extend_from_slice(answer.as_bytes()),
            _ => self.events.push(TermEvent::Reply(answer.into_bytes())),
        }
    }

    fn query(&mut self, csi: &Csi<'_>) {
        if !self.state.answers {
            return;
        }
        let (row, col) = self.cursor();
        let (rows, cols) = self.state.model.size();
        let top = if self.state.ledger.origin { paint::margins(self.state.model.screen()).0 } else { 0 };
        let facts = Facts {
            ledger: &self.state.ledger,
            rows,
            cols,
            cursor: (row.saturating_sub(top) + 1, (col + 1).min(cols)),
        };
        if let Some(answer) = answer::to_csi(csi, &facts) {
            self.reply(answer);
        }
    }

    /// Text in insert mode or without autowrap, neither of which vt100 has: character by character.
    fn careful_text(&mut self, text: &str, at: u64) {
        let insert = self.state.ledger.insert;
        let wraps = self.state.ledger.mode(7) != Some(false);
        let (_, cols) = self.state.model.size();
        for c in text.chars() {
            let width = c.width().unwrap_or(0).min(2) as u16;
            if width > 0 && !wraps && self.cursor().1 + width > cols {
                let column = cols - width + 1;
                self.put_instead(format!("\x1b[{column}G").as_bytes(), at);
            }
            if width > 0 && insert {
                self.put_instead(format!("\x1b[{width}@").as_bytes(), at);
            }
            self.put_instead(c.encode_utf8(&mut [0; 4]).as_bytes(), at);
        }
    }

    fn sgr(&mut self, csi: &Csi<'_>, at: u64) {
        if rewrite::sgr_is_plain(csi.raw) {
            self.put_csi(csi, at);
        } else {
            let mut out = Vec::new();
            rewrite::sgr(csi, &mut out);
            self.put_instead(&out, at);
        }
    }

    /// The functions that vt100 knows.
    fn screen_csi(&mut self, csi: &Csi<'_>, at: u64) {
        if csi.last == b'J' {
            let whole = match csi.param(0, 0) {
                0 => self.cursor() == (0, 0),
                2 => true,
                _ => false,
            };
            if whole {
                let which = usize::from(self.state.ledger.alternate);
                self.state.complete[which] = true;
            }
        }
        if csi.last == b'r' && csi.has_params() {
            self.state.ledger.margins = true;
        }
        self.put_csi(csi, at);
    }

    /// The functions without a prefix that vt100 lacks, in its words.
    fn foreign_csi(&mut self, csi: &Csi<'_>, at: u64) {
        let n = csi.param(0, 1);
        let (_, cols) = self.state.model.size();
        match csi.last {
            b'a' => self.put_instead(format!("\x1b[{n}C").as_bytes(), at),
            b'e' => self.put_instead(format!("\x1b[{n}B").as_bytes(), at),
            b'I' => self.put_instead(&b"\t".repeat(usize::from(n.min(cols))), at),
            b'Z' => {
                let col = self.cursor().1.min(cols - 1);
                let stop = col.div_ceil(8).saturating_sub(n) * 8;
                self.put_instead(format!("\x1b[{}G", stop + 1).as_bytes(), at);
            }
            b'b' => self.repeat(n, at),
            b's' if !csi.has_params() => self.save_cursor(true, at),
            b'u' if !csi.has_params() => self.save_cursor(false, at),
            b'h' | b'l' => {
                for group in csi.params().groups() {
                    match group[0] {
                        4 => self.state.ledger.insert = csi.last == b'h',
                        20 => self.state.ledger.newline = csi.last == b'h',
                        _ => {}
                    }
                }
            }
            b't' => self.window_csi(csi),
            _ => {}
        }
    }

    /// REP. vt100 has it, but a restored model would not know the character.
    fn repeat(&mut self, n: u16, at: u64) {
        let Some(c) = self.state.ledger.last_char else {
            return;
        };
        let (rows, cols) = self.state.model.size();
        let width = c.width().unwrap_or(1).clamp(1, 2);
        let (row, n) = (usize::from(cols) / width, usize::from(n));
        // Past a full screen only the place in the last row matters; the rest would only cost time.
        let screen = row * usize::from(rows);
        let n = if n > screen { screen + (n - screen) % row } else { n };
        let text: String = std::iter::repeat_n(c, n).collect();
        self.print(&text, at);
    }

    /// Prints characters that do not stand in the stream like this.
    fn print(&mut self, text: &str, at: u64) {
        self.remember_last(text.as_bytes());
        if self.state.ledger.prints_carefully() {
            self.careful_text(text, at);
        } else {
            self.put_instead(text.as_bytes(), at);
        }
    }

    /// Keeps the last character of a run of text, for REP.
    fn remember_last(&mut self, text: &[u8]) {
        if let Some(c) = last_printed(text) {
            self.state.ledger.last_char = Some(c);
        }
    }

    fn window_csi(&mut self, csi: &Csi<'_>) {
        match csi.param(0, 0) {
            22 => self.state.ledger.push_title(),
            23 => {
                if self.state.ledger.pop_title() {
                    let title = self.state.ledger.title.clone();
                    self.events.push(TermEvent::Title(title));
                }
            }
            _ => self.query(csi),
        }
    }

    fn keyboard_csi(&mut self, csi: &Csi<'_>) {
        let ledger = &mut self.state.ledger;
        let first = csi.param(0, 0);
        match (csi.prefix, csi.last) {
            (b'>', b'u') => ledger.kitty_push(first),
            (b'<', b'u') => ledger.kitty_pop(first.max(1)),
            (b'=', b'u') => ledger.kitty_set(first, csi.param(1, 1)),
            (b'>', b'm') if first == 4 || !csi.has_params() => {
                let level = csi.param(1, 0);
                ledger.modify_other_keys = (level > 0).then_some(level);
            }
            (b'>', b'n') if first == 4 => ledger.modify_other_keys = None,
            _ => {}
        }
    }

    fn soft_reset(&mut self, at: u64) {
        let (row, col) = self.cursor();
        self.state.ledger.soft_reset();
        let home = format!("\x1b[?6l\x1b[r\x1b[m\x1b[{};{}H", row + 1, col + 1);
        self.put_instead(home.as_bytes(), at);
    }

    fn private_mode(&mut self, mode: u16, on: bool, at: u64) {
        let switch = if on { 'h' } else { 'l' };
        match mode {
            6 => {
                self.state.ledger.origin = on;
                self.state.ledger.margins = true;
                self.put_instead(format!("\x1b[?6{switch}").as_bytes(), at);
            }
            1048 => self.save_cursor(on, at),
            47 | 1047 | 1049 => self.switch_screen(mode, on, at),
            _ => {
                self.state.ledger.set_mode(mode, on);
                if mode == 2004 {
                    self.events.push(TermEvent::BracketedPaste(on));
                }
            }
        }
    }

    /// Saves the cursor, or puts it back where it was saved.
    fn save_cursor(&mut self, save: bool, at: u64) {
        self.state.ledger.saved_cursor |= save;
        self.put_instead(if save { b"\x1b7" } else { b"\x1b8" }, at);
    }

    fn switch_screen(&mut self, mode: u16, on: bool, at: u64) {
        if on == self.state.ledger.alternate {
            // Already there: xterm does only the cursor part of it.
            if mode == 1049 {
                self.save_cursor(on, at);
            }
            return;
        }
        let (row, col) = self.cursor();
        // The cursor stays where it is, unless ?1049l restores it; vt100 has one for each screen.
        let here = format!("\x1b[{};{}H", row + 1, col + 1);
        let bytes = match (mode, on) {
            // All three ways in save the cursor and begin blank. xterm's oldest one (47) does neither,
            // but its users save it themselves and clear the screen at once.
            (_, true) => format!("\x1b[?1049h{here}"),
            (1049, false) => "\x1b[?1049l".to_owned(),
            (_, false) => format!("\x1b[?47l{here}"),
        };
        self.put_instead(bytes.as_bytes(), at);
        self.state.ledger.alternate = on;
        if on {
            self.state.ledger.origin = false;
            self.state.ledger.saved_cursor = true;
            self.state.complete[1] = true;
        }
        self.events.push(TermEvent::AlternateScreen(on));
    }

    fn full_reset(&mut self, at: u64) {
        self.put_instead(b"\x1bc", at);
        if self.state.ledger.alternate {
            self.events.push(TermEvent::AlternateScreen(false));
        }
        self.state.ledger.reset();
        self.state.complete = [true; 2];
    }

    fn status_osc(&mut self, payload: &[u8]) {
        if payload.first() != Some(&b'?') {
            self.events.push(TermEvent::Osc7501(payload.to_vec()));
            return;
        }
        self.reply("\x1b]7501;?\x1b\\".to_owned());
        let answered = self.state.answers;
        self.events.push(TermEvent::StatusQuery { answered });
    }

    fn colour_osc(&mut self, number: u16, rest: &[u8], end: Terminator) {
        let answer = answer::to_osc(number, rest, end, &self.state.ledger);
        self.reply(answer);
        if !(10..=12).contains(&number) {
            return;
        }
        for (n, value) in (number..=12).zip(rest.split(|b| *b == b';')) {
            if let Ok(value) = std::str::from_utf8(value)
                && !value.starts_with('?')
                && (1..=COLOUR_LIMIT).contains(&value.len())
            {
                self.state.ledger.colours[usize::from(n - 10)] = Some(value.to_owned());
            }
        }
    }
}

impl Sink for Feeding<'_> {
    fn text(&mut self, text: &[u8], at: u64) {
        let ledger = &self.state.ledger;
        if ledger.draws_lines() {
            let shapes: String = String::from_utf8_lossy(text)
                .chars()
                .map(|c| u8::try_from(c).map_or(c, rewrite::line_drawing))
                .collect();
            self.print(&rewrite::visible(&shapes), at);
        } else if ledger.prints_carefully() || !rewrite::is_visible(text) {
            self.print(&rewrite::visible(&String::from_utf8_lossy(text)), at);
        } else {
            self.remember_last(text);
            self.put(text, at);
        }
    }

    fn control(&mut self, byte: u8, at: u64) {
        match byte {
            0x07 if self.events.last() != Some(&TermEvent::Bell) => {
                self.events.push(TermEvent::Bell);
            }
            0x05 | 0x07 => {}
            0x0e | 0x0f => self.state.ledger.shifted = byte == 0x0e,
            _ => self.put_instead(&[byte], at),
        }
    }

    fn escape(&mut self, intermediates: &[u8], last: u8, at: u64) {
        match (intermediates, last) {
            ([], b'7' | b'8') => self.save_cursor(last == b'7', at),
            ([], b'M') => self.put_instead(b"\x1bM", at),
            ([], b'D') => self.put_instead(b"\n", at),
            ([], b'E') => self.put_instead(b"\r\n", at),
            ([], b'c') => self.full_reset(at),
            ([], b'Z') => self.reply(answer::primary_attributes()),
            ([], b'=' | b'>') => self.state.ledger.keypad = last == b'=',
            ([slot @ (b'(' | b')')], _) => {
                let set = if last == b'0' { b'0' } else { 0 };
                self.state.ledger.charsets[usize::from(slot - b'(')] = set;
            }
            _ => {}
        }
    }

    fn csi(&mut self, csi: &Csi<'_>, at: u64) {
        match csi.kind() {
            (0, 0, b'm') => self.sgr(csi, at),
            _ if answer::is_query(csi) => self.query(csi),
            (
                0,
                0,
                b'@' | b'A'..=b'H' | b'J'..=b'M' | b'P' | b'S' | b'T' | b'X' | b'`' | b'd' | b'f' | b'r',
            )
            | (b'?', 0, b'J' | b'K') => self.screen_csi(csi, at),
            (0, 0, _) => self.foreign_csi(csi, at),
            (b'?', 0, b'h' | b'l') => {
                for group in csi.params().groups() {
                    self.private_mode(group[0], csi.last == b'h', at);
                }
            }
            (b'<' | b'=' | b'>', 0, b'u' | b'm' | b'n') => self.keyboard_csi(csi),
            (0, b'!', b'p') => self.soft_reset(at),
            (0, b' ', b'q') => self.state.ledger.cursor_style = csi.param(0, 0).min(6),
            _ => {}
        }
    }

    fn osc(&mut self, body: &[u8], end: Terminator, _at: u64) {
        let (number, rest) = split_osc(body);
        match number {
            Some(0 | 2) if self.state.ledger.set_title(rest) => {
                let title = self.state.ledger.title.clone();
                self.events.push(TermEvent::Title(title));
            }
            Some(7501) => self.status_osc(rest),
            Some(133) => {
                if let Some((kind, params)) = rest.split_first() {
                    let params = params.strip_prefix(b";").unwrap_or(params);
                    self.events.push(TermEvent::Osc133(*kind, params.to_vec()));
                }
            }
            Some(n @ (4 | 10..=12)) => self.colour_osc(n, rest, end),
            Some(n @ 110..=112) => self.state.ledger.colours[usize::from(n - 110)] = None,
            _ => {}
        }
    }

    fn string(&mut self, kind: StringKind, body: &[u8], _at: u64) {
        if kind == StringKind::Dcs
            && let Some(answer) = answer::to_dcs(body, &self.state.ledger)
        {
            self.reply(answer);
        }
    }
}

/// The last character of `text` that takes a place on the screen.
fn last_printed(text: &[u8]) -> Option<char> {
    let end = text.iter().rposition(|b| *b >= b' ')? + 1;
    match text[end - 1] {
        byte @ b' '..=b'~' => Some(char::from(byte)),
        _ => {
            let text = String::from_utf8_lossy(&text[..end]);
            text.chars().rev().find(|c| c.width().unwrap_or(0) > 0)
        }
    }
}

/// Number and payload of an OSC.
pub(super) fn split_osc(body: &[u8]) -> (Option<u16>, &[u8]) {
    let end = body.iter().position(|b| *b == b';').unwrap_or(body.len());
    let number = std::str::from_utf8(&body[..end]).ok().and_then(|n| n.parse().ok());
    (number, body.get(end + 1..).unwrap_or_default())
}
