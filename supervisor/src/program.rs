//! Finding the program that a session is to run, before anything is started.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dsx_protocol::{ErrorKind, WireError};

/// How long a program may take to say its version.
const VERSION: Duration = Duration::from_secs(10);

fn failed(what: String) -> WireError {
    WireError::new(ErrorKind::Failed, what)
}

/// A session's working directory must be there before its program starts: agents run with all permissions.
pub(crate) fn check_directory(path: &Path) -> Result<(), WireError> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(failed(format!("{shown} is not a directory")).hint("give a directory with --path")),
        Err(error) => Err(failed(format!("the directory {shown} cannot be used: {error}"))
            .hint("create it, or give another with --path")),
    }
}

/// The value of a variable in an environment.
pub(crate) fn variable<'a>(env: &'a [(Vec<u8>, Vec<u8>)], name: &str) -> Option<&'a OsStr> {
    let found = env.iter().rev().find(|(n, _)| n == name.as_bytes())?;
    Some(OsStr::from_bytes(&found.1))
}

/// The program that `name` means in a directory and an environment, if it can be run.
///
/// # Errors
/// What is in the way, by name.
pub fn find(name: &OsStr, env: &[(Vec<u8>, Vec<u8>)], cwd: &Path) -> Result<PathBuf, WireError> {
    let shown = name.to_string_lossy();
    if name.as_bytes().contains(&b'/') {
        let path = cwd.join(name);
        return match refusal(&path) {
            None => Ok(path),
            Some(why) => Err(failed(format!("{} cannot be run: {why}", path.display()))
                .hint("check the path and its mode ('ls -l')")),
        };
    }
    let path: OsString = variable(env, "PATH").map_or_else(|| "/usr/bin:/bin".into(), OsStr::to_owned);
    let mut unusable = None;
    // A name of nothing would find the directory itself.
    for directory in std::env::split_paths(&path).filter(|_| !name.is_empty()) {
        let candidate = cwd.join(directory).join(name);
        match refusal(&candidate) {
            None => return Ok(candidate),
            Some(why) if candidate.exists() => unusable = Some((candidate, why)),
            Some(_) => {}
        }
    }
    Err(match unusable {
        Some((path, why)) => {
            failed(format!("{} cannot be run: {why}", path.display())).hint("check its mode ('ls -l')")
        }
        None => failed(format!("the program '{shown}' is not on the PATH"))
            .hint("install it, give its path, or name another after '--'"),
    })
}

/// What the program says to `--version`; nothing where it says nothing in time.
pub(crate) async fn version(program: &Path, env: &[(Vec<u8>, Vec<u8>)], cwd: &Path) -> Option<String> {
    let pairs = env.iter().map(|(n, v)| (OsStr::from_bytes(n), OsStr::from_bytes(v)));
    let mut asked = tokio::process::Command::new(program);
    asked.arg("--version").env_clear().envs(pairs).current_dir(cwd).stdin(Stdio::null()).kill_on_drop(true);
    let said = tokio::time::timeout(VERSION, asked.output()).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn refusal(path: &Path) -> Option<String> {
    match fs::metadata(path) {
        Err(error) => Some(error.to_string()),
        Ok(found) if found.is_dir() => Some("it is a directory".to_owned()),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Some("it is not executable".to_owned()),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_callers_path_or_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let tool = dir.path().join("tool");
        fs::write(&tool, "").unwrap();
        let env = vec![(b"PATH".to_vec(), dir.path().as_os_str().as_bytes().to_vec())];
        let look = |name: &str| find(OsStr::new(name), &env, dir.path());
        assert!(look("tool").unwrap_err().message.contains("not executable"));
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(look("tool"), Ok(tool.clone()));
        assert_eq!(look("./tool"), Ok(dir.path().join("./tool")));
        let missing = look("no-such-tool").unwrap_err();
        assert!(missing.message.contains("no-such-tool") && missing.kind == ErrorKind::Failed);
        assert!(check_directory(dir.path()).is_ok());
        assert!(check_directory(&tool).unwrap_err().message.contains("not a directory"));
    }
}
