//! The thread that reads every PTY into its log.
//!
//! One thread of its own for all sessions: page faults and disk waits of the logs never stop the async
//! side. It sleeps in the kernel until a PTY has bytes; each session gets at most 64 KiB in a turn, so
//! that none slows another. A session whose reader lags too far behind is not read until the reader
//! has caught up ([`Flow::processed`]): its program waits in `write`, and nothing is lost or piles up.

mod poll;
mod thread;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::LogWriter;
use poll::Poller;

/// What the pump tells a session. Called on the pump's thread: the callee must only wake somebody, as
/// all other sessions wait meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PumpEvent {
    /// The log now ends at this offset.
    Data { end: u64 },
    /// The program and all that share its terminal are gone; no more will come. Sent once.
    Eof { end: u64 },
    /// The PTY or the log cannot be read or written any more; no more will come. Sent once, in the
    /// place of `Eof`.
    Failed { end: u64, reason: String },
    /// The pump has let go of the session, its master and its log. The last event; sent after
    /// [`Pump::remove`] only.
    Removed,
}

/// Receives a session's events.
pub type OnEvent = Arc<dyn Fn(PumpEvent) + Send + Sync>;

/// The pump could not be started or take a session.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    #[error("the output pump cannot start: {0}; check the limits on threads and open files")]
    Start(io::Error),
    #[error("session {key} is already read by the pump")]
    Known { key: u64 },
    #[error("the output pump has ended: restart the supervisor")]
    Ended,
}

/// The pump. Dropping it ends its thread; masters and logs it holds are closed, nothing is lost.
#[derive(Debug)]
pub struct Pump {
    desk: Arc<Desk>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The reader's side of a session's back-pressure.
#[derive(Clone, Debug)]
pub struct Flow {
    gauge: Arc<Gauge>,
    desk: Arc<Desk>,
}

/// How far reader and log of a session are apart.
#[derive(Debug)]
struct Gauge {
    key: u64,
    processed: AtomicU64,
    /// Where the log ended when the pump stopped reading.
    paused_at: AtomicU64,
    /// The pump has stopped reading and must be told when the reader has caught up.
    paused: AtomicBool,
    /// Reading stops where the reader lags by more than this, in bytes.
    limit: u64,
}

impl Gauge {
    fn lag(&self, end: u64) -> u64 {
        end.saturating_sub(self.processed.load(Ordering::SeqCst))
    }

    /// The reader has caught up far enough for reading to go on.
    fn has_room(&self, end: u64) -> bool {
        self.lag(end) <= self.limit / 2
    }
}

/// A session as it is handed to the thread.
struct Entry {
    master: OwnedFd,
    log: LogWriter,
    gauge: Arc<Gauge>,
    on_event: OnEvent,
}

enum Command {
    Add(u64, Box<Entry>),
    Remove(u64),
    Resume(u64),
    Stop,
}

/// Where commands are left for the thread.
///
/// Bounded by what there is: at most one Add, one Remove and one Resume for each session.
struct Desk {
    poller: Poller,
    commands: Mutex<VecDeque<Command>>,
    /// Keys of the sessions that are in the thread's hands or on their way there.
    keys: Mutex<std::collections::BTreeSet<u64>>,
    ended: AtomicBool,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    fn commands(&self) -> MutexGuard<'_, VecDeque<Command>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, std::collections::BTreeSet<u64>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, command: Command) {
        self.commands().push_back(command);
        // Failing, the command is found when the thread wakes for another reason.
        let _ = self.poller.wake();
    }
}

impl Pump {
    /// Starts the thread. `now_ms` tells the wall-clock time in milliseconds since 1970; it is called
    /// once in a while on the pump's thread.
    pub fn start(now_ms: fn() -> u64) -> Result<Self, PumpError> {
        let desk = Arc::new(Desk {
            poller: Poller::new().map_err(PumpError::Start)?,
            commands: Mutex::new(VecDeque::new()),
            keys: Mutex::new(std::collections::BTreeSet::new()),
            ended: AtomicBool::new(false),
        });
        let its = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("dsx-pump".to_owned())
            .spawn(move || thread::run(&its, now_ms))
            .map_err(PumpError::Start)?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Hands a session over: its master (non-blocking, a duplicate of the caller's) and its log.
    /// `processed` is the offset that the session's reader begins at; reading stops where the reader
    /// lags behind the log by more than [`crate::log::LogLimits::lag_bytes`].
    pub fn add(
        &self,
        key: u64,
        master: OwnedFd,
        log: LogWriter,
        processed: u64,
        on_event: OnEvent,
    ) -> Result<Flow, PumpError> {
        if self.desk.ended.load(Ordering::SeqCst) {
            return Err(PumpError::Ended);
        }
        if !self.desk.keys().insert(key) {
            return Err(PumpError::Known { key });
        }
        let gauge = Arc::new(Gauge {
            key,
            processed: AtomicU64::new(processed),
            paused_at: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            limit: log.reader().limits().lag_bytes(),
        });
        let entry = Entry { master, log, gauge: Arc::clone(&gauge), on_event };
        self.desk.leave(Command::Add(key, Box::new(entry)));
        Ok(Flow { gauge, desk: Arc::clone(&self.desk) })
    }

    /// Lets go of a session, at once and without reading what is still in its PTY (wait for
    /// [`PumpEvent::Eof`] to have that). [`PumpEvent::Removed`] follows; an unknown key does nothing.
    pub fn remove(&self, key: u64) {
        if self.desk.keys().contains(&key) {
            self.desk.leave(Command::Remove(key));
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.desk.leave(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Flow {
    /// The reader has dealt with all output up to `offset`. To be called whenever it has; wakes the
    /// pump where that waited for it.
    pub fn processed(&self, offset: u64) {
        let gauge = &self.gauge;
        gauge.processed.fetch_max(offset, Ordering::SeqCst);
        // Cheap as long as nothing waits. The thread sets the flag first and looks at the offset after,
        // so one of the two sees the other.
        if gauge.paused.load(Ordering::SeqCst)
            && gauge.has_room(gauge.paused_at.load(Ordering::SeqCst))
            && gauge.paused.swap(false, Ordering::SeqCst)
        {
            self.desk.leave(Command::Resume(gauge.key));
        }
    }

    /// Has the pump stopped reading because the reader lags?
    pub fn is_paused(&self) -> bool {
        self.gauge.paused.load(Ordering::SeqCst)
    }
}
