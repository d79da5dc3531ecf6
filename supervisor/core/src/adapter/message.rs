//! A message on its way into an agent's input box, so that what arrives is what was sent.

use dsx_protocol::{ErrorKind, TurnId, WireError};
use unicode_normalization::is_nfc;

use super::{Script, Step};
use crate::spec::{Cli, Spec};

/// One bracketed paste holds at most so many characters, as UTF-16 counts them, and newlines: Claude wraps a longer
/// one in markup of its own (observed at over 800 characters or over 3 lines, Claude Code 2.1.328; most emoji are
/// two characters to it).
const PASTE_CHARS: usize = 700;
const PASTE_NEWLINES: usize = 2;
/// Characters at the end of a message by which it is recognised in the input box.
const END_CHARS: usize = 24;
/// How long the end of a message may take to be drawn. 2.1.197 submits only what it has drawn, and a fixed
/// pause is a guess that load breaks.
const DRAWN_MS: u64 = 5_000;
/// Bytes over which a message goes by a file.
const FILE_BYTES: usize = 64 * 1024;

const PASTE_BEGIN: &str = "\x1b[200~";
const PASTE_END: &str = "\x1b[201~";

/// How a message goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// What is typed, where it is not the message itself.
    pub typed: Option<String>,
    /// The file to be written first: its path and its content.
    pub file: Option<(String, String)>,
}

pub(super) fn route(spec: &Spec, turn: TurnId, text: &str, command: bool) -> Result<Routed, WireError> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err(WireError::new(ErrorKind::Usage, "the message is empty")
            .hint("give a text, --file F, or '-' to read standard input"));
    }
    match spec.cli {
        Cli::Command => route_to_command(&spec.id, text),
        Cli::Claude | Cli::Demo if command => route_to_command(&spec.id, text),
        Cli::Claude | Cli::Demo => route_to_agent(spec, turn, text),
    }
}

fn route_to_command(id: &str, text: &str) -> Result<Routed, WireError> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        None => Ok(Routed::default()),
        Some(c) => {
            let what = format!("the message holds the control character {}", c.escape_default());
            Err(WireError::new(ErrorKind::Usage, what).hint(format!("press keys with 'dsx keys {id} …'")))
        }
    }
}

fn route_to_agent(spec: &Spec, turn: TurnId, text: &str) -> Result<Routed, WireError> {
    if let Some(what) = would_run(text) {
        return Err(WireError::new(ErrorKind::Usage, format!("the agent would run this text: {what}"))
            .hint("put words in front of it, or send it with --command to have it run"));
    }
    if arrives_exactly(text) {
        return Ok(Routed::default());
    }
    let path = format!("{}/messages/{turn}.md", spec.dir);
    let typed = format!("Your message is in the file {path} - read that file and do what it says.");
    Ok(Routed { typed: Some(typed), file: Some((path, text.to_owned())) })
}

/// What an agent's input box takes for an instruction to itself.
fn would_run(text: &str) -> Option<String> {
    let trimmed = text.trim_start_matches([' ', '\n', '\u{200b}']);
    let word = trimmed.split([' ', '\n']).next().unwrap_or_default();
    // `/tmp/a b` is a path and passes as text; `/word` is a command, known or not.
    if word.len() > 1 && word.starts_with('/') && !word[1..].contains('/') {
        return Some(format!("'{word}' is a command of its own"));
    }
    if text.starts_with('!') {
        return Some("'!' runs a shell command".to_owned());
    }
    let lone = text.trim();
    ["exit", "quit", ":q"].contains(&lone).then(|| format!("'{lone}' ends the session"))
}

/// Whether the input box passes the text on byte for byte (observed, Claude Code 2.1.328).
fn arrives_exactly(text: &str) -> bool {
    text.len() <= FILE_BYTES
        && !text.chars().any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{200d}' | '\u{feff}'))
        && is_nfc(text)
        && !text.ends_with('\\')
}

/// Several bracketed pastes, each below what would be wrapped, then the key that submits.
pub(super) fn pasted(text: &str) -> Script {
    let text = text.trim_end_matches(['\n', '\r']);
    let mut steps = Vec::new();
    for piece in pieces(text) {
        steps.push(Step::Write(format!("{PASTE_BEGIN}{piece}{PASTE_END}").into_bytes()));
    }
    steps.push(Step::Shown { text: text.to_owned(), max_ms: DRAWN_MS, must: false });
    steps.push(Step::Submit(b"\r".to_vec()));
    Script { steps }
}

