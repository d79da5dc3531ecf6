//! The agents: what is on the PATH, and whether dsx can work with it.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use dsx_core::adapter::version_number;
use dsx_supervisor::program;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Check;

/// How long `claude --version` may take; it takes 20 ms where nothing is in the way.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is read of what a program says of itself, in bytes.
const SAID_LIMIT: usize = 4 * 1024;
/// The oldest Claude that dsx is tested with.
const OLDEST: (u32, u32, u32) = (2, 1, 197);
/// From here on Claude reports its state to its terminal (OSC 7501).
const REPORTS: (u32, u32, u32) = (2, 1, 300);

const INSTALL: &str = "npm install -g @anthropic-ai/claude-code";
/// npm picks an old release without a word where Node is too old for the newest.
const NODE: &str = "with Node 22 or newer: with an older one npm silently installs an old release";

pub(super) fn claude(is_root: bool) -> Vec<Check> {
    let Some(path) = find("claude") else { return vec![missing()] };
    let mut checks = vec![judge(&path, version_of(&path, PATIENCE))];
    if is_root {
        checks.push(judge_root(std::env::var_os("IS_SANDBOX").as_deref()));
    }
    checks
}

pub(super) fn codex() -> Check {
    let found = match find("codex") {
        Some(path) => format!("{}; this version of dsx does not support it yet", path.display()),
        None => "not on the PATH; this version of dsx does not support it yet".to_owned(),
    };
    Check::ok("codex", found)
}

/// As `dsx create` finds it.
fn find(name: &str) -> Option<PathBuf> {
    let env: Vec<(Vec<u8>, Vec<u8>)> =
        std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect();
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    program::find(OsStr::new(name), &env, &here).ok()
}

fn missing() -> Check {
    let found = "not on the PATH; 'dsx create' takes the built-in demo agent instead";
    Check::warning("claude", found, format!("{INSTALL} ({NODE})"))
}

fn judge(path: &Path, version: Result<String, String>) -> Check {
    let name = "claude";
    let shown = path.display();
    let said = match version {
        Ok(said) => said,
        Err(why) => {
            let advice = format!("run '{shown} --version' by hand, or install it again: {INSTALL}");
            return Check::warning(name, format!("{shown} does not tell its version: {why}"), advice);
        }
    };
    match version_number(&said) {
        None => {
            let said: String = said.chars().take(60).collect();
            let found = format!("{shown} says '{said}' instead of its version; is it Claude Code?");
            Check::warning(name, found, INSTALL)
        }
        Some(version) if version < OLDEST => {
            let found = format!("{} at {shown} is older than {}", dotted(version), dotted(OLDEST));
            Check::warning(name, found, format!("{INSTALL}@latest ({NODE})"))
        }
        Some(version) if version < REPORTS => {
            let found = format!("{} at {shown}; it reports its state by hooks only", dotted(version));
            Check::ok(name, found)
        }
        Some(version) => Check::ok(name, format!("{} at {shown}", dotted(version))),
    }
}

fn dotted((major, minor, patch): (u32, u32, u32)) -> String {
    format!("{major}.{minor}.{patch}")
}

fn judge_root(is_sandbox: Option<&OsStr>) -> Check {
    let name = "claude_as_root";
    if is_sandbox.is_some_and(|value| value == "1") {
        return Check::ok(name, "IS_SANDBOX=1: Claude runs unattended although you are root");
    }
    let found = "you are root: Claude refuses to run unattended (--mode native, the default)";
    Check::warning(name, found, "use 'dsx create --mode ask', or in a container export IS_SANDBOX=1")
}

/// What a program says to `--version`, or why it says nothing. Whatever it has started by the deadline is killed.
fn version_of(program: &Path, patience: Duration) -> Result<String, String> {
    let deadline = Instant::now() + patience;
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.process_group(0).spawn().map_err(|e| e.to_string())?;
    let said = match child.stdout.take() {
        Some(stdout) => read_until(stdout, deadline),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    // It is not reaped yet, so the number still means its group, even if it has ended.
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    match said {
        Ok(said) if !said.trim().is_empty() => Ok(said.trim().to_owned()),
        Ok(_) => Err(format!("it printed nothing ({status})")),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("it did not end within {} s and was killed", patience.as_secs()))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn read_until(mut pipe: ChildStdout, deadline: Instant) -> io::Result<String> {
    let mut said = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let mut bytes = [0; 1024];
        let read = pipe.read(&mut bytes)?;
        said.extend_from_slice(bytes.get(..read).unwrap_or_default());
        if read == 0 || said.len() >= SAID_LIMIT {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn judged(said: &str) -> Check {
        judge("/bin/claude".as_ref(), Ok(said.to_owned()))
    }

    #[test]
    fn a_version_is_told_and_an_old_one_warned_of() {
        assert_eq!(judged("2.1.328 (Claude Code)").state, State::Ok);
        let hooks = judged("2.1.197 (Claude Code)");
        assert!(hooks.state == State::Ok && hooks.found.contains("hooks only"));
        let old = judged("2.1.196 (Claude Code)");
        assert!(old.state == State::Warning && old.advice.unwrap().contains("npm install -g"));
        assert_eq!(judged("1.99.999").state, State::Warning);
        let other = judged("claude, a tool for something else");
        assert!(other.state == State::Warning && other.found.contains("is it Claude Code?"));
        assert_eq!(judge("/c".as_ref(), Err("no".into())).state, State::Warning);
    }

    #[test]
    fn root_is_told_that_native_mode_is_refused() {
        assert_eq!(judge_root(None).state, State::Warning);
        assert_eq!(judge_root(Some(OsStr::new(""))).state, State::Warning);
        assert_eq!(judge_root(Some(OsStr::new("1"))).state, State::Ok);
    }

    #[test]
    fn a_program_is_heard_or_cut_off() {
        let missing = version_of("/no/such/program".as_ref(), PATIENCE).unwrap_err();
        assert!(missing.contains("No such file"), "{missing}");
        assert!(version_of("/bin/true".as_ref(), PATIENCE).unwrap().contains("true"));
    }
}
