//! The picture: what stays scrolls up and away like any program's output, and below it a small region, with
//! the input box in it, is drawn over and over in place.
//!
//! The region is never higher than the screen. Bounded in all: lines that have scrolled away are the
//! terminal's, only the last few are kept here, to paint the screen anew after a resize.

use std::collections::VecDeque;

use super::agent::{Block, View};
use super::status::Status;
use super::wrap::wrap;
use crate::output::colour::{Paint, Style};
use crate::output::sanitize::{multi_line, one_line};
use crate::output::width::{Size, cut, width};

/// Lines kept for painting anew, and the cells of each.
const KEPT_LINES: usize = 300;
const KEPT_CELLS: usize = 2000;
/// Lines of a message that are shown once it was taken.
const MESSAGE_LINES: usize = 12;
/// Waiting messages that are shown.
const QUEUED_SHOWN: usize = 3;
const SPINNER: [&str; 4] = ["·", "✢", "✻", "✽"];

/// A line that stays.
#[derive(Debug, Clone)]
struct Line {
    mark: &'static str,
    style: Style,
    text: String,
    /// Whether the text has the mark's look too.
    styled: bool,
}

/// A row of the region. Where there is no room for all rows, those of the highest rank go first.
struct Row {
    rank: u8,
    style: Option<Style>,
    text: String,
}

#[derive(Debug)]
pub(super) struct Screen {
    size: Size,
    paint: Paint,
    /// The rows of the region as they are drawn, and the row of the cursor.
    region: Vec<String>,
    cursor: (usize, usize),
    kept: VecDeque<Line>,
    /// What is to stay and is not drawn yet.
    pending: String,
    /// Status records, which follow what was drawn: who hears one and looks finds the picture it is of.
    statuses: String,
    repaint: bool,
}

impl Screen {
    pub(super) fn new(size: Size, paint: Paint) -> Self {
        Self {
            size,
            paint,
            region: Vec::new(),
            cursor: (0, 0),
            kept: VecDeque::new(),
            pending: String::new(),
            statuses: String::new(),
            repaint: false,
        }
    }

