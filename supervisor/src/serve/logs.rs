//! A session's output as it comes, byte for byte.

use dsx_protocol::{ErrorKind, Event, LogChunk, Logs, Reply, WireError};
use serde_bytes::ByteBuf;
use tokio::sync::{oneshot, watch};

use super::forgotten;
use super::reply::ReplyTo;
use crate::log::LogReader;
use crate::session::{Command, Services, SessionHandle};

/// Bytes of output in one piece of a log.
const PIECE: usize = 128 * 1024;

/// Answers a `logs` with `follow` when the session ends.
pub(super) async fn follow(services: Services, mut handle: SessionHandle, asked: Logs, to: ReplyTo) {
    let (answer, output) = oneshot::channel();
    handle.deliver(Command::Output(answer)).await;
    let Ok((log, mut seen)) = output.await else {
        let what = format!("session {} is gone", handle.id);
        return to.answer(Err(WireError::new(ErrorKind::NoSession, what).hint("see 'dsx list'")));
    };
    let mut at = asked.from.unwrap_or(0);
    loop {
        // Seen before the last of it is read: what was printed before the end is told.
        let over = handle.summary.borrow_and_update().status == "exited";
        seen.borrow_and_update();
        if !tell(&log, &mut at, &to).await {
            return;
        }
        if over {
            return to.answer(Ok(Reply::Done));
        }
        if !changes(&mut seen, &mut handle).await {
            forgotten(&services.registry, &handle.id).await;
            // It was read up to its end by the task that has just ended, or will never be.
            tell(&log, &mut at, &to).await;
            return to.answer(Ok(Reply::Done));
        }
    }
}

/// Returns when there is more, or the session is another; false when it has ended for good.
async fn changes(seen: &mut watch::Receiver<u64>, handle: &mut SessionHandle) -> bool {
    tokio::select! {
        changed = seen.changed() => changed.is_ok(),
        changed = handle.summary.changed() => changed.is_ok(),
    }
}

/// Tells all there is; false when the client has gone. One that lags is waited for here, and by nobody else.
async fn tell(log: &LogReader, at: &mut u64, to: &ReplyTo) -> bool {
    while *at < log.end() {
        let mut bytes = Vec::new();
        let mut expired = 0;
        if let Err(gone) = log.read(*at, PIECE, &mut bytes) {
            expired = gone.start.saturating_sub(*at);
            *at = gone.start;
        }
        if bytes.is_empty() && expired == 0 {
            break;
        }
        let offset = *at;
        *at += bytes.len() as u64;
        let piece = Event::Log(LogChunk { offset, bytes: ByteBuf::from(bytes), expired });
        while !(to.keeps_up() && to.event(&piece)) {
            if !to.drained().await {
                return false;
            }
        }
    }
    true
}
