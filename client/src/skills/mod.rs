//! The skills that teach agents to use dsx, and the files they are installed as.
//!
//! A file of ours bears its version and a checksum in its front matter: an older one is replaced, one that
//! somebody changed by hand or wrote himself never is. All places are looked at before the first is written.

mod disk;
mod place;

use std::path::PathBuf;

pub(crate) use disk::{examine, write};
pub(crate) use place::{Agent, Around, Scope, places};

use crate::failure::Failure;

/// The name of the file in a skill's directory.
const FILE: &str = "SKILL.md";
/// In the front matter, followed by the version and, once installed, the checksum of all other lines.
const MARKER: &str = "  dsx-skill: \"";

/// One skill.
#[derive(Debug)]
pub(crate) struct Skill {
    pub name: &'static str,
    text: &'static str,
}

pub(crate) const SKILLS: [Skill; 2] = [
    Skill { name: "dsx", text: include_str!("dsx.md") },
    Skill { name: "handoff", text: include_str!("handoff.md") },
];

impl Skill {
    /// The file as it is installed.
    pub(crate) fn file(&self) -> String {
        let lines = self.text.lines().map(|line| match Mark::of_line(line) {
            Some(mark) => format!("{MARKER}{} {}\"\n", mark.version, checksum(self.text)),
            None => format!("{line}\n"),
        });
        lines.collect()
    }

    fn version(&self) -> u32 {
        Mark::of(self.text).map_or(0, |mark| mark.version)
    }
}

/// A place where a skill is to be.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub agent: Agent,
    /// Nothing outside of this directory is touched.
    pub root: PathBuf,
    /// The skill's own directory.
    pub dir: PathBuf,
    pub skill: &'static Skill,
}

impl Place {
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

/// What is to be done at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Install,
    /// Replaces an older one.
    Upgrade,
    UpToDate,
    /// A newer dsx has installed it.
    Newer,
}

impl Step {
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::Install | Self::Upgrade)
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark<'t> {
    version: u32,
    checksum: Option<&'t str>,
}

impl<'t> Mark<'t> {
    fn of_line(line: &'t str) -> Option<Self> {
        let said = line.strip_prefix(MARKER)?.strip_suffix('"')?;
        let (version, checksum) = match said.split_once(' ') {
            Some((version, checksum)) => (version, Some(checksum)),
            None => (said, None),
        };
        Some(Self { version: version.parse().ok()?, checksum })
    }

    /// The mark in a file's front matter, and nowhere else.
    fn of(text: &'t str) -> Option<Self> {
        let (front, _) = text.strip_prefix("---\n")?.split_once("\n---\n")?;
        front.lines().find_map(Self::of_line)
    }
}

/// What the text that is there, if any, means for a skill that is to be there; the error says why it stays.
fn judge(skill: &Skill, there: Option<&str>) -> Result<Step, &'static str> {
    let Some(there) = there else { return Ok(Step::Install) };
    if there == skill.file() {
        return Ok(Step::UpToDate);
    }
    let mark = Mark::of(there).ok_or("it is there already, and dsx did not install it")?;
    if mark.checksum != Some(&checksum(there)) {
        return Err("it was changed by hand since dsx installed it");
    }
    Ok(if mark.version > skill.version() { Step::Newer } else { Step::Upgrade })
}

/// FNV-1a, 64 bits, over all lines but the mark's: it shows a change, and protects from nobody.
fn checksum(text: &str) -> String {
    let lines = text.lines().filter(|line| Mark::of_line(line).is_none());
    let bytes = lines.flat_map(|line| line.bytes().chain([b'\n']));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// A refusal that names the path.
fn refused(path: &std::path::Path, why: &str, hint: &str) -> Failure {
    let what = format!("{}: {why}; nothing was changed", path.display());
    dsx_protocol::WireError::new(dsx_protocol::ErrorKind::Refused, what).hint(hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill() -> &'static Skill {
        &SKILLS[0]
    }

    #[test]
    fn the_front_matter_is_what_agents_read() {
        for skill in &SKILLS {
            let text = skill.file();
            let (front, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
            let lines: Vec<&str> = front.lines().collect();
            assert_eq!(lines[0], format!("name: {}", skill.name));
            let description = lines[1].strip_prefix("description: ").unwrap();
            assert!((50..=1024).contains(&description.len()), "{}", description.len());
            assert!(!description.contains(['<', '>', ':', '#', '"']), "it would need quoting: {description}");
            assert_eq!(lines[2..3], ["metadata:"]);
            assert!(Mark::of(&text).unwrap().version >= 1 && lines.len() == 4);
            assert!(body.starts_with("\n# ") && text.lines().count() < 120);
            assert!(text.lines().skip(5).all(|line| line.chars().count() <= 120));
        }
    }

    #[test]
    fn an_older_one_is_replaced_and_a_newer_one_stays() {
        assert_eq!(judge(skill(), None), Ok(Step::Install));
        assert_eq!(judge(skill(), Some(&skill().file())), Ok(Step::UpToDate));
        let other = |version: u32, body: &str| {
            let text = format!("---\nname: dsx\nmetadata:\n{MARKER}{version}\"\n---\n{body}\n");
            let sum = checksum(&text);
            text.replace(&format!("{MARKER}{version}\""), &format!("{MARKER}{version} {sum}\""))
        };
        assert_eq!(judge(skill(), Some(&other(0, "old"))), Ok(Step::Upgrade));
        assert_eq!(
            judge(skill(), Some(&other(skill().version(), "same version, other text"))),
            Ok(Step::Upgrade)
        );
        assert_eq!(judge(skill(), Some(&other(999, "new"))), Ok(Step::Newer));
    }

    #[test]
    fn what_is_not_ours_stays() {
        let edited = skill().file() + "Mine.\n";
        assert!(judge(skill(), Some(&edited)).unwrap_err().contains("by hand"));
        let foreign = "---\nname: dsx\n---\ntext\n";
        assert!(judge(skill(), Some(foreign)).unwrap_err().contains("did not install"));
        // The mark counts in the front matter alone.
        let quoted = format!("---\nname: dsx\n---\n{MARKER}1\"\n");
        assert!(judge(skill(), Some(&quoted)).unwrap_err().contains("did not install"));
        assert!(judge(skill(), Some("")).is_err());
        // Without a checksum nothing shows that nobody changed it.
        assert!(judge(skill(), Some(skill().text)).unwrap_err().contains("by hand"));
    }
}
