//! Where everything that happens during a recording is written down, by whichever thread sees it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Event, What};
use crate::DEADLINE;

/// Milliseconds since 1970 of moments that are kept in other ways.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: (Instant, u64),
}

impl Clock {
    pub fn start() -> Self {
        Self { base: (Instant::now(), now()) }
    }

    pub fn ms(&self, at: Instant) -> u64 {
        let (base, ms) = self.base;
        match at.checked_duration_since(base) {
            Some(after) => ms + after.as_millis() as u64,
            None => ms - base.duration_since(at).as_millis() as u64,
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as u64
}

#[derive(Debug, Default)]
pub struct Tape {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what happens now; returns when that is.
    pub fn put(&self, what: What) -> u64 {
        let at = now();
        self.lock().push(Event { at, what });
        self.changed.notify_all();
        at
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Waits until `find` sees what it looks for.
    ///
    /// # Panics
    /// When it is not there in time.
    pub fn wait<T>(&self, what: &str, mut find: impl FnMut(&[Event]) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        let mut events = self.lock();
        loop {
            if let Some(found) = find(&events) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            let last = events.len().saturating_sub(12);
            assert!(!left.is_zero(), "{what}: not seen in time; last was {:#?}", &events[last..]);
            events = self.changed.wait_timeout(events, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until nothing has been written for so long.
    pub fn quiet(&self, time: Duration) {
        let mut events = self.lock();
        loop {
            let before = events.len();
            let (next, waited) =
                self.changed.wait_timeout(events, time).unwrap_or_else(PoisonError::into_inner);
            if waited.timed_out() && next.len() == before {
                return;
            }
            events = next;
        }
    }
}
