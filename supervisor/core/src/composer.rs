//! The agent's input box, which must be empty before a message is typed into it.
//!
//! An agent may put an interrupted message back into its box; the next paste would be appended to it. So
//! after an interrupt, and after a delivery that a crash cut off, the box is read off the screen, emptied
//! and read again before anything else is typed. What a person may be writing there is never removed: after
//! keys that dsx did not press the box is read, and a message waits until it is empty.

use dsx_protocol::TurnId;

use crate::adapter::{self, Drawn};
use crate::durable::Durable;
use crate::evidence::Source;
use crate::fact::Outcome;
use crate::input::{Effect, Now, ScreenText, Timer};
use crate::session::Session;
use crate::spec::Cli;

/// How long the screen must be quiet before the box is read.
const QUIET_MS: u64 = 80;
/// How long an emptying key may take to show.
const EXPIRE_MS: u64 = 2_000;
/// Readings after which a mark that was typed will not be seen any more.
const MARK_TRIES: u32 = 6;
/// Attempts before dsx gives up on the box.
const TRIES: u32 = 24;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composer {
    #[default]
    Clean,
    /// It may hold something of dsx's: it is emptied.
    Doubtful { tries: u32 },
    /// It may hold what a person writes: it is waited for.
    Touched,
}

impl Composer {
    /// After a crash nobody knows who has typed meanwhile.
    pub(crate) fn restored(durable: &Durable) -> Self {
        match durable.spec.cli {
            _ if durable.box_doubtful => Self::Doubtful { tries: 0 },
            Cli::Claude if durable.pid.is_some() => Self::Touched,
            Cli::Claude | Cli::Demo | Cli::Command => Self::Clean,
        }
    }
}

impl Session {
    /// Somebody else's keys: only a box that is read empty is known to be.
    pub(crate) fn keys(&mut self) {
        if self.durable.spec.cli == Cli::Claude {
            self.live.composer = Composer::Touched;
            self.live.overlooked = self.live.reading || self.live.looking;
            self.live.reading = false;
        }
    }

    /// What dsx typed, or an interrupted message, may be in the box.
    pub(crate) fn doubt_composer(&mut self, out: &mut Vec<Effect>) {
        self.live.composer = Composer::Doubtful { tries: 0 };
        self.live.reading = false;
        let rests = self.durable.running().is_none();
        if self.durable.spec.cli == Cli::Claude && self.durable.ready && !self.live.recovering && rests {
            self.read_composer(false, out);
        }
    }

    /// The same after a turn. Where somebody has typed meanwhile, only what the agent put back is removed.
    pub(crate) fn doubt_composer_after(&mut self, turn: TurnId, out: &mut Vec<Effect>) {
        if self.live.composer != Composer::Touched {
            return self.doubt_composer(out);
        }
        self.live.put_back = self.durable.turn(turn).map(|t| t.as_typed().to_owned());
    }

    /// A crash may have cut off a paste, within which no key is a key.
    pub(crate) fn end_cut_off_paste(&mut self, withdrawn: bool, out: &mut Vec<Effect>) {
        let doubtful = matches!(self.live.composer, Composer::Doubtful { .. });
        if doubtful && self.durable.spec.cli == Cli::Claude {
            self.live.marked = withdrawn;
            out.push(Effect::Press(match withdrawn {
                true => adapter::end_paste_and_mark(),
                false => adapter::end_paste(),
            }));
            if withdrawn {
                out.push(Effect::Arm { timer: Timer::Composer, after_ms: EXPIRE_MS });
            }
        }
    }

    /// Whether a message may be typed into it; if not, what is to be done about it is under way.
    pub(crate) fn composer_is_clean(&mut self, now: Now, out: &mut Vec<Effect>) -> bool {
        if self.live.composer == Composer::Clean {
            return true;
        }
        if self.durable.spec.cli != Cli::Claude {
            // Its box cannot be read: what a delivery left there is taken back unseen.
            out.push(Effect::Press(adapter::discard_draft(now.bracketed)));
            self.live.composer = Composer::Clean;
            return true;
        }
        if !self.live.reading {
            self.read_composer(false, out);
        }
        false
    }

    pub(crate) fn read_composer(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        self.live.reading = true;
        self.live.overlooked = false;
        out.push(Effect::Look { quiet_ms: QUIET_MS, fresh });
    }

