//! What the scripted model answers, decided by the user's last text and by nothing else:
//!
//! | text | answer |
//! |---|---|
//! | `say TEXT` | TEXT |
//! | `hash ...` | [`digest`] of the whole text, so that byte-exact delivery can be asserted |
//! | `slow MS TEXT` | half of TEXT, MS milliseconds later the rest |
//! | `hold NAME TEXT` | half of TEXT, the rest once the test releases NAME |
//! | `late NAME TEXT` | nothing at all until the test releases NAME, then TEXT |
//! | `fail STATUS` | an HTTP error of that status |
//! | `cut TEXT` | half of TEXT, then the connection is cut |
//! | `tool bash CMD` | the Bash tool |
//! | `tool write PATH TEXT` | the Write tool |
//! | `tool read PATH` | the Read tool |
//! | `background CMD` | the Bash tool with `run_in_background` |
//! | `parallel CMD \| CMD ...` | several Bash tools in one message |
//! | `ask QUESTION\|A\|B ...` | the AskUserQuestion tool |
//! | `plan TEXT` | the ExitPlanMode tool |
//! | `agent TEXT` | the Agent tool, with TEXT as the sub-agent's prompt (itself a script) |
//! | `agent-sync TEXT`, `agent-async TEXT` | the same, in the foreground or background explicitly |
//! | `<task-notification>...` | `noted` |
//! | anything else | `echo: ` and the text |
//!
//! After the results of tools the answer is `tool said: ` and what they said.

use std::time::Duration;

use serde_json::{Value, json};

/// One scripted answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Text(String),
    /// A text whose middle is a pause.
    Paused {
        text: String,
        pause: Pause,
    },
    /// Half of a text, then a dead connection.
    Cut(String),
    /// An HTTP status instead of an answer.
    Fail(u16),
    Tools(Vec<ToolUse>),
}

/// Where and until when an answer pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// After half of the text, for a time.
    Timer(Duration),
    /// After half of the text, until the test releases the name.
    Hold(String),
    /// Before the first byte of the answer, until the test releases the name.
    Late(String),
}

/// A tool that the model wants to use.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolUse {
    pub name: &'static str,
    pub input: Value,
}

impl Answer {
    /// The answer's text, for the log.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Paused { text, .. } | Self::Cut(text) => text.clone(),
            Self::Fail(status) => format!("HTTP {status}"),
            Self::Tools(tools) => tools.iter().map(|t| format!("{} {}", t.name, t.input)).collect(),
        }
    }
}

/// The digest and byte length of `text`, as `hash` answers it. FNV-1a: stable, short, and nobody is
/// attacking it.
#[must_use]
pub fn digest(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    format!("hash {hash:016x} of {} bytes", text.len())
}

/// The answer to the user's last text.
pub fn answer_to(text: &str) -> Answer {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (second, after) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "say" => Answer::Text(rest.to_owned()),
        "hash" => Answer::Text(digest(text)),
        "slow" => paused(after, Pause::Timer(Duration::from_millis(second.parse().unwrap_or(0)))),
        "hold" => paused(after, Pause::Hold(second.to_owned())),
        "late" => paused(after, Pause::Late(second.to_owned())),
        "fail" => Answer::Fail(second.parse().unwrap_or(500)),
        "cut" => Answer::Cut(rest.to_owned()),
        "tool" => tool(second, after),
        "background" => Answer::Tools(vec![bash(rest, true)]),
        "parallel" => Answer::Tools(rest.split('|').map(|command| bash(command.trim(), false)).collect()),
        "ask" => Answer::Tools(vec![ask(rest)]),
        "plan" => Answer::Tools(vec![ToolUse { name: "ExitPlanMode", input: json!({ "plan": rest }) }]),
        "agent" => Answer::Tools(vec![agent(rest, None)]),
        "agent-sync" => Answer::Tools(vec![agent(rest, Some(false))]),
        "agent-async" => Answer::Tools(vec![agent(rest, Some(true))]),
        _ if text.starts_with("<task-notification>") => Answer::Text("noted".to_owned()),
        _ => Answer::Text(format!("echo: {text}")),
    }
}

fn paused(text: &str, pause: Pause) -> Answer {
    Answer::Paused { text: text.to_owned(), pause }
}

fn tool(name: &str, input: &str) -> Answer {
    match name {
        "write" => {
            let (path, content) = input.split_once(' ').unwrap_or((input, ""));
            let input = json!({ "file_path": path, "content": content });
            Answer::Tools(vec![ToolUse { name: "Write", input }])
        }
        "read" => Answer::Tools(vec![ToolUse { name: "Read", input: json!({ "file_path": input }) }]),
        _ => Answer::Tools(vec![bash(input, false)]),
    }
}

fn bash(command: &str, background: bool) -> ToolUse {
    let mut input = json!({ "command": command, "description": "a scripted command" });
    if background {
        input["run_in_background"] = json!(true);
    }
    ToolUse { name: "Bash", input }
}

fn agent(prompt: &str, background: Option<bool>) -> ToolUse {
    let mut input =
        json!({ "description": "a scripted agent", "prompt": prompt, "subagent_type": "general-purpose" });
    if let Some(background) = background {
        input["run_in_background"] = json!(background);
    }
    ToolUse { name: "Agent", input }
}

fn ask(rest: &str) -> ToolUse {
    let mut parts = rest.split('|').map(str::trim);
    let question = parts.next().unwrap_or_default();
    let options: Vec<Value> =
        parts.map(|label| json!({ "label": label, "description": format!("choose {label}") })).collect();
    let question =
        json!({ "question": question, "header": "Scripted", "multiSelect": false, "options": options });
    ToolUse { name: "AskUserQuestion", input: json!({ "questions": [question] }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides() {
        assert_eq!(answer_to("say hello there"), Answer::Text("hello there".into()));
        assert_eq!(answer_to("saying"), Answer::Text("echo: saying".into()));
        assert_eq!(answer_to("fail 529"), Answer::Fail(529));
        let held = Answer::Paused { text: "one two".into(), pause: Pause::Hold("A".into()) };
        assert_eq!(answer_to("hold A one two"), held);
    }

    #[test]
    fn a_hash_covers_the_whole_text_and_its_length() {
        assert_eq!(answer_to("hash é"), Answer::Text(digest("hash é")));
        assert!(digest("hash é").ends_with(" of 7 bytes"));
        assert_ne!(digest("hash a"), digest("hash b"));
        // The reference value of FNV-1a for the empty string.
        assert_eq!(digest(""), "hash cbf29ce484222325 of 0 bytes");
    }

    #[test]
    fn several_commands_are_several_tools() {
        let Answer::Tools(tools) = answer_to("parallel echo 1 | echo 2") else { panic!("not tools") };
        let commands: Vec<_> = tools.iter().map(|t| t.input["command"].as_str()).collect();
        assert_eq!(commands, [Some("echo 1"), Some("echo 2")]);
    }
}
