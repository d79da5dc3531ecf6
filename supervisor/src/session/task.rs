//! The task itself: one loop that waits for whatever comes next.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dsx_core::adapter::Drawn;
use dsx_core::{Exit, Input, RequestId, Session, WaiterId};
use dsx_protocol::{Summary, TurnId};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::sleep_until;

use super::output::Looking;
use super::sources::Sources;
use super::timers::{Due, Timers};
use super::typist::{Typed, Typist};
use super::viewers::Viewers;
use super::{Command, Waiter};
use crate::keeper::KeeperHandle;
use crate::log::{Cursor, LogReader};
use crate::pump::{Flow, Pump};
use crate::registry::Registry;
use crate::screen::Terminal;
use crate::serve::ReplyTo;
use crate::store::Store;

/// How long the last output is waited for after the program ended.
pub(super) const DRAIN_MS: u64 = 500;

/// Reports' keys that are remembered.
const SEEN_HOOKS: usize = 256;

/// What every session is given of the supervisor.
#[derive(Clone)]
pub struct Services {
    pub store: Store,
    pub keeper: KeeperHandle,
    pub pump: Arc<Pump>,
    pub watch: crate::watch::Watch,
    pub registry: Registry,
    /// The path of the running binary.
    pub dsx: PathBuf,
    /// Where clients connect; it may move.
    pub socket: watch::Receiver<PathBuf>,
    /// Where the sessions' directories are.
    pub sessions: PathBuf,
}

pub(super) struct Task {
    pub(super) id: String,
    pub(super) core: Session,
    pub(super) terminal: Terminal,
    pub(super) log: LogReader,
    pub(super) cursor: Cursor,
    /// A handle on the PTY, for what only the kernel knows of it.
    pub(super) master: Option<OwnedFd>,
    /// The process group that had the terminal when the running turn was typed.
    pub(super) typed_to: Option<u32>,
    pub(super) typist: Option<Typist>,
    pub(super) typed: mpsc::Receiver<Typed>,
    /// Rung by the pump.
    pub(super) output: Arc<Notify>,
    /// Tells the typist of output.
    pub(super) output_seen: watch::Sender<u64>,
    pub(super) pumped: Pumped,
    pub(super) pump_key: u64,
    pub(super) sources: Option<Sources>,
    pub(super) timers: Timers,
    pub(super) store: Store,
    pub(super) services: Services,
    pub(super) dir: PathBuf,
    pub(super) mailbox: mpsc::Receiver<Command>,
    /// Its own mailbox's other end, weak: the task ends when nobody else can reach it.
    pub(super) itself: mpsc::WeakSender<Command>,
    pub(super) summary: watch::Sender<Summary>,
    pub(super) requests: HashMap<RequestId, ReplyTo>,
    pub(super) waiters: HashMap<WaiterId, Waiter>,
    pub(super) when_ready: Vec<ReplyTo>,
    pub(super) viewers: Viewers,
    pub(super) watches_output: bool,
    pub(super) looking: Option<Looking>,
    /// A message that the typist waits to see in the input box.
    pub(super) awaited_text: Option<(String, oneshot::Sender<Drawn>)>,
    /// The program has ended; its last output may still be on its way.
    pub(super) ended: Option<Exit>,
    pub(super) kill: Option<super::death::Killing>,
    /// The turn whose message could not be written to its file.
    pub(super) unwritten: Option<TurnId>,
    /// Keys of hooks' reports that were taken.
    pub(super) seen_hooks: SeenHooks,
    pub(super) over: bool,
}

/// How far the pump has got with this session's PTY.
pub(super) struct Pumped {
    pub flow: Option<Flow>,
    pub eof: Arc<AtomicBool>,
}

impl Pumped {
    pub(super) fn processed(&self, offset: u64) {
        if let Some(flow) = &self.flow {
            flow.processed(offset);
        }
    }

    /// Whether no more will come.
    pub(super) fn at_end(&self) -> bool {
        self.flow.is_none() || self.eof.load(Ordering::Acquire)
    }
}

/// The newest reports' keys: enough to know a repeat, bounded.
#[derive(Default)]
pub(super) struct SeenHooks {
    keys: VecDeque<String>,
}

