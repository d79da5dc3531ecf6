//! `dsx status`

use dsx_protocol::{Reply, Request, Status};

use super::{Outcome, print_line, session, unexpected};
use crate::cli::OneArgs;
use crate::client::Client;
use crate::json;

pub(super) fn run(args: &OneArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    match client.call(&Request::Status(Status { session }))? {
        Reply::Status(status) if args.json => print_line(&json::status(&status))?,
        Reply::Status(status) => print_line(&status.status)?,
        other => return Err(unexpected(&other)),
    }
    Ok(0)
}
