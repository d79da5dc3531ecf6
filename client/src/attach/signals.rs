//! Signals as bytes to wait for, beside the terminal and the socket: a pipe to ourselves, and no thread.
#![allow(unsafe_code)]

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Those that would end or change us without a chance to give the terminal back.
const HEARD: [Signal; 7] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// The writing end, for the handler; -1 before there is one. Never closed: a handler may be about to write.
static WRITER: AtomicI32 = AtomicI32::new(-1);

extern "C" fn hear(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let byte = signal.to_le_bytes();
    // SAFETY: write is async-signal-safe, and the buffer outlives the call. A full pipe (non-blocking) loses
    // the signal, behind a pipe full of others.
    unsafe { libc::write(WRITER.load(Ordering::Relaxed), byte.as_ptr().cast(), 1) };
    Errno::set_raw(errno);
}

/// From [`Signals::listen`] on the signals are heard, until this is dropped; then they do what they do by default.
#[derive(Debug)]
pub(super) struct Signals {
    reader: UnixStream,
    listening: bool,
}

impl Signals {
    /// To be called once in a process.
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        WRITER.store(writer.into_raw_fd(), Ordering::Relaxed);
        Ok(Self { reader, listening: false })
    }

    pub(super) fn listen(&mut self) -> io::Result<()> {
        self.listening = true;
        set_all(SigHandler::Handler(hear))
    }

    /// What came since the last call.
    pub(super) fn take(&self) -> Vec<Signal> {
        let mut bytes = [0; 64];
        // An error can only be that there is nothing.
        let read = (&self.reader).read(&mut bytes).unwrap_or(0);
        let numbers = bytes.iter().take(read);
        numbers.filter_map(|byte| Signal::try_from(i32::from(*byte)).ok()).collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if self.listening {
            // Setting a handler fails for no signal of the list.
            let _ = set_all(SigHandler::SigDfl);
        }
    }
}

fn set_all(handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    for signal in HEARD {
        // SAFETY: the handler does nothing but write and keeps errno.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}
