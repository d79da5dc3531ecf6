//! The task that owns the supervisor's end of the channel: requests out, answers and events in, and a new keeper
//! when the old one dies.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nix::libc;
use serde_bytes::ByteBuf;
use tokio::io::Interest;
use tokio::io::Ready;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use super::asked::{self, Asked};
use super::handle::{Child, Command, ConnectError, KeeperError, KeeperEvent, SpawnError, SpawnRequest};
use super::message::{Held, Reply, Request, Scope, Spawn, VERSION, env_to_wire};
use super::restart::Backoff;
use super::revive::Revival;
use super::watch;
use super::wire::{Frame, Received, Wire, WireError, decode};
use crate::launch::pidfd;

/// No more requests are taken while the keeper has so many to read.
const OUTBOX: usize = 64;
/// Frames handled before the rest is looked at again.
const ROUND: usize = 64;

/// A keeper that has handed over what it has.
pub(super) struct Greeting {
    pub(super) pid: u32,
    wire: AsyncFd<Wire>,
    process: AsyncFd<OwnedFd>,
    children: Vec<(Held, Option<OwnedFd>)>,
    /// What came right behind.
    rest: Vec<Frame>,
}

pub(super) struct Link {
    wire: AsyncFd<Wire>,
    /// Stands for the keeper's process; readable when it is dead.
    process: AsyncFd<OwnedFd>,
    commands: mpsc::Receiver<Command>,
    /// Whether any handle is left.
    wanted: bool,
    events: mpsc::Sender<KeeperEvent>,
    /// At most one exit per known session, besides the keeper's own deaths.
    untold: VecDeque<KeeperEvent>,
    asked: HashMap<u64, Asked>,
    last_id: u64,
    known: BTreeMap<String, Known>,
    revival: Arc<Revival>,
    backoff: Backoff,
    pid: Arc<AtomicU32>,
    stopping: Option<oneshot::Sender<()>>,
}

/// A child, and what a new keeper would need of it.
struct Known {
    held: Held,
    master: Option<Arc<OwnedFd>>,
    /// Nobody wants it: it is to be forgotten once it has ended.
    abandoned: bool,
}

enum Step {
    Command(Option<Command>),
    Frames(Vec<Frame>, Result<(), WireError>),
    Died,
    Told,
}

/// Sends the greeting and takes in all children.
pub(super) async fn greet(channel: OwnedFd) -> Result<Greeting, ConnectError> {
    let mut wire = watch::channel(Wire::new(channel)?)?;
    wire.get_mut().queue(&Request::Hello { version: VERSION, pid: std::process::id() }, None)?;
    let mut keeper = None;
    let mut children = Vec::new();
    loop {
        let (frames, result) = exchange(&mut wire).await;
        let mut frames = frames.into_iter();
        while let Some(frame) = frames.next() {
            match decode(&frame.body)? {
                Reply::Hello { pid, .. } => keeper = Some((pid, frame.fd)),
                Reply::Child(held) => children.push((held, frame.fd)),
                Reply::Adopted { .. } => {
                    let (pid, process) = keeper.ok_or(ConnectError::Closed)?;
                    let process = process.map_or_else(|| pidfd::open(pid), Ok)?;
                    let process = watch::process(process)?;
                    return Ok(Greeting { pid, wire, process, children, rest: frames.collect() });
                }
                _ => {}
            }
        }
        result.map_err(|_| ConnectError::Closed)?;
    }
}

