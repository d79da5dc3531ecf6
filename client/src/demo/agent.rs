//! The agent itself, pure: events in, actions out. It knows neither clock nor file nor terminal.

use std::collections::VecDeque;

use super::draft::Draft;
use super::input::{Key, PASTE_MAX};
use super::script::{Plan, Question, plan};
use super::status::Status;
use super::transcript::Record;

/// Messages that may wait, and their bytes in all.
const QUEUE_MAX: usize = 1_000;
const QUEUE_MAX_BYTES: usize = 4 * PASTE_MAX;
/// Between two pictures of the spinner.
const SPIN_MS: u64 = 250;
/// How long a first Ctrl-C counts.
const LEAVE_MS: u64 = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    /// Milliseconds of a clock that never goes back.
    pub(super) mono: u64,
    /// Milliseconds since 1970, for the transcript.
    pub(super) at: u64,
}

#[derive(Debug)]
pub(super) enum Event {
    Key(Key),
    /// The moment that [`Agent::due`] named has come.
    Due,
    /// The file that was to be read, or why it could not be.
    File(Result<String, String>),
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Record(Record),
    Status(Status),
    Show(Block),
    /// Read the file and say so by [`Event::File`].
    Read(String),
    Repaint,
    Exit(u8),
}

/// Something that stays on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    User(String),
    Answer(String),
    Error(String),
    Note(String),
}

/// What is shown below all that stays.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// How long the turn has been running, and which picture of the spinner it is.
    pub(super) working: Option<(u64, usize)>,
    pub(super) question: Option<&'a Question>,
    pub(super) queued: &'a VecDeque<String>,
    pub(super) draft: &'a Draft,
    pub(super) hint: &'a str,
}

#[derive(Debug)]
struct Turn {
    begun: u64,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    Working {
        until: u64,
        then: String,
    },
    Asking(Question),
    /// What comes next comes from outside: a file's text, or the end of the process.
    Elsewhere,
}

#[derive(Debug, Default)]
pub(super) struct Agent {
    draft: Draft,
    turn: Option<Turn>,
    queue: VecDeque<String>,
    /// Until when another Ctrl-C leaves.
    leaving: Option<u64>,
    notice: Option<String>,
}

