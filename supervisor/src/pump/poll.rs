//! Readiness of the masters, one shot at a time.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use polling::{Event, Events};

/// The readiness of a set of masters, each known by a key.
pub(super) struct Poller {
    inner: polling::Poller,
    #[cfg(test)]
    waits: std::sync::atomic::AtomicU64,
}

/// A master that is registered with a poller, and is not closed before it is taken out again.
pub(super) struct Registered {
    master: OwnedFd,
    desk: std::sync::Arc<super::Desk>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            inner: polling::Poller::new()?,
            #[cfg(test)]
            waits: std::sync::atomic::AtomicU64::new(0),
        })
    }

    /// How often somebody waited here.
    #[cfg(test)]
    pub(super) fn waits(&self) -> u64 {
        self.waits.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Makes a `wait` return, this one or the next.
    pub(super) fn wake(&self) -> io::Result<()> {
        self.inner.notify()
    }

    /// Waits until a master is readable or hung up, or somebody calls `wake`. Without `sleep` it only
    /// looks. Appends the keys of the ready ones; each is told once and must be armed again.
    pub(super) fn wait(&self, events: &mut Events, sleep: bool, ready: &mut Vec<u64>) -> io::Result<()> {
        events.clear();
        #[cfg(test)]
        self.waits.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let timeout = (!sleep).then_some(Duration::ZERO);
        self.inner.wait(events, timeout)?;
        ready.extend(events.iter().map(|event| event.key as u64));
        Ok(())
    }
}

impl Registered {
    /// Registers a master and arms it.
    pub(super) fn new(desk: &std::sync::Arc<super::Desk>, key: u64, master: OwnedFd) -> io::Result<Self> {
        // SAFETY: the master is taken out of the poller in `drop`, before it is closed; `self` owns it,
        // and keeps the poller alive.
        unsafe {
            desk.poller.inner.add(&master, Event::readable(key as usize))?;
        }
        Ok(Self { master, desk: std::sync::Arc::clone(desk) })
    }

    /// Asks to be told once more.
    pub(super) fn arm(&self, key: u64) -> io::Result<()> {
        self.desk.poller.inner.modify(&self.master, Event::readable(key as usize))
    }
}

impl AsFd for Registered {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // Failing is impossible for a registered descriptor, and closing it takes it out as well.
        let _ = self.desk.poller.inner.delete(&self.master);
    }
}
