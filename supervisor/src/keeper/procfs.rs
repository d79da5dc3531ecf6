//! What only /proc tells: when a process began, to which session it belongs, who our children are.

use std::fs;
use std::io;

/// Of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// Its session (in the sense of setsid), named by its leader's pid.
    pub(crate) session: u32,
    /// Clock ticks since the machine started. With the pid this names a process once and for all.
    pub(crate) start_time: u64,
    /// It has ended and waits to be reaped.
    pub(crate) zombie: bool,
    /// Its main thread computes, or waits for a processor or a disk; not for anything that is still to come.
    pub(crate) busy: bool,
}

pub(crate) fn stat(pid: u32) -> io::Result<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat"))?).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not understood"))
    })
}

/// The second field is the program's name, which may hold anything: what counts follows its last parenthesis.
fn parse(page: &[u8]) -> Option<Stat> {
    let name_end = page.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(page.get(name_end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let (zombie, busy) = (matches!(state, "Z" | "X"), matches!(state, "R" | "D"));
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start_time = fields.nth(15)?.parse().ok()?;
    Some(Stat { parent, session, start_time, zombie, busy })
}

/// All processes of the session that `leader` leads or led, zombies aside.
pub(crate) fn members(leader: u32) -> io::Result<Vec<u32>> {
    select(|found| found.session == leader && !found.zombie)
}

/// Whether `parent` has a child that is still to run and has not yet become another program: a shell's command
/// that has not had a processor so far, and so not taken the terminal either.
pub(crate) fn has_forked(parent: u32) -> bool {
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let Ok(children) = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) else {
        return false;
    };
    let children = children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
    let parents_name = name(parent);
    children.filter(|pid| stat(*pid).is_ok_and(|found| found.busy)).any(|pid| name(pid) == parents_name)
}

/// The children of `parent` that wait to be reaped, without those that are `known`.
pub(crate) fn zombies_of(parent: u32, known: impl Fn(u32) -> bool) -> io::Result<Vec<u32>> {
    // One page instead of all processes, where the kernel has it.
    let Ok(children) = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) else {
        let all = select(|found| found.parent == parent && found.zombie)?;
        return Ok(all.into_iter().filter(|pid| !known(*pid)).collect());
    };
    let unknown =
        children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid| !known(*pid));
    Ok(unknown.filter(|pid| stat(*pid).is_ok_and(|found| found.zombie)).collect())
}

fn select(fits: impl Fn(&Stat) -> bool) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that is gone by now does not fit either.
        if stat(pid).is_ok_and(|found| fits(&found)) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_pass_for_fields() {
        let page = b"42 (a) Z 9 9 9 (x) S 7 42 41 34816 1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 1000\n";
        let expected = Stat { parent: 7, session: 41, start_time: 12345, zombie: false, busy: false };
        assert_eq!(parse(page), Some(expected));
        let busy = parse(b"42 (b) R 7 42 41 34816 1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 1000\n");
        assert_eq!(busy, Some(Stat { busy: true, ..expected }));
        assert_eq!(parse(b"42 (cut"), None);
        assert_eq!(parse(b"42 (cut) S 1 2"), None);
    }

    #[test]
    fn we_are_found_in_our_own_session() {
        let own = stat(std::process::id()).unwrap();
        assert!(own.start_time > 0);
        assert!(members(own.session).unwrap().contains(&std::process::id()));
    }
}
