//! Which sessions there are. One task owns the map; it decides names, limits and rights, quickly, and never
//! waits for a session.

use std::collections::BTreeMap;
use std::sync::Weak;

use dsx_core::{Caller, Exit, Resolution, admit, may_answer, may_drive, may_wait, pick_name, resolve};
use dsx_protocol::{ErrorKind, List, Summary, WireError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::session::{Command, MAILBOX, SessionHandle};

/// Questions that may wait for the registry.
const QUEUE: usize = 1_024;

/// A place for a session that is about to be: what its task needs to be reached.
#[derive(Debug)]
pub struct Reserved {
    pub id: String,
    pub depth: u32,
    pub handle: SessionHandle,
    pub mailbox: mpsc::Receiver<Command>,
    pub summary: watch::Sender<Summary>,
}

/// What a reservation comes to.
#[derive(Debug)]
pub enum Reservation {
    New(Box<Reserved>),
    /// The same call was made before; this is what it created.
    Repeat(SessionHandle),
}

/// A process and the leader of the session it is in, as the kernel has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    pub pid: u32,
    pub sid: u32,
}

enum Message {
    Identify {
        line: Vec<Ancestor>,
        answer: oneshot::Sender<Caller>,
    },
    Reserve {
        caller: Caller,
        key: Option<String>,
        seed: u64,
        answer: oneshot::Sender<Result<Reservation, WireError>>,
    },
    Adopt {
        id: String,
        creator: String,
        depth: u32,
        key: Option<String>,
        name: Option<String>,
        answer: oneshot::Sender<Reserved>,
    },
    Find {
        typed: String,
        caller: Caller,
        answer: oneshot::Sender<Result<SessionHandle, WireError>>,
    },
    Answerable {
        typed: String,
        caller: Caller,
        answer: oneshot::Sender<Result<SessionHandle, WireError>>,
    },
    List {
        caller: Caller,
        answer: oneshot::Sender<Vec<SessionHandle>>,
    },
    Stand {
        by: String,
        on: String,
        stands: Weak<()>,
        answer: oneshot::Sender<Result<(), WireError>>,
    },
    Claim {
        id: String,
        name: Option<String>,
        answer: oneshot::Sender<Result<(), WireError>>,
    },
    Gone {
        id: String,
        answer: oneshot::Sender<()>,
    },
    Exited {
        id: String,
        exit: Exit,
    },
    Keeper(u32),
}

/// A handle on the registry's task; clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    messages: mpsc::Sender<Message>,
}

fn stopping() -> WireError {
    WireError::new(ErrorKind::Unavailable, "the supervisor is stopping").hint("run the command again")
}

impl Registry {
    /// `limit` is how many live sessions one creator may have.
    #[must_use]
    pub fn start(limit: usize, keeper_pid: u32) -> Self {
        let (messages, queue) = mpsc::channel(QUEUE);
        let state = State { limit, keeper_pid, sessions: BTreeMap::new(), waits: Vec::new() };
        tokio::spawn(state.run(queue));
        Self { messages }
    }

    /// Who a process is, by its ancestors, nearest first.
    pub async fn identify(&self, line: Vec<Ancestor>) -> Caller {
        self.ask(|answer| Message::Identify { line, answer }).await.unwrap_or(Caller::Stray)
    }

    pub async fn reserve(
        &self,
        caller: Caller,
        key: Option<String>,
        seed: u64,
    ) -> Result<Reservation, WireError> {
        self.ask(|answer| Message::Reserve { caller, key, seed, answer }).await.ok_or_else(stopping)?
    }

    /// A session that was there before this supervisor.
    pub async fn adopt(
        &self,
        id: String,
        creator: String,
        depth: u32,
        key: Option<String>,
        name: Option<String>,
    ) -> Option<Reserved> {
        self.ask(|answer| Message::Adopt { id, creator, depth, key, name, answer }).await
    }

    /// The session a typed id means, if the caller may drive it.
    pub async fn find(&self, typed: String, caller: Caller) -> Result<SessionHandle, WireError> {
        self.ask(|answer| Message::Find { typed, caller, answer }).await.ok_or_else(stopping)?
    }

