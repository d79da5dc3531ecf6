//! `dsx logs`

use std::io::{self, Write as _};

use dsx_protocol::{Entry, Event, Logs, Reply, Request, Transcript};

use super::{Outcome, note, print, print_line, session, unexpected};
use crate::cli::LogsArgs;
use crate::client::{Client, Incoming};
use crate::failure::Failure;
use crate::json;
use crate::output::colour::{Paint, Style};
use crate::output::sanitize::{multi_line, one_line};

pub(super) fn run(args: &LogsArgs) -> Outcome {
    let mut client = Client::open()?;
    let session = session(&mut client, &args.id)?;
    if args.raw {
        return raw(&mut client, session, args.follow);
    }
    let paint = Paint::stdout();
    let mut request = Transcript { session, tail: args.tail, since: None, follow: args.follow };
    loop {
        let channel = client.ask(&Request::Transcript(request.clone()))?;
        loop {
            match client.next(None)? {
                (c, Incoming::Event(Event::Entry(entry))) if c == channel => {
                    if args.json {
                        print_line(&json::entry(&request.session, &entry))?;
                    } else {
                        print(&as_text(&entry, request.since.is_none(), paint))?;
                    }
                    // The next supervisor goes on behind what was shown, however little that was.
                    (request.since, request.tail) = (Some(entry.cursor), None);
                }
                (c, Incoming::Reply(Reply::Done)) if c == channel => return Ok(0),
                (c, Incoming::Reply(other)) if c == channel => return Err(unexpected(&other)),
                (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
                (_, Incoming::Lost) => break,
                _ => {}
            }
        }
        client.reopen()?;
    }
}

/// What was asked behind `>`, tools by their names, what they gave behind `|`, or `!` where they failed.
fn as_text(entry: &Entry, is_first: bool, paint: Paint) -> String {
    let text = multi_line(entry.text.trim_end_matches('\n'));
    let tool = entry.tool.as_deref().map(one_line).unwrap_or_default();
    let (first, rest, style) = match (entry.role.as_str(), entry.error) {
        ("user", _) => {
            let gap = if is_first { "" } else { "\n" };
            let turn = entry.turn.map(|turn| format!("[{turn}] ")).unwrap_or_default();
            (format!("{gap}{turn}> "), "  > ", Some(Style::Bold))
        }
        ("assistant", _) => (String::new(), "", None),
        ("tool", _) => (format!("* {tool}: "), "    ", Some(Style::Cyan)),
        ("result", true) => ("  ! ".to_owned(), "  ! ", Some(Style::Red)),
        ("result", false) => ("  | ".to_owned(), "  | ", Some(Style::Dim)),
        (_, true) => ("(! ".to_owned(), "   ", Some(Style::Red)),
        (_, false) => ("( ".to_owned(), "  ", Some(Style::Dim)),
    };
    let mut shown = String::new();
    for (n, line) in text.split('\n').enumerate() {
        let mark = if n == 0 { first.as_str() } else { rest };
        let line = format!("{mark}{line}");
        // The gap in front belongs to no line, and a colour to one.
        let (gap, line) = line.strip_prefix('\n').map_or(("", line.as_str()), |line| ("\n", line));
        let line = line.trim_end();
        match style {
            Some(style) => shown.push_str(&format!("{gap}{}\n", paint.paint(style, line))),
            None => shown.push_str(&format!("{gap}{line}\n")),
        }
    }
    shown
}

/// The output, byte for byte: all that is kept, and with `follow` what comes.
fn raw(client: &mut Client, session: String, follow: bool) -> Outcome {
    let mut from = 0;
    loop {
        let request = Logs { session: session.clone(), raw: true, from: Some(from), follow };
        let (at, answered) = pieces(client, &Request::Logs(request), from)?;
        // No more of it: an answer, and not a connection that ended.
        if answered && (follow || at == from) {
            return Ok(0);
        }
        from = at;
    }
}

/// Writes what one request gives; returns the offset to go on from, and whether it was answered to its end.
fn pieces(client: &mut Client, request: &Request, from: u64) -> Result<(u64, bool), Failure> {
    let mut at = from;
    let channel = client.ask(request)?;
    loop {
        match client.next(None)? {
            (c, Incoming::Event(Event::Log(piece))) if c == channel => {
                if piece.expired > 0 {
                    note(&format!("dsx: {} bytes of older output are no longer kept", piece.expired));
                }
                let mut stdout = io::stdout().lock();
                stdout.write_all(&piece.bytes)?;
                stdout.flush()?;
                at = piece.offset + piece.bytes.len() as u64;
            }
            (c, Incoming::Reply(Reply::Done)) if c == channel => return Ok((at, true)),
            (c, Incoming::Reply(other)) if c == channel => return Err(unexpected(&other)),
            (c, Incoming::Error(error)) if c == channel || c == 0 => return Err(error.into()),
            (_, Incoming::Lost) => {
                client.reopen()?;
                return Ok((at, false));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use dsx_protocol::TurnId;

    use super::*;

    #[test]
    fn each_role_has_its_look_and_none_acts_on_a_terminal() {
        let shown = |role: &str, text: &str, error: bool| {
            let entry = Entry {
                role: role.into(),
                text: text.into(),
                turn: Some(TurnId(2)),
                tool: Some("Ba\x1bsh".into()),
                error,
                ..Entry::default()
            };
            as_text(&entry, false, Paint::PLAIN)
        };
        assert_eq!(shown("user", "do it\nnow\n", false), "\n[t2] > do it\n  > now\n");
        assert_eq!(shown("assistant", "a\n\nb\x1b[31m", false), "a\n\nb␛[31m\n");
        assert_eq!(shown("tool", "ls\nfalse", false), "* Ba␛sh: ls\n    false\n");
        assert_eq!(shown("result", "x\ny", false), "  | x\n  | y\n");
        assert_eq!(shown("result", "", true), "  !\n");
        assert_eq!(shown("note", "interrupted", false), "( interrupted\n");
        assert_eq!(shown("of a newer version", "x", true), "(! x\n");
        let first = Entry { role: "user".into(), text: "typed".into(), ..Entry::default() };
        assert_eq!(as_text(&first, true, Paint::COLOURED), "\x1b[1m> typed\x1b[0m\n");
    }
}
