//! After a restart: what was under way is settled by what can be read back, and never typed again on a guess.

use crate::adapter;
use crate::deliver::{CONFIRM_RECOVERED_MS, QUIET_MS, STILL_THERE_MS};
use crate::durable::{Durable, TurnState};
use crate::evidence::Source;
use crate::fact::Fact;
use crate::input::{Effect, Now, Recovery, Timer};
use crate::session::{Live, Session};
use crate::spec::Cli;
use crate::verdict::Progress;

impl Session {
    /// A session read back. The shell then says what the sources say, and [`crate::Input::Recovered`] last.
    #[must_use]
    pub fn restore(durable: Durable) -> Self {
        let mut live = Live { recovering: true, ..Live::default() };
        if let Some(turn) = durable.running() {
            let confirmed = turn.state == TurnState::Confirmed;
            live.progress = Progress {
                turn: Some(turn.id),
                since: turn.delivering_at.unwrap_or(turn.queued_at),
                // What began before the crash cannot be seen again; a rest after it still counts.
                osc_busy: confirmed,
                in_transcript: confirmed,
                presumed: confirmed,
                ..Progress::default()
            };
            live.typed = true;
        }
        Self { durable, live }
    }

    pub(crate) fn recovered(&mut self, now: Now, recovery: Recovery, out: &mut Vec<Effect>) {
        self.live.recovering = false;
        if self.durable.exit.is_some() {
            return;
        }
        self.note(Source::Dsx, now.ms, "the supervisor was restarted".to_owned());
        if !self.durable.ready && self.durable.pid.is_some() && self.durable.spec.cli != Cli::Command {
            self.look_at_start(false, out);
        }
        self.recover_delivery(now, recovery, out);
    }

    fn recover_delivery(&mut self, now: Now, recovery: Recovery, out: &mut Vec<Effect>) {
        let Some(turn) = self.durable.running() else { return };
        let (id, state) = (turn.id, turn.state);
        let watches = self.durable.spec.cli == Cli::Command || turn.command;
        match (state, recovery) {
            (TurnState::Delivering, Recovery::NotSubmitted) => {
                self.fact(now, Fact::Withdrawn { turn: id }, out);
                self.live.progress = Progress::default();
                self.live.typed = false;
                self.discard_draft(now, out);
            }
            (TurnState::Delivering, Recovery::Submitted) if watches => {
                self.confirm(now, id, "the PTY took it", out);
            }
            (TurnState::Delivering, Recovery::Submitted | Recovery::Unknown) => {
                out.push(Effect::Arm { timer: Timer::Confirm(id), after_ms: CONFIRM_RECOVERED_MS });
                if self.durable.spec.cli == Cli::Claude {
                    out.push(Effect::Arm { timer: Timer::StillThere(id), after_ms: STILL_THERE_MS });
                }
            }
            _ => {}
        }
        let confirmed = self.durable.turn(id).is_some_and(|t| t.state == TurnState::Confirmed);
        if watches && confirmed {
            out.push(Effect::WatchOutput(true));
            out.push(Effect::Arm { timer: Timer::Quiet(id), after_ms: QUIET_MS });
        }
    }

    /// Half a message may stand in the input box, within a paste that nobody ended.
    pub(crate) fn discard_draft(&mut self, now: Now, out: &mut Vec<Effect>) {
        match self.durable.spec.cli {
            Cli::Claude => {
                out.push(Effect::Press(adapter::end_paste()));
                self.doubt_composer_later(out);
            }
            Cli::Demo | Cli::Command => out.push(Effect::Press(adapter::discard_draft(now.bracketed))),
        }
    }
}
