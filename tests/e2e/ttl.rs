//! Sessions that end by themselves when nobody uses them.

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::json;

use crate::job::{answer, create, dsx, eventually, pty, with_each_claude};

fn is_known(dsx: &Dsx<'_>, id: &str) -> bool {
    dsx.json(["list", "-a"]).as_array().unwrap().iter().any(|s| s["id"] == id)
}

#[test]
fn who_is_not_used_is_ended_and_forgotten() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (mortal, other) = (create(&dsx, &["--ttl", "2s", "--", "cat"]), create(&dsx, &["--", "cat"]));
    let pid =
        dsx.json(["list"]).as_array().unwrap().iter().find(|s| s["id"] == mortal.as_str()).unwrap()["pid"]
            .as_i64()
            .unwrap();
    // It ended, as who waits for it is told; or it is forgotten already.
    let waited = dsx.run(["wait", &mortal, "--until", "exited", "--timeout", "50"]);
    assert!(waited.code == 0 || waited.code == 3, "{waited:?}");
    eventually(&dsx, &other, || !is_known(&dsx, &mortal));
    dsx.run(["status", &mortal]).expect_code(3);
    let told = dsx.run(["events", &mortal, "--json"]).expect_code(0);
    let last: serde_json::Value = serde_json::from_str(told.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["by"]), (&json!("removed"), &json!("time-to-live")), "{told:?}");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(is_known(&dsx, &other));
}

#[test]
fn what_has_exited_is_forgotten_as_well() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (mortal, other) = (create(&dsx, &["--ttl", "2s", "--", "true"]), create(&dsx, &["--", "true"]));
    dsx.run(["wait", &other, "--until", "exited", "--timeout", "50"]).expect_code(0);
    // The next supervisor counts on.
    dsx.run(["supervisor", "restart"]).expect_code(0);
    eventually(&dsx, &other, || !is_known(&dsx, &mortal));
    assert!(is_known(&dsx, &other));
}

#[test]
fn a_turn_a_question_and_a_viewer_keep_a_session() {
    let home = Home::new();
    let dsx = dsx(&home);
    let mortal = || create(&dsx, &["--cli", "demo", "--ttl", "3s"]);
    let (works, asks, viewed) = (mortal(), mortal(), mortal());
    dsx.run(["send", &works, "slow 600 x"]).expect_code(0);
    dsx.run(["send", &asks, "ask Which? | A | B"]).expect_code(0);
    let viewer = pty(&dsx, &["attach", &viewed]);
    let unused = mortal();
    eventually(&dsx, &works, || !is_known(&dsx, &unused));
    // A second one, so that each of the others had twice its time.
    let unused = mortal();
    eventually(&dsx, &works, || !is_known(&dsx, &unused));
    for id in [&works, &asks, &viewed] {
        assert!(is_known(&dsx, id), "{id}");
    }
    viewer.write("\x1c");
    dsx.run(["keys", &asks, "1"]).expect_code(0);
    for id in [&asks, &viewed] {
        eventually(&dsx, &works, || !is_known(&dsx, id));
    }
    assert!(is_known(&dsx, &works));
}

#[test]
fn a_restart_does_not_make_it_immortal() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (mortal, other) = (create(&dsx, &["--ttl", "3s", "--", "cat"]), create(&dsx, &["--", "cat"]));
    dsx.run(["supervisor", "restart"]).expect_code(0);
    eventually(&dsx, &other, || !is_known(&dsx, &mortal));
    assert_eq!(dsx.json(["list", "-a"]).as_array().unwrap().len(), 1);
    assert_eq!(dsx.json(["list"])[0]["ttl_ms"], json!(null));
}

#[test]
fn a_resting_claude_is_not_used() {
    with_each_claude("a_resting_claude_is_not_used", |dsx, _| {
        let other = create(dsx, &["--", "cat"]);
        let mortal = create(dsx, &["--cli", "claude", "--ttl", "5s"]);
        answer(dsx, &mortal, "hello");
        let waited = dsx.run(["wait", &mortal, "--until", "exited", "--timeout", "50"]);
        assert!(waited.code == 0 || waited.code == 3, "{waited:?}");
        eventually(dsx, &other, || !is_known(dsx, &mortal));
    });
}
