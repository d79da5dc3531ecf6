//! Dialogs before the agent begins, in a session that asks: told as prompts, and answered by command.

use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, install_or_skip};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::model_server::ModelServer;
use serde_json::Value;

use crate::job::{answer, dsx, error};

/// A home in which neither the project directory nor the key of the environment is known.
fn with_each_stranger(test: &str, run: impl Fn(&Dsx<'_>)) {
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        let Some(agent) = install_or_skip(package, test) else { return };
        let server = ModelServer::start();
        let mut home = Home::new();
        home.add_agent(&agent).use_server(&server);
        home.unset("ANTHROPIC_AUTH_TOKEN").set("ANTHROPIC_API_KEY", "sk-ant-not-a-real-key-0123456789");
        run(&dsx(&home));
    }
}

/// Its one open prompt, which must be of this kind and offer an option that begins so.
fn one(dsx: &Dsx<'_>, id: &str, kind: &str, option: &str) -> Value {
    let prompts = dsx.json(["prompts", id]);
    assert_eq!(prompts.as_array().unwrap().len(), 1, "{prompts}");
    assert_eq!(prompts[0]["kind"], kind, "{prompts}");
    let labels = prompts[0]["options"].as_array().unwrap();
    let offered = labels.iter().any(|o| o["label"].as_str().unwrap().starts_with(option));
    assert!(offered, "{prompts}");
    prompts[0].clone()
}

fn stranger(dsx: &Dsx<'_>) -> String {
    let created = dsx.run(["create", "--mode", "ask"]).expect_code(4);
    assert!(created.stderr.contains("the agent asks before it begins"), "the prompt is told: {created:?}");
    let id = created.line().to_owned();
    let text = one(dsx, &id, "trust", "Yes")["text"].as_str().unwrap().to_owned();
    assert!(text.contains(dsx.home().project().to_str().unwrap()), "{text}");
    id
}

#[test]
fn the_dialogs_of_a_start_are_answered_one_after_the_other() {
    with_each_stranger("the_dialogs_of_a_start_are_answered", |dsx| {
        let id = stranger(dsx);
        assert_eq!(dsx.run(["wait", &id]).code, 4);
        dsx.run(["respond", &id, "--choice", "Maybe"]).expect_code(2);
        dsx.run(["respond", &id, "--text", "maybe"]).expect_code(2);
        let done = dsx.json(["respond", &id, "--allow"]);
        assert_eq!((&done["via"], &done["prompt"]), (&"keys".into(), &"p1".into()), "{done}");
        dsx.run(["wait", &id, "--until", "waiting", "--timeout", "30"]).expect_code(0);
        let key = one(dsx, &id, "login", "No");
        assert_eq!(key["id"], "p2");
        let late = error(&dsx.run(["respond", &id, "--prompt", "p1", "--allow", "--json"]).expect_code(7));
        assert!(late["message"].as_str().unwrap().contains("not open any more"), "{late}");
        let done = dsx.json(["respond", &id, "--choice", "Yes"]);
        assert_eq!((&done["via"], &done["answer"]), (&"keys".into(), &"Yes".into()), "{done}");
        dsx.run(["wait", &id, "--until", "idle", "--timeout", "50"]).expect_code(0);
        assert_eq!(answer(dsx, &id, "say begun"), "begun");
        assert_eq!(dsx.json(["prompts", &id]).as_array().unwrap().len(), 0);
        // It is known from now on.
        crate::job::create(dsx, &["--mode", "ask"]);
    });
}

#[test]
fn who_does_not_trust_the_directory_ends_the_session() {
    with_each_stranger("who_does_not_trust_the_directory_ends_the_session", |dsx| {
        let id = stranger(dsx);
        let waiting = dsx.spawn(["wait", &id, "--until", "exited", "--timeout", "50"]);
        dsx.run(["respond", &id, "--deny"]).expect_code(0);
        waiting.wait().expect_code(0);
        dsx.run(["wait", &id]).expect_code(6);
        dsx.run(["respond", &id, "--allow"]).expect_code(6);
        assert_eq!(dsx.json(["prompts"]).as_array().unwrap().len(), 0);
    });
}

/// Nobody is there: it begins, or it does not, and `create` never waits for ever.
#[test]
fn an_unattended_start_is_settled_by_itself() {
    with_each_stranger("an_unattended_start_is_settled_by_itself", |dsx| {
        let denied = dsx.run(["create", "--mode", "ask", "--on-prompt", "deny"]).expect_code(1);
        assert!(!denied.stderr.is_empty());
        assert_eq!(dsx.json(["list", "-a"]).as_array().unwrap().len(), 0);
        let id = crate::job::create(dsx, &["--mode", "ask", "--on-prompt", "allow"]);
        assert_eq!(answer(dsx, &id, "say allowed"), "allowed");
    });
}
