//! Claude Code: how it is started, and what its hooks and its session file say.
//!
//! Observed with 2.1.328 and 2.1.197. Hooks give the exact words (the message taken, the answer), the session
//! file and the status record give the rest; none of them alone is believed (see [`crate::verdict`]).

use serde::Deserialize;
use serde_json::{Value, json};

use super::claude_prompt;
use crate::evidence::{Asked, Evidence, Rest};
use crate::spec::{Cli, Mode, Spec};

/// How to start an agent, beyond its program and its cleaned environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    pub args: Vec<String>,
    /// Files of the session's directory, written 0600 before the start: relative path and content.
    pub files: Vec<(String, String)>,
}

/// `dsx` is the path of the running binary, for the hooks.
#[must_use]
pub fn launch(spec: &Spec, dsx: &str) -> Launch {
    match spec.cli {
        Cli::Claude => launch_claude(spec, dsx),
        Cli::Demo => Launch {
            args: vec![
                "demo-agent".to_owned(),
                "--transcript".to_owned(),
                format!("{}/demo.jsonl", spec.dir),
            ],
            files: vec![("demo.jsonl".to_owned(), String::new())],
        },
        Cli::Command => Launch::default(),
    }
}

fn launch_claude(spec: &Spec, dsx: &str) -> Launch {
    let mut args = vec!["--settings".to_owned(), format!("{}/settings.json", spec.dir)];
    if let Some(id) = &spec.conversation {
        args.extend(["--session-id".to_owned(), id.clone()]);
    }
    match spec.mode {
        Mode::Native => args.push("--dangerously-skip-permissions".to_owned()),
        Mode::Ask => args.extend(["--permission-mode".to_owned(), ask_mode(spec).to_owned()]),
    }
    if let Some(model) = &spec.model {
        args.extend(["--model".to_owned(), model.clone()]);
    }
    let settings = settings(spec, dsx).to_string();
    Launch { args, files: vec![("settings.json".to_owned(), settings)] }
}

/// The mode that asks for each permission is called `manual` today; it was `default` before auto mode came.
fn ask_mode(spec: &Spec) -> &'static str {
    let version = spec.agent_version.as_deref().and_then(version_number);
    if version.is_some_and(|v| v < (2, 1, 300)) { "default" } else { "manual" }
}

/// The three numbers of a version text such as `2.1.328 (Claude Code)`.
#[must_use]
pub fn version_number(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split_whitespace().next()?.split('.').map(str::parse::<u32>);
    match (numbers.next()?, numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor), Ok(patch)) => Some((major, minor, patch)),
        _ => None,
    }
}

/// Seconds that a question may stay open with its hook waiting for the answer; after them only its dialog is left.
const HELD_S: u32 = 7 * 24 * 3600;

