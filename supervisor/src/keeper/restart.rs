//! The keeper's other duty: that there is a supervisor, and that it listens where clients look.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_to, socket as socket_of, socketpair,
};
use nix::sys::stat::{Mode, fchmod};

use super::wire::Wire;
use crate::launch::lock::Lock;
use crate::launch::{Origin, exec, pidfd, verdict};

/// A stretch of quick deaths: how long each may be from the last to belong to it.
const QUICK: Duration = Duration::from_secs(10);
/// So many deaths in a stretch are answered at once.
const FREE: usize = 4;
/// The first delay; each further death doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// When a process that has died may be started again.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    deaths: VecDeque<Instant>,
    delays: u32,
}

impl Backoff {
    /// Notes a death, and returns how long to wait before the next start: not at all for the first four within ten
    /// seconds, then longer each time until it has kept alive for ten.
    pub(crate) fn died(&mut self, now: Instant) -> Duration {
        let delay = self.delay();
        if self.deaths.back().is_some_and(|last| now.duration_since(*last) > QUICK + delay) {
            self.delays = 0;
        }
        self.deaths.retain(|death| now.duration_since(*death) <= QUICK);
        self.deaths.push_back(now);
        if self.deaths.len() > FREE || self.delays > 0 {
            self.delays += 1;
        }
        self.delay()
    }

    fn delay(&self) -> Duration {
        match self.delays {
            0 => Duration::ZERO,
            n => FIRST_DELAY.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_DELAY),
        }
    }

    /// Whether starting has been failing for long enough that it will go on doing so.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.delay() >= LONGEST_DELAY
    }

    /// Whether this stretch of deaths is past those that are answered at once.
    pub(crate) fn is_delaying(&self) -> bool {
        self.delays > 0
    }
}

/// A supervisor that was started.
pub(super) struct Started {
    pub(super) wire: Wire,
    pub(super) pid: u32,
    pub(super) process: OwnedFd,
}

/// Starts a supervisor with a channel of its own.
pub(super) fn start(
    origin: &Origin,
    null: &File,
    lock: &Lock,
    listener: &UnixListener,
) -> io::Result<Started> {
    let (ours, theirs) = channel()?;
    let mut args = vec!["supervisor".into()];
    args.extend(origin.to_args());
    let passed = vec![theirs.as_fd(), listener.as_fd(), lock.as_fd()];
    let started = exec::start(&exec::daemon(&origin.exe, &args, null.as_fd(), passed)?)?;
    let pid = started.pid.as_raw().unsigned_abs();
    // Our child, and not reaped: the pid is its own.
    let process = pidfd::open(pid);
    drop(theirs);
    let failure = verdict::read(started.verdict)?;
    let wire = Wire::new(ours)?;
    match failure {
        None => Ok(Started { wire, pid, process: process? }),
        Some(failure) => Err(io::Error::from_raw_os_error(failure.errno)),
    }
}

/// The two ends of a channel between keeper and supervisor.
pub(super) fn channel() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
}

/// Listens at `socket`, which then has mode 0600. Only with the lock in hand: what is in the way is then stale.
///
/// # Errors
/// What is in the way, as a sentence.
pub(super) fn bind(socket: &Path) -> Result<UnixListener, String> {
    let shown = socket.display();
    match UnixStream::connect(socket) {
        // Can only be if the lock file was removed from under a running supervisor.
        Ok(_) => {
            return Err(format!(
                "`{shown}` is served already, though its lock is free; end that supervisor, or remove the socket"
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.raw_os_error() == Some(Errno::ECONNREFUSED as i32) => {
            let stale = socket.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
            if !stale {
                return Err(format!("`{shown}` is in the way and not a socket; move it away"));
            }
            std::fs::remove_file(socket)
                .map_err(|error| format!("cannot remove the stale `{shown}`: {error}"))?;
        }
        Err(error) => return Err(format!("cannot look at `{shown}`: {error}; check its directory")),
    }
    listen(socket).map_err(|error| format!("cannot listen at `{shown}`: {error}; check its directory"))
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    let fd = stream()?;
    // Linux gives the file the mode of the unbound socket: it is right from the first moment, and the umask, which
    // belongs to the whole process, is left alone.
    fchmod(&fd, Mode::from_bits_truncate(0o600))?;
    bind_to(fd.as_raw_fd(), &UnixAddr::new(socket)?)?;
    nix::sys::socket::listen(&fd, Backlog::MAXCONN)?;
    Ok(UnixListener::from(fd))
}

fn stream() -> nix::Result<OwnedFd> {
    socket_of(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

/// Opens what daemons have for standard streams.
pub(crate) fn open_null() -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open("/dev/null")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_fifth_death_in_ten_seconds_waits_and_a_quiet_stretch_forgives() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        for n in 0..4 {
            assert_eq!(backoff.died(start + Duration::from_secs(n)), Duration::ZERO);
        }
        assert!(!backoff.is_delaying());
        let mut now = start + Duration::from_secs(4);
        let mut previous = backoff.died(now);
        assert_eq!(previous, FIRST_DELAY);
        assert!(backoff.is_delaying());
        for _ in 0..20 {
            now += previous;
            let next = backoff.died(now);
            assert!(next >= previous && next <= LONGEST_DELAY);
            previous = next;
        }
        assert!(backoff.is_hopeless());
        now += previous + QUICK + Duration::from_millis(1);
        assert_eq!(backoff.died(now), Duration::ZERO);
        assert!(!backoff.is_hopeless());
    }

    #[test]
    fn deaths_far_apart_are_answered_at_once() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        for n in 0..50 {
            assert_eq!(backoff.died(start + Duration::from_secs(3 * n)), Duration::ZERO);
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_anything_else_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        drop(UnixListener::bind(&socket).unwrap());
        assert!(socket.exists());
        let served = bind(&socket).unwrap();
        assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bind(&socket).unwrap_err().contains("served already"));
        drop(served);
        let file = dir.path().join("f");
        std::fs::write(&file, "precious").unwrap();
        assert!(bind(&file).unwrap_err().contains("not a socket"));
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    }
}
