//! The modes that vt100 does not hold and a re-attaching terminal needs.

use serde::{Deserialize, Serialize};

/// Entries a program may push on the kitty keyboard stack or the title stack.
const STACK_LIMIT: usize = 16;
/// Longest title kept, in bytes.
const TITLE_LIMIT: usize = 1024;

/// DEC private modes that are tracked, with their state after a reset, in the order of replay.
///
/// Absent on purpose: 6, 47, 1047, 1048, 1049 (part of the picture, painted by `paint`), 3 and 40
/// (column switching), 69 (left and right margins: vt100 has none), 1016 (pixel mouse: there are no
/// pixels), 2027 (grapheme clusters: vt100 counts code points), 2048 (size reports: the viewer's
/// terminal would send its own size).
const MODES: [(u16, bool); 23] = [
    (1, false),
    (5, false),
    (7, true),
    (9, false),
    (12, false),
    (25, true),
    (45, false),
    (66, false),
    (67, false),
    (1000, false),
    (1001, false),
    (1002, false),
    (1003, false),
    (1004, false),
    (1005, false),
    (1006, false),
    (1007, true),
    (1015, false),
    (1034, false),
    (1036, true),
    (2004, false),
    (2026, false),
    (2031, false),
];

/// What a program has told its terminal, apart from what is on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    /// Tracked modes that are not in their initial state.
    changed: Vec<u16>,
    pub(crate) alternate: bool,
    pub(crate) origin: bool,
    /// Margins or origin mode were used: only then is it worth the cost of asking vt100 for them.
    pub(crate) margins: bool,
    /// A cursor was saved.
    pub(crate) saved_cursor: bool,
    pub(crate) insert: bool,
    pub(crate) newline: bool,
    pub(crate) keypad: bool,
    /// Kitty keyboard flags pushed on the main and the alternate screen, innermost last.
    pub(crate) kitty: [Vec<u8>; 2],
    pub(crate) modify_other_keys: Option<u16>,
    pub(crate) cursor_style: u16,
    pub(crate) title: String,
    titles: Vec<String>,
    /// Final byte of the charset designated to G0 and G1; 0 is ASCII.
    pub(crate) charsets: [u8; 2],
    /// SO: G1 is the one in use.
    pub(crate) shifted: bool,
    /// What REP repeats.
    pub(crate) last_char: Option<char>,
    /// Foreground, background and cursor colour set by OSC 10, 11, 12.
    pub(crate) colours: [Option<String>; 3],
}

impl Ledger {
    /// State of a DEC private mode, or None where it is not one that dsx knows.
    pub(crate) fn mode(&self, mode: u16) -> Option<bool> {
        match mode {
            6 => Some(self.origin),
            47 | 1047 | 1049 => Some(self.alternate),
            _ => {
                let (_, initial) = MODES.iter().find(|(m, _)| *m == mode)?;
                Some(*initial != self.changed.contains(&mode))
            }
        }
    }

    /// Records a DEC private mode. True where that changed something.
    pub(crate) fn set_mode(&mut self, mode: u16, on: bool) -> bool {
        let Some((_, initial)) = MODES.iter().find(|(m, _)| *m == mode) else {
            return false;
        };
        let was = self.changed.contains(&mode);
        let is = on != *initial;
        if is && !was {
            self.changed.push(mode);
        } else if !is {
            self.changed.retain(|m| *m != mode);
        }
        is != was
    }

