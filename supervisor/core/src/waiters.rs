//! Who waits for what.

use dsx_protocol::{ErrorKind, Settled, TurnId, WireError};

use crate::durable::{Turn, TurnState};
use crate::fact::Outcome;
use crate::input::{Effect, Until, WaiterId};
use crate::session::Session;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub id: WaiterId,
    /// Fixed when the wait began; `None` where there was no turn.
    pub turn: Option<TurnId>,
    pub until: Until,
}

impl Session {
    pub(crate) fn wait(
        &mut self,
        waiter: WaiterId,
        turn: Option<TurnId>,
        until: Until,
        out: &mut Vec<Effect>,
    ) {
        // Only the end of a turn is the turn's own; for the rest it need not be in memory any more.
        let known = |t: TurnId| match until {
            Until::Ended => self.durable.turn(t).is_some(),
            Until::Idle | Until::Waiting | Until::Exited => t.0 < self.durable.next_turn,
        };
        if let Some(asked) = turn.filter(|t| !known(*t)) {
            let id = &self.durable.spec.id;
            let error = WireError::new(ErrorKind::NoSession, format!("session {id} has no turn {asked}"))
                .session(id)
                .hint("leave --turn out to wait for the newest");
            out.push(Effect::Settle { waiter, result: Err(error) });
            return;
        }
        let turn = turn.or_else(|| self.durable.last_to_end().map(|t| t.id));
        out.push(Effect::Bound { waiter, turn });
        self.live.waiters.push(Waiter { id: waiter, turn, until });
    }

    pub(crate) fn settle_waiters(&mut self, out: &mut Vec<Effect>) {
        let waiters = std::mem::take(&mut self.live.waiters);
        for waiter in waiters {
            match self.settlement(&waiter) {
                Some(settled) => out.push(Effect::Settle { waiter: waiter.id, result: Ok(settled) }),
                None => self.live.waiters.push(waiter),
            }
        }
    }

    fn settlement(&self, waiter: &Waiter) -> Option<Settled> {
        let turn = waiter.turn.and_then(|t| self.durable.turn(t));
        match waiter.until {
            Until::Ended => self.until_ended(waiter, turn),
            Until::Idle => self
                .gone(waiter)
                .or_else(|| self.prompted(waiter))
                .or_else(|| (self.status().status == "idle").then(|| self.settled(waiter, "ended"))),
            Until::Waiting => self.prompted(waiter).or_else(|| self.gone(waiter)),
            Until::Exited => self.gone(waiter),
        }
    }

    fn until_ended(&self, waiter: &Waiter, turn: Option<&Turn>) -> Option<Settled> {
        let absorbed = turn.filter(|t| t.state == TurnState::Over(Outcome::Absorbed)).and_then(|t| t.joins);
        if absorbed.is_some() {
            // It has no end of its own, but that of the turn that it joined.
            let joined = Waiter { turn: absorbed, ..*waiter };
            return self.until_ended(&joined, absorbed.and_then(|t| self.durable.turn(t)));
        }
        let over = turn.filter(|t| t.is_over());
        if let Some(Turn { state: TurnState::Over(outcome), error, .. }) = over {
            // An outcome is stored and said again as often as it is asked for.
            let mut settled = self.settled(waiter, outcome.name());
            settled.error.clone_from(error);
            if *outcome == Outcome::Exited {
                settled.exit_code = self.durable.exit.and_then(crate::Exit::status);
            }
            return Some(settled);
        }
        if waiter.turn.is_some() && turn.is_none() {
            // It ended while nobody looked, and has left memory since: it cannot be running.
            return Some(self.settled(waiter, "ended"));
        }
        let no_turn = waiter.turn.is_none();
        self.gone(waiter).or_else(|| self.prompted(waiter)).or_else(|| {
            (no_turn && self.durable.ready && self.durable.running().is_none())
                .then(|| self.settled(waiter, "ended"))
        })
    }

    fn gone(&self, waiter: &Waiter) -> Option<Settled> {
        let exit = self.durable.exit?;
        let mut settled = self.settled(waiter, "exited");
        settled.exit_code = exit.status();
        Some(settled)
    }

    fn prompted(&self, waiter: &Waiter) -> Option<Settled> {
        let prompt = self.asks()?;
        let mut settled = self.settled(waiter, "waiting");
        settled.prompt = Some(prompt.clone());
        Some(settled)
    }

    fn settled(&self, waiter: &Waiter, outcome: &str) -> Settled {
        Settled {
            session: self.durable.spec.id.clone(),
            turn: waiter.turn,
            outcome: outcome.to_owned(),
            ..Settled::default()
        }
    }
}
