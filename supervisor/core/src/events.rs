//! What a fact is to those who follow what happens.
//!
//! A pure projection: an event says nothing that a fact did not say before it, and it is stored together with
//! that fact. Absences: what only dsx itself needs (the status record's words, the agent's own ids) is no event,
//! and no event is ever the source of anything.

use dsx_protocol::{Happened, Prompt, PromptOption, Question, TurnId};

use crate::durable::Origin;
use crate::fact::{Fact, Outcome};

/// Bytes of a text that an event carries; the whole is in the turn (`last-message`) or in the prompt.
const TEXT: usize = 4 * 1024;
/// Bytes of what a tool would run, or change.
const COMMAND: usize = 16 * 1024;
/// Bytes of an option's label, and of its description.
const LABEL: usize = 512;
const OPTIONS: usize = 32;
const QUESTIONS: usize = 16;

/// The event of one fact; `None` where it is of no interest to others. `known` is what was told before of the
/// prompt that the fact is about ([`prompt_of`]).
#[must_use]
pub fn happened(session: &str, at: u64, fact: &Fact, known: Option<&Prompt>) -> Option<Happened> {
    let event = Happened { at, session: session.to_owned(), ..Happened::default() };
    let told = |what: &str| Happened { what: what.to_owned(), ..event.clone() };
    Some(match fact {
        Fact::Created(spec) => Happened {
            by: Some(spec.creator.clone()),
            text: spec.description.as_deref().map(text),
            ..told("created")
        },
        Fact::Started { .. } => told("started"),
        Fact::Ready => told("ready"),
        Fact::PromptOpened(prompt) => {
            let what = if known.is_some() { "changed" } else { "prompt" };
            Happened { turn: prompt.turn, prompt: Some(clipped(prompt)), ..told(what) }
        }
        Fact::PromptClosed { prompt, by, answer, .. } => {
            let named = known.map(in_short).unwrap_or_else(|| unknown(session, prompt));
            let (by, outcome) = (Some(by.clone()), answer.as_deref().map(text));
            Happened { turn: named.turn, by, outcome, prompt: Some(named), ..told("answered") }
        }
        Fact::Exited(exit) => Happened { exit_code: exit.status(), ..told("exited") },
        Fact::Renamed { name } => Happened {
            by: Some("rename".to_owned()),
            text: Some(name.clone().unwrap_or_default()),
            ..told("changed")
        },
        Fact::Described { description } => Happened {
            by: Some("describe".to_owned()),
            text: Some(text(description.as_deref().unwrap_or_default())),
            ..told("changed")
        },
        // Who answers, and how, is told once the agent has gone on by it.
        Fact::PromptHeld { .. } | Fact::PromptDecided { .. } | Fact::DecisionVoid { .. } => return None,
        Fact::Reported { .. } | Fact::Conversation { .. } => return None,
        of_turn => return happened_to_turn(event, of_turn),
    })
}

/// The same of what is about a turn.
fn happened_to_turn(event: Happened, fact: &Fact) -> Option<Happened> {
    let of_turn =
        |what: &str, turn: TurnId| Happened { turn: Some(turn), what: what.to_owned(), ..event.clone() };
    Some(match fact {
        Fact::Queued { turn, text: asked, origin, .. } => {
            let by = match origin {
                Origin::Send => "send",
                Origin::Typed => "typed",
                Origin::Agent => "agent",
            };
            Happened { by: Some(by.to_owned()), text: Some(text(asked)), ..of_turn("queued", *turn) }
        }
        Fact::Delivering { turn, .. } => of_turn("delivering", *turn),
        Fact::Steering { turn, into, .. } => Happened {
            by: Some("steer".to_owned()),
            text: Some(into.to_string()),
            ..of_turn("delivering", *turn)
        },
        Fact::Absorbed { turn, into, evidence } => Happened {
            outcome: Some(Outcome::Absorbed.name().to_owned()),
            by: Some(evidence.clone()),
            text: Some(into.to_string()),
            ..of_turn("ended", *turn)
        },
        // It is where it was, and whoever shows the queue has to know.
        Fact::Withdrawn { turn } => Happened { by: Some("withdrawn".to_owned()), ..of_turn("queued", *turn) },
        Fact::Confirmed { turn, evidence, .. } => {
            Happened { by: Some(evidence.clone()), ..of_turn("confirmed", *turn) }
        }
        Fact::Ended { turn, outcome, text: said, error, .. } => {
            let said =
                if *outcome == Outcome::Ended { said.as_ref() } else { error.as_ref().or(said.as_ref()) };
            Happened {
                outcome: Some(outcome.name().to_owned()),
                text: said.map(|s| text(s)),
                ..of_turn("ended", *turn)
            }
        }
        _ => return None,
    })
}

