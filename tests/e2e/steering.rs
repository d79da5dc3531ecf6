//! What a message does to the turn that runs: waits behind it, stops it, or joins it; and what `send` says of it.

use dsx_tests::DEADLINE;
use dsx_tests::crash;
use dsx_tests::dsx::{Dsx, Running};
use dsx_tests::home::Home;
use dsx_tests::model_server::{Kind, ModelServer};
use serde_json::Value;

use crate::job::{answer, create, dsx, error, eventually, fifo, heard, settled, with_each_claude};

/// The texts that the model was given, each time it was.
fn turns(server: &ModelServer) -> Vec<Vec<String>> {
    server.log().turns().map(|r| r.texts.clone()).collect()
}

/// The text of a turn's answer.
fn text_of(dsx: &Dsx<'_>, id: &str, turn: &str) -> String {
    dsx.json(["last-message", id, "--turn", turn])[0]["text"].as_str().unwrap_or_default().to_owned()
}

/// Starts a `send` with these arguments, to be answered later.
fn sending(dsx: &Dsx<'_>, id: &str, args: &[&str]) -> Running {
    dsx.spawn([&["send", id, "--json"], args].concat())
}

/// What a `send` was answered.
fn receipt(sending: Running) -> Value {
    settled(sending.wait().expect_code(0))
}

/// Waits until the agent has put a message behind its work.
fn is_behind(dsx: &Dsx<'_>, id: &str) {
    eventually(dsx, id, || dsx.run(["explain", id]).stdout.contains("put behind the running turn"));
}

/// Starts a turn that is within a tool call until something is written into the returned pipe.
fn within_a_tool(dsx: &Dsx<'_>, id: &str) -> std::path::PathBuf {
    let (begun, go) = (fifo(dsx.home(), "begun"), fifo(dsx.home(), "go"));
    dsx.run(["send", id, "tool bash echo x > begun; cat go"]).expect_code(0);
    heard(&begun);
    go
}

#[test]
fn five_messages_sent_while_it_works_are_five_turns_in_their_order() {
    with_each_claude("five_messages_sent_while_it_works_are_five_turns_in_their_order", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold stream half and half"]).expect_code(0);
        server.held("stream");
        let send = |n: usize| {
            let sent = dsx.json(["send", &id, &format!("say number {n}")]);
            assert_eq!((&sent["delivery"], &sent["turn"]), (&"queued".into(), &format!("t{}", n + 1).into()));
        };
        (1..=2).for_each(send);
        server.release("stream");
        let go = {
            // The third to fifth come while a tool runs.
            let (begun, go) = (fifo(dsx.home(), "begun"), fifo(dsx.home(), "go"));
            dsx.run(["send", &id, "--queue", "tool bash echo x > begun; cat go"]).expect_code(0);
            heard(&begun);
            go
        };
        for n in 3..=5 {
            let sent = dsx.json(["send", &id, &format!("say number {n}")]);
            assert_eq!(sent["delivery"], "queued");
        }
        std::fs::write(go, "done\n").unwrap();
        dsx.run(["wait", &id, "--timeout", "50"]).expect_code(0);
        let said: Vec<Vec<String>> = turns(server);
        let one = |text: &str| vec![text.to_owned()];
        let wanted: Vec<Vec<String>> = [
            "hold stream half and half",
            "say number 1",
            "say number 2",
            "tool bash echo x > begun; cat go",
            "say number 3",
            "say number 4",
            "say number 5",
        ]
        .map(one)
        .to_vec();
        assert_eq!(said, wanted);
        for (turn, n) in [("t2", 1), ("t3", 2), ("t5", 3), ("t6", 4), ("t7", 5)] {
            assert_eq!(text_of(dsx, &id, turn), format!("number {n}"));
        }
    });
}

