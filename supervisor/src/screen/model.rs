//! vt100 behind a guard: it panics on some inputs (a wide character cut by the edge, tiny sizes), and
//! a panic in a parser must cost a screen, never a session.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::history::Rows;

/// Rows and columns below which vt100 is known to panic within a few bytes.
const SMALLEST: u16 = 2;
/// Beyond this a screen costs more memory than any viewer could show.
const LARGEST: u16 = 1000;

/// vt100 panicked; the model is in an unknown state and must be replaced.
#[derive(Debug)]
pub(crate) struct Panicked;

/// The size that is really used for one that was asked for.
pub(crate) fn clamp(rows: u16, cols: u16) -> (u16, u16) {
    (rows.clamp(SMALLEST, LARGEST), cols.clamp(SMALLEST, LARGEST))
}

/// The lines that leave the top of the main screen, for whoever wants them.
#[derive(Default)]
pub(crate) struct Departed(pub(crate) Option<Rows>);

impl vt100::Callbacks for Departed {
    fn on_scroll(&mut self, row: vt100::capture::RowContents<'_>, alternate: bool) {
        if let Some(rows) = &mut self.0
            && !alternate
        {
            rows.take(&row);
        }
    }
}

/// The screen as vt100 keeps it, without scrollback.
pub(crate) struct Model {
    parser: vt100::Parser<Departed>,
}

impl Model {
    pub(crate) fn new(rows: u16, cols: u16, departed: Departed) -> Self {
        let (rows, cols) = clamp(rows, cols);
        let (rows, cols) = (nonzero(rows), nonzero(cols));
        Self { parser: vt100::Parser::new_with_callbacks(rows, cols, 0, departed) }
    }

    pub(crate) fn process(&mut self, bytes: &[u8]) -> Result<(), Panicked> {
        let parser = &mut self.parser;
        catch_unwind(AssertUnwindSafe(|| parser.process(bytes))).map_err(|_| Panicked)
    }

    pub(crate) fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Panicked> {
        // vt100 remembers how many lines have ever left the screen and, growing, puts as many blank
        // ones on top of it; a restored model would not know the number. Forgetting it makes a screen
        // grow at the bottom, always. Both screens have such a count.
        self.process(b"\x1b[3J")?;
        if self.screen().alternate_screen() {
            self.process(b"\x1b[?47l\x1b[3J\x1b[?47h")?;
        }
        let (rows, cols) = clamp(rows, cols);
        let parser = &mut self.parser;
        catch_unwind(AssertUnwindSafe(|| {
            parser.set_size(nonzero(rows), nonzero(cols));
        }))
        .map_err(|_| Panicked)
    }

    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    pub(crate) fn size(&self) -> (u16, u16) {
        let (rows, cols) = self.screen().size();
        (rows.get(), cols.get())
    }

    /// Row and column from 0; the column is the number of columns where the next character wraps.
    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.screen().cursor_position()
    }

    /// From now on keeps the rows that leave the main screen.
    pub(crate) fn record(&mut self, rows: Rows) {
        self.parser.callbacks_mut().0 = Some(rows);
    }

    pub(crate) fn departed(&mut self) -> Departed {
        std::mem::take(self.parser.callbacks_mut())
    }
}

/// What `screen` would be after `bytes`: how state is read that vt100 keeps to itself (the other screen,
/// the margins, the saved cursor). Copies all cells, so it is not for every turn.
pub(crate) fn after(screen: &vt100::Screen, bytes: &[u8]) -> Option<vt100::Screen> {
    guarded(|| {
        let smallest = NonZeroU16::MIN;
        let mut parser = vt100::Parser::new(smallest, smallest, 0);
        let empty = std::mem::replace(parser.screen_mut(), screen.clone());
        parser.process(bytes);
        std::mem::replace(parser.screen_mut(), empty)
    })
}

/// Runs code that reads from vt100, which may panic there too.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

fn nonzero(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}
