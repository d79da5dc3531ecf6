//! Bad input: its exit code, a message that names the thing and the next step, and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use dsx_tests::dsx::{Dsx, Output};
use dsx_tests::home::Home;
use serde_json::json;

use crate::job::{create, dsx, error};

/// The call fails the same way with and without `--json`, says all of `names`, has a hint, and prints no data.
fn refused(dsx: &Dsx<'_>, args: &[&str], code: i32, names: &[&str]) -> Output {
    let plain = dsx.run(args).expect_code(code);
    assert_eq!(plain.stdout, "", "{args:?}");
    for name in names {
        assert!(plain.stderr.contains(name), "{args:?} does not say {name:?}: {plain:?}");
    }
    assert!(plain.stderr.contains("hint: ") || plain.stderr.contains("; "), "no next step: {plain:?}");
    let mut with_json = args.to_vec();
    with_json.insert(1, "--json");
    let as_json = dsx.run(&with_json).expect_code(code);
    let told = error(&as_json);
    assert_eq!(as_json.stderr.lines().count(), 1, "{as_json:?}");
    for name in names {
        assert!(told.to_string().contains(name), "{told} does not say {name:?}");
    }
    plain
}

fn file(home: &Home, name: &str, text: &[u8], mode: u32) -> String {
    let path = home.project().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_directory_or_program_that_cannot_be_used() {
    let home = Home::new();
    let dsx = dsx(&home);
    let plain = file(&home, "plain", b"text", 0o644);
    let garbage = file(&home, "garbage", b"\0no program", 0o755);
    let orphan = file(&home, "orphan", b"#!/no/such/interpreter\n", 0o755);
    let project = home.project();
    let project = project.to_str().unwrap();
    refused(&dsx, &["create", "--path", "/no/such/dir", "--", "sh"], 1, &["/no/such/dir", "--path"]);
    refused(&dsx, &["create", "--path", "missing", "--", "sh"], 1, &[&format!("{project}/missing")]);
    refused(&dsx, &["create", "--path", &plain, "--", "sh"], 1, &[&plain, "not a directory"]);
    refused(&dsx, &["create", "--path", &format!("{plain}/sub"), "--", "sh"], 1, &["sub"]);
    refused(&dsx, &["create", "--", "no-such-program"], 1, &["no-such-program", "PATH"]);
    refused(&dsx, &["create", "--", "./no-such-program"], 1, &["no-such-program"]);
    refused(&dsx, &["create", "--", &plain], 1, &[&plain, "not executable"]);
    refused(&dsx, &["create", "--", project], 1, &[project, "directory"]);
    refused(&dsx, &["create", "--", &garbage], 1, &[&garbage, "Exec format error"]);
    refused(&dsx, &["create", "--", &orphan], 1, &[&orphan, "interpreter"]);
    refused(&dsx, &["create", "--", ""], 1, &["PATH"]);
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
    let sessions = home.dsx_home().join("sessions");
    assert_eq!(fs::read_dir(sessions).unwrap().count(), 0, "a failed create left a directory");
}

#[test]
fn options_that_make_no_sense() {
    let home = Home::new();
    let dsx = dsx(&home);
    refused(&dsx, &["create", "--cli", "emacs"], 2, &["emacs", "--cli demo"]);
    refused(&dsx, &["create", "--cli", "demo", "--", "sh"], 2, &["--cli"]);
    refused(&dsx, &["create", "--mode", "yolo", "--", "sh"], 2, &["yolo", "--mode ask"]);
    refused(&dsx, &["create", "--env", "NOVALUE", "--", "sh"], 2, &["NOVALUE", "NAME=VALUE"]);
    refused(&dsx, &["create", "--env", "=x", "--", "sh"], 2, &["=x"]);
    for args in [
        &["create", "--cols", "no"][..],
        &["create", "--cols", "70000"],
        &["create", "--timeout", "never", "--", "sh"],
        &["frobnicate"],
        &["list", "--frobnicate"],
        &["status"],
        &["status", "a", "b"],
        &["keys", "a"],
        &["completions", "tcl"],
        &["supervisor"],
        &[],
    ] {
        let told = dsx.run(args).expect_code(2);
        assert_eq!(told.stdout, "", "{args:?}");
        assert!(told.stderr.contains("--help") || told.stderr.contains("Usage"), "{told:?}");
    }
    for args in [&["list", "--json", "--frobnicate"][..], &["wait", "--json"], &["kill", "--json"]] {
        let told = error(&dsx.run(args).expect_code(2));
        assert_eq!(told["kind"], "usage");
    }
    assert_eq!(dsx.json(["list", "-a"]), json!([]));
}

#[test]
fn a_message_that_cannot_be_sent() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    let latin = file(&home, "latin", b"caf\xe9", 0o644);
    for empty in ["", "  ", "\n\n"] {
        refused(&dsx, &["send", &id, empty], 2, &["empty", "--file"]);
    }
    for run in ["/clear", " /help me", "!ls", "exit", ":q"] {
        let told = refused(&dsx, &["send", &id, run], 2, &["--command"]);
        assert!(told.stderr.contains("would run"), "{told:?}");
    }
    refused(&dsx, &["send", &id], 2, &["no message"]);
    refused(&dsx, &["send", &id, "--file", "missing"], 1, &["missing"]);
    refused(&dsx, &["send", &id, "--file", home.project().to_str().unwrap()], 1, &["project"]);
    refused(&dsx, &["send", &id, "--file", &latin], 1, &[&latin, "UTF-8", "byte 3"]);
    let piped = dsx.call(["send", &id, "-"]).stdin(b"caf\xe9".to_vec()).run().expect_code(1);
    assert!(piped.stderr.contains("standard input") && piped.stderr.contains("UTF-8"), "{piped:?}");
    let huge = dsx.call(["send", &id, "-"]).stdin(vec![b'x'; 64 << 20]).run().expect_code(2);
    assert!(huge.stderr.contains("limit"), "{huge:?}");
    // None of it became a turn.
    assert_eq!(dsx.json(["wait", &id])["turn"], json!(null));
    assert_eq!(dsx.run(["ask", &id, "say first"]).expect_code(0).stdout, "first\n");
    assert_eq!(dsx.json(["list"])[0]["turn"], "t1");
}

