//! The one writer of a PTY. Everything that is typed goes through it, one thing after another: while a
//! message is typed, people's keys wait. Only the terminal's own answers to queries may come in between,
//! between two writes and never inside one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dsx_core::adapter::{Drawn, Script, Step};
use dsx_protocol::TurnId;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

use crate::log::{Cursor, Phase};

/// Things that may wait to be typed.
pub(super) const JOBS: usize = 256;
/// Query answers that may wait.
const ANSWERS: usize = 256;
/// How long a program may read nothing before a write is given up.
const STUCK: Duration = Duration::from_secs(30);

/// Something to be typed.
#[derive(Debug)]
pub(super) enum Job {
    Turn {
        turn: TurnId,
        script: Script,
    },
    Press(Script),
    /// People's keys. `room` is given back once they are typed, which is what slows down who typed them.
    Keys {
        bytes: Vec<u8>,
        room: Option<OwnedSemaphorePermit>,
    },
}

/// What the writer tells the session's task.
#[derive(Debug)]
pub(super) enum Typed {
    /// Tell when the input box holds this text, and whether it holds anything else.
    Await {
        text: String,
        shown: oneshot::Sender<Drawn>,
    },
    /// Told before the submitting write, so that no answer to it can be read before it is known.
    Submitting {
        turn: TurnId,
        /// The process group that had the terminal then. Looked at by the writer itself: a moment after the
        /// write it may be that of what the message started.
        foreground: Option<u32>,
    },
    Done {
        turn: TurnId,
    },
    /// Not submitted: the input box holds something else as well, or does not show what it has to.
    Mixed {
        turn: TurnId,
    },
    Failed {
        turn: TurnId,
        submitted: bool,
        error: String,
    },
}

/// The queue in front of the writer.
#[derive(Debug)]
pub(super) struct Typist {
    jobs: mpsc::Sender<Job>,
    answers: mpsc::Sender<Vec<u8>>,
}

impl Typist {
    /// `output` changes with every byte the program prints.
    pub(super) fn start(
        master: OwnedFd,
        cursor: Cursor,
        output: watch::Receiver<u64>,
    ) -> io::Result<(Self, mpsc::Receiver<Typed>)> {
        let (jobs, job_queue) = mpsc::channel(JOBS);
        let (answers, answer_queue) = mpsc::channel(ANSWERS);
        let (told, typed) = mpsc::channel(JOBS);
        let master = super::tty::register(master)?;
        let writer = Writer { master, stuck: false, cursor, output, answers: answer_queue, told };
        tokio::spawn(writer.run(job_queue));
        Ok((Self { jobs, answers }, typed))
    }

