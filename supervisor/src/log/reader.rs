//! Reading a log, from any thread, while it is being written.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::index::{Index, replace};
use super::segment::{Opening, Segment, checkpoint_path, pack, path_of, read_closed, unpack};
use super::{LogLimits, segment};
use crate::screen::Checkpoint;

/// Checkpoints larger than this are not read: none is, so the file is not ours.
const CHECKPOINT_LIMIT: u64 = 4 * 1024 * 1024;

/// The bytes asked for are deleted, or were never kept (a full disk).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("output before offset {start} is no longer kept; read from there on")]
pub struct Expired {
    /// Where the log goes on.
    pub start: u64,
}

/// Where the newest output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    Disk,
    /// The disk takes none (full, gone, no descriptors): output from this offset on is in memory, as
    /// much of it as the limits allow, and is lost when the supervisor ends.
    Memory {
        since: u64,
        reason: String,
    },
}

/// What writer and readers of one log share. No lock is held while anything is read from a PTY.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) limits: LogLimits,
    state: RwLock<State>,
    index: Mutex<Index>,
    /// Segments that have a checkpoint, by their start.
    checkpointed: Mutex<BTreeSet<u64>>,
    /// End of the output, published after the bytes.
    pub(super) end: AtomicU64,
    /// Rows and columns now in force.
    pub(super) size: AtomicU64,
}

/// The segments of a log, oldest first.
#[derive(Debug)]
pub(super) struct State {
    pub(super) closed: VecDeque<Closed>,
    pub(super) active: Arc<Segment>,
    pub(super) storage: Storage,
}

/// A segment that is full.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) opening: Opening,
    pub(super) len: u64,
    /// None: it lies on disk.
    pub(super) memory: Option<Arc<Segment>>,
}

impl Closed {
    pub(super) fn end(&self) -> u64 {
        self.opening.start + self.len
    }
}

impl Shared {
    pub(super) fn new(dir: PathBuf, limits: LogLimits, state: State, checkpointed: BTreeSet<u64>) -> Self {
        let end = state.active.end();
        let index = Index::load(&dir, end);
        let size = index.size_at(end);
        let size = size.unwrap_or((state.active.opening.rows, state.active.opening.cols));
        Self {
            dir,
            limits,
            state: RwLock::new(state),
            index: Mutex::new(index),
            checkpointed: Mutex::new(checkpointed),
            end: AtomicU64::new(end),
            size: AtomicU64::new(pack(size.0, size.1)),
        }
    }

    // A panic elsewhere leaves these values usable: each is changed in one step.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn checkpointed(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.checkpointed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn size(&self) -> (u16, u16) {
        unpack(self.size.load(Ordering::Acquire))
    }
}

/// Where in a state's segments a byte is.
enum Place {
    Memory(Arc<Segment>),
    Disk { start: u64, len: u64 },
    Missing { next: u64 },
}

impl State {
    pub(super) fn start(&self) -> u64 {
        let oldest = self.closed.front().map(|closed| closed.opening.start);
        oldest.unwrap_or(self.active.opening.start)
    }

    fn find(&self, offset: u64) -> Place {
        if offset >= self.active.opening.start {
            return Place::Memory(Arc::clone(&self.active));
        }
        let after = self.closed.partition_point(|closed| closed.opening.start <= offset);
        let next = self.closed.get(after).map_or(self.active.opening.start, |closed| closed.opening.start);
        let Some(closed) = after.checked_sub(1).and_then(|i| self.closed.get(i)) else {
            return Place::Missing { next };
        };
        if offset >= closed.end() {
            return Place::Missing { next };
        }
        match &closed.memory {
            Some(segment) => Place::Memory(Arc::clone(segment)),
            None => Place::Disk { start: closed.opening.start, len: closed.len },
        }
    }

    /// The segments' openings, oldest first.
    fn openings(&self) -> impl DoubleEndedIterator<Item = &Opening> {
        let active = std::iter::once(&self.active.opening);
        self.closed.iter().map(|closed| &closed.opening).chain(active)
    }
}

/// A reader of one session's log. Cheap to clone; all clones and the writer see the same log.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

impl LogReader {
    /// Offset of the oldest byte kept.
    pub fn start(&self) -> u64 {
        self.shared.read().start()
    }

    /// Offset past the newest byte.
    pub fn end(&self) -> u64 {
        self.shared.end.load(Ordering::Acquire)
    }

    /// Where the newest output goes, for status pages and warnings.
    pub fn storage(&self) -> Storage {
        self.shared.read().storage.clone()
    }

    /// The log's limits.
    pub fn limits(&self) -> LogLimits {
        self.shared.limits
    }

    /// Appends at most `max` bytes from offset `from` on to `out`, and says how many. May give fewer
    /// than there are (never none, unless `from` is the end).
    pub fn read(&self, from: u64, max: usize, out: &mut Vec<u8>) -> Result<usize, Expired> {
        let end = self.end();
        if from >= end || max == 0 {
            return Ok(0);
        }
        let place = self.shared.read().find(from);
        let most = usize::try_from(end - from).unwrap_or(max).min(max);
        match place {
            Place::Memory(segment) => {
                let at = (from - segment.opening.start) as usize;
                let data = segment.data().get(at..).unwrap_or_default();
                let data = &data[..data.len().min(most)];
                out.extend_from_slice(data);
                Ok(data.len())
            }
            Place::Disk { start, len } => {
                let at = from - start;
                let most = most.min((len - at) as usize);
                // Failing: it was deleted since it was found, or the disk is broken. Either way it is
                // not to be had, and what follows it may be.
                read_closed(&self.shared.dir, start, at, most, out)
                    .map_err(|_| Expired { start: start + len })
            }
            Place::Missing { next } => Err(Expired { start: next }),
        }
    }

