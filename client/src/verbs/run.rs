//! `dsx run`: ask a fresh session, which is removed after.

use dsx_protocol::{ErrorKind, Kill, Request};

use super::ask::finish;
use super::create::{create, deadline};
use super::send::{send, text};
use super::{Outcome, note};
use crate::cli::{RunArgs, SendArgs};
use crate::client::Client;

pub(super) fn run(args: &RunArgs) -> Outcome {
    let text = text(args.text.as_deref(), args.file.as_deref())?;
    let mut client = Client::open()?;
    let deadline = deadline(args.timeout)?;
    let created = create(&mut client, &args.create, args.start_timeout)?;
    let id = created.session.id.clone();
    note(&format!("{id} ({}) in {}", created.session.cli, created.session.path));
    let outcome = match &created.prompt {
        Some(prompt) => {
            note(&format!("the agent asks before it begins: {}", prompt.text));
            Ok(ErrorKind::Waiting.exit_code())
        }
        None => {
            let message = SendArgs {
                id: id.clone(),
                text: None,
                file: args.file.clone(),
                queue: false,
                interrupt: false,
                steer: false,
                key: None,
                command: false,
                json: args.create.json,
            };
            client.until(deadline);
            let sent = send(&mut client, &message, text, None);
            client.until(None);
            sent.and_then(|receipt| finish(&mut client, &receipt, None, deadline, args.create.json))
        }
    };
    if !args.keep {
        // The answer is printed already; a session that cannot be removed is seen in 'dsx list'.
        if client.call(&Request::Kill(Kill { session: id.clone(), grace_ms: None })).is_err() {
            note(&format!("dsx: session {id} could not be removed"));
        }
    }
    outcome
}
