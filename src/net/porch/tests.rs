//! The porch against visitors of every kind, on real sockets.

use super::*;
use crate::json;
use crate::net::failure::Failure;
use crate::net::page::{Page, PageRequest};
use crate::net::stream::Stream;
use crate::net::testing::{Authority, Scratch};
use crate::net::verdict::Names;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

const BIG: usize = 5_000_000;

fn pages(request: &PageRequest) -> Page {
    match request.path.as_str() {
        "/" => Page::text(200, "home").with("X-More", "yes").with("X-Bad", "a\r\nb").with("Connection", "upgrade"),
        "/big" => Page { body: (0..BIG).map(|i| i as u8).collect(), ..Page::text(200, "") },
        "/echo" => Page::text(200, format!("{} {:?} {}", request.query, request.header("x-a"), request.visitor)),
        "/slow" => {
            std::thread::sleep(Duration::from_millis(600));
            Page::text(200, "at last")
        }
        "/none" => Page::text(204, ""),
        _ => Page::text(404, "not here"),
    }
}

fn short() -> Patience {
    let ms = Duration::from_millis;
    Patience { head: ms(400), answer: ms(300), take: ms(2000) }
}

fn options(address: &str) -> PorchOptions {
    PorchOptions { addresses: vec![Address::parse(address).unwrap()], ..PorchOptions::default() }
}

fn opened(options: PorchOptions, patience: Patience) -> (Porch, SocketAddr) {
    let porch = start_with(options, Arc::new(pages), patience);
    let Address::Tcp { host, port } = porch.addresses()[0].clone() else { panic!("no TCP") };
    (porch, SocketAddr::new(host.parse().unwrap(), port))
}

fn say(address: SocketAddr, text: &str) -> String {
    let mut s = TcpStream::connect(address).unwrap();
    s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    s.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    s.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: SocketAddr, path: &str) -> String {
    say(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n"))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, b)| b)
}

#[test]
fn pages_come_whole_with_their_length_and_an_end() {
    let (porch, at) = opened(options("127.0.0.1:0"), Patience::default());
    let answer = get(at, "/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && body(&answer) == "home\n", "{answer}");
    assert!(answer.contains("Content-Length: 5\r\n") && answer.contains("Connection: close\r\n"), "{answer}");
    assert!(answer.contains("X-More: yes") && !answer.contains("X-Bad") && !answer.contains("upgrade"), "{answer}");
    assert!(answer.contains("Server: gostech\r\n") && !answer.contains("tiny"), "{answer}");
    let answer = say(at, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.contains("Content-Length: 5\r\n") && body(&answer).is_empty(), "{answer}");
    assert!(get(at, "/nothing").starts_with("HTTP/1.1 404"));
    assert!(get(at, "/none").starts_with("HTTP/1.1 204"));
    let answer = get(at, "/echo?a=b&c");
    assert!(body(&answer).starts_with("a=b&c Some(\"b\") 127.0.0.1:"), "{answer}");
    assert!(body(&say(at, "GET /echo HTTP/1.0\r\n\r\n")).contains("None"));
    for _ in 0..3 {
        let mut s = TcpStream::connect(at).unwrap();
        s.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\nTE: chunked\r\nConnection: keep-alive\r\n\r\n").unwrap();
        let mut all = Vec::new();
        s.read_to_end(&mut all).unwrap();
        let at = head::end(&all).unwrap();
        assert!(all.len() - at == BIG && all[at..].iter().enumerate().all(|(i, b)| *b == i as u8));
    }
    // Slowly, a few bytes at a time, but in time.
    let mut s = TcpStream::connect(at).unwrap();
    for part in ["GE", "T / HT", "TP/1.1\r\nHost", ": x\r\n", "\r", "\n"] {
        s.write_all(part.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = String::new();
    s.read_to_string(&mut answer).unwrap();
    assert_eq!(body(&answer), "home\n");
    drop(porch);
    assert!(TcpStream::connect(at).is_err());
}

#[test]
fn whoever_asks_wrongly_is_told_so() {
    let (_porch, at) = opened(options("127.0.0.1:0"), short());
    let status = |text: &str| say(at, text).split(' ').nth(1).map(str::to_string).unwrap_or_default();
    assert_eq!(status("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"), "405");
    assert!(say(at, "PUT / HTTP/1.1\r\nHost: x\r\n\r\n").contains("Allow: GET, HEAD\r\n"));
    assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"), "413");
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(limits::PORCH_HEAD_BYTES))), "431");
    // So long that it is still being sent when the refusal goes out.
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(200_000))), "431");
    assert_eq!(status("nonsense\r\n\r\n"), "400");
    assert_eq!(status("\u{16}\u{3}\u{1}hello"), "400");
    let begun = Instant::now();
    assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\n"), "408");
    assert!(begun.elapsed() > Duration::from_millis(350));
    assert_eq!(get(at, "/slow").split(' ').nth(1), Some("504"));
    // The turn of a slow page ends with it: more of them than there are turns.
    for _ in 0..2 * limits::PORCH_PAGES {
        assert_eq!(get(at, "/slow").split(' ').nth(1), Some("504"));
    }
    wait_for(|| get(at, "/").ends_with("home\n"));
}

