//! A terminal as a file of our own: opened by name so that it can be non-blocking without being so for
//! everybody who shares standard input.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::termios::{SpecialCharacterIndices, Termios, cfmakeraw};
use nix::unistd::ttyname;

/// The terminal on standard input.
pub(crate) fn open() -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = |path: &Path| OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path);
    let named: io::Result<PathBuf> = ttyname(io::stdin()).map_err(io::Error::from);
    // It may have no name in this mount namespace, or belong to the user we were before `su`.
    named.and_then(|name| open(&name)).or_else(|_| open(Path::new("/dev/tty")))
}

/// Every key as it comes, nothing echoed.
pub(crate) fn raw(modes: &Termios) -> Termios {
    let mut raw = modes.clone();
    cfmakeraw(&mut raw);
    raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    raw
}

/// What was typed; `None` if nothing was, 0 bytes once the terminal is gone.
pub(crate) fn read(mut file: &File, into: &mut [u8]) -> io::Result<Option<usize>> {
    match file.read(into) {
        Ok(read) => Ok(Some(read)),
        Err(e) if is_later(&e) => Ok(None),
        Err(e) if e.raw_os_error() == Some(Errno::EIO as i32) => Ok(Some(0)),
        Err(e) => Err(e),
    }
}

/// Writes what fits now; perhaps nothing.
pub(crate) fn write(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    match file.write(bytes) {
        Err(e) if is_later(&e) => Ok(0),
        written => written,
    }
}

/// Not now, perhaps the next time.
pub(crate) fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
