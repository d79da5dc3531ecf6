//! Messages of all sizes and alphabets, the same for the same seed.

/// Bytes of the largest.
const LARGEST: f64 = 20.0 * 1024.0;

/// What a message is made of: its words, and what stands between them.
const ALPHABETS: [(&[&str], &str); 10] = [
    (&["plain", "words", "of", "no", "kind", "of", "meaning,", "and", "numbers", "17", "2.5", "(so)"], " "),
    (&["été", "naïve", "Ærø", "żółw", "señor", "Größe", "façade", "crème", "Åse"], " "),
    (&["漢字", "かな", "カタカナ", "한국어", "简体", "繁體", "、", "。"], ""),
    (&["🙂", "🚀", "done", "✅", "🇩🇪", "👍🏽", "⚠", "x"], " "),
    (&["שלום", "עולם", "مرحبا", "بالعالم", "abc", "١٢٣"], " "),
    (&["if (x) {", "return 'a';", "}", "let s = \"q\";", "// c", "a[i] = `t`;"], "\n\t"),
    (&["\"quoted\"", "'single'", "`ticks`", "$HOME", "\\n", "a\\b", "%s", "&&", "|", ";"], " "),
    (&["see", "/help", "and", "/tmp/a/b", "!ls", "#1", "@me", "me@example.org", "~", "?", "* x"], " "),
    (&["a line", "another one", "", "  indented", "- item", "1. first", "> said"], "\n"),
    (&["<tag a=\"b\">", "</tag>", "{\"k\": [1, 2]}", "&amp;", "<x/>", "[link](u)"], "  "),
];

/// Of one character or little more: what an input box may take for a key.
const TINY: [&str; 12] = ["a", "1", "y", "?", ".", "é", "漢", "🙂", "ok", "no", "x y", "-"];

/// A small generator, as good as is needed here.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }
}

/// The next message: as many small ones as large ones, by the order of their sizes. It begins with what no agent
/// runs, and does not end with a blank.
#[must_use]
pub fn message(random: &mut Random) -> String {
    let share = random.below(10_000) as f64 / 10_000.0;
    let size = LARGEST.powf(share) as usize;
    if size < 8 {
        return TINY[random.below(TINY.len())].to_owned();
    }
    let (words, between) = ALPHABETS[random.below(ALPHABETS.len())];
    let mut text = [" ", "   ", "", "", "", ""][random.below(6)].to_owned();
    text.push_str(["go", "zu", "là", "看", "so"][random.below(5)]);
    while text.len() < size {
        text.push_str(between);
        text.push_str(words[random.below(words.len())]);
    }
    text.truncate(text.floor_char_boundary(size.max(8)));
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_of_all_sizes_and_the_same_each_time() {
        let of = |seed| {
            let mut random = Random::new(seed);
            (0..500).map(|_| message(&mut random)).collect::<Vec<_>>()
        };
        let messages = of(7);
        assert_eq!(messages, of(7));
        assert_ne!(messages, of(8));
        let sizes: Vec<usize> = messages.iter().map(String::len).collect();
        assert_eq!(sizes.iter().min(), Some(&1));
        assert!(sizes.iter().any(|s| *s > 15_000) && sizes.iter().all(|s| *s <= 20 * 1024));
        for (words, _) in ALPHABETS {
            assert!(messages.iter().any(|m| m.contains(words[0])), "{words:?}");
        }
        assert!(messages.iter().any(|m| m.starts_with(' ')));
        assert!(messages.iter().all(|m| m.trim_end() == m && !m.is_empty()));
    }
}
