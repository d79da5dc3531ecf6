//! Keys by their tmux names.

/// The name is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey;

/// The bytes of one key. A word that is no key name is typed as it is, except where it looks like one
/// (`C-…`, `M-…`), which is an error. `application` is the cursor keys' application mode.
pub fn key_bytes(name: &str, application: bool) -> Result<Vec<u8>, UnknownKey> {
    if let Some(bytes) = named(name, application) {
        return Ok(bytes);
    }
    if let Some(rest) = name.strip_prefix("C-").filter(|r| !r.is_empty()) {
        return control(rest).ok_or(UnknownKey);
    }
    if let Some(rest) = name.strip_prefix("M-").filter(|r| !r.is_empty()) {
        let mut bytes = vec![0x1b];
        bytes.extend(key_bytes(rest, application)?);
        return Ok(bytes);
    }
    Ok(name.as_bytes().to_vec())
}

fn named(name: &str, application: bool) -> Option<Vec<u8>> {
    let cursor = |c: char| Some(format!("\x1b{}{c}", if application { 'O' } else { '[' }).into_bytes());
    let fixed: &[u8] = match name {
        "Up" => return cursor('A'),
        "Down" => return cursor('B'),
        "Right" => return cursor('C'),
        "Left" => return cursor('D'),
        "Home" => return cursor('H'),
        "End" => return cursor('F'),
        "Enter" => b"\r",
        "Escape" => b"\x1b",
        "Space" => b" ",
        "Tab" => b"\t",
        "BTab" => b"\x1b[Z",
        "BSpace" => b"\x7f",
        "DC" | "Delete" => b"\x1b[3~",
        "IC" | "Insert" => b"\x1b[2~",
        "PPage" | "PageUp" | "PgUp" => b"\x1b[5~",
        "NPage" | "PageDown" | "PgDn" => b"\x1b[6~",
        "F1" => b"\x1bOP",
        "F2" => b"\x1bOQ",
        "F3" => b"\x1bOR",
        "F4" => b"\x1bOS",
        "F5" => b"\x1b[15~",
        "F6" => b"\x1b[17~",
        "F7" => b"\x1b[18~",
        "F8" => b"\x1b[19~",
        "F9" => b"\x1b[20~",
        "F10" => b"\x1b[21~",
        "F11" => b"\x1b[23~",
        "F12" => b"\x1b[24~",
        _ => return None,
    };
    Some(fixed.to_vec())
}

fn control(rest: &str) -> Option<Vec<u8>> {
    if rest == "Space" {
        return Some(vec![0]);
    }
    let mut chars = rest.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return None };
    let byte = match c.to_ascii_lowercase() {
        c @ 'a'..='z' => c as u8 - b'a' + 1,
        '@' => 0,
        '[' => 0x1b,
        '\\' => 0x1c,
        ']' => 0x1d,
        '^' => 0x1e,
        '_' | '/' => 0x1f,
        '?' => 0x7f,
        _ => return None,
    };
    Some(vec![byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_bytes_a_terminal_sends() {
        let key = |name| key_bytes(name, false);
        assert_eq!(key("Enter"), Ok(b"\r".to_vec()));
        assert_eq!(key("C-c"), Ok(vec![3]));
        assert_eq!(key("C-\\"), Ok(vec![0x1c]));
        assert_eq!(key("M-x"), Ok(b"\x1bx".to_vec()));
        assert_eq!(key("Up"), Ok(b"\x1b[A".to_vec()));
        assert_eq!(key_bytes("Up", true), Ok(b"\x1bOA".to_vec()));
        assert_eq!(key("hello"), Ok(b"hello".to_vec()));
        assert_eq!(key("C-nonsense"), Err(UnknownKey));
        assert_eq!(key("C-"), Ok(b"C-".to_vec()));
    }
}