#[test]
fn a_visitor_who_does_not_take_his_page_costs_nothing_else() {
    let (porch, at) = opened(options("127.0.0.1:0"), Patience { take: Duration::from_millis(300), ..short() });
    let mut idle: Vec<TcpStream> = Vec::new();
    for _ in 0..3 * limits::PORCH_PAGES {
        let mut s = TcpStream::connect(at).unwrap();
        s.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        idle.push(s);
    }
    wait_for(|| porch.visitors() > 0);
    // Others are served again, though not one of these has gone of his own accord; and nobody is left behind.
    wait_for(|| get(at, "/").ends_with("home\n"));
    wait_for(|| porch.visitors() == 0);
    drop(idle);
}

#[test]
fn when_everybody_is_being_answered_one_more_is_turned_away_at_once() {
    static SLOWLY: AtomicUsize = AtomicUsize::new(0);
    static GO_ON: AtomicBool = AtomicBool::new(false);
    let slow: Handler = Arc::new(|_| {
        SLOWLY.fetch_add(1, Ordering::SeqCst);
        wait_for(|| GO_ON.load(Ordering::SeqCst));
        Page::text(200, "ok")
    });
    let porch = start_with(options("127.0.0.1:0"), slow, Patience { answer: Duration::from_secs(20), ..short() });
    let Address::Tcp { port, .. } = porch.addresses()[0] else { panic!() };
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut all: Vec<TcpStream> = Vec::new();
    for _ in 0..limits::PORCH_VISITORS {
        let mut s = TcpStream::connect(at).unwrap();
        s.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        all.push(s);
    }
    wait_for(|| porch.visitors() == limits::PORCH_VISITORS && porch.seats.asking() == 0);
    // While the others wait.
    assert!(get(at, "/").starts_with("HTTP/1.1 503"));
    GO_ON.store(true, Ordering::SeqCst);
    for mut s in all {
        let mut answer = String::new();
        s.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(SLOWLY.load(Ordering::SeqCst), limits::PORCH_VISITORS);
}

#[test]
fn a_unix_socket_has_its_mode_and_leaves_nothing_behind() {
    let dir = Scratch::new("porch-unix");
    let path = dir.path("page.sock");
    // A left-over of somebody who died.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let text = format!("unix:{},mode=0640", path.display());
    let porch = start_with(options(&text), Arc::new(pages), short());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let mut s = UnixStream::connect(&path).unwrap();
    s.write_all(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    s.read_to_string(&mut answer).unwrap();
    assert!(body(&answer).ends_with(" unix\n"), "{answer}");
    // A second porch does not take it away from the first.
    let second = start_with(options(&text), Arc::new(pages), short());
    assert!(second.addresses().is_empty());
    drop(second);
    assert!(path.exists());
    drop(porch);
    assert!(!path.exists());
    dir.write("page.sock", "a file of somebody");
    assert!(start_with(options(&text), Arc::new(pages), short()).addresses().is_empty());
    assert!(path.exists());
}

#[test]
fn a_taken_address_is_tried_until_it_is_free_and_localhost_is_both_families() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let porch = start_with(options(&format!("localhost:{port}")), Arc::new(pages), short());
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
    assert_eq!(body(&get(six, "/")), "home\n");
    assert_eq!(porch.addresses().len(), 1);
    drop(taken);
    let end = Instant::now() + Duration::from_secs(limits::PORCH_RETRY_SECONDS + 5);
    while porch.addresses().len() < 2 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(body(&get(SocketAddr::from(([127, 0, 0, 1], port)), "/")), "home\n");
    // A listener that was bound by somebody else.
    let given = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = given.local_addr().unwrap();
    let given = PorchOptions { listeners: vec![Listener::Tcp(given)], ..PorchOptions::default() };
    let _porch = start_with(given, Arc::new(pages), short());
    assert_eq!(body(&get(at, "/")), "home\n");
}

#[test]
fn names_and_passwords() {
    let dir = Scratch::new("porch-users");
    let users = dir.write("users", "u:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i\n");
    let (_porch, at) = opened(PorchOptions { users: Some(users), ..options("127.0.0.1:0") }, Patience::default());
    let as_user = |pair: &str| {
        let mut coded = Vec::new();
        json::push_base64(&mut coded, pair.as_bytes());
        let coded = String::from_utf8(coded).unwrap();
        say(at, &format!("GET /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {coded}\r\n\r\n"))
    };
    assert!(get(at, "/").starts_with("HTTP/1.1 401") && get(at, "/").contains("WWW-Authenticate: Basic realm="));
    assert!(as_user("u:wrong").starts_with("HTTP/1.1 401"));
    assert!(as_user("u:abc").starts_with("HTTP/1.1 200"));
    std::fs::remove_file(dir.path("users")).unwrap();
    assert!(as_user("u:abc").starts_with("HTTP/1.1 503"));
}

#[test]
fn tls_with_client_certificates_that_change() {
    let (dir, ca) = (Scratch::new("porch-tls"), Authority::new("ca"));
    let renew = |ca: &Authority| {
        let (chain, key) = ca.issue("localhost");
        dir.write("server.pem", &format!("{chain}{key}"));
        dir.write("ca.pem", &ca.pem());
        let (chain, key) = ca.issue("client");
        dir.write("client.pem", &format!("{chain}{key}"));
    };
    renew(&ca);
    let tls =
        tls::ServerOptions { certificate: dir.path("server.pem"), key: None, client_ca: Some(dir.path("ca.pem")) };
    let (_porch, at) = opened(PorchOptions { tls: Some(tls), ..options("127.0.0.1:0") }, Patience::default());
    let visit = |with_certificate: bool| -> std::result::Result<Vec<u8>, Failure> {
        let options = tls::ClientOptions {
            ca: Some(dir.path("ca.pem")),
            certificate: with_certificate.then(|| dir.path("client.pem")),
            ..Default::default()
        };
        let client = tls::Client::new(options);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut s: Stream = Stream::tcp("127.0.0.1", at.port(), deadline)?;
        let session = rustls::ClientConnection::new(client.config()?, client.name_for("localhost")?).unwrap();
        s.handshake(session, Names::Receiver, deadline)?;
        s.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", deadline)?;
        let (mut all, mut chunk) = (Vec::new(), vec![0; 65536]);
        loop {
            match s.read(&mut chunk, deadline)? {
                0 => return Ok(all),
                n => all.extend_from_slice(&chunk[..n]),
            }
        }
    };
    let all = visit(true).unwrap();
    assert!(all.len() - head::end(&all).unwrap() == BIG && all.ends_with(&[(BIG - 1) as u8]));
    assert!(visit(false).unwrap_err().text.contains("certificate"));
    // Plain HTTP on the TLS port ends, and another authority in the same files is taken over.
    assert!(!get(at, "/").starts_with("HTTP/1.1 200"));
    renew(&Authority::new("another"));
    assert!(visit(true).is_ok());
    std::fs::remove_file(dir.path("server.pem")).unwrap();
    assert!(visit(true).is_err());
    renew(&ca);
    assert!(visit(true).is_ok());
}

// ---- in a process of their own, whose descriptors are theirs alone ----

/// Runs one test of this file again in a child with `ulimit -n`, and `ROLE` set.
fn in_a_child(test: &str, descriptors: u32, dir: &Scratch) -> std::process::Child {
    let own = std::env::current_exe().unwrap();
    let script = format!("ulimit -n {descriptors} && exec \"$0\" --exact net::porch::tests::{test} --nocapture");
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).arg(own).env("GOSTECH_TEST_CHILD", dir.path(""));
    // Its log goes to a file: a child that outlives a failed test must not hold our pipes open.
    let log = std::fs::File::create(dir.path("log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn child_dir() -> Option<PathBuf> {
    std::env::var_os("GOSTECH_TEST_CHILD").map(PathBuf::from)
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < end, "it did not come about in 20 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn port_of(dir: &Scratch) -> SocketAddr {
    wait_for(|| std::fs::read_to_string(dir.path("port")).is_ok_and(|t| t.ends_with('\n')));
    let port: u16 = std::fs::read_to_string(dir.path("port")).unwrap().trim().parse().unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn running_out_of_descriptors_costs_visitors_and_never_the_server() {
    if let Some(dir) = child_dir() {
        let (_porch, at) = opened(options("127.0.0.1:0"), Patience::default());
        std::fs::write(dir.join("port"), format!("{}\n", at.port())).unwrap();
        wait_for(|| dir.join("exhaust").exists());
        let mut all: Vec<std::fs::File> = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            all.push(file);
        }
        // The directory cannot be written now; one descriptor is given back for a moment.
        all.pop();
        std::fs::write(dir.join("exhausted"), "").unwrap();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            all.push(file);
        }
        // As long as it takes: on a busy machine a visit may last half a second.
        let (least, most) = (Duration::from_millis(1500), Duration::from_secs(60));
        let begun = Instant::now();
        while begun.elapsed() < most && (begun.elapsed() < least || !dir.join("enough").exists()) {
            std::thread::sleep(Duration::from_millis(10));
            while let Ok(file) = std::fs::File::open("/dev/null") {
                all.push(file);
            }
        }
        drop(all);
        std::fs::write(dir.join("relieved"), "").unwrap();
        wait_for(|| dir.join("end").exists());
        return;
    }
    let dir = Scratch::new("porch-descriptors");
    let mut child = in_a_child("running_out_of_descriptors_costs_visitors_and_never_the_server", 128, &dir);
    let at = port_of(&dir);
    assert_eq!(body(&get(at, "/")), "home\n");
    dir.write("exhaust", "");
    wait_for(|| dir.path("exhausted").exists());
    let mut sent_away = 0;
    while !dir.path("relieved").exists() {
        let mut s = TcpStream::connect(at).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let _ = s.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let mut answer = String::new();
        sent_away += usize::from(s.read_to_string(&mut answer).is_err() || answer.is_empty());
        if sent_away > 5 {
            dir.write("enough", "");
        }
    }
    for _ in 0..20 {
        assert_eq!(body(&get(at, "/")), "home\n");
    }
    dir.write("end", "");
    assert!(child.wait().unwrap().success());
    assert!(sent_away > 5, "only {sent_away} visitors met a server without descriptors");
}

#[test]
fn a_thousand_slow_visitors_do_not_keep_the_others_out() {
    if let Some(dir) = child_dir() {
        let (porch, at) = opened(options("127.0.0.1:0"), Patience::default());
        std::fs::write(dir.join("port"), format!("{}\n", at.port())).unwrap();
        let (mut most, end) = (0, Instant::now() + Duration::from_secs(60));
        while !dir.join("end").exists() && Instant::now() < end {
            most = most.max(porch.visitors());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!((limits::PORCH_VISITORS..=limits::PORCH_THREADS).contains(&most), "{most} visitors' threads");
        return;
    }
    if std::env::var_os("GOSTECH_TEST_SLOW").is_none() {
        // The thousand live in a process of their own too: this one may not have so many descriptors.
        let own = std::env::current_exe().unwrap();
        let name = "net::porch::tests::a_thousand_slow_visitors_do_not_keep_the_others_out";
        let script = format!("ulimit -n 2048 && exec \"$0\" --exact {name} --nocapture");
        let done =
            Command::new("/bin/sh").arg("-c").arg(script).arg(own).env("GOSTECH_TEST_SLOW", "1").output().unwrap();
        // A name that no test has would run none, and end well.
        let passed = String::from_utf8_lossy(&done.stdout).contains("1 passed");
        assert!(done.status.success() && passed, "{}", String::from_utf8_lossy(&done.stderr));
        return;
    }
    let dir = Scratch::new("porch-slow");
    let mut child = in_a_child("a_thousand_slow_visitors_do_not_keep_the_others_out", 256, &dir);
    let at = port_of(&dir);
    let connect = || {
        let s = TcpStream::connect(at).unwrap();
        s.set_nonblocking(true).unwrap();
        s
    };
    let mut slow: Vec<TcpStream> = (0..1000).map(|_| connect()).collect();
    let (mut longest, mut answered) = (Duration::ZERO, 0);
    for second in 0..4 {
        // A byte each; whoever was sent out comes again.
        for s in &mut slow {
            if (&mut &*s).write(b"G").is_err() || matches!((&mut &*s).read(&mut [0; 512]), Ok(0)) {
                *s = connect();
            }
        }
        for _ in 0..10 {
            let begun = Instant::now();
            assert_eq!(body(&get(at, "/")), "home\n", "in second {second}");
            longest = longest.max(begun.elapsed());
            answered += 1;
            std::thread::sleep(Duration::from_millis(90));
        }
    }
    dir.write("end", "");
    assert!(child.wait().unwrap().success());
    eprintln!("{answered} requests answered among 1000 slow visitors, the slowest in {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}
