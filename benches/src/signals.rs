//! When dsx heard what, by its own record.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// # Panics
/// On a clock before 1970.
#[must_use]
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

/// When a source last said so in what `dsx explain` tells, since 1970, to the millisecond.
///
/// # Panics
/// When that is not what `dsx explain` tells.
#[must_use]
pub fn said(explained: &Value, source: &str, word: &str) -> Option<Duration> {
    let signals = explained["signals"].as_array().expect("signals");
    let of = |s: &&Value| s["source"] == source && s["said"].as_str().is_some_and(|t| t.starts_with(word));
    let at = signals.iter().filter(of).filter_map(|s| s["at"].as_str()).max()?;
    let at = OffsetDateTime::parse(at, &Rfc3339).expect("a time of RFC 3339");
    Some(Duration::from_millis((at.unix_timestamp_nanos() / 1_000_000) as u64))
}
