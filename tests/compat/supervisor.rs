//! The real supervisor, spoken to by peers that get it wrong. It answers with an error or closes; it never dies, and
//! whoever else is connected notices nothing.

use std::path::PathBuf;

use dsx_protocol::{ErrorKind, Frame, Hello, Kind, List, Reply, Request, body, decode, encode};
use dsx_tests::dsx::Dsx;
use dsx_tests::home::Home;

use crate::peer::{Peer, expect_kind};
use crate::raw::Raw;

/// A supervisor that serves, and somebody who is connected to it from before to after.
struct Served<'h> {
    dsx: Dsx<'h>,
    socket: PathBuf,
    bystander: Peer,
    pid: u32,
}

impl<'h> Served<'h> {
    fn start(home: &'h Home) -> Self {
        let dsx = Dsx::new(home, env!("CARGO_BIN_EXE_dsx-under-test"));
        dsx.run(["list"]).expect_code(0);
        let socket = home.dsx_home().join("sock");
        let mut bystander = Peer::greeted(&socket);
        let pid = bystander.status(1);
        Self { dsx, socket, bystander, pid }
    }

    /// The same process serves those who were there and those who come.
    #[track_caller]
    fn lives_on(&mut self) {
        assert_eq!(self.bystander.status(2), self.pid);
        assert_eq!(Peer::greeted(&self.socket).status(3), self.pid);
        self.dsx.run(["list"]).expect_code(0);
    }
}

