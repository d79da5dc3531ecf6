//! Limits of the system that dsx meets: open files, and the kernel's watches of files.

use std::fs;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::resource::{Resource, getrlimit};

use super::Check;

/// Below this even a few sessions may run out: each needs about ten.
const FEW_OPEN_FILES: u64 = 256;
/// A session watches a handful of files and directories.
const FEW_WATCHES: u64 = 1_024;
const FEW_INSTANCES: u64 = 16;

pub(super) fn open_files() -> Check {
    judge_open_files(getrlimit(Resource::RLIMIT_NOFILE))
}

/// `found` is the soft and the hard limit.
fn judge_open_files(found: Result<(u64, u64), Errno>) -> Check {
    let name = "open_files";
    match found {
        Err(errno) => Check::warning(name, format!("the limit is not known: {errno}"), "see 'ulimit -n'"),
        Ok((soft, hard)) if soft < FEW_OPEN_FILES => {
            let found = format!("a process may have {soft} files open (at most {hard})");
            let advice = if hard >= FEW_OPEN_FILES {
                format!("ulimit -n {}", hard.min(4_096))
            } else {
                "have the hard limit raised (nofile in /etc/security/limits.conf)".to_owned()
            };
            Check::warning(name, found, advice)
        }
        Ok((soft, _)) => Check::ok(name, format!("a process may have {soft}")),
    }
}

/// What the kernel says of its watches.
struct Watches {
    watches: Option<u64>,
    instances: Option<u64>,
    /// Whether one more could be had right now.
    tried: Result<(), Errno>,
}

pub(super) fn inotify() -> Check {
    judge_inotify(&Watches {
        watches: setting("max_user_watches"),
        instances: setting("max_user_instances"),
        tried: try_watch(),
    })
}

fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
}

fn try_watch() -> Result<(), Errno> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    inotify.add_watch("/", AddWatchFlags::IN_ATTRIB).map(drop)
}

fn judge_inotify(found: &Watches) -> Check {
    let name = "inotify";
    let shown =
        |value: Option<u64>| value.map_or_else(|| "an unknown number of".to_owned(), |v| v.to_string());
    let limits = format!("{} instances, {} watches", shown(found.instances), shown(found.watches));
    let more = |setting: &str, value: u64| format!("sudo sysctl fs.inotify.{setting}={value}");
    match found.tried {
        Err(Errno::EMFILE) => {
            let what = format!("no instance is left for you ({limits})");
            Check::problem(name, what, more("max_user_instances", 512))
        }
        Err(Errno::ENOSPC) => {
            let what = format!("no watch is left for you ({limits})");
            Check::problem(name, what, more("max_user_watches", 65_536))
        }
        Err(errno) => {
            let advice = "dsx follows what agents write by it: use a kernel or container that has inotify";
            Check::problem(name, format!("files cannot be watched: {errno}"), advice)
        }
        Ok(()) if found.instances.is_some_and(|n| n < FEW_INSTANCES) => {
            Check::warning(name, limits, more("max_user_instances", 512))
        }
        Ok(()) if found.watches.is_some_and(|n| n < FEW_WATCHES) => {
            Check::warning(name, limits, more("max_user_watches", 65_536))
        }
        Ok(()) => Check::ok(name, limits),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn few_open_files_are_warned_of_with_what_can_be_had() {
        assert_eq!(judge_open_files(Ok((1_024, 4_096))).state, State::Ok);
        let few = judge_open_files(Ok((64, 1_000_000)));
        assert!(few.state == State::Warning && few.advice.unwrap() == "ulimit -n 4096");
        assert!(judge_open_files(Ok((64, 64))).advice.unwrap().contains("hard limit"));
        assert_eq!(judge_open_files(Err(Errno::EPERM)).state, State::Warning);
    }

    #[test]
    fn watches_that_cannot_be_had_are_a_problem() {
        let state = |watches, instances, tried| {
            judge_inotify(&Watches { watches: Some(watches), instances: Some(instances), tried }).state
        };
        assert_eq!(state(65_536, 128, Ok(())), State::Ok);
        assert_eq!(state(10, 128, Ok(())), State::Warning);
        assert_eq!(state(65_536, 2, Ok(())), State::Warning);
        for errno in [Errno::EMFILE, Errno::ENOSPC, Errno::ENOSYS] {
            assert_eq!(state(65_536, 128, Err(errno)), State::Problem);
        }
        let unknown = Watches { watches: None, instances: None, tried: Ok(()) };
        assert_eq!(judge_inotify(&unknown).state, State::Ok);
    }
}
