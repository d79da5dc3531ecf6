//! Questions the agent asks: when one opens, what closes it, and the dialogs before the agent begins.
//!
//! Several sources tell of the same question, each in its own time: a hook with all there is to know, the
//! status record and the session file with the bare fact, the screen with the labels. It is one prompt, which
//! grows; only a second *hook* is a second question.

use dsx_protocol::Prompt;

use crate::adapter;
use crate::deliver::QUIET_MS;
use crate::durable::Held;
use crate::evidence::{Asked, Source};
use crate::fact::{Fact, Reported};
use crate::input::{Effect, Now, RequestId, ScreenText, Timer};
use crate::session::{Said, Session};
use crate::spec::{Cli, OnPrompt};

/// How long a key may take to change a dialog.
pub(crate) const DIALOG_MS: u64 = 1_500;
/// How long the hook, or transcript, that tells the whole of a question is waited for, once something else told
/// of it.
const HOOK_MS: u64 = 100;
/// How much longer those who wait for a question are not told of it, as its hook may be slow to start.
const SLOW_HOOK_MS: u64 = 900;
/// How long the screen must be quiet before a question's labels are read off it.
const LABELS_QUIET_MS: u64 = 30;
/// How long hooks may take to find a new supervisor.
const UNHELD_MS: u64 = 65_000;
/// How long those that are still there take at most. Till then an answer waits for its hook.
const RETURN_MS: u64 = 2_000;
/// How long the hook of a question that is to be answered by itself is waited for, before keys do it.
const UNATTENDED_MS: u64 = 1_500;

/// What is known of open prompts, and a crash may lose.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// The status record, and the session file, have not told yet of a question that a hook told of. Where it
    /// is answered meanwhile, they tell of it late.
    pub owed: [bool; 2],
    /// A question that waits for its hook, or its transcript, to tell more.
    pub bare: Option<(Source, u64, Asked)>,
    /// Nothing else has told of it in time. A record may come out of a file that was printed.
    pub alone: bool,
    /// A prompt that is open by what another source told, while its hook may still tell the whole of it.
    pub untold: Option<String>,
    /// A question that was read in the transcript before anything else told of it, and when it was asked.
    pub written: Option<(u64, Asked)>,
    /// The prompt whose labels are to be read off the screen, as soon as they stand there.
    pub labels: Option<String>,
    /// Hooks that wait for the decision: the request, and the hook's report.
    pub holds: Vec<(RequestId, String)>,
    /// Until when hooks that lost their supervisor may come back.
    pub returning_until: u64,
    /// Those that could not be answered by themselves: they are for people.
    pub unanswerable: Vec<String>,
}

/// The place of a source in [`Asking::owed`].
fn owing(source: Source) -> Option<usize> {
    match source {
        Source::Osc7501 => Some(0),
        Source::SessionFile => Some(1),
        _ => None,
    }
}

impl Session {
    pub(crate) fn blocked(&mut self, now: Now, source: Source, at: u64, asked: Asked, out: &mut Vec<Effect>) {
        let answered = self.is_answered(source, at);
        if source == Source::Transcript {
            if !answered {
                self.asked_in_writing(now, at, asked, out);
            }
            return;
        }
        self.hear(now, source, at, Said::Blocked, out);
        match source {
            Source::Osc7501 => self.live.progress.osc_rest = None,
            Source::SessionFile => {
                let p = &mut self.live.progress;
                p.file_rest = p.file_rest.filter(|rest| *rest > at);
            }
            _ => {}
        }
        let repeated = asked.key.as_ref().is_some_and(|key| self.durable.held.iter().any(|h| h.key == *key));
        if answered || repeated {
            return;
        }
        if source == Source::Hook {
            return self.asked_by_hook(now, at, asked, out);
        }
        let owed = owing(source).is_some_and(|i| std::mem::take(&mut self.live.asking.owed[i]));
        if !self.durable.prompts.is_empty() {
            // The same question from a second source.
            self.live.prompts_doubtful = false;
            return;
        }
        // Before the agent is ready, its dialogs are read off the screen, where their options are.
        if !self.durable.ready {
            self.live.start_asked = Some((now.ms, asked));
            out.push(Effect::Arm { timer: Timer::Dialog, after_ms: DIALOG_MS });
        } else if owed {
            self.note(Source::Dsx, now.ms, "that was answered already".to_owned());
        } else if self.durable.spec.cli == Cli::Claude && self.live.hooks_speak {
            match self.live.asking.bare {
                // Two say so.
                Some((by, ..)) if by != source && self.live.asking.alone => {
                    self.live.asking.alone = false;
                    out.push(Effect::Arm { timer: Timer::Hook, after_ms: 0 });
                }
                Some(_) => {}
                None => {
                    self.live.asking.bare = Some((source, at, asked));
                    out.push(Effect::Arm { timer: Timer::Hook, after_ms: HOOK_MS });
                }
            }
        } else if self.durable.spec.cli == Cli::Demo && source == Source::Osc7501 {
            match self.live.asking.written.take() {
                Some((asked_at, written)) if self.is_of_running(asked_at) => {
                    self.open_prompt(now, at, written, out);
                }
                _ => {
                    self.live.asking.bare = Some((source, at, asked));
                    out.push(Effect::Arm { timer: Timer::Hook, after_ms: HOOK_MS });
                }
            }
        } else {
            self.live.asking.bare = None;
            out.push(Effect::Disarm(Timer::Hook));
            self.open_prompt(now, at, asked, out);
        }
    }

