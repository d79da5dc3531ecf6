//! The facts on disk: one SQLite database, one thread that writes it.
//!
//! WAL with `synchronous=NORMAL`: what was committed survives `kill -9` of any process, not a power cut.
//! Requests that queue up while one commits are committed together.

mod events;
mod look;
mod open;
mod schema;
mod written;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use dsx_core::{Fact, Outcome};
use dsx_protocol::{Message, TurnId};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::{mpsc, oneshot};

use crate::clock::now_ms;

pub use events::{Kept, Page, Recorded};
pub use look::{Looked, look};
pub use open::{OpenError, Opened};
pub use written::{Answered, Written};

/// The database's name in the state directory.
pub const FILE: &str = "dsx.db";

/// Requests that may wait for the writer.
const QUEUE: usize = 1_024;
/// Requests committed together at most.
const BATCH: usize = 64;
/// What the status record said is kept so many times over: only the newest of each kind matters.
const REPORTS_KEPT: i64 = 16;
/// In the place of a turn, for what the status record said.
const REPORTED: i64 = -1;
/// Turns whose facts are kept, besides those that still matter; older ones keep their text.
const TURNS_KEPT: i64 = 256;

/// A fact could not be stored or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the database cannot be used: {0}; look with 'dsx doctor'")]
pub struct StoreError(String);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is to be told once the transaction is, or is not, committed.
type Told = Box<dyn FnOnce(Result<(), StoreError>)>;
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
/// A session's facts, each with its time.
pub type History = Vec<(u64, Fact)>;

enum Job {
    Append { session: String, at: u64, facts: Vec<Fact>, answer: Answer<()> },
    Messages { session: String, which: Which, answer: Answer<Vec<Message>> },
    Remove { session: String, at: u64, by: Option<&'static str>, answer: Answer<()> },
    Kept { names: Vec<String>, answer: Answer<Kept> },
    Page { after: u64, session: Option<String>, answer: Answer<Page> },
    Written { session: String, after: Option<TurnId>, answer: Answer<Written> },
    Answered { session: String, from: TurnId, answer: Answer<Vec<Answered>> },
    Load { answer: Answer<Vec<(String, History)>> },
}

/// Which turns are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    One(TurnId),
    /// The newest so many that ended well.
    Ended(u32),
    /// The newest so many, however they ended, and also those that have not.
    Newest(u32),
}

/// A handle on the writer's thread; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    pushed: events::Push,
}

impl Store {
    /// Opens or creates the database and starts its thread. A database that cannot be read is set aside,
    /// which [`Opened`] tells.
    pub fn open(path: &Path, now_ms: u64) -> Result<(Self, Opened), OpenError> {
        let (connection, opened) = open::open(path, now_ms)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let pushed = events::push();
        thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let pushed = pushed.clone();
                move || run(connection, queue, &pushed)
            })
            .map_err(OpenError::Thread)?;
        Ok((Self { jobs, pushed }, opened))
    }

    /// Returns when the facts are committed, in this order.
    pub async fn append(&self, session: &str, at: u64, facts: Vec<Fact>) -> Result<(), StoreError> {
        let session = session.to_owned();
        self.ask(|answer| Job::Append { session, at, facts, answer }).await
    }

    /// Turns with their texts, oldest first.
    pub async fn messages(&self, session: &str, which: Which) -> Result<Vec<Message>, StoreError> {
        let session = session.to_owned();
        self.ask(|answer| Job::Messages { session, which, answer }).await
    }

    /// Forgets a session and all its facts; what is told of it as events stays.
    pub async fn remove(&self, session: &str) -> Result<(), StoreError> {
        self.remove_by(session, None).await
    }

    /// The same, where something else than a command made it so.
    pub async fn remove_by(&self, session: &str, by: Option<&'static str>) -> Result<(), StoreError> {
        let (session, at) = (session.to_owned(), now_ms());
        self.ask(|answer| Job::Remove { session, at, by, answer }).await
    }

    /// Every session with its facts in order.
    pub async fn load(&self) -> Result<Vec<(String, History)>, StoreError> {
        self.ask(|answer| Job::Load { answer }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let gone = || StoreError("its thread has ended".to_owned());
        let (answer, reply) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| gone())?;
        reply.await.map_err(|_| gone())?
    }
}

