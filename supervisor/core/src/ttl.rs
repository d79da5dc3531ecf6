//! A session that nobody uses any more ends by itself, where its creator laid down when.
//!
//! In use is one with a turn that runs or is queued, an open prompt, or a viewer. The time is counted from the
//! last fact, viewer or key: what a crash forgets of these it gives back as a short stay.

use dsx_protocol::{ErrorKind, WireError};

use crate::evidence::Source;
use crate::input::{Effect, Now, Timer};
use crate::session::Session;

/// An agent may take so long to start, whatever its time to live.
const START_MS: u64 = 300_000;
/// Viewers may take so long to come back to a new supervisor.
const RETURN_MS: u64 = 10_000;

impl Session {
    /// The moment from which nobody has used it, and how long that may last; none while it is in use.
    fn unused(&self) -> Option<(u64, u64)> {
        let ttl = self.durable.spec.terms.ttl_ms?;
        let d = &self.durable;
        if self.live.expired || self.live.recovering {
            return None;
        }
        let since = d.last_at.max(self.live.used_at);
        if d.exit.is_some() {
            return Some((since, ttl));
        }
        let turns = d.running().is_some() || d.first_queued().is_some();
        if turns
            || !d.prompts.is_empty()
            || self.live.viewers > 0
            || (self.agent_is_busy() && !self.live.shells_linger)
        {
            return None;
        }
        Some((since, if d.ready { ttl } else { ttl.max(START_MS) }))
    }

    /// Arms the one timer of a session that has a time to live, and only then.
    pub(crate) fn count_idle_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        let due = self.unused().map(|(since, ttl)| since.saturating_add(ttl));
        if due == self.live.due {
            return;
        }
        self.live.due = due;
        out.push(match due {
            Some(at) => Effect::Arm { timer: Timer::TimeToLive, after_ms: at.saturating_sub(now.ms) },
            None => Effect::Disarm(Timer::TimeToLive),
        });
    }

    pub(crate) fn ttl_expired(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some((since, ttl)) = self.unused() else { return };
        if now.ms < since.saturating_add(ttl) {
            // It was used meanwhile, or the clock stepped back: the rest is waited for.
            self.live.due = None;
            return;
        }
        let ended = self.durable.exit.is_some();
        let what = if ended { "ended and nobody asked for it" } else { "nobody used it" };
        self.note(Source::Dsx, now.ms, format!("its time to live is over: {what} for {} s", ttl / 1_000));
        self.live.expired = true;
        out.push(Effect::Expire);
    }

    pub(crate) fn viewed(&mut self, now: Now, viewers: u32, out: &mut Vec<Effect>) {
        self.live.viewers = viewers;
        self.show_unseen(now, out);
        self.live.used_at = self.live.used_at.max(now.ms);
    }

    /// A new supervisor: whoever looked at the session is not there yet.
    pub(crate) fn await_viewers(&mut self, now: Now) {
        if let (Some(ttl), None) = (self.durable.spec.terms.ttl_ms, self.durable.exit) {
            let back = now.ms.saturating_add(RETURN_MS).saturating_sub(ttl);
            self.live.used_at = self.live.used_at.max(back);
        }
    }

    /// Nothing is begun in a session that is about to be forgotten.
    pub(crate) fn check_not_expired(&self) -> Result<(), WireError> {
        if !self.live.expired {
            return Ok(());
        }
        let id = &self.durable.spec.id;
        Err(WireError::new(
            ErrorKind::Exited,
            format!("session {id} is being ended: its time to live is over"),
        )
        .hint("start another with 'dsx create'")
        .session(id))
    }
}
