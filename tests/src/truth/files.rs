//! The files that the agent writes: its session file and its transcript, read at each change.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::What;
use super::tape::Tape;

#[derive(Debug)]
pub struct Files {
    watched: Inotify,
    sessions: PathBuf,
    /// A directory in which only this harness writes.
    own: PathBuf,
    transcript: Mutex<Option<PathBuf>>,
    stopped: AtomicBool,
}

impl Files {
    /// Watches from before the agent starts.
    pub fn watch(sessions: &Path, own: &Path) -> Arc<Self> {
        fs::create_dir_all(sessions).expect("making the agent's directory");
        let watched = Inotify::init(InitFlags::IN_CLOEXEC).expect("watching");
        let files = Self {
            watched,
            sessions: sessions.to_owned(),
            own: own.to_owned(),
            transcript: Mutex::default(),
            stopped: AtomicBool::new(false),
        };
        files.add(sessions);
        files.add(own);
        Arc::new(files)
    }

    fn add(&self, directory: &Path) {
        let changes = AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MODIFY;
        self.watched.add_watch(directory, changes).expect("watching a directory");
    }

    /// Reads what the process writes, on a thread of its own.
    pub fn read(self: &Arc<Self>, pid: i32, tape: &Arc<Tape>) {
        let (files, tape) = (Arc::clone(self), Arc::clone(tape));
        thread::spawn(move || {
            let file = files.sessions.join(format!("{pid}.json"));
            let mut reading = Reading::default();
            loop {
                reading.file(&file, &tape);
                reading.transcript(&files, &tape);
                if files.watched.read_events().is_err() || files.stopped.load(Ordering::Acquire) {
                    return;
                }
            }
        });
    }

    /// The agent has told where its transcript is.
    pub fn follow(&self, path: PathBuf) {
        let mut transcript = self.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        if transcript.as_ref() == Some(&path) {
            return;
        }
        let directory = path.parent().expect("a transcript's directory");
        fs::create_dir_all(directory).expect("making the transcript's directory");
        self.add(directory);
        *transcript = Some(path);
        drop(transcript);
        self.wake();
    }

    /// A change of this harness' own brings the reading thread out of the kernel.
    fn wake(&self) {
        fs::write(self.own.join("wake"), "").expect("waking the reader");
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }
}

#[derive(Default)]
struct Reading {
    /// What the session file said last.
    said: String,
    path: Option<PathBuf>,
    offset: u64,
    partial: String,
}

impl Reading {
    fn file(&mut self, path: &Path, tape: &Tape) {
        let Ok(text) = fs::read_to_string(path) else { return };
        // One that is being written is read again when it is whole.
        if let Some(said) = serde_json::from_str(&text).ok().filter(|_| text != self.said) {
            tape.put(What::File(said));
            self.said = text;
        }
    }

    fn transcript(&mut self, files: &Files, tape: &Tape) {
        let path = files.transcript.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if path != self.path {
            *self = Self { said: std::mem::take(&mut self.said), path, ..Self::default() };
        }
        let Some(mut file) = self.path.as_ref().and_then(|p| File::open(p).ok()) else { return };
        let mut text = String::new();
        let read = file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.read_to_string(&mut text));
        self.offset += read.unwrap_or(0) as u64;
        self.partial.push_str(&text);
        while let Some((line, rest)) = self.partial.split_once('\n') {
            if let Ok(line) = serde_json::from_str(line) {
                tape.put(What::Line(line));
            }
            self.partial = rest.to_owned();
        }
    }
}
