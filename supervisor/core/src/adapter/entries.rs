//! What was said, by role: an agent's transcript as people read it.
//!
//! Nothing is decided by it, and a line that is not known says nothing: transcripts are the agents' own, and
//! change with their versions.

use dsx_protocol::Entry;

use super::{claude_entries, demo};
use crate::spec::Cli;

/// Bytes of one entry's text; what is cut off is said.
const TEXT: usize = 512 * 1024;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    /// What a tool was given.
    Tool,
    /// What a tool gave.
    Result,
    Note,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Result => "result",
            Self::Note => "note",
        }
    }
}

/// One thing that was said, as it stands in the transcript: neither its cursor nor its turn is known there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spoken {
    pub entry: Entry,
    /// Work began with it: what follows is of another turn, as far as the next that begins one.
    pub begins: bool,
    /// The agent's own id for that work.
    pub prompt: Option<String>,
}

impl Spoken {
    pub(super) fn new(role: Role, at: u64, text: &str) -> Self {
        let entry = Entry { at, role: role.name().to_owned(), text: entry_text(text), ..Entry::default() };
        Self { entry, begins: false, prompt: None }
    }

    pub(super) fn of_tool(mut self, tool: Option<String>) -> Self {
        self.entry.tool = tool;
        self
    }

    pub(super) fn failed(mut self, failed: bool) -> Self {
        self.entry.error = failed;
        self
    }

    pub(super) fn beginning(mut self, prompt: Option<String>) -> Self {
        self.begins = true;
        self.prompt = prompt;
        self
    }
}

/// An entry's text: at most so long that a frame holds it.
#[must_use]
pub fn entry_text(text: &str) -> String {
    if text.len() <= TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT);
    format!("{}\n[{} bytes more]", &text[..end], text.len() - end)
}

/// Reads a transcript line by line, from its beginning.
#[derive(Debug)]
pub enum EntryReader {
    Claude(claude_entries::Reader),
    Demo,
    None,
}

impl EntryReader {
    #[must_use]
    pub fn new(cli: Cli) -> Self {
        match cli {
            Cli::Claude => Self::Claude(claude_entries::Reader::default()),
            Cli::Demo => Self::Demo,
            Cli::Command => Self::None,
        }
    }

    /// What one line says, in its order.
    pub fn line(&mut self, line: &str) -> Vec<Spoken> {
        match self {
            Self::Claude(reader) => reader.line(line),
            Self::Demo => demo::entries(line),
            Self::None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_where_a_character_ends_and_says_so() {
        let long = Spoken::new(Role::Result, 1, &"é".repeat(TEXT));
        assert!(long.entry.text.len() < TEXT + 64);
        assert!(long.entry.text.ends_with(&format!("é\n[{TEXT} bytes more]")));
        assert_eq!(Spoken::new(Role::Note, 1, "short").entry.text, "short");
    }
}
