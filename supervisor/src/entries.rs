//! A transcript's file, read as what was said, each thing with a cursor that is the same whenever it is read.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use dsx_core::Cli;
use dsx_core::adapter::{EntryReader, Spoken};

/// Bytes read in one go.
const CHUNK: u64 = 1024 * 1024;
/// The longest line that is read; a longer one is passed over.
const LINE: usize = 8 * 1024 * 1024;
/// Bits of a cursor for the place in a line, and for the line's offset. All together they are 53: a number that
/// every language's JSON can hold.
const PLACE_BITS: u32 = 10;
const OFFSET_BITS: u32 = 33;

/// The cursor of the entry at a place (from 0) of the line at an offset of a file (from 0).
fn cursor(file: usize, offset: u64, place: usize) -> u64 {
    let places = (1 << PLACE_BITS) - 1;
    // From 1: everything is after 0.
    let place = (place as u64 + 1).min(places);
    ((file as u64) << (OFFSET_BITS + PLACE_BITS)) | (offset << PLACE_BITS) | place
}

/// One file that grows by lines.
#[derive(Debug)]
pub struct EntryFile {
    path: PathBuf,
    /// Which of the session's it is.
    number: usize,
    /// Where the next bytes are.
    offset: u64,
    /// The unfinished last line, and where it begins.
    partial: Vec<u8>,
    begins: u64,
    /// The rest of a line that was too long.
    skipping: bool,
    reader: EntryReader,
}

impl EntryFile {
    #[must_use]
    pub fn new(cli: Cli, path: &str, number: usize) -> Self {
        Self {
            path: PathBuf::from(path),
            number,
            offset: 0,
            partial: Vec::new(),
            begins: 0,
            skipping: false,
            reader: EntryReader::new(cli),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What has come since the last call, at most what a chunk holds, and whether there is more. Blocks.
    pub fn read(&mut self) -> (Vec<(u64, Spoken)>, bool) {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(CHUNK).read_to_end(&mut bytes)
        });
        // Not there yet, or not any more: nothing is said.
        let more = read.is_ok_and(|read| read as u64 == CHUNK);
        (self.lines(&bytes), more)
    }

    fn lines(&mut self, bytes: &[u8]) -> Vec<(u64, Spoken)> {
        let mut said = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.offset += piece.len() as u64;
            if !self.skipping {
                self.partial.extend_from_slice(piece);
            }
            if self.partial.len() > LINE {
                self.partial = Vec::new();
                self.skipping = true;
            }
            if !piece.ends_with(b"\n") {
                continue;
            }
            if !self.skipping {
                let spoken = self.reader.line(&String::from_utf8_lossy(&self.partial));
                let at = |place| cursor(self.number, self.begins, place);
                said.extend(spoken.into_iter().enumerate().map(|(place, s)| (at(place), s)));
            }
            self.partial.clear();
            self.skipping = false;
            self.begins = self.offset;
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn texts(said: &[(u64, Spoken)]) -> Vec<(u64, &str)> {
        said.iter().map(|(cursor, s)| (*cursor, s.entry.text.as_str())).collect()
    }

    fn line(text: &str) -> String {
        format!("{{\"type\":\"user\",\"at\":1,\"text\":\"{text}\"}}\n")
    }

    #[test]
    fn what_comes_later_has_the_cursor_it_would_have_had_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        let mut tail = EntryFile::new(Cli::Demo, path.to_str().unwrap(), 1);
        assert!(tail.read().0.is_empty(), "there is no file yet");
        let mut file = fs::File::create(&path).unwrap();
        let whole = format!("{}nonsense\n{}", line("one"), line("two"));
        let (first, second) = whole.split_at(whole.len() - 5);
        file.write_all(first.as_bytes()).unwrap();
        let (mut followed, more) = tail.read();
        assert_eq!((followed.len(), more), (1, false), "half a line is none");
        file.write_all(second.as_bytes()).unwrap();
        followed.extend(tail.read().0);
        let at_once = EntryFile::new(Cli::Demo, path.to_str().unwrap(), 1).read().0;
        assert_eq!(texts(&followed), texts(&at_once));
        assert_eq!(texts(&at_once).iter().map(|(_, t)| *t).collect::<Vec<_>>(), ["one", "two"]);
        assert!(at_once[0].0 > cursor(0, 1 << 32, 5), "a later file's come after");
        assert!(at_once[0].0 < at_once[1].0);
    }

    #[test]
    fn a_file_of_many_chunks_is_read_piece_by_piece_and_endless_lines_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        let mut file = fs::File::create(&path).unwrap();
        let long = "x".repeat(100_000);
        for n in 0..30 {
            file.write_all(line(&format!("{n} {long}")).as_bytes()).unwrap();
        }
        file.write_all(&vec![b'y'; LINE + 2 * CHUNK as usize]).unwrap();
        file.write_all(format!("\n{}", line("last")).as_bytes()).unwrap();
        let mut tail = EntryFile::new(Cli::Demo, path.to_str().unwrap(), 0);
        let (mut all, mut rounds) = (Vec::new(), 0);
        loop {
            let (said, more) = tail.read();
            assert!(said.len() <= 12 && tail.partial.capacity() <= 2 * LINE);
            all.extend(said);
            rounds += 1;
            if !more {
                break;
            }
        }
        assert!(rounds > 10);
        assert_eq!(all.len(), 31);
        assert_eq!(all[30].1.entry.text, "last");
        assert!(all.is_sorted_by_key(|(cursor, _)| *cursor));
    }

    #[test]
    fn a_cursor_is_a_number_that_json_can_hold() {
        assert_eq!(cursor(0, 0, 0), 1);
        assert!(cursor(0, 7, 2_000) < cursor(0, 8, 0));
        assert!(cursor(1_000, (1 << OFFSET_BITS) - 1, 9) < 1 << 53);
    }
}
