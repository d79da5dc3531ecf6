//! How wide a terminal is, and how wide text is on it.
#![allow(unsafe_code)] // one ioctl

use std::io::{IsTerminal as _, stdout};
use std::os::fd::{AsFd, AsRawFd as _};

use unicode_width::UnicodeWidthChar as _;

/// Assumed where a terminal does not say.
const DEFAULT_COLS: u16 = 80;
/// `COLUMNS` is often stale or made up; outside of these it says nothing.
const SANE_COLUMNS: std::ops::RangeInclusive<u16> = 10..=1000;

nix::ioctl_read_bad!(get_window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);

/// A terminal's size in cells, both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub cols: u16,
    pub rows: u16,
}

/// What the terminal behind `fd` says of its size; `None` where it is no terminal or does not know.
#[must_use]
pub fn size_of(fd: impl AsFd) -> Option<Size> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open for as long as `fd` is borrowed, and `size` is the struct that this
    // request fills.
    unsafe { get_window_size(fd.as_fd().as_raw_fd(), &raw mut size) }.ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some(Size { cols: size.ws_col, rows: size.ws_row })
}

/// The width for what goes to stdout, in cells; `None` where it is no terminal, and so has no width.
#[must_use]
pub fn of_stdout() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok();
    decide(stdout().is_terminal(), size_of(stdout()), columns.as_deref())
}

/// The rule itself: the kernel's word, else a sane `COLUMNS`, else 80.
fn decide(is_terminal: bool, size: Option<Size>, columns: Option<&str>) -> Option<usize> {
    let told = || columns?.parse().ok().filter(|c| SANE_COLUMNS.contains(c));
    is_terminal.then(|| size.map(|s| s.cols).or_else(told).unwrap_or(DEFAULT_COLS).into())
}

/// Cells that a line of sanitised text takes.
#[must_use]
pub fn width(line: &str) -> usize {
    let mut last = 0;
    line.chars().map(|c| grows(c, &mut last)).sum()
}

/// How many cells `c` adds behind a character of `last` cells, which becomes its own.
///
/// Char by char and never too small: what is measured as fitting does fit. (A whole string's width as
/// `unicode-width` gives it counts on ligatures that a terminal may not draw.)
fn grows(c: char, last: &mut usize) -> usize {
    if c == '\u{fe0f}' {
        let widened = usize::from(*last == 1);
        *last += widened;
        return widened;
    }
    let own = c.width().unwrap_or(0);
    if own > 0 {
        *last = own;
    }
    own
}

/// The longest beginning of `line` that fits into `max` cells.
#[must_use]
pub fn fitting(line: &str, max: usize) -> &str {
    let (mut last, mut used, mut end) = (0, 0, 0);
    for (at, c) in line.char_indices() {
        let more = grows(c, &mut last);
        // An emoji look that would not fit takes its character along.
        if used + more > max {
            return if c == '\u{fe0f}' { fitting_before(&line[..at]) } else { &line[..end] };
        }
        used += more;
        end = at + c.len_utf8();
    }
    line
}

fn fitting_before(line: &str) -> &str {
    let mut chars = line.chars();
    while chars.next_back().is_some_and(|c| c.width().unwrap_or(0) == 0) {}
    chars.as_str()
}

/// The line in at most `max` cells, cut with `…` where it is longer.
#[must_use]
pub fn cut(line: &str, max: usize) -> std::borrow::Cow<'_, str> {
    if fitting(line, max).len() == line.len() {
        return line.into();
    }
    match max {
        0 => "".into(),
        _ => format!("{}…", fitting(line, max - 1).trim_end()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_best() {
        let size = |cols| Some(Size { cols, rows: 1 });
        assert_eq!(decide(false, size(50), Some("60")), None);
        assert_eq!(decide(true, size(1), Some("60")), Some(1));
        assert_eq!(decide(true, None, Some("60")), Some(60));
        for bad in ["", "0", "-1", "5", "99999999", "wide"] {
            assert_eq!(decide(true, None, Some(bad)), Some(80), "{bad:?}");
        }
        assert_eq!(decide(true, None, None), Some(80));
    }

    #[test]
    fn no_size_without_a_terminal() {
        assert_eq!(size_of(std::fs::File::open("/dev/null").unwrap()), None);
        let pty = nix::pty::openpty(None, None).unwrap();
        assert_eq!(size_of(&pty.slave), None);
        let one = nix::pty::Winsize { ws_row: 1, ws_col: 1, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&one, None).unwrap();
        assert_eq!(size_of(&pty.slave), Some(Size { cols: 1, rows: 1 }));
    }

    #[test]
    fn what_is_cut_fits_at_every_width() {
        for line in
            ["", "plain text", "漢字漢字", "e\u{301}e\u{301}", "❤\u{fe0f}❤\u{fe0f}x", "🙂 🙂 🙂", "a   b"]
        {
            for max in 0..12 {
                let shown = cut(line, max);
                assert!(width(&shown) <= max, "{line:?} at {max}: {shown:?}");
                assert_eq!(width(line) <= max, shown == line, "{line:?} at {max}: {shown:?}");
                assert!(line.starts_with(fitting(line, max)));
                assert!(width(fitting(line, max)) <= max);
            }
        }
        assert_eq!(cut("longer", 4), "lon…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
    }
}
