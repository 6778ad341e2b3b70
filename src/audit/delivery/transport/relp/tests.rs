//! Against a server of our own, which answers as a case says; the real one is in `tests/it`.

use super::*;
use crate::audit::delivery::transport;
use crate::net::http::HttpOptions;
use crate::net::target::Target;
use crate::net::testing::serve;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const WELCOME: &str = "200 OK\nrelp_version=0\nrelp_software=x\ncommands=syslog";

/// What a server has taken, in order.
type Book = Arc<Mutex<Vec<String>>>;

/// A server that answers to each frame what the function says of its command, data, and the number of the connection; an
/// empty answer is none, and `-` ends the connection.
fn server(book: &Book, answer: impl Fn(&str, &str, usize) -> String + Send + Sync + 'static) -> Box<dyn Sink> {
    let book = Arc::clone(book);
    let port = serve(move |peer, n| session(peer, &book, |command, data| answer(command, data, n)));
    let mut o = HttpOptions::new(Target::parse(&format!("relp://127.0.0.1:{port}"), &transport::schemes()).unwrap());
    (o.timeouts.first_byte, o.timeouts.connect) = (Duration::from_millis(500), Duration::from_millis(500));
    transport::open(&Route::new(o, Vec::new())).unwrap()
}

fn session(mut peer: TcpStream, book: &Book, answer: impl Fn(&str, &str) -> String) {
    let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = peer.read(&mut chunk) {
        heard.extend_from_slice(&chunk[..n]);
        while let Read::Whole(frame, n) = frame::read(&heard) {
            heard.drain(..n);
            let data = String::from_utf8(frame.data).unwrap();
            let said = answer(&frame.command, &data);
            if said == "-" {
                return;
            }
            if said.starts_with("200") && frame.command == "syslog" {
                book.lock().unwrap().push(data);
            }
            let mut out = Vec::new();
            match said.strip_prefix("raw:") {
                Some(raw) => out.extend_from_slice(raw.as_bytes()),
                None if said.is_empty() => {}
                None => frame::push(&mut out, frame.number, "rsp", said.as_bytes()),
            }
            peer.write_all(&out).unwrap();
        }
    }
}

fn usual(command: &str) -> String {
    if command == "open" {
        WELCOME.into()
    } else {
        "200 OK".into()
    }
}

fn send(sink: &mut Box<dyn Sink>, events: &[String]) -> Delivery {
    let mut at = 0;
    let place = |e: &String| {
        at += e.len();
        at - e.len()..at
    };
    let places: Vec<_> = events.iter().map(place).collect();
    let (bytes, wall) = (events.concat().into_bytes(), SystemTime::UNIX_EPOCH);
    let ids = (&bytes[..], &places[..]);
    sink.deliver(&Parcel { bytes: &bytes, events: &places, ids, content_type: "", key: "", node: None, wall })
}

fn events(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("event {n}")).collect()
}

#[test]
fn a_session_takes_parcel_after_parcel() {
    let book = Book::default();
    let mut sink = server(&book, |command, _, n| if n > 0 { "-".into() } else { usual(command) });
    for part in [0..1, 1..1_000, 1_000..1_003] {
        let d = send(&mut sink, &events(part.start, part.end));
        assert_eq!((d.taken, d.stop), (part.len(), None));
    }
    assert_eq!(*book.lock().unwrap(), events(0, 1_003));
    sink.rest();
}

#[test]
fn what_has_no_answer_is_not_taken_and_comes_again() {
    let book = Book::default();
    let mut sink = server(&book, |command, data, n| match data {
        "event 5" if n == 0 => "-".into(),
        _ => usual(command),
    });
    let d = send(&mut sink, &events(0, 10));
    assert_eq!((d.taken, d.stop.unwrap().why), (5, Why::Unanswered(FailureKind::Closed)));
    let d = send(&mut sink, &events(5, 10));
    assert_eq!((d.taken, d.stop), (5, None));
    assert_eq!(*book.lock().unwrap(), events(0, 10));
}

#[test]
fn a_refusal_is_about_one_message_and_those_behind_it_are_remembered() {
    let book = Book::default();
    let mut sink = server(&book, |command, data, _| match data {
        "event 2" => String::new(),
        "event 4" => "500 no room".into(),
        _ => usual(command),
    });
    let d = send(&mut sink, &events(0, 6));
    let stop = d.stop.unwrap();
    // The third has no answer, so it is not known whether it was taken; the fourth was.
    assert_eq!((d.taken, stop.why, stop.said.words().as_str()), (2, Why::NotNow(None), "answered 500: no room"));
    assert_eq!((stop.about, d.also), (About::Rest, vec![(3, Verdict::Taken)]));
    let mut sink = server(&book, |command, data, _| match data {
        "event 1" => "500 no room".into(),
        _ => usual(command),
    });
    let d = send(&mut sink, &events(0, 3));
    assert_eq!((d.taken, d.stop.unwrap().about), (1, About::Next));
}

#[test]
fn who_is_no_server_of_relp_is_told() {
    let book = Book::default();
    for (answer, why, word) in [
        ("raw:HTTP/1.1 400 Bad Request\r\n\r\n", Why::Configuration, "speaks HTTP"),
        ("raw:\x15\x03\x01", Why::Configuration, "speaks TLS"),
        ("500 who are you", Why::Configuration, "who are you"),
        ("200 OK\nrelp_version=0\ncommands=other", Why::Configuration, "takes no syslog"),
        ("oh", Why::Configuration, "does not answer `open`"),
        ("", Why::NotSent(FailureKind::Timeout), "--connect-timeout"),
        ("-", Why::NotSent(FailureKind::Closed), "closed"),
    ] {
        let mut sink = server(&book, move |_, _, _| answer.into());
        let stop = send(&mut sink, &events(0, 2)).stop.unwrap();
        assert!(stop.why == why && stop.said.words().contains(word), "{answer:?}: {stop:?}");
    }
}

#[test]
fn a_session_in_disorder_is_begun_anew() {
    let book = Book::default();
    for (answer, word) in [
        ("raw:99 rsp 6 200 OK\n", "nobody has asked"),
        ("raw:2 rsp 6 200 OK\n2 rsp 6 200 OK\n", "nobody has asked"),
        ("raw:0 serverclose 0\n", "the server closed the session"),
        ("", "--first-byte-timeout"),
    ] {
        let mut sink = server(&book, move |command, _, n| match command {
            "syslog" if n == 0 => answer.into(),
            _ => usual(command),
        });
        let d = send(&mut sink, &events(0, 3));
        let stop = d.stop.unwrap();
        assert!(stop.said.text.contains(word) && d.taken <= 1, "{answer}: {stop:?}");
        assert_eq!(send(&mut sink, &events(d.taken, 3)).stop, None);
    }
}
