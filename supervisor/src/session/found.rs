//! A process that the keeper holds and the database does not know, because it was damaged and set aside: it is
//! taken in as a command session, so that it is seen in `list`, can be looked at, and can be ended.

use std::fs;
use std::path::{Path, PathBuf};

use dsx_core::{Cli, Durable, Fact, Mode, Spec};
use dsx_protocol::{ErrorKind, WireError};

use super::birth::{Adopted, adopt};
use super::task::Services;
use crate::clock::now_ms;
use crate::files::make_private_dir;
use crate::hook::SPOOL;
use crate::keeper::Child;
use crate::log::Cursor;

const DESCRIPTION: &str = "found running; what was stored of it is lost";

/// Takes in a process; its output log is found again by its session's name.
pub(crate) async fn take_in(services: Services, child: Child) -> Result<(), WireError> {
    let id = child.session.clone();
    let failed = |what: String| WireError::new(ErrorKind::Failed, what).session(&id);
    let dir = services.sessions.join(&id);
    let (pid, now) = (child.pid, now_ms());
    let prepared = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || prepare(&dir).map(|()| (command_of(pid), directory_of(pid))))
            .await
    };
    let (command, path) = prepared
        .map_err(|e| failed(e.to_string()))?
        .map_err(|e| failed(format!("{}: {e}", dir.display())))?;
    let spec = Spec {
        id: id.clone(),
        cli: Cli::Command,
        command,
        path,
        mode: Mode::Native,
        model: None,
        description: Some(DESCRIPTION.to_owned()),
        group: None,
        created_at: now,
        creator: "user".to_owned(),
        depth: 0,
        conversation: None,
        agent_version: None,
        agent_home: None,
        key: None,
        dir: dir.to_string_lossy().into_owned(),
        terms: dsx_core::Terms::default(),
    };
    let facts =
        vec![Fact::Created(Box::new(spec)), Fact::Started { pid, start_time: child.start_time }, Fact::Ready];
    let durable = Durable::replay(facts.iter().map(|fact| (now, fact)));
    let durable = durable.ok_or_else(|| failed("its facts make no sense".to_owned()))?;
    // What the store may still have of it made no sense.
    services.store.remove(&id).await.map_err(|e| failed(e.to_string()))?;
    services.store.append(&id, now, facts).await.map_err(|e| failed(e.to_string()))?;
    let reserved = services.registry.adopt(id.clone(), "user".to_owned(), 0, None, None).await;
    let reserved = reserved.ok_or_else(|| failed("the registry has ended".to_owned()))?;
    Box::pin(adopt(services, Adopted { durable, child: Some(child), reserved })).await
}

fn prepare(dir: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for part in [dir.to_owned(), dir.join(SPOOL), dir.join("messages")] {
        make_private_dir(&part)?;
    }
    // Turns are counted anew: a delivery of the forgotten ones must not pass for one of these.
    Cursor::open(dir)?.clear();
    Ok(())
}

fn command_of(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn directory_of(pid: u32) -> String {
    let path = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| PathBuf::from("/"));
    path.to_string_lossy().into_owned()
}
