//! What the scripted model answers, decided by the user's last text and by nothing else:
//!
//! | text | answer |
//! |---|---|
//! | `say TEXT` | TEXT |
//! | `hash ...` | [`digest`] of the whole text, so that byte-exact delivery can be asserted |
//! | `slow MS TEXT` | half of TEXT, MS milliseconds later the rest |
//! | `hold NAME TEXT` | half of TEXT, the rest once the test releases NAME |
//! | `late NAME TEXT` | nothing at all until the test releases NAME, then TEXT |
//! | `after NAME SCRIPT` | nothing at all until the test releases NAME, then what SCRIPT is answered with |
//! | `fail STATUS` | an HTTP error of that status |
//! | `cut TEXT` | half of TEXT, then the connection is cut |
//! | `tool bash CMD` | the Bash tool |
//! | `tool write PATH TEXT` | the Write tool |
//! | `tool read PATH` | the Read tool |
//! | `tool edit PATH OLD\|NEW` | the Edit tool; the file must have been read before |
//! | `tool webfetch URL` | the WebFetch tool |
//! | `tools JSON` | any tools in one message: an array of `{"name": .., "input": ..}` |
//! | `background CMD` | the Bash tool with `run_in_background` |
//! | `parallel CMD \| CMD ...` | several Bash tools in one message |
//! | `ask QUESTION\|A\|B ...` | the AskUserQuestion tool with one question, one choice |
//! | `askjson JSON` | the same with any questions: an array of `{"question": .., "options": [..]}` (see below) |
//! | `plan TEXT` | the ExitPlanMode tool, after TEXT has been written to the plan file where one is named |
//! | `agent TEXT` | the Agent tool, with TEXT as the sub-agent's prompt (itself a script) |
//! | `agent-sync TEXT`, `agent-async TEXT` | the same, in the foreground or background explicitly |
//! | `<task-notification>...` | `noted` |
//! | anything else | `echo: ` and the text |
//!
//! After the results of tools the answer is `tool said: ` and what they said.
//!
//! In the questions of `askjson`, what is left out is filled in: `header` (`Scripted 1`, `Scripted 2` ...),
//! `multiSelect` (false), and the description of an option; an option may be its label alone.
//!
//! JSON that cannot be read is answered with a text that says so, as a test's own mistake must be seen.

use std::time::Duration;

use serde_json::{Value, json};

const EXIT_PLAN_MODE: &str = "ExitPlanMode";

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
    /// Another answer, from when the test has released the name.
    After {
        name: String,
        then: Box<Answer>,
    },
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
    pub name: String,
    pub input: Value,
}

impl ToolUse {
    fn new(name: &str, input: Value) -> Self {
        Self { name: name.to_owned(), input }
    }
}

impl Answer {
    /// The answer's text, for the log.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Paused { text, .. } | Self::Cut(text) => text.clone(),
            Self::Fail(status) => format!("HTTP {status}"),
            Self::Tools(tools) => tools.iter().map(|t| format!("{} {}", t.name, t.input)).collect(),
            Self::After { then, .. } => then.text(),
        }
    }
}