    /// The session a typed id means, if the caller may answer its prompts.
    pub async fn answerable(&self, typed: String, caller: Caller) -> Result<SessionHandle, WireError> {
        self.ask(|answer| Message::Answerable { typed, caller, answer }).await.ok_or_else(stopping)?
    }

    /// The sessions the caller may see.
    pub async fn list(&self, caller: Caller) -> Vec<SessionHandle> {
        self.ask(|answer| Message::List { caller, answer }).await.unwrap_or_default()
    }

    /// Notes that a command inside session `by` waits for session `on`, for as long as `stands` is held by
    /// anybody; refuses where they would wait for each other.
    pub async fn stand(&self, by: String, on: String, stands: Weak<()>) -> Result<(), WireError> {
        self.ask(|answer| Message::Stand { by, on, stands, answer }).await.ok_or_else(stopping)?
    }

    /// Gives a session a name that no other has, or takes its name away.
    pub async fn claim(&self, id: &str, name: Option<String>) -> Result<(), WireError> {
        let id = id.to_owned();
        self.ask(|answer| Message::Claim { id, name, answer }).await.ok_or_else(stopping)?
    }

    /// Returns when the id is free again.
    pub async fn gone(&self, id: &str) {
        let id = id.to_owned();
        let _ = self.ask(|answer| Message::Gone { id, answer }).await;
    }

    pub async fn exited(&self, id: String, exit: Exit) {
        // The supervisor is ending: the keeper tells the next one.
        let _ = self.messages.send(Message::Exited { id, exit }).await;
    }

    /// The keeper is another process now.
    pub async fn keeper(&self, pid: u32) {
        let _ = self.messages.send(Message::Keeper(pid)).await;
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (answer, reply) = oneshot::channel();
        self.messages.send(message(answer)).await.ok()?;
        reply.await.ok()
    }
}

struct Entry {
    handle: SessionHandle,
    creator: String,
    depth: u32,
    key: Option<String>,
    /// Given by people; as good as the id.
    name: Option<String>,
}

struct State {
    limit: usize,
    keeper_pid: u32,
    sessions: BTreeMap<String, Entry>,
    /// Who waits for whom. One that has settled is held by nobody, and is swept out when the next one comes.
    waits: Vec<(String, String, Weak<()>)>,
}

