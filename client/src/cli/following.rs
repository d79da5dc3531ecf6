//! Arguments of what is followed as it happens.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only this session's; one that is gone too, by its full id
    pub id: Option<String>,
    /// Go on as more happens
    #[arg(short, long)]
    pub follow: bool,
    /// Only those after this cursor; without it all that are kept, or with -f those from now on
    #[arg(long, value_name = "CURSOR")]
    pub since: Option<u64>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The session
    pub id: String,
    /// The output's bytes as they came, instead of what was said
    #[arg(long, conflicts_with_all = ["json", "tail"])]
    pub raw: bool,
    /// Go on as more comes, until the session ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N things that were said
    #[arg(long, value_name = "N")]
    pub tail: Option<u32>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}