    /// Whether the running turn had begun by then.
    fn is_of_running(&self, at: u64) -> bool {
        let began = |t: &crate::Turn| t.taken_at.max(t.delivering_at.unwrap_or_default());
        self.durable.running().is_some_and(|turn| at >= began(turn))
    }

    /// The transcript knows the options, and says neither that the question is open nor that it is not.
    fn asked_in_writing(&mut self, now: Now, at: u64, asked: Asked, out: &mut Vec<Effect>) {
        if let Some((_, since, _)) = self.live.asking.bare.take() {
            out.push(Effect::Disarm(Timer::Hook));
            self.open_prompt(now, since, asked, out);
            return;
        }
        match self.durable.prompts.first() {
            Some(open) if open.options.is_empty() && !asked.options.is_empty() && self.is_of_running(at) => {
                let prompt = Prompt { text: asked.text, options: asked.options, ..open.clone() };
                (self.live.asking.labels, self.live.asking.untold) = (None, None);
                self.fact(now, Fact::PromptOpened(Box::new(prompt)), out);
                self.respond_deferred(now, out);
            }
            Some(_) => {}
            None => self.live.asking.written = Some((at, asked)),
        }
    }

    /// Whether the question was answered before it was heard of: evidence that is newer says that it is not
    /// open. The status record bears no time of its own, but a resting agent asks nothing.
    fn is_answered(&self, source: Source, at: u64) -> bool {
        let file = match self.live.file {
            Some((Said::Busy, said)) => said > at,
            // In one millisecond an agent can ask and be stopped, but not rest, go to work and ask.
            Some((Said::Rest(_), said)) => said >= at,
            Some((Said::Blocked, _)) | None => false,
        };
        let osc = matches!(self.durable.osc, Some((Reported::Resting(_), said)) if said > at);
        source != Source::Osc7501 && (at < self.durable.closed_as_of || file || osc)
    }

    /// The hook knows everything, and waits for the answer.
    fn asked_by_hook(&mut self, now: Now, at: u64, asked: Asked, out: &mut Vec<Effect>) {
        self.live.asking.bare = None;
        (self.live.asking.untold, self.live.asking.alone) = (None, false);
        out.push(Effect::Disarm(Timer::Hook));
        let (key, input, unseen) = (asked.key.clone(), asked.input.clone(), asked.agent);
        let unheld = |p: &&Prompt| self.durable.held(&p.id).is_none() && !unseen;
        let bare = self.durable.prompts.iter().find(unheld).cloned();
        let id = match bare {
            Some(open) => {
                let options =
                    if asked.options.is_empty() { open.options.clone() } else { asked.options.clone() };
                let prompt =
                    Prompt { options, id: open.id, opened_at: open.opened_at, ..self.prompt(at, asked) };
                let id = prompt.id.clone();
                self.fact(now, Fact::PromptOpened(Box::new(prompt)), out);
                id
            }
            None => {
                let said = |what: Option<&Said>| what == Some(&Said::Blocked);
                let osc = self.durable.osc.clone().map(|(said, _)| Said::from(said));
                let file = self.live.file.as_ref().map(|(said, _)| said);
                self.live.asking.owed = [!said(osc.as_ref()) && !unseen, !said(file) && !unseen];
                self.open_prompt(now, at, asked, out)
            }
        };
        self.live.prompts_doubtful = false;
        if let Some(key) = key {
            self.fact(now, Fact::PromptHeld { prompt: id, key, input, unseen }, out);
        }
    }

    fn prompt(&self, at: u64, asked: Asked) -> Prompt {
        Prompt {
            id: format!("p{}", self.durable.next_prompt),
            session: self.durable.spec.id.clone(),
            turn: self.durable.running().map(|t| t.id),
            kind: asked.kind,
            tool: asked.tool,
            text: asked.text,
            command: asked.command,
            options: asked.options,
            opened_at: at,
            diff: asked.diff,
            questions: asked.questions,
        }
    }

