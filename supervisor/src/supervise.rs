//! The supervisor as a process: it takes what the keeper hands it, brings every session back, and serves.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use dsx_core::{Caller, Durable};
use dsx_protocol::{DSX_VERSION, ErrorKind, Reply, Supervisor, SupervisorReply, WireError};
use tokio::net::UnixListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Duration, timeout};
use tracing::{error, info, warn};

use crate::clock::now_ms;
use crate::keeper::{Child, KeeperEvent, KeeperHandle};
use crate::launch::{Inherited, Origin};
use crate::pump::Pump;
use crate::registry::Registry;
use crate::serve::{Outbox, ReplyTo, accept};
use crate::session::{Adopted, Command, Services, adopt, core_exit, take_in};
use crate::store::Store;
use crate::watch::Watch;

/// Live sessions one creator may have, where nobody says otherwise.
const SESSIONS_PER_CREATOR: usize = 10;
/// How long a client may take to read the answer to its `stop`.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long sessions may take to end on `stop --kill`, each with its own grace.
const STOPPING: Duration = Duration::from_secs(20);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The hidden subcommand `dsx supervise`. `args` are those after it.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Ok(inherited) = Inherited::from_fds() else { return ExitCode::from(2) };
    let told = |error: &dyn std::fmt::Display| {
        error!(%error, "the supervisor cannot start");
        inherited.failed(&error.to_string());
        ExitCode::FAILURE
    };
    let origin = match Origin::from_args(args) {
        Ok(origin) => origin,
        Err(error) => return told(&error),
    };
    if let Err(error) = crate::trace::start(&origin.paths.state) {
        return told(&error);
    }
    // Two threads: folding one session's flood must not make another wait for its turn.
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return told(&error),
    };
    let ended = runtime.block_on(run(inherited, origin));
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "the supervisor ended");
            ExitCode::FAILURE
        }
    }
}

async fn run(inherited: Inherited, origin: Origin) -> Result<(), Failure> {
    let listener = inherited.listener()?;
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let (keeper, children, events) = KeeperHandle::connect(inherited, origin.clone()).await?;
    let started = Box::pin(start(&keeper, children, &origin)).await;
    let (services, moved, warnings) = match started {
        Ok(started) => started,
        Err(error) => {
            // The client that waits is told why.
            let _ = keeper.failed(&error.to_string()).await;
            return Err(error);
        }
    };
    let (stop, mut stopped) = mpsc::channel(1);
    let control = Control::new(&services, warnings, stop);
    tokio::spawn(accept(listener, services.clone(), control.clone()));
    tokio::spawn(route(events, services, moved, control.clone()));
    keeper.ready().await?;
    info!(version = DSX_VERSION, "serving");
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = stopped.recv() => control.farewell().await,
        _ = terminated.recv() => {}
    }
    Ok(())
}

async fn start(
    keeper: &KeeperHandle,
    children: Vec<Child>,
    origin: &Origin,
) -> Result<(Services, watch::Sender<PathBuf>, Vec<String>), Failure> {
    let state = &origin.paths.state;
    let (store, opened) = Store::open(&state.join(crate::store::FILE), now_ms())?;
    let mut warnings = Vec::new();
    if let Some(aside) = opened.set_aside {
        let warning =
            format!("the database was damaged; it was set aside as {} and begun anew", aside.display());
        warn!("{warning}");
        warnings.push(warning);
    }
    let limit = std::env::var("DSX_MAX_SESSIONS_PER_CREATOR").ok().and_then(|v| v.parse().ok());
    let sessions = state.join("sessions");
    crate::files::make_private_dir(&sessions)?;
    let (moved, socket) = watch::channel(origin.paths.socket.clone());
    let services = Services {
        store,
        keeper: keeper.clone(),
        pump: Arc::new(Pump::start(now_ms)?),
        watch: Watch::start()?,
        registry: Registry::start(limit.unwrap_or(SESSIONS_PER_CREATOR), keeper.pid()),
        dsx: origin.exe.clone(),
        socket,
        sessions,
    };
    warnings.extend(Box::pin(bring_back(&services, children)).await?);
    Ok((services, moved, warnings))
}

/// Takes over every session the store knows, with the process the keeper holds for it.
async fn bring_back(services: &Services, children: Vec<Child>) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    let mut held: HashMap<String, Child> = children.into_iter().map(|c| (c.session.clone(), c)).collect();
    let mut adoptions = Vec::new();
    for (id, history) in services.store.load().await? {
        let Some(durable) = Durable::replay(history.iter().map(|(at, fact)| (*at, fact))) else {
            warnings.push(format!("what is stored of session {id} makes no sense; it is left alone"));
            continue;
        };
        if durable.pid.is_none() && durable.exit.is_none() && !held.contains_key(&id) {
            // The last supervisor died before it had started anything: whoever asked for it asks again.
            services.store.remove(&id).await?;
            continue;
        }
        let spec = &durable.spec;
        let (creator, key, name) = (spec.creator.clone(), spec.key.clone(), durable.name.clone());
        let reserved = services.registry.adopt(id.clone(), creator, spec.depth, key, name).await;
        let Some(reserved) = reserved else { return Err("the registry has ended".into()) };
        let adopted = Adopted { durable, child: held.remove(&id), reserved };
        let pid = adopted.child.as_ref().map(|c| c.pid);
        adoptions.push((id, pid, tokio::spawn(adopt(services.clone(), adopted))));
    }
    for (id, pid, adoption) in adoptions {
        if let Err(error) =
            adoption.await.map_err(|e| WireError::new(ErrorKind::Failed, e.to_string())).flatten()
        {
            warn!(session = %id, %error, "a session could not be taken over");
            let left = pid.map(|pid| format!("; its process {pid} still runs"));
            warnings.push(format!("{error}{}", left.unwrap_or_default()));
        }
    }
    for (id, child) in held {
        let pid = child.pid;
        warnings.push(match take_in(services.clone(), child).await {
            Ok(()) => {
                format!("process {pid} was found running as session {id}, which the database did not know")
            }
            Err(error) => {
                warn!(session = %id, %error, "a process could not be taken in");
                format!("process {pid} runs as session {id}, which the database does not know: {error}")
            }
        });
    }
    Ok(warnings)
}

