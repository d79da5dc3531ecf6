//! Databases of every version there was: opened, migrated, and every session in them is what it was.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dsx_core::{Durable, Fact, Mode, Outcome, TurnState};
use dsx_protocol::TurnId;
use dsx_supervisor::store::{self, Kept, Looked, Opened, Store, Which};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;
use serde_json::Value;

/// A database made from a dump in `compat/db`, in a state directory.
fn database(dump: &str, state: &Path) -> PathBuf {
    let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/db").join(dump);
    let sql = fs::read_to_string(dump).unwrap().replace("@STATE@", state.to_str().unwrap());
    let path = state.join(store::FILE);
    rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
    path
}

/// The state of each session, by its id.
async fn sessions(store: &Store) -> Vec<(String, Durable)> {
    let all = store.load().await.unwrap().into_iter();
    all.map(|(id, history)| {
        let durable = Durable::replay(history.iter().map(|(at, fact)| (*at, fact)));
        (id, durable.expect("facts that make sense"))
    })
    .collect()
}

#[tokio::test]
async fn version_1_opens_and_means_what_it_meant() {
    let dir = tempfile::tempdir().unwrap();
    let path = database("v1.sql", dir.path());
    assert_eq!(store::look(&path), Looked::Sound { version: 1 });
    let (store, opened) = Store::open(&path, 0).unwrap();
    assert_eq!(opened, Opened::default(), "nothing was set aside");
    let all = sessions(&store).await;
    let ids: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["brand-mid", "rammus-mid", "ryze-jungle", "zed-mid"]);
    let [brand, rammus, ryze, zed] = <[_; 4]>::try_from(all).unwrap().map(|(_, durable)| durable);

    let states: Vec<TurnState> = brand.turns.iter().map(|t| t.state).collect();
    assert_eq!(states, [TurnState::Confirmed, TurnState::Queued]);
    assert_eq!((brand.spec.mode, brand.exit), (Mode::Ask, None));
    assert!(brand.ready && brand.pid == Some(4757));

    assert_eq!(rammus.exit.and_then(|e| e.status()), Some(3));
    assert_eq!(rammus.spec.command, ["/bin/sh", "-c", "echo hi; exit 3"]);

    let over: Vec<TurnState> = ryze.turns.iter().map(|t| t.state).collect();
    assert_eq!(over, [Outcome::Ended, Outcome::Failed, Outcome::Ended].map(TurnState::Over));
    assert_eq!(ryze.turns[1].error.as_deref(), Some("broken"));
    assert_eq!(ryze.turns[2].text.as_deref(), Some("gamma\nand more"));
    assert_eq!(ryze.next_turn, 4);
    assert!(ryze.keys.contains(&("once".to_owned(), TurnId(3))));
    assert_eq!(ryze.spec.group.as_deref(), Some("demos"));

    let over: Vec<TurnState> = zed.turns.iter().map(|t| t.state).collect();
    assert_eq!(over, [Outcome::Interrupted, Outcome::Lost].map(TurnState::Over));
    assert_eq!(zed.exit.and_then(|e| e.status()), Some(137));
    assert!(zed.prompts.is_empty() && zed.next_prompt == 2);
    assert_eq!((zed.spec.creator.as_str(), zed.spec.depth), ("ryze-jungle", 1));
    assert_eq!(zed.conversation.as_deref(), Some("2f0f9a52-9c3f-4b5e-8b1f-0c1f6a5f3f10"));
    assert!(zed.transcript.unwrap().ends_with("/.claude/t.jsonl"));

    let texts = store.messages("ryze-jungle", Which::Ended(9)).await.unwrap();
    assert_eq!(
        texts.iter().map(|m| m.text.as_deref().unwrap()).collect::<Vec<_>>(),
        ["alpha", "gamma\nand more"]
    );
    let second = store.messages("zed-mid", Which::One(TurnId(2))).await.unwrap();
    assert_eq!((second[0].outcome.as_str(), second[0].request.as_deref()), ("lost", Some("a tab\there")));
}

