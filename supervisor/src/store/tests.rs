use std::fs;

use dsx_core::{Cli, Durable, Mode, Origin, Reported, Rest, Spec};

use super::*;

fn spec(id: &str) -> Spec {
    Spec {
        id: id.to_owned(),
        cli: Cli::Demo,
        command: vec!["demo".to_owned()],
        path: "/".to_owned(),
        mode: Mode::Native,
        model: None,
        description: None,
        group: None,
        created_at: 1,
        creator: "user".to_owned(),
        depth: 0,
        conversation: None,
        agent_version: None,
        agent_home: None,
        key: None,
        dir: "/nowhere".to_owned(),

        terms: dsx_core::Terms::default(),
    }
}

fn turn(n: u64) -> Vec<Fact> {
    let turn = TurnId(n);
    let text = format!("answer {n}");
    vec![
        Fact::Queued {
            turn,
            text: format!("request {n}"),
            key: None,
            origin: Origin::Send,
            typed: None,
            command: false,
            prompt: None,
            behind: None,
            as_of: 0,
            steer: None,
            stops: None,
        },
        Fact::Ended { turn, outcome: Outcome::Ended, text: Some(text), error: None, shells: false },
    ]
}

#[tokio::test]
async fn facts_come_back_in_order_and_old_texts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dsx.db");
    let (store, opened) = Store::open(&path, 0).unwrap();
    assert_eq!(opened, Opened::default());
    store.append("a", 1, vec![Fact::Created(Box::new(spec("a")))]).await.unwrap();
    for n in 1..=300 {
        store.append("a", 1 + n, turn(n)).await.unwrap();
    }
    store.append("b", 9, vec![Fact::Created(Box::new(spec("b")))]).await.unwrap();
    let newest = store.messages("a", Which::Ended(2)).await.unwrap();
    assert_eq!(
        newest.iter().map(|m| m.text.as_deref().unwrap()).collect::<Vec<_>>(),
        ["answer 299", "answer 300"]
    );
    let first = store.messages("a", Which::One(TurnId(1))).await.unwrap();
    assert_eq!(first[0].text.as_deref(), Some("answer 1"));

    drop(store);
    let (store, _) = Store::open(&path, 0).unwrap();
    let all = store.load().await.unwrap();
    let (id, history) = &all[0];
    assert_eq!((id.as_str(), all.len()), ("a", 2));
    assert!(history.len() < 1 + 2 * 300, "old turns' facts are dropped");
    let state = Durable::replay(history.iter().map(|(at, f)| (*at, f))).unwrap();
    assert_eq!(state.next_turn, 301);
    store.remove("a").await.unwrap();
    assert_eq!(store.load().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dsx.db");
    fs::write(&path, "this is no database, and it is long enough to be read as one".repeat(100)).unwrap();
    let (store, opened) = Store::open(&path, 77).unwrap();
    let aside = opened.set_aside.unwrap();
    assert!(fs::read_to_string(&aside).unwrap().starts_with("this is no database"));
    assert!(aside.to_string_lossy().ends_with("corrupt-77"));
    assert!(store.load().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_of_a_newer_dsx_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE later (x); PRAGMA user_version = 99;").unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path, 0).unwrap_err();
    assert!(error.to_string().contains("newer dsx"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_fact_that_cannot_be_read_costs_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dsx.db");
    let (store, _) = Store::open(&path, 0).unwrap();
    store.append("a", 1, vec![Fact::Created(Box::new(spec("a"))), Fact::Ready]).await.unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let newer = "INSERT INTO facts (session, at, body) VALUES ('a', 2, '{\"fact\":\"of_a_newer_version\"}')";
    connection.execute(newer, []).unwrap();
    drop(connection);
    let (store, _) = Store::open(&path, 0).unwrap();
    store.append("a", 3, vec![Fact::Ready]).await.unwrap();
    assert_eq!(
        store.load().await.unwrap(),
        [("a".to_owned(), vec![(1, Fact::Created(Box::new(spec("a")))), (1, Fact::Ready), (3, Fact::Ready)])]
    );
}

#[tokio::test]
async fn what_a_program_reports_over_and_over_is_not_kept_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&dir.path().join(FILE), 0).unwrap();
    store.append("a", 1, vec![Fact::Created(Box::new(spec("a")))]).await.unwrap();
    for at in 0..200 {
        let said = if at % 2 == 0 { Reported::Working } else { Reported::Resting(Rest::Done) };
        store.append("a", 2 + at, vec![Fact::Reported { said }]).await.unwrap();
    }
    let all = store.load().await.unwrap();
    let (_, history) = &all[0];
    assert!(history.len() < 40, "{}", history.len());
    assert_eq!(history.last().map(|(at, _)| *at), Some(201));
}

fn told(page: &Page) -> Vec<(u64, &str, &str)> {
    page.events.iter().map(|r| (r.event.cursor, r.event.session.as_str(), r.event.what.as_str())).collect()
}

#[tokio::test]
async fn events_are_written_with_their_facts_and_outlive_their_session() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let (store, _) = Store::open(&path, 0).unwrap();
    let mut pushed = store.subscribe();
    store.append("a", 1, vec![Fact::Created(Box::new(spec("a"))), Fact::Ready]).await.unwrap();
    let child = Spec { creator: "a".to_owned(), ..spec("b") };
    store.append("b", 2, vec![Fact::Created(Box::new(child))]).await.unwrap();
    store.append("a", 3, turn(1)).await.unwrap();
    store.append("a", 4, vec![Fact::Reported { said: Reported::Working }]).await.unwrap();
    store.remove("a").await.unwrap();
    store.remove("a").await.unwrap();
    let expected = [
        (1, "a", "created"),
        (2, "a", "ready"),
        (3, "b", "created"),
        (4, "a", "queued"),
        (5, "a", "ended"),
        (6, "a", "removed"),
    ];
    let page = store.events(0, None).await.unwrap();
    assert_eq!((told(&page), page.more), (expected.to_vec(), false));
    assert_eq!(page.events[2].line, ["a", "user"]);
    assert_eq!(page.events[3].event.at, 3);
    // What is pushed is the same, once each.
    for stored in &page.events {
        assert_eq!(*pushed.recv().await.unwrap(), *stored);
    }
    drop(store);
    let (store, _) = Store::open(&path, 0).unwrap();
    assert_eq!(
        told(&store.events(2, Some("a".to_owned())).await.unwrap()),
        [expected[3], expected[4], expected[5]]
    );
    // A namesake begins behind what was told of the first.
    store.append("a", 9, vec![Fact::Created(Box::new(spec("a")))]).await.unwrap();
    let kept = store.kept(vec!["a".to_owned()]).await.unwrap();
    assert_eq!(kept, Kept { oldest: 1, newest: 7, floor: 6 });
    assert_eq!(store.kept(Vec::new()).await.unwrap().floor, 0);
}

