//! The children a keeper has, by session.
//!
//! An own child that has ended stays a zombie until it is forgotten. Its pid therefore cannot come to mean another
//! process, group or session, and a signal can never reach a stranger.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;

use super::Exit;
use super::message::{Env, Held, Scope};
use super::{procfs, reap};
use crate::launch::pidfd;
use crate::launch::verdict::{Failure, Obstacle};

/// How often the members of a session are looked for when it is killed: one may fork while we look.
const PASSES: usize = 8;

pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) start_time: u64,
    pub(super) master: Option<Arc<OwnedFd>>,
    pub(super) env: Env,
    pub(super) exit: Option<Exit>,
    /// Whether this supervisor knows of `exit`.
    pub(super) told: bool,
    pub(super) kin: Kin,
    pub(super) starting: Option<Starting>,
}

pub(super) enum Kin {
    /// We forked it, we reap it.
    Own,
    /// A dead keeper's child. The descriptor stands for it; `None` if it was gone before we looked.
    Orphan(Option<OwnedFd>),
}

/// A child of which it is not known yet whether its exec worked.
pub(super) struct Starting {
    /// The request to answer, unless whoever made it is gone.
    pub(super) id: Option<u64>,
    pub(super) verdict: OwnedFd,
}

#[derive(Default)]
pub(super) struct Children {
    pub(super) by_session: BTreeMap<String, Child>,
}

impl Children {
    /// Takes in a dead keeper's child.
    pub(super) fn restore(&mut self, held: Held, master: Option<OwnedFd>) {
        // The start time tells whether the pid still means the same process once the descriptor is open.
        let process = pidfd::open(held.pid).ok();
        let process =
            process.filter(|_| procfs::stat(held.pid).is_ok_and(|found| found.start_time == held.start_time));
        let told = held.exit.is_some();
        let child = Child {
            pid: held.pid,
            start_time: held.start_time,
            master: master.map(Arc::new),
            env: held.env,
            exit: held.exit.or_else(|| process.is_none().then_some(Exit::UNKNOWN)),
            told,
            kin: Kin::Orphan(process),
            starting: None,
        };
        self.by_session.entry(held.session).or_insert(child);
    }

    /// Finds out which children have ended, and reaps what agents left to us.
    pub(super) fn look(&mut self, supervisor: Option<u32>) {
        for child in self.by_session.values_mut() {
            child.look();
        }
        let known: BTreeSet<u32> =
            self.by_session.values().map(|child| child.pid).chain(supervisor).collect();
        let strays = procfs::zombies_of(std::process::id(), |pid| known.contains(&pid));
        for pid in strays.unwrap_or_default() {
            // Gone already, or seen at the next death.
            drop(reap::release(pid));
        }
    }

    /// Sends `signal`, and returns to how many processes (a group counts as one).
    pub(super) fn signal(&self, session: &str, signal: i32, scope: Scope) -> Result<u32, Failure> {
        let child = self.by_session.get(session).ok_or(Failure { at: Obstacle::NoSession, errno: 0 })?;
        let sent = match scope {
            Scope::Leader if child.exit.is_some() => Err(Errno::ESRCH.into()),
            Scope::Leader => child.signal_leader(signal).map(|()| 1),
            Scope::Group => child.signal_group(signal).map(|()| 1),
            Scope::Session => child.signal_session(signal),
        };
        sent.map_err(|error| {
            let gone = error.raw_os_error() == Some(libc::ESRCH);
            Failure::of(if gone { Obstacle::Exited } else { Obstacle::Unknown }, &error)
        })
    }

    /// Lets go of a child that has ended: its status, its master, its environment and its pid.
    pub(super) fn forget(&mut self, session: &str) -> Result<(), Failure> {
        let child = self.by_session.get(session).ok_or(Failure { at: Obstacle::NoSession, errno: 0 })?;
        if child.exit.is_none() {
            return Err(Failure { at: Obstacle::Running, errno: 0 });
        }
        if matches!(child.kin, Kin::Own) {
            // It has ended, so this cannot fail; if it does, the next look finds it as a stray.
            drop(reap::release(child.pid));
        }
        self.by_session.remove(session);
        Ok(())
    }
}

impl Child {
    pub(super) fn held(&self, session: &str) -> Held {
        Held {
            session: session.to_owned(),
            pid: self.pid,
            start_time: self.start_time,
            env: self.env.clone(),
            exit: self.exit,
        }
    }

    /// Finds out whether it has ended. One that is still starting is judged by its verdict first: its supervisor
    /// must hear of the start before it hears of the end.
    pub(super) fn look(&mut self) {
        if self.exit.is_some() || self.starting.is_some() {
            return;
        }
        self.exit = match &self.kin {
            // Not our child after all: gone, however that came to be.
            Kin::Own => reap::ended(self.pid).unwrap_or(Some(Exit::UNKNOWN)),
            Kin::Orphan(Some(process)) => pidfd::is_dead(process.as_fd()).then_some(Exit::UNKNOWN),
            Kin::Orphan(None) => Some(Exit::UNKNOWN),
        };
    }

    fn signal_leader(&self, signal: i32) -> io::Result<()> {
        match &self.kin {
            Kin::Own => pidfd::kill(self.pid, signal),
            Kin::Orphan(Some(process)) => pidfd::signal(process.as_fd(), signal),
            Kin::Orphan(None) => Err(Errno::ESRCH.into()),
        }
    }

    fn signal_group(&self, signal: i32) -> io::Result<()> {
        match &self.kin {
            Kin::Own => pidfd::kill_group(self.pid, signal),
            // Without its leader the number of a group may be another's by now.
            Kin::Orphan(Some(process)) if !pidfd::is_dead(process.as_fd()) => {
                pidfd::kill_group(self.pid, signal)
            }
            Kin::Orphan(_) => Err(Errno::ESRCH.into()),
        }
    }

    /// Every process of the terminal's session, whatever group it is in. What has made a session of its own has left.
    fn signal_session(&self, signal: i32) -> io::Result<u32> {
        if let Kin::Orphan(_) = self.kin {
            // A number is in use as long as its session has members, but an orphan's does not stay ours without.
            let reused = procfs::stat(self.pid).is_ok_and(|found| found.start_time != self.start_time);
            if reused {
                return Ok(0);
            }
        }
        let mut reached = BTreeSet::new();
        for _ in 0..PASSES {
            let before = reached.len();
            for pid in procfs::members(self.pid)? {
                if !reached.contains(&pid) && signal_member(pid, self.pid, signal) {
                    reached.insert(pid);
                }
            }
            if reached.len() == before || signal != libc::SIGKILL {
                break;
            }
        }
        Ok(u32::try_from(reached.len()).unwrap_or(u32::MAX))
    }
}

/// The descriptor is opened first, and the membership looked at again: what then dies is not replaced under it.
fn signal_member(pid: u32, session: u32, signal: i32) -> bool {
    let Ok(process) = pidfd::open(pid) else { return false };
    let member = procfs::stat(pid).is_ok_and(|found| found.session == session && !found.zombie);
    member && pidfd::signal(process.as_fd(), signal).is_ok()
}
