//! What was typed and the socket has not taken yet.
//!
//! Typing and pasting may be faster than the program reads: the supervisor then reads nothing of ours, this
//! fills up, and the user's terminal is read no further until there is room. Nothing is dropped on the way.

use std::collections::VecDeque;
use std::io::{self, Write};

use dsx_protocol::{Kind, Request, Resize, body, encode};

/// Bytes that may wait. A paste is rarely larger, so that the key that leaves is found behind it.
const LIMIT: usize = 4 * 1024 * 1024;
/// Bytes of one frame: a key pressed meanwhile waits for no more than that.
const PIECE: usize = 16 * 1024;

/// The queue towards the supervisor, on the channel of one attachment.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    channel: u32,
    typed: VecDeque<u8>,
    resize: Option<Resize>,
    /// The frame on its way, how much of it is written, and how much of `typed` it is.
    frame: Vec<u8>,
    written: usize,
    carries: usize,
}

impl Outgoing {
    /// A new connection: a frame that the last one took a part of counts as not sent.
    pub(super) fn restart(&mut self, channel: u32) {
        self.channel = channel;
        // The new attachment says its size itself.
        self.resize = None;
        self.forget_frame();
    }

    fn forget_frame(&mut self) {
        self.frame.clear();
        (self.written, self.carries) = (0, 0);
    }

    pub(super) fn push(&mut self, typed: &[u8]) {
        self.typed.extend(typed);
    }

    /// Only the newest size matters. It also has the supervisor paint everything anew.
    pub(super) fn resize(&mut self, cols: u16, rows: u16) {
        self.resize = Some(Resize { cols, rows });
    }

    pub(super) fn has_room(&self) -> bool {
        self.typed.len() < LIMIT
    }

    /// Bytes typed that are still to be sent.
    pub(super) fn left(&self) -> usize {
        self.typed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frame.is_empty() && self.typed.is_empty() && self.resize.is_none()
    }

    /// Writes as much as `socket` takes. An error other than "not now" is the connection's end.
    pub(super) fn write(&mut self, mut socket: impl Write) -> io::Result<()> {
        while self.next_frame() {
            match socket.write(self.frame.get(self.written..).unwrap_or_default()) {
                Ok(written) => self.written += written,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            if self.written == self.frame.len() {
                self.typed.drain(..self.carries.min(self.typed.len()));
                self.forget_frame();
            }
        }
        Ok(())
    }

    /// Makes the next frame where none is on its way; false when there is nothing to send.
    fn next_frame(&mut self) -> bool {
        if !self.frame.is_empty() {
            return true;
        }
        // Neither can be larger than a frame may be.
        if let Some(resize) = self.resize.take() {
            let made = body(&Request::Resize(resize)).and_then(|b| encode(Kind::Request, self.channel, &b));
            self.frame = made.unwrap_or_default();
        } else if !self.typed.is_empty() {
            self.carries = self.typed.len().min(PIECE);
            let piece: Vec<u8> = self.typed.iter().take(self.carries).copied().collect();
            self.frame = encode(Kind::Input, self.channel, &piece).unwrap_or_default();
        }
        !self.frame.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use dsx_protocol::{Decoder, decode};

    use super::*;

    /// Takes `room` bytes, then nothing.
    struct Socket {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for &mut Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let takes = bytes.len().min(self.room).min(1000);
            if takes == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= takes;
            self.taken.extend_from_slice(&bytes[..takes]);
            Ok(takes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The bytes typed and the sizes that arrived whole, on one channel.
    fn arrived(taken: &[u8], channel: u32) -> (Vec<u8>, Vec<Request>) {
        let (mut typed, mut requests, mut decoder) = (Vec::new(), Vec::new(), Decoder::new());
        decoder.push(taken);
        while let Some(frame) = decoder.next_frame().unwrap() {
            assert_eq!(frame.channel, channel);
            match frame.kind {
                Kind::Input => typed.extend(frame.body),
                _ => requests.push(decode(&frame.body).unwrap()),
            }
        }
        (typed, requests)
    }

    fn numbers(count: u32) -> Vec<u8> {
        (0..count).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn what_is_typed_arrives_whole_and_in_order_however_little_the_socket_takes() {
        let typed = numbers(50_000);
        let (mut outgoing, mut socket) = (Outgoing::default(), Socket { taken: Vec::new(), room: 0 });
        outgoing.restart(3);
        outgoing.push(&typed);
        outgoing.resize(80, 24);
        while !outgoing.is_empty() {
            socket.room = 777;
            outgoing.write(&mut socket).unwrap();
        }
        let size = Request::Resize(Resize { cols: 80, rows: 24 });
        assert_eq!(arrived(&socket.taken, 3), (typed, vec![size]));
    }

    #[test]
    fn a_frame_cut_by_the_connections_end_is_sent_again_whole() {
        let typed = numbers(10_000);
        for room in [0, 1, 8, 9, 10, 16_000, 16_392, 16_393, 16_394, 30_000] {
            let mut outgoing = Outgoing::default();
            outgoing.restart(1);
            outgoing.push(&typed);
            let mut first = Socket { taken: Vec::new(), room };
            outgoing.write(&mut first).unwrap();
            outgoing.restart(2);
            let mut second = Socket { taken: Vec::new(), room: usize::MAX };
            outgoing.write(&mut second).unwrap();
            let both = [arrived(&first.taken, 1).0, arrived(&second.taken, 2).0].concat();
            assert!(both == typed, "cut after {room}");
        }
    }
}