#[test]
fn every_verb_with_an_unknown_id_is_3() {
    let home = Home::new();
    let dsx = dsx(&home);
    // No supervisor runs yet: an unknown id is 3 all the same.
    let verbs: [&[&str]; 12] = [
        &["status", "nobody-here"],
        &["explain", "nobody-here"],
        &["send", "nobody-here", "hi"],
        &["ask", "nobody-here", "hi"],
        &["wait", "nobody-here"],
        &["wait", "nobody-here", "--timeout", "0"],
        &["last-message", "nobody-here"],
        &["screen", "nobody-here"],
        &["keys", "nobody-here", "Enter"],
        &["interrupt", "nobody-here"],
        &["logs", "nobody-here"],
        &["kill", "nobody-here"],
    ];
    for args in verbs {
        refused(&dsx, args, 3, &["nobody-here", "dsx list"]);
    }
    dsx.run(["logs", "nobody-here", "--raw"]).expect_code(3);
    for word in ["@last", "@nobody"] {
        dsx.run(["status", word]).expect_code(3);
    }
    refused(&dsx, &["status", "@self"], 2, &["@self"]);
    refused(&dsx, &["status", ""], 2, &["empty"]);
}

#[test]
fn keys_that_are_none() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "cat"]);
    refused(&dsx, &["keys", &id, "C-nonsense"], 2, &["C-nonsense", "C-c"]);
    refused(&dsx, &["kill", &id, "--grace", "-3"], 2, &["grace"]);
    refused(&dsx, &["kill", &id, "--grace", "1e9"], 2, &["grace"]);
    dsx.run(["kill"]).expect_code(2);
    dsx.run(["kill", "--all", &id]).expect_code(2);
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "idle");
}

