//! The `dsx` client: command line, attach, output.

pub mod demo;
pub mod output;
