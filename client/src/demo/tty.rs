//! The terminal behind the demo agent, and the signals that concern it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use crate::output::width::{Size, size_of};
use crate::tty;

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
        Self::raw(tty::open()?)
    }

    /// `file` must be non-blocking.
    pub(super) fn raw(file: File) -> io::Result<Self> {
        let saved = tcgetattr(&file)?;
        // What was typed before stays to be read.
        tcsetattr(&file, SetArg::TCSANOW, &tty::raw(&saved))?;
        Ok(Self { file, saved })
    }

    pub(super) fn size(&self) -> Size {
        size_of(&self.file).unwrap_or(DEFAULT_SIZE)
    }

    /// What was typed; `None` if nothing was, 0 bytes once the terminal is gone.
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        tty::read(&self.file, into)
    }

    /// Writes what fits now; perhaps nothing.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        tty::write(&self.file, bytes)
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
