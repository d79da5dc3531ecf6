//! Claude's transcript as people read it.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use super::claude_transcript::{millis, texts};
use super::entries::{Role, Spoken};

/// Tools whose result may still come.
const TOOLS: usize = 256;
/// Lines of a tool's input that is of no known kind.
const FIELD: usize = 400;

/// Remembers which tool a result is of.
#[derive(Debug, Default)]
pub struct Reader {
    tools: VecDeque<(String, String)>,
    /// When the last line was written; the next may not say.
    at: u64,
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
    is_compact_summary: bool,
    prompt_id: Option<String>,
    origin: Value,
    message: Value,
    /// Of a system line.
    content: Value,
    attachment: Value,
}

impl Reader {
    pub(super) fn line(&mut self, line: &str) -> Vec<Spoken> {
        // Most lines, and by far the longest, are the agent's own bookkeeping.
        let Ok(line) = serde_json::from_str::<Line>(line) else { return Vec::new() };
        if line.is_sidechain {
            return Vec::new();
        }
        self.at = line.timestamp.as_deref().and_then(millis).unwrap_or(self.at);
        match (line.r#type.as_str(), line.subtype.as_deref()) {
            ("user", _) => self.user(&line),
            ("assistant", _) => self.assistant(&line),
            ("attachment", _) => self.joined(&line).into_iter().collect(),
            ("system", Some("local_command" | "informational" | "compact_boundary")) => {
                self.note(line.content.as_str().unwrap_or_default()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn user(&mut self, line: &Line) -> Vec<Spoken> {
        let content = &line.message["content"];
        let results: Vec<Spoken> = blocks(content, "tool_result").map(|block| self.result(block)).collect();
        let Some(text) = texts(content) else { return results };
        let spoken = if text.starts_with("[Request interrupted by user") {
            Some(Spoken::new(Role::Note, self.at, "interrupted"))
        } else if line.is_compact_summary {
            Some(Spoken::new(Role::Note, self.at, &format!("the conversation was compacted:\n{text}")))
        } else if line.is_meta {
            None
        } else if let Some(command) = own_command(&text) {
            Some(Spoken::new(Role::User, self.at, &command).beginning(line.prompt_id.clone()))
        } else if text.starts_with("<local-command-stdout>") {
            self.note(&text)
        } else {
            let role = if line.origin["kind"] == "task-notification" { Role::Note } else { Role::User };
            Some(Spoken::new(role, self.at, &text).beginning(line.prompt_id.clone()))
        };
        results.into_iter().chain(spoken).collect()
    }

    /// A message that joined the work under way.
    fn joined(&self, line: &Line) -> Option<Spoken> {
        let attached = &line.attachment;
        if attached["type"] != "queued_command" {
            return None;
        }
        let role = if attached["commandMode"] == "task-notification" { Role::Note } else { Role::User };
        Some(Spoken::new(role, self.at, &texts(&attached["prompt"])?))
    }

    /// What the agent says of a command of its own, without its tags.
    fn note(&self, text: &str) -> Option<Spoken> {
        let inner = ["local-command-stdout", "local-command-stderr"].iter().find_map(|tag| within(text, tag));
        let said = inner.unwrap_or(text).trim();
        (!said.is_empty()).then(|| Spoken::new(Role::Note, self.at, said))
    }

    fn assistant(&mut self, line: &Line) -> Vec<Spoken> {
        let content = &line.message["content"];
        if line.is_api_error_message {
            let text = texts(content).unwrap_or_else(|| "the request failed".to_owned());
            return vec![Spoken::new(Role::Note, self.at, &text).failed(true)];
        }
        if let Some(text) = content.as_str() {
            return vec![Spoken::new(Role::Assistant, self.at, text)];
        }
        content.as_array().into_iter().flatten().filter_map(|block| self.block(block)).collect()
    }

    fn block(&mut self, block: &Value) -> Option<Spoken> {
        match block["type"].as_str()? {
            "text" => {
                let text = block["text"].as_str().filter(|t| !t.is_empty())?;
                Some(Spoken::new(Role::Assistant, self.at, text))
            }
            "tool_use" => {
                let name = block["name"].as_str().unwrap_or("tool").to_owned();
                if let Some(id) = block["id"].as_str() {
                    self.tools.push_back((id.to_owned(), name.clone()));
                    if self.tools.len() > TOOLS {
                        self.tools.pop_front();
                    }
                }
                let text = input(&name, &block["input"]);
                Some(Spoken::new(Role::Tool, self.at, &text).of_tool(Some(name)))
            }
            _ => None,
        }
    }

    fn result(&mut self, block: &Value) -> Spoken {
        let id = block["tool_use_id"].as_str();
        let at = self.tools.iter().position(|(known, _)| Some(known.as_str()) == id);
        let tool = at.and_then(|at| self.tools.remove(at)).map(|(_, name)| name);
        let text = result_text(&block["content"]);
        Spoken::new(Role::Result, self.at, &text).of_tool(tool).failed(block["is_error"] == true)
    }
}

fn blocks<'a>(content: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    content.as_array().into_iter().flatten().filter(move |block| block["type"] == kind)
}

/// The text between a tag's ends.
fn within<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let after = text.split_once(&format!("<{tag}>"))?.1;
    Some(after.split_once(&format!("</{tag}>")).map_or(after, |(inner, _)| inner))
}

/// `/clear`, as it was typed, where the line is about a command of the agent's own.
fn own_command(text: &str) -> Option<String> {
    let name = text.starts_with("<command-").then(|| within(text, "command-name")).flatten()?;
    let args = within(text, "command-args").unwrap_or_default();
    Some(format!("{} {args}", name.trim()).trim().to_owned())
}

fn result_text(content: &Value) -> String {
    let Some(blocks) = content.as_array() else { return content.as_str().unwrap_or_default().to_owned() };
    let said = blocks.iter().map(|block| match block["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("[{}]", block["type"].as_str().unwrap_or("something")),
    });
    said.collect::<Vec<_>>().join("\n")
}

/// What a tool was given, as a person would say it.
fn input(tool: &str, given: &Value) -> String {
    let field = |name: &str| given[name].as_str();
    let said = match tool {
        "Bash" => field("command").map(|command| {
            let behind = given["run_in_background"] == true;
            if behind { format!("{command}\n(in the background)") } else { command.to_owned() }
        }),
        "Write" | "Edit" | "MultiEdit" | "Read" => field("file_path").map(str::to_owned),
        "NotebookEdit" => field("notebook_path").map(str::to_owned),
        "Grep" | "Glob" => field("pattern").map(|pattern| match field("path") {
            Some(path) => format!("{pattern} in {path}"),
            None => pattern.to_owned(),
        }),
        "WebFetch" => field("url").map(str::to_owned),
        "WebSearch" => field("query").map(str::to_owned),
        "ExitPlanMode" => field("plan").map(str::to_owned),
        "Agent" | "Task" => field("prompt").map(|prompt| match field("description") {
            Some(what) => format!("{what}\n{prompt}"),
            None => prompt.to_owned(),
        }),
        "AskUserQuestion" => questions(given),
        _ => None,
    };
    said.unwrap_or_else(|| fields(given))
}

fn questions(given: &Value) -> Option<String> {
    let one = |question: &Value| {
        let options = question["options"].as_array().into_iter().flatten();
        let labels: Vec<&str> = options.filter_map(|o| o["label"].as_str()).collect();
        Some(format!("{} ({})", question["question"].as_str()?, labels.join(" · ")))
    };
    let all: Vec<String> = given["questions"].as_array()?.iter().filter_map(one).collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

/// A line for each field, for tools that are not known.
fn fields(given: &Value) -> String {
    let Some(map) = given.as_object() else { return given.to_string() };
    let line = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let short = &value[..value.floor_char_boundary(FIELD)];
        format!("{name}: {short}{}", if short.len() < value.len() { "…" } else { "" })
    };
    map.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(lines: &[Value]) -> Vec<Spoken> {
        let mut reader = Reader::default();
        lines.iter().flat_map(|line| reader.line(&line.to_string())).collect()
    }

    /// Role, tool and text of each.
    fn told(spoken: &[Spoken]) -> Vec<(&str, Option<&str>, &str)> {
        spoken
            .iter()
            .map(|s| (s.entry.role.as_str(), s.entry.tool.as_deref(), s.entry.text.as_str()))
            .collect()
    }

    fn user(content: impl Into<Value>) -> Value {
        json!({ "type": "user", "promptId": "p", "timestamp": "2026-11-20T06:00:00.250Z",
            "message": { "role": "user", "content": content.into() } })
    }

    fn assistant(blocks: &Value) -> Value {
        json!({ "type": "assistant", "message": { "role": "assistant", "content": blocks } })
    }

    fn tool(id: &str, name: &str, input: &Value) -> Value {
        json!({ "type": "tool_use", "id": id, "name": name, "input": input })
    }

    #[test]
    fn a_turn_with_tools_is_told_by_role() {
        let spoken = read(&[
            json!({ "type": "mode", "mode": "default" }),
            user("do it"),
            assistant(
                &json!([{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "I will" }]),
            ),
            assistant(&json!([tool("1", "Bash", &json!({ "command": "ls; false", "description": "look" }))])),
            assistant(&json!([tool("2", "Write", &json!({ "file_path": "/a", "content": "x" }))])),
            user(json!([{ "type": "tool_result", "tool_use_id": "2", "content": "written" }])),
            user(json!([{ "type": "tool_result", "tool_use_id": "1", "is_error": true, "content":
                [{ "type": "text", "text": "Exit code 1" }, { "type": "image" }] }])),
            assistant(&json!([{ "type": "text", "text": "done" }])),
            json!({ "type": "system", "subtype": "turn_duration" }),
        ]);
        let expected = [
            ("user", None, "do it"),
            ("assistant", None, "I will"),
            ("tool", Some("Bash"), "ls; false"),
            ("tool", Some("Write"), "/a"),
            ("result", Some("Write"), "written"),
            ("result", Some("Bash"), "Exit code 1\n[image]"),
            ("assistant", None, "done"),
        ];
        assert_eq!(told(&spoken), expected);
        assert_eq!(
            spoken.iter().map(|s| s.entry.error).collect::<Vec<_>>().iter().filter(|e| **e).count(),
            1
        );
        assert!(spoken[5].entry.error);
        assert_eq!((spoken[0].begins, spoken[0].prompt.as_deref()), (true, Some("p")));
        assert!(spoken[1..].iter().all(|s| !s.begins));
        // A line without a time of its own is of the last one's.
        assert!(spoken.iter().all(|s| s.entry.at == 1_795_154_400_250));
    }

    #[test]
    fn what_the_agent_says_of_itself_is_a_note() {
        let meta =
            json!({ "type": "user", "isMeta": true, "message": { "content": "<local-command-caveat>x" } });
        let error = json!({ "type": "assistant", "isApiErrorMessage": true, "error": "server_error",
            "message": { "content": [{ "type": "text", "text": "API Error: 500" }] } });
        let task = json!({ "type": "user", "origin": { "kind": "task-notification" }, "promptId": "q",
            "message": { "content": "<task-notification>it ended" } });
        let spoken = read(&[
            meta,
            user(
                "<command-name>/clear</command-name>\n <command-message>clear</command-message>\n <command-args></command-args>",
            ),
            json!({ "type": "system", "subtype": "local_command",
                "content": "<local-command-stdout>cleared</local-command-stdout>" }),
            json!({ "type": "system", "subtype": "local_command", "content": "<local-command-stdout></local-command-stdout>" }),
            error,
            user(json!([{ "type": "text", "text": "[Request interrupted by user for tool use]" }])),
            task,
            json!({ "type": "attachment", "attachment": { "type": "queued_command", "prompt": "and this" } }),
            json!({ "type": "attachment", "attachment": { "type": "skill_listing", "content": "x" } }),
        ]);
        let expected = [
            ("user", None, "/clear"),
            ("note", None, "cleared"),
            ("note", None, "API Error: 500"),
            ("note", None, "interrupted"),
            ("note", None, "<task-notification>it ended"),
            ("user", None, "and this"),
        ];
        assert_eq!(told(&spoken), expected);
        assert!(spoken[2].entry.error && spoken[4].begins && !spoken[5].begins);
    }

    #[test]
    fn each_tools_input_is_as_a_person_would_say_it() {
        let said = |name: &str, given: Value| input(name, &given);
        assert_eq!(
            said("Bash", json!({ "command": "a\nb", "run_in_background": true })),
            "a\nb\n(in the background)"
        );
        assert_eq!(said("Grep", json!({ "pattern": "x", "path": "/src" })), "x in /src");
        assert_eq!(said("WebFetch", json!({ "url": "http://x", "prompt": "p" })), "http://x");
        assert_eq!(said("Agent", json!({ "description": "look", "prompt": "at it" })), "look\nat it");
        let asked = json!({ "questions": [{ "question": "Which?", "options": [{ "label": "A" }, { "label": "B" }] }] });
        assert_eq!(said("AskUserQuestion", asked), "Which? (A · B)");
        assert_eq!(said("Mine", json!({ "a": 1, "b": "two\nlines" })), "a: 1\nb: two\nlines");
        let long = said("Mine", json!({ "a": "é".repeat(1000) }));
        assert!(long.ends_with("é…") && long.len() < FIELD + 16);
        for odd in [json!(null), json!("x"), json!({ "command": 7 })] {
            assert!(!said("Bash", odd).is_empty());
        }
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        let mut reader = Reader::default();
        for line in ["", "{}", "nonsense", "[1]", r#"{"type":"user"}"#, r#"{"type":"assistant","message":7}"#]
        {
            assert!(reader.line(line).is_empty(), "{line}");
        }
        let side = json!({ "type": "user", "isSidechain": true, "message": { "content": "x" } });
        assert!(read(&[side]).is_empty());
        // A result of a tool that nobody has seen is a result all the same.
        let lone = user(json!([{ "type": "tool_result", "tool_use_id": "9", "content": "x" }]));
        assert_eq!(told(&read(&[lone])), [("result", None, "x")]);
    }
}
