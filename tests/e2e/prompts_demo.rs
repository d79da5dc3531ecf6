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
