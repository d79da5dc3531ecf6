//! What a session's creator lays down for it, and how sessions are selected by it.

use clap::Args;

use crate::duration::milliseconds;

#[derive(Debug, Args, Clone, Default)]
pub(crate) struct TermsArgs {
    /// A name that sessions have in common
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
    /// A name and a value to select it by; may be given several times
    #[arg(long = "label", value_name = "K=V", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// What becomes of the agent's prompts: they stay open (ask, the default), or dsx answers them
    #[arg(long, value_name = "WHAT", value_parser = ["ask", "deny", "allow"])]
    pub on_prompt: Option<String>,
    /// Let it answer its own and its creators' prompts; refused inside a session
    #[arg(long)]
    pub may_respond: bool,
    /// End and forget it after so long without a turn, a prompt or a viewer: 30s, 15m, 2h, 7d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
    pub ttl: Option<u64>,
}

/// Which sessions are meant, by what they have in common.
#[derive(Debug, Args, Clone, Default)]
pub(crate) struct SelectArgs {
    /// The sessions of this group
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
    /// The sessions with this label; several: with all of them
    #[arg(long = "label", value_name = "K=V", value_parser = label)]
    pub labels: Vec<(String, String)>,
}

impl SelectArgs {
    /// Whether anything is said.
    pub(crate) fn is_some(&self) -> bool {
        self.group.is_some() || !self.labels.is_empty()
    }
}

fn label(typed: &str) -> Result<(String, String), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match typed.split_once('=') {
        Some((name, value)) if !name.is_empty() && name.bytes().all(plain) => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("'{typed}' is no label: write NAME=VALUE, with a NAME of A-Z a-z 0-9 . _ -")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_plain_name() {
        let pair = |n: &str, v: &str| Ok((n.to_owned(), v.to_owned()));
        assert_eq!(label("a.B_c-9=x=y z"), pair("a.B_c-9", "x=y z"));
        assert_eq!(label("a="), pair("a", ""));
        for wrong in ["", "a", "=x", "a b=c", "é=c"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
