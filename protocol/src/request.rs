//! One struct per verb. Fields may be added with a default; none is renamed or reused.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::TurnId;

/// A name and a value of an environment, as bytes: neither has to be UTF-8.
pub type Pair = (ByteBuf, ByteBuf);

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is moved once")]
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
    Prompts(Prompts),
    Respond(Respond),
    Events(Events),
    Transcript(Transcript),
    Rename(Rename),
    Describe(Describe),
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
    /// Names and values to find it by.
    pub labels: Vec<(String, String)>,
    /// What becomes of the agent's prompts: `ask` (they stay open; the default), `deny` or `allow`.
    pub on_prompt: Option<String>,
    /// It may answer its own and its ancestors' prompts. Only a caller outside of any session may say so.
    pub may_respond: bool,
    /// Milliseconds without a turn, a prompt or a viewer after which it is ended and forgotten; none is never.
    pub ttl_ms: Option<u64>,
    /// The session whose agent, directory, mode, model, group, labels, way with prompts and time to live it takes
    /// over where none are given.
    pub from: Option<String>,
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
    /// Stop the running turn first.
    pub interrupt: bool,
    /// Join the running turn instead of waiting for its end.
    pub steer: bool,
    /// Milliseconds to wait while somebody's draft is in the agent's input box; none is 30,000.
    pub draft_ms: Option<u64>,
    /// The text has variables (`{{session}}` and others), which are given this session's and turn's values.
    pub template: bool,
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
    /// Only those of this group.
    pub group: Option<String>,
    /// Only those that have all of these.
    pub labels: Vec<(String, String)>,
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
    /// The agent waits for a decision: the reply comes when there is one, or when none is needed any more.
    pub holds: bool,
}

/// List the open prompts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prompts {
    /// None is of all sessions.
    pub session: Option<String>,
}

/// Answer a prompt. Exactly one of `allow`, `deny` and `answers` is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Respond {
    pub session: String,
    /// None where only one is open.
    pub prompt: Option<String>,
    pub allow: bool,
    pub deny: bool,
    /// With `deny`: what the agent is told.
    pub message: Option<String>,
    pub answers: Vec<Answer>,
    /// Names this call: a repeat with the same key is answered as the first one.
    pub key: Option<String>,
}

/// What is chosen, or said, to one question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// From 1; 0 is the first that no other answer is for.
    pub question: u32,
    /// Options by number or label; several only where the question takes several.
    pub choices: Vec<String>,
    /// An answer in words of one's own.
    pub text: Option<String>,
}

/// What happened, oldest first, as events before the reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Events {
    /// Only those after this one; none is from the oldest that is kept, or with `follow` from now on.
    pub since: Option<u64>,
    /// Go on as more happens: there is no reply then.
    pub follow: bool,
    /// Only this session's.
    pub session: Option<String>,
}

/// What was said in a session, by role, as events before the reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transcript {
    pub session: String,
    /// Only the last so many entries.
    pub tail: Option<u32>,
    /// Only those after this one.
    pub since: Option<u64>,
    /// Go on as more is said, until the session ends.
    pub follow: bool,
}

/// Give a session a name that can be used in place of its id. An empty one takes it away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rename {
    pub session: String,
    pub name: String,
}

/// Say what a session is for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Describe {
    pub session: String,
    pub description: String,
}
