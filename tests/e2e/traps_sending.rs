//! The traps of handing text to a real Claude Code: what its input box would run, alter, merge or lose.

use std::fs;

use dsx_tests::DEADLINE;
use serde_json::Value;

use crate::job::{answer, create, eventually, last, with_each_claude};

#[test]
fn text_the_agent_would_run_is_refused_and_nothing_is_typed() {
    with_each_claude("text_the_agent_would_run_is_refused_and_nothing_is_typed", |dsx, server| {
        let id = create(dsx, &[]);
        for text in ["/help", "  /clear now", "!touch made.txt", "exit", "quit", ":q"] {
            let refused = dsx.run(["send", &id, text]).expect_code(2);
            assert!(refused.stderr.contains("--command"), "{refused:?}");
        }
        // A path, an indented '!' and the marks that only look special are text.
        for text in ["/tmp/a b", " !touch made.txt", "#note", "@nobody", "?", "> quoted", "& more"] {
            assert_eq!(answer(dsx, &id, text), format!("echo: {text}"));
        }
        assert!(!dsx.home().project().join("made.txt").exists());
        assert_eq!(server.log().turns().count(), 7);
    });
}

#[test]
fn text_the_box_would_alter_goes_by_a_file() {
    with_each_claude("text_the_box_would_alter_goes_by_a_file", |dsx, server| {
        let id = create(dsx, &[]);
        let texts = [
            "a\ttab",
            "e\u{301} is not composed",
            "a \u{1b}[31mred\u{1b}[m word",
            "two\r\nlines",
            "ends in \\",
        ];
        for (n, text) in texts.iter().enumerate() {
            let sent = dsx.json(["send", &id, text]);
            assert_eq!((&sent["via"], &sent["delivery"]), (&"file".into(), &"submitted".into()), "{text:?}");
            dsx.run(["wait", &id, "--timeout", "120"]).expect_code(0);
            let told = server.log().turns().last().unwrap().text().to_owned();
            let path = told.split_whitespace().find(|w| w.starts_with('/')).unwrap();
            assert!(path.ends_with(&format!("/t{}.md", n + 1)), "{told}");
            assert_eq!(fs::read_to_string(path).unwrap(), *text);
        }
        let sent = dsx.json(["send", &id, "an ordinary text"]);
        assert_eq!(sent["via"], "terminal");
    });
}

#[test]
fn a_message_by_file_may_be_read_without_asking() {
    with_each_claude("a_message_by_file_may_be_read_without_asking", |dsx, server| {
        let id = create(dsx, &["--mode", "ask"]);
        dsx.run(["ask", &id, "a\ttab"]).expect_code(0);
        let told = server.log().turns().last().unwrap().text().to_owned();
        let path = told.split_whitespace().find(|w| w.starts_with('/')).unwrap();
        let said = dsx.run(["ask", &id, &format!("tool read {path}")]).expect_code(0);
        assert!(said.stdout.contains("a\ttab"), "{said:?}");
        // Anything else is still asked for.
        dsx.run(["ask", &id, "tool read /etc/hostname"]).expect_code(4);
    });
}

#[test]
fn messages_sent_while_it_works_stay_turns_of_their_own() {
    with_each_claude("messages_sent_while_it_works_stay_turns_of_their_own", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold first one"]).expect_code(0);
        server.held("first");
        for (n, text) in ["say two", "say three"].iter().enumerate() {
            let sent = dsx.json(["send", &id, text]);
            assert_eq!((&sent["delivery"], &sent["turn"]), (&"queued".into(), &format!("t{}", n + 2).into()));
        }
        server.release("first");
        dsx.run(["wait", &id, "--timeout", "120"]).expect_code(0);
        let all = dsx.json(["last-message", &id, "-n", "3"]);
        let texts: Vec<&str> = all.as_array().unwrap().iter().map(|m| m["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["one", "two", "three"]);
        assert_eq!(server.log().turns().count(), 3);
    });
}

#[test]
fn a_message_never_answers_a_permission_dialog() {
    with_each_claude("a_message_never_answers_a_permission_dialog", |dsx, server| {
        let id = create(dsx, &["--mode", "ask"]);
        let made = dsx.home().project().join("made.txt");
        dsx.run(["send", &id, "tool bash touch made.txt"]).expect_code(0);
        let asked = dsx.run(["wait", &id, "--json", "--timeout", "120"]).expect_code(4);
        let settled: Value = serde_json::from_str(asked.line()).unwrap();
        assert_eq!(
            (&settled["outcome"], &settled["prompt"]["kind"]),
            (&"waiting".into(), &"permission".into())
        );
        assert_eq!(dsx.run(["status", &id]).expect_code(0).line(), "waiting_for_input");
        dsx.run(["send", &id, "say hello"]).expect_code(4);
        let queued = dsx.json(["send", &id, "say after", "--queue"]);
        assert_eq!(queued["delivery"], "queued");
        assert!(!made.exists(), "the dialog was answered by a message");
        // The hook tells of the dialog before it takes keys.
        eventually(dsx, &id, || dsx.run(["screen", &id]).stdout.contains("Do you want to proceed?"));
        // It is drawn a little before it takes keys, too.
        dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
        // 1 is "Yes" in every version's dialog for a shell command.
        dsx.run(["keys", &id, "1"]).expect_code(0);
        eventually(dsx, &id, || dsx.json(["status", &id])["status"] != "waiting_for_input");
        dsx.run(["wait", &id, "--timeout", "120"]).expect_code(0);
        assert_eq!(last(dsx, &id), "after");
        assert!(made.exists());
        let _ = server.turn("say after");
    });
}

#[test]
fn a_new_conversation_is_followed() {
    with_each_claude("a_new_conversation_is_followed", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        dsx.run(["send", &id, "--command", "/clear"]).expect_code(0);
        dsx.run(["wait", &id, "--timeout", "120"]).expect_code(0);
        assert_eq!(answer(dsx, &id, "say after"), "after");
        let log = server.wait_for(DEADLINE, |log| (log.turns().count() == 2).then(|| log.clone()));
        let sessions: Vec<_> = log.turns().map(|t| t.session.clone()).collect();
        assert_ne!(sessions[0], sessions[1], "the conversation has a new id");
        assert_eq!(dsx.json(["last-message", &id, "--turn", "t1"])[0]["text"], "before");
    });
}

