//! How many sessions, how deep, and who may drive which.

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::json;

use crate::job::{answer, create, dsx, error, fifo, heard};

/// A shell session, in whose commands `$DSX` is the product.
fn shell(dsx: &Dsx<'_>) -> String {
    let program = format!("DSX={}", dsx.program().display());
    create(
        dsx,
        &["--env", &program, "--env", "PS1=$ ", "--cols", "400", "--", "bash", "--norc", "--noprofile"],
    )
}

/// Starts a shell session from inside another and returns its id.
fn nested(dsx: &Dsx<'_>, inside: &str) -> String {
    answer(dsx, inside, "$DSX create -q -- bash --norc --noprofile")
}

#[test]
fn the_eleventh_live_session_is_refused() {
    let home = Home::new();
    let dsx = dsx(&home);
    let ids: Vec<String> = (0..10).map(|_| create(&dsx, &["--", "cat"])).collect();
    for _ in 0..2 {
        let refused = dsx.run(["create", "--json", "--", "cat"]).expect_code(7);
        let told = error(&refused);
        assert_eq!(told["kind"], "refused");
        assert!(told["message"].as_str().unwrap().contains("limit is 10"), "{told}");
        let hint = told["hint"].as_str().unwrap();
        assert!(hint.contains("dsx kill") && hint.contains("DSX_MAX_SESSIONS_PER_CREATOR"), "{told}");
    }
    dsx.run(["run", "hi"]).expect_code(7);
    // It is the supervisor's limit, never the calling client's.
    let call = dsx.call(["create", "--", "cat"]).env("DSX_MAX_SESSIONS_PER_CREATOR", "99");
    call.run().expect_code(7);
    assert_eq!(dsx.json(["list", "-a"]).as_array().unwrap().len(), 10);
    // One that has exited is live no more.
    dsx.run(["keys", &ids[0], "C-d"]).expect_code(0);
    dsx.run(["wait", &ids[0], "--until", "exited"]).expect_code(0);
    create(&dsx, &["--", "cat"]);
    dsx.run(["create", "--", "cat"]).expect_code(7);
    dsx.run(["kill", &ids[1]]).expect_code(0);
    create(&dsx, &["--", "cat"]);
}

#[test]
fn the_limit_is_the_supervisors_own() {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", "2");
    let dsx = dsx(&home);
    create(&dsx, &["--", "cat"]);
    create(&dsx, &["--", "cat"]);
    let refused = dsx.run(["create", "--", "cat"]).expect_code(7);
    assert!(refused.stderr.contains("limit is 2"), "{refused:?}");
    // The one who starts the next supervisor sets it anew.
    dsx.run(["supervisor", "stop", "--kill"]).expect_code(0);
    for _ in 0..3 {
        dsx.call(["create", "-q", "--", "cat"]).env("DSX_MAX_SESSIONS_PER_CREATOR", "3").run().expect_code(0);
    }
    dsx.run(["create", "--", "cat"]).expect_code(7);
}

#[test]
fn a_nested_session_knows_its_creator() {
    let home = Home::new();
    let dsx = dsx(&home);
    let outer = shell(&dsx);
    let inner = nested(&dsx, &outer);
    let all = dsx.json(["list"]);
    let creator =
        |id: &str| all.as_array().unwrap().iter().find(|s| s["id"] == id).unwrap()["creator"].clone();
    assert_eq!((creator(&outer), creator(&inner)), (json!("user"), json!(outer)));
    assert_eq!(answer(&dsx, &outer, "$DSX status @last"), "idle");
    assert_eq!(answer(&dsx, &outer, "$DSX status @self"), "working");
    assert_eq!(answer(&dsx, &outer, "echo $DSX_SESSION"), outer);
    assert_eq!(answer(&dsx, &inner, "echo $DSX_SESSION"), inner);
    // A session sees itself and what it created, the user sees all.
    let seen = answer(&dsx, &outer, "$DSX list --json | tr , '\\n' | grep -c '\"id\"'");
    assert_eq!(seen, "2");
    assert_eq!(answer(&dsx, &inner, "$DSX list --json | tr , '\\n' | grep -c '\"id\"'"), "1");
    assert_eq!(answer(&dsx, &outer, &format!("$DSX ask {inner} 'echo from inside'")), "from inside");
}

#[test]
fn a_session_may_not_drive_what_it_did_not_create() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (one, other) = (shell(&dsx), shell(&dsx));
    let child = nested(&dsx, &one);
    for verb in ["status", "screen", "interrupt", "logs", "kill", "last-message", "explain", "wait"] {
        let told = answer(&dsx, &other, &format!("$DSX {verb} {one} 2>/dev/null; echo code $?"));
        assert_eq!(told, "code 7", "{verb}");
    }
    for verb in [
        format!("send {one} hi"),
        format!("keys {one} C-c"),
        format!("status {child}"),
        "supervisor stop --kill".to_owned(),
    ] {
        let told = answer(&dsx, &other, &format!("$DSX {verb} 2>/dev/null; echo code $?"));
        assert_eq!(told, "code 7", "{verb}");
    }
    // Neither does a child drive its parent; a process that was cut loose is still known by its session.
    let up = answer(&dsx, &child, &format!("{} status {one}; echo code $?", dsx.program().display()));
    assert!(up.ends_with("code 7") && up.contains(&one), "{up}");
    let heard_at = fifo(&home, "loose");
    let loose =
        format!("(setsid sh -c '$DSX status {one} 2>/dev/null; echo code $? >loose' >/dev/null 2>&1 &)");
    dsx.run(["send", &other, &loose]).expect_code(0);
    assert_eq!(heard(&heard_at), "code 7\n");
    assert_eq!(dsx.run(["status", &one]).expect_code(0).line(), "idle");
}

#[test]
fn the_fourth_level_is_too_deep() {
    let home = Home::new();
    let dsx = dsx(&home);
    let mut ids = vec![shell(&dsx)];
    for depth in 1..=3 {
        ids.push(answer(
            &dsx,
            &ids[depth - 1],
            &format!("{} create -q -- bash --norc", dsx.program().display()),
        ));
    }
    let told = answer(&dsx, &ids[3], &format!("{} create -q -- bash; echo code $?", dsx.program().display()));
    assert!(told.ends_with("code 7") && told.contains("3 deep"), "{told}");
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 4);
    // The first of the line may drive the last.
    assert_eq!(answer(&dsx, &ids[0], &format!("$DSX status {}", ids[3])), "idle");
}

#[test]
fn each_creator_has_a_limit_of_its_own() {
    let mut home = Home::new();
    home.set("DSX_MAX_SESSIONS_PER_CREATOR", "2");
    let dsx = dsx(&home);
    let outer = shell(&dsx);
    for _ in 0..2 {
        nested(&dsx, &outer);
    }
    let told = answer(&dsx, &outer, "$DSX create -- cat; echo code $?");
    assert!(told.ends_with("code 7") && told.contains("limit is 2") && told.contains(&outer), "{told}");
    create(&dsx, &["--", "cat"]);
    dsx.run(["create", "--", "cat"]).expect_code(7);
}