#[test]
fn a_state_directory_that_is_not_private_is_8() {
    let home = Home::new();
    let dsx = dsx(&home);
    let dir = home.dsx_home();
    let shown = dir.to_str().unwrap();
    fs::create_dir(&dir).unwrap();
    for mode in [0o755, 0o770, 0o701] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        refused(&dsx, &["list"], 8, &[shown, &format!("{mode:o}"), "chmod 700"]);
        refused(&dsx, &["status", "x"], 8, &[shown]);
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "something was written into it");
    fs::remove_dir(&dir).unwrap();
    fs::write(&dir, "a file").unwrap();
    refused(&dsx, &["list"], 8, &[shown, "not a directory"]);
    fs::remove_file(&dir).unwrap();
    std::os::unix::fs::symlink(home.project(), &dir).unwrap();
    refused(&dsx, &["list"], 8, &[shown, "links are not followed"]);
    fs::remove_file(&dir).unwrap();
    dsx.run(["list"]).expect_code(0);
}

#[test]
fn a_directory_of_another_user_is_8() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    let dsx = dsx(&home);
    let dir = home.dsx_home();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&dir, Some(12345), None).unwrap();
    refused(&dsx, &["list"], 8, &[dir.to_str().unwrap(), "12345"]);
    fs::remove_dir(&dir).unwrap();
}

#[test]
fn no_place_for_the_state_is_8() {
    let home = Home::new();
    let dsx = dsx(&home);
    let call = |key: &str, value: &str| dsx.call(["list"]).env(key, value).run().expect_code(8);
    let relative = call("DSX_HOME", "some/where");
    assert!(relative.stderr.contains("some/where") && relative.stderr.contains("DSX_HOME"), "{relative:?}");
    let mut nowhere = dsx.call(["list", "--json"]);
    nowhere.env.retain(|(name, _)| name != "HOME" && name != "DSX_HOME");
    let told = error(&nowhere.run().expect_code(8));
    assert!(told["message"].as_str().unwrap().contains("HOME"), "{told}");
}

#[test]
fn a_supervisor_that_does_not_run_is_8_where_none_is_started() {
    let home = Home::new();
    let dsx = dsx(&home);
    refused(&dsx, &["supervisor", "status"], 8, &["no dsx supervisor"]);
    dsx.run(["supervisor", "stop"]).expect_code(0);
    assert!(!home.dsx_home().exists());
    let id = create(&dsx, &["--", "cat"]);
    let status = dsx.json(["supervisor", "status"]);
    for field in ["pid", "keeper_pid", "version", "started_at", "sessions", "socket"] {
        assert!(!status[field].is_null(), "{status}");
    }
    refused(&dsx, &["supervisor", "stop"], 7, &[&id, "--kill"]);
    assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "idle");
    dsx.run(["supervisor", "stop", "--kill"]).expect_code(0);
    dsx.run(["supervisor", "status"]).expect_code(8);
}

#[test]
fn a_corrupt_database_is_kept_aside_and_said() {
    let home = Home::new();
    let dsx = dsx(&home);
    create(&dsx, &["--", "cat"]);
    dsx.run(["supervisor", "stop", "--kill"]).expect_code(0);
    let database = home.dsx_home().join("dsx.db");
    let damage = b"this is no database any more".repeat(200);
    for part in ["dsx.db-wal", "dsx.db-shm"] {
        let _ = fs::remove_file(home.dsx_home().join(part));
    }
    fs::write(&database, &damage).unwrap();
    let told = dsx.run(["list"]).expect_code(0);
    assert!(told.stderr.contains("damaged") && told.stderr.contains("dsx.db.corrupt-"), "{told:?}");
    let names = fs::read_dir(home.dsx_home()).unwrap().map(|e| e.unwrap().path());
    let aside = names.into_iter().find(|p| p.to_str().unwrap().contains(".corrupt-")).unwrap();
    assert_eq!(fs::read(aside).unwrap(), damage);
    let id = create(&dsx, &["--", "cat"]);
    assert_eq!(crate::job::answer(&dsx, &id, "works"), "works");
}
