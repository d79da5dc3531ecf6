//! What keeper and supervisor say to each other. The two may be of different versions: after an upgrade an old keeper
//! serves a new supervisor. Therefore fields and kinds are only ever added, never renamed or reused, and a kind that
//! is not known is passed over.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::Exit;

/// This version of the messages. Raised when an addition has to be told apart.
pub(crate) const VERSION: u32 = 1;

/// An environment, as bytes: names and values need not be UTF-8.
pub(crate) type Env = Vec<(ByteBuf, ByteBuf)>;

/// From the supervisor to the keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Request {
    /// The first frame of every supervisor. Answered by [`Reply::Hello`], all children and [`Reply::Adopted`].
    Hello { version: u32, pid: u32 },
    /// Answered by [`Reply::Spawned`] or [`Reply::Refused`].
    Spawn(Spawn),
    /// Answered by [`Reply::Done`] or [`Reply::Refused`].
    Signal { id: u64, session: String, signal: i32, scope: Scope },
    /// Answered by [`Reply::Done`] or [`Reply::Refused`].
    Forget { id: u64, session: String },
    /// To a keeper that took the place of a dead one: a child of that one, with its master. Not answered.
    Restore(Held),
    /// The supervisor serves clients.
    Ready,
    /// The supervisor is about to end because it cannot serve.
    Failed { reason: String },
    /// The keeper is to end. Answered by its end.
    Shutdown,
    /// A newer version's.
    #[serde(other)]
    Unknown,
}

/// From the keeper to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Reply {
    /// A pidfd of the keeper comes with it.
    Hello { version: u32, pid: u32 },
    /// A child, with its master if it has one.
    Child(Held),
    /// That were all children.
    Adopted { count: u32 },
    /// Its master comes with it if it has one.
    Spawned { id: u64, pid: u32, start_time: u64 },
    /// `obstacle` is an [`crate::launch::verdict::Obstacle`], `errno` 0 if no system call was at fault.
    Refused { id: u64, obstacle: u8, errno: i32, detail: String },
    /// `count` is the number of processes signalled.
    Done { id: u64, count: u32 },
    /// Told once to each supervisor, after [`Reply::Spawned`] or [`Reply::Child`].
    Exited { session: String, pid: u32, exit: Exit },
    /// The socket was taken away; this one, which comes with it, is in its place.
    Moved { socket: ByteBuf },
    /// A newer version's.
    #[serde(other)]
    Unknown,
}

/// Finds the id of a request whose kind is not known, so that it can be refused.
#[derive(Debug, Deserialize)]
pub(crate) struct Anonymous {
    #[serde(default)]
    pub(crate) id: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    pub(crate) id: u64,
    pub(crate) session: String,
    pub(crate) program: ByteBuf,
    pub(crate) argv: Vec<ByteBuf>,
    pub(crate) env: Env,
    pub(crate) cwd: ByteBuf,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
    pub(crate) pty: bool,
    #[serde(default)]
    pub(crate) output: Option<ByteBuf>,
}

/// A child as both sides know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) session: String,
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
    #[serde(default)]
    pub(crate) env: Env,
    #[serde(default)]
    pub(crate) exit: Option<Exit>,
}

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The process that was started.
    Leader,
    /// Its process group; not the jobs that a shell puts in groups of their own.
    Group,
    /// All that has not made a session of its own: the terminal's jobs, in front and behind.
    Session,
}

pub(crate) fn env_to_wire(env: &[(OsString, OsString)]) -> Env {
    let bytes = |text: &OsString| ByteBuf::from(text.as_bytes());
    env.iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
}

pub(crate) fn env_from_wire(env: &Env) -> Vec<(OsString, OsString)> {
    let text = |bytes: &ByteBuf| OsString::from_vec(bytes.to_vec());
    env.iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::wire::{decode, encode};

    fn round<T: Serialize, U: serde::de::DeserializeOwned>(message: &T) -> U {
        decode(&encode(message).unwrap()[4..]).unwrap()
    }

    #[test]
    fn bytes_that_are_not_text_come_through() {
        let odd = ByteBuf::from(b"\xff\x00=".to_vec());
        let spawn = Spawn {
            id: u64::MAX,
            session: "fizz-top".into(),
            program: odd.clone(),
            argv: vec![odd.clone(), ByteBuf::new()],
            env: vec![(odd.clone(), odd.clone())],
            cwd: odd.clone(),
            rows: 1,
            cols: 2,
            pty: true,
            output: Some(odd.clone()),
        };
        let Request::Spawn(back) = round(&Request::Spawn(spawn)) else { panic!("another kind") };
        assert_eq!((back.id, &back.program, &back.argv[0], &back.env[0].1), (u64::MAX, &odd, &odd, &odd));
        assert_eq!((&back.cwd, back.output.as_ref()), (&odd, Some(&odd)));
    }

    #[test]
    fn kinds_and_fields_of_a_newer_version_do_not_break() {
        #[derive(Serialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        enum Newer {
            Teleport { id: u64, to: Vec<String> },
            Hello { version: u32, pid: u32, mood: String },
        }
        let teleport = Newer::Teleport { id: 9, to: vec!["a".into()] };
        assert!(matches!(round(&teleport), Request::Unknown));
        assert!(matches!(round(&teleport), Reply::Unknown));
        assert_eq!(round::<_, Anonymous>(&teleport).id, Some(9));
        assert_eq!(round::<_, Anonymous>(&Request::Ready).id, None);
        let hello = Newer::Hello { version: 2, pid: 3, mood: "good".into() };
        assert!(matches!(round(&hello), Request::Hello { version: 2, pid: 3 }));
    }

    #[test]
    fn golden_bytes_of_what_was_shipped_are_still_read() {
        // {"kind": "exited", "session": "s", "pid": 7, "exit": {"code": 3, "signal": nil}}
        let exited =
            b"\x84\xa4kind\xa6exited\xa7session\xa1s\xa3pid\x07\xa4exit\x82\xa4code\x03\xa6signal\xc0";
        let Reply::Exited { session, pid, exit } = decode(exited).unwrap() else { panic!("another kind") };
        assert_eq!((session.as_str(), pid, exit), ("s", 7, Exit { code: Some(3), signal: None }));
        let written = encode(&Reply::Exited { session, pid, exit }).unwrap();
        assert_eq!(&written[4..], exited);
    }
}