/// The writer: takes what has queued up, commits it as one transaction, then answers.
fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>, pushed: &events::Push) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(job) = queue.try_recv() else { break };
            batch.push(job);
        }
        commit(&mut connection, batch, pushed);
    }
}

fn commit(connection: &mut Connection, batch: Vec<Job>, pushed: &events::Push) {
    let mut answers: Vec<Told> = Vec::new();
    let mut recorded = Vec::new();
    let outcome = (|| -> Result<(), StoreError> {
        let transaction = connection.transaction()?;
        for job in batch {
            answers.push(perform(&transaction, job, &mut recorded));
        }
        Ok(transaction.commit()?)
    })();
    if outcome.is_ok() {
        for event in recorded {
            // Nobody may be following.
            let _ = pushed.send(event);
        }
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

/// Does one job inside the transaction; what it returns is called with the commit's outcome.
fn perform(connection: &Connection, job: Job, recorded: &mut Vec<Arc<Recorded>>) -> Told {
    fn after<T: 'static>(answer: Answer<T>, result: Result<T, StoreError>) -> Told {
        // Nobody may be waiting for the answer any more; that is no error.
        Box::new(move |committed| drop(answer.send(committed.and(result))))
    }
    match job {
        Job::Append { session, at, facts, answer } => {
            after(answer, append(connection, &session, at, &facts, recorded))
        }
        Job::Messages { session, which, answer } => after(answer, messages(connection, &session, which)),
        Job::Remove { session, at, by, answer } => {
            after(answer, remove(connection, &session, at, by, recorded))
        }
        Job::Kept { names, answer } => after(answer, events::kept(connection, &names)),
        Job::Page { after: cursor, session, answer } => {
            after(answer, events::page(connection, cursor, session.as_deref()))
        }
        Job::Written { session, after: turn, answer } => {
            after(answer, written::written(connection, &session, turn))
        }
        Job::Answered { session, from, answer } => {
            after(answer, written::answered(connection, &session, from))
        }
        Job::Load { answer } => after(answer, load(connection)),
    }
}

fn append(
    connection: &Connection,
    session: &str,
    at: u64,
    facts: &[Fact],
    recorded: &mut Vec<Arc<Recorded>>,
) -> Result<(), StoreError> {
    let mut insert =
        connection.prepare_cached("INSERT INTO facts (session, turn, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    for fact in facts {
        let turn = match fact {
            Fact::Reported { .. } => Some(REPORTED),
            other => turn_of(other).map(|t| t.0 as i64),
        };
        insert.execute(params![session, turn, at as i64, serde_json::to_string(fact)?])?;
        project(connection, session, at, fact)?;
        events::record(connection, session, at, fact, recorded)?;
    }
    Ok(())
}

const fn turn_of(fact: &Fact) -> Option<TurnId> {
    match fact {
        Fact::Queued { turn, .. }
        | Fact::Waits { turn, .. }
        | Fact::Steering { turn, .. }
        | Fact::Enqueued { turn }
        | Fact::Absorbed { turn, .. }
        | Fact::Delivering { turn, .. }
        | Fact::Withdrawn { turn }
        | Fact::Confirmed { turn, .. }
        | Fact::Told { turn, .. }
        | Fact::Known { turn, .. }
        | Fact::Ahead { turn, .. }
        | Fact::Ended { turn, .. } => Some(*turn),
        _ => None,
    }
}

/// Keeps the texts of turns where they can be looked up, and old turns' facts from piling up.
fn project(connection: &Connection, session: &str, at: u64, fact: &Fact) -> Result<(), StoreError> {
    match fact {
        Fact::Queued { turn, text, .. } => {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO turns (session, turn, request, asked_at) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![session, turn.0 as i64, text, at as i64])?;
        }
        Fact::Absorbed { turn, .. } => {
            connection
                .prepare_cached(
                    "UPDATE turns SET outcome = ?3, ended_at = ?4 WHERE session = ?1 AND turn = ?2",
                )?
                .execute(params![session, turn.0 as i64, Outcome::Absorbed.name(), at as i64])?;
        }
        Fact::Ended { turn, outcome, text, .. } => {
            connection
                .prepare_cached(
                    "UPDATE turns SET outcome = ?3, text = ?4, ended_at = ?5 WHERE session = ?1 AND turn = ?2",
                )?
                .execute(params![session, turn.0 as i64, outcome.name(), text, at as i64])?;
            connection
                .prepare_cached(
                    "DELETE FROM facts WHERE session = ?1 AND turn IN
                       (SELECT turn FROM turns WHERE session = ?1 AND turn <= ?2 AND outcome IS NOT NULL)",
                )?
                .execute(params![session, turn.0 as i64 - TURNS_KEPT])?;
        }
        Fact::Reported { .. } => {
            connection
                .prepare_cached(
                    "DELETE FROM facts WHERE session = ?1 AND turn = ?2 AND cursor <=
                       (SELECT cursor FROM facts WHERE session = ?1 AND turn = ?2
                        ORDER BY cursor DESC LIMIT 1 OFFSET ?3)",
                )?
                .execute(params![session, REPORTED, REPORTS_KEPT])?;
        }
        _ => {}
    }
    Ok(())
}

