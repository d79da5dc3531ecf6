//! Where an answer goes.

use dsx_protocol::{ErrorKind, Event, Kind, Reply, WireError, body, encode};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::warn;

/// Frames that may wait for a connection's socket. A client that does not read them loses its connection;
/// nobody waits for it.
pub const OUTBOX: usize = 1_024;

/// The channel of a connection on which a request came.
#[derive(Debug, Clone)]
pub struct ReplyTo {
    outbox: mpsc::Sender<Vec<u8>>,
    channel: u32,
}

impl ReplyTo {
    #[must_use]
    pub fn new(outbox: mpsc::Sender<Vec<u8>>, channel: u32) -> Self {
        Self { outbox, channel }
    }

    /// The one answer to the request.
    pub fn answer(&self, result: Result<Reply, WireError>) {
        match result {
            Ok(reply) => self.frame(Kind::Reply, &reply),
            Err(error) => self.frame(Kind::Error, &error),
        }
    }

    pub fn event(&self, event: &Event) -> bool {
        self.frame(Kind::Event, event);
        !self.outbox.is_closed()
    }

    /// Raw output; false when the client is gone or lags.
    pub fn output(&self, bytes: &[u8]) -> bool {
        encode(Kind::Output, self.channel, bytes).is_ok_and(|frame| self.outbox.try_send(frame).is_ok())
    }

    /// Free places in the outbox.
    #[must_use]
    pub fn room(&self) -> usize {
        self.outbox.capacity()
    }

    /// Frames that wait for the client's socket.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.max_capacity() - self.outbox.capacity()
    }

    /// Returns when the client has read what waited for it; false when it has gone.
    pub async fn drained(&self) -> bool {
        self.outbox.reserve_many(self.outbox.max_capacity()).await.is_ok()
    }

    fn frame(&self, kind: Kind, message: &impl Serialize) {
        let frame = body(message).and_then(|b| encode(kind, self.channel, &b)).or_else(|error| {
            let error = WireError::new(ErrorKind::Failed, format!("the answer cannot be sent: {error}"));
            body(&error).and_then(|b| encode(Kind::Error, self.channel, &b))
        });
        let sent = frame.map(|frame| self.outbox.try_send(frame).is_ok());
        if sent != Ok(true) {
            // The client has gone, or reads nothing: it asks again when it is back.
            warn!(channel = self.channel, "an answer was not taken");
        }
    }
}
