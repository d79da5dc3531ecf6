//! Answering by keys: the option with a certain label, once the pointer is seen on it.
//!
//! One key at a time, and none without having read the screen since: a key that finds no dialog lands in the input
//! box, and one in another dialog answers that.

use dsx_protocol::{ErrorKind, Prompt, WireError};

use crate::adapter;
use crate::evidence::{Dialog, Source};
use crate::input::{Effect, Now, ScreenText, Timer};
use crate::respond::Whose;
use crate::session::Session;

/// How long a key may take to move a dialog's pointer.
const PICK_MS: u64 = 1_000;
/// How long the screen must be quiet before a dialog is read.
const PICK_QUIET_MS: u64 = 60;
/// How long a dialog is left alone after it was first seen: it is drawn before it takes keys.
const SETTLES_MS: u64 = 600;
/// Looks at one dialog at most, keys or none.
const PICK_LOOKS: u32 = 24;

/// An answer that goes by keys, under way.
#[derive(Debug)]
pub(crate) struct Picking {
    pub prompt: String,
    pub label: String,
    pub whose: Whose,
    /// When its dialog was first seen.
    seen_at: Option<u64>,
    looks: u32,
}

impl Session {
    pub(crate) fn begin_to_pick(
        &mut self,
        prompt: String,
        label: String,
        whose: Whose,
        out: &mut Vec<Effect>,
    ) {
        self.live.responding.picking = Some(Picking { prompt, label, whose, seen_at: None, looks: 0 });
        self.look_to_pick(false, out);
    }

    fn look_to_pick(&mut self, fresh: bool, out: &mut Vec<Effect>) {
        out.push(Effect::Look { quiet_ms: PICK_QUIET_MS, fresh });
        out.push(Effect::Arm { timer: Timer::Pick, after_ms: PICK_MS });
    }

    /// A key may have been lost: dialogs are drawn before they take keys.
    pub(crate) fn pick_expired(&mut self, out: &mut Vec<Effect>) {
        if self.live.responding.picking.is_some() {
            self.look_to_pick(false, out);
        }
    }

    /// One step towards the option: never a key without having seen where the pointer stands.
    pub(crate) fn pick(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let Some(mut picking) = self.live.responding.picking.take() else { return };
        let Some(prompt) = self.durable.prompts.iter().find(|p| p.id == picking.prompt).cloned() else {
            return;
        };
        picking.looks += 1;
        if picking.looks > PICK_LOOKS {
            return self.pick_failed(now, picking, "its dialog did not come to the option", out);
        }
        let dialog = adapter::read_dialog(self.durable.spec.cli, screen);
        let dialog = dialog.filter(|d| is_of(d, &prompt));
        let wanted = dialog.as_ref().and_then(|d| place_of(d, &picking.label));
        let (Some(dialog), Some(wanted)) = (dialog, wanted) else {
            // Not drawn yet, or drawn over.
            self.live.responding.picking = Some(picking);
            return self.look_to_pick(true, out);
        };
        let seen_at = *picking.seen_at.get_or_insert(now.ms);
        if now.ms < seen_at + SETTLES_MS {
            self.live.responding.picking = Some(picking);
            out.push(Effect::Arm { timer: Timer::Pick, after_ms: seen_at + SETTLES_MS - now.ms });
            return;
        }
        let key = dialog.key_towards(wanted);
        self.note(Source::Dsx, now.ms, format!("prompt {}: {key}, for '{}'", prompt.id, picking.label));
        if dialog.selected == wanted {
            out.push(Effect::Disarm(Timer::Pick));
            let Picking { label, whose, .. } = picking;
            self.decide(now, &prompt.id, None, label, whose, out);
            out.push(Effect::Press(adapter::key(key)));
        } else {
            out.push(Effect::Press(adapter::key(key)));
            self.live.responding.picking = Some(picking);
            self.look_to_pick(true, out);
        }
    }

    fn pick_failed(&mut self, now: Now, picking: Picking, why: &str, out: &mut Vec<Effect>) {
        out.push(Effect::Disarm(Timer::Pick));
        self.leave_to_people(now, &picking.prompt, why);
        if let Some(request) = picking.whose.request {
            let id = &self.durable.spec.id;
            let what = format!("prompt {} of session {id} could not be answered: {why}", picking.prompt);
            let error = WireError::new(ErrorKind::Failed, what).session(id);
            let error = error.hint(format!("answer it in its terminal: 'dsx attach {id}'"));
            out.push(Effect::Responded { request, result: Err(error) });
        }
    }
}

/// Whether a dialog on the screen is that of a prompt: the pointer must not be moved in another one.
pub(crate) fn is_of(dialog: &Dialog, prompt: &Prompt) -> bool {
    prompt.options.iter().all(|o| place_of(dialog, &o.label).is_some())
}

/// Where an option stands; a description may follow its label.
fn place_of(dialog: &Dialog, label: &str) -> Option<usize> {
    let exact = dialog.options.iter().position(|o| o == label);
    exact.or_else(|| dialog.options.iter().position(|o| o.starts_with(label)))
}