/// Tells sessions what the keeper says of their processes.
async fn route(
    mut events: mpsc::Receiver<KeeperEvent>,
    services: Services,
    moved: watch::Sender<PathBuf>,
    control: Control,
) {
    let registry = services.registry.clone();
    while let Some(event) = events.recv().await {
        match event {
            KeeperEvent::Exited { session, exit, .. } => registry.exited(session, core_exit(exit)).await,
            KeeperEvent::Moved { socket, listener } => {
                info!(socket = %socket.display(), "the socket's directory was taken away; clients come here now");
                moved.send_replace(socket);
                match listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener)) {
                    Ok(listener) => {
                        tokio::spawn(accept(listener, services.clone(), control.clone()));
                    }
                    Err(error) => error!(%error, "the new socket cannot be served"),
                }
            }
            KeeperEvent::Lost => warn!("the keeper died; another is being started"),
            KeeperEvent::Revived { pid } => {
                info!(pid, "another keeper has taken over");
                registry.keeper(pid).await;
            }
        }
    }
}

/// What is asked of the supervisor itself.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    keeper: KeeperHandle,
    registry: Registry,
    socket: watch::Receiver<PathBuf>,
    started_at: u64,
    warnings: Vec<String>,
    stop: mpsc::Sender<()>,
    closed: Notify,
}

impl Control {
    fn new(services: &Services, warnings: Vec<String>, stop: mpsc::Sender<()>) -> Self {
        Self {
            shared: Arc::new(Shared {
                keeper: services.keeper.clone(),
                registry: services.registry.clone(),
                socket: services.socket.clone(),
                started_at: now_ms(),
                warnings,
                stop,
                closed: Notify::new(),
            }),
        }
    }

    /// What could not be read back at the start.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.shared.warnings.clone()
    }

    /// A connection has closed: a descriptor is free, and a stop may go on.
    pub fn connection_closed(&self) {
        self.shared.closed.notify_waiters();
    }

    /// Waits for a descriptor to be freed.
    pub async fn descriptor_freed(&self) {
        self.shared.closed.notified().await;
    }

    pub(crate) fn request(&self, asked: Supervisor, caller: Caller, to: ReplyTo) {
        let control = self.clone();
        tokio::spawn(async move {
            match control.perform(&asked, &caller).await {
                Ok(reply) => to.answer(Ok(reply)),
                Err(error) => to.answer(Err(error)),
            }
        });
    }

    async fn perform(&self, asked: &Supervisor, caller: &Caller) -> Result<Reply, WireError> {
        match asked.action.as_str() {
            "status" => Ok(Reply::Supervisor(self.status().await)),
            "stop" | "restart" if *caller != Caller::User => {
                Err(WireError::new(ErrorKind::Refused, "a session may not stop the supervisor it runs under")
                    .hint("ask the owner to do it"))
            }
            "stop" => {
                self.stop_sessions(asked.kill).await?;
                self.shared.keeper.shutdown().await;
                self.end();
                Ok(Reply::Done)
            }
            "restart" => {
                self.end();
                Ok(Reply::Done)
            }
            other => {
                Err(WireError::new(ErrorKind::Usage, format!("'{other}' cannot be asked of the supervisor"))
                    .hint("use status, stop or restart"))
            }
        }
    }

    fn end(&self) {
        // A second stop finds the first one under way.
        let _ = self.shared.stop.try_send(());
    }

    /// The client whose request ends the supervisor still gets its answer.
    async fn farewell(&self) {
        let _ = timeout(FAREWELL, self.shared.closed.notified()).await;
    }

    async fn status(&self) -> SupervisorReply {
        let sessions = self.shared.registry.list(Caller::User).await;
        let live = sessions.iter().filter(|h| h.summary.borrow().status != "exited").count();
        SupervisorReply {
            pid: std::process::id(),
            keeper_pid: self.shared.keeper.pid(),
            version: DSX_VERSION.to_owned(),
            started_at: self.shared.started_at,
            sessions: live as u32,
            socket: self.shared.socket.borrow().to_string_lossy().into_owned(),
        }
    }

    async fn stop_sessions(&self, kill: bool) -> Result<(), WireError> {
        let sessions = self.shared.registry.list(Caller::User).await;
        let live: Vec<_> = sessions.into_iter().filter(|h| h.summary.borrow().status != "exited").collect();
        if live.is_empty() {
            return Ok(());
        }
        if !kill {
            let ids: Vec<&str> = live.iter().map(|h| h.id.as_str()).collect();
            let what = format!("{} sessions are alive: {}", ids.len(), ids.join(", "));
            return Err(WireError::new(ErrorKind::Refused, what)
                .hint("end them first, or use 'dsx supervisor stop --kill'"));
        }
        let (outbox, mut answers) = Outbox::new(live.len());
        for handle in &live {
            let kill = dsx_protocol::Kill { session: handle.id.clone(), grace_ms: None };
            let to = ReplyTo::new(outbox.clone(), 0);
            let _ = handle.put(Command::Request(dsx_protocol::Request::Kill(kill), to));
        }
        drop(outbox);
        // Each answers when it is gone; what does not end is hung up with the keeper.
        let _ = timeout(STOPPING, answers.end()).await;
        Ok(())
    }
}
