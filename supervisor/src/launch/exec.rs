//! The one fork and exec. Agents, supervisors and keepers are all started here.
//!
//! Between fork and exec the child runs in a copy of a process that may have had threads: it must not allocate,
//! take a lock or run a destructor. All it needs is laid out before the fork, and it only makes system calls.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{self, c_char, c_int, c_uint};
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};

use super::verdict::{Failure, Obstacle};

/// The first number that `Plan::passed` gets in the child.
pub(crate) const FIRST_PASSED: RawFd = 3;

/// Descriptors are moved to this number or above before the fork, so that putting them in place in the child cannot
/// overwrite one that is still to be moved.
const OUT_OF_THE_WAY: RawFd = 10;

/// How many signals the kernel has.
const KERNEL_SIGNALS: usize = 64;

/// What is to become of the child.
pub(crate) struct Plan<'a> {
    /// Full paths (or paths relative to `cwd`), tried in turn.
    pub(crate) programs: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    /// The whole environment, as `NAME=value`.
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    pub(crate) input: BorrowedFd<'a>,
    /// Standard output and standard error.
    pub(crate) output: BorrowedFd<'a>,
    /// Whether `input` becomes the controlling terminal.
    pub(crate) terminal: bool,
    /// Become 3, 4, … in the child; it inherits no other. At most [`MOST_PASSED`].
    pub(crate) passed: Vec<BorrowedFd<'a>>,
    /// Whether to fork twice, so that the child is not ours to reap. Its pid is then unknown here.
    pub(crate) orphan: bool,
    /// The soft limit on open files, where it is not to be ours.
    pub(crate) open_files: Option<u64>,
}

/// How many descriptors a child can be given: they must fit below those that are out of the way.
const MOST_PASSED: usize = 5;

/// A child that was forked.
pub(crate) struct Started {
    /// The child, or with `Plan::orphan` a process that is gone by now.
    pub(crate) pid: Pid,
    /// To be read with [`super::verdict::read`].
    pub(crate) verdict: OwnedFd,
}

/// `text` for a system call.
pub(crate) fn c_string(text: impl AsRef<OsStr>) -> io::Result<CString> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The plan for a daemon of dsx: nothing of a terminal, working directory `/`. The binary that runs is the second
/// choice where `exe` is gone, so that an uninstalled dsx still looks after what it runs.
pub(crate) fn daemon<'a>(
    exe: &Path,
    args: &[std::ffi::OsString],
    null: BorrowedFd<'a>,
    passed: Vec<BorrowedFd<'a>>,
) -> io::Result<Plan<'a>> {
    let mut argv = vec![c_string("dsx")?];
    for arg in args {
        argv.push(c_string(arg)?);
    }
    let mut env = Vec::new();
    // The daemons outlive the session from which they were first called, and must not pass for part of it.
    let stale = |name: &OsStr| name == "DSX_SESSION" || name == "DSX_SOCKET";
    for (name, value) in std::env::vars_os().filter(|(name, _)| !stale(name)) {
        let mut entry = name.into_encoded_bytes();
        entry.push(b'=');
        entry.extend_from_slice(value.as_bytes());
        env.push(c_string(OsStr::from_bytes(&entry))?);
    }
    let programs = vec![c_string(exe)?, c_string("/proc/self/exe")?];
    let cwd = c_string("/")?;
    Ok(Plan {
        programs,
        argv,
        env,
        cwd,
        input: null,
        output: null,
        terminal: false,
        passed,
        orphan: false,
        open_files: None,
    })
}

/// What the child reads: pointers into what the parent's frame owns, which the fork copies.
struct Layout {
    programs: Vec<*const c_char>,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    cwd: *const c_char,
    input: RawFd,
    output: RawFd,
    passed: Vec<RawFd>,
    verdict: RawFd,
    terminal: bool,
    orphan: bool,
    open_files: Option<u64>,
}

