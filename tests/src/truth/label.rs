//! The true state of a recording, by what the model server and the scenario did and when.

use super::tape::Clock;
use super::{Ended, Event, State, What};
use crate::model_server::{Kind, Log};

/// What a scenario did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// Submitted a message that dsx was asked then to send; its turn is to end so.
    Submitted { asked: u64, outcome: &'static str },
    /// Saw that the agent asks.
    Asked,
    /// Answered it.
    Answered,
    /// Interrupted the turn, or answered so that it is interrupted.
    Interrupted,
}

/// A request to the model, in milliseconds.
#[derive(Clone, Debug)]
struct Asked {
    at: u64,
    sent: u64,
    /// Of the agent's own accord, on the news of something in the background.
    news: bool,
    /// The model wants tools.
    wants: bool,
    answer: String,
}

/// What the labels are made of.
pub struct Facts<'a> {
    pub did: &'a [(u64, Did)],
    pub events: &'a [Event],
    pub log: &'a Log,
    pub clock: &'a Clock,
    /// News from the background begin a turn of their own.
    pub apart: bool,
}

/// A sign of the agent's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Rests,
    Works,
    /// The status record says that it works, which it also does for a shell in the background.
    WorksByRecord,
    Asks,
}

/// The sign that an event is, and its time: the agent's own where it bears one.
pub(super) fn sign(event: &Event) -> Option<(u64, Sign)> {
    match &event.what {
        What::Osc(record) if record.contains(":id=") => None,
        What::Osc(record) => {
            let is = |state: &str| record.starts_with(&format!("state={state}"));
            let rests = is("idle") || is("done") || is("error") || record.contains("kind=auth");
            let asks = is("blocked").then_some(Sign::Asks);
            let sign = if rests { Some(Sign::Rests) } else { asks };
            sign.or(is("working").then_some(Sign::WorksByRecord)).map(|sign| (event.at, sign))
        }
        What::File(said) => {
            let at = said["statusUpdatedAt"].as_u64().unwrap_or(event.at);
            match said["status"].as_str()? {
                "idle" | "shell" => Some((at, Sign::Rests)),
                "busy" => Some((at, Sign::Works)),
                "waiting" => Some((at, Sign::Asks)),
                _ => None,
            }
        }
        What::Hook { made, payload, .. } => match payload["hook_event_name"].as_str()? {
            "PermissionRequest" => Some((*made, Sign::Asks)),
            "UserPromptSubmit" | "PostToolUse" | "PostToolUseFailure" => Some((*made, Sign::Works)),
            _ => None,
        },
        _ => None,
    }
}

impl Facts<'_> {
    fn requests(&self) -> Vec<Asked> {
        let asked = self.log.requests.iter().filter(|r| matches!(r.kind, Kind::Turn | Kind::ToolResult));
        let asked = asked.map(|r| Asked {
            at: self.clock.ms(r.at),
            sent: r.sent.map_or(u64::MAX, |sent| self.clock.ms(sent)),
            news: r.text().starts_with("<task-notification>"),
            // No scenario's text looks so.
            wants: r.answer.contains(" {\""),
            answer: r.answer.clone(),
        });
        asked.collect()
    }

    /// The first of these signs that is not before.
    fn first(&self, from: u64, signs: &[Sign]) -> Option<u64> {
        let all = self.events.iter().filter_map(sign);
        all.filter(|(at, sign)| *at >= from && signs.contains(sign)).map(|(at, _)| at).min()
    }

    fn works(&self, from: u64, requests: &[Asked]) -> u64 {
        let said = self.first(from, &[Sign::Works, Sign::WorksByRecord]);
        let asked = requests.iter().map(|r| r.at).filter(|at| *at >= from).min();
        said.into_iter().chain(asked).min().unwrap_or(from)
    }

    fn rests(&self, from: u64) -> u64 {
        self.first(from, &[Sign::Rests]).expect("the agent rests in the end")
    }

    /// The truth and the outcomes.
    pub fn labels(&self) -> Vec<Event> {
        let requests = self.requests();
        let mut labels = Labels::default();
        let ready = self.rests(0);
        labels.put(ready, ready, State::Idle);
        let is_begin = |did: &Did| matches!(did, Did::Submitted { .. });
        let begins: Vec<usize> = (0..self.did.len()).filter(|n| is_begin(&self.did[*n].1)).collect();
        for (n, begin) in begins.iter().enumerate() {
            let end = begins.get(n + 1).copied().unwrap_or(self.did.len());
            let until = self.did.get(end).map_or(u64::MAX, |(at, _)| *at);
            let did = &self.did[*begin..end];
            let of = |r: &&Asked| r.at >= did[0].0 && r.at < until;
            let own: Vec<Asked> = requests.iter().filter(of).cloned().collect();
            self.turn(did, &own, &mut labels);
        }
        labels.finish()
    }

    fn turn(&self, did: &[(u64, Did)], requests: &[Asked], labels: &mut Labels) {
        let (own, news): (Vec<&Asked>, Vec<&Asked>) = requests.iter().partition(|r| !(self.apart && r.news));
        // The last answer, before which nothing is the first question of a response any more.
        let mut answered = 0;
        let mut interrupted = false;
        let mut outcome = "";
        for (at, did) in did {
            match did {
                Did::Submitted { asked, outcome: ends } => {
                    outcome = ends;
                    labels.put(*at, *asked, State::Working);
                    answered = *at;
                }
                Did::Asked => {
                    let asks = |r: &&&Asked| r.wants && r.sent <= *at && r.sent >= answered;
                    let response = own.iter().rfind(asks);
                    let from = response.map_or(answered, |r| r.at);
                    let sign = self.first(from, &[Sign::Asks]).unwrap_or(*at);
                    labels.put(response.map_or(sign, |r| r.sent), sign, State::WaitingForInput);
                }
                Did::Answered => {
                    labels.put(*at, self.works(*at, requests), State::Working);
                    answered = *at;
                }
                Did::Interrupted => {
                    labels.put(*at, self.rests(*at), State::Idle);
                    interrupted = true;
                }
            }
        }
        let last = own.last().expect("a request for each turn");
        if !interrupted {
            let sent = own.iter().map(|r| r.sent).max().unwrap_or(last.sent);
            labels.put(sent, self.rests(last.at), State::Idle);
        }
        let answer = (outcome == "ended").then(|| last.answer.clone());
        labels.outcomes.push(Ended { outcome: outcome.to_owned(), answer });
        for news in news {
            let begun = self.first(labels.last(), &[Sign::Works]).unwrap_or(news.at);
            labels.put(news.at, begun.min(news.at), State::Working);
            labels.put(news.sent, self.rests(news.at), State::Idle);
        }
    }
}

#[derive(Default)]
struct Labels {
    truth: Vec<Event>,
    outcomes: Vec<Ended>,
}

impl Labels {
    fn put(&mut self, at: u64, own: u64, state: State) {
        self.truth.push(Event { at, what: What::Truth { state, own } });
    }

    /// When the agent had shown the last of them.
    fn last(&self) -> u64 {
        match self.truth.last() {
            Some(Event { at, what: What::Truth { own, .. } }) => *own.max(at),
            _ => 0,
        }
    }

    fn finish(mut self) -> Vec<Event> {
        let at = self.last();
        self.truth.push(Event { at, what: What::Outcomes(self.outcomes) });
        self.truth
    }
}
