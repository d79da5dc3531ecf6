//! `dsx prompts`

use dsx_protocol::{OpenPrompts, Prompt, PromptOption, Prompts, Reply, Request};

use super::{Outcome, note, print, print_line, session, unexpected};
use crate::cli::PromptsArgs;
use crate::client::Client;
use crate::json;
use crate::output::sanitize::{multi_line, one_line};

pub(super) fn run(args: &PromptsArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = args.id.as_ref().map(|id| session(&mut client, id)).transpose()?;
    let OpenPrompts { prompts } = match client.call(&Request::Prompts(Prompts { session }))? {
        Reply::Prompts(prompts) => prompts,
        other => return Err(unexpected(&other)),
    };
    if args.json {
        let all: serde_json::Value = prompts.iter().map(|p| json::prompt(Some(p))).collect();
        print_line(&all)?;
    } else if prompts.is_empty() {
        note("no agent asks anything");
    } else {
        let texts: Vec<String> = prompts.iter().map(as_text).collect();
        print(&texts.join("\n"))?;
    }
    Ok(0)
}

/// Which session asks what, what it would do, and the options by number.
fn as_text(prompt: &Prompt) -> String {
    let turn = prompt.turn.map(|t| format!(" {t}")).unwrap_or_default();
    let mut text = format!("{} {}{turn} {}: {}\n", prompt.session, prompt.id, prompt.kind, prompt.text);
    text = format!("{}\n", one_line(text.trim_end()));
    let block = |body: &str| multi_line(body).lines().map(|l| format!("    {l}\n")).collect::<String>();
    match (&prompt.diff, &prompt.command) {
        (Some(diff), _) => text.push_str(&block(diff)),
        (None, Some(command)) => text.push_str(&block(command)),
        (None, None) => {}
    }
    if prompt.questions.len() > 1 || prompt.questions.iter().any(|q| q.multiple) {
        for question in &prompt.questions {
            let several = if question.multiple { " (several)" } else { "" };
            text.push_str(&format!("  question {}{several}: {}\n", question.n, one_line(&question.text)));
            text.push_str(&options(&question.options));
        }
    } else {
        text.push_str(&options(&prompt.options));
    }
    text
}

fn options(options: &[PromptOption]) -> String {
    let line = |o: &PromptOption| match &o.description {
        Some(description) => format!("  {} {} \u{2013} {}\n", o.n, one_line(&o.label), one_line(description)),
        None => format!("  {} {}\n", o.n, one_line(&o.label)),
    };
    options.iter().map(line).collect()
}
