//! The `dsx` client: command line, attach, output.

pub mod output;
