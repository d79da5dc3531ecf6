//! The keeper's other duty: that there is a supervisor.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

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
    let mut args = vec!["supervise".into()];
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

/// Opens what daemons have for standard streams.
pub(crate) fn open_null() -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open("/dev/null")
}

#[cfg(test)]
mod tests {
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
}
