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
mod env;
mod events;
mod handoff;
mod harness;
mod ids;
mod job;
mod kill;
mod lab;
mod limits;
mod main_job;
mod output;
mod plumbing;
mod prompts;
mod prompts_crash;
mod prompts_demo;
mod prompts_forged;
mod prompts_order;
mod prompts_plans;
mod prompts_questions;
mod prompts_rights;
mod prompts_start;
mod prompts_text;
mod prompts_tools;
mod prompts_unattended;
mod runner;
mod selectors;
mod traps_ending;
mod traps_sending;
mod ttl;
mod viewers;
mod wait;
