//! Frames between keeper and supervisor: a length of four bytes (little endian), then so many bytes of one
//! MessagePack map. A descriptor travels with the first byte of the frame that it belongs to, and the reader takes
//! a header and its body in separate reads; so each descriptor comes with its own frame, whatever was lost before.
//!
//! Nothing here blocks. The two processes poll in their own ways and share the rest.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest body. The kernel takes at most about 6 MiB of arguments and environment, agents get far less.
pub const FRAME_LIMIT: usize = 4 * 1024 * 1024;

const HEADER: usize = 4;

/// What is wrong with a channel or a frame.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The channel broke.
    #[error("the channel between keeper and supervisor failed: {0}")]
    Io(#[from] io::Error),
    /// A body over [`FRAME_LIMIT`].
    #[error(
        "a frame of {size} bytes is over the limit of {FRAME_LIMIT}; shorten the arguments and the environment"
    )]
    TooLong {
        /// Its bytes.
        size: usize,
    },
    /// Not a map of ours, or more than one.
    #[error("a frame between keeper and supervisor is not understood: {0}")]
    Malformed(String),
}

/// A frame that was received.
#[derive(Debug)]
pub struct Frame {
    /// One MessagePack map; see [`decode`].
    pub body: Vec<u8>,
    /// The descriptor that came with it, close-on-exec.
    pub fd: Option<OwnedFd>,
}

/// What there is to read.
#[derive(Debug)]
pub enum Received {
    /// A whole frame.
    Frame(Frame),
    /// Nothing more for now: poll.
    Pending,
    /// The other side is gone. Nothing comes after this; a frame that was cut short is dropped.
    Closed,
}

/// One end of the channel.
#[derive(Debug)]
pub struct Wire {
    fd: OwnedFd,
    header: Partial<HEADER>,
    body: Option<Body>,
    came: Option<OwnedFd>,
    outbox: VecDeque<Outgoing>,
}

#[derive(Debug)]
struct Partial<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    filled: usize,
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// Taken when the first byte has gone.
    fd: Option<Arc<OwnedFd>>,
}

