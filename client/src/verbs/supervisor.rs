//! `dsx supervisor`

use dsx_protocol::{ErrorKind, Reply, Request, Supervisor, SupervisorReply};
use serde_json::json;

use super::{Outcome, note, print, print_line, unexpected};
use crate::cli::{SupervisorAction, SupervisorArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::time::rfc3339;

pub(super) fn run(args: &SupervisorArgs) -> Outcome {
    let (action, kill) = match &args.action {
        SupervisorAction::Status => ("status", false),
        SupervisorAction::Stop { kill } => ("stop", *kill),
        SupervisorAction::Restart => ("restart", false),
    };
    let request = Request::Supervisor(Supervisor { action: action.to_owned(), kill });
    let mut client = match Client::open_existing() {
        Ok(client) => client,
        Err(Failure::Error(error)) if error.kind == ErrorKind::Unavailable && action == "stop" => {
            note("no supervisor runs");
            return Ok(0);
        }
        Err(failure) => return Err(failure),
    };
    match client.call(&request)? {
        Reply::Supervisor(status) if args.json => print_line(&as_json(&status))?,
        Reply::Supervisor(status) => print(&as_text(&status))?,
        Reply::Done => {}
        other => return Err(unexpected(&other)),
    }
    Ok(0)
}

fn as_json(s: &SupervisorReply) -> serde_json::Value {
    json!({
        "pid": s.pid, "keeper_pid": s.keeper_pid, "version": s.version, "started_at": rfc3339(s.started_at),
        "sessions": s.sessions, "socket": s.socket,
    })
}

fn as_text(s: &SupervisorReply) -> String {
    format!(
        "supervisor  process {}, dsx {}, since {}\nkeeper      process {}\nsessions    {}\nsocket      {}\n",
        s.pid,
        s.version,
        rfc3339(s.started_at),
        s.keeper_pid,
        s.sessions,
        s.socket
    )
}
