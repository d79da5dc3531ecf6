//! Whether a turn is over. The one place where signals are weighed against each other.
//!
//! No single signal is sound: a status record may come from `cat file`, a Stop hook comes before the agent
//! takes input again, an interrupt fires no hook at all, a transcript is written late. So an agent's turn is
//! over when two things agree: somebody says *how* it ended (a hook, the transcript, our own interrupt) and
//! somebody says that the agent *rests* (its status record, its session file). Where only the rest is there,
//! the other is waited for, a bounded time.

use dsx_protocol::TurnId;

use crate::durable::{Durable, Origin, Turn};
use crate::evidence::Rest;
use crate::fact::{Outcome, Reported, Told};
use crate::spec::Cli;

/// How long a resting agent's hook or transcript is waited for.
const HOW_IT_ENDED_MS: u64 = 2_000;
/// How long a rest is waited for once something said how the turn ended.
const REST_MS: u64 = 1_000;
/// How long a turn is believed in while every source says that the agent rests, and has rested since before it.
const NO_WORK_MS: u64 = 30_000;
/// How long after the interrupt key a rest counts as its doing.
const INTERRUPT_MS: u64 = 5_000;
/// How long a background shell may keep the status record at `working` after the agent stopped.
const SHELLS_MS: u64 = 250;

/// All that was said of the running turn since it was typed, and a crash may lose. (How it ended, as far as the
/// agent told, is durable.)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub turn: Option<TurnId>,
    /// When its submitting byte was written, or before.
    pub since: u64,
    /// The submitting write is done.
    pub typed: bool,
    /// When the agent took it, by its own evidence: a rest before that is not this turn's.
    pub taken_at: u64,
    /// The status record says `working`, or did so in this turn: only then does its rest count.
    pub osc_busy: bool,
    /// It began to say so after the message was typed.
    pub osc_began: bool,
    /// It was heard to do so in this turn; else its rest may be of what came before.
    pub osc_sure: bool,
    pub osc_rest: Option<Rest>,
    /// The session file said so, since it was typed.
    pub file_began: bool,
    /// When it last began to rest, as far as its sources' times tell.
    pub rest_at: u64,
    /// The session file says that the agent rests, since then.
    pub file_rest: Option<u64>,
    /// The transcript has shown the message: only then do its endings count.
    pub in_transcript: bool,
    /// It has gone on to another message since.
    pub past_transcript: bool,
    /// It had done so before a restart, perhaps too far back to be read again.
    pub was_taken: bool,
    /// Something else was taken under no id: whose the endings are that bear none is not known.
    pub uncertain: bool,
    /// When dsx pressed the interrupt key.
    pub asked_interrupt: Option<u64>,
    /// Times the submitting key was pressed again.
    pub submits_again: u32,
    /// What is being waited for has had so many milliseconds.
    pub awaits: Option<u64>,
    /// The wait ran out.
    pub waited: bool,
    pub command_done: bool,
    pub quiet_own: bool,
    /// Text of a command's output, once it was asked for.
    pub captured: Option<String>,
    pub capturing: bool,
}

impl Progress {
    /// Of a turn that ran when the last supervisor died, by its facts; the sources say the rest again.
    pub(crate) fn restored(turn: &Turn, durable: &Durable) -> Self {
        let since = match turn.taken_at {
            0 => turn.delivering_at.unwrap_or(turn.queued_at),
            taken_at => taken_at,
        };
        // Of what was typed ahead only the earliest is known.
        let typed_ahead = turn.origin == Origin::Typed && turn.prompts.is_empty();
        let is_exact = !typed_ahead || durable.spec.cli == Cli::Demo;
        Self {
            typed: true,
            taken_at: turn.taken_at,
            was_taken: turn.taken_at > 0 && turn.behind.is_none() && is_exact,
            ..Self::begun(turn.id, since, durable)
        }
    }

    /// With what the status record has said of it by now.
    pub(crate) fn begun(turn: TurnId, since: u64, durable: &Durable) -> Self {
        let osc_began = durable.osc_worked_at >= since;
        let (osc_busy, osc_rest) = match &durable.osc {
            Some((Reported::Resting(rest), _)) if osc_began || durable.osc_rested_at > since => {
                (true, Some(rest.clone()))
            }
            Some((Reported::Resting(_), _)) | None => (false, None),
            Some((Reported::Working | Reported::Blocked, _)) => (true, None),
        };
        Self { turn: Some(turn), since, osc_busy, osc_began, osc_rest, ..Self::default() }
    }

