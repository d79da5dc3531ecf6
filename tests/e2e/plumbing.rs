//! The command as a part of a pipeline: closed pipes, full devices, help, completions.

use dsx_tests::home::Home;
use nix::sys::signal::Signal;

use crate::job::{answer, create, dsx, fifo, heard, shell};

const VERBS: [&str; 23] = [
    "create",
    "send",
    "wait",
    "ask",
    "run",
    "last-message",
    "rename",
    "describe",
    "handoff",
    "install-skill",
    "status",
    "explain",
    "list",
    "screen",
    "keys",
    "interrupt",
    "logs",
    "events",
    "attach",
    "kill",
    "doctor",
    "completions",
    "supervisor",
];

#[test]
fn a_reader_that_has_gone_is_nobodys_concern() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    answer(&dsx, &id, "long 5000");
    let verbs = [
        "list".to_owned(),
        "list --json".to_owned(),
        format!("last-message {id}"),
        format!("logs {id}"),
        format!("logs --raw {id}"),
        format!("screen {id}"),
        format!("explain {id}"),
        format!("status {id}"),
        "--help".to_owned(),
        "completions bash".to_owned(),
    ];
    for verb in verbs {
        let said =
            shell(&dsx, &format!("set -o pipefail; $DSX {verb} | head -0; echo ${{PIPESTATUS[0]}}")).run();
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("0\n", ""), "{verb}");
    }
}

#[test]
fn output_that_is_lost_is_an_error() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    answer(&dsx, &id, "say hi");
    let verbs = [
        "list --json".to_owned(),
        "list".to_owned(),
        format!("last-message {id}"),
        format!("logs {id}"),
        format!("logs --raw {id}"),
        format!("screen {id}"),
        format!("screen --ansi {id}"),
        format!("explain {id}"),
        format!("status {id}"),
        format!("wait {id}"),
        format!("ask {id} 'say hi'"),
        "--help".to_owned(),
        "list --help".to_owned(),
        "--version".to_owned(),
        "completions zsh".to_owned(),
        "supervisor status".to_owned(),
    ];
    for verb in verbs {
        let said = shell(&dsx, &format!("$DSX {verb} > /dev/full")).run();
        assert_eq!(said.code, 1, "{verb}: {said:?}");
        assert!(said.stderr.contains("output cannot be written"), "{verb}: {said:?}");
    }
    // A full device for what is for people changes nothing.
    let said =
        shell(&dsx, &format!("$DSX send {id} 'say x' 2> /dev/full && $DSX wait {id} 2> /dev/full")).run();
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn closed_descriptors_are_no_catastrophe() {
    let home = Home::new();
    let dsx = dsx(&home);
    let said = shell(&dsx, "$DSX create -q -- cat <&- 2>&-; echo $?").run().expect_code(0);
    assert!(said.stdout.ends_with("-0\n") || said.stdout.ends_with("\n0\n"), "{said:?}");
    assert_eq!(dsx.json(["list"]).as_array().unwrap().len(), 1);
    shell(&dsx, "$DSX status @last <&- >/dev/null 2>&-").run().expect_code(0);
}

#[test]
fn every_verb_has_help() {
    let home = Home::new();
    let dsx = dsx(&home);
    for verb in VERBS {
        let help = dsx.run([verb, "--help"]).expect_code(0);
        assert!(help.stdout.contains("Usage: dsx ") && help.stderr.is_empty(), "{verb}: {help:?}");
        assert_eq!(dsx.run(["help", verb]).expect_code(0).stdout, help.stdout);
    }
    let help = dsx.run(["--help"]).expect_code(0).stdout;
    for verb in VERBS {
        assert!(help.lines().any(|l| l.trim_start().starts_with(verb)), "{verb} is not in the help");
    }
    assert!(help.contains("Exit codes"), "{help}");
    let version = dsx.run(["--version"]).expect_code(0).stdout;
    assert_eq!(version, format!("dsx {}\n", env!("CARGO_PKG_VERSION")));
    // None of it starts a supervisor.
    assert!(!home.dsx_home().exists());
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let home = Home::new();
    let dsx = dsx(&home);
    for (name, check) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish")] {
        let script = dsx.run(["completions", name]).expect_code(0).stdout;
        for verb in VERBS {
            assert!(script.contains(verb), "{name} does not complete {verb}");
        }
        for hidden in ["supervise\"", "demo-agent", "hook"] {
            assert!(!script.contains(&format!(" {hidden} ")), "{name} completes {hidden}");
        }
        if dsx_tests::on_path(check) {
            shell(&dsx, &format!("$DSX completions {name} > script && {check} -n script"))
                .run()
                .expect_code(0);
        }
    }
    shell(&dsx, "source <($DSX completions bash) && complete -p dsx").run().expect_code(0);
    assert!(!home.dsx_home().exists());
}

#[test]
fn ctrl_c_is_130_wherever_it_comes() {
    let home = Home::new();
    let dsx = dsx(&home);
    let bin = home.project().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("claude"), "#!/bin/sh\necho x > begun\nexec sleep 1000\n").unwrap();
    std::fs::set_permissions(bin.join("claude"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let begun = fifo(&home, "begun");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    for verb in [&["create"][..], &["run", "hi"], &["create", "--json"]] {
        let call = dsx.call(verb).env("PATH", &path).spawn();
        heard(&begun);
        call.signal(Signal::SIGINT);
        let told = call.wait().expect_code(130);
        assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("", ""), "{verb:?}");
    }
    // What they asked for goes on.
    let listed = dsx.json(["list"]);
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|s| s["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["starting"; 3]);
}
