//! The end of a session: the program's, and what a `kill` does about it.

use std::time::Duration;

use dsx_core::{Cli, Exit, Input};
use dsx_protocol::{ErrorKind, Killed, Reply, WireError};
use nix::sys::signal::Signal;
use tokio::time::timeout;
use tracing::{info, warn};

use super::task::Task;
use super::timers::Due;
use super::{Services, SessionHandle};
use crate::keeper::Scope;
use crate::serve::ReplyTo;

/// Between asking and forcing, where nobody says otherwise.
const GRACE_MS: u64 = 3_000;
/// What ends a session that nobody uses, as events name it.
const TIME_TO_LIVE: &str = "time-to-live";
/// How long the kernel may take to end what was killed.
pub(super) const FORCED: Duration = Duration::from_secs(10);

/// A kill under way.
pub(super) struct Killing {
    pub to: Vec<ReplyTo>,
    /// What began it, where nobody asked for it.
    pub by: Option<&'static str>,
}

impl Task {
    /// Hangs up and asks to end; forces after the grace. A second kill only waits for the first.
    pub(super) async fn kill(&mut self, grace_ms: Option<u64>, to: Option<ReplyTo>) {
        if let Some(killing) = &mut self.kill {
            killing.to.extend(to);
            return;
        }
        let by = to.is_none().then_some(TIME_TO_LIVE);
        self.kill = Some(Killing { to: Vec::from_iter(to), by });
        if self.core.durable().exit.is_some() {
            self.remove().await;
            return;
        }
        for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGCONT] {
            // It may be gone already, which its exit tells.
            let _ = self.services.keeper.signal(&self.id, signal, Scope::Group).await;
        }
        self.timers.arm(Due::Grace, grace_ms.unwrap_or(GRACE_MS));
    }

    /// Nobody has used it for as long as it may live then.
    pub(super) async fn expire(&mut self) {
        info!(session = %self.id, "the time to live is over");
        self.kill(None, None).await;
    }

    pub(super) async fn grace_over(&mut self) {
        let forced = self.services.keeper.signal(&self.id, Signal::SIGKILL, Scope::Session);
        if !timeout(FORCED, forced).await.is_ok_and(|sent| sent.is_ok()) {
            warn!(session = %self.id, "the program could not be killed");
        }
    }

    /// The program has ended and its output has been read.
    pub(super) async fn exited(&mut self) {
        let Some(exit) = self.ended.take() else { return };
        self.timers.disarm(Due::Drain);
        self.timers.disarm(Due::Grace);
        self.keep_last_words().await;
        self.input(Input::Exited(Exit { code: exit.code, signal: exit.signal })).await;
        self.leave_viewers();
        // What it left running in its terminal goes with it.
        let leftovers = self.services.keeper.signal(&self.id, Signal::SIGKILL, Scope::Session);
        let _ = timeout(FORCED, leftovers).await;
        let _ = self.services.keeper.forget(&self.id).await;
        self.typist = None;
        self.master = None;
        self.sources = None;
        // Whoever asked for a session that never took input is told so, and finds nothing left of it.
        let never_began = !self.core.durable().ready && !self.when_ready.is_empty();
        if self.kill.is_some() || never_began {
            self.remove().await;
        }
    }

    /// What a command printed in the turn that its end cuts off is that turn's text.
    async fn keep_last_words(&mut self) {
        let running = self.core.durable().running().map(|t| (t.id, t.output));
        if let (Cli::Command, Some((turn, from))) = (self.core.spec().cli, running) {
            let text = self.capture(turn, from);
            self.input(Input::Captured { turn, text }).await;
        }
    }

    /// Forgets the session and everything of it.
    pub(super) async fn remove(&mut self) {
        self.services.pump.remove(self.pump_key);
        let by = self.kill.as_ref().and_then(|killing| killing.by);
        let removed = self.store.remove_by(&self.id, by).await;
        let dir = self.dir.clone();
        // What cannot be deleted is deleted when the name is used again.
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
        self.services.registry.gone(&self.id).await;
        self.over = true;
        let exit_code = self.core.durable().exit.and_then(Exit::status);
        for to in self.kill.take().into_iter().flat_map(|k| k.to) {
            to.answer(match &removed {
                Ok(()) => Ok(Reply::Killed(Killed { session: self.id.clone(), exit_code })),
                Err(error) => Err(WireError::new(ErrorKind::Failed, error.to_string()).session(&self.id)),
            });
        }
    }
}

/// Ends and forgets a session that could not be taken over: no task is there to answer for it.
///
/// # Errors
/// When the store cannot forget it; it is still listed then.
pub async fn bury(services: &Services, handle: &SessionHandle) -> Result<Reply, WireError> {
    let id = &handle.id;
    // The keeper may hold its process still, or know of none.
    let killed = services.keeper.signal(id, Signal::SIGKILL, Scope::Session);
    let _ = timeout(FORCED, killed).await;
    let _ = services.keeper.forget(id).await;
    let removed = services.store.remove(id).await;
    removed.map_err(|e| WireError::new(ErrorKind::Failed, e.to_string()).session(id))?;
    let dir = services.sessions.join(id);
    // What cannot be deleted is in nobody's way.
    let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
    services.registry.gone(id).await;
    let exit_code = handle.summary.borrow().exit_code;
    Ok(Reply::Killed(Killed { session: id.clone(), exit_code }))
}
