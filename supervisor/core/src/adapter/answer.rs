//! What somebody answers to a prompt, checked against what was asked, and the way it goes to the agent.

use dsx_protocol::{Answer, ErrorKind, Prompt, PromptOption, Respond, WireError};

use super::{Script, claude_answer, key, message};
use crate::spec::Cli;

/// An answer that fits its prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    Allow,
    Deny {
        message: Option<String>,
    },
    /// An option of a dialog that is neither of the two, by its label.
    Option(String),
    /// For each question, in order: the labels chosen, or words of one's own.
    Questions(Vec<Said>),
}

/// The answer to one question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub labels: Vec<String>,
    pub text: Option<String>,
}

/// How an answer goes to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// What the waiting hook is to print.
    Hook(String),
    /// Typed at once.
    Keys(Script),
    /// The option with this label, once the pointer is seen on it.
    Pick(String),
}

impl Said {
    fn words(&self) -> String {
        self.text.clone().unwrap_or_else(|| self.labels.join(", "))
    }
}

impl Answered {
    /// In the words of the dialog.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Allow => "allow".to_owned(),
            Self::Deny { message: Some(message) } => format!("deny: {message}"),
            Self::Deny { message: None } => "deny".to_owned(),
            Self::Option(label) => label.clone(),
            Self::Questions(said) => said.iter().map(Said::words).collect::<Vec<_>>().join(" · "),
        }
    }

    /// What a session answers whose prompts nobody is there for. A question cannot be allowed: its answer is
    /// nobody's to make up, and the agent is told to decide for itself.
    #[must_use]
    pub fn unattended(prompt: &Prompt, allow: bool) -> Self {
        let message = match (prompt.kind.as_str(), allow) {
            ("question", _) => "Nobody is here to answer. Decide for yourself and go on.",
            (_, true) => return Self::Allow,
            ("plan", false) => "Plans are not approved here: nobody is here to do so.",
            (_, false) => "Denied: nobody is here to allow it. Go on without it.",
        };
        Self::Deny { message: Some(message.to_owned()) }
    }
}

fn usage(what: String, hint: &str) -> WireError {
    WireError::new(ErrorKind::Usage, what).hint(hint)
}

/// What a respond means for this prompt.
pub(crate) fn resolve(prompt: &Prompt, respond: &Respond) -> Result<Answered, WireError> {
    let id = &prompt.id;
    if respond.answers.iter().any(|a| a.text.as_deref().is_some_and(|text| text.trim().is_empty())) {
        return Err(usage(format!("the answer to prompt {id} is empty"), "give words, or --deny"));
    }
    match (respond.allow, respond.deny, respond.answers.as_slice()) {
        (true, false, []) if prompt.kind == "question" => Err(usage(
            format!("prompt {id} is a question, which cannot be allowed"),
            "answer it: --choice N|LABEL, or --text T",
        )),
        (true, false, []) => Ok(Answered::Allow),
        (false, true, []) => Ok(Answered::Deny { message: respond.message.clone() }),
        (false, false, [_, ..]) if prompt.kind == "question" => questions(prompt, &respond.answers),
        (false, false, [answer]) => one(prompt, answer),
        (false, false, [_, _, ..]) => {
            Err(usage(format!("prompt {id} takes one answer"), "give one --choice or one --text"))
        }
        _ => Err(usage(
            format!("prompt {id} was given no answer, or several that contradict each other"),
            "give one of --allow, --deny, --choice and --text",
        )),
    }
}

/// An answer to a dialog that is no question: an option, or words.
fn one(prompt: &Prompt, answer: &Answer) -> Result<Answered, WireError> {
    let id = &prompt.id;
    match (answer.choices.as_slice(), &answer.text) {
        ([choice], None) => {
            let label =
                option(&prompt.options, choice).ok_or_else(|| not_offered(id, choice, &prompt.options))?;
            match label.as_str() {
                "Yes" => Ok(Answered::Allow),
                no if no.starts_with("No") && prompt.kind == "permission" => {
                    Ok(Answered::Deny { message: None })
                }
                // It opens a line to type in.
                words if words.starts_with("Tell ") => {
                    Err(usage(format!("prompt {id}: '{label}' takes words"), "give them with --text"))
                }
                _ => Ok(Answered::Option(label)),
            }
        }
        ([], Some(text)) if prompt.kind == "plan" => Ok(Answered::Deny { message: Some(text.clone()) }),
        // A program of which nothing more is known may take whatever is typed.
        ([], Some(text)) if prompt.tool.is_none() && prompt.options.is_empty() && prompt.kind != "trust" => {
            let said = Said { labels: Vec::new(), text: Some(text.clone()) };
            Ok(Answered::Questions(vec![said]))
        }
        ([], Some(_)) => Err(usage(
            format!("prompt {id} takes no words"),
            "use --allow, --deny --message TEXT, or --choice N|LABEL",
        )),
        _ => Err(usage(format!("prompt {id} takes one answer"), "give one --choice, or --text")),
    }
}

