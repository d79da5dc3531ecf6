//! What Claude's screen shows: dialogs by their labels, and the input box.

use super::{Drawn, Script, Step, message_end};
use crate::evidence::Dialog;
use crate::input::ScreenText;

const POINTER: char = '❯';
/// Milliseconds between two keys, so that they are not read as a paste.
const KEY_GAP_MS: u64 = 15;
/// Keys beyond the lines that are shown: a tall box shows only its end.
const SPARE_KEYS: usize = 2;

/// A dialog with a highlighted option, one of which begins with Yes or No, or whose options are numbered.
pub(super) fn read_dialog(screen: &ScreenText) -> Option<Dialog> {
    let pointed = screen.lines.iter().rposition(|l| l.trim_start().starts_with(POINTER))?;
    let (first, options, selected) = match number(&screen.lines[pointed]) {
        Some(_) => numbered(&screen.lines, pointed)?,
        None => unnumbered(&screen.lines, pointed)?,
    };
    let above = screen.lines[..first].join("\n");
    let text = question(&screen.lines[..first]);
    Some(Dialog { kind: kind(&above).to_owned(), text, options, selected })
}

/// The number of a numbered option's row.
fn number(line: &str) -> Option<u32> {
    let line = line.trim_start().trim_start_matches(POINTER).trim_start();
    let (digits, _) = line.split_once(". ")?;
    digits.parse().ok()
}

/// Options `1.` to the last, each with the rows it is wrapped into or that describe it, which are indented deeper.
fn numbered(lines: &[String], pointed: usize) -> Option<(usize, Vec<String>, usize)> {
    let first = (0..=pointed).rev().find(|i| number(&lines[*i]) == Some(1))?;
    let mut options: Vec<String> = Vec::new();
    let mut selected = None;
    for (i, line) in lines.iter().enumerate().skip(first) {
        let deeper = line.starts_with("    ") && !line.trim().is_empty();
        match number(line) {
            Some(n) if n as usize == options.len() + 1 => {
                selected = if i == pointed { Some(options.len()) } else { selected };
                options.push(label(line));
            }
            // What a key of its own would do with the option's text.
            None if deeper && line.trim().starts_with("shift+tab to ") => {}
            None if deeper => {
                let option = options.last_mut()?;
                option.push(' ');
                option.push_str(line.trim());
            }
            // Rules and blank rows set groups of options apart.
            None if line.trim().is_empty() || line.trim().chars().all(|c| c == '─') => {}
            _ => break,
        }
    }
    let selected = selected?;
    (options.len() > 1).then_some((first, options, selected))
}

/// Rows around the pointer, as far as no blank one or a rule parts them.
fn unnumbered(lines: &[String], pointed: usize) -> Option<(usize, Vec<String>, usize)> {
    let is_option = |line: &str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with(['─', '╌', '│', '╭', '╰'])
    };
    let first = (0..pointed).rev().take_while(|i| is_option(&lines[*i])).last().unwrap_or(pointed);
    let last = (pointed..lines.len()).take_while(|i| is_option(&lines[*i])).last()?;
    let options: Vec<String> = (first..=last).map(|i| label(&lines[i])).collect();
    let answers = |o: &String| o.starts_with("Yes") || o.starts_with("No");
    (options.len() > 1 && options.iter().any(answers)).then_some((first, options, pointed - first))
}

fn kind(above: &str) -> &'static str {
    let above = above.to_lowercase();
    if above.contains("api key") {
        "login"
    } else if above.contains("bypass permissions") {
        "permission"
    } else {
        "trust"
    }
}

/// An option's words, without the pointer and a number.
fn label(line: &str) -> String {
    let line = line.trim().trim_start_matches(POINTER).trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    match rest.strip_prefix('.') {
        Some(words) if rest.len() < line.len() => words.trim().to_owned(),
        _ => line.to_owned(),
    }
}

fn question(above: &[String]) -> String {
    let asks = above.iter().rev().find(|l| l.trim_end().ends_with('?'));
    if let Some(asks) = asks {
        return asks.trim().to_owned();
    }
    let said = |l: &&String| l.chars().any(char::is_alphabetic);
    let mut said = above.iter().filter(said).map(|l| l.trim());
    match (said.next().unwrap_or_default(), said.next()) {
        // It names the thing in the next row.
        (headline, Some(thing)) if headline.ends_with(':') => format!("{headline} {thing}"),
        (headline, _) => headline.to_owned(),
    }
}

/// The text of the input box: what follows the pointer between two rules. A hint, which is drawn dim, is none.
pub(super) fn read_composer(screen: &ScreenText) -> Option<String> {
    read_box(screen, POINTER)
}

/// The same of any box that is drawn between two rules.
pub(super) fn read_box(screen: &ScreenText, pointer: char) -> Option<String> {
    let is_rule = |l: &String| {
        let l = l.trim();
        l.starts_with('─') && l.chars().filter(|c| *c == '─').count() > 10
    };
    let bottom = screen.lines.iter().rposition(is_rule)?;
    let top = screen.lines[..bottom].iter().rposition(is_rule)?;
    let first = screen.lines.get(top + 1).filter(|_| top + 1 < bottom)?;
    // A box that is taller than its place shows its end, under a rule that says so (2.1.328).
    if !screen.lines[top].contains('↑') {
        first.trim_start().strip_prefix(pointer)?;
    }
    let rows = screen.solid.get(top + 1..bottom)?;
    let text: Vec<&str> = rows.iter().map(|row| row.trim().trim_start_matches(pointer).trim()).collect();
    Some(text.join("\n").trim().to_owned())
}

