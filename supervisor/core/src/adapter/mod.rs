//! How each agent is started, typed at and read. Pure: an adapter turns bytes into [`Evidence`] and messages
//! into [`Script`]s; it never decides a state.

mod answer;
mod claude;
mod claude_answer;
mod claude_dialog;
mod claude_entries;
mod claude_prompt;
mod claude_transcript;
mod demo;
mod entries;
mod env;
mod keys;
mod message;
mod osc7501;
mod turns;

use dsx_protocol::{TurnId, WireError};

pub(crate) use answer::{Answered, Way, resolve, way};
pub use claude::{Launch, launch, version_number};
pub use entries::{EntryReader, Spoken, entry_text};
pub use env::clean_env;
pub use keys::{UnknownKey, key_bytes};
pub(crate) use message::message_end;
pub use message::{Routed, holds, same_text};
pub use osc7501::read_osc7501;
pub use turns::{TurnFinder, text_key};

use crate::evidence::{Dialog, Evidence};
use crate::input::ScreenText;
use crate::spec::{Cli, Spec};

/// One step of typing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Write(Vec<u8>),
    /// Milliseconds between two writes, so that the agent reads them as two.
    Pause(u64),
    /// Until the output has been quiet for so many milliseconds, `max_ms` at most.
    Quiet {
        ms: u64,
        max_ms: u64,
    },
    /// Until the input box holds this text and nothing else, `max_ms` at most: what is drawn has been taken.
    /// With `must` nothing follows unless it was seen.
    Shown {
        text: String,
        max_ms: u64,
        must: bool,
    },
    /// The write that submits. After a crash, whether it had begun decides everything.
    Submit(Vec<u8>),
}

/// How far a typed message is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// There is no input box to be seen.
    NoBox,
    NotYet,
    Exactly,
    /// Whole, but with something else in front of it.
    Mixed,
}

/// What is typed, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    pub steps: Vec<Step>,
}

impl Script {
    fn write(bytes: impl Into<Vec<u8>>) -> Self {
        Self { steps: vec![Step::Write(bytes.into())] }
    }
}

/// How a message goes: as it is, by a file, or not at all (with the reason).
pub(crate) fn route(spec: &Spec, turn: TurnId, text: &str, command: bool) -> Result<Routed, WireError> {
    message::route(spec, turn, text, command)
}

pub(crate) fn script(cli: Cli, text: &str, command: bool, bracketed: bool) -> Script {
    match cli {
        Cli::Claude if command => message::plain(text, false),
        Cli::Claude => message::pasted(text),
        Cli::Demo => message::plain(text, true),
        Cli::Command => message::plain(text, bracketed),
    }
}

/// The same for a message that is to join the running turn. An agent that works may ask something at any moment:
/// only a message that stands in its input box is submitted.
pub(crate) fn steer(cli: Cli, text: &str, bracketed: bool) -> Script {
    let mut script = script(cli, text, false, bracketed);
    for step in &mut script.steps {
        if let Step::Shown { must, .. } = step {
            *must = true;
        }
    }
    script
}

/// The keys that stop a turn.
pub(crate) fn interrupt(cli: Cli) -> Script {
    match cli {
        Cli::Claude | Cli::Demo => Script::write("\x1b"),
        Cli::Command => Script::write("\x03"),
    }
}

pub(crate) fn key(name: &str) -> Script {
    Script::write(key_bytes(name, false).unwrap_or_default())
}

/// Keys that empty an input box that is not empty.
pub(crate) fn empty_composer(shown: &str) -> Script {
    claude_dialog::empty_composer(shown)
}

/// Nothing that a message is likely to end with.
const MARK: char = '\u{b6}';

/// Ends a paste that a crash may have cut off, and types a character behind it: what the agent's box shows once
/// it shows that, it shows in full.
pub(crate) fn end_paste_and_mark() -> Script {
    Script { steps: vec![Step::Write(b"\x1b[201~".to_vec()), Step::Write(MARK.to_string().into_bytes())] }
}

/// Whether a box shows the mark at its end.
pub(crate) fn is_marked(shown: &str) -> bool {
    shown.ends_with(MARK)
}

/// Ends a paste that a crash may have cut off.
pub(crate) fn end_paste() -> Script {
    Script::write(&b"\x1b[201~"[..])
}

/// What the agent's input box shows of a message that was typed into it.
#[must_use]
pub fn drawn(cli: Cli, screen: &ScreenText, text: &str) -> Drawn {
    match cli {
        Cli::Claude => claude_dialog::drawn(screen, text),
        Cli::Demo | Cli::Command => Drawn::Exactly,
    }
}

/// Takes back a draft that a crash cut off, in whatever edits the line: the paste is ended, the line killed.
pub(crate) fn discard_draft(bracketed: bool) -> Script {
    Script::write(if bracketed { &b"\x1b[201~\x15"[..] } else { b"\x15" })
}

pub(crate) fn read_dialog(cli: Cli, screen: &ScreenText) -> Option<Dialog> {
    match cli {
        Cli::Claude => claude_dialog::read_dialog(screen),
        Cli::Demo | Cli::Command => None,
    }
}

/// The text in the agent's input box; `None` where no box can be seen.
pub(crate) fn read_composer(cli: Cli, screen: &ScreenText) -> Option<String> {
    match cli {
        Cli::Claude => claude_dialog::read_composer(screen),
        Cli::Demo | Cli::Command => None,
    }
}

/// What a hook's payload says.
#[must_use]
pub fn read_hook(cli: Cli, payload: &[u8]) -> Vec<Evidence> {
    match cli {
        Cli::Claude => claude::read_hook(payload),
        Cli::Demo | Cli::Command => Vec::new(),
    }
}

/// What an agent's own status file says, with the time it says it of.
#[must_use]
pub fn read_session_file(cli: Cli, text: &str) -> Option<(u64, Evidence)> {
    match cli {
        Cli::Claude => claude::read_session_file(text),
        Cli::Demo | Cli::Command => None,
    }
}

/// Reads a transcript line by line.
#[derive(Debug)]
pub enum TranscriptReader {
    Claude(claude_transcript::Reader),
    Demo,
    None,
}

impl TranscriptReader {
    #[must_use]
    pub fn new(cli: Cli) -> Self {
        match cli {
            Cli::Claude => Self::Claude(claude_transcript::Reader::default()),
            Cli::Demo => Self::Demo,
            Cli::Command => Self::None,
        }
    }

    /// What one line says, with its own time where it has one. An unknown line says nothing.
    pub fn line(&mut self, line: &str) -> Vec<(Option<u64>, Evidence)> {
        match self {
            Self::Claude(reader) => reader.line(line),
            Self::Demo => demo::line(line),
            Self::None => Vec::new(),
        }
    }
}
