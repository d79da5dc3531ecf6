//! How a session comes to be: asked for by a client, or found alive after a restart.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use dsx_core::adapter::{clean_env, launch};
use dsx_core::{Caller, Cli, Durable, Fact, Input, Mode, Recovery, Session, Spec, Terms, take_over};
use dsx_protocol::{Create, ErrorKind, Summary, WireError};
use nix::sys::signal::Signal;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::build::{Parts, build, session_file, transcript_of};
use super::sources::{AllSaid, Tail, read_again};
use super::task::Services;
use crate::clock::now_ms;
use crate::files::{make_private_dir, write_private};
use crate::hook::{SPOOL, TOKEN};
use crate::keeper::{Child, Scope, SpawnRequest};
use crate::log::{Cursor, LogLimits, LogWriter};
use crate::program;
use crate::registry::{Reservation, Reserved};
use crate::serve::ReplyTo;

pub(super) const COLS: u16 = 120;
pub(super) const ROWS: u16 = 40;

type Env = Vec<(Vec<u8>, Vec<u8>)>;

/// What a create comes to once it has been checked, before anything exists.
struct Plan {
    cli: Cli,
    mode: Mode,
    program: PathBuf,
    /// Arguments after the program's name.
    args: Vec<OsString>,
    path: PathBuf,
    env: Env,
    /// What the agent's program says of itself, where that was asked.
    version: Option<String>,
    create: Create,
    terms: Terms,
}

/// Checks a request whole, then starts the session; a failure leaves neither process nor row.
pub async fn create(services: Services, caller: Caller, create: Create, to: ReplyTo) {
    let key = create.key.clone();
    let create = match complete(&services, &caller, create).await {
        Ok(create) => create,
        Err(error) => return to.answer(Err(error)),
    };
    let checked = {
        let (dsx, caller) = (services.dsx.clone(), caller.clone());
        tokio::task::spawn_blocking(move || plan(create, &caller, &dsx)).await
    };
    let planned = match checked {
        Ok(Ok(plan)) => plan,
        Ok(Err(error)) => return to.answer(Err(error)),
        Err(error) => return to.answer(Err(WireError::new(ErrorKind::Failed, error.to_string()))),
    };
    let planned = with_version(planned).await;
    let seed = Uuid::new_v4().as_u64_pair().0;
    match services.registry.reserve(caller.clone(), key, seed).await {
        Ok(Reservation::New(reserved)) => {
            let id = reserved.id.clone();
            if let Err(error) = start(&services, &caller, planned, *reserved, to.clone()).await {
                abandon(&services, &id).await;
                to.answer(Err(error));
            }
        }
        Ok(Reservation::Repeat(handle)) => {
            if let Err(error) = handle.put(super::Command::WhenReady(to.clone())) {
                to.answer(Err(error));
            }
        }
        Err(error) => to.answer(Err(error)),
    }
}

/// What is not said is what the session whose work is taken over was told.
async fn complete(services: &Services, caller: &Caller, create: Create) -> Result<Create, WireError> {
    let Some(from) = create.from.clone() else { return Ok(create) };
    let handle = services.registry.find(from, caller.clone()).await?;
    let (answer, spec) = oneshot::channel();
    handle.put(super::Command::Spec(answer))?;
    let gone = |_| WireError::new(ErrorKind::NoSession, format!("session {} is gone", handle.id));
    take_over(create, &*spec.await.map_err(gone)?)
}

/// The version decides how some agents are told to ask.
async fn with_version(mut plan: Plan) -> Plan {
    if plan.cli == Cli::Claude && plan.mode == Mode::Ask {
        let env = clean_env(&plan.env, &[]);
        plan.version = program::version(&plan.program, &env, &plan.path).await;
    }
    plan
}

async fn abandon(services: &Services, id: &str) {
    // A program that was started already, of a session that could not be put together, goes with it.
    let killed = services.keeper.signal(id, Signal::SIGKILL, Scope::Session);
    let _ = tokio::time::timeout(super::death::FORCED, killed).await;
    let _ = services.keeper.forget(id).await;
    let _ = services.store.remove(id).await;
    let dir = services.sessions.join(id);
    let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
    services.registry.gone(id).await;
}

