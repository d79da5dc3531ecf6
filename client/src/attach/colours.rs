//! Which of the terminal's own colours the session has changed. Pure.
//!
//! They are reset only where that is so: unasked it would undo what the user's shell has set.

const ESC: u8 = 0x1b;

/// What an OSC sets, and what resets it.
const RESETS: [(u32, &[u8]); 7] = [
    (4, b"\x1b]104\x1b\\"),
    (10, b"\x1b]110\x1b\\"),
    (11, b"\x1b]111\x1b\\"),
    (12, b"\x1b]112\x1b\\"),
    (17, b"\x1b]117\x1b\\"),
    (19, b"\x1b]119\x1b\\"),
    // The shape of the mouse's pointer.
    (22, b"\x1b]22;\x1b\\"),
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    /// In the number of an OSC.
    Number(u32),
}

/// Reads along with what the terminal is shown.
#[derive(Debug, Default)]
pub(super) struct Colours {
    state: State,
    changed: [bool; RESETS.len()],
}

impl Colours {
    /// Takes the next bytes, however they are cut. True when there is more to reset than before.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.changed;
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            self.state = match (self.state, byte) {
                (_, ESC) => State::Escape,
                (State::Escape, b']') => State::Number(0),
                (State::Number(n), b'0'..=b'9') => {
                    State::Number(n.saturating_mul(10).saturating_add(u32::from(byte - b'0')))
                }
                (State::Number(n), b';') => {
                    self.set(n);
                    State::Ground
                }
                _ => {
                    // Nothing before the next escape matters.
                    let next = rest.iter().position(|b| *b == ESC).unwrap_or(rest.len());
                    bytes = rest.get(next..).unwrap_or_default();
                    State::Ground
                }
            };
        }
        self.changed != before
    }

    /// What resets all that was changed.
    pub(super) fn resets(&self) -> Vec<u8> {
        let changed = RESETS.iter().zip(self.changed).filter(|(_, changed)| *changed);
        changed.flat_map(|((_, reset), _)| reset.iter().copied()).collect()
    }

    fn set(&mut self, number: u32) {
        let of_it = RESETS.iter().zip(&mut self.changed).find(|((n, _), _)| *n == number);
        if let Some((_, changed)) = of_it {
            *changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_reset_however_the_output_is_cut() {
        let output = b"text\x1b[31m\x1b]11;#123456\x1b\\more\x1b]0;10;title\x07\x1b]110\x1b\\\x1b]4;1;red\x07\x1b]8;;\x07";
        for step in 1..output.len() {
            let mut colours = Colours::default();
            let more = output.chunks(step).filter(|piece| colours.feed(piece)).count();
            assert!(more >= 1);
            assert_eq!(colours.resets(), b"\x1b]104\x1b\\\x1b]111\x1b\\");
            assert!(!colours.feed(output));
        }
        assert!(Colours::default().resets().is_empty());
    }
}
