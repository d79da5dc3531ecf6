//! A viewer that speaks the protocol itself, so that it can do what no good client does: stop reading.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use dsx_protocol::{Attach, Decoder, Hello, Kind, Request, body, encode};
use dsx_tests::dsx::Dsx;
use serde::Serialize;

/// Attaches to a session and reads until its screen begins to come, and nothing after that.
///
/// # Panics
/// When the supervisor does not answer, or refuses.
#[must_use]
pub fn stalled(dsx: &Dsx<'_>, session: &str) -> UnixStream {
    let status = dsx.json(["supervisor", "status"]);
    let mut stream = UnixStream::connect(status["socket"].as_str().expect("a socket")).expect("connecting");
    let attach = Attach { session: session.to_owned(), read_only: true, cols: 120, rows: 40 };
    stream.write_all(&frame(Kind::Hello, 0, &Hello::ours())).expect("saying hello");
    stream.write_all(&frame(Kind::Request, 1, &Request::Attach(attach))).expect("attaching");
    let mut decoder = Decoder::new();
    let mut bytes = [0; 256];
    loop {
        let read = stream.read(&mut bytes).expect("reading the supervisor's answer");
        decoder.push(&bytes[..read]);
        while let Some(frame) = decoder.next_frame().expect("frames") {
            match frame.kind {
                Kind::Output => return stream,
                Kind::Hello | Kind::Event => {}
                other => panic!("{other:?}: {}", String::from_utf8_lossy(&frame.body)),
            }
        }
        assert!(read > 0, "the supervisor closed the connection");
    }
}

fn frame(kind: Kind, channel: u32, message: &impl Serialize) -> Vec<u8> {
    encode(kind, channel, &body(message).expect("a body")).expect("a frame")
}
