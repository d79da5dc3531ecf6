//! The events beside the facts: each is written in the transaction of the fact that it tells of, so that no
//! crash can leave one without the other. They outlive their session, and are bounded in number.

use std::sync::Arc;

use dsx_core::{Fact, happened, prompt_of, removed};
use dsx_protocol::{Happened, Prompt};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::broadcast;

use super::{Job, Store, StoreError};

/// Events that are kept, of all sessions together.
const KEPT: i64 = 10_000;
/// New events that may wait for a follower; one that lags reads them from here.
const PUSHED: usize = 256;
/// Events read at a time.
const PAGE: usize = 256;
/// Bytes of them, about.
const PAGE_BYTES: usize = 1024 * 1024;
/// Sessions are nested less deep than this.
const LINE: usize = 8;

/// An event, and the creators of its session when it happened, nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub event: Happened,
    pub line: Vec<String>,
}

/// Which events there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// The cursor of the oldest; one after the newest where there are none.
    pub oldest: u64,
    /// The newest cursor that was ever given, 0 at first.
    pub newest: u64,
    /// What lies up to here is of earlier sessions of the same name.
    pub floor: u64,
}

/// Some events in their order.
#[derive(Debug, Default)]
pub struct Page {
    pub events: Vec<Recorded>,
    /// There may be others after them.
    pub more: bool,
}

/// The newest events as they are committed.
pub(super) type Push = broadcast::Sender<Arc<Recorded>>;

pub(super) fn push() -> Push {
    broadcast::channel(PUSHED).0
}

impl Store {
    /// Every event from here on, in order, once it is committed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.pushed.subscribe()
    }

    /// Which events there are; `floor` for the sessions that bear these names now, or did last.
    pub async fn kept(&self, names: Vec<String>) -> Result<Kept, StoreError> {
        self.ask(|answer| Job::Kept { names, answer }).await
    }

    /// Events after a cursor, oldest first; of one session, or of all.
    pub async fn events(&self, after: u64, session: Option<String>) -> Result<Page, StoreError> {
        self.ask(|answer| Job::Page { after, session, answer }).await
    }
}

/// Writes what a fact is to others.
pub(super) fn record(
    connection: &Connection,
    session: &str,
    at: u64,
    fact: &Fact,
    recorded: &mut Vec<Arc<Recorded>>,
) -> Result<(), StoreError> {
    let prompt = prompt_of(fact);
    let known = prompt.map(|id| told_of(connection, session, id)).transpose()?.flatten();
    match happened(session, at, fact, known.as_ref()) {
        Some(event) => insert(connection, event, prompt, recorded),
        None => Ok(()),
    }
}

/// Writes that a session is forgotten, if there is anything to forget. Its facts are still there.
pub(super) fn record_removal(
    connection: &Connection,
    session: &str,
    at: u64,
    by: Option<&str>,
    recorded: &mut Vec<Arc<Recorded>>,
) -> Result<(), StoreError> {
    let found = "SELECT EXISTS (SELECT 1 FROM facts WHERE session = ?1)";
    match connection.prepare_cached(found)?.query_row([session], |row| row.get(0))? {
        true => insert(connection, removed(session, at, by), None, recorded),
        false => Ok(()),
    }
}

fn insert(
    connection: &Connection,
    mut event: Happened,
    prompt: Option<&str>,
    recorded: &mut Vec<Arc<Recorded>>,
) -> Result<(), StoreError> {
    let line = line_of(connection, &event.session)?;
    let body = serde_json::to_string(&event)?;
    connection
        .prepare_cached("INSERT INTO events (session, line, what, prompt, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![event.session, line.join("/"), event.what, prompt, body])?;
    let cursor = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM events WHERE cursor <= ?1")?.execute([cursor - KEPT])?;
    event.cursor = cursor as u64;
    recorded.push(Arc::new(Recorded { event, line }));
    Ok(())
}

/// A session's creators, nearest first, as far as they are known.
fn line_of(connection: &Connection, session: &str) -> Result<Vec<String>, StoreError> {
    let mut creator = connection.prepare_cached(
        "SELECT json_extract(body, '$.creator') FROM facts WHERE session = ?1 AND turn IS NULL
         ORDER BY cursor LIMIT 1",
    )?;
    let mut line: Vec<String> = Vec::new();
    while line.len() < LINE {
        let at = line.last().map_or(session, String::as_str);
        let found: Option<Option<String>> = creator.query_row([at], |row| row.get(0)).optional()?;
        match found.flatten().filter(|creator| !line.contains(creator)) {
            Some(creator) => line.push(creator),
            None => break,
        }
    }
    Ok(line)
}

/// What was told last of a prompt; ids are given anew to each session of a name.
fn told_of(connection: &Connection, session: &str, prompt: &str) -> Result<Option<Prompt>, StoreError> {
    let body: Option<String> = connection
        .prepare_cached(
            "SELECT body FROM events WHERE session = ?1 AND prompt = ?2 AND what <> 'answered'
               AND cursor > coalesce((SELECT max(cursor) FROM events WHERE session = ?1 AND what = 'created'), 0)
             ORDER BY cursor DESC LIMIT 1",
        )?
        .query_row([session, prompt], |row| row.get(0))
        .optional()?;
    Ok(body.map(|b| serde_json::from_str::<Happened>(&b)).transpose()?.and_then(|event| event.prompt))
}

pub(super) fn kept(connection: &Connection, names: &[String]) -> Result<Kept, StoreError> {
    let newest: i64 = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let oldest: Option<i64> =
        connection.prepare_cached("SELECT min(cursor) FROM events")?.query_row([], |row| row.get(0))?;
    let mut created = connection
        .prepare_cached("SELECT max(cursor) FROM events WHERE session = ?1 AND what = 'created'")?;
    let mut floor = 0;
    for name in names {
        let first: Option<i64> = created.query_row([name], |row| row.get(0))?;
        floor = floor.max(first.map_or(0, |cursor| cursor - 1));
    }
    Ok(Kept { oldest: oldest.unwrap_or(newest + 1) as u64, newest: newest as u64, floor: floor as u64 })
}

pub(super) fn page(connection: &Connection, after: u64, session: Option<&str>) -> Result<Page, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT cursor, line, body FROM events WHERE cursor > ?1 AND (?2 IS NULL OR session = ?2)
         ORDER BY cursor LIMIT ?3",
    )?;
    let mut rows =
        statement.query(params![i64::try_from(after).unwrap_or(i64::MAX), session, PAGE as i64])?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let line: String = row.get(1)?;
        let body: String = row.get(2)?;
        bytes += body.len();
        // One of a newer version, or damage: the others are there all the same.
        if let Ok(event) = serde_json::from_str::<Happened>(&body) {
            let event = Happened { cursor: row.get::<_, i64>(0)? as u64, ..event };
            events.push(Recorded { event, line: line.split('/').map(str::to_owned).collect() });
        }
        if bytes > PAGE_BYTES {
            return Ok(Page { events, more: true });
        }
    }
    let more = events.len() == PAGE;
    Ok(Page { events, more })
}