    fn file_rests(&self) -> bool {
        self.file_rest.is_some_and(|at| at > self.taken_at)
    }
}

/// Which continuous sources have been heard from this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub osc: bool,
    pub file: bool,
    /// A hook has spoken since this supervisor came: they tell at once of work that goes on in the background.
    pub hooks: bool,
    /// The last word of each is that the agent rests, of whatever time.
    pub rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Running,
    /// Ask again after so many milliseconds, with `waited` set.
    Wait(u64),
    /// The text of the output is wanted first.
    Capture,
    Over {
        outcome: Outcome,
        text: Option<String>,
        error: Option<String>,
    },
}

impl Verdict {
    fn over(outcome: Outcome, text: Option<String>, error: Option<String>) -> Self {
        Self::Over { outcome, text, error }
    }
}

pub(crate) fn weigh(cli: Cli, turn: &Turn, progress: &Progress, heard: Heard) -> Verdict {
    match cli {
        Cli::Command => weigh_command(progress),
        Cli::Claude | Cli::Demo if turn.command => weigh_agent_command(turn, progress, heard),
        Cli::Claude | Cli::Demo => weigh_agent(turn, progress, heard),
    }
}

/// How long the agent's rest is still to be waited for, once it told how its turn ended; `None` for ever.
fn rest_awaited(turn: &Turn, p: &Progress, heard: Heard) -> Option<u64> {
    // The file bears the time of what it says; the status record's rest may be of what came before.
    let after = if turn.behind.is_some() { turn.told_at } else { 0 };
    let file_rests = p.file_rests() && p.file_rest.is_some_and(|at| at >= after);
    let nobody_tells = !heard.osc && !heard.file;
    match (file_rests || (!heard.file && p.osc_sure && p.osc_rest.is_some()), p.osc_rest.is_some()) {
        (true, _) => Some(0),
        (false, true) => Some(REST_MS),
        (false, false) if nobody_tells => Some(REST_MS),
        // By their times these are rests of what came before; a source may have failed since.
        (false, false) => heard.rest.then_some(NO_WORK_MS),
    }
}

fn weigh_agent(turn: &Turn, p: &Progress, heard: Heard) -> Verdict {
    let Some(told) = &turn.told else { return weigh_rest_alone(turn, p, heard) };
    let over = match told {
        // A sub-agent reports back into this very turn; a later Stop tells its end.
        Told::Stopped { agents: 1.., .. } => return Verdict::Running,
        Told::Stopped { text, .. } => Verdict::over(Outcome::Ended, text.clone(), None),
        Told::Failed { error, text } => Verdict::over(Outcome::Failed, text.clone(), Some(error.clone())),
        Told::Interrupted => Verdict::over(Outcome::Interrupted, None, None),
    };
    let awaited = rest_awaited(turn, p, heard);
    let wait = match told {
        // The session file does not wait for shells; where there is none, nobody can tell.
        Told::Stopped { shells: 1.., .. } if !heard.file => awaited.or(Some(SHELLS_MS)),
        // A hook of the user's may have sent the agent on: its rest has the last word.
        Told::Stopped { .. } => awaited,
        Told::Failed { .. } | Told::Interrupted => Some(awaited.unwrap_or(REST_MS).min(REST_MS)),
    };
    match wait {
        None => Verdict::Running,
        Some(0) => over,
        Some(ms) if p.waited && p.awaits == Some(ms) => over,
        Some(ms) => Verdict::Wait(ms),
    }
}