fn settings(spec: &Spec, dsx: &str) -> Value {
    let command = format!("{} hook --dir {}", quoted(dsx), quoted(&spec.dir));
    let within =
        |seconds: u32| json!([{ "hooks": [{ "type": "command", "command": command, "timeout": seconds }] }]);
    let hook = within(10);
    let mut hooks = json!({
            "SessionStart": hook, "UserPromptSubmit": hook, "PermissionRequest": within(HELD_S),
            "Stop": hook, "StopFailure": hook, "SessionEnd": hook,
    });
    if spec.mode == Mode::Ask {
        // What was asked about several tools at once, and answered in the terminal, shows only by their running.
        hooks["PostToolUse"] = hook.clone();
        hooks["PostToolUseFailure"] = hook;
    }
    json!({
        "hooks": hooks,
        // A user's own setting must not silence these.
        "disableAllHooks": false,
        "skipDangerousModePermissionPrompt": true,
        // Messages that go by a file. A rule and not `--add-dir`, which asks at every start (2.1.328).
        "permissions": { "allow": [format!("Read(/{}/messages/**)", spec.dir)] },
        // Pinned: after a crash Claude would otherwise draw another layout the next time.
        "tui": "fullscreen",
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    hook_event_name: String,
    session_id: Option<String>,
    transcript_path: Option<String>,
    prompt_id: Option<String>,
    prompt: Option<String>,
    last_assistant_message: Option<String>,
    background_tasks: Vec<Task>,
    error: Option<Value>,
    tool_name: Option<String>,
    agent_id: Option<String>,
    tool_input: Value,
    /// Put there by the hook itself.
    dsx_plan: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Task {
    r#type: String,
    status: String,
}

/// What a hook's payload says; nothing where it is not one.
pub(super) fn read_hook(payload: &[u8]) -> Vec<Evidence> {
    let Ok(p) = serde_json::from_slice::<Payload>(payload) else { return Vec::new() };
    let mut said = Vec::new();
    if let (Some(id), "SessionStart" | "UserPromptSubmit" | "Stop") =
        (&p.session_id, p.hook_event_name.as_str())
    {
        said.push(Evidence::Conversation { id: id.clone(), transcript: p.transcript_path.clone() });
    }
    match p.hook_event_name.as_str() {
        "UserPromptSubmit" => {
            let text = p.prompt.unwrap_or_default();
            let origin_agent = text.trim_start().starts_with("<task-notification");
            said.push(Evidence::Submitted { text, prompt: p.prompt_id, origin_agent });
        }
        "Stop" => {
            let running =
                |t: &&Task| !matches!(t.status.as_str(), "completed" | "failed" | "killed" | "stopped");
            let agent = |t: &&Task| t.r#type.contains("agent");
            let tasks: Vec<&Task> = p.background_tasks.iter().filter(running).collect();
            let agents = tasks.iter().filter(|t| agent(t)).count() as u32;
            said.push(Evidence::Stopped {
                text: p.last_assistant_message,
                prompt: p.prompt_id,
                agents,
                shells: tasks.len() as u32 - agents,
            });
        }
        "StopFailure" => {
            let kind = p.error.as_ref().map(plain).unwrap_or_default();
            let text = p.last_assistant_message;
            let error = match &text {
                Some(message) => format!("{kind}: {message}"),
                None => kind,
            };
            said.push(Evidence::Failed { error, text: None, prompt: p.prompt_id });
        }
        "PermissionRequest" => {
            let asked = claude_prompt::asked(p.tool_name, &p.tool_input, p.dsx_plan.as_deref());
            said.push(Evidence::Blocked(Asked { agent: p.agent_id.is_some(), ..asked }));
        }
        "PostToolUse" | "PostToolUseFailure" => {
            let asked = claude_prompt::asked(p.tool_name, &p.tool_input, None);
            // Of a question or a plan only its tool is the same afterwards.
            let command = asked.command.filter(|_| asked.kind == "permission");
            said.extend(asked.tool.map(|tool| Evidence::ToolDone { tool, command }));
        }
        _ => {}
    }
    said
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionFile {
    status: Option<String>,
    waiting_for: Option<String>,
    #[serde(default)]
    status_updated_at: Option<u64>,
}

/// What `sessions/<pid>.json` says, and of when.
pub(super) fn read_session_file(text: &str) -> Option<(u64, Evidence)> {
    let file: SessionFile = serde_json::from_str(text).ok()?;
    let at = file.status_updated_at.unwrap_or(0);
    let evidence = match file.status.as_deref()? {
        // `shell`: the turn is over, a background shell still runs.
        "idle" | "shell" => Evidence::Rest(Rest::Idle),
        "busy" => Evidence::Busy,
        "waiting" => {
            let what = file.waiting_for.unwrap_or_else(|| "input".to_owned());
            let kind = if what.contains("permission") { "permission" } else { "question" };
            Evidence::Blocked(Asked { kind: kind.to_owned(), text: what, ..Asked::default() })
        }
        _ => return None,
    };
    Some((at, evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_tells_the_answer_and_what_still_runs() {
        let payload = json!({
            "hook_event_name": "Stop", "session_id": "s", "transcript_path": "/t", "prompt_id": "p",
            "last_assistant_message": "done",
            "background_tasks": [
                {"id": "1", "type": "subagent", "status": "running"},
                {"id": "2", "type": "shell", "status": "running"},
                {"id": "3", "type": "shell", "status": "completed"},
            ],
        });
        let said = read_hook(payload.to_string().as_bytes());
        let stopped =
            Evidence::Stopped { text: Some("done".into()), prompt: Some("p".into()), agents: 1, shells: 1 };
        assert_eq!(said.last(), Some(&stopped));
        assert!(matches!(&said[0], Evidence::Conversation { id, .. } if id == "s"));
    }

    #[test]
    fn nonsense_says_nothing() {
        for bad in ["", "null", "[]", "{", r#"{"hook_event_name":"New"}"#, r#"{"hook_event_name":7}"#] {
            assert!(read_hook(bad.as_bytes()).is_empty(), "{bad}");
            assert_eq!(read_session_file(bad), None);
        }
    }

    #[test]
    fn the_session_file_tells_rest_and_questions() {
        let file = r#"{"pid":1,"status":"idle","statusUpdatedAt":17}"#;
        assert_eq!(read_session_file(file), Some((17, Evidence::Rest(Rest::Idle))));
        let file = r#"{"status":"waiting","waitingFor":"permission prompt","statusUpdatedAt":18}"#;
        assert!(
            matches!(read_session_file(file), Some((18, Evidence::Blocked(a))) if a.kind == "permission")
        );
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version_number("2.1.328 (Claude Code)"), Some((2, 1, 328)));
        assert_eq!(version_number("unknown"), None);
    }
}
