//! The skills that teach agents to use dsx: where they go, what they never overwrite, and that what they say works.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use dsx_tests::agents::CLAUDE;
use dsx_tests::dsx::{Dsx, Output};
use dsx_tests::home::Home;
use nix::unistd::{Uid, chown, geteuid};
use serde_json::Value;

use crate::job::{answer, create, dsx, error, shell, with_claude};

const NAMES: [&str; 2] = ["dsx", "handoff"];

fn install(dsx: &Dsx<'_>, args: &[&str]) -> Output {
    dsx.run([&["install-skill"], args].concat())
}

fn file(root: &Path, name: &str) -> PathBuf {
    root.join("skills").join(name).join("SKILL.md")
}

/// All that is below a directory, with its content.
fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            all.extend(tree(&path));
        }
        all.push((path.clone(), if found.is_file() { fs::read(&path).unwrap() } else { Vec::new() }));
    }
    all.sort();
    all
}

#[test]
fn they_are_installed_once() {
    let home = Home::new();
    let dsx = dsx(&home);
    let (claude, agents) = (home.path().join(".claude"), home.path().join(".agents"));
    let before = tree(&home.path());
    let dry = install(&dsx, &["--global", "--claude", "--codex", "--dry-run"]).expect_code(0);
    assert_eq!(dry.stdout.matches("would install ").count(), 4, "{dry:?}");
    assert_eq!(tree(&home.path()), before);
    let told = install(&dsx, &["--global", "--claude", "--codex"]).expect_code(0);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{told:?}");
    for (at, (root, name)) in [(&claude, "dsx"), (&claude, "handoff"), (&agents, "dsx"), (&agents, "handoff")]
        .into_iter()
        .enumerate()
    {
        let path = file(root, name);
        assert_eq!(lines[at], format!("installed {}", path.display()));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&format!("---\nname: {name}\ndescription: ")), "{text}");
        assert!(text.contains("dsx-skill: \"1 "), "{text}");
        assert!(dry.stdout.contains(&text));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
    let after = tree(&home.path());
    let again = install(&dsx, &["--global", "--claude", "--codex"]).expect_code(0);
    assert_eq!(again.stdout.matches("up to date: ").count(), 4, "{again:?}");
    assert_eq!(tree(&home.path()), after);
    // Nothing of this needs a supervisor.
    dsx.run(["supervisor", "status"]).expect_code(8);
}

#[test]
fn the_agents_are_found() {
    let mut home = Home::new();
    let none = install(&dsx(&home), &["--local", "--json"]).expect_code(1);
    assert!(error(&none)["hint"].as_str().unwrap().contains("--claude"), "{none:?}");
    fs::create_dir(home.path().join(".codex")).unwrap();
    let sub = home.project().join("src");
    fs::create_dir_all(home.project().join(".git")).unwrap();
    fs::create_dir(&sub).unwrap();
    let told = dsx(&home).call(["install-skill", "--local", "--json"]).dir(&sub).run().expect_code(0);
    let told: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let project = home.project().canonicalize().unwrap().join(".agents");
    for (told, name) in told.iter().zip(NAMES) {
        assert_eq!(
            (&told["agent"], &told["skill"], &told["step"]),
            (&"codex".into(), &name.into(), &"install".into())
        );
        assert_eq!(told["path"], file(&project, name).to_str().unwrap());
        assert_eq!(told["changed"], true);
    }
    assert_eq!(told.len(), 2);
    // Claude's own directory may be elsewhere.
    let config = home.path().join("cfg");
    home.set("CLAUDE_CONFIG_DIR", &config);
    install(&dsx(&home), &["--global", "--claude"]).expect_code(0);
    assert!(file(&config, "dsx").is_file() && !home.path().join(".claude").exists());
    install(&dsx(&home), &[]).expect_code(2);
    install(&dsx(&home), &["--global", "--local"]).expect_code(2);
    home.unset("HOME").set("CLAUDE_CONFIG_DIR", "");
    install(&dsx(&home), &["--global", "--claude"]).expect_code(1);
}

