//! Names and descriptions that people give to sessions.

use dsx_protocol::{ErrorKind, WireError};

use crate::fact::Fact;
use crate::input::{Effect, Now, RequestId};
use crate::names::{CHAMPIONS, ROLES};
use crate::session::Session;

/// Bytes of a name.
const NAME: usize = 64;
/// Bytes of a description.
const DESCRIPTION: usize = 4_096;

/// The name that somebody typed; none takes the name away.
///
/// # Errors
/// `Usage` where it is no name, or could be taken for the id of a session, now or later.
pub fn check_name(typed: &str) -> Result<Option<String>, WireError> {
    let usage = |what: String, hint: &str| Err(WireError::new(ErrorKind::Usage, what).hint(hint));
    if typed.is_empty() {
        return Ok(None);
    }
    let first = typed.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if !first || typed.len() > NAME || !typed.bytes().all(plain) {
        let what = format!("'{}' is no name", typed.escape_debug());
        return usage(what, "use at most 64 of a-z 0-9 . _ -, beginning with a letter or a digit");
    }
    // What 'handoff --to' takes for a fresh session.
    if typed == "new" {
        return usage("the name 'new' means a fresh session to 'dsx handoff'".to_owned(), "choose another");
    }
    match id_like(typed) {
        Some(id) => usage(
            format!("the name '{typed}' could mean the session {id}"),
            "choose one that is neither an id nor the beginning of one",
        ),
        None => Ok(Some(typed.to_owned())),
    }
}

/// An id that these letters would mean, or be the beginning of.
fn id_like(typed: &str) -> Option<String> {
    let ids =
        CHAMPIONS.iter().flat_map(|champion| ROLES.iter().map(move |role| format!("{champion}-{role}")));
    let numbered =
        |rest: &str| rest.strip_prefix('-').is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    ids.into_iter().find(|id| id.starts_with(typed) || typed.strip_prefix(id.as_str()).is_some_and(numbered))
}

impl Session {
    /// Whether the name is free is known by who knows all sessions, and was asked before.
    pub(crate) fn rename(
        &mut self,
        now: Now,
        request: RequestId,
        name: Option<String>,
        out: &mut Vec<Effect>,
    ) {
        if self.durable.name != name {
            self.fact(now, Fact::Renamed { name }, out);
        }
        out.push(Effect::Done { request, result: Ok(()) });
    }

    pub(crate) fn describe(&mut self, now: Now, request: RequestId, text: String, out: &mut Vec<Effect>) {
        if text.len() > DESCRIPTION {
            let what = format!("the description has {} bytes, the limit is {DESCRIPTION}", text.len());
            let error = WireError::new(ErrorKind::Usage, what).session(&self.durable.spec.id);
            out.push(Effect::Done { request, result: Err(error.hint("give a shorter one")) });
            return;
        }
        let description = Some(text).filter(|text| !text.is_empty());
        if self.durable.description != description {
            self.fact(now, Fact::Described { description }, out);
        }
        out.push(Effect::Done { request, result: Ok(()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_never_ids() {
        for good in ["reviewer", "0", "ci-2.build_x", "fizzy", "fizz-topper", "fizz-top-x", &"q".repeat(64)] {
            assert_eq!(check_name(good), Ok(Some(good.to_owned())));
        }
        assert_eq!(check_name(""), Ok(None));
        let long = "q".repeat(65);
        for bad in ["Reviewer", "-x", ".x", "a b", "é", "@self", "a/b", "a\n", &long] {
            assert!(check_name(bad).is_err_and(|e| e.kind == ErrorKind::Usage), "{bad}");
        }
        for id in ["f", "fizz", "fizz-", "fizz-top", "fizz-top-", "fizz-top-2", "zyra-support-17"] {
            let error = check_name(id).unwrap_err();
            assert!(error.message.contains("could mean the session"), "{id}: {error}");
        }
    }
}