    /// False when the queue is full or the writer has ended.
    pub(super) fn put(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    pub(super) fn answer(&self, bytes: Vec<u8>) -> bool {
        self.answers.try_send(bytes).is_ok()
    }
}

/// Why a script was not carried out to its end.
enum Unsubmitted {
    Mixed,
    Io(io::Error),
}

impl From<io::Error> for Unsubmitted {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The name of a turn's delivery in the cursor.
pub(super) fn delivery_id(turn: TurnId) -> [u8; 16] {
    u128::from(turn.0).to_le_bytes()
}

struct Writer {
    master: AsyncFd<OwnedFd>,
    /// The program left the last keys unread for too long.
    stuck: bool,
    cursor: Cursor,
    output: watch::Receiver<u64>,
    answers: mpsc::Receiver<Vec<u8>>,
    told: mpsc::Sender<Typed>,
}

impl Writer {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.answers.recv() => {
                    // A program that does not read its answers misses nothing else.
                    let _ = self.write(&answer).await;
                }
                job = jobs.recv() => match job {
                    None => return,
                    Some(Job::Turn { turn, script }) => {
                        let typed = self.turn(turn, &script).await;
                        if self.told.send(typed).await.is_err() {
                            return;
                        }
                    }
                    Some(Job::Press(script)) => {
                        let _ = self.script(&script, None).await;
                    }
                    Some(Job::Keys { bytes, room }) => {
                        self.keys(&bytes).await;
                        drop(room);
                    }
                },
            }
        }
    }

    async fn turn(&mut self, turn: TurnId, script: &Script) -> Typed {
        self.cursor.begin(delivery_id(turn));
        match self.script(script, Some(turn)).await {
            Ok(()) => Typed::Done { turn },
            Err(Unsubmitted::Mixed) => Typed::Mixed { turn },
            Err(Unsubmitted::Io(error)) => {
                let submitted = self.cursor.delivery().is_some_and(|d| d.phase > Phase::Typing);
                Typed::Failed { turn, submitted, error: error.to_string() }
            }
        }
    }

    async fn script(&mut self, script: &Script, turn: Option<TurnId>) -> Result<(), Unsubmitted> {
        for step in &script.steps {
            match step {
                Step::Write(bytes) => self.write(bytes).await?,
                Step::Pause(ms) => sleep(Duration::from_millis(*ms)).await,
                Step::Quiet { ms, max_ms } => self.quiet(*ms, *max_ms).await,
                Step::Shown { text, max_ms, must } => match self.shown(text, *max_ms).await {
                    Drawn::Mixed => return Err(Unsubmitted::Mixed),
                    Drawn::NoBox | Drawn::NotYet if *must => return Err(Unsubmitted::Mixed),
                    Drawn::NoBox | Drawn::NotYet | Drawn::Exactly => {}
                },
                Step::Submit(bytes) => {
                    if let Some(turn) = turn {
                        self.cursor.submitting();
                        let foreground = super::tty::foreground_group(&self.master);
                        // The task has ended: there is nobody to be told.
                        let _ = self.told.send(Typed::Submitting { turn, foreground }).await;
                    }
                    self.write(bytes).await?;
                    if turn.is_some() {
                        self.cursor.submitted();
                    }
                }
            }
            while let Ok(answer) = self.answers.try_recv() {
                self.write(&answer).await?;
            }
        }
        Ok(())
    }

    async fn quiet(&mut self, ms: u64, max_ms: u64) {
        let latest = Instant::now() + Duration::from_millis(max_ms);
        self.output.mark_unchanged();
        loop {
            tokio::select! {
                () = sleep(Duration::from_millis(ms)) => return,
                () = sleep_until(latest) => return,
                changed = self.output.changed() => if changed.is_err() { return },
            }
        }
    }

    /// What the input box shows of the message, at the latest after `max_ms`. What is not seen by then is
    /// submitted all the same, and its confirmation shows what arrived.
    async fn shown(&self, text: &str, max_ms: u64) -> Drawn {
        let (shown, seen) = oneshot::channel();
        if self.told.send(Typed::Await { text: text.to_owned(), shown }).await.is_err() {
            return Drawn::NotYet;
        }
        match timeout(Duration::from_millis(max_ms), seen).await {
            Ok(Ok(drawn)) => drawn,
            _ => Drawn::NotYet,
        }
    }

    /// A program that has let keys wait in vain gets the next ones only if it takes them at once: what was
    /// typed meanwhile must not hold up everything else, 30 s a piece.
    async fn keys(&mut self, bytes: &[u8]) {
        let patience = if self.stuck { Duration::ZERO } else { STUCK };
        self.stuck = self.write_within(bytes, patience).await.is_err();
        if self.stuck {
            warn!(bytes = bytes.len(), "keys were dropped: the program does not read");
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.write_within(bytes, STUCK).await
    }

    /// `patience` is for the first byte; a program that reads at all has the usual time for each more.
    async fn write_within(&self, mut bytes: &[u8], mut patience: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = timeout(patience, self.write_some(bytes)).await.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "the program has read nothing for 30 s")
            })??;
            bytes = bytes.get(written..).unwrap_or_default();
            patience = STUCK;
        }
        Ok(())
    }

    async fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.writable().await?;
            let attempt = ready.try_io(|fd| nix::unistd::write(fd, bytes).map_err(io::Error::from));
            match attempt {
                Ok(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }
}
