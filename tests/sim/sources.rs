//! What the agent's sources have written, and how much of it the supervisor has read.
//!
//! Each keeps its own order and has its own delay. A hook's report lies in the spool until it is
//! acknowledged, so it may be said again after a crash; the log is scanned again for status records; the
//! session file has only its newest state; the transcript may be read again from anywhere.

use dsx_core::{Evidence, Source};

use crate::plan::Pace;
use crate::world::{Ev, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Src {
    Hook,
    Osc,
    File,
    Transcript,
    Mark,
}

pub const ALL: [Src; 5] = [Src::Hook, Src::Osc, Src::File, Src::Transcript, Src::Mark];

impl Src {
    pub fn source(self) -> Source {
        match self {
            Self::Hook => Source::Hook,
            Self::Osc => Source::Osc7501,
            Self::File => Source::SessionFile,
            Self::Transcript => Source::Transcript,
            Self::Mark => Source::Osc133,
        }
    }
}

/// How long a hook's process waits for a supervisor before it leaves its report in the spool.
const HOOK_MS: u64 = 1_900;

#[derive(Debug, Clone)]
pub struct Entry {
    /// When it can be read.
    pub written: u64,
    /// The time it bears.
    pub at: u64,
    pub evidence: Evidence,
}

#[derive(Debug, Default)]
pub struct Channel {
    pub entries: Vec<Entry>,
    /// The next one to be said.
    pub next: usize,
    /// All before it are never said again.
    pub acked: usize,
    due: u64,
}

impl World {
    /// A source writes something down; when it will be read, where all goes well.
    pub fn say(&mut self, src: Src, evidence: Evidence) -> u64 {
        self.say_of(src, self.now, evidence)
    }

    /// The same of something that happened before.
    pub fn say_of(&mut self, src: Src, at: u64, mut evidence: Evidence) -> u64 {
        if !self.plan.has(src) {
            return self.now;
        }
        if let Evidence::Submitted { prompt, .. }
        | Evidence::Stopped { prompt, .. }
        | Evidence::Failed { prompt, .. } = &mut evidence
            && !self.plan.ids
        {
            *prompt = None;
        }
        let (lateness, delay) = (self.lateness(src), self.delay());
        let now = self.now;
        let channel = &mut self.channels[src as usize];
        let written = channel.entries.last().map_or(0, |e| e.written).max(now + lateness);
        // A hook's process waits for the supervisor, a bounded time.
        let longest = if src == Src::Hook { HOOK_MS } else { u64::MAX };
        channel.due = channel.due.max(written + delay.min(longest));
        let (due, index) = (channel.due, channel.entries.len());
        channel.entries.push(Entry { written, at, evidence });
        self.plan_at(due, Ev::Deliver(src, index));
        due
    }

    /// How much later than it happened a source writes it down.
    fn lateness(&mut self, src: Src) -> u64 {
        match src {
            Src::Hook => self.rng.range(0, 10),
            Src::Osc | Src::Mark => self.rng.range(0, 40),
            Src::File => self.rng.range(0, 60),
            Src::Transcript => self.rng.range(0, 450),
        }
    }

    /// How much later than that it is read.
    fn delay(&mut self) -> u64 {
        let most = match (self.plan.pace, self.rng.below(20)) {
            (Pace::Prompt, _) => 5,
            (Pace::Mixed, 0..=16) => 20,
            (Pace::Mixed, _) => 600,
            (Pace::Slow, 0..=9) => 100,
            (Pace::Slow, 10..=18) => 1_000,
            (Pace::Slow, _) => 1_500,
        };
        self.rng.range(0, most)
    }

    /// What can be read back after a crash, in each source's own order.
    pub fn read_back(&mut self) -> Vec<(Src, usize)> {
        let mut streams: Vec<(Src, std::ops::Range<usize>)> = Vec::new();
        for src in ALL {
            let extra = self.rng.below(4) as usize;
            let whole = self.rng.chance(700);
            let now = self.now;
            let channel = &mut self.channels[src as usize];
            let written = channel.entries.partition_point(|e| e.written <= now);
            let from = match src {
                Src::Hook | Src::Osc | Src::Mark => channel.acked,
                Src::File => written.saturating_sub(1),
                // Its end, from the beginning of some message on.
                Src::Transcript if whole => 0,
                Src::Transcript => channel.entries[..channel.acked.saturating_sub(extra)]
                    .iter()
                    .rposition(|e| matches!(e.evidence, Evidence::Submitted { .. }))
                    .unwrap_or(0),
            };
            streams.push((src, from.min(written)..written));
            channel.next = written.max(channel.acked);
        }
        let mut said = Vec::new();
        loop {
            streams.retain(|(_, entries)| !entries.is_empty());
            if streams.is_empty() {
                return said;
            }
            let at = self.rng.index(streams.len());
            let (src, entries) = &mut streams[at];
            said.extend(entries.next().map(|index| (*src, index)));
        }
    }
}
