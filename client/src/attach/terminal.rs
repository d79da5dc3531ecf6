//! The user's own terminal: raw while somebody is attached, and given back whatever happens.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dsx_supervisor::screen;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, SetArg, Termios, tcflush, tcgetattr, tcsetattr};

use crate::failure::Failure;
use crate::output::width::{Size, size_of};
use crate::tty;

/// How long a terminal that takes no output may hold up our leaving.
const GIVE_BACK: Duration = Duration::from_secs(1);
/// Keeps the user's title on the terminal's own stack, and takes it back.
const PUSH_TITLE: &[u8] = b"\x1b[22;0t";
const POP_TITLE: &[u8] = b"\x1b[23;0t";

/// What it takes to give the terminal back; there is something in it while the terminal is raw. Global, since
/// the panic hook has to reach it before it prints.
static BORROWED: Mutex<Option<Borrowed>> = Mutex::new(None);

#[derive(Debug)]
struct Borrowed {
    file: File,
    saved: Termios,
    /// What is to be reset beside what always is.
    more: Vec<u8>,
}

/// The terminal of this process. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Terminal {
    file: File,
}

impl Terminal {
    /// The terminal on standard input, which has to be that of standard output too.
    pub(super) fn open() -> Result<Self, Failure> {
        for (name, is) in
            [("standard input", io::stdin().is_terminal()), ("standard output", io::stdout().is_terminal())]
        {
            if !is {
                let what = format!("attach needs a terminal, and {name} is none");
                let hint = "run it in a terminal; without one use 'dsx screen', 'dsx logs' and 'dsx send'";
                return Err(Failure::failed(what, hint));
            }
        }
        let file = tty::open().map_err(|e| {
            Failure::failed(format!("the terminal cannot be opened: {e}"), "is /dev mounted, and yours?")
        })?;
        Ok(Self { file })
    }

    pub(super) fn size(&self) -> Option<Size> {
        size_of(&self.file)
    }

    /// Makes it raw. What was on the screen is scrolled away rather than painted over.
    pub(super) fn borrow(&self) -> io::Result<Vec<u8>> {
        let saved = tcgetattr(&self.file)?;
        let raw = tty::raw(&saved);
        let again = borrowed().is_some();
        if !again {
            *borrowed() = Some(Borrowed { file: self.file.try_clone()?, saved, more: Vec::new() });
        }
        // What was typed before stays to be read.
        tcsetattr(&self.file, SetArg::TCSANOW, &raw)?;
        if again {
            return Ok(Vec::new());
        }
        let rows = usize::from(self.size().map_or(0, |s| s.rows));
        Ok([PUSH_TITLE, b"\x1b[9999;1H", "\n".repeat(rows).as_bytes()].concat())
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
        give_back();
    }
}

/// Resets this too, when the terminal is given back.
pub(super) fn reset_too(more: Vec<u8>) {
    if let Some(borrowed) = borrowed().as_mut() {
        borrowed.more = more;
    }
}

/// Undoes what the session and we did to the terminal. Does nothing the second time.
pub(super) fn give_back() {
    let Some(Borrowed { file, saved, more }) = borrowed().take() else { return };
    // The message that follows stands below whatever the session has drawn.
    let bytes = [&screen::Terminal::reset_bytes(), more.as_slice(), POP_TITLE, b"\x1b[9999;1H\r\n"].concat();
    write_in_time(&file, &bytes);
    // Answers, mouse reports and keys that were meant for the session are not the shell's.
    let _ = tcflush(&file, FlushArg::TCIFLUSH);
    // A terminal that is gone needs no restoring.
    let _ = tcsetattr(&file, SetArg::TCSANOW, &saved);
}

/// A panic is told on the user's own screen, and not on the session's.
pub(super) fn give_back_before_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        told(panic);
    }));
}

fn borrowed() -> MutexGuard<'static, Option<Borrowed>> {
    BORROWED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes all, unless the terminal takes nothing for too long.
fn write_in_time(mut file: &File, mut bytes: &[u8]) {
    let until = Instant::now() + GIVE_BACK;
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(e) if tty::is_later(&e) => {
                let left = PollTimeout::try_from(until.saturating_duration_since(Instant::now()));
                let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut polled, left.unwrap_or(PollTimeout::ZERO)) {
                    Ok(1..) | Err(Errno::EINTR) => {}
                    _ => return,
                }
            }
            Err(_) => return,
        }
    }
}