fn messages(connection: &Connection, session: &str, which: Which) -> Result<Vec<Message>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Message {
            turn: Some(TurnId(row.get::<_, i64>(0)? as u64)),
            request: row.get(1)?,
            outcome: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
            text: row.get(3)?,
            ended_at: row.get::<_, Option<i64>>(4)?.map(|at| at as u64),
        })
    };
    const COLUMNS: &str = "SELECT turn, request, outcome, text, ended_at FROM turns WHERE session = ?1";
    let (only, order, count) = match which {
        Which::One(turn) => {
            let found = connection
                .prepare_cached(&format!("{COLUMNS} AND turn = ?2"))?
                .query_row(params![session, turn.0 as i64], read)
                .optional()?;
            return Ok(found.into_iter().collect());
        }
        // One that waited while somebody typed another ahead of it bears the smaller number and ends later.
        Which::Ended(count) => {
            (format!("AND outcome = '{}'", Outcome::Ended.name()), "ended_at DESC, turn DESC", count)
        }
        Which::Newest(count) => (String::new(), "turn DESC", count),
    };
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} {only} ORDER BY {order} LIMIT ?2"))?;
    let mut found = statement.query_map(params![session, count], read)?.collect::<Result<Vec<_>, _>>()?;
    found.reverse();
    Ok(found)
}

fn remove(
    connection: &Connection,
    session: &str,
    at: u64,
    by: Option<&str>,
    recorded: &mut Vec<Arc<Recorded>>,
) -> Result<(), StoreError> {
    events::record_removal(connection, session, at, by, recorded)?;
    connection.execute("DELETE FROM facts WHERE session = ?1", [session])?;
    connection.execute("DELETE FROM turns WHERE session = ?1", [session])?;
    Ok(())
}

fn load(connection: &Connection) -> Result<Vec<(String, History)>, StoreError> {
    let mut statement = connection.prepare("SELECT session, at, body FROM facts ORDER BY session, cursor")?;
    let mut rows = statement.query([])?;
    let mut all: Vec<(String, History)> = Vec::new();
    while let Some(row) = rows.next()? {
        let session: String = row.get(0)?;
        let at = row.get::<_, i64>(1)? as u64;
        let fact = match serde_json::from_str(&row.get::<_, String>(2)?) {
            Ok(fact) => fact,
            Err(error) => {
                // One that a newer version wrote, or damage: the sessions live, and all others must come back.
                tracing::warn!(session, %error, "a stored fact cannot be read and is passed over");
                continue;
            }
        };
        match all.last_mut() {
            Some((last, history)) if *last == session => history.push((at, fact)),
            _ => all.push((session, vec![(at, fact)])),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