/// Sends what is queued and receives what is there; waits until one of them is possible.
async fn exchange(wire: &mut AsyncFd<Wire>) -> (Vec<Frame>, Result<(), WireError>) {
    let interest = match wire.get_ref().queued() {
        0 => Interest::READABLE,
        _ => Interest::READABLE | Interest::WRITABLE,
    };
    let mut frames = Vec::new();
    let mut guard = match wire.ready_mut(interest).await {
        Ok(guard) => guard,
        Err(error) => return (frames, Err(error.into())),
    };
    if guard.ready().is_writable() {
        // A keeper that is gone may have left frames that are still to be read.
        drop(guard.get_inner_mut().flush());
        if guard.get_inner().queued() > 0 {
            guard.clear_ready_matching(Ready::WRITABLE);
        }
    }
    while frames.len() < ROUND {
        match guard.get_inner_mut().receive() {
            Ok(Received::Frame(frame)) => frames.push(frame),
            Ok(Received::Pending) => {
                guard.clear_ready_matching(Ready::READABLE);
                break;
            }
            Ok(Received::Closed) => {
                return (frames, Err(WireError::Io(io::ErrorKind::UnexpectedEof.into())));
            }
            Err(error) => return (frames, Err(error)),
        }
    }
    (frames, Ok(()))
}

