//! Where agents look for skills today.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use dsx_supervisor::program;

use super::{Place, SKILLS};
use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Claude,
    Codex,
}

impl Agent {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// Its directory for skills in a project, or in a home.
    const fn skills(self) -> &'static str {
        match self {
            Self::Claude => ".claude/skills",
            Self::Codex => ".agents/skills",
        }
    }

    /// Directories that it leaves in a home or a project.
    const fn traces(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &[".claude"],
            Self::Codex => &[".codex", ".agents"],
        }
    }
}

/// For whom skills are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The user, in every project.
    Global,
    /// Whoever works in this project.
    Local,
}

/// What the surroundings say; given as a value, so that a test need not change its process's.
pub(crate) struct Around {
    pub home: Option<PathBuf>,
    pub claude_config: Option<PathBuf>,
    pub here: PathBuf,
    env: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Around {
    pub(crate) fn of(env: impl IntoIterator<Item = (OsString, OsString)>, here: PathBuf) -> Self {
        let env: Vec<(Vec<u8>, Vec<u8>)> =
            env.into_iter().map(|(name, value)| (name.into_vec(), value.into_vec())).collect();
        let directory = |name: &str| {
            let value = env.iter().find(|(n, v)| n == name.as_bytes() && !v.is_empty())?;
            Some(here.join(OsString::from_vec(value.1.clone())))
        };
        let (home, claude_config) = (directory("HOME"), directory("CLAUDE_CONFIG_DIR"));
        Self { home, claude_config, here, env }
    }

    /// The nearest directory upwards that is a repository's, below the home; else the current one.
    fn project(&self) -> PathBuf {
        // The current directory is told without links, the home as somebody wrote it.
        let home = self.home.as_ref().map(|home| home.canonicalize().unwrap_or_else(|_| home.clone()));
        let mut upwards = self.here.ancestors().take_while(|dir| home.as_deref() != Some(*dir));
        upwards.find(|dir| dir.join(".git").exists()).unwrap_or(&self.here).to_owned()
    }

    /// By its program on the PATH, and by what it has left here and at home.
    fn has(&self, agent: Agent) -> bool {
        let (project, home) = (Some(self.project()), self.home.clone());
        let left = |dir: PathBuf| agent.traces().iter().any(|trace| dir.join(trace).is_dir());
        program::find(OsStr::new(agent.name()), &self.env, &self.here).is_ok()
            || [project, home].into_iter().flatten().any(left)
            || (agent == Agent::Claude && self.claude_config.as_ref().is_some_and(|dir| dir.is_dir()))
    }
}

/// Every place that is meant: for the agents that are named, else for those that are found.
///
/// # Errors
/// Where no agent is found, or there is no home.
pub(crate) fn places(around: &Around, scope: Scope, named: &[Agent]) -> Result<Vec<Place>, Failure> {
    let found = || [Agent::Claude, Agent::Codex].into_iter().filter(|agent| around.has(*agent));
    let agents: Vec<Agent> = if named.is_empty() { found().collect() } else { named.to_vec() };
    if agents.is_empty() {
        return Err(Failure::failed(
            "neither claude nor codex was found",
            "name one with --claude or --codex",
        ));
    }
    let mut places = Vec::new();
    for agent in agents {
        let (root, skills) = match (scope, &around.claude_config) {
            (Scope::Local, _) => (around.project(), agent.skills().into()),
            (Scope::Global, Some(config)) if agent == Agent::Claude => {
                (config.clone(), PathBuf::from("skills"))
            }
            (Scope::Global, _) => (home(around)?, agent.skills().into()),
        };
        for skill in &SKILLS {
            places.push(Place { agent, dir: root.join(&skills).join(skill.name), root: root.clone(), skill });
        }
    }
    Ok(places)
}

fn home(around: &Around) -> Result<PathBuf, Failure> {
    let why = "the home directory is not known";
    around.home.clone().ok_or_else(|| Failure::failed(why, "set HOME, or use --local"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    struct Tree {
        _dir: tempfile::TempDir,
        root: PathBuf,
    }

    fn tree(dirs: &[&str]) -> Tree {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for sub in dirs {
            fs::create_dir_all(root.join(sub)).unwrap();
        }
        Tree { _dir: dir, root }
    }

    fn around(tree: &Tree, here: &str, more: &[(&str, &Path)]) -> Around {
        let home = tree.root.join("home");
        let mut env: Vec<(OsString, OsString)> =
            vec![("HOME".into(), home.into()), ("PATH".into(), tree.root.join("bin").into())];
        env.extend(more.iter().map(|(name, value)| ((*name).into(), value.as_os_str().to_owned())));
        Around::of(env, tree.root.join(here))
    }

    fn files(tree: &Tree, around: &Around, scope: Scope, named: &[Agent]) -> Vec<String> {
        let places = places(around, scope, named).unwrap();
        let short = |p: &Place| p.file().strip_prefix(&tree.root).unwrap().to_str().unwrap().to_owned();
        places.iter().map(short).collect()
    }

    #[test]
    fn each_agent_has_its_places() {
        let tree = tree(&["home/p/.git", "home/p/sub/deep", "home/q", "home/.git", "cfg"]);
        let both = [Agent::Claude, Agent::Codex];
        let at = around(&tree, "home/p/sub/deep", &[]);
        assert_eq!(
            files(&tree, &at, Scope::Local, &both),
            [
                "home/p/.claude/skills/dsx/SKILL.md",
                "home/p/.claude/skills/handoff/SKILL.md",
                "home/p/.agents/skills/dsx/SKILL.md",
                "home/p/.agents/skills/handoff/SKILL.md",
            ]
        );
        assert_eq!(files(&tree, &at, Scope::Global, &[Agent::Codex])[0], "home/.agents/skills/dsx/SKILL.md");
        assert_eq!(files(&tree, &at, Scope::Global, &[Agent::Claude])[0], "home/.claude/skills/dsx/SKILL.md");
        let elsewhere = tree.root.join("cfg");
        let at = around(&tree, "home/q", &[("CLAUDE_CONFIG_DIR", &elsewhere)]);
        assert_eq!(files(&tree, &at, Scope::Global, &[Agent::Claude])[0], "cfg/skills/dsx/SKILL.md");
        // A repository of the whole home is nobody's project.
        assert_eq!(files(&tree, &at, Scope::Local, &[Agent::Codex])[0], "home/q/.agents/skills/dsx/SKILL.md");
        fs::create_dir(tree.root.join(".git")).unwrap();
        let at = around(&tree, "home", &[]);
        assert_eq!(files(&tree, &at, Scope::Local, &[Agent::Codex])[0], "home/.agents/skills/dsx/SKILL.md");
    }

    #[test]
    fn agents_are_found_by_what_they_leave() {
        let none = tree(&["home/p"]);
        assert!(places(&around(&none, "home/p", &[]), Scope::Global, &[]).is_err());
        for (dirs, first, count) in [
            (["home/.claude", "home/p"], "home/.claude/skills/dsx/SKILL.md", 2),
            (["home/p/.agents", "home/p"], "home/.agents/skills/dsx/SKILL.md", 2),
            (["home/.codex", "home/.claude"], "home/.claude/skills/dsx/SKILL.md", 4),
        ] {
            let tree = tree(&dirs);
            fs::create_dir_all(tree.root.join("home/p")).unwrap();
            let found = files(&tree, &around(&tree, "home/p", &[]), Scope::Global, &[]);
            assert_eq!((found[0].as_str(), found.len()), (first, count));
        }
    }

    #[test]
    fn agents_are_found_by_their_programs() {
        use std::os::unix::fs::PermissionsExt as _;
        let tree = tree(&["home/p", "bin"]);
        let program = tree.root.join("bin/codex");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let found = files(&tree, &around(&tree, "home/p", &[]), Scope::Local, &[]);
        assert_eq!(found, ["home/p/.agents/skills/dsx/SKILL.md", "home/p/.agents/skills/handoff/SKILL.md"]);
    }
}
