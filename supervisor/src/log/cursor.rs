//! How far a session's output was processed, and how far a message was typed, in a mapped file: what
//! the next supervisor needs to know after `kill -9`, at the price of a store.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::LogError;
use super::map::{HEADER, Mapping};

const MAGIC: u64 = u64::from_le_bytes(*b"dsxcur\0\x01");
const MAGIC_AT: usize = 0;
const PROCESSED_AT: usize = 8;
const PHASE_AT: usize = 16;
const ID_AT: [usize; 2] = [24, 32];
const DRAFT_AT: usize = 40;

/// How far the typing of a message got. The order of the variants is the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The draft is being typed. The CR that submits it was provably not written.
    Typing,
    /// The CR was about to be written: it may have been.
    Submitting,
    /// The CR was written.
    Submitted,
}

/// A message that is being typed, as the cursor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id its owner gave it.
    pub id: [u8; 16],
    /// Bytes of the draft that were written, at least; one write more may have been under way.
    pub draft: u64,
    pub phase: Phase,
}

/// The mapped cursor of one session. Clones share it. Every store is in the kernel's hands at once;
/// one thread at a time may use the delivery part (the session's own), any may read.
#[derive(Clone, Debug)]
pub struct Cursor {
    map: Arc<Mapping>,
    is_new: bool,
}

impl Cursor {
    /// Opens the cursor in a session's directory, or makes a new one.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join("cursor");
        let failed = |source| LogError::Cursor { path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        super::segment::allocate(&file, HEADER).map_err(failed)?;
        let map = Mapping::file(&file).map_err(failed)?;
        let map = Arc::new(map);
        let is_new = map.word(MAGIC_AT).load(Ordering::Acquire) != MAGIC;
        let cursor = Self { map, is_new };
        if is_new {
            for at in [PROCESSED_AT, PHASE_AT, ID_AT[0], ID_AT[1], DRAFT_AT] {
                cursor.word(at).store(0, Ordering::SeqCst);
            }
            cursor.word(MAGIC_AT).store(MAGIC, Ordering::SeqCst);
        }
        Ok(cursor)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        self.map.word(at)
    }

    /// There was none before, or none that could be read: nothing follows from what it does not say.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Output up to this offset was processed: its evidence was taken and its queries answered.
    pub fn processed(&self) -> u64 {
        self.word(PROCESSED_AT).load(Ordering::Acquire)
    }

    /// Records that output up to `offset` was processed.
    pub fn set_processed(&self, offset: u64) {
        self.word(PROCESSED_AT).store(offset, Ordering::Release);
    }

    /// The typing of a message begins. To be called before its first byte is written.
    pub fn begin(&self, id: [u8; 16]) {
        self.word(PHASE_AT).store(0, Ordering::SeqCst);
        let (low, high) = id.split_at(8);
        for (at, half) in ID_AT.into_iter().zip([low, high]) {
            let mut word = [0; 8];
            word.copy_from_slice(half);
            self.word(at).store(u64::from_le_bytes(word), Ordering::SeqCst);
        }
        self.word(DRAFT_AT).store(0, Ordering::SeqCst);
        // Last: a delivery is there only with all that belongs to it.
        self.set_phase(Phase::Typing);
    }

    /// So many bytes of the draft were written by now.
    pub fn wrote_draft(&self, bytes: u64) {
        self.word(DRAFT_AT).store(bytes, Ordering::SeqCst);
    }

    /// The CR is about to be written.
    pub fn submitting(&self) {
        self.set_phase(Phase::Submitting);
    }

    /// The CR was written.
    pub fn submitted(&self) {
        self.set_phase(Phase::Submitted);
    }

    /// No message is being typed any more.
    pub fn clear(&self) {
        self.word(PHASE_AT).store(0, Ordering::SeqCst);
    }

    fn set_phase(&self, phase: Phase) {
        self.word(PHASE_AT).store(phase as u64 + 1, Ordering::SeqCst);
    }

    /// The message that is being typed, or was when the last supervisor died.
    pub fn delivery(&self) -> Option<Delivery> {
        let phase = match self.word(PHASE_AT).load(Ordering::SeqCst) {
            1 => Phase::Typing,
            2 => Phase::Submitting,
            3 => Phase::Submitted,
            _ => return None,
        };
        let mut id = [0; 16];
        for (at, half) in ID_AT.into_iter().zip(id.chunks_exact_mut(8)) {
            half.copy_from_slice(&self.word(at).load(Ordering::SeqCst).to_le_bytes());
        }
        let draft = self.word(DRAFT_AT).load(Ordering::SeqCst);
        Some(Delivery { id, draft, phase })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_outlives_its_owner() {
        let dir = tempfile::tempdir().expect("directory");
        let id = *b"0123456789abcdef";
        {
            let cursor = Cursor::open(dir.path()).expect("cursor");
            assert_eq!((cursor.processed(), cursor.delivery(), cursor.is_new()), (0, None, true));
            cursor.set_processed(77);
            cursor.begin(id);
            cursor.wrote_draft(12);
            cursor.submitting();
        }
        let cursor = Cursor::open(dir.path()).expect("cursor");
        assert_eq!((cursor.processed(), cursor.is_new()), (77, false));
        let delivery = cursor.delivery().expect("delivery");
        assert_eq!((delivery.id, delivery.draft), (id, 12));
        assert_eq!(delivery.phase, Phase::Submitting);
        cursor.submitted();
        assert!(cursor.delivery().is_some_and(|d| d.phase == Phase::Submitted));
        cursor.clear();
        assert_eq!(cursor.delivery(), None);
    }

    #[test]
    fn a_damaged_cursor_is_begun_anew() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("cursor"), vec![0xff; 100]).expect("write");
        let cursor = Cursor::open(dir.path()).expect("cursor");
        assert_eq!((cursor.processed(), cursor.delivery()), (0, None));
    }
}
