//! The keeper's loop: one poll over the channel, the supervisor's death, the children's deaths and the starts that
//! are under way. Between events it sleeps in the kernel.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{getsockopt, sockopt};
use serde_bytes::ByteBuf;

use super::Announcement;
use super::children::{Children, Kin};
use super::listening::Listening;
use super::message::{Anonymous, Reply, Request, Spawn, VERSION};
use super::restart::{self, Backoff};
use super::spawn::{self, Refusal};
use super::wire::{Frame, Received, Wire, WireError, decode};
use crate::launch::lock::Lock;
use crate::launch::verdict::{self, Failure, Obstacle};
use crate::launch::{Origin, pidfd};

/// No more is read from the supervisor while it has so many frames of ours to read.
const OUTBOX: usize = 256;
/// How long a supervisor that has hung up may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Frames handled before the rest of the world is looked at again.
const ROUND: usize = 64;

pub(super) struct Keeper {
    origin: Origin,
    lock: Lock,
    listening: Listening,
    null: File,
    signals: SignalFd,
    children: Children,
    seat: Seat,
    backoff: Backoff,
    pub(super) announcement: Announcement,
    /// Why the supervisor cannot serve, in its own words.
    reason: Option<String>,
    /// We were told to end.
    ending: bool,
}

/// Where the supervisor sits.
pub(super) enum Seat {
    Taken(Supervisor),
    Empty { until: Instant },
}

pub(super) struct Supervisor {
    /// `None` once it cannot be talked to any more.
    wire: Option<Wire>,
    /// When that was so.
    hung_up: Option<Instant>,
    /// Stands for the process. A successor is started when this says that it is dead, and not before.
    process: OwnedFd,
    /// Its pid, if it is our child and so ours to reap.
    own: Option<u32>,
    greeted: bool,
}

impl Seat {
    pub(super) fn empty() -> Seat {
        Seat::Empty { until: Instant::now() }
    }

    /// The supervisor that made `channel` and started us.
    pub(super) fn held_by_peer(channel: OwnedFd) -> io::Result<Seat> {
        let peer = getsockopt(&channel, sockopt::PeerCredentials)?;
        let process = pidfd::open(peer.pid().unsigned_abs())?;
        let wire = Some(Wire::new(channel)?);
        Ok(Seat::Taken(Supervisor { wire, hung_up: None, process, own: None, greeted: false }))
    }

    fn wire(&mut self) -> Option<&mut Wire> {
        match self {
            Seat::Taken(supervisor) => supervisor.wire.as_mut(),
            Seat::Empty { .. } => None,
        }
    }

    fn own(&self) -> Option<u32> {
        match self {
            Seat::Taken(supervisor) => supervisor.own,
            Seat::Empty { .. } => None,
        }
    }
}

