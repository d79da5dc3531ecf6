//! Files that agents write, watched without polling.
//!
//! One thread owns the map from paths to doorbells; it has no lock. A directory that does not exist yet is
//! waited for through the nearest one that does.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tracing::warn;

/// Changes that may wait for the thread; the kernel's own queue is behind it.
const QUEUE: usize = 1_024;

enum Message {
    Add { id: u64, path: PathBuf, bell: Arc<Notify> },
    Remove { id: u64 },
    Changed(Vec<PathBuf>),
}

/// A handle on the watching thread.
#[derive(Debug, Clone)]
pub struct Watch {
    messages: SyncSender<Message>,
}

/// Ends its watch when dropped.
#[derive(Debug)]
pub struct Watched {
    id: u64,
    messages: SyncSender<Message>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A full queue leaves one entry behind, whose bell nobody hears.
        let _ = self.messages.try_send(Message::Remove { id: self.id });
    }
}

impl Watch {
    pub fn start() -> io::Result<Self> {
        let (messages, queue) = sync_channel(QUEUE);
        let changes = messages.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let paths = match event {
                Ok(event) if event.need_rescan() => Vec::new(),
                Ok(event) if event.kind.is_access() => return,
                Ok(event) => event.paths,
                Err(_) => Vec::new(),
            };
            // The thread has ended only when the process is ending.
            let _ = changes.send(Message::Changed(paths));
        })
        .map_err(io::Error::other)?;
        let state = State { watcher, files: HashMap::new(), directories: HashMap::new() };
        thread::Builder::new().name("watch".to_owned()).spawn(move || state.run(&queue))?;
        Ok(Self { messages })
    }

    /// Rings `bell` whenever the file at `path` changes, appears or goes, and once at the start.
    pub async fn file(&self, path: &Path, bell: Arc<Notify>) -> Option<Watched> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (messages, path) = (self.messages.clone(), path.to_owned());
        let add = Message::Add { id, path, bell };
        let watched = Watched { id, messages: messages.clone() };
        let added = tokio::task::spawn_blocking(move || messages.send(add).is_ok()).await;
        added.ok()?.then_some(watched)
    }
}

struct Entry {
    path: PathBuf,
    bell: Arc<Notify>,
    /// The directory that is watched for it: its own, or an ancestor until its own exists.
    directory: Option<PathBuf>,
}

struct State {
    watcher: notify::RecommendedWatcher,
    files: HashMap<u64, Entry>,
    /// How many files each directory is watched for.
    directories: HashMap<PathBuf, usize>,
}

impl State {
    fn run(mut self, queue: &Receiver<Message>) {
        while let Ok(message) = queue.recv() {
            match message {
                Message::Add { id, path, bell } => {
                    let directory = self.watch_for(&path);
                    bell.notify_one();
                    self.files.insert(id, Entry { path, bell, directory });
                }
                Message::Remove { id } => {
                    if let Some(entry) = self.files.remove(&id) {
                        self.release(entry.directory);
                    }
                }
                Message::Changed(paths) => self.changed(&paths),
            }
        }
    }

    /// No paths: events were lost, so everything may have changed.
    fn changed(&mut self, paths: &[PathBuf]) {
        let mut moved = Vec::new();
        for (id, entry) in &self.files {
            let own = entry.path.parent();
            let waits_for_directory = entry.directory.as_deref() != own;
            if paths.is_empty() || paths.contains(&entry.path) {
                entry.bell.notify_one();
            }
            if waits_for_directory && paths.iter().any(|p| entry.path.starts_with(p)) {
                moved.push(*id);
            }
        }
        for id in moved {
            let Some(path) = self.files.get(&id).map(|e| e.path.clone()) else { continue };
            let directory = self.watch_for(&path);
            if let Some(entry) = self.files.get_mut(&id) {
                let old = std::mem::replace(&mut entry.directory, directory);
                // It may have appeared before its directory was watched.
                entry.bell.notify_one();
                self.release(old);
            }
        }
    }

    /// Watches the nearest existing directory above `path`.
    fn watch_for(&mut self, path: &Path) -> Option<PathBuf> {
        loop {
            let directory = self.watch_nearest(path)?;
            // One that came after it was looked for, and before the one above it was watched, has told nobody.
            let nearer = |d: &&Path| **d != *directory;
            if !path.ancestors().skip(1).take_while(nearer).any(Path::is_dir) {
                return Some(directory);
            }
            self.release(Some(directory));
        }
    }

    fn watch_nearest(&mut self, path: &Path) -> Option<PathBuf> {
        for directory in path.ancestors().skip(1) {
            if let Some(count) = self.directories.get_mut(directory) {
                *count += 1;
                return Some(directory.to_owned());
            }
            match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.directories.insert(directory.to_owned(), 1);
                    return Some(directory.to_owned());
                }
                // It may exist by now: that it did not is what counts.
                Err(error) if is_missing(&error) => {}
                Err(error) if directory.is_dir() => {
                    warn!(directory = %directory.display(), %error, "a directory cannot be watched");
                    return None;
                }
                Err(_) => {}
            }
        }
        None
    }

    fn release(&mut self, directory: Option<PathBuf>) {
        let Some(directory) = directory else { return };
        let Some(count) = self.directories.get_mut(&directory) else { return };
        *count -= 1;
        if *count == 0 {
            self.directories.remove(&directory);
            // It may be gone already.
            let _ = self.watcher.unwatch(&directory);
        }
    }
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_file_is_noticed_even_where_its_directory_comes_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c.json");
        let watch = Watch::start().unwrap();
        let bell = Arc::new(Notify::new());
        let watched = watch.file(&path, Arc::clone(&bell)).await.unwrap();
        bell.notified().await;
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "1").unwrap();
        let deadline = Duration::from_secs(30);
        let seen = async {
            while fs::read_to_string(&path).unwrap_or_default() != "2" {
                bell.notified().await;
                fs::write(&path, "2").unwrap();
            }
        };
        tokio::time::timeout(deadline, seen).await.unwrap();
        tokio::time::timeout(deadline, bell.notified()).await.unwrap();
        drop(watched);
    }

    #[tokio::test]
    async fn a_file_is_noticed_whose_directory_comes_while_it_is_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::start().unwrap();
        for n in 0..400 {
            let path = dir.path().join(format!("{n}/a/b/c.json"));
            fs::create_dir(dir.path().join(n.to_string())).unwrap();
            let (bell, theirs) = (Arc::new(Notify::new()), path.clone());
            let writer = thread::spawn(move || {
                fs::create_dir_all(theirs.parent().unwrap()).unwrap();
                fs::write(&theirs, "1").unwrap();
            });
            let watched = watch.file(&path, Arc::clone(&bell)).await.unwrap();
            let seen = async {
                while fs::read_to_string(&path).unwrap_or_default() != "1" {
                    bell.notified().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap();
            writer.join().unwrap();
            drop(watched);
        }
    }
}
