//! The shell around `dsx-core`: everything that touches a process, a socket, a file, a clock.
//!
//! ```text
//!  client ── socket ──▶ serve ──▶ registry ──▶ session (one task each) ──▶ core
//!                                                │   │   │
//!            keeper (spawns, holds masters) ◀────┘   │   └──▶ store (SQLite, a thread of its own)
//!            pump (reads PTYs) ──▶ log ──▶ screen ◀──┘        watch (files that agents write)
//! ```
//!
//! Invariants: one task owns all of a session; no lock is shared between sessions; every queue has a bound;
//! [`clock`] is the only clock; facts are stored before anything that follows from them can be seen.

pub mod clock;
pub mod entries;
pub mod files;
pub mod hook;
pub mod keeper;
pub mod launch;
pub mod log;
pub mod program;
pub mod pump;
pub mod registry;
pub mod screen;
pub mod serve;
pub mod session;
pub mod store;
pub mod supervise;
mod trace;
pub mod watch;
