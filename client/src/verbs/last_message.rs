//! `dsx last-message`

use std::io::{self, IsTerminal as _};

use dsx_protocol::{LastMessage, Message, Reply, Request};

use super::{Outcome, print, print_line, session, unexpected};
use crate::cli::LastMessageArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::json;
use crate::output::sanitize::multi_line;

pub(super) fn run(args: &LastMessageArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    let request = LastMessage { session, turn: args.turn, count: args.count, all: false };
    let messages = fetch(&mut client, request)?;
    if args.json {
        let all: serde_json::Value = messages.iter().map(json::message).collect();
        print_line(&all)?;
    } else {
        for text in messages.iter().filter_map(|m| m.text.as_deref()) {
            print_text(text)?;
        }
    }
    Ok(0)
}

pub(super) fn fetch(client: &mut Client, request: LastMessage) -> Result<Vec<Message>, Failure> {
    match client.call(&Request::LastMessage(request))? {
        Reply::Messages(messages) => Ok(messages.messages),
        other => Err(unexpected(&other)),
    }
}

/// The text as it is for a program; for a terminal without anything that would drive it.
pub(super) fn print_text(text: &str) -> Result<(), Failure> {
    let shown = if io::stdout().is_terminal() { multi_line(text) } else { text.into() };
    print(&shown)?;
    if shown.ends_with('\n') { Ok(()) } else { print("\n") }
}
