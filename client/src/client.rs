//! The connection to the supervisor.
//!
//! A request that finds the supervisor dying is asked again of the next one: waits and sends carry what makes
//! the repeat harmless. Absences: no runtime, no thread.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dsx_protocol::{
    DSX_VERSION, Decoder, ErrorKind, Event, Frame, Hello, Kind, Reply, Request, WireError, agree, body,
    decode, encode,
};
use dsx_supervisor::launch::{Paths, connect, connect_existing};

use crate::failure::Failure;

/// Times one request is asked before a dying supervisor is an error.
const ATTEMPTS: u32 = 20;

/// What came on a request's channel.
#[derive(Debug)]
pub(crate) enum Incoming {
    Reply(Reply),
    Error(WireError),
    Event(Event),
    Output(Vec<u8>),
    /// The connection ended; ask again on a new one.
    Lost,
    TimedOut,
}

/// An open connection.
pub(crate) struct Client {
    stream: UnixStream,
    decoder: Decoder,
    next_channel: u32,
    greeted: bool,
    start: bool,
    /// When whoever called wants to know that there is no answer yet.
    deadline: Option<Instant>,
}

/// Where everything is, by this process's environment.
pub(crate) fn paths() -> Result<Paths, Failure> {
    Paths::resolve(|name| std::env::var_os(name), nix::unistd::geteuid().as_raw()).map_err(|e| {
        WireError::new(ErrorKind::Unavailable, e.to_string()).hint("set HOME or DSX_HOME").into()
    })
}

/// The running binary, which is also the supervisor's.
pub(crate) fn own_path() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|e| {
        Failure::failed(format!("the path of dsx itself cannot be found: {e}"), "is /proc mounted?")
    })
}

impl Client {
    /// Connects, starting the supervisor if none runs.
    pub(crate) fn open() -> Result<Self, Failure> {
        Self::over(connect(&paths()?, &own_path()?)?, true)
    }

    /// Connects to a supervisor that runs, and starts none.
    pub(crate) fn open_existing() -> Result<Self, Failure> {
        Self::over(connect_existing(&paths()?)?, false)
    }

    /// Greets over a connection that is open already.
    pub(crate) fn over(stream: UnixStream, start: bool) -> Result<Self, Failure> {
        let mut client =
            Self { stream, decoder: Decoder::new(), next_channel: 1, greeted: false, start, deadline: None };
        client.write(Kind::Hello, 0, &wire(body(&Hello::ours()))?);
        Ok(client)
    }

    /// From here on no answer is waited for beyond that moment.
    pub(crate) fn until(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Takes a new connection in the place of one that ended.
    pub(crate) fn reopen(&mut self) -> Result<(), Failure> {
        let deadline = self.deadline;
        *self = if self.start { Self::open()? } else { Self::open_existing()? };
        self.deadline = deadline;
        Ok(())
    }

    /// Asks, and returns the channel on which the answer comes.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<u32, Failure> {
        let channel = self.next_channel;
        self.next_channel += 1;
        let bytes = wire(body(request))?;
        if bytes.len() > Kind::Request.cap() {
            let size = bytes.len();
            let what = format!("the request has {size} bytes, the limit is {}", Kind::Request.cap());
            return Err(Failure::usage(what, "send a shorter text"));
        }
        self.write(Kind::Request, channel, &bytes);
        Ok(channel)
    }

    /// A write that fails is noticed as a connection that ended when the answer is read.
    fn write(&mut self, kind: Kind, channel: u32, bytes: &[u8]) {
        if let Ok(frame) = encode(kind, channel, bytes) {
            let _ = self.stream.write_all(&frame);
        }
    }

