//! A program whose keeper died, and with it the last master of its terminal: it was hung up, and is ended for good.

use std::os::fd::AsFd;

use nix::libc;

use super::procfs;
use crate::launch::pidfd;

/// Ends the process and all of its session, if it is still the one that was started.
pub(crate) fn end_abandoned(leader: u32, start_time: u64) {
    let is_ours = || procfs::stat(leader).is_ok_and(|s| s.start_time == start_time && !s.zombie);
    if !is_ours() {
        return;
    }
    for pid in procfs::members(leader).unwrap_or_default() {
        // The handle is opened first: what is looked at after that is what is signalled.
        let Ok(process) = pidfd::open(pid) else { continue };
        if procfs::stat(pid).is_ok_and(|s| s.session == leader) && (pid != leader || is_ours()) {
            // It may have ended by now.
            let _ = pidfd::signal(process.as_fd(), libc::SIGKILL);
        }
    }
}
