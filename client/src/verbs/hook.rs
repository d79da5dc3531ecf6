//! `dsx hook`, run by an agent at its own events: hands the payload to the supervisor.
//!
//! The report is in the session's spool before anything else happens, so that a supervisor that dies, or is
//! not there, finds it later. The agent waits for its hook, so this never takes long and never fails aloud.
//!
//! One kind is held open: a request for permission, for as long as its question is. The agent shows its dialog
//! meanwhile, and whoever answers first wins. A hook that loses its supervisor asks the next one under the same
//! key, and prints the same answer.

mod plan;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::park_timeout;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dsx_protocol::{Decoder, Hello, Hook, Kind, Reply, Request, body, decode, encode};
use dsx_supervisor::files::write_private;
use dsx_supervisor::hook::{SPOOL, TOKEN};
use serde_bytes::ByteBuf;
use serde_json::Value;
use uuid::Uuid;

/// How long the agent may be kept waiting where it waits for nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest payload that is passed on as it is.
const PAYLOAD: usize = 5 * 1024 * 1024;
/// The largest that is read at all.
const READ_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of one text of a tool's input in a payload that is too large.
const TEXT_MAX: usize = 256 * 1024;
/// How long a hook that waits for a decision looks for a supervisor; after that its dialog has to do.
const SEARCH: Duration = Duration::from_secs(60);
/// Between two looks for one: nothing tells when there is one again.
const SEARCH_AGAIN: Duration = Duration::from_millis(100);

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
    io::stdin().lock().take(READ_MAX).read_to_end(&mut payload)?;
    let read = serde_json::from_slice::<Value>(&payload).unwrap_or_default();
    let holds = read["hook_event_name"] == "PermissionRequest";
    let payload = passable(plan::with_plan(read).unwrap_or(payload));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let key = format!("{now}-{}", Uuid::new_v4().simple());
    write_private(&dir.join(SPOOL).join(&key), &payload)?;
    let token = fs::read_to_string(dir.join(TOKEN))?.trim().to_owned();
    let session = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let request = Request::Hook(Hook { session, token, key, payload: ByteBuf::from(payload), holds });
    if !holds {
        return deliver(&request, Some(Instant::now() + PATIENCE)).map(drop);
    }
    let output = await_decision(&request)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&output)?;
    stdout.flush()
}

/// A payload that is too large is passed on without what makes it so: what a tool was given is cut, and the words
/// of a turn are left for the transcript to tell.
fn passable(payload: Vec<u8>) -> Vec<u8> {
    if payload.len() <= PAYLOAD {
        return payload;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&payload) else { return Vec::new() };
    fields.remove("tool_response");
    if let Some(input) = fields.get_mut("tool_input") {
        cut(input);
    }
    let shorter = serde_json::to_vec(&fields).unwrap_or_default();
    if shorter.len() <= PAYLOAD {
        return shorter;
    }
    let known = ["hook_event_name", "session_id", "transcript_path", "prompt_id", "tool_name", "agent_id"];
    fields.retain(|name, _| known.contains(&name.as_str()));
    serde_json::to_vec(&fields).unwrap_or_default()
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT_MAX => {
            let end = text.floor_char_boundary(TEXT_MAX);
            *text = format!("{}\n(… {} bytes more)", &text[..end], text.len() - end);
        }
        Value::Array(list) => list.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        _ => {}
    }
}

/// Waits for as long as the question is open. The same report, under the same key, is made to whichever supervisor
/// there is.
fn await_decision(request: &Request) -> io::Result<Vec<u8>> {
    let mut alone_since: Option<Instant> = None;
    loop {
        match deliver(request, None) {
            Ok(output) => return Ok(output),
            // It had one, which has ended.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => alone_since = None,
            Err(_) => {}
        }
        if alone_since.get_or_insert_with(Instant::now).elapsed() > SEARCH {
            return Err(io::ErrorKind::NotConnected.into());
        }
        park_timeout(SEARCH_AGAIN);
    }
}

/// Hands the report over and waits for the answer, without a deadline for as long as the supervisor lives. Returns
/// what the agent is to be told.
fn deliver(request: &Request, deadline: Option<Instant>) -> io::Result<Vec<u8>> {
    let socket = std::env::var_os("DSX_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let mut stream = UnixStream::connect(socket)?;
    let frame = |kind, channel, bytes: Result<Vec<u8>, _>| {
        bytes.and_then(|b| encode(kind, channel, &b)).map_err(io::Error::other)
    };
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&frame(Kind::Hello, 0, body(&Hello::ours()))?)?;
    stream.write_all(&frame(Kind::Request, 1, body(request))?)?;
    let mut decoder = Decoder::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(frame) = decoder.next_frame().map_err(io::Error::other)? {
            match frame.kind {
                Kind::Reply => {
                    let reply = decode(&frame.body).map_err(io::Error::other)?;
                    let decided =
                        if let Reply::Decided(decided) = reply { decided.output } else { ByteBuf::new() };
                    return Ok(decided.into_vec());
                }
                Kind::Error => return Ok(Vec::new()),
                _ => {}
            }
        }
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(left)?;
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => decoder.push(buffer.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_too_large_is_passed_on_without_what_makes_it_so() {
        let long = "x".repeat(PAYLOAD + 1);
        let write = serde_json::json!({
            "hook_event_name": "PermissionRequest", "tool_name": "Write", "tool_input": {"content": long},
        });
        let passed: Value = serde_json::from_slice(&passable(write.to_string().into_bytes())).unwrap();
        assert_eq!(
            (&passed["tool_name"], &passed["hook_event_name"]),
            (&"Write".into(), &"PermissionRequest".into())
        );
        assert!(passed["tool_input"]["content"].as_str().unwrap().ends_with("bytes more)"));
        // An answer is told whole or not at all.
        let stop =
            serde_json::json!({"hook_event_name": "Stop", "prompt_id": "p", "last_assistant_message": long});
        let passed: Value = serde_json::from_slice(&passable(stop.to_string().into_bytes())).unwrap();
        assert_eq!(passed, serde_json::json!({"hook_event_name": "Stop", "prompt_id": "p"}));
        assert!(passable(long.into_bytes()).is_empty());
        assert_eq!(passable(b"{}".to_vec()), b"{}");
    }
}
