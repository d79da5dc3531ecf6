//! From a request to a running child: the terminal, the environment and the program, all settled before the fork.

use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use nix::libc;
use serde_bytes::ByteBuf;

use super::children::{Child, Kin, Starting};
use super::message::{Env, Spawn};
use super::{procfs, terminal};
use crate::launch::exec::{self, Plan};
use crate::launch::pidfd;
use crate::launch::verdict::{Failure, Obstacle};

/// Where programs are looked for when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// A request that came to nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// What the failure alone does not tell.
    pub(super) detail: String,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal { failure, detail: String::new() }
    }
}

fn refusal(at: Obstacle) -> impl Fn(io::Error) -> Refusal {
    move |error| Refusal { failure: Failure::of(at, &error), detail: error.to_string() }
}

fn invalid(detail: String) -> Refusal {
    Refusal { failure: Failure { at: Obstacle::Invalid, errno: 0 }, detail }
}

/// Forks the child. What became of its exec is told by `Child::starting`.
pub(super) fn start(spawn: Spawn, null: &File, open_files: Option<u64>) -> Result<Child, Refusal> {
    let programs = programs(&spawn.program, &spawn.env)?;
    let argv = if spawn.argv.is_empty() {
        vec![c_string(&spawn.program, "the program")?]
    } else {
        spawn.argv.iter().map(|arg| c_string(arg, "an argument")).collect::<Result<_, _>>()?
    };
    let env = entries(&spawn.env)?;
    let cwd = c_string(&spawn.cwd, "the directory")?;
    let terminal = match spawn.pty {
        true => Some(terminal::open(spawn.rows, spawn.cols).map_err(refusal(Obstacle::Terminal))?),
        false => None,
    };
    let log = spawn
        .output
        .as_deref()
        .map(|path| open_output(path))
        .transpose()
        .map_err(refusal(Obstacle::Output))?;
    let (input, output) = match &terminal {
        Some(terminal) => (terminal.slave.as_fd(), terminal.slave.as_fd()),
        None => (null.as_fd(), log.as_ref().unwrap_or(null).as_fd()),
    };
    let plan = Plan {
        programs,
        argv,
        env,
        cwd,
        input,
        output,
        terminal: spawn.pty,
        passed: Vec::new(),
        orphan: false,
        open_files,
    };
    let started = exec::start(&plan).map_err(refusal(Obstacle::Resources))?;
    let pid = started.pid.as_raw().unsigned_abs();
    // A child that cannot be identified after a restart is no use.
    let stat = procfs::stat(pid).map_err(|error| {
        drop(pidfd::kill(pid, libc::SIGKILL));
        refusal(Obstacle::Resources)(error)
    })?;
    let master: Option<OwnedFd> = terminal.map(|terminal| terminal.master);
    Ok(Child {
        pid,
        start_time: stat.start_time,
        master: master.map(Arc::new),
        env: spawn.env,
        exit: None,
        told: false,
        kin: Kin::Own,
        starting: Some(Starting { id: Some(spawn.id), verdict: started.verdict }),
    })
}

/// The full paths to try: a name without a slash is looked for in the PATH that the *child* will have.
fn programs(program: &[u8], env: &Env) -> Result<Vec<CString>, Refusal> {
    if program.is_empty() {
        return Err(invalid("the program has no name".to_owned()));
    }
    if program.contains(&b'/') {
        return Ok(vec![c_string(program, "the program")?]);
    }
    let path =
        env.iter().find(|(name, _)| name.as_slice() == b"PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let full = |dir: &[u8]| {
        // An empty entry means the working directory.
        let dir = if dir.is_empty() { b".".as_slice() } else { dir };
        c_string(&[dir, b"/", program].concat(), "the program")
    };
    path.split(|byte| *byte == b':').map(full).collect()
}

fn entries(env: &Env) -> Result<Vec<CString>, Refusal> {
    let entry = |(name, value): &(ByteBuf, ByteBuf)| {
        let shown = String::from_utf8_lossy(name);
        if name.is_empty() || name.contains(&b'=') {
            return Err(invalid(format!("`{shown}` cannot be the name of an environment variable")));
        }
        c_string(
            &[name.as_slice(), b"=", value.as_slice()].concat(),
            &format!("the environment variable `{shown}`"),
        )
    };
    env.iter().map(entry).collect()
}

fn c_string(bytes: &[u8], what: &str) -> Result<CString, Refusal> {
    CString::new(bytes).map_err(|_| invalid(format!("{what} contains a NUL byte")))
}

fn open_output(path: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> ByteBuf {
        ByteBuf::from(text.as_bytes())
    }

    #[test]
    fn a_bare_name_is_looked_for_in_the_childs_own_path() {
        let env = vec![(bytes("PATH"), bytes("/a::/b"))];
        let found = programs(b"x", &env).unwrap();
        assert_eq!(found, [c"/a/x".to_owned(), c"./x".to_owned(), c"/b/x".to_owned()]);
        assert_eq!(programs(b"./x", &env).unwrap(), [c"./x".to_owned()]);
        assert_eq!(programs(b"x", &Vec::new()).unwrap().len(), 3);
        assert!(programs(b"", &env).is_err());
    }

    #[test]
    fn what_no_program_could_read_back_is_refused_by_name() {
        let refused =
            |name: &str, value: &str| entries(&vec![(bytes(name), bytes(value))]).unwrap_err().detail;
        assert!(refused("A=B", "").contains("A=B"));
        assert!(refused("", "x").contains("name"));
        assert!(refused("SECRET", "a\0b").contains("SECRET"));
        assert!(!refused("SECRET", "hush\0b").contains("hush"));
    }
}
