//! Real agents, of pinned versions, installed from the npm registry when a test first asks for one.
//!
//! Their licences do not let us ship them, and their output is not copied into this repository either:
//! the tests meet the real thing or say aloud that they did not.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};

/// Set to `1` where the agents must be there (CI): a skipped test is then a failed one.
pub const REQUIRE: &str = "DSX_TEST_REQUIRE_AGENTS";

/// A package of the registry at one exact version, and where its native program lies inside it.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// The program's name on a PATH.
    pub program: &'static str,
    /// The package's name in the registry.
    pub npm_name: &'static str,
    /// The exact version: never a range, since npm picks an older release for an older Node by itself.
    pub version: &'static str,
    /// The native program under the install prefix.
    native: &'static str,
}

const CLAUDE_NATIVE: &str = "node_modules/@anthropic-ai/claude-code/bin/claude.exe";

/// The Claude Code that speaks OSC 7501.
pub const CLAUDE: Package = Package {
    program: "claude",
    npm_name: "@anthropic-ai/claude-code",
    version: "2.1.328",
    native: CLAUDE_NATIVE,
};

/// The Claude Code that a plain `npm install` gives on Node 20: without OSC 7501.
pub const CLAUDE_BEFORE_7501: Package = Package { version: "2.1.197", ..CLAUDE };

/// An installed agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The native program itself.
    pub executable: PathBuf,
    /// A directory that holds nothing but the program under its usual name, to be put on a PATH.
    pub path_dir: PathBuf,
    /// The installed version.
    pub version: &'static str,
}

/// Why an agent cannot be had here: a property of the machine, not of the code under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip(pub String);

/// The installed `package`, installing it if this is the first call in this target directory.
///
/// Safe between any number of test processes: a lock file is waited for in the kernel, and what is
/// found under the final name is always complete.
///
/// # Errors
/// `Skip` when npm is missing or the registry cannot be reached. Any other trouble is a panic, because
/// it would otherwise hide a broken harness behind a skipped test.
pub fn install(package: Package) -> Result<Agent, Skip> {
    let agents = target_dir().join("agents");
    fs::create_dir_all(&agents).expect("the target directory is writable");
    let name = format!("{}-{}", package.program, package.version);
    let prefix = agents.join(&name);
    let _lock = lock(&agents.join(format!(".{name}.lock")));
    if !prefix.exists() {
        let unfinished = agents.join(format!(".{name}.unfinished"));
        install_into(package, &unfinished)?;
        fs::rename(&unfinished, &prefix).expect("renaming a finished install");
    }
    Ok(Agent {
        executable: prefix.join(package.native),
        path_dir: prefix.join("path"),
        version: package.version,
    })
}

/// The agent for the test called `test`, or `None` after saying aloud why it is skipped.
///
/// # Panics
/// Instead of skipping, when [`REQUIRE`] is `1`.
#[must_use]
pub fn install_or_skip(package: Package, test: &str) -> Option<Agent> {
    match install(package) {
        Ok(agent) => Some(agent),
        Err(Skip(reason)) => {
            assert!(std::env::var_os(REQUIRE).is_none_or(|v| v != "1"), "{test} needs its agent: {reason}");
            // Not println: libtest swallows what a passing test prints that way.
            let line = format!("SKIPPED: {test} ({reason})\n");
            let _ = io::stdout().write_all(line.as_bytes());
            let _ = io::stderr().write_all(line.as_bytes());
            None
        }
    }
}

fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join("target"),
    }
}

fn lock(path: &Path) -> Flock<File> {
    let file = File::create(path).expect("creating the install lock");
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("locking an install")
}

fn install_into(package: Package, prefix: &Path) -> Result<(), Skip> {
    // Left by an install that was killed: the lock is ours, so nobody is writing it.
    if prefix.exists() {
        fs::remove_dir_all(prefix).expect("removing an unfinished install");
    }
    fs::create_dir_all(prefix.join("path")).expect("creating an install prefix");
    let output = npm_install(package, prefix)?;
    let native = prefix.join(package.native);
    let version = Command::new(&native).arg("--version").stdin(Stdio::null()).output();
    let said = version.as_ref().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    assert!(
        said.as_ref().is_ok_and(|text| text.contains(package.version)),
        "{} does not run as {}: {said:?}\nnpm said: {}",
        native.display(),
        package.version,
        String::from_utf8_lossy(&output.stderr)
    );
    // Relative, so that it still points there after the rename.
    let link = Path::new("..").join(package.native);
    std::os::unix::fs::symlink(link, prefix.join("path").join(package.program)).expect("linking an agent");
    Ok(())
}

fn npm_install(package: Package, prefix: &Path) -> Result<Output, Skip> {
    let spec = format!("{}@{}", package.npm_name, package.version);
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(prefix).arg(&spec);
    let output = match npm.current_dir(prefix).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Skip("npm is not installed".into())),
        Err(e) => panic!("cannot run npm: {e}"),
    };
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if registry_unreachable(&said) {
        return Err(Skip(format!("the npm registry cannot be reached for {spec}")));
    }
    panic!("npm install {spec} failed:\n{said}");
}

fn registry_unreachable(npm_stderr: &str) -> bool {
    const NETWORK: [&str; 8] = [
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "ETIMEDOUT",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "ERR_SOCKET_TIMEOUT",
    ];
    NETWORK.iter().any(|code| npm_stderr.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_trouble_is_a_reason_to_skip() {
        assert!(registry_unreachable("npm error code ENOTFOUND\nnpm error errno ENOTFOUND"));
        assert!(!registry_unreachable("npm error code ETARGET\nnpm error notarget No matching version"));
        assert!(!registry_unreachable("npm error code ENOSPC"));
    }
}
