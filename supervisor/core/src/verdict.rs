//! Whether a turn is over. The one place where signals are weighed against each other.
//!
//! No single signal is sound: a status record may come from `cat file`, a Stop hook comes before the agent
//! takes input again, an interrupt fires no hook at all, a transcript is written late. So an agent's turn is
//! over when two things agree: somebody says *how* it ended (a hook, the transcript, our own interrupt) and
//! somebody says that the agent *rests* (its status record, its session file). Where only the rest is there,
//! the other is waited for, a bounded time.

use dsx_protocol::TurnId;

use crate::evidence::Rest;
use crate::fact::Outcome;
use crate::spec::Cli;

/// How long a resting agent's hook or transcript is waited for.
const HOW_IT_ENDED_MS: u64 = 2_000;
/// How long a rest is waited for once something said how the turn ended.
const REST_MS: u64 = 1_000;
/// How long a background shell may keep the status record at `working` after the agent stopped.
const SHELLS_MS: u64 = 250;

/// What the agent said when it stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stop {
    pub text: Option<String>,
    pub agents: u32,
    pub shells: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub error: String,
    pub text: Option<String>,
}

/// All that was said of the running turn since it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub turn: Option<TurnId>,
    /// When its submitting byte was written, or before.
    pub since: u64,
    /// The agent's own id for it.
    pub prompt: Option<String>,
    /// The status record has said `working` since: only then does its rest count.
    pub osc_busy: bool,
    pub osc_rest: Option<Rest>,
    pub file_rest: bool,
    /// A rest read back after a restart that may be of before the turn: believed where the rest of the story fits
    /// and nothing else comes for a while.
    pub earlier_rest: Option<Rest>,
    /// The transcript has shown the message: only then do its endings count.
    pub in_transcript: bool,
    /// That was taken over from before a restart and not read again: a line of the very millisecond in which the
    /// turn began may be the end of the one before it.
    pub presumed: bool,
    pub stop: Option<Stop>,
    pub failure: Option<Failure>,
    pub interrupted: bool,
    /// dsx pressed the interrupt key.
    pub asked_interrupt: bool,
    /// Times the submitting key was pressed again.
    pub submits_again: u32,
    /// A wait of ours ran out.
    pub waited: bool,
    pub command_done: bool,
    pub quiet_own: bool,
    /// Text of a command's output, once it was asked for.
    pub captured: Option<String>,
    pub capturing: bool,
}

/// Which continuous sources have been heard from this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub osc: bool,
    pub file: bool,
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

pub(crate) fn weigh(cli: Cli, command: bool, progress: &Progress, heard: Heard) -> Verdict {
    match cli {
        Cli::Command => weigh_command(progress),
        Cli::Claude | Cli::Demo if command => weigh_agent_command(progress, heard),
        Cli::Claude | Cli::Demo => weigh_agent(progress, heard),
    }
}

fn weigh_agent(p: &Progress, heard: Heard) -> Verdict {
    let rests = p.osc_rest.is_some() || p.file_rest;
    let nobody_tells = !heard.osc && !heard.file;
    let quiet = rests || nobody_tells;
    if let Some(failure) = &p.failure {
        return match quiet || p.waited {
            true => Verdict::over(Outcome::Failed, failure.text.clone(), Some(failure.error.clone())),
            false => Verdict::Wait(REST_MS),
        };
    }
    if let Some(stop) = &p.stop {
        // A sub-agent reports back into this very turn; a later Stop tells its end.
        if stop.agents > 0 {
            return Verdict::Running;
        }
        let ended = Verdict::over(Outcome::Ended, stop.text.clone(), None);
        return match (quiet, stop.shells > 0, p.waited) {
            (true, _, _) | (false, true, true) => ended,
            (false, true, false) => Verdict::Wait(SHELLS_MS),
            (false, false, true) if p.earlier_rest.is_some() => ended,
            (false, false, false) if p.earlier_rest.is_some() => Verdict::Wait(REST_MS),
            // A hook of the user's may have sent the agent on: its rest has the last word.
            (false, false, _) => Verdict::Running,
        };
    }
    if p.interrupted {
        return match quiet || p.waited {
            true => Verdict::over(Outcome::Interrupted, None, None),
            false => Verdict::Wait(REST_MS),
        };
    }
    weigh_rest_alone(p, heard)
}

/// The agent rests, and nothing says how its turn ended.
fn weigh_rest_alone(p: &Progress, heard: Heard) -> Verdict {
    // Every source that speaks at all must say so: one record alone may be forged or late.
    let osc_rest = p.osc_rest.as_ref().or(p.earlier_rest.as_ref());
    let all_rest = (osc_rest.is_some() || !heard.osc) && (p.file_rest || !heard.file);
    if !all_rest || (!heard.osc && !heard.file) {
        return Verdict::Running;
    }
    if p.asked_interrupt {
        return Verdict::over(Outcome::Interrupted, None, None);
    }
    if !p.waited {
        return Verdict::Wait(HOW_IT_ENDED_MS);
    }
    match osc_rest {
        Some(Rest::Error(message)) => {
            let error = message.clone().unwrap_or_else(|| "the agent reported an error".to_owned());
            Verdict::over(Outcome::Failed, None, Some(error))
        }
        Some(Rest::Done) => Verdict::over(Outcome::Ended, None, None),
        Some(Rest::Idle) | None => Verdict::over(Outcome::Interrupted, None, None),
    }
}