/// The agent rests, and nothing says how its turn ended.
fn weigh_rest_alone(turn: &Turn, p: &Progress, heard: Heard) -> Verdict {
    // Every source that speaks at all must say so: one record alone may be forged or late.
    let all_rest = (p.osc_rest.is_some() || !heard.osc) && (p.file_rests() || !heard.file);
    if !heard.osc && !heard.file {
        return Verdict::Running;
    }
    if !all_rest {
        return match (heard.rest, p.awaits == Some(NO_WORK_MS) && p.waited) {
            (false, _) => Verdict::Running,
            (true, false) => Verdict::Wait(NO_WORK_MS),
            // It was taken, for the agent said so, and an interrupt is the one end that nothing tells.
            (true, true) if turn.taken_at > 0 => Verdict::over(Outcome::Interrupted, None, None),
            (true, true) => {
                let error = "the agent rests, and nothing shows what became of the message";
                Verdict::over(Outcome::Lost, None, Some(error.to_owned()))
            }
        };
    }
    // What came before it may be what was interrupted, and what the record calls done was not.
    let first = turn.behind.is_none() || p.in_transcript;
    // A rest from before the key was pressed is not its doing, nor one long after.
    let begun = p.taken_at.max(p.since);
    let asked =
        p.asked_interrupt.is_some_and(|at| at > begun && at <= p.rest_at && p.rest_at <= at + INTERRUPT_MS);
    // Without hooks an end that is not told yet may be the transcript's to tell, which is late.
    if asked && first && heard.file && heard.hooks && p.osc_rest != Some(Rest::Done) {
        return Verdict::over(Outcome::Interrupted, None, None);
    }
    if !p.waited || p.awaits != Some(HOW_IT_ENDED_MS) {
        return Verdict::Wait(HOW_IT_ENDED_MS);
    }
    match &p.osc_rest {
        Some(Rest::Error(message)) => {
            let error = message.clone().unwrap_or_else(|| "the agent reported an error".to_owned());
            Verdict::over(Outcome::Failed, None, Some(error))
        }
        Some(Rest::Done) => Verdict::over(Outcome::Ended, None, None),
        // It became part of the work that was under way.
        _ if !first => Verdict::over(Outcome::Ended, None, None),
        Some(Rest::Idle) | None => Verdict::over(Outcome::Interrupted, None, None),
    }
}

/// A command of the agent's own, `/compact` for example: it may begin a turn, or only draw something.
fn weigh_agent_command(turn: &Turn, p: &Progress, heard: Heard) -> Verdict {
    if turn.told.is_some() {
        return weigh_agent(turn, p, heard);
    }
    let working = (p.osc_began && p.osc_rest.is_none()) || (p.file_began && p.file_rest.is_none());
    match p.quiet_own && !working {
        true => Verdict::over(Outcome::Ended, None, None),
        false => Verdict::Running,
    }
}

