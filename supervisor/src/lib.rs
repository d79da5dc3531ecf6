//! The supervisor: the shell around `dsx-core`, with everything that touches sockets, clocks, files and processes.

pub mod keeper;
pub mod launch;
