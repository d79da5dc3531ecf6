//! Connections: who calls, what is asked, and the way back.

mod ancestry;
mod connection;
mod events;
mod logs;
mod prompts;
mod reply;
mod transcript;

use std::io;

use dsx_core::Caller;
use dsx_protocol::ErrorKind;
use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

pub use ancestry::line_of;
pub use reply::{OUTBOX, Outbox, Queue, ReplyTo};

use crate::registry::Registry;
use crate::session::Services;
use crate::supervise::Control;

/// Accepts until the process ends. A connection of another user is closed without a word.
pub async fn accept(listener: UnixListener, services: Services, control: Control) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => admit(stream, &services, &control),
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                // Out of descriptors, most likely: the connection stays in the backlog until one is free.
                warn!(%error, "a connection could not be accepted");
                control.descriptor_freed().await;
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

fn admit(stream: UnixStream, services: &Services, control: &Control) {
    let Ok(peer) = stream.peer_cred() else { return };
    if peer.uid() != geteuid().as_raw() {
        warn!(uid = peer.uid(), "a connection of another user was closed");
        return;
    }
    let pid = peer.pid().and_then(|p| u32::try_from(p).ok());
    tokio::spawn(connection::serve(stream, pid, services.clone(), control.clone()));
}

/// Returns when a session whose task has ended is forgotten. Where it ended because the whole supervisor does,
/// that is never: who reads along must not be told of an end, and asks the next supervisor.
async fn forgotten(registry: &Registry, session: &str) {
    let found = registry.find(session.to_owned(), Caller::User).await;
    if found.is_err_and(|error| error.kind == ErrorKind::Unavailable) {
        std::future::pending::<()>().await;
    }
}
