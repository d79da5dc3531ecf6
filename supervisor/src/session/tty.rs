//! A PTY's master: among the things the runtime waits for, and what the kernel knows of its other side.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::termios::LocalModes;
use tokio::io::unix::AsyncFd;

/// Registers the master, which must be non-blocking.
pub(super) fn register(master: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same descriptor until it is dropped, and the AsyncFd owns it.
    unsafe { AsyncFd::register(master) }.map_err(io::Error::from)
}

/// Bytes that were typed and that the program has not read yet. Looked at through the other side, which is
/// opened for that moment only: held open, it would hide the program's end.
pub(super) fn unread(master: impl AsFd) -> io::Result<u64> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let other_side = ioctl_tiocgptpeer(master, flags)?;
    Ok(rustix::io::ioctl_fionread(other_side)?)
}

/// The process group that has the terminal.
pub(super) fn foreground_group(master: impl AsFd) -> Option<u32> {
    u32::try_from(nix::unistd::tcgetpgrp(master).ok()?.as_raw()).ok()
}

/// Whether the kernel edits lines for the program. It cuts a longer one than [`LINE`] off without a word.
pub(super) fn edits_lines(master: impl AsFd) -> bool {
    rustix::termios::tcgetattr(master).is_ok_and(|t| t.local_modes.contains(LocalModes::ICANON))
}

/// Bytes of one line that the kernel hands to a program, its newline not counted (N_TTY_BUF_SIZE).
pub(super) const LINE: usize = 4_095;

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::pty::openpty;

    #[test]
    fn what_was_typed_is_unread_until_it_is_read() {
        let pty = openpty(None, None).unwrap();
        assert_eq!(unread(&pty.master).unwrap(), 0);
        nix::unistd::write(&pty.master, b"line\r").unwrap();
        let mut other_side = [PollFd::new(pty.slave.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut other_side, PollTimeout::NONE).unwrap(), 1);
        assert_eq!(unread(&pty.master).unwrap(), 5);
        nix::unistd::read(&pty.slave, &mut [0; 16]).unwrap();
        assert_eq!(unread(&pty.master).unwrap(), 0);
    }
}
