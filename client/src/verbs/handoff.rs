//! `dsx handoff`: the work of one session goes on in another.

use dsx_protocol::{Create, ErrorKind, Kill, Reply, Request, Send, SendReceipt, Status};
use serde_json::json;
use uuid::Uuid;

use super::create::{environment, start};
use super::send::text;
use super::{Outcome, note, print_line, session, unexpected};
use crate::cli::HandoffArgs;
use crate::client::Client;
use crate::failure::Failure;

pub(super) fn run(args: &HandoffArgs) -> Outcome {
    // What is wrong with what was typed is found before anything is started.
    let text = text(None, Some(&args.file))?;
    let mut client = Client::open()?;
    let from = full_id(&mut client, &args.id)?;
    if args.to == "new" {
        return to_new(&mut client, args, from, text);
    }
    if args.description.is_some() {
        let what = format!("{} has a description of its own", args.to);
        return Err(Failure::usage(what, "give -d with --to new, or use 'dsx describe'"));
    }
    let to = full_id(&mut client, &args.to)?;
    if to == from {
        let what = format!("{from} cannot hand its work over to itself");
        return Err(Failure::usage(what, "use --to new, or name another session"));
    }
    let receipt = send(&mut client, &to, text, false)?;
    show(args, &from, &to, &receipt)?;
    Ok(0)
}

fn to_new(client: &mut Client, args: &HandoffArgs, from: String, text: String) -> Outcome {
    let create = Create {
        env: environment(&[])?,
        description: Some(args.description.clone().unwrap_or_else(|| format!("handed over from {from}"))),
        key: Some(Uuid::new_v4().to_string()),
        from: Some(from.clone()),
        ..Create::default()
    };
    let created = start(client, create, args.timeout)?;
    let to = created.session.id;
    // Where it asks something before it begins, the message waits behind that.
    let receipt = match send(client, &to, text, created.prompt.is_some()) {
        Ok(receipt) => receipt,
        Err(failure) => return Err(taken_back(client, &to, failure)),
    };
    show(args, &from, &to, &receipt)?;
    if let Some(prompt) = &created.prompt {
        note(&format!("the agent asks before it begins: {}", prompt.text));
        return Ok(ErrorKind::Waiting.exit_code());
    }
    Ok(0)
}

/// The new session got nothing to do: it is removed, and the error says so.
fn taken_back(client: &mut Client, to: &str, failure: Failure) -> Failure {
    let removed = client.call(&Request::Kill(Kill { session: to.to_owned(), grace_ms: None })).is_ok();
    match failure {
        Failure::Error(mut error) => {
            let left = if removed { "was removed again" } else { "is still there" };
            error.message = format!("{}; the new session {to} {left}", error.message);
            Failure::Error(error)
        }
        Failure::Closed => Failure::Closed,
    }
}

fn full_id(client: &mut Client, word: &str) -> Result<String, Failure> {
    let session = session(client, word)?;
    match client.call(&Request::Status(Status { session }))? {
        Reply::Status(status) => Ok(status.session),
        other => Err(unexpected(&other)),
    }
}

fn send(client: &mut Client, to: &str, text: String, queue: bool) -> Result<SendReceipt, Failure> {
    let send = Send {
        session: to.to_owned(),
        text,
        key: Some(format!("auto-{}", Uuid::new_v4())),
        queue,
        template: true,
        ..Send::default()
    };
    match client.call(&Request::Send(send))? {
        Reply::Sent(receipt) => Ok(receipt),
        other => Err(unexpected(&other)),
    }
}

fn show(args: &HandoffArgs, from: &str, to: &str, receipt: &SendReceipt) -> Result<(), Failure> {
    if args.json {
        let turn = receipt.turn.map(|t| t.to_string());
        return print_line(&json!({ "from": from, "to": to, "turn": turn }));
    }
    print_line(&to)
}
