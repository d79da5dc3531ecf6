//! The wire between `dsx` and its supervisor, on one page.
//!
//! A connection is a Unix stream of [`Frame`]s. Each side first sends one [`Hello`]; after it the client
//! sends [`Request`]s and the supervisor answers each, on the same channel number, with exactly one
//! [`Reply`] or [`WireError`], after any number of [`Event`]s and data frames of that channel.
//!
//! ```text
//!  client                                supervisor
//!    │ Hello{versions, client}               │
//!    │ Request{ch 1, send}                   │   (no need to wait for the other Hello)
//!    │──────────────────────────────────────▶│
//!    │               Hello{version, server}  │
//!    │               Reply{ch 1, sent}       │
//!    │◀──────────────────────────────────────│
//! ```
//!
//! Bodies are MessagePack maps with named fields, so that a field can be added without breaking a peer:
//! unknown fields are skipped, missing ones take their default, an unknown verb arrives as
//! [`Request::Unknown`] and is answered with an error, never with a closed connection. Nothing is ever
//! renamed or reused. `PROTOCOL.md` beside this crate is the same page for people without Rust.
//!
//! Absences: this crate opens no socket and reads no clock.

mod error;
mod frame;
mod hello;
mod ids;
mod reply;
mod request;

pub use error::{ErrorKind, WireError};
pub use frame::{Decoder, Frame, FrameError, Kind, MAX_BODY, body, decode, encode};
pub use hello::{Hello, VERSION, VERSION_MIN, agree};
pub use ids::{ParseTurnError, TurnId};
pub use reply::{
    Created, Decided, Entry, Event, Explained, Following, Happened, Held, Killed, LogChunk, Message,
    Messages, OpenPrompts, Prompt, PromptOption, Question, Reply, Responded, ScreenReply, SendReceipt,
    Sessions, Settled, Signal, StatusReply, Summary, SupervisorReply, WaitBound,
};
pub use request::{
    Answer, Attach, Create, Describe, Events, Explain, Hook, Interrupt, Keys, Kill, LastMessage, List, Logs,
    Pair, Prompts, Rename, Request, Resize, Respond, Screen, Send, Status, Supervisor, Transcript, Wait,
};

/// The version of dsx itself, from the one place that states it (the workspace's `Cargo.toml`).
pub const DSX_VERSION: &str = env!("CARGO_PKG_VERSION");
