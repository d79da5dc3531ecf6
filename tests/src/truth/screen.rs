//! What a recording keeps of a screen, and the text that the core is given of it again.

use dsx_core::ScreenText;
use dsx_supervisor::screen::Terminal;
use serde::{Deserialize, Serialize};

use super::strip::Words;

pub const ROWS: u16 = 40;
pub const COLS: u16 = 120;

/// The rows that are kept, from the top, and where they differ without what is drawn dim or inverse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    rows: Vec<(u16, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    solid: Vec<(u16, String)>,
    cursor: (u16, u16),
}

impl Screen {
    pub(super) fn of(terminal: &Terminal, words: &Words) -> Self {
        let shown = shown(terminal);
        let mut screen = Self { cursor: (shown.cursor_row, shown.cursor_col), ..Self::default() };
        for (n, (line, solid)) in (0..).zip(shown.lines.iter().zip(&shown.solid)) {
            let Some(kept) = words.row(line) else { continue };
            let kept_solid = words.row(solid).unwrap_or_default();
            if kept_solid != kept {
                screen.solid.push((n, kept_solid));
            }
            screen.rows.push((n, kept));
        }
        screen
    }

    /// As the core is given it.
    #[must_use]
    pub fn text(&self) -> ScreenText {
        let mut lines = vec![String::new(); usize::from(ROWS)];
        let put = |rows: &[(u16, String)], into: &mut [String]| {
            for (n, row) in rows {
                into[usize::from(*n)].clone_from(row);
            }
        };
        put(&self.rows, &mut lines);
        let mut solid = lines.clone();
        put(&self.solid, &mut solid);
        ScreenText { lines, solid, cursor_row: self.cursor.0, cursor_col: self.cursor.1 }
    }
}

/// A terminal's screen as the core is given it.
pub(super) fn shown(terminal: &Terminal) -> ScreenText {
    let shown = terminal.contents();
    ScreenText {
        lines: shown.lines,
        solid: terminal.solid_lines(),
        cursor_row: shown.cursor.row,
        cursor_col: shown.cursor.col,
    }
}
