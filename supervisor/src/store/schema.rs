//! The tables, by migrations that are only ever added to.

use rusqlite_migration::{M, Migrations};

/// How many migrations there are: what `PRAGMA user_version` is after all of them.
pub(super) const VERSION: i64 = 2;

pub(super) fn migrations() -> Migrations<'static> {
    Migrations::new(vec![M::up(V1), M::up(V2)])
}

const V1: &str = "CREATE TABLE facts (
         cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
         session TEXT NOT NULL,
         turn    INTEGER,
         at      INTEGER NOT NULL,
         body    TEXT NOT NULL
     ) STRICT;
     CREATE INDEX facts_by_session ON facts (session, turn);
     CREATE TABLE turns (
         session  TEXT NOT NULL,
         turn     INTEGER NOT NULL,
         request  TEXT NOT NULL,
         outcome  TEXT,
         text     TEXT,
         ended_at INTEGER,
         PRIMARY KEY (session, turn)
     ) STRICT, WITHOUT ROWID;";

/// Events are no part of a session: they stay when it is forgotten, and nothing is rebuilt from them.
const V2: &str = "CREATE TABLE events (
         cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
         session TEXT NOT NULL,
         line    TEXT NOT NULL,
         what    TEXT NOT NULL,
         prompt  TEXT,
         body    TEXT NOT NULL
     ) STRICT;
     CREATE INDEX events_by_session ON events (session, what);
     CREATE INDEX events_by_prompt ON events (session, prompt) WHERE prompt IS NOT NULL;
     ALTER TABLE turns ADD COLUMN asked_at INTEGER;";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_counts_the_migrations() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        migrations().to_latest(&mut connection).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
    }
}
