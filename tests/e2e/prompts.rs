//! Questions of the real Claude as prompts, and their answers.

use std::time::{Duration, Instant};

use dsx_tests::dsx::Dsx;
use dsx_tests::model_server::ModelServer;
use serde_json::Value;

use crate::job::{create, error, eventually, last, settled, with_each_claude};

/// Sends, waits until the agent asks, and returns the prompt.
pub fn asked(dsx: &Dsx<'_>, id: &str, text: &str) -> Value {
    dsx.run(["send", id, text]).expect_code(0);
    let waited = dsx.run(["wait", id, "--json", "--timeout", "50"]);
    assert_eq!(
        waited.code,
        4,
        "{waited:?}\n{}\n{}",
        dsx.run(["explain", id]).stdout,
        dsx.run(["screen", id]).stdout
    );
    settled(waited)["prompt"].clone()
}

pub fn ended(dsx: &Dsx<'_>, id: &str) -> String {
    let waited = dsx.run(["wait", id, "--timeout", "50"]);
    assert_eq!(
        waited.code,
        0,
        "{waited:?}\n{}\n{}",
        dsx.run(["explain", id]).stdout,
        dsx.run(["screen", id]).stdout
    );
    last(dsx, id)
}

/// The labels of the open prompt's options, once its dialog is drawn.
pub fn labels(dsx: &Dsx<'_>, id: &str) -> Vec<String> {
    let mut labels = Vec::new();
    eventually(dsx, id, || {
        let options = dsx.json(["prompts", id])[0]["options"].clone();
        let label = |o: &Value| o["label"].as_str().unwrap().to_owned();
        labels = options.as_array().unwrap().iter().map(label).collect();
        !labels.is_empty()
    });
    labels
}

pub fn ask_mode(dsx: &Dsx<'_>) -> String {
    create(dsx, &["--mode", "ask"])
}

#[test]
fn a_permission_is_allowed_and_denied_by_command() {
    with_each_claude(
        "a_permission_is_allowed_and_denied_by_command",
        |dsx: &Dsx<'_>, _server: &ModelServer| {
            let id = ask_mode(dsx);
            let prompt = asked(dsx, &id, "tool bash touch made.txt");
            assert_eq!(
                (&prompt["kind"], &prompt["tool"]),
                (&"permission".into(), &"Bash".into()),
                "{prompt}"
            );
            assert_eq!(
                (&prompt["command"], &prompt["turn"]),
                (&"touch made.txt".into(), &"t1".into()),
                "{prompt}"
            );
            assert!(prompt["opened_at"].is_string(), "{prompt}");
            // Its dialog may be drawn later than that.
            let labels = labels(dsx, &id);
            assert_eq!((labels[0].as_str(), labels.last().unwrap().as_str()), ("Yes", "No"));
            let done = dsx.json(["respond", &id, "--allow"]);
            assert_eq!((&done["via"], &done["answer"]), (&"hook".into(), &"allow".into()), "{done}");
            ended(dsx, &id);
            assert!(dsx.home().project().join("made.txt").exists());
            let prompt = asked(dsx, &id, "tool bash rm made.txt");
            assert_eq!(prompt["id"], "p2");
            dsx.run(["respond", &id, "--prompt", "p2", "--deny", "--message", "keep it"]).expect_code(0);
            assert!(ended(dsx, &id).contains("keep it"));
            assert!(dsx.home().project().join("made.txt").exists());
            let stale = dsx.run(["respond", &id, "--prompt", "p2", "--allow", "--json"]).expect_code(7);
            assert!(error(&stale)["message"].as_str().unwrap().contains("keep it"), "{stale:?}");
            dsx.run(["respond", &id, "--allow"]).expect_code(7);
        },
    );
}

