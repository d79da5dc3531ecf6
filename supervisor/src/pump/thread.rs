//! What the pump's thread does.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::poll::Registered;
use super::{Command, Desk, Entry, Gauge, OnEvent, PumpEvent};
use crate::log::LogWriter;

/// Bytes a session may have in one turn.
const TURN: usize = 64 * 1024;

struct Session {
    /// None once the input has ended.
    master: Option<Registered>,
    log: LogWriter,
    gauge: Arc<Gauge>,
    on_event: OnEvent,
    /// Stands in `ready`.
    queued: bool,
}

struct Thread<'a> {
    desk: &'a Arc<Desk>,
    now_ms: fn() -> u64,
    sessions: BTreeMap<u64, Session>,
    /// Sessions that have bytes, in the order of their turns.
    ready: VecDeque<u64>,
}

/// How a turn ended.
enum Turn {
    /// Nothing more is there: wait for the kernel to say so.
    Drained,
    /// There may be more: another turn, after the others.
    More,
    Eof,
    Failed(io::Error),
}

pub(super) fn run(desk: &Arc<Desk>, now_ms: fn() -> u64) {
    let mut thread = Thread { desk, now_ms, sessions: BTreeMap::new(), ready: VecDeque::new() };
    let ended = thread.serve();
    desk.ended.store(true, Ordering::SeqCst);
    if let Err(error) = ended {
        tracing::error!(%error, "the output pump cannot wait for output and ends");
        for session in thread.sessions.values() {
            (session.on_event)(PumpEvent::Failed { end: session.log.end(), reason: error.to_string() });
        }
    }
}

impl Thread<'_> {
    fn serve(&mut self) -> io::Result<()> {
        let mut events = polling::Events::new();
        let mut woken = Vec::new();
        loop {
            self.desk.poller.wait(&mut events, self.ready.is_empty(), &mut woken)?;
            for key in woken.drain(..) {
                self.enqueue(key);
            }
            let commands = std::mem::take(&mut *self.desk.commands());
            for command in commands {
                match command {
                    Command::Add(key, entry) => self.add(key, *entry),
                    Command::Remove(key) => self.remove(key),
                    Command::Resume(key) => self.enqueue(key),
                    Command::Stop => return Ok(()),
                }
            }
            // One turn for each that is ready, then a look at who else has become so.
            for _ in 0..self.ready.len() {
                if let Some(key) = self.ready.pop_front() {
                    self.turn(key);
                }
            }
        }
    }

    fn enqueue(&mut self, key: u64) {
        if let Some(session) = self.sessions.get_mut(&key)
            && session.master.is_some()
            && !session.queued
        {
            session.queued = true;
            self.ready.push_back(key);
        }
    }

    fn add(&mut self, key: u64, entry: Entry) {
        let Entry { master, log, gauge, on_event } = entry;
        let master = match Registered::new(self.desk, key, master) {
            Ok(master) => Some(master),
            Err(error) => {
                on_event(failed(&log, &error));
                None
            }
        };
        let session = Session { master, log, gauge, on_event, queued: false };
        self.sessions.insert(key, session);
    }

    fn remove(&mut self, key: u64) {
        self.ready.retain(|ready| *ready != key);
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        let Session { master, log, on_event, .. } = session;
        drop((master, log));
        self.desk.keys().remove(&key);
        on_event(PumpEvent::Removed);
    }

    fn turn(&mut self, key: u64) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.queued = false;
        if session.is_held_up() {
            return;
        }
        session.log.set_now((self.now_ms)());
        let before = session.log.end();
        let turn = session.read();
        let end = session.log.end();
        if end > before {
            (session.on_event)(PumpEvent::Data { end });
        }
        let event = match turn {
            Turn::Drained if !session.is_held_up() => match session.arm(key) {
                Ok(()) => return,
                Err(error) => failed(&session.log, &error),
            },
            // Held up, it comes back by way of `Flow`.
            Turn::Drained => return,
            Turn::More => {
                self.enqueue(key);
                return;
            }
            Turn::Eof => PumpEvent::Eof { end },
            Turn::Failed(error) => failed(&session.log, &error),
        };
        session.master = None;
        (session.on_event)(event);
    }
}

fn failed(log: &LogWriter, error: &io::Error) -> PumpEvent {
    PumpEvent::Failed { end: log.end(), reason: error.to_string() }
}

impl Session {
    /// Must reading wait for the reader? If so, the reader knows and will say when it has caught up.
    fn is_held_up(&self) -> bool {
        let end = self.log.end();
        if self.gauge.lag(end) <= self.gauge.limit {
            return false;
        }
        self.gauge.paused_at.store(end, Ordering::SeqCst);
        self.gauge.paused.store(true, Ordering::SeqCst);
        // The reader may have caught up just before the flag was there for it to see. Whoever takes the
        // flag back has the session go on; where it was the reader, a Resume is on its way.
        !(self.gauge.has_room(end) && self.gauge.paused.swap(false, Ordering::SeqCst))
    }

    fn arm(&self, key: u64) -> io::Result<()> {
        self.master.as_ref().map_or(Ok(()), |master| master.arm(key))
    }

    fn read(&mut self) -> Turn {
        let Some(master) = &self.master else {
            return Turn::Drained;
        };
        let mut left = TURN;
        while left > 0 {
            match self.log.fill_from(master.as_fd(), left) {
                Ok(0) => return Turn::Eof,
                Ok(n) => left = left.saturating_sub(n),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Turn::Drained,
                    ErrorKind::Interrupted => {}
                    // Linux says it so when the last descriptor of the other side is closed.
                    _ if error.raw_os_error() == Some(nix::libc::EIO) => return Turn::Eof,
                    _ => return Turn::Failed(error),
                },
            }
        }
        Turn::More
    }
}
