//! `dsx explain`

use dsx_protocol::{Explain, Explained, Reply, Request};
use serde_json::json;

use super::{Outcome, print, print_line, session, unexpected};
use crate::cli::OneArgs;
use crate::client::Client;
use crate::json as fields;
use crate::output::sanitize::one_line;
use crate::output::time::rfc3339;

pub(super) fn run(args: &OneArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    match client.call(&Request::Explain(Explain { session }))? {
        Reply::Explained(explained) if args.json => print_line(&as_json(&explained))?,
        Reply::Explained(explained) => print(&as_text(&explained))?,
        other => return Err(unexpected(&other)),
    }
    Ok(0)
}

fn as_json(explained: &Explained) -> serde_json::Value {
    let mut value = fields::status(&explained.status);
    let signals = explained
        .signals
        .iter()
        .map(|s| json!({ "source": s.source, "said": s.said, "at": rfc3339(s.at), "strength": s.strength }));
    value["signals"] = signals.collect();
    value["because"] = json!(explained.because);
    value
}

fn as_text(explained: &Explained) -> String {
    let status = &explained.status;
    let mut text = format!(
        "{}: {} ({} confidence)\nbecause {}\n",
        status.session,
        status.status,
        status.confidence,
        one_line(&explained.because)
    );
    for signal in &explained.signals {
        let said = one_line(&signal.said).into_owned();
        text.push_str(&format!(
            "  {}  {:<12} {:<6} {said}\n",
            rfc3339(signal.at),
            signal.source,
            signal.strength
        ));
    }
    text
}
