//! Plays a recording to the core: through the product's own readers, by a clock of its own. Timers, looks at the
//! screen and the typing of messages are what the supervisor makes of them.

use std::collections::{HashMap, VecDeque};

use dsx_core::adapter::{TranscriptReader, read_hook, read_osc7501, read_session_file};
use dsx_core::{
    Cli, Effect, Evidence, Input, Now, Origin, RequestId, SendRequest, Session, Source, Timer, Turn,
    TurnState,
};
use dsx_protocol::TurnId;

use super::record::spec;
use super::{Ended, Event, Recording, Screen, What};

/// How long the core is watched after the last event: past every wait of its own but the one for a lost turn.
const AFTER_MS: u64 = 8_000;

/// What the core said while a recording was played to it.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// From when on the status was so. It changes with what the core takes in and with nothing else.
    pub statuses: Vec<(u64, String)>,
    /// How the turns that were sent ended; those that did not are `running`.
    pub outcomes: Vec<Ended>,
    /// Turns that the agent began by itself and that have not ended.
    pub left: usize,
    /// When it was over.
    pub end: u64,
    /// Requests that failed, and what the agent did that the core had not asked for yet.
    pub troubles: Vec<String>,
}

impl Played {
    /// The status at a time.
    #[must_use]
    pub fn status_at(&self, at: u64) -> &str {
        let after = self.statuses.partition_point(|(from, _)| *from <= at);
        after.checked_sub(1).map_or("starting", |n| self.statuses[n].1.as_str())
    }
}

/// A look at the screen that waits for quiet.
#[derive(Clone, Copy, Debug)]
struct Look {
    quiet: u64,
    due: Option<u64>,
}

struct Replay {
    session: Session,
    now: u64,
    timers: HashMap<Timer, u64>,
    look: Option<Look>,
    screen: Screen,
    typing: Option<TurnId>,
    requests: u64,
    reader: TranscriptReader,
    played: Played,
}

/// Plays the whole of it.
#[must_use]
pub fn play(recording: &Recording) -> Played {
    let (_, version, asks) = recording.head();
    let mut replay = Replay {
        session: Session::create(spec(asks, version, "/truth-top"), &mut Vec::new()),
        now: 0,
        timers: HashMap::new(),
        look: None,
        screen: Screen::default(),
        typing: None,
        requests: 0,
        reader: TranscriptReader::new(Cli::Claude),
        played: Played::default(),
    };
    for event in &recording.events {
        replay.until(event.at);
        replay.event(event);
    }
    let end = replay.now + AFTER_MS;
    replay.until(end);
    replay.finish(end)
}

fn ended(turn: &Turn) -> Ended {
    let outcome = match turn.state {
        TurnState::Over(outcome) => outcome.name().to_owned(),
        _ => "running".to_owned(),
    };
    let answer = turn.text.clone().filter(|_| outcome == "ended");
    Ended { outcome, answer }
}

impl Replay {
    fn finish(mut self, end: u64) -> Played {
        let turns = &self.session.durable().turns;
        self.played.outcomes = turns.iter().filter(|t| t.origin == Origin::Send).map(ended).collect();
        self.played.left = turns.iter().filter(|t| t.origin != Origin::Send && !t.is_over()).count();
        self.played.end = end;
        self.played
    }

    /// Lets time pass, and what was to happen by itself happen.
    fn until(&mut self, at: u64) {
        loop {
            let timer = self.timers.iter().min_by_key(|(timer, due)| (**due, format!("{timer:?}")));
            let timer = timer.map(|(timer, due)| (*timer, *due)).filter(|(_, due)| *due <= at);
            let look = self.look.and_then(|look| look.due).filter(|due| *due <= at);
            match (timer, look) {
                (Some((timer, due)), look) if look.is_none_or(|look| due <= look) => {
                    self.timers.remove(&timer);
                    self.now = due;
                    self.input(Input::Fired(timer));
                }
                (_, Some(due)) => {
                    self.look = None;
                    self.now = due;
                    self.input(Input::Looked(self.screen.text()));
                }
                _ => break,
            }
        }
        self.now = self.now.max(at);
    }

