//! What `--help` shows beyond the options: the verbs in groups, and examples that the tests run.

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;

/// The verbs as people look for them; one that is in no group is shown last.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Hand over work", &["run", "ask", "send", "wait", "last-message", "interrupt", "handoff"]),
    ("Sessions", &["create", "list", "rename", "describe", "kill"]),
    ("Questions of agents", &["prompts", "respond"]),
    ("See what happens", &["status", "explain", "screen", "logs", "events", "attach", "keys"]),
    ("dsx itself", &["install-skill", "doctor", "supervisor", "completions", "help"]),
];

const EXAMPLES: [(&str, &str); 21] = [
    (
        "create",
        "dsx create -d \"fix the login test\"
dsx create --group review --label part=api --ttl 2h
dsx create --on-prompt deny -- bash",
    ),
    (
        "send",
        "dsx send @last \"Run the tests and fix what fails.\"
dsx send @last --file task.md
dsx send --group review \"Which of your findings matters most?\"",
    ),
    (
        "wait",
        "dsx wait @last --timeout 600
dsx wait --group review --any",
    ),
    ("ask", "dsx ask @last \"What did you change?\""),
    (
        "run",
        "dsx run \"Say in one sentence what this project does.\"
dsx run --on-prompt deny --timeout 600 --file task.md",
    ),
    (
        "last-message",
        "dsx last-message @last
dsx last-message @last -n 3 --json",
    ),
    (
        "list",
        "dsx list
dsx list -a --group review --json",
    ),
    (
        "kill",
        "dsx kill @last
dsx kill --group review
dsx kill --older-than 7d",
    ),
    ("rename", "dsx rename @last reviewer"),
    ("describe", "dsx describe @last \"waits for the release\""),
    (
        "handoff",
        "dsx handoff @last --to new --file task.md
dsx handoff @last --to new -d \"second half\" --file task.md --json",
    ),
    (
        "install-skill",
        "dsx install-skill --global --claude --dry-run
dsx install-skill --local --claude --codex",
    ),
    (
        "status",
        "dsx status @last
dsx status @last --json",
    ),
    (
        "prompts",
        "dsx prompts
dsx prompts @last --json",
    ),
    (
        "respond",
        "dsx respond @last --allow
dsx respond @last --deny --message \"Use the test database.\"
dsx respond @last --choice 2",
    ),
    (
        "events",
        "dsx events --json
dsx events @last --follow",
    ),
    ("logs", "dsx logs @last"),
    ("explain", "dsx explain @last"),
    ("screen", "dsx screen @last --history 100"),
    (
        "attach",
        "dsx attach @last
dsx attach @last --read-only --detach-keys C-]",
    ),
    (
        "keys",
        "dsx keys @last Escape
dsx keys @last hello Enter",
    ),
];

/// The command line as it was typed.
///
/// # Errors
/// What clap has to say, `--help` included.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut matches = command().try_get_matches()?;
    Cli::from_arg_matches_mut(&mut matches)
}

fn command() -> Command {
    let mut whole = Cli::command();
    let header = *whole.get_styles().get_header();
    let names: Vec<String> = whole.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for name in names {
        if let Some((_, examples)) = EXAMPLES.iter().find(|(verb, _)| *verb == name) {
            let indented: String = examples.lines().map(|line| format!("\n  {line}")).collect();
            whole = whole.mut_subcommand(name, |verb| {
                verb.after_help(format!("{header}Examples:{header:#}{indented}"))
            });
        }
    }
    let verbs = grouped(&whole);
    whole
        .help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{options}")
        .after_help(verbs)
}

/// The verbs with what they do, by group.
fn grouped(whole: &Command) -> String {
    let header = *whole.get_styles().get_header();
    let literal = *whole.get_styles().get_literal();
    let shown: Vec<&Command> = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let known = |verb: &&&Command| GROUPS.iter().any(|(_, names)| names.contains(&verb.get_name()));
    let others: Vec<&str> = shown.iter().filter(|verb| !known(verb)).map(|verb| verb.get_name()).collect();
    let width = shown.iter().map(|verb| verb.get_name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for (title, names) in GROUPS.iter().copied().chain([("More", others.as_slice())]) {
        let there: Vec<&&Command> =
            names.iter().filter_map(|name| shown.iter().find(|verb| verb.get_name() == *name)).collect();
        if there.is_empty() {
            continue;
        }
        text += &format!("{}{header}{title}:{header:#}", if text.is_empty() { "" } else { "\n\n" });
        for verb in there {
            let (name, about) = (verb.get_name(), verb.get_about().map(ToString::to_string));
            let gap = " ".repeat(width - name.len());
            text += &format!("\n  {literal}{name}{literal:#}{gap}  {}", about.unwrap_or_default());
        }
    }
    text + "\n\n'dsx VERB --help' says more, with examples."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_shown_once_and_examples_are_of_verbs() {
        command().debug_assert();
        let whole = Cli::command();
        let text = grouped(&whole);
        let plain = strip(&text);
        for verb in whole.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let line = format!("\n  {} ", verb.get_name());
            assert_eq!(plain.matches(&line).count(), 1, "{line} in {plain}");
        }
        for (name, _) in EXAMPLES {
            assert!(whole.find_subcommand(name).is_some(), "{name}");
        }
    }

    fn strip(text: &str) -> String {
        let mut plain = String::new();
        for part in text.split('\x1b') {
            plain +=
                if plain.is_empty() { part } else { part.split_once('m').map_or(part, |(_, rest)| rest) };
        }
        plain
    }
}