impl State {
    async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.recv().await {
            self.handle(message);
        }
    }

    /// Whoever asked may have gone meanwhile; that is no error.
    fn handle(&mut self, message: Message) {
        match message {
            Message::Identify { line, answer } => drop(answer.send(self.identify(&line))),
            Message::Reserve { caller, key, seed, answer } => {
                drop(answer.send(self.reserve(&caller, key, seed)));
            }
            Message::Adopt { id, creator, depth, key, name, answer } => {
                let reserved = self.insert(id.clone(), creator, depth, key);
                if let Some(entry) = self.sessions.get_mut(&id) {
                    entry.name = name;
                }
                drop(answer.send(reserved));
            }
            Message::Find { typed, caller, answer } => drop(answer.send(self.find(&typed, &caller))),
            Message::Answerable { typed, caller, answer } => {
                drop(answer.send(self.answerable(&typed, &caller)));
            }
            Message::List { caller, answer } => {
                let seen = |e: &&Entry| may_drive(&caller, &e.handle.id, &self.line(&e.handle.id)).is_ok();
                drop(answer.send(self.sessions.values().filter(seen).map(|e| e.handle.clone()).collect()));
            }
            Message::Stand { by, on, stands, answer } => drop(answer.send(self.stand(by, on, stands))),
            Message::Claim { id, name, answer } => drop(answer.send(self.claim(&id, name))),
            Message::Gone { id, answer } => {
                self.sessions.remove(&id);
                let _ = answer.send(());
            }
            Message::Keeper(pid) => self.keeper_pid = pid,
            Message::Exited { id, exit } => {
                if let Some(entry) = self.sessions.get(&id) {
                    // The mailbox is bounded, and an exit must not be lost for want of a place.
                    let mailbox = entry.handle.mailbox.clone();
                    tokio::spawn(async move { drop(mailbox.send(Command::Exited(exit)).await) });
                }
            }
        }
    }

    fn identify(&self, line: &[Ancestor]) -> Caller {
        for ancestor in line {
            let owner = self.sessions.values().find(|e| {
                let pid = e.handle.summary.borrow().pid;
                pid.is_some() && (pid == Some(ancestor.pid) || pid == Some(ancestor.sid))
            });
            if let Some(entry) = owner {
                return Caller::Session { id: entry.handle.id.clone(), depth: entry.depth };
            }
            if ancestor.pid == self.keeper_pid {
                return Caller::Stray;
            }
        }
        Caller::User
    }

    fn reserve(&mut self, caller: &Caller, key: Option<String>, seed: u64) -> Result<Reservation, WireError> {
        let repeat = self.sessions.values().find(|e| key.is_some() && e.key == key);
        if let Some(entry) = repeat {
            return Ok(Reservation::Repeat(entry.handle.clone()));
        }
        let name = caller.name();
        let live = |e: &&Entry| e.creator == name && e.handle.summary.borrow().status != "exited";
        let depth = admit(caller, self.sessions.values().filter(live).count(), self.limit)?;
        // Nor one that somebody else's sessions know as their creator's: whoever had it next would own them.
        let creates = |id: &str| self.sessions.values().any(|e| e.creator == id);
        let id = pick_name(seed, |id| self.sessions.contains_key(id) || creates(id));
        Ok(Reservation::New(Box::new(self.insert(id, name.to_owned(), depth, key))))
    }

    fn insert(&mut self, id: String, creator: String, depth: u32, key: Option<String>) -> Reserved {
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        let first = Summary {
            id: id.clone(),
            creator: creator.clone(),
            status: "starting".to_owned(),
            ..Summary::default()
        };
        let (summary, seen) = watch::channel(first);
        let handle = SessionHandle::new(id.clone(), sender, seen);
        let entry = Entry { handle: handle.clone(), creator, depth, key, name: None };
        self.sessions.insert(id.clone(), entry);
        Reserved { id, depth, handle, mailbox, summary }
    }

    fn answerable(&self, typed: &str, caller: &Caller) -> Result<SessionHandle, WireError> {
        let id = self.resolve(typed)?;
        if let Caller::Session { id: who, .. } = caller {
            let trusted = self.sessions.get(who).is_some_and(|e| e.handle.summary.borrow().may_respond);
            if may_answer(who, &id, &self.line(who), trusted)? {
                return self.handle_of(&id);
            }
        }
        may_drive(caller, &id, &self.line(&id))?;
        self.handle_of(&id)
    }

    fn find(&self, typed: &str, caller: &Caller) -> Result<SessionHandle, WireError> {
        let id = self.resolve(typed)?;
        may_drive(caller, &id, &self.line(&id))?;
        self.handle_of(&id)
    }

    fn handle_of(&self, id: &str) -> Result<SessionHandle, WireError> {
        let none = || WireError::new(ErrorKind::NoSession, format!("there is no session '{id}'"));
        self.sessions.get(id).map(|e| e.handle.clone()).ok_or_else(none)
    }

    fn claim(&mut self, id: &str, name: Option<String>) -> Result<(), WireError> {
        let other = self.named(name.as_deref()).filter(|other| *other != id);
        if let (Some(other), Some(name)) = (other, &name) {
            let what = format!("the name '{name}' is taken: session {other} has it");
            return Err(WireError::new(ErrorKind::Refused, what)
                .hint(format!("take it away first: 'dsx rename {other} \"\"'"))
                .session(id));
        }
        if let Some(entry) = self.sessions.get_mut(id) {
            entry.name = name;
        }
        Ok(())
    }

    /// The id of the session that has this name.
    fn named(&self, name: Option<&str>) -> Option<&str> {
        let entry = self.sessions.values().find(|e| name.is_some() && e.name.as_deref() == name)?;
        Some(&entry.handle.id)
    }

    fn resolve(&self, typed: &str) -> Result<String, WireError> {
        // No name is the beginning of an id.
        let named = self.named(Some(typed)).map(str::to_owned);
        match resolve(typed, self.sessions.keys().map(String::as_str)) {
            Resolution::One(id) => Ok(id),
            Resolution::None if let Some(id) = named => Ok(id),
            Resolution::None => {
                let what = format!("there is no session '{typed}'");
                Err(WireError::new(ErrorKind::NoSession, what).hint("see 'dsx list -a'"))
            }
            Resolution::Several(ids) => {
                let what = format!("'{typed}' fits several sessions: {}", ids.join(", "));
                Err(WireError::new(ErrorKind::NoSession, what).hint("give more of the id"))
            }
        }
    }

    fn stand(&mut self, by: String, on: String, stands: Weak<()>) -> Result<(), WireError> {
        self.waits.retain(|(.., stands)| stands.strong_count() > 0);
        let standing: Vec<(String, String)> =
            self.waits.iter().map(|(by, on, _)| (by.clone(), on.clone())).collect();
        may_wait(&by, &on, &standing)?;
        self.waits.push((by, on, stands));
        Ok(())
    }

    /// A session's creators, nearest first.
    fn line(&self, id: &str) -> Vec<String> {
        let mut line: Vec<String> = Vec::new();
        let mut at = id.to_owned();
        while let Some(entry) = self.sessions.get(&at).filter(|e| !line.contains(&e.creator)) {
            at.clone_from(&entry.creator);
            line.push(at.clone());
        }
        line
    }
}

