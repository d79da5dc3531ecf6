//! Answering a prompt: by the hook that waits for the decision where there is one, else by keys chosen from
//! the labels on the screen, one at a time, each looked after.
//!
//! ```text
//!  open ──respond──▶ decided ──the agent went on──▶ closed
//!   ▲                  │
//!   └──it did not──────┘
//! ```
//!
//! A decision is recorded before the agent is told of it. Whoever comes second finds it, or finds the prompt
//! closed, and is told by what.

use dsx_protocol::{ErrorKind, Prompt, Respond, Responded, WireError};

use crate::adapter::{self, Answered, Way};
use crate::durable::Held;
use crate::evidence::Source;
use crate::fact::{Fact, Reported};
use crate::input::{Effect, Now, RequestId, ScreenText, Timer};
use crate::pick::{Picking, is_of};
use crate::session::Session;
use crate::spec::{Cli, OnPrompt};

/// How long the agent may take to go on once it was told.
const VERIFY_MS: u64 = 2_000;
/// How long a dialog may take to be drawn after it was told of.
const DRAWN_MS: u64 = 6_000;
/// Who answers by itself.
const BY_ITSELF: &str = "on-prompt";

/// Who answers, and who is to be told what came of it.
#[derive(Debug)]
pub(crate) struct Whose {
    /// None where a session answers by itself.
    pub request: Option<RequestId>,
    pub by: String,
    /// Names the call.
    pub key: Option<String>,
}

/// A decision that the agent was told of, and has not shown yet to have taken.
#[derive(Debug)]
pub(crate) struct Telling {
    prompt: String,
    request: Option<RequestId>,
}

/// What is under way, and a crash may lose: the decision itself is a fact.
#[derive(Debug, Default)]
pub(crate) struct Responding {
    /// Choices of a dialog that is not drawn yet: Claude holds it back for a while after keys were pressed.
    deferred: Vec<(RequestId, String, Respond)>,
    pub picking: Option<Picking>,
    pub telling: Vec<Telling>,
}

impl Session {
    pub(crate) fn respond(
        &mut self,
        now: Now,
        request: RequestId,
        by: String,
        respond: &Respond,
        out: &mut Vec<Effect>,
    ) {
        if let Some(prompt) = self.repeated_answer(respond) {
            return self.respond_again(request, prompt, out);
        }
        if self.addressed(respond).is_ok_and(|p| self.hook_returns(now, &p.id)) {
            self.live.responding.deferred.push((request, by, respond.clone()));
            let after_ms = self.live.asking.returning_until - now.ms;
            out.push(Effect::Arm { timer: Timer::Returned, after_ms });
            return;
        }
        let chooses = respond.answers.iter().any(|a| !a.choices.is_empty());
        let undrawn = |p: &Prompt| p.options.is_empty() && self.live.asking.labels.as_ref() == Some(&p.id);
        if chooses && self.addressed(respond).is_ok_and(undrawn) {
            self.live.responding.deferred.push((request, by, respond.clone()));
            out.push(Effect::Arm { timer: Timer::Labels, after_ms: DRAWN_MS });
            return;
        }
        let whose = Whose { request: Some(request), by, key: respond.key.clone() };
        let answered = self.addressed(respond).and_then(|prompt| {
            let answered = adapter::resolve(prompt, respond)?;
            Ok((prompt.clone(), answered))
        });
        match answered {
            Ok((prompt, answered)) => self.answer(now, &prompt, &answered, whose, out),
            Err(error) => {
                let error = error.session(&self.durable.spec.id);
                out.push(Effect::Responded { request, result: Err(error) });
            }
        }
    }

    /// After a restart the hook of a prompt needs a moment to be back.
    fn hook_returns(&self, now: Now, prompt: &str) -> bool {
        let is_back = |h: &Held| self.live.asking.holds.iter().any(|(_, key)| *key == h.key);
        now.ms < self.live.asking.returning_until && self.durable.held(prompt).is_some_and(|h| !is_back(h))
    }