    fn event(&mut self, event: &Event) {
        let at = event.at;
        match &event.what {
            What::Recording { .. } | What::Truth { .. } | What::Outcomes(_) => {}
            What::Started(pid) => self.input(Input::Started { pid: *pid, start_time: 1 }),
            What::Output => self.output(),
            What::Screen(screen) => self.screen = screen.clone(),
            What::Osc(record) => {
                if let Some(evidence) = read_osc7501(record.as_bytes()) {
                    self.input(Input::Said { source: Source::Osc7501, at, evidence });
                }
            }
            What::Hook { made, key, holds, payload } => {
                self.hook(*made, key, payload.to_string().as_bytes());
                if *holds {
                    let request = self.request();
                    self.input(Input::Hold { request, key: key.clone() });
                }
            }
            What::File(said) => {
                if let Some((at, evidence)) = read_session_file(Cli::Claude, &said.to_string()) {
                    self.input(Input::Said { source: Source::SessionFile, at, evidence });
                }
            }
            What::Line(line) => {
                for (told, evidence) in self.reader.line(&line.to_string()) {
                    let at = told.unwrap_or(at);
                    self.input(Input::Said { source: Source::Transcript, at, evidence });
                }
            }
            What::Send(text) => {
                let send = SendRequest { text: text.clone(), ..SendRequest::default() };
                let request = self.request();
                self.input(Input::Send { request, send });
            }
            What::Submit => match self.typing.take() {
                Some(turn) => {
                    self.input(Input::Submitting { turn });
                    self.input(Input::Typed { turn });
                }
                None => self.played.troubles.push(format!("at {at}: dsx had nothing to type yet")),
            },
            What::Interrupt => {
                let request = self.request();
                self.input(Input::Interrupt { request });
            }
            What::Keys => self.input(Input::Keys),
            What::Respond(respond) => {
                let (request, respond) = (self.request(), respond.clone());
                self.input(Input::Respond { request, by: "user".to_owned(), respond });
            }
        }
    }

    fn hook(&mut self, at: u64, key: &str, payload: &[u8]) {
        for mut evidence in read_hook(Cli::Claude, payload) {
            if let Evidence::Blocked(asked) = &mut evidence {
                asked.key = Some(key.to_owned());
            }
            self.input(Input::Said { source: Source::Hook, at, evidence });
        }
    }

    /// The quiet that a look waits for begins anew.
    fn output(&mut self) {
        if let Some(look) = &mut self.look {
            look.due = Some(self.now + look.quiet);
        }
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            let now = Now { ms: self.now, output: 0, bracketed: true };
            self.session.handle(now, input, &mut effects);
            for effect in effects {
                self.perform(effect);
            }
        }
        let status = self.session.status().status;
        if self.played.statuses.last().is_none_or(|(_, last)| *last != status) {
            self.played.statuses.push((self.now, status));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Type { turn, .. } => self.typing = Some(turn),
            Effect::Look { quiet_ms, fresh } => {
                let due = (!fresh).then_some(self.now + quiet_ms);
                self.look = Some(Look { quiet: quiet_ms, due });
            }
            // A timer that runs is not set back by the same decision made again.
            Effect::Arm { timer: timer @ Timer::Settle(_), after_ms } => {
                self.timers.entry(timer).or_insert(self.now + after_ms);
            }
            Effect::Arm { timer, after_ms } => {
                self.timers.insert(timer, self.now + after_ms);
            }
            Effect::Disarm(timer) => {
                self.timers.remove(&timer);
            }
            Effect::Sent { result: Err(error), .. }
            | Effect::Done { result: Err(error), .. }
            | Effect::Responded { result: Err(error), .. } => {
                self.played.troubles.push(format!("at {}: {}", self.now, error.message));
            }
            _ => {}
        }
    }
}
