//! Tests with real sockets, real PTYs and real agents.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod attach;
mod claude;
mod claude_facts;
mod command;
mod doctor;
mod harness;
mod job;
mod main_job;
mod runner;
mod traps_ending;
mod traps_sending;
mod wait;
