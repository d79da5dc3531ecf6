//! The one sanitiser: what an agent said, made harmless to show.
//!
//! Nothing it returns can move a cursor, change a colour or a title, answer a query, reorder a line or hide
//! text. Controls are shown by their pictures rather than left out, so that what was there can be seen;
//! only what has no look of its own (bidi controls, zero width) is dropped.

use std::borrow::Cow;

/// Stands for what no terminal should be given and what has no picture.
const REPLACEMENT: char = '\u{fffd}';
/// Emoji presentation: the one zero-width character that is kept, once behind a visible one, as it only
/// chooses that one's look.
const EMOJI_LOOK: char = '\u{fe0f}';

/// For one line: line breaks and tabs become spaces. Keeps no control character at all.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    sanitize(text, false)
}

/// For text of several lines: `\n` and `\t` are kept, every other line break becomes `\n`.
#[must_use]
pub fn multi_line(text: &str) -> Cow<'_, str> {
    sanitize(text, true)
}

/// For a line of JSON: nothing is lost, what would act on a terminal is written as an escape of JSON's own.
/// (Outside of strings JSON has none of these characters.)
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let acts =
        |c: char| c != '\n' && (c.is_control() || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}'));
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

enum Fate {
    Kept,
    Dropped,
    Break,
    Becomes(char),
}

fn sanitize(text: &str, lines: bool) -> Cow<'_, str> {
    let fate_of = |last, c| match fate(last, c) {
        Fate::Break if lines => Fate::Becomes('\n'),
        Fate::Becomes('\t') if lines => Fate::Kept,
        Fate::Break | Fate::Becomes('\t') => Fate::Becomes(' '),
        other => other,
    };
    let mut last = None;
    let clean = text.chars().all(|c| {
        let same = match fate_of(last, c) {
            Fate::Kept => true,
            Fate::Becomes(other) => other == c,
            Fate::Dropped | Fate::Break => false,
        };
        last = Some(c);
        same
    });
    if clean {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        match fate_of(shown.chars().next_back(), c) {
            Fate::Kept => shown.push(c),
            Fate::Becomes(other) => shown.push(other),
            Fate::Dropped | Fate::Break => {}
        }
    }
    Cow::Owned(shown)
}

/// What becomes of `c` behind `last`, the last character that was kept.
fn fate(last: Option<char>, c: char) -> Fate {
    match c {
        ' '..='~' => Fate::Kept,
        '\t' => Fate::Becomes('\t'),
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => Fate::Break,
        '\0'..='\u{1f}' => Fate::Becomes(char::from_u32(0x2400 + c as u32).unwrap_or(REPLACEMENT)),
        '\u{7f}' => Fate::Becomes('\u{2421}'),
        '\u{80}'..='\u{9f}' => Fate::Becomes(REPLACEMENT),
        EMOJI_LOOK if last.is_some_and(|l| !l.is_whitespace() && l != EMOJI_LOOK) => Fate::Kept,
        c if is_invisible(c) => Fate::Dropped,
        c if is_noncharacter(c) => Fate::Becomes(REPLACEMENT),
        _ => Fate::Kept,
    }
}

/// Bidi controls and everything Unicode calls default-ignorable: no look of its own, or an effect on others.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Never assigned, like the halves of a surrogate pair, which a `char` cannot be.
const fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || (c as u32) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character there is, each also between others.
    fn every_char() -> impl Iterator<Item = char> {
        (0..=u32::from(char::MAX)).filter_map(char::from_u32)
    }

    fn is_harmless(c: char) -> bool {
        !c.is_control() && !is_noncharacter(c) && (!is_invisible(c) || c == EMOJI_LOOK)
    }

    #[test]
    fn no_control_ever_leaves() {
        for c in every_char() {
            let text = format!("a{c}b{c}{c}");
            let line = one_line(&text);
            assert!(line.chars().all(is_harmless), "{c:?} left {line:?}");
            let lines = multi_line(&text);
            assert!(lines.chars().all(|c| matches!(c, '\n' | '\t') || is_harmless(c)), "{c:?}: {lines:?}");
            assert!(line.starts_with('a') && line.contains('b'), "{c:?} took its neighbours along");
        }
    }

    #[test]
    fn json_loses_nothing_and_does_nothing() {
        let text: String = every_char().collect();
        let line = serde_json::to_string(&text).unwrap();
        let shown = json(&line);
        assert!(!shown.contains(|c: char| c.is_control() || is_invisible(c)));
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        assert!(matches!(json("{\"a\": \"é 漢 🙂\"}\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn twice_is_once() {
        // A small deterministic generator: characters of every kind, in every order.
        let pool: Vec<char> =
            "a é漢🙂\r\n\t\x1b[0m\u{200d}\u{fe0f}\u{202e}\u{feff}\u{7f}\u{9b}\0\u{301}\u{ffff}"
                .chars()
                .collect();
        let mut seed: u64 = 0x9e37_79b9;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(pool[(seed >> 33) as usize % pool.len()]);
            }
            for sanitized in [one_line, multi_line] {
                let once = sanitized(&text);
                assert_eq!(sanitized(&once), once, "{text:?}");
                assert!(matches!(sanitized(&once), Cow::Borrowed(_)), "{text:?}");
            }
        }
    }

    #[test]
    fn sequences_are_seen_and_do_nothing() {
        assert_eq!(one_line("\x1b[31mred\x07"), "␛[31mred␇");
        assert_eq!(one_line("a\u{9b}2Jb"), "a\u{fffd}2Jb");
        assert_eq!(one_line("user\u{202e}gpj.exe"), "usergpj.exe");
        assert_eq!(one_line("zero\u{200b}width"), "zerowidth");
    }

    #[test]
    fn line_breaks_are_spaces_in_one_line_and_newlines_in_several() {
        assert_eq!(one_line("a\r\nb\nc\rd\te"), "a b c d e");
        assert_eq!(multi_line("a\r\nb\nc\rd\te\u{2028}f"), "a\nb\nc\nd\te\nf");
    }

    #[test]
    fn what_is_harmless_is_not_copied() {
        for text in ["", "plain", "é 漢 🙂 ❤\u{fe0f} e\u{301}", "שלום"] {
            assert!(matches!(one_line(text), Cow::Borrowed(_)), "{text:?}");
        }
        assert!(matches!(multi_line("two\nlines\tand a tab"), Cow::Borrowed(_)));
    }
}
