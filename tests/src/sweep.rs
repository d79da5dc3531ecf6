//! Ends whatever a test's home has started and left behind.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process may fork between being seen and being killed; its child is found by the next round.
const ROUNDS: usize = 20;

/// SIGKILLs every process whose environment has `DSX_HOME=dsx_home`, and returns when they are dead.
/// Nothing else can match: the directory's name is this test's own.
///
/// A no-op where there is no /proc (macOS): there, only what `dsx supervisor stop --kill` ends is ended.
pub fn kill_everything_of(dsx_home: &Path) {
    let wanted = [b"DSX_HOME=", dsx_home.as_os_str().as_bytes()].concat();
    for _ in 0..ROUNDS {
        let victims = find(&wanted);
        if victims.is_empty() {
            return;
        }
        for victim in &victims {
            let _ = pidfd_send_signal(victim, Signal::KILL);
        }
        for victim in &victims {
            // Readable once it is dead.
            let _ = poll(&mut [PollFd::new(victim, PollFlags::IN)], None);
        }
    }
}

fn find(wanted: &[u8]) -> Vec<OwnedFd> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw).filter_map(|pid| open_if_ours(pid, wanted)).collect()
}

fn open_if_ours(pid: Pid, wanted: &[u8]) -> Option<OwnedFd> {
    // Opened before its environment is read: the pid may be another process by then, but the handle is
    // of the one that is killed, and it must still be alive, hence the same, after the reading.
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let ours = environment.split(|byte| *byte == 0).any(|variable| variable == wanted);
    let itself = pid.as_raw_nonzero().get().unsigned_abs() == std::process::id();
    (ours && !itself).then_some(handle)
}
