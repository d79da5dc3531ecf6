//! What a session's creator lays down for it: read from what was asked, whole, before anything exists.

use dsx_protocol::{Create, ErrorKind, WireError};

use crate::admission::Caller;
use crate::spec::{Cli, OnPrompt, Spec, Terms};

/// Labels of one session.
const LABELS: usize = 64;
/// Bytes of a label's name, and of a group.
const NAME: usize = 64;
/// Bytes of a label's value.
const VALUE: usize = 256;
/// The longest time to live: longer is never.
const TTL_MAX_MS: u64 = 10 * 365 * 24 * 3_600 * 1_000;

fn usage(what: String) -> WireError {
    WireError::new(ErrorKind::Usage, what)
}

/// A name of a label, which commands and environments can hold without quoting.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !name.is_empty() && name.len() <= NAME && name.bytes().all(plain)
}

impl Terms {
    /// The terms that `create` asks for.
    ///
    /// # Errors
    /// `Usage` where one makes no sense, `Refused` for what this caller may not say.
    pub fn asked(create: &Create, caller: &Caller) -> Result<Self, WireError> {
        let on_prompt = match create.on_prompt.as_deref() {
            None | Some("ask") => OnPrompt::Ask,
            Some("deny") => OnPrompt::Deny,
            Some("allow") => OnPrompt::Allow,
            Some(other) => {
                return Err(usage(format!("'{other}' is nothing to do with prompts"))
                    .hint("use --on-prompt ask, deny or allow"));
            }
        };
        if create.may_respond && *caller != Caller::User {
            let what = format!("{} may not say that a session may answer prompts", caller.name());
            return Err(WireError::new(ErrorKind::Refused, what).hint("ask the owner to start it"));
        }
        if let Some(group) = &create.group {
            check_group(group)?;
        }
        if let Some(ttl) = create.ttl_ms.filter(|ms| !(1..=TTL_MAX_MS).contains(ms)) {
            return Err(usage(format!("{ttl} ms is no time to live")).hint("leave --ttl out for never"));
        }
        Ok(Self {
            labels: checked(&create.labels)?,
            on_prompt,
            may_respond: create.may_respond,
            ttl_ms: create.ttl_ms,
            from: create.from.clone(),
        })
    }
}

fn check_group(group: &str) -> Result<(), WireError> {
    if group.is_empty() || group.len() > NAME || group.chars().any(char::is_control) {
        return Err(usage(format!("'{}' is no name of a group", group.escape_debug()))
            .hint(format!("a group has 1 to {NAME} bytes and no control characters")));
    }
    Ok(())
}

fn checked(labels: &[(String, String)]) -> Result<Vec<(String, String)>, WireError> {
    if labels.len() > LABELS {
        return Err(usage(format!("a session has at most {LABELS} labels, not {}", labels.len())));
    }
    for (at, (name, value)) in labels.iter().enumerate() {
        if !is_name(name) {
            return Err(usage(format!("'{}' is no name of a label", name.escape_debug()))
                .hint(format!("use at most {NAME} of A-Z a-z 0-9 . _ -, as in --label task=auth")));
        }
        if value.len() > VALUE || value.chars().any(char::is_control) {
            return Err(usage(format!("the value of the label '{name}' is too long or no plain text"))
                .hint(format!("a value has at most {VALUE} bytes and no control characters")));
        }
        if labels.iter().take(at).any(|(other, _)| other == name) {
            return Err(usage(format!("the label '{name}' is given twice")).hint("give it one value"));
        }
    }
    let mut labels = labels.to_vec();
    labels.sort();
    Ok(labels)
}

