//! The rows of the input box: a draft of any length in a few rows around its cursor.

use crate::output::sanitize::multi_line;
use crate::output::width::{fitting, width};

/// Bytes that are looked at on either side of the cursor: a draft of megabytes is drawn as fast as a word.
const LOOK_BEFORE: usize = 4096;
const LOOK_BEHIND: usize = 1024;

/// Some rows and the cell of the cursor in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrapped {
    pub(super) rows: Vec<String>,
    pub(super) cursor: (usize, usize),
}

/// The part around the cursor in at most `max` rows of `cols` cells, both at least 1.
pub(super) fn wrap(before: &str, behind: &str, cols: usize, max: usize) -> Wrapped {
    let tail = &before[before.ceil_char_boundary(before.len().saturating_sub(LOOK_BEFORE))..];
    let head = &behind[..behind.floor_char_boundary(LOOK_BEHIND)];
    let mut rows = broken(&multi_line(tail), cols);
    // The cursor needs a cell of its own behind a full row.
    if rows.last().is_some_and(|row| width(row) >= cols) {
        rows.push(String::new());
    }
    let row = rows.len() - 1;
    let col = width(&rows[row]);
    if let Some(last) = rows.pop() {
        rows.extend(broken(&format!("{last}{}", multi_line(head)), cols));
    }
    // What is behind the cursor may begin with something that belongs to the cell before it.
    let row = row.min(rows.len() - 1);
    let first = (row + 1).saturating_sub(max);
    let last = rows.len().min(first + max);
    Wrapped { rows: rows.drain(first..last).collect(), cursor: (row - first, col.min(cols - 1)) }
}

/// The rows of a sanitised text; at least one.
fn broken(text: &str, cols: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let line = line.replace('\t', "    ");
        let mut rest = line.as_str();
        loop {
            let row = fitting(rest, cols);
            // A character wider than the terminal: a mark in its place, or there would be no end.
            if row.is_empty() && !rest.is_empty() {
                let mut chars = rest.chars();
                chars.next();
                rest = chars.as_str();
                rows.push("?".to_owned());
            } else {
                rest = &rest[row.len()..];
                rows.push(row.to_owned());
            }
            if rest.is_empty() {
                break;
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(before: &str, behind: &str, cols: usize, max: usize) -> (Vec<String>, (usize, usize)) {
        let w = wrap(before, behind, cols, max);
        (w.rows, w.cursor)
    }

    fn rows(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|r| (*r).to_owned()).collect()
    }

    #[test]
    fn rows_break_at_newlines_and_at_the_edge() {
        assert_eq!(wrapped("", "", 5, 3), (rows(&[""]), (0, 0)));
        assert_eq!(wrapped("abc", "", 5, 3), (rows(&["abc"]), (0, 3)));
        assert_eq!(wrapped("abcde", "", 5, 3), (rows(&["abcde", ""]), (1, 0)));
        assert_eq!(wrapped("ab\ncd", "ef\ng", 5, 9), (rows(&["ab", "cdef", "g"]), (1, 2)));
        assert_eq!(wrapped("abcdefg", "hijkl", 5, 9), (rows(&["abcde", "fghij", "kl"]), (1, 2)));
        assert_eq!(wrapped("漢字漢", "", 5, 9), (rows(&["漢字", "漢"]), (1, 2)));
    }

    #[test]
    fn the_cursor_stays_in_sight() {
        assert_eq!(wrapped("a\nb\nc\nd", "\ne", 5, 2), (rows(&["c", "d"]), (1, 1)));
        assert_eq!(wrapped("a", "\nb\nc\nd", 5, 2), (rows(&["a", "b"]), (0, 1)));
    }

    #[test]
    fn every_size_has_a_cell_for_the_cursor() {
        let texts =
            ["", "a", "漢字", "e\u{301}❤\u{fe0f}\t\x1b[31m", "\n\n\n", "🙂🙂🙂\u{200d}🙂", "word word word"];
        for cols in 1..8 {
            for max in 1..4 {
                for before in texts {
                    for behind in texts {
                        let w = wrap(before, behind, cols, max);
                        assert!(!w.rows.is_empty() && w.rows.len() <= max);
                        assert!(w.rows.iter().all(|r| width(r) <= cols), "{w:?} at {cols}");
                        assert!(w.cursor.0 < w.rows.len() && w.cursor.1 < cols, "{w:?} at {cols}");
                        assert!(w.rows.iter().all(|r| !r.chars().any(char::is_control)));
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_draft_is_not_read_as_a_whole() {
        let long = "é".repeat(1 << 20);
        assert_eq!(wrap(&long, &long, 40, 3).rows.len(), 3);
    }
}
