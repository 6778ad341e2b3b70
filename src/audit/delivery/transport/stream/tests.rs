//! What counts as taken over a stream without answers, and what is said of those who take nothing.

use super::*;
use crate::audit::delivery::parcel::Why;
use crate::audit::delivery::transport;
use crate::net::http::HttpOptions;
use crate::net::target::Target;
use crate::net::testing::{serve, Authority, Scratch};
use crate::net::tls;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::sync::{mpsc, Arc};
use std::time::SystemTime;

fn options(url: &str) -> HttpOptions {
    let mut o = HttpOptions::new(Target::parse(url, &transport::schemes()).unwrap());
    (o.timeouts.send, o.timeouts.total) = (Duration::from_millis(600), Duration::from_secs(20));
    o
}

fn line(options: HttpOptions) -> Line {
    Line::new(&Route::new(options, Vec::new()))
}

fn send(line: &mut Line, bytes: &[u8]) -> Delivery {
    let (wall, one) = (SystemTime::UNIX_EPOCH, std::slice::from_ref(&(0..1)));
    line.deliver(&Parcel { bytes, events: one, ids: (b"x", one), content_type: "", key: "", node: None, wall })
}

fn why(d: &Delivery) -> (Why, &str) {
    let stop = d.stop.as_ref().expect("it was not taken");
    assert_eq!(d.taken, 0);
    (stop.why, &stop.said.text)
}

/// A server whose connections do this, and the line to it.
fn to(work: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Line {
    line(options(&format!("tcp://127.0.0.1:{}", serve(work))))
}

/// Reads to the end.
fn drain(mut peer: impl Read) -> usize {
    let (mut all, mut chunk) = (0, [0; 4096]);
    while let Ok(n @ 1..) = peer.read(&mut chunk) {
        all += n;
    }
    all
}

#[test]
fn one_connection_takes_parcel_after_parcel() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let mut line = to(move |peer, _| tell.lock().unwrap().send(drain(peer)).unwrap());
    for _ in 0..3 {
        assert_eq!(send(&mut line, &[b'x'; 1 << 20]).stop, None);
    }
    line.rest();
    assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(3 << 20));
}

#[test]
fn what_the_other_kernel_has_no_room_for_is_not_taken() {
    // It never reads: its buffer and ours take some megabytes, and that is no delivery.
    let mut line = to(|peer, _| {
        std::thread::sleep(Duration::from_secs(30));
        drop(peer);
    });
    let d = send(&mut line, &vec![b'x'; 64 << 20]);
    let (why, text) = why(&d);
    assert!(why == Why::Unanswered(FailureKind::Timeout) && text.contains("--send-timeout"), "{why:?} {text}");
    assert!(line.spent() >= 100);
}

#[test]
fn who_takes_the_connection_and_closes_it_has_taken_nothing() {
    // A balancer with nobody behind it; one that reads first; one that wants TLS.
    for read in [0, 5] {
        let mut line = to(move |mut peer, _| {
            let _ = peer.read_exact(&mut vec![0; read]);
        });
        let d = send(&mut line, b"{}\n\n\n");
        let (why, text) = why(&d);
        assert!(why == Why::Unanswered(FailureKind::Closed) && text.contains("does it want TLS"), "{why:?} {text}");
    }
}

#[test]
fn who_speaks_is_told_by_his_protocol() {
    for (words, named) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "speaks HTTP"),
        (b"\x15\x03\x01\0\x02\x02\x50", "speaks TLS"),
        (b"hello?\n", "says `hello?`"),
    ] {
        let mut line = to(move |mut peer, _| {
            peer.read_exact(&mut [0; 3]).unwrap();
            peer.write_all(words).unwrap();
        });
        let d = send(&mut line, b"{}\n");
        let (why, text) = why(&d);
        assert!(why == Why::Configuration && text.contains(named), "{why:?} {text}");
    }
}

