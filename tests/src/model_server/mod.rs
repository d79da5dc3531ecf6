//! A scripted model for real agents: the Anthropic Messages API on loopback, whose answer depends on
//! nothing but the user's last text (see [`script`]), and which records what it was asked and when.
//!
//! Plain blocking std on purpose: one thread per connection makes "hold the stream here until the test
//! says so" a wait on a condition variable, and every byte's time is known.

mod anthropic;
mod http;
mod log;
pub mod script;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use log::{Kind, Log, Manner, Request};
pub use script::digest;

use log::Shared;

use crate::DEADLINE;

/// A running server; stopped, with all its connections cut, when dropped.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// Starts a server on a free port of the loopback interface.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Manner::Scripts)
    }

    /// The same, answering in that manner.
    #[must_use]
    pub fn start_with(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listening on loopback");
        let address = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared::new(manner));
        let for_acceptor = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &for_acceptor));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// What goes into `ANTHROPIC_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until `find` sees what it looks for in the log, and returns that.
    ///
    /// # Panics
    /// With the whole log, when `deadline` passes first.
    pub fn wait_for<T>(&self, deadline: Duration, find: impl FnMut(&Log) -> Option<T>) -> T {
        self.shared.wait_for(deadline, find)
    }

    /// Waits for the first turn whose last text is exactly `text`.
    #[must_use]
    pub fn turn(&self, text: &str) -> Request {
        self.wait_for(DEADLINE, |log| log.turns().find(|r| r.text() == text).cloned())
    }

    /// Waits until the turn of `hold NAME` or `late NAME` has come to its stopping place.
    pub fn held(&self, name: &str) {
        self.wait_for(DEADLINE, |log| log.is_held(name).then_some(()));
    }

    /// Lets `hold NAME` or `late NAME` go on, now or when it comes.
    pub fn release(&self, name: &str) {
        self.shared.update(|log| log.release(name));
    }

    /// What the log holds now.
    #[must_use]
    pub fn log(&self) -> Log {
        self.shared.snapshot()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.stop();
        // The acceptor sits in accept(): one more connection makes it look at the flag.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = Vec::new();
    for stream in listener.incoming() {
        if shared.is_stopped() {
            break;
        }
        let Ok(stream) = stream else { continue };
        if !shared.keep(&stream) {
            continue;
        }
        let shared = Arc::clone(shared);
        connections.push(thread::spawn(move || anthropic::serve(stream, &shared)));
    }
    for connection in connections {
        let _ = connection.join();
    }
}
