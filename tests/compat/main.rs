//! Compatibility: what was ever written to a socket or a database is still understood.
//!
//! `golden/v1` holds the bytes of every message of protocol 1, one whole frame per file, in hexadecimal. They are
//! never changed. When a message gains a field, or a new one comes, run
//!
//! ```text
//! DSX_TEST_WRITE_GOLDEN=1 cargo test -p dsx-tests --test compat golden
//! ```
//!
//! which adds a file for what is new (`NAME.2.hex` beside `NAME.hex`) and touches none that is there. The messages
//! themselves come from [`filled`], which sets every field there is, so that none can be forgotten.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod client;
mod database;
mod decoding;
mod filled;
mod golden;
mod message;
mod page;
mod peer;
mod raw;
mod supervisor;