impl Wire {
    /// Takes over one end of a stream socketpair.
    ///
    /// # Errors
    /// If it cannot be made non-blocking.
    pub fn new(fd: OwnedFd) -> io::Result<Wire> {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Wire { fd, header: Partial::default(), body: None, came: None, outbox: VecDeque::new() })
    }

    /// Frames that are not wholly sent yet. The bound on them is the caller's: he stops reading what would add more.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.len()
    }

    /// Queues `message`, with a descriptor if there is one. Sent by [`Wire::flush`].
    ///
    /// # Errors
    /// [`WireError::TooLong`]; nothing is queued then.
    pub fn queue(&mut self, message: &impl Serialize, fd: Option<Arc<OwnedFd>>) -> Result<(), WireError> {
        let bytes = encode(message)?;
        self.outbox.push_back(Outgoing { bytes, sent: 0, fd });
        Ok(())
    }

    /// Sends what can be sent without blocking. Whether something is left is told by [`Wire::queued`].
    ///
    /// # Errors
    /// [`WireError::Io`] if the other side is gone.
    pub fn flush(&mut self) -> Result<(), WireError> {
        while let Some(frame) = self.outbox.front_mut() {
            match send(self.fd.as_fd(), &frame.bytes[frame.sent..], frame.fd.as_deref()) {
                Ok(sent) => {
                    frame.fd = None;
                    frame.sent += sent;
                    if frame.sent == frame.bytes.len() {
                        self.outbox.pop_front();
                    }
                }
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                // More descriptors are under way than the user may have: the other side is told of the session and
                // finds the descriptor missing, as when it had no room for it itself.
                Err(Errno::ETOOMANYREFS) if frame.fd.is_some() => frame.fd = None,
                Err(errno) => return Err(WireError::Io(errno.into())),
            }
        }
        Ok(())
    }

    /// Reads one frame, if there is one.
    ///
    /// # Errors
    /// [`WireError`] if the channel cannot be used further.
    pub fn receive(&mut self) -> Result<Received, WireError> {
        loop {
            let Some(body) = &mut self.body else {
                match self.read_header()? {
                    Some(received) => return Ok(received),
                    None => continue,
                }
            };
            if body.filled == body.bytes.len() {
                let bytes = std::mem::take(&mut body.bytes);
                self.body = None;
                return Ok(Received::Frame(Frame { body: bytes, fd: self.came.take() }));
            }
            match nix::unistd::read(&self.fd, &mut body.bytes[body.filled..]) {
                Ok(0) | Err(Errno::ECONNRESET) => return Ok(Received::Closed),
                Ok(n) => body.filled += n,
                Err(Errno::EAGAIN) => return Ok(Received::Pending),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(WireError::Io(errno.into())),
            }
        }
    }

    /// Never reads past the header: a descriptor of the next frame would then come too early.
    fn read_header(&mut self) -> Result<Option<Received>, WireError> {
        let (n, fd) = match receive_with_fd(self.fd.as_fd(), &mut self.header.bytes[self.header.filled..]) {
            Ok(got) => got,
            Err(Errno::EAGAIN) => return Ok(Some(Received::Pending)),
            Err(Errno::EINTR) => return Ok(None),
            Err(Errno::ECONNRESET) => return Ok(Some(Received::Closed)),
            Err(errno) => return Err(WireError::Io(errno.into())),
        };
        if n == 0 {
            return Ok(Some(Received::Closed));
        }
        self.came = fd.or(self.came.take());
        self.header.filled += n;
        if self.header.filled == HEADER {
            let size = u32::from_le_bytes(self.header.bytes) as usize;
            if size > FRAME_LIMIT {
                return Err(WireError::TooLong { size });
            }
            self.header = Partial::default();
            self.body = Some(Body { bytes: vec![0; size], filled: 0 });
        }
        Ok(None)
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl<const N: usize> Default for Partial<N> {
    fn default() -> Self {
        Partial { bytes: [0; N], filled: 0 }
    }
}

/// `message` as a frame, header included.
///
/// # Errors
/// [`WireError::TooLong`] over [`FRAME_LIMIT`].
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, WireError> {
    let body = rmp_serde::to_vec_named(message).map_err(|error| WireError::Malformed(error.to_string()))?;
    let size = body.len();
    let length =
        u32::try_from(size).ok().filter(|_| size <= FRAME_LIMIT).ok_or(WireError::TooLong { size })?;
    let mut frame = Vec::with_capacity(HEADER + size);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The message in a frame's body.
///
/// # Errors
/// [`WireError::Malformed`] if it is not one, or if bytes are left over.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, WireError> {
    let mut reader = rmp_serde::Deserializer::new(io::Cursor::new(body));
    let message = T::deserialize(&mut reader).map_err(|error| WireError::Malformed(error.to_string()))?;
    let used = reader.position();
    if used != body.len() as u64 {
        return Err(WireError::Malformed(format!("{} bytes after the message", body.len() as u64 - used)));
    }
    Ok(message)
}

fn send(channel: BorrowedFd<'_>, bytes: &[u8], fd: Option<&OwnedFd>) -> Result<usize, Errno> {
    let fds = fd.map(|fd| [fd.as_raw_fd()]);
    let control = fds.as_ref().map(|fds| ControlMessage::ScmRights(fds));
    sendmsg::<()>(
        channel.as_raw_fd(),
        &[IoSlice::new(bytes)],
        control.as_slice(),
        MsgFlags::MSG_NOSIGNAL,
        None,
    )
}

/// Bytes, and the descriptor that came with the first of them. One that found no room in our table is lost without
/// harm to the bytes.
fn receive_with_fd(channel: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut iov = [IoSliceMut::new(bytes)];
    let mut space = cmsg_space!([RawFd; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(channel.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
    let mut came = None;
    for control in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(fds) = control {
            for fd in fds {
                // SAFETY: the kernel has just put it into our table for us, nobody else owns it.
                came = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok((message.bytes, came))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Wire, Wire) {
        let (a, b) = UnixStream::pair().unwrap();
        (Wire::new(a.into()).unwrap(), Wire::new(b.into()).unwrap())
    }

    fn frame(wire: &mut Wire) -> Frame {
        match wire.receive().unwrap() {
            Received::Frame(frame) => frame,
            other => panic!("no frame but {other:?}"),
        }
    }

    fn pipe_holding(text: &str) -> Arc<OwnedFd> {
        let (read, write) = nix::unistd::pipe().unwrap();
        File::from(write).write_all(text.as_bytes()).unwrap();
        Arc::new(read)
    }

    fn text_of(fd: OwnedFd) -> String {
        let mut text = String::new();
        File::from(fd).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn descriptors_arrive_with_their_own_frames() {
        let (mut a, mut b) = pair();
        a.queue(&"none", None).unwrap();
        a.queue(&"one", Some(pipe_holding("one"))).unwrap();
        a.queue(&"two", Some(pipe_holding("two"))).unwrap();
        a.queue(&"none again", None).unwrap();
        a.flush().unwrap();
        for (expected, has) in [("none", false), ("one", true), ("two", true), ("none again", false)] {
            let got = frame(&mut b);
            assert_eq!(decode::<String>(&got.body).unwrap(), expected);
            assert_eq!(got.fd.map(text_of), has.then(|| expected.to_owned()));
        }
        assert!(matches!(b.receive().unwrap(), Received::Pending));
        drop(a);
        assert!(matches!(b.receive().unwrap(), Received::Closed));
    }

    #[test]
    fn a_frame_larger_than_the_socket_takes_goes_in_pieces() {
        let (mut a, mut b) = pair();
        let long = "x".repeat(3_000_000);
        a.queue(&long, Some(pipe_holding("fd"))).unwrap();
        a.queue(&"after", None).unwrap();
        let mut got = Vec::new();
        while got.len() < 2 {
            a.flush().unwrap();
            match b.receive().unwrap() {
                Received::Frame(frame) => got.push(frame),
                Received::Pending => assert!(a.queued() > 0),
                Received::Closed => panic!("closed"),
            }
        }
        assert_eq!(decode::<String>(&got[0].body).unwrap(), long);
        assert!(got[0].fd.is_some() && got[1].fd.is_none());
    }

    #[test]
    fn bytes_may_come_one_at_a_time() {
        let (a, b) = UnixStream::pair().unwrap();
        let mut wire = Wire::new(b.into()).unwrap();
        let bytes = encode(&"drip").unwrap();
        let (last, rest) = bytes.split_last().unwrap();
        for byte in rest {
            (&a).write_all(&[*byte]).unwrap();
            assert!(matches!(wire.receive().unwrap(), Received::Pending));
        }
        (&a).write_all(&[*last]).unwrap();
        assert_eq!(decode::<String>(&frame(&mut wire).body).unwrap(), "drip");
        // Cut short: nothing but the end is seen of it.
        (&a).write_all(rest).unwrap();
        drop(a);
        assert!(matches!(wire.receive().unwrap(), Received::Closed));
    }

    #[test]
    fn what_is_too_long_or_malformed_is_refused() {
        let (mut a, _b) = pair();
        assert!(matches!(a.queue(&"x".repeat(FRAME_LIMIT), None), Err(WireError::TooLong { .. })));
        assert_eq!(a.queued(), 0);
        let mut bytes = encode(&1_u8).unwrap().split_off(HEADER);
        assert_eq!(decode::<u8>(&bytes).unwrap(), 1);
        bytes.push(0);
        assert!(matches!(decode::<u8>(&bytes), Err(WireError::Malformed(_))));
        let (raw, b) = UnixStream::pair().unwrap();
        (&raw).write_all(&u32::MAX.to_le_bytes()).unwrap();
        let mut wire = Wire::new(b.into()).unwrap();
        assert!(matches!(wire.receive(), Err(WireError::TooLong { .. })));
    }
}
