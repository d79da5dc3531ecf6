//! `dsx attach`: the user's terminal and a session's, put together until one of them ends it.
//!
//! ```text
//!  user's terminal ──typed──▶ keys (finds the key that leaves) ──▶ outgoing ──▶ socket
//!                  ◀──shown── at most one frame too many ◀──────────────────── socket
//!                  signals ──▶ the new size, the end
//! ```
//!
//! One thread and one `poll`; neither side is ever waited for alone, so the key that leaves works while the
//! terminal is slow and while the program reads nothing. A supervisor that dies is followed by its successor:
//! its repaint takes the place of all that was missed.

mod colours;
mod keys;
mod outgoing;
mod signals;
mod terminal;

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use dsx_protocol::{Attach, ErrorKind, Reply, Request, Wait};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};

use crate::client::{Client, Incoming, gone};
use crate::failure::Failure;

use colours::Colours;
pub(crate) use keys::Matcher;
use outgoing::Outgoing;
use signals::Signals;
use terminal::{Terminal, give_back, give_back_before_panics, reset_too};

/// Connections in a row that may end before they have shown anything.
const ATTEMPTS: u32 = 20;
/// Bytes for the terminal that may wait before no more are taken from the socket.
const SHOWN: usize = 64 * 1024;
/// How long what was typed before leaving may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long the terminal may take to have room for the line that says so.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Why it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Left,
    /// The session ended, with its exit code where that is known.
    Session(Option<i32>),
    Signal(Signal),
}

/// What is looked at, and how.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The full id.
    pub session: String,
    pub read_only: bool,
    pub leave: Matcher,
}

/// The user's terminal, not yet touched.
pub(crate) struct Screen(Terminal);

impl Screen {
    /// Fails where there is none.
    pub(crate) fn open() -> Result<Self, Failure> {
        Terminal::open().map(Self)
    }
}

/// Attaches until the user leaves or the session ends. Returns the exit code.
pub(crate) fn run(screen: Screen, client: Client, wanted: Wanted) -> Result<u8, Failure> {
    let mut attached = Attached::new(screen.0, client, wanted)?;
    let end = attached.begin().and_then(|()| attached.run());
    give_back();
    Ok(attached.finish(end?))
}

struct Attached {
    terminal: Terminal,
    client: Client,
    wanted: Wanted,
    signals: Signals,
    channel: u32,
    /// The size that was asked for, columns and rows.
    asked: (u16, u16),
    outgoing: Outgoing,
    /// What the terminal has not taken yet.
    shown: Vec<u8>,
    colours: Colours,
    /// When an unfinished key is no longer waited for.
    due: Option<Instant>,
    /// Connections in a row that ended without having shown anything.
    attempts: u32,
    /// The terminal is ours, and the socket is one of several things waited for.
    begun: bool,
    /// The end, told once everything before it is on the terminal.
    end: Option<End>,
}

impl Attached {
    fn new(terminal: Terminal, client: Client, wanted: Wanted) -> Result<Self, Failure> {
        let signals = Signals::new().map_err(|e| {
            Failure::failed(format!("signals cannot be listened for: {e}"), "check the limit on open files")
        })?;
        Ok(Self {
            terminal,
            client,
            wanted,
            signals,
            channel: 0,
            asked: (0, 0),
            outgoing: Outgoing::default(),
            shown: Vec::new(),
            colours: Colours::default(),
            due: None,
            attempts: 0,
            begun: false,
            end: None,
        })
    }

    /// Touches the terminal once the session has been found to be there.
    fn begin(&mut self) -> Result<(), Failure> {
        self.ask()?;
        while self.shown.is_empty() && self.end.is_none() {
            self.receive_one()?;
        }
        self.begun = true;
        self.client.socket().set_nonblocking(true).map_err(|e| trouble("the connection", &e))?;
        self.signals.listen().map_err(|e| trouble("a signal handler", &e))?;
        give_back_before_panics();
        let mut first = self.borrow()?;
        first.append(&mut self.shown);
        self.shown = first;
        if self.size() != self.asked {
            // It changed before that was listened for.
            self.resized();
        }
        Ok(())
    }

    fn run(&mut self) -> Result<End, Failure> {
        loop {
            while self.shown.len() < SHOWN && self.end.is_none() && self.receive_one()? {}
            if !self.flush() {
                return Ok(End::Signal(Signal::SIGHUP));
            }
            if let Some(end) = self.end.filter(|_| self.shown.is_empty()) {
                return Ok(end);
            }
            // A connection that has ended says so to the reader as well.
            let _ = self.outgoing.write(self.client.socket());
            if let Some(end) = self.wait()? {
                return Ok(end);
            }
        }
    }

