//! The built-in demo agent's transcript: one JSON object a line, written before the screen shows it.

use dsx_protocol::PromptOption;
use serde::Deserialize;

use crate::evidence::{Asked, Evidence};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    User {
        at: u64,
        text: String,
    },
    End {
        at: u64,
        text: Option<String>,
    },
    Failed {
        at: u64,
        error: String,
    },
    Interrupted {
        at: u64,
    },
    Asked {
        at: u64,
        text: String,
        options: Vec<String>,
    },
    #[serde(other)]
    Other,
}

pub(super) fn line(line: &str) -> Vec<(Option<u64>, Evidence)> {
    let Ok(line) = serde_json::from_str(line) else { return Vec::new() };
    let (at, evidence) = match line {
        Line::User { at, text } => (at, Evidence::Submitted { text, prompt: None, origin_agent: false }),
        Line::End { at, text } => (at, Evidence::Stopped { text, prompt: None, agents: 0, shells: 0 }),
        Line::Failed { at, error } => (at, Evidence::Failed { error, text: None, prompt: None }),
        Line::Interrupted { at } => (at, Evidence::Interrupted),
        Line::Asked { at, text, options } => (at, Evidence::Blocked(asked(text, options))),
        Line::Other => return Vec::new(),
    };
    vec![(Some(at), evidence)]
}

fn asked(text: String, options: Vec<String>) -> Asked {
    let numbered = options.into_iter().zip(1..);
    let options = numbered.map(|(label, n)| PromptOption { n, label, description: None }).collect();
    Asked { kind: "question".to_owned(), text, options, ..Asked::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_its_options() {
        let read = line(r#"{"type":"asked","at":7,"text":"Which?","options":["Red","Blue"]}"#);
        let [(Some(7), Evidence::Blocked(asked))] = read.as_slice() else { panic!("{read:?}") };
        let options: Vec<(u32, &str)> = asked.options.iter().map(|o| (o.n, o.label.as_str())).collect();
        assert_eq!((asked.text.as_str(), options), ("Which?", vec![(1, "Red"), (2, "Blue")]));
        assert!(line(r#"{"type":"answered","at":7,"text":"Red"}"#).is_empty());
    }
}
