//! Descriptors that stand for a process: unlike a pid they never come to mean another one, and death makes them
//! readable. Linux 5.3.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The process that has `pid` now.
pub(crate) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers and gives a new descriptor (close-on-exec by itself) or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends `signal` (0: only looks) to the process, whatever its pid means by now.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the siginfo pointer may be null, which means what kill(2) would send.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, none, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends `signal` to the process that has `pid`, which must be an unreaped child of ours.
pub(crate) fn kill(pid: u32, signal: i32) -> io::Result<()> {
    send(i64::from(pid), signal)
}

/// Sends `signal` to the process group of `leader`, which must be an unreaped child of ours or known to be alive.
pub(crate) fn kill_group(leader: u32, signal: i32) -> io::Result<()> {
    send(-i64::from(leader), signal)
}

/// Not nix's kill: that knows no realtime signals.
fn send(target: i64, signal: i32) -> io::Result<()> {
    // 0 and -1 mean "our group" and "everyone": no child has such a pid.
    let target = match libc::pid_t::try_from(target) {
        Ok(target) if !(-1..=1).contains(&target) => target,
        _ => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
    };
    // SAFETY: takes two numbers.
    if unsafe { libc::kill(target, signal) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the process has ended (it may still be a zombie).
pub(crate) fn is_dead(process: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_seen_and_the_dead_are_not_signalled() {
        let mut child =
            std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = open(child.id()).unwrap();
        assert!(!is_dead(process.as_fd()));
        signal(process.as_fd(), libc::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(is_dead(process.as_fd()));
        let gone = signal(process.as_fd(), libc::SIGKILL).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
    }
}
