//! A terminal's state turned back into bytes: for a viewer's terminal, or for another model.

use super::ledger::Ledger;
use super::model::{after, guarded};
use super::render::{Look, line_ansi};

/// Undoes every mode a session may have set and leaves the alternate screen. Colours set by OSC 10, 11
/// and 12 are not here: resetting them unasked would undo what the user's own shell has set.
pub(crate) const RESET: &[u8] = b"\x18\x1b[?2026l\x1b[<99u\x1b[?1049l\x1b[<99u\x1b[>4m\x1b[m\x1b(B\x1b)B\x0f\
\x1b[r\x1b[?6l\x1b[4l\x1b[?7h\x1b[?5l\x1b[?1l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\
\x1b[?1004l\x1b[?1005l\x1b[?1006l\x1b[?1007h\x1b[?1015l\x1b[?2004l\x1b[?2031l\x1b[?25h\x1b[0 q";

/// Whom a picture is painted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A real terminal: row by row, each at an absolute place, so that a character whose width the two
    /// judge differently spoils one row only.
    Viewer,
    /// vt100: exactly, soft line wraps included.
    Model,
}

/// Everything a viewer needs.
pub(crate) fn repaint(screen: &vt100::Screen, ledger: &Ledger) -> Vec<u8> {
    let mut out = RESET.to_vec();
    // No half-painted picture where the terminal knows synchronised output.
    out.extend_from_slice(b"\x1b[?2026h");
    push_kitty(&ledger.kitty[0], &mut out);
    out.extend(picture(screen, ledger, For::Viewer));
    if ledger.alternate {
        // The alternate screen has a stack of its own, which the reset could not reach from the main one.
        out.extend_from_slice(b"\x1b[<99u");
        push_kitty(&ledger.kitty[1], &mut out);
    }
    modes(ledger, &mut out);
    if ledger.mode(2026) != Some(true) {
        out.extend_from_slice(b"\x1b[?2026l");
    }
    out
}

/// The reset, and the colours that the session changed.
pub(crate) fn detach(ledger: &Ledger) -> Vec<u8> {
    let mut out = RESET.to_vec();
    for (n, colour) in ledger.colours.iter().enumerate() {
        if colour.is_some() {
            out.extend_from_slice(format!("\x1b]{}\x1b\\", 110 + n).as_bytes());
        }
    }
    out
}

fn push_kitty(stack: &[u8], out: &mut Vec<u8>) {
    for flags in stack {
        out.extend_from_slice(format!("\x1b[>{flags}u").as_bytes());
    }
}

fn modes(ledger: &Ledger, out: &mut Vec<u8>) {
    let mut text = String::new();
    for (mode, on) in ledger.changed_modes() {
        text += &format!("\x1b[?{mode}{}", if on { 'h' } else { 'l' });
    }
    if ledger.insert {
        text += "\x1b[4h";
    }
    if ledger.keypad {
        text += "\x1b=";
    }
    if let Some(level) = ledger.modify_other_keys {
        text += &format!("\x1b[>4;{level}m");
    }
    if ledger.cursor_style != 0 {
        text += &format!("\x1b[{} q", ledger.cursor_style);
    }
    for (slot, set) in ["(", ")"].iter().zip(ledger.charsets) {
        if set == b'0' {
            text += &format!("\x1b{slot}0");
        }
    }
    if ledger.shifted {
        text.push('\x0e');
    }
    for (n, colour) in ledger.colours.iter().enumerate() {
        if let Some(colour) = colour {
            text += &format!("\x1b]{};{}\x1b\\", 10 + n, clean(colour));
        }
    }
    text += &format!("\x1b]2;{}\x1b\\", clean(&ledger.title));
    out.extend_from_slice(text.as_bytes());
}

/// Text that cannot end the sequence it is put into.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Both screens, with margins, saved cursors, cursor and attributes; no other modes.
pub(crate) fn picture(screen: &vt100::Screen, ledger: &Ledger, whom: For) -> Vec<u8> {
    let painter = Painter { ledger, whom };
    let mut out = Vec::new();
    if screen.alternate_screen() {
        if let Some(main) = after(screen, b"\x1b[?47l") {
            painter.contents(&main, &mut out);
            painter.save_cursor(&main, &mut out);
            match whom {
                // What ?1049l will bring the cursor back to is what ?1049h saves.
                For::Viewer => out.extend_from_slice(b"\x1b8"),
                For::Model => painter.cursor(&main, &mut out),
            }
        }
        out.extend_from_slice(match whom {
            For::Viewer => b"\x1b[?1049h\x1b[r\x1b[?6l",
            For::Model => b"\x1b[?47h",
        });
    }
    painter.contents(screen, &mut out);
    painter.save_cursor(screen, &mut out);
    painter.cursor(screen, &mut out);
    out
}

