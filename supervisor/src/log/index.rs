//! When what came, at which size, and what the parser must not see again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::segment::{pack, unpack};

/// Entries of each kind that are kept. Beyond it every second time goes, and the oldest of the rest.
const LIMIT: usize = 8192;
const RECORD: usize = 24;
const MAGIC: u64 = 0x0064_7378_6964_7800;
const TIME: u64 = MAGIC + 1;
const RESIZE: u64 = MAGIC + 2;
const SKIP: u64 = MAGIC + 3;

/// The index in memory, and the file it is appended to. Each list is sorted by offset.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    /// None while the disk takes nothing; what is recorded meanwhile is in memory only.
    file: Option<File>,
    /// Bytes from this offset on came at this time (ms since 1970), until the next mark.
    pub(super) times: Vec<(u64, u64)>,
    /// From this offset on the terminal had so many rows and columns.
    pub(super) resizes: Vec<(u64, (u16, u16))>,
    /// So many bytes from this offset on made the parser panic.
    pub(super) skips: Vec<(u64, u64)>,
}

impl Index {
    /// Reads the index of a directory, if there is one. Entries past `end` are of bytes that are lost.
    pub(super) fn load(dir: &Path, end: u64) -> Self {
        let path = dir.join("index");
        let mut index = Self { file: None, path, times: Vec::new(), resizes: Vec::new(), skips: Vec::new() };
        // A missing or unreadable index costs times and old sizes, not the log.
        let bytes = std::fs::read(&index.path).unwrap_or_default();
        for record in bytes.chunks_exact(RECORD) {
            let word = |at: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&record[at..at + 8]);
                u64::from_le_bytes(word)
            };
            if word(8) <= end {
                index.remember(word(0), word(8), word(16));
            }
        }
        index.rewrite();
        index
    }

    fn remember(&mut self, kind: u64, offset: u64, value: u64) {
        match kind {
            TIME => insert(&mut self.times, offset, value),
            RESIZE => insert(&mut self.resizes, offset, unpack(value)),
            SKIP => insert(&mut self.skips, offset, value),
            _ => {}
        }
    }

    /// Records that bytes from `offset` on came at `time_ms`.
    pub(super) fn time(&mut self, offset: u64, time_ms: u64, start: u64) {
        self.append(TIME, offset, time_ms, start);
    }

    pub(super) fn resize(&mut self, offset: u64, rows: u16, cols: u16, start: u64) {
        self.append(RESIZE, offset, pack(rows, cols), start);
    }

    pub(super) fn skip(&mut self, offset: u64, len: u64, start: u64) {
        self.append(SKIP, offset, len, start);
    }

    fn append(&mut self, kind: u64, offset: u64, value: u64, start: u64) {
        self.remember(kind, offset, value);
        if self.trim(start) {
            self.rewrite();
            return;
        }
        let record = record(kind, offset, value);
        let written = match &mut self.file {
            Some(file) => file.write_all(&record),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        if written.is_err() {
            // A record that is cut would shift all that follow: begin the file anew.
            self.rewrite();
        }
    }

    /// Drops what is of bytes long deleted and what is too much. True where that changed something.
    fn trim(&mut self, start: u64) -> bool {
        let counts = [self.times.len(), self.resizes.len(), self.skips.len()];
        if counts.iter().all(|n| *n <= LIMIT) {
            return false;
        }
        drop_before(&mut self.times, start);
        drop_before(&mut self.resizes, start);
        drop_before(&mut self.skips, start);
        if self.times.len() > LIMIT / 2 {
            let mut keep = false;
            self.times.retain(|_| {
                keep = !keep;
                keep
            });
        }
        halve(&mut self.resizes);
        halve(&mut self.skips);
        true
    }

    /// Writes the file anew, whole or not at all.
    fn rewrite(&mut self) {
        self.file = None;
        let mut bytes = Vec::new();
        for (offset, time) in &self.times {
            bytes.extend(record(TIME, *offset, *time));
        }
        for (offset, (rows, cols)) in &self.resizes {
            bytes.extend(record(RESIZE, *offset, pack(*rows, *cols)));
        }
        for (offset, len) in &self.skips {
            bytes.extend(record(SKIP, *offset, *len));
        }
        self.file = replace(&self.path, &bytes).ok();
    }

    /// The size in force at `offset`.
    pub(super) fn size_at(&self, offset: u64) -> Option<(u16, u16)> {
        let after = self.resizes.partition_point(|(at, _)| *at <= offset);
        Some(self.resizes.get(after.checked_sub(1)?)?.1)
    }

    /// The first change of size after `offset`.
    pub(super) fn resize_after(&self, offset: u64) -> Option<u64> {
        let after = self.resizes.partition_point(|(at, _)| *at <= offset);
        self.resizes.get(after).map(|(at, _)| *at)
    }

    /// The first skipped range that ends after `offset`.
    pub(super) fn skip_after(&self, offset: u64) -> Option<(u64, u64)> {
        self.skips.iter().find(|(at, len)| at + len > offset).copied()
    }

    /// When the byte at `offset` came, as far as it was recorded.
    pub(super) fn time_at(&self, offset: u64) -> Option<u64> {
        let after = self.times.partition_point(|(at, _)| *at <= offset);
        Some(self.times.get(after.checked_sub(1)?)?.1)
    }
}

/// Keeps a list sorted; what was recorded later at the same offset stands later.
fn insert<T>(list: &mut Vec<(u64, T)>, offset: u64, value: T) {
    let at = list.partition_point(|(known, _)| *known <= offset);
    list.insert(at, (offset, value));
}

/// Drops entries before `start`, but for the last of them, which is still in force there.
fn drop_before<T>(list: &mut Vec<(u64, T)>, start: u64) {
    let before = list.partition_point(|(at, _)| *at < start);
    list.drain(..before.saturating_sub(1));
}

fn halve<T>(list: &mut Vec<T>) {
    if list.len() > LIMIT {
        list.drain(..list.len() - LIMIT / 2);
    }
}

fn record(kind: u64, offset: u64, value: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&kind.to_le_bytes());
    record[8..16].copy_from_slice(&offset.to_le_bytes());
    record[16..].copy_from_slice(&value.to_le_bytes());
    record
}

/// Puts a file with these bytes in the place of the one at `path`, and returns it for appending.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let fresh = path.with_extension("new");
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        std::fs::rename(&fresh, path)?;
        Ok(file)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    written
}
