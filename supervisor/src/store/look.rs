//! A look at the database without changing anything, for `dsx doctor`.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;

/// What a look at the database found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// There is none yet.
    Missing,
    /// It can be read whole. `version` counts its migrations.
    Sound { version: i64 },
    /// A newer dsx has made it.
    Newer { version: i64, known: i64 },
    /// Its content is not what a database holds; a supervisor would set it aside.
    Damaged(String),
    /// It cannot be read, which says nothing of its content.
    Unreadable(String),
}

/// Looks at the database at `path`. Blocks for as long as reading it takes, at most 5 s for its lock.
///
/// Where no write-ahead log lies beside it nobody has it open, and it is read as it is: the usual way of reading
/// would leave files behind. A supervisor that starts meanwhile could make it look damaged, so what looks bad is
/// looked at again in the usual way.
#[must_use]
pub fn look(path: &Path) -> Looked {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Looked::Unreadable("it is not a file".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Looked::Missing,
        Err(error) => return Looked::Unreadable(error.to_string()),
    }
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if !Path::new(&wal).exists() {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        if let Ok(version) = read(&unchanging(path), flags) {
            return compared(version);
        }
    }
    match read(path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Ok(version) => compared(version),
        Err(Bad::Content(why)) => Looked::Damaged(why),
        Err(Bad::Access(why)) => Looked::Unreadable(why),
    }
}

fn compared(version: i64) -> Looked {
    if version > schema::VERSION {
        return Looked::Newer { version, known: schema::VERSION };
    }
    Looked::Sound { version }
}

enum Bad {
    Content(String),
    Access(String),
}

impl From<rusqlite::Error> for Bad {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Content(error.to_string()),
            _ => Self::Access(error.to_string()),
        }
    }
}

fn read(path: &Path, flags: OpenFlags) -> Result<i64, Bad> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(Bad::Content(state));
    }
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// The path as a URI that says the file does not change.
fn unchanging(path: &Path) -> PathBuf {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

#[cfg(test)]
mod tests {
    use super::super::{FILE, Store};
    use super::*;

    #[tokio::test]
    async fn a_look_tells_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("odd name ?#%é");
        assert_eq!(look(&path), Looked::Missing);
        let (store, _) = Store::open(&path, 0).unwrap();
        // While it is open, and after: one way or the other.
        store.remove("nothing").await.unwrap();
        assert_eq!(look(&path), Looked::Sound { version: schema::VERSION });
        drop(store);
        let copy = dir.path().join("copy");
        fs::create_dir(&copy).unwrap();
        let lone = copy.join(FILE);
        Connection::open(&path).unwrap().execute("VACUUM INTO ?1", [lone.to_str().unwrap()]).unwrap();
        assert_eq!(look(&lone), Looked::Sound { version: schema::VERSION });
        assert_eq!(fs::read_dir(&copy).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn damage_is_told_from_what_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, "this is no database, and it is long enough to be read as one".repeat(100)).unwrap();
        assert!(matches!(look(&path), Looked::Damaged(_)), "{:?}", look(&path));
        assert!(matches!(look(dir.path()), Looked::Unreadable(_)));
        fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(look(&path), Looked::Newer { version: 99, known: schema::VERSION });
    }
}
