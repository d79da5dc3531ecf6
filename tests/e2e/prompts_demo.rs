//! Questions of the built-in demo agent: one prompt with its options, answered by keys.

use dsx_tests::crash;
use dsx_tests::home::Home;
use serde_json::Value;

use crate::job::{create, dsx, last, settled};

#[test]
fn a_question_of_the_demo_agent_is_one_prompt_with_its_options() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    let asked = |text: &str| {
        dsx.run(["send", &id, text]).expect_code(0);
        let prompt = settled(dsx.run(["wait", &id, "--json"]).expect_code(4))["prompt"].clone();
        assert_eq!(dsx.json(["prompts", &id]).as_array().unwrap().len(), 1);
        prompt
    };
    let prompt = asked("ask Which colour? | red | dark blue");
    assert_eq!((&prompt["kind"], &prompt["text"]), (&"question".into(), &"Which colour?".into()), "{prompt}");
    let labels: Vec<&Value> = prompt["options"].as_array().unwrap().iter().map(|o| &o["label"]).collect();
    assert_eq!(labels, ["red", "dark blue"]);
    dsx.run(["respond", &id, "--choice", "green"]).expect_code(2);
    dsx.run(["respond", &id, "--choice", "red", "--choice", "dark blue"]).expect_code(2);
    let done = dsx.json(["respond", &id, "--choice", "2"]);
    assert_eq!((&done["answer"], &done["prompt"]), (&"dark blue".into(), &"p1".into()), "{done}");
    dsx.run(["wait", &id]).expect_code(0);
    assert!(last(&dsx, &id).contains("dark blue"), "{}", last(&dsx, &id));
    assert_eq!(asked("ask What else?")["id"], "p2");
    dsx.run(["respond", &id, "--choice", "1"]).expect_code(2);
    dsx.run(["respond", &id, "--text", "nothing at all"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(0);
    assert!(last(&dsx, &id).contains("nothing at all"));
    // It is the same one after a death, and is denied by leaving it.
    assert_eq!(asked("ask Really? | yes | no")["id"], "p3");
    crash::kill_supervisor(&dsx);
    let now = dsx.json(["prompts", &id]);
    assert_eq!((now.as_array().unwrap().len(), &now[0]["id"]), (1, &"p3".into()), "{now}");
    assert_eq!(now[0]["options"][1]["label"], "no", "{now}");
    dsx.run(["respond", &id, "--deny"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(5);
    assert_eq!(dsx.json(["prompts", &id]).as_array().unwrap().len(), 0);
    dsx.run(["respond", &id, "--prompt", "p3", "--choice", "1"]).expect_code(7);
}

#[test]
fn a_demo_session_that_nobody_watches_goes_on() {
    let home = Home::new();
    let dsx = dsx(&home);
    for how in ["deny", "allow"] {
        let id = create(&dsx, &["--cli", "demo", "--on-prompt", how]);
        dsx.run(["send", &id, "ask Which? | red | blue"]).expect_code(0);
        let code = dsx.run(["wait", &id, "--timeout", "30"]).code;
        assert!(matches!(code, 0 | 5), "{code}");
        assert_eq!(dsx.json(["prompts", &id]).as_array().unwrap().len(), 0);
    }
}

/// What is none of the answers is not taken: the prompt is as open as it was, and whoever gave it is told.
#[test]
fn an_answer_that_is_not_taken_leaves_the_prompt_open() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &id, "ask Which? | red | blue"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(4);
    dsx.run(["respond", &id, "--text", ""]).expect_code(2);
    let not_taken = dsx.run(["respond", &id, "--text", "green"]).expect_code(1);
    assert!(not_taken.stderr.contains("did not take the answer"), "{not_taken:?}");
    dsx.run(["wait", &id]).expect_code(4);
    assert_eq!(dsx.run(["status", &id]).line(), "waiting_for_input");
    dsx.run(["respond", &id, "--choice", "blue"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(0);
}

/// Nobody can tell a plain program that it may not: the run ends all the same, and says what it was asked.
#[test]
fn an_unattended_run_of_a_plain_program_never_hangs() {
    let home = Home::new();
    let dsx = dsx(&home);
    let asks = "read x; printf '\\033]7501;state=working\\007'; printf '\\033]7501;state=blocked:kind=permission\\007'; \
                while read -r x; do :; done";
    for how in ["deny", "allow"] {
        let told = dsx.run(["run", "--on-prompt", how, "go", "--", "sh", "-c", asks]).expect_code(4);
        assert!(told.stderr.contains("asks") || told.stdout.contains("p1"), "{told:?}");
    }
}

/// A question is open until it is answered, whatever its program prints or does not.
#[test]
fn a_plain_programs_question_holds_its_turn_open() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc", "--noprofile"]);
    let asks = "printf '\\033]7501;state=blocked:kind=permission\\007'; read -r x; printf '\\033]7501;state=done\\007got %s\\n' $x";
    dsx.run(["send", &id, asks]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(4);
    dsx.run(["wait", &id, "--until", "exited", "--timeout", "1.5"]).expect_code(124);
    dsx.run(["wait", &id]).expect_code(4);
    dsx.run(["respond", &id, "--text", "words"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(last(&dsx, &id).lines().last(), Some("got words"));
}
