//! `dsx screen`

use std::io::{self, Write as _};

use dsx_protocol::{Reply, Request, Screen, ScreenReply};
use serde_json::json;

use super::{Outcome, note, print, print_line, session, unexpected};
use crate::cli::ScreenArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::sanitize::one_line;

pub(super) fn run(args: &ScreenArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    let request = Screen { session, ansi: args.ansi, history: args.history };
    let screen = match client.call(&Request::Screen(request))? {
        Reply::Screen(screen) => screen,
        other => return Err(unexpected(&other)),
    };
    if !screen.complete {
        note("dsx: a part of the output could not be drawn; the screen may be incomplete");
    }
    if args.json {
        print_line(&as_json(&screen))?;
    } else if args.ansi {
        print_ansi(&screen)?;
    } else {
        print(&as_text(&screen))?;
    }
    Ok(0)
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

fn as_json(s: &ScreenReply) -> serde_json::Value {
    json!({
        "rows": s.rows, "cols": s.cols,
        "cursor": { "row": s.cursor_row, "col": s.cursor_col, "visible": s.cursor_visible },
        "title": s.title, "alternate": s.alternate, "complete": s.complete,
        "lines": s.lines.iter().map(|l| text(l)).collect::<Vec<_>>(),
        "history": s.history.iter().map(|l| text(l)).collect::<Vec<_>>(),
    })
}

/// The rows, without the empty ones below the last.
fn as_text(s: &ScreenReply) -> String {
    let last = s.lines.iter().rposition(|l| !l.is_empty()).map_or(0, |at| at + 1);
    let mut all = String::new();
    for line in s.history.iter().chain(s.lines.iter().take(last)) {
        all.push_str(&one_line(&text(line)));
        all.push('\n');
    }
    all
}

fn print_ansi(s: &ScreenReply) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    for line in s.history.iter().chain(&s.lines) {
        stdout.write_all(line)?;
        stdout.write_all(b"\x1b[m\n")?;
    }
    stdout.flush()?;
    Ok(())
}
