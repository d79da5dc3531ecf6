//! A program in a terminal of its own, as a test sees it: every byte with its time, the screen they
//! make, and waits for what appears. It plays the terminal, so it answers the questions of a program
//! that asks what terminal it is in.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::home::Home;

/// What a program in a terminal of this harness may ask, and gets answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// Answers nothing.
    Silent,
    /// Answers DA1 only: a terminal without OSC 7501.
    Plain,
    /// Answers OSC 7501 and DA1, in the order of the questions.
    Status,
}

/// A program to be run in a PTY.
#[derive(Clone, Debug)]
pub struct PtyCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub dir: PathBuf,
    pub env: Vec<(OsString, OsString)>,
    pub rows: u16,
    pub cols: u16,
    pub terminal: Terminal,
}

impl PtyCommand {
    /// `program` in the project directory and the environment of `home`, in a [`Terminal::Status`] of 40
    /// rows and 120 columns.
    pub fn new<A: AsRef<OsStr>>(home: &Home, program: &Path, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.to_owned(),
            args: args.into_iter().map(|a| a.as_ref().to_owned()).collect(),
            dir: home.project(),
            env: home.env().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            rows: 40,
            cols: 120,
            terminal: Terminal::Status,
        }
    }

    /// Starts it.
    #[must_use]
    pub fn spawn(&self) -> Pty {
        // portable-pty ignores a missing directory and would run the program elsewhere.
        assert!(self.dir.is_dir(), "{} is not a directory", self.dir.display());
        let size = PtySize { rows: self.rows, cols: self.cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("opening a PTY");
        let mut builder = CommandBuilder::new(&self.program);
        builder.args(&self.args);
        builder.cwd(&self.dir);
        builder.env_clear();
        self.env.iter().for_each(|(key, value)| builder.env(key, value));
        let child = pair.slave.spawn_command(builder).expect("starting a program in a PTY");
        drop(pair.slave);
        Pty::start(pair.master, child, self)
    }
}

/// Everything a program has written so far.
pub struct Seen {
    /// The raw bytes.
    pub bytes: Vec<u8>,
    /// The offset and time of each read.
    pub marks: Vec<(usize, Instant)>,
    /// Whether the PTY has hung up: nothing more will come.
    pub ended: bool,
    /// The exit code, once the program is dead; a signal is 1.
    pub exit: Option<u32>,
    parser: vt100::Parser,
    scanned: usize,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("bytes", &self.bytes.len())
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}

impl Seen {
    /// The offset past the first `needle` at or after `from`.
    #[must_use]
    pub fn find(&self, needle: &[u8], from: usize) -> Option<usize> {
        let bytes = self.bytes.get(from..)?;
        bytes.windows(needle.len()).position(|w| w == needle).map(|at| from + at + needle.len())
    }

    /// When the byte at `offset` was read.
    #[must_use]
    pub fn time_of(&self, offset: usize) -> Option<Instant> {
        let after = self.marks.partition_point(|(start, _)| *start <= offset);
        self.marks.get(after.checked_sub(1)?).map(|(_, at)| *at)
    }

    /// The screen as text, trailing blanks removed.
    #[must_use]
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// The screen with its attributes, for tests of what is dim or where the cursor is.
    #[must_use]
    pub fn cells(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Every OSC 7501 report so far, with the time its end was read: the payload after `7501;`.
    #[must_use]
    pub fn reports(&self) -> Vec<(Instant, String)> {
        const START: &[u8] = b"\x1b]7501;";
        let mut reports = Vec::new();
        let mut from = 0;
        while let Some(start) = self.find(START, from) {
            let Some(length) = self.bytes[start..].iter().position(|b| matches!(b, 0x07 | 0x1b)) else {
                break;
            };
            let payload = String::from_utf8_lossy(&self.bytes[start..start + length]).into_owned();
            if let Some(at) = self.time_of(start + length) {
                reports.push((at, payload));
            }
            from = start + length;
        }
        reports
    }

    /// Takes in what was read; returns what the terminal has to answer.
    fn take(&mut self, bytes: &[u8], terminal: Terminal) -> Vec<u8> {
        self.marks.push((self.bytes.len(), Instant::now()));
        self.bytes.extend_from_slice(bytes);
        // The parser is known to panic on rare input; the raw bytes stay true without it.
        if catch_unwind(AssertUnwindSafe(|| self.parser.process(bytes))).is_err() {
            let (rows, cols) = self.parser.screen().size();
            self.parser = vt100::Parser::new(rows, cols, 0);
        }
        self.answers(terminal)
    }

    fn answers(&mut self, terminal: Terminal) -> Vec<u8> {
        const STATUS: &[u8] = b"\x1b]7501;?";
        const DEVICE: &[u8] = b"\x1b[c";
        let mut answers = Vec::new();
        loop {
            let status = self.find(STATUS, self.scanned);
            let device = self.find(DEVICE, self.scanned);
            let Some(next) = status.into_iter().chain(device).min() else { break };
            self.scanned = next;
            match terminal {
                Terminal::Silent => {}
                Terminal::Plain | Terminal::Status if device == Some(next) => {
                    answers.extend_from_slice(b"\x1b[?62;22c");
                }
                Terminal::Plain => {}
                Terminal::Status => answers.extend_from_slice(b"\x1b]7501;?\x1b\\"),
            }
        }
        // A question may still be incomplete at the end.
        self.scanned = self.scanned.max(self.bytes.len().saturating_sub(STATUS.len() - 1));
        answers
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    writer: Mutex<Box<dyn Write + Send>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes).and_then(|()| writer.flush())
    }
}