/// How much of a message the input box shows. Blanks do not count (the box wraps), nor does what terminals
/// and Claude draw in ways of their own.
pub(super) fn drawn(screen: &ScreenText, text: &str) -> Drawn {
    let Some(shown) = read_composer(screen) else { return Drawn::NoBox };
    let (shown, text) = (squeezed(&shown), squeezed(text));
    let end: String = squeezed(&message_end(&text));
    // A long message is shown by its end (2.1.328) or with its middle folded (2.1.197).
    let clipped = screen.lines.iter().any(|l| l.trim_start().starts_with('─') && l.contains("↑"))
        && !shown.is_empty()
        && text.ends_with(&shown);
    let folded = shown.contains("[...Truncatedtext") && shown.ends_with(&end);
    if shown == text || clipped || folded {
        Drawn::Exactly
    } else if shown.ends_with(&text) && !text.is_empty() {
        Drawn::Mixed
    } else {
        Drawn::NotYet
    }
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || c.is_ascii_punctuation()).collect()
}

/// Each Ctrl-U, a write of its own, kills one drawn line; on an empty box it does nothing. (One Ctrl-C would
/// empty the box, but a second one within a second or two ends the session, whatever the box holds.)
pub(super) fn empty_composer(shown: &str) -> Script {
    let press = [Step::Write(b"\x15".to_vec()), Step::Pause(KEY_GAP_MS)];
    let lines = shown.lines().count() + SPARE_KEYS;
    Script { steps: press.into_iter().cycle().take(2 * lines).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(text: &str) -> ScreenText {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        ScreenText { solid: lines.clone(), lines, ..ScreenText::default() }
    }

    #[test]
    fn a_dialog_is_read_by_its_labels() {
        let shown = screen(
            " Accessing workspace\n\n Is this a project you trust?\n\n ❯ No, exit\n   Yes, I trust it\n\n Enter to confirm",
        );
        let dialog = read_dialog(&shown).unwrap();
        assert_eq!(dialog.options, ["No, exit", "Yes, I trust it"]);
        assert_eq!((dialog.selected, dialog.kind.as_str()), (0, "trust"));
        assert_eq!(dialog.text, "Is this a project you trust?");
        let shown =
            screen(" Accessing workspace:\n\n /a/b\n\n Quick check\n\n ❯ No, exit\n   Yes, I trust it\n");
        assert_eq!(read_dialog(&shown).unwrap().text, "Accessing workspace: /a/b");
        let shown = screen("Detected a custom API key\n\n   1. Yes\n ❯ 2. No (recommended)\n");
        let dialog = read_dialog(&shown).unwrap();
        assert_eq!((dialog.options[0].as_str(), dialog.selected, dialog.kind.as_str()), ("Yes", 1, "login"));
    }

    #[test]
    fn wrapped_labels_and_descriptions_belong_to_their_option() {
        let shown = screen(
            " Create file\n w.txt\n Do you want to create w.txt?\n   1. Yes\n ❯ 2. Yes, and switch to accept edits for\n      this session (shift+tab)\n   3. No\n\n Esc to cancel",
        );
        let dialog = read_dialog(&shown).unwrap();
        let accept = "Yes, and switch to accept edits for this session (shift+tab)";
        assert_eq!(dialog.options, ["Yes", accept, "No"]);
        assert_eq!((dialog.selected, dialog.text.as_str()), (1, "Do you want to create w.txt?"));
        let shown = screen(
            "Which colour?\n\n❯ 1. Red\n     warm\n  2. Blue\n  3. Type something.\n──────────\n  4. Chat about this\n\nEnter to select",
        );
        let dialog = read_dialog(&shown).unwrap();
        assert_eq!(dialog.options, ["Red warm", "Blue", "Type something.", "Chat about this"]);
        let shown = screen(
            " Here is the plan:\n 1. do a\n 2. do b\n\n Proceed?\n ❯ 1. Yes\n   2. Tell Claude what to change\n      shift+tab to approve with this feedback\n\n ctrl+g to edit",
        );
        assert_eq!(read_dialog(&shown).unwrap().options, ["Yes", "Tell Claude what to change"]);
        // An answer that lists things is no dialog.
        assert_eq!(read_dialog(&screen("● 1. one\n  2. two\n──────────────\n❯ \n──────────────")), None);
    }

    #[test]
    fn an_input_box_is_no_dialog() {
        let shown = screen("Welcome\n────────────────────\n❯ \n────────────────────\n  ? for shortcuts");
        assert_eq!(read_dialog(&shown), None);
        assert_eq!(read_composer(&shown), Some(String::new()));
        let shown = screen("────────────────────\n❯ late 20 x\n  more\n────────────────────\n");
        assert_eq!(read_composer(&shown), Some("late 20 x\nmore".into()));
        assert_eq!(drawn(&shown, "late 20 x more"), Drawn::Exactly);
        assert_eq!(drawn(&shown, "x more"), Drawn::Mixed);
        assert_eq!(drawn(&shown, "late 20 x more to come"), Drawn::NotYet);
        assert_eq!(drawn(&screen("nothing"), "x"), Drawn::NoBox);
        let mut hint = screen("────────────────────\n❯ Resend your message\n────────────────────\n");
        hint.solid[1] = "❯".to_owned();
        assert_eq!(read_composer(&hint), Some(String::new()));
    }

    #[test]
    fn a_box_taller_than_its_place_is_read_by_its_end() {
        let rule = "\u{2500}".repeat(20);
        let shown =
            screen(&format!("● said\n─── ↑ 79 more {rule}\n  line 277\n  line 278\n{rule}\n  ⏵⏵ bypass"));
        assert_eq!(read_composer(&shown).as_deref(), Some("line 277\nline 278"));
        assert_eq!(drawn(&shown, "line 1\nline 277\nline 278"), Drawn::Exactly);
        assert_eq!(drawn(&shown, "another"), Drawn::NotYet);
    }
}
