//! [`Terminal`]: one session's screen and modes, and the checkpoint it can be folded into.

use serde::{Deserialize, Serialize};

use super::history::{Row, Rows};
use super::ledger::Ledger;
use super::model::{Departed, Model, clamp};
use super::paint::{self, For};
use super::scan::Scanner;
use super::{CursorText, ScreenText, TermEvent, ViewerFilter, render};

/// A terminal as a value of a few KB: what it takes to go on from the log offset it stands at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Bytes of the stream that are in it.
    pub offset: u64,
    pub rows: u16,
    pub cols: u16,
    #[serde(with = "serde_bytes")]
    paint: Vec<u8>,
    ledger: Ledger,
    /// The unfinished sequence at the end.
    #[serde(with = "serde_bytes")]
    pending: Vec<u8>,
    overlong: bool,
    complete: [bool; 2],
}

impl Checkpoint {
    /// A scanner that stands where this was taken.
    pub(super) fn scanner(&self) -> Scanner {
        Scanner::resume(self.offset, &self.pending, self.overlong)
    }
}

/// The terminal of one session. Size is clamped to 2..=1000 rows and columns.
///
/// Invariant: between two calls everything taken from the stream is in the model and the ledger, except
/// for the bytes of an unfinished sequence, which the scanner holds.
pub struct Terminal {
    scanner: Scanner,
    pub(super) state: Interpreter,
}

/// All of a terminal but its scanner; the scanner's items come in here (see `interpret`).
pub(crate) struct Interpreter {
    pub(super) model: Model,
    pub(super) ledger: Ledger,
    /// Answer queries? Off while an old log is read again.
    pub(super) answers: bool,
    /// The model takes nothing: the bytes are known to make it panic.
    pub(super) muted: bool,
    /// Bytes for the model that it has not seen yet, and the offset of the first of them.
    pub(super) waiting: Vec<u8>,
    pub(super) waiting_from: u64,
    /// Offset up to which everything is in the model or in `waiting`.
    pub(super) done: u64,
    /// Is all of the main, of the alternate screen known?
    pub(super) complete: [bool; 2],
    pub(super) panics: u64,
}

impl Terminal {
    /// A blank terminal at offset 0 that answers queries.
    pub fn new(rows: u16, cols: u16) -> Self {
        Self::starting_at(0, rows, cols)
    }

    /// A blank terminal whose first byte has the given offset in the log.
    pub fn starting_at(offset: u64, rows: u16, cols: u16) -> Self {
        Self {
            scanner: Scanner::at(offset),
            state: Interpreter {
                model: Model::new(rows, cols, Departed(None)),
                ledger: Ledger::default(),
                answers: true,
                muted: false,
                waiting: Vec::new(),
                waiting_from: offset,
                done: offset,
                complete: [true; 2],
                panics: 0,
            },
        }
    }

