//! Claude's transcript, line by line. Its shape changes between versions: what is not known says nothing.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::evidence::Evidence;

/// Longest answer that is put together from a transcript, in bytes.
const TEXT_KEPT: usize = 4 * 1024 * 1024;

/// Remembers the newest answer, whose blocks come as lines of their own.
#[derive(Debug, Default)]
pub struct Reader {
    message: Option<String>,
    text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Line {
    r#type: String,
    subtype: Option<String>,
    timestamp: Option<String>,
    is_meta: bool,
    is_sidechain: bool,
    is_api_error_message: bool,
    error: Option<Value>,
    pending_background_agent_count: Option<u32>,
    prompt_id: Option<String>,
    origin: Option<Origin>,
    message: Option<Message>,
    /// Of a `queue-operation`.
    operation: Option<String>,
    content: Value,
    attachment: Option<Attachment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attachment {
    r#type: String,
    prompt: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Origin {
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    id: Option<String>,
    content: Value,
}

impl Reader {
    pub(super) fn line(&mut self, line: &str) -> Vec<(Option<u64>, Evidence)> {
        let Ok(line) = serde_json::from_str::<Line>(line) else { return Vec::new() };
        if line.is_sidechain {
            return Vec::new();
        }
        let at = line.timestamp.as_deref().and_then(millis);
        let evidence = match (line.r#type.as_str(), line.subtype.as_deref()) {
            ("user", _) => self.user(&line),
            ("assistant", _) => self.assistant(&line),
            ("system", Some("turn_duration")) => Some(Evidence::Stopped {
                text: (!self.text.is_empty()).then(|| self.text.clone()),
                prompt: None,
                agents: line.pending_background_agent_count.unwrap_or(0),
                shells: 0,
            }),
            ("queue-operation", _) if line.operation.as_deref() == Some("enqueue") => {
                texts(&line.content).map(|text| Evidence::Enqueued { text })
            }
            // What was queued became part of the work under way: it is attached to it.
            ("attachment", _) => {
                let queued = line.attachment.as_ref().filter(|a| a.r#type == "queued_command");
                queued.and_then(|a| texts(&a.prompt)).map(|text| Evidence::Absorbed { text })
            }
            _ => None,
        };
        evidence.map(|e| (at, e)).into_iter().collect()
    }

    fn user(&mut self, line: &Line) -> Option<Evidence> {
        let text = texts(&line.message.as_ref()?.content)?;
        if text.starts_with("[Request interrupted by user") {
            return Some(Evidence::Interrupted);
        }
        if line.is_meta {
            return None;
        }
        self.message = None;
        self.text.clear();
        let origin_agent = line.origin.as_ref().is_some_and(|o| o.kind == "task-notification");
        Some(Evidence::Submitted { text, prompt: line.prompt_id.clone(), origin_agent })
    }

    fn assistant(&mut self, line: &Line) -> Option<Evidence> {
        let message = line.message.as_ref()?;
        let text = texts(&message.content);
        if line.is_api_error_message {
            let kind = line.error.as_ref().and_then(Value::as_str).unwrap_or("error");
            let error = match text {
                Some(text) => format!("{kind}: {text}"),
                None => kind.to_owned(),
            };
            return Some(Evidence::Failed { error, text: None, prompt: None });
        }
        if self.message != message.id {
            self.message.clone_from(&message.id);
            self.text.clear();
        }
        if let Some(text) = text.filter(|t| self.text.len() + t.len() <= TEXT_KEPT) {
            self.text.push_str(&text);
        }
        None
    }
}

/// The text of a message: a string, or its text blocks; `None` where it has neither (a tool's result).
pub(super) fn texts(content: &Value) -> Option<String> {
    if let Some(text) = content.as_str() {
        return Some(text.to_owned());
    }
    let blocks = content.as_array()?;
    let texts: Vec<&str> = blocks.iter().filter_map(|b| b.get("text")?.as_str()).collect();
    (!texts.is_empty()).then(|| texts.concat())
}

pub(super) fn millis(timestamp: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(timestamp, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<(Option<u64>, Evidence)> {
        let mut reader = Reader::default();
        lines.iter().flat_map(|l| reader.line(l)).collect()
    }

    #[test]
    fn a_turn_is_read_from_its_lines() {
        let said = read(&[
            r#"{"type":"user","timestamp":"2026-11-20T06:00:00.250Z","message":{"content":"do it"}}"#,
            r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"first"}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"x"}]}}"#,
            r#"{"type":"assistant","message":{"id":"m2","content":[{"type":"text","text":"the "}]}}"#,
            r#"{"type":"assistant","message":{"id":"m2","content":[{"type":"text","text":"end"}]}}"#,
            r#"{"type":"system","subtype":"turn_duration"}"#,
        ]);
        assert_eq!(said[0].0, Some(1_795_154_400_250));
        let ended = Evidence::Stopped { text: Some("the end".into()), prompt: None, agents: 0, shells: 0 };
        assert_eq!(said[1].1, ended);
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn errors_and_interrupts_have_lines_of_their_own() {
        let said = read(&[
            r#"{"type":"assistant","isApiErrorMessage":true,"error":"server_error","message":{"content":[{"text":"API Error: 500"}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user]"}]}}"#,
        ]);
        assert!(
            matches!(&said[0].1, Evidence::Failed { error, .. } if error == "server_error: API Error: 500")
        );
        assert_eq!(said[1].1, Evidence::Interrupted);
    }

    #[test]
    fn a_message_that_joins_the_turn_is_queued_and_then_attached() {
        let said = read(&[
            r#"{"type":"queue-operation","operation":"enqueue","content":"more"}"#,
            r#"{"type":"queue-operation","operation":"remove"}"#,
            r#"{"type":"attachment","attachment":{"type":"queued_command","prompt":"more"}}"#,
            r#"{"type":"attachment","attachment":{"type":"skill_listing"}}"#,
        ]);
        let more = || "more".to_owned();
        assert_eq!(said[0].1, Evidence::Enqueued { text: more() });
        assert_eq!(said[1].1, Evidence::Absorbed { text: more() });
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        let lines = ["", "{}", "nonsense", r#"{"type":"api-request-shape"}"#, r#"{"type":"user"}"#];
        assert!(read(&lines).is_empty());
        assert!(read(&[r#"{"type":"user","isSidechain":true,"message":{"content":"x"}}"#]).is_empty());
    }
}
