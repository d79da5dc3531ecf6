//! The agent's input box, which must be empty before a message is typed into it.
//!
//! An agent may put an interrupted message back into its box; the next paste would be appended to it. So
//! after an interrupt, and after a delivery that a crash cut off, the box is read off the screen, emptied
//! and read again before anything else is typed.

use dsx_protocol::TurnId;

use crate::adapter;
use crate::evidence::Source;
use crate::fact::Outcome;
use crate::input::{Effect, Now, ScreenText, Timer};
use crate::session::Session;
use crate::spec::Cli;

/// How long the screen must be quiet before the box is read.
const QUIET_MS: u64 = 80;
/// The same where something was typed that nobody has seen drawn yet.
const UNSEEN_QUIET_MS: u64 = 400;
/// How long an emptying key may take to show.
const EXPIRE_MS: u64 = 2_000;
/// Readings before dsx gives up on the box.
const TRIES: u32 = 8;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composer {
    #[default]
    Clean,
    Doubtful {
        tries: u32,
    },
}

impl Composer {
    pub(crate) fn is_clean(self) -> bool {
        self == Self::Clean
    }
}

impl Session {
    pub(crate) fn doubt_composer(&mut self, out: &mut Vec<Effect>) {
        self.doubt(QUIET_MS, out);
    }

    /// A draft may be on its way into the box: it is given time to be drawn.
    pub(crate) fn doubt_composer_later(&mut self, out: &mut Vec<Effect>) {
        self.doubt(UNSEEN_QUIET_MS, out);
    }

    fn doubt(&mut self, quiet_ms: u64, out: &mut Vec<Effect>) {
        if self.durable.spec.cli != Cli::Claude || self.durable.exit.is_some() || !self.durable.ready {
            return;
        }
        self.live.composer = Composer::Doubtful { tries: 0 };
        out.push(Effect::Look { quiet_ms, fresh: false });
        out.push(Effect::Arm { timer: Timer::Composer, after_ms: EXPIRE_MS });
    }

    fn read_composer(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        out.push(Effect::Look { quiet_ms: QUIET_MS, fresh });
        out.push(Effect::Arm { timer: Timer::Composer, after_ms: EXPIRE_MS });
    }

    pub(crate) fn composer_seen(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let Composer::Doubtful { tries } = self.live.composer else { return };
        match adapter::read_composer(self.durable.spec.cli, screen) {
            Some(text) if text.is_empty() => {
                self.note(Source::Screen, now.ms, "input box empty".to_owned());
                self.live.composer = Composer::Clean;
                out.push(Effect::Disarm(Timer::Composer));
            }
            Some(_) if tries < TRIES => {
                self.note(Source::Screen, now.ms, "input box holds a draft; emptying it".to_owned());
                self.live.composer = Composer::Doubtful { tries: tries + 1 };
                out.push(Effect::Press(adapter::empty_composer()));
                self.read_composer(true, out);
            }
            Some(_) => self.composer_stuck(now, out),
            // Not drawn yet: the next output, or the timer, brings another look.
            None => self.read_composer(true, out),
        }
    }

    pub(crate) fn composer_expired(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Composer::Doubtful { tries } = self.live.composer else { return };
        if tries >= TRIES {
            self.composer_stuck(now, out);
        } else {
            self.live.composer = Composer::Doubtful { tries: tries + 1 };
            self.read_composer(false, out);
        }
    }

    /// The box cannot be emptied: what waits for it is not typed into somebody's draft, it is given up aloud.
    fn composer_stuck(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.note(Source::Dsx, now.ms, "the input box could not be emptied".to_owned());
        let queued: Option<TurnId> = self.durable.first_queued().map(|t| t.id);
        if let Some(turn) = queued {
            let error = "the agent's input box holds text that could not be removed; nothing was typed";
            self.end(now, turn, Outcome::Lost, None, Some(error.to_owned()), out);
        } else {
            // Nothing waits for it: it is read again when something does.
            self.live.composer = Composer::Doubtful { tries: TRIES };
            out.push(Effect::Disarm(Timer::Composer));
        }
    }

    /// A message waits for a box that was given up on earlier: it is read once more.
    pub(crate) fn retry_composer(&mut self, out: &mut Vec<Effect>) {
        if self.live.composer == (Composer::Doubtful { tries: TRIES }) {
            self.doubt_composer(out);
        }
    }
}
