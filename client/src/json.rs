//! What `--json` prints: one object a line, fields that are added to and never renamed.

use dsx_protocol::{
    Entry, Happened, Message, Prompt, PromptOption, Question, Responded, SendReceipt, Settled, StatusReply,
    Summary, TurnId, WireError,
};
use serde_json::{Map, Value, json};

use crate::output::time::rfc3339;

fn turn(turn: Option<TurnId>) -> Value {
    turn.map_or(Value::Null, |t| Value::String(t.to_string()))
}

pub(crate) fn error(error: &WireError) -> Value {
    json!({ "error": {
        "kind": error.kind, "message": error.message, "hint": error.hint, "session": error.session,
    }})
}

pub(crate) fn created(s: &Summary) -> Value {
    json!({
        "id": s.id, "cli": s.cli, "path": s.path, "mode": s.mode, "status": s.status, "pid": s.pid,
        "created_at": rfc3339(s.created_at), "creator": s.creator, "group": s.group,
        "description": s.description, "name": s.name, "labels": labels(s), "on_prompt": s.on_prompt,
        "may_respond": s.may_respond, "ttl_ms": s.ttl_ms, "from": s.from,
    })
}

fn labels(s: &Summary) -> Value {
    s.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
}

pub(crate) fn listed(s: &Summary) -> Value {
    let mut value = created(s);
    let more = [
        ("turn", turn(s.turn)),
        ("prompts", json!(s.prompts)),
        ("viewers", json!(s.viewers)),
        ("last_used", json!(rfc3339(s.last_used))),
        ("exit_code", json!(s.exit_code)),
    ];
    for (name, field) in more {
        value[name] = field;
    }
    value
}

pub(crate) fn sent(r: &SendReceipt) -> Value {
    json!({
        "session": r.session, "turn": turn(r.turn), "delivery": r.delivery, "evidence": r.evidence, "via": r.via,
        "interrupted": turn(r.interrupted),
    })
}

pub(crate) fn prompt(prompt: Option<&Prompt>) -> Value {
    prompt.map_or(Value::Null, |p| {
        json!({
            "id": p.id, "session": p.session, "turn": turn(p.turn), "kind": p.kind, "tool": p.tool,
            "text": p.text, "command": p.command,
            "options": options(&p.options), "opened_at": rfc3339(p.opened_at), "diff": p.diff,
            "questions": p.questions.iter().map(question).collect::<Vec<_>>(),
        })
    })
}

fn question(q: &Question) -> Value {
    json!({
        "n": q.n, "header": q.header, "text": q.text, "multiple": q.multiple, "options": options(&q.options),
    })
}

fn options(options: &[PromptOption]) -> Vec<Value> {
    let option = |o: &PromptOption| json!({ "n": o.n, "label": o.label, "description": o.description });
    options.iter().map(option).collect()
}

pub(crate) fn responded(r: &Responded) -> Value {
    json!({
        "session": r.session, "prompt": r.prompt, "turn": turn(r.turn), "via": r.via, "answer": r.answer,
    })
}

pub(crate) fn settled(s: &Settled) -> Value {
    json!({
        "session": s.session, "turn": turn(s.turn), "outcome": s.outcome, "error": s.error,
        "prompt": prompt(s.prompt.as_ref()), "exit_code": s.exit_code,
    })
}

pub(crate) fn status(s: &StatusReply) -> Value {
    json!({
        "session": s.session, "status": s.status, "turn": turn(s.turn), "since": rfc3339(s.since),
        "confidence": s.confidence, "prompt": prompt(s.prompt.as_ref()),
    })
}

pub(crate) fn happened(e: &Happened) -> Value {
    json!({
        "cursor": e.cursor, "at": rfc3339(e.at), "session": e.session, "event": e.what, "turn": turn(e.turn),
        "outcome": e.outcome, "by": e.by, "text": e.text, "prompt": prompt(e.prompt.as_ref()),
        "exit_code": e.exit_code, "expired": e.expired,
    })
}

pub(crate) fn entry(session: &str, e: &Entry) -> Value {
    json!({
        "cursor": e.cursor, "at": rfc3339(e.at), "session": session, "role": e.role, "turn": turn(e.turn),
        "tool": e.tool, "text": e.text, "error": e.error,
    })
}

pub(crate) fn message(m: &Message) -> Value {
    let blocks: Vec<Value> = m.text.iter().map(|text| json!({ "type": "text", "text": text })).collect();
    json!({
        "turn": turn(m.turn), "text": m.text, "blocks": blocks, "outcome": m.outcome,
        "ended_at": m.ended_at.map(rfc3339),
    })
}
