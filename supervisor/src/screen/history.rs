//! Lines that left the screen, rendered again from the bytes of the log.
//!
//! vt100's own scrollback stays off (it costs 32 bytes a cell for ever); this keeps the last N rows as
//! text, only while somebody asks for them.

use std::collections::VecDeque;

use super::Checkpoint;
use super::terminal::Terminal;

/// One row of a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// With its colours as SGR, reset at its end.
    pub formatted: String,
    /// The terminal broke the line here; it goes on in the next row.
    pub wraps: bool,
}

impl Row {
    /// Without its colours, blanks at its end included.
    #[must_use]
    pub fn plain(&self) -> String {
        plain(&self.formatted)
    }

    /// Without its colours and the blanks at its end.
    #[must_use]
    pub fn text(&self) -> String {
        self.plain().trim_end().to_owned()
    }
}

/// The newest rows that left the top of the main screen, oldest first.
#[derive(Debug)]
pub(crate) struct Rows {
    limit: usize,
    rows: VecDeque<Row>,
}

impl Rows {
    pub(crate) fn take(&mut self, row: &vt100::capture::RowContents<'_>) {
        if self.limit == 0 {
            return;
        }
        let mut text = String::new();
        let mut state = vt100::capture::BasicFormattedCaptureState::new();
        // Writing to a string cannot fail, and a row that could not be written would be an empty one.
        let _ = row.write_formatted_basic(&mut text, &mut state);
        if text.contains('\x1b') {
            text.push_str("\x1b[m");
        }
        // vt100 tells whether a row wraps only by what it writes before the next one.
        let mut next = String::new();
        let _ = row.write_formatted_basic(&mut next, &mut state);
        if self.rows.len() == self.limit {
            self.rows.pop_front();
        }
        self.rows.push_back(Row { formatted: text, wraps: !next.starts_with('\n') });
    }
}

/// A terminal that is fed old bytes for the sake of the rows that leave it. Costs one screen and the
/// text of the rows kept; drop it when they have been read.
pub struct History {
    terminal: Terminal,
}

impl History {
    /// Goes on from `terminal` and keeps the newest `limit` rows.
    pub fn of(terminal: Terminal, limit: usize) -> Self {
        let rows = Rows { limit, rows: VecDeque::new() };
        Self { terminal: Terminal::recording(terminal, rows) }
    }

    /// Starts on the screen of a checkpoint, so that the rows on it come out whole.
    pub fn after(checkpoint: &Checkpoint, limit: usize) -> Self {
        Self::of(Terminal::restore(checkpoint), limit)
    }

    /// The terminal, to be fed and resized.
    pub fn terminal_mut(&mut self) -> &mut Terminal {
        &mut self.terminal
    }

    /// The terminal as it now is, for what is still on the screen.
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// The rows that left the screen, oldest first.
    pub fn into_rows(mut self) -> Vec<Row> {
        let rows = self.terminal.take_recorded();
        rows.map(|rows| rows.rows.into()).unwrap_or_default()
    }
}

/// A formatted row without its colours.
pub fn plain(row: &str) -> String {
    vt100::capture::basic_formatted_to_plain(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(limit: usize, pieces: &[String]) -> History {
        let mut history = History::of(Terminal::new(3, 20), limit);
        for piece in pieces {
            history.terminal_mut().feed(piece.as_bytes(), &mut Vec::new());
        }
        history
    }

    #[test]
    fn rows_that_left_come_out_in_order_and_bounded() {
        let lines: Vec<_> = (0..20).map(|i| format!("\x1b[3{}mline {i}\x1b[m\r\n", i % 8)).collect();
        let history = history(5, &lines);
        let rows = history.into_rows();
        let plain: Vec<_> = rows.iter().map(Row::plain).collect();
        assert_eq!(plain, ["line 13", "line 14", "line 15", "line 16", "line 17"]);
        assert_eq!(rows[0].formatted, "\x1b[35mline 13\x1b[m");
    }

    #[test]
    fn the_alternate_screen_leaves_no_history() {
        let mut pieces = vec!["a\r\nb\r\n\x1b[?1049h".to_owned()];
        pieces.extend((0..20).map(|i| format!("alt {i}\r\n")));
        pieces.push("\x1b[?1049lc\r\nd\r\n".to_owned());
        let history = history(50, &pieces);
        let rows: Vec<_> = history.into_rows().iter().map(Row::plain).collect();
        assert_eq!(rows, ["a", "b"]);
    }

    #[test]
    fn a_wrapped_line_is_known_as_one() {
        let history = history(9, &["x".repeat(25), "\r\n".to_owned(), "y".repeat(20), "\r\n\n\n".to_owned()]);
        let wraps: Vec<_> = history.into_rows().iter().map(|row| row.wraps).collect();
        assert_eq!(wraps, [true, false, false]);
    }
}
