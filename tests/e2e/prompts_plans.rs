//! Plans of the real Claude: approved in each way, and sent back.

use dsx_tests::dsx::Dsx;

use crate::job::{answer, create, eventually, screen, with_each_claude};
use crate::prompts::{ask_mode, asked, ended, labels};
use crate::prompts_tools::hooks;

const PLAN: &str = "plan # The plan\n\n1. do a\n2. do b";

/// What the footer calls the agent's mode; 2.1.197 has no word for the first. Empty while none is drawn.
fn mode(dsx: &Dsx<'_>, id: &str) -> String {
    let shown = screen(dsx, id);
    let named = shown.lines().rfind(|line| line.trim_start().starts_with(['⏸', '⏵']));
    match named {
        Some(line) => line.split(" on").next().unwrap_or_default().trim().to_owned(),
        None if shown.contains("? for shortcuts") => "default".to_owned(),
        None => String::new(),
    }
}

/// Presses the key that goes through the agent's modes until it is in this one; each time after the last one
/// has had its effect.
fn into_mode(dsx: &Dsx<'_>, id: &str, wanted: &str) {
    // A key that is pressed before it is drawn has its effect one later.
    eventually(dsx, id, || !mode(dsx, id).is_empty());
    let mut before = mode(dsx, id);
    while !before.contains(wanted) {
        dsx.run(["keys", id, "BTab"]).expect_code(0);
        eventually(dsx, id, || {
            let now = mode(dsx, id);
            !now.is_empty() && now != before
        });
        before = mode(dsx, id);
    }
}

#[test]
fn a_plan_is_sent_back_and_approved() {
    with_each_claude("a_plan_is_sent_back_and_approved", |dsx, _| {
        let id = ask_mode(dsx);
        into_mode(dsx, &id, "plan mode");
        let prompt = asked(dsx, &id, PLAN);
        assert_eq!((&prompt["kind"], &prompt["tool"]), (&"plan".into(), &"ExitPlanMode".into()), "{prompt}");
        assert_eq!(prompt["command"], "# The plan\n\n1. do a\n2. do b", "{prompt}");
        let options = labels(dsx, &id);
        assert_eq!(options[1..], ["Yes, manually approve edits", "Tell Claude what to change"]);
        dsx.run(["respond", &id, "--choice", "3"]).expect_code(2);
        dsx.run(["respond", &id, "--choice", "4"]).expect_code(2);
        let done = dsx.json(["respond", &id, "--text", "and what about c?"]);
        assert_eq!(
            (&done["via"], &done["answer"]),
            (&"hook".into(), &"deny: and what about c?".into()),
            "{done}"
        );
        assert!(ended(dsx, &id).contains("and what about c?"));
        assert!(screen(dsx, &id).contains("plan mode on"));
        asked(dsx, &id, PLAN);
        dsx.run(["respond", &id, "--deny"]).expect_code(0);
        assert!(ended(dsx, &id).contains("did not approve"));
        // By hand from here on.
        asked(dsx, &id, PLAN);
        assert_eq!(dsx.json(["respond", &id, "--choice", "2"])["answer"], "Yes, manually approve edits");
        assert!(ended(dsx, &id).contains("approved your plan"));
        asked(dsx, &id, "tool bash touch after.txt");
        dsx.run(["respond", &id, "--deny"]).expect_code(0);
        ended(dsx, &id);
        into_mode(dsx, &id, "plan mode");
        asked(dsx, &id, PLAN);
        assert_eq!(dsx.json(["respond", &id, "--allow"])["via"], "hook");
        assert!(ended(dsx, &id).contains("approved your plan"));
        // Without a question where the agent finds nothing wrong.
        into_mode(dsx, &id, "plan mode");
        asked(dsx, &id, PLAN);
        let auto = "Yes, and use auto mode";
        assert_eq!(dsx.json(["respond", &id, "--choice", auto])["answer"], auto);
        assert!(ended(dsx, &id).contains("approved your plan"));
        eventually(dsx, &id, || screen(dsx, &id).contains("auto mode on"));
        eventually(dsx, &id, || hooks(dsx, &id).is_empty());
    });
}

#[test]
fn a_native_session_asks_for_nothing_more_after_its_plan() {
    with_each_claude("a_native_session_asks_for_nothing_more_after_its_plan", |dsx, _| {
        let id = create(dsx, &[]);
        for how in [&["--allow"][..], &["--choice", "1"]] {
            answer(dsx, &id, r#"tools [{"name":"EnterPlanMode","input":{}}]"#);
            // Longer than the screen.
            let plan = format!("{PLAN}\n{}", (3..60).map(|n| format!("{n}. step\n")).collect::<String>());
            let prompt = asked(dsx, &id, &plan);
            assert!(prompt["command"].as_str().unwrap().ends_with("59. step"), "{prompt}");
            let mut args = vec!["respond", &id];
            args.extend(how);
            dsx.run(args).expect_code(0);
            ended(dsx, &id);
            answer(dsx, &id, "tool bash touch after.txt");
            assert!(dsx.home().project().join("after.txt").exists());
            std::fs::remove_file(dsx.home().project().join("after.txt")).unwrap();
        }
    });
}
