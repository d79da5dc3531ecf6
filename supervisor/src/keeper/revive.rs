//! A new keeper in the place of a dead one, started by the supervisor that outlived it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use super::{REVIVE, restart};
use crate::launch::{Origin, exec, verdict};

/// What the supervisor keeps for the day the keeper dies: with these a keeper can begin where the other one ended.
#[derive(Debug)]
pub(super) struct Revival {
    pub(super) origin: Origin,
    pub(super) lock: OwnedFd,
    pub(super) listener: OwnedFd,
}

impl Revival {
    /// The same, but with another socket to listen on.
    pub(super) fn moved(&self, socket: PathBuf, listener: OwnedFd) -> io::Result<Revival> {
        let mut origin = self.origin.clone();
        origin.paths.socket = socket;
        Ok(Revival { origin, lock: self.lock.try_clone()?, listener })
    }

    /// Starts a keeper and returns our end of its channel. Only once the old one is known to be dead. Blocks for the
    /// time of a fork and an exec.
    pub(super) fn start(&self) -> io::Result<OwnedFd> {
        let null = restart::open_null()?;
        let (ours, theirs) = restart::channel()?;
        let mut args = vec!["keeper".into(), REVIVE.into()];
        args.extend(self.origin.to_args());
        let passed = vec![self.lock.as_fd(), theirs.as_fd(), self.listener.as_fd()];
        let mut plan = exec::daemon(&self.origin.exe, &args, null.as_fd(), passed)?;
        // It must outlive us, and nobody here would reap it.
        plan.orphan = true;
        let started = exec::start(&plan)?;
        drop(theirs);
        match verdict::read(started.verdict)? {
            None => Ok(ours),
            Some(failure) => Err(io::Error::from_raw_os_error(failure.errno)),
        }
    }
}
