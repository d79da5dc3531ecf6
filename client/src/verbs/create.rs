//! `dsx create`

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use dsx_protocol::{Create, Created, ErrorKind, Pair, Reply, Request, WireError};
use serde_bytes::ByteBuf;
use uuid::Uuid;

use super::{Outcome, note, print_line};
use crate::cli::{CreateArgs, CreateVerb};
use crate::client::{Client, Incoming};
use crate::failure::Failure;
use crate::json;

pub(super) fn run(verb: &CreateVerb) -> Outcome {
    let args = &verb.new;
    let created = create(&mut Client::open()?, args, verb.timeout)?;
    if args.json {
        print_line(&json::created(&created.session))?;
    } else {
        print_line(&created.session.id)?;
        if !args.quiet {
            note(&format!("{} in {}", created.session.cli, created.session.path));
        }
    }
    if let Some(prompt) = &created.prompt {
        note(&format!("the agent asks before it begins: {}", prompt.text));
        return Ok(ErrorKind::Waiting.exit_code());
    }
    Ok(0)
}

/// Starts a session and waits until it takes input or asks something.
pub(super) fn create(client: &mut Client, args: &CreateArgs, timeout: f64) -> Result<Created, Failure> {
    start(client, request(args)?, timeout)
}

pub(super) fn start(client: &mut Client, create: Create, timeout: f64) -> Result<Created, Failure> {
    let request = Request::Create(create);
    let deadline = deadline(Some(timeout))?;
    loop {
        let channel = client.ask(&request)?;
        loop {
            match client.next(deadline)? {
                (c, Incoming::Reply(Reply::Created(created))) if c == channel => return Ok(created),
                (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
                (_, Incoming::Lost) => break,
                (_, Incoming::TimedOut) => {
                    let what = format!("the agent did not take input within {timeout} s");
                    return Err(WireError::new(ErrorKind::Timeout, what)
                        .hint("it is still there: see 'dsx list' and 'dsx screen @last'")
                        .into());
                }
                _ => {}
            }
        }
        client.reopen()?;
    }
}

/// The moment so many seconds from now.
pub(super) fn deadline(seconds: Option<f64>) -> Result<Option<Instant>, Failure> {
    let Some(seconds) = seconds else { return Ok(None) };
    let given = Duration::try_from_secs_f64(seconds)
        .map_err(|_| Failure::usage(format!("{seconds} is no time to wait"), "give seconds, such as 600"))?;
    Ok(Instant::now().checked_add(given))
}

fn request(args: &CreateArgs) -> Result<Create, Failure> {
    let here = std::env::current_dir().map_err(|e| {
        Failure::failed(format!("the current directory cannot be used: {e}"), "change to another")
    })?;
    let path = args.path.as_ref().map_or_else(|| here.clone(), |p| here.join(p));
    // A link is followed here, so that every program that is told of the directory means the same one.
    let path = path.canonicalize().unwrap_or(path);
    Ok(Create {
        cli: args.cli.clone(),
        command: args.command.iter().map(|a| bytes(a)).collect(),
        path: bytes(path.as_os_str()),
        mode: args.mode.clone(),
        model: args.model.clone(),
        description: args.description.clone(),
        group: args.terms.group.clone(),
        env: environment(&args.env)?,
        cols: args.cols,
        rows: args.rows,
        key: Some(Uuid::new_v4().to_string()),
        labels: args.terms.labels.clone(),
        on_prompt: args.terms.on_prompt.clone(),
        may_respond: args.terms.may_respond,
        ttl_ms: args.terms.ttl,
        from: None,
    })
}

fn bytes(text: &OsStr) -> ByteBuf {
    ByteBuf::from(text.as_bytes())
}

/// This process's environment with `--env` applied; the supervisor cleans it.
pub(super) fn environment(set: &[OsString]) -> Result<Vec<Pair>, Failure> {
    let mut env: Vec<Pair> = std::env::vars_os().map(|(n, v)| (bytes(&n), bytes(&v))).collect();
    for pair in set {
        let text = pair.as_bytes();
        let split = text.iter().position(|b| *b == b'=').filter(|at| *at > 0);
        let Some(at) = split else {
            let what = format!("--env {} names no variable", pair.to_string_lossy());
            return Err(Failure::usage(what, "write NAME=VALUE"));
        };
        let (name, value) = (&text[..at], &text[at + 1..]);
        env.retain(|(n, _)| n.as_slice() != name);
        env.push((ByteBuf::from(name), ByteBuf::from(value)));
    }
    Ok(env)
}
