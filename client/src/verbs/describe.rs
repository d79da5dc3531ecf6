//! `dsx describe`

use dsx_protocol::{Describe, Reply, Request};

use super::{Outcome, session, unexpected};
use crate::cli::DescribeArgs;
use crate::client::Client;

pub(super) fn run(args: &DescribeArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    match client.call(&Request::Describe(Describe { session, description: args.text.clone() }))? {
        Reply::Done => Ok(0),
        other => Err(unexpected(&other)),
    }
}
