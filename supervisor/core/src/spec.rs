use serde::{Deserialize, Serialize};

/// What kind of program a session runs, and so how it is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cli {
    Claude,
    Demo,
    Command,
}

impl Cli {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Demo => "demo",
            Self::Command => "command",
        }
    }
}

/// Whether the agent asks before it acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Unattended: nothing is asked, start-up dialogs are settled by dsx.
    #[default]
    Native,
    /// Each permission is a prompt.
    Ask,
}

impl Mode {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ask => "ask",
        }
    }
}

/// What becomes of the agent's prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPrompt {
    /// They stay open until somebody answers.
    #[default]
    Ask,
    Deny,
    Allow,
}

impl OnPrompt {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// What whoever created a session laid down for it, beyond what runs in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Names and values to find it by.
    pub labels: Vec<(String, String)>,
    pub on_prompt: OnPrompt,
    /// It may answer its own and its ancestors' prompts.
    pub may_respond: bool,
    /// Milliseconds without a turn, a prompt or a viewer after which it is ended and forgotten.
    pub ttl_ms: Option<u64>,
    /// The session whose work it took over.
    pub from: Option<String>,
}

/// What a session was asked to be; fixed when it is created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub id: String,
    pub cli: Cli,
    /// What runs, for people; the environment and the secrets in it are never part of it.
    pub command: Vec<String>,
    /// Absolute working directory, for people.
    pub path: String,
    pub mode: Mode,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub group: Option<String>,
    /// Milliseconds since 1970.
    pub created_at: u64,
    /// `user`, or the id of the session that asked.
    pub creator: String,
    /// How many sessions stand between it and the user: 0 for the user's own.
    #[serde(default)]
    pub depth: u32,
    /// The agent's own id of the conversation, where dsx chose it.
    #[serde(default)]
    pub conversation: Option<String>,
    /// The version the agent's program gave, where it matters.
    #[serde(default)]
    pub agent_version: Option<String>,
    /// The agent's own configuration directory, where its session files are.
    #[serde(default)]
    pub agent_home: Option<String>,
    /// Names the call that created it: a repeat finds this session.
    #[serde(default)]
    pub key: Option<String>,
    /// The session's own directory: settings, spool, messages.
    pub dir: String,
    #[serde(default)]
    pub terms: Terms,
}

#[cfg(test)]
impl Spec {
    pub(crate) fn sample(cli: Cli) -> Self {
        Self {
            id: "fizz-top".into(),
            cli,
            command: Vec::new(),
            path: "/p".into(),
            mode: Mode::Native,
            model: None,
            description: None,
            group: None,
            created_at: 1,
            creator: "user".into(),
            depth: 0,
            conversation: None,
            agent_version: None,
            agent_home: None,
            key: None,
            dir: "/d".into(),
            terms: Terms::default(),
        }
    }
}
