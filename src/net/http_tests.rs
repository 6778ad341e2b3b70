//! The client against servers that behave as real ones do on bad days.

use super::*;
use crate::net::target::OF_HTTP;
use crate::net::testing::{read_head, read_request, serve, Authority, Duplex, Scratch, Seen};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Mutex;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn options(url: &str) -> HttpOptions {
    let mut o = HttpOptions::new(Target::parse(url, OF_HTTP).unwrap());
    o.timeouts = Timeouts {
        connect: Duration::from_secs(3),
        send: Duration::from_secs(3),
        first_byte: Duration::from_secs(3),
        total: Duration::from_secs(6),
    };
    o
}

fn client(port: u16) -> Client {
    Client::new(options(&format!("http://127.0.0.1:{port}/in?x=1"))).unwrap()
}

fn post(c: &mut Client, body: &[u8]) -> std::result::Result<Answer, Failure> {
    c.post(body, &[("Content-Type", "application/json")], SystemTime::UNIX_EPOCH)
}

/// A server that answers everything with `answer`, and what it saw, with the number of the connection.
fn recorder(answer: &'static [u8]) -> (u16, Receiver<(usize, Seen)>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let port = serve(move |mut s, n| {
        while let Some(seen) = read_request(&mut s) {
            let _ = tell.lock().unwrap().send((n, seen));
            s.write_all(answer).unwrap();
        }
    });
    (port, told)
}

