//! The supervisor's side of the keeper, to be cloned and used by any task.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot};

use super::Exit;
use super::link::{self, Link};
use super::message::{Request, env_from_wire};
use super::revive::Revival;
use super::wire::{Wire, WireError};
use crate::launch::{Inherited, Origin};

pub use super::message::Scope;

/// Requests that wait for the link; more make their callers wait.
const COMMANDS: usize = 64;
/// Events that wait for the supervisor; more wait in the link (at most one exit per session) and in the keeper.
const EVENTS: usize = 256;

/// A program to start.
#[derive(Clone, Debug)]
pub struct SpawnRequest {
    /// The session; it has no process that was not forgotten.
    pub session: String,
    /// A path (relative to `cwd` if it is), or a bare name that is looked for in the PATH of `env`.
    pub program: PathBuf,
    /// All arguments, the program's own name first. Empty: the program's name alone.
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is added to it.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory. It must exist.
    pub cwd: PathBuf,
    /// Size of the terminal in cells; at least 1.
    pub rows: u16,
    /// See `rows`.
    pub cols: u16,
    /// Whether it gets a terminal. Otherwise: standard input from `/dev/null`, output to `output`; a session and
    /// process group of its own in both cases.
    pub pty: bool,
    /// Without a terminal: the file that standard output and error are appended to (created with mode 0600); `None`
    /// is `/dev/null`.
    pub output: Option<PathBuf>,
}

/// A process that the keeper holds.
#[derive(Debug)]
pub struct Child {
    /// Its session.
    pub session: String,
    /// Its pid: leader of its session and process group.
    pub pid: u32,
    /// When it began, in clock ticks since the machine started (field 22 of /proc/PID/stat).
    pub start_time: u64,
    /// The master of its terminal: a duplicate, so closing it does not hang the terminal up. `None` without a
    /// terminal, or if an adopting supervisor had no descriptor left for it.
    pub master: Option<OwnedFd>,
    /// The environment it was started with, for starting the session's program again.
    pub env: Vec<(OsString, OsString)>,
    /// How it ended, if it had when this was made. It is then not told again as an event.
    pub exit: Option<Exit>,
}

/// What the keeper has to tell.
#[derive(Debug)]
pub enum KeeperEvent {
    /// A process has ended. Its output may still be in the terminal. The keeper keeps its status and pid until
    /// [`KeeperHandle::forget`].
    Exited {
        /// Its session.
        session: String,
        /// Its pid.
        pid: u32,
        /// How it ended.
        exit: Exit,
    },
    /// The keeper died. Another is being started and gets the masters back; what ran goes on, but how it ends will
    /// not be known. Requests wait meanwhile.
    Lost,
    /// Another keeper has taken the dead one's place.
    Revived {
        /// Its pid.
        pid: u32,
    },
    /// The socket's directory was taken away (as `$XDG_RUNTIME_DIR` is after the last logout), and clients are served
    /// at another one: accept on it as well, and tell new children its path.
    Moved {
        /// Its path.
        socket: PathBuf,
        /// The listening socket.
        listener: UnixListener,
    },
}

