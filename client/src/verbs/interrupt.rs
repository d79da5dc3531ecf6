//! `dsx interrupt`

use dsx_protocol::{Interrupt, Reply, Request};

use super::{Outcome, session, unexpected};
use crate::cli::OneArgs;
use crate::client::Client;

pub(super) fn run(args: &OneArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    match client.call(&Request::Interrupt(Interrupt { session }))? {
        Reply::Done => Ok(0),
        other => Err(unexpected(&other)),
    }
}
