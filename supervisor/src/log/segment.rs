//! One segment of a log: a file of a fixed size, or as much memory.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::map::{HEADER, Mapping};

const MAGIC: u64 = u64::from_le_bytes(*b"dsxlog\0\x01");
const MAGIC_AT: usize = 0;
const START_AT: usize = 8;
const TIME_AT: usize = 16;
const SIZE_AT: usize = 24;
const CAPACITY_AT: usize = 32;
/// Pages are faulted in ahead of the writer: as much again as was written, between these bounds, so that an
/// idle session keeps few pages and a busy one seldom asks. A PTY gives 4 KiB in a read at most.
const AHEAD: (usize, usize) = (8 * 1024, 64 * 1024);

/// What a segment's header says of its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Offset in the log of the first byte.
    pub(super) start: u64,
    /// Wall-clock time in milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) rows: u16,
    pub(super) cols: u16,
}

/// A mapped segment.
#[derive(Debug)]
pub(super) struct Segment {
    map: Mapping,
    pub(super) opening: Opening,
    pub(super) on_disk: bool,
    faulted: std::sync::atomic::AtomicUsize,
}

pub(super) fn path_of(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:016x}.seg"))
}

pub(super) fn checkpoint_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:016x}.ckp"))
}

/// The offset in a file's name, if it has this extension.
pub(super) fn start_in_name(path: &Path, extension: &str) -> Option<u64> {
    if path.extension() != Some(OsStr::new(extension)) {
        return None;
    }
    u64::from_str_radix(path.file_stem()?.to_str()?, 16).ok()
}

impl Segment {
    /// Makes the file with all its blocks. It gets its name last: a segment that is there is whole.
    pub(super) fn create(dir: &Path, opening: Opening, capacity: usize) -> io::Result<Self> {
        let fresh = dir.join(".new");
        let made = Self::create_at(&fresh, opening, capacity)
            .and_then(|made| std::fs::rename(&fresh, path_of(dir, opening.start)).map(|()| made));
        if made.is_err() {
            // Also gives back what there was of the file on a full disk.
            let _ = std::fs::remove_file(&fresh);
        }
        made
    }

    fn create_at(path: &Path, opening: Opening, capacity: usize) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        allocate(&file, HEADER + capacity)?;
        let segment = Self::of(Mapping::file(&file)?, opening, true);
        let word = |at, value| segment.map.word(at).store(value, Ordering::Release);
        word(START_AT, opening.start);
        word(TIME_AT, opening.time_ms);
        word(SIZE_AT, pack(opening.rows, opening.cols));
        word(CAPACITY_AT, capacity as u64);
        word(MAGIC_AT, MAGIC);
        segment.prefault();
        Ok(segment)
    }

    /// A segment that no file holds.
    pub(super) fn in_memory(opening: Opening, capacity: usize) -> io::Result<Self> {
        Ok(Self::of(Mapping::memory(capacity)?, opening, false))
    }

    fn of(map: Mapping, opening: Opening, on_disk: bool) -> Self {
        Self { map, opening, on_disk, faulted: std::sync::atomic::AtomicUsize::new(0) }
    }

    /// Opens a segment to go on writing it, and finds what its last writer had no time to count.
    pub(super) fn reopen(path: &Path) -> io::Result<Self> {
        let (opening, _) = read_header(path)?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // A file that was cut has holes past its end for the mapping; those bytes are not there.
        let segment = Self::of(Mapping::file(&file)?, opening, true);
        segment.map.recover();
        segment.prefault();
        Ok(segment)
    }

    pub(super) fn end(&self) -> u64 {
        self.opening.start + self.map.length() as u64
    }

    pub(super) fn data(&self) -> &[u8] {
        self.map.data()
    }

    pub(super) fn is_full(&self) -> bool {
        self.map.length() >= self.map.capacity()
    }

    /// See [`Mapping::fill`].
    pub(super) fn fill(&self, fd: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        self.prefault();
        self.map.fill(fd, max)
    }

    fn prefault(&self) {
        let faulted = self.faulted.load(Ordering::Relaxed);
        let length = self.map.length();
        let ahead = length.clamp(AHEAD.0, AHEAD.1);
        if faulted < self.map.capacity() && faulted < length + ahead / 2 {
            let from = faulted.max(length);
            let until = (length + ahead).min(self.map.capacity());
            self.map.prefault(from, until - from);
            self.faulted.store(until, Ordering::Relaxed);
        }
    }
}

/// Reads a segment's header: its opening and how many valid bytes it says it has.
pub(super) fn read_header(path: &Path) -> io::Result<(Opening, u64)> {
    let mut bytes = [0; HEADER];
    let file = File::open(path)?;
    file.read_exact_at(&mut bytes, 0)?;
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let start = word(START_AT);
    if word(MAGIC_AT) != MAGIC || start_in_name(path, "seg") != Some(start) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a log segment of this version"));
    }
    let (rows, cols) = unpack(word(SIZE_AT));
    let opening = Opening { start, time_ms: word(TIME_AT), rows, cols };
    Ok((opening, word(64)))
}

/// Reads from a segment that is not mapped (any more): at most `max` bytes from `at` within its data.
pub(super) fn read_closed(
    dir: &Path,
    start: u64,
    at: u64,
    max: usize,
    out: &mut Vec<u8>,
) -> io::Result<usize> {
    let file = File::open(path_of(dir, start))?;
    let from = out.len();
    out.resize(from + max, 0);
    let read = file.read_exact_at(&mut out[from..], HEADER as u64 + at);
    if read.is_err() {
        out.truncate(from);
    }
    read.map(|()| max)
}

/// Gives a closed segment's unused end back to the disk.
pub(super) fn shorten(path: &Path, valid: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(HEADER as u64 + valid)
}

pub(super) fn pack(rows: u16, cols: u16) -> u64 {
    u64::from(rows) << 16 | u64::from(cols)
}

pub(super) fn unpack(size: u64) -> (u16, u16) {
    ((size >> 16) as u16, size as u16)
}

/// Reserves the file's blocks, so that writing to its mapping cannot fail for want of them.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn allocate(file: &File, len: usize) -> io::Result<()> {
    let len = i64::try_from(len).map_err(io::Error::other)?;
    Ok(nix::fcntl::posix_fallocate(file, 0, len)?)
}

/// Reserves the file's blocks by writing them, where there is no posix_fallocate.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn allocate(file: &File, len: usize) -> io::Result<()> {
    let zeros = vec![0; len];
    file.write_all_at(&zeros, 0)
}