/// Why there is no link to the keeper.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The channel is of no use.
    #[error("cannot use the channel to the keeper: {0}; run `dsx supervisor restart`")]
    Io(#[from] io::Error),
    /// The keeper speaks another language.
    #[error("{0}; run `dsx supervisor restart`")]
    Wire(#[from] WireError),
    /// The keeper ended.
    #[error("the keeper ended before it handed over its children; run the command again")]
    Closed,
}

/// Why a program was not started. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The working directory cannot be entered.
    #[error("cannot enter the directory `{}`: {source}; give an existing one with --path", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program cannot be executed.
    #[error("cannot run `{}`: {source}; check its name, its mode and the PATH", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program is a script (or binary) whose interpreter cannot be executed.
    #[error("cannot run `{}`: the interpreter that it names is missing ({source}); check its first line", program.display())]
    Interpreter {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No terminal could be had.
    #[error("no terminal for `{session}`: {reason}; end sessions that are done, or raise `ulimit -n`")]
    Terminal {
        /// The session.
        session: String,
        /// What the system said.
        reason: String,
    },
    /// No process or descriptor could be had.
    #[error(
        "no process for `{session}`: {source}; end sessions that are done, or raise `ulimit -n` and `ulimit -u`"
    )]
    Resources {
        /// The session.
        session: String,
        /// What the system said.
        source: io::Error,
    },
    /// The supervisor has no descriptor left for the master; the process was killed again.
    #[error(
        "no open file left for the terminal of `{session}`; end sessions that are done, or raise `ulimit -n`"
    )]
    Descriptors {
        /// The session.
        session: String,
    },
    /// The file for the output cannot be opened.
    #[error("cannot write the output of `{session}` to `{}`: {reason}", path.display())]
    Output {
        /// The session.
        session: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The request makes no sense.
    #[error("cannot start `{session}`: {reason}; correct that and try again")]
    Invalid {
        /// The session.
        session: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The session has a process that was not forgotten.
    #[error("`{session}` has a process already; end and forget it first")]
    Exists {
        /// The session.
        session: String,
    },
    /// The keeper could not be asked.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
}

/// Why the keeper did not do something.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// It died before it answered. A program that it was asked to start is not running, or hangs up by itself.
    #[error("the keeper died while it was asked; another is being started, try again")]
    Lost,
    /// It was told to end.
    #[error("the keeper has been stopped; run the command again to have dsx started")]
    Stopped,
    /// It holds no process for that session.
    #[error("the keeper has no process for `{session}`")]
    NoSession {
        /// The session.
        session: String,
    },
    /// There is nothing left to signal.
    #[error("the process of `{session}` is gone")]
    Exited {
        /// The session.
        session: String,
    },
    /// What runs cannot be forgotten.
    #[error("the process of `{session}` still runs; end it first")]
    Running {
        /// The session.
        session: String,
    },
    /// Something else.
    #[error("the keeper refused: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
}

pub(super) enum Command {
    Spawn {
        request: SpawnRequest,
        reply: oneshot::Sender<Result<Child, SpawnError>>,
    },
    Signal {
        session: String,
        signal: i32,
        scope: Scope,
        reply: Answer,
    },
    Forget {
        session: String,
        reply: Answer,
    },
    /// To be sent, and not answered: `reply` when it has gone.
    Tell {
        request: Request,
        reply: oneshot::Sender<()>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}

pub(super) type Answer = oneshot::Sender<Result<u32, KeeperError>>;

/// The keeper, as the tasks of the supervisor use it. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct KeeperHandle {
    commands: mpsc::Sender<Command>,
    pid: Arc<AtomicU32>,
}

impl KeeperHandle {
    /// Greets the keeper and adopts all processes it holds, in the order of their sessions' names.
    ///
    /// From then on a task of the current runtime (with IO and time) looks after the link, and after the keeper: if
    /// that dies, it starts another with the inherited listener and lock. Events are told in the order in which they
    /// happened; they must be received, but a supervisor that is slow to do so only delays them.
    ///
    /// # Errors
    /// [`ConnectError`] if the channel is not one to a keeper.
    pub async fn connect(
        inherited: Inherited,
        origin: Origin,
    ) -> Result<(KeeperHandle, Vec<Child>, mpsc::Receiver<KeeperEvent>), ConnectError> {
        let Inherited { channel, listener, lock } = inherited;
        let greeting = link::greet(channel).await?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (events, told) = mpsc::channel(EVENTS);
        let pid = Arc::new(AtomicU32::new(greeting.pid));
        let handle = KeeperHandle { commands, pid: Arc::clone(&pid) };
        let revival = Revival { origin, lock, listener };
        let (link, adopted) = Link::new(greeting, receiver, events, revival, pid)?;
        tokio::spawn(link.run());
        Ok((handle, adopted, told))
    }