#[tokio::test]
async fn version_2_opens_and_tells_what_it_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = database("v2.sql", dir.path());
    assert_eq!(store::look(&path), Looked::Sound { version: 2 });
    let (store, opened) = Store::open(&path, 0).unwrap();
    assert_eq!(opened, Opened::default(), "nothing was set aside");
    let all = sessions(&store).await;
    let ids: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["gwen-bot", "illaoi-support"]);
    assert_eq!(all[0].1.running().map(|t| t.id), Some(TurnId(4)));
    let page = store.events(0, None).await.unwrap();
    let whats = |session: &str| -> Vec<&str> {
        let of = page.events.iter().filter(|r| r.event.session == session);
        of.map(|r| r.event.what.as_str()).collect()
    };
    assert_eq!((page.events.len(), page.more), (35, false));
    let gone =
        ["created", "started", "ready", "queued", "delivering", "confirmed", "ended", "exited", "removed"];
    assert_eq!(whats("brand-mid"), gone);
    let prompt = page.events[15].event.prompt.as_ref().unwrap();
    let labels: Vec<&str> = prompt.options.iter().map(|o| o.label.as_str()).collect();
    assert_eq!((prompt.id.as_str(), prompt.text.as_str(), labels), ("p1", "Which?", vec!["Red", "Blue"]));
    assert_eq!(page.events[17].event.text.as_deref(), Some("You chose: Blue"));
    let turns = store.answered("illaoi-support", TurnId(1)).await.unwrap();
    assert_eq!((turns.len(), turns[0].asked_at), (1, Some(1_795_171_393_008)));
    // It goes on where it was.
    store.append("gwen-bot", 1, vec![Fact::Ready]).await.unwrap();
    assert_eq!(store.kept(Vec::new()).await.unwrap(), Kept { oldest: 1, newest: 36, floor: 0 });
}

#[test]
fn a_supervisor_takes_over_a_database_of_version_1() {
    let home = Home::new();
    let state = home.dsx_home();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    database("v1.sql", &state);
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-test"));
    let said = dsx.run(["last-message", "ryze-jungle", "-n", "2"]).expect_code(0);
    assert!(said.stdout.contains("alpha") && said.stdout.contains("gamma\nand more"), "{said:?}");
    dsx.run(["wait", "ryze-jungle", "--turn", "t2"]).expect_code(5);
    dsx.run(["wait", "zed-mid", "--turn", "t1"]).expect_code(5);
    // Nothing runs any more, and nothing is typed again.
    let list = dsx.json(["list", "-a"]);
    let listed: Vec<(&str, &str)> =
        list.as_array().unwrap().iter().map(|s| (text(&s["id"]), text(&s["status"]))).collect();
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert!(listed.iter().all(|(_, status)| *status == "exited"), "{listed:?}");
    assert_eq!(dsx.json(["list"]), serde_json::json!([]));
    dsx.run(["kill", "ryze-jungle"]).expect_code(0);
    dsx.run(["status", "ryze-jungle"]).expect_code(3);
    // What happened before there were events is not told; what happens since is.
    let told = dsx.run(["events", "--json"]).expect_code(0).stdout;
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(text(&told.last().unwrap()["event"]), "removed");
    assert!(
        told.iter().any(|e| text(&e["event"]) == "exited" && text(&e["session"]) == "brand-mid"),
        "{told:?}"
    );
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn a_session_that_cannot_be_taken_over_is_unknown_and_the_others_are_there() {
    let home = Home::new();
    let state = home.dsx_home();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    database("v1.sql", &state);
    // A file lies where the session's directory belongs.
    fs::create_dir(state.join("sessions")).unwrap();
    fs::write(state.join("sessions/ryze-jungle"), "").unwrap();
    let dsx = Dsx::new(&home, env!("CARGO_BIN_EXE_dsx-under-test"));
    let said = dsx.run(["list", "-a", "--json"]).expect_code(0);
    assert!(said.stderr.contains("ryze-jungle cannot be taken over"), "{said:?}");
    let list: Value = serde_json::from_str(&said.stdout).unwrap();
    let of = |id: &str| list.as_array().unwrap().iter().find(|s| s["id"] == id).unwrap();
    assert_eq!((text(&of("ryze-jungle")["status"]), text(&of("ryze-jungle")["cli"])), ("unknown", "demo"));
    assert_eq!(text(&of("zed-mid")["status"]), "exited");
    // It can be got rid of, and stays away.
    dsx.run(["kill", "ryze-jungle"]).expect_code(0);
    dsx.run(["status", "ryze-jungle"]).expect_code(3);
    dsx.run(["supervisor", "stop"]).expect_code(0);
    assert_eq!(dsx.json(["list", "-a"]).as_array().unwrap().len(), 3);
}
