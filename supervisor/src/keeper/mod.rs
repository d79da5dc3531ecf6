//! The keeper: the process that is the parent of every agent and holds the masters of their terminals, so that the
//! supervisor may die without a session or a byte of output being lost.
//!
//! It parses nothing that an agent prints, serves nobody but the supervisor, and has no thread and no runtime:
//! [`process`] is one poll loop. The supervisor's side of the channel is [`KeeperHandle`], which also starts another
//! keeper when one dies ([`revive`]).

mod abandoned;
mod asked;
mod children;
mod handle;
mod link;
mod listening;
mod message;
mod process;
pub(crate) mod procfs;
mod reap;
mod restart;
mod revive;
mod spawn;
mod terminal;
mod watch;
mod wire;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

pub(crate) use abandoned::end_abandoned;
pub use handle::{
    Child, ConnectError, KeeperError, KeeperEvent, KeeperHandle, Scope, SpawnError, SpawnRequest,
};

use crate::launch::Origin;
pub use wire::WireError;

use crate::launch::connect::READY;
use crate::launch::inherited::take;
use crate::launch::lock::{Holder, Lock};
use listening::Listening;
use process::{Keeper, Seat};

/// How a process ended. Neither code nor signal: it is gone, and nobody knows how (its keeper died before it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The number of the signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl Exit {
    /// Gone, nobody knows how.
    pub const UNKNOWN: Exit = Exit { code: None, signal: None };
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => write!(f, "nobody knows how"),
        }
    }
}

/// The first argument of a keeper that takes the place of a dead one.
const REVIVE: &str = "--revive";

/// The hidden subcommand `dsx keeper`. `args` are those after the subcommand. Returns when the keeper is to end.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let reviving = args.first().is_some_and(|arg| arg == REVIVE);
    if reviving {
        args.remove(0);
    }
    let begun = Origin::from_args(args).map_err(|error| error.to_string()).and_then(|origin| {
        if reviving { take_over(origin) } else { begin(origin) }.map_err(|error| error.to_string())
    });
    match begun {
        Ok(Some(keeper)) => keeper.run(),
        Ok(None) => ExitCode::FAILURE,
        // Seen by whoever runs this by hand; a keeper that dsx started has /dev/null there.
        Err(error) => {
            eprintln!("dsx keeper: {error}");
            ExitCode::from(2)
        }
    }
}

/// Descriptors: 3 the lock, 4 the pipe on which a client waits. `None` if that client was told why it is not to be.
fn begin(origin: Origin) -> Result<Option<Keeper>, Box<dyn std::error::Error>> {
    let [lock, ready] = take(["the lock", "the readiness pipe"])?;
    let mut announcement = Announcement::to(ready);
    let lock = Lock::inherited(lock);
    let begun = Listening::at(&origin.paths.socket).and_then(|listening| {
        let origin = raise_open_files(origin);
        assemble(origin, lock, listening, Seat::empty()).map_err(|error| error.to_string())
    });
    match begun {
        Ok(mut keeper) => {
            keeper.announcement = announcement;
            Ok(Some(keeper))
        }
        Err(reason) => {
            announcement.failed(&reason);
            Ok(None)
        }
    }
}

/// Descriptors: 3 the lock, 4 the channel to the supervisor that started this keeper, 5 the listening socket.
fn take_over(origin: Origin) -> Result<Option<Keeper>, Box<dyn std::error::Error>> {
    let [lock, channel, listener] = take(["the lock", "the channel", "the listening socket"])?;
    let seat = Seat::held_by_peer(channel)?;
    let listening = Listening::inherited(UnixListener::from(listener), &origin.paths.socket);
    assemble(origin, Lock::inherited(lock), listening, seat).map(Some).map_err(Into::into)
}

fn assemble(origin: Origin, lock: Lock, listening: Listening, seat: Seat) -> std::io::Result<Keeper> {
    // What an agent leaves behind becomes our child: we reap it, and it does not pass for the user's own process.
    nix::sys::prctl::set_child_subreaper(true)?;
    name(&lock, &origin)?;
    Keeper::new(origin, lock, listening, seat)
}

/// Has the lock say who we are and where clients are served.
fn name(lock: &Lock, origin: &Origin) -> std::io::Result<()> {
    lock.name(&Holder { keeper_pid: std::process::id(), socket: origin.paths.socket.clone() })
}

/// A keeper has a descriptor for every session. What agents get is the limit as it was.
fn raise_open_files(mut origin: Origin) -> Origin {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok()
    {
        origin.open_files = Some(soft);
    }
    origin
}

/// What a client that started the keeper is still to be told.
#[derive(Debug, Default)]
struct Announcement {
    pipe: Option<File>,
}

impl Announcement {
    fn to(pipe: OwnedFd) -> Announcement {
        Announcement { pipe: Some(File::from(pipe)) }
    }

    fn is_due(&self) -> bool {
        self.pipe.is_some()
    }

    fn ready(&mut self) {
        self.say(READY);
    }

    fn failed(&mut self, reason: &str) {
        self.say(reason);
    }

    fn say(&mut self, text: &str) {
        if let Some(mut pipe) = self.pipe.take() {
            // A client that has gone away no longer wants to know.
            drop(pipe.write_all(text.as_bytes()));
        }
    }
}
