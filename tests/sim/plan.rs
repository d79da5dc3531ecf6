//! What kind of world a seed makes: which agent, which of its sources speak, how slow they are.

use dsx_core::{Cli, Mode};

use crate::rng::Rng;
use crate::sources::Src;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Prompt,
    Mixed,
    Slow,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub cli: Cli,
    pub mode: Mode,
    pub hooks: bool,
    pub osc: bool,
    pub file: bool,
    pub transcript: bool,
    pub osc133: bool,
    /// The agent has ids of its own for what it does, and its hooks name them.
    pub ids: bool,
    pub pace: Pace,
    pub actions: u64,
    /// Milliseconds between two actions, on average.
    pub gap: u64,
    /// Crashes in a thousand steps.
    pub crash: u64,
    /// How many of a thousand messages the agent does not take.
    pub ignore: u64,
    pub ask: u64,
    pub fail: u64,
    pub background: u64,
    pub commands: u64,
    /// How many of a thousand things that people type stay unsent.
    pub drafts: u64,
    /// Somebody answers questions and dialogs.
    pub attended: bool,
    /// The session file stays `busy` while sub-agents run.
    pub file_follows: bool,
    /// A hook of the user's sends the agent on after it stopped, so many times in a thousand.
    pub sent_on: u64,
    /// How many of a thousand messages are to join the running turn, and how many to stop it.
    pub steers: u64,
    pub stops: u64,
    /// How many of a thousand steps take in what waits behind the work.
    pub absorbs: u64,
    /// The agent's hook tells of a message when it is put behind work (2.1.328), not when it is taken from
    /// there (2.1.197).
    pub enqueue_hook: bool,
}

impl Plan {
    pub fn draw(rng: &mut Rng) -> Self {
        let cli = match rng.below(10) {
            0..=5 => Cli::Claude,
            6..=7 => Cli::Demo,
            _ => Cli::Command,
        };
        let claude = cli == Cli::Claude;
        let hooks = claude && rng.chance(950);
        let quiet = rng.chance(300);
        // Of its own, so that worlds without these stay what they were.
        let mut other = Rng::new(rng.clone().next() ^ 0x0073_7465_6572);
        let rarely = |rng: &mut Rng, most: u64| if quiet { 0 } else { rng.below(most) };
        Self {
            cli,
            mode: if rng.chance(500) { Mode::Native } else { Mode::Ask },
            hooks,
            osc: match cli {
                Cli::Claude => rng.chance(800),
                Cli::Demo => true,
                Cli::Command => rng.chance(200),
            },
            file: claude && rng.chance(850),
            transcript: cli == Cli::Demo || (claude && (!hooks || rng.chance(900))),
            osc133: cli == Cli::Command && rng.chance(400),
            ids: rng.chance(950),
            pace: match rng.below(4) {
                0 => Pace::Prompt,
                1 | 2 => Pace::Mixed,
                _ => Pace::Slow,
            },
            actions: rng.range(4, 30),
            gap: rng.pick(&[20, 200, 1_000, 5_000]).unwrap_or(200),
            crash: rng.pick(&[0, 0, 5, 20, 60]).unwrap_or(0),
            ignore: rarely(rng, 120),
            ask: rarely(rng, 400),
            fail: rarely(rng, 200),
            background: rarely(rng, 300),
            commands: rarely(rng, 120),
            drafts: rarely(rng, 300),
            attended: rng.chance(900),
            file_follows: rng.chance(300),
            sent_on: rarely(rng, 100),
            steers: other.pick(&[0, 0, 200, 500]).unwrap_or(0),
            stops: other.pick(&[0, 0, 150]).unwrap_or(0),
            absorbs: other.pick(&[0, 300, 800]).unwrap_or(0),
            enqueue_hook: other.chance(600),
        }
        .sound()
    }

    /// An agent that no source speaks of cannot be driven: one that rests must be able to say so.
    fn sound(mut self) -> Self {
        if self.cli == Cli::Claude && (!self.osc || self.background > 0) {
            self.file = true;
        }
        // Nothing else tells what becomes of a message that is typed while the agent works.
        if self.cli == Cli::Claude && !self.transcript {
            self.steers = 0;
        }
        self
    }

    pub fn has(&self, src: Src) -> bool {
        match src {
            Src::Hook => self.hooks,
            Src::Osc => self.osc,
            Src::File => self.file,
            Src::Transcript => self.transcript,
            Src::Mark => self.osc133,
        }
    }
}