/// Forks, and has the child carry out `plan`.
///
/// The child is a session leader without inherited signal dispositions, masks or descriptors (with `orphan` a member
/// of such a session). Returns as soon as the child exists: whether the exec worked is told by [`Started::verdict`].
///
/// # Errors
/// When no pipe, descriptor or process could be had. Nothing was started then.
pub(crate) fn start(plan: &Plan<'_>) -> io::Result<Started> {
    if plan.passed.len() > MOST_PASSED {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let (verdict, report) = pipe2(OFlag::O_CLOEXEC)?;
    let report = out_of_the_way(report.as_fd())?;
    let input = out_of_the_way(plan.input)?;
    let output = out_of_the_way(plan.output)?;
    let passed = plan.passed.iter().map(|fd| out_of_the_way(*fd)).collect::<io::Result<Vec<OwnedFd>>>()?;
    let layout = Layout {
        programs: pointers(&plan.programs),
        argv: pointers(&plan.argv),
        env: pointers(&plan.env),
        cwd: plan.cwd.as_ptr(),
        input: input.as_raw_fd(),
        output: output.as_raw_fd(),
        passed: passed.iter().map(AsRawFd::as_raw_fd).collect(),
        verdict: report.as_raw_fd(),
        terminal: plan.terminal,
        orphan: plan.orphan,
        open_files: plan.open_files,
    };
    // No handler of ours may run in the child: it would write to pipes that it shares with us.
    let before = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the child only calls `child`, which keeps to system calls on what `layout` laid out.
    let forked = unsafe { fork() };
    if let Ok(ForkResult::Child) = forked {
        // SAFETY: this is the child of a fork; all pointers in `layout` are to live, NUL-terminated memory.
        unsafe { child(&layout) }
    }
    before.thread_set_mask()?;
    let ForkResult::Parent { child: pid } = forked? else {
        return Err(io::Error::from_raw_os_error(libc::ECHILD));
    };
    if plan.orphan {
        // The process in between exits at once.
        while waitpid(pid, None) == Err(nix::errno::Errno::EINTR) {}
    }
    Ok(Started { pid, verdict })
}

fn out_of_the_way(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let moved = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(OUT_OF_THE_WAY))?;
    // SAFETY: fcntl has just made this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// # Safety
/// Only in the child of a fork, with `layout` made by [`start`].
unsafe fn child(layout: &Layout) -> ! {
    // SAFETY: system calls only, on descriptors and strings that `layout` laid out before the fork.
    unsafe {
        if libc::setsid() < 0 {
            give_up(layout.verdict, Obstacle::Resources);
        }
        if layout.orphan {
            match libc::fork() {
                0 => {}
                -1 => give_up(layout.verdict, Obstacle::Resources),
                _ => libc::_exit(0),
            }
        }
        if layout.terminal && libc::ioctl(layout.input, libc::TIOCSCTTY, 0) < 0 {
            give_up(layout.verdict, Obstacle::Terminal);
        }
        let verdict = place_descriptors(layout);
        reset_signals();
        // Opened first, and entered by descriptor: a directory that is missing is an error and not another place.
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let directory = libc::open(layout.cwd, flags);
        if directory < 0 || libc::fchdir(directory) < 0 {
            give_up(verdict, Obstacle::Directory);
        }
        if let Some(soft) = layout.open_files {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
                limit.rlim_cur = soft.min(limit.rlim_max);
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
        }
        execute(layout, verdict)
    }
}

/// Puts 0, 1, 2 and what is passed in place and closes everything else. Returns where the verdict pipe is now.
///
/// Closed here and not by the exec: until then the child would keep the keeper's channel and lock alive, and it can
/// hang for long on a directory of a dead file server.
///
/// # Safety
/// As [`child`].
unsafe fn place_descriptors(layout: &Layout) -> RawFd {
    // SAFETY: all sources are at OUT_OF_THE_WAY or above, all targets below it.
    unsafe {
        let mut next = FIRST_PASSED;
        let standard = [(layout.input, 0), (layout.output, 1), (layout.output, 2)];
        for (from, to) in standard {
            if libc::dup2(from, to) < 0 {
                give_up(layout.verdict, Obstacle::Resources);
            }
        }
        for from in &layout.passed {
            if libc::dup2(*from, next) < 0 {
                give_up(layout.verdict, Obstacle::Resources);
            }
            next += 1;
        }
        let verdict = next;
        if libc::dup3(layout.verdict, verdict, libc::O_CLOEXEC) < 0 {
            give_up(layout.verdict, Obstacle::Resources);
        }
        close_from(verdict + 1);
        verdict
    }
}

/// # Safety
/// As [`child`].
unsafe fn close_from(first: RawFd) {
    // SAFETY: closing what the exec would close anyway, or what it must not keep.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first as c_uint, c_uint::MAX, 0) == 0 {
            return;
        }
        // Before Linux 5.9. Nothing of ours has numbers beyond this.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let known = libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0;
        let end = if known { limit.rlim_cur.min(1 << 16) } else { 1 << 16 };
        for fd in first..end as c_int {
            libc::close(fd);
        }
    }
}