struct Painter<'a> {
    ledger: &'a Ledger,
    whom: For,
}

impl Painter<'_> {
    fn contents(&self, screen: &vt100::Screen, out: &mut Vec<u8>) {
        if self.whom == For::Model {
            let contents = guarded(|| screen.contents_formatted()).unwrap_or_default();
            out.extend(contents.into_bytes());
            return;
        }
        let (rows, _) = screen.size();
        out.extend_from_slice(b"\x1b[m\x1b[H\x1b[2J");
        for row in 0..rows.get() {
            let line = guarded(|| line_ansi(screen, row)).unwrap_or_default();
            if !line.is_empty() {
                out.extend_from_slice(format!("\x1b[{};1H", row + 1).as_bytes());
                out.extend(line);
            }
        }
    }

    /// The saved cursor, saved. Before the margins are there: it may lie outside of them.
    fn save_cursor(&self, screen: &vt100::Screen, out: &mut Vec<u8>) {
        if !self.ledger.saved_cursor {
            // None yet: the home position, as in any new terminal. Said also to a new model, as vt100's
            // own painting may have saved one.
            out.extend_from_slice(b"\x1b[1;1H\x1b[m\x1b7\x1b[?6l");
        } else if let Some(saved) = after(screen, b"\x1b8") {
            self.place(&saved, screen, 0, out);
            out.extend_from_slice(b"\x1b7\x1b[?6l");
        }
    }

    /// Margins, and the cursor in force.
    fn cursor(&self, screen: &vt100::Screen, out: &mut Vec<u8>) {
        let (rows, _) = screen.size();
        let whole = (0, rows.get() - 1);
        let (top, bottom) = if self.ledger.margins { margins(screen) } else { whole };
        if (top, bottom) != whole {
            out.extend_from_slice(format!("\x1b[{};{}r", top + 1, bottom + 1).as_bytes());
        }
        self.place(screen, screen, top, out);
    }

    /// Puts cursor, origin mode and attributes of `at` into force. `cells` is the screen as painted, `top`
    /// the top margin in force.
    fn place(&self, at: &vt100::Screen, cells: &vt100::Screen, top: u16, out: &mut Vec<u8>) {
        let (row, col) = at.cursor_position();
        let (_, cols) = cells.size();
        let cols = cols.get();
        let mut shown = row;
        if self.ledger.margins && origin(at) {
            out.extend_from_slice(b"\x1b[?6h");
            shown = row.saturating_sub(top);
        }
        let goto = |col: u16| match self.whom {
            For::Viewer => format!("\x1b[{};{}H", shown + 1, col + 1).into_bytes(),
            // vt100 takes these rows as they are, in origin mode too: also one outside of the margins.
            For::Model => format!("\x1b[{}d\x1b[{}G", row + 1, col + 1).into_bytes(),
        };
        match (col >= cols).then(|| last_cell(cells, row)).flatten() {
            // Past the edge, about to wrap: drawing the last character again is the one way to get there. A
            // cell that holds none looks the same with a blank in it.
            Some((start, cell)) => {
                out.extend(goto(start));
                Look::of(cell).write(out);
                let text = if cell.has_contents() { cell.contents() } else { " " };
                out.extend_from_slice(text.as_bytes());
            }
            None => out.extend(goto(col.min(cols - 1))),
        }
        Look::current(at).write(out);
    }
}

fn last_cell(screen: &vt100::Screen, row: u16) -> Option<(u16, &vt100::Cell)> {
    let (_, cols) = screen.size();
    let col = cols.get() - 1;
    let cell = screen.cell(row, col)?;
    if cell.is_wide_continuation() {
        let col = col.checked_sub(1)?;
        return Some((col, screen.cell(row, col)?));
    }
    Some((col, cell))
}

/// First and last row of the scrolling region, from 0.
pub(crate) fn margins(screen: &vt100::Screen) -> (u16, u16) {
    let (rows, _) = screen.size();
    let whole = (0, rows.get() - 1);
    let top = after(screen, b"\x1b[?6h\x1b[H");
    let bottom = after(screen, b"\x1b[?6h\x1b[9999H");
    match (top, bottom) {
        (Some(top), Some(bottom)) => (top.cursor_position().0, bottom.cursor_position().0),
        _ => whole,
    }
}

/// Origin mode: does the top of the screen mean the top of the margins?
fn origin(screen: &vt100::Screen) -> bool {
    after(screen, b"\x1b[2;3r\x1b[H").is_some_and(|screen| screen.cursor_position().0 == 1)
}