#[tokio::test]
async fn a_prompt_is_told_once_and_its_answer_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&dir.path().join(FILE), 0).unwrap();
    let prompt = |text: &str| {
        let prompt =
            dsx_protocol::Prompt { id: "p1".to_owned(), text: text.to_owned(), ..Default::default() };
        Fact::PromptOpened(Box::new(prompt))
    };
    let closed =
        || Fact::PromptClosed { prompt: "p1".to_owned(), by: "keys".to_owned(), as_of: 0, answer: None };
    for (at, text) in [(1, "one"), (2, "two")] {
        // Two sessions of one name, each with its first prompt.
        let facts = vec![Fact::Created(Box::new(spec("a"))), prompt(text), prompt("more"), closed()];
        store.append("a", at, facts).await.unwrap();
        store.remove("a").await.unwrap();
    }
    let page = store.events(0, None).await.unwrap();
    let whats: Vec<&str> = page.events.iter().map(|r| r.event.what.as_str()).collect();
    assert_eq!(whats, ["created", "prompt", "changed", "answered", "removed"].repeat(2));
    let answered = &page.events[8].event;
    assert_eq!(
        (answered.by.as_deref(), answered.prompt.as_ref().unwrap().text.as_str()),
        (Some("keys"), "more")
    );
}

#[tokio::test]
async fn old_events_go_and_cursors_are_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let (store, _) = Store::open(&path, 0).unwrap();
    for _ in 0..3 {
        store.append("a", 1, vec![Fact::Ready; 5_000]).await.unwrap();
    }
    assert_eq!(store.kept(Vec::new()).await.unwrap(), Kept { oldest: 5_001, newest: 15_000, floor: 0 });
    let page = store.events(0, None).await.unwrap();
    assert_eq!((page.events[0].event.cursor, page.more), (5_001, true));
    drop(store);
    Connection::open(&path).unwrap().execute("DELETE FROM events", []).unwrap();
    let (store, _) = Store::open(&path, 0).unwrap();
    assert_eq!(store.kept(Vec::new()).await.unwrap(), Kept { oldest: 15_001, newest: 15_000, floor: 0 });
    store.append("a", 1, vec![Fact::Ready]).await.unwrap();
    assert_eq!(store.events(0, None).await.unwrap().events[0].event.cursor, 15_001);
}

#[tokio::test]
async fn a_transcript_is_found_with_the_turns_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&dir.path().join(FILE), 0).unwrap();
    let conversation =
        |path: Option<&str>| Fact::Conversation { id: "c".to_owned(), transcript: path.map(str::to_owned) };
    let known = |n: u64, prompt: &str| Fact::Known {
        turn: TurnId(n),
        prompt: Some(prompt.to_owned()),
        goes_on: false,
        as_of: 0,
    };
    store.append("a", 1, vec![Fact::Created(Box::new(spec("a"))), conversation(None)]).await.unwrap();
    for path in ["/one", "/one", "/two"] {
        store.append("a", 2, vec![conversation(Some(path))]).await.unwrap();
    }
    let asked = vec![turn(1).remove(0), known(1, "p1"), turn(2).remove(0), known(2, "p2")];
    store.append("a", 3, asked).await.unwrap();
    let all = store.written("a", None).await.unwrap();
    assert_eq!(all.paths, ["/one", "/two"]);
    assert_eq!(all.prompts, [(TurnId(1), "p1".to_owned()), (TurnId(2), "p2".to_owned())]);
    let key = dsx_core::adapter::text_key;
    assert_eq!(all.texts, [(TurnId(1), key("request 1")), (TurnId(2), key("request 2\n"))]);
    assert_eq!(store.written("a", Some(TurnId(1))).await.unwrap().texts, all.texts[1..]);
    let answered = store.answered("a", TurnId(2)).await.unwrap();
    assert_eq!((answered.len(), answered[0].asked_at, &answered[0].outcome), (1, Some(3), &None));
}
