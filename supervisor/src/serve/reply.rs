//! Where an answer goes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dsx_protocol::{ErrorKind, Event, Kind, Reply, WireError, body, encode};
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc};
use tracing::warn;

/// Frames that may wait for a connection's socket. A client that does not read them loses its connection;
/// nobody waits for it.
pub const OUTBOX: usize = 1_024;
/// Places that streams leave free, for answers.
const SPARE: usize = 128;
/// Bytes that may wait for a client before a stream waits for it.
const BEHIND: usize = 1024 * 1024;
/// Bytes that are given to the socket at a time.
const BATCH: usize = 256 * 1024;

/// The frames on their way to one client: whoever answers puts them in, the connection's writer takes them out.
#[derive(Debug, Clone)]
pub struct Outbox {
    frames: mpsc::Sender<Vec<u8>>,
    /// Bytes that the client's socket has not taken yet.
    waiting: Arc<AtomicUsize>,
    /// Told each time it has taken everything.
    drained: Arc<Notify>,
}

/// The other end of an [`Outbox`].
#[derive(Debug)]
pub struct Queue {
    frames: mpsc::Receiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    drained: Arc<Notify>,
}

impl Outbox {
    /// With room for so many frames.
    #[must_use]
    pub fn new(frames: usize) -> (Self, Queue) {
        let (sender, receiver) = mpsc::channel(frames);
        let (waiting, drained) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let queue = Queue { frames: receiver, waiting: Arc::clone(&waiting), drained: Arc::clone(&drained) };
        (Self { frames: sender, waiting, drained }, queue)
    }

    /// Puts in a frame; false when there is no place for it, or the client has gone.
    pub fn put(&self, frame: Vec<u8>) -> bool {
        let size = frame.len();
        // Counted first: its writer takes it off as soon as it is in.
        self.waiting.fetch_add(size, Ordering::SeqCst);
        let put = self.frames.try_send(frame).is_ok();
        if !put {
            self.waiting.fetch_sub(size, Ordering::SeqCst);
        }
        put
    }
}

impl Queue {
    /// Takes frames until nobody is left to put one in.
    pub async fn end(&mut self) {
        while self.frames.recv().await.is_some() {}
    }

    /// Writes frames until nobody is left to put one in, or the client is gone.
    pub async fn write_to(mut self, mut socket: OwnedWriteHalf) {
        while let Some(mut bytes) = self.frames.recv().await {
            while bytes.len() < BATCH
                && let Ok(more) = self.frames.try_recv()
            {
                bytes.extend_from_slice(&more);
            }
            if socket.write_all(&bytes).await.is_err() {
                return;
            }
            if self.waiting.fetch_sub(bytes.len(), Ordering::SeqCst) == bytes.len() {
                self.drained.notify_waiters();
            }
        }
    }
}

/// The channel of a connection on which a request came.
#[derive(Debug, Clone)]
pub struct ReplyTo {
    outbox: Outbox,
    channel: u32,
}

impl ReplyTo {
    #[must_use]
    pub fn new(outbox: Outbox, channel: u32) -> Self {
        Self { outbox, channel }
    }

    /// The one answer to the request.
    pub fn answer(&self, result: Result<Reply, WireError>) {
        let _ = match result {
            Ok(reply) => self.frame(Kind::Reply, &reply),
            Err(error) => self.frame(Kind::Error, &error),
        };
    }

    /// False when it was not taken: the client is gone or lags.
    pub fn event(&self, event: &Event) -> bool {
        self.frame(Kind::Event, event)
    }

    /// Whether the client reads: what waits for it is little, and leaves places for answers to others.
    #[must_use]
    pub fn keeps_up(&self) -> bool {
        self.room() > SPARE && self.waiting() <= BEHIND
    }

    /// Raw output; false when the client is gone or lags.
    pub fn output(&self, bytes: &[u8]) -> bool {
        encode(Kind::Output, self.channel, bytes).is_ok_and(|frame| self.outbox.put(frame))
    }

    /// Free places in the outbox.
    #[must_use]
    pub fn room(&self) -> usize {
        self.outbox.frames.capacity()
    }

    /// Bytes that the client's socket has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.waiting.load(Ordering::SeqCst)
    }

    /// Whether the client has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.outbox.frames.is_closed()
    }

    /// Returns when the client has read what waited for it; false when it has gone.
    ///
    /// Takes no place in the outbox: waiting for all of them would refuse every answer meanwhile.
    pub async fn drained(&self) -> bool {
        loop {
            let drained = self.outbox.drained.notified();
            let mut drained = pin!(drained);
            // From here on no telling is missed.
            drained.as_mut().enable();
            if self.is_closed() || self.waiting() == 0 {
                return !self.is_closed();
            }
            tokio::select! {
                () = drained => {}
                () = self.outbox.frames.closed() => {}
            }
        }
    }

    fn frame(&self, kind: Kind, message: &impl Serialize) -> bool {
        let frame = body(message).and_then(|b| encode(kind, self.channel, &b)).or_else(|error| {
            let error = WireError::new(ErrorKind::Failed, format!("the answer cannot be sent: {error}"));
            body(&error).and_then(|b| encode(Kind::Error, self.channel, &b))
        });
        let sent = frame.is_ok_and(|frame| self.outbox.put(frame));
        if !sent {
            // The client has gone, or reads nothing: it asks again when it is back.
            warn!(channel = self.channel, "an answer was not taken");
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use tokio::net::UnixStream;

    use super::*;

    /// A client that has not read yet, its outbox, and the task that waits until it has.
    async fn lagging() -> (std::os::unix::net::UnixStream, ReplyTo, tokio::task::JoinHandle<bool>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (outbox, queue) = Outbox::new(64);
        tokio::spawn(queue.write_to(ours.into_split().1));
        let to = ReplyTo::new(outbox, 1);
        // More than a socket holds.
        for _ in 0..32 {
            assert!(to.output(&[b'x'; 64 * 1024]));
        }
        let waiting = tokio::spawn({
            let to = to.clone();
            async move { to.drained().await }
        });
        tokio::task::yield_now().await;
        assert!(to.waiting() > 0 && !waiting.is_finished());
        let theirs = theirs.into_std().unwrap();
        theirs.set_nonblocking(false).unwrap();
        (theirs, to, waiting)
    }

    #[tokio::test]
    async fn who_waits_for_room_takes_none_and_is_told_of_it() {
        let (mut client, to, waiting) = lagging().await;
        assert!(to.room() >= 32);
        to.answer(Ok(Reply::Done));
        let reading = tokio::task::spawn_blocking(move || {
            let mut read = vec![0; 32 * 64 * 1024];
            client.read_exact(&mut read).unwrap();
            client
        });
        assert!(waiting.await.unwrap());
        assert_eq!(to.waiting(), 0);
        drop(reading.await.unwrap());
    }

    #[tokio::test]
    async fn a_client_that_goes_is_not_waited_for() {
        let (client, to, waiting) = lagging().await;
        drop(client);
        assert!(!waiting.await.unwrap());
        assert!(!to.output(b"more"));
    }
}
