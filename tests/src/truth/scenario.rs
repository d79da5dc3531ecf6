//! What is recorded: one scenario for each thing that an agent's turn may come to.

use dsx_protocol::{Answer, Respond};
use serde_json::json;

use super::record::Stage;

/// How the agent has to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// To ask before it acts.
    Asking,
    /// To plan before it acts.
    Plan,
}

/// One thing to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub needs: Needs,
    /// News from the background begin a turn of their own.
    pub apart: bool,
    pub run: fn(&mut Stage),
}

const fn plain(name: &'static str, run: fn(&mut Stage)) -> Scenario {
    Scenario { name, needs: Needs::Nothing, apart: false, run }
}

const fn asking(name: &'static str, run: fn(&mut Stage)) -> Scenario {
    Scenario { name, needs: Needs::Asking, apart: false, run }
}

/// What the model says that looks like the agent's own dialog.
const DIALOG: &str = "Do you want to proceed?\n ❯ 1. Yes\n   2. No";

/// All of them.
pub const SCENARIOS: [Scenario; 19] = [
    plain("text", |s| {
        for text in ["say hello", "say hello again", "say and once more"] {
            s.send(text, "ended");
            s.settle();
        }
    }),
    plain("slow", |s| s.send("slow 2500 one half and the other half", "ended")),
    plain("tool", |s| {
        s.send("tool bash sleep 1; echo made", "ended");
        s.settle();
        s.send("say after the tool", "ended");
    }),
    plain("parallel", |s| s.send("parallel sleep 0.6; echo one | echo two | sleep 0.3; echo three", "ended")),
    plain("error", |s| {
        s.send("fail 500", "failed");
        s.settle();
        s.send("say after the error", "ended");
    }),
    plain("cut", |s| {
        s.send("cut one half and the other half", "failed");
        s.settle();
        s.send("say after the cut", "ended");
    }),
    plain("interrupt", |s| {
        s.send("hold MIDDLE one half and the other half", "interrupted");
        s.server.held("MIDDLE");
        s.interrupt();
        s.settle();
        s.send("say after the interrupt", "ended");
    }),
    plain("interrupt-early", |s| {
        s.send("late FIRST all of it", "interrupted");
        s.server.held("FIRST");
        s.interrupt();
        s.settle();
        s.send("say after the early interrupt", "ended");
    }),
    plain("escape", |s| {
        s.send("hold MIDDLE one half and the other half", "interrupted");
        s.server.held("MIDDLE");
        s.escape();
        s.settle();
        s.send("say after the escape", "ended");
    }),
    asking("allow", |s| {
        s.send("tool bash sleep 0.3; touch made", "ended");
        s.asked();
        s.respond(Respond { allow: true, ..Respond::default() }, &json!({ "behavior": "allow" }));
        s.settle();
        s.send("say after the answer", "ended");
    }),
    asking("deny", |s| {
        s.send("tool bash touch made", "ended");
        s.asked();
        let message = Some("not now".to_owned());
        let respond = Respond { deny: true, message, ..Respond::default() };
        s.respond(respond, &json!({ "behavior": "deny", "message": "not now" }));
        s.settle();
        s.send("say after the denial", "ended");
    }),
    asking("dismiss", |s| {
        s.send("tool bash touch made", "interrupted");
        s.asked();
        s.dismiss();
        s.settle();
        s.send("say after the dismissal", "ended");
    }),
    asking("several", |s| {
        s.send("parallel sleep 0.3; touch one | touch two", "ended");
        s.asked();
        s.answer("1");
        s.asked();
        s.respond(Respond { allow: true, ..Respond::default() }, &json!({ "behavior": "allow" }));
    }),
    plain("question", |s| {
        s.send("ask Which colour? | Red | Blue", "ended");
        s.asked();
        s.answer("2");
        s.settle();
        s.send("ask Which shape? | Round | Square", "ended");
        s.asked();
        let mut input = s.input();
        input["answers"] = json!({ "Which shape?": "Round" });
        let choice = Answer { choices: vec!["Round".to_owned()], ..Answer::default() };
        let respond = Respond { answers: vec![choice], ..Respond::default() };
        s.respond(respond, &json!({ "behavior": "allow", "updatedInput": input }));
    }),
    Scenario {
        needs: Needs::Plan,
        ..plain("plan", |s| {
            s.send("plan first this and then that", "ended");
            s.asked();
            let decision = json!({ "behavior": "allow", "updatedInput": s.input() });
            s.respond(Respond { allow: true, ..Respond::default() }, &decision);
            s.settle();
            s.send("say after the plan", "ended");
        })
    },
    plain("agent", |s| {
        s.send("agent slow 1500 one half and the other half", "ended");
        s.settle();
        s.send("say after the agent", "ended");
    }),
    asking("agent-asks", |s| {
        s.send("agent-async tool bash touch made", "ended");
        s.asked();
        s.respond(Respond { allow: true, ..Respond::default() }, &json!({ "behavior": "allow" }));
        s.settle();
        s.send("say after the agent", "ended");
    }),
    Scenario {
        apart: true,
        ..plain("shell", |s| {
            s.send("background sleep 4", "ended");
            s.settle();
            s.notified();
            s.settle();
            s.send("say after the shell", "ended");
        })
    },
    plain("prose", |s| {
        s.send(&format!("slow 1500 {DIALOG}"), "ended");
        s.settle();
        s.type_and_take_back();
        s.send(&format!("say {DIALOG}"), "ended");
        s.settle();
        s.send("say after the prose", "ended");
    }),
];

/// The scenario of this name.
#[must_use]
pub fn of_name(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|s| s.name == name)
}