    /// The dialog is drawn or gone, or the hook is back.
    pub(crate) fn respond_deferred(&mut self, now: Now, out: &mut Vec<Effect>) {
        for (request, by, respond) in std::mem::take(&mut self.live.responding.deferred) {
            self.respond(now, request, by, &respond, out);
        }
    }

    pub(crate) fn labels_expired(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.live.asking.labels = None;
        self.respond_deferred(now, out);
    }

    /// The prompt that the same call answered before.
    fn repeated_answer(&self, respond: &Respond) -> Option<String> {
        let key = respond.key.as_ref()?;
        self.durable.decisions.iter().rev().find(|d| d.key.as_ref() == Some(key)).map(|d| d.prompt.clone())
    }

    fn respond_again(&mut self, request: RequestId, prompt: String, out: &mut Vec<Effect>) {
        let is_open = self.durable.prompts.iter().any(|p| p.id == prompt);
        self.live.responding.telling.push(Telling { prompt: prompt.clone(), request: Some(request) });
        match is_open {
            true => out.push(Effect::Arm { timer: Timer::Verify, after_ms: VERIFY_MS }),
            false => self.responded(&prompt, out),
        }
    }

    /// The prompt that is meant, if it is still to be answered.
    fn addressed(&self, respond: &Respond) -> Result<&Prompt, WireError> {
        let d = &self.durable;
        let id = &d.spec.id;
        let refused = |what: String| WireError::new(ErrorKind::Refused, what).hint("see 'dsx prompts'");
        let prompt = match (&respond.prompt, d.prompts.as_slice()) {
            (Some(asked), open) => open.iter().find(|p| p.id == *asked).ok_or_else(|| self.stale(asked))?,
            (None, [only]) => only,
            (None, []) if d.exit.is_some() => {
                let what = format!("session {id} has ended; no prompt is open");
                return Err(WireError::new(ErrorKind::Exited, what).hint("see 'dsx list -a'"));
            }
            (None, []) => {
                let last = d.closed.back();
                let what = match last {
                    Some(closed) => {
                        let (prompt, how) = (&closed.prompt, ended(&closed.by, closed.answer.as_ref()));
                        format!("session {id} asks nothing; its last prompt, {prompt}, was {how}")
                    }
                    None => format!("session {id} asks nothing"),
                };
                return Err(refused(what));
            }
            (None, several) => {
                let ids: Vec<&str> = several.iter().map(|p| p.id.as_str()).collect();
                let what = format!("several prompts of session {id} are open: {}", ids.join(", "));
                return Err(WireError::new(ErrorKind::Refused, what).hint("say which with --prompt"));
            }
        };
        let picking = self.live.responding.picking.as_ref().filter(|p| p.prompt == prompt.id);
        let under_way = d.decision(&prompt.id).map(|d| (&d.by, &d.answer));
        match under_way.or(picking.map(|p| (&p.whose.by, &p.label))) {
            Some((by, answer)) => Err(refused(format!(
                "prompt {} of session {id} was just answered by {by}: {answer}",
                prompt.id
            ))),
            None => Ok(prompt),
        }
    }

    fn stale(&self, prompt: &str) -> WireError {
        let d = &self.durable;
        let id = &d.spec.id;
        let number = prompt.strip_prefix('p').and_then(|n| n.parse::<u64>().ok());
        let what = match d.closed.iter().rev().find(|c| c.prompt == prompt) {
            Some(closed) => {
                let how = ended(&closed.by, closed.answer.as_ref());
                format!("prompt {prompt} of session {id} is not open any more: it was {how}")
            }
            None if number.is_some_and(|n| n < d.next_prompt) => {
                format!("prompt {prompt} of session {id} is not open any more")
            }
            None => format!("session {id} has no prompt '{prompt}'"),
        };
        WireError::new(ErrorKind::Refused, what).hint(format!("see 'dsx prompts {id}'"))
    }

