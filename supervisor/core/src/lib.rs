//! Every decision dsx makes, and nothing else.
//!
//! One [`Session`] holds what is known of one agent. The shell around it (the supervisor) feeds it
//! [`Input`]s and carries out the [`Effect`]s it answers with, in their order:
//!
//! ```text
//!              Input                              Effect
//!  requests ──────────▶ ┌─────────────────────┐ ──────────▶ Persist(Fact)   durable before what follows
//!  evidence ──────────▶ │ Session::handle(now) │ ──────────▶ Type, Look, Arm  the agent's terminal, timers
//!  timers   ──────────▶ └─────────────────────┘ ──────────▶ Reply, Settle   people and programs
//! ```
//!
//! A turn:
//!
//! ```text
//!  queued ──▶ delivering ──▶ confirmed ──▶ ended | failed | interrupted | exited
//!                  └──────────────┴─────▶ lost (the evidence is silent; never typed a second time)
//!
//!  queued ──▶ steering ──▶ absorbed by the turn that runs, or confirmed as one of its own
//! ```
//!
//! Invariants, the absences above all:
//! - The core never reads the clock, a file, the environment or a socket; it has no thread and no lock.
//! - State that must outlive a crash changes only by a [`Fact`], which is applied here and persisted by the
//!   shell before any later effect of the same list: replaying the facts gives the same [`Durable`].
//! - Adapters read signals and return evidence; only [`verdict`] says that a turn is over.
//! - At most one turn is delivering or confirmed at a time; it is typed at most once.
//! - A waiter is settled exactly once, and never by another turn.
//! - Evidence is only ever at least once: what is said late, again or out of order changes nothing that it is
//!   not of. Nothing that is said once and can never be said again is kept in memory alone.
//! - After a restart nothing is typed and nothing is judged before [`Input::Recovered`].

pub mod adapter;
mod admission;
mod composer;
mod deliver;
mod durable;
mod events;
mod evidence;
mod exit;
mod fact;
mod heard;
mod input;
mod names;
mod naming;
mod prompts;
mod receipts;
mod respond;
mod session;
mod spec;
mod status;
mod steer;
mod taken;
mod template;
mod terms;
mod ttl;
mod turn;
mod verdict;
mod waiters;
mod waits;

pub use admission::{Caller, admit, may_answer, may_drive};
pub use durable::{Closed, Decision, Durable, Held, Origin, Turn, TurnState};
pub use events::{happened, prompt_of, removed};
pub use evidence::{Asked, Dialog, Evidence, Rest, Source, Strength};
pub use fact::{Exit, Fact, Outcome, Reported, Told};
pub use input::{Effect, Input, Now, Recovery, RequestId, ScreenText, SendRequest, Timer, Until, WaiterId};
pub use names::{CHAMPIONS, ROLES, Resolution, pick_name, resolve};
pub use naming::check_name;
pub use session::Session;
pub use spec::{Cli, Mode, OnPrompt, Spec, Terms};
pub use terms::take_over;
pub use waits::may_wait;