/// The end of a message, by which it is recognised however the input box wraps it.
pub(crate) fn message_end(text: &str) -> String {
    let solid: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    solid[solid.len().saturating_sub(END_CHARS)..].iter().collect()
}

/// One write, then the key that submits.
pub(super) fn plain(text: &str, bracketed: bool) -> Script {
    let text = text.trim_end_matches(['\n', '\r']);
    let draft = match bracketed {
        true => format!("{PASTE_BEGIN}{}{PASTE_END}", text.replace(PASTE_END, "")),
        false => text.to_owned(),
    };
    Script { steps: vec![Step::Write(draft.into_bytes()), Step::Submit(b"\r".to_vec())] }
}

fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut chars, mut newlines) = (0, 0, 0);
    for (at, c) in text.char_indices() {
        if chars + c.len_utf16() > PASTE_CHARS || (c == '\n' && newlines == PASTE_NEWLINES) {
            pieces.push(&text[start..at]);
            (start, chars, newlines) = (at, 0, 0);
        }
        chars += c.len_utf16();
        newlines += usize::from(c == '\n');
    }
    pieces.push(&text[start..]);
    pieces
}

/// Whether the agent saw just what was sent; trailing newlines do not count.
#[must_use]
pub fn same_text(seen: &str, sent: &str) -> bool {
    let end: &[char] = &['\n', '\r'];
    seen.trim_end_matches(end) == sent.trim_end_matches(end)
}

/// Whether what was sent is in what the agent saw, perhaps with something around it, or wrapped.
#[must_use]
pub fn holds(seen: &str, sent: &str) -> bool {
    let sent = sent.trim_end_matches(['\n', '\r']);
    same_text(seen, sent) || seen.contains(sent) || squeezed(seen).contains(&squeezed(sent))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_below_what_is_wrapped_and_join_to_the_text() {
        let many = ["é\n".repeat(40), "a".repeat(10_000), "a🚀".repeat(900), "ab\n\n\nc".repeat(300)];
        for text in many.iter().map(String::as_str).chain(["x", "\n\n\n\n"]) {
            let pieces = pieces(text);
            assert_eq!(pieces.concat(), text);
            for piece in pieces {
                assert!(piece.encode_utf16().count() <= PASTE_CHARS);
                assert!(piece.matches('\n').count() <= PASTE_NEWLINES);
            }
        }
    }

    #[test]
    fn what_the_agent_would_run_is_refused() {
        for text in ["/help", "  /help now", "\n/clear", "!ls", "exit", " quit ", ":q", "\u{200b}/x"] {
            assert!(would_run(text).is_some(), "{text:?}");
        }
        for text in ["/tmp/a b", " !ls", "Message:\n/help", "please exit", "#x", "@x", "a /help", "/"] {
            assert!(would_run(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_would_be_altered_goes_by_a_file() {
        for text in
            ["a\tb", "a\x1b[31mb", "e\u{301}", "a\u{200d}b", "ends in \\", "a\r\nb", &"x".repeat(70_000)]
        {
            assert!(!arrives_exactly(text), "{text:?}");
        }
        for text in ["plain", "é 漢 🙂", "two\nlines", &"x".repeat(60_000)] {
            assert!(arrives_exactly(text));
        }
    }

    #[test]
    fn the_submitting_key_is_a_write_of_its_own() {
        let Script { steps } = pasted(&"line\n".repeat(9));
        assert_eq!(steps.last(), Some(&Step::Submit(b"\r".to_vec())));
        assert!(steps.iter().all(|s| !matches!(s, Step::Write(bytes) if bytes.contains(&b'\r'))));
    }

    #[test]
    fn a_wrapped_message_is_recognised() {
        let sent = "one\ntwo\nthree\nfour";
        let seen = format!("\n\n<pasted_content id=\"7d17\">\n{sent}\n</pasted_content id=\"7d17\">\n");
        assert!(holds(&seen, sent) && !same_text(&seen, sent));
        assert!(same_text("a\n", "a"));
        assert!(!holds("another", sent));
    }
}
