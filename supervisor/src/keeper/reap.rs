//! Looking at how a child ended without, and then with, letting go of its pid.
#![allow(unsafe_code)]

use std::io;

use nix::libc;

use super::Exit;

/// How our child `pid` ended, if it has. It stays a zombie, and so its pid stays its own.
///
/// # Errors
/// `ECHILD` if it is not (or no longer) our child.
pub(crate) fn ended(pid: u32) -> io::Result<Option<Exit>> {
    look(pid, libc::WNOWAIT)
}

/// Lets go of our child `pid`, if it has ended. From then on its pid may come to mean another process.
pub(crate) fn release(pid: u32) -> io::Result<Option<Exit>> {
    look(pid, 0)
}

/// Not nix's waitid: it gives an error for a death by a realtime signal, and the child would never be seen to end.
fn look(pid: u32, more: i32) -> io::Result<Option<Exit>> {
    loop {
        // SAFETY: siginfo_t is plain memory, for which all zeroes is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to live memory of the right type.
        let result =
            unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOHANG | more) };
        if result < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        // SAFETY: waitid has filled in the fields of a child's death, or left zeroes.
        let (whose, status) = unsafe { (info.si_pid(), info.si_status()) };
        return Ok(match (whose, info.si_code) {
            (0, _) => None,
            (_, libc::CLD_EXITED) => Some(Exit { code: Some(status), signal: None }),
            _ => Some(Exit { code: None, signal: Some(status) }),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    // Reaped by what is tested.
    #[allow(clippy::zombie_processes)]
    fn end_of(script: &str) -> Exit {
        let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let pid = child.id();
        let process = crate::launch::pidfd::open(pid).unwrap();
        let mut dead =
            [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&process), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut dead, nix::poll::PollTimeout::from(60_000_u16)).unwrap();
        let seen = ended(pid).unwrap().unwrap();
        assert_eq!(ended(pid).unwrap(), Some(seen));
        assert_eq!(release(pid).unwrap(), Some(seen));
        assert_eq!(ended(pid).unwrap_err().raw_os_error(), Some(libc::ECHILD));
        seen
    }

    #[test]
    fn codes_and_signals_are_told_apart() {
        assert_eq!(end_of("exit 3"), Exit { code: Some(3), signal: None });
        assert_eq!(end_of("kill -9 $$"), Exit { code: None, signal: Some(9) });
        // A realtime signal, which has no name in nix.
        assert_eq!(end_of("kill -40 $$"), Exit { code: None, signal: Some(40) });
    }
}
