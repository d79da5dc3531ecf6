//! The real client, answered by supervisors of another version: it says so with exit code 8, or gets along.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::thread;

use dsx_protocol::{ErrorKind, Hello, Kind, Sessions, Summary, WireError, body, encode};
use dsx_tests::dsx::{Dsx, Output};
use dsx_tests::home::Home;

use crate::peer::Peer;
use crate::raw::Raw;

/// Serves a home's socket in the place of a supervisor. Its thread lasts as long as the test.
fn serve(home: &Home, talk: impl Fn(&mut Peer) + Send + 'static) {
    let dir = home.dsx_home();
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    let listener = UnixListener::bind(dir.join("sock")).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut peer = Peer::over(stream.unwrap());
            talk(&mut peer);
            // What the client still says is read, so that it is not cut off by a reset.
            peer.end();
            while peer.frame().is_some() {}
        }
    });
}

fn dsx(home: &Home) -> Dsx<'_> {
    Dsx::new(home, env!("CARGO_BIN_EXE_dsx-under-test"))
}

fn far() -> Hello {
    Hello { min: 7, max: 9, version: "9.9.9".to_owned(), capabilities: Vec::new() }
}

/// Each verb that asks the supervisor something.
fn every_verb(dsx: &Dsx<'_>) -> Vec<Output> {
    let verbs: [&[&str]; 8] = [
        &["list"],
        &["status", "x"],
        &["send", "x", "text"],
        &["wait", "x"],
        &["create", "--cli", "demo"],
        &["last-message", "x"],
        &["kill", "x"],
        &["supervisor", "status"],
    ];
    verbs.into_iter().map(|args| dsx.run(args)).collect()
}

#[test]
fn a_supervisor_too_far_away_is_exit_code_8() {
    let home = Home::new();
    serve(&home, |peer| peer.send(Kind::Hello, 0, &far()));
    let dsx = dsx(&home);
    for said in every_verb(&dsx) {
        let said = said.expect_code(8);
        assert!(said.stderr.contains("9.9.9") && said.stderr.contains("supervisor stop"), "{said:?}");
        assert_eq!(said.stdout, "");
    }
    let json = dsx.run(["list", "--json"]).expect_code(8);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"]["kind"], "unavailable");
    let doctor = dsx.run(["doctor"]).expect_code(1);
    assert!(doctor.stdout.contains("9.9.9"), "{doctor:?}");
}

#[test]
fn a_supervisor_that_refuses_our_version_is_exit_code_8() {
    let home = Home::new();
    serve(&home, |peer| {
        let error = WireError::new(ErrorKind::Unavailable, "your dsx is too old").hint("install 9.9.9");
        peer.send(Kind::Error, 0, &error);
    });
    for said in every_verb(&dsx(&home)) {
        let said = said.expect_code(8);
        assert!(said.stderr.contains("too old") && said.stderr.contains("install 9.9.9"), "{said:?}");
    }
}

#[test]
fn a_supervisor_that_talks_nonsense_is_exit_code_8() {
    for nonsense in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0, 0, 0, 1, 1, 0, 0, 0, 0, 0xc1]] {
        let home = Home::new();
        let bytes = nonsense.to_vec();
        serve(&home, move |peer| peer.write(&bytes));
        let said = dsx(&home).run(["list"]).expect_code(8);
        assert!(said.stderr.contains("cannot be understood"), "{said:?}");
    }
}

/// A hello and one reply to the first request, which has the channel 1.
fn answer(peer: &mut Peer, reply: &Raw) {
    peer.send(Kind::Hello, 0, &Hello { max: 9, ..Hello::ours() });
    // A frame and an event of tomorrow come first.
    peer.write(&encode(Kind::Unknown(77), 1, b"anything").unwrap());
    peer.send(Kind::Event, 1, &Raw::Map(vec![("event".into(), Raw::Text("of_tomorrow".into()))]));
    peer.send(Kind::Reply, 1, reply);
}

#[test]
fn what_a_newer_supervisor_adds_is_skipped() {
    let home = Home::new();
    serve(&home, |peer| {
        let session = Summary { id: "fizz-top".into(), status: "of_tomorrow".into(), ..Summary::default() };
        let sessions = Sessions { sessions: vec![session], warnings: Vec::new() };
        let raw: Raw =
            dsx_protocol::decode(&body(&dsx_protocol::Reply::Sessions(sessions)).unwrap()).unwrap();
        answer(peer, &raw.with_maps(&|fields| fields.insert(0, ("of_tomorrow".into(), Raw::Nil))));
    });
    let list = dsx(&home).json(["list"]);
    assert_eq!((&list[0]["id"], &list[0]["status"]), (&"fizz-top".into(), &"of_tomorrow".into()));
}

#[test]
fn an_answer_of_tomorrow_is_exit_code_8() {
    let home = Home::new();
    let reply = Raw::Map(vec![("reply".into(), Raw::Text("of_tomorrow".into()))]);
    serve(&home, move |peer| answer(peer, &reply));
    let said = dsx(&home).run(["list"]).expect_code(8);
    assert!(said.stderr.contains("does not know"), "{said:?}");
}