impl SeenHooks {
    /// False for a repeat.
    pub(super) fn insert(&mut self, key: &str) -> bool {
        if self.keys.iter().any(|k| k == key) {
            return false;
        }
        if self.keys.len() == SEEN_HOOKS {
            self.keys.pop_front();
        }
        self.keys.push_back(key.to_owned());
        true
    }
}

impl Task {
    pub(super) async fn run(mut self) {
        // A program that prints nothing brings no event, and may be ready all the same.
        self.answer_when_ready();
        while !self.over {
            // First, and not after something has happened: a program that prints nothing is ready as well.
            self.answer_when_ready();
            let due = self.timers.next();
            tokio::select! {
                biased;
                Some(typed) = self.typed.recv() => self.typed(typed).await,
                command = self.mailbox.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                () = self.output.notified() => self.fold().await,
                () = async { match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }} => self.due().await,
            }
        }
        self.answer_when_ready();
        // A session that was removed has given its name back already; another may have it by now.
        if !self.over {
            self.services.registry.gone(&self.id).await;
        }
    }

    pub(super) async fn typed(&mut self, typed: Typed) {
        let input = match typed {
            Typed::Await { text, shown } => {
                self.awaited_text = Some((text, shown));
                self.tell_shown();
                return;
            }
            Typed::Mixed { turn } => Input::Mixed { turn },
            Typed::Submitting { turn, foreground } => {
                self.typed_to = foreground;
                Input::Submitting { turn }
            }
            Typed::Done { turn } => Input::Typed { turn },
            Typed::Failed { turn, submitted, error } => Input::TypeFailed { turn, submitted, error },
        };
        self.input(input).await;
    }

    async fn due(&mut self) {
        for due in self.timers.take_due() {
            match due {
                Due::Core(timer) => self.input(Input::Fired(timer)).await,
                Due::Look => self.looked().await,
                Due::Drain => self.exited().await,
                Due::Grace => self.grace_over().await,
            }
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Request(request, to) => self.request(request, to).await,
            Command::Wait(id, wait, waiter, by) => self.wait(id, wait, waiter, by).await,
            Command::Unwait(waiter) => {
                self.waiters.remove(&waiter);
                self.input(Input::Unwait { waiter }).await;
            }
            // Whoever asked may have gone.
            Command::Spec(answer) => drop(answer.send(Box::new(self.core.spec().clone()))),
            Command::Output(answer) => {
                // Whoever asked may have gone meanwhile.
                let _ = answer.send((self.log.clone(), self.output_seen.subscribe()));
            }
            Command::WhenReady(to) => self.when_ready.push(to),
            Command::Said(said) => {
                for (source, at, evidence) in said {
                    self.input(Input::Said { source, at, evidence }).await;
                }
            }
            Command::Hook { at, key, payload, hold, to } => self.hook(at, &key, &payload, hold, to).await,
            Command::Unhold(request) => {
                self.requests.remove(&request);
                self.input(Input::Unhold { request }).await;
            }
            Command::Respond { by, respond, to } => {
                let request = self.owe(to);
                self.input(Input::Respond { request, by, respond }).await;
            }
            // Whoever asked may have gone.
            Command::Prompts(to) => drop(to.send(self.core.durable().prompts.clone())),
            Command::ReadSpool => self.read_spool().await,
            Command::Exited(exit) => self.program_ended(exit).await,
            Command::Input(viewer, bytes, room) => {
                self.input(Input::Keys).await;
                self.viewer_typed(viewer, bytes, room);
            }
            Command::Resize(viewer, cols, rows) => self.viewer_resized(viewer, cols, rows),
            Command::Left(viewer) => self.viewer_left(viewer).await,
            Command::Room(viewer) => self.viewer_has_room(viewer),
            Command::Attach { viewer, attach, to } => self.attach(viewer, &attach, to).await,
        }
    }

    /// What `list` shows.
    pub(super) fn publish(&mut self) {
        let mut summary = self.core.summary();
        summary.viewers = self.viewers.count();
        self.summary.send_replace(summary);
    }
}
