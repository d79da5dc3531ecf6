//! Folding a log into a terminal: the one loop for live sessions, restarts and history.

use super::LogReader;
use super::reader::Expired;
use crate::screen::{History, TermEvent, Terminal};

/// Bytes taken from the log at a time.
const PIECE: usize = 64 * 1024;
/// History is looked for in the newest bytes first, then in four times as many, and so on.
const FIRST_SPAN: u64 = 256 * 1024;

/// Whether a fold leaves notes in the log for later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// The session's own fold: panics become skipped ranges, new segments get checkpoints.
    Yes,
    /// A second reading: the log stays as it is.
    No,
}

/// Feeds `terminal` from where it stands with at most 64 KiB of the log, not past `upto`, and returns
/// the offset it then stands at: `upto`, unless there is more to do. Sizes change where they changed,
/// and ranges that made the parser panic are skipped. Where bytes are missing, the terminal goes on
/// past them, blank and incomplete.
pub fn advance(
    terminal: &mut Terminal,
    log: &LogReader,
    upto: u64,
    recording: Recording,
    events: &mut Vec<TermEvent>,
) -> u64 {
    let mut budget = PIECE;
    let mut bytes = Vec::new();
    let upto = upto.min(log.end());
    loop {
        let at = terminal.offset();
        let (rows, cols) = log.size_at(at);
        terminal.resize(rows, cols);
        if at >= upto || budget == 0 {
            break;
        }
        let resize = log.resize_after(at).unwrap_or(u64::MAX);
        let mut until = upto.min(resize);
        let skip = log.skip_after(at);
        let skipping = match skip {
            Some((from, len)) if from <= at => {
                until = until.min(from + len);
                true
            }
            Some((from, _)) => {
                until = until.min(from);
                false
            }
            None => false,
        };
        let most = usize::try_from(until - at).map_or(budget, |n| n.min(budget));
        bytes.clear();
        match log.read(at, most, &mut bytes) {
            Ok(0) => break,
            Ok(n) => budget -= n,
            Err(Expired { start }) => {
                terminal.jump(start);
                continue;
            }
        }
        let known = events.len();
        if skipping {
            terminal.skip(&bytes, events);
        } else {
            terminal.feed(&bytes, events);
        }
        if recording == Recording::Yes {
            note(terminal, log, &events[known..]);
        }
    }
    terminal.offset()
}

fn note(terminal: &Terminal, log: &LogReader, events: &[TermEvent]) {
    for event in events {
        if let TermEvent::Skipped { offset, len } = event {
            log.note_skip(*offset, *len);
        }
    }
    if log.wants_checkpoint(terminal.offset()) {
        // Without it a restart reads more of the log; nothing else depends on it.
        let _ = log.save_checkpoint(&terminal.checkpoint());
    }
}

/// The terminal as it was at offset `upto`, from the last checkpoint before it. It answers no queries
/// until [`Terminal::set_answers`] says so.
pub fn rebuild(log: &LogReader, upto: u64) -> Terminal {
    let mut terminal = match log.checkpoint_before(upto) {
        Some(checkpoint) => Terminal::restore(&checkpoint),
        None => blank_at(log, log.start().min(upto)),
    };
    terminal.set_answers(false);
    let mut events = Vec::new();
    while advance(&mut terminal, log, upto, Recording::No, &mut events) < upto.min(log.end()) {
        events.clear();
    }
    terminal
}

fn blank_at(log: &LogReader, offset: u64) -> Terminal {
    let (rows, cols) = log.size_at(offset);
    let mut terminal = Terminal::starting_at(offset, rows, cols);
    if offset > 0 {
        terminal.mark_incomplete();
    }
    terminal
}

/// The newest `limit` rows that had left the main screen by offset `upto`, oldest first, each with its
/// colours as SGR ([`crate::screen::plain`] takes them off). Reads as little of the log as it can.
pub fn history(log: &LogReader, upto: u64, limit: usize) -> Vec<String> {
    let upto = upto.min(log.end());
    let mut span = FIRST_SPAN;
    loop {
        let start = log.start();
        let from = upto.saturating_sub(span).max(start);
        let (rows, first) = history_since(log, from, upto, limit);
        if rows.len() >= limit || first <= start {
            return rows;
        }
        span = span.saturating_mul(4);
    }
}

/// The rows that left between the last checkpoint before `from` and `upto`, and that checkpoint's place.
fn history_since(log: &LogReader, from: u64, upto: u64, limit: usize) -> (Vec<String>, u64) {
    let mut history = match log.checkpoint_before(from) {
        Some(checkpoint) => History::after(&checkpoint, limit),
        None => History::of(blank_at(log, log.start().min(upto)), limit),
    };
    let first = history.terminal().offset();
    let mut events = Vec::new();
    let terminal = history.terminal_mut();
    terminal.set_answers(false);
    while advance(terminal, log, upto, Recording::No, &mut events) < upto {
        events.clear();
    }
    (history.into_rows().into_iter().map(|row| row.formatted).collect(), first)
}
