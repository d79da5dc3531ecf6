//! Writing a log: one per session, owned by the pump.

use std::collections::{BTreeSet, VecDeque};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::reader::{Closed, LogReader, Shared, State, Storage, delete};
use super::segment::{Opening, Segment, path_of, read_header, shorten, start_in_name};
use super::{LogError, LogLimits};

/// Marks of time are at least so far apart.
const MARK_EVERY_MS: u64 = 20;

/// The one writer of a log.
///
/// Invariant: whatever [`LogWriter::fill_from`] got from the kernel is in the segment before it returns,
/// and would be found there by [`LogWriter::open`] had the process been killed within it.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
    active: Arc<Segment>,
    now_ms: u64,
    marked_ms: u64,
    marked_at: u64,
}

impl LogWriter {
    /// Begins a log in `dir`, which is made (0700) if it is not there. What another log left in it is
    /// deleted. `now_ms` is the wall-clock time in milliseconds since 1970.
    pub fn create(
        dir: &Path,
        limits: &LogLimits,
        rows: u16,
        cols: u16,
        now_ms: u64,
    ) -> Result<Self, LogError> {
        make(dir)?;
        let found = find(dir)?;
        for start in found.segments {
            let _ = std::fs::remove_file(path_of(dir, start));
        }
        for path in found.others {
            let _ = std::fs::remove_file(path);
        }
        let _ = std::fs::remove_file(dir.join("index"));
        let opening = Opening { start: 0, time_ms: now_ms, rows, cols };
        Self::begin(dir, limits, VecDeque::new(), BTreeSet::new(), opening)
    }

    /// Goes on with the log in `dir`, bytes included that the last writer read and was killed before
    /// counting. `processed` is the offset up to which output is known to have existed
    /// ([`super::Cursor::processed`]): if the log ends before it (what was in memory is lost), it goes
    /// on from there, with a gap. A directory without a log gets a new one.
    pub fn open(
        dir: &Path,
        limits: &LogLimits,
        rows: u16,
        cols: u16,
        processed: u64,
        now_ms: u64,
    ) -> Result<Self, LogError> {
        make(dir)?;
        let found = find(dir)?;
        for path in &found.leftovers {
            let _ = std::fs::remove_file(path);
        }
        let mut closed = VecDeque::new();
        for start in &found.segments {
            let path = path_of(dir, *start);
            match read_header(&path) {
                Ok((opening, len)) => closed.push_back(Closed { opening, len, memory: None }),
                // Not one of ours, or of another version: it must not stand in the way of its offset.
                Err(_) => drop(std::fs::remove_file(&path)),
            }
        }
        close_ranks(&mut closed);
        let last = closed.pop_back();
        let active = last.and_then(|last| Segment::reopen(&path_of(dir, last.opening.start)).ok());
        let checkpoints = found.checkpoints;
        let next = |start| Opening { start, time_ms: now_ms, rows, cols };
        let Some(active) = active else {
            let start = closed.back().map_or(0, Closed::end).max(processed);
            return Self::begin(dir, limits, closed, checkpoints, next(start));
        };
        if active.end() < processed {
            let (opening, end) = (active.opening, active.end());
            let len = end - opening.start;
            drop(active);
            let _ = shorten(&path_of(dir, opening.start), len);
            closed.push_back(Closed { opening, len, memory: None });
            return Self::begin(dir, limits, closed, checkpoints, next(processed));
        }
        Ok(Self::with(dir, limits, closed, checkpoints, active, now_ms))
    }

    fn begin(
        dir: &Path,
        limits: &LogLimits,
        closed: VecDeque<Closed>,
        checkpoints: BTreeSet<u64>,
        opening: Opening,
    ) -> Result<Self, LogError> {
        let (active, storage) =
            new_segment(dir, limits, opening).map_err(|source| LogError::Memory { source })?;
        let writer = Self::with(dir, limits, closed, checkpoints, active, opening.time_ms);
        writer.shared.write().storage = storage;
        Ok(writer)
    }

