//! The harness for every test that needs a process: a private home, real agents from the registry, a
//! scripted model server for them to talk to, a terminal to run them in, and the `dsx` under test.
//!
//! Nothing here reads the real home or environment, nothing listens beyond loopback, and nothing waits
//! by sleeping: every wait is for an event, with a deadline that fails the test with what was seen.

// All of this crate is tests: a broken expectation of the harness is a failed test, said by a panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

pub mod agents;
pub mod crash;
pub mod dsx;
pub mod home;
pub mod lines;
pub mod model_server;
pub mod pty;
pub mod stress;
mod sweep;
pub mod truth;

/// How long a wait may take before it counts as a failure. Generous on purpose: it is reached only when
/// something is broken, and a loaded machine must not look broken.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Whether the machine has a program, for tests of programs that not every machine has.
#[must_use]
pub fn on_path(program: &str) -> bool {
    ["/usr/bin", "/bin"].iter().any(|dir| std::path::Path::new(dir).join(program).is_file())
}
