//! `dsx doctor` on machines that lack one thing each. It must always come to an end, and never start anything.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dsx_tests::agents::{CLAUDE, install_or_skip};
use dsx_tests::dsx::{Call, Dsx};
use dsx_tests::home::Home;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::job::{create, dsx};

/// What one check said.
struct Said {
    state: String,
    found: String,
    advice: String,
}

struct Report {
    code: i32,
    json: Value,
}

impl Report {
    fn of(call: Call) -> Self {
        let said = call.run();
        let json = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {said:?}"));
        let report = Self { code: said.code, json };
        let problems = report.named().filter(|(_, said)| said.state == "problem").count();
        assert_eq!(report.json["problems"], problems);
        assert_eq!(report.code, i32::from(problems > 0), "{}", report.json);
        report
    }

    fn named(&self) -> impl Iterator<Item = (&str, Said)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.json["checks"].as_array().unwrap().iter().map(move |c| {
            let said =
                Said { state: text(&c["state"]), found: text(&c["found"]), advice: text(&c["advice"]) };
            (c["name"].as_str().unwrap(), said)
        })
    }

    #[track_caller]
    fn check(&self, name: &str) -> Said {
        let found = self.named().find(|(n, _)| *n == name);
        found.unwrap_or_else(|| panic!("no check {name} in {}", self.json)).1
    }

    /// The check has this state, and says and advises what contains these.
    #[track_caller]
    fn expect(&self, name: &str, state: &str, found: &str, advice: &str) {
        let said = self.check(name);
        assert_eq!(said.state, state, "{name}: {} ({})", said.found, said.advice);
        assert!(said.found.contains(found), "{name}: {}", said.found);
        assert!(said.advice.contains(advice), "{name}: {}", said.advice);
    }
}

fn examine(dsx: &Dsx<'_>) -> Report {
    Report::of(dsx.call(["doctor", "--json"]))
}

fn make_private(dir: &Path) {
    fs::create_dir(dir).unwrap();
    fs::set_permissions(dir, Permissions::from_mode(0o700)).unwrap();
}

/// A home with a program called `claude` on its PATH.
fn with_claude_script(script: &str) -> Home {
    let mut home = Home::new();
    let bin = home.project().join("bin");
    fs::create_dir(&bin).unwrap();
    // Written by a process that has ended: a file that any thread's child still holds open cannot be executed.
    let shell = Dsx::new(&home, "/bin/sh");
    let write = shell.call([
        "-c".as_ref(),
        "cat >\"$0\" && chmod 755 \"$0\"".as_ref(),
        bin.join("claude").as_os_str(),
    ]);
    write.stdin(script).run().expect_code(0);
    drop(shell);
    home.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    home
}

#[test]
fn a_fresh_home_is_healthy_and_stays_untouched() {
    let Some(agent) = install_or_skip(CLAUDE, "a_fresh_home_is_healthy_and_stays_untouched") else { return };
    let mut home = Home::new();
    home.add_agent(&agent);
    let dsx = dsx(&home);
    let report = examine(&dsx);
    assert_eq!(report.code, 0, "{}", report.json);
    report.expect("state_directory", "ok", "not there yet", "");
    report.expect("write", "ok", "was written", "");
    report.expect("database", "ok", "not there yet", "");
    report.expect("supervisor", "ok", "none runs", "");
    report.expect("claude", "ok", CLAUDE.version, "");
    report.expect("codex", "ok", "does not support it yet", "");
    report.expect("locale", "ok", "LANG is C.UTF-8", "");
    report.expect("kernel", "ok", "Linux", "");
    assert!(!home.dsx_home().exists(), "nothing is made by looking");
    let text = dsx.run(["doctor"]).expect_code(0);
    assert!(text.stdout.lines().any(|line| line.starts_with("ok       claude ")), "{}", text.stdout);
    assert!(text.stdout.lines().last().unwrap().starts_with("no problems, "), "{}", text.stdout);
}

