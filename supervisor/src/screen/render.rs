//! vt100's cells as text, plain and with colours.

use super::history::Row;
use super::model::guarded;

/// The rows without the blanks at their ends.
pub(crate) fn lines(screen: &vt100::Screen) -> Vec<String> {
    let (rows, cols) = screen.size();
    guarded(|| {
        screen
            .rows(0, cols.get())
            .map(|mut line| {
                line.truncate(line.trim_end_matches(' ').len());
                line
            })
            .collect()
    })
    .unwrap_or_else(|| vec![String::new(); usize::from(rows.get())])
}

/// The rows with their blanks, each with whether its line goes on in the next one.
pub(crate) fn rows(screen: &vt100::Screen) -> Vec<Row> {
    let (_, cols) = screen.size();
    let texts = guarded(|| screen.rows(0, cols.get()).collect()).unwrap_or_else(Vec::new);
    (0..).zip(texts).map(|(row, formatted)| Row { formatted, wraps: screen.row_wrapped(row) }).collect()
}

/// The rows without what is drawn dim or inverse, and without the blanks at their ends.
pub(crate) fn solid_lines(screen: &vt100::Screen) -> Vec<String> {
    let (rows, cols) = screen.size();
    let line = |row| {
        let cells =
            (0..cols.get()).filter_map(|col| screen.cell(row, col)).filter(|c| !c.is_wide_continuation());
        let text = |c: &vt100::Cell| match c.dim() || c.inverse() || !c.has_contents() {
            true => " ".to_owned(),
            false => c.contents().to_owned(),
        };
        let mut line: String = cells.map(text).collect();
        line.truncate(line.trim_end_matches(' ').len());
        line
    };
    (0..rows.get()).map(|row| guarded(|| line(row)).unwrap_or_default()).collect()
}

/// The rows with their colours, each complete in itself.
pub(crate) fn lines_ansi(screen: &vt100::Screen) -> Vec<Vec<u8>> {
    let (rows, _) = screen.size();
    (0..rows.get()).map(|row| guarded(|| line_ansi(screen, row)).unwrap_or_default()).collect()
}

/// One row with its colours. Begins with and returns to the default attributes; cells at the end that
/// are blank in the default colours are left out.
pub(crate) fn line_ansi(screen: &vt100::Screen, row: u16) -> Vec<u8> {
    let (_, cols) = screen.size();
    let mut out = Vec::new();
    let mut look = Look::default();
    let mut blanks = 0;
    for col in 0..cols.get() {
        let Some(cell) = screen.cell(row, col) else {
            break;
        };
        if cell.is_wide_continuation() {
            continue;
        }
        let next = Look::of(cell);
        let blank = !cell.has_contents() || cell.contents() == " ";
        if blank && next == Look::default() {
            blanks += 1;
            continue;
        }
        if blanks > 0 {
            look.change(Look::default(), &mut out);
            out.resize(out.len() + blanks, b' ');
            blanks = 0;
        }
        look.change(next, &mut out);
        if cell.has_contents() {
            out.extend_from_slice(cell.contents().as_bytes());
        } else {
            out.push(b' ');
        }
    }
    look.change(Look::default(), &mut out);
    out
}

/// The attributes of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Look {
    foreground: vt100::Color,
    background: vt100::Color,
    /// Bold, dim, italic, underline, inverse, as their SGR numbers; 0 where off.
    modes: [u8; 5],
}

impl Look {
    pub(crate) fn of(cell: &vt100::Cell) -> Self {
        let on = |is: bool, code: u8| if is { code } else { 0 };
        Self {
            foreground: cell.fgcolor(),
            background: cell.bgcolor(),
            modes: [
                on(cell.bold(), 1),
                on(cell.dim(), 2),
                on(cell.italic(), 3),
                on(cell.underline(), 4),
                on(cell.inverse(), 7),
            ],
        }
    }

    /// The attributes that the next character would get.
    pub(crate) fn current(screen: &vt100::Screen) -> Self {
        let on = |is: bool, code: u8| if is { code } else { 0 };
        Self {
            foreground: screen.fgcolor(),
            background: screen.bgcolor(),
            modes: [
                on(screen.bold(), 1),
                on(screen.dim(), 2),
                on(screen.italic(), 3),
                on(screen.underline(), 4),
                on(screen.inverse(), 7),
            ],
        }
    }

    /// Writes what turns this look into `next`, and becomes it.
    pub(crate) fn change(&mut self, next: Self, out: &mut Vec<u8>) {
        if *self != next {
            *self = next;
            next.write(out);
        }
    }

    /// Writes this look as one SGR that stands for itself.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if *self == Self::default() {
            out.extend_from_slice(b"\x1b[m");
            return;
        }
        out.extend_from_slice(b"\x1b[0");
        for code in self.modes.iter().filter(|code| **code != 0) {
            number(*code, out);
        }
        colour(self.foreground, 30, out);
        colour(self.background, 40, out);
        out.push(b'm');
    }
}

fn colour(colour: vt100::Color, base: u8, out: &mut Vec<u8>) {
    match colour {
        vt100::Color::Default => {}
        vt100::Color::Idx(n @ 0..8) => number(base + n, out),
        vt100::Color::Idx(n @ 8..16) => number(base + 60 + n - 8, out),
        vt100::Color::Idx(n) => [base + 8, 5, n].iter().for_each(|n| number(*n, out)),
        vt100::Color::Rgb(r, g, b) => {
            [base + 8, 2, r, g, b].iter().for_each(|n| number(*n, out));
        }
    }
}

/// A further parameter. By hand, as a screen may have a colour for each cell.
fn number(n: u8, out: &mut Vec<u8>) {
    out.push(b';');
    if n >= 100 {
        out.push(b'0' + n / 100);
    }
    if n >= 10 {
        out.push(b'0' + n / 10 % 10);
    }
    out.push(b'0' + n % 10);
}