#[test]
fn a_connection_that_ended_while_idle_takes_no_parcel_with_it() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let mut line = to(move |mut peer, n| {
        let mut three = [0; 3];
        peer.read_exact(&mut three).unwrap();
        if n == 0 {
            // Past the time in which a new one is listened to.
            std::thread::sleep(Duration::from_millis(2 * limits::STREAM_PROOF_MILLIS));
            drop(peer);
            return tell.lock().unwrap().send(three).unwrap();
        }
        tell.lock().unwrap().send(three).unwrap();
        drain(peer);
    });
    assert_eq!(send(&mut line, b"{}\n").stop, None);
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).as_ref(), Ok(b"{}\n"));
    assert_eq!(send(&mut line, b"[]\n").stop, None);
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).as_ref(), Ok(b"[]\n"));
}

#[test]
fn a_unix_socket_has_taken_what_was_read() {
    let dir = Scratch::new("stream-unix");
    let path = dir.path("peer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut line = line(options(&format!("unix://{}", path.display())));
    // Accepted by the queue alone, and read by nobody.
    let d = send(&mut line, b"{}\n");
    assert!(matches!(why(&d).0, Why::Unanswered(FailureKind::Timeout)), "{d:?}");
    drop(listener.accept());
    let server = std::thread::spawn(move || drain(listener.accept().unwrap().0));
    assert_eq!(send(&mut line, b"{}\n").stop, None);
    line.rest();
    assert_eq!(server.join().unwrap(), 3);
    // One for datagrams.
    let datagrams = dir.path("log");
    let _log = std::os::unix::net::UnixDatagram::bind(&datagrams).unwrap();
    let d = send(&mut self::line(options(&format!("unix://{}", datagrams.display()))), b"{}\n");
    assert!(why(&d).1.contains("syslog+unix://"), "{d:?}");
    // Who dies with it unread has not taken it.
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let peer = listener.accept().unwrap().0;
        std::thread::sleep(Duration::from_millis(100));
        drop(peer);
    });
    let d = send(&mut line, b"{}\n");
    assert!(matches!(why(&d).0, Why::Unanswered(FailureKind::Closed)), "{d:?}");
    server.join().unwrap();
}

/// A server of TLS, and the line to it with these files of ours.
fn over_tls(dir: &Scratch, wants_ours: bool) -> (Line, HttpOptions) {
    let authority = Authority::new("ours");
    let (chain, key) = authority.issue("127.0.0.1");
    let ca = dir.write("ca.pem", &authority.pem());
    let (certificate, key) = (dir.write("cert.pem", &chain), dir.write("key.pem", &key));
    let client_ca = wants_ours.then(|| ca.clone());
    let server = tls::Server::new(tls::ServerOptions { certificate, key: Some(key), client_ca }).config().unwrap();
    let port = serve(move |peer, _| {
        let session = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
        drain(rustls::StreamOwned::new(session, peer));
    });
    let mut options = options(&format!("tls://127.0.0.1:{port}"));
    options.tls.ca = Some(ca);
    let (ours, our_key) = authority.issue("picodata");
    dir.write("ours.pem", &(ours + &our_key));
    (line(options.clone()), options)
}

#[test]
fn a_client_certificate_that_is_refused_after_the_handshake_is_seen_before_anything_counts() {
    let dir = Scratch::new("stream-tls");
    let (mut without, mut options) = over_tls(&dir, true);
    let d = send(&mut without, b"{}\n");
    let (why, text) = why(&d);
    assert!(why == Why::NotSent(FailureKind::Tls) && text.contains("--certificate"), "{why:?} {text}");
    options.tls.certificate = Some(dir.path("ours.pem"));
    let mut with = line(options);
    assert!(with.check().is_ok());
    assert_eq!((send(&mut with, b"{}\n").stop, send(&mut with, &[b'x'; 1 << 20]).stop), (None, None));
}

#[test]
fn tls_to_a_plain_port_and_plain_to_a_tls_port_are_told() {
    let dir = Scratch::new("stream-wrong");
    let (_, tls) = over_tls(&dir, false);
    let plain = options(&tls.target.display().replace("tls://", "tcp://"));
    let d = send(&mut line(plain), b"{}\n");
    assert!(why(&d).1.contains("TLS"), "{d:?}");
    let mut silent = options(&format!("tls://127.0.0.1:{}", serve(|peer, _| assert!(drain(peer) > 0))));
    silent.timeouts.connect = Duration::from_millis(300);
    let d = send(&mut line(silent), b"{}\n");
    assert!(why(&d).1.contains("does it speak TLS"), "{d:?}");
}
