//! The shell around dsx-core.

pub mod screen;