    /// The terminal's size, perhaps a new one: its rows may have been moved about, all is painted anew.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
        self.repaint = true;
    }

    pub(super) fn repaint(&mut self) {
        self.repaint = true;
    }

    pub(super) fn status(&mut self, status: &Status) {
        self.statuses.push_str(&status.escape());
    }

    pub(super) fn banner(&mut self, version: &str) {
        self.line("", Style::Bold, &format!("dsx demo agent {version}"), true);
        self.line(
            "",
            Style::Dim,
            "A scripted stand-in for a coding agent. Say 'help' to see what it does.",
            true,
        );
    }

    pub(super) fn show(&mut self, block: &Block) {
        match block {
            Block::User(text) => {
                self.line("", Style::Dim, "", false);
                self.message(text);
            }
            Block::Answer(text) => self.marked("● ", Style::Green, text, false),
            Block::Error(text) => self.marked("✗ ", Style::Red, text, true),
            Block::Note(text) => self.marked("⎿ ", Style::Dim, text, true),
        }
    }

    fn marked(&mut self, mark: &'static str, style: Style, text: &str, styled: bool) {
        for (n, line) in multi_line(text).split('\n').enumerate() {
            self.line(if n == 0 { mark } else { "  " }, style, line, styled);
        }
    }

    fn message(&mut self, text: &str) {
        let shown = multi_line(text);
        let more = shown.split('\n').count().saturating_sub(MESSAGE_LINES);
        for (n, line) in shown.split('\n').take(MESSAGE_LINES).enumerate() {
            let line = cut(line, KEPT_CELLS);
            self.line(if n == 0 { "> " } else { "  " }, Style::Bold, &line, true);
        }
        if more > 0 {
            self.line("  ", Style::Dim, &format!("… {more} more lines, {} bytes in all", text.len()), true);
        }
    }

    fn line(&mut self, mark: &'static str, style: Style, text: &str, styled: bool) {
        // The terminal breaks it: so it can be copied, and searched for, as one line.
        let line = Line { mark, style, text: text.to_owned(), styled };
        self.pending.push_str(&self.painted(&line));
        self.pending.push_str("\r\n");
        self.kept.push_back(Line { text: cut(text, KEPT_CELLS).into_owned(), ..line });
        if self.kept.len() > KEPT_LINES {
            self.kept.pop_front();
        }
    }

    fn painted(&self, line: &Line) -> String {
        let mark = self.paint.paint(line.style, line.mark);
        match line.styled {
            true => format!("{mark}{}", self.paint.paint(line.style, &line.text)),
            false => format!("{mark}{}", line.text),
        }
    }

    /// Brings the terminal up to date, by as little as will do.
    pub(super) fn draw(&mut self, view: &View<'_>, out: &mut Vec<u8>) {
        let (rows, cursor) = self.region_of(view);
        let mut drawn = String::new();
        if self.repaint || !self.pending.is_empty() || rows.len() != self.region.len() {
            self.erase(&mut drawn);
            // Also before a repaint: what stays must have been on the terminal once, to be in its history.
            drawn.push_str(&std::mem::take(&mut self.pending));
            if std::mem::take(&mut self.repaint) {
                drawn.push_str("\x1b[H\x1b[2J");
                self.draw_kept(rows.len(), &mut drawn);
            }
            draw_all(&rows, cursor, &mut drawn);
        } else if rows != self.region || cursor != self.cursor {
            self.draw_changed(&rows, cursor, &mut drawn);
        }
        (self.region, self.cursor) = (rows, cursor);
        drawn.push_str(&std::mem::take(&mut self.statuses));
        out.extend_from_slice(drawn.as_bytes());
    }

    /// Takes the region away; what stays, stays.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        let mut drawn = String::new();
        self.erase(&mut drawn);
        drawn.push_str(&std::mem::take(&mut self.pending));
        drawn.push_str(&std::mem::take(&mut self.statuses));
        self.region.clear();
        self.cursor = (0, 0);
        out.extend_from_slice(drawn.as_bytes());
    }

    fn erase(&self, drawn: &mut String) {
        if !self.region.is_empty() {
            go_up(self.cursor.0, drawn);
            drawn.push_str("\r\x1b[J");
        }
    }

    fn draw_changed(&self, rows: &[String], cursor: (usize, usize), drawn: &mut String) {
        go_up(self.cursor.0, drawn);
        let mut at = 0;
        for (n, row) in rows.iter().enumerate().filter(|(n, row)| self.region[*n] != **row) {
            go_down(n - at, drawn);
            at = n;
            drawn.push_str("\r\x1b[2K");
            drawn.push_str(row);
        }
        match cursor.0 >= at {
            true => go_down(cursor.0 - at, drawn),
            false => go_up(at - cursor.0, drawn),
        }
        go_to_column(cursor.1, drawn);
    }

    fn draw_kept(&self, below: usize, drawn: &mut String) {
        let cols = usize::from(self.size.cols);
        let mut room = usize::from(self.size.rows).saturating_sub(below);
        let mut first = self.kept.len();
        for line in self.kept.iter().rev() {
            let cells = width(line.mark) + width(&line.text.replace('\t', "        "));
            // One more for each row whose last cell a wide character did not fit into, at the worst.
            let rows = cells.div_ceil(cols.saturating_sub(1).max(1)).max(1);
            if rows > room {
                break;
            }
            room -= rows;
            first -= 1;
        }
        for line in self.kept.range(first..) {
            drawn.push_str(&self.painted(line));
            drawn.push_str("\r\n");
        }
    }

    fn region_of(&self, view: &View<'_>) -> (Vec<String>, (usize, usize)) {
        let (cols, height) = (usize::from(self.size.cols), usize::from(self.size.rows));
        let mut above = rows_above(view, cols);
        let (before, behind) = view.draft.parts();
        let prefix = if cols >= 8 { 2 } else { 0 };
        let input = wrap(before, behind, cols - prefix, (height / 3).clamp(1, 10));
        let mut below = vec![
            Row { rank: 3, style: Some(Style::Dim), text: "─".repeat(cols) },
            Row { rank: 4, style: Some(Style::Dim), text: format!("  {}", one_line(view.hint)) },
        ];
        while above.len() + input.rows.len() + below.len() > height {
            if !drop_least(&mut above, &mut below) {
                break;
            }
        }
        let cursor = (above.len() + input.cursor.0, prefix + input.cursor.1);
        let painted = |row: &Row| {
            let text = cut(&row.text, cols);
            row.style.map_or_else(|| text.to_string(), |style| self.paint.paint(style, &text).to_string())
        };
        let mut rows: Vec<String> = above.iter().map(painted).collect();
        rows.extend(input.rows.iter().enumerate().map(|(n, text)| match (prefix, n) {
            (0, _) => text.clone(),
            (_, 0) => format!("> {text}"),
            _ => format!("  {text}"),
        }));
        rows.extend(below.iter().map(painted));
        (rows, cursor)
    }
}

