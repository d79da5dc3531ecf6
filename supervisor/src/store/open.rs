//! Opening the database, and setting aside one that cannot be read.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::schema;

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Where a database went that could not be read.
    pub set_aside: Option<PathBuf>,
}

/// The database cannot be opened, and setting it aside would not help.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} cannot be opened: {reason}; check its directory's space and mode")]
    Unusable { path: PathBuf, reason: String },
    #[error("{path} cannot be set aside: {source}; move it away by hand")]
    SetAside { path: PathBuf, source: io::Error },
    #[error("the database's thread cannot be started: {0}")]
    Thread(io::Error),
}

pub(super) fn open(path: &Path, now_ms: u64) -> Result<(Connection, Opened), OpenError> {
    let unusable = |error: &dyn std::fmt::Display| OpenError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    match connect(path) {
        Ok(connection) => Ok((connection, Opened::default())),
        Err(error) if is_damage(&error) => {
            let aside = set_aside(path, now_ms)?;
            let connection = connect(path).map_err(|e| unusable(&e))?;
            Ok((connection, Opened { set_aside: Some(aside) }))
        }
        Err(error) => Err(unusable(&error)),
    }
}

#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Migration(#[from] rusqlite_migration::Error),
    #[error("a newer dsx has made it (version {version}, this one knows {known}): use that one")]
    Newer { version: i64, known: i64 },
    #[error("its content is damaged: {0}")]
    Damaged(String),
}

fn connect(path: &Path) -> Result<Connection, ConnectError> {
    // Made here and not by SQLite, so that it is never readable by others, not even for a moment.
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > schema::VERSION {
        return Err(ConnectError::Newer { version, known: schema::VERSION });
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(ConnectError::Damaged(state));
    }
    schema::migrations().to_latest(&mut connection)?;
    Ok(connection)
}

fn is_damage(error: &ConnectError) -> bool {
    let damaged = |e: &rusqlite::Error| {
        matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    };
    match error {
        ConnectError::Damaged(_) | ConnectError::Migration(_) => true,
        ConnectError::Sqlite(e) => damaged(e),
        // What a newer dsx made is whole, and its sessions are to be there when that one runs again.
        ConnectError::Newer { .. } | ConnectError::Io(_) => false,
    }
}

/// Moves the database and what belongs to it; nothing is deleted.
fn set_aside(path: &Path, now_ms: u64) -> Result<PathBuf, OpenError> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = format!(".corrupt-{now_ms}");
    for part in ["-wal", "-shm", ""] {
        match fs::rename(with(part), with(&format!("{aside}{part}"))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::SetAside { path: with(part), source: e });
            }
            _ => {}
        }
    }
    Ok(with(&aside))
}
