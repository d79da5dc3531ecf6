//! Whole processes as their caller knows them: from the start until the end.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

/// A call in the environment of `home`, with nobody at its ends.
pub fn command<A: AsRef<OsStr>>(
    home: &Home,
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(home.project()).env_clear().envs(home.env());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long the call takes, which must succeed.
///
/// # Panics
/// When it does not.
pub fn timed(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let status = command.status().expect("starting a program");
    let took = begun.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

/// The same for a call of dsx.
pub fn timed_dsx<A: AsRef<OsStr>>(dsx: &Dsx<'_>, args: impl IntoIterator<Item = A>) -> Duration {
    timed(&mut command(dsx.home(), dsx.program(), args))
}

/// A named pipe in the project directory, by which a program in a session tells how far it is.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn fifo(home: &Home, name: &str) -> PathBuf {
    let path = home.project().join(name);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("making a named pipe");
    path
}

/// Processor time of a process so far: in ticks of the clock as `/proc/PID/stat` counts it, and as its
/// scheduler does, to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub ticks: u64,
    pub exact: Duration,
}

impl Cpu {
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
        // The name, in parentheses, may hold anything; utime and stime are the 14th and 15th field.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).expect("a stat line");
        let ticks = fields.skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a live process").flatten();
        let spent = tasks.filter_map(|task| {
            fs::read_to_string(task.path().join("schedstat"))
                .ok()?
                .split_whitespace()
                .next()?
                .parse::<u64>()
                .ok()
        });
        Self { ticks, exact: Duration::from_nanos(spent.sum()) }
    }

    /// What was spent since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { ticks: self.ticks - earlier.ticks, exact: self.exact.saturating_sub(earlier.exact) }
    }
}

impl std::ops::Add for Cpu {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { ticks: self.ticks + other.ticks, exact: self.exact + other.exact }
    }
}

/// Memory of a process in KiB: its own share of everything, and what of it no file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub pss: u64,
    pub anonymous: u64,
}

impl Memory {
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a live process");
        let field = |name: &str| {
            let line = rollup.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
        };
        Self { pss: field("Pss:"), anonymous: field("Pss_Anon:") }
    }
}

impl std::ops::Add for Memory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { pss: self.pss + other.pss, anonymous: self.anonymous + other.anonymous }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_spent_time_and_memory() {
        let before = Cpu::of(std::process::id());
        let end = Instant::now() + Duration::from_millis(50);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        assert!(Cpu::of(std::process::id()).since(before).exact > Duration::ZERO);
        let memory = Memory::of(std::process::id());
        assert!(memory.pss >= memory.anonymous && memory.anonymous > 0, "{memory:?}");
    }
}
