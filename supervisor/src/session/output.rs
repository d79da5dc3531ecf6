//! What the program prints: from the log into the screen, and what is read out of it on the way.

use dsx_core::adapter::{Drawn, drawn, read_osc7501};
use dsx_core::{Evidence, Input, ScreenText, Source, Timer};
use dsx_protocol::TurnId;
use tokio::time::{Duration, Instant};

use super::task::{DRAIN_MS, Task};
use super::timers::Due;
use crate::clock::now_ms;
use crate::keeper::procfs;
use crate::log::{Recording, advance};
use crate::screen::TermEvent;

/// How long a program may leave unread what was typed before its silence counts all the same: it may never
/// read anything.
const UNREAD_MS: u64 = 10_000;
/// Between two looks at whether it has, or rests.
const LOOK_AGAIN_MS: u64 = 500;

/// A look at the screen that waits for quiet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looking {
    quiet: Duration,
    /// Only after output past this offset.
    after: Option<u64>,
}

impl Task {
    /// Folds what has come, one bounded piece; what is left rings the bell again.
    pub(super) async fn fold(&mut self) {
        let (before, size) = (self.terminal.offset(), self.terminal.size());
        let mut events = Vec::new();
        let after = advance(&mut self.terminal, &self.log, u64::MAX, Recording::Yes, &mut events);
        self.show_new_size(size);
        if after == before {
            if self.output_ended() {
                self.exited().await;
            }
            return;
        }
        if after < self.log.end() || self.ended.is_some() {
            self.output.notify_one();
        }
        self.show_viewers();
        // What was read may answer what was just typed: that is heard of first.
        while let Ok(typed) = self.typed.try_recv() {
            self.typed(typed).await;
        }
        for event in events {
            self.event(event).await;
        }
        self.pumped.processed(after);
        self.cursor.set_processed(after);
        self.output_seen.send_replace(after);
        if self.watches_output {
            self.input(Input::Output).await;
        }
        self.tell_shown();
        self.rearm_look();
    }

    async fn event(&mut self, event: TermEvent) {
        let evidence = match event {
            TermEvent::Reply(bytes) => {
                if let Some(typist) = &self.typist {
                    typist.answer(bytes);
                }
                return;
            }
            TermEvent::Osc7501(payload) => read_osc7501(&payload).map(|e| (Source::Osc7501, e)),
            TermEvent::Osc133(b'D', _) => Some((Source::Osc133, Evidence::CommandDone)),
            _ => None,
        };
        if let Some((source, evidence)) = evidence {
            self.input(Input::Said { source, at: now_ms(), evidence }).await;
        }
    }

    pub(super) fn look(&mut self, quiet_ms: u64, fresh: bool) {
        let after = fresh.then(|| self.terminal.offset());
        self.looking = Some(Looking { quiet: Duration::from_millis(quiet_ms), after });
        if !fresh {
            self.timers.arm(Due::Look, quiet_ms);
        }
    }

    /// Output came: the quiet that a look waits for begins anew.
    fn rearm_look(&mut self) {
        let offset = self.terminal.offset();
        if let Some(looking) = self.looking.filter(|l| l.after.is_none_or(|after| offset > after)) {
            self.timers.arm_at(Due::Look, Instant::now() + looking.quiet);
        }
    }

    pub(super) async fn looked(&mut self) {
        if self.looking.take().is_some() {
            let screen = self.screen_text();
            self.input(Input::Looked(screen)).await;
        }
    }

    fn screen_text(&self) -> ScreenText {
        let shown = self.terminal.contents();
        ScreenText {
            lines: shown.lines,
            solid: self.terminal.solid_lines(),
            cursor_row: shown.cursor.row,
            cursor_col: shown.cursor.col,
        }
    }

    /// The typist goes on once the input box holds what it typed.
    pub(super) fn tell_shown(&mut self) {
        let Some((text, shown)) = self.awaited_text.take().filter(|(_, shown)| !shown.is_closed()) else {
            return;
        };
        match drawn(self.core.spec().cli, &self.screen_text(), &text) {
            Drawn::NoBox | Drawn::NotYet => self.awaited_text = Some((text, shown)),
            // The typist may have stopped waiting just now.
            done => drop(shown.send(done)),
        }
    }

    /// Whether the program itself, and not something it runs, has its terminal.
    ///
    /// Its silence says nothing while it has not even read what was typed (it is still starting), nor while it
    /// computes: then it is looked at again, the first a bounded number of times, as no event tells that a
    /// program reads or rests.
    ///
    /// A shell that something else started (`su`, `nix-shell`) is not the session's own program; it is the one
    /// that had the terminal when the turn was typed, and it has read it.
    pub(super) fn foreground(&mut self) -> Option<Input> {
        let running = self.core.durable().running().map(|t| (t.id, t.delivering_at.unwrap_or(t.queued_at)));
        let is_new = running.is_some_and(|(_, at)| now_ms() < at + UNREAD_MS);
        let reader = self.foreground_group();
        let unread = self.master.as_ref().is_some_and(|m| super::tty::unread(m).is_ok_and(|n| n > 0));
        let starting = unread && is_new;
        if starting {
            // Whoever had the terminal while it was unread is the one to read it.
            self.typed_to = reader;
        }
        let leader =
            reader.filter(|g| Some(*g) == self.core.durable().pid || (reader == self.typed_to && !unread));
        let busy = leader.is_some_and(|leader| {
            procfs::stat(leader).is_ok_and(|found| found.busy) || (is_new && procfs::has_forked(leader))
        });
        if let Some((turn, _)) = running.filter(|_| starting || busy) {
            self.timers.arm(Due::Core(Timer::Quiet(turn)), LOOK_AGAIN_MS);
            return None;
        }
        // Looked at last: what it was busy with until just now may have the terminal by now.
        let own = leader.is_some() && self.foreground_group() == leader;
        Some(Input::Said { source: Source::Process, at: now_ms(), evidence: Evidence::Quiet { own } })
    }

    fn foreground_group(&self) -> Option<u32> {
        super::tty::foreground_group(self.master.as_ref()?)
    }

    /// The plain text of a turn's output, without the echoed line that asked for it.
    pub(super) fn capture(&self, turn: TurnId, from: u64) -> String {
        let upto = self.terminal.offset();
        let asked = self.core.durable().turn(turn).map(|t| t.request.clone()).unwrap_or_default();
        super::transcript::text_between(&self.log, from, upto, &asked)
    }

    fn output_ended(&self) -> bool {
        self.ended.is_some() && self.pumped.at_end() && self.terminal.offset() >= self.log.end()
    }

    /// The keeper says that the program has ended. Its last output is read first.
    pub(super) async fn program_ended(&mut self, exit: dsx_core::Exit) {
        self.ended = Some(exit);
        if self.output_ended() {
            self.exited().await;
        } else {
            self.timers.arm(Due::Drain, DRAIN_MS);
        }
    }
}