/// A session and all its facts were forgotten; `by` what, where nobody asked for it.
#[must_use]
pub fn removed(session: &str, at: u64, by: Option<&str>) -> Happened {
    let by = by.map(str::to_owned);
    Happened { at, session: session.to_owned(), what: "removed".to_owned(), by, ..Happened::default() }
}

/// The id of the prompt that a fact is about.
#[must_use]
pub fn prompt_of(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::PromptOpened(prompt) => Some(&prompt.id),
        Fact::PromptClosed { prompt, .. } => Some(prompt),
        _ => None,
    }
}

fn text(whole: &str) -> String {
    clip(whole, TEXT)
}

/// At most so many bytes, with a sign where something is missing.
fn clip(whole: &str, limit: usize) -> String {
    const SIGN: &str = "…";
    if whole.len() <= limit {
        return whole.to_owned();
    }
    let end = whole.floor_char_boundary(limit - SIGN.len());
    format!("{}{SIGN}", &whole[..end])
}

/// The prompt in a size that fits into a frame whatever the agent asks.
fn clipped(prompt: &Prompt) -> Prompt {
    Prompt {
        text: text(&prompt.text),
        command: prompt.command.as_deref().map(|c| clip(c, COMMAND)),
        diff: prompt.diff.as_deref().map(|d| clip(d, COMMAND)),
        options: options(&prompt.options),
        questions: prompt.questions.iter().take(QUESTIONS).map(question).collect(),
        ..prompt.clone()
    }
}

fn question(whole: &Question) -> Question {
    Question {
        header: whole.header.as_deref().map(|h| clip(h, LABEL)),
        text: text(&whole.text),
        options: options(&whole.options),
        ..whole.clone()
    }
}

fn options(all: &[PromptOption]) -> Vec<PromptOption> {
    let one = |o: &PromptOption| PromptOption {
        n: o.n,
        label: clip(&o.label, LABEL),
        description: o.description.as_deref().map(|d| clip(d, LABEL)),
    };
    all.iter().take(OPTIONS).map(one).collect()
}

/// Enough to know it again; the whole was told when it opened.
fn in_short(prompt: &Prompt) -> Prompt {
    Prompt { command: None, diff: None, options: Vec::new(), questions: Vec::new(), ..prompt.clone() }
}

