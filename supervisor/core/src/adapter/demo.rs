//! The built-in demo agent's transcript: one JSON object a line, written before the screen shows it.

use serde::Deserialize;

use crate::evidence::Evidence;

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
        Line::Other => return Vec::new(),
    };
    vec![(Some(at), evidence)]
}
