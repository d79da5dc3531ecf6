//! `dsx rename`

use dsx_protocol::{Rename, Reply, Request};

use super::{Outcome, session, unexpected};
use crate::cli::RenameArgs;
use crate::client::Client;

pub(super) fn run(args: &RenameArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    match client.call(&Request::Rename(Rename { session, name: args.name.clone() }))? {
        Reply::Done => Ok(0),
        other => Err(unexpected(&other)),
    }
}