#[test]
fn an_interrupting_message_goes_before_those_that_wait() {
    with_each_claude("an_interrupting_message_goes_before_those_that_wait", |dsx, server| {
        let id = create(dsx, &[]);
        // With nothing to stop it is a message like any other.
        let plain = receipt(sending(dsx, &id, &["--interrupt", "hold stream half and half"]));
        assert_eq!((&plain["delivery"], &plain["interrupted"]), (&"submitted".into(), &Value::Null));
        server.held("stream");
        dsx.run(["send", &id, "say waiting"]).expect_code(0);
        let sent = dsx.run(["send", &id, "--interrupt", "say urgent", "--key", "k"]).expect_code(0);
        assert_eq!((sent.line(), sent.stderr.trim()), ("t3", "interrupted t1"));
        let stopped = settled(dsx.run(["wait", &id, "--turn", "t1", "--json"]).expect_code(5));
        assert_eq!(stopped["outcome"], "interrupted");
        dsx.run(["wait", &id, "--turn", "t2", "--timeout", "50"]).expect_code(0);
        dsx.run(["wait", &id, "--turn", "t3", "--timeout", "50"]).expect_code(0);
        let order: Vec<String> = turns(server).into_iter().filter_map(|t| t.last().cloned()).collect();
        assert_eq!(order, ["hold stream half and half", "say urgent", "say waiting"]);
        assert_eq!((text_of(dsx, &id, "t3"), text_of(dsx, &id, "t2")), ("urgent".into(), "waiting".into()));
        // A repeat says the same, also after a restart, and stops nothing.
        crash::kill_supervisor(dsx);
        let again = receipt(sending(dsx, &id, &["--interrupt", "say urgent", "--key", "k"]));
        assert_eq!((&again["turn"], &again["interrupted"]), (&"t3".into(), &"t1".into()));
        assert_eq!(turns(server).len(), 3);
    });
}

#[test]
fn an_interrupting_message_ends_a_turn_that_asks() {
    with_each_claude("an_interrupting_message_ends_a_turn_that_asks", |dsx, server| {
        let id = create(dsx, &["--mode", "ask"]);
        dsx.run(["send", &id, "tool bash touch made.txt"]).expect_code(0);
        dsx.run(["wait", &id, "--timeout", "50"]).expect_code(4);
        dsx.run(["send", &id, "say refused"]).expect_code(4);
        dsx.run(["send", &id, "--steer", "say refused"]).expect_code(4);
        let sent = receipt(sending(dsx, &id, &["--interrupt", "say instead"]));
        assert_eq!((&sent["delivery"], &sent["interrupted"]), (&"submitted".into(), &"t1".into()));
        dsx.run(["wait", &id, "--timeout", "50"]).expect_code(0);
        // It comes behind the tool's refusal.
        let given = |r: &dsx_tests::model_server::Request| {
            matches!(r.kind, Kind::Turn | Kind::ToolResult) && r.body.to_string().contains("say instead")
        };
        assert_eq!(server.log().requests.iter().filter(|r| given(r)).count(), 1);
        assert!(!dsx.home().project().join("made.txt").exists());
    });
}

#[test]
fn a_message_joins_the_turn_that_is_within_a_tool() {
    with_each_claude("a_message_joins_the_turn_that_is_within_a_tool", |dsx, server| {
        let id = create(dsx, &[]);
        let go = within_a_tool(dsx, &id);
        dsx.run(["send", &id, "say after"]).expect_code(0);
        let steer = ["--steer", "and mind the gap", "--key", "k"];
        let joining = sending(dsx, &id, &steer);
        is_behind(dsx, &id);
        // What became of it is not known yet, and a death in between changes nothing.
        crash::kill_supervisor(dsx);
        std::fs::write(go, "now\n").unwrap();
        let joined = receipt(joining);
        assert_eq!((&joined["delivery"], &joined["turn"]), (&"absorbed".into(), &"t1".into()));
        dsx.run(["wait", &id, "--turn", "t1", "--timeout", "50"]).expect_code(0);
        dsx.run(["wait", &id, "--turn", "t2", "--timeout", "50"]).expect_code(0);
        assert_eq!(text_of(dsx, &id, "t2"), "after");
        let given = |text: &str| {
            let within = |r: &&dsx_tests::model_server::Request| {
                r.kind == Kind::ToolResult && r.body.to_string().contains(text)
            };
            server.log().requests.iter().filter(within).count()
        };
        assert_eq!(given("and mind the gap"), 1);
        assert_eq!(turns(server).len(), 2);
        let again = receipt(sending(dsx, &id, &steer));
        assert_eq!((&again["delivery"], &again["turn"]), (&"absorbed".into(), &"t1".into()));
        // It has no end of its own.
        let waited = settled(dsx.run(["wait", &id, "--turn", "t3", "--json"]).expect_code(0));
        assert_eq!(waited["turn"], "t1");
        assert_eq!(answer(dsx, &id, "say next"), "next");
    });
}

