//! `dsx doctor`
use super::Outcome;
use crate::cli::JsonArgs;
use crate::failure::Failure;

pub(super) fn run(_args: &JsonArgs) -> Outcome {
    Err(Failure::failed("not built yet", ""))
}
