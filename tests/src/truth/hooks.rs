//! The supervisor's part towards `dsx hook`, and nothing else of it: takes reports, writes them down, and hands
//! out the decisions that a scenario makes.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use dsx_protocol::{Decided, Decoder, Kind, Reply, Request, body, decode, encode};
use serde_json::Value;

use super::What;
use super::files::Files;
use super::tape::Tape;

/// The listening end. Its threads end with the processes that report.
#[derive(Debug)]
pub struct Hooks {
    held: Arc<Mutex<Vec<(u32, UnixStream)>>>,
}

impl Hooks {
    pub fn listen(socket: &Path, tape: &Arc<Tape>, files: &Arc<Files>) -> Self {
        let listener = UnixListener::bind(socket).expect("listening for hooks");
        let held = Arc::<Mutex<Vec<_>>>::default();
        let (tape, files, taken) = (Arc::clone(tape), Arc::clone(files), Arc::clone(&held));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tape, files, held) = (Arc::clone(&tape), Arc::clone(&files), Arc::clone(&taken));
                thread::spawn(move || report(stream, &tape, &files, &held));
            }
        });
        Self { held }
    }

    /// Tells the newest one that waits what to print; nothing is "no decision". (An older one's question was
    /// answered in its dialog.)
    pub fn decide(&self, output: &[u8]) {
        let newest = self.held.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some((channel, mut stream)) = newest else { return };
        let decided = Reply::Decided(Decided { output: output.to_vec().into() });
        // Where the agent has ended its hook, nobody is there to be told.
        let _ = answer(&mut stream, channel, &decided);
    }

    /// Lets all go without a decision.
    pub fn let_go(&self) {
        while !self.held.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.decide(b"");
        }
    }
}

fn answer(stream: &mut UnixStream, channel: u32, reply: &Reply) -> std::io::Result<()> {
    let bytes = body(reply).and_then(|b| encode(Kind::Reply, channel, &b)).expect("encoding a reply");
    stream.write_all(&bytes)
}

fn report(mut stream: UnixStream, tape: &Tape, files: &Files, held: &Mutex<Vec<(u32, UnixStream)>>) {
    let mut decoder = Decoder::new();
    let mut buffer = [0; 65536];
    loop {
        while let Ok(Some(frame)) = decoder.next_frame() {
            if frame.kind != Kind::Request {
                continue;
            }
            let Ok(Request::Hook(hook)) = decode(&frame.body) else { return };
            let payload: Value = serde_json::from_slice(&hook.payload).unwrap_or_default();
            if let Some(transcript) = payload["transcript_path"].as_str() {
                files.follow(PathBuf::from(transcript));
            }
            let made = dsx_supervisor::hook::time_of(&hook.key).unwrap_or_default();
            tape.put(What::Hook { made, key: hook.key, holds: hook.holds, payload });
            if hook.holds {
                held.lock().unwrap_or_else(PoisonError::into_inner).push((frame.channel, stream));
            } else {
                // An agent that was killed waits for nothing.
                let _ = answer(&mut stream, frame.channel, &Reply::Done);
            }
            return;
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => decoder.push(&buffer[..count]),
            _ => return,
        }
    }
}
