//! Questions the agent asks, and the dialogs before it begins.

use dsx_protocol::{Prompt, PromptOption};

use crate::adapter;
use crate::evidence::{Asked, Dialog, Source};
use crate::fact::{Fact, Reported};
use crate::input::{Effect, Now, ScreenText, Timer};
use crate::session::{Said, Session};
use crate::spec::{Cli, Mode};

/// How long the screen must be quiet before it is read at start-up.
const START_QUIET_MS: u64 = 120;
/// How long a dialog may take to be drawn after the status record told of it.
const DRAWN_MS: u64 = 6_000;
/// How long a key may take to change a dialog.
const DIALOG_MS: u64 = 1_500;
/// The same once dsx has pressed a key in a dialog: it may be drawn anew with another option highlighted.
const MOVED_QUIET_MS: u64 = 300;
/// Keys dsx presses at most to settle the dialogs of one start.
const DIALOG_MOVES: u32 = 16;

impl Session {
    pub(crate) fn blocked(&mut self, now: Now, source: Source, at: u64, asked: Asked, out: &mut Vec<Effect>) {
        let answered = self.is_answered(source, at);
        self.hear(now, source, at, Said::Blocked, out);
        match source {
            Source::Osc7501 => self.live.progress.osc_rest = None,
            Source::SessionFile => {
                let p = &mut self.live.progress;
                p.file_rest = p.file_rest.filter(|rest| *rest > at);
            }
            _ => {}
        }
        if answered {
            return;
        }
        if let Some(open) = self.durable.prompts.first() {
            // The same question from a second source: what it knows more is added, nothing is asked twice.
            self.live.prompts_doubtful = false;
            let richer = open.tool.is_none() && asked.tool.is_some();
            if richer {
                let prompt = Prompt {
                    kind: asked.kind,
                    tool: asked.tool,
                    text: asked.text,
                    command: asked.command,
                    options: if asked.options.is_empty() { open.options.clone() } else { asked.options },
                    ..open.clone()
                };
                self.fact(now, Fact::PromptOpened(Box::new(prompt)), out);
            }
            return;
        }
        // Before the agent is ready, its dialogs are read off the screen, where their options are.
        if !self.durable.ready {
            self.live.start_asked = Some((now.ms, asked));
            out.push(Effect::Arm { timer: Timer::Dialog, after_ms: DIALOG_MS });
            return;
        }
        self.open_prompt(now, at, asked, out);
    }

    /// Whether the question was answered before it was heard of: evidence that is newer says that it is not
    /// open. The status record bears no time of its own, but a resting agent asks nothing.
    fn is_answered(&self, source: Source, at: u64) -> bool {
        let file = matches!(self.live.file, Some((Said::Busy | Said::Rest(_), said)) if said > at);
        let osc = matches!(self.durable.osc, Some((Reported::Resting(_), said)) if said > at);
        source != Source::Osc7501 && (at < self.durable.closed_as_of || file || osc)
    }

    fn open_prompt(&mut self, now: Now, at: u64, asked: Asked, out: &mut Vec<Effect>) {
        let prompt = Prompt {
            id: format!("p{}", self.durable.next_prompt),
            session: self.durable.spec.id.clone(),
            turn: self.durable.running().map(|t| t.id),
            kind: asked.kind,
            tool: asked.tool,
            text: asked.text,
            command: asked.command,
            options: asked.options,
            opened_at: at,
            ..Prompt::default()
        };
        self.fact(now, Fact::PromptOpened(Box::new(prompt)), out);
    }

    /// Closes the prompts that were open by then.
    pub(crate) fn close_prompts(&mut self, now: Now, as_of: u64, by: &str, out: &mut Vec<Effect>) {
        let open = self.durable.prompts.iter().filter(|p| p.opened_at <= as_of);
        let ids: Vec<String> = open.map(|p| p.id.clone()).collect();
        for prompt in ids {
            self.fact(now, Fact::PromptClosed { prompt, by: by.to_owned(), as_of }, out);
        }
    }

    pub(crate) fn look_at_start(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        if self.durable.spec.cli == Cli::Claude && !self.live.looking {
            self.live.looking = true;
            let quiet_ms = if self.live.dialog_moves > 0 { MOVED_QUIET_MS } else { START_QUIET_MS };
            out.push(Effect::Look { quiet_ms, fresh });
        }
    }

    pub(crate) fn looked(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        self.live.looking = false;
        self.live.reading = false;
        if self.durable.exit.is_some() {
            return;
        }
        if self.durable.ready {
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

    /// The status record tells of a dialog that cannot be read: it may not be drawn yet, or not in a shape that
    /// is known, and then what the record says has to do.
    fn unread_dialog(&mut self, now: Now, at: u64, asked: Asked, out: &mut Vec<Effect>) {
        if now.ms < at + DRAWN_MS {
            out.push(Effect::Arm { timer: Timer::Dialog, after_ms: DIALOG_MS });
        } else if self.durable.prompts.is_empty() {
            self.live.start_asked = None;
            self.open_prompt(now, at, asked, out);
        }
    }

    /// The key that was pressed has changed nothing: the dialog may not have been listening yet.
    pub(crate) fn look_again_at_start(&mut self, out: &mut Vec<Effect>) {
        if !self.durable.ready && self.durable.exit.is_none() {
            self.live.looking = false;
            self.look_at_start(false, out);
        }
    }

    fn start_dialog(&mut self, now: Now, dialog: &Dialog, out: &mut Vec<Effect>) {
        let yes = dialog.options.iter().position(|o| o.starts_with("Yes"));
        let settled_by_dsx = self.durable.spec.mode == Mode::Native;
        match yes {
            Some(yes) if settled_by_dsx && self.live.dialog_moves < DIALOG_MOVES => {
                self.live.dialog_moves += 1;
                let key = match dialog.selected.cmp(&yes) {
                    std::cmp::Ordering::Equal => "Enter",
                    std::cmp::Ordering::Less => "Down",
                    std::cmp::Ordering::Greater => "Up",
                };
                self.note(Source::Screen, now.ms, format!("dialog ({}): {}", dialog.kind, dialog.text));
                self.note(Source::Dsx, now.ms, format!("start-up dialog settled by dsx: {key}"));
                out.push(Effect::Press(adapter::key(key)));
                out.push(Effect::Arm { timer: Timer::Dialog, after_ms: DIALOG_MS });
            }
            _ if self.durable.prompts.iter().any(|p| !p.options.is_empty()) => {}
            _ => {
                self.close_prompts(now, now.ms, "read in full off the screen", out);
                let option = |(i, label): (usize, &String)| PromptOption {
                    n: i as u32 + 1,
                    label: label.clone(),
                    description: None,
                };
                self.open_prompt(
                    now,
                    now.ms,
                    Asked {
                        kind: dialog.kind.clone(),
                        tool: None,
                        text: dialog.text.clone(),
                        command: None,
                        options: dialog.options.iter().enumerate().map(option).collect(),
                    },
                    out,
                );
            }
        }
    }
}
