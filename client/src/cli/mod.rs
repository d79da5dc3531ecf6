//! The command line.

mod care;
mod following;
mod help;
mod prompts;
mod skills;
mod terms;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dsx_protocol::TurnId;

pub(crate) use care::{DescribeArgs, HandoffArgs, RenameArgs};
pub(crate) use following::{EventsArgs, LogsArgs};
pub(crate) use help::parse;
pub(crate) use prompts::{PromptsArgs, RespondArgs};
pub(crate) use skills::InstallSkillArgs;
pub(crate) use terms::{SelectArgs, TermsArgs};

/// Seconds that an agent may take to start, where nobody says otherwise.
const START_TIMEOUT: f64 = 60.0;

/// Runs coding agents in terminals of their own, with a contract that programs can rely on.
///
/// Hand a task to an agent and get its answer:
///
///   sid=$(dsx create -q) && dsx send $sid "run the tests" &&
///     dsx wait $sid && dsx last-message $sid
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 no such session, 4 the agent waits
/// for input, 5 the turn failed, 6 the session ended first, 7 refused,
/// 8 no supervisor, 124 timeout, 130 Ctrl-C (the turn goes on).
#[derive(Debug, Parser)]
#[command(name = "dsx", bin_name = "dsx", version, verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a session and print its id
    Create(CreateVerb),
    /// Hand a message to an agent; returns when it has taken it, or it is queued
    Send(SendVerb),
    /// Wait until turns have ended, an agent asks something, or sessions have ended
    Wait(WaitArgs),
    /// Send, wait and print the answer
    Ask(AskArgs),
    /// Ask a fresh session that is removed after
    Run(RunArgs),
    /// Print the assistant's text, nothing else
    LastMessage(LastMessageArgs),
    /// Print what the agent does, in one word
    Status(OneArgs),
    /// Print the evidence for the status
    Explain(OneArgs),
    /// List the questions that agents ask
    Prompts(PromptsArgs),
    /// Answer an agent's question
    Respond(RespondArgs),
    /// List the sessions, those that need someone first
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Print what is on the screen
    Screen(ScreenArgs),
    /// Press keys, by their tmux names (Enter, C-c, Up); other words are typed as they are
    Keys(KeysArgs),
    /// Stop the running turn
    Interrupt(OneArgs),
    /// Print what was said, or the raw output
    Logs(LogsArgs),
    /// Print what happened, and with -f what happens
    Events(EventsArgs),
    /// Watch and type in the session's terminal; Ctrl-\ leaves
    Attach(AttachArgs),
    /// End sessions and forget them
    Kill(KillArgs),
    /// Give a session a name that is as good as its id
    Rename(RenameArgs),
    /// Say what a session is for
    Describe(DescribeArgs),
    /// Hand the work of a session over to a fresh one or another
    Handoff(HandoffArgs),
    /// Teach agents to use dsx: installs the skills 'dsx' and 'handoff'
    InstallSkill(InstallSkillArgs),
    /// Check the machine and say what to do
    Doctor(JsonArgs),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
    /// Show, stop or restart the processes of dsx itself
    Supervisor(SupervisorArgs),
}