    /// Takes the next bytes of the stream and appends what they said to `events`. Any split of the
    /// stream over calls gives the same screen and the same events (neighbouring replies joined).
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<TermEvent>) {
        let mut feeding = self.state.feeding(events);
        self.scanner.feed(bytes, &mut feeding);
        feeding.finish();
    }

    /// Takes bytes that made the parser panic once ([`TermEvent::Skipped`]): they change the modes but
    /// not the screen, which is blank and incomplete afterwards, as it was then.
    pub fn skip(&mut self, bytes: &[u8], events: &mut Vec<TermEvent>) {
        self.state.muted = true;
        self.feed(bytes, events);
        self.state.muted = false;
        self.state.blank();
    }

    /// Goes on at another offset, where the bytes in between are lost: blank, and incomplete until the
    /// program has drawn everything anew.
    pub fn jump(&mut self, offset: u64) {
        self.scanner = Scanner::at(offset);
        self.state.waiting_from = offset;
        self.state.done = offset;
        self.state.blank();
    }

    /// Changes the size. As in xterm, the lines keep to the bottom when the screen shrinks.
    pub fn resize(&mut self, rows: u16, cols: u16) {
        if clamp(rows, cols) == self.state.model.size() {
            return;
        }
        if self.state.model.resize(rows, cols).is_err() {
            self.state.panics += 1;
            self.state.blank_sized(rows, cols);
        }
    }

    /// Rows and columns.
    pub fn size(&self) -> (u16, u16) {
        self.state.model.size()
    }

    /// Offset in the log of the next byte to feed.
    pub fn offset(&self) -> u64 {
        self.scanner.offset()
    }

    /// Whether queries are answered (they are, unless switched off). An adopted log is read with
    /// answers off: its queries were answered by the last supervisor, or are too old to be.
    pub fn set_answers(&mut self, on: bool) {
        self.state.answers = on;
    }

    /// Is all of the screen in use known? Not after a parser panic, nor where the log begins late,
    /// until the program has drawn it anew.
    pub fn is_complete(&self) -> bool {
        self.state.complete[usize::from(self.state.ledger.alternate)]
    }

    /// Says that what is on the screen is not all there is (the log begins late).
    pub fn mark_incomplete(&mut self) {
        self.state.complete = [false; 2];
    }

    /// How often the parser panicked.
    pub fn panics(&self) -> u64 {
        self.state.panics
    }

    /// Is bracketed paste on?
    pub fn bracketed_paste(&self) -> bool {
        self.state.ledger.mode(2004) == Some(true)
    }

    /// Kitty keyboard flags in force, 0 for none: how a key must be encoded for the program.
    pub fn kitty_flags(&self) -> u8 {
        self.state.ledger.kitty_flags()
    }

    /// Do cursor keys go as `ESC O A` (DECCKM)?
    pub fn application_cursor(&self) -> bool {
        self.state.ledger.mode(1) == Some(true)
    }

    /// The screen in use, as text.
    pub fn contents(&self) -> ScreenText {
        let (rows, cols) = self.size();
        let (row, col) = self.state.model.cursor();
        ScreenText {
            rows,
            cols,
            cursor: CursorText {
                row: row.min(rows - 1),
                col: col.min(cols - 1),
                visible: self.state.ledger.mode(25) == Some(true),
            },
            title: self.state.ledger.title.clone(),
            alternate: self.state.ledger.alternate,
            lines: render::lines(self.state.model.screen()),
        }
    }

    /// The rows of the screen in use, without their colours, each with whether the terminal broke its line.
    pub fn rows(&self) -> Vec<Row> {
        render::rows(self.state.model.screen())
    }

    /// The rows with what is drawn dim or inverse left blank: hints and drawn cursors are no content.
    pub fn solid_lines(&self) -> Vec<String> {
        render::solid_lines(self.state.model.screen())
    }

    /// The rows of the screen in use with their colours as SGR, each complete in itself, without the
    /// blanks at its end.
    pub fn lines_ansi(&self) -> Vec<Vec<u8>> {
        render::lines_ansi(self.state.model.screen())
    }

    /// Everything a terminal of the same size needs to show this session from now on, whatever state
    /// it is in: a reset, both screens, cursor, margins and modes. Only a cursor outside of the margins in
    /// origin mode comes out elsewhere, on their edge.
    pub fn repaint(&self) -> Vec<u8> {
        paint::repaint(self.state.model.screen(), &self.state.ledger)
    }

    /// The filter for viewers that get [`Terminal::repaint`] now and the stream from here on.
    pub fn viewer_filter(&self) -> ViewerFilter {
        let (pending, overlong) = self.scanner.pending();
        ViewerFilter::resume(Scanner::resume(self.scanner.offset(), pending, overlong))
    }

    /// What brings a viewer's terminal back to its usual state at detach: modes off, main screen.
    /// Leaves what is on the main screen, and the cursor somewhere on it.
    pub fn reset_bytes() -> Vec<u8> {
        paint::RESET.to_vec()
    }

    /// [`Terminal::reset_bytes`], and the colours that this session changed.
    pub fn detach_bytes(&self) -> Vec<u8> {
        paint::detach(&self.state.ledger)
    }

    /// The terminal as a value. Exact but for what no program notices: the alternate screen while the
    /// main one is in use.
    pub fn checkpoint(&self) -> Checkpoint {
        let (rows, cols) = self.size();
        let (pending, overlong) = self.scanner.pending();
        Checkpoint {
            offset: self.scanner.offset(),
            rows,
            cols,
            paint: paint::picture(self.state.model.screen(), &self.state.ledger, For::Model),
            ledger: self.state.ledger.clone(),
            pending: pending.to_vec(),
            overlong,
            complete: self.state.complete,
        }
    }

    /// The terminal that a checkpoint was taken of, answering queries.
    pub fn restore(checkpoint: &Checkpoint) -> Self {
        let mut terminal = Self::starting_at(checkpoint.offset, checkpoint.rows, checkpoint.cols);
        terminal.scanner = checkpoint.scanner();
        let state = &mut terminal.state;
        state.ledger = checkpoint.ledger.clone();
        state.complete = checkpoint.complete;
        // The queries in a picture are none, so nothing of it is lost by feeding it straight.
        if state.model.process(&checkpoint.paint).is_err() {
            state.panics += 1;
            state.blank();
        }
        terminal
    }

    /// `terminal`, from now on keeping the rows that leave its main screen.
    pub(crate) fn recording(mut terminal: Self, rows: Rows) -> Self {
        terminal.state.model.record(rows);
        terminal
    }

    pub(crate) fn take_recorded(&mut self) -> Option<Rows> {
        self.state.model.departed().0
    }
}

impl Interpreter {
    /// Puts a blank screen in the place of one that cannot be trusted; the ledger stays.
    pub(super) fn blank(&mut self) {
        let (rows, cols) = self.model.size();
        self.blank_sized(rows, cols);
    }

    fn blank_sized(&mut self, rows: u16, cols: u16) {
        let departed = self.model.departed();
        self.model = Model::new(rows, cols, departed);
        if self.ledger.alternate {
            // A blank screen that panics on this would panic on anything.
            let _ = self.model.process(b"\x1b[?47h");
        }
        self.complete = [false; 2];
    }
}
