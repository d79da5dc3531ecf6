//! What the supervisor answers. Times are milliseconds since 1970, UTC.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::TurnId;

/// The one answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is moved once")]
pub enum Reply {
    Created(Created),
    Sent(SendReceipt),
    Settled(Settled),
    Status(StatusReply),
    Explained(Explained),
    Messages(Messages),
    Sessions(Sessions),
    Screen(ScreenReply),
    Killed(Killed),
    Supervisor(SupervisorReply),
    Prompts(OpenPrompts),
    Responded(Responded),
    /// What a hook is to print for its agent.
    Decided(Decided),
    /// Done, and there is nothing to say.
    Done,
    /// An answer of a newer supervisor.
    #[serde(other)]
    Unknown,
}

/// What may come on a request's channel before its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is moved once")]
pub enum Event {
    /// Which turn a wait is for, so that it can be asked again after a lost connection.
    WaitBound(WaitBound),
    /// A piece of a log.
    Log(LogChunk),
    /// From where events are told, so that they can be asked for again after a lost connection.
    Following(Following),
    /// Something happened.
    Happened(Happened),
    /// Something was said.
    Entry(Entry),
    /// A message is not typed yet: somebody's draft is in the agent's input box.
    Held(Held),
    #[serde(other)]
    Unknown,
}

/// A session as `create` and `list` show it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub id: String,
    /// `claude`, `codex`, `demo` or `command`.
    pub cli: String,
    pub path: String,
    pub mode: String,
    pub status: String,
    pub pid: Option<u32>,
    pub created_at: u64,
    /// `user`, or the id of the session that asked for it.
    pub creator: String,
    pub group: Option<String>,
    pub description: Option<String>,
    /// The turn that runs, else the newest.
    pub turn: Option<TurnId>,
    /// Open prompts.
    pub prompts: u32,
    pub viewers: u32,
    pub last_used: u64,
    pub exit_code: Option<i32>,
    /// A name that was given to it, as good as its id.
    pub name: Option<String>,
    pub labels: Vec<(String, String)>,
    /// `ask`, `deny` or `allow`.
    pub on_prompt: String,
    pub may_respond: bool,
    pub ttl_ms: Option<u64>,
    /// The session whose work it took over.
    pub from: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Created {
    pub session: Summary,
    /// The dialog that is open at start-up, if the agent asks before it begins.
    pub prompt: Option<Prompt>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SendReceipt {
    pub session: String,
    pub turn: Option<TurnId>,
    /// `submitted`, `queued` or `absorbed` (it joined the turn that ran; that is `turn` then).
    pub delivery: String,
    /// What showed that the agent has it.
    pub evidence: Option<String>,
    /// `terminal` or `file`.
    pub via: String,
    /// The turn that was stopped for it.
    pub interrupted: Option<TurnId>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitBound {
    pub session: String,
    pub turn: Option<TurnId>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    pub session: String,
    pub turn: Option<TurnId>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settled {
    pub session: String,
    pub turn: Option<TurnId>,
    /// `ended failed interrupted lost waiting exited`.
    pub outcome: String,
    pub error: Option<String>,
    pub prompt: Option<Prompt>,
    pub exit_code: Option<i32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prompt {
    pub id: String,
    pub session: String,
    pub turn: Option<TurnId>,
    /// `permission question plan trust login quota`.
    pub kind: String,
    pub tool: Option<String>,
    pub text: String,
    /// What the tool would run, in full.
    pub command: Option<String>,
    /// Of the first question.
    pub options: Vec<PromptOption>,
    pub opened_at: u64,
    /// What the tool would change, as a unified diff.
    pub diff: Option<String>,
    /// Where the agent asks several things at once, or several options may be chosen.
    pub questions: Vec<Question>,
}

/// One question of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Question {
    /// From 1.
    pub n: u32,
    pub header: Option<String>,
    pub text: String,
    pub options: Vec<PromptOption>,
    /// Several may be chosen.
    pub multiple: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptOption {
    pub n: u32,
    pub label: String,
    pub description: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusReply {
    pub session: String,
    /// `starting idle working waiting_for_input exited unknown`.
    pub status: String,
    pub turn: Option<TurnId>,
    pub since: u64,
    /// `high`, `medium`, `low` or `none`.
    pub confidence: String,
    pub prompt: Option<Prompt>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explained {
    pub status: StatusReply,
    pub signals: Vec<Signal>,
    pub because: String,
}

/// One thing that one source said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Signal {
    pub source: String,
    pub said: String,
    pub at: u64,
    /// `strong`, `medium` or `weak`.
    pub strength: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Messages {
    pub session: String,
    /// Newest last.
    pub messages: Vec<Message>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Message {
    pub turn: Option<TurnId>,
    pub outcome: String,
    /// None where the turn ended without text.
    pub text: Option<String>,
    /// What was asked.
    pub request: Option<String>,
    pub ended_at: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sessions {
    pub sessions: Vec<Summary>,
    /// What could not be read back at start-up and was set aside.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScreenReply {
    pub session: String,
    pub rows: u16,
    pub cols: u16,
    pub cursor_row: u16,
    pub cursor_col: u16,
    pub cursor_visible: bool,
    pub title: String,
    pub alternate: bool,
    /// False after the screen had to be rebuilt from a damaged stretch of output.
    pub complete: bool,
    pub lines: Vec<ByteBuf>,
    /// Lines that have left the screen, oldest first.
    pub history: Vec<ByteBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogChunk {
    /// Offset of the first byte, where the chunk is raw output.
    pub offset: u64,
    pub bytes: ByteBuf,
    /// Bytes before `offset` that are no longer kept.
    pub expired: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Killed {
    pub session: String,
    pub exit_code: Option<i32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SupervisorReply {
    pub pid: u32,
    pub keeper_pid: u32,
    pub version: String,
    pub started_at: u64,
    pub sessions: u32,
    pub socket: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenPrompts {
    /// Oldest first.
    pub prompts: Vec<Prompt>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Responded {
    pub session: String,
    pub prompt: String,
    pub turn: Option<TurnId>,
    /// `hook` (the agent's own way) or `keys` (typed into its dialog).
    pub via: String,
    /// The answer, in the words of the dialog.
    pub answer: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decided {
    /// For the hook's standard output; empty where the agent is to do without.
    pub output: ByteBuf,
}

/// The first thing that comes where events are followed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Following {
    /// Those after this one are told.
    pub cursor: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Happened {
    /// Grows from event to event, over all sessions.
    pub cursor: u64,
    pub at: u64,
    pub session: String,
    /// `created started ready queued delivering confirmed ended prompt answered exited removed changed`.
    pub what: String,
    pub turn: Option<TurnId>,
    /// How a turn ended, or how a prompt was answered.
    pub outcome: Option<String>,
    /// Who or what did it.
    pub by: Option<String>,
    pub text: Option<String>,
    pub prompt: Option<Prompt>,
    pub exit_code: Option<i32>,
    /// So many events before this one are no longer kept.
    pub expired: u64,
}

/// One thing that was said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    pub cursor: u64,
    pub at: u64,
    /// `user`, `assistant`, `tool` (what it was given), `result` (what it gave) or `note`.
    pub role: String,
    pub turn: Option<TurnId>,
    pub tool: Option<String>,
    pub text: String,
    /// A tool that failed.
    pub error: bool,
}