/// What opened it is no longer kept.
fn unknown(session: &str, id: &str) -> Prompt {
    Prompt { id: id.to_owned(), session: session.to_owned(), ..Prompt::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Exit, Reported};
    use crate::spec::{Cli, Spec};

    fn event(fact: &Fact) -> Happened {
        happened("fizz-top", 7, fact, None).unwrap()
    }

    #[test]
    fn a_turn_is_told_from_its_facts() {
        let turn = TurnId(3);
        let queued = event(&Fact::Queued {
            turn,
            text: "do it".into(),
            key: None,
            origin: Origin::Typed,
            typed: None,
            command: false,
            prompt: None,
            behind: None,
            as_of: 0,
            steer: None,
            stops: None,
        });
        assert_eq!((queued.what.as_str(), queued.turn, queued.at), ("queued", Some(turn), 7));
        assert_eq!((queued.by.as_deref(), queued.text.as_deref()), (Some("typed"), Some("do it")));
        let ended = |outcome, text: Option<&str>, error: Option<&str>| {
            let (text, error) = (text.map(str::to_owned), error.map(str::to_owned));
            event(&Fact::Ended { turn, outcome, text, error, shells: false })
        };
        assert_eq!(ended(Outcome::Ended, Some("done"), None).text.as_deref(), Some("done"));
        let failed = ended(Outcome::Failed, Some("half"), Some("server_error"));
        assert_eq!(
            (failed.outcome.as_deref(), failed.text.as_deref()),
            (Some("failed"), Some("server_error"))
        );
        assert_eq!(ended(Outcome::Interrupted, Some("half"), None).text.as_deref(), Some("half"));
        let exited = event(&Fact::Exited(Exit { code: None, signal: Some(9) }));
        assert_eq!((exited.what.as_str(), exited.exit_code), ("exited", Some(137)));
        let created = event(&Fact::Created(Box::new(Spec::sample(Cli::Demo))));
        assert_eq!((created.what.as_str(), created.by.as_deref()), ("created", Some("user")));
    }

    #[test]
    fn a_prompt_opens_once_changes_and_is_answered() {
        let prompt =
            Prompt { id: "p1".into(), text: "Which?".into(), turn: Some(TurnId(1)), ..Prompt::default() };
        let opened = Fact::PromptOpened(Box::new(prompt.clone()));
        assert_eq!(prompt_of(&opened), Some("p1"));
        assert_eq!(event(&opened).what, "prompt");
        let richer = Prompt { command: Some("rm x".into()), ..prompt };
        let changed = happened("s", 1, &Fact::PromptOpened(Box::new(richer.clone())), Some(&richer)).unwrap();
        assert_eq!((changed.what.as_str(), changed.turn), ("changed", Some(TurnId(1))));
        let closed = Fact::PromptClosed {
            prompt: "p1".into(),
            by: "user".into(),
            answer: Some("allow".into()),
            as_of: 0,
        };
        let answered = happened("s", 1, &closed, Some(&richer)).unwrap();
        assert_eq!((answered.what.as_str(), answered.by.as_deref()), ("answered", Some("user")));
        assert_eq!(answered.outcome.as_deref(), Some("allow"));
        let named = answered.prompt.unwrap();
        assert_eq!((named.id.as_str(), named.text.as_str(), named.command), ("p1", "Which?", None));
        // Of one whose beginning is forgotten at least the id is told.
        assert_eq!(event(&closed).prompt.unwrap().id, "p1");
    }

    #[test]
    fn whatever_is_asked_fits_into_a_frame() {
        let long = "é".repeat(1024 * 1024);
        let some = "é".repeat(8 * 1024);
        let option = PromptOption { n: 1, label: some.clone(), description: Some(some.clone()) };
        let question = Question {
            n: 1,
            header: Some(some.clone()),
            text: some,
            options: vec![option.clone(); 100],
            multiple: true,
        };
        let prompt = Prompt {
            text: long.clone(),
            command: Some(long.clone()),
            diff: Some(long.clone()),
            options: vec![option; 100],
            questions: vec![question; 40],
            ..Prompt::default()
        };
        let told = event(&Fact::PromptOpened(Box::new(prompt)));
        let bytes = dsx_protocol::body(&dsx_protocol::Event::Happened(told)).unwrap();
        assert!(bytes.len() < dsx_protocol::Kind::Event.cap(), "{}", bytes.len());
        let told = event(&Fact::Ended {
            turn: TurnId(1),
            outcome: Outcome::Ended,
            text: Some(long),
            error: None,
            shells: false,
        });
        assert!(told.text.is_some_and(|t| t.len() <= TEXT && t.ends_with("é…")));
    }

    #[test]
    fn what_only_dsx_needs_is_no_event() {
        let noise = [
            Fact::Reported { said: Reported::Working },
            Fact::Ahead { turn: TurnId(1), prompt: None },
            Fact::Conversation { id: "c".into(), transcript: None },
        ];
        assert!(noise.iter().all(|fact| happened("s", 1, fact, None).is_none()));
    }
}
