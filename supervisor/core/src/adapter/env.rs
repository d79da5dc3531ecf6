//! The environment a session gets: its creator's, without what belongs to somebody else.

/// Variables an outer agent leaves for its own tools. `CLAUDE_CODE_CHILD_SESSION` alone would silence the new
/// agent's transcript.
const AGENT: &[&str] = &[
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_DISABLE_TERMINAL_TITLE",
    "CLAUDE_EFFORT",
    "CLAUDE_PID",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_THREAD_ID",
    // Of the session this one is created in, which may be in another group.
    "DSX_GROUP",
];

/// Variables that describe the terminal of the caller, which is not the session's.
const TERMINAL: &[&str] = &[
    "COLUMNS",
    "LINES",
    "STY",
    "TERMCAP",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID",
    "TMUX",
    "TMUX_PANE",
    "WINDOWID",
    "ZELLIJ",
    "ZELLIJ_PANE_ID",
    "ZELLIJ_SESSION_NAME",
    "KITTY_WINDOW_ID",
    "ITERM_SESSION_ID",
    "WEZTERM_PANE",
    "VTE_VERSION",
    "NO_COLOR",
];

/// The session's environment out of its creator's. `add` wins over everything.
#[must_use]
pub fn clean_env(env: &[(Vec<u8>, Vec<u8>)], add: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let own = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor")];
    let replaced = |name: &[u8]| own.iter().chain(add).any(|(n, _)| n.as_bytes() == name);
    let mut clean: Vec<(Vec<u8>, Vec<u8>)> =
        env.iter().filter(|(name, _)| !is_foreign(name) && !replaced(name)).cloned().collect();
    clean.extend(own.iter().chain(add).map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())));
    clean
}

fn is_foreign(name: &[u8]) -> bool {
    let listed = |list: &[&str]| list.iter().any(|n| n.as_bytes() == name);
    name.is_empty()
        || name.contains(&b'=')
        || name.starts_with(b"LD_")
        || name.starts_with(b"DYLD_")
        || listed(AGENT)
        || listed(TERMINAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_an_outer_agent_or_terminal_is_left_out() {
        let env = |pairs: &[(&str, &str)]| -> Vec<(Vec<u8>, Vec<u8>)> {
            pairs.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect()
        };
        let before = env(&[
            ("HOME", "/h"),
            ("CLAUDE_CODE_CHILD_SESSION", "1"),
            ("TMUX", "x"),
            ("LD_PRELOAD", "evil.so"),
            ("TERM", "dumb"),
            ("DSX_SESSION", "outer"),
            ("ANTHROPIC_BASE_URL", "kept"),
        ]);
        let after = clean_env(&before, &[("DSX_SESSION", "inner")]);
        let expected = env(&[
            ("HOME", "/h"),
            ("ANTHROPIC_BASE_URL", "kept"),
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("DSX_SESSION", "inner"),
        ]);
        assert_eq!(after, expected);
    }
}
