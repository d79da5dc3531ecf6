//! Whether there is room for what sessions print, and whether a file can truly be written there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::statvfs::statvfs;

use super::{Check, quoted};

const MB: u64 = 1_000_000;
/// Below this a session's output soon has no place left.
const PROBLEM: u64 = 50 * MB;
const WARNING: u64 = 1_000 * MB;
/// Files, a session has about ten.
const FEW_FILES: u64 = 1_000;
/// As much as a segment of a session's log.
const TRIAL: usize = 256 * 1024;

/// What a file system has left for us.
#[derive(Debug, Clone, Copy)]
struct Left {
    bytes: u64,
    /// None where the file system has no fixed number of them.
    files: Option<u64>,
}

pub(super) fn look(state: &Path) -> Check {
    let at = existing(state);
    let found = statvfs(at).map(|s| Left {
        bytes: s.blocks_available().saturating_mul(s.fragment_size()),
        files: (s.files() > 0).then(|| s.files_available()),
    });
    judge(at, found)
}

fn judge(at: &Path, found: Result<Left, Errno>) -> Check {
    let name = "space";
    let shown = at.display();
    let left = match found {
        Ok(left) => left,
        Err(errno) => {
            let advice = "look at it with 'df'";
            return Check::problem(name, format!("the space at {shown} is not known: {errno}"), advice);
        }
    };
    let advice = format!("free some (df -h {}; 'dsx kill' ends sessions and their logs)", quoted(at));
    let room = format!("{} free at {shown}", readable(left.bytes));
    match left.files {
        Some(files) if files < FEW_FILES => {
            let found = format!("{room}, but only {files} more files can be made");
            let advice = format!("remove files (df -i {})", quoted(at));
            if files < 20 { Check::problem(name, found, advice) } else { Check::warning(name, found, advice) }
        }
        _ if left.bytes < PROBLEM => Check::problem(name, room, advice),
        _ if left.bytes < WARNING => Check::warning(name, room, advice),
        _ => Check::ok(name, room),
    }
}

fn readable(bytes: u64) -> String {
    match bytes / MB {
        mb @ 10_000.. => format!("{} GB", mb / 1_000),
        mb @ 1_000.. => format!("{}.{} GB", mb / 1_000, mb % 1_000 / 100),
        mb => format!("{mb} MB"),
    }
}

pub(super) fn look_write(state: &Path) -> Check {
    let at = existing(state);
    judge_write(at, at == state, try_write(at))
}

fn judge_write(at: &Path, is_there: bool, tried: io::Result<()>) -> Check {
    let name = "write";
    let shown = at.display();
    let error = match tried {
        Ok(()) if is_there => return Check::ok(name, format!("a trial file in {shown} was written")),
        Ok(()) => {
            return Check::ok(name, format!("a trial file in {shown} was written; the rest is made there"));
        }
        Err(error) => error,
    };
    let advice = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC) => format!("the file system is full: free some space (df -h {})", quoted(at)),
        Some(Errno::EDQUOT) => "your quota is used up: remove files of yours ('quota')".to_owned(),
        Some(Errno::EFBIG) => "a limit on file sizes is in the way: 'ulimit -f unlimited'".to_owned(),
        Some(Errno::EROFS) => "it is mounted read-only: set DSX_HOME to another place".to_owned(),
        _ => format!("check who owns it (ls -ld {}), or set DSX_HOME to another place", quoted(at)),
    };
    Check::problem(name, format!("a trial file in {shown} cannot be written: {error}"), advice)
}

/// Writes a private file and leaves none: it has no name, except where the file system wants one.
fn try_write(dir: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    let nameless = options.clone().custom_flags(libc::O_TMPFILE).open(dir);
    match nameless {
        Ok(file) => return fill(file),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => {}
            _ => return Err(error),
        },
    }
    let path = dir.join(format!(".dsx-doctor-{}", std::process::id()));
    let file = options.create_new(true).open(&path)?;
    let filled = fill(file);
    fs::remove_file(&path)?;
    filled
}

fn fill(mut file: File) -> io::Result<()> {
    file.write_all(&[0x5a; TRIAL])?;
    // Some file systems find out only here that there is no room.
    file.sync_data()
}

/// The directory itself, or the nearest above it that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|p| p.is_dir()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn state(bytes: u64, files: Option<u64>) -> State {
        judge("/".as_ref(), Ok(Left { bytes, files })).state
    }

    #[test]
    fn little_space_is_warned_of_and_next_to_none_is_a_problem() {
        assert_eq!(state(5_000 * MB, None), State::Ok);
        assert_eq!(state(999 * MB, None), State::Warning);
        assert_eq!(state(49 * MB, None), State::Problem);
        assert_eq!(state(5_000 * MB, Some(500)), State::Warning);
        assert_eq!(state(5_000 * MB, Some(0)), State::Problem);
        assert_eq!(judge("/".as_ref(), Err(Errno::EIO)).state, State::Problem);
        assert_eq!([0, 1_250, 70_000].map(|mb| readable(mb * MB)), ["0 MB", "1.2 GB", "70 GB"]);
    }

    #[test]
    fn each_reason_not_to_write_has_its_own_advice() {
        let advice = |errno: Errno| {
            let check = judge_write("/d".as_ref(), true, Err(errno.into()));
            assert_eq!(check.state, State::Problem);
            check.advice.unwrap()
        };
        assert!(advice(Errno::ENOSPC).contains("full"));
        assert!(advice(Errno::EDQUOT).contains("quota"));
        assert!(advice(Errno::EFBIG).contains("ulimit -f"));
        assert!(advice(Errno::EROFS).contains("read-only"));
        assert!(advice(Errno::EACCES).contains("who owns it"));
    }

    #[test]
    fn a_trial_leaves_nothing_and_what_is_missing_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look_write(dir.path()).state, State::Ok);
        let missing = dir.path().join("a/b");
        assert_eq!(look_write(&missing).state, State::Ok);
        assert_eq!(look(&missing).name, "space");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
