//! `PROTOCOL.md` leaves nothing out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dsx_protocol::Kind;

use crate::message::{error_kinds, messages};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/PROTOCOL.md")).unwrap()
}

/// Everything that the page has in backticks.
fn quoted(page: &str) -> BTreeSet<&str> {
    page.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_message_and_field_is_on_the_page() {
    let page = page();
    let quoted = quoted(&page);
    let mut missing = BTreeSet::new();
    for (message, _) in messages() {
        let Some(raw) = message.raw() else { continue };
        let mut names: BTreeSet<String> = raw.names().into_iter().collect();
        names.extend(message.tag().and_then(|tag| raw.get(tag)?.text()).map(str::to_owned));
        missing.extend(names.into_iter().filter(|name| !quoted.contains(name.as_str())));
    }
    assert!(missing.is_empty(), "PROTOCOL.md does not tell of {missing:?}");
}

#[test]
fn each_verb_has_a_part_with_its_own_fields() {
    let page = page();
    for (message, which) in messages() {
        let (Some("verb"), Some(raw)) = (message.tag(), message.raw()) else { continue };
        let verb = raw.get("verb").unwrap().text().unwrap();
        // Some have their fields told together: the part ends where the next field table does.
        let start = page.find(&format!("### `{verb}`")).unwrap_or_else(|| panic!("no part on {verb}"));
        let part = &page[start..];
        let end = part.find("\n\n### ").or_else(|| part.find("\n\n## ")).unwrap_or(part.len());
        for name in raw.names().into_iter().filter(|name| name != "verb") {
            assert!(which == "default" || part[..end].contains(&format!("`{name}`")), "{verb} lacks {name}");
        }
    }
}

#[test]
fn numbers_on_the_page_are_those_of_the_code() {
    let page = page();
    for kind in error_kinds() {
        let name = serde_json::to_value(kind).unwrap();
        let row = format!("| `{}` | {} |", name.as_str().unwrap(), kind.exit_code());
        assert!(page.contains(&row), "{row}");
    }
    let kinds =
        [Kind::Hello, Kind::Request, Kind::Reply, Kind::Error, Kind::Event, Kind::Output, Kind::Input];
    for kind in kinds {
        let size = match kind.cap() {
            mib if mib >= 1024 * 1024 => format!("{} MiB", mib / (1024 * 1024)),
            kib => format!("{} KiB", kib / 1024),
        };
        let name = format!("{kind:?}").to_lowercase();
        let row = page.lines().find(|line| line.starts_with(&format!("| {} | `{name}` |", kind.code())));
        assert!(row.is_some_and(|row| row.ends_with(&format!("| {size} |"))), "{name}: {row:?}");
    }
    assert!(page.starts_with(&format!("# The dsx protocol, version {}\n", dsx_protocol::VERSION)));
}