fn plan(create: Create, caller: &Caller, dsx: &Path) -> Result<Plan, WireError> {
    let usage = |what: String| WireError::new(ErrorKind::Usage, what);
    let terms = Terms::asked(&create, caller)?;
    let path = PathBuf::from(OsString::from_vec(create.path.to_vec()));
    if !path.is_absolute() {
        return Err(usage(format!("the path '{}' is not absolute", path.display())));
    }
    program::check_directory(&path)?;
    let mode = match create.mode.as_deref() {
        None | Some("native") => Mode::Native,
        Some("ask") => Mode::Ask,
        Some(other) => {
            return Err(usage(format!("'{other}' is no mode")).hint("use --mode native or --mode ask"));
        }
    };
    let env: Env = create.env.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
    let (cli, program, args) = choose(&create, &env, &path, dsx)?;
    Ok(Plan { cli, mode, program, args, path, env, version: None, create, terms })
}

/// Which program: the one named, else the first agent on the caller's PATH, else the built-in demo.
fn choose(
    create: &Create,
    env: &Env,
    path: &Path,
    dsx: &Path,
) -> Result<(Cli, PathBuf, Vec<OsString>), WireError> {
    let usage = |what: &str| WireError::new(ErrorKind::Usage, what);
    if let Some((name, args)) = create.command.split_first() {
        if create.cli.is_some() {
            return Err(usage("a session runs an agent or a command, not both")
                .hint("leave --cli or the command out"));
        }
        let args = args.iter().map(|a| OsString::from_vec(a.to_vec())).collect();
        return Ok((Cli::Command, program::find(OsStr::from_bytes(name), env, path)?, args));
    }
    let find = |name: &str| program::find(OsStr::new(name), env, path);
    match create.cli.as_deref() {
        Some("claude") => Ok((Cli::Claude, find("claude")?, Vec::new())),
        Some("demo") => Ok((Cli::Demo, dsx.to_owned(), Vec::new())),
        Some("codex") => Err(usage("codex sessions are not supported by this version of dsx")
            .hint("use --cli claude, or run it as a command: 'dsx create -- codex'")),
        Some(other) => {
            Err(usage(&format!("'{other}' is no agent that dsx knows"))
                .hint("use --cli claude or --cli demo"))
        }
        None => Ok(match find("claude") {
            Ok(claude) => (Cli::Claude, claude, Vec::new()),
            Err(_) => (Cli::Demo, dsx.to_owned(), Vec::new()),
        }),
    }
}

/// The directory that Claude keeps its files in, by the environment it will have.
fn agent_home(cli: Cli, env: &Env) -> Option<String> {
    if cli != Cli::Claude {
        return None;
    }
    let home = match program::variable(env, "CLAUDE_CONFIG_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(program::variable(env, "HOME")?).join(".claude"),
    };
    home.into_os_string().into_string().ok()
}

fn spec(plan: &Plan, reserved: &Reserved, creator: &str, dir: &Path, now: u64) -> Spec {
    let shown = std::iter::once(plan.program.as_os_str()).chain(plan.args.iter().map(OsString::as_os_str));
    Spec {
        id: reserved.id.clone(),
        cli: plan.cli,
        command: shown.map(|a| a.to_string_lossy().into_owned()).collect(),
        path: plan.path.to_string_lossy().into_owned(),
        mode: plan.mode,
        model: plan.create.model.clone(),
        description: plan.create.description.clone(),
        group: plan.create.group.clone(),
        created_at: now,
        creator: creator.to_owned(),
        depth: reserved.depth,
        conversation: (plan.cli == Cli::Claude).then(|| Uuid::new_v4().to_string()),
        agent_version: plan.version.clone(),
        agent_home: agent_home(plan.cli, &plan.env),
        key: plan.create.key.clone(),
        dir: dir.to_string_lossy().into_owned(),
        terms: plan.terms.clone(),
    }
}