    /// The keeper's pid; that of a dead one until it is replaced.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Starts a program. Once this returns, the exec has happened; nothing of dsx is open in it, and signals are at
    /// their defaults.
    ///
    /// Dropping the future before it is done ends the program again.
    ///
    /// # Errors
    /// [`SpawnError`], naming the obstacle; nothing runs then.
    pub async fn spawn(&self, request: SpawnRequest) -> Result<Child, SpawnError> {
        self.ask(|reply| Command::Spawn { request, reply }).await?
    }

    /// Sends `signal` to the process of `session`, its process group, or everything in its (terminal's) session.
    /// Returns how many were reached; a group counts as one, a session without members as 0.
    ///
    /// The keeper sends it, and has not reaped the process until it is forgotten: no other process can be meant.
    /// `Scope::Session` also works after the process has ended; with SIGKILL it repeats until nobody is left, except
    /// what made a session of its own.
    ///
    /// # Errors
    /// [`KeeperError::Exited`] if it is gone, [`KeeperError::NoSession`] if it is not known.
    pub async fn signal(&self, session: &str, signal: Signal, scope: Scope) -> Result<u32, KeeperError> {
        let (session, signal) = (session.to_owned(), signal as i32);
        self.ask(|reply| Command::Signal { session, signal, scope, reply }).await?
    }

    /// Lets go of a process that has ended: status, pid, environment and the keeper's duplicates of the master. Only
    /// after what it left behind is ended and its exit is recorded.
    ///
    /// # Errors
    /// [`KeeperError::Running`] if it has not ended, [`KeeperError::NoSession`] if it is not known.
    pub async fn forget(&self, session: &str) -> Result<(), KeeperError> {
        let session = session.to_owned();
        self.ask(|reply| Command::Forget { session, reply }).await?.map(|_| ())
    }

    /// Tells the keeper that clients are served from now on. Until then the client that started it waits, so call
    /// this once, as soon as connections are accepted.
    ///
    /// # Errors
    /// [`KeeperError::Stopped`] if it was shut down.
    pub async fn ready(&self) -> Result<(), KeeperError> {
        self.ask(|reply| Command::Tell { request: Request::Ready, reply }).await
    }

    /// Tells the keeper why this supervisor cannot serve; the waiting client shows it. End soon after: a keeper
    /// without children ends then as well, any other starts the next supervisor.
    ///
    /// # Errors
    /// [`KeeperError::Stopped`] if it was shut down.
    pub async fn failed(&self, reason: &str) -> Result<(), KeeperError> {
        let request = Request::Failed { reason: reason.to_owned() };
        self.ask(|reply| Command::Tell { request, reply }).await
    }

    /// Ends the keeper, and returns when it is dead: no supervisor is started any more, the socket is gone, and the
    /// lock is free when this process ends. What still runs is hung up then.
    pub async fn shutdown(&self) {
        // An error means that it has been shut down before.
        drop(self.ask(|reply| Command::Shutdown { reply }).await);
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, KeeperError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| KeeperError::Stopped)?;
        answer.await.map_err(|_| KeeperError::Stopped)
    }
}

impl Inherited {
    /// As [`KeeperHandle::failed`], for a supervisor that cannot even connect (no runtime, no log file).
    pub fn failed(&self, reason: &str) {
        let told = self.channel.try_clone().map_err(WireError::Io).and_then(|channel| {
            let mut wire = Wire::new(channel)?;
            wire.queue(&Request::Failed { reason: reason.to_owned() }, None)?;
            wire.flush()
        });
        // The keeper is gone as well: there is nobody left to tell.
        drop(told);
    }
}

impl Child {
    pub(super) fn of(held: &super::message::Held, master: Option<OwnedFd>) -> Child {
        Child {
            session: held.session.clone(),
            pid: held.pid,
            start_time: held.start_time,
            master,
            env: env_from_wire(&held.env),
            exit: held.exit,
        }
    }
}
