//! `dsx logs`

use std::io::{self, Write as _};

use dsx_protocol::{Event, LastMessage, Logs, Message, Reply, Request};

use super::{Outcome, last_message, note, print, print_line, session, unexpected};
use crate::cli::LogsArgs;
use crate::client::{Client, Incoming};
use crate::failure::Failure;
use crate::json;
use crate::output::sanitize::multi_line;

/// Turns shown at most.
const TURNS: u32 = 10_000;

pub(super) fn run(args: &LogsArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    if args.raw {
        return raw(&mut client, session);
    }
    let request = LastMessage { session, turn: None, count: TURNS, all: true };
    let messages = last_message::fetch(&mut client, request)?;
    for message in &messages {
        if args.json {
            let mut value = json::message(message);
            value["request"] = serde_json::json!(message.request);
            print_line(&value)?;
        } else {
            print(&as_text(message))?;
        }
    }
    Ok(0)
}

/// What was asked behind `>`, the answer below it, and how the turn ended where that was not well.
fn as_text(message: &Message) -> String {
    let turn = message.turn.map(|t| t.to_string()).unwrap_or_default();
    let request = message.request.as_deref().unwrap_or_default();
    let mut text = format!("[{turn}] > {}\n", multi_line(request).trim_end());
    let answer = message.text.as_deref().map(multi_line).unwrap_or_default();
    if !answer.trim_end().is_empty() {
        text.push_str(answer.trim_end());
        text.push('\n');
    }
    match message.outcome.as_str() {
        "ended" => {}
        "" => text.push_str("(has not ended)\n"),
        other => text.push_str(&format!("({other})\n")),
    }
    text.push('\n');
    text
}

/// All that is kept of the output, byte for byte.
fn raw(client: &mut Client, session: String) -> Outcome {
    let mut from = 0;
    loop {
        let request = Logs { session: session.clone(), raw: true, from: Some(from), follow: false };
        let (at, answered) = pieces(client, &Request::Logs(request), from)?;
        // No more of it: an answer, and not a connection that ended.
        if answered && at == from {
            return Ok(0);
        }
        from = at;
    }
}

/// Writes what one request gives; returns the offset to go on from, and whether it was answered to its end.
fn pieces(client: &mut Client, request: &Request, from: u64) -> Result<(u64, bool), Failure> {
    let mut at = from;
    let channel = client.ask(request)?;
    loop {
        match client.next(None)? {
            (c, Incoming::Event(Event::Log(piece))) if c == channel => {
                if piece.expired > 0 {
                    note(&format!("dsx: {} bytes of older output are no longer kept", piece.expired));
                }
                let mut stdout = io::stdout().lock();
                stdout.write_all(&piece.bytes)?;
                stdout.flush()?;
                at = piece.offset + piece.bytes.len() as u64;
            }
            (c, Incoming::Reply(Reply::Done)) if c == channel => return Ok((at, true)),
            (c, Incoming::Reply(other)) if c == channel => return Err(unexpected(&other)),
            (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
            (_, Incoming::Lost) => {
                client.reopen()?;
                return Ok((at, false));
            }
            _ => {}
        }
    }
}
