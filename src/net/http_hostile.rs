//! The client against servers that mean harm: answers nobody asked for, answers without an end, answers that come too early.
//!
//! What must hold each time: an event is never believed taken for an answer that was not for it, every request ends by
//! its deadlines, and memory stays bounded.

use super::*;
use crate::net::target::OF_HTTP;
use crate::net::testing::{read_head, read_request, serve, Authority, Duplex, Scratch, Seen};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn client(port: u16, total: Duration) -> Client {
    let mut o = HttpOptions::new(Target::parse(&format!("http://127.0.0.1:{port}/"), OF_HTTP).unwrap());
    o.timeouts = Timeouts { connect: total, send: total, first_byte: total, total };
    Client::new(o).unwrap()
}

const LONG: Duration = Duration::from_secs(10);

fn post(c: &mut Client, body: &[u8]) -> std::result::Result<Answer, Failure> {
    c.post(body, &[], SystemTime::UNIX_EPOCH)
}

/// Requests that a server has read whole, counted.
fn counted(work: impl Fn(&mut TcpStream, usize, &AtomicUsize) + Send + Sync + 'static) -> (u16, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    (serve(move |mut s, n| work(&mut s, n, &count)), read)
}

#[test]
fn an_answer_that_nobody_asked_for_is_never_the_answer_to_the_next_request() {
    // Two answers at once; then the server reads no more. The second one may not be believed for the next request.
    for more in [OK, b"HTTP/1.1 204 No Content\r\n\r\n", b"x", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let (port, read) = counted(move |s, n, count| {
            while read_request(s).is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = s.write_all(&[OK, more].concat());
                if n == 0 {
                    std::thread::sleep(LONG);
                }
            }
        });
        let mut c = client(port, Duration::from_secs(5));
        for sent in 1..=5 {
            assert_eq!(post(&mut c, b"x").unwrap().status, 200);
            assert_eq!(read.load(Ordering::SeqCst), sent, "an answer was believed for a request that nobody read");
        }
    }
    // The same when it comes a moment later, while the connection lies idle, and for a 204 that brings a body.
    for (first, more) in [(OK, OK), (b"HTTP/1.1 204 No\r\nContent-Length: 50\r\n\r\n", OK)] {
        let said = Arc::new(AtomicUsize::new(0));
        let told = said.clone();
        let (port, read) = counted(move |s, n, count| {
            while read_request(s).is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = s.write_all(first);
                std::thread::sleep(Duration::from_millis(20));
                let _ = s.write_all(more);
                told.fetch_add(1, Ordering::SeqCst);
                if n == 0 {
                    std::thread::sleep(LONG);
                }
            }
        });
        let mut c = client(port, Duration::from_secs(5));
        for sent in 1..=3 {
            assert!(post(&mut c, b"x").unwrap().is_success());
            assert_eq!(read.load(Ordering::SeqCst), sent);
            // On a busy machine it comes later than it means to.
            let begun = Instant::now();
            while said.load(Ordering::SeqCst) < sent {
                assert!(begun.elapsed() < LONG, "the server says nothing more");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

#[test]
fn a_success_that_is_said_before_the_request_was_read_is_not_believed() {
    for ending in ["stays", "closes", "had begun to say so"] {
        let port = serve(move |mut s, _| {
            read_head(&mut s);
            let (first, rest) = OK.split_at(if ending.starts_with("had") { 10 } else { OK.len() });
            let _ = s.write_all(first);
            if !rest.is_empty() {
                // It reads all that comes then.
                std::thread::sleep(Duration::from_millis(100));
                s.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
                while s.read(&mut [0; 0x10000]).is_ok_and(|n| n > 0) {}
                let _ = s.write_all(rest);
            }
            if ending == "stays" {
                std::thread::sleep(Duration::from_secs(3));
            }
        });
        let f = post(&mut client(port, LONG), &vec![b'x'; 30_000_000]).unwrap_err();
        assert!(f.kind == FailureKind::Closed && f.text.contains("before it had the whole request"), "{ending}: {f}");
    }
    // A refusal may come at any time; and the next request is judged anew.
    let port = serve(|mut s, n| {
        if n == 0 {
            read_head(&mut s);
            let _ = s.write_all(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
            std::thread::sleep(Duration::from_secs(2));
        }
        while read_request(&mut s).is_some() {
            let _ = s.write_all(OK);
        }
    });
    let mut c = client(port, LONG);
    assert_eq!(post(&mut c, &vec![b'x'; 30_000_000]).unwrap().status, 503);
    assert_eq!(post(&mut c, &vec![b'x'; 300_000]).unwrap().status, 200);
}

/// Says `early` as soon as it has the head, and `late` when it has read the body, slowly at first; that is counted.
fn early(s: &mut dyn Duplex, early: &[u8], late: &[u8], count: &AtomicUsize) {
    let seen = Seen { head: read_head(s).unwrap(), body: vec![] };
    let length: usize = seen.header("content-length").unwrap().parse().unwrap();
    s.write_all(early).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let (mut read, mut piece) = (0, vec![0; 0x10000]);
    while read < length {
        match s.read(&mut piece) {
            Ok(n) if n > 0 => read += n,
            _ => return,
        }
    }
    count.fetch_add(read, Ordering::SeqCst);
    let _ = s.write_all(late);
}

#[test]
fn what_only_says_that_an_answer_is_to_come_does_not_stop_the_request() {
    const BODY: usize = 20_000_000;
    let (dir, server) = over_tls("http-early");
    let config = server.config().unwrap();
    let more = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(150);
    let more: &'static str = Box::leak(format!("HTTP/1.1 102 Processing\r\n\r\n{more}").into());
    for (said, late) in [("HTTP/1.1 100 Continue\r\n\r\n", ""), (more, ""), ("HTTP/1.1 100 Con", "tinue\r\n\r\n")] {
        let answer = [late.as_bytes(), OK].concat();
        let (read, config) = (Arc::new(AtomicUsize::new(0)), config.clone());
        let (count, over) = (read.clone(), answer.clone());
        let plain = serve(move |mut s, _| {
            early(&mut s, said.as_bytes(), &over, &count);
        });
        let count = read.clone();
        let tls = serve(move |s, _| {
            let mut s = rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), s);
            early(&mut s, said.as_bytes(), &answer, &count);
        });
        assert_eq!(post(&mut client(plain, LONG), &vec![b'x'; BODY]).map(|a| a.status), Ok(200), "{said:?}");
        let mut o = HttpOptions::new(Target::parse(&format!("https://localhost:{tls}/"), OF_HTTP).unwrap());
        o.tls.ca = Some(dir.path("ca.pem"));
        let mut c = Client::new(o).unwrap();
        assert_eq!(post(&mut c, &vec![b'x'; BODY]).map(|a| a.status), Ok(200), "{said:?} over TLS");
        assert_eq!(read.load(Ordering::SeqCst), 2 * BODY, "{said:?}: not each byte came once");
    }
    // An answer behind it is one, and there is an end to what may come before it.
    for (again, status) in
        [("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", Some(413)), ("HTTP/1.1 100 Go\r\n\r\n", None)]
    {
        let port = serve(move |mut s, _| {
            read_head(&mut s);
            let mut said = s.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            while said.is_ok() {
                std::thread::sleep(Duration::from_millis(1));
                said = s.write_all(again.as_bytes());
            }
        });
        let answer = post(&mut client(port, LONG), &vec![b'x'; BODY]);
        assert_eq!(answer.as_ref().ok().map(|a| a.status), status, "{answer:?}");
        assert!(answer.is_ok() || answer.is_err_and(|f| f.text.contains("a head that is too long")));
    }
}

#[test]
fn all_tries_together_are_over_within_the_total() {
    // A kept connection that ends without a word, and then one that says nothing.
    let port = serve(|mut s, n| {
        if n == 0 && read_request(&mut s).is_some() {
            let _ = s.write_all(OK);
            read_request(&mut s);
            return std::thread::sleep(Duration::from_millis(1100));
        }
        std::thread::sleep(LONG);
    });
    let mut c = client(port, Duration::from_millis(1500));
    assert_eq!(post(&mut c, b"x").unwrap().status, 200);
    let begun = Instant::now();
    let f = post(&mut c, b"x").unwrap_err();
    assert!(f.text.contains("--total-timeout") && c.opened == 2, "{f}");
    assert!(begun.elapsed() < Duration::from_millis(2300), "{:?}", begun.elapsed());
}

/// What a server says without an end after `first`.
fn endless(first: &'static [u8], again: &'static [u8], pause: Duration) -> u16 {
    serve(move |mut s, _| {
        read_request(&mut s);
        let mut said = s.write_all(first);
        while said.is_ok() {
            said = s.write_all(again);
            std::thread::sleep(pause);
        }
    })
}

#[test]
fn answers_without_an_end_are_cut_off_by_size_or_by_time() {
    let fast = Duration::ZERO;
    let slow = Duration::from_millis(20);
    let head: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (name, first, again, pause) in [
        ("a status line", &b"HTTP/1.1 200 "[..], &b"OKOKOKOKOKOKOKOK"[..], fast),
        ("headers", head, b"X-More: and more and more and more\r\n", fast),
        ("one header", b"HTTP/1.1 200 OK\r\nX: ", b"yyyyyyyyyyyyyyyyyyyyyyyy", fast),
        ("headers, slowly", head, b"X: y\r\n", slow),
        ("a byte now and then", head, b"x", slow),
        ("100 Continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n", slow),
        ("103 Early Hints", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", slow),
        ("the name of a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"extension", fast),
        ("trailers", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: and more of them\r\n", fast),
        ("chunks of a byte", chunked, b"1\r\nx\r\n", slow),
        ("a body without a length", b"HTTP/1.1 200 OK\r\n\r\n", b"x", slow),
        ("a body of 16 EiB", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n", b"x", slow),
        ("empty lines", b"", b"\r\n", slow),
    ] {
        let port = endless(first, again, pause);
        let begun = Instant::now();
        let got = post(&mut client(port, Duration::from_millis(400)), b"x");
        let kind = got.as_ref().map_err(|f| f.kind);
        assert!(matches!(kind, Err(FailureKind::Timeout | FailureKind::Protocol)), "{name}: {got:?}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_bomb_costs_its_connection_and_no_memory() {
    // 200 and then chunks without an end, as fast as they go: believed, read as far as the bound, hung up on.
    let many: &'static [u8] = Box::leak([b"10000\r\n".to_vec(), vec![0; 0x10000], b"\r\n".to_vec()].concat().into());
    let packed = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
    for head in ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", packed, "HTTP/1.1 500 No\r\n\r\n"] {
        let port = endless(head.as_bytes(), many, Duration::ZERO);
        let mut c = client(port, LONG);
        for n in 1..=3 {
            let a = post(&mut c, b"x").unwrap();
            assert!(matches!(a.status, 200 | 500) && a.excerpt.len() <= 2 * limits::HTTP_EXCERPT_BYTES, "{a:?}");
            assert_eq!(c.opened, n, "a connection with an endless answer was used again");
        }
    }
    // A gzip bomb is passed over packed: nothing here unpacks.
    let mut packed = Vec::new();
    Gzip::fast().pack(&vec![0; 40_000_000], &mut packed);
    assert!(packed.len() < limits::HTTP_ANSWER_BYTES * 4, "{}", packed.len());
    let port = serve(move |mut s, _| {
        while read_request(&mut s).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len());
            let _ = s.write_all(&[head.as_bytes(), &packed].concat());
        }
    });
    assert_eq!(post(&mut client(port, LONG), b"x").unwrap().status, 200);
}

#[test]
fn strange_statuses_and_switches_are_no_success() {
    for (answer, status) in [
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Some(101)),
        ("HTTP/1.1 308 Loop\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", Some(308)),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", Some(999)),
        ("HTTP/1.1 2000 Odd\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 20 Odd\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", None),
        ("ICY 200 OK\r\n\r\n", None),
        ("HTTP/1.1 200 OK\nContent-Length: 0\r\n no\r\n\r\n", None),
    ] {
        let port = serve(move |mut s, _| {
            while read_request(&mut s).is_some() {
                let _ = s.write_all(answer.as_bytes());
            }
        });
        let mut c = client(port, Duration::from_secs(1));
        for _ in 0..2 {
            match (post(&mut c, b"x"), status) {
                (Ok(a), Some(want)) => assert_eq!(a.status, want, "{answer:?}"),
                (Err(f), None) => {
                    assert!(matches!(f.kind, FailureKind::Protocol | FailureKind::Timeout), "{answer:?}: {f}")
                }
                (other, _) => panic!("{answer:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_connection_does_not_outlive_its_time_however_busy() {
    let port = serve(|mut s, _| {
        while read_request(&mut s).is_some() {
            let _ = s.write_all(OK);
        }
    });
    let mut c = client(port, LONG);
    let opened = |c: &mut Client| {
        assert_eq!(post(c, b"x").unwrap().status, 200);
        c.opened
    };
    assert_eq!((opened(&mut c), opened(&mut c)), (1, 1));
    c.kept.grow_old();
    assert_eq!((opened(&mut c), opened(&mut c)), (2, 2));
}

/// A server of TLS for `localhost`; `ca.pem` of the directory is who vouches for it.
fn over_tls(name: &str) -> (Scratch, tls::Server) {
    let (dir, ca) = (Scratch::new(name), Authority::new("test authority"));
    dir.write("ca.pem", &ca.pem());
    let (chain, key) = ca.issue("localhost");
    let server = tls::Server::new(tls::ServerOptions {
        certificate: dir.write("server.pem", &chain),
        key: Some(dir.write("server.key", &key)),
        client_ca: None,
    });
    (dir, server)
}

#[test]
fn words_of_tls_without_an_end_end_the_connection() {
    let (dir, server) = over_tls("http-tickets");
    let mut config = (*server.config().unwrap()).clone();
    // Megabytes of tickets where the answer should be, all at once.
    config.send_tls13_tickets = 20_000;
    let config = Arc::new(config);
    let port = serve(move |mut s, _| {
        let mut session = rustls::ServerConnection::new(config.clone()).unwrap();
        while session.is_handshaking() {
            while session.wants_write() {
                session.write_tls(&mut s).unwrap();
            }
            session.read_tls(&mut s).unwrap();
            session.process_new_packets().unwrap();
        }
        let mut tickets = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut tickets).unwrap();
        }
        assert!(tickets.len() > 1_000_000);
        let _ = s.write_all(&tickets);
        std::thread::sleep(LONG);
    });
    let mut o = HttpOptions::new(Target::parse(&format!("https://localhost:{port}/"), OF_HTTP).unwrap());
    o.tls.ca = Some(dir.path("ca.pem"));
    o.timeouts = Timeouts { first_byte: LONG, total: LONG, ..Timeouts::default() };
    let begun = Instant::now();
    let f = post(&mut Client::new(o).unwrap(), b"x").unwrap_err();
    assert!(matches!(f.kind, FailureKind::Closed | FailureKind::Tls | FailureKind::Timeout), "{f}");
    assert!(begun.elapsed() < LONG * 3, "{f}, {:?}", begun.elapsed());
}

#[test]
fn what_came_behind_an_answer_over_tls_is_not_believed_for_the_next_request() {
    let (dir, server) = over_tls("http-behind");
    let config = server.config().unwrap();
    // One read of ours takes exactly the first answer; the second one came with it.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 0000\r\n\r\n".len();
    let (head, body) = (format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 4096 - head), "x".repeat(4096 - head));
    let answers = [head.as_bytes(), body.as_bytes(), OK].concat();
    let port = serve(move |s, _| {
        let mut s = rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), s);
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\nx") {
            let mut piece = [0; 1024];
            match s.read(&mut piece) {
                Ok(n) if n > 0 => seen.extend_from_slice(&piece[..n]),
                _ => return,
            }
        }
        s.write_all(&answers).unwrap();
        let _ = s.read(&mut [0; 1024]);
    });
    let mut o = HttpOptions::new(Target::parse(&format!("https://localhost:{port}/"), OF_HTTP).unwrap());
    o.tls.ca = Some(dir.path("ca.pem"));
    let mut c = Client::new(o).unwrap();
    for opened in 1..=3 {
        assert_eq!(post(&mut c, b"x").unwrap().status, 200);
        assert_eq!(c.opened, opened);
    }
}