async fn start(
    services: &Services,
    caller: &Caller,
    plan: Plan,
    reserved: Reserved,
    to: ReplyTo,
) -> Result<(), WireError> {
    let failed = |what: String| WireError::new(ErrorKind::Failed, what).hint("look with 'dsx doctor'");
    let now = now_ms();
    let dir = services.sessions.join(&reserved.id);
    let spec = spec(&plan, &reserved, caller.name(), &dir, now);
    let token = Uuid::new_v4().simple().to_string();
    let launch = launch(&spec, &services.dsx.to_string_lossy());
    let size = (at_least(plan.create.rows, ROWS), at_least(plan.create.cols, COLS));
    let made = {
        let (dir, files) = (dir.clone(), launch.files);
        tokio::task::spawn_blocking(move || make_files(&dir, &token, &files, size, now)).await
    };
    let (log, cursor) = made
        .map_err(|e| failed(e.to_string()))?
        .map_err(|e| failed(format!("the directory {} cannot be made: {e}", dir.display())))?;
    let mut effects = Vec::new();
    let core = Session::create(spec.clone(), &mut effects);
    let created = vec![Fact::Created(Box::new(spec))];
    services.store.append(&reserved.id, now, created).await.map_err(|e| failed(e.to_string()))?;
    let args = launch.args.into_iter().map(OsString::from).collect();
    let child = services.keeper.spawn(spawn_request(services, &plan, args, &reserved.id, size)).await;
    let child = child.map_err(|e| WireError::new(ErrorKind::Failed, e.to_string()))?;
    let terminal = crate::screen::Terminal::new(size.0, size.1);
    let master = child.master;
    let parts = Parts { core, terminal, log, cursor, dir, master, pid: Some(child.pid), tail: None };
    let mut task = build(services.clone(), parts, reserved).map_err(|e| failed(e.to_string()))?;
    task.when_ready.push(to);
    task.input(Input::Started { pid: child.pid, start_time: child.start_time }).await;
    if let Some(exit) = child.exit {
        task.program_ended(core_exit(exit)).await;
    }
    task.publish();
    tokio::spawn(task.run());
    Ok(())
}

fn at_least(asked: u16, default: u16) -> u16 {
    if asked == 0 { default } else { asked.max(2) }
}

pub(crate) fn core_exit(exit: crate::keeper::Exit) -> dsx_core::Exit {
    dsx_core::Exit { code: exit.code, signal: exit.signal }
}

fn make_files(
    dir: &Path,
    token: &str,
    files: &[(String, String)],
    size: (u16, u16),
    now: u64,
) -> Result<(LogWriter, Cursor), Box<dyn std::error::Error + Send + Sync>> {
    // Whatever an earlier session of this name left: its spool must not be read as this one's.
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    for part in [dir.to_owned(), dir.join(SPOOL), dir.join("messages")] {
        make_private_dir(&part)?;
    }
    write_private(&dir.join(TOKEN), token.as_bytes())?;
    for (name, content) in files {
        write_private(&dir.join(name), content.as_bytes())?;
    }
    let log = LogWriter::create(&dir.join("log"), &LogLimits::default(), size.0, size.1, now)?;
    Ok((log, Cursor::open(dir)?))
}

fn spawn_request(
    services: &Services,
    plan: &Plan,
    launch: Vec<OsString>,
    id: &str,
    size: (u16, u16),
) -> SpawnRequest {
    let socket = services.socket.borrow().to_string_lossy().into_owned();
    let group = plan.create.group.as_deref().map(|group| ("DSX_GROUP", group));
    let own = [("DSX_SESSION", id), ("DSX_SOCKET", &socket)];
    let env = clean_env(&plan.env, &Vec::from_iter(own.into_iter().chain(group)));
    let name = plan
        .create
        .command
        .first()
        .map_or_else(|| plan.program.clone().into_os_string(), |n| OsString::from_vec(n.to_vec()));
    let argv = std::iter::once(name).chain(launch).chain(plan.args.iter().cloned()).collect();
    SpawnRequest {
        session: id.to_owned(),
        program: plan.program.clone(),
        argv,
        env: env.into_iter().map(|(n, v)| (OsString::from_vec(n), OsString::from_vec(v))).collect(),
        cwd: plan.path.clone(),
        rows: size.0,
        cols: size.1,
        pty: true,
        output: None,
    }
}

/// A session that was there before this supervisor.
pub struct Adopted {
    pub durable: Durable,
    /// What the keeper holds of it; none when it is gone, or the keeper is another.
    pub child: Option<Child>,
    pub reserved: Reserved,
}

/// It is listed as what it was, of which nothing is known now.
fn unknown(published: &watch::Sender<Summary>, was: Summary) {
    published.send_replace(Summary { status: super::UNKNOWN.to_owned(), ..was });
}

