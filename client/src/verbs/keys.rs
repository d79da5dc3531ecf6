//! `dsx keys`

use dsx_protocol::{Keys, Reply, Request};

use super::{Outcome, session, unexpected};
use crate::cli::KeysArgs;
use crate::client::Client;

pub(super) fn run(args: &KeysArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    match client.call(&Request::Keys(Keys { session, keys: args.keys.clone() }))? {
        Reply::Done => Ok(0),
        other => Err(unexpected(&other)),
    }
}
