//! Tests with real sockets, real PTYs and real agents.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod claude;
mod claude_facts;
mod doctor;
mod harness;
mod job;
mod main_job;
mod runner;