#[test]
fn posts_go_over_one_connection_whole_and_with_their_headers() {
    let (port, told) = recorder(OK);
    let mut o = options(&format!("http://us%65r:p%40ss@127.0.0.1:{port}/in?x=1"));
    o.headers = vec![parse_header("X-Node-ID: i1").unwrap(), parse_header("content-type: x/y").unwrap()];
    let mut c = Client::new(o).unwrap();
    let big: Vec<u8> = (0..450_000u32).map(|i| i as u8).collect();
    for body in [&b"[]"[..], &big, b""] {
        let a = post(&mut c, body).unwrap();
        assert_eq!((a.status, a.excerpt.as_str(), a.retry_after), (200, "ok", None));
        let (n, seen) = told.recv().unwrap();
        assert_eq!(n, 0, "not the same connection");
        assert!(seen.body == body);
        assert!(seen.head.starts_with("POST /in?x=1 HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("host"), Some(format!("127.0.0.1:{port}").as_str()));
        assert_eq!(seen.header("authorization"), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(seen.header("x-node-id"), Some("i1"));
        assert_eq!(seen.header("content-type"), Some("x/y"));
        assert_eq!(seen.header("content-length"), Some(body.len().to_string().as_str()));
        assert!(seen.header("user-agent").unwrap().starts_with("gostech/"));
        assert_eq!(seen.header("accept-encoding"), None);
    }
}

#[test]
fn a_header_that_is_given_replaces_ours() {
    let (port, told) = recorder(OK);
    let mut o = options(&format!("http://user:pass@127.0.0.1:{port}/"));
    o.headers = vec![parse_header("Authorization: Splunk 1").unwrap()];
    post(&mut Client::new(o).unwrap(), b"[]").unwrap();
    let (_, seen) = told.recv().unwrap();
    assert_eq!(seen.header("authorization"), Some("Splunk 1"));
    assert_eq!(seen.head.to_ascii_lowercase().matches("authorization:").count(), 1, "{}", seen.head);
}

#[test]
fn gzip_tokens_and_headers_from_files_follow_their_files() {
    let dir = Scratch::new("http-secrets");
    let (port, told) = recorder(OK);
    let mut o = options(&format!("http://127.0.0.1:{port}/"));
    o.gzip = true;
    o.auth = Auth::Bearer(Secret::file(dir.write("token", "one\n")));
    o.headers = vec![parse_header(&format!("X-Key: @{}", dir.write("key", "k1").display())).unwrap()];
    let mut c = Client::new(o).unwrap();
    let body = b"[1,2,3]".repeat(1000);
    for (token, key) in [("one", "k1"), ("three", "k22")] {
        dir.write("token", token);
        dir.write("key", key);
        post(&mut c, &body).unwrap();
        let (_, seen) = told.recv().unwrap();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&seen.body[..]).read_to_end(&mut back).unwrap();
        assert!(back == body && seen.header("content-encoding") == Some("gzip"));
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {token}").as_str()));
        assert_eq!(seen.header("x-key"), Some(key));
    }
    std::fs::remove_file(dir.path("token")).unwrap();
    let f = post(&mut c, b"x").unwrap_err();
    assert!(f.kind == FailureKind::Secret && f.text.contains("token"), "{f}");
    dir.write("token", "bad\u{1}token");
    let f = post(&mut c, b"x").unwrap_err();
    assert!(f.kind == FailureKind::Secret && !f.text.contains("bad"), "{f}");
}

#[test]
fn answers_are_answers_whatever_they_say() {
    let answer =
        b"HTTP/1.1 429 Slow\r\nRetry-After: Thu, 01 Jan 1970 00:00:07 GMT\r\nContent-Length: 8\r\n\r\n a\r\n\x1bb\n ";
    let (port, _told) = recorder(answer);
    let a = post(&mut client(port), b"x").unwrap();
    let want =
        Answer { status: 429, retry_after: Some(Duration::from_secs(7)), excerpt: "a b".into(), body: Vec::new() };
    assert_eq!(a, want);
    let (port, _told) = recorder(b"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    let mut c = client(port);
    assert_eq!(post(&mut c, b"x").unwrap().status, 307);
    assert_eq!(post(&mut c, b"x").unwrap().status, 307);
    let (port, told) = recorder(b"HTTP/1.1 204 Fine\r\n\r\n");
    let mut c = client(port);
    assert!(post(&mut c, b"x").unwrap().is_success() && post(&mut c, b"x").unwrap().is_success());
    assert_eq!((told.recv().unwrap().0, told.recv().unwrap().0), (0, 0));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (port, told) = recorder(chunked);
    let mut c = client(port);
    assert_eq!(post(&mut c, b"x").unwrap().excerpt, "abc");
    assert_eq!(post(&mut c, b"x").unwrap().excerpt, "abc");
    assert_eq!((told.recv().unwrap().0, told.recv().unwrap().0), (0, 0));
}

/// Of a receiver, or somebody before it, that repeats what it was sent.
#[test]
fn secrets_that_are_said_back_are_masked() {
    let port = serve(move |mut s, _| {
        while let Some(seen) = read_request(&mut s) {
            let head = format!("{}; cGFzc3dvcmQ=; passw0rd; t0ken", seen.head);
            let length = head.len();
            s.write_all(format!("HTTP/1.1 401 No\r\nContent-Length: {length}\r\n\r\n{head}").as_bytes()).unwrap();
        }
    });
    let url = format!("http://127.0.0.1:{port}/in?key=qu3ry");
    let mut o = options(&url);
    o.headers = vec![parse_header("X-Key: h3ader").unwrap()];
    let basic = Auth::Basic { user: "me".into(), password: Secret::literal("passw0rd") };
    for (auth, mut secrets) in
        [(basic, vec!["bWU6cGFzc3cwcmQ", "passw0rd"]), (Auth::Bearer(Secret::literal("t0ken")), vec!["t0ken"])]
    {
        o.auth = auth;
        secrets.extend(["qu3ry", "h3ader"]);
        let said = post(&mut Client::new(o.clone()).unwrap(), b"[]").unwrap().excerpt;
        assert!(said.contains("POST /in?*** HTTP/1.1") && said.contains("x-key: ***"), "{said}");
        assert!(secrets.iter().all(|s| !said.contains(s)), "{said}");
    }
}

#[test]
fn a_long_answer_costs_the_connection_and_not_the_memory() {
    let port = serve(|mut s, _| {
        while read_request(&mut s).is_some() {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
            let junk = [b'j'; 10_000];
            while s.write_all(&junk).is_ok() {}
        }
    });
    let mut c = client(port);
    for n in 1..=3 {
        assert_eq!(post(&mut c, b"x").unwrap().excerpt.len(), limits::HTTP_EXCERPT_BYTES);
        assert_eq!(c.opened, n);
    }
}

#[test]
fn a_refused_connection_is_connect_and_a_missing_socket_too() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let f = post(&mut client(port), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Connect && f.text.contains("Connection refused"), "{f}");
    let f = post(&mut Client::new(options("http+unix:///nowhere/x.sock")).unwrap(), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Connect && f.text.contains("/nowhere/x.sock"), "{f}");
    let f = post(&mut Client::new(options("http://no-such-name.invalid/")).unwrap(), b"x").unwrap_err();
    assert_eq!(f.kind, FailureKind::Dns, "{f}");
}

#[test]
fn each_deadline_is_a_timeout_that_names_its_option() {
    // Never accepts: connects (the queue takes it), takes a little, answers nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let timed = |send: u64, first: u64, total: u64, body: usize| {
        let mut o = options(&format!("http://127.0.0.1:{port}/"));
        let ms = Duration::from_millis;
        o.timeouts = Timeouts { connect: ms(3000), send: ms(send), first_byte: ms(first), total: ms(total) };
        let begun = Instant::now();
        let f = post(&mut Client::new(o).unwrap(), &vec![b'x'; body]).unwrap_err();
        assert_eq!(f.kind, FailureKind::Timeout, "{f}");
        assert!(begun.elapsed() < ms(1500), "{:?}", begun.elapsed());
        f.text
    };
    assert!(timed(3000, 200, 4000, 10).contains("--first-byte-timeout"));
    assert!(timed(200, 3000, 4000, 30_000_000).contains("--send-timeout"));
    assert!(timed(3000, 3000, 200, 10).contains("--total-timeout"));
}

#[test]
fn an_end_before_a_whole_answer_is_closed() {
    for part in [
        "",
        "HTTP/1.1 20",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let port = serve(move |mut s, _| {
            read_request(&mut s);
            s.write_all(part.as_bytes()).unwrap();
        });
        let f = post(&mut client(port), b"x").unwrap_err();
        assert_eq!(f.kind, FailureKind::Closed, "{part:?}: {f}");
    }
    // The words of a refusal may be cut off: it stays a refusal.
    let port = serve(|mut s, _| {
        read_request(&mut s);
        s.write_all(b"HTTP/1.1 413 Too big\r\nContent-Length: 500\r\n\r\nmuch").unwrap();
    });
    let a = post(&mut client(port), b"x").unwrap();
    assert_eq!((a.status, a.excerpt.as_str()), (413, "much"));
}

#[test]
fn what_is_not_http_is_protocol_and_tls_is_told_apart() {
    let (port, _told) = recorder(b"SSH-2.0-OpenSSH_9\r\n\r\n");
    let f = post(&mut client(port), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Protocol && f.text.contains("speaks SSH"), "{f}");
    // Who says everything back says no secret.
    let port = serve(|mut s, _| {
        let head = read_head(&mut s).unwrap();
        let _ = s.write_all(head.as_bytes());
    });
    let f =
        post(&mut Client::new(options(&format!("http://127.0.0.1:{port}/in?key=t0ken"))).unwrap(), b"x").unwrap_err();
    assert!(f.text.contains("says `POST /in?*** HTTP/1.1` where HTTP would answer"), "{f}");
    let f = post(&mut client(serve(|mut s, _| drop(read_request(&mut s)))), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Closed && f.text.contains("does it want TLS on this port?"), "{f}");
    let port = serve(|mut s, _| {
        read_request(&mut s);
        s.write_all(&[0x15, 0x03, 0x01, 0, 2, 2, 70]).unwrap();
    });
    let f = post(&mut client(port), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Tls && f.text.contains("https://"), "{f}");
    let long: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(40_000)).into_boxed_str());
    let (port, _told) = recorder(long.as_bytes());
    assert_eq!(post(&mut client(port), b"x").unwrap_err().kind, FailureKind::Protocol);
}

