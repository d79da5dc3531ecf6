//! Durations as people write them on the command line: a number and a unit.

const UNITS: [(&str, u64); 4] = [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Milliseconds of `30s`, `15m`, `2h` or `7d`.
///
/// # Errors
/// Says how to write one.
pub(crate) fn milliseconds(typed: &str) -> Result<u64, String> {
    let wrong = || format!("'{typed}' is no duration: give a number and a unit, such as 30s, 15m, 2h or 7d");
    let digits = typed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = typed.get(digits.len()..).unwrap_or_default();
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(*ms).filter(|ms| *ms > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        let all = ["30s", "15m", "2h", "7d", "007d"].map(milliseconds);
        assert_eq!(all, [30_000, 900_000, 7_200_000, 604_800_000, 604_800_000].map(Ok));
        let bad = ["", "s", "7", "7w", "-1s", "+1s", "1.5h", "1 h", "0s", "1H", "99999999999999999999d", "é"];
        for wrong in bad {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
