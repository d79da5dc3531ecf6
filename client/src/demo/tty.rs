//! The terminal behind the demo agent, and the signals that concern it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{SetArg, SpecialCharacterIndices, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

use crate::output::width::{Size, size_of};

/// Where a terminal does not say.
const DEFAULT_SIZE: Size = Size { cols: 80, rows: 24 };
/// The signals that are listened for.
const SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGWINCH];

/// A terminal in raw mode until this is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    file: File,
    saved: Termios,
}

impl Terminal {
    /// The one on standard input. It is opened by its name: a descriptor of our own can be made non-blocking
    /// without making it so for everybody who shares standard input.
    pub(super) fn open() -> io::Result<Self> {
        let name = match ttyname(io::stdin()) {
            // It has no name in this mount namespace (ENODEV), or is no terminal at all (ENOTTY).
            Err(Errno::ENODEV) => PathBuf::from("/dev/tty"),
            named => named?,
        };
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        Self::raw(OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(name)?)
    }

    /// `file` must be non-blocking.
    pub(super) fn raw(file: File) -> io::Result<Self> {
        let saved = tcgetattr(&file)?;
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        // What was typed before stays to be read.
        tcsetattr(&file, SetArg::TCSANOW, &raw)?;
        Ok(Self { file, saved })
    }

    pub(super) fn size(&self) -> Size {
        size_of(&self.file).unwrap_or(DEFAULT_SIZE)
    }

    /// What was typed; `None` if nothing was, 0 bytes once the terminal is gone.
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(into) {
            Ok(read) => Ok(Some(read)),
            Err(e) if is_later(&e) => Ok(None),
            Err(e) if e.raw_os_error() == Some(Errno::EIO as i32) => Ok(Some(0)),
            Err(e) => Err(e),
        }
    }

    /// Writes what fits now; perhaps nothing.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match (&self.file).write(bytes) {
            Err(e) if is_later(&e) => Ok(0),
            written => written,
        }
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(&self.file, SetArg::TCSANOW, &self.saved);
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What a signal asks for, one byte each in the stream of [`listen`].
pub(super) mod order {
    pub(in crate::demo) const RESIZE: u8 = b'r';
    pub(in crate::demo) const TERMINATE: u8 = b't';
    pub(in crate::demo) const HANG_UP: u8 = b'h';
    pub(in crate::demo) const INTERRUPT: u8 = b'i';
}

/// Signals as bytes to poll for. They are blocked and waited for by a thread of their own, so no handler runs
/// at a bad moment; the thread ends with the process. To be called before any other thread is started.
pub(super) fn listen() -> io::Result<UnixStream> {
    let (ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let set: SigSet = SIGNALS.into_iter().collect();
    set.thread_block()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        while let Ok(signal) = set.wait() {
            let order = match signal {
                Signal::SIGWINCH => order::RESIZE,
                Signal::SIGHUP => order::HANG_UP,
                Signal::SIGINT => order::INTERRUPT,
                _ => order::TERMINATE,
            };
            if theirs.write_all(&[order]).is_err() {
                return;
            }
        }
    })?;
    Ok(ours)
}
