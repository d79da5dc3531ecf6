//! Which turn a piece of a transcript is of.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use dsx_protocol::TurnId;

/// Knows turns by the agent's own ids for them, and by what was asked.
#[derive(Debug, Default)]
pub struct TurnFinder {
    by_prompt: HashMap<String, TurnId>,
    /// In their order.
    by_text: Vec<(TurnId, u64)>,
    /// The last one that was found.
    last: Option<TurnId>,
}

/// Stands for a text, however long it is.
#[must_use]
pub fn text_key(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Trailing newlines are trimmed on the way to every agent.
    text.trim_end().hash(&mut hasher);
    hasher.finish()
}

impl TurnFinder {
    /// The newest turn it knows the text of.
    #[must_use]
    pub fn newest(&self) -> Option<TurnId> {
        self.by_text.last().map(|(turn, _)| *turn)
    }

    /// The agent calls a turn so, or a part of it.
    pub fn know_prompt(&mut self, turn: TurnId, prompt: &str) {
        self.by_prompt.insert(prompt.to_owned(), turn);
    }

    /// What a turn was asked, as [`text_key`] gives it; turns are told of in their order.
    pub fn know_text(&mut self, turn: TurnId, key: u64) {
        if self.newest().is_none_or(|newest| turn > newest) {
            self.by_text.push((turn, key));
        }
    }

    /// The turn that begins with this text under this id. Of several with the same text it is the first that
    /// comes after the one before: a transcript and the turns have the same order.
    pub fn begin(&mut self, prompt: Option<&str>, text: &str) -> Option<TurnId> {
        let named = prompt.and_then(|prompt| self.by_prompt.get(prompt)).copied();
        let found = named.or_else(|| {
            let key = text_key(text);
            let after = |turn: TurnId| self.last.is_none_or(|last| turn > last);
            self.by_text.iter().find(|(turn, known)| *known == key && after(*turn)).map(|(turn, _)| *turn)
        });
        self.last = found.max(self.last);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_more_than_a_text_and_texts_come_in_order() {
        let mut turns = TurnFinder::default();
        for (n, text) in [(1, "go on"), (2, "do it"), (3, "go on"), (4, "go on")] {
            turns.know_text(TurnId(n), text_key(text));
        }
        turns.know_text(TurnId(2), text_key("told again"));
        turns.know_prompt(TurnId(3), "p3");
        assert_eq!(turns.newest(), Some(TurnId(4)));
        assert_eq!(turns.begin(None, "go on\n"), Some(TurnId(1)));
        assert_eq!(turns.begin(Some("p3"), "something else"), Some(TurnId(3)));
        assert_eq!(turns.begin(Some("unknown"), "go on"), Some(TurnId(4)));
        assert_eq!(turns.begin(None, "go on"), None);
        assert_eq!(turns.begin(None, "typed by somebody"), None);
    }
}
