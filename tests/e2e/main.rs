//! Tests with real sockets, real PTYs and real agents.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod claude;
mod claude_facts;
mod crash_claude;
mod crash_delivery;
mod crash_output;
mod crash_processes;
mod crash_start;
mod harness;
mod job;
mod main_job;
mod runner;
mod traps_ending;
mod traps_sending;
