//! What a recording keeps: what the product's readers read, the scenario's own words, and none of the agent's.
//!
//! The agent's words are another's work, and bulky. Where a reader goes by some of them (the line that tells of
//! an interrupt), just these stay.

use serde_json::{Map, Value, json};

use super::What;

const INTERRUPTED: &str = "[Request interrupted by user";
const NOTIFIED: &str = "<task-notification>";
/// Stands for words of the agent's own.
const OTHERS: &str = "(words of the agent)";
/// The same, as a status record has them.
const OTHERS_BASE64: &str = "KHdvcmRzIG9mIHRoZSBhZ2VudCk=";

/// A rule of the agent's screen, without what may stand in it and no longer than is needed to know it.
const RULE: &str = "────────────────────";

/// Fields of a hook's report that are kept.
const HOOK: [&str; 12] = [
    "hook_event_name",
    "session_id",
    "prompt_id",
    "source",
    "permission_mode",
    "error",
    "tool_name",
    "agent_id",
    "agent_type",
    "stop_hook_active",
    "tool_use_id",
    "reason",
];
/// Fields of the session file that are kept.
const FILE: [&str; 4] = ["status", "statusUpdatedAt", "waitingFor", "version"];
/// Fields of a line of the transcript that are kept.
const LINE: [&str; 9] = [
    "type",
    "subtype",
    "timestamp",
    "isMeta",
    "isSidechain",
    "isApiErrorMessage",
    "error",
    "pendingBackgroundAgentCount",
    "promptId",
];
/// Fields of a tool's input that the scenario gave it.
const INPUT: [&str; 9] =
    ["command", "description", "file_path", "content", "plan", "questions", "answers", "prompt", "url"];

/// The words of a scenario: what was sent, and what the model answered.
#[derive(Debug)]
pub struct Words {
    ours: Vec<String>,
    /// The private home, whose name says nothing.
    root: String,
}

impl Words {
    pub fn new(ours: Vec<String>, root: String) -> Self {
        Self { ours, root }
    }

    fn are_ours(&self, text: &str) -> bool {
        let text = text.trim();
        !text.is_empty() && self.ours.iter().any(|ours| ours.contains(text))
    }

    fn text(&self, text: &str) -> String {
        if text.starts_with(INTERRUPTED) {
            format!("{INTERRUPTED}]")
        } else if text.trim_start().starts_with(NOTIFIED) {
            NOTIFIED.to_owned()
        } else if self.are_ours(text) {
            text.replace(&self.root, "")
        } else {
            OTHERS.to_owned()
        }
    }

    /// What is kept of a screen's row: rules, the pointer, and the scenario's own words.
    pub fn row(&self, row: &str) -> Option<String> {
        let bare = row.trim_start();
        if bare.starts_with('─') {
            return Some(RULE.to_owned());
        }
        let words = bare.trim_start_matches([' ', '\u{a0}', '●', '❯', '⎿']);
        match (self.are_ours(words), bare.starts_with('❯')) {
            (true, _) => Some(row.replace(&self.root, "")),
            (false, true) => Some(row[..row.len() - bare.len()].to_owned() + "❯"),
            (false, false) => None,
        }
    }

    /// What is kept of an event; nothing of a line of the transcript of which no reader says anything.
    pub fn keep(&self, what: What) -> Option<What> {
        Some(match what {
            What::Osc(record) => What::Osc(osc(&record)),
            What::Hook { made, key, holds, payload } => {
                What::Hook { made, key, holds, payload: self.hook(&payload) }
            }
            What::File(said) => What::File(only(&said, &FILE)),
            What::Line(line) => What::Line(self.line(&line)?),
            other => other,
        })
    }

