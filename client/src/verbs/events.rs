//! `dsx events`

use dsx_protocol::{Event, Events, Happened, Reply, Request};

use super::{Outcome, note, print, print_line, session, unexpected};
use crate::cli::EventsArgs;
use crate::client::{Client, Incoming};
use crate::json;
use crate::output::sanitize::one_line;
use crate::output::time::rfc3339;
use crate::output::width;

pub(super) fn run(args: &EventsArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = args.id.as_deref().map(|word| session(&mut client, word)).transpose()?;
    let mut request = Events { since: args.since, follow: args.follow, session };
    loop {
        let channel = client.ask(&Request::Events(request.clone()))?;
        loop {
            match client.next(None)? {
                (c, Incoming::Event(Event::Following(from))) if c == channel => {
                    request.since = Some(from.cursor);
                }
                (c, Incoming::Event(Event::Happened(event))) if c == channel => {
                    show(&event, args.json)?;
                    request.since = Some(event.cursor);
                }
                (c, Incoming::Reply(Reply::Done)) if c == channel => return Ok(0),
                (c, Incoming::Reply(other)) if c == channel => return Err(unexpected(&other)),
                (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
                // The next supervisor goes on behind the last one that was shown.
                (_, Incoming::Lost) => break,
                _ => {}
            }
        }
        client.reopen()?;
    }
}

fn show(event: &Happened, as_json: bool) -> Result<(), crate::failure::Failure> {
    if event.expired > 0 {
        note(&format!("dsx: {} older events are no longer kept", event.expired));
    }
    if as_json {
        return print_line(&json::happened(event));
    }
    let line = line(event);
    let shown = width::of_stdout().map_or(line.as_str().into(), |columns| width::cut(&line, columns));
    print(&format!("{shown}\n"))
}

/// Fields of fixed width, then what there is to say.
fn line(event: &Happened) -> String {
    let mut said: Vec<String> = event.turn.iter().map(ToString::to_string).collect();
    said.extend(event.outcome.clone());
    said.extend(event.exit_code.map(|code| format!("exit code {code}")));
    said.extend(event.prompt.as_ref().map(|p| p.id.clone()));
    said.extend(event.by.as_ref().map(|by| format!("by {by}")));
    let text = event.text.as_deref().or(event.prompt.as_ref().map(|p| p.text.as_str()));
    let mut line = format!(
        "{:>6}  {}  {:<14}  {:<10}  {}",
        event.cursor,
        rfc3339(event.at),
        one_line(&event.session),
        one_line(&event.what),
        said.join(" "),
    );
    if let Some(text) = text.filter(|t| !t.is_empty()) {
        line.push_str(if said.is_empty() { "" } else { ": " });
        line.push_str(text);
    }
    one_line(&line).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use dsx_protocol::{Prompt, TurnId};

    use super::*;

    #[test]
    fn a_line_is_aligned_and_harmless() {
        let event = Happened {
            cursor: 12,
            session: "fizz-top".into(),
            what: "ended".into(),
            turn: Some(TurnId(1)),
            outcome: Some("ended".into()),
            text: Some("red\x1b[31m\nand more".into()),
            ..Happened::default()
        };
        let told = line(&event);
        assert_eq!(
            told,
            "    12  1970-01-01T00:00:00.000Z  fizz-top        ended       t1 ended: red␛[31m and more"
        );
        let prompt = Prompt { id: "p1".into(), text: "Which?".into(), ..Prompt::default() };
        let event =
            Happened { what: "answered".into(), by: Some("hook".into()), prompt: Some(prompt), ..event };
        assert!(line(&Happened { text: None, ..event }).ends_with("t1 ended p1 by hook: Which?"));
        let created = Happened { what: "created".into(), ..Happened::default() };
        assert!(line(&created).ends_with("  created"));
    }
}
