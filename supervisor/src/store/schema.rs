//! The tables, by migrations that are only ever added to.

use rusqlite_migration::{M, Migrations};

/// How many migrations there are: what `PRAGMA user_version` is after all of them.
pub(super) const VERSION: i64 = 1;

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