    pub(crate) fn open_prompt(&mut self, now: Now, at: u64, asked: Asked, out: &mut Vec<Effect>) -> String {
        let prompt = self.prompt(at, asked);
        let (id, unlabelled) = (prompt.id.clone(), prompt.options.is_empty());
        self.fact(now, Fact::PromptOpened(Box::new(prompt)), out);
        if unlabelled && self.durable.ready && self.durable.spec.cli == Cli::Claude {
            self.live.asking.labels = Some(id.clone());
            out.push(Effect::Look { quiet_ms: LABELS_QUIET_MS, fresh: false });
        }
        if self.durable.spec.terms.on_prompt != OnPrompt::Ask {
            out.push(Effect::Arm { timer: Timer::Unattended, after_ms: UNATTENDED_MS });
        }
        id
    }

    /// What was told of before the crash, and not written down yet.
    pub(crate) fn recover_prompts(&mut self, now: Now, out: &mut Vec<Effect>) {
        let blocked = matches!(self.durable.osc, Some((Reported::Blocked, _)));
        let unknown = self.durable.prompts.is_empty() && self.live.asking.bare.is_none();
        if blocked && self.durable.ready && unknown {
            let text = "the agent asks something".to_owned();
            let asked = Asked { kind: "question".to_owned(), text, ..Asked::default() };
            self.live.asking.bare = Some((Source::Osc7501, now.ms, asked));
            out.push(Effect::Arm { timer: Timer::Hook, after_ms: HOOK_MS });
        }
        let open = |h: &Held| self.durable.prompts.iter().any(|p| p.id == h.prompt);
        if self.durable.held.iter().any(open) {
            self.live.asking.returning_until = now.ms + RETURN_MS;
            out.push(Effect::Arm { timer: Timer::Unheld, after_ms: UNHELD_MS });
        }
        if self.durable.spec.terms.on_prompt != OnPrompt::Ask && !self.durable.prompts.is_empty() {
            out.push(Effect::Arm { timer: Timer::Unattended, after_ms: RETURN_MS });
        }
        if self.durable.prompts.iter().any(|p| self.durable.decision(&p.id).is_some()) {
            out.push(Effect::Arm { timer: Timer::Verify, after_ms: DIALOG_MS });
        }
    }

    /// A source says that the agent is not blocked.
    pub(crate) fn asks_no_more(&mut self, source: Source, out: &mut Vec<Effect>) {
        let asking = &mut self.live.asking;
        if asking.bare.take_if(|(by, ..)| *by == source).is_some() {
            asking.alone = false;
            out.push(Effect::Disarm(Timer::Hook));
        }
        // What was answered before it was told of will not be told any more, if it was not asked since.
        if let Some(owed) =
            owing(source).and_then(|i| asking.owed.get_mut(i)).filter(|_| self.durable.prompts.is_empty())
        {
            *owed = false;
        }
    }

    /// No hook has told more: what the other source says has to do. The question is open from here on, but who
    /// waits for it wants to hear what it is.
    pub(crate) fn hook_awaited(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.live.asking.untold = None;
        let alone = std::mem::take(&mut self.live.asking.alone);
        let Some((source, at, asked)) =
            self.live.asking.bare.take().filter(|_| self.durable.prompts.is_empty())
        else {
            return;
        };
        let file_denies =
            self.durable.ready && matches!(self.live.file, Some((Said::Busy | Said::Rest(_), _)));
        if source == Source::Osc7501 && file_denies && alone {
            self.note(Source::Dsx, now.ms, "the status record alone says that the agent asks".to_owned());
        } else if source == Source::Osc7501 && file_denies {
            self.live.asking.bare = Some((source, at, asked));
            self.live.asking.alone = true;
            out.push(Effect::Arm { timer: Timer::Hook, after_ms: SLOW_HOOK_MS });
        } else {
            let id = self.open_prompt(now, at, asked, out);
            if self.durable.spec.cli == Cli::Demo {
                // Its transcript is slow; it will tell the labels all the same.
                self.live.asking.labels = Some(id.clone());
            }
            self.live.asking.untold = Some(id);
            out.push(Effect::Arm { timer: Timer::Hook, after_ms: SLOW_HOOK_MS });
        }
    }

    /// Somebody typed at a plain program. Nothing else need ever tell that what it asked is answered, if it asked.
    pub(crate) fn typed_at(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.durable.spec.cli == Cli::Command {
            self.close_prompts(now, now.ms, "keys were pressed in the terminal", out);
        }
    }

    /// Closes the prompts that were open by then.
    pub(crate) fn close_prompts(&mut self, now: Now, as_of: u64, by: &str, out: &mut Vec<Effect>) {
        let open = self.durable.prompts.iter().filter(|p| p.opened_at <= as_of);
        let ids: Vec<String> = open.map(|p| p.id.clone()).collect();
        for prompt in ids {
            self.close_prompt(now, prompt, as_of, by, out);
        }
    }

