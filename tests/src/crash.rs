//! Killing the processes of dsx, and waiting for what comes of it.

use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::DEADLINE;
use crate::dsx::Dsx;

/// The supervisor's pid. Returns when one serves; starts none.
#[must_use]
pub fn supervisor(dsx: &Dsx<'_>) -> i32 {
    pid_of(dsx, "pid")
}

/// The keeper's pid.
#[must_use]
pub fn keeper(dsx: &Dsx<'_>) -> i32 {
    pid_of(dsx, "keeper_pid")
}

fn pid_of(dsx: &Dsx<'_>, field: &str) -> i32 {
    let status = dsx.json(["supervisor", "status"]);
    status[field].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid in the status")
}

/// Kills a process with SIGKILL and returns when it is dead. One that is dead already is no error.
pub fn kill9(pid: i32) {
    end_with(pid, Signal::KILL);
}

/// Sends a process a signal that ends it, and returns when it is dead.
///
/// # Panics
/// When it outlives [`DEADLINE`].
pub fn end_with(pid: i32, signal: Signal) {
    let Some(process) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return;
    };
    let _ = pidfd_send_signal(&process, signal);
    wait_for_death(&process, pid);
}

fn wait_for_death(process: &rustix::fd::OwnedFd, pid: i32) {
    let limit = Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 };
    // Readable once it is dead.
    let dead = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)).expect("waiting for a death");
    assert_eq!(dead, 1, "process {pid} is still alive");
}

/// Returns when a process is dead.
///
/// # Panics
/// When it outlives [`DEADLINE`].
pub fn await_death(pid: i32) {
    if let Some(process) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        wait_for_death(&process, pid);
    }
}

/// Kills the supervisor that serves now. Its successor is awaited by whatever is asked next.
pub fn kill_supervisor(dsx: &Dsx<'_>) -> i32 {
    let pid = supervisor(dsx);
    kill9(pid);
    pid
}

/// Whether a process is there and no zombie.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|s| s.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
}

/// Stops a process where it is (SIGSTOP), and returns when it has stopped.
pub fn stop(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    rustix::process::kill_process(pid, Signal::STOP).expect("stopping a process");
    // Not a child of ours: that it has stopped is no event. It is at its next return from the kernel at the
    // latest, and no signal is sent after this one that it could act on.
    let stopped = || {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['T', 't']))
    };
    while !stopped() {
        std::thread::yield_now();
    }
}

/// Lets a stopped process go on.
pub fn resume(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        rustix::process::kill_process(pid, Signal::CONT).expect("resuming a process");
    }
}

/// Waits until a file in `dir` holds what is looked for.
///
/// # Panics
/// When none does within [`DEADLINE`].
pub fn until_a_file_in(dir: &Path, is_it: impl Fn(&str) -> bool) {
    use rustix::fs::inotify;
    let events = inotify::init(inotify::CreateFlags::CLOEXEC).expect("watching a directory");
    // Files come into a spool by being renamed.
    inotify::add_watch(&events, dir, inotify::WatchFlags::MOVED_TO).expect("watching a directory");
    let end = std::time::Instant::now() + DEADLINE;
    loop {
        let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
        if files.filter_map(|f| std::fs::read_to_string(f.path()).ok()).any(|text| is_it(&text)) {
            return;
        }
        let left = end.saturating_duration_since(std::time::Instant::now());
        let limit = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: 0 };
        let came =
            poll(&mut [PollFd::new(&events, PollFlags::IN)], Some(&limit)).expect("waiting for a file");
        assert_eq!(came, 1, "nothing came into {}", dir.display());
        let mut buffer = [0; 4096];
        let _ = rustix::io::read(&events, &mut buffer);
    }
}
