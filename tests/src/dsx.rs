//! The `dsx` under test, run as its users run it: as a process, in a hermetic home.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;

use crate::DEADLINE;
use crate::home::Home;

/// Runs `dsx` in one home; when dropped, ends everything that home has started.
#[derive(Debug)]
pub struct Dsx<'h> {
    home: &'h Home,
    program: PathBuf,
}

/// What one call of `dsx` said.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; a death by signal is 128 + its number, as in a shell.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Itself, when `dsx` exited with `code`.
    ///
    /// # Panics
    /// With everything it said, when it did not.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code; it said:\n{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output without the newline at its end.
    #[must_use]
    pub fn line(&self) -> &str {
        self.stdout.trim_end_matches('\n')
    }
}

impl<'h> Dsx<'h> {
    /// `program` is `env!("CARGO_BIN_EXE_dsx-under-test")`, which only a test target can name.
    #[must_use]
    pub fn new(home: &'h Home, program: impl AsRef<Path>) -> Self {
        Self { home, program: program.as_ref().to_owned() }
    }

    /// The home it runs in.
    #[must_use]
    pub fn home(&self) -> &'h Home {
        self.home
    }

    /// The program itself, to be run in a PTY.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs `dsx ARGS` to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.call(args).run()
    }

    /// Runs `dsx VERB --json ARGS`, which must succeed and print one JSON value.
    pub fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Value {
        let mut call = self.call(args);
        call.args.insert(1, "--json".into());
        let said = call.run().expect_code(0);
        serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {said:?}"))
    }

    /// Starts `dsx ARGS`, to be waited for later.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        self.call(args).spawn()
    }

    /// A call whose details are still to be said.
    pub fn call<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Call {
        Call {
            program: self.program.clone(),
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            dir: self.home.project(),
            env: self.home.env().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            stdin: Vec::new(),
            deadline: DEADLINE,
        }
    }
}

impl Drop for Dsx<'_> {
    fn drop(&mut self) {
        let mut stop = self.call(["supervisor", "stop", "--kill"]);
        stop.deadline = Duration::from_secs(10);
        // Whatever comes of it, the sweep leaves nothing behind.
        let _ = stop.spawn().finish();
        self.home.kill_everything();
    }
}

/// One call of `dsx`.
#[derive(Clone, Debug)]
pub struct Call {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub dir: PathBuf,
    pub env: Vec<(OsString, OsString)>,
    pub stdin: Vec<u8>,
    pub deadline: Duration,
}

impl Call {
    /// Gives it something to read; without this its standard input is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it in another directory than the project's.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// Adds one variable to the home's environment.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Gives it this long instead of [`DEADLINE`].
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it.
    pub fn spawn(self) -> Running {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir).env_clear().envs(self.env);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting dsx");
        let mut stdin = child.stdin.take().expect("a piped stdin");
        // A reader that closes early is its own right.
        thread::spawn(move || stdin.write_all(&self.stdin));
        let stdout = drain(child.stdout.take().expect("a piped stdout"));
        let stderr = drain(child.stderr.take().expect("a piped stderr"));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let (died, death) = sync_channel(1);
        thread::spawn(move || {
            // Does not reap: the pid stays ours until `finish` has no more use for it.
            let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            let _ = died.send(());
        });
        let end = Instant::now() + self.deadline;
        Running { args: self.args, child, pid, death, stdout, stderr, end }
    }
}

/// A call under way. Killed if it is dropped unfinished.
#[derive(Debug)]
pub struct Running {
    args: Vec<OsString>,
    child: Child,
    pid: Pid,
    death: Receiver<()>,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    end: Instant,
}

impl Running {
    /// The process id of the call.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).expect("signalling dsx");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When the deadline passes first, or when something it started keeps its output open after its
    /// death (which would hang `$(dsx ...)` in a shell); it is then killed.
    pub fn wait(self) -> Output {
        self.finish().unwrap_or_else(|trouble| panic!("{trouble}"))
    }

    fn finish(mut self) -> Result<Output, String> {
        let timed_out = self.death.recv_timeout(self.left()).is_err();
        if timed_out {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        let status = self.child.wait().map_err(|e| format!("waiting for dsx: {e}"))?;
        // What a killed one had said comes at once, unless its children hold the pipes.
        let left = if timed_out { Duration::from_secs(1) } else { self.left() };
        let (stdout, stderr) = (self.stdout.recv_timeout(left), self.stderr.recv_timeout(left));
        let held = [&stdout, &stderr].iter().any(|r| matches!(r, Err(RecvTimeoutError::Timeout)));
        let text = |r: Result<Vec<u8>, _>| String::from_utf8_lossy(&r.unwrap_or_default()).into_owned();
        let output = Output { code: code(status), stdout: text(stdout), stderr: text(stderr) };
        let args = &self.args;
        if timed_out {
            return Err(format!("dsx {args:?} did not end in time; it said:\n{output:#?}"));
        }
        if held {
            return Err(format!(
                "dsx {args:?} ended, but something it started keeps its output open: {output:?}"
            ));
        }
        Ok(output)
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a child that was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn drain(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, drained) = sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = done.send(bytes);
    });
    drained
}