/// By its number, by its label, or by its label in another case where only one fits.
fn option(options: &[PromptOption], choice: &str) -> Option<String> {
    let number = choice.parse::<u32>().ok();
    let exact =
        options.iter().find(|o| o.label == choice).or_else(|| options.iter().find(|o| Some(o.n) == number));
    let mut alike = options.iter().filter(|o| o.label.to_lowercase() == choice.to_lowercase());
    exact.or_else(|| alike.next().filter(|_| alike.next().is_none())).map(|o| o.label.clone())
}

fn not_offered(id: &str, choice: &str, options: &[PromptOption]) -> WireError {
    let offered: Vec<String> = options.iter().map(|o| format!("{} {}", o.n, o.label)).collect();
    let offered =
        if offered.is_empty() { "its options are not known".to_owned() } else { offered.join(" · ") };
    usage(format!("'{choice}' is not offered by prompt {id}: {offered}"), "choose by number or label")
}

fn questions(prompt: &Prompt, answers: &[Answer]) -> Result<Answered, WireError> {
    let id = &prompt.id;
    let asked: Vec<(&[PromptOption], bool)> = match prompt.questions.as_slice() {
        [] => vec![(prompt.options.as_slice(), false)],
        questions => questions.iter().map(|q| (q.options.as_slice(), q.multiple)).collect(),
    };
    let mut said: Vec<Option<Said>> = vec![None; asked.len()];
    for answer in answers {
        let free = said.iter().position(Option::is_none);
        let at = match answer.question {
            0 if said.len() == 1 => Some(0),
            0 => free,
            n => Some(n as usize - 1),
        };
        let Some((place, (options, multiple))) = at.and_then(|at| said.get_mut(at).zip(asked.get(at))) else {
            let what = format!("prompt {id} asks {} question(s), there is none for an answer", asked.len());
            return Err(usage(what, "see 'dsx prompts'"));
        };
        let place = place.get_or_insert_with(Said::default);
        place.text = answer.text.clone().or(place.text.take());
        for choice in &answer.choices {
            let label = option(options, choice).ok_or_else(|| not_offered(id, choice, options))?;
            if place.labels.contains(&label) {
                return Err(usage(format!("'{label}' is chosen twice for prompt {id}"), "choose it once"));
            }
            place.labels.push(label);
        }
        let parts = place.labels.len() + usize::from(place.text.is_some());
        if parts == 0 || (parts > 1 && !multiple) || (place.text.is_some() && parts > 1) {
            let what = format!("a question of prompt {id} takes one answer, not {parts}");
            return Err(usage(what, "several are for questions that take several: 'dsx prompts' says which"));
        }
    }
    let missing = said.iter().position(Option::is_none);
    if let Some(missing) = missing {
        let what = format!("prompt {id} asks {} questions; number {} has no answer", said.len(), missing + 1);
        return Err(usage(what, "give one --choice for each, in their order, or --answer N=CHOICE"));
    }
    Ok(Answered::Questions(said.into_iter().flatten().collect()))
}

/// How it goes. `held`: a hook waits for it; `input` is then what its tool was given.
pub(crate) fn way(
    cli: Cli,
    prompt: &Prompt,
    answered: &Answered,
    input: Option<&str>,
    held: bool,
) -> Result<Way, WireError> {
    match cli {
        Cli::Claude => match claude_answer::decision(prompt, answered, input).filter(|_| held) {
            Some(output) => Ok(Way::Hook(output)),
            None => claude_answer::pick(prompt, answered),
        },
        Cli::Demo | Cli::Command => typed(cli, prompt, answered),
    }
}

/// The demo agent takes a label or words and Enter, as a program in a terminal does.
fn typed(cli: Cli, prompt: &Prompt, answered: &Answered) -> Result<Way, WireError> {
    let id = &prompt.id;
    let line = |text: &str| Ok(Way::Keys(message::plain(text, cli == Cli::Demo)));
    match answered {
        Answered::Questions(said) => match said.as_slice() {
            [Said { text: Some(text), .. }] => line(text),
            [Said { labels, .. }] if labels.len() == 1 => line(&labels.concat()),
            _ => Err(usage(format!("prompt {id} takes one answer"), "give one --choice or one --text")),
        },
        Answered::Option(label) => line(label),
        Answered::Deny { message: None } => Ok(Way::Keys(key("Escape"))),
        Answered::Deny { message: Some(_) } if cli == Cli::Demo => Ok(Way::Keys(key("Escape"))),
        Answered::Allow | Answered::Deny { .. } => {
            let what = format!("nothing shows how the program is told so (prompt {id})");
            Err(WireError::new(ErrorKind::Refused, what).hint("answer it in its terminal: 'dsx attach'"))
        }
    }
}
