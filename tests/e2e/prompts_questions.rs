//! Questions of the real Claude: one answer, several, words of one's own, several questions at once.

use dsx_tests::dsx::Dsx;
use serde_json::{Value, json};

use crate::job::{create, error, with_each_claude};
use crate::prompts::{asked, ended};

fn refused(dsx: &Dsx<'_>, id: &str, how: &[&str]) -> String {
    let mut args = vec!["respond", id, "--json"];
    args.extend(how);
    let told = error(&dsx.run(args).expect_code(2));
    assert_eq!(dsx.run(["status", id]).line(), "waiting_for_input");
    told["message"].as_str().unwrap().to_owned()
}

fn respond(dsx: &Dsx<'_>, id: &str, how: &[&str]) -> Value {
    let mut args = vec!["respond", id];
    args.extend(how);
    dsx.json(args)
}

#[test]
fn several_may_be_chosen_where_several_are_asked_for() {
    with_each_claude("several_may_be_chosen_where_several_are_asked_for", |dsx, _| {
        let id = create(dsx, &[]);
        let fruit = json!([{"question": "Which fruit?", "header": "Fruit", "multiSelect": true,
            "options": ["Apple", {"label": "Fig, dried", "description": "sweet"}, "Plum"]}]);
        let prompt = asked(dsx, &id, &format!("askjson {fruit}"));
        let question = &prompt["questions"][0];
        assert_eq!((&question["multiple"], &question["header"]), (&true.into(), &"Fruit".into()), "{prompt}");
        assert_eq!(question["options"][1]["description"], "sweet", "{prompt}");
        let shown = dsx.run(["prompts", &id]).stdout;
        assert!(shown.contains("(several)") && shown.contains("2 Fig, dried"), "{shown}");
        for wrong in [
            &["--choice", "1", "--choice", "Banana"][..],
            &["--choice", "4"],
            &["--choice", "0"],
            &["--choice", "1", "--choice", "1"],
            &["--answer", "2=Apple"],
            &["--allow"],
        ] {
            refused(dsx, &id, wrong);
        }
        let done = respond(dsx, &id, &["--choice", "apple", "--choice", "2"]);
        assert_eq!((&done["via"], &done["answer"]), (&"hook".into(), &"Apple, Fig, dried".into()), "{done}");
        assert!(ended(dsx, &id).contains("Apple, Fig, dried"));
        asked(dsx, &id, &format!("askjson {fruit}"));
        respond(dsx, &id, &["--choice", "3"]);
        assert!(ended(dsx, &id).contains("Plum"));
        asked(dsx, &id, &format!("askjson {fruit}"));
        respond(dsx, &id, &["--text", "none of\nthese: \"pear\""]);
        assert!(ended(dsx, &id).contains("none of\nthese: \"pear\""));
        asked(dsx, &id, &format!("askjson {fruit}"));
        respond(dsx, &id, &["--deny", "--message", "I am allergic"]);
        assert!(ended(dsx, &id).contains("I am allergic"));
    });
}

#[test]
fn several_questions_at_once_have_an_answer_each() {
    with_each_claude("several_questions_at_once_have_an_answer_each", |dsx, _| {
        let id = create(dsx, &[]);
        let three = json!([
            {"question": "Which colour?", "options": ["Red", "Blue"]},
            {"question": "Which fruit?", "multiSelect": true, "options": ["Apple", "Fig", "Plum"]},
            {"question": "Why?", "options": ["Because", "Why not"]},
        ]);
        let prompt = asked(dsx, &id, &format!("askjson {three}"));
        assert_eq!(prompt["questions"].as_array().unwrap().len(), 3, "{prompt}");
        assert!(refused(dsx, &id, &["--choice", "1"]).contains("number 2 has no answer"));
        assert!(refused(dsx, &id, &["--choice", "1", "--choice", "1"]).contains("number 3"));
        refused(dsx, &id, &["--choice", "1", "--choice", "1", "--choice", "1", "--choice", "1"]);
        refused(dsx, &id, &["--answer", "1=Red", "--answer", "1=Blue", "--choice", "1", "--choice", "2"]);
        refused(dsx, &id, &["--choice", "1", "--choice", "Red", "--choice", "1"]);
        refused(dsx, &id, &["--answer", "nonsense"]);
        let how = ["--answer", "2=Apple", "--answer", "2=Plum", "--choice", "blue", "--text", "I want it"];
        let done = respond(dsx, &id, &how);
        assert_eq!(done["answer"], "Blue · Apple, Plum · I want it", "{done}");
        let said = ended(dsx, &id);
        for part in ["\"Which colour?\"=\"Blue\"", "\"Which fruit?\"=\"Apple, Plum\"", "I want it"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // In their order.
        asked(dsx, &id, &format!("askjson {three}"));
        respond(dsx, &id, &["--choice", "1", "--choice", "2", "--choice", "Why not"]);
        let said = ended(dsx, &id);
        for part in ["Red", "Fig", "Why not"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    });
}
