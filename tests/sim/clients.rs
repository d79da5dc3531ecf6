//! People and programs that send, wait and interrupt. A connection dies with the supervisor; its client comes
//! back and asks again: a wait bound to the same turn, a send with the same key.

use std::collections::HashMap;

use dsx_core::{Input, Outcome, RequestId, SendRequest, TurnState, Until, WaiterId};
use dsx_protocol::{ErrorKind, SendReceipt, Settled, TurnId, WireError};

use crate::note;
use crate::world::{Ev, Step, World};

#[derive(Debug, Clone)]
pub struct Sender {
    pub request: RequestId,
    pub send: SendRequest,
    pub replied: bool,
    /// Its connection lives.
    pub connected: bool,
}

#[derive(Debug, Clone)]
pub struct Waits {
    pub waiter: WaiterId,
    pub turn: Option<TurnId>,
    pub until: Until,
    pub bound: Option<Option<TurnId>>,
    pub over: bool,
    pub connected: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct Interrupts {
    pub request: RequestId,
    pub over: bool,
}

#[derive(Debug, Default)]
pub struct Clients {
    pub senders: Vec<Sender>,
    pub waits: Vec<Waits>,
    pub interrupts: Vec<Interrupts>,
    /// What a key was first answered with.
    pub keys: HashMap<String, TurnId>,
    ids: u64,
}

impl World {
    fn id(&mut self) -> u64 {
        self.clients.ids += 1;
        self.clients.ids
    }

    pub fn client_sends(&mut self) -> Step {
        let n = self.clients.senders.len();
        let command = self.rng.chance(self.plan.commands);
        let text = match self.rng.below(20) {
            _ if command => format!("/compact {n}"),
            0..=2 => "continue".to_owned(),
            3 => format!("message {n}, {}", "long ".repeat(400)),
            4 => format!("message {n}\nin several\nlines\nof text\nand more"),
            5 => format!("message {n} with a\ttab"),
            _ => format!("message {n}"),
        };
        let known: Vec<SendRequest> =
            self.clients.senders.iter().map(|s| s.send.clone()).filter(|s| s.key.is_some()).collect();
        let mut send =
            SendRequest { text, key: None, queue: self.rng.chance(300), command, ..SendRequest::default() };
        if self.plan.steers + self.plan.stops > 0 && !send.queue {
            send.steer = !command && self.rng.chance(self.plan.steers);
            send.interrupt = !send.steer && self.rng.chance(self.plan.stops);
            send.draft_ms = self.rng.pick(&[None, Some(0), Some(700), Some(5_000)]).flatten();
        }
        match self.rng.below(10) {
            0 if !known.is_empty() => send = known[self.rng.index(known.len())].clone(),
            0..=3 => send.key = Some(format!("key {n}")),
            _ => {}
        }
        self.sends(send)
    }

    fn sends(&mut self, send: SendRequest) -> Step {
        let request = RequestId(self.id());
        let connected = true;
        self.clients.senders.push(Sender { request, send: send.clone(), replied: false, connected });
        self.feed(Input::Send { request, send }).map(|_| ())
    }

    pub fn client_waits(&mut self) -> Step {
        let turns = self.shell.shadow.as_ref().map_or(1, |d| d.next_turn);
        let turn = self.rng.chance(400).then(|| TurnId(self.rng.range(1, turns)));
        let until = match self.rng.below(10) {
            0..=5 => Until::Ended,
            6..=7 => Until::Idle,
            8 => Until::Waiting,
            _ => Until::Exited,
        };
        self.waits(turn, until)
    }

    pub fn waits(&mut self, turn: Option<TurnId>, until: Until) -> Step {
        let waiter = WaiterId(self.id());
        self.clients.waits.push(Waits { waiter, turn, until, bound: None, over: false, connected: true });
        self.feed(Input::Wait { waiter, turn, until }).map(|_| ())
    }

