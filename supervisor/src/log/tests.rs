//! What the log as a whole promises.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::*;
use crate::screen::{Terminal, plain};

const SMALL: LogLimits =
    LogLimits { segment_bytes: 16 * 1024, keep_bytes: 64 * 1024, memory_bytes: 64 * 1024 };

fn create(dir: &Path) -> LogWriter {
    LogWriter::create(dir, &SMALL, 24, 80, 1000).expect("log")
}

fn open(dir: &Path) -> LogWriter {
    LogWriter::open(dir, &SMALL, 24, 80, 0, 2000).expect("log")
}

/// Writes bytes to the log as the kernel would.
fn pour(log: &mut LogWriter, bytes: &[u8]) {
    let (from, to) = nix::unistd::pipe().expect("pipe");
    let mut to = std::fs::File::from(to);
    for piece in bytes.chunks(4096) {
        to.write_all(piece).expect("write");
        let mut left = piece.len();
        while left > 0 {
            left -= log.fill_from(from.as_fd(), left).expect("fill");
        }
    }
}

fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("line {i:06}\r\n").into_bytes()).collect()
}

/// Everything from `from` on, or from where the log begins.
fn all(log: &LogReader, from: u64) -> (u64, Vec<u8>) {
    let mut out = Vec::new();
    let mut first = from;
    loop {
        match log.read(first + out.len() as u64, 5000, &mut out) {
            Ok(0) => return (first, out),
            Ok(_) => {}
            Err(Expired { start }) => {
                out.clear();
                first = start;
            }
        }
    }
}

#[test]
fn what_was_written_is_read_across_segments_and_after_reopening() {
    let dir = tempfile::tempdir().expect("directory");
    let bytes = numbered(4000);
    let reader = {
        let mut log = create(dir.path());
        pour(&mut log, &bytes);
        log.reader()
    };
    assert_eq!(reader.end(), bytes.len() as u64);
    assert_eq!(reader.storage(), Storage::Disk);
    assert_eq!(all(&reader, 0), (0, bytes.clone()));
    let mut log = open(dir.path());
    pour(&mut log, b"more");
    assert_eq!(all(&log.reader(), 0), (0, [&bytes[..], b"more"].concat()));
}

#[test]
fn the_oldest_segments_are_deleted_and_the_directory_stays_bounded() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    let bytes = numbered(40_000);
    pour(&mut log, &bytes);
    let reader = log.reader();
    let (first, kept) = all(&reader, 0);
    assert_eq!(first, reader.start());
    assert!(first > 0 && kept == bytes[first as usize..]);
    assert!(kept.len() as u64 >= SMALL.keep_bytes - 2 * SMALL.segment_bytes as u64);
    assert_eq!(reader.read(first - 1, 10, &mut Vec::new()), Err(Expired { start: first }));
    let disk: u64 = std::fs::read_dir(dir.path())
        .expect("list")
        .map(|entry| entry.expect("entry").metadata().expect("metadata").len())
        .sum();
    assert!(disk < SMALL.keep_bytes + 64 * 1024, "{disk}");
}

#[test]
fn bytes_that_were_read_but_not_counted_are_found() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    pour(&mut log, b"counted ");
    drop(log);
    // What a writer leaves that is killed between the read and the store of the length.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("0000000000000000.seg"))
        .expect("segment");
    std::os::unix::fs::FileExt::write_all_at(&file, b"and\0not", 4096 + 8).expect("write");
    let log = open(dir.path());
    assert_eq!(all(&log.reader(), 0).1, b"counted and\0not");
}

#[test]
fn leftovers_and_foreign_files_do_no_harm() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    pour(&mut log, b"kept");
    drop(log);
    for (name, bytes) in [
        (".new", &b"half a segment"[..]),
        ("0000000000000000.new", b"half a checkpoint"),
        ("00000000000f0000.seg", b"not a segment"),
        ("0000000000000000.ckp", b"not a checkpoint"),
        ("index", b"not an index"),
        ("notes.txt", b"somebody's"),
    ] {
        std::fs::write(dir.path().join(name), bytes).expect("write");
    }
    let log = open(dir.path());
    let reader = log.reader();
    assert_eq!(all(&reader, 0), (0, b"kept".to_vec()));
    assert_eq!(reader.checkpoint_before(4), None);
    assert!(!dir.path().join(".new").exists());
    assert!(dir.path().join("notes.txt").exists());
}

