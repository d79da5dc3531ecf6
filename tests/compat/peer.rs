//! One end of a connection, byte by byte, as a program that is not ours would hold it.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use dsx_protocol::{
    Decoder, ErrorKind, Frame, Hello, Kind, Reply, Request, Supervisor, WireError, body, decode, encode,
};
use dsx_tests::DEADLINE;
use serde::Serialize;

pub struct Peer {
    stream: UnixStream,
    decoder: Decoder,
}

impl Peer {
    pub fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, decoder: Decoder::new() }
    }

    pub fn connect(socket: &Path) -> Self {
        Self::over(UnixStream::connect(socket).unwrap())
    }

    /// Connected, and both sides have said hello.
    pub fn greeted(socket: &Path) -> Self {
        let mut peer = Self::connect(socket);
        peer.send(Kind::Hello, 0, &Hello::ours());
        assert_eq!(peer.frame().map(|frame| frame.kind), Some(Kind::Hello));
        peer
    }

    /// Writes bytes as they are. That the other side closes meanwhile is its right.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn send(&mut self, kind: Kind, channel: u32, value: &impl Serialize) {
        self.write(&encode(kind, channel, &body(value).unwrap()).unwrap());
    }

    /// Nothing more will be written.
    pub fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next frame; none once the other side has closed.
    pub fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.decoder.push(&buffer[..read]),
                // It closed with bytes of ours unread.
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("no frame and no end: {e}"),
            }
        }
    }

    /// The next frame, which must be an error.
    #[track_caller]
    pub fn error(&mut self) -> (u32, WireError) {
        let frame = self.frame().expect("an error before the end");
        assert_eq!(frame.kind, Kind::Error);
        (frame.channel, decode(&frame.body).unwrap())
    }

    /// The other side closes without another word.
    #[track_caller]
    pub fn closed(&mut self) {
        let frame = self.frame();
        assert!(frame.is_none(), "{frame:?}");
    }

    /// The supervisor's process id, asked for and answered over this connection.
    #[track_caller]
    pub fn status(&mut self, channel: u32) -> u32 {
        let status = Supervisor { action: "status".to_owned(), kill: false };
        self.send(Kind::Request, channel, &Request::Supervisor(status));
        let frame = self.frame().expect("an answer");
        assert_eq!((frame.kind, frame.channel), (Kind::Reply, channel));
        match decode(&frame.body).unwrap() {
            Reply::Supervisor(status) => status.pid,
            other => panic!("{other:?}"),
        }
    }
}

/// The error of a kind, whatever its words are.
#[track_caller]
pub fn expect_kind(error: &WireError, kind: ErrorKind) {
    assert_eq!(error.kind, kind, "{error:?}");
}
