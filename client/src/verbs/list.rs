//! `dsx list`

use std::time::{SystemTime, UNIX_EPOCH};

use dsx_protocol::{ErrorKind, List, Reply, Request, Sessions, Summary, WireError};

use super::select::{nobody, request};
use super::{Outcome, note, print, print_line, unexpected};
use crate::cli::ListArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::json;
use crate::output::colour::{Paint, Style};
use crate::output::table::{Cell, Column, Table};
use crate::output::{time, width};

pub(super) fn run(args: &ListArgs) -> Outcome {
    let mut found = those(&mut Client::open()?, request(&args.select, args.all))?;
    for warning in &found.warnings {
        note(&format!("dsx: {warning}"));
    }
    found.sessions.sort_by_key(|s| (urgency(s), std::cmp::Reverse(s.last_used)));
    if found.sessions.is_empty() && args.select.is_some() {
        if args.json {
            print_line(&"[]")?;
        }
        return Err(nobody(&args.select).into());
    }
    if args.json {
        let all: serde_json::Value = found.sessions.iter().map(json::listed).collect();
        print_line(&all)?;
    } else if !found.sessions.is_empty() {
        print(&table(&found.sessions))?;
    } else {
        note("no sessions; start one with 'dsx create'");
    }
    Ok(0)
}

pub(super) fn fetch(client: &mut Client, all: bool) -> Result<Sessions, Failure> {
    those(client, List { all, ..List::default() })
}

pub(super) fn those(client: &mut Client, list: List) -> Result<Sessions, Failure> {
    match client.call(&Request::List(list))? {
        Reply::Sessions(sessions) => Ok(sessions),
        other => Err(unexpected(&other)),
    }
}

/// The caller's newest session.
pub(super) fn newest(client: &mut Client) -> Result<String, Failure> {
    let caller = std::env::var("DSX_SESSION").unwrap_or_else(|_| "user".to_owned());
    let own = fetch(client, true)?.sessions.into_iter().filter(|s| s.creator == caller);
    own.max_by_key(|s| s.created_at).map(|s| s.id).ok_or_else(|| {
        let what = format!("@last: {caller} has created no session");
        WireError::new(ErrorKind::NoSession, what).hint("start one with 'dsx create'").into()
    })
}

/// Those that need someone come first.
fn urgency(s: &Summary) -> u8 {
    match s.status.as_str() {
        "waiting_for_input" => 0,
        "unknown" => 1,
        "idle" => 2,
        "working" | "starting" => 3,
        _ => 4,
    }
}

fn status_cell(status: &str) -> Cell {
    match status {
        "waiting_for_input" => Cell::styled(status, Style::Yellow),
        "idle" => Cell::styled(status, Style::Green),
        "exited" | "unknown" => Cell::styled(status, Style::Dim),
        _ => Cell::new(status),
    }
}

fn table(sessions: &[Summary]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let named = sessions.iter().any(|s| s.name.is_some());
    let grouped = sessions.iter().any(|s| s.group.is_some());
    let columns = [
        (true, Column::whole("ID", 0)),
        (named, Column::whole("NAME", 1)),
        (true, Column::whole("STATUS", 1)),
        (true, Column::whole("CLI", 5)),
        (true, Column::whole("TURN", 6)),
        (true, Column::whole("USED", 4)),
        (grouped, Column::cuttable("GROUP", 5, 8)),
        (true, Column::cuttable("PATH", 3, 12)),
        (true, Column::cuttable("DESCRIPTION", 2, 10)),
    ];
    let shown = columns.iter().filter(|(shown, _)| *shown).map(|(_, column)| *column);
    let mut table = Table::new(&shown.collect::<Vec<_>>());
    for s in sessions {
        let cells = [
            Cell::new(&s.id),
            Cell::new(s.name.as_deref().unwrap_or_default()),
            status_cell(&s.status),
            Cell::new(&s.cli),
            Cell::new(&s.turn.map(|t| t.to_string()).unwrap_or_default()),
            Cell::new(&time::age(s.last_used, now)),
            Cell::new(s.group.as_deref().unwrap_or_default()),
            Cell::new(&s.path),
            Cell::new(s.description.as_deref().unwrap_or_default()),
        ];
        table.row(cells.into_iter().zip(&columns).filter(|(_, (shown, _))| *shown).map(|(cell, _)| cell));
    }
    table.render(width::of_stdout(), Paint::stdout())
}
