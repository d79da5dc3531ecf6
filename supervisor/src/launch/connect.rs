//! How a client reaches the supervisor, starting one if there is none. Blocking, without a runtime: this is on the
//! path of every command.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::pipe2;

use super::exec;
use super::lock::{self, Lock, Waiting};
use super::origin::Origin;
use super::paths::Paths;
use super::private_dir::DirectoryError;
use super::verdict;

/// How long a client tries to reach a supervisor whose lock is held.
const HOLDER_PATIENCE: Duration = Duration::from_secs(5);
/// How often it tries the socket meanwhile; that the lock comes free is an event.
const HOLDER_RETRY: Duration = Duration::from_millis(50);
/// How long a supervisor that is being started may take until it serves.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// How long a client waits for another one that is starting the keeper: longer than that one may take.
const START_PATIENCE: Duration = Duration::from_secs(45);
/// The most that a keeper says of why it could not start, in bytes.
const REASON_LIMIT: u64 = 16 * 1024;

/// What a keeper writes to the readiness pipe when clients are served.
pub(crate) const READY: &str = "ready";

/// Why there is no connection to a supervisor. All of these are exit code 8.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A directory is not private; nothing in it is trusted.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// No supervisor runs, and none was to be started.
    #[error("no dsx supervisor runs for `{}`; any command with a session, such as `dsx list`, starts one", state.display())]
    NotRunning {
        /// The state directory.
        state: PathBuf,
    },
    /// The socket is there but refuses us.
    #[error("cannot connect to `{}`: {source}; check who owns it and its directory", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else serves the socket.
    #[error("`{}` is served by user {owner}, not by you; nothing was sent to it; set DSX_HOME to a directory of your own", socket.display())]
    Impostor {
        /// The socket.
        socket: PathBuf,
        /// The user id of the process that listens.
        owner: u32,
    },
    /// A lock cannot be used.
    #[error("cannot use the lock `{}`: {source}; check that its file system allows locks and is writable", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A supervisor or keeper holds the lock but cannot be reached.
    #[error("dsx runs (keeper {pid}, lock `{}`) but does not answer at `{}`; see its log in the same directory, or end that process", lock.display(), socket.display())]
    Unreachable {
        /// The lock file.
        lock: PathBuf,
        /// The keeper's pid as the lock names it, or `?`.
        pid: String,
        /// The socket that was tried last.
        socket: PathBuf,
    },
    /// Another client has been starting a supervisor for too long.
    #[error("another dsx has been starting the supervisor for {} s (it holds `{}`); end it if it is stopped, and try again", START_PATIENCE.as_secs(), lock.display())]
    Stuck {
        /// The lock that it holds.
        lock: PathBuf,
    },
    /// The keeper could not be executed.
    #[error("cannot start `{}`: {source}; is dsx installed there, and are processes and open files left?", exe.display())]
    Start {
        /// The binary.
        exe: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The keeper or the supervisor said why it does not serve.
    #[error("dsx could not start: {reason}")]
    Failed {
        /// Its words.
        reason: String,
    },
    /// The keeper neither served nor said why.
    #[error("dsx was started but does not serve `{}` after {} s; see its log in the state directory", socket.display(), READY_PATIENCE.as_secs())]
    NotReady {
        /// The socket.
        socket: PathBuf,
    },
}

/// Connects to the supervisor of `paths`; if none runs, starts a keeper (and by it a supervisor) from `exe`.
///
/// Of any number of simultaneous callers one starts the keeper, the others wait for it in the kernel. A lock that is
/// held is never taken away; a socket or lock file that a dead supervisor left is no obstacle.
///
/// # Errors
/// [`LaunchError`] naming what is in the way.
pub fn connect(paths: &Paths, exe: &Path) -> Result<UnixStream, LaunchError> {
    paths.check()?;
    if let Some(stream) = attempt(&paths.socket)? {
        return Ok(stream);
    }
    paths.ensure()?;
    let starting = paths.start_lock();
    let in_the_way = |path: PathBuf| move |source| LaunchError::Lock { path, source };
    // Held until the keeper is ready: those behind us then find its socket.
    let turn = Waiting::join(&starting).and_then(|queue| queue.within(START_PATIENCE));
    let Some(_turn) = turn.map_err(in_the_way(starting.clone()))? else {
        return Err(LaunchError::Stuck { lock: starting });
    };
    if let Some(stream) = attempt(&paths.socket)? {
        return Ok(stream);
    }
    match Lock::try_take(&paths.lock()).map_err(in_the_way(paths.lock()))? {
        Some(lock) => start(paths, exe, lock),
        None => match await_holder(paths)? {
            Reached::Stream(stream) => Ok(stream),
            Reached::Free(lock) => start(paths, exe, lock),
        },
    }
}

