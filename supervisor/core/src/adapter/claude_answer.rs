//! Claude's own ways to be answered: the decision of a `PermissionRequest` hook, else the dialog's options.
//!
//! Observed with 2.1.328 and 2.1.197: an allowed question or plan needs its input back (328 drops the decision
//! without a word else, and the dialog stays); several labels of one question are joined by a comma; a denied
//! tool tells the model exactly the message, and the turn goes on.

use dsx_protocol::{ErrorKind, Prompt, WireError};
use serde_json::{Map, Value, json};

use super::answer::{Answered, Said, Way};
use super::key;

/// The label of the free answer that Claude adds to each question: it opens a line to type in.
const FREE: &str = "Type something";

/// What the hook prints; none where only the dialog can be told so.
pub(super) fn decision(prompt: &Prompt, answered: &Answered, input: Option<&str>) -> Option<String> {
    let input = input.and_then(|input| serde_json::from_str::<Value>(input).ok());
    let needs_input = matches!(prompt.kind.as_str(), "question" | "plan");
    let decision = match answered {
        Answered::Allow if !needs_input => json!({ "behavior": "allow" }),
        Answered::Allow => json!({ "behavior": "allow", "updatedInput": input? }),
        Answered::Deny { message: Some(message) } => json!({ "behavior": "deny", "message": message }),
        Answered::Deny { message: None } => json!({ "behavior": "deny", "message": denied(&prompt.kind) }),
        Answered::Questions(said) => {
            let mut input = input?;
            let answers = answers(&input, said)?;
            input.as_object_mut()?.insert("answers".to_owned(), Value::Object(answers));
            json!({ "behavior": "allow", "updatedInput": input })
        }
        Answered::Option(_) => return None,
    };
    let output = json!({
        "hookSpecificOutput": { "hookEventName": "PermissionRequest", "decision": decision }
    });
    Some(output.to_string())
}

/// What the model is told where nobody said more.
fn denied(kind: &str) -> &'static str {
    match kind {
        "question" => "The user declined to answer. Go on without an answer, or stop.",
        "plan" => "The user did not approve the plan.",
        _ => "The user does not allow this.",
    }
}

/// Claude finds an answer by its question's text.
fn answers(input: &Value, said: &[Said]) -> Option<Map<String, Value>> {
    let questions = input.get("questions")?.as_array()?;
    let text = |q: &Value| Some(q.get("question")?.as_str()?.to_owned());
    let answer = |said: &Said| Value::String(said.text.clone().unwrap_or_else(|| said.labels.join(", ")));
    questions.iter().zip(said).map(|(q, said)| Some((text(q)?, answer(said)))).collect()
}

/// The option of the dialog on the screen that says it.
pub(super) fn pick(prompt: &Prompt, answered: &Answered) -> Result<Way, WireError> {
    let labelled = |word: &str| {
        let mut labels = prompt.options.iter().map(|o| &o.label).filter(|l| l.starts_with(word));
        labels.next().cloned()
    };
    let label = match answered {
        Answered::Option(label) => Some(label.clone()),
        Answered::Allow => labelled("Yes"),
        Answered::Deny { message: None } => labelled("No"),
        Answered::Questions(said) if prompt.questions.len() <= 1 => match said.as_slice() {
            [Said { labels, text: None }] if labels.len() == 1 => {
                labels.first().filter(|l| !l.starts_with(FREE)).cloned()
            }
            _ => None,
        },
        // Words have no place in a dialog's options.
        Answered::Deny { message: Some(_) } | Answered::Questions(_) => None,
    };
    // A question's dialog has no such option; it is left by Escape.
    if let (None, Answered::Deny { message: None }) = (&label, answered) {
        return Ok(Way::Keys(key("Escape")));
    }
    label.map(Way::Pick).ok_or_else(|| {
        let what = format!("prompt {} cannot be answered so: no hook of the agent waits for it", prompt.id);
        WireError::new(ErrorKind::Refused, what).hint("answer it in its terminal: 'dsx attach'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(kind: &str) -> Prompt {
        Prompt { id: "p1".into(), kind: kind.into(), ..Prompt::default() }
    }

    fn decided(kind: &str, answered: &Answered, input: Option<&str>) -> Value {
        let output = decision(&prompt(kind), answered, input).unwrap();
        let output: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(output["hookSpecificOutput"]["hookEventName"], "PermissionRequest");
        output["hookSpecificOutput"]["decision"].clone()
    }

    #[test]
    fn permissions_and_plans_are_decided_by_the_hook() {
        assert_eq!(decided("permission", &Answered::Allow, None), json!({"behavior": "allow"}));
        let told = decided("permission", &Answered::Deny { message: Some("use cat".into()) }, None);
        assert_eq!(told, json!({"behavior": "deny", "message": "use cat"}));
        let plan = decided("plan", &Answered::Allow, Some(r#"{"plan":"p"}"#));
        assert_eq!(plan, json!({"behavior": "allow", "updatedInput": {"plan": "p"}}));
        // Without its input it would be dropped without a word.
        assert_eq!(decision(&prompt("plan"), &Answered::Allow, None), None);
        assert_eq!(decision(&prompt("permission"), &Answered::Option("Yes, and …".into()), None), None);
    }

    #[test]
    fn answers_are_found_by_their_questions() {
        let input = r#"{"questions":[{"question":"Which?","multiSelect":true},{"question":"Why?"}]}"#;
        let said = vec![
            Said { labels: vec!["A".into(), "B".into()], text: None },
            Said { labels: vec![], text: Some("because".into()) },
        ];
        let told = decided("question", &Answered::Questions(said), Some(input));
        assert_eq!(told["updatedInput"]["answers"], json!({"Which?": "A, B", "Why?": "because"}));
        assert_eq!(told["updatedInput"]["questions"][0]["multiSelect"], true);
    }
}
