//! The database: whether it can be read, and whether one was set aside.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dsx_supervisor::launch::{Paths, private_dir};
use dsx_supervisor::store::{self, Looked};

use super::{Check, quoted};

const NAME: &str = "database";

pub(super) fn look(paths: &Paths) -> Vec<Check> {
    if private_dir::check(&paths.state).is_err() {
        // What lies there may be somebody else's.
        let advice = "set the state directory right first";
        return vec![Check::warning(NAME, "not looked at: its directory is not private", advice)];
    }
    let path = paths.state.join(store::FILE);
    let mode = fs::metadata(&path).map(|found| found.permissions().mode() & 0o777).ok();
    let mut checks = vec![judge(&path, store::look(&path), mode)];
    checks.extend(set_aside(&paths.state).iter().map(|aside| judge_aside(aside)));
    checks
}

fn judge(path: &Path, found: Looked, mode: Option<u32>) -> Check {
    let shown = path.display();
    match found {
        Looked::Missing => Check::ok(NAME, format!("{shown} is not there yet; the first session makes it")),
        Looked::Sound { .. } if mode.is_some_and(|mode| mode & 0o077 != 0) => {
            let found = format!("{shown} has mode {:o}; only you should read it", mode.unwrap_or_default());
            Check::warning(NAME, found, format!("chmod 600 {}", quoted(path)))
        }
        Looked::Sound { version } => Check::ok(NAME, format!("{shown} is sound (version {version})")),
        Looked::Newer { version, known } => {
            let found = format!("{shown} has version {version}, and this dsx knows {known}");
            Check::problem(NAME, found, "a newer dsx has made it: use that one, or another DSX_HOME")
        }
        Looked::Damaged(why) => {
            let advice = "the next start sets it aside and begins anew; to save its sessions, stop dsx and repair \
                          a copy of it first (sqlite3's '.recover')";
            Check::problem(NAME, format!("{shown} is damaged: {why}"), advice)
        }
        Looked::Unreadable(why) => {
            let advice = format!("check its mode and its file system (ls -l {})", quoted(path));
            Check::problem(NAME, format!("{shown} cannot be read: {why}"), advice)
        }
    }
}

/// Databases that a supervisor could not read and began anew without.
fn set_aside(state: &Path) -> Vec<PathBuf> {
    let start = format!("{}.corrupt-", store::FILE);
    let is_one = |name: &OsStr| {
        let rest = name.as_bytes().strip_prefix(start.as_bytes());
        // Not its -wal and -shm: they go with it.
        rest.is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
    };
    let mut found: Vec<PathBuf> = fs::read_dir(state)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_one(&entry.file_name()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn judge_aside(path: &Path) -> Check {
    let found = format!("{} was damaged and set aside; its sessions are in no list", path.display());
    let path = quoted(path);
    Check::warning("set_aside", found, format!("repair it (sqlite3's '.recover'), or delete {path}*"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn each_finding_has_its_state() {
        let state = |found, mode| judge("/d/dsx.db".as_ref(), found, mode).state;
        assert_eq!(state(Looked::Missing, None), State::Ok);
        assert_eq!(state(Looked::Sound { version: 1 }, Some(0o600)), State::Ok);
        assert_eq!(state(Looked::Sound { version: 1 }, Some(0o640)), State::Warning);
        assert_eq!(state(Looked::Newer { version: 9, known: 1 }, None), State::Problem);
        assert_eq!(state(Looked::Damaged("x".into()), None), State::Problem);
        assert_eq!(state(Looked::Unreadable("x".into()), None), State::Problem);
    }

    #[test]
    fn one_that_was_set_aside_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["dsx.db", "dsx.db.corrupt-12", "dsx.db.corrupt-12-wal", "dsx.db.corrupt-12-shm"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let aside = set_aside(dir.path());
        assert_eq!(aside, [dir.path().join("dsx.db.corrupt-12")]);
        let check = judge_aside(&aside[0]);
        assert!(check.state == State::Warning && check.advice.unwrap().contains("corrupt-12'*"));
        assert!(set_aside(&dir.path().join("missing")).is_empty());
    }
}
