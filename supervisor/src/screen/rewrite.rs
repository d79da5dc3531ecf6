//! Sequences that vt100 gets wrong or does not know, put into ones that it does.

use super::csi::Csi;

/// Does vt100 read this SGR as it is meant? True for nearly all of them.
pub(crate) fn sgr_is_plain(raw: &[u8]) -> bool {
    let mut before = 0;
    raw.iter().all(|byte| {
        let pair = (std::mem::replace(&mut before, *byte), *byte);
        *byte != b':' && pair != (b'5', b'8') && pair != (b'2', b'1')
    })
}

/// Writes an SGR without the parts that vt100 misreads: underline colour (58, whose numbers it takes
/// for italic and dim), colours in the colon form with a colour space, and underline styles.
pub(crate) fn sgr(csi: &Csi<'_>, out: &mut Vec<u8>) {
    let params = csi.params();
    let mut groups = params.groups();
    let mut kept: Vec<String> = Vec::new();
    while let Some(group) = groups.next() {
        match *group {
            [4, 0] => kept.push("24".to_owned()),
            [4, _] | [21] => kept.push("4".to_owned()),
            [what @ (38 | 48), 5, n] | [what @ (38 | 48), 5, n, ..] => {
                kept.push(format!("{what};5;{}", n.min(255)));
            }
            [what @ (38 | 48), 2, r, g, b] | [what @ (38 | 48), 2, _, r, g, b, ..] => {
                kept.push(rgb(what, r, g, b));
            }
            [what @ (38 | 48 | 58)] => {
                // A colour that is cut off ends the sequence, as there is no telling what follows.
                let Some(colour) = legacy_colour(what, &mut groups) else {
                    break;
                };
                if what != 58 {
                    kept.push(colour);
                }
            }
            [n] => kept.push(n.to_string()),
            _ => {}
        }
    }
    if !kept.is_empty() {
        out.extend_from_slice(format!("\x1b[{}m", kept.join(";")).as_bytes());
    }
}

fn rgb(what: u16, r: u16, g: u16, b: u16) -> String {
    format!("{what};2;{};{};{}", r.min(255), g.min(255), b.min(255))
}

/// The numbers after `38;`: `5;n` or `2;r;g;b`.
fn legacy_colour<'p>(what: u16, groups: &mut impl Iterator<Item = &'p [u16]>) -> Option<String> {
    match groups.next()? {
        [5] => {
            let n = groups.next()?[0];
            Some(format!("{what};5;{}", n.min(255)))
        }
        [2] => {
            let (r, g, b) = (groups.next()?[0], groups.next()?[0], groups.next()?[0]);
            Some(rgb(what, r, g, b))
        }
        _ => None,
    }
}

/// Is this text without what vt100 leaves out: bytes that are no UTF-8, and U+FFFD itself?
pub(crate) fn is_visible(text: &[u8]) -> bool {
    text.is_ascii() || std::str::from_utf8(text).is_ok_and(|text| !text.contains('\u{fffd}'))
}

/// The text with a question mark for each U+FFFD: a real terminal shows it in one cell, and vt100, which
/// shows nothing, would have all that follows in the line too far left.
pub(crate) fn visible(text: &str) -> String {
    text.replace('\u{fffd}', "?")
}

/// What the DEC line drawing set shows for `byte`.
pub(crate) fn line_drawing(byte: u8) -> char {
    const SHAPES: [char; 32] = [
        ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼',
        '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    match byte {
        0x5f..=0x7e => SHAPES[usize::from(byte - 0x5f)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(raw: &str) -> String {
        let csi = Csi::parse(raw.as_bytes(), b'm').expect("well-formed");
        let mut out = Vec::new();
        sgr(&csi, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn underline_colour_leaves_no_trace() {
        assert_eq!(rewritten("1;58;2;3;2;1;4"), "\x1b[1;4m");
        assert_eq!(rewritten("58;5;3"), "");
        assert_eq!(rewritten("58:2::3:2:1;31"), "\x1b[31m");
        assert_eq!(rewritten("58:5:3"), "");
    }

    #[test]
    fn colon_colours_and_underlines_take_the_common_form() {
        assert_eq!(rewritten("38:2::10:20:30"), "\x1b[38;2;10;20;30m");
        assert_eq!(rewritten("48:2:10:20:30"), "\x1b[48;2;10;20;30m");
        assert_eq!(rewritten("38:5:200;1"), "\x1b[38;5;200;1m");
        assert_eq!(rewritten("4:3"), "\x1b[4m");
        assert_eq!(rewritten("4:0"), "\x1b[24m");
        assert_eq!(rewritten("1;38;2;1"), "\x1b[1m");
    }

    #[test]
    fn plain_ones_are_seen_at_once() {
        assert!(sgr_is_plain(b"0;1;38;2;1;2;3"));
        assert!(!sgr_is_plain(b"58;5;1"));
        assert!(!sgr_is_plain(b"4:3"));
    }

    #[test]
    fn corners_and_lines() {
        let text: String = b"lqqk".iter().map(|b| line_drawing(*b)).collect();
        assert_eq!(text, "┌──┐");
    }
}
