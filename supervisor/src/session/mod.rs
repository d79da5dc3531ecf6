//! One session, run by one task that owns everything of it: the core, the screen, the log's reader, the
//! timers. Nothing of a session is shared with another and there is no lock: others put [`Command`]s into its
//! bounded mailbox and read its published [`Summary`].
//!
//! ```text
//!  connections, keeper, hooks ──Command──▶ ┌───────┐ ──Effect──▶ store, typist, sources, timers
//!  pump ── log ── doorbell ───────────────▶│ task  │ ──Reply───▶ connections' outboxes (never waited for)
//!  timers ────────────────────────────────▶└───────┘ ──Summary─▶ list
//! ```

mod birth;
mod build;
mod death;
mod effects;
mod found;
mod output;
mod requests;
mod sources;
mod task;
mod timers;
mod transcript;
mod tty;
mod typist;
mod viewers;

use std::sync::{Arc, Weak};

use dsx_core::{Evidence, Exit, RequestId, Source, Spec, WaiterId};
use dsx_protocol::{Attach, ErrorKind, Prompt, Reply, Request, Respond, Settled, Summary, Wait, WireError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::log::LogReader;
use crate::serve::ReplyTo;

pub(crate) use birth::core_exit;
pub use birth::{Adopted, adopt, create};
pub use death::bury;
pub(crate) use found::take_in;
pub(crate) use requests::next_request;
pub use task::Services;

/// Commands that may wait for a session; one more is refused, nobody waits for a place.
pub const MAILBOX: usize = 512;
/// Bytes that all viewers of a session together may have typed and the program not yet read.
const TYPING: usize = 1024 * 1024;
/// What a piece of them costs beside its bytes: so few pieces fit that the typist's queue has a place for each.
const KEYS_COST: usize = TYPING / (typist::JOBS / 2);

/// Something for a session's task to do.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a mailbox holds few, and grows as it fills")]
pub enum Command {
    Request(Request, ReplyTo),
    /// A wait, with the name by which it can be given up, and the session that asks from inside of it.
    Wait(WaiterId, Wait, Waiter, Option<String>),
    Unwait(WaiterId),
    /// Its output, and what tells of more.
    Output(oneshot::Sender<(LogReader, watch::Receiver<u64>)>),
    /// What it was asked to be.
    Spec(oneshot::Sender<Box<Spec>>),
    /// Answer once the agent takes input, asks something, or has ended.
    WhenReady(ReplyTo),
    /// Sources said these, in this order.
    Said(Vec<(Source, u64, Evidence)>),
    /// A hook's report; the sender is known to be the agent's own child.
    Hook {
        at: u64,
        key: String,
        payload: Vec<u8>,
        /// It waits for a decision, under this name.
        hold: Option<RequestId>,
        to: Option<ReplyTo>,
    },
    /// A hook does not wait any more.
    Unhold(RequestId),
    /// Somebody answers a prompt, and may.
    Respond {
        by: String,
        respond: Respond,
        to: ReplyTo,
    },
    /// Tell which prompts are open.
    Prompts(oneshot::Sender<Vec<Prompt>>),
    /// A hook's report was not taken over its connection: it lies in the spool.
    ReadSpool,
    Exited(Exit),
    /// Bytes typed by a viewer, and their room among what may wait to be typed.
    Input(u64, Vec<u8>, OwnedSemaphorePermit),
    /// A viewer's terminal changed: its size, or all that was on it.
    Resize(u64, u16, u16),
    Left(u64),
    /// A viewer that lagged has read what waited for it.
    Room(u64),
    Attach {
        viewer: u64,
        attach: Attach,
        to: ReplyTo,
    },
}

/// Whoever is owed the settlement of a wait.
#[derive(Debug)]
pub struct Waiter {
    to: ReplyTo,
    /// Held for as long as the wait stands: others see by it whether it still does.
    stands: Arc<()>,
}

impl Waiter {
    #[must_use]
    pub fn new(to: ReplyTo) -> Self {
        Self { to, stands: Arc::new(()) }
    }

    /// By which others see whether the wait still stands.
    #[must_use]
    pub fn stands(&self) -> Weak<()> {
        Arc::downgrade(&self.stands)
    }

    /// Ends the wait, and only then says so: whoever hears of it may wait the other way round.
    pub fn settle(self, result: Result<Settled, WireError>) {
        drop(self.stands);
        self.to.answer(result.map(Reply::Settled));
    }
}

/// The status of what nothing is known of.
pub(crate) const UNKNOWN: &str = "unknown";

/// How the rest of the supervisor reaches a session.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    pub id: String,
    pub mailbox: mpsc::Sender<Command>,
    pub summary: watch::Receiver<Summary>,
    /// Room for what viewers type, in bytes.
    typing: Arc<Semaphore>,
}

impl SessionHandle {
    #[must_use]
    pub fn new(id: String, mailbox: mpsc::Sender<Command>, summary: watch::Receiver<Summary>) -> Self {
        Self { id, mailbox, summary, typing: Arc::new(Semaphore::new(TYPING)) }
    }

    /// It could not be taken over: nobody reads its mailbox, and what it is now is not known.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.mailbox.is_closed() && self.summary.borrow().status == UNKNOWN
    }

    /// Puts a command into the mailbox, waiting for a place: for what must arrive, from whoever may wait. A
    /// session that is gone needs nothing any more.
    pub async fn deliver(&self, command: Command) {
        let _ = self.mailbox.send(command).await;
    }

    /// Types bytes for a viewer, whole and in order; waits until there is room for them.
    pub async fn type_for(&self, viewer: u64, bytes: Vec<u8>) {
        let cost = KEYS_COST + bytes.len().min(TYPING / 2);
        let room = Arc::clone(&self.typing).acquire_many_owned(u32::try_from(cost).unwrap_or(u32::MAX)).await;
        // The semaphore is never closed.
        if let Ok(room) = room {
            self.deliver(Command::Input(viewer, bytes, room)).await;
        }
    }

    /// Puts a command into the mailbox; a full one is an error, not a wait.
    pub fn put(&self, command: Command) -> Result<(), WireError> {
        self.mailbox.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                WireError::new(ErrorKind::Refused, format!("session {} is busy", self.id))
                    .hint("try again in a moment")
                    .session(&self.id)
            }
            mpsc::error::TrySendError::Closed(_) => {
                WireError::new(ErrorKind::NoSession, format!("session {} is gone", self.id))
                    .hint("see 'dsx list'")
            }
        })
    }
}
