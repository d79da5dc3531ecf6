//! The lock that makes the keeper and the supervisor of a state directory the only ones.
//!
//! It is flock(2), which belongs to the open file description: the client that starts the keeper takes it, the
//! keeper inherits it, every supervisor inherits it from there, and it is free when the last of them is dead.
//! Therefore nothing here ever unlocks: an explicit unlock in one process would free it under all the others.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use nix::libc;

/// What the lock file says of who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The keeper's process id.
    pub keeper_pid: u32,
    /// The socket on which its supervisor listens.
    pub socket: PathBuf,
}

/// A lock that is held, for as long as this or any duplicate of its descriptor is open in any process.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock at `path`, creating the file (0600) if need be. `None` if it is held.
    ///
    /// # Errors
    /// Whatever opening or locking it says.
    pub fn try_take(path: &Path) -> io::Result<Option<Lock>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// A lock that another process took and passed on.
    #[must_use]
    pub fn inherited(fd: OwnedFd) -> Lock {
        Lock { file: File::from(fd) }
    }

    /// Writes who holds it. Readers that come in between see a page without its closing line, and read again.
    ///
    /// # Errors
    /// Whatever writing says.
    pub fn name(&self, holder: &Holder) -> io::Result<()> {
        let mut page = format!("keeper {}\nsocket ", holder.keeper_pid).into_bytes();
        page.extend_from_slice(holder.socket.as_os_str().as_bytes());
        page.extend_from_slice(b"\nend\n");
        self.file.set_len(0)?;
        self.file.write_all_at(&page, 0)?;
        (&self.file).flush()
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Who holds the lock at `path`; `None` if the page is missing or not (or not yet) whole. Says nothing about
/// whether the lock is still held.
///
/// # Errors
/// Whatever reading says, except that a missing file is `None`.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let mut page = Vec::new();
    match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file.take(16 * 1024).read_to_end(&mut page)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(parse(&page))
}

fn parse(page: &[u8]) -> Option<Holder> {
    let rest = page.strip_prefix(b"keeper ")?;
    let line = rest.iter().position(|byte| *byte == b'\n')?;
    let (pid, rest) = rest.split_at(line);
    let socket = rest.strip_prefix(b"\nsocket ")?.strip_suffix(b"\nend\n")?;
    let keeper_pid = std::str::from_utf8(pid).ok()?.parse().ok()?;
    Some(Holder { keeper_pid, socket: PathBuf::from(std::ffi::OsString::from_vec(socket.to_vec())) })
}

/// Whether someone holds the lock at `path`. Creates nothing.
///
/// # Errors
/// Whatever opening or locking says.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Shared, so that two who ask at the same time do not take each other for a holder.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A place in the kernel's queue for a lock.
///
/// flock(2) takes no deadline, so a thread of its own waits in the kernel; if the wait is given up the thread stays
/// until the lock comes free, and then lets go of it at once.
pub struct Waiting {
    outcome: Receiver<io::Result<Lock>>,
}

impl Waiting {
    /// Joins the queue for the lock at `path`, creating the file if need be.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread not be started.
    pub fn join(path: &Path) -> io::Result<Waiting> {
        let file = open(path)?;
        let (sender, outcome) = sync_channel(1);
        std::thread::Builder::new().name("lock".to_owned()).spawn(move || {
            let result = file.lock().map(|()| Lock { file });
            // Refused when nobody waits any more; the lock is dropped with it.
            drop(sender.send(result));
        })?;
        Ok(Waiting { outcome })
    }

    /// Waits for the lock, at most for `patience`; `None` if it did not come free.
    ///
    /// # Errors
    /// Whatever locking says.
    pub fn within(&self, patience: Duration) -> io::Result<Option<Lock>> {
        match self.outcome.recv_timeout(patience) {
            Ok(result) => result.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::other("the thread that waited for the lock is gone"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_back_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        assert_eq!(holder(&path).unwrap(), None);
        let lock = Lock::try_take(&path).unwrap().unwrap();
        assert_eq!(holder(&path).unwrap(), None);
        let long = Holder { keeper_pid: 4_000_000, socket: PathBuf::from("/a/very long\npath") };
        lock.name(&long).unwrap();
        assert_eq!(holder(&path).unwrap(), Some(long));
        let short = Holder { keeper_pid: 7, socket: PathBuf::from("/s") };
        lock.name(&short).unwrap();
        assert_eq!(holder(&path).unwrap(), Some(short));
        let page = std::fs::read(&path).unwrap();
        for cut in 0..page.len() {
            assert_eq!(parse(&page[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn it_is_held_until_the_last_duplicate_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        assert!(!is_held(&path).unwrap());
        assert!(!path.exists());
        let first = Lock::try_take(&path).unwrap().unwrap();
        let second = Lock::inherited(first.as_fd().try_clone_to_owned().unwrap());
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_none());
        assert!(is_held(&path).unwrap());
        let waiting = Waiting::join(&path).unwrap();
        assert!(waiting.within(Duration::from_millis(10)).unwrap().is_none());
        drop(second);
        let third = waiting.within(Duration::from_secs(60)).unwrap();
        assert!(third.is_some());
        assert!(is_held(&path).unwrap());
    }
}