    pub(crate) fn composer_seen(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        if std::mem::take(&mut self.live.overlooked) {
            return;
        }
        let text = adapter::read_composer(self.durable.spec.cli, screen);
        let put_back = |t: &String| adapter::drawn(Cli::Claude, screen, t) == Drawn::Exactly;
        if self.live.composer == Composer::Touched && self.live.put_back.as_ref().is_some_and(put_back) {
            self.live.composer = Composer::Doubtful { tries: 0 };
        }
        // The key that empties the box of an agent at rest stops one that works.
        let works = self.durable.running().is_some();
        if works && matches!(self.live.composer, Composer::Doubtful { .. }) {
            return;
        }
        match (self.live.composer, text) {
            (Composer::Clean, _) => {}
            // The mark is not drawn yet, and so perhaps nothing that was typed before it.
            (Composer::Doubtful { tries }, Some(text)) if self.live.marked && !adapter::is_marked(&text) => {
                self.live.composer = Composer::Doubtful { tries: tries + 1 };
                self.live.marked = tries < MARK_TRIES;
                self.read_composer(true, out);
                out.push(Effect::Arm { timer: Timer::Composer, after_ms: EXPIRE_MS });
            }
            (_, Some(text)) if text.is_empty() => {
                self.note(Source::Screen, now.ms, "input box empty".to_owned());
                self.live.composer = Composer::Clean;
                self.live.put_back = None;
                out.push(Effect::Disarm(Timer::Composer));
            }
            (Composer::Doubtful { tries }, Some(text)) if tries < TRIES => {
                self.note(Source::Screen, now.ms, "input box holds a draft; emptying it".to_owned());
                self.live.composer = Composer::Doubtful { tries: tries + 1 };
                self.live.marked = false;
                out.push(Effect::Press(adapter::empty_composer(&text)));
                self.read_composer(true, out);
                // A key that changes nothing is followed by no output.
                out.push(Effect::Arm { timer: Timer::Composer, after_ms: EXPIRE_MS });
            }
            (Composer::Doubtful { .. }, Some(_)) => self.composer_stuck(now, out),
            // Somebody writes, or the box is not drawn: the next output brings another look.
            (Composer::Touched, Some(_)) | (_, None) => self.read_composer(true, out),
        }
    }

    pub(crate) fn composer_expired(&mut self, out: &mut Vec<Effect>) {
        let rests = self.durable.running().is_none();
        if rests && matches!(self.live.composer, Composer::Doubtful { .. }) {
            self.read_composer(false, out);
        }
    }

    /// The box cannot be emptied: what waits for it is not typed into somebody's draft, it is given up aloud.
    fn composer_stuck(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.note(Source::Dsx, now.ms, "the input box could not be emptied".to_owned());
        // Read again when the next message waits for it.
        self.live.composer = Composer::Doubtful { tries: 0 };
        out.push(Effect::Disarm(Timer::Composer));
        let queued: Option<TurnId> = self.durable.first_queued().map(|t| t.id);
        if let Some(turn) = queued {
            let error = "the agent's input box holds text that could not be removed; nothing was typed";
            self.end(now, turn, Outcome::Lost, None, Some(error.to_owned()), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Origin;
    use crate::fact::Fact;
    use crate::input::{Input, Recovery};
    use crate::spec::{Mode, Spec};

    /// A supervisor died while it typed the one turn.
    fn cut_off() -> Session {
        let spec = Spec {
            id: "fizz-top".into(),
            cli: Cli::Claude,
            command: Vec::new(),
            path: "/".into(),
            mode: Mode::Native,
            model: None,
            description: None,
            group: None,
            created_at: 0,
            creator: "user".into(),
            depth: 0,
            conversation: None,
            agent_version: None,
            agent_home: None,
            key: None,
            dir: "/d".into(),

            terms: crate::Terms::default(),
        };
        let turn = TurnId(1);
        let queued = Fact::Queued {
            turn,
            text: "a long message".into(),
            key: None,
            origin: Origin::Send,
            typed: None,
            command: false,
            prompt: None,
            behind: None,
            as_of: 0,
            steer: None,
            stops: None,
        };
        let facts = [
            Fact::Created(Box::new(spec)),
            Fact::Started { pid: 7, start_time: 7 },
            Fact::Ready,
            queued,
            Fact::Delivering { turn, output: 0 },
        ];
        Session::restore(Durable::replay(facts.iter().map(|f| (1, f))).unwrap())
    }

    fn shown(text: &str) -> ScreenText {
        let rule = "\u{2500}".repeat(20);
        let lines: Vec<String> = [&rule, &format!("\u{276f} {text}"), &rule].map(Clone::clone).to_vec();
        ScreenText { solid: lines.clone(), lines, ..ScreenText::default() }
    }

    #[test]
    fn a_draft_that_is_not_drawn_yet_is_waited_for_before_the_message_is_typed_again() {
        let mut session = cut_off();
        let mut step = |input| {
            let mut out = Vec::new();
            session.handle(Now { ms: 9, ..Now::default() }, input, &mut out);
            let typed = out.iter().any(|e| matches!(e, Effect::Type { .. }));
            let pressed = out.iter().any(|e| matches!(e, Effect::Press(_)));
            (pressed, typed)
        };
        assert_eq!(step(Input::Recovered(Recovery::NotSubmitted)), (true, false));
        // What was typed may still be on its way: that it looks empty, or half full, says nothing.
        assert_eq!(step(Input::Looked(shown(""))), (false, false));
        assert_eq!(step(Input::Looked(shown("a lo"))), (false, false));
        assert_eq!(step(Input::Looked(shown("a long mes\u{b6}"))), (true, false));
        assert_eq!(step(Input::Looked(shown(""))), (false, true));
    }

    #[test]
    fn a_mark_that_never_shows_is_not_waited_for_forever() {
        let mut session = cut_off();
        let mut out = Vec::new();
        session.handle(Now::default(), Input::Recovered(Recovery::NotSubmitted), &mut out);
        for _ in 0..=MARK_TRIES + 1 {
            session.handle(Now::default(), Input::Looked(shown("")), &mut out);
        }
        assert!(out.iter().any(|e| matches!(e, Effect::Type { .. })));
    }
}
