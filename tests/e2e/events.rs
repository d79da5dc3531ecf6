//! What happened, replayed and followed.

use dsx_tests::crash::kill_supervisor;
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use dsx_tests::lines::Lines;
use serde_json::Value;

use crate::job::{answer, create, dsx, error};

const DEMO: [&str; 2] = ["--cli", "demo"];

/// All that is kept.
fn replay(dsx: &Dsx<'_>, args: &[&str]) -> Vec<Value> {
    let said = dsx.run(["events", "--json"].iter().chain(args)).expect_code(0);
    said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What happened, without when.
fn whats(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["event"].as_str().unwrap()).collect()
}

fn removed(id: &str) -> impl Fn(&Value) -> bool {
    move |e| e["event"] == "removed" && e["session"] == id
}

#[test]
fn a_turn_and_a_prompt_are_told() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &["--cli", "demo", "-d", "for a look"]);
    assert_eq!(answer(&dsx, &id, "say well"), "well");
    dsx.run(["send", &id, "ask Which? | red | blue"]).expect_code(0);
    dsx.run(["wait", &id]).expect_code(4);
    dsx.run(["keys", &id, "2"]).expect_code(0);
    let mut following = Lines::of(dsx.call(["events", "-f", "--since", "0", "--json", &id]));
    following.json_until(|e| e["event"] == "answered");
    dsx.run(["wait", &id]).expect_code(0);
    dsx.run(["kill", &id]).expect_code(0);
    let all = replay(&dsx, &[]);
    let told = whats(&all);
    let turn = ["queued", "delivering", "confirmed", "ended"];
    assert_eq!(told[..7], [&["created", "started", "ready"][..], &turn].concat(), "{told:?}");
    // Whether the agent's question is heard of before its transcript says what it took is not laid down.
    let mut second: Vec<&str> = told[7..].iter().filter(|w| **w != "changed").copied().collect();
    second[2..4].sort_unstable();
    let expected = ["queued", "delivering", "confirmed", "prompt", "answered", "ended", "exited", "removed"];
    assert_eq!(second, expected, "{told:?}");
    assert_eq!((&all[0]["by"], &all[0]["text"]), (&"user".into(), &"for a look".into()));
    assert_eq!((&all[3]["text"], &all[3]["turn"]), (&"say well".into(), &"t1".into()));
    assert_eq!((&all[6]["outcome"], &all[6]["text"]), (&"ended".into(), &"well".into()));
    let prompt = &all.iter().find(|e| e["event"] == "prompt").unwrap()["prompt"];
    assert!(prompt["text"].as_str().unwrap().contains("Which?"), "{prompt}");
    let answered = all.iter().find(|e| e["event"] == "answered").unwrap();
    assert_eq!((&answered["prompt"]["id"], &answered["turn"]), (&prompt["id"], &"t2".into()));
    for (n, event) in all.iter().enumerate() {
        assert_eq!((&event["cursor"], &event["session"]), (&(n + 1).into(), &id.as_str().into()));
        assert!(event["at"].as_str().unwrap().ends_with('Z'), "{event}");
        for field in ["turn", "outcome", "by", "text", "prompt", "exit_code"] {
            assert!(event.get(field).is_some(), "{field} is missing: {event}");
        }
    }
    // Of one that is gone the events are still there, by its id.
    assert_eq!(replay(&dsx, &[&id]), all);
    assert_eq!(replay(&dsx, &["--since", "5", &id]), all[5..]);
    let people = dsx.run(["events", &id]).expect_code(0).stdout;
    assert_eq!(people.lines().count(), all.len());
    assert!(people.lines().nth(6).unwrap().contains("ended       t1 ended: well"), "{people}");
}

#[test]
fn bad_input_is_told() {
    let home = Home::new();
    let dsx = dsx(&home);
    assert!(replay(&dsx, &[]).is_empty());
    let unknown = dsx.run(["events", "--json", "nobody-here"]).expect_code(3);
    assert_eq!(error(&unknown)["kind"], "no_session");
    let early = dsx.run(["events", "--since", "99"]).expect_code(2);
    assert!(early.stderr.contains("no event 99") && early.stderr.contains("newest is 0"), "{early:?}");
    dsx.run(["events", "--since", "soon"]).expect_code(2);
    dsx.run(["events", "-f", "--since", "1"]).expect_code(2);
}

