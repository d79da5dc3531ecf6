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

#[cfg(test)]
mod tests {
    use dsx_protocol::TurnId;

    use super::*;
    use crate::durable::Origin;
    use crate::evidence::{Evidence, Rest};
    use crate::fact::Outcome;
    use crate::input::Input;
    use crate::spec::{Mode, Spec};

    fn spec(cli: Cli) -> Spec {
        Spec {
            id: "fizz-top".into(),
            cli,
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
        }
    }

    fn queued(turn: u64, text: &str) -> Fact {
        Fact::Queued {
            turn: TurnId(turn),
            text: text.into(),
            key: None,
            origin: Origin::Send,
            typed: None,
            command: false,
            began: None,
        }
    }

    /// A session in which t1 ended at 100, and t2 was begun in the same millisecond.
    fn restored(cli: Cli, confirmed: bool) -> Session {
        let one = TurnId(1);
        let mut facts = vec![
            (0, Fact::Created(Box::new(spec(cli)))),
            (1, Fact::Started { pid: 7, start_time: 7 }),
            (1, Fact::Ready),
            (50, queued(1, "say one")),
            (50, Fact::Delivering { turn: one, output: 0 }),
            (60, Fact::Confirmed { turn: one, evidence: "transcript".into() }),
            (100, Fact::Ended { turn: one, outcome: Outcome::Ended, text: Some("one".into()), error: None }),
            (100, queued(2, "say two")),
            (100, queued(3, "say three")),
            (100, Fact::Delivering { turn: TurnId(2), output: 0 }),
        ];
        if confirmed {
            facts.push((110, Fact::Confirmed { turn: TurnId(2), evidence: "transcript".into() }));
        }
        Session::restore(Durable::replay(facts.iter().map(|(at, f)| (*at, f))).unwrap())
    }

    fn now(ms: u64) -> Now {
        Now { ms, ..Now::default() }
    }

    fn taken(text: &str) -> Evidence {
        Evidence::Submitted { text: text.into(), prompt: None, origin_agent: false }
    }

    fn stopped(text: &str) -> Evidence {
        Evidence::Stopped { text: Some(text.into()), prompt: None, agents: 0, shells: 0 }
    }

    fn say(session: &mut Session, source: Source, said: Vec<(u64, Evidence)>) -> Vec<Effect> {
        let mut out = Vec::new();
        for (at, evidence) in said {
            session.handle(now(1_000), Input::Said { source, at, evidence }, &mut out);
        }
        out
    }

    fn ends(effects: &[Effect]) -> Vec<(u64, Option<&str>)> {
        let ended = |e: &'_ Effect| match e {
            Effect::Persist(Fact::Ended { turn, .. }) => Some(turn.0),
            _ => None,
        };
        let text = |e: &'_ Effect| match e {
            Effect::Persist(Fact::Ended { text, .. }) => text.clone(),
            _ => None,
        };
        let texts = effects.iter().filter_map(|e| Some((ended(e)?, text(e))));
        texts.map(|(turn, text)| (turn, text.map(|t| &*t.leak()))).collect()
    }

    #[test]
    fn an_earlier_turns_answer_of_the_same_millisecond_is_not_taken() {
        for confirmed in [false, true] {
            let mut session = restored(Cli::Demo, confirmed);
            let before = vec![(50, taken("say one")), (100, stopped("one"))];
            let mut out = say(&mut session, Source::Transcript, before);
            session.handle(now(1_000), Input::Recovered(Recovery::Submitted), &mut out);
            assert_eq!(ends(&out), []);
            let after = vec![(100, taken("say two")), (100, stopped("two"))];
            let out = say(&mut session, Source::Transcript, after);
            assert_eq!(ends(&out), [(2, Some("two"))]);
        }
    }

    #[test]
    fn nothing_follows_before_all_is_said() {
        let mut session = restored(Cli::Claude, true);
        let out = say(&mut session, Source::Hook, vec![(150, stopped("two"))]);
        let acted = |e: &Effect| matches!(e, Effect::Type { .. } | Effect::Press(_));
        assert!(ends(&out).is_empty() && !out.iter().any(acted));
        // The agent works on, which is read after it: the next message must wait.
        let mut out = say(&mut session, Source::Osc7501, vec![(160, Evidence::Busy)]);
        session.handle(now(1_000), Input::Recovered(Recovery::Unknown), &mut out);
        assert!(ends(&out).is_empty() && !out.iter().any(acted));
        let out = say(&mut session, Source::Osc7501, vec![(170, Evidence::Rest(Rest::Done))]);
        assert_eq!(ends(&out), [(2, Some("two"))]);
        assert!(out.iter().any(|e| matches!(e, Effect::Type { turn: TurnId(3), .. })));
    }

    #[test]
    fn an_earlier_turns_hook_does_not_name_this_one() {
        let mut session = restored(Cli::Claude, true);
        let named = |prompt: &str, text: &str| Evidence::Submitted {
            text: text.into(),
            prompt: Some(prompt.into()),
            origin_agent: false,
        };
        let mut out = say(&mut session, Source::Hook, vec![(55, named("a", "say one"))]);
        session.handle(now(1_000), Input::Recovered(Recovery::Unknown), &mut out);
        let stop =
            Evidence::Stopped { text: Some("two".into()), prompt: Some("b".into()), agents: 0, shells: 0 };
        assert_eq!(ends(&say(&mut session, Source::Hook, vec![(170, stop)])), [(2, Some("two"))]);
    }

    #[test]
    fn only_what_was_provably_not_submitted_is_typed_again() {
        for (recovery, again) in [(Recovery::NotSubmitted, true), (Recovery::Unknown, false)] {
            let mut session = restored(Cli::Demo, false);
            let mut out = Vec::new();
            session.handle(now(1_000), Input::Recovered(recovery), &mut out);
            let typed = out.iter().any(|e| matches!(e, Effect::Type { turn: TurnId(2), .. }));
            assert_eq!(typed, again, "{recovery:?}");
            if !again {
                session.handle(now(9_000), Input::Fired(Timer::Confirm(TurnId(2))), &mut out);
                assert_eq!(ends(&out), [(2, None)]);
                // What was typed of it must not stand in front of the next one.
                let press = out.iter().position(|e| matches!(e, Effect::Press(_)));
                let next = out.iter().position(|e| matches!(e, Effect::Type { turn: TurnId(3), .. }));
                assert!(press.is_some() && press < next, "{out:?}");
            }
        }
    }

    #[test]
    fn a_rest_that_the_last_supervisor_took_in_is_not_waited_for_forever() {
        let mut session = restored(Cli::Demo, false);
        let mut out = say(&mut session, Source::Osc7501, vec![(90, Evidence::Rest(Rest::Done))]);
        let told = vec![(101, taken("say two")), (102, stopped("two"))];
        out.extend(say(&mut session, Source::Transcript, told));
        session.handle(now(1_000), Input::Recovered(Recovery::Submitted), &mut out);
        let settle = Timer::Settle(TurnId(2));
        assert!(out.iter().any(|e| matches!(e, Effect::Arm { timer, .. } if *timer == settle)));
        session.handle(now(2_000), Input::Fired(settle), &mut out);
        assert_eq!(ends(&out), [(2, Some("two"))]);
    }
}