/// A program running in a PTY; killed with its process group when dropped.
pub struct Pty {
    shared: Arc<Shared>,
    master: Box<dyn MasterPty + Send>,
    pid: Pid,
}

impl std::fmt::Debug for Pty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pty").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Pty {
    fn start(
        master: Box<dyn MasterPty + Send>,
        child: Box<dyn Child + Send + Sync>,
        from: &PtyCommand,
    ) -> Self {
        let pid = child.process_id().and_then(|pid| i32::try_from(pid).ok()).expect("the program's pid");
        let seen = Seen {
            bytes: Vec::new(),
            marks: Vec::new(),
            ended: false,
            exit: None,
            parser: vt100::Parser::new(cells(from.rows), cells(from.cols), 0),
            scanned: 0,
        };
        let writer = Mutex::new(master.take_writer().expect("writing to a PTY"));
        let shared = Arc::new(Shared { seen: Mutex::new(seen), changed: Condvar::new(), writer });
        let reader = master.try_clone_reader().expect("reading from a PTY");
        let (for_reader, terminal) = (Arc::clone(&shared), from.terminal);
        thread::spawn(move || read_all(reader, &for_reader, terminal));
        let (for_reaper, pid) = (Arc::clone(&shared), Pid::from_raw(pid));
        thread::spawn(move || reap(child, pid, &for_reaper));
        Self { shared, master, pid }
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Writes to the program, as one write.
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        self.shared.write(bytes.as_ref()).expect("writing to a PTY");
    }

    /// Changes the size of the terminal the program is in (the screen seen here keeps its size).
    pub fn resize(&self, rows: u16, cols: u16) {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("resizing a PTY");
    }

    /// Looks at what was written so far.
    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.shared.lock())
    }

    /// Waits until `find` sees what it looks for, and returns that.
    ///
    /// # Panics
    /// With the screen and the last bytes, when `deadline` passes first.
    pub fn wait<T>(&self, deadline: Duration, find: impl FnMut(&Seen) -> Option<T>) -> T {
        self.try_wait(deadline, find).unwrap_or_else(|seen| panic!("not seen within {deadline:?}\n{seen}"))
    }

    /// The same, with what was seen instead as the error.
    ///
    /// # Errors
    /// The screen and the last bytes, when `deadline` passes first.
    pub fn try_wait<T>(
        &self,
        deadline: Duration,
        mut find: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, String> {
        let end = Instant::now() + deadline;
        let mut seen = self.shared.lock();
        loop {
            if let Some(found) = find(&seen) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(describe(&seen));
            }
            seen = self.shared.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the screen shows `text`.
    pub fn wait_screen(&self, deadline: Duration, text: &str) {
        let shown = |seen: &Seen| seen.screen().contains(text).then_some(());
        if let Err(seen) = self.try_wait(deadline, shown) {
            panic!("{text:?} was not on the screen within {deadline:?}\n{seen}");
        }
    }

    /// Waits until `needle` was written at or after the offset `from`; returns the offset past it.
    #[must_use]
    pub fn wait_bytes(&self, deadline: Duration, needle: &[u8], from: usize) -> usize {
        self.wait(deadline, |seen| seen.find(needle, from))
    }

    /// Waits for the program's death; returns its exit code.
    #[must_use]
    pub fn wait_exit(&self, deadline: Duration) -> u32 {
        self.wait(deadline, |seen| seen.exit)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let seen = self.shared.lock();
        // Under the lock the reaper has not yet freed a pid that has no exit code.
        if seen.exit.is_none() {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
    }
}

fn read_all(mut reader: Box<dyn Read + Send>, shared: &Shared, terminal: Terminal) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let mut answers = Vec::new();
        shared.change(|seen| answers = seen.take(&buffer[..count], terminal));
        if !answers.is_empty() && shared.write(&answers).is_err() {
            break;
        }
    }
    shared.change(|seen| seen.ended = true);
}

fn reap(mut child: Box<dyn Child + Send + Sync>, pid: Pid, shared: &Shared) {
    // Waits without reaping, so that the pid is freed only under the lock.
    let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    shared.change(|seen| seen.exit = Some(child.wait().map_or(1, |status| status.exit_code())));
}

fn describe(seen: &Seen) -> String {
    let tail = &seen.bytes[seen.bytes.len().saturating_sub(600)..];
    let mut text = format!("--- screen ({} bytes, exit {:?})\n", seen.bytes.len(), seen.exit);
    let _ = writeln!(text, "{}\n--- last bytes\n{}", seen.screen(), tail.escape_ascii());
    text
}
