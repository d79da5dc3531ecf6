//! Variables in messages that come from a file: `{{session}}`, `{{turn}}`, `{{cwd}}`, `{{group}}`.
//!
//! Only two braces around one word are a variable, so that code in a message stays as it is; `\{{word}}` is the
//! literal `{{word}}`.

use std::borrow::Cow;

use dsx_protocol::{ErrorKind, TurnId, WireError};

use crate::spec::Spec;

const NAMES: [&str; 4] = ["session", "turn", "cwd", "group"];

/// The text with the values of the session that receives it, and of the turn it becomes.
///
/// # Errors
/// `Usage`, naming the first variable that there is not.
pub(crate) fn expand(text: &str, spec: &Spec, turn: TurnId) -> Result<String, WireError> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        let Some((name, length)) = variable(from) else {
            // One brace further: `{{{turn}}` is a brace and a variable.
            whole.push_str(before);
            whole.push('{');
            rest = from.get(1..).unwrap_or_default();
            continue;
        };
        let (literal, after) = from.split_at(length);
        match before.strip_suffix('\\') {
            Some(unescaped) => whole.extend([unescaped, literal]),
            None => whole.extend([before, &value(name, spec, turn)?]),
        }
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// The name at the start of a text that begins with `{{`, and how long it is with its braces.
fn variable(text: &str) -> Option<(&str, usize)> {
    let (inside, _) = text.strip_prefix("{{")?.split_once("}}")?;
    let name = inside.trim_matches(' ');
    let mut bytes = name.bytes();
    let word = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    word.then_some((name, inside.len() + 4))
}

fn value<'s>(name: &str, spec: &'s Spec, turn: TurnId) -> Result<Cow<'s, str>, WireError> {
    Ok(match name {
        "session" => Cow::Borrowed(&spec.id),
        "turn" => Cow::Owned(turn.to_string()),
        "cwd" => Cow::Borrowed(&spec.path),
        "group" => Cow::Borrowed(spec.group.as_deref().unwrap_or_default()),
        other => {
            let what = format!("there is no variable '{{{{{other}}}}}'; nothing was sent");
            return Err(WireError::new(ErrorKind::Usage, what).hint(format!(
                "there are {}; write \\{{{{{other}}}}} where the braces are meant",
                NAMES.map(|name| format!("{{{{{name}}}}}")).join(" ")
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Cli;

    fn expanded(text: &str) -> Result<String, WireError> {
        let mut spec = Spec::sample(Cli::Demo);
        spec.group = Some("blue".into());
        expand(text, &spec, TurnId(7))
    }

    #[test]
    fn variables_have_the_receivers_values() {
        assert_eq!(expanded("{{session}} {{turn}} {{cwd}} {{group}}").unwrap(), "fizz-top t7 /p blue");
        assert_eq!(expanded("a{{ turn }}{{turn}}b\n").unwrap(), "at7t7b\n");
        assert_eq!(expand("<{{group}}>", &Spec::sample(Cli::Demo), TurnId(1)).unwrap(), "<>");
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        let mut spec = Spec::sample(Cli::Demo);
        spec.path = "/{{turn}}".into();
        assert_eq!(expand("{{cwd}}", &spec, TurnId(1)).unwrap(), "/{{turn}}");
    }

    #[test]
    fn braces_that_hold_no_word_stay() {
        for text in [
            "",
            "{{",
            "{{}}",
            "{{ }}",
            "{{turn",
            "{turn}",
            "style={{color: 'red'}}",
            "${{ secrets.KEY }}",
            "{{ .Values }}",
            "{{#if}}",
            "{{7}}",
            "{{é}}",
            "{{\nturn\n}}",
            "{{a b}}",
            "\\{{x,y\\}}",
            "}}{{",
        ] {
            assert_eq!(expanded(text).unwrap(), text);
        }
        assert_eq!(expanded("{{{turn}}}").unwrap(), "{t7}");
        assert_eq!(expanded("{{x: {{turn}} }}").unwrap(), "{{x: t7 }}");
    }

    #[test]
    fn a_backslash_takes_a_variable_as_it_stands() {
        assert_eq!(expanded("\\{{turn}} {{turn}}").unwrap(), "{{turn}} t7");
        assert_eq!(expanded("\\{{ name }}").unwrap(), "{{ name }}");
        assert_eq!(expanded("a\\b {{turn}}").unwrap(), "a\\b t7");
    }

    #[test]
    fn what_there_is_not_is_named() {
        let error = expanded("{{turn}} {{sesion}} {{x}}").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.message.contains("'{{sesion}}'"), "{error}");
        let hint = error.hint.unwrap();
        assert!(hint.contains("{{session}}") && hint.contains("\\{{sesion}}"), "{hint}");
    }
}