    fn answer(
        &mut self,
        now: Now,
        prompt: &Prompt,
        answered: &Answered,
        whose: Whose,
        out: &mut Vec<Effect>,
    ) {
        let held = self.durable.held(&prompt.id).cloned();
        let hold = held.as_ref().and_then(|h| self.live.asking.holds.iter().find(|(_, k)| *k == h.key));
        let hook = hold.map(|(hold, _)| *hold);
        let input = held.as_ref().and_then(|h| h.input.as_deref());
        let words = answered.words();
        match adapter::way(self.durable.spec.cli, prompt, answered, input, hook.is_some()) {
            Ok(Way::Hook(output)) => {
                self.decide(now, &prompt.id, Some(output.clone()), words, whose, out);
                if let Some(hold) = hook {
                    self.live.asking.holds.retain(|(r, _)| *r != hold);
                    out.push(Effect::Decide { request: hold, output });
                }
                // Where no dialog goes away, or another one comes, only the hook can tell, and it was told.
                let alone = self.durable.prompts.len() == 1;
                if held.is_some_and(|h| h.unseen) || !alone {
                    self.close_prompt(now, prompt.id.clone(), now.ms, "decided", out);
                }
            }
            Ok(Way::Keys(script)) => {
                // A key says no more than that.
                let denied = matches!(answered, Answered::Deny { .. });
                let words = if denied { "deny".to_owned() } else { words };
                self.decide(now, &prompt.id, None, words, whose, out);
                out.push(Effect::Press(script));
            }
            Ok(Way::Pick(label)) => {
                let prompt = prompt.id.clone();
                self.begin_to_pick(prompt, label, whose, out);
            }
            Err(error) => match whose.request {
                Some(request) => {
                    let error = error.session(&self.durable.spec.id);
                    out.push(Effect::Responded { request, result: Err(error) });
                }
                None => self.leave_to_people(now, &prompt.id, &error.message),
            },
        }
    }

    pub(crate) fn decide(
        &mut self,
        now: Now,
        prompt: &str,
        output: Option<String>,
        answer: String,
        whose: Whose,
        out: &mut Vec<Effect>,
    ) {
        let (prompt, Whose { request, by, key }) = (prompt.to_owned(), whose);
        self.fact(now, Fact::PromptDecided { prompt: prompt.clone(), output, by, answer, key }, out);
        self.live.responding.telling.push(Telling { prompt, request });
        out.push(Effect::Arm { timer: Timer::Verify, after_ms: VERIFY_MS });
    }

    pub(crate) fn leave_to_people(&mut self, now: Now, prompt: &str, why: &str) {
        self.note(Source::Dsx, now.ms, format!("{prompt} is left to people: {why}"));
        if !self.live.asking.unanswerable.iter().any(|p| p == prompt) {
            self.live.asking.unanswerable.push(prompt.to_owned());
        }
    }

    /// A hook waits for the decision on its prompt.
    pub(crate) fn hold(&mut self, now: Now, request: RequestId, key: String, out: &mut Vec<Effect>) {
        let held = self.durable.held.iter().rev().find(|h| h.key == key);
        let open = held.filter(|h| self.durable.prompts.iter().any(|p| p.id == h.prompt));
        let Some(open) = open else {
            out.push(Effect::Decide { request, output: String::new() });
            return;
        };
        // It was decided already, and the hook's connection ended before it was told.
        match self.durable.decision(&open.prompt).and_then(|d| d.output.clone()) {
            Some(output) => {
                let prompt = open.prompt.clone();
                if self.live.responding.telling.iter().all(|t| t.prompt != prompt) {
                    self.live.responding.telling.push(Telling { prompt, request: None });
                }
                out.push(Effect::Decide { request, output });
                out.push(Effect::Arm { timer: Timer::Verify, after_ms: VERIFY_MS });
            }
            None => {
                self.live.asking.holds.retain(|(_, k)| *k != key);
                self.live.asking.holds.push((request, key));
                self.respond_deferred(now, out);
                self.show_unseen(now, out);
            }
        }
    }

