//! A hermetic home: a private HOME, project directory and `DSX_HOME` in one temporary directory, and an
//! environment that is written down here in full. Nothing is inherited from whoever runs the tests.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agents::Agent;
use crate::model_server::ModelServer;
use crate::sweep;

/// The private home of one test; gone when dropped.
#[derive(Debug)]
pub struct Home {
    // Canonical, as agents key their trust and transcripts by the real path.
    root: PathBuf,
    env: BTreeMap<OsString, OsString>,
    // Last, so that it outlives everything above.
    _dir: TempDir,
}

impl Home {
    /// A home in which no agent has ever run: onboarded, nothing trusted, no agent on its PATH.
    #[must_use]
    pub fn new() -> Self {
        // Straight under the temporary directory with a short name: a Unix socket's path in DSX_HOME has
        // at most 107 bytes.
        let dir = tempfile::Builder::new().prefix("dsx").tempdir().expect("a temporary directory");
        let root = dir.path().canonicalize().expect("resolving the temporary directory");
        for sub in ["home", "project", "tmp"] {
            fs::create_dir(root.join(sub)).expect("creating the private home");
        }
        let mut home = Self { root, env: BTreeMap::new(), _dir: dir };
        home.base_env();
        home.write_claude_json(&json!({ "hasCompletedOnboarding": true }));
        home
    }

    /// The same with `agent` on its PATH, `server` as its model, and the project directory trusted.
    #[must_use]
    pub fn with_agent(agent: &Agent, server: &ModelServer) -> Self {
        let mut home = Self::new();
        home.add_agent(agent);
        home.use_server(server);
        home.trust(&home.project());
        home
    }

    fn base_env(&mut self) {
        let (home, dsx, tmp) = (self.path(), self.dsx_home(), self.root.join("tmp"));
        self.set("HOME", home).set("DSX_HOME", dsx).set("TMPDIR", tmp);
        self.set("PATH", "/usr/bin:/bin").set("SHELL", "/bin/sh").set("LANG", "C.UTF-8");
        self.set("TERM", "xterm-256color").set("USER", "tester").set("LOGNAME", "tester");
        self.set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").set("DISABLE_AUTOUPDATER", "1");
        self.set("CLAUDE_CODE_MAX_RETRIES", "1").set("ANTHROPIC_AUTH_TOKEN", "not-a-real-token");
        if nix::unistd::geteuid().is_root() {
            // Claude refuses --dangerously-skip-permissions as root without it.
            self.set("IS_SANDBOX", "1");
        }
    }

    /// Puts `agent` first on the PATH.
    pub fn add_agent(&mut self, agent: &Agent) -> &mut Self {
        let mut path = agent.path_dir.clone().into_os_string();
        path.push(":");
        path.push(&self.env[OsStr::new("PATH")]);
        self.set("PATH", path)
    }

    /// Sends every agent of this home to `server`.
    pub fn use_server(&mut self, server: &ModelServer) -> &mut Self {
        self.set("ANTHROPIC_BASE_URL", server.url())
    }

    /// Sets one variable of the environment.
    pub fn set(&mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Removes one variable of the environment.
    pub fn unset(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.env.remove(key.as_ref());
        self
    }

    /// The whole environment that a process of this home gets.
    pub fn env(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.env.iter().map(|(k, v)| (k.as_os_str(), v.as_os_str()))
    }

    /// `$HOME`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The directory in which agents work unless a test says otherwise.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// `$DSX_HOME`.
    #[must_use]
    pub fn dsx_home(&self) -> PathBuf {
        self.root.join("dsx")
    }

    /// Claude's configuration directory.
    #[must_use]
    pub fn claude_config(&self) -> PathBuf {
        self.path().join(".claude")
    }

    /// Accepts Claude's trust dialog for `dir` beforehand. Only before Claude runs: it rewrites the file.
    pub fn trust(&self, dir: &Path) {
        let mut config = self.read_claude_json();
        let dir = dir.canonicalize().expect("the trusted directory exists");
        config["projects"][dir.to_str().expect("a UTF-8 path")]["hasTrustDialogAccepted"] = json!(true);
        self.write_claude_json(&config);
    }

    fn claude_json(&self) -> PathBuf {
        self.path().join(".claude.json")
    }

    fn read_claude_json(&self) -> Value {
        let text = fs::read(self.claude_json()).expect("reading .claude.json");
        serde_json::from_slice(&text).expect(".claude.json is JSON")
    }

    fn write_claude_json(&self, config: &Value) {
        fs::write(self.claude_json(), config.to_string()).expect("writing .claude.json");
    }
}

impl Home {
    /// Kills every process that has this home's `DSX_HOME` in its environment, and waits for its death.
    pub fn kill_everything(&self) {
        sweep::kill_everything_of(&self.dsx_home());
    }
}

impl Drop for Home {
    // A survivor would write into the directory while it is being removed.
    fn drop(&mut self) {
        self.kill_everything();
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}
