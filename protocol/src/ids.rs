use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A turn of one session: `t1`, `t2`, … in the order in which they were queued. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub u64);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// The text is no turn id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no turn id: turns are named t1, t2, …")]
pub struct ParseTurnError(String);

impl FromStr for TurnId {
    type Err = ParseTurnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('t').unwrap_or(text);
        match digits.parse() {
            Ok(n) if n > 0 => Ok(Self(n)),
            _ => Err(ParseTurnError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_id_reads_back_what_it_prints() {
        assert_eq!("t7".parse(), Ok(TurnId(7)));
        assert_eq!("7".parse(), Ok(TurnId(7)));
        assert_eq!(TurnId(7).to_string(), "t7");
        for bad in ["", "t", "t0", "0", "-1", "t1x"] {
            assert!(bad.parse::<TurnId>().is_err(), "{bad}");
        }
    }
}
