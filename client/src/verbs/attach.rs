//! `dsx attach`

use dsx_protocol::{ErrorKind, Reply, Request, Status, WireError};

use super::{Outcome, session, unexpected};
use crate::attach::{self, Matcher, Screen, Wanted};
use crate::cli::AttachArgs;
use crate::client::Client;

pub(super) fn run(args: &AttachArgs) -> Outcome {
    let leave = Matcher::new(&args.detach_keys)?;
    let screen = Screen::open()?;
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    let status = match client.call(&Request::Status(Status { session }))? {
        Reply::Status(status) => status,
        other => return Err(unexpected(&other)),
    };
    let session = status.session;
    if std::env::var_os("DSX_SESSION").is_some_and(|own| own == session.as_str()) {
        let what = format!("this is the terminal of session {session} itself, which cannot show itself");
        return Err(WireError::new(ErrorKind::Refused, what)
            .hint("attach from a terminal outside of it")
            .session(session)
            .into());
    }
    attach::run(screen, client, Wanted { session, read_only: args.read_only, leave })
}
