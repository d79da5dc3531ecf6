//! Reports of agents' hooks: over the socket while a supervisor listens, from the spool when none did.
//!
//! A report is believed only with the session's token and, over the socket, only from the agent's own child
//! (or its `sh -c`).

use std::fs;
use std::path::Path;

use dsx_core::{Caller, RequestId};
use dsx_protocol::{ErrorKind, Hook, WireError};

use crate::registry::Ancestor;
use crate::serve::ReplyTo;
use crate::session::{Command, Services, SessionHandle, next_request};

/// The largest payload that is read from a spool.
const PAYLOAD: u64 = 5 * 1024 * 1024;

/// The name of the spool in a session's directory.
pub const SPOOL: &str = "spool";
/// The name of the token's file in a session's directory.
pub const TOKEN: &str = "token";

/// Hands a report to its session. Where its hook waits for a decision: by what name that is called off.
pub(crate) async fn deliver(
    services: &Services,
    pid: Option<u32>,
    hook: Hook,
    to: ReplyTo,
) -> Result<Option<(SessionHandle, RequestId)>, WireError> {
    let handle = services.registry.find(hook.session.clone(), Caller::User).await?;
    let hold = hook.holds.then(next_request);
    let line = pid.map(crate::serve::line_of).unwrap_or_default();
    let foreign = hook.holds && handle.summary.borrow().pid.is_some_and(|pid| !is_own_child(&line, pid));
    let (key, is_there) = (hook.key.clone(), !line.is_empty());
    let taken = take(services, &handle, &line, hook, hold, to).await;
    if let Err(error) = taken {
        if is_there && foreign {
            // It waits for an answer, and is not the agent's: what it left in the spool is not believed either.
            let dir = services.sessions.join(&handle.id);
            let _ = tokio::task::spawn_blocking(move || unspool(&dir, &key)).await;
        } else {
            // It cannot be known any more whose it was: the spool, which only the owner writes, has it as well.
            let _ = handle.put(Command::ReadSpool);
        }
        return Err(error);
    }
    Ok(hold.map(|request| (handle, request)))
}

async fn take(
    services: &Services,
    handle: &SessionHandle,
    line: &[Ancestor],
    hook: Hook,
    hold: Option<RequestId>,
    to: ReplyTo,
) -> Result<(), WireError> {
    let refused =
        |why: &str| WireError::new(ErrorKind::Refused, format!("the hook's report is not taken: {why}"));
    let agent = handle.summary.borrow().pid.ok_or_else(|| refused("the agent has ended"))?;
    if !is_own_child(line, agent) {
        return Err(refused("it does not come from the session's agent"));
    }
    let dir = services.sessions.join(&handle.id);
    let token = tokio::task::spawn_blocking(move || fs::read_to_string(dir.join(TOKEN))).await;
    if !token.is_ok_and(|read| read.is_ok_and(|t| same(t.trim(), &hook.token))) {
        return Err(refused("it has no valid token"));
    }
    let at = time_of(&hook.key).unwrap_or_else(crate::clock::now_ms);
    handle.put(Command::Hook { at, key: hook.key, payload: hook.payload.into_vec(), hold, to: Some(to) })
}

/// The hook itself, its `sh -c`, then the agent.
fn is_own_child(line: &[Ancestor], agent: u32) -> bool {
    line.iter().skip(1).take(2).any(|a| a.pid == agent)
}

/// Compares without telling by its time how much was right.
fn same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (ours.as_bytes(), theirs.as_bytes());
    ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// A report's key begins with the milliseconds at which it was made.
#[must_use]
pub fn time_of(key: &str) -> Option<u64> {
    key.split('-').next()?.parse().ok()
}

/// What lies in a session's spool, oldest first: key and payload.
#[must_use]
pub fn spooled(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(dir.join(SPOOL)) else { return Vec::new() };
    let mut reports: Vec<(String, Vec<u8>)> = entries
        .filter_map(Result::ok)
        .filter(|e| e.metadata().is_ok_and(|m| m.is_file() && m.len() <= PAYLOAD))
        .filter_map(|e| {
            let key = e.file_name().into_string().ok().filter(|n| !n.ends_with(".new"))?;
            Some((key, fs::read(e.path()).ok()?))
        })
        .collect();
    reports.sort_by(|a, b| (time_of(&a.0), &a.0).cmp(&(time_of(&b.0), &b.0)));
    reports
}

/// Forgets a report that was taken.
pub fn unspool(dir: &Path, key: &str) {
    if !key.contains('/') && !key.is_empty() {
        // It may never have been there: the spool is for reports that found no supervisor.
        let _ = fs::remove_file(dir.join(SPOOL).join(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_own_child_is_believed() {
        let line: Vec<Ancestor> = [9, 8, 7, 6].map(|pid| Ancestor { pid, sid: 1 }).to_vec();
        assert!(is_own_child(&line, 8) && is_own_child(&line, 7));
        assert!(!is_own_child(&line, 9) && !is_own_child(&line, 6) && !is_own_child(&[], 6));
    }

    #[test]
    fn a_spool_is_read_in_the_order_of_its_reports() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join(SPOOL);
        fs::create_dir(&spool).unwrap();
        for key in ["1000-b", "999-a", "1001-c.new"] {
            fs::write(spool.join(key), key).unwrap();
        }
        let keys: Vec<String> = spooled(dir.path()).into_iter().map(|(k, _)| k).collect();
        assert_eq!(keys, ["999-a", "1000-b"]);
        unspool(dir.path(), "999-a");
        unspool(dir.path(), "../token");
        assert_eq!(spooled(dir.path()).len(), 1);
    }
}
