//! What the facts say of a session's transcript: where it is, and which turn is which of its parts.

use dsx_core::Fact;
use dsx_core::adapter::text_key;
use dsx_protocol::TurnId;
use rusqlite::{Connection, params};

use super::{Job, Store, StoreError};

/// Turns read at a time.
const PAGE: usize = 64;
/// Bytes of them, about.
const PAGE_BYTES: usize = 1024 * 1024;

/// What is known of a session's transcript.
#[derive(Debug, Default)]
pub struct Written {
    /// Where the agent wrote it down, in order; a new conversation has a file of its own.
    pub paths: Vec<String>,
    /// The agent's own ids for what it did.
    pub prompts: Vec<(TurnId, String)>,
    /// What was asked, by [`text_key`].
    pub texts: Vec<(TurnId, u64)>,
}

/// A turn as it was asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub turn: TurnId,
    pub request: String,
    /// None for one that is older than this is noted.
    pub asked_at: Option<u64>,
    /// None while it has not ended.
    pub outcome: Option<String>,
    pub text: Option<String>,
    pub ended_at: Option<u64>,
}

impl Store {
    /// What is known of a session's transcript; texts of turns after `after` only.
    pub async fn written(&self, session: &str, after: Option<TurnId>) -> Result<Written, StoreError> {
        let session = session.to_owned();
        self.ask(|answer| Job::Written { session, after, answer }).await
    }

    /// Some turns from one on, in order; none where there are no more.
    pub async fn answered(&self, session: &str, from: TurnId) -> Result<Vec<Answered>, StoreError> {
        let session = session.to_owned();
        self.ask(|answer| Job::Answered { session, from, answer }).await
    }
}

pub(super) fn written(
    connection: &Connection,
    session: &str,
    after: Option<TurnId>,
) -> Result<Written, StoreError> {
    let mut found = Written::default();
    let mut paths = connection.prepare_cached(
        // By their first letters: most others are long, and need not be parsed.
        "SELECT body FROM facts WHERE session = ?1 AND turn IS NULL
           AND body GLOB '{\"fact\":\"conversation\"*' ORDER BY cursor",
    )?;
    let mut rows = paths.query([session])?;
    while let Some(row) = rows.next()? {
        let fact = serde_json::from_str(&row.get::<_, String>(0)?);
        if let Ok(Fact::Conversation { transcript: Some(path), .. }) = fact
            && !found.paths.contains(&path)
        {
            found.paths.push(path);
        }
    }
    let mut prompts = connection.prepare_cached(
        "SELECT turn, json_extract(body, '$.prompt') FROM facts WHERE session = ?1 AND turn > 0
           AND (body GLOB '{\"fact\":\"confirmed\"*' OR body GLOB '{\"fact\":\"known\"*'
             OR body GLOB '{\"fact\":\"queued\"*')
           AND json_extract(body, '$.prompt') IS NOT NULL ORDER BY cursor",
    )?;
    let read = |row: &rusqlite::Row<'_>| Ok((TurnId(row.get::<_, i64>(0)? as u64), row.get(1)?));
    found.prompts = prompts.query_map([session], read)?.collect::<Result<_, _>>()?;
    let mut texts = connection
        .prepare_cached("SELECT turn, request FROM turns WHERE session = ?1 AND turn > ?2 ORDER BY turn")?;
    let mut rows = texts.query(params![session, after.map_or(0, |turn| turn.0 as i64)])?;
    while let Some(row) = rows.next()? {
        found.texts.push((
            TurnId(row.get::<_, i64>(0)? as u64),
            text_key(row.get_ref(1)?.as_str().unwrap_or_default()),
        ));
    }
    Ok(found)
}

pub(super) fn answered(
    connection: &Connection,
    session: &str,
    from: TurnId,
) -> Result<Vec<Answered>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT turn, request, asked_at, outcome, text, ended_at FROM turns
         WHERE session = ?1 AND turn >= ?2 ORDER BY turn LIMIT ?3",
    )?;
    let mut rows = statement.query(params![session, from.0 as i64, PAGE as i64])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()?
        && bytes < PAGE_BYTES
    {
        let turn = Answered {
            turn: TurnId(row.get::<_, i64>(0)? as u64),
            request: row.get(1)?,
            asked_at: row.get::<_, Option<i64>>(2)?.map(|at| at as u64),
            outcome: row.get(3)?,
            text: row.get(4)?,
            ended_at: row.get::<_, Option<i64>>(5)?.map(|at| at as u64),
        };
        bytes += turn.request.len() + turn.text.as_ref().map_or(0, String::len);
        found.push(turn);
    }
    Ok(found)
}
