//! The output of a command session as text.

use crate::log::{LogReader, Recording, advance, rebuild};
use crate::screen::{History, Row, Terminal};

/// Rows kept of one turn.
const ROWS: usize = 20_000;

/// Bytes of one turn's output that become its text, the newest.
const CAPTURE: u64 = 1024 * 1024;

/// What was printed between two offsets, as a person would read it, without the line `asked` that the
/// terminal echoed and without the prompt that follows. Lines that the terminal wrapped are whole again.
/// Where there is too much of it, its beginning is left out, and that is said.
pub(super) fn text_between(log: &LogReader, from: u64, upto: u64, asked: &str) -> String {
    let start = from.max(upto.saturating_sub(CAPTURE));
    let before = rebuild(log, from);
    let prompt = cursor_row(&before);
    if start == from {
        return text_after(before, log, upto, asked, &prompt);
    }
    let text = text_after(rebuild(log, start), log, upto, "", &prompt);
    let left_out = start - from;
    format!(
        "[{left_out} bytes of output before this are left out; 'dsx logs --raw' has what is kept]\n{text}"
    )
}

fn cursor_row(terminal: &Terminal) -> String {
    let row = usize::from(terminal.contents().cursor.row);
    terminal.rows().get(row).map(Row::text).unwrap_or_default()
}

fn text_after(before: Terminal, log: &LogReader, upto: u64, asked: &str, prompt: &str) -> String {
    let first = before.rows();
    let cursor = usize::from(before.contents().cursor.row);
    let mut history = History::of(before, ROWS);
    let mut events = Vec::new();
    while advance(history.terminal_mut(), log, upto, Recording::No, &mut events) < upto.min(log.end()) {
        events.clear();
    }
    let end = usize::from(history.terminal().contents().cursor.row);
    let shown = history.terminal().rows();
    let mut rows = history.into_rows();
    rows.extend(shown.into_iter().take(end + 1));
    // The line on which the cursor stood is where the echo begins. Rows above it that are no longer as they
    // were have been cleared: what is there now is output.
    let same = first.iter().zip(&rows).take(cursor).take_while(|(a, b)| a.text() == b.text()).count();
    strip(whole_lines(rows.drain(same..)), asked, prompt)
}

fn whole_lines(rows: impl Iterator<Item = Row>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for row in rows {
        match lines.last_mut().filter(|_| goes_on) {
            Some(line) => line.push_str(&row.plain()),
            None => lines.push(row.plain()),
        }
        goes_on = row.wraps;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Takes off the echoed lines in front and the new prompt at the end.
///
/// A shell that was still starting draws its prompt, and perhaps the line once more, after the terminal's own
/// echo; then what stands before its own echo was not asked for.
fn strip(mut lines: Vec<String>, asked: &str, prompt: &str) -> String {
    // A prompt is what the cursor stands behind; output of its own ends its last line.
    let last = lines.last().cloned().unwrap_or_default();
    let asked: Vec<String> = asked.trim_end().lines().map(squeezed).collect();
    let first = asked.first().cloned().unwrap_or_default();
    let drawn = |line: &String| {
        !last.is_empty() && !first.is_empty() && squeezed(line) == squeezed(&format!("{last} {first}"))
    };
    let echo = lines.iter().position(drawn).or_else(|| {
        let at = lines.iter().position(|line| !line.is_empty())?;
        (!first.is_empty() && squeezed(&lines[at]).ends_with(&first)).then_some(at)
    });
    let mut prompt = prompt.trim_end().to_owned();
    if let Some(at) = echo {
        if let Some(before) = squeezed(&lines[at]).strip_suffix(&first).filter(|p| !p.trim().is_empty()) {
            prompt = before.trim_end().to_owned();
        }
        let echoed = asked.iter().zip(&lines[at..]).take_while(|(a, l)| squeezed(l).ends_with(*a)).count();
        lines.drain(..at + echoed);
    }
    if !last.is_empty() {
        match prompt.is_empty() {
            true => take_off_first_prompts(&mut lines, &last),
            false => take_off_prompt(&mut lines, &prompt),
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

/// The last line is the prompt, or ends with it where the output had no newline at its end. One that
/// changed (it names the directory, for example) is known by its last character.
fn take_off_prompt(lines: &mut Vec<String>, prompt: &str) {
    let Some(mark) = prompt.chars().next_back() else { return };
    let Some(last) = lines.pop() else { return };
    match last.strip_suffix(prompt) {
        Some("") => {}
        Some(output) => lines.push(output.to_owned()),
        None if !mark.is_alphanumeric() && last.ends_with(mark) => {}
        None => lines.push(last),
    }
}

/// No prompt was known when the line was typed. One that does not draw the line again stands in front of the
/// first output and again behind the last.
fn take_off_first_prompts(lines: &mut Vec<String>, last: &str) {
    let is_mark = |text: &str| !text.is_empty() && !text.ends_with(char::is_alphanumeric);
    match lines.as_mut_slice() {
        [only] if is_mark(only) && only.split(' ').all(|word| Some(word) == only.split(' ').next()) => {
            lines.pop();
        }
        [first, .., _] if is_mark(last) && first.starts_with(last) => {
            *first = first[last.len()..].trim_start().to_owned();
            lines.pop();
        }
        _ => {}
    }
}

/// Blanks do not count: a tab is echoed as spaces.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lines` end where the cursor stands: an empty last one is a line that was ended.
    fn text(lines: &[&str], asked: &str, prompt: &str) -> String {
        strip(lines.iter().map(|l| (*l).to_owned()).collect(), asked, prompt)
    }

    #[test]
    fn the_echo_and_the_next_prompt_are_no_output() {
        assert_eq!(text(&["$ echo hi", "hi", "$"], "echo hi", "$"), "hi");
        assert_eq!(text(&["echo hi", "hi", ""], "echo hi", ""), "hi");
        assert_eq!(text(&["$ true", "$"], "true", "$"), "");
        assert_eq!(text(&["hello", "hello", ""], "hello", ""), "hello");
        assert_eq!(text(&["hello", "hello"], "hello", ""), "hello");
        assert_eq!(text(&["$", "$", ""], "$", ""), "$");
        assert_eq!(text(&["hello", "     1\thello", ""], "hello", ""), "     1\thello");
        assert_eq!(text(&[], "x", ""), "");
        assert_eq!(text(&["middle", "$"], "", "$"), "middle");
    }

    #[test]
    fn a_prompt_behind_unfinished_output_or_of_another_directory_is_taken_off() {
        assert_eq!(text(&["$ printf abc", "abc$"], "printf abc", "$"), "abc");
        assert_eq!(text(&["me:~$ cd /tmp", "me:/tmp$"], "cd /tmp", "me:~$"), "");
        // Cleared: the echo is gone, the prompt is known from before.
        assert_eq!(text(&["hi", "me$"], "clear; echo hi", "me$"), "hi");
    }

    #[test]
    fn a_shell_that_was_still_starting_draws_the_line_again() {
        let lines = ["print(1)", "Python 3", "type help", ">>> print(1)", "1", ">>>"];
        assert_eq!(text(&lines, "print(1)", ""), "1");
        assert_eq!(text(&["echo a; echo b", "# a", "b", "#"], "echo a; echo b", ""), "a\nb");
        assert_eq!(text(&["true", "# #"], "true", ""), "");
    }

    #[test]
    fn each_echoed_line_is_taken_off() {
        let lines = ["$ echo a", "echo  b", "a", "b", "$"];
        assert_eq!(text(&lines, "echo a\necho\tb", "$"), "a\nb");
    }
}
