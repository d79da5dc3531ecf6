//! A home of its own for each test, and a client in it. Dropping the home ends everything that runs for it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use dsx_supervisor::launch::{LaunchError, Origin, Paths, connect, lock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Far beyond what anything here takes, even on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Home {
    pub dir: tempfile::TempDir,
    pub paths: Paths,
}

impl Home {
    pub fn new() -> Home {
        let private = fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let home = dir.path().as_os_str().to_owned();
        let paths = Paths::resolve(|name| (name == "DSX_HOME").then(|| home.clone()), 0).unwrap();
        Home { dir, paths }
    }

    pub fn exe() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_keeper_trial"))
    }

    pub fn origin(&self) -> Origin {
        Origin { exe: Home::exe().to_owned(), paths: self.paths.clone(), open_files: None }
    }

    pub fn try_connect(&self) -> Result<Client, LaunchError> {
        connect(&self.paths, Home::exe()).map(Client::new)
    }

    pub fn connect(&self) -> Client {
        self.try_connect().unwrap()
    }

    pub fn state(&self, name: &str) -> std::path::PathBuf {
        self.paths.state.join(name)
    }

    /// The daemons of this home.
    pub fn daemons(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let entry = entry.unwrap();
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let args = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let home = self.dir.path().as_os_str().as_encoded_bytes();
            let told = args.split(|byte| *byte == 0).any(|arg| arg == home);
            if told && args.starts_with(b"dsx\0") {
                found.push(pid);
            }
        }
        found
    }

    /// How often a supervisor was started.
    pub fn starts(&self) -> usize {
        fs::read_to_string(self.state("starts")).unwrap_or_default().lines().count()
    }

    pub fn holder(&self) -> lock::Holder {
        lock::holder(&self.paths.lock()).unwrap().unwrap()
    }

    /// Kills keeper and supervisor so that neither can replace the other.
    pub fn kill_all(&self) {
        loop {
            let daemons = self.daemons();
            if daemons.is_empty() {
                return;
            }
            let processes: Vec<_> = daemons.iter().filter_map(|pid| Process::of(*pid)).collect();
            daemons.iter().for_each(|pid| send(*pid, Signal::SIGSTOP));
            daemons.iter().for_each(|pid| send(*pid, Signal::SIGKILL));
            processes.iter().for_each(Process::wait);
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill_all();
    }
}

pub fn send(pid: u32, signal: Signal) {
    // Gone already is as good.
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

/// A process whose end can be waited for, whoever is its parent.
pub struct Process(fs::File);

impl Process {
    pub fn of(pid: u32) -> Option<Process> {
        pidfd(pid).map(Process)
    }

    pub fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_dead(deadline.saturating_duration_since(Instant::now())) {
            assert!(Instant::now() < deadline, "a process that should end does not");
        }
    }

    fn is_dead(&self, patience: Duration) -> bool {
        let timeout = PollTimeout::try_from(patience).unwrap();
        matches!(poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout), Ok(1..))
    }
}

#[allow(unsafe_code)]
fn pidfd(pid: u32) -> Option<fs::File> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes two numbers, gives a new descriptor or -1.
    let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: just made by the kernel, nobody else owns it.
    (fd >= 0).then(|| unsafe { fs::File::from_raw_fd(i32::try_from(fd).unwrap()) })
}

/// A client of the trial supervisor.
pub struct Client {
    lines: BufReader<UnixStream>,
}

impl Client {
    pub fn new(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { lines: BufReader::new(stream) }
    }

    /// The answer; `None` if the supervisor is gone.
    pub fn try_ask(&mut self, order: &Value) -> Option<Value> {
        self.lines.get_mut().write_all(format!("{order}\n").as_bytes()).ok()?;
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{order} was not answered: {error}"),
        }
    }

    pub fn ask(&mut self, order: &Value) -> Value {
        self.try_ask(order).unwrap_or_else(|| panic!("{order}: the supervisor is gone"))
    }

    /// The answer to an order that must not fail.
    pub fn order(&mut self, op: &str, session: &str, text: &str) -> Value {
        let answer = self.ask(&json!({"op": op, "session": session, "text": text}));
        assert!(answer["error"].is_null(), "{op} {session}: {answer}");
        answer
    }

    pub fn spawn(&mut self, session: &str, program: &str, args: &[&str]) -> u32 {
        let answer = self.ask(&spawn(session, program, args));
        assert!(answer["error"].is_null(), "{session}: {answer}");
        u32::try_from(answer["pid"].as_u64().unwrap()).unwrap()
    }

    pub fn signal(&mut self, session: &str, signal: Signal, scope: &str) -> Value {
        self.ask(&json!({"op": "signal", "session": session, "signal": signal as i32, "scope": scope}))
    }

    pub fn about(&mut self, field: &str) -> u32 {
        let answer = self.ask(&json!({"op": "about"}));
        u32::try_from(answer[field].as_u64().unwrap()).unwrap()
    }

    /// Has the shell that runs in the terminal say a word. What the terminal itself echoes is spelt otherwise.
    pub fn check_echo(&mut self, session: &str, word: &str) {
        let (head, tail) = word.split_at(1);
        self.order("write", session, &format!("echo {head}''{tail}\r"));
        self.order("expect", session, word);
    }
}

/// An order to start `program` in a terminal, with a minimal environment.
pub fn spawn(session: &str, program: &str, args: &[&str]) -> Value {
    let argv: Vec<&str> = [program].into_iter().chain(args.iter().copied()).collect();
    let env = json!({"PATH": "/usr/local/bin:/usr/bin:/bin", "PS1": "$ "});
    json!({"op": "spawn", "session": session, "program": program, "argv": argv, "env": env, "cwd": "/"})
}
