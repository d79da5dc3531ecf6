//! Putting a session's task together.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dsx_core::{Cli, Durable, Recovery, Session, Spec};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::sync::{Notify, mpsc, watch};

use super::sources::{Sources, Tail};
use super::task::{Pumped, SeenHooks, Services, Task};
use super::timers::Timers;
use super::typist::{Typist, delivery_id};
use super::viewers::Viewers;
use crate::clock::now_ms;
use crate::log::{Cursor, LogLimits, LogReader, LogWriter, Phase, rebuild};
use crate::pump::{OnEvent, PumpEvent};
use crate::registry::Reserved;
use crate::screen::Terminal;

/// What a session's task is made of.
pub(super) struct Parts {
    pub core: Session,
    pub terminal: Terminal,
    pub log: LogWriter,
    pub cursor: Cursor,
    pub dir: PathBuf,
    pub master: Option<OwnedFd>,
    pub pid: Option<u32>,
    /// The transcript, where it is being read already.
    pub tail: Option<Tail>,
}

pub(super) fn build(services: Services, parts: Parts, reserved: Reserved) -> io::Result<Task> {
    static NEXT_PUMP_KEY: AtomicU64 = AtomicU64::new(1);
    let pump_key = NEXT_PUMP_KEY.fetch_add(1, Ordering::Relaxed);
    let output = Arc::new(Notify::new());
    let (output_seen, seen) = watch::channel(0);
    let log = parts.log.reader();
    let (mut typist, mut typed) = (None, mpsc::channel(1).1);
    let mut pumped = Pumped { flow: None, eof: Arc::new(AtomicBool::new(false)) };
    if let Some(master) = &parts.master {
        set_nonblocking(master)?;
        let (writer, told) = Typist::start(master.try_clone()?, parts.cursor.clone(), seen)?;
        (typist, typed) = (Some(writer), told);
        let on_event = ring(&output, &pumped.eof);
        let at = parts.terminal.offset();
        let added = services.pump.add(pump_key, master.try_clone()?, parts.log, at, on_event);
        pumped.flow = Some(added.map_err(io::Error::other)?);
    }
    let sources = sources(&services, &parts.core, parts.pid, parts.tail, &reserved);
    Ok(Task {
        id: reserved.id,
        core: parts.core,
        terminal: parts.terminal,
        log,
        cursor: parts.cursor,
        master: parts.master,
        typed_to: None,
        typist,
        typed,
        output,
        output_seen,
        pumped,
        pump_key,
        sources,
        timers: Timers::default(),
        store: services.store.clone(),
        services,
        dir: parts.dir,
        itself: reserved.handle.mailbox.downgrade(),
        mailbox: reserved.mailbox,
        summary: reserved.summary,
        requests: Default::default(),
        waiters: Default::default(),
        when_ready: Vec::new(),
        viewers: Viewers::default(),
        watches_output: false,
        looking: None,
        awaited_text: None,
        unwritten: None,
        ended: None,
        kill: None,
        seen_hooks: SeenHooks::default(),
        over: false,
    })
}

/// What the agent writes down is read for as long as it lives.
fn sources(
    services: &Services,
    core: &Session,
    pid: Option<u32>,
    tail: Option<Tail>,
    reserved: &Reserved,
) -> Option<Sources> {
    let (spec, durable) = (core.spec(), core.durable());
    if durable.exit.is_some() || spec.cli == Cli::Command {
        return None;
    }
    let mailbox = reserved.handle.mailbox.downgrade();
    let sources = Sources::start(spec.cli, services.watch.clone(), session_file(spec, pid), tail, mailbox);
    if let Some(path) = transcript_of(durable) {
        sources.follow(&path);
    }
    Some(sources)
}

/// The pump only rings; the task looks for itself.
fn ring(output: &Arc<Notify>, eof: &Arc<AtomicBool>) -> OnEvent {
    let (output, eof) = (Arc::clone(output), Arc::clone(eof));
    Arc::new(move |event| {
        match event {
            PumpEvent::Data { .. } => {}
            PumpEvent::Eof { .. } | PumpEvent::Failed { .. } | PumpEvent::Removed => {
                eof.store(true, Ordering::Release);
            }
        }
        output.notify_one();
    })
}

fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Where the agent writes what it is doing.
pub(super) fn session_file(spec: &Spec, pid: Option<u32>) -> Option<PathBuf> {
    let (home, pid) = (spec.agent_home.as_ref()?, pid?);
    Some(Path::new(home).join("sessions").join(format!("{pid}.json")))
}

/// Where the agent writes what was said, as far as that is known.
pub(super) fn transcript_of(durable: &Durable) -> Option<String> {
    match durable.spec.cli {
        Cli::Demo => Some(format!("{}/demo.jsonl", durable.spec.dir)),
        Cli::Claude => durable.transcript.clone(),
        Cli::Command => None,
    }
}

/// What a session's directory gives back after a restart.
pub(super) struct ReadBack {
    pub log: LogWriter,
    pub terminal: Terminal,
    pub cursor: Cursor,
}

/// Opens the log where the last supervisor left it and folds the screen up to where it had folded.
pub(super) fn read_back(dir: &Path) -> Result<ReadBack, crate::log::LogError> {
    // One that was removed loses the session its output, not its life. What is in the way is told by what follows.
    let _ = crate::files::make_private_dir(dir);
    let cursor = Cursor::open(dir)?;
    let processed = cursor.processed();
    let (rows, cols) = (super::birth::ROWS, super::birth::COLS);
    let log = LogWriter::open(&dir.join("log"), &LogLimits::default(), rows, cols, processed, now_ms())?;
    let reader: LogReader = log.reader();
    let terminal = rebuild(&reader, processed);
    Ok(ReadBack { log, terminal, cursor })
}

impl Task {
    /// What is provable of the delivery that was under way when the last supervisor died.
    pub(super) fn recovery(&self) -> Recovery {
        let running = self.core.durable().in_hand().map(|t| delivery_id(t.id));
        let begun = self.cursor.delivery().filter(|d| Some(d.id) == running);
        match begun.map(|d| d.phase) {
            Some(Phase::Submitting | Phase::Submitted) => Recovery::Unknown,
            // Typing is recorded before its first byte, unless there is nothing that would have recorded it.
            None if self.cursor.is_new() => Recovery::Unknown,
            Some(Phase::Typing) | None => Recovery::NotSubmitted,
        }
    }
}