#[test]
fn an_older_one_of_ours_is_replaced() {
    let home = Home::new();
    let dsx = dsx(&home);
    install(&dsx, &["--local", "--claude"]).expect_code(0);
    let path = file(&home.project().join(".claude"), "dsx");
    let new = fs::read_to_string(&path).unwrap();
    // As the first version might have been.
    let front = "---\nname: dsx\nmetadata:\n";
    let sum = fnv(&format!("{front}---\nOld.\n"));
    let old = |version| format!("{front}  dsx-skill: \"{version} {sum}\"\n---\nOld.\n");
    fs::write(&path, old(0)).unwrap();
    let told = install(&dsx, &["--local", "--claude"]).expect_code(0);
    assert!(told.stdout.starts_with("upgraded "), "{told:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), new);
    fs::write(&path, old(999)).unwrap();
    let told = install(&dsx, &["--local", "--claude"]).expect_code(0);
    assert!(told.stdout.contains("a newer dsx"), "{told:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), old(999));
    // One that was cut off has left something, and is done anew.
    fs::remove_file(&path).unwrap();
    fs::write(path.with_file_name(".SKILL.md.dsx-1"), "half").unwrap();
    install(&dsx, &["--local", "--claude"]).expect_code(0);
    assert_eq!(fs::read_to_string(&path).unwrap(), new);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

fn fnv(text: &str) -> String {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// Prepares something in the way of the project's skills; returns what has to be named.
type InTheWay = fn(&Path) -> PathBuf;

const IN_THE_WAY: [(&str, InTheWay); 9] = [
    ("a skill of the user's own", |skills| {
        fs::create_dir_all(skills.join("handoff")).unwrap();
        fs::write(skills.join("handoff/SKILL.md"), "---\nname: handoff\n---\nMine.\n").unwrap();
        skills.join("handoff/SKILL.md")
    }),
    ("a directory of that name", |skills| {
        fs::create_dir_all(skills.join("handoff")).unwrap();
        fs::write(skills.join("handoff/notes.txt"), "x").unwrap();
        skills.join("handoff")
    }),
    ("a file of that name", |skills| {
        fs::create_dir_all(skills).unwrap();
        fs::write(skills.join("handoff"), "x").unwrap();
        skills.join("handoff")
    }),
    ("a link of that name", |skills| {
        fs::create_dir_all(skills).unwrap();
        symlink("/tmp", skills.join("handoff")).unwrap();
        skills.join("handoff")
    }),
    ("a link in the place of the file", |skills| {
        fs::create_dir_all(skills.join("handoff")).unwrap();
        symlink("/etc/passwd", skills.join("handoff/SKILL.md")).unwrap();
        skills.join("handoff/SKILL.md")
    }),
    ("a pipe in the place of the file", |skills| {
        fs::create_dir_all(skills.join("handoff")).unwrap();
        let path = skills.join("handoff/SKILL.md");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    }),
    ("a link that leads outside", |skills| {
        let outside = skills.ancestors().nth(3).unwrap().join("outside");
        fs::create_dir_all(&outside).unwrap();
        fs::create_dir_all(skills.parent().unwrap()).unwrap();
        symlink(&outside, skills).unwrap();
        skills.to_owned()
    }),
    ("a link that leads up", |skills| {
        symlink("..", skills.parent().unwrap()).unwrap();
        skills.parent().unwrap().to_owned()
    }),
    ("a file on the way", |skills| {
        fs::write(skills.parent().unwrap(), "x").unwrap();
        skills.parent().unwrap().to_owned()
    }),
];

#[test]
fn what_is_not_ours_is_never_touched() {
    for (what, put) in IN_THE_WAY {
        let home = Home::new();
        let dsx = dsx(&home);
        let project = home.project().canonicalize().unwrap();
        let named = put(&project.join(".claude/skills"));
        let above = project.parent().unwrap();
        let before = tree(above);
        for dry in [&["--dry-run"][..], &[]] {
            let args = [&["--local", "--claude", "--codex", "--json"], dry].concat();
            let told = install(&dsx, &args);
            assert_eq!(told.code, 7, "{what}: {told:?}");
            let message = error(&told)["message"].as_str().unwrap().to_owned();
            assert!(message.contains(named.to_str().unwrap()), "{what}: {message}");
            assert_eq!(told.stdout, "", "{what}");
            assert!(tree(above) == before, "{what}: something was changed");
        }
    }
}

#[test]
fn what_was_changed_by_hand_stays() {
    let home = Home::new();
    let dsx = dsx(&home);
    install(&dsx, &["--local", "--codex"]).expect_code(0);
    let path = file(&home.project().join(".agents"), "handoff");
    let edited = fs::read_to_string(&path).unwrap() + "And say please.\n";
    fs::write(&path, &edited).unwrap();
    let told = install(&dsx, &["--local", "--codex", "--json"]).expect_code(7);
    assert!(error(&told)["message"].as_str().unwrap().contains("by hand"), "{told:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);
}

#[test]
fn what_is_not_ours_to_write_is_named() {
    let home = Home::new();
    let dsx = dsx(&home);
    let claude = home.project().join(".claude");
    fs::create_dir(&claude).unwrap();
    if geteuid().is_root() {
        chown(&claude, Some(Uid::from_raw(12_345)), None).unwrap();
    } else {
        fs::set_permissions(&claude, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let told = install(&dsx, &["--local", "--claude", "--json"]).expect_code(7);
    let message = error(&told)["message"].as_str().unwrap().to_owned();
    assert!(message.contains(claude.canonicalize().unwrap().to_str().unwrap()), "{message}");
    assert_eq!(fs::read_dir(&claude).unwrap().count(), 0);
    fs::set_permissions(&claude, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A fenced block of commands, and what the words behind `sh` say that it needs.
struct Block {
    needs: String,
    lines: Vec<String>,
}

/// The blocks of a skill as it is installed.
fn blocks(dsx: &Dsx<'_>, name: &str) -> Vec<Block> {
    install(dsx, &["--local", "--claude"]).expect_code(0);
    let text = fs::read_to_string(file(&dsx.home().project().join(".claude"), name)).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(fence) if !inside => {
                let needs = fence.strip_prefix("sh").unwrap_or_else(|| panic!("a block of '{fence}'"));
                blocks.push(Block { needs: needs.trim().to_owned(), lines: Vec::new() });
                inside = true;
            }
            Some(_) => inside = false,
            None if inside => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            None => {}
        }
    }
    assert!(!inside && !blocks.is_empty());
    blocks
}

impl Block {
    /// A script in which every command has to exit with 0, or with what its comment says.
    fn script(&self) -> String {
        let mut script =
            "set -u\ndsx() { \"$DSX\" \"$@\"; }\nset -eE\ntrap 'echo \"failed: $BASH_COMMAND\" >&2' ERR\n"
                .to_owned();
        for line in &self.lines {
            match line.split_once("# exits ") {
                Some((command, code)) => {
                    let code: u8 = code.trim().parse().unwrap();
                    let command = command.trim();
                    script += &format!("code=0; {command} || code=$?; [ $code = {code} ]\n");
                }
                None => script += &format!("{line}\n"),
            }
        }
        script
    }

    /// The sessions it talks about, as its words say.
    fn prepare(&self, dsx: &Dsx<'_>) -> Option<String> {
        let message = match self.needs.as_str() {
            "" => return None,
            "asking" => "ask Which colour? | Red | Blue",
            "running" => "slow 600 done",
            "inside" => "say done",
            other => panic!("nobody knows what '{other}' needs"),
        };
        let id = create(dsx, &["-d", "prepared"]);
        dsx.run(["send", &id, message]).expect_code(0);
        Some(id)
    }
}

/// Runs the blocks that belong together: what is set in one is there in the next.
fn run_blocks(name: &str) {
    let home = Home::new();
    let dsx = dsx(&home);
    let mut before = String::new();
    for block in blocks(&dsx, name) {
        let id = block.prepare(&dsx);
        let script = block.script();
        let ours = id.as_ref().map(|id| format!("sid={id}\n")).unwrap_or_default();
        let mut call = shell(&dsx, &format!("{before}{ours}{script}"));
        if let (Some(id), "inside") = (&id, block.needs.as_str()) {
            call = call.env("DSX_SESSION", id);
        }
        let told = call.run();
        assert_eq!(told.code, 0, "{script}\n{told:?}");
        if block.needs.is_empty() && !script.contains("dsx ") {
            before += &script;
        }
    }
}

#[test]
fn what_the_skill_on_dsx_says_works() {
    run_blocks("dsx");
}

#[test]
fn what_the_skill_on_handoff_says_works() {
    run_blocks("handoff");
}

#[test]
fn claude_finds_them() {
    with_claude(CLAUDE, "claude_finds_them", |dsx, server| {
        install(dsx, &["--local", "--claude"]).expect_code(0);
        let id = create(dsx, &["--cli", "claude"]);
        answer(dsx, &id, "hello");
        let asked = server.turn("hello").body.to_string();
        for name in NAMES {
            let listed = format!("- {name}: ");
            assert!(asked.contains(&listed), "the skill {name} is not listed");
        }
    });
}

/// The examples at the end of a verb's help.
fn examples(dsx: &Dsx<'_>, verb: &str) -> Vec<String> {
    let help = dsx.run([verb, "--help"]).expect_code(0).stdout;
    let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_default();
    examples.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn what_each_verbs_help_says_works() {
    let home = Home::new();
    let dsx = dsx(&home);
    let help = dsx.run(["--help"]).expect_code(0).stdout;
    let (_, verbs) = help.split_once("Usage: ").unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    fs::write(home.project().join("task.md"), "say {{session}}").unwrap();
    let mut run = 0;
    for verb in verbs.filter(|verb| verb.chars().all(|c| c.is_ascii_lowercase() || c == '-')) {
        for example in examples(&dsx, verb) {
            assert!(example.starts_with(&format!("dsx {verb}")), "{example}");
            // What needs a terminal of its own, never ends, or the demo agent's questions do not take.
            if verb == "attach" || example.contains("--follow") || example.contains("--allow") {
                continue;
            }
            create(&dsx, &["--group", "review"]);
            let last = create(&dsx, &["--label", "part=api", "--label", "task=auth"]);
            answer(&dsx, &last, "say ready");
            if verb == "respond" {
                dsx.run(["send", &last, "ask Which colour? | Red | Blue"]).expect_code(0);
                dsx.run(["wait", &last, "--timeout", "50"]).expect_code(4);
            }
            let block = Block { needs: String::new(), lines: vec![example.clone()] };
            let told = shell(&dsx, &block.script()).run();
            assert_eq!(told.code, 0, "{example}: {told:?}");
            dsx.run(["kill", "--all"]).expect_code(0);
            run += 1;
        }
    }
    assert!(run >= 20, "{run} examples in {help}");
}
