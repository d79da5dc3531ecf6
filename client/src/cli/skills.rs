//! `dsx install-skill`

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct InstallSkillArgs {
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// For Claude Code
    #[arg(long)]
    pub claude: bool,
    /// For Codex
    #[arg(long)]
    pub codex: bool,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ScopeArgs {
    /// For you, in every project
    #[arg(long)]
    pub global: bool,
    /// For this project
    #[arg(long)]
    pub local: bool,
}