fn weigh_command(p: &Progress) -> Verdict {
    let reported = p.osc_busy && p.osc_rest.is_some();
    // One that says that it works has said more than its silence does.
    let quiet = p.quiet_own && !p.osc_busy;
    if !(p.command_done || reported || quiet) {
        return Verdict::Running;
    }
    let Some(text) = p.captured.clone() else { return Verdict::Capture };
    if p.asked_interrupt.is_some() {
        return Verdict::over(Outcome::Interrupted, Some(text), None);
    }
    match &p.osc_rest {
        Some(Rest::Error(message)) if reported => {
            let error = message.clone().unwrap_or_else(|| "the program reported an error".to_owned());
            Verdict::over(Outcome::Failed, Some(text), Some(error))
        }
        _ => Verdict::over(Outcome::Ended, Some(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Heard = Heard { osc: true, file: true, hooks: true, rest: false };

    fn told(how: Option<Told>) -> Turn {
        let fact = |turn| crate::Fact::Queued {
            turn,
            text: "do it".into(),
            key: None,
            origin: crate::Origin::Typed,
            typed: None,
            command: false,
            prompt: None,
            behind: None,
            as_of: 0,
            steer: None,
            stops: None,
        };
        let mut durable = Durable::new(crate::Spec::sample(Cli::Claude));
        durable.apply(1, &fact(TurnId(1)));
        if let Some(how) = how {
            durable.apply(2, &crate::Fact::Told { turn: TurnId(1), how, as_of: 2 });
        }
        durable.turns[0].clone()
    }

    fn stopped(agents: u32, shells: u32) -> Turn {
        told(Some(Told::Stopped { text: Some("x".into()), agents, shells }))
    }

    fn worked() -> Progress {
        Progress { osc_busy: true, osc_sure: true, ..Progress::default() }
    }

    fn outcome(verdict: &Verdict) -> Option<Outcome> {
        match verdict {
            Verdict::Over { outcome, .. } => Some(*outcome),
            _ => None,
        }
    }

    #[test]
    fn a_stop_hook_alone_is_not_the_end() {
        assert_eq!(weigh_agent(&stopped(0, 0), &worked(), BOTH), Verdict::Running);
        let rested = Progress { osc_rest: Some(Rest::Done), ..worked() };
        let over = Verdict::over(Outcome::Ended, Some("x".into()), None);
        assert_eq!(
            weigh_agent(&stopped(0, 0), &rested, Heard { osc: true, file: false, hooks: true, rest: false }),
            over
        );
        // The session file says otherwise so far: the record's rest may be of the turn before.
        assert_eq!(weigh_agent(&stopped(0, 0), &rested, BOTH), Verdict::Wait(REST_MS));
        assert_eq!(
            weigh_agent(&stopped(0, 0), &Progress { waited: true, awaits: Some(REST_MS), ..rested }, BOTH),
            over
        );
    }

    #[test]
    fn a_status_record_alone_is_not_the_end() {
        let forged = Progress { osc_rest: Some(Rest::Done), ..worked() };
        assert_eq!(weigh_agent(&told(None), &forged, BOTH), Verdict::Running);
        let waited = Progress { waited: true, ..forged };
        assert_eq!(weigh_agent(&told(None), &waited, BOTH), Verdict::Running);
    }

    #[test]
    fn rest_without_a_word_is_an_interrupt_after_a_wait() {
        let rested =
            Progress { osc_rest: Some(Rest::Idle), file_rest: Some(1), rest_at: 9, ..Progress::default() };
        let weigh = |p: &Progress| weigh_agent(&told(None), p, BOTH);
        assert_eq!(weigh(&rested), Verdict::Wait(HOW_IT_ENDED_MS));
        let waited = Progress { waited: true, awaits: Some(HOW_IT_ENDED_MS), ..rested.clone() };
        assert_eq!(outcome(&weigh(&waited)), Some(Outcome::Interrupted));
        let asked = Progress { asked_interrupt: Some(9), ..rested };
        assert_eq!(outcome(&weigh(&asked)), Some(Outcome::Interrupted));
        // It was asked to stop and was done before it heard: its answer is on its way.
        let done = Progress { osc_rest: Some(Rest::Done), ..asked };
        assert_eq!(weigh(&done), Verdict::Wait(HOW_IT_ENDED_MS));
    }

    #[test]
    fn a_turn_that_no_work_follows_is_lost_after_a_while() {
        let rest = Heard { rest: true, ..BOTH };
        let p = Progress { osc_began: true, ..Progress::default() };
        assert_eq!(weigh_agent(&told(None), &p, rest), Verdict::Wait(NO_WORK_MS));
        let waited = Progress { awaits: Some(NO_WORK_MS), waited: true, ..p };
        assert_eq!(outcome(&weigh_agent(&told(None), &waited, rest)), Some(Outcome::Lost));
        assert_eq!(weigh_agent(&told(None), &waited, BOTH), Verdict::Running);
    }

    #[test]
    fn sub_agents_hold_a_turn_open_and_shells_do_not() {
        let rested = Progress { osc_rest: Some(Rest::Done), ..worked() };
        assert_eq!(weigh_agent(&stopped(1, 0), &rested, BOTH), Verdict::Running);
        let record = Heard { osc: true, file: false, hooks: true, rest: false };
        assert_eq!(weigh_agent(&stopped(0, 1), &worked(), record), Verdict::Wait(SHELLS_MS));
        let waited = Progress { waited: true, awaits: Some(SHELLS_MS), ..worked() };
        assert_eq!(outcome(&weigh_agent(&stopped(0, 1), &waited, record)), Some(Outcome::Ended));
        // The session file knows better: a hook may have sent the agent on.
        assert_eq!(weigh_agent(&stopped(0, 1), &waited, BOTH), Verdict::Running);
    }

    #[test]
    fn a_file_that_rested_before_the_message_was_taken_says_nothing_of_it() {
        let early = Progress { file_rest: Some(4), taken_at: 5, ..worked() };
        assert_eq!(weigh_agent(&stopped(0, 0), &early, BOTH), Verdict::Running);
        let late = Progress { file_rest: Some(6), ..early };
        assert_eq!(outcome(&weigh_agent(&stopped(0, 0), &late, BOTH)), Some(Outcome::Ended));
    }

    #[test]
    fn a_command_ends_with_its_text_in_hand() {
        let mut p = Progress { quiet_own: true, ..Progress::default() };
        assert_eq!(weigh_command(&p), Verdict::Capture);
        p.captured = Some("out".into());
        assert_eq!(weigh_command(&p), Verdict::over(Outcome::Ended, Some("out".into()), None));
        assert_eq!(weigh_command(&Progress::default()), Verdict::Running);
        assert_eq!(weigh_command(&Progress { osc_busy: true, ..p.clone() }), Verdict::Running);
        p.osc_rest = Some(Rest::Done);
        assert_eq!(
            weigh_command(&Progress { osc_busy: true, ..p }),
            Verdict::over(Outcome::Ended, Some("out".into()), None)
        );
    }
}