/// Connects to the supervisor of `paths` if one runs, and starts none.
///
/// # Errors
/// [`LaunchError::NotRunning`] if none runs, otherwise as [`connect`].
pub fn connect_existing(paths: &Paths) -> Result<UnixStream, LaunchError> {
    paths.check()?;
    if let Some(stream) = attempt(&paths.socket)? {
        return Ok(stream);
    }
    let not_running = || LaunchError::NotRunning { state: paths.state.clone() };
    let held = lock::is_held(&paths.lock());
    if !held.map_err(|source| LaunchError::Lock { path: paths.lock(), source })? {
        return Err(not_running());
    }
    match await_holder(paths)? {
        Reached::Stream(stream) => Ok(stream),
        Reached::Free(_) => Err(not_running()),
    }
}

/// `None` if nobody listens at `socket`.
fn attempt(socket: &Path) -> Result<Option<UnixStream>, LaunchError> {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR) => Ok(None),
                _ => Err(LaunchError::Connect { socket: socket.to_owned(), source: error }),
            };
        }
    };
    let peer = getsockopt(&stream, sockopt::PeerCredentials)
        .map_err(|errno| LaunchError::Connect { socket: socket.to_owned(), source: errno.into() })?;
    if peer.uid() != nix::unistd::geteuid().as_raw() {
        return Err(LaunchError::Impostor { socket: socket.to_owned(), owner: peer.uid() });
    }
    Ok(Some(stream))
}

enum Reached {
    Stream(UnixStream),
    /// The holder died; the lock is now ours.
    Free(Lock),
}

/// The lock is held: whoever holds it has said in it where he listens (perhaps elsewhere than our environment would
/// have it), or is about to, or is about to end.
fn await_holder(paths: &Paths) -> Result<Reached, LaunchError> {
    let failed = |source| LaunchError::Lock { path: paths.lock(), source };
    let waiting = Waiting::join(&paths.lock()).map_err(failed)?;
    let deadline = Instant::now() + HOLDER_PATIENCE;
    loop {
        let holder = lock::holder(&paths.lock()).map_err(failed)?;
        let socket = holder.as_ref().map_or(&paths.socket, |holder| &holder.socket);
        if let Some(stream) = attempt(socket)? {
            return Ok(Reached::Stream(stream));
        }
        if let Some(lock) = waiting.within(HOLDER_RETRY).map_err(failed)? {
            return Ok(Reached::Free(lock));
        }
        if Instant::now() >= deadline {
            let pid = holder.as_ref().map_or_else(|| "?".to_owned(), |holder| holder.keeper_pid.to_string());
            return Err(LaunchError::Unreachable { lock: paths.lock(), pid, socket: socket.clone() });
        }
    }
}

/// Starts a keeper that inherits `lock`, waits until it serves, and connects.
fn start(paths: &Paths, exe: &Path, lock: Lock) -> Result<UnixStream, LaunchError> {
    let failed = |source| LaunchError::Start { exe: exe.to_owned(), source };
    let ready = launch_keeper(paths, exe, &lock).map_err(failed)?;
    // From here on the lock is as long-lived as the keeper, and not as this client.
    drop(lock);
    let said = read_until_closed(ready, READY_PATIENCE).map_err(failed)?;
    match said.as_deref().map(str::trim) {
        Some(READY) => {}
        Some("") => return Err(LaunchError::Failed { reason: "the keeper ended without a word".to_owned() }),
        Some(reason) => return Err(LaunchError::Failed { reason: reason.to_owned() }),
        None => return Err(LaunchError::NotReady { socket: paths.socket.clone() }),
    }
    attempt(&paths.socket)?.ok_or_else(|| LaunchError::NotReady { socket: paths.socket.clone() })
}

/// Returns the pipe on which the keeper says that clients are served, or why not.
fn launch_keeper(paths: &Paths, exe: &Path, lock: &Lock) -> io::Result<File> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let (ready, report) = pipe2(OFlag::O_CLOEXEC)?;
    let origin = Origin { exe: exe.to_owned(), paths: paths.clone(), open_files: None };
    let mut args = vec!["keeper".into()];
    args.extend(origin.to_args());
    let mut plan = exec::daemon(exe, &args, null.as_fd(), vec![lock.as_fd(), report.as_fd()])?;
    // What runs now is a client, and may be any program that embeds one: no second choice of binary.
    plan.programs.truncate(1);
    plan.orphan = true;
    let started = exec::start(&plan)?;
    drop(report);
    match verdict::read(started.verdict)? {
        None => Ok(File::from(ready)),
        Some(failure) => Err(io::Error::from_raw_os_error(failure.errno)),
    }
}

/// `None` if `pipe` is not closed by its writer in time.
fn read_until_closed(pipe: File, patience: Duration) -> io::Result<Option<String>> {
    let deadline = Instant::now() + patience;
    let mut said = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let mut bytes = [0; 1024];
        match (&pipe).read(&mut bytes)? {
            0 => return Ok(Some(String::from_utf8_lossy(&said).into_owned())),
            n if said.len() as u64 <= REASON_LIMIT => said.extend_from_slice(&bytes[..n]),
            _ => {}
        }
    }
}
