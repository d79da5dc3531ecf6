//! The traps of a turn's end: errors, interrupts, background work, dialogs before the first turn.

use dsx_tests::DEADLINE;
use dsx_tests::agents::{CLAUDE, CLAUDE_BEFORE_7501, install_or_skip};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::model_server::ModelServer;
use serde_json::Value;

use crate::job::{answer, create, dsx, eventually, last, with_claude, with_each_claude};

/// Waits for the newest turn and returns how it settled, whatever the exit code.
fn settled(dsx: &Dsx<'_>, id: &str) -> Value {
    let said = dsx.run(["wait", id, "--json", "--timeout", "120"]);
    serde_json::from_str(said.line()).unwrap_or_else(|e| panic!("{e}: {said:?}"))
}

#[test]
fn each_api_error_fails_its_turn_and_no_other() {
    with_each_claude("each_api_error_fails_its_turn_and_no_other", |dsx, _| {
        let id = create(dsx, &[]);
        for status in ["500", "529", "401", "400"] {
            dsx.run(["send", &id, &format!("fail {status}")]).expect_code(0);
            let failed = settled(dsx, &id);
            assert_eq!(failed["outcome"], "failed", "{status}: {failed}");
            assert_eq!(answer(dsx, &id, &format!("say after {status}")), format!("after {status}"));
        }
    });
}

#[test]
fn a_cut_stream_is_not_an_answer() {
    with_each_claude("a_cut_stream_is_not_an_answer", |dsx, _| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "cut one two three four"]).expect_code(0);
        assert_eq!(settled(dsx, &id)["outcome"], "failed");
        assert_eq!(answer(dsx, &id, "say whole"), "whole");
    });
}

#[test]
fn an_interrupt_in_the_stream_ends_the_turn_as_interrupted() {
    with_each_claude("an_interrupt_in_the_stream_ends_the_turn_as_interrupted", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold mid one two three four"]).expect_code(0);
        server.held("mid");
        let waiting = dsx.spawn(["wait", &id, "--timeout", "120"]);
        dsx.run(["interrupt", &id]).expect_code(0);
        let said = waiting.wait().expect_code(5);
        assert!(said.stdout.contains("interrupted"), "{said:?}");
        assert_eq!(answer(dsx, &id, "say next"), "next");
        let _ = server.turn("say next");
    });
}

#[test]
fn an_early_interrupt_leaves_nothing_in_the_next_message() {
    with_each_claude("an_early_interrupt_leaves_nothing_in_the_next_message", |dsx, server| {
        let id = create(dsx, &[]);
        for n in 0..3 {
            // Before the first output Claude puts the message back into its input box.
            dsx.run(["send", &id, &format!("late early{n} one two")]).expect_code(0);
            server.held(&format!("early{n}"));
            dsx.run(["interrupt", &id]).expect_code(0);
            assert_eq!(settled(dsx, &id)["outcome"], "interrupted");
            assert_eq!(answer(dsx, &id, &format!("say after {n}")), format!("after {n}"));
            let _ = server.turn(&format!("say after {n}"));
        }
    });
}

#[test]
fn somebody_elses_escape_is_an_interrupt_too() {
    with_each_claude("somebody_elses_escape_is_an_interrupt_too", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold esc one two three"]).expect_code(0);
        server.held("esc");
        dsx.run(["keys", &id, "Escape"]).expect_code(0);
        assert_eq!(settled(dsx, &id)["outcome"], "interrupted");
        assert_eq!(answer(dsx, &id, "say on"), "on");
    });
}

#[test]
fn a_background_shell_does_not_hold_the_turn() {
    with_each_claude("a_background_shell_does_not_hold_the_turn", |dsx, server| {
        let id = create(dsx, &[]);
        let go = dsx.home().project().join("go");
        let command = format!("background while [ ! -e {} ]; do sleep 0.1; done", go.display());
        dsx.run(["send", &id, &command]).expect_code(0);
        let ended = settled(dsx, &id);
        assert_eq!((&ended["outcome"], &ended["turn"]), (&"ended".into(), &"t1".into()));
        assert!(last(dsx, &id).starts_with("tool said:"), "{}", last(dsx, &id));
        assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "idle");
        // Another turn beside the running shell.
        assert_eq!(answer(dsx, &id, "say beside"), "beside");
        // When the shell ends the agent begins a turn by itself; it is nobody else's answer.
        std::fs::write(&go, "").unwrap();
        server.wait_for(DEADLINE, |log| {
            log.turns().any(|t| t.text().starts_with("<task-notification>")).then_some(())
        });
        dsx.run(["wait", &id, "--until", "idle", "--timeout", "120"]).expect_code(0);
        assert_eq!(answer(dsx, &id, "say at last"), "at last");
        assert_eq!(dsx.json(["last-message", &id, "--turn", "t2"])[0]["text"], "beside");
        assert_eq!(dsx.json(["last-message", &id, "--turn", "t3"])[0]["text"], "noted");
    });
}

