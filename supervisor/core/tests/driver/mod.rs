//! One session, driven by hand: inputs in, effects and facts looked at.

#![allow(dead_code)] // each test file uses its own part

use dsx_core::{
    Asked, Cli, Durable, Effect, Evidence, Fact, Input, Mode, Now, Origin, Outcome, Recovery, RequestId,
    Rest, ScreenText, SendRequest, Session, Source, Spec, Turn, TurnState,
};
use dsx_protocol::{SendReceipt, TurnId, WireError};

pub struct Driver {
    pub session: Session,
    pub now: u64,
    /// What is durable, in order.
    pub facts: Vec<(u64, Fact)>,
    /// The effects of the last input.
    pub out: Vec<Effect>,
}

pub fn spec(cli: Cli) -> Spec {
    Spec {
        id: "fizz-top".into(),
        cli,
        command: Vec::new(),
        path: "/p".into(),
        mode: Mode::Ask,
        model: None,
        description: None,
        group: None,
        created_at: 1,
        creator: "user".into(),
        depth: 0,
        conversation: None,
        agent_version: None,
        agent_home: None,
        key: None,
        dir: "/d".into(),

        terms: dsx_core::Terms::default(),
    }
}

pub fn stopped(text: &str, prompt: &str, agents: u32, shells: u32) -> Evidence {
    Evidence::Stopped { text: Some(text.into()), prompt: Some(prompt.into()), agents, shells }
}

pub fn taken(text: &str, prompt: &str) -> Evidence {
    Evidence::Submitted { text: text.into(), prompt: Some(prompt.into()), origin_agent: false }
}

pub fn reports(text: &str, prompt: &str) -> Evidence {
    Evidence::Submitted { text: text.into(), prompt: Some(prompt.into()), origin_agent: true }
}

pub fn asks() -> Evidence {
    Evidence::Blocked(Asked { kind: "permission".into(), text: "allow?".into(), ..Asked::default() })
}

pub fn idle() -> Evidence {
    Evidence::Rest(Rest::Idle)
}

pub fn done() -> Evidence {
    Evidence::Rest(Rest::Done)
}

impl Driver {
    /// Started, and nothing more.
    pub fn starting(cli: Cli) -> Self {
        let mut out = Vec::new();
        let session = Session::create(spec(cli), &mut out);
        let mut driver = Self { session, now: 10, facts: Vec::new(), out: Vec::new() };
        driver.keep(&out);
        driver.feed(Input::Started { pid: 7, start_time: 7 });
        driver
    }

    /// Started, and at rest by the status record and, for Claude, the session file.
    pub fn ready(cli: Cli) -> Self {
        let mut driver = Self::starting(cli);
        if cli != Cli::Command {
            driver.said(Source::Osc7501, idle());
        }
        if cli == Cli::Claude {
            driver.said(Source::SessionFile, idle());
        }
        driver
    }

    fn keep(&mut self, out: &[Effect]) {
        for effect in out {
            if let Effect::Persist(fact) = effect {
                self.facts.push((self.now, fact.clone()));
            }
        }
    }

    pub fn feed(&mut self, input: Input) -> &mut Self {
        self.now += 10;
        self.out.clear();
        let now = Now { ms: self.now, output: 0, bracketed: true };
        self.session.handle(now, input, &mut self.out);
        let out = std::mem::take(&mut self.out);
        self.keep(&out);
        self.out = out;
        self
    }

    pub fn said(&mut self, source: Source, evidence: Evidence) -> &mut Self {
        let at = self.now + 10;
        self.said_at(source, at, evidence)
    }

    pub fn said_at(&mut self, source: Source, at: u64, evidence: Evidence) -> &mut Self {
        self.feed(Input::Said { source, at, evidence })
    }

    pub fn send(&mut self, text: &str) -> TurnId {
        self.send_with(SendRequest { text: text.into(), queue: true, ..SendRequest::default() })
    }

    pub fn send_with(&mut self, send: SendRequest) -> TurnId {
        let turn = TurnId(self.session.durable().next_turn);
        let request = RequestId(self.now);
        self.feed(Input::Send { request, send });
        turn
    }

    /// Sent, typed and taken, with all sources at work on it; its id for the agent is the text itself.
    pub fn run(&mut self, text: &str) -> TurnId {
        let turn = self.send(text);
        self.type_it(turn);
        self.said(Source::Hook, taken(text, text));
        self.said(Source::Osc7501, Evidence::Busy);
        if self.session.spec().cli == Cli::Claude {
            self.said(Source::SessionFile, Evidence::Busy);
        }
        turn
    }

    pub fn type_it(&mut self, turn: TurnId) {
        self.feed(Input::Submitting { turn });
        self.feed(Input::Typed { turn });
    }

    /// The agent rests, by every source.
    pub fn rests(&mut self) -> &mut Self {
        self.said(Source::Osc7501, done());
        self.said(Source::SessionFile, idle())
    }

    /// The supervisor dies. What it knew is gone, but for the first so many facts.
    pub fn crash_after(&mut self, facts: usize) {
        self.facts.truncate(facts);
        let replayed = Durable::replay(self.facts.iter().map(|(at, f)| (*at, f)));
        if let Some(durable) = replayed {
            self.session = Session::restore(durable);
        }
        self.out.clear();
    }

    pub fn crash(&mut self) {
        self.crash_after(self.facts.len());
    }

    pub fn recovered(&mut self, recovery: Recovery) -> &mut Self {
        self.feed(Input::Recovered(recovery))
    }

    pub fn box_shows(&mut self, text: &str) -> &mut Self {
        let rule = "─".repeat(20);
        let lines: Vec<String> = vec![rule.clone(), format!("❯ {text}"), rule];
        self.feed(Input::Looked(ScreenText { solid: lines.clone(), lines, ..ScreenText::default() }))
    }

    pub fn typed_now(&self) -> Option<TurnId> {
        self.out.iter().find_map(|e| match e {
            Effect::Type { turn, .. } => Some(*turn),
            _ => None,
        })
    }

    pub fn reply(&self) -> Option<&Result<SendReceipt, WireError>> {
        self.out.iter().find_map(|e| match e {
            Effect::Sent { result, .. } => Some(result),
            _ => None,
        })
    }

    pub fn turn(&self, id: TurnId) -> Option<&Turn> {
        self.session.durable().turn(id)
    }

    pub fn state(&self, id: TurnId) -> Option<TurnState> {
        self.turn(id).map(|t| t.state)
    }

    pub fn is_over(&self, id: TurnId, outcome: Outcome) -> bool {
        self.state(id) == Some(TurnState::Over(outcome))
    }

    pub fn answer(&self, id: TurnId) -> Option<&str> {
        self.turn(id)?.text.as_deref()
    }

    pub fn not_sent(&self) -> Vec<&Turn> {
        self.session.durable().turns.iter().filter(|t| t.origin != Origin::Send).collect()
    }

    pub fn prompts(&self) -> usize {
        self.session.durable().prompts.len()
    }
}
