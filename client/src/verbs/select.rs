//! Which sessions `--group` and `--label` mean.

use dsx_protocol::{ErrorKind, List, Summary, WireError};

use super::list;
use crate::cli::SelectArgs;
use crate::client::Client;
use crate::failure::Failure;

/// The sessions that are selected, by id, without the one this command runs in: it never means itself by what
/// it has in common with others.
///
/// # Errors
/// No session has what was asked for.
pub(super) fn selected(
    client: &mut Client,
    select: &SelectArgs,
    exited_too: bool,
) -> Result<Vec<Summary>, Failure> {
    let mut found = list::those(client, request(select, exited_too))?.sessions;
    let itself = std::env::var("DSX_SESSION").ok();
    found.retain(|s| itself.as_ref() != Some(&s.id));
    if found.is_empty() && select.is_some() {
        return Err(nobody(select).into());
    }
    Ok(found)
}

pub(super) fn request(select: &SelectArgs, all: bool) -> List {
    List { all, group: select.group.clone(), labels: select.labels.clone() }
}

/// The error that names what no session has.
pub(super) fn nobody(select: &SelectArgs) -> WireError {
    let mut named: Vec<String> = select.labels.iter().map(|(n, v)| format!("the label {n}={v}")).collect();
    named.extend(select.group.as_ref().map(|group| format!("the group '{group}'")));
    let what = format!("no session has {}", named.join(" and "));
    WireError::new(ErrorKind::NoSession, what).hint("see 'dsx list -a --json'")
}