#[test]
fn a_kept_connection_that_was_closed_meanwhile_is_no_failure() {
    // Takes one request a connection and closes without a word; also in the middle of the second request.
    let port = serve(|mut s, n| {
        read_request(&mut s).unwrap();
        s.write_all(OK).unwrap();
        if n % 2 == 1 {
            read_head(&mut s);
        }
    });
    let mut c = client(port);
    for _ in 0..20 {
        assert_eq!(post(&mut c, &[b'x'; 200_000]).unwrap().status, 200);
    }
    // A new connection that closes without an answer is one, and is not tried again.
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let port = serve(move |mut s, n| {
        let _ = tell.lock().unwrap().send(n);
        read_request(&mut s);
    });
    assert_eq!(post(&mut client(port), b"x").unwrap_err().kind, FailureKind::Closed);
    assert_eq!(told.recv().unwrap(), 0);
    assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
}

#[test]
fn an_answer_to_half_a_request_is_read() {
    const NO: &[u8] = b"HTTP/1.1 413 Too Big\r\nConnection: close\r\nContent-Length: 7\r\n\r\ntoo big";
    let body = vec![b'x'; 30_000_000];
    // Answers after the head, then: leaves the rest unread but open; closes (reset); half-closes.
    for ending in ["stays", "closes", "half"] {
        let port = serve(move |mut s, _| {
            read_head(&mut s);
            s.write_all(NO).unwrap();
            match ending {
                "stays" => std::thread::sleep(Duration::from_secs(5)),
                "half" => {
                    s.shutdown(Shutdown::Write).unwrap();
                    std::thread::sleep(Duration::from_secs(1));
                }
                _ => {}
            }
        });
        let begun = Instant::now();
        let a = post(&mut client(port), &body).unwrap();
        assert_eq!((a.status, a.excerpt.as_str()), (413, "too big"), "{ending}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{ending}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_unix_socket_is_a_receiver_like_any_other() {
    let dir = Scratch::new("http-unix");
    let path = dir.path("x.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut s, _) = listener.accept().unwrap();
        while let Some(seen) = read_request(&mut s) {
            assert_eq!(seen.header("host"), Some("localhost"));
            assert!(seen.head.starts_with("POST /audit HTTP/1.1"));
            s.write_all(OK).unwrap();
        }
    });
    let mut o = options(&format!("http+unix://{}:/audit", path.display()));
    o.proxy = Some(Proxy::parse("http://127.0.0.1:1").unwrap());
    let mut c = Client::new(o).unwrap();
    for _ in 0..3 {
        assert_eq!(post(&mut c, &[b'x'; 300_000]).unwrap().status, 200);
    }
    assert_eq!(c.opened, 1);
}

#[test]
fn headers_that_could_not_be_right_are_usage() {
    for bad in ["no colon hush", "bad name: hush", "Content-Length: hush", "X: hush\u{1}", "X: @", ": hush"] {
        let e = parse_header(bad).unwrap_err();
        assert!(e.exit() == crate::error::Exit::Usage && !e.text().contains("hush"), "{e}");
    }
}

// ---- TLS ----

/// Everything that a TLS server of a test needs.
struct House {
    dir: Scratch,
    ca: Authority,
}

impl House {
    fn new(name: &str) -> Self {
        let (dir, ca) = (Scratch::new(name), Authority::new("test authority"));
        dir.write("ca.pem", &ca.pem());
        let (chain, key) = ca.issue("localhost");
        dir.write("server.pem", &chain);
        dir.write("server.key", &key);
        let (chain, key) = ca.issue("client");
        dir.write("client.pem", &format!("{chain}{key}"));
        House { dir, ca }
    }

    fn config(&self, client_ca: bool) -> Arc<ServerConfig> {
        tls::Server::new(tls::ServerOptions {
            certificate: self.dir.path("server.pem"),
            key: Some(self.dir.path("server.key")),
            client_ca: client_ca.then(|| self.dir.path("ca.pem")),
        })
        .config()
        .unwrap()
    }

    fn serve(&self, client_ca: bool, work: impl Fn(&mut dyn Duplex) + Send + Sync + 'static) -> u16 {
        let config = self.config(client_ca);
        serve(move |s, _| {
            let mut s = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), s);
            work(&mut s);
            s.conn.send_close_notify();
            let _ = s.flush();
        })
    }

    fn options(&self, port: u16) -> HttpOptions {
        let mut o = options(&format!("https://localhost:{port}/in"));
        o.tls.ca = Some(self.dir.path("ca.pem"));
        o
    }
}