#[test]
fn a_message_that_the_agent_keeps_for_later_is_a_turn_of_its_own() {
    with_each_claude("a_message_that_the_agent_keeps_for_later_is_a_turn_of_its_own", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold stream half and half"]).expect_code(0);
        server.held("stream");
        dsx.run(["send", &id, "say queued"]).expect_code(0);
        let (first, second) = (
            sending(dsx, &id, &["--steer", "say first", "--key", "k"]),
            sending(dsx, &id, &["--steer", "--key", "l", "hold other more and more"]),
        );
        is_behind(dsx, &id);
        server.release("stream");
        // Two messages of dsx's are never in the agent's queue together: it would make one turn of them.
        server.held("other");
        server.release("other");
        let sent = [receipt(first), receipt(second)];
        // Whichever came second: the turn that it was to join is over, so it waits its turn.
        let mut deliveries = sent.each_ref().map(|s| s["delivery"].as_str().unwrap());
        deliveries.sort_unstable();
        assert_eq!(deliveries, ["queued", "submitted"]);
        let own = sent.each_ref().map(|s| s["turn"].as_str().unwrap().to_owned());
        for turn in ["t1", "t2", "t3", "t4"] {
            dsx.run(["wait", &id, "--turn", turn, "--timeout", "50"]).expect_code(0);
        }
        assert_eq!(text_of(dsx, &id, "t1"), "half and half");
        assert_eq!(text_of(dsx, &id, "t2"), "queued");
        assert_eq!(text_of(dsx, &id, &own[0]), "first");
        assert_eq!(text_of(dsx, &id, &own[1]), "more and more");
        assert!(turns(server).iter().all(|t| t.len() == 1), "{:?}", turns(server));
        crash::kill_supervisor(dsx);
        let again = receipt(sending(dsx, &id, &["--steer", "say first", "--key", "k"]));
        assert_eq!(again["turn"].as_str(), Some(own[0].as_str()));
        assert_eq!(answer(dsx, &id, "say next"), "next");
    });
}

#[test]
fn a_stop_while_a_message_joins_leaves_it_a_turn_of_its_own() {
    with_each_claude("a_stop_while_a_message_joins_leaves_it_a_turn_of_its_own", |dsx, server| {
        let id = create(dsx, &[]);
        dsx.run(["send", &id, "hold stream half and half"]).expect_code(0);
        server.held("stream");
        let joining = sending(dsx, &id, &["--steer", "say goes on"]);
        is_behind(dsx, &id);
        dsx.run(["interrupt", &id]).expect_code(0);
        let sent = receipt(joining);
        assert_eq!((&sent["delivery"], &sent["turn"]), (&"submitted".into(), &"t2".into()));
        dsx.run(["wait", &id, "--turn", "t1"]).expect_code(5);
        dsx.run(["wait", &id, "--turn", "t2", "--timeout", "50"]).expect_code(0);
        assert_eq!(text_of(dsx, &id, "t2"), "goes on");
    });
}

