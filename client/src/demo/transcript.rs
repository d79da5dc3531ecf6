//! The transcript: what the demo agent did, one JSON object a line. Its reader is dsx itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

/// One line. `at` is in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Record {
    /// A message was taken; it is the text byte for byte.
    User {
        at: u64,
        text: String,
    },
    Assistant {
        at: u64,
        text: String,
    },
    Tool {
        at: u64,
        name: &'static str,
        input: String,
    },
    Asked {
        at: u64,
        text: String,
        options: Vec<String>,
    },
    Answered {
        at: u64,
        text: String,
    },
    /// The turn is over. Without text where there was nothing to say.
    End {
        at: u64,
        text: Option<String>,
    },
    Failed {
        at: u64,
        error: String,
    },
    Interrupted {
        at: u64,
    },
}

#[derive(Debug)]
pub(super) struct Transcript {
    file: File,
}

impl Transcript {
    /// Goes on behind what is there. The file is its owner's alone: it holds whole conversations.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { file })
    }

    /// Appends one line by one write, so that no reader ever sees half of two lines mixed.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_form_their_reader_knows() {
        let json = |record: &Record| serde_json::to_string(record).unwrap();
        let user = Record::User { at: 7, text: "a\n\"b\"\u{1b}".into() };
        assert_eq!(json(&user), r#"{"type":"user","at":7,"text":"a\n\"b\"\u001b"}"#);
        assert_eq!(json(&Record::End { at: 7, text: None }), r#"{"type":"end","at":7,"text":null}"#);
        let failed = Record::Failed { at: 7, error: "x".into() };
        assert_eq!(json(&failed), r#"{"type":"failed","at":7,"error":"x"}"#);
        assert_eq!(json(&Record::Interrupted { at: 7 }), r#"{"type":"interrupted","at":7}"#);
    }

    #[test]
    fn it_goes_on_behind_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        for at in 0..3 {
            Transcript::open(&path).unwrap().append(&Record::Interrupted { at }).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.ends_with("{\"type\":\"interrupted\",\"at\":2}\n"));
        assert!(Transcript::open(&dir.path().join("no/such")).is_err());
    }
}