/// A command of the agent's own, `/compact` for example: it may begin a turn, or only draw something.
fn weigh_agent_command(p: &Progress, heard: Heard) -> Verdict {
    if p.stop.is_some() || p.failure.is_some() || p.interrupted {
        return weigh_agent(p, heard);
    }
    let working = p.osc_busy && p.osc_rest.is_none();
    match p.quiet_own && !working {
        true => Verdict::over(Outcome::Ended, None, None),
        false => Verdict::Running,
    }
}

fn weigh_command(p: &Progress) -> Verdict {
    let reported = p.osc_busy && p.osc_rest.is_some();
    if !(p.command_done || reported || p.quiet_own) {
        return Verdict::Running;
    }
    let Some(text) = p.captured.clone() else { return Verdict::Capture };
    if p.asked_interrupt {
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

    const BOTH: Heard = Heard { osc: true, file: true };

    fn stopped(text: &str) -> Progress {
        let stop = Stop { text: Some(text.to_owned()), ..Stop::default() };
        Progress { osc_busy: true, stop: Some(stop), ..Progress::default() }
    }

    fn outcome(verdict: &Verdict) -> Option<Outcome> {
        match verdict {
            Verdict::Over { outcome, .. } => Some(*outcome),
            _ => None,
        }
    }

    #[test]
    fn a_stop_hook_alone_is_not_the_end() {
        assert_eq!(weigh_agent(&stopped("x"), BOTH), Verdict::Running);
        let rested = Progress { osc_rest: Some(Rest::Done), ..stopped("x") };
        assert_eq!(weigh_agent(&rested, BOTH), Verdict::over(Outcome::Ended, Some("x".into()), None));
    }

    #[test]
    fn a_rest_from_before_a_restart_counts_after_a_wait() {
        let told = Progress { earlier_rest: Some(Rest::Done), ..stopped("x") };
        assert_eq!(weigh_agent(&told, BOTH), Verdict::Wait(REST_MS));
        let waited = Progress { waited: true, ..told };
        assert_eq!(outcome(&weigh_agent(&waited, BOTH)), Some(Outcome::Ended));
    }

    #[test]
    fn a_status_record_alone_is_not_the_end() {
        let forged = Progress { osc_busy: true, osc_rest: Some(Rest::Done), ..Progress::default() };
        assert_eq!(weigh_agent(&forged, BOTH), Verdict::Running);
        let waited = Progress { waited: true, ..forged };
        assert_eq!(weigh_agent(&waited, BOTH), Verdict::Running);
    }

    #[test]
    fn rest_without_a_word_is_an_interrupt_after_a_wait() {
        let rested = Progress { osc_rest: Some(Rest::Idle), file_rest: true, ..Progress::default() };
        assert_eq!(weigh_agent(&rested, BOTH), Verdict::Wait(HOW_IT_ENDED_MS));
        let waited = Progress { waited: true, ..rested.clone() };
        assert_eq!(outcome(&weigh_agent(&waited, BOTH)), Some(Outcome::Interrupted));
        let asked = Progress { asked_interrupt: true, ..rested };
        assert_eq!(outcome(&weigh_agent(&asked, BOTH)), Some(Outcome::Interrupted));
    }

    #[test]
    fn sub_agents_hold_a_turn_open_and_shells_do_not() {
        let mut p = Progress { osc_rest: Some(Rest::Done), ..stopped("x") };
        if let Some(stop) = &mut p.stop {
            stop.agents = 1;
        }
        assert_eq!(weigh_agent(&p, BOTH), Verdict::Running);
        let mut p = stopped("x");
        if let Some(stop) = &mut p.stop {
            stop.shells = 1;
        }
        assert_eq!(weigh_agent(&p, BOTH), Verdict::Wait(SHELLS_MS));
        p.waited = true;
        assert_eq!(outcome(&weigh_agent(&p, BOTH)), Some(Outcome::Ended));
    }

    #[test]
    fn a_command_ends_with_its_text_in_hand() {
        let mut p = Progress { quiet_own: true, ..Progress::default() };
        assert_eq!(weigh_command(&p), Verdict::Capture);
        p.captured = Some("out".into());
        assert_eq!(weigh_command(&p), Verdict::over(Outcome::Ended, Some("out".into()), None));
        assert_eq!(weigh_command(&Progress::default()), Verdict::Running);
    }
}
