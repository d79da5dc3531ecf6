//! The `dsx` client: short-lived and thin. It reads the command line, asks the supervisor over its socket
//! (starting one if need be) and prints the answer. One file per verb in [`verbs`]; errors are printed and
//! turned into exit codes here and nowhere else.
//!
//! stdout is data, stderr is for people. Absences: nothing here decides what an agent's state is, and
//! nothing but `attach`, `--ansi` and `--raw` lets an agent's escape sequences reach the user's terminal.

mod attach;
mod cli;
mod client;
pub mod demo;
mod doctor;
mod duration;
mod failure;
mod json;
mod outcome;
pub mod output;
mod signals;
mod skills;
mod tty;
mod verbs;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use failure::Failure;

/// The whole program. Returns its exit code; nothing below it ends the process.
#[must_use]
pub fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // The processes of dsx itself, started by it, never typed.
    match args.next().as_deref().and_then(|verb| verb.to_str()) {
        Some("keeper") => return dsx_supervisor::keeper::main(args),
        Some("supervise") => return dsx_supervisor::supervise::main(args),
        Some("hook") => return verbs::hook::main(args),
        Some("demo-agent") => return demo_agent(args),
        _ => {}
    }
    signals::exit_on_interrupt();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, wants_json()),
    };
    let json = cli.verb.wants_json();
    match verbs::run(cli.verb) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => report(&failure, json),
    }
}

fn demo_agent(args: impl Iterator<Item = OsString>) -> ExitCode {
    match args.collect::<Vec<_>>().as_slice() {
        [flag, path] if flag == "--transcript" => demo::main(path.as_ref()),
        _ => ExitCode::from(2),
    }
}

fn usage(error: &clap::Error, json: bool) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if code == 0 {
        // Help and version are data, the rest is for people.
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(lost) => report(&lost.into(), json),
        };
    }
    if json {
        return report(&spoken(error), json);
    }
    // Nobody may be there to read it.
    let _ = error.print();
    ExitCode::from(code)
}

/// What clap says, as an error of ours: its first line, and as the hint what it says besides.
fn spoken(error: &clap::Error) -> Failure {
    let said = error.render().to_string();
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let more: Vec<&str> = lines.collect();
    Failure::usage(first.strip_prefix("error: ").unwrap_or(first), &more.join(" "))
}

/// Whether JSON is asked for on a command line that does not parse.
fn wants_json() -> bool {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

/// The one place where an error is printed.
fn report(failure: &Failure, json: bool) -> ExitCode {
    let mut stderr = io::stderr().lock();
    let _ = match failure {
        // Whoever read our output has gone; they know.
        Failure::Closed => return ExitCode::SUCCESS,
        Failure::Error(error) if json => {
            writeln!(stderr, "{}", output::sanitize::json(&json::error(error).to_string()))
        }
        Failure::Error(error) => {
            let told = writeln!(stderr, "dsx: {}", output::sanitize::one_line(&error.message));
            match &error.hint {
                Some(hint) => writeln!(stderr, "  hint: {}", output::sanitize::one_line(hint)),
                None => told,
            }
        }
    };
    ExitCode::from(failure.exit_code())
}
