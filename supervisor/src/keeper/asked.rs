//! Requests that the keeper has not answered yet, and what an answer means to whoever asked.

use std::io;

use tokio::sync::oneshot;

use super::handle::{Answer, Child, KeeperError, SpawnError, SpawnRequest};
use super::message::Env;
use crate::launch::verdict::Obstacle;

pub(super) enum Asked {
    Start(Box<Start>),
    Act {
        session: String,
        /// Whether the session is unknown once this is done.
        forget: bool,
        reply: Answer,
    },
}

pub(super) struct Start {
    pub(super) request: SpawnRequest,
    pub(super) env: Env,
    pub(super) reply: oneshot::Sender<Result<Child, SpawnError>>,
}

impl Asked {
    /// The keeper refused. (That nobody waits for the answer any more is no matter, here and below.)
    pub(super) fn refused(self, obstacle: u8, errno: i32, detail: String) {
        let obstacle = Obstacle::from_code(obstacle);
        match self {
            Asked::Start(start) => {
                let Start { request, reply, .. } = *start;
                drop(reply.send(Err(spawn_error(request, obstacle, errno, detail))));
            }
            Asked::Act { session, reply, .. } => {
                drop(reply.send(Err(act_error(session, obstacle, errno, detail))))
            }
        }
    }

    /// It could not even be sent.
    pub(super) fn refuse(self, reason: &str) {
        self.refused(Obstacle::Invalid as u8, 0, reason.to_owned());
    }

    /// No answer will come.
    pub(super) fn lost(self, why: KeeperError) {
        match self {
            Asked::Start(start) => drop(start.reply.send(Err(why.into()))),
            Asked::Act { reply, .. } => drop(reply.send(Err(why))),
        }
    }
}

/// What was told in place of a system error, where there is none.
fn source(errno: i32, detail: &str) -> io::Error {
    if errno == 0 { io::Error::other(detail.to_owned()) } else { io::Error::from_raw_os_error(errno) }
}

fn spawn_error(request: SpawnRequest, obstacle: Obstacle, errno: i32, detail: String) -> SpawnError {
    let SpawnRequest { session, program, cwd, output, .. } = request;
    let source = source(errno, &detail);
    let reason = if detail.is_empty() { source.to_string() } else { detail };
    match obstacle {
        Obstacle::Directory => SpawnError::Directory { path: cwd, source },
        Obstacle::Program => SpawnError::Program { program, source },
        Obstacle::Interpreter => SpawnError::Interpreter { program, source },
        Obstacle::Terminal => SpawnError::Terminal { session, reason },
        Obstacle::Resources => SpawnError::Resources { session, source },
        Obstacle::Output => SpawnError::Output { session, path: output.unwrap_or_default(), reason },
        Obstacle::Invalid => SpawnError::Invalid { session, reason },
        Obstacle::Exists => SpawnError::Exists { session },
        other => SpawnError::Keeper(act_error(session, other, errno, reason)),
    }
}

fn act_error(session: String, obstacle: Obstacle, errno: i32, detail: String) -> KeeperError {
    match obstacle {
        Obstacle::NoSession => KeeperError::NoSession { session },
        Obstacle::Exited => KeeperError::Exited { session },
        Obstacle::Running => KeeperError::Running { session },
        Obstacle::Unsupported => KeeperError::Refused {
            reason: "it is an older version; restart dsx when no session runs".to_owned(),
        },
        _ => KeeperError::Refused { reason: source(errno, &detail).to_string() },
    }
}
