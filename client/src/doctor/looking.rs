//! One topic, looked at on a thread of its own, so that a hung file system or program holds up nothing else.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use super::Check;

pub(super) struct Looking {
    name: &'static str,
    answer: Receiver<Vec<Check>>,
}

impl Looking {
    pub(super) fn start(name: &'static str, look: impl FnOnce() -> Vec<Check> + Send + 'static) -> Self {
        let (told, answer) = sync_channel(1);
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A limit on file sizes would end the whole process at the trial write; blocked, it is an error value.
            let mut limit = SigSet::empty();
            limit.add(Signal::SIGXFSZ);
            let _ = limit.thread_block();
            // Refused once nobody waits any more.
            let _ = told.send(look());
        });
        if let Err(error) = started {
            let advice = "too many processes run: end some, or raise 'ulimit -u'";
            return Self::done(Check::problem(name, format!("no thread could be started: {error}"), advice));
        }
        Self { name, answer }
    }

    /// One that needed no looking.
    pub(super) fn done(check: Check) -> Self {
        let (told, answer) = sync_channel(1);
        let name = check.name;
        // There is room for one.
        let _ = told.send(vec![check]);
        Self { name, answer }
    }

    /// The answer, or that there was none by the deadline; the thread then ends with the process.
    pub(super) fn finish(self, deadline: Instant) -> Vec<Check> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match self.answer.recv_timeout(left) {
            Ok(checks) => checks,
            Err(RecvTimeoutError::Timeout) => {
                let advice = "look for a file system or a program that hangs ('df', 'dmesg')";
                vec![Check::problem(self.name, "looking at it did not come to an end", advice)]
            }
            Err(RecvTimeoutError::Disconnected) => {
                vec![Check::problem(self.name, "looking at it failed", "this is a fault of dsx: report it")]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn what_hangs_or_fails_costs_its_own_answer_only() {
        let (hold, held) = sync_channel::<()>(0);
        let hung = Looking::start("hung", move || {
            let _ = held.recv();
            Vec::new()
        });
        let failed = Looking::start("failed", || panic!("on purpose"));
        let fine = Looking::start("fine", || vec![Check::ok("fine", "")]);
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(fine.finish(soon)[0].state, State::Ok);
        assert_eq!(failed.finish(soon)[0].found, "looking at it failed");
        let told = hung.finish(Instant::now());
        assert!(told[0].state == State::Problem && told[0].found.contains("did not come to an end"));
        drop(hold);
    }
}