fn until(due: Instant) -> PollTimeout {
    // Rounded up: a timeout that ends too early would be a busy loop until it is due.
    let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// Something that poll watches.
enum Event {
    Signals,
    Channel(PollFlags),
    SupervisorDied,
    Verdict(String),
    OrphanDied,
    SocketDirectory,
}

impl Keeper {
    pub(super) fn new(origin: Origin, lock: Lock, listening: Listening, seat: Seat) -> io::Result<Keeper> {
        let mut deaths = SigSet::empty();
        deaths.add(Signal::SIGCHLD);
        deaths.thread_block()?;
        // Whatever the disposition that we came with: a client that has gone away must not end us.
        let mut broken_pipe = SigSet::empty();
        broken_pipe.add(Signal::SIGPIPE);
        broken_pipe.thread_block()?;
        let signals = SignalFd::with_flags(&deaths, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Keeper {
            origin,
            lock,
            listening,
            null: restart::open_null()?,
            signals,
            children: Children::default(),
            seat,
            backoff: Backoff::default(),
            announcement: Announcement::default(),
            reason: None,
            ending: false,
        })
    }

    pub(super) fn run(mut self) -> ExitCode {
        loop {
            self.fill_seat();
            if self.ending {
                break;
            }
            self.talk();
            match self.wait() {
                Ok(events) => events.into_iter().for_each(|event| self.handle(event)),
                // The supervisor sees us die and starts another.
                Err(_) => return ExitCode::FAILURE,
            }
        }
        // We hold the lock, so nobody else can have put a socket of his own there.
        drop(std::fs::remove_file(&self.origin.paths.socket));
        ExitCode::SUCCESS
    }

    /// Starts a supervisor if there is none and its time has come.
    fn fill_seat(&mut self) {
        if let Seat::Taken(Supervisor { hung_up: Some(since), process, .. }) = &mut self.seat
            && since.elapsed() >= LAST_WORDS
        {
            // It must not go on beside a successor. One that is gone already is seen to be by the next poll.
            drop(pidfd::signal(process.as_fd(), libc::SIGKILL));
            *since = Instant::now();
        }
        while let Seat::Empty { until } = self.seat
            && until <= Instant::now()
            && !self.ending
        {
            match restart::start(&self.origin, &self.null, &self.lock, &self.listening.listener) {
                Ok(started) => {
                    let wire = Some(started.wire);
                    let own = Some(started.pid);
                    let process = started.process;
                    self.seat = Seat::Taken(Supervisor { wire, hung_up: None, process, own, greeted: false });
                }
                Err(error) => {
                    let exe = self.origin.exe.display();
                    self.reason = Some(format!("cannot start the supervisor from `{exe}`: {error}"));
                    self.vacate(None);
                }
            }
        }
    }

    /// Tells what is to be told, as far as it can be sent.
    fn talk(&mut self) {
        let Seat::Taken(Supervisor { wire: Some(wire), greeted, .. }) = &mut self.seat else { return };
        let mut result = Ok(());
        for (session, child) in &mut self.children.by_session {
            let Some(exit) = child.exit.filter(|_| *greeted && !child.told) else { continue };
            if result.is_err() || wire.queued() >= OUTBOX {
                break;
            }
            result = wire.queue(&Reply::Exited { session: session.clone(), pid: child.pid, exit }, None);
            child.told = true;
        }
        if result.and_then(|()| wire.flush()).is_err() {
            // What it said before it hung up counts.
            self.listen(usize::MAX);
            self.hang_up();
        }
    }

    fn wait(&self) -> io::Result<Vec<Event>> {
        let mut watched = vec![(Event::Signals, PollFd::new(self.signals.as_fd(), PollFlags::POLLIN))];
        let socket = self.listening.watch();
        watched.extend(socket.map(|fd| (Event::SocketDirectory, PollFd::new(fd, PollFlags::POLLIN))));
        let mut timeout = PollTimeout::NONE;
        match &self.seat {
            Seat::Taken(supervisor) => {
                watched.push((
                    Event::SupervisorDied,
                    PollFd::new(supervisor.process.as_fd(), PollFlags::POLLIN),
                ));
                if let Some(wire) = &supervisor.wire {
                    let mut flags = PollFlags::empty();
                    flags.set(PollFlags::POLLIN, wire.queued() < OUTBOX);
                    flags.set(PollFlags::POLLOUT, wire.queued() > 0);
                    watched.push((Event::Channel(flags), PollFd::new(wire.as_fd(), flags)));
                }
                if let Some(since) = supervisor.hung_up {
                    timeout = until(since + LAST_WORDS);
                }
            }
            Seat::Empty { until: due } => timeout = until(*due),
        }
        for (session, child) in &self.children.by_session {
            if let Some(starting) = &child.starting {
                let fd = PollFd::new(starting.verdict.as_fd(), PollFlags::POLLIN);
                watched.push((Event::Verdict(session.clone()), fd));
            } else if let (Kin::Orphan(Some(process)), None) = (&child.kin, child.exit) {
                watched.push((Event::OrphanDied, PollFd::new(process.as_fd(), PollFlags::POLLIN)));
            }
        }
        let (mut events, mut fds): (Vec<Event>, Vec<PollFd<'_>>) = watched.into_iter().unzip();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut happened = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::POLLERR));
        events.retain_mut(|event| {
            let flags = happened.next().unwrap_or(PollFlags::empty());
            if let Event::Channel(seen) = event {
                *seen = flags;
            }
            !flags.is_empty()
        });
        Ok(events)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signals => {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.children.look(self.seat.own());
            }
            Event::OrphanDied => self.children.look(self.seat.own()),
            Event::Verdict(session) => self.judge(&session),
            Event::SocketDirectory => self.keep_listening(),
            Event::Channel(flags)
                if flags.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) =>
            {
                self.listen(ROUND);
            }
            // What is queued is sent by `talk`.
            Event::Channel(_) => {}
            Event::SupervisorDied => {
                // What it said before it died counts.
                self.listen(usize::MAX);
                self.supervisor_died();
            }
        }
    }

    /// Handles up to `most` frames of the supervisor.
    fn listen(&mut self, most: usize) {
        for _ in 0..most {
            let Some(wire) = self.seat.wire() else { return };
            let result = match wire.receive() {
                Ok(Received::Pending) => return,
                Ok(Received::Frame(frame)) => self.obey(frame),
                Ok(Received::Closed) => Err(WireError::Io(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => Err(error),
            };
            if result.is_err() {
                self.hang_up();
            }
        }
    }

    /// The supervisor cannot be talked to, most likely because it is about to end. Until it has, it has no successor.
    fn hang_up(&mut self) {
        if let Seat::Taken(supervisor) = &mut self.seat {
            supervisor.wire = None;
            supervisor.hung_up = Some(Instant::now());
        }
    }

    fn obey(&mut self, frame: Frame) -> Result<(), WireError> {
        match decode(&frame.body)? {
            Request::Hello { .. } => self.greet(),
            Request::Spawn(spawn) => self.spawn(spawn),
            Request::Signal { id, session, signal, scope } => {
                let sent = self.children.signal(&session, signal, scope);
                self.answer(id, sent)
            }
            Request::Forget { id, session } => {
                let forgotten = self.children.forget(&session).map(|()| 1);
                self.answer(id, forgotten)
            }
            Request::Restore(held) => {
                self.children.restore(held, frame.fd);
                Ok(())
            }
            Request::Ready => {
                self.announcement.ready();
                Ok(())
            }
            Request::Failed { reason } => {
                self.reason = Some(reason);
                Ok(())
            }
            Request::Shutdown => {
                self.ending = true;
                Ok(())
            }
            Request::Unknown => match decode(&frame.body) {
                Ok(Anonymous { id: Some(id) }) => {
                    self.answer(id, Err(Failure { at: Obstacle::Unsupported, errno: 0 }))
                }
                _ => Ok(()),
            },
        }
    }

    fn reply(&mut self, reply: &Reply, fd: Option<Arc<OwnedFd>>) -> Result<(), WireError> {
        match self.seat.wire() {
            Some(wire) => wire.queue(reply, fd),
            None => Ok(()),
        }
    }

    fn answer(&mut self, id: u64, result: Result<u32, Failure>) -> Result<(), WireError> {
        match result {
            Ok(count) => self.reply(&Reply::Done { id, count }, None),
            Err(failure) => self.refuse(id, failure.into()),
        }
    }

    fn refuse(&mut self, id: u64, refusal: Refusal) -> Result<(), WireError> {
        let Refusal { failure: Failure { at, errno }, detail } = refusal;
        self.reply(&Reply::Refused { id, obstacle: at as u8, errno, detail }, None)
    }

    /// Hands over all children with their masters.
    fn greet(&mut self) -> Result<(), WireError> {
        let Seat::Taken(Supervisor { wire: Some(wire), greeted, .. }) = &mut self.seat else { return Ok(()) };
        let pid = std::process::id();
        let process = pidfd::open(pid).ok().map(Arc::new);
        wire.queue(&Reply::Hello { version: VERSION, pid }, process)?;
        let mut count = 0;
        // One that is still starting was asked for by a supervisor that is gone: its successor gets it as well.
        for (session, child) in &mut self.children.by_session {
            child.told = child.exit.is_some();
            wire.queue(&Reply::Child(child.held(session)), child.master.clone())?;
            count += 1;
        }
        wire.queue(&Reply::Adopted { count }, None)?;
        *greeted = true;
        Ok(())
    }

    fn spawn(&mut self, spawn: Spawn) -> Result<(), WireError> {
        let id = spawn.id;
        let session = spawn.session.clone();
        if self.children.by_session.contains_key(&session) {
            return self.answer(id, Err(Failure { at: Obstacle::Exists, errno: 0 }));
        }
        match spawn::start(spawn, &self.null, self.origin.open_files) {
            Ok(child) => {
                self.children.by_session.insert(session, child);
                Ok(())
            }
            Err(refusal) => self.refuse(id, refusal),
        }
    }

    /// The exec of `session` has happened or failed: its start is answered.
    fn judge(&mut self, session: &str) {
        let Some(child) = self.children.by_session.get_mut(session) else { return };
        let Some(starting) = child.starting.take() else { return };
        let failure = match verdict::read(starting.verdict) {
            Ok(failure) => failure,
            Err(error) => Some(Failure::of(Obstacle::Resources, &error)),
        };
        let result = match (failure, starting.id) {
            (None, asked) => {
                let (pid, start_time, master) = (child.pid, child.start_time, child.master.clone());
                // It may have ended already, and no signal will tell us again.
                child.look();
                asked.map_or(Ok(()), |id| self.reply(&Reply::Spawned { id, pid, start_time }, master))
            }
            (Some(failure), Some(id)) => {
                // It is about to end by itself and is then reaped like anything that is not known.
                self.children.by_session.remove(session);
                self.children.look(self.seat.own());
                self.refuse(id, failure.into())
            }
            // Whoever asked is gone and his successor has adopted it: what it hears is that it ended.
            (Some(_), None) => {
                child.exit = Some(super::Exit { code: Some(127), signal: None });
                Ok(())
            }
        };
        if result.is_err() {
            self.hang_up();
        }
    }

    /// Something has happened where the socket is.
    fn keep_listening(&mut self) {
        let Some(socket) = self.listening.look(&self.origin.paths) else { return };
        self.origin.paths.socket = socket;
        // Where it cannot be named, those who look where it was are served.
        drop(super::name(&self.lock, &self.origin));
        // Without it the supervisor's successor has it at least.
        let Ok(listener) = self.listening.listener.try_clone() else { return };
        let socket = ByteBuf::from(self.origin.paths.socket.as_os_str().as_bytes());
        if self.reply(&Reply::Moved { socket }, Some(Arc::new(listener.into()))).is_err() {
            self.hang_up();
        }
    }

    fn supervisor_died(&mut self) {
        for starting in self.children.by_session.values_mut().filter_map(|child| child.starting.as_mut()) {
            // The successor counts its requests anew.
            starting.id = None;
        }
        let own = self.seat.own();
        let ended = own.and_then(|pid| super::reap::release(pid).ok().flatten());
        self.vacate(ended);
    }

    /// The supervisor is dead, or could not be started: decides when the next one is.
    fn vacate(&mut self, ended: Option<super::Exit>) {
        let delay = self.backoff.died(Instant::now());
        self.seat = Seat::Empty { until: Instant::now() + delay };
        let idle = self.children.by_session.is_empty();
        // With nothing to look after, the next command is the better time to try again, and someone hears of it.
        let given_up = self.reason.is_some() || self.backoff.is_delaying();
        if self.announcement.is_due() && idle && given_up {
            let how = ended.map_or_else(|| "it could not be started".to_owned(), |exit| exit.to_string());
            let reason = self.reason.take().unwrap_or_else(|| {
                let state = self.origin.paths.state.display();
                format!("the supervisor ended before it served ({how}); see its log in `{state}`")
            });
            self.announcement.failed(&reason);
            self.ending = true;
        } else if idle && self.backoff.is_hopeless() {
            self.ending = true;
        }
        self.reason = None;
    }
}
