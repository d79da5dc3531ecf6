//! What clients ask of one session.

use std::sync::atomic::{AtomicU64, Ordering};

use dsx_core::adapter::{key_bytes, read_hook};
use dsx_core::{Cli, Evidence, Input, RequestId, SendRequest, Source, Until, WaiterId, check_name};
use dsx_protocol::{
    Created, ErrorKind, Event, Keys, LastMessage, LogChunk, Logs, Messages, Reply, Request, Screen,
    ScreenReply, Settled, TurnId, Wait, WireError,
};
use serde_bytes::ByteBuf;

use super::Waiter;
use super::task::Task;
use super::typist::Job;
use crate::hook::unspool;
use crate::log::history;
use crate::screen::plain;
use crate::serve::ReplyTo;
use crate::store::Which;

/// Bytes of output in one piece of a log.
const LOG_PIECE: usize = 128 * 1024;
/// Rows of history that one request may have.
const HISTORY: u32 = 50_000;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A name for a request whose reply is owed, never given twice.
pub(crate) fn next_request() -> RequestId {
    RequestId(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Task {
    pub(super) async fn request(&mut self, request: Request, to: ReplyTo) {
        match request {
            Request::Send(send) => {
                if let Err(error) = self.fits_the_line(&send.text) {
                    return to.answer(Err(error));
                }
                let send = SendRequest {
                    text: send.text,
                    key: send.key,
                    queue: send.queue,
                    command: send.command,
                    interrupt: send.interrupt,
                    steer: send.steer,
                    draft_ms: send.draft_ms,
                    template: send.template,
                };
                let request = self.owe(to);
                self.input(Input::Send { request, send }).await;
            }
            Request::Interrupt(_) => {
                let request = self.owe(to);
                self.input(Input::Interrupt { request }).await;
            }
            Request::Status(_) => to.answer(Ok(Reply::Status(self.core.status()))),
            Request::Explain(_) => to.answer(Ok(Reply::Explained(self.core.explain()))),
            Request::LastMessage(last) => to.answer(self.last_message(&last).await.map(Reply::Messages)),
            Request::Screen(screen) => to.answer(Ok(Reply::Screen(self.screen(&screen)))),
            Request::Keys(keys) => {
                // Known before they are typed: whatever is in the input box from here on may be theirs.
                self.input(Input::Keys).await;
                to.answer(self.keys(&keys).map(|()| Reply::Done));
            }
            Request::Kill(kill) => self.kill(kill.grace_ms, Some(to)).await,
            Request::Rename(rename) => self.rename(&rename.name, to).await,
            Request::Describe(describe) => {
                let request = self.owe(to);
                self.input(Input::Describe { request, description: describe.description }).await;
            }
            Request::Logs(logs) => self.logs(&logs, &to),
            other => {
                let what = format!("a session cannot answer this request ({other:?})");
                to.answer(Err(WireError::new(ErrorKind::Usage, what)));
            }
        }
    }

    /// What the terminal would cut off is refused before it is typed.
    /// Whether the program's terminal would cut a line of this turn's message now.
    pub(super) fn would_be_cut(&self, turn: TurnId) -> bool {
        let longest = |t: &dsx_core::Turn| t.as_typed().lines().map(str::len).max().unwrap_or(0);
        self.core.spec().cli == Cli::Command
            && self.core.durable().turn(turn).is_some_and(|t| longest(t) > super::tty::LINE)
            && self.master.as_ref().is_some_and(super::tty::edits_lines)
    }

    /// A message that begins at once is refused before it is a turn; one that waits its turn is looked at again
    /// when that comes.
    fn fits_the_line(&self, text: &str) -> Result<(), WireError> {
        let longest = text.lines().map(str::len).max().unwrap_or(0);
        let free = self.core.spec().cli == Cli::Command && self.core.durable().running().is_none();
        let cuts = self.master.as_ref().is_some_and(super::tty::edits_lines);
        if !free || !cuts || longest <= super::tty::LINE {
            return Ok(());
        }
        let limit = super::tty::LINE;
        let what = format!("a line of the message has {longest} bytes, the program's terminal takes {limit}");
        Err(WireError::new(ErrorKind::Usage, what)
            .hint("break the line, or put the text into a file and send its name")
            .session(&self.id))
    }

    /// The registry knows which names are free; it waits for nobody.
    async fn rename(&mut self, typed: &str, to: ReplyTo) {
        let name = match check_name(typed) {
            Ok(name) => name,
            Err(error) => return to.answer(Err(error.session(&self.id))),
        };
        if let Err(error) = self.services.registry.claim(&self.id, name.clone()).await {
            return to.answer(Err(error));
        }
        let request = self.owe(to);
        self.input(Input::Rename { request, name }).await;
    }

    /// Notes whom the core's reply is for.
    pub(super) fn owe(&mut self, to: ReplyTo) -> RequestId {
        let request = next_request();
        self.requests.insert(request, to);
        request
    }

    /// A wait that settles at once is nobody's burden; one that stands must not close a circle of waits.
    pub(super) async fn wait(&mut self, id: WaiterId, wait: Wait, waiter: Waiter, by: Option<String>) {
        let until = match wait.until.as_deref() {
            None | Some("ended") => Until::Ended,
            Some("idle") => Until::Idle,
            Some("waiting") => Until::Waiting,
            Some("exited") => Until::Exited,
            Some(other) => {
                let error = WireError::new(ErrorKind::Usage, format!("'{other}' cannot be waited for"));
                return waiter.settle(Err(error.hint("use idle, ended, waiting or exited")));
            }
        };
        let forgotten = wait.turn.filter(|t| until == Until::Ended && self.core.durable().turn(*t).is_none());
        if let Some(turn) = forgotten {
            // It ended so long ago that only the store knows it.
            if let Ok([message]) = self.store.messages(&self.id, Which::One(turn)).await.as_deref() {
                return waiter.settle(Ok(Settled {
                    session: self.id.clone(),
                    turn: Some(turn),
                    outcome: message.outcome.clone(),
                    ..Settled::default()
                }));
            }
        }
        let stands = waiter.stands();
        self.waiters.insert(id, waiter);
        self.input(Input::Wait { waiter: id, turn: wait.turn, until }).await;
        let Some(by) = by.filter(|_| self.waiters.contains_key(&id)) else { return };
        if let Err(error) = self.services.registry.stand(by, self.id.clone(), stands).await {
            self.input(Input::Unwait { waiter: id }).await;
            if let Some(waiter) = self.waiters.remove(&id) {
                waiter.settle(Err(error));
            }
        }
    }

    async fn last_message(&self, last: &LastMessage) -> Result<Messages, WireError> {
        let id = &self.id;
        let error = |kind, what: String| WireError::new(kind, what).session(id);
        if let Some(turn) = last.turn.and_then(|t| self.core.durable().turn(t)).filter(|t| !t.is_over()) {
            let what = format!("turn {} of session {id} has not ended", turn.id);
            return Err(error(ErrorKind::Refused, what).hint(format!("wait for it: 'dsx wait {id}'")));
        }
        let which = match (last.turn, last.count.max(1)) {
            (Some(turn), _) => Which::One(turn),
            (None, count) if last.all => Which::Newest(count),
            (None, count) => Which::Ended(count),
        };
        let messages =
            self.store.messages(id, which).await.map_err(|e| error(ErrorKind::Failed, e.to_string()))?;
        if !messages.is_empty() || last.all {
            return Ok(Messages { session: id.clone(), messages });
        }
        Err(match last.turn {
            Some(turn) => error(ErrorKind::NoSession, format!("session {id} has no turn {turn}")),
            None => error(ErrorKind::Failed, format!("session {id} has no ended turn yet"))
                .hint(format!("send it something: 'dsx send {id} TEXT'")),
        })
    }

    fn screen(&self, wanted: &Screen) -> ScreenReply {
        let shown = self.terminal.contents();
        let lines: Vec<Vec<u8>> = match wanted.ansi {
            true => self.terminal.lines_ansi(),
            false => shown.lines.iter().map(|l| l.clone().into_bytes()).collect(),
        };
        let rows = match wanted.history.min(HISTORY) {
            0 => Vec::new(),
            limit => history(&self.log, self.terminal.offset(), limit as usize),
        };
        let row = |row: String| if wanted.ansi { row } else { plain(&row) };
        ScreenReply {
            session: self.id.clone(),
            rows: shown.rows,
            cols: shown.cols,
            cursor_row: shown.cursor.row,
            cursor_col: shown.cursor.col,
            cursor_visible: shown.cursor.visible,
            title: shown.title,
            alternate: shown.alternate,
            complete: self.terminal.is_complete(),
            lines: lines.into_iter().map(ByteBuf::from).collect(),
            history: rows.into_iter().map(|r| ByteBuf::from(row(r).into_bytes())).collect(),
        }
    }

    fn keys(&mut self, keys: &Keys) -> Result<(), WireError> {
        let error = |kind, what: String| WireError::new(kind, what).session(&self.id);
        if self.core.durable().exit.is_some() {
            return Err(error(ErrorKind::Exited, format!("session {} has ended", self.id)));
        }
        let mut bytes = Vec::new();
        for key in &keys.keys {
            let pressed = key_bytes(key, self.terminal.application_cursor());
            bytes.extend(pressed.map_err(|_| {
                error(ErrorKind::Usage, format!("'{key}' is no key"))
                    .hint("use tmux's names: Enter, Escape, C-c, M-x, Up, F1, …")
            })?);
        }
        let busy = error(ErrorKind::Refused, format!("the input queue of session {} is full", self.id));
        self.type_job(Job::Keys { bytes, room: None }).then_some(()).ok_or(busy)
    }

    /// What is kept of the output from an offset on, in pieces, as far as the client's queue has room; it
    /// asks again for the rest.
    fn logs(&self, logs: &Logs, to: &ReplyTo) {
        let end = self.terminal.offset();
        let mut at = logs.from.unwrap_or(0);
        while at < end && to.room() > 8 {
            let mut bytes = Vec::new();
            let mut expired = 0;
            if let Err(gone) = self.log.read(at, LOG_PIECE, &mut bytes) {
                expired = gone.start.saturating_sub(at);
                at = gone.start;
            }
            let offset = at;
            at += bytes.len() as u64;
            if bytes.is_empty() && expired == 0 {
                break;
            }
            to.event(&Event::Log(LogChunk { offset, bytes: ByteBuf::from(bytes), expired }));
        }
        to.answer(Ok(Reply::Done));
    }

    /// A hook's report. It is forgotten from the spool once what follows from it is stored.
    pub(super) async fn hook(
        &mut self,
        at: u64,
        key: &str,
        payload: &[u8],
        hold: Option<RequestId>,
        to: Option<ReplyTo>,
    ) {
        if self.seen_hooks.insert(key) {
            for mut evidence in read_hook(self.core.spec().cli, payload) {
                if let Evidence::Blocked(asked) = &mut evidence {
                    asked.key = Some(key.to_owned());
                }
                self.input(Input::Said { source: Source::Hook, at, evidence }).await;
            }
            unspool(&self.dir, key);
        }
        match (hold, to) {
            (Some(request), Some(to)) => {
                self.requests.insert(request, to);
                self.input(Input::Hold { request, key: key.to_owned() }).await;
            }
            (None, Some(to)) => to.answer(Ok(Reply::Done)),
            (_, None) => {}
        }
    }

    /// Reads what hooks have left that did not reach the supervisor.
    pub(super) async fn read_spool(&mut self) {
        for (key, payload) in crate::hook::spooled(&self.dir) {
            let at = crate::hook::time_of(&key).unwrap_or_default();
            self.hook(at, &key, &payload, None, None).await;
        }
    }

    /// Answers `create` once the agent takes input, asks something, or has ended.
    pub(super) fn answer_when_ready(&mut self) {
        let durable = self.core.durable();
        if self.when_ready.is_empty()
            || !(durable.ready || self.core.asks().is_some() || durable.exit.is_some())
        {
            return;
        }
        let created = Created { session: self.core.summary(), prompt: self.core.asks().cloned() };
        let failed = durable.exit.filter(|_| !durable.ready).map(|exit| self.start_failure(exit));
        for to in self.when_ready.drain(..) {
            to.answer(match &failed {
                Some(error) => Err(error.clone()),
                None => Ok(Reply::Created(created.clone())),
            });
        }
    }

    fn start_failure(&self, exit: dsx_core::Exit) -> WireError {
        let how = exit.status().map_or("for an unknown reason".to_owned(), |c| format!("with status {c}"));
        let shown = self.terminal.contents().lines;
        let said: Vec<&str> = shown.iter().map(|l| l.trim()).filter(|l| !l.is_empty()).collect();
        let tail = said.get(said.len().saturating_sub(3)..).unwrap_or_default().join(" · ");
        let what = format!("{} ended {how} while it was starting: {tail}", self.core.spec().cli.name());
        WireError::new(ErrorKind::Failed, what).hint("run it by hand in that directory to see why")
    }
}