    /// Makes the terminal ours. Returns what it is to be told first.
    fn borrow(&self) -> Result<Vec<u8>, Failure> {
        let first = self.terminal.borrow().map_err(|e| trouble("the terminal", &e))?;
        reset_too(self.colours.resets());
        Ok(first)
    }

    fn ask(&mut self) -> Result<(), Failure> {
        self.asked = self.size();
        let (cols, rows) = self.asked;
        let session = self.wanted.session.clone();
        let attach = Attach { session, read_only: self.wanted.read_only, cols, rows };
        self.channel = self.client.ask(&Request::Attach(attach))?;
        self.outgoing.restart(self.channel);
        Ok(())
    }

    /// Columns and rows; 0 where the terminal does not know.
    fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((0, 0), |s| (s.cols, s.rows))
    }

    fn resized(&mut self) {
        let (cols, rows) = self.size();
        self.outgoing.resize(cols, rows);
    }

    /// Takes one thing from the socket; false when there is none now.
    fn receive_one(&mut self) -> Result<bool, Failure> {
        let (channel, incoming) = self.client.next(None)?;
        match incoming {
            Incoming::TimedOut => return Ok(false),
            Incoming::Lost => self.reconnect()?,
            Incoming::Output(bytes) if channel == self.channel => {
                self.attempts = 0;
                if self.colours.feed(&bytes) {
                    reset_too(self.colours.resets());
                }
                self.shown.extend(bytes);
            }
            Incoming::Reply(Reply::Settled(settled)) if channel == self.channel => {
                self.end = Some(End::Session(settled.exit_code));
            }
            // It ended while there was no supervisor to say so.
            Incoming::Error(error) if self.begun && error.kind == ErrorKind::Exited => {
                self.end = Some(End::Session(None));
            }
            Incoming::Error(error) if channel == self.channel || channel == 0 => return Err(error.into()),
            _ => {}
        }
        Ok(true)
    }

    /// Attaches to the next supervisor, which paints everything anew.
    fn reconnect(&mut self) -> Result<(), Failure> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return Err(gone());
        }
        self.client.reopen()?;
        self.ask()?;
        self.client.socket().set_nonblocking(self.begun).map_err(|e| trouble("the connection", &e))
    }

    /// Gives the terminal what it takes without waiting; false when it is gone.
    fn flush(&mut self) -> bool {
        let mut written = 0;
        while written < self.shown.len() {
            match self.terminal.write(self.shown.get(written..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(more) => written += more,
                Err(_) => return false,
            }
        }
        self.shown.drain(..written);
        true
    }

    /// Waits for whatever comes first, and takes in what does not come from the socket.
    fn wait(&mut self) -> Result<Option<End>, Failure> {
        let (typed, signalled) = self.poll()?;
        // A handler may have run after `poll` had looked: the new size goes before what is typed in it.
        if (signalled || typed)
            && let Some(end) = self.take_signals()?
        {
            return Ok(Some(end));
        }
        if typed && let Some(end) = self.take_typed()? {
            return Ok(Some(end));
        }
        if self.due.is_some_and(|due| Instant::now() >= due) {
            self.due = None;
            let mut typed = Vec::new();
            self.wanted.leave.release(&mut typed);
            self.send(&typed);
        }
        Ok(None)
    }

    /// Whether there is something typed, and a signal.
    fn poll(&self) -> Result<(bool, bool), Failure> {
        let wants = |input: bool, output: bool| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, input);
            flags.set(PollFlags::POLLOUT, output);
            flags
        };
        let terminal = wants(self.outgoing.has_room(), !self.shown.is_empty());
        let socket = wants(self.shown.len() < SHOWN && self.end.is_none(), !self.outgoing.is_empty());
        let timeout = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        // Rounded up: a time that has not quite passed would be waited for again and again.
        let timeout = timeout.map(|left| left + Duration::from_millis(1)).map(PollTimeout::try_from);
        let mut polled = vec![
            PollFd::new(self.terminal.as_fd(), terminal),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        // A connection that has ended is always ready, and would be so until there is room to notice.
        if !socket.is_empty() {
            polled.push(PollFd::new(self.client.socket().as_fd(), socket));
        }
        match poll(&mut polled, timeout.and_then(Result::ok).unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(trouble("poll", &e.into())),
        }
        let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        let readable = |at: usize| {
            let revents = polled.get(at).and_then(PollFd::revents);
            revents.is_some_and(|r| r.intersects(PollFlags::POLLIN | gone))
        };
        Ok((readable(0), readable(1)))
    }

    fn take_signals(&mut self) -> Result<Option<End>, Failure> {
        for signal in self.signals.take() {
            match signal {
                Signal::SIGWINCH => self.resized(),
                Signal::SIGTSTP => {
                    give_back();
                    // It cannot fail: stopping oneself needs no right.
                    let _ = raise(Signal::SIGSTOP);
                }
                // Whoever had the terminal meanwhile has changed it.
                Signal::SIGCONT => {
                    let again = self.borrow()?;
                    self.shown.extend(again);
                    self.resized();
                }
                ends => return Ok(Some(End::Signal(ends))),
            }
        }
        Ok(None)
    }

    fn take_typed(&mut self) -> Result<Option<End>, Failure> {
        let mut bytes = [0; 16 * 1024];
        let read = match self.terminal.read(&mut bytes) {
            Ok(None) => return Ok(None),
            Ok(Some(0)) => return Ok(Some(End::Signal(Signal::SIGHUP))),
            Ok(Some(read)) => read,
            Err(e) => return Err(trouble("the terminal", &e)),
        };
        let mut typed = Vec::new();
        let leaves = self.wanted.leave.feed(bytes.get(..read).unwrap_or_default(), &mut typed);
        self.due = self.wanted.leave.patience().map(|patience| Instant::now() + patience);
        self.send(&typed);
        Ok(leaves.then_some(End::Left))
    }

    fn send(&mut self, typed: &[u8]) {
        if !self.wanted.read_only {
            self.outgoing.push(typed);
        }
    }

    /// Says how it ended, on the user's own screen.
    fn finish(mut self, end: End) -> u8 {
        let id = self.wanted.session.clone();
        // From here on Ctrl-C ends us, as the user expects of a command.
        drop(self.signals);
        let (said, code) = match end {
            End::Left => {
                let lost = last_words(&mut self.outgoing, &self.client);
                let but = format!("; it has not read the last {lost} bytes typed");
                (format!("[detached from {id}{}]", if lost > 0 { but.as_str() } else { "" }), 0)
            }
            End::Session(Some(code)) => (format!("[{id} ended, exit code {code}]"), 0),
            End::Session(None) => match exit_code(&mut self.client, &id) {
                Some(code) => (format!("[{id} ended, exit code {code}]"), 0),
                None => (format!("[{id} ended]"), 0),
            },
            // As a shell says it.
            End::Signal(signal) => (String::new(), 128_u8.wrapping_add(signal as u8)),
        };
        if !said.is_empty() {
            tell(&said);
        }
        code
    }
}

