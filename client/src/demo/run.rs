//! The one loop around the pure parts: waits for keys, signals and time, and does what the agent decides.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::agent::{Action, Agent, Event, Now};
use super::input::{Key, Parser};
use super::screen::Screen;
use super::status::Status;
use super::transcript::Transcript;
use super::tty::{Terminal, order};
use crate::output::colour::Paint;

/// An escape that nothing followed for so long is the key.
const ESCAPE_MS: u64 = 50;
/// With so many bytes unread by the terminal, nothing new is begun.
const BACKLOG_MAX: usize = 256 * 1024;
/// How long the last bytes may take at the end.
const CLOSE_MS: u64 = 1_000;
/// A file longer than that is not read.
const FILE_MAX: u64 = 16 << 20;

const PASTE_ON: &[u8] = b"\x1b[?2004h";
const PASTE_OFF: &[u8] = b"\x1b[?2004l";

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("standard input is no terminal ({0}); start it with 'dsx create --cli demo'")]
    NoTerminal(#[source] io::Error),
    #[error("the terminal failed: {0}; start the session again")]
    Terminal(#[source] io::Error),
    #[error("signals cannot be waited for: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot write the transcript {}: {source}; check the directory and the disk", path.display())]
    Transcript { path: PathBuf, source: io::Error },
}

pub(super) struct Demo {
    terminal: Terminal,
    signals: UnixStream,
    transcript: Transcript,
    path: PathBuf,
    agent: Agent,
    parser: Parser,
    /// When an escape is the key, unless more comes.
    escape_due: Option<u64>,
    screen: Screen,
    /// What the terminal has not taken yet.
    outbox: VecDeque<u8>,
    begun: Instant,
    exit: Option<u8>,
}

impl Demo {
    pub(super) fn new(
        terminal: Terminal,
        signals: UnixStream,
        transcript: Transcript,
        path: &Path,
        paint: Paint,
    ) -> Self {
        let screen = Screen::new(terminal.size(), paint);
        Self {
            terminal,
            signals,
            transcript,
            path: path.to_owned(),
            agent: Agent::default(),
            parser: Parser::default(),
            escape_due: None,
            screen,
            outbox: VecDeque::new(),
            begun: Instant::now(),
            exit: None,
        }
    }

    pub(super) fn run(mut self) -> Result<u8, Error> {
        self.outbox.extend(PASTE_ON);
        self.screen.banner(env!("CARGO_PKG_VERSION"));
        self.screen.status(&Status::Idle);
        let code = loop {
            self.draw();
            self.flush()?;
            if let Some(code) = self.exit {
                break code;
            }
            self.turn_around()?;
        };
        self.close();
        Ok(code)
    }

    fn now(&self) -> Now {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        Now { mono: self.begun.elapsed().as_millis() as u64, at }
    }

    /// Waits for whatever comes first and takes it in.
    fn turn_around(&mut self) -> Result<(), Error> {
        let backed_up = self.outbox.len() > BACKLOG_MAX;
        let (typed, signalled) = self.wait(backed_up)?;
        if signalled {
            self.take_signals();
        }
        if typed {
            self.take_input()?;
        }
        if backed_up {
            return Ok(());
        }
        let now = self.now();
        if self.escape_due.is_some_and(|due| now.mono >= due) {
            let mut keys = Vec::new();
            self.parser.decide(&mut keys);
            self.escape_due = None;
            self.press(keys)?;
        }
        if self.agent.due(now).is_some_and(|due| now.mono >= due) {
            self.handle(Event::Due)?;
        }
        Ok(())
    }

    /// Whether there is something to read from the terminal, and from the signals.
    fn wait(&self, backed_up: bool) -> Result<(bool, bool), Error> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::POLLIN, !backed_up);
        wanted.set(PollFlags::POLLOUT, !self.outbox.is_empty());
        let now = self.now();
        let due = [self.escape_due, self.agent.due(now)].into_iter().flatten().min();
        let timeout = match due {
            Some(due) if !backed_up => {
                PollTimeout::try_from(due.saturating_sub(now.mono)).unwrap_or(PollTimeout::MAX)
            }
            _ => PollTimeout::NONE,
        };
        let mut polled = [
            PollFd::new(self.terminal.as_fd(), wanted),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(Error::Terminal(e.into())),
        }
        let readable = |fd: &PollFd<'_>| {
            let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
            fd.revents().is_some_and(|r| r.intersects(PollFlags::POLLIN | gone))
        };
        Ok((readable(&polled[0]), readable(&polled[1])))
    }

    fn take_signals(&mut self) {
        let mut orders = [0; 64];
        // An error can only be that there is nothing to read.
        let read = (&self.signals).read(&mut orders).unwrap_or(0);
        for order in &orders[..read] {
            match *order {
                order::RESIZE => self.screen.resize(self.terminal.size()),
                order::HANG_UP => self.exit = Some(129),
                order::INTERRUPT => self.exit = Some(130),
                _ => self.exit = Some(143),
            }
        }
    }

    fn take_input(&mut self) -> Result<(), Error> {
        let mut bytes = [0; 16 * 1024];
        let read = match self.terminal.read(&mut bytes).map_err(Error::Terminal)? {
            None => return Ok(()),
            Some(0) => {
                self.exit = Some(129);
                return Ok(());
            }
            Some(read) => read,
        };
        let mut keys = Vec::new();
        self.parser.feed(&bytes[..read], &mut keys);
        self.escape_due = self.parser.is_undecided().then(|| self.now().mono + ESCAPE_MS);
        self.press(keys)
    }

    fn press(&mut self, keys: Vec<Key>) -> Result<(), Error> {
        for key in keys {
            self.handle(Event::Key(key))?;
        }
        Ok(())
    }

    /// Has the agent decide, and does it. Nothing is done any more once it decided to end.
    fn handle(&mut self, event: Event) -> Result<(), Error> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.agent.handle(self.now(), event, &mut actions);
            for action in actions {
                if self.exit.is_some() {
                    return Ok(());
                }
                match action {
                    // Before the status that follows it: who hears the status finds the record.
                    Action::Record(record) => self
                        .transcript
                        .append(&record)
                        .map_err(|source| Error::Transcript { path: self.path.clone(), source })?,
                    Action::Status(status) => self.screen.status(&status),
                    Action::Show(block) => self.screen.show(&block),
                    Action::Read(path) => events.push_back(Event::File(read_file(&path))),
                    Action::Repaint => self.screen.repaint(),
                    Action::Exit(code) => self.exit = Some(code),
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self) {
        let mut drawn = Vec::new();
        self.screen.draw(&self.agent.view(self.now()), &mut drawn);
        self.outbox.extend(drawn);
    }

    /// Gives the terminal what it takes without waiting.
    fn flush(&mut self) -> Result<(), Error> {
        while !self.outbox.is_empty() {
            match self.terminal.write(self.outbox.as_slices().0) {
                Ok(0) => break,
                Ok(written) => drop(self.outbox.drain(..written)),
                // A terminal that is gone says so to the reader as well.
                Err(e) if e.raw_os_error() == Some(Errno::EIO as i32) => {
                    self.outbox.clear();
                    self.exit = Some(129);
                }
                Err(e) => return Err(Error::Terminal(e)),
            }
        }
        Ok(())
    }

    /// Leaves the terminal as it was, as far as it can be written to in time.
    fn close(mut self) {
        let mut drawn = Vec::new();
        self.screen.close(&mut drawn);
        self.outbox.extend(drawn);
        self.outbox.extend(PASTE_OFF);
        let until = self.now().mono + CLOSE_MS;
        while self.flush().is_ok() && !self.outbox.is_empty() {
            let left = until.saturating_sub(self.now().mono);
            let mut polled = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLOUT)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if left == 0 || poll(&mut polled, timeout).is_ok_and(|ready| ready == 0) {
                return;
            }
        }
    }
}

/// A file's text, or why there is none, for people.
fn read_file(path: &str) -> Result<String, String> {
    let failed = |e: io::Error| format!("cannot read {path}: {e}");
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > FILE_MAX {
        return Err(format!("cannot read {path}: no file of at most {FILE_MAX} bytes"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes)).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| format!("cannot read {path}: it is no text"))
}

#[cfg(test)]
mod tests;
