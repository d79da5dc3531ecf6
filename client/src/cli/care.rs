//! Verbs that look after sessions.

use std::path::PathBuf;

use clap::Args;

use super::START_TIMEOUT;

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The session
    pub id: String,
    /// Its name: a-z 0-9 . _ - and nothing that could be an id; "" takes it away
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The session
    pub id: String,
    /// What it is for; "" takes it away
    #[arg(allow_hyphen_values = true)]
    pub text: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HandoffArgs {
    /// The session whose work is handed over
    pub id: String,
    /// Who takes it over: a session, or 'new' for a fresh one that is like this one
    #[arg(long, value_name = "new|ID")]
    pub to: String,
    /// What they are told; - is standard input. {{session}} {{turn}} {{cwd}} {{group}} are the receiver's
    #[arg(long, value_name = "F")]
    pub file: PathBuf,
    /// What the new session is for
    #[arg(short, long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Seconds to wait until the new session takes input
    #[arg(long, value_name = "S", default_value_t = START_TIMEOUT, allow_negative_numbers = true)]
    pub timeout: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
