//! People who look at the terminal and type into it.
//!
//! A viewer gets one repaint at a known offset and every byte after it. One that does not keep up loses the
//! bytes that wait for it and gets a fresh repaint when it is back; neither the program nor another viewer
//! ever waits for it. Of the viewers that are there, the one that came, or changed its size, last decides the
//! terminal's size; one that only looks never does.

use std::collections::HashMap;

use dsx_core::Input;
use dsx_protocol::{Attach, ErrorKind, Reply, Settled, WireError};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, warn};

use super::Command;
use super::task::Task;
use super::typist::Job;
use crate::screen::{ViewerFilter, clamp};
use crate::serve::ReplyTo;

/// Bytes that may wait for a viewer before it counts as lagging.
const BEHIND: usize = 2 * 1024 * 1024;
/// Places of its outbox that output leaves free, for answers and for the last screen.
const SPARE: usize = 128;
/// Bytes of output in one frame.
const PIECE: usize = 64 * 1024;

/// What a viewer waits for before it is shown anything more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Nothing,
    /// That the screen has the size that was asked for; then it is painted anew.
    Size,
    /// It has lost bytes: that it has read what waits for it; then it is painted anew.
    Room,
}

struct Viewer {
    to: ReplyTo,
    read_only: bool,
    waits: Waits,
    /// Columns and rows of its terminal, and how new they are among the viewers'; none where it does not know,
    /// or only looks.
    size: Option<(u64, u16, u16)>,
}

#[derive(Default)]
pub(super) struct Viewers {
    attached: HashMap<u64, Viewer>,
    /// Takes out what a viewer's terminal must not see; it has read the stream up to `shown`.
    filter: ViewerFilter,
    shown: u64,
    /// How often a size was said.
    sizes: u64,
}

impl Viewers {
    pub(super) fn count(&self) -> u32 {
        self.attached.len() as u32
    }

    fn ids(&self) -> Vec<u64> {
        self.attached.keys().copied().collect()
    }

    /// The size that decides.
    fn newest_size(&self) -> Option<(u16, u16)> {
        let newest = self.attached.values().filter_map(|v| v.size).max_by_key(|(age, ..)| *age);
        newest.map(|(_, cols, rows)| (cols, rows))
    }
}

impl Task {
    pub(super) async fn attach(&mut self, viewer: u64, attach: &Attach, to: ReplyTo) {
        if self.core.durable().exit.is_some() {
            let what = format!("session {} has ended", self.id);
            to.answer(Err(WireError::new(ErrorKind::Exited, what)
                .hint(format!("read what it left with 'dsx logs {}'", self.id))
                .session(&self.id)));
            return;
        }
        if self.viewers.attached.is_empty() {
            self.viewers.filter = self.terminal.viewer_filter();
            self.viewers.shown = self.terminal.offset();
        }
        let new = Viewer { to, read_only: attach.read_only, waits: Waits::Nothing, size: None };
        self.viewers.attached.insert(viewer, new);
        self.viewer_resized(viewer, attach.cols, attach.rows);
        self.input(Input::Viewers(self.viewers.count())).await;
        self.publish();
    }

    /// A viewer's terminal has this size now, or has lost its picture. It is painted anew either way, since
    /// terminals differ in what they make of the old picture in a new size.
    pub(super) fn viewer_resized(&mut self, viewer: u64, cols: u16, rows: u16) {
        let Some(seen) = self.viewers.attached.get_mut(&viewer) else { return };
        // 0 is a terminal that does not know its size.
        if !seen.read_only && cols > 0 && rows > 0 {
            self.viewers.sizes += 1;
            seen.size = Some((self.viewers.sizes, cols, rows));
        }
        let changes = seen.size.is_some() && self.follow_size();
        match self.viewers.attached.get_mut(&viewer) {
            Some(seen) if seen.waits != Waits::Room && changes => seen.waits = Waits::Size,
            Some(seen) if seen.waits != Waits::Room => self.repaint(viewer),
            _ => {}
        }
    }

    pub(super) async fn viewer_left(&mut self, viewer: u64) {
        self.viewers.attached.remove(&viewer);
        self.follow_size();
        self.input(Input::Viewers(self.viewers.count())).await;
        self.publish();
    }

    pub(super) fn viewer_has_room(&mut self, viewer: u64) {
        if let Some(seen) = self.viewers.attached.get_mut(&viewer) {
            seen.waits = Waits::Nothing;
            self.repaint(viewer);
        }
    }

