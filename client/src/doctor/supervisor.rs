//! Whether a supervisor runs and answers. None is started for it.

use std::time::{Duration, Instant};

use dsx_protocol::{DSX_VERSION, ErrorKind, Reply, Request, Supervisor, SupervisorReply};
use dsx_supervisor::launch::{LaunchError, Paths, connect_existing, lock};

use super::{Check, quoted};
use crate::client::{Client, Incoming};
use crate::failure::Failure;

const NAME: &str = "supervisor";
/// How long one that is connected may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum Found {
    None,
    /// Its directories are not private; nothing in them is trusted.
    NotLookedAt,
    Serves(SupervisorReply),
    /// It speaks no version of the protocol that this dsx knows.
    TooFar(String),
    /// There is one, or there should be, but it does not answer.
    Silent(String),
}

pub(super) fn look(paths: &Paths) -> Check {
    let holder = match lock::holder(&paths.lock()) {
        Ok(holder) => holder.filter(|_| lock::is_held(&paths.lock()).unwrap_or(false)),
        Err(_) => None,
    };
    let holder =
        holder.map(|holder| format!("keeper {} holds {}", holder.keeper_pid, paths.lock().display()));
    judge(paths, ask(paths), holder.as_deref())
}

fn ask(paths: &Paths) -> Found {
    let stream = match connect_existing(paths) {
        Ok(stream) => stream,
        Err(LaunchError::NotRunning { .. }) => return Found::None,
        Err(LaunchError::Directory(_)) => return Found::NotLookedAt,
        Err(error) => return Found::Silent(error.to_string()),
    };
    let asked = Client::over(stream, false).and_then(|mut client| {
        let status = Supervisor { action: "status".to_owned(), kill: false };
        client.ask(&Request::Supervisor(status))?;
        answer(&mut client)
    });
    match asked {
        Ok(found) => found,
        Err(Failure::Error(error)) if error.kind == ErrorKind::Unavailable => Found::TooFar(error.message),
        Err(Failure::Error(error)) => Found::Silent(error.message),
        Err(Failure::Closed) => Found::Silent("the connection was closed".to_owned()),
    }
}

fn answer(client: &mut Client) -> Result<Found, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.next(Some(deadline))?.1 {
            Incoming::Reply(Reply::Supervisor(status)) => return Ok(Found::Serves(status)),
            Incoming::Error(error) => return Err(error.into()),
            Incoming::Lost => return Ok(Found::Silent("it closed the connection".to_owned())),
            Incoming::TimedOut => {
                let what = format!("it did not answer within {} s", PATIENCE.as_secs());
                return Ok(Found::Silent(what));
            }
            Incoming::Reply(_) | Incoming::Event(_) | Incoming::Output(_) => {}
        }
    }
}

fn judge(paths: &Paths, found: Found, holder: Option<&str>) -> Check {
    let held = holder.map(|holder| format!("; {holder}")).unwrap_or_default();
    let log = quoted(&paths.state.join("supervisor.log"));
    match found {
        Found::None => Check::ok(NAME, "none runs; the first command starts one"),
        Found::NotLookedAt => {
            let advice = "set the directories right first";
            Check::warning(NAME, "not looked at: its directories are not private", advice)
        }
        Found::Serves(s) if s.version != DSX_VERSION => {
            let found = format!("process {} is dsx {}, this is {DSX_VERSION}{held}", s.pid, s.version);
            Check::warning(NAME, found, "run 'dsx supervisor restart'; sessions go on")
        }
        Found::Serves(s) => {
            let found = format!(
                "process {} (dsx {}, keeper {}) serves {} sessions",
                s.pid, s.version, s.keeper_pid, s.sessions
            );
            Check::ok(NAME, found)
        }
        Found::TooFar(why) => {
            let advice = "stop it with the dsx that started it ('dsx supervisor stop'), then use this one";
            Check::problem(NAME, format!("{why}{held}"), advice)
        }
        Found::Silent(why) => {
            let advice = format!("see {log}; if it hangs, end its process: the keeper starts another");
            Check::problem(NAME, format!("{why}{held}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn each_finding_has_its_state() {
        let paths = Paths { state: "/s".into(), socket: "/s/sock".into(), config: "/c".into() };
        let judged = |found| judge(&paths, found, Some("keeper 7 holds /s/dsx.lock"));
        let serves = |version: &str| {
            Found::Serves(SupervisorReply {
                pid: 8,
                version: version.to_owned(),
                ..SupervisorReply::default()
            })
        };
        assert_eq!(judged(Found::None).state, State::Ok);
        assert_eq!(judged(Found::NotLookedAt).state, State::Warning);
        assert_eq!(judged(serves(DSX_VERSION)).state, State::Ok);
        let old = judged(serves("0.0.1"));
        assert!(old.state == State::Warning && old.advice.unwrap().contains("restart"));
        assert_eq!(judged(Found::TooFar("far".into())).state, State::Problem);
        let silent = judged(Found::Silent("silent".into()));
        assert!(silent.state == State::Problem && silent.found == "silent; keeper 7 holds /s/dsx.lock");
    }
}
