//! What Claude's `PermissionRequest` hook asks, as a prompt has it.

use dsx_protocol::{PromptOption, Question};
use serde_json::Value;

use crate::evidence::Asked;

/// Bytes of one text of a prompt. What is longer is cut, and says so: a prompt travels in one event.
const TEXT_MAX: usize = 192 * 1024;
/// Questions and options of one prompt: more are not believed.
const LIST_MAX: usize = 64;

/// `plan` is what stands in the plan's file, where the tool was not given its text.
pub(super) fn asked(tool: Option<String>, input: &Value, plan: Option<&str>) -> Asked {
    let name = tool.clone().unwrap_or_else(|| "a tool".to_owned());
    match name.as_str() {
        "AskUserQuestion" => question(tool, input),
        "ExitPlanMode" => Asked {
            kind: "plan".to_owned(),
            tool,
            text: "approve the plan?".to_owned(),
            command: text(input, "plan").or_else(|| plan.map(bounded)),
            input: kept(input),
            ..Asked::default()
        },
        _ => Asked {
            kind: "permission".to_owned(),
            tool,
            text: bounded(&format!("allow {name}?")),
            command: Some(command(input)),
            diff: diff(input),
            ..Asked::default()
        },
    }
}

fn question(tool: Option<String>, input: &Value) -> Asked {
    let list = input.get("questions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let questions: Vec<Question> = (1..).zip(list.iter().take(LIST_MAX)).map(|(n, q)| one(n, q)).collect();
    let texts: Vec<&str> = questions.iter().map(|q| q.text.as_str()).collect();
    Asked {
        kind: "question".to_owned(),
        tool,
        text: bounded(&texts.join(" ")),
        options: questions.first().map(|q| q.options.clone()).unwrap_or_default(),
        questions,
        input: kept(input),
        ..Asked::default()
    }
}

fn one(n: u32, question: &Value) -> Question {
    let options = question.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let option = |(n, o): (u32, &Value)| PromptOption {
        n,
        label: o.as_str().map(bounded).or_else(|| text(o, "label")).unwrap_or_default(),
        description: text(o, "description").filter(|d| !d.is_empty()),
    };
    Question {
        n,
        header: text(question, "header").filter(|h| !h.is_empty()),
        text: text(question, "question").unwrap_or_default(),
        options: (1..).zip(options.iter().take(LIST_MAX)).map(option).collect(),
        multiple: question.get("multiSelect").and_then(Value::as_bool).unwrap_or(false),
    }
}

/// What an answer has to repeat; nothing where that is too much to keep.
fn kept(input: &Value) -> Option<String> {
    Some(input.to_string()).filter(|input| input.len() <= TEXT_MAX)
}

fn text(of: &Value, field: &str) -> Option<String> {
    of.get(field).and_then(Value::as_str).map(bounded)
}

fn bounded(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_MAX);
    format!("{}\n(… {} bytes more)", &text[..end], text.len() - end)
}

/// The one thing that says what the tool would do, else all it was given.
fn command(input: &Value) -> String {
    let said = ["command", "url", "file_path"].iter().find_map(|field| text(input, field));
    said.unwrap_or_else(|| bounded(&input.to_string()))
}

/// A tool that writes a file: what it takes away and what it puts there. Where in the file is not known here.
fn diff(input: &Value) -> Option<String> {
    let path = text(input, "file_path")?;
    let edits = input.get("edits").and_then(Value::as_array).map(Vec::as_slice);
    let edits = edits.unwrap_or(std::slice::from_ref(input));
    let mut hunks = String::new();
    for edit in edits.iter().take(LIST_MAX) {
        let old = text(edit, "old_string").unwrap_or_default();
        let new = text(edit, "new_string").or_else(|| text(edit, "content"))?;
        hunks.push_str("@@\n");
        hunks.extend(old.lines().map(|line| format!("-{line}\n")));
        hunks.extend(new.lines().map(|line| format!("+{line}\n")));
    }
    Some(bounded(&format!("--- {path}\n+++ {path}\n{hunks}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_permission_tells_what_would_be_done_in_full() {
        let bash = asked(Some("Bash".into()), &json!({"command": "rm -r x", "description": "clean"}), None);
        assert_eq!((bash.kind.as_str(), bash.command.as_deref()), ("permission", Some("rm -r x")));
        assert_eq!(bash.diff, None);
        let edit = asked(
            Some("Edit".into()),
            &json!({"file_path": "/a", "old_string": "one\ntwo", "new_string": "three"}),
            None,
        );
        assert_eq!(edit.command.as_deref(), Some("/a"));
        assert_eq!(edit.diff.as_deref(), Some("--- /a\n+++ /a\n@@\n-one\n-two\n+three\n"));
        let write = asked(Some("Write".into()), &json!({"file_path": "/a", "content": "x\ny\n"}), None);
        assert_eq!(write.diff.as_deref(), Some("--- /a\n+++ /a\n@@\n+x\n+y\n"));
        let other = asked(Some("mcp__x".into()), &json!({"a": 1}), None);
        assert_eq!(other.command.as_deref(), Some(r#"{"a":1}"#));
    }

    #[test]
    fn questions_come_with_all_their_options() {
        let input = json!({"questions": [
            {"question": "Which?", "header": "Colour", "multiSelect": true,
             "options": [{"label": "Red", "description": "warm"}, {"label": "Blue"}]},
            {"question": "Why?", "options": []},
        ]});
        let question = asked(Some("AskUserQuestion".into()), &input, None);
        assert_eq!(question.text, "Which? Why?");
        assert_eq!(question.questions.len(), 2);
        assert!(question.questions[0].multiple && !question.questions[1].multiple);
        assert_eq!(question.options[0].description.as_deref(), Some("warm"));
        assert_eq!(question.options[1].label, "Blue");
        assert_eq!(question.input.as_deref(), Some(input.to_string().as_str()));
    }

    #[test]
    fn a_plan_is_told_by_its_tool_or_its_file() {
        let plan = |input| asked(Some("ExitPlanMode".into()), &input, Some("of the file")).command;
        assert_eq!(plan(json!({"plan": "of the tool"})).as_deref(), Some("of the tool"));
        assert_eq!(plan(json!({})).as_deref(), Some("of the file"));
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let long = "é".repeat(600_000);
        let bash = asked(Some("Bash".into()), &json!({ "command": long }), None);
        let command = bash.command.unwrap();
        assert!(command.len() < TEXT_MAX + 64 && command.ends_with("bytes more)"), "{}", command.len());
        let question =
            asked(Some("AskUserQuestion".into()), &json!({"questions": [{"question": long}]}), None);
        assert_eq!(question.input, None);
    }
}