fn rows_above(view: &View<'_>, cols: usize) -> Vec<Row> {
    let mut rows = vec![Row { rank: 5, style: None, text: String::new() }];
    if let Some(question) = view.question {
        let text = format!("? {}", one_line(&question.text));
        rows.push(Row { rank: 0, style: Some(Style::Yellow), text });
        rows.extend(question.options.iter().enumerate().map(|(n, option)| Row {
            rank: 1,
            style: None,
            text: format!("  {}. {}", n + 1, one_line(option)),
        }));
    }
    if let Some((seconds, spin)) = view.working {
        let text = format!("{} working… {seconds}s", SPINNER[spin % SPINNER.len()]);
        rows.push(Row { rank: 0, style: Some(Style::Cyan), text });
    }
    let dim = |text| Row { rank: 2, style: Some(Style::Dim), text };
    for message in view.queued.iter().take(QUEUED_SHOWN) {
        let head = &message[..message.floor_char_boundary(cols * 4)];
        rows.push(dim(format!("  queued: {}", one_line(head))));
    }
    if let more @ 1.. = view.queued.len().saturating_sub(QUEUED_SHOWN) {
        rows.push(dim(format!("  … and {more} more queued")));
    }
    rows.push(Row { rank: 3, style: Some(Style::Dim), text: "─".repeat(cols) });
    rows
}

/// Drops the row of the highest rank, of equals the last; false if there is none.
fn drop_least(above: &mut Vec<Row>, below: &mut Vec<Row>) -> bool {
    let last_of =
        |rows: &[Row]| rows.iter().enumerate().max_by_key(|(n, r)| (r.rank, *n)).map(|(n, r)| (r.rank, n));
    match (last_of(above), last_of(below)) {
        (Some((a, n)), b) if b.is_none_or(|(b, _)| a > b) => above.remove(n),
        (_, Some((_, n))) => below.remove(n),
        _ => return false,
    };
    true
}

/// Draws the region from its first cell, and puts the cursor into it.
fn draw_all(rows: &[String], cursor: (usize, usize), drawn: &mut String) {
    drawn.push_str(&rows.join("\r\n"));
    go_up(rows.len() - 1 - cursor.0, drawn);
    go_to_column(cursor.1, drawn);
}

fn go_up(rows: usize, drawn: &mut String) {
    if rows > 0 {
        drawn.push_str(&format!("\x1b[{rows}A"));
    }
}

fn go_down(rows: usize, drawn: &mut String) {
    if rows > 0 {
        drawn.push_str(&format!("\x1b[{rows}B"));
    }
}

fn go_to_column(col: usize, drawn: &mut String) {
    drawn.push_str(&format!("\x1b[{}G", col + 1));
}

#[cfg(test)]
mod tests;
