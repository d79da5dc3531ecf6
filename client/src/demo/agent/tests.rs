use dsx_core::adapter::{TranscriptReader, read_osc7501};
use dsx_core::{Cli, Evidence, Rest};

use super::*;

/// An agent and its clock; what it does is told by short names.
#[derive(Default)]
struct Played {
    agent: Agent,
    ms: u64,
}

impl Played {
    fn now(&self) -> Now {
        Now { mono: self.ms, at: self.ms + 1_000_000 }
    }

    fn event(&mut self, event: Event) -> Vec<String> {
        let mut out = Vec::new();
        self.agent.handle(self.now(), event, &mut out);
        out.iter().map(named).collect()
    }

    fn key(&mut self, key: Key) -> Vec<String> {
        self.event(Event::Key(key))
    }

    fn send(&mut self, text: &str) -> Vec<String> {
        assert!(self.key(Key::Paste(text.to_owned())).is_empty());
        self.key(Key::Enter)
    }

    fn after(&mut self, ms: u64) -> Vec<String> {
        self.ms += ms;
        self.event(Event::Due)
    }
}

fn named(action: &Action) -> String {
    match action {
        Action::Record(Record::User { text, .. }) => format!("user {text}"),
        Action::Record(Record::Assistant { text, .. }) => format!("assistant {text}"),
        Action::Record(Record::Tool { input, .. }) => format!("tool {input}"),
        Action::Record(Record::Asked { text, .. }) => format!("asked {text}"),
        Action::Record(Record::Answered { text, .. }) => format!("answered {text}"),
        Action::Record(Record::End { text, .. }) => format!("end {text:?}"),
        Action::Record(Record::Failed { error, .. }) => format!("failed {error}"),
        Action::Record(Record::Interrupted { .. }) => "interrupted".to_owned(),
        Action::Status(status) => format!("{status:?}"),
        Action::Show(_) => "show".to_owned(),
        Action::Read(path) => format!("read {path}"),
        Action::Repaint => "repaint".to_owned(),
        Action::Exit(code) => format!("exit {code}"),
    }
}

fn without_shows(actions: Vec<String>) -> Vec<String> {
    actions.into_iter().filter(|a| a != "show").collect()
}

#[test]
fn a_turn_is_recorded_before_it_is_told() {
    let mut played = Played::default();
    let turn = without_shows(played.send("say hello"));
    assert_eq!(turn, ["user say hello", "Working", "assistant hello", "end Some(\"hello\")", "Done"]);
    let turn = without_shows(played.send("say"));
    assert_eq!(turn, ["user say", "Working", "end None", "Done"]);
    let turn = without_shows(played.send("fail no luck"));
    assert_eq!(turn, ["user fail no luck", "Working", "failed no luck", "Error(\"no luck\")"]);
    assert_eq!(without_shows(played.send("crash")), ["user crash", "Working", "exit 3"]);
}

#[test]
fn slow_turns_end_by_the_clock_alone() {
    let mut played = Played::default();
    assert_eq!(played.agent.due(played.now()), None);
    assert_eq!(without_shows(played.send("slow 600ms x")), ["user slow 600ms x", "Working"]);
    assert_eq!(played.agent.due(played.now()), Some(250));
    assert!(played.after(599).is_empty());
    assert_eq!(played.agent.due(played.now()), Some(600));
    assert_eq!(without_shows(played.after(1)), ["assistant x", "end Some(\"x\")", "Done"]);
    assert_eq!(played.agent.due(played.now()), None);
}

#[test]
fn what_comes_during_a_turn_waits_and_runs_by_itself() {
    let mut played = Played::default();
    played.send("slow 1 x");
    assert!(played.send("say one").is_empty());
    assert!(played.send("slow 1 two").is_empty());
    assert_eq!(played.agent.view(played.now()).queued.len(), 2);
    let rest = without_shows(played.after(1000));
    let expected = ["assistant x", "end Some(\"x\")", "Done", "user say one", "Working", "assistant one"];
    assert_eq!(rest[..6], expected);
    assert_eq!(rest[6..], ["end Some(\"one\")", "Done", "user slow 1 two", "Working"]);
    assert!(played.agent.view(played.now()).queued.is_empty());
}

#[test]
fn an_interrupt_ends_the_running_turn_and_no_other() {
    let mut played = Played::default();
    assert!(played.key(Key::Escape).is_empty());
    played.send("slow 9 x");
    played.send("slow 9 y");
    played.key(Key::Char('d'));
    let rest = without_shows(played.key(Key::Escape));
    assert_eq!(rest, ["interrupted", "Idle", "user slow 9 y", "Working"]);
    assert_eq!(played.agent.view(played.now()).draft.text(), "d");
    assert_eq!(without_shows(played.key(Key::Escape)), ["interrupted", "Idle"]);
    assert!(played.after(20_000).is_empty());
}

#[test]
fn a_question_is_answered_by_digit_number_or_label() {
    let chosen = |name: &str| {
        let end = format!("end Some(\"You chose: {name}\")");
        [
            format!("answered {name}"),
            "Working".into(),
            format!("assistant You chose: {name}"),
            end,
            "Done".into(),
        ]
    };
    let mut played = Played::default();
    let asked = without_shows(played.send("ask Which? | Red | Blue"));
    assert_eq!(asked[1..], ["Working", "asked Which?", "Blocked(\"Which? (Red · Blue)\")"]);
    assert!(played.agent.view(played.now()).question.is_some());
    assert_eq!(played.agent.due(played.now()), None);
    assert_eq!(without_shows(played.key(Key::Char('2'))), chosen("Blue"));
    assert!(played.key(Key::Enter).is_empty());
    for typed in ["1", "red", " RED "] {
        played.send("ask Which? | Red | Blue");
        assert_eq!(without_shows(played.send(typed)), chosen("Red"));
    }
    played.send("ask Which? | Red | Blue");
    assert_eq!(played.send("Green"), ["show"]);
    assert_eq!(without_shows(played.send("blue")), chosen("Blue"));
    played.send("ask Which? | Red | Blue");
    assert_eq!(without_shows(played.key(Key::Escape)), ["interrupted", "Idle"]);
}

