//! The directories that hold dsx's state and socket: real ones, ours, closed to everyone else.

use std::path::Path;

use dsx_supervisor::launch::paths::SOCKET_PATH_LIMIT;
use dsx_supervisor::launch::{DirectoryError, Paths, private_dir};

use super::{Check, quoted};

pub(super) fn look(paths: &Paths) -> Vec<Check> {
    let mut checks = vec![judge("state_directory", &paths.state, private_dir::check(&paths.state))];
    let of_socket = paths.socket_directory();
    if of_socket != paths.state {
        checks.push(judge("socket_directory", of_socket, private_dir::check(of_socket)));
    }
    checks.push(judge_socket(paths));
    checks
}

fn judge(name: &'static str, path: &Path, found: Result<bool, DirectoryError>) -> Check {
    let (shown, quoted) = (path.display(), quoted(path));
    let elsewhere = "set DSX_HOME to a directory of your own";
    match found {
        Ok(true) => Check::ok(name, format!("{shown} is yours alone")),
        Ok(false) => Check::ok(name, format!("{shown} is not there yet; the first session makes it")),
        Err(DirectoryError::Mode { mode, .. }) => {
            let found = format!("{shown} has mode {mode:o}; only you may enter it (700)");
            Check::problem(name, found, format!("chmod 700 {quoted}"))
        }
        Err(DirectoryError::Owner { owner, uid, .. }) => {
            let found = format!("{shown} belongs to user {owner}, and you are {uid}");
            Check::problem(name, found, format!("chown {uid} {quoted} as its owner, or {elsewhere}"))
        }
        Err(DirectoryError::NotADirectory { .. }) => {
            let found = format!("{shown} is a link or a file; links are not followed");
            Check::problem(name, found, format!("move {quoted} away, or {elsewhere}"))
        }
        Err(DirectoryError::Open { source, .. } | DirectoryError::Create { source, .. }) => {
            let found = format!("{shown} cannot be opened: {source}");
            Check::problem(
                name,
                found,
                format!("look at its parents with 'namei -l {shown}', or {elsewhere}"),
            )
        }
    }
}

fn judge_socket(paths: &Paths) -> Check {
    let name = "socket_path";
    let (shown, length) = (paths.socket.display(), paths.socket.as_os_str().len());
    if length > SOCKET_PATH_LIMIT {
        let found = format!("{shown} has {length} bytes, the kernel takes {SOCKET_PATH_LIMIT} for a socket");
        return Check::problem(name, found, "set DSX_HOME to a directory with a shorter path");
    }
    Check::ok(name, format!("{shown} ({length} of {SOCKET_PATH_LIMIT} bytes)"))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::super::State;
    use super::*;

    #[test]
    fn each_fault_has_its_own_remedy() {
        let path = PathBuf::from("/d");
        let judged = |found| judge("state_directory", &path, found);
        assert_eq!(judged(Ok(true)).state, State::Ok);
        assert_eq!(judged(Ok(false)).state, State::Ok);
        let source = || io::Error::from(io::ErrorKind::PermissionDenied);
        let faults = [
            (DirectoryError::Mode { path: path.clone(), mode: 0o755 }, "755", "chmod 700 '/d'"),
            (DirectoryError::Owner { path: path.clone(), owner: 7, uid: 8 }, "user 7", "chown 8 '/d'"),
            (DirectoryError::NotADirectory { path: path.clone() }, "link", "move '/d' away"),
            (DirectoryError::Open { path: path.clone(), source: source() }, "denied", "DSX_HOME"),
            (DirectoryError::Create { path: path.clone(), source: source() }, "denied", "DSX_HOME"),
        ];
        for (fault, found, advice) in faults {
            let check = judged(Err(fault));
            assert_eq!(check.state, State::Problem);
            assert!(check.found.contains(found), "{check:?}");
            assert!(check.advice.as_ref().unwrap().contains(advice), "{check:?}");
        }
    }

    #[test]
    fn a_socket_path_that_the_kernel_refuses_is_a_problem() {
        let at = |socket: String| {
            judge_socket(&Paths { state: "/s".into(), config: "/c".into(), socket: socket.into() })
        };
        assert_eq!(at("/s/sock".into()).state, State::Ok);
        assert_eq!(at(format!("/{}", "d".repeat(SOCKET_PATH_LIMIT))).state, State::Problem);
    }
}