    /// The tracked modes that are not in their initial state, in the order of replay.
    pub(crate) fn changed_modes(&self) -> impl Iterator<Item = (u16, bool)> + '_ {
        MODES.iter().filter(|(mode, _)| self.changed.contains(mode)).map(|(mode, initial)| (*mode, !initial))
    }

    fn kitty_stack(&mut self) -> &mut Vec<u8> {
        &mut self.kitty[usize::from(self.alternate)]
    }

    /// Kitty keyboard flags in force on the screen in use.
    pub(crate) fn kitty_flags(&self) -> u8 {
        let stack = &self.kitty[usize::from(self.alternate)];
        stack.last().copied().unwrap_or(0)
    }

    pub(crate) fn kitty_push(&mut self, flags: u16) {
        let stack = self.kitty_stack();
        if stack.len() == STACK_LIMIT {
            stack.remove(0);
        }
        stack.push((flags & 0x1f) as u8);
    }

    pub(crate) fn kitty_pop(&mut self, count: u16) {
        let stack = self.kitty_stack();
        let left = stack.len().saturating_sub(usize::from(count));
        stack.truncate(left);
    }

    /// `CSI = flags ; how u`: 1 replaces, 2 adds, 3 takes away.
    pub(crate) fn kitty_set(&mut self, flags: u16, how: u16) {
        let flags = (flags & 0x1f) as u8;
        let now = self.kitty_flags();
        let next = match how {
            2 => now | flags,
            3 => now & !flags,
            _ => flags,
        };
        let stack = self.kitty_stack();
        match stack.last_mut() {
            Some(top) => *top = next,
            None => stack.push(next),
        }
    }

    /// Takes a title, cut to its limit. False where it is the one already known.
    pub(crate) fn set_title(&mut self, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        let mut end = text.len().min(TITLE_LIMIT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let changed = self.title != text[..end];
        if changed {
            self.title = text[..end].to_owned();
        }
        changed
    }

    pub(crate) fn push_title(&mut self) {
        if self.titles.len() < STACK_LIMIT {
            self.titles.push(self.title.clone());
        }
    }

    /// The title that was pushed last, now in force again.
    pub(crate) fn pop_title(&mut self) -> bool {
        let Some(title) = self.titles.pop() else {
            return false;
        };
        let changed = title != self.title;
        self.title = title;
        changed
    }

    /// The charset in use turns letters into lines and corners.
    pub(crate) fn draws_lines(&self) -> bool {
        self.charsets[usize::from(self.shifted)] == b'0'
    }

    /// Insert mode or no autowrap: vt100 has neither.
    pub(crate) fn prints_carefully(&self) -> bool {
        // Asked for every run of text, so without a look through all modes.
        self.insert || self.changed.contains(&7)
    }

    /// DECSTR: what a soft reset undoes.
    pub(crate) fn soft_reset(&mut self) {
        for mode in [1, 7, 25, 66, 67] {
            let initial = matches!(mode, 7 | 25);
            self.set_mode(mode, initial);
        }
        self.origin = false;
        self.insert = false;
        self.keypad = false;
        self.charsets = [0; 2];
        self.shifted = false;
        self.cursor_style = 0;
    }

    /// RIS: everything but the title.
    pub(crate) fn reset(&mut self) {
        let title = std::mem::take(&mut self.title);
        *self = Self { title, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_told_from_unknown_ones() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.mode(25), Some(true));
        assert_eq!(ledger.mode(2004), Some(false));
        assert_eq!(ledger.mode(4711), None);
        assert!(ledger.set_mode(2004, true));
        assert!(!ledger.set_mode(2004, true));
        assert_eq!(ledger.mode(2004), Some(true));
        assert!(ledger.set_mode(25, false));
        let changed: Vec<_> = ledger.changed_modes().collect();
        assert_eq!(changed, [(25, false), (2004, true)]);
    }

    #[test]
    fn each_screen_has_its_own_kitty_stack() {
        let mut ledger = Ledger::default();
        ledger.kitty_push(5);
        ledger.alternate = true;
        assert_eq!(ledger.kitty_flags(), 0);
        ledger.kitty_push(7);
        ledger.kitty_set(8, 2);
        assert_eq!(ledger.kitty_flags(), 15);
        ledger.kitty_pop(1);
        ledger.alternate = false;
        assert_eq!(ledger.kitty_flags(), 5);
        for _ in 0..100 {
            ledger.kitty_push(1);
        }
        assert_eq!(ledger.kitty[0].len(), STACK_LIMIT);
    }

    #[test]
    fn a_long_title_is_cut_between_characters() {
        let mut ledger = Ledger::default();
        assert!(ledger.set_title("é".repeat(1000).as_bytes()));
        assert_eq!(ledger.title.chars().count(), 512);
        let odd = format!("x{}", "é".repeat(1000));
        assert!(ledger.set_title(odd.as_bytes()));
        assert_eq!(ledger.title.len(), 1023);
    }
}
