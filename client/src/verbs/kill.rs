//! `dsx kill`

use dsx_protocol::{ErrorKind, Kill, Reply, Request, WireError};
use serde_json::json;

use super::{Outcome, list, note_error, print_line, session, unexpected};
use crate::cli::KillArgs;
use crate::client::{Client, Incoming};
use crate::failure::Failure;

pub(super) fn run(args: &KillArgs) -> Outcome {
    let mut client = Client::open()?;
    let grace_ms = match args.grace {
        None => None,
        Some(s) if (0.0..=86_400.0).contains(&s) => Some((s * 1000.0) as u64),
        Some(s) => return Err(Failure::usage(format!("{s} is no grace"), "give seconds, such as 3")),
    };
    let ids = if args.all {
        list::fetch(&mut client, true)?.sessions.into_iter().map(|s| s.id).collect()
    } else {
        args.ids.iter().map(|word| session(&mut client, word)).collect::<Result<Vec<_>, _>>()?
    };
    // All are asked before any is waited for: their graces run side by side.
    let mut asked = Vec::new();
    for id in ids {
        let channel = client.ask(&Request::Kill(Kill { session: id.clone(), grace_ms }))?;
        asked.push((channel, id));
    }
    finish(&mut client, asked, args)
}

fn finish(client: &mut Client, mut asked: Vec<(u32, String)>, args: &KillArgs) -> Outcome {
    let mut code = 0;
    while !asked.is_empty() {
        let (channel, incoming) = client.next(None)?;
        match incoming {
            Incoming::Reply(Reply::Killed(killed)) => {
                if args.json {
                    print_line(&json!({ "session": killed.session, "exit_code": killed.exit_code }))?;
                }
            }
            Incoming::Reply(other) => return Err(unexpected(&other)),
            Incoming::Error(error) => code = failed(error, args, code)?,
            Incoming::Lost => {
                client.reopen()?;
                return again(client, asked, args);
            }
            _ => continue,
        }
        asked.retain(|(c, _)| *c != channel);
    }
    Ok(code)
}

fn failed(error: WireError, args: &KillArgs, code: u8) -> Result<u8, Failure> {
    if args.ids.len() <= 1 && !args.all {
        return Err(error.into());
    }
    note_error(&error, args.json);
    Ok(if code == 0 { error.kind.exit_code() } else { code })
}

/// The supervisor died meanwhile: what is gone by now was killed.
fn again(client: &mut Client, asked: Vec<(u32, String)>, args: &KillArgs) -> Outcome {
    for (_, id) in asked {
        let request = Request::Kill(Kill { session: id, grace_ms: args.grace.map(|s| (s * 1000.0) as u64) });
        match client.call(&request) {
            Ok(_) => {}
            Err(Failure::Error(error)) if error.kind == ErrorKind::NoSession => {}
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}
