//! `dsx kill`

use std::time::{SystemTime, UNIX_EPOCH};

use dsx_protocol::{ErrorKind, Kill, Reply, Request, Summary, WireError};
use serde_json::json;

use super::select::selected;
use super::{Outcome, note_error, print_line, session, unexpected};
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
    let ids = meant(&mut client, args)?;
    // All are asked before any is waited for: their graces run side by side.
    let mut asked = Vec::new();
    for id in ids {
        let channel = client.ask(&Request::Kill(Kill { session: id.clone(), grace_ms }))?;
        asked.push((channel, id));
    }
    finish(&mut client, asked, args)
}

/// The ids as they were typed, or those of all sessions that are meant.
fn meant(client: &mut Client, args: &KillArgs) -> Result<Vec<String>, Failure> {
    if !args.ids.is_empty() {
        return args.ids.iter().map(|word| session(client, word)).collect();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let found = selected(client, &args.select, true)?;
    Ok(found.into_iter().filter(|s| is_old(s, args.older_than, now)).map(|s| s.id).collect())
}

/// Whether nobody has used it for so long. A turn may take days, and so may somebody who looks.
fn is_old(s: &Summary, age: Option<u64>, now: u64) -> bool {
    let Some(age) = age else { return true };
    let in_use = s.viewers > 0 || matches!(s.status.as_str(), "working" | "starting");
    !in_use && s.last_used < now.saturating_sub(age)
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
    if args.ids.len() == 1 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_not_old() {
        let session = |status: &str, viewers, last_used| Summary {
            status: status.to_owned(),
            viewers,
            last_used,
            ..Summary::default()
        };
        let old = |s: &Summary| is_old(s, Some(1_000), 10_000);
        assert!(old(&session("idle", 0, 8_999)));
        assert!(old(&session("exited", 0, 8_999)) && old(&session("waiting_for_input", 0, 1)));
        assert!(!old(&session("idle", 0, 9_000)) && !old(&session("idle", 0, 99_999)));
        assert!(!old(&session("working", 0, 1)) && !old(&session("idle", 1, 1)));
        assert!(is_old(&session("working", 1, 9_999), None, 10_000));
        assert!(!is_old(&session("idle", 0, 5), Some(u64::MAX), 10_000));
    }
}
