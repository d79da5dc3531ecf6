//! `dsx completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Outcome, print};
use crate::cli::Cli;

pub(super) fn run(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dsx", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
