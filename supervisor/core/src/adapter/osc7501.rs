//! OSC 7501, the program status protocol (revision 0.4): `state=S[:app=..][:kind=..][:msg=<base64>][:id=..]`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::evidence::{Asked, Evidence, Rest};

/// What one record says of the agent as a whole. A record with an id is of something below it: a sub-agent,
/// a background shell; the root's record covers those.
#[must_use]
pub fn read_osc7501(payload: &[u8]) -> Option<Evidence> {
    let text = std::str::from_utf8(payload).ok()?;
    let (mut state, mut kind, mut message, mut child) = (None, None, None, false);
    for field in text.split(':') {
        match field.split_once('=')? {
            ("state", value) => state = Some(value),
            ("kind", value) => kind = Some(value),
            ("msg", value) => message = decode(value),
            ("id", value) => child = !value.is_empty(),
            _ => {}
        }
    }
    if child {
        return None;
    }
    match state? {
        "idle" => Some(Evidence::Rest(Rest::Idle)),
        "done" => Some(Evidence::Rest(Rest::Done)),
        "error" => Some(Evidence::Rest(Rest::Error(message))),
        "working" => Some(Evidence::Busy),
        // Claude gives up on a turn for want of a login: the turn is over, nothing can be answered here.
        "blocked" if kind == Some("auth") => Some(Evidence::Rest(Rest::Error(message))),
        "blocked" => Some(Evidence::Blocked(Asked {
            kind: kind.unwrap_or("question").to_owned(),
            text: message.unwrap_or_else(|| "the agent asks something".to_owned()),
            ..Asked::default()
        })),
        _ => None,
    }
}

fn decode(value: &str) -> Option<String> {
    let bytes = STANDARD.decode(value).or_else(|_| STANDARD_NO_PAD.decode(value)).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_children_are_not() {
        assert_eq!(read_osc7501(b"state=idle:app=claude"), Some(Evidence::Rest(Rest::Idle)));
        assert_eq!(read_osc7501(b"state=working"), Some(Evidence::Busy));
        assert_eq!(read_osc7501(b"state=working:id=a1"), None);
        assert_eq!(
            read_osc7501(b"state=error:msg=QVBJIEVycm9y"),
            Some(Evidence::Rest(Rest::Error(Some("API Error".into()))))
        );
        let asked = Asked { kind: "permission".into(), text: "ok?".into(), ..Asked::default() };
        assert_eq!(read_osc7501(b"state=blocked:kind=permission:msg=b2s/"), Some(Evidence::Blocked(asked)));
        let quota = read_osc7501(b"state=blocked:kind=quota:msg=b2s/");
        assert!(matches!(quota, Some(Evidence::Blocked(a)) if a.kind == "quota"));
        for bad in [&b"?"[..], b"", b"state", b"state=dancing", b"\xff", b"clear:id=3"] {
            assert_eq!(read_osc7501(bad), None);
        }
    }
}