#[test]
fn without_the_disk_the_log_goes_on_in_memory_and_comes_back() {
    let parent = tempfile::tempdir().expect("directory");
    let dir = parent.path().join("session");
    let mut log = create(&dir);
    let reader = log.reader();
    let bytes = numbered(20_000);
    pour(&mut log, &bytes[..10_000]);
    std::fs::rename(&dir, parent.path().join("gone")).expect("rename");
    pour(&mut log, &bytes[10_000..100_000]);
    let Storage::Memory { since, reason } = reader.storage() else {
        panic!("the log is on disk");
    };
    assert_eq!(since, SMALL.segment_bytes as u64);
    assert!(reason.contains("No such file"), "{reason}");
    let mut newest = Vec::new();
    let lag = SMALL.lag_bytes();
    reader.read(100_000 - lag, 100, &mut newest).expect("kept");
    let (first, kept) = all(&reader, since);
    assert_eq!(kept, bytes[first as usize..100_000]);
    assert!(kept.len() <= SMALL.memory_bytes, "{}", kept.len());

    std::fs::rename(parent.path().join("gone"), &dir).expect("rename");
    pour(&mut log, &bytes[100_000..150_000]);
    assert_eq!(reader.storage(), Storage::Disk);
    let (first, kept) = all(&reader, 90_000);
    assert_eq!((first, kept), (90_000, bytes[90_000..150_000].to_vec()));
    // A restart loses what was in memory, and says so by where it goes on.
    drop(log);
    let reader = open(&dir).reader();
    let (_, kept) = all(&reader, 20_000);
    assert!(bytes[..150_000].ends_with(&kept) && !kept.is_empty());
}

#[test]
fn a_log_that_ends_early_goes_on_where_output_was_processed() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    pour(&mut log, b"on disk");
    drop(log);
    let mut log = LogWriter::open(dir.path(), &SMALL, 24, 80, 5000, 3000).expect("log");
    pour(&mut log, b"after");
    let reader = log.reader();
    assert_eq!((reader.start(), reader.end()), (0, 5005));
    let mut out = Vec::new();
    assert_eq!(reader.read(0, 100, &mut out), Ok(7));
    assert_eq!(reader.read(7, 100, &mut out), Err(Expired { start: 5000 }));
    drop(log);
    let reader = open(dir.path()).reader();
    assert_eq!(all(&reader, 100), (5000, b"after".to_vec()));
    assert_eq!(reader.read(0, 100, &mut out), Ok(7));
}

#[test]
fn a_full_disk_is_an_error_value() {
    let dir = tempfile::tempdir().expect("directory");
    let flags = nix::mount::MsFlags::empty();
    let mounted = nix::mount::mount(Some("tmpfs"), dir.path(), Some("tmpfs"), flags, Some("size=60k"));
    if let Err(error) = mounted {
        // Only root may; the rest of this is covered by the test without a directory.
        eprintln!("no tmpfs here: {error}");
        return;
    }
    let mut log = create(&dir.path().join("session"));
    let bytes = numbered(20_000);
    pour(&mut log, &bytes);
    let reader = log.reader();
    let storage = reader.storage();
    let (first, kept) = all(&reader, 200_000);
    let checkpoint = Terminal::starting_at(reader.end(), 24, 80).checkpoint();
    let saved = reader.save_checkpoint(&checkpoint);
    reader.note_resize(reader.end(), 30, 90);
    drop((log, reader));
    nix::mount::umount(dir.path()).expect("umount");
    assert!(matches!(&storage, Storage::Memory { reason, .. } if reason.contains("space")), "{storage:?}");
    assert_eq!((first, kept), (200_000, bytes[200_000..].to_vec()));
    assert!(matches!(saved, Ok(false)), "{saved:?}");
}

#[test]
fn times_sizes_and_skips_are_kept() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    let reader = log.reader();
    assert_eq!(reader.size_at(0), (24, 80));
    log.set_now(5000);
    pour(&mut log, b"0123456789");
    log.set_now(5005);
    pour(&mut log, b"within the same mark");
    log.set_now(9000);
    pour(&mut log, b"later");
    reader.note_resize(10, 30, 100);
    reader.note_resize(20, 40, 120);
    reader.note_skip(12, 3);
    drop((log, reader));
    let reader = open(dir.path()).reader();
    assert_eq!(reader.times_from(0), [(0, 5000), (30, 9000)]);
    assert_eq!((reader.time_at(29), reader.time_at(30)), (Some(5000), Some(9000)));
    assert_eq!(reader.size_at(9), (24, 80));
    assert_eq!(reader.size_at(10), (30, 100));
    assert_eq!(reader.size_at(1000), (40, 120));
    assert_eq!(reader.resize_after(10), Some(20));
    assert_eq!(reader.skip_after(0), Some((12, 3)));
    assert_eq!(reader.skip_after(15), None);
}

#[test]
fn the_index_stays_bounded() {
    let dir = tempfile::tempdir().expect("directory");
    let log = create(dir.path());
    let reader = log.reader();
    for i in 0..30_000 {
        reader.note_resize(i, 24, (i % 100) as u16 + 10);
    }
    let size = std::fs::metadata(dir.path().join("index")).expect("index").len();
    assert!(size < 300_000, "{size}");
    assert_eq!(reader.size_at(29_999), (24, 109));
}

