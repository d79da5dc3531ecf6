//! One client: frames in, requests to where they belong, frames out.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use dsx_core::{Caller, RequestId, WaiterId};
use dsx_protocol::{
    Decoder, ErrorKind, Events, Frame, Hello, Kind, List, Prompts, Reply, Request, Resize, Sessions,
    Transcript, Wait, WireError, agree, body, decode, encode,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tracing::debug;

use super::ancestry::line_of;
use super::reply::{OUTBOX, Outbox, ReplyTo};
use crate::registry::selects;
use crate::session::{Command, Services, SessionHandle, Waiter};
use crate::supervise::Control;

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) async fn serve(stream: UnixStream, pid: Option<u32>, services: Services, control: Control) {
    let (mut reader, writer) = stream.into_split();
    let (outbox, queue) = Outbox::new(OUTBOX);
    let writing = tokio::spawn(queue.write_to(writer));
    let mut connection = Connection {
        pid,
        services,
        control: control.clone(),
        outbox,
        greeted: false,
        caller: None,
        waits: Vec::new(),
        holds: Vec::new(),
        viewing: Vec::new(),
        following: JoinSet::new(),
    };
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 64 * 1024];
    'reading: while let Ok(read @ 1..) = reader.read(&mut buffer).await {
        decoder.push(buffer.get(..read).unwrap_or_default());
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    if !connection.frame(frame).await {
                        break 'reading;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    connection.refuse(0, WireError::new(ErrorKind::Usage, error.to_string()));
                    break 'reading;
                }
            }
        }
    }
    connection.leave().await;
    drop(connection);
    // What is in the outbox is still written; a client that reads nothing ends it by closing.
    let _ = writing.await;
    control.connection_closed();
}

struct Connection {
    pid: Option<u32>,
    services: Services,
    control: Control,
    outbox: Outbox,
    greeted: bool,
    /// Found out once, when it is first needed.
    caller: Option<Caller>,
    /// Those that have settled are held by nobody else, and are swept out when the next one comes.
    waits: Vec<(SessionHandle, WaiterId, Weak<()>)>,
    /// Hooks that wait for a decision.
    holds: Vec<(SessionHandle, RequestId)>,
    /// Attached terminals: the channel, the viewer's number, the session.
    viewing: Vec<(u32, u64, SessionHandle)>,
    /// Streams without an end of their own: they end with the connection.
    following: JoinSet<()>,
}

impl Connection {
    /// False when the connection is to be closed.
    async fn frame(&mut self, frame: Frame) -> bool {
        match frame.kind {
            Kind::Hello => self.hello(&frame.body),
            _ if !self.greeted => {
                self.refuse(
                    frame.channel,
                    WireError::new(ErrorKind::Usage, "the first frame must be a hello"),
                );
                false
            }
            Kind::Request => {
                match decode::<Request>(&frame.body) {
                    Ok(request) => self.request(request, frame.channel).await,
                    Err(error) => {
                        self.refuse(frame.channel, WireError::new(ErrorKind::Usage, error.to_string()));
                    }
                }
                true
            }
            Kind::Input => {
                if let Some((_, viewer, handle)) = self.viewing.iter().find(|(c, ..)| *c == frame.channel) {
                    // Where the program reads slowly this client waits, and nobody else.
                    handle.type_for(*viewer, frame.body).await;
                }
                true
            }
            // A kind of a newer client: skipped whole.
            Kind::Reply | Kind::Error | Kind::Event | Kind::Output | Kind::Unknown(_) => true,
        }
    }

    fn hello(&mut self, bytes: &[u8]) -> bool {
        let ours = Hello::ours();
        let theirs = match decode::<Hello>(bytes) {
            Ok(hello) => hello,
            Err(error) => {
                self.refuse(0, WireError::new(ErrorKind::Usage, error.to_string()));
                return false;
            }
        };
        if agree(&ours, &theirs).is_none() {
            let what = format!(
                "dsx {} speaks protocol {} to {}, the supervisor (dsx {}) speaks {} to {}",
                theirs.version, theirs.min, theirs.max, ours.version, ours.min, ours.max
            );
            let hint = "stop the supervisor with the dsx that started it ('dsx supervisor stop')";
            let error = WireError::new(ErrorKind::Unavailable, what).hint(hint);
            self.refuse(0, error);
            return false;
        }
        self.greeted = true;
        if let Ok(frame) = body(&ours).and_then(|b| encode(Kind::Hello, 0, &b)) {
            // The outbox is empty at the first frame.
            let _ = self.outbox.put(frame);
        }
        true
    }

