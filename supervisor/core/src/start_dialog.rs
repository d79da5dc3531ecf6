//! The dialogs before an agent begins: read off the screen, settled by dsx in a session that nobody watches, and
//! prompts in one that asks.

use dsx_protocol::Prompt;

use crate::adapter;
use crate::evidence::{Asked, Dialog, Source};
use crate::input::{Effect, Now, Timer};
use crate::prompts::DIALOG_MS;
use crate::session::Session;
use crate::spec::{Cli, Mode, OnPrompt};

/// How long the screen must be quiet before it is read at start-up.
const START_QUIET_MS: u64 = 120;
/// How long a dialog may take to be drawn after the status record told of it.
const DRAWN_MS: u64 = 6_000;
/// The same once dsx has pressed a key in a dialog: it may be drawn anew with another option highlighted.
const MOVED_QUIET_MS: u64 = 300;
/// Keys dsx presses at most to settle the dialogs of one start.
const DIALOG_MOVES: u32 = 16;

impl Session {
    pub(crate) fn look_at_start(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        if self.durable.spec.cli == Cli::Claude && !self.live.looking {
            self.live.looking = true;
            let quiet_ms = if self.live.dialog_moves > 0 { MOVED_QUIET_MS } else { START_QUIET_MS };
            out.push(Effect::Look { quiet_ms, fresh });
        }
    }

    /// The status record tells of a dialog that cannot be read: it may not be drawn yet, or not in a shape that
    /// is known, and then what the record says has to do.
    pub(crate) fn unread_dialog(&mut self, now: Now, at: u64, asked: Asked, out: &mut Vec<Effect>) {
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

    /// The option of a start-up dialog that dsx is to choose by itself.
    fn unattended(&self, dialog: &Dialog) -> Option<usize> {
        let word = match (self.durable.spec.mode, self.durable.spec.terms.on_prompt) {
            (Mode::Native, _) | (Mode::Ask, OnPrompt::Allow) => "Yes",
            (Mode::Ask, OnPrompt::Deny) => "No",
            (Mode::Ask, OnPrompt::Ask) => return None,
        };
        dialog.options.iter().position(|o| o.starts_with(word))
    }

    pub(crate) fn start_dialog(&mut self, now: Now, dialog: &Dialog, out: &mut Vec<Effect>) {
        match self.unattended(dialog) {
            Some(wanted) if self.live.dialog_moves < DIALOG_MOVES => {
                self.live.dialog_moves += 1;
                let key = dialog.key_towards(wanted);
                self.note(Source::Screen, now.ms, format!("dialog ({}): {}", dialog.kind, dialog.text));
                self.note(Source::Dsx, now.ms, format!("start-up dialog settled by dsx: {key}"));
                out.push(Effect::Press(adapter::key(key)));
                out.push(Effect::Arm { timer: Timer::Dialog, after_ms: DIALOG_MS });
            }
            _ if self.durable.prompts.iter().any(|p| is_same(dialog, p)) => {}
            _ => {
                // Another one stands there now, or the same is read in full.
                let told = self.durable.prompts.iter().any(|p| !p.options.is_empty());
                let by = if told { "answered in the terminal" } else { "read in full off the screen" };
                self.close_prompts(now, now.ms, by, out);
                let asked = Asked {
                    kind: dialog.kind.clone(),
                    text: dialog.text.clone(),
                    options: dialog.numbered(),
                    ..Asked::default()
                };
                let id = self.open_prompt(now, now.ms, asked, out);
                // What dsx could not settle is for people.
                self.live.asking.unanswerable.push(id);
            }
        }
    }
}

fn is_same(dialog: &Dialog, prompt: &Prompt) -> bool {
    prompt.kind == dialog.kind && prompt.options == dialog.numbered()
}