    /// Somebody looks at the terminal: the agent shows there what a background sub-agent asks as soon as the hook
    /// does not wait any more, and people may answer it. Nobody may miss a question that he would see in a terminal
    /// without dsx.
    pub(crate) fn show_unseen(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.live.viewers == 0 || self.durable.spec.terms.on_prompt != OnPrompt::Ask {
            return;
        }
        let waits = |key: &String| self.live.asking.holds.iter().any(|(_, k)| k == key);
        let decided = |prompt: &str| self.durable.decision(prompt).is_some();
        let hidden = self.durable.held.iter().filter(|h| h.unseen && waits(&h.key) && !decided(&h.prompt));
        for Held { key, prompt, input, .. } in hidden.cloned().collect::<Vec<Held>>() {
            let seen = Fact::PromptHeld { prompt: prompt.clone(), key, input, unseen: false };
            self.fact(now, seen, out);
            self.let_go(&prompt, out);
        }
    }

    /// A hook has ended. Where it was all there was of a question, that is over.
    pub(crate) fn unhold(&mut self, now: Now, request: RequestId, out: &mut Vec<Effect>) {
        let gone: Vec<String> =
            self.live.asking.holds.extract_if(.., |(r, _)| *r == request).map(|(_, key)| key).collect();
        let unseen = self.durable.held.iter().filter(|h| h.unseen && gone.contains(&h.key));
        let over: Vec<String> = unseen.map(|h| h.prompt.clone()).collect();
        for prompt in over {
            self.close_prompt(now, prompt, now.ms, "the agent gave it up", out);
        }
    }

    /// Hooks that lost their supervisor have had time to come back: of those that have not, nothing is left.
    pub(crate) fn unheld_expired(&mut self, now: Now, out: &mut Vec<Effect>) {
        let waits = |key: &String| self.live.asking.holds.iter().any(|(_, k)| k == key);
        let gone = self.durable.held.iter().filter(|h| h.unseen && !waits(&h.key));
        let over: Vec<String> = gone.map(|h| h.prompt.clone()).collect();
        for prompt in over {
            self.close_prompt(now, prompt, now.ms, "the agent gave it up", out);
        }
    }

    /// The prompt is closed: its hook has nothing to wait for.
    pub(crate) fn let_go(&mut self, prompt: &str, out: &mut Vec<Effect>) {
        let keys: Vec<&String> =
            self.durable.held.iter().filter(|h| h.prompt == prompt).map(|h| &h.key).collect();
        let gone = self.live.asking.holds.extract_if(.., |(_, k)| keys.contains(&&*k));
        out.extend(gone.map(|(request, _)| Effect::Decide { request, output: String::new() }));
    }

    /// The prompt is closed: whoever answered it is told so, and whoever was about to.
    pub(crate) fn responded(&mut self, prompt: &str, out: &mut Vec<Effect>) {
        let decision = self.durable.decision(prompt).cloned();
        let session = self.durable.spec.id.clone();
        let turn = self.durable.running().map(|t| t.id);
        for telling in self.live.responding.telling.extract_if(.., |t| t.prompt == prompt) {
            let Some(request) = telling.request else { continue };
            let via = if decision.as_ref().is_some_and(|d| d.output.is_some()) { "hook" } else { "keys" };
            let answer = decision.as_ref().map(|d| d.answer.clone()).unwrap_or_default();
            let (session, prompt) = (session.clone(), prompt.to_owned());
            let responded = Responded { session, prompt, turn, via: via.to_owned(), answer };
            out.push(Effect::Responded { request, result: Ok(responded) });
        }
        if self.live.responding.telling.is_empty() {
            out.push(Effect::Disarm(Timer::Verify));
        }
        if let Some(picking) = self.live.responding.picking.take_if(|p| p.prompt == prompt) {
            out.push(Effect::Disarm(Timer::Pick));
            if let Some(request) = picking.whose.request {
                out.push(Effect::Responded { request, result: Err(self.stale(prompt)) });
            }
        }
    }

    /// The agent should have gone on by now: if its dialog still stands, it did not take the answer.
    pub(crate) fn verify_expired(&mut self, out: &mut Vec<Effect>) {
        // One that was decided before a crash is nobody's to be told any more.
        if self.durable.prompts.iter().any(|p| self.durable.decision(&p.id).is_some()) {
            out.push(Effect::Look { quiet_ms: 0, fresh: false });
        }
    }

