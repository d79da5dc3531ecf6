//! What the core said, beside what was the case.

use super::label::{Sign, sign};
use super::replay::Played;
use super::{Ended, Event, Recording, State, What};

/// A change of the true state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: u64,
    /// The agent's own first sign of it.
    pub own: u64,
    /// When dsx was given the first sign of a question.
    pub heard: Option<u64>,
    pub state: State,
    /// What was the case before.
    pub before: Option<State>,
    /// When the next change is.
    pub until: u64,
    /// When the core first said so; `None` where it did not before the next change.
    pub said: Option<u64>,
}

/// How long a change must have stood, after the agent showed it, to be heard of at all.
const BRIEF_MS: u64 = 200;

impl Change {
    /// Whether it was never said, for as long as it stood.
    #[must_use]
    pub fn is_untold(&self) -> bool {
        self.said.is_none() && self.until > self.own.max(self.at) + BRIEF_MS
    }

    /// Milliseconds from the change itself until the core said so.
    #[must_use]
    pub fn delay(&self) -> Option<u64> {
        self.said.map(|said| said.saturating_sub(self.at))
    }

    /// The same from the agent's own first sign.
    #[must_use]
    pub fn delay_after_sign(&self) -> Option<u64> {
        self.said.map(|said| said.saturating_sub(self.own.max(self.at)))
    }
}

/// A time in which the core was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub from: u64,
    pub until: u64,
    pub said: String,
    pub state: State,
}

/// A recording's result; all times in milliseconds.
#[derive(Clone, Debug)]
pub struct Score {
    pub changes: Vec<Change>,
    /// How long the core was watched, from the first sign of the agent's first rest on.
    pub total: u64,
    /// How long it said what was the case.
    pub right: u64,
    /// How long it said what had been the case, or was about to be, while the agent had not shown the change, or
    /// had shown it already.
    pub excused: u64,
    pub wrong: Vec<Wrong>,
    /// When the core said that nothing runs while something ran, or had not been shown to be over.
    pub idle_at_work: Vec<Wrong>,
    /// When it said `working` of an agent that had shown that it asks.
    pub working_asked: Vec<Wrong>,
    /// The same once dsx had been given a sign of it: what is left is no machine's slowness.
    pub working_heard: Vec<Wrong>,
    pub expected: Vec<Ended>,
}

/// Compares, millisecond by millisecond.
#[must_use]
pub fn score(recording: &Recording, played: &Played) -> Score {
    let changes = changes(recording, played);
    let expected = recording.events.iter().find_map(|e| match &e.what {
        What::Outcomes(outcomes) => Some(outcomes.clone()),
        _ => None,
    });
    let mut score = Score {
        changes: Vec::new(),
        total: 0,
        right: 0,
        excused: 0,
        wrong: Vec::new(),
        idle_at_work: Vec::new(),
        working_asked: Vec::new(),
        working_heard: Vec::new(),
        expected: expected.expect("the outcomes of a recording"),
    };
    for (n, change) in changes.iter().enumerate() {
        for at in change.at..change.until {
            score.millisecond(at, change, changes.get(n + 1), played.status_at(at));
        }
    }
    score.changes = changes;
    score
}

fn changes(recording: &Recording, played: &Played) -> Vec<Change> {
    let truth = recording.events.iter().filter_map(|e| match e.what {
        What::Truth { state, own } => Some((e.at, own, state)),
        _ => None,
    });
    let mut truth: Vec<(u64, u64, State)> = truth.collect();
    // Before its first sign has come, nothing is to be known of an agent that starts.
    let first = |sought: Sign, from: u64| {
        let is_sought = |e: &&Event| sign(e).is_some_and(|(at, sign)| sign == sought && at >= from);
        recording.events.iter().find(is_sought).map(|e| e.at)
    };
    if let (Some(begin), Some(ready)) = (truth.first_mut(), first(Sign::Rests, 0)) {
        (begin.0, begin.1) = (ready, ready);
    }
    let change = |(n, (at, own, state)): (usize, &(u64, u64, State))| {
        let until = truth.get(n + 1).map_or(played.end, |next| next.0);
        let said = (*at..until).find(|at| played.status_at(*at) == state.status());
        let before = n.checked_sub(1).map(|n| truth[n].2);
        let asks = *state == State::WaitingForInput;
        let heard = asks.then(|| first(Sign::Asks, *own)).flatten();
        Change { at: *at, own: *own, heard, state: *state, before, until, said }
    };
    truth.iter().enumerate().map(change).collect()
}

impl Score {
    fn millisecond(&mut self, at: u64, change: &Change, next: Option<&Change>, said: &str) {
        self.total += 1;
        let shown = at >= change.own;
        let late = !shown && change.before.is_none_or(|before| before.status() == said);
        let early = next.is_some_and(|next| at >= next.own && next.state.status() == said);
        if said == change.state.status() {
            self.right += 1;
        } else if late || early {
            self.excused += 1;
        } else {
            note(&mut self.wrong, at, said, change.state);
        }
        let rests = change.state == State::Idle && (shown || change.before.is_none());
        if said == State::Idle.status() && !rests {
            note(&mut self.idle_at_work, at, said, change.state);
        }
        if said == State::Working.status() && change.state == State::WaitingForInput && shown {
            note(&mut self.working_asked, at, said, change.state);
            if change.heard.is_some_and(|heard| at >= heard) {
                note(&mut self.working_heard, at, said, change.state);
            }
        }
    }
}

fn note(times: &mut Vec<Wrong>, at: u64, said: &str, state: State) {
    match times.last_mut().filter(|last| last.until == at && last.said == said && last.state == state) {
        Some(last) => last.until = at + 1,
        None => times.push(Wrong { from: at, until: at + 1, said: said.to_owned(), state }),
    }
}
