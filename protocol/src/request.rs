//! One struct per verb. Fields may be added with a default; none is renamed or reused.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::TurnId;

/// A name and a value of an environment, as bytes: neither has to be UTF-8.
pub type Pair = (ByteBuf, ByteBuf);

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request {
    Create(Create),
    Send(Send),
    Wait(Wait),
    Status(Status),
    Explain(Explain),
    LastMessage(LastMessage),
    List(List),
    Screen(Screen),
    Keys(Keys),
    Interrupt(Interrupt),
    Logs(Logs),
    Kill(Kill),
    Attach(Attach),
    Resize(Resize),
    Supervisor(Supervisor),
    Hook(Hook),
    /// A verb of a newer client. It is answered with an error that says so.
    #[serde(other)]
    Unknown,
}

/// Start a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Create {
    /// `claude`, `codex`, `demo`; none with a command, or to take the first that is installed.
    pub cli: Option<String>,
    /// The program and its arguments, for a command session.
    pub command: Vec<ByteBuf>,
    /// Absolute working directory.
    pub path: ByteBuf,
    /// `native` or `ask`.
    pub mode: Option<String>,
    pub model: Option<String>,
    pub description: Option<String>,
    pub group: Option<String>,
    /// The creating client's environment, with `--env` applied; cleaned by the supervisor.
    pub env: Vec<Pair>,
    pub cols: u16,
    pub rows: u16,
    /// Names this call, so that a repeat after a lost connection does not start a second session.
    pub key: Option<String>,
}

/// Hand a message to the agent as a turn of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Send {
    pub session: String,
    pub text: String,
    /// A repeat with the same key returns the first one's turn.
    pub key: Option<String>,
    /// Queue even while a prompt is open.
    pub queue: bool,
    /// Let the agent run it as a command of its own (`/x`, `!x`).
    pub command: bool,
}

/// Hold the reply until a turn settles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    pub session: String,
    pub turn: Option<TurnId>,
    /// `idle`, `ended` (default), `waiting` or `exited`.
    pub until: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub session: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explain {
    pub session: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastMessage {
    pub session: String,
    pub turn: Option<TurnId>,
    /// How many, newest last; 0 is 1.
    pub count: u32,
    /// However they ended, and those that have not; else those that ended well.
    pub all: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    /// Exited sessions too.
    pub all: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Screen {
    pub session: String,
    /// With the colours' escape sequences.
    pub ansi: bool,
    /// Lines of history above the screen.
    pub history: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    pub session: String,
    /// By their tmux names; what is no name is typed as it is.
    pub keys: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interrupt {
    pub session: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logs {
    pub session: String,
    /// The output's bytes instead of the transcript.
    pub raw: bool,
    /// Where to begin, as a byte offset of the output; none is the oldest kept.
    pub from: Option<u64>,
    /// Go on as more comes, until the session ends.
    pub follow: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kill {
    pub session: String,
    /// Milliseconds between asking and forcing; none is 3,000.
    pub grace_ms: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attach {
    pub session: String,
    pub read_only: bool,
    pub cols: u16,
    pub rows: u16,
}

/// The viewer's terminal has another size now, or has lost its picture; sent on the channel of its `Attach`, and
/// answered by a repaint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resize {
    pub cols: u16,
    pub rows: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Supervisor {
    /// `status`, `stop` or `restart`.
    pub action: String,
    /// With `stop`: end the sessions too.
    pub kill: bool,
}

/// What an agent's own hook reports. Believed only from the session's process tree, with its token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    pub session: String,
    pub token: String,
    /// Names the report: a repeat is answered and not counted again.
    pub key: String,
    /// The hook's standard input, as it came.
    pub payload: ByteBuf,
}
