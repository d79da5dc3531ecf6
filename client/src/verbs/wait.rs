//! `dsx wait`

use std::time::{Duration, Instant};

use dsx_protocol::{ErrorKind, Event, Reply, Request, Settled, Status, TurnId, Wait};

use super::create::deadline;
use super::select::selected;
use super::{Outcome, note_error, print_line, session, unexpected};
use crate::cli::{UntilArgs, WaitArgs};
use crate::client::{Client, Incoming};
use crate::failure::Failure;
use crate::{json, outcome};

/// How long a supervisor may take to say how things stand, whatever the time given: a wait of no time still
/// answers for what has settled already.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// One session that is waited for.
struct Waiting {
    request: Wait,
    channel: u32,
    /// The channel of a question that is answered at once, behind whatever settles at once.
    probe: u32,
    probed: bool,
    code: Option<u8>,
}

pub(super) fn run(args: &WaitArgs) -> Outcome {
    let mut client = Client::open()?;
    let deadline = deadline(args.until.timeout)?;
    let mut waits: Vec<Waiting> = sessions(&mut client, args)?
        .into_iter()
        .map(|id| Waiting {
            request: request(id, &args.until),
            channel: 0,
            probe: 0,
            probed: false,
            code: None,
        })
        .collect();
    let alone = waits.len() == 1;
    ask_all(&mut client, &mut waits)?;
    let first_answer = Instant::now() + FIRST_ANSWER;
    while waits.iter().any(|w| w.code.is_none()) {
        let probing = waits.iter().any(|w| !w.probed && w.code.is_none());
        let until = deadline.map(|at| if probing { at.max(first_answer) } else { at });
        let (channel, incoming) = client.next(until)?;
        match incoming {
            Incoming::Lost => {
                client.reopen()?;
                ask_all(&mut client, &mut waits)?;
            }
            Incoming::TimedOut => time_out(&mut waits, args.json)?,
            Incoming::Error(error) if channel == 0 => return Err(error.into()),
            incoming => {
                if let Some(waiting) = waits.iter_mut().find(|w| w.probe == channel) {
                    waiting.probed = true;
                }
                let waiting = waits.iter_mut().find(|w| w.channel == channel && w.code.is_none());
                let settled = waiting.map(|w| w.take(incoming, args, alone)).transpose()?.flatten();
                if let Some(code) = settled.filter(|_| args.any) {
                    return Ok(code);
                }
            }
        }
    }
    Ok(waits.iter().filter_map(|w| w.code).find(|c| *c != 0).unwrap_or(0))
}

/// Those that are named, in their order, then those that are selected: exited ones too, since one that ended
/// before its turn did is what a wait is to tell. Who is selected is decided once, when the wait begins.
fn sessions(client: &mut Client, args: &WaitArgs) -> Result<Vec<String>, Failure> {
    let mut ids = args.ids.iter().map(|word| session(client, word)).collect::<Result<Vec<_>, _>>()?;
    if args.select.is_some() {
        let found = selected(client, &args.select, true)?.into_iter().map(|s| s.id);
        let named = |id: &String| args.ids.iter().any(|word| id.starts_with(word.as_str()));
        ids.extend(found.filter(|id| !named(id)));
    }
    Ok(ids)
}

impl Waiting {
    /// The exit code, once it has settled.
    fn take(&mut self, incoming: Incoming, args: &WaitArgs, alone: bool) -> Result<Option<u8>, Failure> {
        match incoming {
            Incoming::Reply(Reply::Settled(settled)) => {
                show(&settled, args.json)?;
                self.code = Some(outcome::exit_code(&settled, args.until.until.as_deref()));
                return Ok(self.code);
            }
            Incoming::Event(Event::WaitBound(bound)) => {
                self.request.session = bound.session;
                // What is not about a turn is asked again without one.
                if matches!(self.request.until.as_deref(), None | Some("ended")) {
                    self.request.turn = bound.turn;
                }
            }
            Incoming::Error(error) if alone => return Err(error.into()),
            // Whoever waits for any of several expects each of them to be able to settle.
            Incoming::Error(error) if args.any && error.kind == ErrorKind::Refused => {
                return Err(error.into());
            }
            Incoming::Error(error) => {
                self.code = Some(error.kind.exit_code());
                // It is told at once, and the others are waited for.
                note_error(&error, args.json);
            }
            Incoming::Reply(other) => return Err(unexpected(&other)),
            _ => {}
        }
        Ok(None)
    }
}

fn request(session: String, until: &UntilArgs) -> Wait {
    Wait { session, turn: until.turn, until: until.until.clone() }
}

fn ask_all(client: &mut Client, waits: &mut [Waiting]) -> Result<(), Failure> {
    for waiting in waits.iter_mut().filter(|w| w.code.is_none()) {
        waiting.channel = client.ask(&Request::Wait(waiting.request.clone()))?;
        let session = waiting.request.session.clone();
        waiting.probe = client.ask(&Request::Status(Status { session }))?;
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

/// Begins to wait for a session before anything is asked of it, until the connection ends: where the session may
/// not be waited for from here, nothing has been asked. Outside of a session nobody waits for the caller.
pub(super) fn stand(client: &mut Client, word: &str, deadline: Option<Instant>) -> Result<(), Failure> {
    if std::env::var_os("DSX_SESSION").is_none() {
        return Ok(());
    }
    let session = session(client, word)?;
    let until = Some("exited".to_owned());
    let channel = client.ask(&Request::Wait(Wait { session: session.clone(), turn: None, until }))?;
    // Answered behind it: the wait stands by then.
    let probe = client.ask(&Request::Status(Status { session }))?;
    loop {
        match client.next(deadline)? {
            (c, Incoming::Error(error)) if [channel, probe, 0].contains(&c) => return Err(error.into()),
            (c, Incoming::Reply(_)) if [channel, probe].contains(&c) => return Ok(()),
            // What is asked next tells of it; that the wait may not stand, the wait for the turn.
            (_, Incoming::Lost | Incoming::TimedOut) => return Ok(()),
            _ => {}
        }
    }
}
