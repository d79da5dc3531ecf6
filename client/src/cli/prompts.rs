//! The arguments of the verbs about prompts.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PromptsArgs {
    /// The session [default: all]
    pub id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Exactly one way to answer is given.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("answered").required(true).multiple(true)
    .args(["allow", "deny", "choice", "text", "answer"]))]
pub(crate) struct RespondArgs {
    /// The session
    pub id: String,
    /// The prompt, by its id [default: the only one that is open]
    #[arg(long, value_name = "P")]
    pub prompt: Option<String>,
    /// Allow what is asked for, or approve the plan
    #[arg(long, conflicts_with_all = ["deny", "choice", "text", "answer"])]
    pub allow: bool,
    /// Do not allow it
    #[arg(long, conflicts_with_all = ["choice", "text", "answer"])]
    pub deny: bool,
    /// With --deny: what the agent is told
    #[arg(long, value_name = "M", requires = "deny")]
    pub message: Option<String>,
    /// Choose an option by its number or label; again for the next question, or for a further option
    #[arg(long, value_name = "N|LABEL")]
    pub choice: Vec<String>,
    /// Answer in words; a plan is sent back with them
    #[arg(long, value_name = "T")]
    pub text: Vec<String>,
    /// Choose an option of question N
    #[arg(long, value_name = "N=CHOICE")]
    pub answer: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