    pub(crate) fn verify_on_screen(&mut self, now: Now, screen: &ScreenText, out: &mut Vec<Effect>) {
        let is_due = |at: u64| now.ms >= at + VERIFY_MS;
        let decided = |p: &&Prompt| self.durable.decision(&p.id).is_some_and(|d| is_due(d.at));
        let told: Vec<String> = self.durable.prompts.iter().filter(decided).map(|p| p.id.clone()).collect();
        for prompt in told {
            match self.stands(&prompt, screen) {
                false => self.close_prompt(now, prompt, now.ms, "the dialog is gone", out),
                true => self.decision_void(now, &prompt, out),
            }
        }
    }

    /// Whether the agent still asks it, as far as can be seen. Only Claude's dialogs are read off the screen; any
    /// other program's own word has to do.
    fn stands(&self, prompt: &str, screen: &ScreenText) -> bool {
        let open = self.durable.prompts.iter().find(|p| p.id == prompt);
        match self.durable.spec.cli {
            Cli::Claude => {
                let dialog = adapter::read_dialog(Cli::Claude, screen);
                dialog.is_some_and(|d| open.is_some_and(|p| is_of(&d, p)))
            }
            Cli::Demo => matches!(self.durable.osc, Some((Reported::Blocked, _))),
            // It may have claimed so once and never take it back: words were an answer to it, a key was none.
            Cli::Command => {
                let denied = self.durable.decision(prompt).is_some_and(|d| d.answer.starts_with("deny"));
                denied && matches!(self.durable.osc, Some((Reported::Blocked, _)))
            }
        }
    }

    fn decision_void(&mut self, now: Now, prompt: &str, out: &mut Vec<Effect>) {
        self.fact(now, Fact::DecisionVoid { prompt: prompt.to_owned() }, out);
        let why = "the agent did not take the answer: its dialog still stands";
        self.leave_to_people(now, prompt, why);
        let id = &self.durable.spec.id;
        for telling in self.live.responding.telling.extract_if(.., |t| t.prompt == prompt) {
            let Some(request) = telling.request else { continue };
            let error = WireError::new(ErrorKind::Failed, format!("prompt {prompt} of session {id}: {why}"))
                .hint(format!("answer it in its terminal: 'dsx attach {id}'"))
                .session(id);
            out.push(Effect::Responded { request, result: Err(error) });
        }
    }

    /// A session that answers its prompts by itself: by the hook as soon as there is one.
    pub(crate) fn answer_unattended(&mut self, now: Now, hookless: bool, out: &mut Vec<Effect>) {
        let on_prompt = self.durable.spec.terms.on_prompt;
        if on_prompt == OnPrompt::Ask || self.live.recovering || !self.durable.ready {
            return;
        }
        let open: Vec<Prompt> =
            self.durable.prompts.iter().filter(|p| self.is_unanswered(p)).cloned().collect();
        for prompt in open {
            let key = self.durable.held(&prompt.id).map(|h| h.key.clone());
            let held = key.is_some_and(|key| self.live.asking.holds.iter().any(|(_, k)| *k == key));
            let by_hook_alone = self.durable.spec.cli == Cli::Claude && !hookless;
            if held || !by_hook_alone {
                let answered = match Answered::unattended(&prompt, on_prompt == OnPrompt::Allow) {
                    // A dialog has no place for words.
                    Answered::Deny { .. } if !held => Answered::Deny { message: None },
                    answered => answered,
                };
                let whose = Whose { request: None, by: BY_ITSELF.to_owned(), key: None };
                self.answer(now, &prompt, &answered, whose, out);
            }
        }
    }

    fn is_unanswered(&self, prompt: &Prompt) -> bool {
        self.durable.decision(&prompt.id).is_none()
            && self.live.responding.picking.as_ref().is_none_or(|p| p.prompt != prompt.id)
            && !self.live.asking.unanswerable.contains(&prompt.id)
    }
}

fn ended(by: &str, answer: Option<&String>) -> String {
    match answer {
        Some(answer) => format!("answered by {by}: {answer}"),
        None => format!("closed ({by})"),
    }
}
