use serde::{Deserialize, Serialize};

/// The newest protocol version this build speaks.
pub const VERSION: u32 = 1;
/// The oldest it still understands.
pub const VERSION_MIN: u32 = 1;

/// The first frame of each side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest and newest protocol version the sender understands.
    pub min: u32,
    pub max: u32,
    /// The sender's dsx version, for people.
    #[serde(default)]
    pub version: String,
    /// Names of optional abilities; an unknown one is ignored.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

impl Hello {
    #[must_use]
    pub fn ours() -> Self {
        Self {
            min: VERSION_MIN,
            max: VERSION,
            version: crate::DSX_VERSION.to_owned(),
            capabilities: Vec::new(),
        }
    }
}

/// The version both sides speak, the newest of them; `None` when their ranges do not meet.
#[must_use]
pub fn agree(ours: &Hello, theirs: &Hello) -> Option<u32> {
    let newest = ours.max.min(theirs.max);
    (newest >= ours.min && newest >= theirs.min).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: u32, max: u32) -> Hello {
        Hello { min, max, version: String::new(), capabilities: Vec::new() }
    }

    #[test]
    fn the_newest_common_version_is_taken() {
        assert_eq!(agree(&range(1, 3), &range(2, 9)), Some(3));
        assert_eq!(agree(&range(1, 1), &range(2, 9)), None);
        assert_eq!(agree(&range(5, 6), &range(1, 4)), None);
    }
}
