//! One file per verb. Each returns its exit code, or the failure that [`crate::main`] prints.

mod ask;
mod attach;
mod completions;
mod create;
mod describe;
mod doctor;
mod events;
mod explain;
mod fan_out;
mod handoff;
pub(crate) mod hook;
mod install_skill;
mod interrupt;
mod keys;
mod kill;
mod last_message;
mod list;
mod logs;
mod prompts;
mod rename;
mod respond;
mod run;
mod screen;
mod select;
mod send;
mod status;
mod supervisor;
mod wait;

use std::io::{self, Write as _};

use dsx_protocol::{ErrorKind, Reply, WireError};

use crate::cli::Verb;
use crate::client::Client;
use crate::failure::Failure;

pub(crate) type Outcome = Result<u8, Failure>;

pub(crate) fn run(verb: Verb) -> Outcome {
    match verb {
        Verb::Create(args) => create::run(&args),
        Verb::Send(args) => send::run(&args),
        Verb::Wait(args) => wait::run(&args),
        Verb::Ask(args) => ask::run(&args),
        Verb::Run(args) => run::run(&args),
        Verb::LastMessage(args) => last_message::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Prompts(args) => prompts::run(&args),
        Verb::Respond(args) => respond::run(&args),
        Verb::List(args) => list::run(&args),
        Verb::Screen(args) => screen::run(&args),
        Verb::Keys(args) => keys::run(&args),
        Verb::Interrupt(args) => interrupt::run(&args),
        Verb::Logs(args) => logs::run(&args),
        Verb::Events(args) => events::run(&args),
        Verb::Attach(args) => attach::run(&args),
        Verb::Kill(args) => kill::run(&args),
        Verb::Rename(args) => rename::run(&args),
        Verb::Describe(args) => describe::run(&args),
        Verb::Handoff(args) => handoff::run(&args),
        Verb::InstallSkill(args) => install_skill::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Completions { shell } => completions::run(shell),
        Verb::Supervisor(args) => supervisor::run(&args),
    }
}

/// Writes to stdout, whole.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// A line of JSON, or of words that dsx itself chose.
fn print_line(text: &dyn std::fmt::Display) -> Result<(), Failure> {
    print(&crate::output::sanitize::json(&format!("{text}\n")))
}

/// One of several ids failed; the others go on.
fn note_error(error: &WireError, as_json: bool) {
    if as_json {
        let line = crate::json::error(error).to_string();
        let _ = writeln!(io::stderr().lock(), "{}", crate::output::sanitize::json(&line));
        return;
    }
    note(&format!("dsx: {}", error.message));
    if let Some(hint) = &error.hint {
        note(&format!("  hint: {hint}"));
    }
}

/// For people, beside the data.
fn note(text: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr().lock(), "{}", crate::output::sanitize::one_line(text));
}

/// A reply of a kind that the request does not have.
fn unexpected(reply: &Reply) -> Failure {
    let what = format!("the supervisor gave an answer that this dsx does not know: {reply:?}");
    WireError::new(ErrorKind::Unavailable, what).hint("run 'dsx supervisor restart'").into()
}

/// The session that a word means: `@self` and `@last` are looked up, anything else is an id, a prefix of one, or a name.
fn session(client: &mut Client, word: &str) -> Result<String, Failure> {
    match word {
        "@self" => std::env::var("DSX_SESSION").map_err(|_| {
            Failure::usage("@self means the session a command runs in, and this runs in none", "give an id")
        }),
        "@last" => list::newest(client),
        "" => Err(Failure::usage("the session id is empty", "see 'dsx list'")),
        id => Ok(id.to_owned()),
    }
}
