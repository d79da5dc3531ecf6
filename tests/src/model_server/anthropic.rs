//! The Messages API itself: what a request asks for, and the events of an answer.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Connection, HttpRequest};
use super::log::{Kind, Manner, Request, Shared};
use super::script::{Answer, Pause, ToolUse, answer_to, digest};

/// How long a held answer lasts at most: past every deadline of a test, so that a forgotten release fails
/// the test and not the server.
const HOLD_LIMIT: Duration = Duration::from_secs(600);

/// Serves one connection until either side ends it.
pub fn serve(stream: TcpStream, shared: &Shared) {
    let Ok(mut connection) = Connection::new(stream) else { return };
    while let Ok(Some(http)) = connection.read() {
        let (number, answer, body) = record(&http, shared);
        let done = match answer {
            None => connection.respond(200, "text/plain", b"", http.method == "HEAD"),
            Some(Answer::Fail(status)) => fail(&mut connection, status),
            Some(Answer::After { name, then }) => {
                let mut reply = Reply { connection: &mut connection, shared, number, body: &body };
                reply.pause_at(&name);
                match *then {
                    Answer::Fail(status) => fail(&mut connection, status),
                    then => reply.send(&then),
                }
            }
            Some(answer) => Reply { connection: &mut connection, shared, number, body: &body }.send(&answer),
        };
        shared.update(|log| log.requests[number].sent = Some(Instant::now()));
        if done.is_err() {
            connection.cut();
            return;
        }
    }
}

/// Enters the request into the log and decides its answer; `None` is for what asks for no message.
fn record(http: &HttpRequest, shared: &Shared) -> (usize, Option<Answer>, Value) {
    let body: Value = serde_json::from_slice(&http.body).unwrap_or_default();
    let (kind, texts, answer) = read_request(http, &body, shared.manner);
    let request = Request {
        number: 0,
        at: Instant::now(),
        sent: None,
        method: http.method.clone(),
        path: http.path.clone(),
        session: http.header("x-claude-code-session-id").map(str::to_owned),
        kind,
        texts,
        answer: answer.as_ref().map(Answer::text).unwrap_or_default(),
        body: body.clone(),
    };
    let number = shared.update(|log| {
        let number = log.requests.len();
        log.requests.push(Request { number, ..request });
        number
    });
    (number, answer, body)
}

fn read_request(http: &HttpRequest, body: &Value, manner: Manner) -> (Kind, Vec<String>, Option<Answer>) {
    if http.method != "POST" || !http.path.starts_with("/v1/messages") {
        return (Kind::Probe, Vec::new(), None);
    }
    if http.path.starts_with("/v1/messages/count_tokens") {
        return (Kind::Helper, Vec::new(), None);
    }
    let last = last_of_the_user(body);
    if !has_tools(body) {
        return (Kind::Helper, last.texts, Some(Answer::Text("scripted".into())));
    }
    if !last.results.is_empty() {
        let answer = match manner {
            Manner::Terse => "the tool has said so".to_owned(),
            Manner::Scripts | Manner::Digests => format!("tool said: {}", last.results.join(" | ")),
        };
        return (Kind::ToolResult, last.texts, Some(Answer::Text(answer)));
    }
    let text = last.texts.last().map_or("", String::as_str);
    let answer = match manner {
        Manner::Digests => Answer::Text(digest(text)),
        Manner::Scripts | Manner::Terse => answer_to(text),
    };
    let answer = answer.with_plan_in(plan_file(body).as_deref());
    (Kind::Turn, last.texts, Some(answer))
}

