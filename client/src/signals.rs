//! Ctrl-C: the command ends with 130, what it asked for goes on.
#![allow(unsafe_code)]

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

extern "C" fn leave(_: libc::c_int) {
    // SAFETY: _exit is async-signal-safe; the client holds nothing that a destructor would have to give back.
    unsafe { libc::_exit(130) }
}

/// From here on Ctrl-C ends this process with 130.
pub(crate) fn exit_on_interrupt() {
    let action = SigAction::new(SigHandler::Handler(leave), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only calls _exit.
    let set = unsafe { sigaction(Signal::SIGINT, &action) };
    // Without it Ctrl-C still ends the process, by the signal itself.
    let _ = set;
}
