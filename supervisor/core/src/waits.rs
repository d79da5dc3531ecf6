//! Who waits for whom: a wait that could never settle is refused before it stands.
//!
//! A session waits for another as long as a command that runs inside it does: the turn that runs the command
//! cannot end before the wait does. Sessions that wait for each other in a circle would wait for ever.

use std::collections::VecDeque;

use dsx_protocol::{ErrorKind, WireError};

/// Whether a wait of session `by` for session `on` may stand beside those that do, each of them `(by, on)`.
///
/// Refused is also one of several waits of `wait --any` that would close a circle: `on` cannot settle before
/// `by` goes on, so it could never be the one of them that settles first, and whoever named it expects it to.
///
/// # Errors
/// It would close a circle, which the message names.
pub fn may_wait(by: &str, on: &str, standing: &[(String, String)]) -> Result<(), WireError> {
    let Some(chain) = chain(on, by, standing) else { return Ok(()) };
    let what = match chain.as_slice() {
        [_] => {
            format!("session {by} would wait for itself, and its own turn cannot end before the wait does")
        }
        _ => format!("these sessions would wait for each other for ever: {by} → {}", chain.join(" → ")),
    };
    Err(WireError::new(ErrorKind::Refused, what)
        .hint("let the turn end first, or leave the waiting to whoever started both")
        .session(on))
}

/// The shortest way from one session to another by waits that stand, both ends included.
fn chain<'a>(from: &'a str, to: &str, standing: &'a [(String, String)]) -> Option<Vec<&'a str>> {
    // Each with its place in here of where it was come from.
    let mut seen: Vec<(&str, Option<usize>)> = vec![(from, None)];
    let mut ahead = VecDeque::from([0]);
    while let Some(at) = ahead.pop_front() {
        let (here, _) = *seen.get(at)?;
        if here == to {
            let mut chain = Vec::new();
            let mut place = Some(at);
            while let Some((session, before)) = place.and_then(|p| seen.get(p)) {
                chain.push(*session);
                place = *before;
            }
            chain.reverse();
            return Some(chain);
        }
        for (_, next) in standing.iter().filter(|(by, _)| by == here) {
            if !seen.iter().any(|(session, _)| session == next) {
                ahead.push_back(seen.len());
                seen.push((next, Some(at)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(by, on)| ((*by).to_owned(), (*on).to_owned())).collect()
    }

    fn refusal(by: &str, on: &str, standing: &[(&str, &str)]) -> String {
        let error = may_wait(by, on, &waits(standing)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        error.message
    }

    #[test]
    fn nobody_waits_for_itself() {
        assert!(refusal("a", "a", &[]).contains("session a would wait for itself"));
        assert!(refusal("a", "a", &[("a", "b"), ("b", "c")]).contains("itself"));
    }

    #[test]
    fn a_circle_is_refused_and_named() {
        assert!(refusal("b", "a", &[("a", "b")]).ends_with("b → a → b"));
        let long = [("a", "b"), ("b", "c"), ("c", "d"), ("x", "a"), ("c", "y")];
        assert!(refusal("d", "a", &long).ends_with("d → a → b → c → d"));
        // Of two ways around the shortest.
        assert!(refusal("d", "a", &[long[0], long[1], long[2], ("a", "d")]).ends_with("d → a → d"));
    }

    #[test]
    fn what_is_no_circle_may_stand() {
        let diamond = waits(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]);
        for (by, on) in [("d", "e"), ("a", "d"), ("b", "c"), ("x", "a"), ("a", "b")] {
            assert_eq!(may_wait(by, on, &diamond), Ok(()), "{by} {on}");
        }
        // A circle among others does not keep the search from ending.
        assert_eq!(may_wait("a", "b", &waits(&[("b", "c"), ("c", "b")])), Ok(()));
    }

    #[test]
    fn whatever_may_stand_has_no_circle() {
        // A small deterministic generator; waits come and go, and a walk from anywhere always ends.
        let mut seed: u64 = 7;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut standing: Vec<(String, String)> = Vec::new();
        let mut refused = 0;
        for _ in 0..10_000 {
            if standing.len() > next(16) as usize {
                standing.remove(next(standing.len() as u64) as usize);
                continue;
            }
            let (by, on) = (next(8).to_string(), next(8).to_string());
            match may_wait(&by, &on, &standing) {
                Ok(()) => standing.push((by, on)),
                Err(_) => refused += 1,
            }
            let mut left = standing.clone();
            // Whoever waits for nobody goes on, and with it those that waited for it alone.
            while let Some(free) = left.iter().position(|(_, on)| !left.iter().any(|(by, _)| by == on)) {
                left.remove(free);
            }
            assert!(left.is_empty(), "{standing:?}");
        }
        assert!(refused > 1_000);
    }
}
