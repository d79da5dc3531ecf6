//! People who look at the terminal and type into it.
//!
//! A viewer gets one repaint at a known offset and every byte after it. One that does not keep up loses the
//! bytes that wait for it and gets a fresh repaint when it is back; neither the program nor another viewer
//! ever waits for it. The viewer that came, or changed its size, last decides the terminal's size; one that
//! only looks never does.

use std::collections::HashMap;

use dsx_protocol::{Attach, ErrorKind, Reply, Settled, WireError};
use rustix::termios::{Winsize, tcsetwinsize};
use tracing::warn;

use super::Command;
use super::task::Task;
use super::typist::Job;
use crate::screen::ViewerFilter;
use crate::serve::ReplyTo;

/// Frames that may wait for a viewer before it counts as lagging.
const BEHIND: usize = 32;
/// Bytes of output in one frame.
const PIECE: usize = 64 * 1024;

struct Viewer {
    to: ReplyTo,
    read_only: bool,
    /// It has lost bytes and waits for a repaint.
    lagging: bool,
}

#[derive(Default)]
pub(super) struct Viewers {
    attached: HashMap<u64, Viewer>,
    /// Takes out what a viewer's terminal must not see; it has read the stream up to `shown`.
    filter: ViewerFilter,
    shown: u64,
}

impl Viewers {
    pub(super) fn count(&self) -> u32 {
        self.attached.len() as u32
    }
}

impl Task {
    pub(super) fn attach(&mut self, viewer: u64, attach: &Attach, to: ReplyTo) {
        if self.core.durable().exit.is_some() {
            let what = format!("session {} has ended", self.id);
            to.answer(Err(WireError::new(ErrorKind::Exited, what)
                .hint(format!("read what it left with 'dsx logs {}'", self.id))
                .session(&self.id)));
            return;
        }
        if self.viewers.attached.is_empty() {
            self.viewers.filter = ViewerFilter::after(&self.terminal.checkpoint());
            self.viewers.shown = self.terminal.offset();
        }
        let new = Viewer { to, read_only: attach.read_only, lagging: false };
        self.viewers.attached.insert(viewer, new);
        if !attach.read_only {
            self.resize(attach.cols, attach.rows);
        }
        self.repaint(viewer);
        self.publish();
    }

    pub(super) fn viewer_resized(&mut self, viewer: u64, cols: u16, rows: u16) {
        if self.viewers.attached.get(&viewer).is_some_and(|v| !v.read_only) {
            self.resize(cols, rows);
        }
    }

    pub(super) fn viewer_left(&mut self, viewer: u64) {
        self.viewers.attached.remove(&viewer);
        self.publish();
    }

    pub(super) fn viewer_typed(&mut self, viewer: u64, bytes: Vec<u8>) {
        let may = self.viewers.attached.get(&viewer).is_some_and(|v| !v.read_only);
        if may && !self.type_job(Job::Keys(bytes)) {
            warn!(session = %self.id, "keys were dropped: the program does not read");
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
        let ids: Vec<u64> = self.viewers.attached.keys().copied().collect();
        for viewer in ids {
            self.show(viewer, &shown);
        }
    }

    fn show(&mut self, viewer: u64, bytes: &[u8]) {
        let Some(seen) = self.viewers.attached.get_mut(&viewer) else { return };
        if seen.lagging {
            return;
        }
        let fits = seen.to.waiting() <= BEHIND;
        if !(fits && bytes.chunks(PIECE).all(|piece| seen.to.output(piece))) {
            seen.lagging = true;
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
    pub(super) fn repaint(&mut self, viewer: u64) {
        let painted = self.terminal.repaint();
        if let Some(seen) = self.viewers.attached.get_mut(&viewer) {
            seen.lagging = false;
        }
        self.show(viewer, &painted);
    }

    fn repaint_all(&mut self) {
        self.viewers.shown = self.terminal.offset();
        self.viewers.filter = ViewerFilter::after(&self.terminal.checkpoint());
        let ids: Vec<u64> = self.viewers.attached.keys().copied().collect();
        for viewer in ids {
            self.repaint(viewer);
        }
    }

    fn resize(&mut self, cols: u16, rows: u16) {
        let (cols, rows) = (cols.max(2), rows.max(2));
        let Some(master) = self.master.as_ref().filter(|_| self.terminal.size() != (rows, cols)) else {
            return;
        };
        // Noted first: what the program draws because of it comes after.
        self.log.note_resize(self.log.end(), rows, cols);
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        if let Err(error) = tcsetwinsize(master, size) {
            warn!(session = %self.id, %error, "the terminal could not be resized");
        }
        self.output.notify_one();
    }

    /// The session has ended: each viewer is told how.
    pub(super) fn leave_viewers(&mut self) {
        let exit_code = self.core.durable().exit.and_then(dsx_core::Exit::status);
        for (_, viewer) in self.viewers.attached.drain() {
            viewer.to.answer(Ok(Reply::Settled(Settled {
                session: self.id.clone(),
                outcome: "exited".to_owned(),
                exit_code,
                ..Settled::default()
            })));
        }
    }
}
