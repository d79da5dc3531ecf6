//! Who may start a session, and who may drive which.

use dsx_protocol::{ErrorKind, WireError};

/// Who calls, as the kernel says: a program inside a session, or the owner of the machine's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    User,
    Session {
        id: String,
        /// 0 for a session of the user's own.
        depth: u32,
    },
    /// It descends from the keeper, but from no session that is known.
    Stray,
}

impl Caller {
    /// As a session's `creator` names it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::User => "user",
            Self::Session { id, .. } => id,
            Self::Stray => "nobody",
        }
    }
}

/// How deep sessions may start sessions.
const MAX_DEPTH: u32 = 3;

/// Whether `caller`, with so many live sessions of its own, may start one more; the new one's depth.
pub fn admit(caller: &Caller, live: usize, limit: usize) -> Result<u32, WireError> {
    let depth = match caller {
        Caller::User => 0,
        Caller::Session { depth, .. } => depth + 1,
        Caller::Stray => {
            return Err(WireError::new(ErrorKind::Refused, "the caller runs in no session that dsx knows")
                .hint("run it from a shell of your own"));
        }
    };
    if depth > MAX_DEPTH {
        let what =
            format!("sessions may be nested {MAX_DEPTH} deep, and {} is at {}", caller.name(), depth - 1);
        return Err(WireError::new(ErrorKind::Refused, what).hint("let its creator start the session"));
    }
    if live >= limit {
        let what = format!("{} has {live} live sessions, the limit is {limit}", caller.name());
        return Err(WireError::new(ErrorKind::Refused, what).hint(
            "end one with 'dsx kill', or start the supervisor with DSX_MAX_SESSIONS_PER_CREATOR set higher",
        ));
    }
    Ok(depth)
}

/// Whether `caller` may observe and drive `target`, whose creators are `line`, nearest first.
pub fn may_drive(caller: &Caller, target: &str, line: &[String]) -> Result<(), WireError> {
    let allowed = match caller {
        Caller::User => true,
        Caller::Session { id, .. } => id == target || line.contains(id),
        Caller::Stray => false,
    };
    match allowed {
        true => Ok(()),
        false => {
            let what = format!(
                "session {target} was not created by {}, so it may not be driven from there",
                caller.name()
            );
            Err(WireError::new(ErrorKind::Refused, what).session(target).hint("ask the owner to do it"))
        }
    }
}

/// Whether the session `caller`, whose creators are `line`, may answer the prompts of `target` as one of its own
/// line; false where it is not of that line, and the usual rule holds. `trusted`: the owner allowed it.
///
/// Permissions would mean nothing if whoever asks for them could give them.
pub fn may_answer(caller: &str, target: &str, line: &[String], trusted: bool) -> Result<bool, WireError> {
    let own = caller == target || line.iter().any(|creator| creator == target);
    match (own, trusted) {
        (true, false) => {
            let what = format!("session {caller} may not answer its own or its creators' prompts ({target})");
            Err(WireError::new(ErrorKind::Refused, what)
                .session(target)
                .hint("only the owner can, or a session that was created with --may-respond"))
        }
        (own, _) => Ok(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(depth: u32) -> Caller {
        Caller::Session { id: "fizz-top".into(), depth }
    }

    #[test]
    fn limits_name_themselves() {
        assert_eq!(admit(&Caller::User, 9, 10), Ok(0));
        let error = admit(&Caller::User, 10, 10).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(error.message.contains("10"), "{error}");
        assert_eq!(admit(&session(2), 0, 10), Ok(3));
        assert!(admit(&session(3), 0, 10).is_err());
        assert!(admit(&Caller::Stray, 0, 10).is_err());
    }

    #[test]
    fn nobody_gives_himself_what_he_asks_for() {
        let line = ["lux-mid".to_owned()];
        assert!(may_answer("fizz-top", "fizz-top", &line, false).is_err());
        assert!(may_answer("fizz-top", "lux-mid", &line, false).is_err());
        assert_eq!(may_answer("fizz-top", "lux-mid", &line, true), Ok(true));
        assert_eq!(may_answer("fizz-top", "ahri-mid", &line, false), Ok(false));
    }

    #[test]
    fn a_session_drives_what_descends_from_it() {
        let line = ["lux-mid".to_owned(), "fizz-top".to_owned()];
        assert!(may_drive(&session(0), "ahri-mid", &line).is_ok());
        assert!(may_drive(&session(0), "fizz-top", &[]).is_ok());
        assert!(may_drive(&session(0), "ahri-mid", &["user".to_owned()]).is_err());
        assert!(may_drive(&Caller::User, "ahri-mid", &[]).is_ok());
        assert!(may_drive(&Caller::Stray, "ahri-mid", &line).is_err());
    }
}