impl Verb {
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Create(a) => a.new.json,
            Self::Send(a) => a.send.json,
            Self::Wait(a) => a.json,
            Self::Ask(a) => a.send.json,
            Self::Run(a) => a.create.json,
            Self::LastMessage(a) => a.json,
            Self::Status(a) | Self::Explain(a) | Self::Interrupt(a) => a.json,
            Self::Prompts(a) => a.json,
            Self::Respond(a) => a.json,
            Self::List(a) => a.json,
            Self::Screen(a) => a.json,
            Self::Keys(a) => a.json,
            Self::Logs(a) => a.json,
            Self::Events(a) => a.json,
            Self::Kill(a) => a.json,
            Self::Rename(a) => a.json,
            Self::Describe(a) => a.json,
            Self::Handoff(a) => a.json,
            Self::InstallSkill(a) => a.json,
            Self::Doctor(a) => a.json,
            Self::Supervisor(a) => a.json,
            Self::Attach(_) | Self::Completions { .. } => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateVerb {
    #[command(flatten)]
    pub new: CreateArgs,
    /// Seconds to wait until it takes input
    #[arg(long, value_name = "S", default_value_t = START_TIMEOUT, allow_negative_numbers = true)]
    pub timeout: f64,
}

/// What a session is to be.
#[derive(Debug, Args, Clone)]
pub(crate) struct CreateArgs {
    /// The agent: claude or demo; without it the first that is installed
    #[arg(long)]
    pub cli: Option<String>,
    /// The working directory [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// native: unattended, nothing is asked; ask: each permission is a prompt
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// The agent's model
    #[arg(long)]
    pub model: Option<String>,
    /// What it is for
    #[arg(short, long, value_name = "TEXT")]
    pub description: Option<String>,
    #[command(flatten)]
    pub terms: TermsArgs,
    /// Set a variable of its environment
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<OsString>,
    /// Columns of its terminal
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub cols: u16,
    /// Rows of its terminal
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub rows: u16,
    /// Print the id alone
    #[arg(short, long)]
    pub quiet: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Run this program instead of an agent
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct SendVerb {
    #[command(flatten)]
    pub send: SendArgs,
    /// Seconds to wait while somebody's draft is in the agent's input box [default: 30]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub timeout: Option<f64>,
    #[command(flatten)]
    pub select: SelectArgs,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct SendArgs {
    /// The session: its id, a prefix of it, its name, @self or @last
    // Empty where sessions are selected by what they have in common.
    #[arg(default_value = "", hide_default_value = true)]
    pub id: String,
    /// The message; - reads standard input
    #[arg(allow_hyphen_values = true)]
    pub text: Option<String>,
    /// Read the message from a file; - is standard input. {{session}} {{turn}} {{cwd}} {{group}} in it are the
    /// receiver's, \{{word}} is meant as it stands
    #[arg(long, value_name = "F", conflicts_with = "text")]
    pub file: Option<PathBuf>,
    /// Queue it whatever is in its way: a question of the agent's, somebody's draft
    #[arg(long, conflicts_with_all = ["interrupt", "steer"])]
    pub queue: bool,
    /// Stop the running turn first; the message goes before those that are queued
    #[arg(long, conflicts_with = "steer")]
    pub interrupt: bool,
    /// Join the running turn instead of waiting for its end
    #[arg(long, conflicts_with = "command")]
    pub steer: bool,
    /// Name the message: a repeat with the same name is not sent again
    #[arg(long, value_name = "K")]
    pub key: Option<String>,
    /// Have the agent run it as a command of its own (/x, !x)
    #[arg(long)]
    pub command: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct WaitArgs {
    /// The sessions: ids, prefixes, @self or @last
    #[arg(required_unless_present_any = ["group", "labels"])]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Return when one of them has settled
    #[arg(long, conflicts_with = "all")]
    pub any: bool,
    /// Return when all of them have settled (the default)
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub until: UntilArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args, Clone)]
pub(crate) struct UntilArgs {
    /// The turn [default: the newest when the wait begins]
    #[arg(long, value_name = "T")]
    pub turn: Option<TurnId>,
    /// What to wait for
    #[arg(long, value_parser = ["idle", "ended", "waiting", "exited"])]
    pub until: Option<String>,
    /// Seconds to wait at most
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub timeout: Option<f64>,
    /// Accepted and ignored: nothing is polled
    #[arg(long, hide = true)]
    pub interval: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub send: SendArgs,
    #[command(flatten)]
    pub until: UntilArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The message; - reads standard input
    // In front of the command, which has to be the last.
    #[arg(allow_hyphen_values = true)]
    pub text: Option<String>,
    #[command(flatten)]
    pub create: CreateArgs,
    /// Read the message from a file; - is standard input. {{session}} {{turn}} {{cwd}} {{group}} in it are the
    /// session's, \{{word}} is meant as it stands
    #[arg(long, value_name = "F", conflicts_with = "text")]
    pub file: Option<PathBuf>,
    /// Seconds to wait for the answer at most
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub timeout: Option<f64>,
    /// Seconds to wait until it takes input
    #[arg(long, value_name = "S", default_value_t = START_TIMEOUT, allow_negative_numbers = true)]
    pub start_timeout: f64,
    /// Keep the session
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LastMessageArgs {
    /// The session
    pub id: String,
    /// How many, newest last
    #[arg(short = 'n', default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// That turn's
    #[arg(long, value_name = "T")]
    pub turn: Option<TurnId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The session
    pub id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Exited sessions too
    #[arg(short, long)]
    pub all: bool,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScreenArgs {
    /// The session
    pub id: String,
    /// With colours, as escape sequences
    #[arg(long, conflicts_with = "json")]
    pub ansi: bool,
    /// Lines above the screen too
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub history: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// The session
    pub id: String,
    /// The keys
    #[arg(required = true, allow_hyphen_values = true)]
    pub keys: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// The session
    pub id: String,
    /// Only look
    #[arg(short, long)]
    pub read_only: bool,
    /// The key that leaves, by its tmux name
    #[arg(long, value_name = "K", default_value = "C-\\")]
    pub detach_keys: String,
}

#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The sessions
    #[arg(required_unless_present_any = ["all", "older_than", "group", "labels"])]
    #[arg(conflicts_with_all = ["all", "older_than", "group", "labels"])]
    pub ids: Vec<String>,
    /// All sessions, exited ones too; with --group or --label all of those
    #[arg(long)]
    pub all: bool,
    /// Those that nobody has used for so long: 30s, 15m, 2h, 7d. One that works or is looked at is in use
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::milliseconds)]
    pub older_than: Option<u64>,
    #[command(flatten)]
    pub select: SelectArgs,
    /// Seconds between asking and forcing
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub grace: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SupervisorArgs {
    #[command(subcommand)]
    pub action: SupervisorAction,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SupervisorAction {
    /// Show the processes
    Status,
    /// End them; refused while sessions live
    Stop {
        /// End the sessions too
        #[arg(long)]
        kill: bool,
    },
    /// Replace the supervisor by the binary that is installed now; sessions live on
    Restart,
}