#[test]
fn a_question_is_answered_by_label_number_and_words() {
    with_each_claude("a_question_is_answered_by_label_number_and_words", |dsx: &Dsx<'_>, _: &ModelServer| {
        let id = create(dsx, &[]);
        let prompt = asked(dsx, &id, "ask Which colour?|Red|Blue");
        assert_eq!(
            (&prompt["kind"], &prompt["text"]),
            (&"question".into(), &"Which colour?".into()),
            "{prompt}"
        );
        assert_eq!(prompt["options"][1]["label"], "Blue", "{prompt}");
        assert_eq!(dsx.run(["respond", &id, "--choice", "Green"]).code, 2);
        assert_eq!(dsx.run(["respond", &id, "--choice", "3"]).code, 2);
        assert_eq!(dsx.run(["respond", &id, "--allow"]).code, 2);
        dsx.run(["respond", &id, "--choice", "blue"]).expect_code(0);
        assert!(ended(dsx, &id).contains("Blue"));
        asked(dsx, &id, "ask Which colour?|Red|Blue");
        dsx.run(["respond", &id, "--choice", "1"]).expect_code(0);
        assert!(ended(dsx, &id).contains("Red"));
        asked(dsx, &id, "ask Which colour?|Red|Blue");
        dsx.run(["respond", &id, "--text", "neither, but \"green\""]).expect_code(0);
        assert!(ended(dsx, &id).contains("green"));
    });
}

#[test]
fn an_unattended_session_answers_by_itself_and_says_so() {
    with_each_claude(
        "an_unattended_session_answers_by_itself_and_says_so",
        |dsx: &Dsx<'_>, _: &ModelServer| {
            let id = create(dsx, &["--mode", "ask", "--on-prompt", "deny"]);
            dsx.run(["send", &id, "tool bash touch denied.txt"]).expect_code(0);
            assert!(ended(dsx, &id).contains("Denied"));
            assert!(!dsx.home().project().join("denied.txt").exists());
            let id = create(dsx, &["--mode", "ask", "--on-prompt", "allow"]);
            dsx.run(["send", &id, "tool bash touch allowed.txt"]).expect_code(0);
            ended(dsx, &id);
            assert!(dsx.home().project().join("allowed.txt").exists());
            dsx.run(["send", &id, "ask Which?|A|B"]).expect_code(0);
            assert!(ended(dsx, &id).contains("Decide for yourself"));
            let events = dsx.run(["events", &id, "--json"]).expect_code(0).stdout;
            let answered: Vec<Value> = events.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            let answered: Vec<&Value> =
                answered.iter().filter(|e: &&Value| e["event"] == "answered").collect();
            assert_eq!(answered.len(), 2, "{events}");
            assert_eq!((&answered[0]["by"], &answered[0]["outcome"]), (&"on-prompt".into(), &"allow".into()));
        },
    );
}

#[test]
fn whoever_answers_first_wins() {
    with_each_claude("whoever_answers_first_wins", |dsx: &Dsx<'_>, _: &ModelServer| {
        let id = ask_mode(dsx);
        asked(dsx, &id, "tool bash touch made.txt");
        assert_eq!(labels(dsx, &id)[0], "Yes");
        // Somebody answers in the terminal. Its dialog may drop a first key, so the pointer is moved until it is.
        pressed(dsx, &id, "Enter");
        ended(dsx, &id);
        assert!(dsx.home().project().join("made.txt").exists());
        let late = dsx.run(["respond", &id, "--prompt", "p1", "--deny", "--json"]).expect_code(7);
        assert!(error(&late)["message"].as_str().unwrap().contains("answered in the terminal"), "{late:?}");
        // Two at once: one wins, the other is told.
        asked(dsx, &id, "tool bash rm made.txt");
        let codes = std::thread::scope(|scope| {
            let calls =
                ["--allow", "--deny"].map(|how| scope.spawn(move || dsx.run(["respond", "@last", how]).code));
            calls.map(|call| call.join().unwrap())
        });
        let mut sorted = codes;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 7]);
        ended(dsx, &id);
        assert_eq!(dsx.home().project().join("made.txt").exists(), codes[0] == 7);
    });
}

/// Presses a key in a dialog, and again where it was dropped: a dialog is drawn before it takes keys. Returns when
/// fewer prompts are open.
pub fn pressed(dsx: &Dsx<'_>, id: &str, key: &str) {
    let open = || dsx.json(["prompts", id]).as_array().unwrap().len();
    let before = open();
    let mut again = Instant::now();
    eventually(dsx, id, || {
        if Instant::now() >= again {
            dsx.run(["keys", id, key]).expect_code(0);
            again = Instant::now() + Duration::from_secs(3);
        }
        open() < before
    });
}
