//! The bytes themselves.

use std::fs;
use std::path::{Path, PathBuf};

use dsx_protocol::{Decoder, decode};

use crate::message::{Message, messages};
use crate::raw::Raw;

/// Set to `1` to add files for what is new. See the top of this test.
const WRITE: &str = "DSX_TEST_WRITE_GOLDEN";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/golden/v1")
}

fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    bytes.chunks(40).map(line).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Everything that was ever written under a name, oldest first.
fn written(name: &str) -> Vec<Vec<u8>> {
    let file = |n: usize| if n == 1 { format!("{name}.hex") } else { format!("{name}.{n}.hex") };
    (1..).map_while(|n| fs::read_to_string(directory().join(file(n))).ok()).map(|t| unhex(&t)).collect()
}

#[test]
fn golden_bytes_are_what_is_written_today() {
    let mut changed = Vec::new();
    for (message, which) in messages() {
        let name = format!("{}.{which}", message.name());
        let (now, before) = (message.frame(), written(&name));
        if before.last() == Some(&now) {
            continue;
        }
        if std::env::var_os(WRITE).is_some_and(|v| v == "1") {
            let file = match before.len() {
                0 => format!("{name}.hex"),
                n => format!("{name}.{}.hex", n + 1),
            };
            fs::write(directory().join(file), hex(&now)).unwrap();
            continue;
        }
        let was = before.last().map_or_else(|| "nothing\n".to_owned(), |b| hex(b));
        changed.push(format!("{name} was\n{was}and is\n{}", hex(&now)));
    }
    assert!(
        changed.is_empty(),
        "the wire has changed. If only fields or messages were added, add their bytes: run this with {WRITE}=1.\n\n{}",
        changed.join("\n")
    );
}

/// Each golden file with its name and the frame in it.
pub fn all() -> Vec<(String, dsx_protocol::Frame)> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 60, "{} golden files", files.len());
    files
        .into_iter()
        .map(|path| {
            let mut decoder = Decoder::new();
            decoder.push(&unhex(&fs::read_to_string(&path).unwrap()));
            let frame = decoder.next_frame().unwrap().unwrap();
            assert!(!decoder.is_mid_frame(), "{}", path.display());
            (path.file_name().unwrap().to_str().unwrap().to_owned(), frame)
        })
        .collect()
}

#[test]
fn golden_bytes_of_any_age_are_understood() {
    for (name, frame) in all() {
        let message = Message::read(&frame).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!message.is_unknown(), "{name}");
        assert!(name.starts_with(&format!("{}.", message.name())), "{name} is {}", message.name());
        let Some(now) = message.raw() else { continue };
        let then: Raw = decode(&frame.body).unwrap();
        assert!(now.holds(&then), "{name}: a field was renamed, or means something else:\n{then:?}\n{now:?}");
    }
}

#[test]
fn golden_files_come_from_messages_that_there_are() {
    let names: Vec<String> = messages().iter().map(|(m, which)| format!("{}.{which}", m.name())).collect();
    for (file, _) in all() {
        let known =
            names.iter().any(|name| file.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('.')));
        assert!(known, "{file} is of no message that is still written: was one renamed?");
    }
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}
