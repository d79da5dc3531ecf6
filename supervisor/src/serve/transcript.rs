//! What was said in a session, by role, told to whoever reads along.
//!
//! It is read from what the agent wrote down, and for a plain command from its turns. Nothing is kept of it: a
//! cursor says where in that something stands, so that any supervisor can go on from it.

use std::collections::VecDeque;
use std::sync::Arc;

use dsx_core::adapter::{Spoken, TurnFinder, entry_text};
use dsx_core::{Cli, Outcome};
use dsx_protocol::{Entry, ErrorKind, Event, Reply, Summary, Transcript, TurnId, WireError};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;

use super::forgotten;
use super::reply::ReplyTo;
use crate::entries::EntryFile;
use crate::registry::Registry;
use crate::session::{Services, SessionHandle};
use crate::store::{Answered, Store, StoreError};
use crate::watch::{Watch, Watched};

/// Entries that `tail` can ask for; with more of them everything is told.
const TAIL: usize = 1_000_000;

/// Answers a `transcript`; with `follow` when the session ends.
pub(super) async fn tell(services: Services, handle: SessionHandle, asked: Transcript, to: ReplyTo) {
    let source = source(&services, &handle);
    let (registry, summary) = (services.registry.clone(), handle.summary.clone());
    let reading = Reading { asked, to: to.clone(), registry, summary, session: handle.id.clone() };
    let told = match source {
        Source::Files(files) => reading.all(files).await,
        Source::Turns(turns) => reading.all(turns).await,
    };
    to.answer(match told {
        Ok(()) => Ok(Reply::Done),
        Err(error) => Err(WireError::new(ErrorKind::Failed, error.to_string()).session(&handle.id)),
    });
}

enum Source {
    Files(Files),
    Turns(Turns),
}

fn source(services: &Services, handle: &SessionHandle) -> Source {
    let (store, session) = (services.store.clone(), handle.id.clone());
    let cli = match handle.summary.borrow().cli.as_str() {
        "claude" => Cli::Claude,
        "demo" => Cli::Demo,
        _ => return Source::Turns(Turns { store, session, next: TurnId(1), asked: false }),
    };
    let own = services.sessions.join(&session).join("demo.jsonl");
    Source::Files(Files {
        store,
        session,
        cli,
        own: (cli == Cli::Demo).then(|| own.to_string_lossy().into_owned()),
        watch: services.watch.clone(),
        watched: None,
        bell: Arc::new(Notify::new()),
        files: Vec::new(),
        stale: true,
        finder: TurnFinder::default(),
        turn: None,
    })
}

/// Where entries come from, in the order of their cursors.
trait Entries {
    /// Some more of them; none where there are no more for now.
    async fn more(&mut self) -> Result<Vec<Entry>, StoreError>;
    /// Returns when there may be more, though nothing of the session itself has changed.
    async fn bell(&self);
    /// Something of the session has changed.
    fn look_again(&mut self);
    /// The same from the beginning.
    fn again(&self) -> Self;
}

struct Reading {
    asked: Transcript,
    to: ReplyTo,
    session: String,
    registry: Registry,
    summary: watch::Receiver<Summary>,
}

impl Reading {
    async fn all(mut self, mut entries: impl Entries) -> Result<(), StoreError> {
        let mut since = self.asked.since.unwrap_or(0);
        if let Some(tail) = self.asked.tail {
            since = since.max(before_the_last(entries.again(), tail).await?);
        }
        loop {
            // Seen before the last of it is read: what was said before the end is told.
            let over = {
                let now = self.summary.borrow_and_update();
                if now.has_changed() {
                    entries.look_again();
                }
                now.status == "exited"
            };
            self.catch_up(&mut entries, since).await?;
            if over || !self.asked.follow || self.to.is_closed() {
                return Ok(());
            }
            tokio::select! {
                changed = self.summary.changed() => {
                    // To be told of is to have seen it.
                    entries.look_again();
                    if changed.is_err() {
                        forgotten(&self.registry, &self.session).await;
                        return self.catch_up(&mut entries, since).await;
                    }
                }
                () = entries.bell() => {}
            }
        }
    }

