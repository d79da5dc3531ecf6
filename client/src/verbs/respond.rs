//! `dsx respond`

use dsx_protocol::{Answer, Reply, Request, Respond};
use uuid::Uuid;

use super::{Outcome, print_line, session, unexpected};
use crate::cli::RespondArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::json;
use crate::output::sanitize::one_line;

pub(super) fn run(args: &RespondArgs) -> Outcome {
    let mut client = Client::open()?;
    let request = Respond {
        session: session(&mut client, &args.id)?,
        prompt: args.prompt.clone(),
        allow: args.allow,
        deny: args.deny,
        message: args.message.clone(),
        answers: answers(args)?,
        // A repeat after a lost connection is harmless.
        key: Some(Uuid::new_v4().to_string()),
    };
    match client.call(&Request::Respond(request))? {
        Reply::Responded(done) if args.json => print_line(&json::responded(&done))?,
        Reply::Responded(done) => print_line(&one_line(&format!("{} {}", done.prompt, done.answer)))?,
        other => return Err(unexpected(&other)),
    }
    Ok(0)
}

/// Those that name their question come first; the others are for the questions that are left, in order.
fn answers(args: &RespondArgs) -> Result<Vec<Answer>, Failure> {
    let named = args.answer.iter().map(|answer| {
        let split =
            answer.split_once('=').and_then(|(n, choice)| Some((n.trim().parse::<u32>().ok()?, choice)));
        match split {
            Some((question @ 1.., choice)) => {
                Ok(Answer { question, choices: vec![choice.to_owned()], text: None })
            }
            _ => Err(Failure::usage(
                format!("--answer {answer} names no question"),
                "give its number and an option, as in --answer 2=Blue",
            )),
        }
    });
    let chosen =
        args.choice.iter().map(|choice| Answer { choices: vec![choice.clone()], ..Answer::default() });
    let said = args.text.iter().map(|text| Answer { text: Some(text.clone()), ..Answer::default() });
    named.chain(chosen.map(Ok)).chain(said.map(Ok)).collect()
}
