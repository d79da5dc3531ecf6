//! A PTY's master among the things the runtime waits for.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Registers the master, which must be non-blocking.
pub(super) fn register(master: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same descriptor until it is dropped, and the AsyncFd owns it.
    unsafe { AsyncFd::register(master) }.map_err(io::Error::from)
}
