//! Who a caller is, by what the kernel says of its process and those that started it.

use std::fs;

use crate::registry::Ancestor;

/// Processes looked at, at most.
const STEPS: usize = 64;

/// A process and its ancestors, nearest first. Empty where the kernel does not tell.
#[must_use]
pub fn line_of(pid: u32) -> Vec<Ancestor> {
    let mut line = Vec::new();
    let mut at = pid;
    while at > 1 && line.len() < STEPS {
        let Some((parent, sid)) = stat(at) else { break };
        line.push(Ancestor { pid: at, sid });
        at = parent;
    }
    line
}

/// Parent and session leader of a process, from `/proc/PID/stat`.
fn stat(pid: u32) -> Option<(u32, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the fields after it do not.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let sid = fields.nth(1)?.parse().ok()?;
    Some((parent, sid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_its_parent_in_line() {
        let line = line_of(std::process::id());
        assert_eq!(line[0].pid, std::process::id());
        assert_eq!(line.get(1).map(|a| a.pid), Some(std::os::unix::process::parent_id()).filter(|p| *p > 1));
    }
}