/// For people, unless the terminal takes nothing any more: that must not keep us here.
fn tell(said: &str) {
    let mut stderr = io::stderr().lock();
    let timeout = PollTimeout::try_from(LAST_LINE).unwrap_or(PollTimeout::ZERO);
    if poll(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)], timeout).is_ok_and(|ready| ready > 0) {
        // Nobody may be there to read it.
        let _ = writeln!(stderr, "{said}");
    }
}

/// What was typed before the key that leaves still arrives, if the program reads it in time. Returns how many
/// bytes did not.
fn last_words(outgoing: &mut Outgoing, client: &Client) -> usize {
    let until = Instant::now() + LAST_WORDS;
    let socket = client.socket();
    while outgoing.write(socket).is_ok() && outgoing.left() > 0 {
        let left = PollTimeout::try_from(until.saturating_duration_since(Instant::now()));
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        if !matches!(poll(&mut polled, left.unwrap_or(PollTimeout::ZERO)), Ok(1..) | Err(Errno::EINTR)) {
            break;
        }
    }
    outgoing.left()
}

/// The exit code of a session that ended while nobody could tell us.
fn exit_code(client: &mut Client, id: &str) -> Option<i32> {
    client.reopen().ok()?;
    let wait = Wait { session: id.to_owned(), turn: None, until: Some("exited".to_owned()) };
    match client.call(&Request::Wait(wait)) {
        Ok(Reply::Settled(settled)) => settled.exit_code,
        // It is told without one.
        _ => None,
    }
}

fn trouble(what: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("{what} failed while attached: {error}"), "attach again")
}
