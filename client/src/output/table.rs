//! Tables that fit: on a terminal no line is wider than it, elsewhere nothing is ever cut.

use super::colour::{Paint, Style};
use super::sanitize::one_line;
use super::width::{cut, width};

/// Cells between two columns.
const GAP: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// What is known of a column before any row is.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    /// The lower, the longer it stays: where not even the least widths fit, the column with the highest rank
    /// goes first (of equals the later one).
    pub rank: u8,
    /// It is cut down to so many cells before any column goes.
    pub least: usize,
    pub align: Align,
}

impl Column {
    /// A column that is never cut while another can go: an id, a status.
    #[must_use]
    pub const fn whole(title: &'static str, rank: u8) -> Self {
        Self { title, rank, least: usize::MAX, align: Align::Left }
    }

    /// A column that may be cut down to `least` cells: a path, a description.
    #[must_use]
    pub const fn cuttable(title: &'static str, rank: u8, least: usize) -> Self {
        Self { title, rank, least, align: Align::Left }
    }

    #[must_use]
    pub const fn right(self) -> Self {
        Self { align: Align::Right, ..self }
    }
}

/// One field of a row. Its text is sanitised here, so that no caller can forget it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: one_line(text).trim().to_owned(), style: None }
    }

    #[must_use]
    pub fn styled(text: &str, style: Style) -> Self {
        Self { style: Some(style), ..Self::new(text) }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. Cells that are missing are empty; cells beyond the last column are not shown.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table with its titles, each line ended by a newline and none by a space. `cells` is the width of
    /// the terminal; `None` where there is none: nothing is cut or left out.
    #[must_use]
    pub fn render(&self, cells: Option<usize>, paint: Paint) -> String {
        let natural: Vec<usize> = (0..self.columns.len()).map(|i| self.natural_width(i)).collect();
        let widths = match cells {
            Some(cells) => fit(&self.columns, &natural, cells.max(1)),
            None => natural.into_iter().map(Some).collect(),
        };
        let titles: Vec<Cell> = self.columns.iter().map(|c| Cell::styled(c.title, Style::Bold)).collect();
        let mut shown = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            self.render_row(row, &widths, paint, &mut shown);
        }
        shown
    }

    fn natural_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(&cell.text));
        cells.chain([width(self.columns[column].title)]).max().unwrap_or(0)
    }

    fn render_row(&self, row: &[Cell], widths: &[Option<usize>], paint: Paint, shown: &mut String) {
        let mut pending = 0; // spaces, written only once something follows them
        let mut first = true;
        for (i, (column, cells)) in self.columns.iter().zip(widths).enumerate() {
            let Some(cells) = *cells else { continue };
            pending += if first { 0 } else { GAP };
            first = false;
            let cell = row.get(i);
            let text = cell.map(|c| cut(&c.text, cells)).unwrap_or_default();
            let padding = cells - width(&text);
            if text.is_empty() {
                pending += cells;
                continue;
            }
            if column.align == Align::Right {
                pending += padding;
            }
            shown.extend(std::iter::repeat_n(' ', pending));
            match cell.and_then(|c| c.style) {
                Some(style) => shown.push_str(&paint.paint(style, &text).to_string()),
                None => shown.push_str(&text),
            }
            pending = if column.align == Align::Left { padding } else { 0 };
        }
        shown.push('\n');
    }
}

/// The width of each column that is shown: as it is where all fit, else cut down, the least important
/// first, else without the least important. One column is always shown, in what there is.
fn fit(columns: &[Column], natural: &[usize], cells: usize) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|i| columns[*i].rank);
    let mut widths: Vec<Option<usize>> = vec![None; columns.len()];
    let least = |i: usize| natural[i].min(columns[i].least.max(1));
    let needed = |shown: &[usize]| {
        shown.iter().fold(GAP * shown.len().saturating_sub(1), |sum, i| sum.saturating_add(least(*i)))
    };
    while order.len() > 1 && needed(&order) > cells {
        order.pop();
    }
    let mut spare = cells.saturating_sub(needed(&order));
    for i in order {
        let more = spare.min(natural[i] - least(i));
        spare -= more;
        widths[i] = Some((least(i) + more).min(cells));
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Table {
        let mut table = Table::new(&[
            Column::whole("ID", 0),
            Column::whole("STATUS", 1),
            Column::whole("AGE", 3).right(),
            Column::cuttable("DESCRIPTION", 2, 8),
        ]);
        let row = |cells: [&str; 4]| cells.map(Cell::from);
        table.row(row(["fizz-top", "idle", "3m", "answers the mail\nand more"]));
        table.row(row(["ahri-mid", "waiting_for_input", "12h", ""]));
        table.row(row(["漢字", "x\x1b[31m", "", "🙂 \u{202e}evil"]));
        table.row([Cell::styled("short", Style::Green)]);
        table
    }

    #[test]
    fn without_a_terminal_all_is_shown_and_aligned() {
        let expected = "\
ID        STATUS             AGE  DESCRIPTION
fizz-top  idle                3m  answers the mail and more
ahri-mid  waiting_for_input  12h
漢字      x␛[31m                  🙂 evil
short
";
        assert_eq!(sessions().render(None, Paint::PLAIN), expected);
        assert_eq!(sessions().render(Some(200), Paint::PLAIN), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_or_ends_in_a_space() {
        for cells in 0..120 {
            for line in sessions().render(Some(cells), Paint::PLAIN).lines() {
                assert!(width(line) <= cells.max(1), "{cells}: {line:?}");
                assert!(!line.ends_with(' '), "{cells}: {line:?}");
            }
        }
    }

    #[test]
    fn text_is_cut_first_then_columns_go_by_rank() {
        let at = |cells| sessions().render(Some(cells), Paint::PLAIN);
        assert!(at(42).contains("answers…"), "{}", at(42));
        assert!(at(42).contains("AGE"));
        assert!(!at(38).contains("AGE") && at(38).contains("DESC"), "{}", at(38));
        assert!(!at(30).contains("DESC") && at(30).contains("STATUS"), "{}", at(30));
        assert_eq!(at(8), "ID\nfizz-top\nahri-mid\n漢字\nshort\n");
        assert_eq!(at(3), "ID\nfi…\nah…\n漢…\nsh…\n");
        assert_eq!(at(1), "…\n…\n…\n…\n…\n");
    }

    #[test]
    fn colours_take_no_room() {
        let shown = sessions().render(Some(40), Paint::COLOURED);
        assert!(shown.contains("\x1b[32mshort\x1b[0m"));
        assert!(shown.starts_with("\x1b[1mID\x1b[0m        \x1b[1mSTATUS"));
    }

    #[test]
    fn a_table_of_nothing_is_its_titles() {
        let table = Table::new(&[Column::whole("ID", 0)]);
        assert!(table.is_empty());
        assert_eq!(table.render(Some(80), Paint::PLAIN), "ID\n");
        assert_eq!(Table::new(&[]).render(Some(80), Paint::PLAIN), "\n");
    }
}