    pub fn client_unwaits(&mut self) -> Step {
        let open: Vec<WaiterId> =
            self.clients.waits.iter().filter(|w| !w.over && w.connected).map(|w| w.waiter).collect();
        match self.rng.pick(&open) {
            Some(waiter) => self.unwait(waiter),
            None => Ok(()),
        }
    }

    pub fn unwait(&mut self, waiter: WaiterId) -> Step {
        for wait in self.clients.waits.iter_mut().filter(|w| w.waiter == waiter) {
            wait.over = true;
        }
        self.feed(Input::Unwait { waiter }).map(|_| ())
    }

    pub fn client_interrupts(&mut self) -> Step {
        let request = RequestId(self.id());
        self.clients.interrupts.push(Interrupts { request, over: false });
        self.feed(Input::Interrupt { request }).map(|_| ())
    }

    pub fn connections_break(&mut self) {
        self.clients.senders.iter_mut().for_each(|s| s.connected = false);
        self.clients.waits.iter_mut().for_each(|w| w.connected = false);
        // Whether it was pressed is not known; nobody presses again by himself.
        self.clients.interrupts.clear();
    }

    pub fn clients_return(&mut self) {
        let life = self.shell.life;
        for at in 0..self.clients.waits.len() {
            let wait = &self.clients.waits[at];
            if !wait.over && !wait.connected {
                let after = self.rng.range(0, 100);
                self.plan_in(after, Ev::WaitAgain(life, at));
            }
        }
        for at in 0..self.clients.senders.len() {
            let sender = &self.clients.senders[at];
            if sender.replied || sender.connected {
                continue;
            }
            if sender.send.key.is_some() {
                let after = self.rng.range(0, 100);
                self.plan_in(after, Ev::SendAgain(life, at));
            } else {
                // Without a key nobody may send it again; its client has reported the broken connection.
                self.clients.senders[at].replied = true;
            }
        }
    }

    pub fn wait_again(&mut self, at: usize) -> Step {
        let waiter = WaiterId(self.id());
        let wait = &mut self.clients.waits[at];
        if wait.over {
            return Ok(());
        }
        wait.waiter = waiter;
        wait.connected = true;
        wait.turn = wait.bound.flatten().or(wait.turn);
        wait.bound = None;
        let (turn, until) = (wait.turn, wait.until);
        self.feed(Input::Wait { waiter, turn, until }).map(|_| ())
    }

    pub fn send_again(&mut self, at: usize) -> Step {
        let request = RequestId(self.id());
        let sender = &mut self.clients.senders[at];
        sender.request = request;
        sender.connected = true;
        let send = sender.send.clone();
        self.feed(Input::Send { request, send }).map(|_| ())
    }

    // What comes back.

    pub fn sent(&mut self, request: RequestId, result: Result<SendReceipt, WireError>) -> Step {
        let Some(sender) = self.clients.senders.iter_mut().find(|s| s.request == request) else {
            return Err(format!("a reply to the unknown {request:?}"));
        };
        if sender.replied {
            return Err(format!("{request:?} is answered twice"));
        }
        sender.replied = true;
        let (key, queue) = (sender.send.key.clone(), sender.send.queue);
        match result {
            Ok(receipt) => self.check_receipt(&receipt, key),
            Err(error) => self.check_refusal(&error, queue),
        }
    }

