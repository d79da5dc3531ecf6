//! The output of a command session as text.

use crate::log::{LogReader, Recording, advance, rebuild};
use crate::screen::{History, plain};

/// Rows kept of one turn.
const ROWS: usize = 20_000;

/// What was printed between two offsets, as a person would read it, without the line `asked` that the
/// terminal echoed and without the prompt that follows.
pub(super) fn text_between(log: &LogReader, from: u64, upto: u64, asked: &str) -> String {
    let before = rebuild(log, from);
    let first = before.contents();
    let mut history = History::of(before, ROWS);
    let mut events = Vec::new();
    while advance(history.terminal_mut(), log, upto, Recording::No, &mut events) < upto.min(log.end()) {
        events.clear();
    }
    let shown = history.terminal().contents();
    let left: Vec<String> = history.into_rows().iter().map(|row| plain(row)).collect();
    // The line on which the cursor stood is where the echo begins.
    let start = usize::from(first.cursor.row);
    let end = usize::from(shown.cursor.row);
    let rows: Vec<String> = left.into_iter().chain(shown.lines.into_iter().take(end + 1)).collect();
    strip(rows.get(start.min(rows.len())..).unwrap_or_default(), asked)
}

/// Takes off the echoed lines in front and the new prompt at the end.
fn strip(rows: &[String], asked: &str) -> String {
    let mut rows: Vec<&str> = rows.iter().map(|r| r.trim_end()).collect();
    let last = asked.trim_end().lines().last().unwrap_or_default();
    let echo = rows.iter().position(|r| !last.is_empty() && r.ends_with(last));
    let prompt = echo.and_then(|at| rows[at].strip_suffix(last)).map(str::trim_end).map(str::to_owned);
    if let Some(at) = echo {
        rows.drain(..=at);
    }
    match (prompt.filter(|p| !p.is_empty()), rows.last()) {
        (Some(prompt), Some(end)) if end.trim_end() == prompt => {
            rows.pop();
        }
        _ => {}
    }
    while rows.last().is_some_and(|r| r.is_empty()) {
        rows.pop();
    }
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_and_the_next_prompt_are_no_output() {
        let rows = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        assert_eq!(strip(&rows(&["$ echo hi", "hi", "$ "]), "echo hi"), "hi");
        assert_eq!(strip(&rows(&["echo hi", "hi"]), "echo hi"), "hi");
        assert_eq!(strip(&rows(&["$ true", "$"]), "true"), "");
        assert_eq!(strip(&rows(&["hello", "hello"]), "hello"), "hello");
        assert_eq!(strip(&[], "x"), "");
    }
}