fn answer_all(s: &mut dyn Duplex) {
    while read_request(s).is_some() {
        s.write_all(OK).unwrap();
    }
}

#[test]
fn https_keeps_its_connection_and_sends_whole_bodies() {
    let house = House::new("https-keep");
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let port = house.serve(false, move |s| {
        while let Some(seen) = read_request(s) {
            tell.lock().unwrap().send(seen.body).unwrap();
            s.write_all(OK).unwrap();
        }
    });
    let mut c = Client::new(house.options(port)).unwrap();
    let body: Vec<u8> = (0..450_000u32).map(|i| (i >> 3) as u8).collect();
    for _ in 0..5 {
        assert_eq!(post(&mut c, &body).unwrap().status, 200);
        assert!(told.recv().unwrap() == body);
    }
    assert_eq!(c.opened, 1);
    c.reload();
    assert_eq!(post(&mut c, b"x").unwrap().status, 200);
    assert_eq!(c.opened, 2);
}

#[test]
fn certificates_that_are_not_right_are_tls_with_a_cure() {
    let house = House::new("https-bad");
    let port = house.serve(false, answer_all);
    let said = |change: &dyn Fn(&mut HttpOptions)| {
        let mut o = house.options(port);
        change(&mut o);
        let f = post(&mut Client::new(o).unwrap(), b"x").unwrap_err();
        assert_eq!(f.kind, FailureKind::Tls, "{f}");
        f.text
    };
    let stranger = house.dir.write("stranger.pem", &Authority::new("stranger").pem());
    assert!(said(&|o| o.tls.ca = Some(stranger.clone())).contains("--ca-certificate"));
    assert!(said(&|o| o.tls.server_name = Some("elsewhere.test".into())).contains("not for `elsewhere.test` but for"));
    assert!(said(&|o| o.target = Target::parse(&format!("https://127.0.0.1:{port}/"), OF_HTTP).unwrap())
        .contains("--tls-server-name"));
    let mut o = house.options(port);
    o.target = Target::parse(&format!("https://127.0.0.1:{port}/"), OF_HTTP).unwrap();
    o.tls.server_name = Some("localhost".into());
    assert_eq!(post(&mut Client::new(o).unwrap(), b"x").unwrap().status, 200);
}

