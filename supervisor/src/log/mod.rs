//! The output log of a session: every byte the PTY gave, safe the moment the kernel gave it.
//!
//! [`LogWriter`] has `read(2)` put the bytes straight into a mapped segment file and publishes their
//! number after; `kill -9` between the two loses nothing, as reopening looks past the number for bytes
//! that are not NUL. [`LogReader`]s, any number of them on any thread, read up to the published end.
//!
//! A session's directory holds `<offset>.seg` (segments, named by the offset of their first byte, the
//! oldest deleted beyond [`LogLimits::keep_bytes`]), `<offset>.ckp` (the screen at some offset within
//! that segment, written by whoever folds the log; it lags behind), `index` (times, sizes, skipped
//! ranges) and `cursor` ([`Cursor`]).
//!
//! A full disk never stops a session: the log goes on in memory, bounded, says so
//! ([`LogReader::storage`]), and tries the disk again with each further segment.
//!
//! Nothing here is synced to the disk: the promise is against `kill -9`, not against power loss.

mod cursor;
mod index;
mod map;
mod reader;
mod replay;
mod segment;
mod writer;

#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use cursor::{Cursor, Delivery, Phase};
pub use reader::{Expired, LogReader, Storage};
pub use replay::{Recording, advance, history, rebuild};
pub use writer::LogWriter;

/// Sizes of a session's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of output in one segment; rounded up to whole pages.
    pub segment_bytes: usize,
    /// Bytes of output kept on disk; older segments are deleted whole.
    pub keep_bytes: u64,
    /// Bytes of output kept in memory while the disk takes none.
    pub memory_bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { segment_bytes: 256 * 1024, keep_bytes: 8 * 1024 * 1024, memory_bytes: 1024 * 1024 }
    }
}

impl LogLimits {
    /// How far a reader may lag behind before the pump stops reading for it: always well within what
    /// is kept, in memory too, so that a slow reader never finds its bytes deleted.
    pub fn lag_bytes(&self) -> u64 {
        let memory = self.memory_bytes.saturating_sub(self.segment_bytes) as u64;
        let disk = self.keep_bytes.saturating_sub(self.segment_bytes as u64);
        (memory / 2).min(disk / 2).max(1)
    }
}

/// What can go wrong with a log's files.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The session's directory cannot be made, listed or written.
    #[error(
        "the log directory {path} cannot be used: {source}; check its permissions and the disk's free space"
    )]
    Directory { path: PathBuf, source: io::Error },
    /// There is room for the log neither on the disk nor in memory.
    #[error("there is no memory for a session's log: {source}; end some sessions")]
    Memory { source: io::Error },
    /// The cursor file cannot be mapped.
    #[error(
        "the delivery cursor {path} cannot be mapped: {source}; check its permissions and the disk's free space"
    )]
    Cursor { path: PathBuf, source: io::Error },
}

impl LogError {
    fn directory(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Directory { path, source }
    }
}