#[test]
fn what_somebody_types_is_a_turn_of_its_own() {
    with_each_claude("what_somebody_types_is_a_turn_of_its_own", |dsx, _| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say sent"), "sent");
        dsx.run(["keys", &id, "say typed by hand"]).expect_code(0);
        dsx.run(["keys", &id, "Enter"]).expect_code(0);
        // Its turn is t2, once the agent has taken it.
        eventually(dsx, &id, || dsx.run(["last-message", &id, "--turn", "t2"]).code == 0);
        assert_eq!(dsx.json(["last-message", &id, "--turn", "t2"])[0]["text"], "typed by hand");
        assert_eq!(answer(dsx, &id, "say sent again"), "sent again");
    });
}

#[test]
fn what_somebody_types_ahead_is_nobody_elses_answer() {
    with_each_claude("what_somebody_types_ahead_is_nobody_elses_answer", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold first mine"]).expect_code(0);
        server.held("first");
        dsx.run(["keys", &id, "say typed ahead"]).expect_code(0);
        eventually(dsx, &id, || dsx.run(["screen", &id]).stdout.contains("typed ahead"));
        dsx.run(["keys", &id, "Enter"]).expect_code(0);
        // The agent shows what waits behind the running turn.
        eventually(dsx, &id, || dsx.run(["screen", &id]).stdout.contains("edit queued messages"));
        server.release("first");
        dsx.run(["wait", &id, "--turn", "t1", "--timeout", "50"]).expect_code(0);
        let _ = server.turn("say typed ahead");
        assert_eq!(answer(dsx, &id, "say next"), "next");
        assert_eq!(dsx.json(["last-message", &id, "--turn", "t1"])[0]["text"], "mine");
        let all = dsx.json(["last-message", &id, "-n", "9"]);
        let texts: Vec<&str> = all.as_array().unwrap().iter().filter_map(|m| m["text"].as_str()).collect();
        assert_eq!(texts, ["mine", "typed ahead", "next"]);
    });
}

#[test]
fn somebodys_draft_is_not_sent_with_a_message() {
    with_each_claude("somebodys_draft_is_not_sent_with_a_message", |dsx, server| {
        let id = create(dsx, &[]);
        assert_eq!(answer(dsx, &id, "say before"), "before");
        dsx.run(["keys", &id, "say my half-typed"]).expect_code(0);
        eventually(dsx, &id, || dsx.run(["screen", &id]).stdout.contains("say my half-typed"));
        // The message waits for the box, and the draft is left as it is.
        let sending = dsx.spawn(["ask", &id, "say the message"]);
        dsx.run(["wait", &id, "--until", "exited", "--timeout", "1"]).expect_code(124);
        assert!(dsx.run(["screen", &id]).stdout.contains("say my half-typed"));
        dsx.run(["keys", &id, " draft"]).expect_code(0);
        eventually(dsx, &id, || dsx.run(["screen", &id]).stdout.contains("half-typed draft"));
        dsx.run(["keys", &id, "Enter"]).expect_code(0);
        assert_eq!(sending.wait().expect_code(0).stdout, "the message\n");
        let _ = (server.turn("say my half-typed draft"), server.turn("say the message"));
    });
}