/// What `openssl req -x509` makes, in the place of a server and as the authority: it is who was meant, and no other is.
#[test]
fn a_certificate_that_was_named_itself_is_believed() {
    let house = House::new("https-itself");
    let until = |year| Authority::itself("localhost", year);
    for (name, (own, key), other_name, said) in [
        ("well", until(4000), None, ""),
        ("expired", until(2020), None, "has expired"),
        ("other", until(4000), Some("elsewhere.test"), "--tls-server-name"),
        ("stranger", until(4000), None, "name this very one with --ca-certificate"),
    ] {
        house.dir.write("server.pem", &own);
        house.dir.write("server.key", &key);
        let port = house.serve(false, answer_all);
        let mut o = house.options(port);
        let named = if name == "stranger" { until(4000).0 } else { own };
        o.tls.ca = Some(house.dir.write("named.pem", &named));
        o.tls.server_name = other_name.map(String::from);
        match post(&mut Client::new(o).unwrap(), b"x") {
            Ok(a) => assert!(a.status == 200 && said.is_empty(), "{name}"),
            Err(f) => assert!(!said.is_empty() && f.kind == FailureKind::Tls && f.text.contains(said), "{name}: {f}"),
        }
    }
}

#[test]
fn a_missing_client_certificate_is_tls_although_the_alert_comes_late() {
    let house = House::new("https-client");
    let port = house.serve(true, answer_all);
    for body in [10, 3_000_000] {
        let f = post(&mut Client::new(house.options(port)).unwrap(), &vec![b'x'; body]).unwrap_err();
        assert!(f.kind == FailureKind::Tls && f.text.contains("--certificate"), "{body}: {:?} {f}", f.kind);
    }
    let mut o = house.options(port);
    o.tls.certificate = Some(house.dir.path("client.pem"));
    let mut c = Client::new(o).unwrap();
    assert_eq!(post(&mut c, &[b'x'; 300_000]).unwrap().status, 200);
    // Another certificate in the same file, after a reload: of a stranger, so refused; then a good one again.
    let (chain, key) = Authority::new("stranger").issue("client");
    house.dir.write("client.pem", &format!("{chain}{key}"));
    c.reload();
    let f = post(&mut c, b"x").unwrap_err();
    assert!(f.kind == FailureKind::Tls && f.text.contains("client certificate"), "{f}");
    let (chain, key) = house.ca.issue("client");
    house.dir.write("client.pem", &format!("{chain}{key}"));
    assert_eq!(post(&mut c, b"x").unwrap().status, 200);
    std::fs::remove_file(house.dir.path("client.pem")).unwrap();
    c.reload();
    assert_eq!(post(&mut c, b"x").unwrap_err().kind, FailureKind::Secret);
}