    fn with(
        dir: &Path,
        limits: &LogLimits,
        closed: VecDeque<Closed>,
        checkpoints: BTreeSet<u64>,
        active: Segment,
        now_ms: u64,
    ) -> Self {
        let active = Arc::new(active);
        let state = State { closed, active: Arc::clone(&active), storage: Storage::Disk };
        let shared = Shared::new(dir.to_path_buf(), *limits, state, checkpoints);
        let writer = Self { shared: Arc::new(shared), active, now_ms, marked_ms: 0, marked_at: u64::MAX };
        writer.trim();
        writer
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Offset past the newest byte.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// Says what time it is (milliseconds since 1970): bytes that come from now on came then.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Has the kernel read at most `max` bytes from `fd` into the log. Gives fewer where a segment ends
    /// or fewer are there. 0 is the end of the input; errors of `fd` (WouldBlock, EIO) pass through.
    pub fn fill_from(&mut self, fd: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        if self.active.is_full() {
            self.roll()?;
        }
        let at = self.end();
        let read = self.active.fill(fd, max)?;
        if read > 0 {
            self.shared.end.store(at + read as u64, Ordering::Release);
            self.mark(at);
        }
        Ok(read)
    }

    fn mark(&mut self, at: u64) {
        let due = self.now_ms >= self.marked_ms.saturating_add(MARK_EVERY_MS);
        if due && at != self.marked_at {
            self.marked_ms = self.now_ms;
            self.marked_at = at;
            let start = self.shared.read().start();
            self.shared.index().time(at, self.now_ms, start);
        }
    }

    /// Goes on in a new segment: on disk, or else in memory.
    fn roll(&mut self) -> io::Result<()> {
        let (rows, cols) = self.shared.size();
        let opening = Opening { start: self.active.end(), time_ms: self.now_ms, rows, cols };
        let (fresh, mut storage) = new_segment(&self.shared.dir, &self.shared.limits, opening)?;
        let fresh = Arc::new(fresh);
        let full = std::mem::replace(&mut self.active, Arc::clone(&fresh));
        let mut state = self.shared.write();
        state.active = fresh;
        state.closed.push_back(Closed {
            opening: full.opening,
            len: full.end() - full.opening.start,
            memory: (!full.on_disk).then_some(full),
        });
        if let (Storage::Memory { since: was, .. }, Storage::Memory { since, .. }) =
            (&state.storage, &mut storage)
        {
            *since = *was;
        }
        state.storage = storage;
        drop(state);
        self.trim();
        Ok(())
    }

    /// Lets go of the oldest segments beyond the limits.
    fn trim(&self) {
        let limits = &self.shared.limits;
        let mut gone = Vec::new();
        let mut state = self.shared.write();
        let on_disk = |closed: &Closed| if closed.memory.is_none() { closed.len } else { 0 };
        let capacity = limits.segment_bytes as u64;
        let mut disk = capacity + state.closed.iter().map(on_disk).sum::<u64>();
        while disk > limits.keep_bytes
            && let Some(oldest) = state.closed.pop_front()
        {
            disk -= on_disk(&oldest);
            gone.push(oldest.opening.start);
        }
        let in_memory = |closed: &Closed| closed.memory.is_some();
        let mut segments = state.closed.iter().filter(|c| in_memory(c)).count();
        while (segments + 1) * limits.segment_bytes > limits.memory_bytes.max(limits.segment_bytes)
            && let Some(oldest) = state.closed.iter().position(in_memory)
        {
            state.closed.remove(oldest);
            segments -= 1;
        }
        drop(state);
        for start in gone {
            delete(&self.shared, start);
        }
    }
}

fn new_segment(dir: &Path, limits: &LogLimits, opening: Opening) -> io::Result<(Segment, Storage)> {
    match Segment::create(dir, opening, limits.segment_bytes) {
        Ok(segment) => Ok((segment, Storage::Disk)),
        Err(error) => {
            let (since, reason) = (opening.start, error.to_string());
            tracing::warn!(log = %dir.display(), since, reason, "the disk takes no output; it is kept in memory");
            let storage = Storage::Memory { since, reason };
            Ok((Segment::in_memory(opening, limits.segment_bytes)?, storage))
        }
    }
}

fn make(dir: &Path) -> Result<(), LogError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(LogError::directory(dir))
}

/// The files of a log's directory.
#[derive(Default)]
struct Found {
    /// Starts of the segments, in order.
    segments: BTreeSet<u64>,
    /// Starts of the segments that have a checkpoint.
    checkpoints: BTreeSet<u64>,
    /// Files that were being made when their maker was killed.
    leftovers: Vec<PathBuf>,
    /// Everything that belongs to the log but its segments and the index.
    others: Vec<PathBuf>,
}

fn find(dir: &Path) -> Result<Found, LogError> {
    let mut found = Found::default();
    for entry in std::fs::read_dir(dir).map_err(LogError::directory(dir))? {
        let path = entry.map_err(LogError::directory(dir))?.path();
        if let Some(start) = start_in_name(&path, "seg") {
            found.segments.insert(start);
        } else if let Some(start) = start_in_name(&path, "ckp") {
            found.checkpoints.insert(start);
            found.others.push(path);
        } else if path.extension().is_some_and(|e| e == "new") || path.ends_with(".new") {
            found.leftovers.push(path.clone());
            found.others.push(path);
        }
    }
    Ok(found)
}

/// Makes each closed segment end where the next begins at the latest.
fn close_ranks(segments: &mut VecDeque<Closed>) {
    let starts: Vec<u64> = segments.iter().map(|s| s.opening.start).collect();
    for (segment, next) in segments.iter_mut().zip(starts.into_iter().skip(1)) {
        segment.len = segment.len.min(next - segment.opening.start);
    }
}