/// Whether a list asks for this session.
#[must_use]
pub fn selects(session: &Summary, list: &List) -> bool {
    (list.all || session.status != "exited")
        && (list.group.is_none() || session.group == list.group)
        && list.labels.iter().all(|label| session.labels.contains(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_given_again_while_it_is_somebodys_creator() {
        let mut state = State { limit: 9, keeper_pid: 1, sessions: BTreeMap::new(), waits: Vec::new() };
        let reserve = |state: &mut State| match state.reserve(&Caller::User, None, 7).unwrap() {
            Reservation::New(reserved) => reserved.id.clone(),
            Reservation::Repeat(_) => panic!("nothing is repeated"),
        };
        let parent = reserve(&mut state);
        state.insert("child-mid".to_owned(), parent.clone(), 1, None);
        state.sessions.remove(&parent);
        let other = reserve(&mut state);
        assert_ne!(other, parent);
        state.sessions.remove("child-mid");
        assert_eq!(reserve(&mut state), parent);
    }

    #[test]
    fn waits_stand_for_as_long_as_they_are_held() {
        let mut state = State { limit: 9, keeper_pid: 1, sessions: BTreeMap::new(), waits: Vec::new() };
        let held = std::sync::Arc::new(());
        let mut stand = |by: &str, on: &str, held: &std::sync::Arc<()>| {
            state.stand(by.to_owned(), on.to_owned(), std::sync::Arc::downgrade(held))
        };
        stand("a", "b", &held).unwrap();
        let other = std::sync::Arc::new(());
        assert!(stand("b", "a", &other).is_err());
        drop(held);
        stand("b", "a", &other).unwrap();
    }

    #[test]
    fn a_list_names_group_and_all_labels() {
        let label = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        let session = Summary {
            status: "idle".into(),
            group: Some("g".into()),
            labels: vec![label("a", "1"), label("b", "2")],
            ..Summary::default()
        };
        let list = |group: Option<&str>, labels: &[(String, String)]| List {
            group: group.map(str::to_owned),
            labels: labels.to_vec(),
            ..List::default()
        };
        assert!(selects(&session, &list(None, &[])));
        assert!(selects(&session, &list(Some("g"), &[label("b", "2"), label("a", "1")])));
        assert!(!selects(&session, &list(Some("h"), &[])));
        assert!(!selects(&session, &list(Some("g"), &[label("a", "1"), label("b", "3")])));
        assert!(!selects(&Summary { group: None, ..session.clone() }, &list(Some("g"), &[])));
        let exited = Summary { status: "exited".into(), ..session };
        assert!(!selects(&exited, &list(Some("g"), &[])));
        assert!(selects(&exited, &List { all: true, ..list(Some("g"), &[]) }));
    }
}
