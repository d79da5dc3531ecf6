//! A session's timers. At most one of each is armed; arming replaces.

use std::collections::HashMap;
use std::time::Duration;

use dsx_core::Timer;
use tokio::time::Instant;

/// What a session may wait for besides the core's own timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Due {
    Core(Timer),
    /// The screen has been quiet for as long as was asked.
    Look,
    /// The last output should have come by now.
    Drain,
    /// The program should have ended by now.
    Grace,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: HashMap<Due, Instant>,
}

impl Timers {
    pub(super) fn arm(&mut self, due: Due, after_ms: u64) {
        self.arm_at(due, Instant::now() + Duration::from_millis(after_ms));
    }

    pub(super) fn arm_at(&mut self, due: Due, at: Instant) {
        self.armed.insert(due, at);
    }

    pub(super) fn disarm(&mut self, due: Due) {
        self.armed.remove(&due);
    }

    pub(super) fn is_armed(&self, due: Due) -> bool {
        self.armed.contains_key(&due)
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.armed.values().min().copied()
    }

    /// Takes all that are due.
    pub(super) fn take_due(&mut self) -> Vec<Due> {
        let now = Instant::now();
        self.armed.extract_if(|_, at| *at <= now).map(|(due, _)| due).collect()
    }
}
