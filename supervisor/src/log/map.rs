//! The only place where mapped memory is touched.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memmap2::{MmapMut, MmapRaw};

/// Bytes before the data; one page on every machine this runs on, or a part of one.
pub(super) const HEADER: usize = 4096;
/// Where in the header the number of valid bytes lies, on a cache line of its own.
const LENGTH_AT: usize = 64;

/// A mapped file, or anonymous memory, of a header and data.
///
/// Invariant, on which the soundness of this module rests: the first `length` bytes of the data are
/// never written again while the mapping lives; bytes past it are touched by `fill` alone, which runs
/// at most once at a time; `length` only grows.
#[derive(Debug)]
pub(super) struct Mapping {
    raw: MmapRaw,
    filling: AtomicBool,
}

impl Mapping {
    /// Maps all of `file`, shared. The file must be at least a header long, have its blocks allocated
    /// (else a full disk is a SIGBUS), and never be shortened.
    pub(super) fn file(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if len < HEADER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is shorter than its header"));
        }
        let raw = memmap2::MmapOptions::new().len(len).map_raw(file)?;
        Ok(Self::of(raw))
    }

    /// Zeroed memory that belongs to no file.
    pub(super) fn memory(data: usize) -> io::Result<Self> {
        Ok(Self::of(MmapMut::map_anon(HEADER + data)?.into()))
    }

    fn of(raw: MmapRaw) -> Self {
        Self { raw, filling: AtomicBool::new(false) }
    }

    /// Bytes of data there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.raw.len() - HEADER
    }

    /// The header's word at byte `at`, a multiple of 8 below [`HEADER`].
    pub(super) fn word(&self, at: usize) -> &AtomicU64 {
        let at = (at & !7).min(HEADER - 8);
        // SAFETY: the mapping is at least HEADER bytes long, page-aligned and writable, `at` is a
        // multiple of 8 within the header, and header words are accessed in no way but as atomics.
        unsafe { AtomicU64::from_ptr(self.raw.as_mut_ptr().add(at).cast()) }
    }

    /// Number of valid bytes of data.
    pub(super) fn length(&self) -> usize {
        let length = self.word(LENGTH_AT).load(Ordering::Acquire);
        // A damaged file may say anything.
        usize::try_from(length).map_or(self.capacity(), |n| n.min(self.capacity()))
    }

    /// The valid bytes.
    pub(super) fn data(&self) -> &[u8] {
        // SAFETY: the range is within the mapping, and these bytes are never written again (invariant).
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().add(HEADER), self.length()) }
    }

    /// Has the kernel read from `fd` into the data past the valid bytes, at most `max` of them, and
    /// counts them as valid. 0 is the end of the input, or no room.
    pub(super) fn fill(&self, fd: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        if self.filling.swap(true, Ordering::Acquire) {
            return Err(io::Error::other("a log segment has two writers"));
        }
        let length = self.length();
        let room = (self.capacity() - length).min(max);
        // SAFETY: the range is within the mapping and past the valid bytes, so that no slice of `data`
        // covers it; `filling` keeps out any other call of this function.
        let target =
            unsafe { std::slice::from_raw_parts_mut(self.raw.as_mut_ptr().add(HEADER + length), room) };
        let read = nix::unistd::read(fd, target);
        if let Ok(n) = read {
            // From here on the bytes are known; until here they are found by looking for them.
            self.word(LENGTH_AT).store((length + n) as u64, Ordering::Release);
        }
        self.filling.store(false, Ordering::Release);
        Ok(read?)
    }

    /// Counts bytes as valid that a writer read and was killed before it could count them: all up to
    /// the last one that is not NUL, which means nothing to a terminal.
    pub(super) fn recover(&self) -> usize {
        let length = self.length();
        // SAFETY: within the mapping; called before this mapping has a writer.
        let rest = unsafe {
            std::slice::from_raw_parts(self.raw.as_ptr().add(HEADER + length), self.capacity() - length)
        };
        let found = rest.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        self.word(LENGTH_AT).store((length + found) as u64, Ordering::Release);
        found
    }

    /// Has the pages of the data range faulted in for writing, so that `fill` never stops half-way.
    pub(super) fn prefault(&self, from: usize, len: usize) {
        let len = len.min(self.capacity().saturating_sub(from));
        if len == 0 {
            return;
        }
        #[cfg(target_os = "linux")]
        if self.raw.advise_range(memmap2::Advice::PopulateWrite, HEADER + from, len).is_ok() {
            return;
        }
        for at in (from..from + len).step_by(4096) {
            // SAFETY: within the mapping and past the valid bytes, as only the writer calls this, for
            // the range it will fill; adding nothing to a byte faults its page in and changes nothing.
            unsafe {
                let byte = self.raw.as_mut_ptr().add(HEADER + at);
                byte.write_volatile(byte.read_volatile());
            }
        }
    }
}