fn fields(pairs: &[(&str, Raw)]) -> Raw {
    Raw::Map(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

#[test]
fn garbage_ends_its_own_connection_only() {
    let home = Home::new();
    let mut served = Served::start(&home);
    // As a length this is far over every cap.
    let mut peer = Peer::connect(&served.socket);
    peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (channel, error) = peer.error();
    expect_kind(&error, ErrorKind::Usage);
    assert_eq!(channel, 0);
    peer.closed();
    // After a proper beginning too.
    let mut peer = Peer::greeted(&served.socket);
    peer.write(&[0xff; 10_000]);
    expect_kind(&peer.error().1, ErrorKind::Usage);
    peer.closed();
    served.lives_on();
}

#[test]
fn an_oversized_frame_is_refused_by_its_header() {
    let home = Home::new();
    let mut served = Served::start(&home);
    for kind in [Kind::Hello, Kind::Request, Kind::Input, Kind::Unknown(99)] {
        let mut peer = Peer::greeted(&served.socket);
        let mut header = u32::try_from(kind.cap() + 1).unwrap().to_be_bytes().to_vec();
        header.push(kind.code());
        header.extend(5_u32.to_be_bytes());
        // No byte of the body comes, and the answer does not wait for any.
        peer.write(&header);
        let (_, error) = peer.error();
        expect_kind(&error, ErrorKind::Usage);
        assert!(error.message.contains("over its limit"), "{error:?}");
        peer.closed();
    }
    served.lives_on();
}

#[test]
fn a_frame_that_stops_in_the_middle_is_the_end() {
    let home = Home::new();
    let mut served = Served::start(&home);
    let whole = encode(Kind::Hello, 0, &body(&Hello::ours()).unwrap()).unwrap();
    for cut in [1, 8, 9, whole.len() - 1] {
        let mut peer = Peer::connect(&served.socket);
        peer.write(&whole[..cut]);
        peer.end();
        peer.closed();
    }
    // Byte by byte it is a frame like any other.
    let mut peer = Peer::connect(&served.socket);
    for byte in whole {
        peer.write(&[byte]);
    }
    assert_eq!(peer.frame().unwrap().kind, Kind::Hello);
    served.lives_on();
}

#[test]
fn the_first_frame_must_be_a_hello() {
    let home = Home::new();
    let mut served = Served::start(&home);
    let mut peer = Peer::connect(&served.socket);
    peer.send(Kind::Request, 9, &Request::List(List { all: true, ..List::default() }));
    let (channel, error) = peer.error();
    expect_kind(&error, ErrorKind::Usage);
    assert_eq!((channel, error.message.contains("hello")), (9, true));
    peer.closed();
    // A hello that is none.
    let mut peer = Peer::connect(&served.socket);
    peer.send(Kind::Hello, 0, &fields(&[("max", Raw::Text("one".into()))]));
    expect_kind(&peer.error().1, ErrorKind::Usage);
    peer.closed();
    served.lives_on();
}

#[test]
fn a_version_too_far_away_is_told_as_such() {
    let home = Home::new();
    let mut served = Served::start(&home);
    for (min, max) in [(2, 9), (0, 0), (u32::MAX, u32::MAX), (9, 1)] {
        let mut peer = Peer::connect(&served.socket);
        let hello = Hello { min, max, version: "9.9.9".to_owned(), capabilities: Vec::new() };
        peer.send(Kind::Hello, 0, &hello);
        let (channel, error) = peer.error();
        expect_kind(&error, ErrorKind::Unavailable);
        assert_eq!((channel, error.kind.exit_code()), (0, 8));
        assert!(error.message.contains("9.9.9"), "{error:?}");
        peer.closed();
    }
    // A newer one that still speaks ours, with abilities that we have never heard of.
    let mut peer = Peer::connect(&served.socket);
    let hello = fields(&[
        ("of_tomorrow", Raw::Map(Vec::new())),
        ("capabilities", Raw::List(vec![Raw::Text("telepathy".into())])),
        ("max", Raw::Number(9)),
        ("min", Raw::Number(1)),
    ]);
    peer.send(Kind::Hello, 0, &hello);
    let theirs: Hello = decode(&peer.frame().unwrap().body).unwrap();
    assert_eq!(theirs, Hello::ours());
    assert_eq!(peer.status(1), served.pid);
    served.lives_on();
}

#[test]
fn a_bad_request_costs_one_error_on_its_channel() {
    let home = Home::new();
    let mut served = Served::start(&home);
    let mut peer = Peer::greeted(&served.socket);
    let list = body(&Request::List(List::default())).unwrap();
    let bad: [&[u8]; 5] = [
        b"",
        b"\xc1",
        b"verb=list",
        &[list.as_slice(), b"\xc0"].concat(),
        &[0x81, 0xa1, b'x'].repeat(100_000),
    ];
    for (n, bytes) in (10..).zip(bad) {
        peer.write(&encode(Kind::Request, n, bytes).unwrap());
        let (channel, error) = peer.error();
        expect_kind(&error, ErrorKind::Usage);
        assert_eq!(channel, n);
    }
    // A verb of a newer client.
    peer.send(Kind::Request, 20, &fields(&[("verb", Raw::Text("teleport".into())), ("to", Raw::Nil)]));
    let (channel, error) = peer.error();
    expect_kind(&error, ErrorKind::Usage);
    assert!(channel == 20 && error.hint.unwrap().contains("older"));
    // After all that the connection is as good as new.
    assert_eq!(peer.status(21), served.pid);
    served.lives_on();
}

#[test]
fn what_a_newer_client_adds_is_skipped() {
    let home = Home::new();
    let mut served = Served::start(&home);
    let mut peer = Peer::greeted(&served.socket);
    // Kinds of frames that we do not know, or that only a supervisor sends.
    for kind in
        [Kind::Unknown(0), Kind::Unknown(8), Kind::Unknown(255), Kind::Reply, Kind::Event, Kind::Output]
    {
        peer.write(&encode(kind, 3, &[0xc1; 1_000]).unwrap());
    }
    // Keys for a terminal that is not attached.
    peer.write(&encode(Kind::Input, 3, b"rm -rf /\r").unwrap());
    // The verb last, among fields that we do not know.
    let list = fields(&[
        ("of_tomorrow", Raw::List(vec![Raw::Bytes(vec![1, 2, 3])])),
        ("all", Raw::Bool(true)),
        ("verb", Raw::Text("list".into())),
    ]);
    peer.send(Kind::Request, 4, &list);
    let Frame { kind, channel, body } = peer.frame().unwrap();
    assert_eq!((kind, channel), (Kind::Reply, 4));
    assert!(matches!(decode(&body), Ok(Reply::Sessions(_))));
    served.lives_on();
}

#[test]
fn a_peer_that_reads_nothing_holds_up_nobody() {
    let home = Home::new();
    let mut served = Served::start(&home);
    let mut deaf = Peer::greeted(&served.socket);
    let list =
        encode(Kind::Request, 1, &body(&Request::List(List { all: true, ..List::default() })).unwrap())
            .unwrap();
    // More answers than its socket and its outbox hold.
    deaf.write(&list.repeat(20_000));
    served.lives_on();
}
