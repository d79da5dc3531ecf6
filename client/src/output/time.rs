//! Times as they are shown: RFC 3339 in UTC for programs, ages for people.

use ::time::OffsetDateTime;

/// 9999-12-31T23:59:59.999Z, the last moment that RFC 3339 can write.
const LAST_MS: u64 = 253_402_300_799_999;

/// Milliseconds since 1970 as `2026-11-20T06:10:00.000Z`: always of the same length, so that it sorts.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let ms = ms.min(LAST_MS);
    // In range by the line above; the epoch would show a mistake there.
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// How long ago, in the largest unit that fits: `12s` `3m` `2h` `5d`. Both in milliseconds since 1970; a
/// moment that lies ahead (a clock was set) is `0s`.
#[must_use]
pub fn age(since_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_of_one_length() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(rfc3339(1_795_155_000_120), "2026-11-20T06:10:00.120Z");
        assert_eq!(rfc3339(LAST_MS), "9999-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(u64::MAX), rfc3339(LAST_MS));
    }

    #[test]
    fn ages_are_in_the_largest_unit() {
        let ages = [
            (0, "0s"),
            (999, "0s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (3_599_999, "59m"),
            (7_200_000, "2h"),
            (86_399_999, "23h"),
            (86_400_000 * 400, "400d"),
        ];
        for (ms, shown) in ages {
            assert_eq!(age(1_000, 1_000 + ms), shown);
        }
        assert_eq!(age(5_000, 1), "0s");
        assert_eq!(age(0, u64::MAX), "213503982334d");
    }
}