#[test]
fn a_running_supervisor_is_named_and_one_that_hangs_is_a_problem() {
    let home = Home::new();
    let dsx = dsx(&home);
    create(&dsx, &["--cli", "demo"]);
    let status = dsx.json(["supervisor", "status"]);
    let pid = status["pid"].as_i64().unwrap();
    let report = examine(&dsx);
    report.expect("supervisor", "ok", &format!("process {pid} "), "");
    report.expect("supervisor", "ok", "serves 1 sessions", "");
    report.expect("database", "ok", "is sound", "");
    report.expect("state_directory", "ok", "yours alone", "");
    let supervisor = Pid::from_raw(i32::try_from(pid).unwrap());
    kill(supervisor, Signal::SIGSTOP).unwrap();
    let report = examine(&dsx);
    kill(supervisor, Signal::SIGCONT).unwrap();
    report.expect("supervisor", "problem", "did not answer", "supervisor.log");
    report.expect("supervisor", "problem", &format!("keeper {} holds", status["keeper_pid"]), "");
    assert_eq!(examine(&dsx).check("supervisor").state, "ok");
}

#[test]
fn an_open_directory_is_a_problem_with_its_chmod() {
    let home = Home::new();
    let dsx = dsx(&home);
    fs::create_dir(home.dsx_home()).unwrap();
    fs::set_permissions(home.dsx_home(), Permissions::from_mode(0o755)).unwrap();
    let report = examine(&dsx);
    assert_eq!(report.code, 1);
    report.expect(
        "state_directory",
        "problem",
        "mode 755",
        &format!("chmod 700 '{}'", home.dsx_home().display()),
    );
    // One cause is one problem.
    assert_eq!(report.json["problems"], 1, "{}", report.json);
    report.expect("supervisor", "warning", "not looked at", "");
    report.expect("database", "warning", "not looked at", "");
    // The advice, taken.
    let advice = report.check("state_directory").advice;
    Dsx::new(&home, "/bin/sh").run(["-c", &advice]).expect_code(0);
    assert_eq!(examine(&dsx).code, 0);
}

#[test]
fn a_link_in_the_place_of_the_directory_is_a_problem() {
    let home = Home::new();
    make_private(&home.project().join("real"));
    symlink(home.project().join("real"), home.dsx_home()).unwrap();
    let report = examine(&dsx(&home));
    report.expect("state_directory", "problem", "link", "move '");
    fs::remove_file(home.dsx_home()).unwrap();
}

#[test]
fn a_place_that_makes_no_sense_is_one_problem() {
    let mut home = Home::new();
    let dsx_home = home.dsx_home();
    home.set("DSX_HOME", "relative/path");
    let report = examine(&dsx(&home));
    report.expect("directories", "problem", "relative/path", "DSX_HOME");
    assert_eq!(report.json["problems"], 1);
    home.set("DSX_HOME", dsx_home);
}

#[test]
fn a_missing_claude_is_a_warning_with_the_line_to_install_it() {
    let report = examine(&dsx(&Home::new()));
    report.expect("claude", "warning", "not on the PATH", "npm install -g @anthropic-ai/claude-code");
    assert_eq!(report.code, 0);
}

#[test]
fn an_old_claude_is_a_warning() {
    let home = with_claude_script("#!/bin/sh\necho '2.0.14 (Claude Code)'\n");
    let report = examine(&dsx(&home));
    report.expect("claude", "warning", "2.0.14", "npm install -g @anthropic-ai/claude-code");
}

#[test]
fn a_claude_that_is_none_is_told_and_made_harmless() {
    let home = with_claude_script("#!/bin/sh\nprintf '\\033[31mevil\\033]0;title\\007\\n'\n");
    let dsx = dsx(&home);
    examine(&dsx).expect("claude", "warning", "instead of its version", "npm install");
    let text = dsx.run(["doctor"]).expect_code(0).stdout;
    assert!(text.contains("evil") && text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn a_claude_that_hangs_is_cut_off_with_all_it_started() {
    // Its child holds the output open, and would for ever.
    let home = with_claude_script("#!/bin/sh\necho $$ >\"$HOME/pid\"\nsleep 100000 &\nwait\n");
    let begun = Instant::now();
    let report = examine(&dsx(&home));
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    report.expect("claude", "warning", "did not end within", "--version");
    let group: i32 = fs::read_to_string(home.path().join("pid")).unwrap().trim().parse().unwrap();
    let left =
        fs::read_dir("/proc").unwrap().flatten().filter(|entry| in_group(&entry.path(), group)).count();
    assert_eq!(left, 0, "processes of group {group} are left");
}

fn in_group(proc: &Path, group: i32) -> bool {
    let Ok(stat) = fs::read_to_string(proc.join("stat")) else { return false };
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let mut fields = rest.split_whitespace();
    // Orphans that nobody has reaped yet are dead all the same.
    fields.next() != Some("Z") && fields.nth(1) == Some(&group.to_string())
}

#[test]
fn root_is_warned_that_claude_refuses_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: root_is_warned_that_claude_refuses_it (not root)");
        return;
    }
    let mut home = with_claude_script("#!/bin/sh\necho '2.1.328 (Claude Code)'\n");
    examine(&dsx(&home)).expect("claude_as_root", "ok", "IS_SANDBOX=1", "");
    home.unset("IS_SANDBOX");
    examine(&dsx(&home)).expect("claude_as_root", "warning", "refuses", "--mode ask");
}