#[test]
fn a_sub_agent_holds_the_turn_open() {
    with_each_claude("a_sub_agent_holds_the_turn_open", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "agent-async hold sub done by another"]).expect_code(0);
        server.held("sub");
        let early = dsx.run(["wait", &id, "--timeout", "1.5"]);
        assert_eq!(
            early.code,
            124,
            "the sub-agent still works: {early:?}\n{}",
            dsx.run(["explain", &id]).stdout
        );
        server.release("sub");
        let ended = settled(dsx, &id);
        assert_eq!((&ended["outcome"], &ended["turn"]), (&"ended".into(), &"t1".into()));
        assert_eq!(last(dsx, &id), "noted");
        assert_eq!(answer(dsx, &id, "say next"), "next");
        assert_eq!(dsx.json(["list"])[0]["turn"], "t2");
    });
}

#[test]
fn leaving_by_its_own_command_is_6() {
    with_each_claude("leaving_by_its_own_command_is_6", |dsx, _| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say here"), "here");
        dsx.run(["send", &id, "--command", "/exit"]);
        let gone = dsx.run(["wait", &id, "--until", "exited", "--json", "--timeout", "120"]).expect_code(0);
        let gone: Value = serde_json::from_str(gone.line()).unwrap();
        assert_eq!((&gone["outcome"], &gone["exit_code"]), (&"exited".into(), &0.into()));
        dsx.run(["send", &id, "say anyone"]).expect_code(6);
        // What was said before stays known.
        assert_eq!(dsx.json(["last-message", &id, "--turn", "t1"])[0]["text"], "here");
    });
}

/// A home in which the project directory is not trusted yet.
fn untrusted(package: dsx_tests::agents::Package, test: &str, run: impl Fn(&Dsx<'_>)) {
    let Some(agent) = install_or_skip(package, test) else { return };
    let server = ModelServer::start();
    let mut home = Home::new();
    home.add_agent(&agent).use_server(&server);
    run(&dsx(&home));
}

#[test]
fn an_unattended_session_settles_the_trust_dialog_and_says_so() {
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        untrusted(package, "an_unattended_session_settles_the_trust_dialog_and_says_so", |dsx| {
            let id = create(dsx, &[]);
            assert_eq!(answer(dsx, &id, "say trusted"), "trusted");
            let because = dsx.run(["explain", &id]).expect_code(0).stdout;
            assert!(because.contains("start-up dialog settled by dsx"), "{because}");
        });
    }
}

#[test]
fn an_attended_session_asks_before_it_begins() {
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        untrusted(package, "an_attended_session_asks_before_it_begins", |dsx| {
            let id = dsx.run(["create", "-q", "--mode", "ask"]).expect_code(4).line().to_owned();
            let status = dsx.json(["status", &id]);
            assert_eq!(
                (&status["status"], &status["prompt"]["kind"]),
                (&"waiting_for_input".into(), &"trust".into()),
                "{status}"
            );
            let options = status["prompt"]["options"].as_array().unwrap();
            let yes = options.iter().position(|o| o["label"].as_str().unwrap().starts_with("Yes")).unwrap();
            // 2.1.328 highlights "No": a blind Enter would end it.
            assert_eq!(yes, usize::from(package.version == CLAUDE.version), "{options:?}");
            let pointed = |option: &str| {
                let shown = dsx.run(["screen", &id]).stdout;
                shown.lines().any(|l| l.contains('❯') && l.contains(option))
            };
            // 2.1.328 may draw the dialog anew, with "No" highlighted again, and draws a move a little before it
            // counts: what is pointed at must have stood for a while.
            eventually(dsx, &id, || {
                if !pointed("Yes") {
                    dsx.run(["keys", &id, "Down"]).expect_code(0);
                }
                dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
                pointed("Yes")
            });
            dsx.run(["keys", &id, "Enter"]).expect_code(0);
            eventually(dsx, &id, || dsx.json(["status", &id])["status"] == "idle");
            assert_eq!(answer(dsx, &id, "say hello"), "hello");
        });
    }
}

#[test]
fn an_api_key_of_the_environment_is_accepted_unattended() {
    for package in [CLAUDE, CLAUDE_BEFORE_7501] {
        let Some(agent) = install_or_skip(package, "an_api_key_of_the_environment_is_accepted_unattended")
        else {
            return;
        };
        let server = ModelServer::start();
        let mut home = Home::with_agent(&agent, &server);
        home.unset("ANTHROPIC_AUTH_TOKEN").set("ANTHROPIC_API_KEY", "sk-ant-not-a-real-key-0123456789");
        let dsx = dsx(&home);
        let id = create(&dsx, &[]);
        assert_eq!(answer(&dsx, &id, "say with a key"), "with a key");
    }
}

#[test]
fn status_is_never_idle_while_a_tool_runs() {
    with_claude(CLAUDE, "status_is_never_idle_while_a_tool_runs", |dsx, _| {
        let id = create(dsx, &[]);
        let go = dsx.home().project().join("go");
        let command = format!("tool bash while [ ! -e {} ]; do sleep 0.1; done; echo went", go.display());
        dsx.run(["send", &id, &command]).expect_code(0);
        for _ in 0..20 {
            assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "working");
        }
        std::fs::write(&go, "").unwrap();
        dsx.run(["wait", &id, "--timeout", "120"]).expect_code(0);
        assert!(last(dsx, &id).contains("went"));
    });
}
