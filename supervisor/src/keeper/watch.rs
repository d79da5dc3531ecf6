//! Registering the channel and the keeper's pidfd with the runtime.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::wire::Wire;

/// The channel, for reading and writing.
pub(super) fn channel(wire: Wire) -> io::Result<AsyncFd<Wire>> {
    // SAFETY: a wire owns its descriptor for as long as it lives and never exchanges it.
    unsafe { AsyncFd::register(wire) }.map_err(io::Error::from)
}

/// A pidfd, which is readable once its process is dead.
pub(super) fn process(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is one descriptor for as long as it lives.
    unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.map_err(io::Error::from)
}
