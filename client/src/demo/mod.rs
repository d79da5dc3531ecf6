//! The demo agent: a small terminal program that speaks as a coding agent does, for machines where none is
//! installed, for demonstrations and for tests. Its behaviour is decided by the message alone.
//!
//! [`agent`] is the whole of its mind and pure; [`input`] and [`screen`] translate from and to the terminal;
//! [`run`] does what the mind decides. One thread, one `poll`: nothing runs while nothing happens.

mod agent;
mod draft;
mod input;
mod run;
mod screen;
mod script;
mod status;
mod transcript;
mod tty;
mod wrap;

use std::path::Path;
use std::process::ExitCode;

use crate::output::colour::Paint;

/// Runs it on the terminal that is standard input until its keys or a signal end it. What it does is appended
/// to `transcript`, a line each, before its status says so.
///
/// The exit code is 0 if it was left by its keys, 3 after `crash`, 128 and the signal's number after a signal
/// or once the terminal is gone, 1 with a message on stderr if the terminal or the transcript fails it.
#[must_use]
pub fn main(transcript: &Path) -> ExitCode {
    match start(transcript) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("dsx demo-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(path: &Path) -> Result<u8, run::Error> {
    let transcript = transcript::Transcript::open(path)
        .map_err(|source| run::Error::Transcript { path: path.to_owned(), source })?;
    let signals = tty::listen().map_err(run::Error::Signals)?;
    let terminal = tty::Terminal::open().map_err(run::Error::NoTerminal)?;
    run::Demo::new(terminal, signals, transcript, path, Paint::stdout()).run()
}