#[test]
fn a_follower_misses_nothing_and_hears_nothing_twice_over_supervisors_that_are_killed() {
    let home = Home::new();
    let dsx = dsx(&home);
    let mut ids = vec![create(&dsx, &DEMO)];
    // One from the beginning, one from now on: of that one the first event is where it began.
    let mut from_the_start = Lines::of(dsx.call(["events", "-f", "--since", "0", "--json"]));
    let mut from_now = Lines::of(dsx.call(["events", "-f", "--json"]));
    let mut own = Lines::of(dsx.call(["events", "-f", "--json", "--since", "0", &ids[0]]));
    assert_eq!(from_the_start.json()["event"], "created");
    for n in 0..4 {
        let id = ids.last().unwrap().clone();
        dsx.run(["send", &id, &format!("slow 1 {n}")]).expect_code(0);
        // In the middle of a turn.
        kill_supervisor(&dsx);
        dsx.run(["wait", &id]).expect_code(0);
        ids.push(create(&dsx, &DEMO));
        kill_supervisor(&dsx);
        assert_eq!(answer(&dsx, &ids[0], "say x"), "x");
    }
    for id in &ids {
        dsx.run(["kill", id]).expect_code(0);
    }
    let last = ids.last().unwrap();
    let followed = from_the_start.json_until(removed(last));
    let all = replay(&dsx, &[]);
    assert_eq!(followed, all[1..], "the first was read before");
    let cursors: Vec<u64> = all.iter().map(|e| e["cursor"].as_u64().unwrap()).collect();
    assert_eq!(cursors, (1..=all.len() as u64).collect::<Vec<_>>());
    let late = from_now.json_until(removed(last));
    assert_eq!(late, all[all.len() - late.len()..]);
    let mine: Vec<Value> = all.iter().filter(|e| e["session"] == ids[0].as_str()).cloned().collect();
    assert_eq!(own.json_until(removed(&ids[0])), mine);
    assert_eq!(whats(&mine).iter().filter(|w| **w == "ended").count(), 5);
}

#[test]
fn a_session_hears_of_itself_and_of_what_it_created() {
    let home = Home::new();
    let dsx = dsx(&home);
    create(&dsx, &DEMO);
    let program = format!("DSX={}", dsx.program().display());
    let shell = create(
        &dsx,
        &["--env", &program, "--env", "PS1=$ ", "--cols", "400", "--", "bash", "--norc", "--noprofile"],
    );
    let child = answer(&dsx, &shell, "$DSX create -q --cli demo");
    answer(&dsx, &shell, &format!("$DSX ask {child} 'say from inside'"));
    answer(&dsx, &shell, &format!("$DSX kill {child}"));
    answer(&dsx, &shell, "$DSX events --json > seen");
    let seen = std::fs::read_to_string(home.project().join("seen")).unwrap();
    let seen: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all = replay(&dsx, &[]);
    let newest = seen.last().unwrap()["cursor"].as_u64().unwrap();
    let may = |e: &&Value| e["session"] == shell.as_str() || e["session"] == child.as_str();
    let mine: Vec<Value> =
        all.iter().filter(may).filter(|e| e["cursor"].as_u64().unwrap() <= newest).cloned().collect();
    assert_eq!(seen, mine);
    assert!(seen.iter().any(removed(&child)), "also of one that is gone");
    assert!(all.len() > seen.len() + 3);
}

#[test]
fn what_is_no_longer_kept_is_told() {
    let home = Home::new();
    let dsx = dsx(&home);
    let id = create(&dsx, &DEMO);
    dsx.run(["kill", &id]).expect_code(0);
    let all = replay(&dsx, &[]);
    dsx.run(["supervisor", "stop"]).expect_code(0);
    let database = rusqlite::Connection::open(home.dsx_home().join("dsx.db")).unwrap();
    database.execute("DELETE FROM events WHERE cursor <= 3", []).unwrap();
    drop(database);
    let left = replay(&dsx, &["--since", "1"]);
    assert_eq!((&left[0]["cursor"], &left[0]["expired"]), (&4.into(), &2.into()));
    assert_eq!(left[1..], all[4..]);
    let told = dsx.run(["events"]).expect_code(0);
    assert!(told.stderr.contains("3 older events are no longer kept"), "{told:?}");
}