#[test]
fn a_handshake_that_goes_wrong_is_tls_and_one_that_hangs_is_a_timeout() {
    let house = House::new("https-shake");
    // Waits for the end of a head that never comes.
    let (port, _told) = recorder(OK);
    let plain = serve(|mut s, _| {
        let _ = s.read(&mut [0; 10]);
        let _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let f = post(&mut Client::new(house.options(plain)).unwrap(), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Tls && f.text.contains("plain"), "{f}");
    let closing = serve(|s, _| drop(s));
    let f = post(&mut Client::new(house.options(closing)).unwrap(), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Tls && f.text.contains("handshake"), "{f}");
    let mut o = house.options(port);
    o.timeouts.connect = Duration::from_millis(200);
    let f = post(&mut Client::new(o).unwrap(), b"x").unwrap_err();
    assert!(f.kind == FailureKind::Timeout && f.text.contains("--connect-timeout"), "{f}");
}

#[test]
fn https_reads_the_answer_to_half_a_request_and_survives_a_closed_kept_connection() {
    let house = House::new("https-half");
    let port = house.serve(false, |s| {
        read_head(s);
        s.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno").unwrap();
        std::thread::sleep(Duration::from_secs(3));
    });
    let begun = Instant::now();
    let a = post(&mut Client::new(house.options(port)).unwrap(), &vec![b'x'; 30_000_000]).unwrap();
    assert_eq!((a.status, a.excerpt.as_str()), (401, "no"));
    assert!(begun.elapsed() < Duration::from_secs(2));
    let port = house.serve(false, |s| {
        read_request(s);
        s.write_all(OK).unwrap();
    });
    let mut c = Client::new(house.options(port)).unwrap();
    for _ in 0..10 {
        assert_eq!(post(&mut c, &[b'x'; 100_000]).unwrap().status, 200);
    }
}

// ---- proxies ----

#[test]
fn a_proxy_gets_whole_urls_for_http_and_connect_for_https() {
    let (port, told) = recorder(OK);
    let mut o = options("http://receiver.test:81/in?x");
    o.proxy = Some(Proxy::parse(&format!("http://me:hush@127.0.0.1:{port}")).unwrap());
    let mut c = Client::new(o).unwrap();
    for _ in 0..2 {
        assert_eq!(post(&mut c, &[b'x'; 100_000]).unwrap().status, 200);
        let (n, seen) = told.recv().unwrap();
        assert!(n == 0 && seen.body.len() == 100_000);
        assert!(seen.head.starts_with("POST http://receiver.test:81/in?x HTTP/1.1\r\n"), "{}", seen.head);
        assert_eq!(seen.header("host"), Some("receiver.test:81"));
        assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6aHVzaA=="));
    }
    let house = House::new("proxy");
    let behind = house.serve(false, answer_all);
    let proxy = serve(move |mut s, _| {
        let head = read_head(&mut s).unwrap();
        assert!(head.starts_with("CONNECT localhost:4443 HTTP/1.1\r\n"), "{head}");
        let granted = head.contains("Proxy-Authorization: Basic bWU6aHVzaA==\r\n");
        if !granted {
            s.write_all(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n").unwrap();
            return;
        }
        s.write_all(b"HTTP/1.1 200 Go\r\n\r\n").unwrap();
        join(s, TcpStream::connect(("127.0.0.1", behind)).unwrap());
    });
    let through = |url: &str| {
        let mut o = house.options(4443);
        o.proxy = Some(Proxy::parse(url).unwrap());
        post(&mut Client::new(o).unwrap(), &[b'x'; 100_000])
    };
    assert_eq!(through(&format!("http://me:hush@127.0.0.1:{proxy}")).unwrap().status, 200);
    let f = through(&format!("http://127.0.0.1:{proxy}")).unwrap_err();
    assert!(f.kind == FailureKind::Connect && f.text.contains("407"), "{f}");
}

fn join(a: TcpStream, b: TcpStream) {
    let (mut a2, mut b2) = (a.try_clone().unwrap(), b.try_clone().unwrap());
    let (mut a, mut b) = (a, b);
    std::thread::spawn(move || std::io::copy(&mut a, &mut b));
    let _ = std::io::copy(&mut b2, &mut a2);
}
