//! `dsx send`

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use dsx_protocol::{Event, Held, Reply, Request, Send, SendReceipt};
use uuid::Uuid;

use super::{Outcome, note, print_line, session, unexpected};
use crate::cli::{SendArgs, SendVerb};
use crate::client::Client;
use crate::failure::Failure;
use crate::json;

pub(super) fn run(verb: &SendVerb) -> Outcome {
    if verb.select.is_some() {
        return super::fan_out::run(verb);
    }
    let (args, draft_ms) = (&verb.send, draft_ms(verb.timeout)?);
    let text = text(args.text.as_deref(), args.file.as_deref())?;
    let receipt = send(&mut Client::open()?, args, text, draft_ms)?;
    if args.json {
        print_line(&json::sent(&receipt))?;
    } else {
        let turn = receipt.turn.map(|t| t.to_string()).unwrap_or_default();
        print_line(&turn)?;
        tell(&receipt, &turn);
    }
    Ok(0)
}

/// What the turn's id alone does not say.
fn tell(receipt: &SendReceipt, turn: &str) {
    if let Some(stopped) = receipt.interrupted {
        note(&format!("interrupted {stopped}"));
    }
    match receipt.delivery.as_str() {
        "queued" => note(&format!("{turn} is queued")),
        "absorbed" => note(&format!("joined {turn}")),
        _ => {}
    }
}

pub(super) fn draft_ms(timeout: Option<f64>) -> Result<Option<u64>, Failure> {
    match timeout {
        None => Ok(None),
        Some(s) if s >= 0.0 => Ok(Some((s * 1000.0) as u64)),
        Some(_) => Err(Failure::usage("the timeout is negative", "give seconds, 0 or more")),
    }
}

/// `draft_ms`: how long somebody's draft may be in the way, where that is not left to the supervisor.
pub(super) fn send(
    client: &mut Client,
    args: &SendArgs,
    text: String,
    draft_ms: Option<u64>,
) -> Result<SendReceipt, Failure> {
    let session = session(client, &args.id)?;
    let request = Request::Send(request(args, session, text, args.key.clone(), draft_ms));
    let mut told = false;
    let on_event = |event: Event| {
        if let (Event::Held(held), false) = (event, told) {
            told = true;
            note_held(&held);
        }
    };
    match client.call_with(&request, on_event)? {
        Reply::Sent(receipt) => Ok(receipt),
        other => Err(unexpected(&other)),
    }
}

/// Somebody's draft is in the way.
pub(super) fn note_held(held: &Held) {
    note(&format!("dsx: somebody's draft is in {}'s input box: waiting", held.session));
}

pub(super) fn request(
    args: &SendArgs,
    session: String,
    text: String,
    key: Option<String>,
    draft_ms: Option<u64>,
) -> Send {
    Send {
        session,
        text,
        // Without a name of the caller's, one of ours: a repeat after a lost connection is harmless.
        key: Some(key.unwrap_or_else(|| format!("auto-{}", Uuid::new_v4()))),
        queue: args.queue,
        command: args.command,
        template: args.file.is_some(),
        interrupt: args.interrupt,
        steer: args.steer,
        draft_ms,
    }
}

/// The message: the argument, a file, or standard input.
pub(super) fn text(text: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    match (text, file) {
        (Some("-"), _) => read_input(),
        (None, Some(path)) if path == Path::new("-") => read_input(),
        (None, Some(path)) => {
            let shown = path.display();
            let bytes = fs::read(path).map_err(|e| {
                Failure::failed(format!("the file {shown} cannot be read: {e}"), "check its path")
            })?;
            utf8(bytes, &format!("the file {shown}"))
        }
        (Some(text), _) => Ok(text.to_owned()),
        (None, None) => {
            Err(Failure::usage("there is no message", "give a text, --file F, or '-' to read standard input"))
        }
    }
}

fn read_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|e| {
        Failure::failed(format!("standard input cannot be read: {e}"), "give the text itself")
    })?;
    utf8(bytes, "standard input")
}

fn utf8(bytes: Vec<u8>, what: &str) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Failure::failed(
            format!("{what} is not UTF-8 (byte {at})"),
            "convert it first, with 'iconv' for example",
        )
    })
}
