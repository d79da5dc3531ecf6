//! The terminal of a session: bytes in, a screen, events and answers out. Pure: no IO, no clock.
//!
//! The supervisor *is* the terminal of every agent: it keeps the screen, answers the agent's queries
//! ([`TermEvent::Reply`]), and hands viewers the output without those queries ([`ViewerFilter`]).
//!
//! `scan` cuts the stream into sequences, `interpret` decides what each means, `rewrite` puts into
//! vt100's words what it would misread, `model` guards vt100's panics, `ledger` keeps the modes vt100
//! does not, `paint` turns all of it back into bytes, `history` renders lines that left the screen.

mod answer;
mod csi;
mod history;
mod interpret;
mod ledger;
mod model;
mod paint;
mod render;
mod rewrite;
mod scan;
mod terminal;
mod viewer;

#[cfg(test)]
pub(crate) mod tests;

pub use history::{History, Row, plain};
pub(crate) use model::clamp;
pub use terminal::{Checkpoint, Terminal};
pub use viewer::ViewerFilter;

/// What is on a screen, as text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ScreenText {
    pub rows: u16,
    pub cols: u16,
    pub cursor: CursorText,
    /// As the program set it, up to 1 KiB; not sanitised.
    pub title: String,
    /// The alternate screen is in use (full-screen programs).
    pub alternate: bool,
    /// One entry per row, without the blanks at its end.
    pub lines: Vec<String>,
}

/// Where the cursor stands; row and column from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CursorText {
    pub row: u16,
    pub col: u16,
    pub visible: bool,
}

/// What a program said to its terminal that is not (only) a matter of the screen, in stream order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermEvent {
    /// Bytes to type into the program: the answer to one or several queries in a row.
    Reply(Vec<u8>),
    /// A status report, without `7501;` and the terminator.
    Osc7501(Vec<u8>),
    /// The program asked whether status reports are understood. Unanswered (an adopted log), it will
    /// send none.
    StatusQuery { answered: bool },
    /// A shell's prompt mark: `A`, `B`, `C` or `D`, and what stood after it (`0` of `D;0`).
    Osc133(u8, Vec<u8>),
    /// The window title changed. Not sanitised.
    Title(String),
    /// The bell, once for any number of them in a row.
    Bell,
    /// Bracketed paste was switched on or off; sent for every switch, also where it changes nothing.
    BracketedPaste(bool),
    /// The alternate screen was entered or left.
    AlternateScreen(bool),
    /// The parser gave up on these bytes of the stream: the screen is blank now and incomplete until
    /// the program draws it anew. To be recorded, so that a later replay calls [`Terminal::skip`].
    Skipped { offset: u64, len: u64 },
}
