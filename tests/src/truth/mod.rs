//! How often dsx is right, measured: recordings of the real Claude with the true state beside them, and a
//! replay of each through the product's own readers into its core.
//!
//! A recording holds everything that the core would have been given, by one clock, and beside it what was
//! really the case, by the clocks of the model server and of this harness alone:
//!
//! - `working` from the moment a message was submitted until the last byte of the last response of its turn,
//!   tools and sub-agents included, or until it was interrupted;
//! - `waiting_for_input` from the moment at which the response that asks was sent in full (a later question of
//!   the same response: from the agent's own first sign of it) until it was answered;
//! - `idle` otherwise, from the first rest after the start on.
//!
//! An agent takes its time: at each change the recording has, beside the true moment, the moment of the agent's
//! *own* first sign of it; of a submitted message, the moment at which dsx was asked to send it. Between the two
//! the old and the new state are both right.
//!
//! The recordings are made by this harness ([`record`]) and hold no words of the agent's own ([`strip`]).

mod files;
mod hooks;
mod label;
pub mod record;
pub mod replay;
pub mod scenario;
pub mod score;
mod screen;
mod strip;
mod tape;

use std::fs;
use std::path::{Path, PathBuf};

use dsx_protocol::Respond;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use screen::Screen;

/// One line of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970.
    pub at: u64,
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The first line.
    Recording { scenario: String, version: String, asks: bool },
    /// The agent runs, as this process.
    Started(u32),
    /// The program printed something.
    Output,
    /// What the screen shows then, as far as it is kept.
    Screen(Screen),
    /// A status record in its output.
    Osc(String),
    /// A hook's report came in.
    Hook {
        /// When it was made.
        made: u64,
        key: String,
        /// It waits for the decision.
        holds: bool,
        payload: Value,
    },
    /// What the session file says now.
    File(Value),
    /// A line of the transcript was read.
    Line(Value),
    /// dsx is asked to send.
    Send(String),
    /// The submitting key is pressed.
    Submit,
    /// dsx is asked to interrupt.
    Interrupt,
    /// Somebody types in the terminal.
    Keys,
    /// dsx is asked to answer.
    Respond(Respond),
    /// What is the case from here on.
    Truth {
        state: State,
        /// The agent's own first sign of it.
        own: u64,
    },
    /// How the messages' turns ended, in their order.
    Outcomes(Vec<Ended>),
}

/// The true state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Idle,
    Working,
    WaitingForInput,
}

impl State {
    /// The same in the words of `dsx status`.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::WaitingForInput => "waiting_for_input",
        }
    }
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub outcome: String,
    /// The model's last words, where the turn ended well.
    pub answer: Option<String>,
}

/// A recording, its events in the order of their times.
#[derive(Clone, Debug)]
pub struct Recording {
    pub events: Vec<Event>,
}

impl Recording {
    /// The directory of the recordings that belong to this version of the harness.
    #[must_use]
    pub fn directory() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("truth")
    }

    /// All of them, by their file names.
    ///
    /// # Panics
    /// When one cannot be read.
    #[must_use]
    pub fn all() -> Vec<(String, Self)> {
        let files = fs::read_dir(Self::directory()).expect("the recordings' directory").flatten();
        let mut paths: Vec<PathBuf> =
            files.map(|f| f.path()).filter(|p| p.extension().is_some_and(|e| e == "ndjson")).collect();
        paths.sort();
        let named =
            |p: PathBuf| (p.file_stem().unwrap_or_default().to_string_lossy().into_owned(), Self::read(&p));
        paths.into_iter().map(named).collect()
    }

    /// # Panics
    /// When it is no recording.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("reading a recording");
        let event = |(n, line): (usize, &str)| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{}:{}: {e}", path.display(), n + 1))
        };
        Self { events: text.lines().enumerate().map(event).collect() }
    }

    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &Path) {
        let line = |e: &Event| serde_json::to_string(e).expect("an event as JSON") + "\n";
        fs::write(path, self.events.iter().map(line).collect::<String>()).expect("writing a recording");
    }

    /// Scenario, the agent's version, and whether it asks for permissions.
    ///
    /// # Panics
    /// When its first line does not say so.
    #[must_use]
    pub fn head(&self) -> (&str, &str, bool) {
        match self.events.first().map(|e| &e.what) {
            Some(What::Recording { scenario, version, asks }) => (scenario, version, *asks),
            other => panic!("a recording begins with what it is of, not with {other:?}"),
        }
    }
}