    fn refuse(&self, channel: u32, error: WireError) {
        ReplyTo::new(self.outbox.clone(), channel).answer(Err(error));
    }

    async fn caller(&mut self) -> Caller {
        if let Some(caller) = &self.caller {
            return caller.clone();
        }
        let line = self.pid.map(line_of).unwrap_or_default();
        let caller = self.services.registry.identify(line).await;
        self.caller = Some(caller.clone());
        caller
    }

    async fn request(&mut self, request: Request, channel: u32) {
        let to = ReplyTo::new(self.outbox.clone(), channel);
        if let Err(error) = self.route(request, channel, to.clone()).await {
            to.answer(Err(error));
        }
    }

    async fn route(&mut self, request: Request, channel: u32, to: ReplyTo) -> Result<(), WireError> {
        match request {
            Request::Create(create) => {
                let caller = self.caller().await;
                tokio::spawn(crate::session::create(self.services.clone(), caller, create, to));
                Ok(())
            }
            Request::List(list) => {
                let caller = self.caller().await;
                to.answer(Ok(Reply::Sessions(self.list(caller, &list).await)));
                Ok(())
            }
            Request::Wait(wait) => self.wait(wait, to).await,
            Request::Attach(attach) => {
                let handle = self.find(&attach.session).await?;
                if !attach.read_only {
                    self.may_type(&handle).await?;
                }
                let viewer = NEXT.fetch_add(1, Ordering::Relaxed);
                handle.put(Command::Attach { viewer, attach, to })?;
                self.viewing.push((channel, viewer, handle));
                Ok(())
            }
            Request::Resize(Resize { cols, rows }) => {
                let (_, viewer, handle) =
                    self.viewing.iter().find(|(c, ..)| *c == channel).ok_or_else(not_attached)?;
                handle.deliver(Command::Resize(*viewer, cols, rows)).await;
                Ok(())
            }
            Request::Events(asked) => self.events(asked, to).await,
            Request::Transcript(asked) => self.transcript(asked, to).await,
            Request::Logs(asked) if asked.follow => {
                let handle = self.find(&asked.session).await?;
                self.stream(true, super::logs::follow(self.services.clone(), handle, asked, to));
                Ok(())
            }
            Request::Supervisor(supervisor) => {
                let caller = self.caller().await;
                self.control.request(supervisor, caller, to);
                Ok(())
            }
            Request::Hook(hook) => {
                self.holds.extend(crate::hook::deliver(&self.services, self.pid, hook, to).await?);
                Ok(())
            }
            Request::Prompts(prompts) => self.prompts(prompts, to).await,
            Request::Respond(respond) => {
                let caller = self.caller().await;
                let by = caller.name().to_owned();
                let handle = self.services.registry.answerable(respond.session.clone(), caller).await?;
                handle.put(Command::Respond { by, respond, to })
            }
            Request::Unknown => {
                Err(WireError::new(ErrorKind::Usage, "the supervisor does not know this command")
                    .hint("it is older than this dsx: run 'dsx supervisor restart'"))
            }
            other => self.pass_on(other, to).await,
        }
    }

    async fn wait(&mut self, wait: Wait, to: ReplyTo) -> Result<(), WireError> {
        let handle = self.find(&wait.session).await?;
        let by = match self.caller().await {
            Caller::Session { id, .. } => Some(id),
            Caller::User | Caller::Stray => None,
        };
        let (id, waiter) = (WaiterId(NEXT.fetch_add(1, Ordering::Relaxed)), Waiter::new(to));
        let stands = waiter.stands();
        handle.put(Command::Wait(id, wait, waiter, by))?;
        self.waits.retain(|(.., stands)| stands.strong_count() > 0);
        self.waits.push((handle, id, stands));
        Ok(())
    }

