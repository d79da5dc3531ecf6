//! From how a wait settled to an exit code.

use dsx_protocol::{ErrorKind, Prompt, Settled};

/// The exit code of one settled wait.
pub(crate) fn exit_code(settled: &Settled, until: Option<&str>) -> u8 {
    let kind = match (settled.outcome.as_str(), until) {
        ("waiting", Some("waiting")) | ("exited", Some("exited")) | ("ended", _) => return 0,
        ("waiting", _) => ErrorKind::Waiting,
        ("exited", _) => ErrorKind::Exited,
        ("timeout", _) => ErrorKind::Timeout,
        ("failed" | "interrupted" | "lost", _) => ErrorKind::Turn,
        _ => ErrorKind::Failed,
    };
    kind.exit_code()
}

/// One line about it, for people.
pub(crate) fn line(settled: &Settled) -> String {
    let mut line = format!("{} {}", settled.session, settled.outcome);
    if let Some(turn) = settled.turn {
        line.push_str(&format!(" {turn}"));
    }
    if let Some(code) = settled.exit_code {
        line.push_str(&format!(" exit code {code}"));
    }
    if let Some(error) = &settled.error {
        line.push_str(&format!(": {error}"));
    }
    if let Some(prompt) = &settled.prompt {
        line.push_str(&format!(": {}", asked(prompt)));
    }
    crate::output::sanitize::one_line(&line).into_owned()
}

/// Characters of a command in one line.
const COMMAND_MAX: usize = 160;

/// A prompt in one line: what is asked, what would be done, what can be answered.
fn asked(prompt: &Prompt) -> String {
    let mut line = format!("{} {}: {}", prompt.id, prompt.kind, prompt.text);
    if let Some(command) = &prompt.command {
        let shown: String = command.chars().take(COMMAND_MAX).collect();
        let more = if shown.len() < command.len() { "…" } else { "" };
        line.push_str(&format!(" {shown}{more}"));
    }
    if !prompt.options.is_empty() {
        let options: Vec<String> = prompt.options.iter().map(|o| format!("{} {}", o.n, o.label)).collect();
        line.push_str(&format!(" ({})", options.join(" · ")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let code = |outcome: &str, until| {
            exit_code(&Settled { outcome: outcome.to_owned(), ..Settled::default() }, until)
        };
        let codes =
            ["ended", "waiting", "failed", "interrupted", "lost", "exited", "timeout"].map(|o| code(o, None));
        assert_eq!(codes, [0, 4, 5, 5, 5, 6, 124]);
        assert_eq!(code("waiting", Some("waiting")), 0);
        assert_eq!(code("exited", Some("exited")), 0);
        assert_eq!(code("exited", Some("idle")), 6);
    }
}