/// Conversations come with the agent's tools, what it asks for itself comes without.
fn has_tools(body: &Value) -> bool {
    body["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "Bash"))
}

#[derive(Debug, Default)]
struct Last {
    texts: Vec<String>,
    results: Vec<String>,
}

/// What stands after the model's last message, without the agent's injections.
fn last_of_the_user(body: &Value) -> Last {
    let empty = Vec::new();
    let messages = body["messages"].as_array().unwrap_or(&empty);
    let start = messages.iter().rposition(|m| m["role"] == "assistant").map_or(0, |i| i + 1);
    let mut last = Last::default();
    for message in messages[start..].iter().filter(|m| m["role"] == "user") {
        match &message["content"] {
            Value::String(text) => last.add_text(text),
            Value::Array(blocks) => blocks.iter().for_each(|block| last.add_block(block)),
            _ => {}
        }
    }
    last
}

impl Last {
    fn add_block(&mut self, block: &Value) {
        match block["type"].as_str() {
            Some("text") => self.add_text(block["text"].as_str().unwrap_or_default()),
            Some("tool_result") => self.results.push(result_text(&block["content"])),
            _ => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        if !text.starts_with("<system-reminder>") {
            self.texts.push(text.to_owned());
        } else if let Some(at) = text.find("<task-notification>") {
            // The news of a background task opens a turn as a user's text does, only in disguise.
            self.texts.push(text[at..].to_owned());
        }
    }
}

/// The file in which the agent, in plan mode, wants its plan: the last one that it named.
fn plan_file(body: &Value) -> Option<String> {
    let messages = body["messages"].to_string();
    let end = messages.rfind(".md using the Write tool").map(|at| at + ".md".len());
    let named = &messages[..end?];
    let start = named.rfind(char::is_whitespace)? + 1;
    named[start..].contains("/plans/").then(|| named[start..].to_owned())
}

fn result_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|b| b["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn fail(connection: &mut Connection, status: u16) -> io::Result<()> {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let error = json!({ "type": "error", "error": { "type": kind, "message": "scripted failure" } });
    connection.respond(status, "application/json", error.to_string().as_bytes(), false)
}

/// One answer on its way.
struct Reply<'a> {
    connection: &'a mut Connection,
    shared: &'a Shared,
    number: usize,
    body: &'a Value,
}

impl Reply<'_> {
    fn send(&mut self, answer: &Answer) -> io::Result<()> {
        if let Answer::Paused { pause: Pause::Late(name), .. } = answer {
            self.pause_at(name);
        }
        if self.body["stream"] != true {
            return self.whole(answer);
        }
        self.connection.begin_events()?;
        self.event(&json!({ "type": "message_start", "message": self.message(&json!([]), &Value::Null) }))?;
        let stop_reason = match answer {
            Answer::Tools(tools) => {
                for (index, tool) in tools.iter().enumerate() {
                    self.tool_block(index, tool)?;
                }
                "tool_use"
            }
            _ => {
                self.text_block(answer)?;
                "end_turn"
            }
        };
        let delta = json!({ "stop_reason": stop_reason, "stop_sequence": null });
        self.event(&json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": 5 } }))?;
        self.event(&json!({ "type": "message_stop" }))?;
        self.connection.end_events()
    }

    fn text_block(&mut self, answer: &Answer) -> io::Result<()> {
        let block = json!({ "type": "text", "text": "" });
        self.event(&json!({ "type": "content_block_start", "index": 0, "content_block": block }))?;
        self.event(&json!({ "type": "ping" }))?;
        match answer {
            Answer::Paused { text, pause } => {
                let (first, second) = halves(text);
                self.text_delta(first)?;
                match pause {
                    Pause::Timer(time) => self.shared.pause(None, *time),
                    Pause::Hold(name) => self.pause_at(name),
                    Pause::Late(_) => {}
                }
                self.text_delta(second)?;
            }
            Answer::Cut(text) => {
                self.text_delta(halves(text).0)?;
                return Err(cut());
            }
            _ => self.text_delta(&answer.text())?,
        }
        self.event(&json!({ "type": "content_block_stop", "index": 0 }))
    }

    fn tool_block(&mut self, index: usize, tool: &ToolUse) -> io::Result<()> {
        let mut block = self.tool_use(index, tool);
        block["input"] = json!({});
        self.event(&json!({ "type": "content_block_start", "index": index, "content_block": block }))?;
        let delta = json!({ "type": "input_json_delta", "partial_json": tool.input.to_string() });
        self.event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }))?;
        self.event(&json!({ "type": "content_block_stop", "index": index }))
    }

    fn tool_use(&self, index: usize, tool: &ToolUse) -> Value {
        let id = format!("toolu_{:04}_{index}", self.number);
        json!({ "type": "tool_use", "id": id, "name": tool.name, "input": tool.input })
    }

    fn text_delta(&mut self, text: &str) -> io::Result<()> {
        let delta = json!({ "type": "text_delta", "text": text });
        self.event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
    }

    fn event(&mut self, data: &Value) -> io::Result<()> {
        self.connection.event(data["type"].as_str().unwrap_or_default(), &data.to_string())
    }

    fn pause_at(&self, name: &str) {
        self.shared.update(|log| log.hold(name));
        self.shared.pause(Some(name), HOLD_LIMIT);
    }

    /// The answer to a request that did not ask for a stream.
    fn whole(&mut self, answer: &Answer) -> io::Result<()> {
        if matches!(answer, Answer::Cut(_)) {
            return Err(cut());
        }
        let (content, stop) = match answer {
            Answer::Tools(tools) => {
                (tools.iter().enumerate().map(|(i, tool)| self.tool_use(i, tool)).collect(), "tool_use")
            }
            _ => (json!([{ "type": "text", "text": answer.text() }]), "end_turn"),
        };
        let message = self.message(&content, &json!(stop)).to_string();
        self.connection.respond(200, "application/json", message.as_bytes(), false)
    }

    fn message(&self, content: &Value, stop_reason: &Value) -> Value {
        json!({
            "id": format!("msg_{:04}", self.number),
            "type": "message",
            "role": "assistant",
            "model": self.body["model"],
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": { "input_tokens": 10, "output_tokens": 1 },
        })
    }
}

fn cut() -> io::Error {
    io::Error::other("the script cuts the connection here")
}

/// Two parts of `text`, the first at least one character where there is one, cut between characters.
fn halves(text: &str) -> (&str, &str) {
    let middle = text.chars().count().div_ceil(2);
    text.split_at(text.char_indices().nth(middle).map_or(text.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injections_are_not_the_users_text() {
        let body = json!({ "messages": [
            { "role": "user", "content": "say old" },
            { "role": "assistant", "content": [{ "type": "text", "text": "old" }] },
            { "role": "user", "content": [
                { "type": "text", "text": "<system-reminder>say no</system-reminder>" },
                { "type": "text", "text": "say new" },
            ]},
            { "role": "system", "content": "say injected" },
        ]});
        assert_eq!(last_of_the_user(&body).texts, ["say new"]);
    }

    #[test]
    fn the_plan_file_is_the_one_that_the_agent_names() {
        let text = "## Plan File Info:\nCreate your plan at /h/.claude/plans/a-b.md using the Write tool.";
        let body = json!({ "messages": [{ "role": "user", "content": text }] });
        assert_eq!(plan_file(&body).as_deref(), Some("/h/.claude/plans/a-b.md"));
        assert_eq!(plan_file(&json!({ "messages": [{ "role": "user", "content": "plan x" }] })), None);
    }

    #[test]
    fn halves_are_cut_between_characters() {
        assert_eq!(halves("éé"), ("é", "é"));
        assert_eq!(halves("abc"), ("ab", "c"));
        assert_eq!(halves(""), ("", ""));
    }
}
