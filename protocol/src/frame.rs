//! Frames: `length u32 BE · kind u8 · channel u32 BE · body`, the length counting the body alone.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes before the body.
const HEADER: usize = 9;

/// The largest body of any kind; each kind has a cap of its own below it.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// How deep maps and lists may lie in each other; ours go five deep. Without a bound a peer could overflow the stack.
const MAX_DEPTH: usize = 64;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hello,
    Request,
    Reply,
    Error,
    Event,
    /// Raw bytes of a PTY, towards the client.
    Output,
    /// Raw bytes typed by a person, towards the supervisor.
    Input,
    /// A kind that a newer peer knows: its frame is skipped whole.
    Unknown(u8),
}

impl Kind {
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Request => 2,
            Self::Reply => 3,
            Self::Error => 4,
            Self::Event => 5,
            Self::Output => 6,
            Self::Input => 7,
            Self::Unknown(code) => code,
        }
    }

    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Hello,
            2 => Self::Request,
            3 => Self::Reply,
            4 => Self::Error,
            5 => Self::Event,
            6 => Self::Output,
            7 => Self::Input,
            other => Self::Unknown(other),
        }
    }

    /// The largest body of this kind, in bytes. A request may hold a whole environment and a 1 MiB text.
    #[must_use]
    pub const fn cap(self) -> usize {
        match self {
            Self::Hello => 16 * 1024,
            Self::Request => 6 * 1024 * 1024,
            Self::Reply => MAX_BODY,
            Self::Error => 256 * 1024,
            Self::Event | Self::Unknown(_) => 1024 * 1024,
            Self::Output | Self::Input => 256 * 1024,
        }
    }
}

/// One frame, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    /// The request it belongs to; 0 for the Hello.
    pub channel: u32,
    pub body: Vec<u8>,
}

/// Why bytes are no frame, or a body is not what its kind says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a {kind:?} frame of {size} bytes is over its limit of {cap}")]
    TooLarge { kind: Kind, size: usize, cap: usize },
    #[error("a message could not be written as MessagePack: {0}")]
    Encode(String),
    #[error("a message could not be read: {0}")]
    Decode(String),
    #[error("a message has {0} bytes too many")]
    Trailing(usize),
}

/// A value as a body: MessagePack, maps with named fields.
pub fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    rmp_serde::to_vec_named(value).map_err(|e| FrameError::Encode(e.to_string()))
}

/// A whole frame, ready to be written.
pub fn encode(kind: Kind, channel: u32, body: &[u8]) -> Result<Vec<u8>, FrameError> {
    if body.len() > kind.cap() {
        return Err(FrameError::TooLarge { kind, size: body.len(), cap: kind.cap() });
    }
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    // The cap keeps every body far below 4 GiB.
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.push(kind.code());
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// The value of a body, which must be consumed whole: rmp-serde by itself accepts trailing bytes.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    let mut reader = rmp_serde::Deserializer::new(std::io::Cursor::new(body));
    reader.set_max_depth(MAX_DEPTH);
    let value = T::deserialize(&mut reader).map_err(|e| FrameError::Decode(e.to_string()))?;
    let rest = body.len().saturating_sub(reader.position() as usize);
    if rest > 0 {
        return Err(FrameError::Trailing(rest));
    }
    Ok(value)
}

/// Turns a stream of bytes, however it is cut, into frames. Holds at most one unfinished frame.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame. An error is final: the stream has lost its framing.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((header, after)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [l0, l1, l2, l3, kind, c0, c1, c2, c3] = *header;
        let size = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let kind = Kind::from_code(kind);
        if size > kind.cap() {
            return Err(FrameError::TooLarge { kind, size, cap: kind.cap() });
        }
        let Some(body) = after.get(..size) else { return Ok(None) };
        let frame = Frame { kind, channel: u32::from_be_bytes([c0, c1, c2, c3]), body: body.to_vec() };
        self.taken += HEADER + size;
        Ok(Some(frame))
    }

    /// Whether the stream stopped in the middle of a frame.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        self.taken < self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames() {
        let mut stream = encode(Kind::Request, 7, b"hello").unwrap();
        stream.extend(encode(Kind::Unknown(99), 8, b"").unwrap());
        stream.extend(encode(Kind::Output, u32::MAX, &[0xff; 300]).unwrap());
        for step in 1..stream.len() {
            let mut decoder = Decoder::new();
            let mut frames = Vec::new();
            for piece in stream.chunks(step) {
                decoder.push(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push((frame.kind, frame.channel, frame.body.len()));
                }
            }
            assert!(!decoder.is_mid_frame());
            assert_eq!(
                frames,
                [(Kind::Request, 7, 5), (Kind::Unknown(99), 8, 0), (Kind::Output, u32::MAX, 300)]
            );
        }
    }

    #[test]
    fn an_oversized_frame_is_refused_before_its_body_is_read() {
        let mut decoder = Decoder::new();
        let mut header = u32::MAX.to_be_bytes().to_vec();
        header.extend([1, 0, 0, 0, 0]);
        decoder.push(&header);
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLarge { kind: Kind::Hello, .. })));
        assert!(encode(Kind::Hello, 0, &vec![0; 20_000]).is_err());
    }

    #[test]
    fn a_body_must_be_consumed_whole() {
        let mut bytes = body(&5_u8).unwrap();
        assert_eq!(decode::<u8>(&bytes), Ok(5));
        bytes.push(0);
        assert_eq!(decode::<u8>(&bytes), Err(FrameError::Trailing(1)));
        assert!(matches!(decode::<u8>(&[]), Err(FrameError::Decode(_))));
    }

    #[test]
    fn nesting_without_end_is_an_error_and_not_a_crash() {
        for levels in [MAX_DEPTH, 1_000, 200_000] {
            let maps = [0x81, 0xa1, b'x'].repeat(levels);
            for nested in [maps, vec![0x91; levels]] {
                assert!(matches!(decode::<crate::Request>(&nested), Err(FrameError::Decode(_))));
                assert!(matches!(decode::<crate::Hello>(&nested), Err(FrameError::Decode(_))));
            }
        }
    }
}