    fn hook(&self, payload: &Value) -> Value {
        let mut kept = only(payload, &HOOK);
        for words in ["prompt", "last_assistant_message"] {
            if let Some(text) = payload[words].as_str() {
                kept[words] = json!(self.text(text));
            }
        }
        if !payload["transcript_path"].is_null() {
            kept["transcript_path"] = json!("/transcript.jsonl");
        }
        if let Some(tasks) = payload["background_tasks"].as_array() {
            kept["background_tasks"] = tasks.iter().map(|t| only(t, &["type", "status"])).collect();
        }
        if payload["tool_input"].is_object() {
            kept["tool_input"] = only(&payload["tool_input"], &INPUT);
        }
        without(kept, &self.root)
    }

    fn line(&self, line: &Value) -> Option<Value> {
        let kind = line["type"].as_str()?;
        let told = kind == "system" && line["subtype"] == "turn_duration";
        if !(told || kind == "user" || kind == "assistant") {
            return None;
        }
        let mut kept = only(line, &LINE);
        if !line["origin"]["kind"].is_null() {
            kept["origin"] = json!({ "kind": line["origin"]["kind"] });
        }
        if !line["message"].is_null() {
            let content = match &line["message"]["content"] {
                Value::String(text) => json!(self.text(text)),
                Value::Array(blocks) => blocks.iter().map(|block| self.block(block)).collect(),
                _ => Value::Null,
            };
            kept["message"] = json!({ "id": line["message"]["id"], "content": content });
        }
        Some(kept)
    }

    fn block(&self, block: &Value) -> Value {
        match block["text"].as_str() {
            Some(text) => json!({ "type": "text", "text": self.text(text) }),
            None => only(block, &["type"]),
        }
    }
}

fn only(of: &Value, fields: &[&str]) -> Value {
    let kept = fields.iter().filter_map(|f| of.get(*f).map(|v| ((*f).to_owned(), v.clone())));
    Value::Object(kept.collect::<Map<_, _>>())
}

fn without(value: Value, root: &str) -> Value {
    let text = value.to_string().replace(root, "");
    serde_json::from_str(&text).unwrap_or(value)
}

/// A status record without words.
fn osc(record: &str) -> String {
    let field = |field: &str| match field.split_once('=') {
        Some((name @ ("msg" | "title"), _)) => format!("{name}={OTHERS_BASE64}"),
        _ => field.to_owned(),
    };
    record.split(':').map(field).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_words_go_and_what_is_read_stays() {
        let words = Words::new(vec!["say hello".into(), "hello".into()], "/tmp/x".into());
        assert_eq!(words.row("● hello").as_deref(), Some("● hello"));
        assert_eq!(words.row("  ❯ Try something").as_deref(), Some("  ❯"));
        assert_eq!(words.row("Welcome"), None);
        let hook = json!({ "hook_event_name": "StopFailure", "cwd": "/tmp/x/p", "error": "server_error",
            "last_assistant_message": "API Error", "background_tasks": [{"type": "shell", "command": "c"}] });
        let What::Hook { payload, .. } =
            words.keep(What::Hook { made: 1, key: "1-a".into(), holds: false, payload: hook }).unwrap()
        else {
            panic!("not a hook")
        };
        let kept = json!({ "hook_event_name": "StopFailure", "error": "server_error",
            "last_assistant_message": OTHERS, "background_tasks": [{"type": "shell"}] });
        assert_eq!(payload, kept);
        let line = |line| words.keep(What::Line(line));
        assert_eq!(line(json!({ "type": "summary" })), None);
        let user = json!({ "type": "user", "cwd": "/x", "message": { "content": [
            { "type": "text", "text": "[Request interrupted by user for tool use]" },
            { "type": "tool_result", "content": "long" } ] } });
        let Some(What::Line(user)) = line(user) else { panic!("not a line") };
        assert_eq!(user["message"]["content"][0]["text"], "[Request interrupted by user]");
        assert_eq!(user["message"]["content"][1], json!({ "type": "tool_result" }));
        assert_eq!(
            osc("state=blocked:kind=permission:msg=YQ=="),
            format!("state=blocked:kind=permission:msg={OTHERS_BASE64}")
        );
    }
}
