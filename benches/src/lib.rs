//! Figures of the release build, each measured beside what it is compared with, in the same run: the two
//! sides take turns sample by sample, so that whatever else the machine does falls on both.
//!
//! A figure over its bound is printed as such and fails nothing, since a shared machine must not look
//! like a slow program. What is a matter of right and wrong (a lost turn, CPU time of idle sessions) does.

// As in the tests: a broken expectation of the harness is said by a panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

pub mod corpus;
pub mod figures;
pub mod process;
pub mod signals;
pub mod tmux;
pub mod viewer;
