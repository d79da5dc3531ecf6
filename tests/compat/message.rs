//! Every message there is: each with all fields set, and each with its defaults.

use dsx_protocol::{
    ErrorKind, Event, Frame, FrameError, Hello, Kind, Reply, Request, WireError, body, decode, encode,
};

use crate::filled::filled;
use crate::raw::Raw;

/// The channel of every golden frame but the hello's.
const CHANNEL: u32 = 0x0102_0304;

/// What one frame carries.
// They are few, and live for one test.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Hello(Hello),
    Request(Request),
    Reply(Reply),
    Error(WireError),
    Event(Event),
    Output(Vec<u8>),
    Input(Vec<u8>),
}

impl Message {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Request(_) => Kind::Request,
            Self::Reply(_) => Kind::Reply,
            Self::Error(_) => Kind::Error,
            Self::Event(_) => Kind::Event,
            Self::Output(_) => Kind::Output,
            Self::Input(_) => Kind::Input,
        }
    }

    pub fn body(&self) -> Vec<u8> {
        let bytes = match self {
            Self::Hello(hello) => body(hello),
            Self::Request(request) => body(request),
            Self::Reply(reply) => body(reply),
            Self::Error(error) => body(error),
            Self::Event(event) => body(event),
            Self::Output(bytes) | Self::Input(bytes) => Ok(bytes.clone()),
        };
        bytes.unwrap()
    }

    pub fn frame(&self) -> Vec<u8> {
        let channel = if matches!(self, Self::Hello(_)) { 0 } else { CHANNEL };
        encode(self.kind(), channel, &self.body()).unwrap()
    }

    pub fn read(frame: &Frame) -> Result<Self, FrameError> {
        let body = &frame.body;
        match frame.kind {
            Kind::Hello => decode(body).map(Self::Hello),
            Kind::Request => decode(body).map(Self::Request),
            Kind::Reply => decode(body).map(Self::Reply),
            Kind::Error => decode(body).map(Self::Error),
            Kind::Event => decode(body).map(Self::Event),
            Kind::Output => Ok(Self::Output(body.clone())),
            Kind::Input => Ok(Self::Input(body.clone())),
            Kind::Unknown(code) => panic!("a frame of the unknown kind {code}"),
        }
    }

    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Request(Request::Unknown) | Self::Reply(Reply::Unknown) | Self::Event(Event::Unknown)
        )
    }

    /// The body without our types; none for bytes that are no MessagePack.
    pub fn raw(&self) -> Option<Raw> {
        (!matches!(self, Self::Output(_) | Self::Input(_))).then(|| decode(&self.body()).unwrap())
    }

    /// `request.create`, `error.usage`, `hello`.
    pub fn name(&self) -> String {
        let kind = format!("{:?}", self.kind()).to_lowercase();
        let raw = self.raw();
        let tag = raw.iter().find_map(|raw| raw.get(self.tag()?)?.text());
        tag.map_or_else(|| kind.clone(), |tag| format!("{kind}.{tag}"))
    }

    /// The field that says which message of its kind it is.
    pub fn tag(&self) -> Option<&'static str> {
        match self {
            Self::Request(_) => Some("verb"),
            Self::Reply(_) => Some("reply"),
            Self::Event(_) => Some("event"),
            Self::Error(_) => Some("kind"),
            Self::Hello(_) | Self::Output(_) | Self::Input(_) => None,
        }
    }
}

/// Lists every variant, with all fields set and with none. A variant that is missing here does not compile.
macro_rules! every {
    ($name:ident, $enum:ident: $($variant:ident)*; $($unit:ident)*) => {
        fn $name() -> Vec<(Message, &'static str)> {
            const fn none_is_missing(value: &$enum) {
                match value {
                    $($enum::$variant(_) => {})*
                    $($enum::$unit => {})*
                    $enum::Unknown => {}
                }
            }
            let _ = none_is_missing;
            vec![
                $((Message::$enum($enum::$variant(filled())), "full"),
                (Message::$enum($enum::$variant(Default::default())), "default"),)*
                $((Message::$enum($enum::$unit), "full"),)*
            ]
        }
    };
}

every!(requests, Request:
    Create Send Wait Status Explain LastMessage List Screen Keys Interrupt Logs Kill Attach Resize Supervisor Hook
    Prompts Respond Events Transcript Rename Describe;);
every!(replies, Reply:
    Created Sent Settled Status Explained Messages Sessions Screen Killed Supervisor Prompts Responded Decided; Done);
every!(events, Event: WaitBound Log Following Happened Entry Held;);

/// Every kind of error. One that is missing here does not compile.
pub fn error_kinds() -> Vec<ErrorKind> {
    use ErrorKind::{Exited, Failed, NoSession, Refused, Timeout, Turn, Unavailable, Usage, Waiting};
    const fn none_is_missing(kind: ErrorKind) {
        match kind {
            Usage | NoSession | Waiting | Turn | Exited | Refused | Unavailable | Timeout | Failed => {}
        }
    }
    let _ = none_is_missing;
    vec![Usage, NoSession, Waiting, Turn, Exited, Refused, Unavailable, Timeout, Failed]
}

/// Every message, and whether its fields are set (`full`) or not (`default`).
pub fn messages() -> Vec<(Message, &'static str)> {
    let hello = Hello { min: 1, max: 1, version: String::new(), capabilities: Vec::new() };
    let mut all = vec![(Message::Hello(filled()), "full"), (Message::Hello(hello), "default")];
    all.extend([requests(), replies(), events()].concat());
    for kind in error_kinds() {
        let full: WireError = filled();
        all.push((Message::Error(WireError { kind, ..full }), "full"));
        all.push((Message::Error(WireError::new(kind, "")), "default"));
    }
    all.push((Message::Output(b"\x1b[31mred\x00\xff".to_vec()), "full"));
    all.push((Message::Input(b"\x03\x1b[A\xc3".to_vec()), "full"));
    all
}
