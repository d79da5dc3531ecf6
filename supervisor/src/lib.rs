//! The shell around dsx-core.

pub mod log;
pub mod pump;
pub mod screen;
