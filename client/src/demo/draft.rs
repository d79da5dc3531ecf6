//! The text in the input box, with a cursor in it.

use super::input::PASTE_MAX;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    text: String,
    /// In bytes, always at the boundary of a character.
    cursor: usize,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What is before the cursor, and what is behind it.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// False if the box would hold too much; it is left as it is then.
    #[must_use]
    pub(super) fn insert(&mut self, text: &str) -> bool {
        if self.text.len() + text.len() > PASTE_MAX {
            return false;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        true
    }

    /// Empties the box.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    pub(super) fn backspace(&mut self) {
        let before = self.before();
        self.remove(before, self.cursor);
    }

    pub(super) fn delete(&mut self) {
        let behind = self.behind();
        self.remove(self.cursor, behind);
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.before();
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.behind();
    }

    /// To the begin of the line.
    pub(super) fn home(&mut self) {
        self.cursor = self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1);
    }

    /// To the end of the line.
    pub(super) fn end(&mut self) {
        let rest = &self.text[self.cursor..];
        self.cursor += rest.find('\n').unwrap_or(rest.len());
    }

    /// All that is before the cursor, not only on its line: one key empties the box behind a paste.
    pub(super) fn kill_before(&mut self) {
        self.remove(0, self.cursor);
    }

    /// All that is behind the cursor.
    pub(super) fn kill_after(&mut self) {
        self.text.truncate(self.cursor);
    }

    pub(super) fn kill_word(&mut self) {
        let before = self.text[..self.cursor].trim_end();
        let from = before.rfind(char::is_whitespace);
        // Behind the space, which may be one of several bytes.
        let from = from.map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        self.remove(from, self.cursor);
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn behind(&self) -> usize {
        self.cursor + self.text[self.cursor..].chars().next().map_or(0, char::len_utf8)
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> Draft {
        let mut draft = Draft::default();
        assert!(draft.insert(text));
        draft
    }

    #[test]
    fn text_is_edited_by_whole_characters() {
        let mut d = draft("aé漢");
        d.backspace();
        d.left();
        assert_eq!(d.parts(), ("a", "é"));
        assert!(d.insert("🙂"));
        d.right();
        d.right();
        assert_eq!(d.parts(), ("a🙂é", ""));
        d.home();
        d.delete();
        d.backspace();
        d.left();
        assert_eq!(d.parts(), ("", "🙂é"));
        assert_eq!(d.take(), "🙂é");
        assert_eq!(d, Draft::default());
    }

    #[test]
    fn words_lines_and_all_are_removed() {
        let mut d = draft("one two\u{3000}three  ");
        d.kill_word();
        assert_eq!(d.text(), "one two\u{3000}");
        d.kill_word();
        assert_eq!(d.text(), "one ");
        let mut d = draft("one\ntwo");
        d.home();
        assert_eq!(d.parts(), ("one\n", "two"));
        d.kill_after();
        assert_eq!(d.text(), "one\n");
        d.left();
        d.home();
        d.end();
        assert_eq!(d.parts(), ("one", "\n"));
        d.kill_before();
        assert_eq!(d.text(), "\n");
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        let mut d = draft("x");
        assert!(!d.insert(&"y".repeat(PASTE_MAX)));
        assert_eq!(d.text(), "x");
    }
}