    async fn prompts(&mut self, prompts: Prompts, to: ReplyTo) -> Result<(), WireError> {
        let caller = self.caller().await;
        let handles = match prompts.session {
            Some(session) => vec![self.find(&session).await?],
            None => self.services.registry.list(caller).await,
        };
        tokio::spawn(super::prompts::list(handles, to));
        Ok(())
    }

    async fn pass_on(&mut self, request: Request, to: ReplyTo) -> Result<(), WireError> {
        let handle = self.find(session_of(&request)).await?;
        if matches!(request, Request::Keys(_)) && handle.summary.borrow().prompts > 0 {
            self.may_type(&handle).await?;
        }
        if handle.is_orphan() && matches!(request, Request::Kill(_)) {
            to.answer(crate::session::bury(&self.services, &handle).await);
            return Ok(());
        }
        handle.put(Command::Request(request, to))
    }

    async fn events(&mut self, asked: Events, to: ReplyTo) -> Result<(), WireError> {
        let caller = self.caller().await;
        self.stream(asked.follow, super::events::tell(self.services.clone(), caller, asked, to));
        Ok(())
    }

    async fn transcript(&mut self, asked: Transcript, to: ReplyTo) -> Result<(), WireError> {
        let handle = self.find(&asked.session).await?;
        self.stream(asked.follow, super::transcript::tell(self.services.clone(), handle, asked, to));
        Ok(())
    }

    /// What has an end goes on to it, as every answer does, even if the client says that it asks no more.
    fn stream(&mut self, follows: bool, stream: impl Future<Output = ()> + Send + 'static) {
        while self.following.try_join_next().is_some() {}
        if follows {
            self.following.spawn(stream);
        } else {
            tokio::spawn(stream);
        }
    }

    async fn find(&mut self, typed: &str) -> Result<SessionHandle, WireError> {
        let caller = self.caller().await;
        self.services.registry.find(typed.to_owned(), caller).await
    }

    /// Keys answer dialogs as well: a session must not press them in its own.
    async fn may_type(&mut self, handle: &SessionHandle) -> Result<(), WireError> {
        if matches!(self.caller().await, Caller::Session { .. }) {
            let caller = self.caller().await;
            self.services.registry.answerable(handle.id.clone(), caller).await?;
        }
        Ok(())
    }

    async fn list(&self, caller: Caller, list: &List) -> Sessions {
        let handles = self.services.registry.list(caller).await;
        let summaries = handles.iter().map(|h| h.summary.borrow().clone());
        let shown = summaries.filter(|s| selects(s, list));
        Sessions { sessions: shown.collect(), warnings: self.control.warnings() }
    }

    /// Nobody is left to be told anything.
    async fn leave(&mut self) {
        debug!(pid = self.pid, "a client left");
        for (handle, waiter, _) in self.waits.drain(..) {
            handle.deliver(Command::Unwait(waiter)).await;
        }
        for (handle, request) in self.holds.drain(..) {
            handle.deliver(Command::Unhold(request)).await;
        }
        for (_, viewer, handle) in self.viewing.drain(..) {
            handle.deliver(Command::Left(viewer)).await;
        }
    }
}

fn not_attached() -> WireError {
    WireError::new(ErrorKind::Usage, "no terminal is attached on this channel")
}

fn session_of(request: &Request) -> &str {
    match request {
        Request::Send(r) => &r.session,
        Request::Status(r) => &r.session,
        Request::Explain(r) => &r.session,
        Request::LastMessage(r) => &r.session,
        Request::Screen(r) => &r.session,
        Request::Keys(r) => &r.session,
        Request::Interrupt(r) => &r.session,
        Request::Logs(r) => &r.session,
        Request::Kill(r) => &r.session,
        Request::Rename(r) => &r.session,
        Request::Describe(r) => &r.session,
        _ => "",
    }
}
