//! `dsx hook`, run by an agent at its own events: hands the payload to the supervisor.
//!
//! The report is in the session's spool before anything else happens, so that a supervisor that dies, or is
//! not there, finds it later. The agent waits for its hook, so this never takes long and never fails aloud.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dsx_protocol::{Hello, Hook, Kind, Request, body, encode};
use dsx_supervisor::files::write_private;
use dsx_supervisor::hook::{SPOOL, TOKEN};
use serde_bytes::ByteBuf;
use uuid::Uuid;

/// How long the agent may be kept waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest payload that is passed on.
const PAYLOAD: u64 = 5 * 1024 * 1024;

/// Always ends with 0: an agent must not stop because its watcher has a fault.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    if let [flag, dir] = args.collect::<Vec<_>>().as_slice()
        && flag == "--dir"
    {
        // What went wrong is the supervisor's to find out; the agent has no use for it.
        let _ = report(&PathBuf::from(dir));
    }
    ExitCode::SUCCESS
}

fn report(dir: &Path) -> io::Result<()> {
    let mut payload = Vec::new();
    io::stdin().lock().take(PAYLOAD).read_to_end(&mut payload)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let key = format!("{now}-{}", Uuid::new_v4().simple());
    write_private(&dir.join(SPOOL).join(&key), &payload)?;
    let token = fs::read_to_string(dir.join(TOKEN))?.trim().to_owned();
    let session = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    deliver(&Request::Hook(Hook { session, token, key, payload: ByteBuf::from(payload), holds: false }))
}

/// Hands the report over and waits until it was taken, briefly.
fn deliver(request: &Request) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let socket = std::env::var_os("DSX_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let mut stream = UnixStream::connect(socket)?;
    let frame = |kind, channel, bytes: Result<Vec<u8>, _>| {
        bytes.and_then(|b| encode(kind, channel, &b)).map_err(io::Error::other)
    };
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&frame(Kind::Hello, 0, body(&Hello::ours()))?)?;
    stream.write_all(&frame(Kind::Request, 1, body(request))?)?;
    let mut decoder = dsx_protocol::Decoder::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
            if matches!(frame.kind, Kind::Reply | Kind::Error) {
                return Ok(());
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => decoder.push(buffer.get(..read).unwrap_or_default()),
        }
    }
}
