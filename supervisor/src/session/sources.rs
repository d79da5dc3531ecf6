//! What an agent writes down: its session file and its transcript, read as they change.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsx_core::adapter::{TranscriptReader, read_session_file};
use dsx_core::{Cli, Evidence, Source};
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;
use tracing::debug;

use super::Command;
use crate::clock::now_ms;
use crate::watch::{Watch, Watched};

/// Bytes of a transcript read in one go.
const CHUNK: u64 = 1024 * 1024;
/// Bytes at the end of a transcript that are read again after a restart.
const AGAIN: u64 = 4 * 1024 * 1024;
/// The longest line that is read; a longer one is skipped.
const LINE: usize = 8 * 1024 * 1024;
/// The largest session file.
const SESSION_FILE: u64 = 256 * 1024;

/// Tells the reading task which transcript to follow.
#[derive(Debug)]
pub(super) struct Sources {
    follow: mpsc::Sender<PathBuf>,
}

impl Sources {
    /// Starts reading. `tail` is a transcript that is being read already, after a restart.
    pub(super) fn start(
        cli: Cli,
        watch: Watch,
        session_file: Option<PathBuf>,
        tail: Option<Tail>,
        mailbox: mpsc::WeakSender<Command>,
    ) -> Self {
        let (follow, followed) = mpsc::channel(16);
        let reading = Reading { cli, mailbox };
        tokio::spawn(reading.run(watch, session_file, tail, followed));
        Self { follow }
    }

    pub(super) fn follow(&self, transcript: &str) {
        if self.follow.try_send(PathBuf::from(transcript)).is_err() {
            debug!("the transcript reader is behind");
        }
    }
}

struct Reading {
    cli: Cli,
    mailbox: mpsc::WeakSender<Command>,
}

impl Reading {
    async fn run(
        self,
        watch: Watch,
        session_file: Option<PathBuf>,
        tail: Option<Tail>,
        mut followed: mpsc::Receiver<PathBuf>,
    ) {
        let (file_bell, transcript_bell) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let _file_watch = match &session_file {
            Some(path) => watch.file(path, Arc::clone(&file_bell)).await,
            None => None,
        };
        let mut transcript: Option<(Tail, Option<Watched>)> = None;
        if let Some(tail) = tail {
            let watched = watch.file(&tail.path, Arc::clone(&transcript_bell)).await;
            transcript = Some((tail, watched));
        }
        loop {
            tokio::select! {
                next = followed.recv() => {
                    let Some(path) = next else { return };
                    if transcript.as_ref().is_none_or(|(tail, _)| tail.path != path) {
                        let watched = watch.file(&path, Arc::clone(&transcript_bell)).await;
                        transcript = Some((Tail::new(self.cli, path, false), watched));
                        transcript_bell.notify_one();
                    }
                }
                () = file_bell.notified() => if let Some(path) = &session_file {
                    self.session_file(path).await;
                },
                () = transcript_bell.notified() => if let Some((tail, watched)) = transcript.take() {
                    transcript = self.transcript(tail).await.map(|tail| (tail, watched));
                },
            }
        }
    }

    async fn session_file(&self, path: &Path) {
        let (path, cli) = (path.to_owned(), self.cli);
        let read = spawn_blocking(move || {
            let mut text = String::new();
            File::open(path).ok()?.take(SESSION_FILE).read_to_string(&mut text).ok()?;
            read_session_file(cli, &text)
        });
        if let Ok(Some((at, evidence))) = read.await {
            self.tell(vec![(Source::SessionFile, at, evidence)]).await;
        }
    }

    async fn transcript(&self, mut tail: Tail) -> Option<Tail> {
        loop {
            let (back, said, more) = spawn_blocking(move || {
                let (said, more) = tail.read();
                (tail, said, more)
            })
            .await
            .ok()?;
            tail = back;
            let now = now_ms();
            self.tell(said.into_iter().map(|(at, e)| (Source::Transcript, at.unwrap_or(now), e)).collect())
                .await;
            if !more {
                return Some(tail);
            }
        }
    }

    async fn tell(&self, said: AllSaid) {
        if let (false, Some(mailbox)) = (said.is_empty(), self.mailbox.upgrade()) {
            // The session has ended: nobody is to be told.
            let _ = mailbox.send(Command::Said(said)).await;
        }
    }
}

/// What source said what, and when.
pub(super) type AllSaid = Vec<(Source, u64, Evidence)>;

/// Reads, after a restart, what the agent has written down: the session file as it is now and the end of its
/// transcript, with the place to go on from.
pub(super) fn read_again(
    cli: Cli,
    session_file: Option<&Path>,
    transcript: Option<&str>,
) -> (AllSaid, Option<Tail>) {
    let mut said = Vec::new();
    let tail = transcript.map(|path| {
        let mut tail = Tail::new(cli, PathBuf::from(path), true);
        loop {
            let (lines, more) = tail.read();
            // A line without a time of its own is older than this restart.
            said.extend(lines.into_iter().map(|(at, e)| (Source::Transcript, at.unwrap_or(0), e)));
            if !more {
                break tail;
            }
        }
    });
    let file = session_file.and_then(|path| std::fs::read_to_string(path).ok());
    if let Some((at, evidence)) = file.and_then(|text| read_session_file(cli, &text)) {
        said.push((Source::SessionFile, at, evidence));
    }
    (said, tail)
}

/// A file that grows by lines.
pub(super) struct Tail {
    path: PathBuf,
    offset: u64,
    /// The unfinished last line.
    partial: Vec<u8>,
    /// The rest of a line that began before what is read, or was too long.
    skipping: bool,
    started: bool,
    again: bool,
    reader: TranscriptReader,
}

impl Tail {
    fn new(cli: Cli, path: PathBuf, again: bool) -> Self {
        let reader = TranscriptReader::new(cli);
        Self { path, offset: 0, partial: Vec::new(), skipping: false, started: false, again, reader }
    }

    /// What has come since the last call, and whether there is more.
    fn read(&mut self) -> (Vec<(Option<u64>, Evidence)>, bool) {
        let Ok(mut file) = File::open(&self.path) else { return (Vec::new(), false) };
        let size = file.metadata().map_or(0, |m| m.len());
        if !self.started {
            self.started = true;
            self.offset = if self.again { size.saturating_sub(AGAIN) } else { 0 };
            self.skipping = self.offset > 0;
        }
        let mut bytes = Vec::new();
        let read =
            file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.take(CHUNK).read_to_end(&mut bytes));
        if read.is_err() {
            return (Vec::new(), false);
        }
        self.offset += bytes.len() as u64;
        (self.lines(&bytes), self.offset < size)
    }

    fn lines(&mut self, bytes: &[u8]) -> Vec<(Option<u64>, Evidence)> {
        let mut said = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let ends = piece.ends_with(b"\n");
            if !self.skipping {
                self.partial.extend_from_slice(piece);
            }
            if self.partial.len() > LINE {
                self.partial = Vec::new();
                self.skipping = true;
            }
            if ends {
                if !self.skipping {
                    said.extend(self.reader.line(&String::from_utf8_lossy(&self.partial)));
                }
                self.partial.clear();
                self.skipping = false;
            }
        }
        said
    }
}
