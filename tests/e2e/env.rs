//! What a session is started with: directory, program, environment, size, names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::json;

use crate::job::{answer, create, dsx};

/// What a program printed that has ended.
fn printed(dsx: &Dsx<'_>, id: &str) -> String {
    dsx.run(["wait", id, "--until", "exited"]).expect_code(0);
    dsx.run(["screen", id]).expect_code(0).stdout
}

#[test]
fn the_environment_is_the_creators_cleaned() {
    let mut home = Home::new();
    let outer = [
        "TMUX",
        "TMUX_PANE",
        "STY",
        "LD_PRELOAD_NOT",
        "CLAUDECODE",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_SESSION_ID",
        "COLUMNS",
        "LINES",
        "DSX_SESSION",
    ];
    for name in outer {
        home.set(name, "outer");
    }
    home.set("LD_LIBRARY_PATH", "/nowhere").set("TERM", "dumb").set("COLORTERM", "none");
    home.set("KEPT", "kept  as is").set("CLAUDE_CONFIG_DIR", "/kept");
    let dsx = dsx(&home);
    // The supervisor is started by another environment than the session is created from.
    dsx.call(["list"]).env("KEPT", "stale").env("STALE", "1").run().expect_code(0);
    let id = create(&dsx, &["--rows", "100", "--env", "ADDED=a=b", "--env", "KEPT2=", "--", "env"]);
    let text = printed(&dsx, &id);
    let has = |line: &str| text.lines().any(|l| l == line);
    for name in outer.iter().filter(|n| **n != "LD_PRELOAD_NOT" && **n != "DSX_SESSION") {
        assert!(!text.lines().any(|l| l.starts_with(&format!("{name}="))), "{name} is left: {text}");
    }
    assert!(
        !text.contains("LD_LIBRARY_PATH") && !text.contains("LD_PRELOAD_NOT") && !has("STALE=1"),
        "{text}"
    );
    for line in ["TERM=xterm-256color", "COLORTERM=truecolor", "KEPT=kept  as is", "ADDED=a=b", "KEPT2="] {
        assert!(has(line), "{line} is missing: {text}");
    }
    assert!(has("CLAUDE_CONFIG_DIR=/kept") && has(&format!("DSX_SESSION={id}")), "{text}");
    let socket = dsx.json(["supervisor", "status"])["socket"].as_str().unwrap().to_owned();
    assert!(has(&format!("DSX_SOCKET={socket}")), "{text}");
}

#[test]
fn a_given_variable_wins_over_the_inherited_one() {
    let mut home = Home::new();
    home.set("GIVEN", "inherited");
    let dsx = dsx(&home);
    let id = create(
        &dsx,
        &["--env", "GIVEN=one", "--env", "GIVEN=two", "--", "sh", "-c", "env | grep -c GIVEN; echo $GIVEN"],
    );
    assert_eq!(printed(&dsx, &id), "1\ntwo\n");
}

#[test]
fn the_program_is_found_by_the_callers_path_in_the_sessions_directory() {
    let home = Home::new();
    let dsx = dsx(&home);
    let bin = home.project().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("tool"), "#!/bin/sh\necho \"$0 in $(pwd) with $*\"\n").unwrap();
    fs::set_permissions(bin.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let project = home.project();
    let project = project.display();
    dsx.run(["create", "--", "tool"]).expect_code(1);
    let by_path =
        dsx.call(["create", "-q", "--", "tool", "a b", "-c"]).env("PATH", &*bin).run().expect_code(0);
    assert_eq!(printed(&dsx, by_path.line()), format!("{project}/bin/tool in {project} with a b -c\n"));
    let relative = create(&dsx, &["--", "bin/tool"]);
    assert!(printed(&dsx, &relative).contains(&format!("in {project}")));
    let inside = create(&dsx, &["--path", "bin", "--", "./tool"]);
    assert!(printed(&dsx, &inside).contains(&format!("in {project}/bin")));
    let listed = dsx.json(["list", "-a"]);
    let one = listed.as_array().unwrap().iter().find(|s| s["id"] == inside.as_str()).unwrap().clone();
    assert_eq!(one["path"], format!("{project}/bin"));
}

#[test]
fn the_terminal_has_the_size_it_was_given() {
    let home = Home::new();
    let dsx = dsx(&home);
    let size = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--", "stty", "size"]);
        printed(&dsx, &create(&dsx, &all))
    };
    assert_eq!(size(&[]), "40 120\n");
    assert_eq!(size(&["--cols", "77", "--rows", "11"]), "11 77\n");
    assert_eq!(size(&["--cols", "200"]), "40 200\n");
    let id = create(&dsx, &["--cols", "77", "--rows", "11", "--", "cat"]);
    let screen = dsx.json(["screen", &id]);
    assert_eq!((&screen["rows"], &screen["cols"]), (&json!(11), &json!(77)));
    assert_eq!(screen["lines"].as_array().unwrap().len(), 11);
}

#[test]
fn what_create_says() {
    let home = Home::new();
    let dsx = dsx(&home);
    let args = ["create", "--cli", "demo", "-d", "what it is for", "--group", "team", "--mode", "ask"];
    let made = dsx.json(args);
    let id = made["id"].as_str().unwrap();
    let expected = json!({
        "id": id, "cli": "demo", "path": home.project(), "mode": "ask", "status": "idle", "pid": made["pid"],
        "created_at": made["created_at"], "creator": "user", "group": "team", "description": "what it is for",
        "name": null, "labels": {}, "on_prompt": "ask", "may_respond": false, "ttl_ms": null, "from": null,
    });
    assert_eq!(made, expected);
    assert!(made["pid"].as_u64().is_some() && made["created_at"].as_str().unwrap().ends_with('Z'), "{made}");
    let mut listed = dsx.json(["list"])[0].clone();
    for field in ["turn", "prompts", "viewers", "last_used"] {
        assert!(listed.as_object_mut().unwrap().remove(field).is_some(), "{field} is missing");
    }
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&listed[field], value);
    }
    let quiet = dsx.run(["create", "-q", "--", "cat"]).expect_code(0);
    assert_eq!((quiet.stdout.lines().count(), quiet.stderr.as_str()), (1, ""));
    let said = dsx.run(["create", "--", "cat"]).expect_code(0);
    assert_eq!(said.stdout.lines().count(), 1);
    assert!(said.stderr.contains("command in"), "{said:?}");
}

/// `sid=$(dsx create -q)` returns although the session and its processes live on.
#[test]
fn a_shell_can_catch_the_id() {
    let home = Home::new();
    let dsx = dsx(&home);
    let job = "sid=$($DSX create -q --cli demo) && $DSX send $sid 'say caught' >/dev/null && $DSX wait $sid && \
               $DSX last-message $sid";
    let said = crate::job::shell(&dsx, job).run().expect_code(0);
    let mut lines = said.stdout.lines();
    assert!(lines.next().unwrap().ends_with("ended t1"), "{said:?}");
    assert_eq!(lines.next(), Some("caught"));
}

#[test]
fn a_directory_that_is_no_utf_8_works() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = Home::new();
    let dsx = dsx(&home);
    let dir = home.project().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&dir).unwrap();
    let id =
        dsx.call(["create", "-q", "--", "bash", "--norc"]).dir(&dir).run().expect_code(0).line().to_owned();
    assert_eq!(answer(&dsx, &id, "pwd | od -An -c | grep -c 351"), "1");
    dsx.run(["list"]).expect_code(0);
}