/// A tiny file system of its own; unmounted when dropped.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(at: &Path) -> Result<Self, nix::errno::Errno> {
        fs::create_dir(at).unwrap();
        let flags = nix::mount::MsFlags::MS_NOSUID | nix::mount::MsFlags::MS_NODEV;
        let options = "size=128k,mode=0700";
        nix::mount::mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options))?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_is_a_problem_and_not_a_crash() {
    let home = Home::new();
    let tiny = match Tiny::mount(&home.dsx_home()) {
        Ok(tiny) => tiny,
        Err(errno) => {
            println!(
                "SKIPPED: a_full_disk_is_a_problem_and_not_a_crash (no file system can be mounted: {errno})"
            );
            return;
        }
    };
    let dsx = dsx(&home);
    let report = examine(&dsx);
    assert_eq!(report.code, 1);
    report.expect("space", "problem", "MB free", "free some");
    report.expect("write", "problem", "No space left", "full");
    assert_eq!(fs::read_dir(&tiny.0).unwrap().count(), 0, "the trial leaves nothing");
    drop(dsx);
    drop(tiny);
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_not_a_death() {
    let home = Home::new();
    make_private(&home.dsx_home());
    let program = env!("CARGO_BIN_EXE_dsx-under-test");
    let shell = Dsx::new(&home, "/bin/sh");
    let report = Report::of(shell.call(["-c", "ulimit -f 0; exec \"$0\" doctor --json", program]));
    report.expect("write", "problem", "File too large", "ulimit -f");
}

#[test]
fn few_open_files_are_a_warning() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_dsx-under-test");
    let shell = Dsx::new(&home, "/bin/sh");
    let report = Report::of(shell.call(["-c", "ulimit -S -n 64; exec \"$0\" doctor --json", program]));
    report.expect("open_files", "warning", "64 files", "ulimit -n");
}

#[test]
fn a_damaged_database_is_a_problem_before_it_is_set_aside() {
    let home = Home::new();
    make_private(&home.dsx_home());
    let database = home.dsx_home().join("dsx.db");
    fs::write(&database, "this is no database, and it is long enough to be read as one".repeat(100)).unwrap();
    let dsx = dsx(&home);
    let report = examine(&dsx);
    report.expect("database", "problem", "is damaged", "sets it aside");
    assert!(database.exists(), "looking changes nothing");
    // The supervisor begins anew, and what it set aside is told from then on.
    let list = dsx.run(["list"]).expect_code(0);
    assert!(list.stderr.contains("set aside"), "{list:?}");
    let report = examine(&dsx);
    report.expect("database", "ok", "is sound", "");
    report.expect("set_aside", "warning", "dsx.db.corrupt-", "delete");
    assert_eq!(report.code, 0);
}

#[test]
fn a_database_of_a_newer_dsx_is_left_alone() {
    let home = Home::new();
    make_private(&home.dsx_home());
    let database = home.dsx_home().join("dsx.db");
    let newer = rusqlite::Connection::open(&database).unwrap();
    newer.execute_batch("CREATE TABLE later (x); PRAGMA user_version = 99;").unwrap();
    newer.close().unwrap();
    let bytes = fs::read(&database).unwrap();
    let dsx = dsx(&home);
    examine(&dsx).expect("database", "problem", "version 99", "newer dsx");
    let refused = dsx.run(["list"]).expect_code(8);
    assert!(refused.stderr.contains("newer dsx"), "{refused:?}");
    assert!(fs::read(&database).unwrap() == bytes, "it was changed or set aside");
}
