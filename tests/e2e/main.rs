//! Tests with real sockets, real PTYs and real agents.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod attach;
mod bad_input;
mod claude;
mod claude_facts;
mod command;
mod crash_claude;
mod crash_delivery;
mod crash_disk;
mod crash_output;
mod crash_processes;
mod crash_start;
mod demo;
mod doctor;
mod drafts;
mod env;
mod events;
mod handoff;
mod harness;
mod ids;
mod job;
mod kill;
mod limits;
mod logs;
mod main_job;
mod output;
mod plumbing;
mod prompts;
mod runner;
mod selectors;
mod skills;
mod steering;
mod traps_ending;
mod traps_sending;
mod ttl;
mod viewers;
mod wait;
mod waiting;