    /// Closes what a dialog on the screen was about, by then. Going on to work shows nothing of which of several
    /// was answered, and neither of the questions that have no dialog.
    pub(crate) fn close_dialogs(
        &mut self,
        now: Now,
        as_of: u64,
        works: bool,
        by: &str,
        out: &mut Vec<Effect>,
    ) {
        let seen = |p: &&Prompt| self.durable.held(&p.id).is_none_or(|h| !h.unseen);
        let open = self.durable.prompts.iter().filter(|p| p.opened_at <= as_of).filter(seen);
        let ids: Vec<String> = open.map(|p| p.id.clone()).collect();
        if works && ids.len() > 1 {
            return;
        }
        for prompt in ids {
            self.close_prompt(now, prompt, as_of, by, out);
        }
    }

    /// A tool ran: it was allowed, if it was asked about.
    pub(crate) fn tool_ran(
        &mut self,
        now: Now,
        at: u64,
        tool: &str,
        command: Option<&str>,
        out: &mut Vec<Effect>,
    ) {
        let same = |p: &&Prompt| {
            p.tool.as_deref() == Some(tool) && (command.is_none() || p.command.as_deref() == command)
        };
        let asked = self.durable.prompts.iter().filter(|p| p.opened_at <= at).find(same);
        if let Some(prompt) = asked.map(|p| p.id.clone()) {
            self.close_prompt(now, prompt, at, "answered in the terminal", out);
        }
    }

    pub(crate) fn close_prompt(
        &mut self,
        now: Now,
        prompt: String,
        as_of: u64,
        by: &str,
        out: &mut Vec<Effect>,
    ) {
        if self.durable.prompts.iter().all(|p| p.id != prompt) {
            return;
        }
        let decision = self.durable.decision(&prompt);
        let (by, answer) = match decision {
            Some(decision) => (decision.by.clone(), Some(decision.answer.clone())),
            None => (by.to_owned(), None),
        };
        self.fact(now, Fact::PromptClosed { prompt: prompt.clone(), by, answer, as_of }, out);
        if self.live.asking.labels.as_ref() == Some(&prompt) {
            self.live.asking.labels = None;
        }
        self.live.asking.unanswerable.retain(|p| *p != prompt);
        if let (Cli::Command, Some(turn)) = (self.durable.spec.cli, self.live.progress.turn) {
            // Its silence so far was that of somebody who waits for an answer.
            self.live.progress.quiet_own = false;
            out.push(Effect::Arm { timer: Timer::Quiet(turn), after_ms: QUIET_MS });
        }
        self.let_go(&prompt, out);
        self.responded(&prompt, out);
        self.respond_deferred(now, out);
    }

    /// The first open prompt that is somebody's to answer, as far as is known.
    #[must_use]
    pub fn asks(&self) -> Option<&Prompt> {
        let unattended = self.durable.spec.terms.on_prompt != OnPrompt::Ask;
        self.durable.prompts.iter().find(|p| {
            self.durable.decision(&p.id).is_none()
                && (!unattended || self.live.asking.unanswerable.contains(&p.id))
        })
    }

    /// The same, once all is known of it that will be.
    pub(crate) fn asks_in_full(&self) -> Option<&Prompt> {
        self.asks().filter(|p| self.live.asking.untold.as_ref() != Some(&p.id))
    }

    /// The screen was looked at while a prompt's labels are wanted.
    pub(crate) fn read_labels(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let drawn = self.durable.spec.cli == Cli::Claude;
        let Some(id) = self.live.asking.labels.clone().filter(|_| drawn) else { return };
        let Some(dialog) = adapter::read_dialog(self.durable.spec.cli, screen) else {
            out.push(Effect::Look { quiet_ms: LABELS_QUIET_MS, fresh: true });
            return;
        };
        self.live.asking.labels = None;
        if let Some(open) = self.durable.prompts.iter().find(|p| p.id == id && p.options.is_empty()) {
            let prompt = Prompt { options: dialog.numbered(), ..open.clone() };
            self.fact(now, Fact::PromptOpened(Box::new(prompt)), out);
        }
        self.respond_deferred(now, out);
    }

    pub(crate) fn looked(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        self.live.looking = false;
        self.live.reading = false;
        if self.durable.exit.is_some() {
            return;
        }
        self.pick(now, screen, out);
        self.verify_on_screen(now, screen, out);
        if self.durable.ready {
            self.read_labels(now, screen, out);
            self.submit_again(now, screen, out);
            self.submit_steer_again(now, screen, out);
            self.composer_seen(now, screen, out);
            return;
        }
        if let Some(dialog) = adapter::read_dialog(self.durable.spec.cli, screen) {
            self.start_dialog(now, &dialog, out);
        } else if let Some((at, asked)) = self.live.start_asked.clone() {
            self.unread_dialog(now, at, asked, out);
        }
        self.look_at_start(true, out);
    }
}