    async fn catch_up(&self, entries: &mut impl Entries, since: u64) -> Result<(), StoreError> {
        loop {
            let some = entries.more().await?;
            if some.is_empty() {
                return Ok(());
            }
            for entry in some.into_iter().filter(|entry| entry.cursor > since) {
                let told = Event::Entry(entry);
                while !(self.to.keeps_up() && self.to.event(&told)) {
                    if !self.to.drained().await {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// The cursor behind which there are so many entries. Only cursors are kept meanwhile.
async fn before_the_last(mut entries: impl Entries, count: u32) -> Result<u64, StoreError> {
    let count = (count as usize).min(TAIL);
    // One more than are asked for: the one in front of them.
    let mut last = VecDeque::from([0]);
    loop {
        let some = entries.more().await?;
        if some.is_empty() {
            return Ok(last.front().copied().unwrap_or(0));
        }
        for entry in some {
            last.push_back(entry.cursor);
            if last.len() > count + 1 {
                last.pop_front();
            }
        }
    }
}

/// What an agent wrote down.
struct Files {
    store: Store,
    session: String,
    cli: Cli,
    /// The file of an agent that writes it into the session's own directory.
    own: Option<String>,
    watch: Watch,
    watched: Option<Watched>,
    bell: Arc<Notify>,
    files: Vec<EntryFile>,
    /// There may be another file.
    stale: bool,
    finder: TurnFinder,
    /// The turn that what is read now is of.
    turn: Option<TurnId>,
}

impl Entries for Files {
    async fn more(&mut self) -> Result<Vec<Entry>, StoreError> {
        if std::mem::take(&mut self.stale) {
            self.look_for_files().await?;
        }
        for at in 0..self.files.len() {
            loop {
                let mut file = self.files.swap_remove(at);
                let read = spawn_blocking(move || {
                    let read = file.read();
                    (file, read)
                });
                let Ok((file, (spoken, more))) = read.await else { return Ok(Vec::new()) };
                // Back to its place.
                self.files.push(file);
                let last = self.files.len() - 1;
                self.files.swap(at, last);
                if !spoken.is_empty() {
                    return self.in_turns(spoken).await;
                }
                if !more {
                    break;
                }
            }
        }
        Ok(Vec::new())
    }

    async fn bell(&self) {
        self.bell.notified().await;
    }

    fn look_again(&mut self) {
        self.stale = true;
    }

    fn again(&self) -> Self {
        Self {
            store: self.store.clone(),
            session: self.session.clone(),
            cli: self.cli,
            own: self.own.clone(),
            watch: self.watch.clone(),
            watched: None,
            bell: Arc::new(Notify::new()),
            files: Vec::new(),
            stale: true,
            finder: TurnFinder::default(),
            turn: None,
        }
    }
}

impl Files {
    /// A new conversation has a file of its own; the newest is the one that grows.
    async fn look_for_files(&mut self) -> Result<(), StoreError> {
        let written = self.learn().await?;
        let paths = self.own.iter().chain(&written);
        let new: Vec<String> = paths.skip(self.files.len()).cloned().collect();
        for path in new {
            let file = EntryFile::new(self.cli, &path, self.files.len());
            self.watched = self.watch.file(file.path(), Arc::clone(&self.bell)).await;
            self.files.push(file);
        }
        Ok(())
    }

    /// Learns which turns there are; the transcripts' paths.
    async fn learn(&mut self) -> Result<Vec<String>, StoreError> {
        let written = self.store.written(&self.session, self.finder.newest()).await?;
        for (turn, prompt) in &written.prompts {
            self.finder.know_prompt(*turn, prompt);
        }
        for (turn, key) in written.texts {
            self.finder.know_text(turn, key);
        }
        Ok(written.paths)
    }

    /// Each entry with the turn that it is of, as far as that is known.
    async fn in_turns(&mut self, spoken: Vec<(u64, Spoken)>) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for (cursor, Spoken { entry, begins, prompt }) in spoken {
            if begins {
                self.turn = self.finder.begin(prompt.as_deref(), &entry.text);
            }
            if begins && self.turn.is_none() {
                // It may have begun since the turns were read.
                self.learn().await?;
                self.turn = self.finder.begin(prompt.as_deref(), &entry.text);
            }
            entries.push(Entry { cursor, turn: self.turn, ..entry });
        }
        Ok(entries)
    }
}

/// The turns of a plain command.
struct Turns {
    store: Store,
    session: String,
    /// The first turn that is not told whole.
    next: TurnId,
    /// What it was asked is told.
    asked: bool,
}

impl Entries for Turns {
    async fn more(&mut self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for turn in self.store.answered(&self.session, self.next).await? {
            if !std::mem::replace(&mut self.asked, true) {
                entries.push(entry(&turn, 0, "user", &turn.request));
            }
            // What waits behind it is told when its own time comes: in this order, whenever it is read.
            let Some(outcome) = &turn.outcome else { break };
            if let Some(text) = turn.text.as_ref().filter(|text| !text.is_empty()) {
                entries.push(entry(&turn, 1, "assistant", text));
            }
            if outcome != Outcome::Ended.name() {
                entries.push(Entry { error: true, ..entry(&turn, 2, "note", outcome) });
            }
            self.next = TurnId(turn.turn.0 + 1);
            self.asked = false;
        }
        Ok(entries)
    }

    async fn bell(&self) {
        // A turn that goes on changes what is known of its session, which is heard of anyway.
        std::future::pending().await
    }

    fn look_again(&mut self) {}

    fn again(&self) -> Self {
        Self { store: self.store.clone(), session: self.session.clone(), next: TurnId(1), asked: false }
    }
}

/// One of the things that were said in a turn: what was asked, what came of it, how it ended.
fn entry(of: &Answered, place: u64, role: &str, text: &str) -> Entry {
    let at = if place == 0 { of.asked_at.or(of.ended_at) } else { of.ended_at };
    Entry {
        cursor: of.turn.0 * 4 + place,
        at: at.unwrap_or(0),
        role: role.to_owned(),
        turn: Some(of.turn),
        text: entry_text(text),
        ..Entry::default()
    }
}
