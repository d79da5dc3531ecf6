//! Colours, where they are wanted: on a terminal that can show them, unless the user said no.

use std::ffi::OsStr;
use std::fmt;
use std::io::{IsTerminal as _, stderr, stdout};

/// A look. The sixteen basic colours only: they follow the user's own theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl Style {
    const fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
            Self::Magenta => 35,
            Self::Cyan => 36,
        }
    }
}

/// Whether colours are on for one stream. Decided once, passed on as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    pub const PLAIN: Self = Self { on: false };
    /// Colours whatever the stream is.
    pub const COLOURED: Self = Self { on: true };

    /// For what goes to stdout.
    #[must_use]
    pub fn stdout() -> Self {
        Self::of(stdout().is_terminal())
    }

    /// For what goes to stderr.
    #[must_use]
    pub fn stderr() -> Self {
        Self::of(stderr().is_terminal())
    }

    fn of(is_terminal: bool) -> Self {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Self::decide(is_terminal, no_color.as_deref(), term.as_deref())
    }

    /// The rule itself. An empty `NO_COLOR` counts as unset (no-color.org); without a `TERM`, or with
    /// `dumb`, nothing is known of the terminal and it gets none.
    #[must_use]
    pub fn decide(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let refused = no_color.is_some_and(|v| !v.is_empty());
        let able = term.is_some_and(|t| !t.is_empty() && t != "dumb");
        Self { on: is_terminal && able && !refused }
    }

    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }

    /// The text in that look, to be printed with `{}`. The text is taken as it is: it must have passed the
    /// sanitiser.
    #[must_use]
    pub const fn paint<'a>(self, style: Style, text: &'a str) -> Painted<'a> {
        Painted { on: self.on, style, text }
    }
}

/// See [`Paint::paint`].
#[derive(Debug, Clone, Copy)]
pub struct Painted<'a> {
    on: bool,
    style: Style,
    text: &'a str,
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.on && !self.text.is_empty() {
            true => write!(f, "\x1b[{}m{}\x1b[0m", self.style.code(), self.text),
            false => f.write_str(self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        let decide = |tty, no: Option<&str>, term: Option<&str>| {
            Paint::decide(tty, no.map(OsStr::new), term.map(OsStr::new)).is_on()
        };
        assert!(decide(true, None, Some("xterm-256color")));
        assert!(decide(true, Some(""), Some("xterm")));
        assert!(!decide(false, None, Some("xterm")));
        assert!(!decide(true, Some("1"), Some("xterm")));
        assert!(!decide(true, None, Some("dumb")));
        assert!(!decide(true, None, Some("")));
        assert!(!decide(true, None, None));
    }

    #[test]
    fn a_look_is_put_around_text_and_never_around_nothing() {
        assert_eq!(Paint::COLOURED.paint(Style::Red, "no").to_string(), "\x1b[31mno\x1b[0m");
        assert_eq!(Paint::COLOURED.paint(Style::Red, "").to_string(), "");
        assert_eq!(Paint::PLAIN.paint(Style::Red, "no").to_string(), "no");
    }
}
