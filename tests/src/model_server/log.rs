//! What the server was asked, when, and what it answered; and the one place where its threads and the
//! test's meet.

use std::collections::HashSet;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a request is, as far as a test cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The main conversation, or a sub-agent's, ending in a text of the user.
    Turn,
    /// The same, ending in the results of tools.
    ToolResult,
    /// What the agent asks for itself: a title, a quota probe, a topic check.
    Helper,
    /// Not a request for a message at all (`HEAD /`).
    Probe,
}

/// One recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counted from 0 in the order of arrival.
    pub number: usize,
    /// When the request had arrived in full.
    pub at: Instant,
    /// When the last byte of the answer had been handed to the kernel; `None` while it is under way.
    pub sent: Option<Instant>,
    pub method: String,
    pub path: String,
    /// The agent's own session id, where it sends one.
    pub session: Option<String>,
    /// The request as JSON, or null.
    pub body: Value,
    pub kind: Kind,
    /// The texts of the user that end the conversation, oldest first, without what the agent injected.
    pub texts: Vec<String>,
    /// What was (or will be) answered, as text.
    pub answer: String,
}

impl Request {
    /// The text that decided the answer.
    #[must_use]
    pub fn text(&self) -> &str {
        self.texts.last().map_or("", String::as_str)
    }
}

/// Everything recorded so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub requests: Vec<Request>,
    held: HashSet<String>,
    released: HashSet<String>,
}

impl Log {
    /// The requests that began with a text of the user.
    pub fn turns(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|r| r.kind == Kind::Turn)
    }

    /// Whether `hold NAME` or `late NAME` has come to its stopping place.
    #[must_use]
    pub fn is_held(&self, name: &str) -> bool {
        self.held.contains(name)
    }

    pub(super) fn hold(&mut self, name: &str) {
        self.held.insert(name.to_owned());
    }

    pub(super) fn release(&mut self, name: &str) {
        self.released.insert(name.to_owned());
    }

    pub(super) fn is_released(&self, name: &str) -> bool {
        self.released.contains(name)
    }

    fn summary(&self) -> String {
        let line = |r: &Request| {
            let sent = if r.sent.is_some() { "answered" } else { "under way" };
            format!("  {} {:?} {} {} {sent}: {:?}\n", r.number, r.kind, r.method, r.path, r.text())
        };
        self.requests.iter().map(line).collect()
    }
}

/// The log behind its lock, with the event "something changed".
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub manner: Manner,
}

/// How the model answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// By the scripts, and after tools with what they said.
    #[default]
    Scripts,
    /// By the scripts, and without the words of tools.
    Terse,
    /// No text is a script: each is answered with its digest.
    Digests,
}

#[derive(Debug, Default)]
struct State {
    log: Log,
    stopped: bool,
    sockets: Vec<TcpStream>,
}

impl Shared {
    pub fn new(manner: Manner) -> Self {
        Self { manner, ..Self::default() }
    }

    // A test that panicked while it held the lock leaves the log as true as before.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn update<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut self.lock().log);
        self.changed.notify_all();
        result
    }

    pub fn snapshot(&self) -> Log {
        self.lock().log.clone()
    }

    pub fn wait_for<T>(&self, deadline: Duration, mut find: impl FnMut(&Log) -> Option<T>) -> T {
        let end = Instant::now() + deadline;
        let mut state = self.lock();
        loop {
            if let Some(found) = find(&state.log) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            let seen = state.log.summary();
            assert!(!left.is_zero(), "the model server did not see it in {deadline:?}; it saw:\n{seen}");
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Waits, inside a scripted answer, until `name` is released, the server stops, or `limit` passes.
    pub fn pause(&self, name: Option<&str>, limit: Duration) {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while !state.stopped && !name.is_some_and(|name| state.log.is_released(name)) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Keeps a handle on a connection, so that stopping can cut it. False once stopped.
    pub fn keep(&self, stream: &TcpStream) -> bool {
        let mut state = self.lock();
        let Ok(handle) = stream.try_clone() else { return false };
        if !state.stopped {
            state.sockets.push(handle);
        }
        !state.stopped
    }

    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        for socket in state.sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }
}
