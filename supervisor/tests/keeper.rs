//! The keeper and the launch with real processes: real spawns, real kills, a real socket.

// All of this is test code, also where clippy sees no `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "keeper/home.rs"]
mod home;

#[path = "keeper/deaths.rs"]
mod deaths;
#[path = "keeper/limits.rs"]
mod limits;
#[path = "keeper/spawns.rs"]
mod spawns;
#[path = "keeper/starts.rs"]
mod starts;