impl Link {
    pub(super) fn new(
        greeting: Greeting,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<KeeperEvent>,
        revival: Revival,
        pid: Arc<AtomicU32>,
    ) -> Result<(Link, Vec<Child>), ConnectError> {
        let mut adopted = Vec::new();
        let mut known = BTreeMap::new();
        for (held, master) in greeting.children {
            // Without a duplicate of ours the terminal is lost if the keeper dies, but not before.
            let spare = master.as_ref().and_then(|master| master.try_clone().ok()).map(Arc::new);
            adopted.push(Child::of(&held, master));
            known.insert(held.session.clone(), Known { held, master: spare, abandoned: false });
        }
        let mut link = Link {
            wire: greeting.wire,
            process: greeting.process,
            commands,
            wanted: true,
            events,
            untold: VecDeque::new(),
            asked: HashMap::new(),
            last_id: 0,
            known,
            revival: Arc::new(revival),
            backoff: Backoff::default(),
            pid,
            stopping: None,
        };
        greeting.rest.into_iter().for_each(|frame| link.take_in(frame));
        Ok((link, adopted))
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.step().await {
                Step::Command(Some(command)) => self.obey(command),
                Step::Command(None) => self.wanted = false,
                Step::Told => {}
                Step::Frames(frames, result) => {
                    frames.into_iter().for_each(|frame| self.take_in(frame));
                    if result.is_err() {
                        // A keeper that cannot be talked to must not go on beside its successor.
                        drop(pidfd::signal(self.process.get_ref().as_fd(), libc::SIGKILL));
                        // Fails only with the runtime.
                        drop(self.process.readable().await);
                        if !self.keeper_died().await {
                            return;
                        }
                    }
                }
                Step::Died => {
                    // What it said before it died counts; the channel's end is behind that.
                    while let Ok(Received::Frame(frame)) = self.wire.get_mut().receive() {
                        self.take_in(frame);
                    }
                    if !self.keeper_died().await {
                        return;
                    }
                }
            }
        }
    }

    async fn step(&mut self) -> Step {
        let room = self.wanted && self.wire.get_ref().queued() < OUTBOX;
        tokio::select! {
            command = self.commands.recv(), if room => Step::Command(command),
            (frames, result) = exchange(&mut self.wire) => Step::Frames(frames, result),
            _ = self.process.readable() => Step::Died,
            permit = self.events.reserve(), if !self.untold.is_empty() => {
                // Refused once the supervisor has dropped the receiver: then nobody wants to know.
                match (self.untold.pop_front(), permit) {
                    (Some(event), Ok(permit)) => permit.send(event),
                    _ => self.untold.clear(),
                }
                Step::Told
            }
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Queues `request`. That the keeper is gone is noticed where it is read from.
    fn send(&mut self, request: &Request) -> Result<(), WireError> {
        let wire = self.wire.get_mut();
        wire.queue(request, None)?;
        drop(wire.flush());
        Ok(())
    }

    fn obey(&mut self, command: Command) {
        let id = self.next_id();
        match command {
            Command::Spawn { request, reply } => self.spawn(id, request, reply),
            Command::Signal { session, signal, scope, reply } => {
                let request = Request::Signal { id, session: session.clone(), signal, scope };
                self.ask(id, &request, Asked::Act { session, forget: false, reply });
            }
            Command::Forget { session, reply } => {
                let request = Request::Forget { id, session: session.clone() };
                self.ask(id, &request, Asked::Act { session, forget: true, reply });
            }
            Command::Tell { request, reply } => {
                drop(self.send(&request));
                // Whoever told has perhaps not waited.
                let _ = reply.send(());
            }
            Command::Shutdown { reply } => {
                self.stopping = Some(reply);
                drop(self.send(&Request::Shutdown));
            }
        }
    }

    fn ask(&mut self, id: u64, request: &Request, asked: Asked) {
        match self.send(request) {
            Ok(()) => drop(self.asked.insert(id, asked)),
            Err(error) => asked.refuse(&error.to_string()),
        }
    }

    fn spawn(&mut self, id: u64, request: SpawnRequest, reply: oneshot::Sender<Result<Child, SpawnError>>) {
        let bytes = |text: &std::ffi::OsStr| ByteBuf::from(text.as_bytes());
        let env = env_to_wire(&request.env);
        let message = Request::Spawn(Spawn {
            id,
            session: request.session.clone(),
            program: bytes(request.program.as_os_str()),
            argv: request.argv.iter().map(|arg| bytes(arg)).collect(),
            env: env.clone(),
            cwd: bytes(request.cwd.as_os_str()),
            rows: request.rows,
            cols: request.cols,
            pty: request.pty,
            output: request.output.as_ref().map(|path| bytes(path.as_os_str())),
        });
        self.ask(id, &message, Asked::Start(Box::new(asked::Start { request, env, reply })));
    }

    fn take_in(&mut self, frame: Frame) {
        // One that is not understood is a newer keeper's.
        let Ok(reply) = decode(&frame.body) else { return };
        match reply {
            Reply::Spawned { id, pid, start_time } => {
                if let Some(Asked::Start(start)) = self.asked.remove(&id) {
                    self.started(*start, pid, start_time, frame.fd);
                }
            }
            Reply::Refused { id, obstacle, errno, detail } => {
                if let Some(asked) = self.asked.remove(&id) {
                    asked.refused(obstacle, errno, detail);
                }
            }
            Reply::Done { id, count } => {
                if let Some(Asked::Act { session, forget, reply }) = self.asked.remove(&id) {
                    if forget {
                        self.known.remove(&session);
                    }
                    // Whoever asked has perhaps not waited.
                    drop(reply.send(Ok(count)));
                }
            }
            Reply::Exited { session, pid, exit } => self.exited(session, pid, exit),
            Reply::Moved { socket } => {
                if let Some(listener) = frame.fd {
                    self.moved(PathBuf::from(OsString::from_vec(socket.into_vec())), listener);
                }
            }
            Reply::Hello { .. } | Reply::Child(_) | Reply::Adopted { .. } | Reply::Unknown => {}
        }
    }

    fn started(&mut self, start: asked::Start, pid: u32, start_time: u64, master: Option<OwnedFd>) {
        let asked::Start { request, env, reply } = start;
        let session = request.session;
        let held = Held { session: session.clone(), pid, start_time, env, exit: None };
        let spare = master.as_ref().map(OwnedFd::try_clone);
        let lacking = request.pty && !matches!(spare, Some(Ok(_)));
        let spare = spare.and_then(Result::ok).map(Arc::new);
        let child = Child::of(&held, master);
        self.known.insert(session.clone(), Known { held, master: spare, abandoned: false });
        let outcome = match lacking {
            true => Err(SpawnError::Descriptors { session: session.clone() }),
            false => Ok(child),
        };
        // It runs, but nobody looks after it.
        if reply.send(outcome).is_err() || lacking {
            self.abandon(&session);
        }
    }

    fn abandon(&mut self, session: &str) {
        let id = self.next_id();
        if let Some(known) = self.known.get_mut(session) {
            known.abandoned = true;
            let session = session.to_owned();
            drop(self.send(&Request::Signal { id, session, signal: libc::SIGKILL, scope: Scope::Session }));
        }
    }

    fn exited(&mut self, session: String, pid: u32, exit: super::Exit) {
        let Some(known) = self.known.get_mut(&session).filter(|known| known.held.pid == pid) else { return };
        known.held.exit = Some(exit);
        if known.abandoned {
            self.known.remove(&session);
            let id = self.next_id();
            drop(self.send(&Request::Forget { id, session }));
        } else {
            self.untold.push_back(KeeperEvent::Exited { session, pid, exit });
        }
    }

    fn moved(&mut self, socket: PathBuf, listener: OwnedFd) {
        let spare = listener.try_clone();
        match spare.and_then(|spare| self.revival.moved(socket.clone(), spare)) {
            Ok(revival) => self.revival = Arc::new(revival),
            Err(error) => tracing::warn!(%error, "a next keeper would listen at the old socket"),
        }
        self.untold.push_back(KeeperEvent::Moved { socket, listener: listener.into() });
    }

    /// The keeper is dead for certain. Starts another, however often it takes; `false` if it was told to end.
    async fn keeper_died(&mut self) -> bool {
        if let Some(reply) = self.stopping.take() {
            self.asked.drain().for_each(|(_, asked)| asked.lost(KeeperError::Stopped));
            // Whoever asked has perhaps not waited.
            let _ = reply.send(());
            return false;
        }
        self.settle_lost();
        tracing::warn!(pid = self.pid.load(Ordering::Relaxed), "the keeper died; starting another");
        self.untold.push_back(KeeperEvent::Lost);
        while let Some(event) = self.untold.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.untold.push_front(event);
                break;
            }
        }
        loop {
            tokio::time::sleep(self.backoff.died(Instant::now())).await;
            match self.revive().await {
                Ok(()) => return true,
                Err(error) => tracing::error!(%error, "no new keeper"),
            }
        }
    }

    /// Answers what the dead keeper was asked. What was to be forgotten is: nobody tells the next one of it.
    fn settle_lost(&mut self) {
        for (_, asked) in self.asked.drain() {
            match asked {
                Asked::Act { session, forget: true, reply }
                    if self.known.get(&session).is_some_and(|known| known.held.exit.is_some()) =>
                {
                    self.known.remove(&session);
                    // Whoever asked has perhaps not waited.
                    drop(reply.send(Ok(1)));
                }
                other => other.lost(KeeperError::Lost),
            }
        }
    }

    async fn revive(&mut self) -> Result<(), ConnectError> {
        let revival = Arc::clone(&self.revival);
        // A fork of a process with many pages takes its time: other tasks of this thread should not wait for it.
        let started = tokio::task::spawn_blocking(move || revival.start()).await;
        let channel = started.map_err(io::Error::other)??;
        let greeting = greet(channel).await?;
        self.wire = greeting.wire;
        self.process = greeting.process;
        for known in self.known.values() {
            let restore = Request::Restore(known.held.clone());
            self.wire.get_mut().queue(&restore, known.master.clone())?;
        }
        drop(self.wire.get_mut().flush());
        let abandoned = self.known.iter().filter(|(_, known)| known.abandoned);
        for session in abandoned.map(|(session, _)| session.clone()).collect::<Vec<String>>() {
            // The dead keeper may not have come to it.
            self.abandon(&session);
        }
        self.pid.store(greeting.pid, Ordering::Relaxed);
        self.untold.push_back(KeeperEvent::Revived { pid: greeting.pid });
        tracing::info!(pid = greeting.pid, children = self.known.len(), "a new keeper");
        Ok(())
    }
}
