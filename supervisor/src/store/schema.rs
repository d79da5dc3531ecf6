//! The tables, by migrations that are only ever added to.

use rusqlite_migration::{M, Migrations};

pub(super) fn migrations() -> Migrations<'static> {
    Migrations::new(vec![M::up(
        "CREATE TABLE facts (
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
         ) STRICT, WITHOUT ROWID;",
    )])
}
