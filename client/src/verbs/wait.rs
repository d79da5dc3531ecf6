//! `dsx wait`

use std::time::Instant;

use dsx_protocol::{Event, Reply, Request, Settled, TurnId, Wait, WireError};

use super::create::deadline;
use super::{Outcome, print_line, session, unexpected};
use crate::cli::{UntilArgs, WaitArgs};
use crate::client::{Client, Incoming};
use crate::failure::Failure;
use crate::{json, outcome};

/// One session that is waited for.
struct Waiting {
    request: Wait,
    channel: u32,
    code: Option<u8>,
}

pub(super) fn run(args: &WaitArgs) -> Outcome {
    let mut client = Client::open()?;
    let deadline = deadline(args.until.timeout)?;
    let mut waits = Vec::new();
    for word in &args.ids {
        let id = session(&mut client, word)?;
        waits.push(Waiting { request: request(id, &args.until), channel: 0, code: None });
    }
    ask_all(&mut client, &mut waits)?;
    let until = args.until.until.as_deref();
    while waits.iter().any(|w| w.code.is_none()) {
        let (channel, incoming) = client.next(deadline)?;
        let waiting = waits.iter_mut().find(|w| w.channel == channel && w.code.is_none());
        match (waiting, incoming) {
            (Some(waiting), Incoming::Reply(Reply::Settled(settled))) => {
                let code = outcome::exit_code(&settled, until);
                waiting.code = Some(code);
                show(&settled, args.json)?;
                if args.any {
                    return Ok(code);
                }
            }
            (Some(waiting), Incoming::Event(Event::WaitBound(bound))) => {
                waiting.request.session = bound.session;
                waiting.request.turn = bound.turn;
            }
            (Some(waiting), Incoming::Error(error)) => {
                if args.ids.len() == 1 {
                    return Err(error.into());
                }
                waiting.code = Some(error.kind.exit_code());
                show_error(&error, args.json);
            }
            (None, Incoming::Error(error)) if channel == 0 => return Err(error.into()),
            (Some(_), Incoming::Reply(other)) => return Err(unexpected(&other)),
            (_, Incoming::Lost) => {
                client.reopen()?;
                ask_all(&mut client, &mut waits)?;
            }
            (_, Incoming::TimedOut) => time_out(&mut waits, args.json)?,
            _ => {}
        }
    }
    Ok(waits.iter().filter_map(|w| w.code).find(|c| *c != 0).unwrap_or(0))
}

fn request(session: String, until: &UntilArgs) -> Wait {
    Wait { session, turn: until.turn, until: until.until.clone() }
}

fn ask_all(client: &mut Client, waits: &mut [Waiting]) -> Result<(), Failure> {
    for waiting in waits.iter_mut().filter(|w| w.code.is_none()) {
        waiting.channel = client.ask(&Request::Wait(waiting.request.clone()))?;
    }
    Ok(())
}

fn time_out(waits: &mut [Waiting], json: bool) -> Result<(), Failure> {
    for waiting in waits.iter_mut().filter(|w| w.code.is_none()) {
        let settled = timed_out(&waiting.request);
        waiting.code = Some(outcome::exit_code(&settled, None));
        show(&settled, json)?;
    }
    Ok(())
}

fn timed_out(request: &Wait) -> Settled {
    Settled {
        session: request.session.clone(),
        turn: request.turn,
        outcome: "timeout".to_owned(),
        ..Settled::default()
    }
}

fn show(settled: &Settled, as_json: bool) -> Result<(), Failure> {
    if as_json { print_line(&json::settled(settled)) } else { print_line(&outcome::line(settled)) }
}

/// One of several ids is wrong: it is told at once, and the others are waited for.
fn show_error(error: &WireError, as_json: bool) {
    if as_json {
        super::note(&json::error(error).to_string());
    } else {
        super::note(&format!("dsx: {}", error.message));
    }
}

/// Waits for one turn without printing anything.
pub(super) fn settle(
    client: &mut Client,
    session: &str,
    turn: Option<TurnId>,
    until: Option<&str>,
    deadline: Option<Instant>,
) -> Result<Settled, Failure> {
    let mut request = Wait { session: session.to_owned(), turn, until: until.map(str::to_owned) };
    loop {
        let channel = client.ask(&Request::Wait(request.clone()))?;
        loop {
            match client.next(deadline)? {
                (c, Incoming::Reply(Reply::Settled(settled))) if c == channel => return Ok(settled),
                (c, Incoming::Event(Event::WaitBound(bound))) if c == channel => request.turn = bound.turn,
                (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
                (_, Incoming::Lost) => break,
                (_, Incoming::TimedOut) => return Ok(timed_out(&request)),
                _ => {}
            }
        }
        client.reopen()?;
    }
}
