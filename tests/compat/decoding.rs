//! What a peer of another version, or none of ours at all, may send.

use dsx_protocol::{ErrorKind, Event, Frame, FrameError, Kind, Reply, Request, WireError, body, decode};

use crate::message::{Message, messages};
use crate::raw::{Fields, Raw};

/// Every message with its body, changed; those without MessagePack are left out.
fn changed(change: &dyn Fn(&mut Fields)) -> Vec<(Message, Frame)> {
    let bodies = messages().into_iter().filter_map(|(message, _)| {
        let raw = message.raw()?.with_maps(change);
        let frame = Frame { kind: message.kind(), channel: 1, body: body(&raw).unwrap() };
        Some((message, frame))
    });
    bodies.collect()
}

#[test]
fn raw_values_are_the_same_bytes_again() {
    for (message, frame) in changed(&|_| {}) {
        assert_eq!(frame.body, message.body(), "{}", message.name());
    }
}

#[test]
fn fields_of_a_newer_peer_are_skipped() {
    let more = |fields: &mut Fields| {
        let inner = Raw::Map(vec![("deep".into(), Raw::List(vec![Raw::Nil, Raw::Bytes(vec![0xff; 300])]))]);
        fields.insert(0, ("a_field_of_tomorrow".into(), inner));
        fields.push(("another".into(), Raw::Negative(-5)));
    };
    for (message, frame) in changed(&more) {
        assert_eq!(Message::read(&frame), Ok(message));
    }
}

#[test]
fn fields_come_in_any_order() {
    for (message, frame) in changed(&|fields| fields.reverse()) {
        assert_eq!(Message::read(&frame), Ok(message));
    }
}

#[test]
fn fields_that_are_left_out_take_their_default() {
    for (message, which) in messages() {
        let (Some(tag), Some(raw)) = (message.tag(), message.raw()) else { continue };
        if which != "default" || matches!(message, Message::Error(_)) {
            continue;
        }
        let only = Raw::Map(vec![(tag.to_owned(), raw.get(tag).unwrap().clone())]);
        let frame = Frame { kind: message.kind(), channel: 1, body: body(&only).unwrap() };
        assert_eq!(Message::read(&frame), Ok(message));
    }
}

#[test]
fn what_is_unknown_arrives_as_unknown() {
    let of = |tag: &str| {
        let fields = [(tag, Raw::Text("of_tomorrow".into())), ("session", Raw::Number(1)), ("x", Raw::Nil)];
        body(&Raw::Map(fields.map(|(n, v)| (n.to_owned(), v)).into())).unwrap()
    };
    assert_eq!(decode::<Request>(&of("verb")), Ok(Request::Unknown));
    assert_eq!(decode::<Reply>(&of("reply")), Ok(Reply::Unknown));
    assert_eq!(decode::<Event>(&of("event")), Ok(Event::Unknown));
    let error = [("kind", Raw::Text("of_tomorrow".into())), ("message", Raw::Text("why".into()))];
    let error = body(&Raw::Map(error.map(|(n, v)| (n.to_owned(), v)).into())).unwrap();
    assert_eq!(decode::<WireError>(&error), Ok(WireError::new(ErrorKind::Failed, "why")));
    assert_eq!(Kind::from_code(200), Kind::Unknown(200));
}

#[test]
fn trailing_and_missing_bytes_are_refused() {
    for (message, _) in messages() {
        if message.raw().is_none() {
            continue;
        }
        let whole = message.body();
        let read =
            |bytes: &[u8]| Message::read(&Frame { kind: message.kind(), channel: 1, body: bytes.to_vec() });
        assert_eq!(read(&[whole.as_slice(), &[0xc0]].concat()), Err(FrameError::Trailing(1)));
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{} cut at {cut}", message.name());
        }
    }
}

#[test]
fn a_field_of_another_type_is_an_error() {
    let wrong = |name: &str, value: Raw| {
        let fields = vec![("verb".to_owned(), Raw::Text("send".into())), (name.to_owned(), value)];
        decode::<Request>(&body(&Raw::Map(fields)).unwrap())
    };
    assert!(wrong("text", Raw::Text("fine".into())).is_ok());
    for value in [Raw::Number(1), Raw::Nil, Raw::List(Vec::new()), Raw::Map(Vec::new())] {
        assert!(matches!(wrong("text", value), Err(FrameError::Decode(_))));
    }
    assert!(matches!(wrong("queue", Raw::Text("true".into())), Err(FrameError::Decode(_))));
}