/// An ignored signal and a mask survive exec: a program that never hears SIGPIPE, or SIGINT, behaves oddly.
///
/// # Safety
/// As [`child`].
unsafe fn reset_signals() {
    // SAFETY: all zeroes are the default disposition with an empty mask, in whatever order the kernel of this machine
    // has its fields; sigset_t is plain memory.
    unsafe {
        let default = [0_u64; 8];
        for signal in 1..=KERNEL_SIGNALS {
            // Not by sigaction(3), which refuses those that libc keeps to itself: a caller can have them ignored
            // nevertheless. The kernel refuses KILL and STOP.
            let nothing = ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nothing, KERNEL_SIGNALS / 8);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Tries the programs in turn. One that is not there gives way to the next, one that may not be run is remembered.
///
/// # Safety
/// As [`child`].
unsafe fn execute(layout: &Layout, verdict: RawFd) -> ! {
    // SAFETY: the arrays end in a null pointer, their strings in a NUL.
    unsafe {
        let mut worst = (Obstacle::Program, libc::ENOENT);
        let mut program = layout.programs.as_ptr();
        while !(*program).is_null() {
            libc::execve(*program, layout.argv.as_ptr(), layout.env.as_ptr());
            let errno = *libc::__errno_location();
            let absent = errno == libc::ENOENT || errno == libc::ENOTDIR;
            if absent && libc::access(*program, libc::F_OK) == 0 {
                worst = (Obstacle::Interpreter, errno);
                break;
            }
            if !absent {
                worst = (Obstacle::Program, errno);
            }
            if !absent && errno != libc::EACCES {
                break;
            }
            program = program.add(1);
        }
        report(verdict, Failure { at: worst.0, errno: worst.1 })
    }
}

/// # Safety
/// As [`child`].
unsafe fn give_up(verdict: RawFd, at: Obstacle) -> ! {
    // SAFETY: errno is this thread's own.
    unsafe { report(verdict, Failure { at, errno: *libc::__errno_location() }) }
}

/// # Safety
/// As [`child`].
unsafe fn report(verdict: RawFd, failure: Failure) -> ! {
    let bytes = failure.to_bytes();
    // SAFETY: writes from a live buffer; `_exit` runs no destructor of the parent's.
    unsafe {
        libc::write(verdict, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(127)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::launch::verdict;

    fn run(program: &str, cwd: &str) -> Option<Failure> {
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let mut plan = daemon(Path::new(program), &[], null.as_fd(), vec![]).unwrap();
        plan.programs.truncate(1);
        plan.cwd = c_string(cwd).unwrap();
        let started = start(&plan).unwrap();
        let failure = verdict::read(started.verdict).unwrap();
        waitpid(started.pid, None).unwrap();
        failure
    }

    #[test]
    fn each_obstacle_is_told_from_the_others() {
        assert_eq!(run("/bin/true", "/"), None);
        assert_eq!(
            run("/bin/true", "/nowhere"),
            Some(Failure { at: Obstacle::Directory, errno: libc::ENOENT })
        );
        assert_eq!(
            run("/bin/true", "/dev/null"),
            Some(Failure { at: Obstacle::Directory, errno: libc::ENOTDIR })
        );
        assert_eq!(run("/nowhere/x", "/"), Some(Failure { at: Obstacle::Program, errno: libc::ENOENT }));
        assert_eq!(run("/etc/passwd", "/"), Some(Failure { at: Obstacle::Program, errno: libc::EACCES }));
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/nowhere/sh\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, mode).unwrap();
        let missing = Failure { at: Obstacle::Interpreter, errno: libc::ENOENT };
        assert_eq!(run(script.to_str().unwrap(), "/"), Some(missing));
    }
}