    pub(super) fn viewer_typed(&mut self, viewer: u64, bytes: Vec<u8>, room: OwnedSemaphorePermit) {
        let may = self.viewers.attached.get(&viewer).is_some_and(|v| !v.read_only);
        // There is a place for all that has room, unless the program has just ended.
        if may && !self.type_job(Job::Keys { bytes, room: Some(room) }) {
            debug!(session = %self.id, "keys were dropped: the program has ended");
        }
    }

    /// Every viewer gets what was folded since the last time.
    pub(super) fn show_viewers(&mut self) {
        let upto = self.terminal.offset();
        if self.viewers.attached.is_empty() {
            return;
        }
        let mut shown = Vec::new();
        while self.viewers.shown < upto {
            let mut bytes = Vec::new();
            let wanted = PIECE.min(usize::try_from(upto - self.viewers.shown).unwrap_or(PIECE));
            match self.log.read(self.viewers.shown, wanted, &mut bytes) {
                Ok(1..) => self.viewers.shown += bytes.len() as u64,
                // Dropped before it was shown: a repaint shows what came of it.
                Ok(0) | Err(_) => return self.repaint_all(),
            }
            self.viewers.filter.feed(&bytes, &mut shown);
        }
        for viewer in self.viewers.ids() {
            self.show(viewer, &shown);
        }
    }

    fn show(&mut self, viewer: u64, bytes: &[u8]) {
        let Some(seen) = self.viewers.attached.get_mut(&viewer) else { return };
        if seen.waits != Waits::Nothing {
            return;
        }
        let fits = seen.to.waiting() <= BEHIND && seen.to.room() > SPARE;
        if !(fits && bytes.chunks(PIECE).all(|piece| seen.to.output(piece))) {
            seen.waits = Waits::Room;
            self.await_room(viewer);
        }
    }

    /// A lagging viewer is told of again when it has read what waits for it.
    fn await_room(&self, viewer: u64) {
        let Some(seen) = self.viewers.attached.get(&viewer) else { return };
        let (to, itself) = (seen.to.clone(), self.itself.clone());
        tokio::spawn(async move {
            if let (true, Some(mailbox)) = (to.drained().await, itself.upgrade()) {
                // The session has ended meanwhile: there is nothing to repaint.
                let _ = mailbox.send(Command::Room(viewer)).await;
            }
        });
    }

    /// The whole screen as it is now, in the place of all that was missed.
    fn repaint(&mut self, viewer: u64) {
        self.show(viewer, &self.terminal.repaint());
    }

    fn repaint_all(&mut self) {
        self.viewers.shown = self.terminal.offset();
        self.viewers.filter = self.terminal.viewer_filter();
        for viewer in self.viewers.attached.values_mut().filter(|v| v.waits == Waits::Size) {
            viewer.waits = Waits::Nothing;
        }
        for viewer in self.viewers.ids() {
            self.repaint(viewer);
        }
    }

    /// The screen was folded: did its size change, from `before`, or become what somebody waits for?
    pub(super) fn show_new_size(&mut self, before: (u16, u16)) {
        let size = self.terminal.size();
        let awaited = || self.viewers.attached.values().any(|v| v.waits == Waits::Size);
        if size != before || (awaited() && size == self.log.size_at(self.log.end())) {
            self.repaint_all();
        }
    }

    /// Gives the terminal the size that decides now. True where the screen does not have it yet: it gets it
    /// when it is folded up to here, and [`Task::show_new_size`] follows.
    fn follow_size(&mut self) -> bool {
        let Some((cols, rows)) = self.viewers.newest_size() else { return false };
        let Some(master) = self.master.as_ref() else { return false };
        let (rows, cols) = clamp(rows, cols);
        if self.log.size_at(self.log.end()) != (rows, cols) {
            // Noted first: what the program draws because of it comes after.
            self.log.note_resize(self.log.end(), rows, cols);
            let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
            if let Err(error) = tcsetwinsize(master, size) {
                warn!(session = %self.id, %error, "the terminal could not be resized");
            }
            self.output.notify_one();
        }
        self.terminal.size() != (rows, cols)
    }

    /// The session has ended: each viewer is shown its last screen and told how.
    pub(super) fn leave_viewers(&mut self) {
        let exit_code = self.core.durable().exit.and_then(dsx_core::Exit::status);
        let last = self.terminal.repaint();
        for (_, viewer) in self.viewers.attached.drain() {
            if viewer.waits != Waits::Nothing {
                // The outbox has places to spare: nobody fills more than a part of it with output.
                let _ = last.chunks(PIECE).all(|piece| viewer.to.output(piece));
            }
            viewer.to.answer(Ok(Reply::Settled(Settled {
                session: self.id.clone(),
                outcome: "exited".to_owned(),
                exit_code,
                ..Settled::default()
            })));
        }
        self.publish();
    }
}
