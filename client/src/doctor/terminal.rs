//! The caller's terminal and language: what `attach` shows, and what agents draw.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, stdout};

use super::Check;

pub(super) fn term() -> Check {
    judge_term(std::env::var_os("TERM").as_deref(), stdout().is_terminal())
}

fn judge_term(term: Option<&OsStr>, is_terminal: bool) -> Check {
    let name = "terminal";
    let term = term.filter(|term| !term.is_empty()).map(OsStr::to_string_lossy);
    match term.as_deref() {
        Some("dumb") | None if is_terminal => {
            let found =
                format!("TERM is {}: 'dsx attach' cannot draw here", term.as_deref().unwrap_or("not set"));
            Check::warning(name, found, "export TERM=xterm-256color, if your terminal is one")
        }
        Some(term) => Check::ok(name, format!("TERM is {term}; sessions have xterm-256color of their own")),
        None => Check::ok(name, "none is needed: sessions have xterm-256color of their own"),
    }
}

pub(super) fn locale() -> Check {
    let value = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let decisive = names.into_iter().find_map(|name| value(name).map(|v| (name, v)));
    judge_locale(decisive.as_ref().map(|(name, value)| (*name, value.as_os_str())))
}

/// The variable that decides, and its value.
fn judge_locale(decisive: Option<(&str, &OsStr)>) -> Check {
    let name = "locale";
    let advice = "export LANG=C.UTF-8, else agents may show '?' for what is not ASCII";
    let Some((variable, value)) = decisive else {
        return Check::warning(name, "LANG, LC_CTYPE and LC_ALL are not set", advice);
    };
    let value = value.to_string_lossy();
    let plain = value.to_ascii_lowercase().replace('-', "");
    let found = format!("{variable} is {value}");
    if plain.contains("utf8") {
        return Check::ok(name, found);
    }
    let advice =
        if variable == "LANG" { advice.to_owned() } else { format!("unset {variable} and {advice}") };
    Check::warning(name, format!("{found}, which is not UTF-8"), advice)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_terminal_needs_a_type_and_a_script_needs_none() {
        let state = |term: Option<&str>, tty| judge_term(term.map(OsStr::new), tty).state;
        assert_eq!(state(Some("xterm-kitty"), true), State::Ok);
        assert_eq!(state(None, false), State::Ok);
        assert_eq!(state(Some("dumb"), false), State::Ok);
        assert_eq!(state(None, true), State::Warning);
        assert_eq!(state(Some(""), true), State::Warning);
        assert_eq!(state(Some("dumb"), true), State::Warning);
    }

    #[test]
    fn a_locale_is_utf_8_in_any_spelling() {
        let state = |value: &str| judge_locale(Some(("LANG", OsStr::new(value)))).state;
        assert_eq!(["C.UTF-8", "en_US.utf8", "de_DE.UTF8"].map(state), [State::Ok; 3]);
        assert_eq!(["C", "POSIX", "de_DE.ISO-8859-1"].map(state), [State::Warning; 3]);
        assert_eq!(judge_locale(None).state, State::Warning);
        let all = judge_locale(Some(("LC_ALL", OsStr::new("C"))));
        assert!(all.advice.unwrap().starts_with("unset LC_ALL"));
    }
}
