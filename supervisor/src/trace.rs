//! The supervisor's own log: one bounded file, 0600, filtered by `DSX_LOG`. No message and no secret is in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes after which the file is begun anew; the one before is kept.
const LIMIT: u64 = 4 * 1024 * 1024;

pub(crate) fn start(state: &Path) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("DSX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = LogFile { path: state.join("supervisor.log"), open: Mutex::new(None) };
    log.with(|_| Ok(()))?;
    // A second start in one process, as in a test, keeps the first.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(log).try_init();
    Ok(())
}

struct LogFile {
    path: PathBuf,
    open: Mutex<Option<(File, u64)>>,
}

impl LogFile {
    fn with<T>(&self, act: impl FnOnce(&mut (File, u64)) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, size)| *size >= LIMIT) {
            *open = None;
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
        }
        if open.is_none() {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
            let size = file.metadata()?.len();
            *open = Some((file, size));
        }
        open.as_mut().map_or_else(|| Err(io::ErrorKind::NotFound.into()), act)
    }
}

struct Line<'a>(&'a LogFile);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.with(|(file, size)| {
            *size += bytes.len() as u64;
            file.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}
