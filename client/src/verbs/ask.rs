//! `dsx ask`: send, wait, last-message.

use std::time::Instant;

use dsx_protocol::{LastMessage, SendReceipt, Settled};
use serde_json::json;

use super::create::deadline;
use super::send::{send, text};
use super::wait::{settle, stand};
use super::{Outcome, last_message, note, print_line};
use crate::cli::AskArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::{json as fields, outcome};

/// How long the supervisor waits for a draft of its own accord.
const DRAFT_S: f64 = 30.0;

pub(super) fn run(args: &AskArgs) -> Outcome {
    let text = text(args.send.text.as_deref(), args.send.file.as_deref())?;
    let mut client = Client::open()?;
    let deadline = deadline(args.until.timeout)?;
    stand(&mut client, &args.send.id, deadline)?;
    client.until(deadline);
    let receipt = send(&mut client, &args.send, text, draft_ms(args.until.timeout))?;
    client.until(None);
    finish(&mut client, &receipt, args.until.until.as_deref(), deadline, args.send.json)
}

/// How long somebody's draft may be in the way: a message that nobody waits for any more is not typed.
fn draft_ms(timeout: Option<f64>) -> Option<u64> {
    timeout.filter(|s| *s < DRAFT_S).map(|s| (s * 900.0) as u64)
}

/// Waits for the sent turn and prints its answer.
pub(super) fn finish(
    client: &mut Client,
    receipt: &SendReceipt,
    until: Option<&str>,
    deadline: Option<Instant>,
    json: bool,
) -> Outcome {
    let settled = settle(client, &receipt.session, receipt.turn, until, deadline)?;
    let answer = answer(client, &settled)?;
    let code = outcome::exit_code(&settled, until);
    if json {
        let mut value = fields::settled(&settled);
        value["text"] = json!(answer);
        print_line(&value)?;
    } else {
        if let Some(answer) = answer.filter(|a| !a.is_empty()) {
            last_message::print_text(&answer)?;
        }
        if code != 0 {
            note(&format!("dsx: {}", outcome::line(&settled)));
        }
    }
    Ok(code)
}

/// The turn's text, if it has ended with one.
fn answer(client: &mut Client, settled: &Settled) -> Result<Option<String>, Failure> {
    let over = ["ended", "interrupted", "failed", "exited"].contains(&settled.outcome.as_str());
    let Some(turn) = settled.turn.filter(|_| over) else { return Ok(None) };
    let request = LastMessage { session: settled.session.clone(), turn: Some(turn), count: 1, all: false };
    let messages = last_message::fetch(client, request)?;
    Ok(messages.into_iter().next().and_then(|m| m.text))
}
