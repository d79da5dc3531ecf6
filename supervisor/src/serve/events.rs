//! What happened, told to whoever follows it.
//!
//! Each follower has a task and a cursor of its own. New events are pushed to it; whatever it misses because it
//! lags, it reads from the store: nothing is lost to it, and nobody waits for it.

use std::sync::Arc;

use dsx_core::{Caller, may_drive};
use dsx_protocol::{ErrorKind, Event, Events, Following, Happened, Reply, WireError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::reply::ReplyTo;
use crate::session::Services;
use crate::store::{Recorded, Store, StoreError};

/// Answers an `events`; with `follow` until the client goes.
pub(super) async fn tell(services: Services, caller: Caller, asked: Events, to: ReplyTo) {
    // From here on nothing that is committed is missed.
    let pushed = services.store.subscribe();
    let follower = match Follower::start(&services, caller, &asked, to.clone()).await {
        Ok(follower) => follower,
        Err(error) => return to.answer(Err(error)),
    };
    let ended = match asked.follow {
        true => follower.follow(pushed).await,
        false => follower.replay().await,
    };
    match ended {
        Ok(()) if asked.follow => {}
        Ok(()) => to.answer(Ok(Reply::Done)),
        Err(error) => to.answer(Err(failed(&error))),
    }
}

struct Follower {
    store: Store,
    caller: Caller,
    /// Only this session's.
    session: Option<String>,
    /// Everything up to here has been told, or is not to be.
    at: u64,
    /// So many before the next one are no longer kept.
    expired: u64,
    to: ReplyTo,
}

impl Follower {
    async fn start(
        services: &Services,
        caller: Caller,
        asked: &Events,
        to: ReplyTo,
    ) -> Result<Self, WireError> {
        let session = match &asked.session {
            Some(typed) => Some(find(services, typed, &caller).await?),
            None => None,
        };
        let own = match &caller {
            Caller::User => None,
            Caller::Session { id, .. } => Some(id.clone()),
            Caller::Stray => {
                let what = "the caller runs in no session that dsx knows, so it may not see what happens";
                return Err(WireError::new(ErrorKind::Refused, what).hint("run it from a shell of your own"));
            }
        };
        let kept = services.store.kept(session.iter().cloned().chain(own).collect()).await;
        let kept = kept.map_err(|e| failed(&e))?;
        if let Some(since) = asked.since.filter(|since| *since > kept.newest) {
            let what = format!("there is no event {since} yet: the newest is {}", kept.newest);
            return Err(WireError::new(ErrorKind::Usage, what).hint("give a cursor that was told, or none"));
        }
        let from = asked.since.unwrap_or(if asked.follow { kept.newest } else { 0 });
        let at = from.max(kept.floor);
        if asked.follow {
            to.event(&Event::Following(Following { cursor: at }));
        }
        let expired = kept.oldest.saturating_sub(1).saturating_sub(at);
        Ok(Self { store: services.store.clone(), caller, session, at, expired, to })
    }

    /// Tells all that is stored; ends early where the client has gone.
    async fn replay(mut self) -> Result<(), StoreError> {
        self.catch_up().await
    }

    async fn follow(mut self, mut pushed: Receiver<Arc<Recorded>>) -> Result<(), StoreError> {
        self.catch_up().await?;
        while !self.to.is_closed() {
            match pushed.recv().await {
                Ok(recorded) => self.tell(&recorded).await,
                Err(RecvError::Lagged(_)) => self.catch_up().await?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let page = self.store.events(self.at, self.session.clone()).await?;
            for recorded in &page.events {
                self.tell(recorded).await;
            }
            if !page.more || self.to.is_closed() {
                return Ok(());
            }
        }
    }

    /// Tells one, if it is new and for this follower. Where the client lags, it is waited for here: what is
    /// pushed meanwhile is read from the store after.
    async fn tell(&mut self, recorded: &Recorded) {
        let event = &recorded.event;
        if event.cursor <= self.at {
            return;
        }
        self.at = event.cursor;
        let wanted = self.session.as_ref().is_none_or(|id| *id == event.session);
        if !wanted || !may_see(&self.caller, recorded) {
            return;
        }
        let told = Event::Happened(Happened { expired: std::mem::take(&mut self.expired), ..event.clone() });
        while !(self.to.keeps_up() && self.to.event(&told)) {
            if !self.to.drained().await {
                return;
            }
        }
    }
}

/// The rule for driving a session is the one for hearing of it.
fn may_see(caller: &Caller, recorded: &Recorded) -> bool {
    may_drive(caller, &recorded.event.session, &recorded.line).is_ok()
}

/// A session that is there, or one that is gone and of which something is still told.
async fn find(services: &Services, typed: &str, caller: &Caller) -> Result<String, WireError> {
    match services.registry.find(typed.to_owned(), caller.clone()).await {
        Ok(handle) => Ok(handle.id),
        Err(error) if error.kind == ErrorKind::NoSession => {
            let told = services.store.events(0, Some(typed.to_owned())).await.map_err(|e| failed(&e))?;
            match told.events.iter().any(|recorded| may_see(caller, recorded)) {
                true => Ok(typed.to_owned()),
                false => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn failed(error: &StoreError) -> WireError {
    WireError::new(ErrorKind::Failed, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use dsx_core::Fact;
    use dsx_protocol::{Decoder, Kind, decode};
    use tokio::net::UnixStream;

    use super::*;
    use crate::serve::Outbox;
    use crate::store::FILE;

    /// More than the pushed events, the outbox and the socket hold.
    const MANY: u64 = 4_000;

    #[tokio::test]
    async fn one_that_lags_loses_nothing_and_slows_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&dir.path().join(FILE), 0).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (outbox, queue) = Outbox::new(crate::serve::OUTBOX);
        tokio::spawn(queue.write_to(ours.into_split().1));
        let follower = Follower {
            store: store.clone(),
            caller: Caller::User,
            session: None,
            at: 0,
            expired: 7,
            to: ReplyTo::new(outbox, 1),
        };
        let following = tokio::spawn(follower.follow(store.subscribe()));
        let text = "x".repeat(1_000);
        for _ in 0..MANY / 8 {
            // Nobody reads, and each is stored all the same.
            let fact = Fact::Described { description: Some(text.clone()) };
            store.append("a", 1, vec![fact; 8]).await.unwrap();
        }
        assert!(!following.is_finished());
        let mut client = theirs.into_std().unwrap();
        client.set_nonblocking(false).unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let (mut decoder, mut buffer, mut cursors) = (Decoder::new(), [0; 64 * 1024], Vec::new());
            let mut expired = 0;
            while cursors.len() < MANY as usize {
                let read = client.read(&mut buffer).unwrap();
                decoder.push(&buffer[..read]);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    assert_eq!(frame.kind, Kind::Event);
                    let Event::Happened(told) = decode(&frame.body).unwrap() else { panic!("{frame:?}") };
                    expired += told.expired;
                    cursors.push(told.cursor);
                }
            }
            (cursors, expired)
        });
        let (cursors, expired) = reading.await.unwrap();
        assert_eq!(cursors, (1..=MANY).collect::<Vec<_>>());
        assert_eq!(expired, 7, "said once");
        following.abort();
    }
}