impl Answer {
    /// The same answer where the agent says in which file it wants its plan: there the plan is, and the
    /// tool that asks for its approval carries nothing.
    #[must_use]
    pub fn with_plan_in(self, file: Option<&str>) -> Self {
        let tools = match self {
            Self::Tools(tools) => tools,
            Self::After { name, then } => {
                return Self::After { name, then: Box::new(then.with_plan_in(file)) };
            }
            other => return other,
        };
        let whole = |tool: ToolUse| match (file, tool.input["plan"].as_str()) {
            (Some(file), Some(plan)) if tool.name == EXIT_PLAN_MODE => vec![
                ToolUse::new("Write", json!({ "file_path": file, "content": plan })),
                ToolUse::new(EXIT_PLAN_MODE, json!({})),
            ],
            _ => vec![tool],
        };
        Self::Tools(tools.into_iter().flat_map(whole).collect())
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
        "after" => Answer::After { name: second.to_owned(), then: Box::new(answer_to(after)) },
        "fail" => Answer::Fail(second.parse().unwrap_or(500)),
        "cut" => Answer::Cut(rest.to_owned()),
        "tool" => tool(second, after),
        "background" => Answer::Tools(vec![bash(rest, true)]),
        "parallel" => Answer::Tools(rest.split('|').map(|command| bash(command.trim(), false)).collect()),
        "tools" => tools(rest),
        "ask" => ask(&json!([plain_question(rest)])),
        "askjson" => from_json(rest, ask),
        "plan" => one(ToolUse::new(EXIT_PLAN_MODE, json!({ "plan": rest }))),
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

fn one(tool: ToolUse) -> Answer {
    Answer::Tools(vec![tool])
}

fn tool(name: &str, input: &str) -> Answer {
    let (first, after) = input.split_once(' ').unwrap_or((input, ""));
    one(match name {
        "write" => ToolUse::new("Write", json!({ "file_path": first, "content": after })),
        "read" => ToolUse::new("Read", json!({ "file_path": input })),
        "edit" => {
            let (old, new) = after.split_once('|').unwrap_or((after, ""));
            ToolUse::new("Edit", json!({ "file_path": first, "old_string": old, "new_string": new }))
        }
        "webfetch" => ToolUse::new("WebFetch", json!({ "url": input, "prompt": "a scripted question" })),
        _ => bash(input, false),
    })
}

fn tools(text: &str) -> Answer {
    from_json(text, |value| {
        let empty = Vec::new();
        let list = value.as_array().unwrap_or(&empty).iter();
        Answer::Tools(
            list.map(|t| ToolUse::new(t["name"].as_str().unwrap_or_default(), t["input"].clone())).collect(),
        )
    })
}

fn from_json(text: &str, answer: impl FnOnce(&Value) -> Answer) -> Answer {
    match serde_json::from_str(text) {
        Ok(value) => answer(&value),
        Err(e) => Answer::Text(format!("this script is not JSON: {e}")),
    }
}

fn bash(command: &str, background: bool) -> ToolUse {
    let mut input = json!({ "command": command, "description": "a scripted command" });
    if background {
        input["run_in_background"] = json!(true);
    }
    ToolUse::new("Bash", input)
}

fn agent(prompt: &str, background: Option<bool>) -> ToolUse {
    let mut input =
        json!({ "description": "a scripted agent", "prompt": prompt, "subagent_type": "general-purpose" });
    if let Some(background) = background {
        input["run_in_background"] = json!(background);
    }
    ToolUse::new("Agent", input)
}

fn plain_question(rest: &str) -> Value {
    let mut parts = rest.split('|').map(str::trim);
    let question = parts.next().unwrap_or_default();
    json!({ "question": question, "header": "Scripted", "options": parts.collect::<Vec<_>>() })
}

fn ask(questions: &Value) -> Answer {
    let empty = Vec::new();
    let questions = questions.as_array().unwrap_or(&empty).iter().enumerate();
    let questions: Vec<Value> = questions.map(|(i, q)| whole_question(i + 1, q)).collect();
    one(ToolUse::new("AskUserQuestion", json!({ "questions": questions })))
}

/// The question with what its tool requires and the script left out.
fn whole_question(number: usize, question: &Value) -> Value {
    let mut question = question.clone();
    if question["header"].is_null() {
        question["header"] = json!(format!("Scripted {number}"));
    }
    if question["multiSelect"].is_null() {
        question["multiSelect"] = json!(false);
    }
    for option in question["options"].as_array_mut().into_iter().flatten() {
        if let Some(label) = option.as_str().map(str::to_owned) {
            *option = json!({ "label": label });
        }
        if option["description"].is_null() {
            let label = option["label"].as_str().unwrap_or_default();
            option["description"] = json!(format!("choose {label}"));
        }
    }
    question
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
        let then = Box::new(Answer::Text("x y".into()));
        assert_eq!(answer_to("after B say x y"), Answer::After { name: "B".into(), then });
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

    fn only_tool(text: &str) -> ToolUse {
        let Answer::Tools(mut tools) = answer_to(text) else { panic!("{text}: not tools") };
        assert_eq!(tools.len(), 1, "{text}");
        tools.remove(0)
    }

    #[test]
    fn an_edit_has_both_texts_and_a_fetch_its_address() {
        let edit = only_tool("tool edit /a/b one two|three");
        let input = json!({ "file_path": "/a/b", "old_string": "one two", "new_string": "three" });
        assert_eq!(edit, ToolUse::new("Edit", input));
        let fetch = only_tool("tool webfetch http://127.0.0.1:9/x");
        assert_eq!((fetch.name.as_str(), &fetch.input["url"]), ("WebFetch", &json!("http://127.0.0.1:9/x")));
    }

    #[test]
    fn a_plain_question_is_whole() {
        let asked = only_tool("ask Which? | Red | Blue");
        let option = |label: &str| json!({ "label": label, "description": format!("choose {label}") });
        let question = json!({
            "question": "Which?", "header": "Scripted", "multiSelect": false,
            "options": [option("Red"), option("Blue")],
        });
        assert_eq!(asked, ToolUse::new("AskUserQuestion", json!({ "questions": [question] })));
    }

    #[test]
    fn questions_in_json_keep_what_they_say_and_get_what_they_lack() {
        let asked = only_tool(
            r#"askjson [{"question":"A?","multiSelect":true,"options":["x",{"label":"y","description":"why"}]},
                        {"question":"B?","header":"Two","options":["z"]}]"#,
        );
        let questions = &asked.input["questions"];
        assert_eq!(questions[0]["header"], "Scripted 1");
        assert_eq!(questions[0]["multiSelect"], true);
        assert_eq!(questions[0]["options"][0], json!({ "label": "x", "description": "choose x" }));
        assert_eq!(questions[0]["options"][1]["description"], "why");
        assert_eq!((&questions[1]["header"], &questions[1]["multiSelect"]), (&json!("Two"), &json!(false)));
    }

    #[test]
    fn a_plan_is_written_to_its_file_where_there_is_one() {
        let plan = || answer_to("plan do it");
        assert_eq!(plan().with_plan_in(None), plan());
        let Answer::Tools(tools) = plan().with_plan_in(Some("/p.md")) else { panic!("not tools") };
        let written = ToolUse::new("Write", json!({ "file_path": "/p.md", "content": "do it" }));
        assert_eq!(tools, [written, ToolUse::new("ExitPlanMode", json!({}))]);
        assert_eq!(answer_to("say x").with_plan_in(Some("/p.md")), Answer::Text("x".into()));
    }

    #[test]
    fn any_tools_come_in_one_message_and_broken_json_is_said() {
        let text = r#"tools [{"name":"Bash","input":{"command":"true"}},{"name":"Read","input":{}}]"#;
        let Answer::Tools(tools) = answer_to(text) else { panic!("not tools") };
        let names: Vec<_> = tools.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["Bash", "Read"]);
        let Answer::Text(said) = answer_to("askjson [") else { panic!("not a text") };
        assert!(said.starts_with("this script is not JSON: "), "{said}");
    }
}