    fn check_receipt(&mut self, receipt: &SendReceipt, key: Option<String>) -> Step {
        let Some(turn) = receipt.turn else { return Err("a receipt without a turn".into()) };
        let ended = |t| self.shadow().ok()?.turn(t).map(|t| t.state);
        if let Some(stopped) = receipt.interrupted
            && ended(stopped) != Some(TurnState::Over(Outcome::Interrupted))
        {
            return Err(format!("{stopped} is said to be interrupted, but is {:?}", ended(stopped)));
        }
        if receipt.delivery == "absorbed" {
            let joined =
                |t: &dsx_core::Turn| t.state == TurnState::Over(Outcome::Absorbed) && t.joins == Some(turn);
            let any = self.shadow()?.turns.iter().any(joined);
            return any.then_some(()).ok_or_else(|| format!("nothing has joined {turn}"));
        }
        if let Some(key) = key {
            let first = *self.clients.keys.entry(key.clone()).or_insert(turn);
            if first != turn {
                return Err(format!("key {key:?} was {first} and is {turn} now"));
            }
        }
        let Some(known) = self.shadow()?.turn(turn) else { return Ok(()) };
        let state = known.state;
        let taken = matches!(state, TurnState::Confirmed | TurnState::Over(_));
        match receipt.delivery.as_str() {
            "queued" if state == TurnState::Queued => Ok(()),
            "submitted" if taken && self.was_taken(turn) => Ok(()),
            // Until some source has spoken in words, its work is all that shows what the agent took.
            "submitted" if taken && !self.shadow()?.words => Ok(()),
            delivery => Err(format!("the receipt says {delivery} of {turn}, which is {state:?}")),
        }
    }

    pub fn held(&mut self, request: RequestId, turn: TurnId) -> Step {
        let owed = self.clients.senders.iter().any(|s| s.request == request && !s.replied && s.connected);
        let queued = self.shadow()?.turn(turn).is_some_and(|t| t.state == TurnState::Queued);
        match owed && queued {
            true => Ok(()),
            false => Err(format!("{request:?} is told that {turn} is held up, wrongly")),
        }
    }

    fn check_refusal(&mut self, error: &WireError, queue: bool) -> Step {
        let durable = self.shadow()?;
        let sound = match error.kind {
            ErrorKind::Waiting => !queue && !durable.prompts.is_empty(),
            ErrorKind::Exited => durable.exit.is_some() || self.agent.exit.is_some(),
            // Somebody's draft was in the way.
            ErrorKind::Timeout => !queue && self.plan.cli == dsx_core::Cli::Claude,
            ErrorKind::Failed => true,
            _ => false,
        };
        sound.then_some(()).ok_or_else(|| format!("a send is refused without reason: {error}"))
    }

    pub fn done(&mut self, request: RequestId, ok: bool) -> Step {
        let Some(interrupt) = self.clients.interrupts.iter_mut().find(|i| i.request == request) else {
            return Err(format!("an answer to the unknown {request:?}"));
        };
        if std::mem::replace(&mut interrupt.over, true) {
            return Err(format!("{request:?} is answered twice"));
        }
        note!(self, "interrupt {request:?}: {ok}");
        Ok(())
    }

    pub fn bound(&mut self, waiter: WaiterId, turn: Option<TurnId>) -> Step {
        let Some(wait) = self.clients.waits.iter_mut().find(|w| w.waiter == waiter) else {
            return Err(format!("{waiter:?} is bound, but nobody waits under that id"));
        };
        if wait.bound.is_some() || (wait.turn.is_some() && wait.turn != turn) {
            return Err(format!("{waiter:?} is bound twice, or to another turn than it asked for"));
        }
        wait.bound = Some(turn);
        Ok(())
    }

    pub fn settle(&mut self, waiter: WaiterId, result: Result<Settled, WireError>) -> Step {
        let Some(wait) = self.clients.waits.iter_mut().find(|w| w.waiter == waiter) else {
            return Err(format!("{waiter:?} is settled, but nobody waits under that id"));
        };
        if std::mem::replace(&mut wait.over, true) {
            return Err(format!("{waiter:?} is settled twice, or after it left"));
        }
        self.shell.settled += 1;
        let wait = wait.clone();
        match result {
            Ok(settled) => self.check_settled(&wait, &settled),
            Err(error) => self.check_unknown_turn(&wait, &error),
        }
    }

    fn check_unknown_turn(&self, wait: &Waits, error: &WireError) -> Step {
        let known = wait.turn.is_some_and(|t| self.shadow().is_ok_and(|d| d.turn(t).is_some()));
        match error.kind == ErrorKind::NoSession && wait.turn.is_some() && !known {
            true => Ok(()),
            false => Err(format!("a wait fails without reason: {error}")),
        }
    }
}