    /// Asks and waits for the answer; asks again where the supervisor died over it.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.call_with(request, drop)
    }

    /// The same; what comes before the answer is given to `on_event`.
    pub(crate) fn call_with(
        &mut self,
        request: &Request,
        mut on_event: impl FnMut(Event),
    ) -> Result<Reply, Failure> {
        for _ in 0..ATTEMPTS {
            let channel = self.ask(request)?;
            match self.answer(channel, &mut on_event)? {
                Some(reply) => return Ok(reply),
                None if is_repeatable(request) => self.reopen()?,
                None => {
                    let what = "the supervisor ended before it answered; what was asked may have been done";
                    return Err(Failure::failed(what, "look before you repeat it"));
                }
            }
        }
        Err(gone())
    }

    /// The answer on one channel; none when the connection ended.
    fn answer(&mut self, channel: u32, on_event: &mut impl FnMut(Event)) -> Result<Option<Reply>, Failure> {
        loop {
            match self.next(self.deadline)? {
                (_, Incoming::TimedOut) => {
                    let what = "the time ran out before dsx had an answer; what was asked goes on";
                    return Err(WireError::new(ErrorKind::Timeout, what).hint("see 'dsx list'").into());
                }
                (c, Incoming::Reply(reply)) if c == channel => return Ok(Some(reply)),
                (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
                (c, Incoming::Event(event)) if c == channel => on_event(event),
                (_, Incoming::Lost) => return Ok(None),
                _ => {}
            }
        }
    }

    /// The next thing that comes, and its channel.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<(u32, Incoming), Failure> {
        loop {
            while let Some(frame) = self.decoder.next_frame().map_err(|e| garbled(&e.to_string()))? {
                if let Some(incoming) = self.take(frame)? {
                    return Ok(incoming);
                }
            }
            match self.read(deadline) {
                Ok(0) => return Ok((0, Incoming::Lost)),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok((0, Incoming::TimedOut));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok((0, Incoming::Lost)),
            }
        }
    }

    fn read(&mut self, deadline: Option<Instant>) -> io::Result<usize> {
        let patience = match deadline {
            None => None,
            Some(at) => match at.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return Err(io::ErrorKind::TimedOut.into()),
                left => Some(left),
            },
        };
        self.stream.set_read_timeout(patience)?;
        let mut buffer = [0; 64 * 1024];
        let read = self.stream.read(&mut buffer)?;
        self.decoder.push(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }

    fn take(&mut self, frame: Frame) -> Result<Option<(u32, Incoming)>, Failure> {
        let read = |e: dsx_protocol::FrameError| garbled(&e.to_string());
        let incoming = match frame.kind {
            Kind::Hello => {
                self.greeted = true;
                let theirs = decode::<Hello>(&frame.body).map_err(read)?;
                if agree(&Hello::ours(), &theirs).is_none() {
                    return Err(too_far(&theirs.version));
                }
                return Ok(None);
            }
            Kind::Reply => Incoming::Reply(decode(&frame.body).map_err(read)?),
            Kind::Error => Incoming::Error(decode(&frame.body).map_err(read)?),
            Kind::Event => Incoming::Event(decode(&frame.body).map_err(read)?),
            Kind::Output => Incoming::Output(frame.body),
            Kind::Request | Kind::Input | Kind::Unknown(_) => return Ok(None),
        };
        Ok(Some((frame.channel, incoming)))
    }

    /// The socket, for whoever waits for several things at once.
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.stream
    }
}

fn wire(encoded: Result<Vec<u8>, dsx_protocol::FrameError>) -> Result<Vec<u8>, Failure> {
    encoded.map_err(|e| Failure::failed(e.to_string(), "this is a fault of dsx"))
}

/// It would refuse a restart from us like everything else.
fn too_far(version: &str) -> Failure {
    let what = format!("the supervisor is dsx {version}, which is too far from this one ({DSX_VERSION})");
    let hint = "stop it with the dsx that started it ('dsx supervisor stop'), then use this one";
    WireError::new(ErrorKind::Unavailable, what).hint(hint).into()
}

fn garbled(why: &str) -> Failure {
    let error = WireError::new(ErrorKind::Unavailable, format!("the supervisor cannot be understood: {why}"));
    error.hint("run 'dsx supervisor restart'").into()
}

pub(crate) fn gone() -> Failure {
    WireError::new(ErrorKind::Unavailable, "the supervisor ends as soon as it is asked")
        .hint("look with 'dsx doctor', and into supervisor.log in the state directory")
        .into()
}

/// Whether asking twice does no more than asking once.
fn is_repeatable(request: &Request) -> bool {
    match request {
        Request::Send(send) => send.key.is_some(),
        Request::Create(create) => create.key.is_some(),
        Request::Respond(respond) => respond.key.is_some(),
        Request::Keys(_) => false,
        _ => true,
    }
}