    /// Records that the terminal has this size from `offset` on ([`LogReader::end`] at the time).
    pub fn note_resize(&self, offset: u64, rows: u16, cols: u16) {
        let start = self.start();
        self.shared.size.store(pack(rows, cols), Ordering::Release);
        self.shared.index().resize(offset, rows, cols, start);
    }

    /// Records that the parser panicked on these bytes.
    pub fn note_skip(&self, offset: u64, len: u64) {
        let start = self.start();
        self.shared.index().skip(offset, len, start);
    }

    /// Rows and columns of the terminal at `offset`.
    pub fn size_at(&self, offset: u64) -> (u16, u16) {
        if let Some(size) = self.shared.index().size_at(offset) {
            return size;
        }
        let state = self.shared.read();
        let opening = state
            .openings()
            .rev()
            .find(|opening| opening.start <= offset)
            .or(state.openings().next())
            .map(|opening| (opening.rows, opening.cols));
        opening.unwrap_or_else(|| self.shared.size())
    }

    /// Offset of the first change of size past `offset`.
    pub fn resize_after(&self, offset: u64) -> Option<u64> {
        self.shared.index().resize_after(offset)
    }

    /// The first range (offset, length) that must not be fed and ends past `offset`.
    pub fn skip_after(&self, offset: u64) -> Option<(u64, u64)> {
        self.shared.index().skip_after(offset)
    }

    /// When the byte at `offset` came, in milliseconds since 1970; to within some 20 ms.
    pub fn time_at(&self, offset: u64) -> Option<u64> {
        if let Some(time) = self.shared.index().time_at(offset) {
            return Some(time);
        }
        let state = self.shared.read();
        let opening = state.openings().rev().find(|o| o.start <= offset)?;
        Some(opening.time_ms)
    }

    /// All (offset, milliseconds since 1970) marks from `offset` on: for recordings.
    pub fn times_from(&self, offset: u64) -> Vec<(u64, u64)> {
        let index = self.shared.index();
        let from = index.times.partition_point(|(at, _)| *at < offset);
        index.times[from..].to_vec()
    }

    /// All (offset, (rows, columns)) changes of size past `offset`: for recordings.
    pub fn resizes_from(&self, offset: u64) -> Vec<(u64, (u16, u16))> {
        let index = self.shared.index();
        let from = index.resizes.partition_point(|(at, _)| *at <= offset);
        index.resizes[from..].to_vec()
    }

    /// Would a checkpoint at `offset` be of use? True once for each segment on disk.
    pub fn wants_checkpoint(&self, offset: u64) -> bool {
        let Some(start) = self.segment_of(offset) else {
            return false;
        };
        start > 0 && !self.shared.checkpointed().contains(&start)
    }

    /// Start of the segment on disk that the byte at `offset` is in.
    fn segment_of(&self, offset: u64) -> Option<u64> {
        let state = self.shared.read();
        if offset >= state.active.opening.start {
            return state.active.on_disk.then_some(state.active.opening.start);
        }
        match state.find(offset) {
            Place::Disk { start, .. } => Some(start),
            _ => None,
        }
    }

    /// Writes a checkpoint beside the segment it falls in. False: that segment is not on disk.
    pub fn save_checkpoint(&self, checkpoint: &Checkpoint) -> io::Result<bool> {
        let Some(start) = self.segment_of(checkpoint.offset) else {
            return Ok(false);
        };
        // Also where writing it fails: trying again with each turn would not help a full disk.
        self.shared.checkpointed().insert(start);
        let bytes = rmp_serde::to_vec_named(checkpoint).map_err(io::Error::other)?;
        replace(&checkpoint_path(&self.shared.dir, start), &bytes)?;
        if !path_of(&self.shared.dir, start).exists() {
            // The segment went while its checkpoint was written; nobody else would delete that.
            let _ = std::fs::remove_file(checkpoint_path(&self.shared.dir, start));
        }
        Ok(true)
    }

    /// The newest checkpoint at or before `offset`.
    pub fn checkpoint_before(&self, offset: u64) -> Option<Checkpoint> {
        let starts: Vec<u64> = self.shared.checkpointed().range(..=offset).rev().copied().collect();
        starts.into_iter().find_map(|start| {
            let path = checkpoint_path(&self.shared.dir, start);
            if std::fs::metadata(&path).ok()?.len() > CHECKPOINT_LIMIT {
                return None;
            }
            let checkpoint: Checkpoint = rmp_serde::from_slice(&std::fs::read(path).ok()?).ok()?;
            (checkpoint.offset <= offset && checkpoint.offset >= start).then_some(checkpoint)
        })
    }

    /// Directory of the log.
    pub fn directory(&self) -> &std::path::Path {
        &self.shared.dir
    }
}

/// Deletes a segment's files.
pub(super) fn delete(shared: &Shared, start: u64) {
    // What is already gone, or cannot go, costs disk space at most.
    let _ = std::fs::remove_file(segment::path_of(&shared.dir, start));
    if shared.checkpointed().remove(&start) {
        let _ = std::fs::remove_file(checkpoint_path(&shared.dir, start));
    }
}
