//! What dsx needs of the kernel: processes that are held by a descriptor, pseudo-terminals, /proc.

use std::fs;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::utsname::uname;

use super::Check;

/// pidfd_open(2), on which the keeper waits.
const OLDEST: (u32, u32) = (5, 3);

pub(super) fn look() -> Vec<Check> {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned());
    vec![
        judge_release(release.map_err(|errno| errno.to_string())),
        judge_proc(std::env::current_exe().and_then(|_| fs::metadata("/proc/self/stat")).map(drop)),
        judge_pty(open_pty()),
    ]
}

fn judge_release(release: Result<String, String>) -> Check {
    let name = "kernel";
    match release {
        Err(why) => Check::warning(name, format!("its version is not known: {why}"), "see 'uname -r'"),
        Ok(release) => match parse(&release) {
            Some(version) if version < OLDEST => {
                let found = format!("Linux {release}; dsx needs {}.{}", OLDEST.0, OLDEST.1);
                Check::problem(name, found, "use a newer kernel")
            }
            Some(_) => Check::ok(name, format!("Linux {release}")),
            None => Check::ok(name, release),
        },
    }
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn judge_proc(found: std::io::Result<()>) -> Check {
    let name = "proc";
    match found {
        Ok(()) => Check::ok(name, "/proc is mounted"),
        Err(error) => {
            let found = format!("/proc cannot be read: {error}; who calls dsx is not known without it");
            Check::problem(name, found, "mount -t proc proc /proc")
        }
    }
}

/// A master and the name of its slave, as every session needs them.
fn open_pty() -> Result<String, String> {
    let failed = |what: &str, errno: nix::errno::Errno| format!("{what}: {errno}");
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .map_err(|e| failed("/dev/ptmx", e))?;
    grantpt(&master).map_err(|e| failed("granting it", e))?;
    unlockpt(&master).map_err(|e| failed("unlocking it", e))?;
    let slave = ptsname_r(&master).map_err(|e| failed("naming it", e))?;
    match fs::metadata(&slave) {
        Ok(_) => Ok(slave),
        Err(error) => Err(format!("{slave}: {error}")),
    }
}

fn judge_pty(found: Result<String, String>) -> Check {
    let name = "pty";
    match found {
        Ok(_) => Check::ok(name, "pseudo-terminals can be opened"),
        Err(why) => {
            let found = format!("no pseudo-terminal can be opened: {why}");
            Check::problem(name, found, "mount devpts on /dev/pts, or raise kernel.pty.max")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn an_old_kernel_is_a_problem_and_an_odd_name_is_none() {
        let state = |release: &str| judge_release(Ok(release.to_owned())).state;
        assert_eq!(["6.1.0-18-amd64", "5.3.0", "10.0", "odd"].map(state), [State::Ok; 4]);
        assert_eq!(["4.19.0", "5.2.21-generic", "3.10"].map(state), [State::Problem; 3]);
        assert_eq!(judge_release(Err("x".into())).state, State::Warning);
    }

    #[test]
    fn this_machine_has_what_the_tests_need() {
        assert!(look().iter().all(|check| check.state == State::Ok), "{:?}", look());
        assert_eq!(judge_pty(Err("x".into())).state, State::Problem);
        assert_eq!(judge_proc(Err(std::io::ErrorKind::NotFound.into())).state, State::Problem);
    }
}
