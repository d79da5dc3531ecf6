//! The agent's side of OSC 7501, the program status protocol.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Characters of a message that a status carries; the whole of it is in the transcript.
const MESSAGE_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// Takes messages; names the program, as this is the first one that is sent.
    Idle,
    Working,
    /// Asks this.
    Blocked(String),
    Done,
    Error(String),
}

impl Status {
    /// As it goes to the terminal, whoever listens there.
    pub(super) fn escape(&self) -> String {
        let record = match self {
            Self::Idle => "state=idle:app=demo".to_owned(),
            Self::Working => "state=working".to_owned(),
            Self::Blocked(text) => format!("state=blocked:kind=question:msg={}", message(text)),
            Self::Done => "state=done".to_owned(),
            Self::Error(text) => format!("state=error:msg={}", message(text)),
        };
        format!("\x1b]7501;{record}\x07")
    }
}

fn message(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => STANDARD.encode(format!("{}…", &text[..end])),
        None => STANDARD.encode(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_the_protocol_has_them() {
        assert_eq!(Status::Idle.escape(), "\x1b]7501;state=idle:app=demo\x07");
        assert_eq!(Status::Working.escape(), "\x1b]7501;state=working\x07");
        assert_eq!(Status::Done.escape(), "\x1b]7501;state=done\x07");
        assert_eq!(Status::Error("API Error".into()).escape(), "\x1b]7501;state=error:msg=QVBJIEVycm9y\x07");
        let asked = Status::Blocked("ok?".into()).escape();
        assert_eq!(asked, "\x1b]7501;state=blocked:kind=question:msg=b2s/\x07");
    }

    #[test]
    fn a_message_cannot_end_the_record_or_fill_it() {
        let long = Status::Error("\x07:é\x1b\\".repeat(10_000)).escape();
        assert!(long.len() < 4096);
        assert_eq!(long.matches(['\x07', '\x1b']).count(), 2);
    }
}