/// Everything a terminal shows.
fn shown(terminal: &Terminal) -> (crate::screen::ScreenText, Vec<Vec<u8>>, Vec<u8>) {
    (terminal.contents(), terminal.lines_ansi(), terminal.repaint())
}

#[test]
fn a_screen_is_rebuilt_from_the_last_checkpoint() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    let reader = log.reader();
    let mut live = Terminal::new(24, 80);
    let mut events = Vec::new();
    for round in 0..300_u16 {
        let line = format!("\x1b[3{}mround {round}\x1b[m \x1b[?2004h{}\r\n", round % 8, "x".repeat(900));
        pour(&mut log, line.as_bytes());
        if round % 50 == 20 {
            let at = reader.end();
            reader.note_resize(at, 20 + round / 50, 70 + round / 10);
        }
        let end = reader.end();
        // The fold lags, and catches up in pieces.
        if round % 3 == 0 {
            advance(&mut live, &reader, end, Recording::Yes, &mut events);
        }
    }
    let end = reader.end();
    assert_eq!(advance(&mut live, &reader, end, Recording::Yes, &mut events), end);
    assert!(reader.checkpoint_before(end).is_some_and(|c| c.offset > end - 40_000));
    drop((log, reader));
    let reader = open(dir.path()).reader();
    assert!(reader.start() > 0, "nothing was deleted: this test needs a smaller log");
    let rebuilt = rebuild(&reader, end);
    assert!(rebuilt.is_complete());
    assert_eq!(shown(&rebuilt), shown(&live));
}

#[test]
fn a_panic_is_noted_and_stepped_over_ever_after() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    let reader = log.reader();
    pour(&mut log, b"before\x1b[24;80H\xe2\x9d\xa4\xef\xb8\x8f\x1b[23;80HX");
    let mut live = Terminal::new(24, 80);
    let mut events = Vec::new();
    let end = reader.end();
    advance(&mut live, &reader, end, Recording::Yes, &mut events);
    assert_eq!(reader.skip_after(0), Some((0, end)));
    pour(&mut log, b"after");
    let end = reader.end();
    advance(&mut live, &reader, end, Recording::Yes, &mut events);
    let rebuilt = rebuild(&reader, end);
    assert_eq!(shown(&rebuilt), shown(&live));
    assert_eq!((live.panics(), rebuilt.panics()), (1, 0));
    assert_eq!(rebuilt.contents().lines[0], "after");
}

#[test]
fn history_is_what_left_the_screen_newest_last() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    let reader = log.reader();
    pour(&mut log, &numbered(8000));
    let mut live = Terminal::new(24, 80);
    let mut events = Vec::new();
    let end = reader.end();
    while advance(&mut live, &reader, end, Recording::Yes, &mut events) < end {}
    let rows: Vec<_> = history(&reader, end, 1000).iter().map(|row| plain(row)).collect();
    let expected: Vec<_> = (6977..7977).map(|i| format!("line {i:06}")).collect();
    assert_eq!(rows, expected);
    // More than there is: what there is, from the first whole line that is kept.
    let rows = history(&reader, end, 1_000_000);
    assert!(rows.len() > 3000, "{}", rows.len());
    assert_eq!(plain(&rows[rows.len() - 1]), "line 007976");
}

#[test]
fn readers_follow_a_writer_on_another_thread() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = LogWriter::create(dir.path(), &LogLimits::default(), 24, 80, 0).expect("log");
    let reader = log.reader();
    let bytes = numbered(100_000);
    let expected = bytes.clone();
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::sync_channel::<u64>(1);
        scope.spawn(move || {
            for piece in bytes.chunks(10_000) {
                pour(&mut log, piece);
                let _ = tell.try_send(log.end());
            }
        });
        let mut out = Vec::new();
        for _ in told {
            while let Ok(1..) = reader.read(out.len() as u64, 7000, &mut out) {}
        }
        while let Ok(1..) = reader.read(out.len() as u64, 7000, &mut out) {}
        assert!(out == expected);
    });
}

#[test]
fn an_unreadable_descriptor_is_an_error_and_costs_nothing() {
    let dir = tempfile::tempdir().expect("directory");
    let mut log = create(dir.path());
    let (from, to) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).expect("pipe");
    let empty = log.fill_from(from.as_fd(), 100).expect_err("nothing to read");
    assert_eq!(empty.kind(), std::io::ErrorKind::WouldBlock);
    assert!(log.fill_from(to.as_fd(), 100).is_err());
    let to = OwnedFd::from(std::fs::File::from(to));
    drop(to);
    assert_eq!(log.fill_from(from.as_fd(), 100).expect("end"), 0);
    assert_eq!(log.end(), 0);
}
