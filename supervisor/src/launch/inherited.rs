//! The descriptors that a daemon is started with, at known numbers.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};

use super::exec::FIRST_PASSED;

/// What the supervisor gets from the keeper.
#[derive(Debug)]
pub struct Inherited {
    /// The socketpair to the keeper; consumed by `KeeperHandle::connect`.
    pub channel: OwnedFd,
    /// The listening socket of the clients. Never unlink or rebind it: the keeper keeps it over restarts.
    pub listener: OwnedFd,
    /// The lock of the state directory. It is free when no process has this open file description any more.
    pub lock: OwnedFd,
}

/// Descriptors that are not what a supervisor is started with.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// They were taken before: they have one owner.
    #[error("the inherited descriptors were taken before; pass the first `Inherited` on instead")]
    Taken,
    /// One is missing or something else.
    #[error(
        "descriptor {number} is not {what}: this command is started by dsx itself; run `dsx list` and it will be"
    )]
    Wrong {
        /// Its number.
        number: RawFd,
        /// What it should be.
        what: &'static str,
    },
    /// The system would not have it.
    #[error(
        "descriptor {number} cannot be used: {source}; run `dsx list` to have the supervisor started properly"
    )]
    System {
        /// Its number.
        number: RawFd,
        /// What the system said.
        source: io::Error,
    },
}

impl Inherited {
    /// Takes the descriptors 3, 4 and 5, and at once keeps them from whatever this process will start.
    ///
    /// # Errors
    /// [`InheritedError`] if they are not those that the keeper passes, or were taken before.
    pub fn from_fds() -> Result<Inherited, InheritedError> {
        let [channel, listener, lock] = take(["the keeper's channel", "the listening socket", "the lock"])?;
        let listening = getsockopt(&listener, sockopt::AcceptConn).unwrap_or(false);
        if !listening {
            return Err(InheritedError::Wrong { number: FIRST_PASSED + 1, what: "the listening socket" });
        }
        if !is_a(channel.as_fd(), SFlag::S_IFSOCK) {
            return Err(InheritedError::Wrong { number: FIRST_PASSED, what: "the keeper's channel" });
        }
        if !is_a(lock.as_fd(), SFlag::S_IFREG) {
            return Err(InheritedError::Wrong { number: FIRST_PASSED + 2, what: "the lock" });
        }
        Ok(Inherited { channel, listener, lock })
    }

    /// A handle on the listening socket, for this supervisor to accept on; set it non-blocking as needed (the keeper
    /// never accepts).
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone().map(UnixListener::from)
    }
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes ownership of the first `N` passed descriptors, which then are close-on-exec. Once per process.
pub(crate) fn take<const N: usize>(names: [&'static str; N]) -> Result<[OwnedFd; N], InheritedError> {
    // Checked before anything is taken: a number that is not open must never become an OwnedFd.
    for (number, what) in (FIRST_PASSED..).zip(names) {
        // SAFETY: borrowed for this one call, which fails if the number is not open.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl(fd, FcntlArg::F_GETFD).map_err(|_| InheritedError::Wrong { number, what })?;
    }
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(InheritedError::Taken);
    }
    let mut number = FIRST_PASSED;
    let fds = names.map(|_| {
        // SAFETY: open (checked above), and taken only once in this process (TAKEN).
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        number += 1;
        fd
    });
    for (number, fd) in (FIRST_PASSED..).zip(&fds) {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
            .map_err(|errno| InheritedError::System { number, source: errno.into() })?;
    }
    Ok(fds)
}

fn is_a(fd: BorrowedFd<'_>, kind: SFlag) -> bool {
    fstat(fd).is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == kind)
}
