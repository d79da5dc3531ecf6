//! `dsx attach`
use super::Outcome;
use crate::cli::AttachArgs;
use crate::failure::Failure;

pub(super) fn run(_args: &AttachArgs) -> Outcome {
    Err(Failure::failed("not built yet", ""))
}