#[test]
fn a_message_may_come_by_a_file() {
    let mut played = Played::default();
    let begun = without_shows(played.send("read /f"));
    assert_eq!(begun, ["user read /f", "Working", "tool /f", "read /f"]);
    let read = without_shows(played.event(Event::File(Ok("say a\tb".into()))));
    assert_eq!(read, ["assistant a\tb", "end Some(\"a\\tb\")", "Done"]);
    played.send("read /f");
    let read = without_shows(played.event(Event::File(Ok("read /f".into()))));
    assert!(read[0].starts_with("failed"), "{read:?}");
    played.send("read /f");
    assert_eq!(without_shows(played.event(Event::File(Err("gone".into()))))[0], "failed gone");
    assert!(played.event(Event::File(Ok("say late".into()))).is_empty());
}

#[test]
fn it_leaves_by_two_ctrl_c_in_time_or_ctrl_d_in_an_empty_box() {
    let mut played = Played::default();
    played.key(Key::Char('x'));
    assert!(played.key(Key::CtrlC).is_empty());
    assert!(played.agent.view(played.now()).draft.is_empty());
    assert!(played.agent.view(played.now()).hint.contains("again"));
    played.key(Key::Char('x'));
    assert!(played.key(Key::CtrlC).is_empty());
    assert!(played.after(LEAVE_MS).is_empty());
    assert_eq!(played.agent.due(played.now()), None);
    assert!(played.key(Key::CtrlC).is_empty());
    assert_eq!(played.key(Key::CtrlC), ["exit 0"]);

    let mut played = Played::default();
    played.send("slow 9 x");
    assert_eq!(without_shows(played.key(Key::CtrlC)), ["interrupted", "Idle"]);
    played.key(Key::Char('x'));
    assert!(played.key(Key::CtrlD).is_empty());
    played.key(Key::Backspace);
    played.send("slow 9 x");
    assert_eq!(without_shows(played.key(Key::CtrlD)), ["interrupted", "Idle", "exit 0"]);
}

#[test]
fn nothing_is_taken_beyond_the_bounds() {
    let mut played = Played::default();
    assert!(played.send(" \n ").is_empty());
    played.send("slow 9 x");
    for _ in 0..QUEUE_MAX + 1 {
        played.send("y");
    }
    let view = played.agent.view(played.now());
    assert_eq!((view.queued.len(), view.draft.text()), (QUEUE_MAX, "y"));
    assert!(view.hint.contains("not taken"));
    played.key(Key::PasteTooLong(5_000_000));
    assert!(played.agent.view(played.now()).hint.contains("5000000"));
}

/// What dsx makes of it all, in order, times aside.
fn heard(actions: &[Action]) -> Vec<Evidence> {
    let mut reader = TranscriptReader::new(Cli::Demo);
    let mut heard = Vec::new();
    for action in actions {
        match action {
            Action::Record(record) => {
                let line = serde_json::to_string(record).unwrap();
                heard.extend(reader.line(&line).into_iter().map(|(at, said)| {
                    assert_eq!(at, Some(1_000_000));
                    said
                }));
            }
            Action::Status(status) => {
                let escape = status.escape();
                let payload = escape.strip_prefix("\x1b]7501;").unwrap().strip_suffix('\x07').unwrap();
                heard.push(read_osc7501(payload.as_bytes()).unwrap());
            }
            _ => {}
        }
    }
    heard
}

#[test]
fn dsx_understands_what_it_says() {
    let submitted =
        |text: &str| Evidence::Submitted { text: text.to_owned(), prompt: None, origin_agent: false };
    let mut played = Played::default();
    let mut send = |text: &str| {
        let mut out = Vec::new();
        for key in [Key::Paste(text.to_owned()), Key::Enter, Key::Escape] {
            played.agent.handle(Now { mono: 0, at: 1_000_000 }, Event::Key(key), &mut out);
        }
        heard(&out)
    };
    let stopped = Evidence::Stopped { text: Some("a\tb".into()), prompt: None, agents: 0, shells: 0 };
    let turn = [submitted("say a\tb"), Evidence::Busy, stopped, Evidence::Rest(Rest::Done)];
    assert_eq!(send("say a\tb"), turn);
    let failed = Evidence::Failed { error: "é!".into(), text: None, prompt: None };
    let rest = Evidence::Rest(Rest::Error(Some("é!".into())));
    assert_eq!(send("fail é!"), [submitted("fail é!"), Evidence::Busy, failed, rest]);
    let asked = send("ask Which? | a");
    // The transcript knows the options; the status record tells of it as well.
    assert!(matches!(&asked[2], Evidence::Blocked(a) if a.text == "Which?" && a.options[0].label == "a"));
    assert!(matches!(&asked[3], Evidence::Blocked(a) if a.kind == "question" && a.text == "Which? (a)"));
    assert_eq!(asked[4..], [Evidence::Interrupted, Evidence::Rest(Rest::Idle)]);
}