/// Fills in what a session that takes over another's work was not told. Its right to answer prompts is never
/// taken over: that is the owner's word for one session.
///
/// # Errors
/// `Failed` where what is kept of the other session is not the whole truth: bytes that are no UTF-8.
pub fn take_over(create: Create, from: &Spec) -> Result<Create, WireError> {
    if from.command.iter().chain([&from.path]).any(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
        let what = format!("the directory or the command of session {} is not UTF-8", from.id);
        return Err(WireError::new(ErrorKind::Failed, what)
            .hint("start the new session yourself, then hand over with --to")
            .session(&from.id));
    }
    let mut create = create;
    create.from = Some(from.id.clone());
    if create.cli.is_none() && create.command.is_empty() {
        match from.cli {
            Cli::Command => {
                create.command = from.command.iter().map(|a| a.clone().into_bytes().into()).collect();
            }
            Cli::Claude | Cli::Demo => create.cli = Some(from.cli.name().to_owned()),
        }
        create.model = create.model.or_else(|| from.model.clone());
    }
    if create.path.is_empty() {
        create.path = from.path.clone().into_bytes().into();
    }
    if create.labels.is_empty() {
        create.labels.clone_from(&from.terms.labels);
    }
    create.mode = create.mode.or_else(|| Some(from.mode.name().to_owned()));
    create.group = create.group.or_else(|| from.group.clone());
    create.on_prompt = create.on_prompt.or_else(|| Some(from.terms.on_prompt.name().to_owned()));
    create.ttl_ms = create.ttl_ms.or(from.terms.ttl_ms);
    Ok(create)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Create {
        let labels = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Create { labels, ..Create::default() }
    }

    fn kind(create: &Create, caller: &Caller) -> Option<ErrorKind> {
        Terms::asked(create, caller).err().map(|e| e.kind)
    }

    #[test]
    fn labels_are_plain_and_said_once() {
        let good = labels(&[("task", "a b=c é"), ("a.B_c-9", "")]);
        let terms = Terms::asked(&good, &Caller::User).unwrap();
        assert_eq!(terms.labels[0], ("a.B_c-9".to_owned(), String::new()));
        assert_eq!(terms.labels[1].1, "a b=c é");
        let long = "k".repeat(65);
        for bad in ["", "a b", "é", "a=b", "a\n", &long] {
            assert_eq!(kind(&labels(&[(bad, "v")]), &Caller::User), Some(ErrorKind::Usage), "{bad}");
        }
        let (twice, wild) = (labels(&[("a", "1"), ("a", "2")]), labels(&[("a", "\x1b[31m")]));
        assert_eq!(kind(&twice, &Caller::User), Some(ErrorKind::Usage));
        assert_eq!(kind(&wild, &Caller::User), Some(ErrorKind::Usage));
    }

    #[test]
    fn only_the_owner_lets_a_session_answer_prompts() {
        let asked = Create { may_respond: true, ..Create::default() };
        assert_eq!(kind(&asked, &Caller::User), None);
        let inside = Caller::Session { id: "fizz-top".into(), depth: 0 };
        assert_eq!(kind(&asked, &inside), Some(ErrorKind::Refused));
        assert_eq!(kind(&Create::default(), &inside), None);
    }

    #[test]
    fn what_makes_no_sense_is_usage() {
        let bad = [
            Create { on_prompt: Some("maybe".into()), ..Create::default() },
            Create { ttl_ms: Some(0), ..Create::default() },
            Create { ttl_ms: Some(u64::MAX), ..Create::default() },
            Create { group: Some(String::new()), ..Create::default() },
            Create { group: Some("a\u{0}".into()), ..Create::default() },
        ];
        for create in bad {
            assert_eq!(kind(&create, &Caller::User), Some(ErrorKind::Usage), "{create:?}");
        }
    }

    #[test]
    fn a_successor_takes_over_what_it_was_not_told() {
        let mut from = Spec::sample(Cli::Claude);
        from.mode = crate::Mode::Ask;
        from.model = Some("opus".into());
        from.group = Some("g".into());
        from.terms.labels = vec![("a".into(), "b".into())];
        from.terms.on_prompt = OnPrompt::Deny;
        from.terms.may_respond = true;
        let all = take_over(Create::default(), &from).unwrap();
        assert_eq!((all.cli.as_deref(), all.mode.as_deref()), (Some("claude"), Some("ask")));
        assert_eq!((all.model.as_deref(), all.group.as_deref()), (Some("opus"), Some("g")));
        assert_eq!((all.path.as_slice(), all.from.as_deref()), (&b"/p"[..], Some("fizz-top")));
        assert_eq!((all.labels.len(), all.on_prompt.as_deref()), (1, Some("deny")));
        assert!(!all.may_respond);
        let other = Create { cli: Some("demo".into()), mode: Some("native".into()), ..Create::default() };
        let other = take_over(other, &from).unwrap();
        assert_eq!((other.cli.as_deref(), other.model), (Some("demo"), None));
        assert_eq!(other.mode.as_deref(), Some("native"));
        from.path = "/\u{fffd}".into();
        assert!(take_over(Create::default(), &from).is_err());
    }
}
