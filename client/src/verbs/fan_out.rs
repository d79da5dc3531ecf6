//! `dsx send` to all sessions of a group or with a label.

use dsx_protocol::{Event, Reply, Request, Send, SendReceipt, WireError};

use super::select::selected;
use super::send::{draft_ms, note_held, request, text};
use super::{Outcome, note_error, print_line, unexpected};
use crate::cli::SendVerb;
use crate::client::{Client, Incoming};
use crate::failure::Failure;
use crate::json;

/// What became of one session's message.
type Told = Result<SendReceipt, WireError>;

/// Sends the same message to each session, all at once, and prints a line for each in the order of their ids.
pub(super) fn run(verb: &SendVerb) -> Outcome {
    let args = &verb.send;
    // With a selector there is no id: the first word is the message.
    let words = match (args.id.as_str(), &args.text) {
        ("", None) => None,
        (text, None) => Some(text),
        (_, Some(_)) => {
            let hint = "give either an id, or --group and --label";
            return Err(Failure::usage("a session and a selector are given", hint));
        }
    };
    if let (Some(_), Some(file)) = (words, &args.file) {
        let what = format!("a message and the file {} are given", file.display());
        return Err(Failure::usage(what, "give one of them"));
    }
    let draft_ms = draft_ms(verb.timeout)?;
    let text = text(words, args.file.as_deref())?;
    let mut client = Client::open()?;
    let sessions = selected(&mut client, &verb.select, false)?;
    let mut sends: Vec<Send> = Vec::new();
    for session in sessions {
        // A repeat of the whole command is a repeat in each session.
        let key = args.key.as_ref().map(|key| format!("{key}@{}", session.id));
        sends.push(request(args, session.id, text.clone(), key, draft_ms));
    }
    let told = ask_all(&mut client, &sends)?;
    let mut code = 0;
    for (send, told) in sends.iter().zip(told) {
        let failed = show(&send.session, told, args.json)?;
        code = if code == 0 { failed } else { code };
    }
    Ok(code)
}

/// What each send comes to. Each has a key, so that all can be asked again of the next supervisor.
fn ask_all(client: &mut Client, sends: &[Send]) -> Result<Vec<Told>, Failure> {
    let mut told: Vec<Option<Told>> = sends.iter().map(|_| None).collect();
    while told.iter().any(Option::is_none) {
        let mut channels = Vec::new();
        for (at, send) in
            sends.iter().enumerate().filter(|(at, _)| told.get(*at).is_some_and(Option::is_none))
        {
            channels.push((client.ask(&Request::Send(send.clone()))?, at));
        }
        while !channels.is_empty() {
            let (channel, incoming) = client.next(None)?;
            let result = match incoming {
                Incoming::Lost => {
                    client.reopen()?;
                    break;
                }
                Incoming::Reply(Reply::Sent(receipt)) => Ok(receipt),
                Incoming::Reply(other) => return Err(unexpected(&other)),
                Incoming::Error(error) if channel == 0 => return Err(error.into()),
                Incoming::Error(error) => Err(error),
                Incoming::Event(Event::Held(held)) => {
                    note_held(&held);
                    continue;
                }
                _ => continue,
            };
            let answered = channels.extract_if(.., |(c, _)| *c == channel).map(|(_, at)| at).next();
            if let Some(place) = answered.and_then(|at| told.get_mut(at)) {
                *place = Some(result);
            }
        }
    }
    Ok(told.into_iter().flatten().collect())
}

/// Prints one session's line; the exit code it stands for.
fn show(session: &str, told: Told, as_json: bool) -> Result<u8, Failure> {
    match told {
        Ok(receipt) if as_json => print_line(&json::sent(&receipt))?,
        Ok(receipt) => {
            let turn = receipt.turn.map(|t| t.to_string()).unwrap_or_default();
            let stopped = receipt.interrupted.map(|t| format!(" interrupted {t}")).unwrap_or_default();
            print_line(&format!("{session} {turn} {}{stopped}", receipt.delivery))?;
        }
        Err(error) => {
            let code = error.kind.exit_code();
            let error =
                WireError { session: Some(error.session.unwrap_or_else(|| session.to_owned())), ..error };
            note_error(&error, as_json);
            return Ok(code);
        }
    }
    Ok(0)
}
