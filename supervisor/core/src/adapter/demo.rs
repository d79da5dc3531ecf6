//! The built-in demo agent's transcript: one JSON object a line, written before the screen shows it.

use dsx_protocol::PromptOption;
use serde::Deserialize;

use super::entries::{Role, Spoken};
use crate::evidence::{Asked, Evidence};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    User {
        at: u64,
        text: String,
    },
    Assistant {
        at: u64,
        text: String,
    },
    Tool {
        at: u64,
        name: String,
        input: String,
    },
    Asked {
        at: u64,
        text: String,
        options: Vec<String>,
    },
    Answered {
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
        Line::Assistant { .. } | Line::Tool { .. } | Line::Answered { .. } | Line::Other => {
            return Vec::new();
        }
    };
    vec![(Some(at), evidence)]
}

fn asked(text: String, options: Vec<String>) -> Asked {
    let numbered = options.into_iter().zip(1..);
    let options = numbered.map(|(label, n)| PromptOption { n, label, description: None }).collect();
    Asked { kind: "question".to_owned(), text, options, ..Asked::default() }
}

/// What a line says to people. The answer stands in a line of its own before the end.
pub(super) fn entries(line: &str) -> Vec<Spoken> {
    let Ok(line) = serde_json::from_str(line) else { return Vec::new() };
    vec![match line {
        Line::User { at, text } => Spoken::new(Role::User, at, &text).beginning(None),
        Line::Assistant { at, text } => Spoken::new(Role::Assistant, at, &text),
        Line::Tool { at, name, input } => Spoken::new(Role::Tool, at, &input).of_tool(Some(name)),
        Line::Asked { at, text, options } => {
            Spoken::new(Role::Note, at, &format!("asked: {text} ({})", options.join(" · ")))
        }
        Line::Answered { at, text } => Spoken::new(Role::Note, at, &format!("answered: {text}")),
        Line::Failed { at, error } => Spoken::new(Role::Note, at, &error).failed(true),
        Line::Interrupted { at } => Spoken::new(Role::Note, at, "interrupted"),
        Line::End { .. } | Line::Other => return Vec::new(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_told_by_role() {
        let lines = [
            r#"{"type":"user","at":7,"text":"read /x"}"#,
            r#"{"type":"tool","at":8,"name":"read","input":"/x"}"#,
            r#"{"type":"asked","at":8,"text":"Which?","options":["a","b"]}"#,
            r#"{"type":"answered","at":8,"text":"b"}"#,
            r#"{"type":"assistant","at":9,"text":"it says y"}"#,
            r#"{"type":"end","at":9,"text":"it says y"}"#,
            r#"{"type":"failed","at":9,"error":"broken"}"#,
            r#"{"type":"of a newer version","at":9}"#,
        ];
        let spoken: Vec<Spoken> = lines.iter().flat_map(|line| entries(line)).collect();
        let told: Vec<(&str, &str)> =
            spoken.iter().map(|s| (s.entry.role.as_str(), s.entry.text.as_str())).collect();
        let expected = [
            ("user", "read /x"),
            ("tool", "/x"),
            ("note", "asked: Which? (a · b)"),
            ("note", "answered: b"),
            ("assistant", "it says y"),
            ("note", "broken"),
        ];
        assert_eq!(told, expected);
        assert!(spoken[0].begins && spoken[5].entry.error && spoken[0].entry.at == 7);
    }

    #[test]
    fn a_question_has_its_options() {
        let read = line(r#"{"type":"asked","at":7,"text":"Which?","options":["Red","Blue"]}"#);
        let [(Some(7), Evidence::Blocked(asked))] = read.as_slice() else { panic!("{read:?}") };
        let options: Vec<(u32, &str)> = asked.options.iter().map(|o| (o.n, o.label.as_str())).collect();
        assert_eq!((asked.text.as_str(), options), ("Which?", vec![(1, "Red"), (2, "Blue")]));
        assert!(line(r#"{"type":"answered","at":7,"text":"Red"}"#).is_empty());
    }
}