/// Takes over a session: screen, evidence and delivery as they are now.
pub async fn adopt(services: Services, adopted: Adopted) -> Result<(), WireError> {
    let Adopted { durable, child, reserved } = adopted;
    let id = reserved.id.clone();
    let failed = |e: &dyn std::fmt::Display| {
        WireError::new(ErrorKind::Failed, format!("session {id} cannot be taken over: {e}")).session(&id)
    };
    let dir = PathBuf::from(&durable.spec.dir);
    let (pid, exit) = (child.as_ref().map(|c| (c.pid, c.start_time)), child.as_ref().and_then(|c| c.exit));
    let read = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || super::build::read_back(&dir)).await
    };
    let read = match read.map_err(|e| failed(&e)).and_then(|read| read.map_err(|e| failed(&e))) {
        Ok(read) => read,
        Err(error) => {
            unknown(&reserved.summary, Session::restore(durable).summary());
            return Err(error);
        }
    };
    let master: Option<OwnedFd> = child.and_then(|c| c.master);
    let already_over = durable.exit.is_some();
    let process = durable.pid.or(pid.map(|(pid, _)| pid)).filter(|_| !already_over);
    if already_over && pid.is_some() {
        // The last supervisor died between storing the exit and saying so to the keeper.
        let _ = services.keeper.forget(&id).await;
    }
    let (said, tail) = read_sources(&durable, process).await;
    let started = durable.pid.map(|pid| (pid, durable.start_time));
    let core = Session::restore(durable);
    // What comes after this is read for the first time, and its questions are still to be answered.
    let read_before = read.log.end();
    let parts = Parts {
        core,
        terminal: read.terminal,
        log: read.log,
        cursor: read.cursor,
        dir,
        master,
        pid: process,
        tail,
    };
    let (summary, was) = (reserved.summary.clone(), parts.core.summary());
    let mut task = build(services, parts, reserved).map_err(|e| {
        unknown(&summary, was);
        failed(&e)
    })?;
    if !already_over {
        let exit = exit.map(core_exit);
        let found = Found { pid, exit, started, said, read_before };
        task.recover(found).await;
    } else {
        // There is nothing to settle, but it may have a time to live.
        task.input(Input::Recovered(Recovery::NotSubmitted)).await;
    }
    task.publish();
    tokio::spawn(task.run());
    Ok(())
}

async fn read_sources(durable: &Durable, pid: Option<u32>) -> (AllSaid, Option<Tail>) {
    let cli = durable.spec.cli;
    let session_file = session_file(&durable.spec, pid);
    let transcript = transcript_of(durable);
    let read = move || read_again(cli, session_file.as_deref(), transcript.as_deref());
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// What the world shows of a session after a restart.
struct Found {
    /// The process the keeper holds, and when it began.
    pid: Option<(u32, u64)>,
    exit: Option<dsx_core::Exit>,
    /// The process that was started, as it is stored.
    started: Option<(u32, u64)>,
    said: AllSaid,
    /// Where the log ended when this supervisor came.
    read_before: u64,
}

impl super::task::Task {
    /// Everything that can be read back is said to the core, then that it was.
    async fn recover(&mut self, found: Found) {
        let Found { pid, exit, started, said, read_before } = found;
        // Before anything is said: from the first input on there may be a delivery of our own.
        let recovery = self.recovery();
        if let (Some((pid, start_time)), None) = (pid, self.core.durable().pid) {
            self.input(Input::Started { pid, start_time }).await;
        }
        self.read_spool().await;
        // Not up to the end as it is now: a program that floods would keep every session waiting.
        while self.terminal.offset() < read_before {
            self.fold().await;
        }
        self.terminal.set_answers(true);
        for (source, at, evidence) in said {
            self.input(Input::Said { source, at, evidence }).await;
        }
        let mut inputs = VecDeque::new();
        let mut effects = Vec::new();
        let now = self.now();
        self.core.handle(now, Input::Recovered(recovery), &mut effects);
        self.carry_out(now, effects, &mut inputs).await;
        while let Some(input) = inputs.pop_front() {
            self.input(input).await;
        }
        match (exit, pid) {
            (Some(exit), _) => self.program_ended(exit).await,
            // The keeper that was its parent is gone, and it with it.
            (None, None) => {
                if let Some((pid, start_time)) = started {
                    // Unless it ignores the hang-up of its terminal: then it would run on, seen by nobody.
                    let end = move || crate::keeper::end_abandoned(pid, start_time);
                    let _ = tokio::task::spawn_blocking(end).await;
                }
                self.program_ended(dsx_core::Exit::default()).await;
            }
            (None, Some(_)) => {}
        }
    }
}
