//! A new pseudo-terminal: the master that is kept, and the slave that becomes the child's terminal.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use nix::sys::termios::{InputFlags, SetArg, tcgetattr, tcsetattr};
use portable_pty::{PtySize, native_pty_system};

pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    pub(crate) slave: File,
}

/// Opens a terminal of at least one row and column.
///
/// Only portable-pty's openpty is used. Its writer is never taken: dropping that types an end-of-file into the child.
pub(crate) fn open(rows: u16, cols: u16) -> io::Result<Terminal> {
    let size = PtySize { rows: rows.max(1), cols: cols.max(1), pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).map_err(|error| io::Error::other(error.to_string()))?;
    let missing = || io::Error::other("the new terminal has no name or descriptor");
    let name = pair.master.tty_name().ok_or_else(missing)?;
    let number = pair.master.as_raw_fd().ok_or_else(missing)?;
    // SAFETY: `pair` owns the number and lives until after the duplicate is made.
    let master = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?;
    // Not our terminal: we are a session leader without one, and would get the first that we open.
    let slave = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(name)?;
    // Everything that runs here speaks UTF-8; without this, erasing in line mode removes bytes and not characters.
    let mut modes = tcgetattr(&slave)?;
    modes.input_flags.insert(InputFlags::IUTF8);
    tcsetattr(&slave, SetArg::TCSANOW, &modes)?;
    Ok(Terminal { master, slave })
}
