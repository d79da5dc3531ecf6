//! The socket on which clients are served, and what happens when it is taken away.
//!
//! `$XDG_RUNTIME_DIR` does not outlive the last login of its user, but sessions do. The keeper watches the socket's
//! directory, and when the socket is gone it listens in the state directory; the lock names the place, so clients find
//! it.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, socket as socket_of,
};
use nix::sys::stat::{Mode, fchmod};

use crate::launch::{Paths, private_dir};

pub(super) struct Listening {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// The file that was bound: another of the same name is not ours.
    bound: Option<(u64, u64)>,
    /// `None` where it cannot be watched: then it is as lost as everywhere else when it is taken away.
    watch: Option<Inotify>,
}

impl Listening {
    /// Listens at `path`. Only with the lock in hand.
    pub(super) fn at(path: &Path) -> Result<Listening, String> {
        bind(path).map(|listener| Listening::inherited(listener, path))
    }

    /// Goes on listening where a dead keeper did.
    pub(super) fn inherited(listener: UnixListener, path: &Path) -> Listening {
        let bound = path.symlink_metadata().ok().map(|found| identity(&found));
        Listening { listener, path: path.to_owned(), bound, watch: watch(path).ok() }
    }

    pub(super) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Looks what has happened in the directory. If the socket is gone, listens again, and returns where.
    pub(super) fn look(&mut self, paths: &Paths) -> Option<PathBuf> {
        if let Some(watch) = &self.watch {
            // What happened is of no interest, only what there is now.
            while watch.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        let there = self.path.symlink_metadata().is_ok_and(|found| Some(identity(&found)) == self.bound);
        if there {
            return None;
        }
        let usable =
            |path: &&PathBuf| path.parent().is_some_and(|dir| private_dir::check(dir).is_ok_and(|is| is));
        let fallback = paths.fallback_socket(nix::unistd::geteuid().as_raw());
        // Not there again, as long as there is another place: its directory may be next, or is unmounted without a
        // word, and whoever removes it would find it in use.
        let again = [fallback, self.path.clone()];
        let listening = again.iter().filter(usable).find_map(|path| Listening::at(path).ok());
        match listening {
            Some(listening) => {
                *self = listening;
                Some(self.path.clone())
            }
            None => {
                // There is nothing left to watch; the sessions go on.
                self.watch = None;
                None
            }
        }
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn watch(socket: &Path) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
    let all_gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    watch.add_watch(socket.parent().unwrap_or(socket), gone | all_gone)?;
    Ok(watch)
}

/// Listens at `socket`, which then has mode 0600. What is in the way is stale, since the lock is ours.
///
/// # Errors
/// What is in the way, as a sentence.
fn bind(socket: &Path) -> Result<UnixListener, String> {
    let shown = socket.display();
    match UnixStream::connect(socket) {
        // Can only be if the lock file was removed from under a running supervisor.
        Ok(_) => {
            return Err(format!(
                "`{shown}` is served already, though its lock is free; end that supervisor, or remove the socket"
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.raw_os_error() == Some(Errno::ECONNREFUSED as i32) => {
            let stale = socket.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
            if !stale {
                return Err(format!("`{shown}` is in the way and not a socket; move it away"));
            }
            std::fs::remove_file(socket)
                .map_err(|error| format!("cannot remove the stale `{shown}`: {error}"))?;
        }
        Err(error) => return Err(format!("cannot look at `{shown}`: {error}; check its directory")),
    }
    listen(socket).map_err(|error| format!("cannot listen at `{shown}`: {error}; check its directory"))
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    let fd: OwnedFd = socket_of(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Linux gives the file the mode of the unbound socket: it is right from the first moment, and the umask, which
    // belongs to the whole process, is left alone.
    fchmod(&fd, Mode::from_bits_truncate(0o600))?;
    bind_to(fd.as_raw_fd(), &UnixAddr::new(socket)?)?;
    nix::sys::socket::listen(&fd, Backlog::MAXCONN)?;
    Ok(UnixListener::from(fd))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_anything_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        drop(UnixListener::bind(&socket).unwrap());
        assert!(socket.exists());
        let served = bind(&socket).unwrap();
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bind(&socket).unwrap_err().contains("served already"));
        drop(served);
        let file = dir.path().join("f");
        std::fs::write(&file, "precious").unwrap();
        assert!(bind(&file).unwrap_err().contains("not a socket"));
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn a_socket_that_is_taken_away_comes_back_in_the_state_directory() {
        let home = tempfile::tempdir().unwrap();
        let [state, runtime] = ["state", "runtime"].map(|name| home.path().join(name));
        let paths = Paths { socket: runtime.join("sock"), config: state.join("c"), state };
        paths.ensure().unwrap();
        let mut listening = Listening::at(&paths.socket).unwrap();
        assert_eq!(listening.look(&paths), None);
        std::fs::write(runtime.join("other"), "").unwrap();
        std::fs::remove_file(runtime.join("other")).unwrap();
        assert_eq!(listening.look(&paths), None);
        std::fs::remove_dir_all(&runtime).unwrap();
        let second = paths.state.join("sock");
        assert_eq!(listening.look(&paths).as_ref(), Some(&second));
        UnixStream::connect(&second).unwrap();
        std::fs::remove_file(&second).unwrap();
        assert_eq!(listening.look(&paths).as_ref(), Some(&second));
        UnixStream::connect(&second).unwrap();
        assert_eq!(listening.look(&paths), None);
        assert!(listening.watch().is_some());
    }
}