impl Agent {
    pub(super) fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Key(key) => self.key(now, key, out),
            Event::Due => self.clock(now, out),
            Event::File(read) => self.read(now, read, out),
        }
        while self.turn.is_none()
            && let Some(message) = self.queue.pop_front()
        {
            self.begin(now, message, out);
        }
    }

    /// When [`Event::Due`] is wanted, on the clock that never goes back. Nothing is, while nothing goes on.
    pub(super) fn due(&self, now: Now) -> Option<u64> {
        let turn = self.turn.as_ref().and_then(|turn| match &turn.doing {
            Doing::Working { until, .. } => {
                let spun = now.mono.saturating_sub(turn.begun) / SPIN_MS;
                Some((turn.begun + (spun + 1) * SPIN_MS).min(*until))
            }
            Doing::Asking(_) | Doing::Elsewhere => None,
        });
        [turn, self.leaving].into_iter().flatten().min()
    }

    pub(super) fn view(&self, now: Now) -> View<'_> {
        let (working, question) = match &self.turn {
            Some(Turn { doing: Doing::Asking(question), .. }) => (None, Some(question)),
            Some(turn) => {
                let ms = now.mono.saturating_sub(turn.begun);
                (Some((ms / 1000, (ms / SPIN_MS) as usize)), None)
            }
            None => (None, None),
        };
        let hint = match (&self.notice, self.leaving, question, working) {
            (Some(notice), ..) => notice,
            (_, Some(_), ..) => "press Ctrl-C again to leave",
            (_, _, Some(q), _) if q.options.is_empty() => "type an answer · esc to decline",
            (_, _, Some(_), _) => "type a number or an answer · esc to decline",
            (_, _, _, Some(_)) => "enter queues a message · esc interrupts",
            _ => "help shows what I can do · ctrl-c twice leaves",
        };
        View { working, question, queued: &self.queue, draft: &self.draft, hint }
    }

    fn key(&mut self, now: Now, key: Key, out: &mut Vec<Action>) {
        self.notice = None;
        let leaving = self.leaving.take();
        match key {
            Key::Char(c) => match self.chosen(c) {
                Some(answer) => self.answered(now, &answer, out),
                None => self.insert(c.encode_utf8(&mut [0; 4])),
            },
            Key::Paste(text) => self.insert(&text),
            Key::PasteTooLong(bytes) => self.refuse_paste(bytes),
            Key::Newline => self.insert("\n"),
            Key::Enter => self.submit(now, out),
            Key::Backspace => self.draft.backspace(),
            Key::Delete => self.draft.delete(),
            Key::Left => self.draft.left(),
            Key::Right => self.draft.right(),
            Key::Home => self.draft.home(),
            Key::End => self.draft.end(),
            Key::KillBefore => self.draft.kill_before(),
            Key::KillAfter => self.draft.kill_after(),
            Key::KillWord => self.draft.kill_word(),
            Key::Redraw => out.push(Action::Repaint),
            Key::Escape => self.interrupt(now, out),
            Key::CtrlC if leaving.is_some_and(|until| now.mono < until) => self.leave(now, out),
            Key::CtrlC => {
                if self.turn.is_none() {
                    self.draft.take();
                }
                self.interrupt(now, out);
                self.leaving = Some(now.mono + LEAVE_MS);
            }
            Key::CtrlD if self.draft.is_empty() => self.leave(now, out),
            Key::CtrlD => self.draft.delete(),
        }
    }

    /// The option that this key alone chooses.
    fn chosen(&self, c: char) -> Option<String> {
        match &self.turn {
            Some(Turn { doing: Doing::Asking(question), .. }) if self.draft.is_empty() => question.at_once(c),
            _ => None,
        }
    }

    fn insert(&mut self, text: &str) {
        if !self.draft.insert(text) {
            self.refuse_paste(self.draft.text().len() + text.len());
        }
    }

    fn refuse_paste(&mut self, bytes: usize) {
        self.notice = Some(format!("not taken: {bytes} bytes are more than I can hold ({PASTE_MAX})"));
    }

    fn submit(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.draft.text().trim().is_empty() {
            self.draft.take();
            return;
        }
        match &self.turn {
            Some(Turn { doing: Doing::Asking(question), .. }) => {
                let answer = question.answer(self.draft.text());
                let typed = self.draft.take();
                match answer {
                    Some(answer) => self.answered(now, &answer, out),
                    None => {
                        out.push(Action::Show(Block::Note(format!("that is none of the answers: {typed}"))));
                    }
                }
            }
            Some(_) if !self.has_room() => {
                self.notice = Some("not taken: too much is waiting already".to_owned());
            }
            Some(_) => self.queue.push_back(self.draft.take()),
            None => {
                let message = self.draft.take();
                self.begin(now, message, out);
            }
        }
    }

    fn has_room(&self) -> bool {
        let bytes: usize = self.queue.iter().map(String::len).sum();
        self.queue.len() < QUEUE_MAX && bytes + self.draft.text().len() <= QUEUE_MAX_BYTES
    }

    fn begin(&mut self, now: Now, message: String, out: &mut Vec<Action>) {
        out.push(Action::Record(Record::User { at: now.at, text: message.clone() }));
        out.push(Action::Status(Status::Working));
        let plan = plan(&message);
        out.push(Action::Show(Block::User(message)));
        self.follow(now, plan, out);
    }

    fn follow(&mut self, now: Now, plan: Plan, out: &mut Vec<Action>) {
        let doing = match plan {
            Plan::Say(text) => return self.end(now, text, out),
            Plan::Fail(error) => return self.fail(now, error, out),
            Plan::Work { ms, then } => Doing::Working { until: now.mono + ms, then },
            Plan::Ask(question) => {
                let Question { text, options } = question.clone();
                out.push(Action::Record(Record::Asked { at: now.at, text, options }));
                out.push(Action::Status(Status::Blocked(question.summary())));
                Doing::Asking(question)
            }
            Plan::Read(path) => {
                out.push(Action::Record(Record::Tool { at: now.at, name: "read", input: path.clone() }));
                out.push(Action::Show(Block::Note(format!("reading {path}"))));
                out.push(Action::Read(path));
                Doing::Elsewhere
            }
            Plan::Crash => {
                out.push(Action::Exit(3));
                Doing::Elsewhere
            }
        };
        let begun = self.turn.as_ref().map_or(now.mono, |turn| turn.begun);
        self.turn = Some(Turn { begun, doing });
    }

    fn read(&mut self, now: Now, read: Result<String, String>, out: &mut Vec<Action>) {
        if !matches!(self.turn, Some(Turn { doing: Doing::Elsewhere, .. })) {
            return;
        }
        match read.map(|text| plan(&text)) {
            // A file that names itself would never end.
            Ok(Plan::Read(_)) => self.fail(now, "a file cannot name another file".to_owned(), out),
            Ok(plan) => self.follow(now, plan, out),
            Err(error) => self.fail(now, error, out),
        }
    }

    fn clock(&mut self, now: Now, out: &mut Vec<Action>) {
        self.leaving = self.leaving.filter(|until| now.mono < *until);
        if let Some(Turn { doing: Doing::Working { until, then }, .. }) = &mut self.turn
            && now.mono >= *until
        {
            let text = std::mem::take(then);
            self.end(now, text, out);
        }
    }

    fn answered(&mut self, now: Now, answer: &str, out: &mut Vec<Action>) {
        out.push(Action::Record(Record::Answered { at: now.at, text: answer.to_owned() }));
        out.push(Action::Status(Status::Working));
        self.end(now, format!("You chose: {answer}"), out);
    }

    fn end(&mut self, now: Now, text: String, out: &mut Vec<Action>) {
        let said = (!text.is_empty()).then_some(text);
        if let Some(text) = &said {
            out.push(Action::Record(Record::Assistant { at: now.at, text: text.clone() }));
            out.push(Action::Show(Block::Answer(text.clone())));
        }
        out.push(Action::Record(Record::End { at: now.at, text: said }));
        out.push(Action::Status(Status::Done));
        self.turn = None;
    }

    fn fail(&mut self, now: Now, error: String, out: &mut Vec<Action>) {
        out.push(Action::Show(Block::Error(error.clone())));
        out.push(Action::Record(Record::Failed { at: now.at, error: error.clone() }));
        out.push(Action::Status(Status::Error(error)));
        self.turn = None;
    }

    fn interrupt(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.turn.take().is_some() {
            out.push(Action::Show(Block::Note("interrupted".to_owned())));
            out.push(Action::Record(Record::Interrupted { at: now.at }));
            out.push(Action::Status(Status::Idle));
        }
    }

    /// What waits is given up with it.
    fn leave(&mut self, now: Now, out: &mut Vec<Action>) {
        self.queue.clear();
        self.interrupt(now, out);
        out.push(Action::Exit(0));
    }
}

#[cfg(test)]
mod tests;