#[test]
fn a_line_joins_the_program_that_reads() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--", "bash", "--norc"]);
    let begun = fifo(&home, "begun");
    dsx.run(["send", &id, "echo x > begun; sed -u 's/^/got /; 1q'"]).expect_code(0);
    heard(&begun);
    dsx.run(["send", &id, "echo after"]).expect_code(0);
    let joined = receipt(sending(&dsx, &id, &["--steer", "hello"]));
    assert_eq!((&joined["delivery"], &joined["turn"]), (&"absorbed".into(), &"t1".into()));
    dsx.run(["wait", &id, "--turn", "t2"]).expect_code(0);
    assert!(text_of(&dsx, &id, "t1").contains("got hello"));
    assert_eq!(text_of(&dsx, &id, "t2"), "after");
    // The other way is Ctrl-C.
    dsx.run(["send", &id, "echo x > begun; sleep 3600"]).expect_code(0);
    heard(&begun);
    let sent = receipt(sending(&dsx, &id, &["--interrupt", "echo instead"]));
    assert_eq!((&sent["turn"], &sent["interrupted"]), (&"t5".into(), &"t4".into()));
    dsx.run(["wait", &id]).expect_code(0);
    assert_eq!(text_of(&dsx, &id, "t5"), "instead");
}

#[test]
fn the_demo_agent_keeps_what_is_to_join_for_later() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &id, "slow 2 first"]).expect_code(0);
    dsx.run(["send", &id, "say queued"]).expect_code(0);
    let sent = receipt(sending(&dsx, &id, &["--steer", "say steered"]));
    assert_eq!((&sent["delivery"], &sent["turn"]), (&"submitted".into(), &"t3".into()));
    dsx.run(["wait", &id, "--turn", "t2", "--timeout", "50"]).expect_code(0);
    assert_eq!(text_of(&dsx, &id, "t1"), "first");
    assert_eq!((text_of(&dsx, &id, "t2"), text_of(&dsx, &id, "t3")), ("queued".into(), "steered".into()));
}

#[test]
fn a_second_interrupting_message_waits_behind_the_first() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    dsx.run(["send", &id, "slow 3600 never"]).expect_code(0);
    dsx.run(["send", &id, "say queued"]).expect_code(0);
    let both = ["say one", "say two"].map(|text| sending(&dsx, &id, &["--interrupt", text]));
    let both = both.map(receipt);
    dsx.run(["wait", &id, "--turn", "t1"]).expect_code(5);
    for turn in ["t2", "t3", "t4"] {
        let how = settled(dsx.run(["wait", &id, "--turn", turn, "--json"]));
        assert!(["ended", "interrupted"].contains(&how["outcome"].as_str().unwrap()), "{how}");
    }
    // Each says what it stopped; neither has stopped what it did not meet.
    assert!(both.iter().any(|sent| sent["interrupted"] == "t1"), "{both:?}");
    assert_eq!(text_of(&dsx, &id, "t2"), "queued");
}

#[test]
fn the_ways_exclude_each_other() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    for two in [["--queue", "--steer"], ["--queue", "--interrupt"], ["--interrupt", "--steer"]] {
        dsx.run(["send", &id, "say x", two[0], two[1]]).expect_code(2);
        dsx.run(["ask", &id, "say x", two[0], two[1]]).expect_code(2);
    }
    dsx.run(["send", &id, "say x", "--timeout", "-1"]).expect_code(2);
    assert_eq!(dsx.run(["ask", &id, "--interrupt", "say x"]).expect_code(0).line(), "x");
    assert_eq!(dsx.run(["ask", &id, "--steer", "say y"]).expect_code(0).line(), "y");
}

#[test]
fn a_message_that_nothing_confirms_is_an_error_and_lost() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo"]);
    // It is typed, and the program that should take it stands still for good.
    let pid = dsx.json(["list"])[0]["pid"].as_i64().unwrap();
    crash::stop(i32::try_from(pid).unwrap());
    let sent = dsx.call(["send", &id, "say x", "--json"]).deadline(2 * DEADLINE).run().expect_code(1);
    let told = error(&sent);
    assert_eq!(told["kind"], "failed");
    assert!(told["message"].as_str().unwrap().contains("unconfirmed"), "{told}");
    let how = settled(dsx.run(["wait", &id, "--turn", "t1", "--json"]).expect_code(5));
    assert_eq!(how["outcome"], "lost");
    assert!(how["error"].as_str().unwrap().contains("unconfirmed"), "{how}");
    crash::resume(i32::try_from(pid).unwrap());
}
