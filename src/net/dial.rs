//! One way to a connected stream: the name, the connection, the proxy, TLS, each before its deadline.
//!
//! Whoever speaks over a stream begins here: HTTP, iproto, and what else there will be. Of a name all addresses are tried, and
//! when none takes us, all of them are named. Refuses: to go around a proxy that was named, to wait without a deadline, to
//! speak in clear where TLS was asked for.

use crate::limits;
use crate::net::failure::{Failure, FailureKind};
use crate::net::proxy::Proxy;
use crate::net::reply;
use crate::net::secret::Wiped;
use crate::net::stream::Stream;
use crate::net::target::Place;
use crate::net::tls;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the phases may take.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    /// All of them together, until then.
    Until(Instant),
    /// So long for each: name and connection, proxy, TLS.
    Each(Duration),
}

impl Patience {
    /// When a phase that begins now must be over.
    fn end(self) -> Instant {
        match self {
            Patience::Until(end) => end,
            Patience::Each(long) => Instant::now() + long,
        }
    }
}

/// How much of the time that it may take has passed since then, in percent; ten times as much at most.
pub fn spent(begun: Instant, of: Duration) -> u32 {
    (begun.elapsed().as_millis() * 100 / of.as_millis().max(1)).min(1_000) as u32
}

/// Where to, and how.
#[derive(Clone)]
pub struct Dial {
    /// Who is to be at the other end.
    pub place: Place,
    /// Asked for a tunnel there; never for a Unix socket.
    pub proxy: Option<Proxy>,
    /// TLS with the one at the place, and for whom its certificate must be.
    pub tls: Option<Arc<tls::Client>>,
}

impl Dial {
    /// In clear, and straight there.
    pub fn new(place: Place) -> Dial {
        Dial { place, proxy: None, tls: None }
    }

    /// Opens one connection.
    pub fn open(&self, patience: Patience) -> Result<Stream, Failure> {
        // A file that is missing is told before anybody is bothered.
        let session = self.tls.as_ref().map(|tls| Ok((tls, tls.session(self.place.host())?))).transpose()?;
        let mut stream = self.connect(patience)?;
        if let Some((tls, session)) = session {
            stream.handshake(session, tls.options().names, patience.end())?;
        }
        Ok(stream)
    }

    fn connect(&self, patience: Patience) -> Result<Stream, Failure> {
        match (&self.place, &self.proxy) {
            (Place::Unix { path }, _) => Stream::unix(path),
            (Place::Net { host, port }, None) => Stream::tcp(host, *port, patience.end()),
            (Place::Net { .. }, Some(proxy)) => {
                let mut stream = Stream::tcp(&proxy.host, proxy.port, patience.end())?;
                tunnel(&mut stream, proxy, &self.place.to_string(), patience.end())?;
                Ok(stream)
            }
            (Place::Path { .. } | Place::Nowhere, _) => {
                Err(Failure::new(FailureKind::Connect, format!("`{}` is nothing to connect to", self.place)))
            }
        }
    }
}

/// Asks a proxy for a tunnel.
fn tunnel(stream: &mut Stream, proxy: &Proxy, to: &str, deadline: Instant) -> Result<(), Failure> {
    let mut ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(value) = proxy.authorization() {
        // Room for all of it at once: a vector that grows leaves copies behind.
        ask = [&ask[..], b"Proxy-Authorization: ", value, b"\r\n\r\n"].concat();
    } else {
        ask.extend_from_slice(b"\r\n");
    }
    stream.write_all(Wiped::new(ask).bytes(), deadline)?;
    let fail =
        |kind, why: &str| Failure::new(kind, format!("proxy `{}` gave no way to `{to}`: {why}", proxy.display()));
    let mut head = Vec::new();
    let mut byte = [0];
    // One byte at a time: what follows the head belongs to TLS. It is a hundred bytes once a connection.
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte, deadline)? == 0 {
            return Err(fail(FailureKind::Closed, "it closed the connection"));
        }
        head.push(byte[0]);
        if head.len() > limits::PROXY_HEAD_BYTES {
            return Err(fail(FailureKind::Protocol, "its answer has no end"));
        }
    }
    let status = reply::head(&head).ok().flatten().map(|(head, _)| head.status);
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => {
            Err(fail(FailureKind::Connect, "it wants a user and a password (407): http://USER:PASSWORD@proxy"))
        }
        Some(status) => Err(fail(FailureKind::Connect, &format!("it answered {status}"))),
        None => Err(fail(FailureKind::Protocol, "its answer is not HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Authority, Scratch};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    const SHORT: Patience = Patience::Each(Duration::from_millis(300));
    const LONG: Patience = Patience::Each(Duration::from_secs(20));

    fn listener() -> (TcpListener, Place) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Place::Net { host: "localhost".into(), port })
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// Says back what comes, until the end.
    fn echo(mut peer: impl Read + Write) {
        let mut chunk = [0; 64];
        while let Ok(n @ 1..) = peer.read(&mut chunk) {
            peer.write_all(&chunk[..n]).unwrap();
        }
    }

    fn says_back(stream: &mut Stream) -> bool {
        stream.write_all(b"hello", soon()).unwrap();
        let mut got = Vec::new();
        while got.len() < 5 {
            let mut chunk = [0; 64];
            let n = stream.read(&mut chunk, soon()).unwrap();
            got.extend_from_slice(&chunk[..n]);
        }
        got == b"hello"
    }

    #[test]
    fn tcp_and_a_unix_socket_are_one_kind_of_stream() {
        let (tcp, place) = listener();
        let server = thread::spawn(move || echo(tcp.accept().unwrap().0));
        let mut stream = Dial::new(place.clone()).open(LONG).unwrap();
        assert!(says_back(&mut stream) && stream.is_private() && !stream.is_tls() && stream.unsent() == 0);
        assert_eq!(stream.peer(), place.to_string());
        // It hears the end, and ends as well.
        stream.finish();
        assert_eq!(stream.read(&mut [0], soon()), Ok(0));
        server.join().unwrap();
        let dir = Scratch::new("dial");
        let path = dir.path("peer.sock");
        let unix = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || echo(unix.accept().unwrap().0));
        let mut stream = Dial::new(Place::Unix { path: path.clone() }).open(LONG).unwrap();
        assert!(says_back(&mut stream) && stream.is_private() && stream.as_fd().try_clone_to_owned().is_ok());
        drop(stream);
        server.join().unwrap();
        let f = Dial::new(Place::Unix { path }).open(LONG).map(drop).unwrap_err();
        assert!(f.kind == FailureKind::Connect && f.text.contains("peer.sock") && f.text.contains("refused"), "{f}");
    }

    #[test]
    fn a_name_without_a_listener_names_every_address() {
        let (tcp, place) = listener();
        drop(tcp);
        let f = Dial::new(place).open(LONG).map(drop).unwrap_err();
        assert_eq!(f.kind, FailureKind::Connect);
        assert!(f.text.contains("127.0.0.1:") && f.text.contains("[::1]:"), "{f}");
    }

    /// One proxy that answers CONNECT with this line, and then is the server itself.
    fn proxy(answer: &'static str, then: impl FnOnce(TcpStream) + Send + 'static) -> (Proxy, JoinHandle<Vec<u8>>) {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::parse(&format!("http://me:hush@{}", tcp.local_addr().unwrap())).unwrap();
        let server = thread::spawn(move || {
            let (mut peer, mut head, mut byte) = (tcp.accept().unwrap().0, Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                peer.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            peer.write_all(answer.as_bytes()).unwrap();
            then(peer);
            head
        });
        (proxy, server)
    }

    fn tls(authority: &Authority, dir: &Scratch) -> (Arc<tls::Client>, Arc<rustls::ServerConfig>) {
        let (chain, key) = authority.issue("db.example");
        let (certificate, key) = (dir.write("cert.pem", &chain), dir.write("key.pem", &key));
        let server = tls::Server::new(tls::ServerOptions { certificate, key: Some(key), client_ca: None });
        let ca = Some(dir.write("ca.pem", &authority.pem()));
        let client = tls::Client::new(tls::ClientOptions { ca, ..Default::default() });
        (Arc::new(client), server.config().unwrap())
    }

    #[test]
    fn tls_goes_through_the_tunnel_of_a_proxy_and_names_the_place() {
        let (dir, authority) = (Scratch::new("dial-proxy"), Authority::new("ours"));
        let (client, server) = tls(&authority, &dir);
        let (proxy, asked) = proxy("HTTP/1.1 200 go on\r\n\r\n", move |peer| {
            let session = rustls::ServerConnection::new(server).unwrap();
            echo(rustls::StreamOwned::new(session, peer));
        });
        let place = Place::Net { host: "db.example".into(), port: 3301 };
        let dial = Dial { place, proxy: Some(proxy), tls: Some(client) };
        let mut stream = dial.open(LONG).unwrap();
        assert!(says_back(&mut stream) && stream.is_tls() && stream.is_private());
        stream.goodbye();
        drop(stream);
        let head = String::from_utf8(asked.join().unwrap()).unwrap();
        assert!(head.starts_with("CONNECT db.example:3301 HTTP/1.1\r\nHost: db.example:3301\r\n"), "{head}");
        assert!(head.ends_with("\r\nProxy-Authorization: Basic bWU6aHVzaA==\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_proxy_that_gives_no_way_is_told_without_its_secret() {
        let place = Place::Net { host: "db.example".into(), port: 3301 };
        for (answer, word) in [
            ("HTTP/1.1 407 no\r\n\r\n", "USER:PASSWORD"),
            ("HTTP/1.0 503 no\r\n\r\n", "503"),
            ("SSH-2.0-x\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 200", "closed"),
        ] {
            let (proxy, asked) = proxy(answer, drop);
            let dial = Dial { place: place.clone(), proxy: Some(proxy), tls: None };
            let f = dial.open(LONG).map(drop).unwrap_err();
            assert!(f.text.contains(word) && f.text.contains("db.example:3301") && !f.text.contains("hush"), "{f}");
            asked.join().unwrap();
        }
    }

    #[test]
    fn each_phase_ends_at_its_time() {
        // It takes the connection and says nothing: to the tunnel, to the handshake.
        let (tcp, place) = listener();
        let (dir, authority) = (Scratch::new("dial-late"), Authority::new("ours"));
        let port = tcp.local_addr().unwrap().port();
        let proxy = Proxy::parse(&format!("127.0.0.1:{port}")).unwrap();
        let client = tls(&authority, &dir).0;
        let begun = Instant::now();
        for dial in [
            Dial { proxy: Some(proxy), ..Dial::new(Place::Net { host: "db.example".into(), port: 1 }) },
            Dial { tls: Some(client), ..Dial::new(place) },
        ] {
            for patience in [SHORT, Patience::Until(Instant::now() + Duration::from_millis(300))] {
                let f = dial.open(patience).map(drop).unwrap_err();
                assert_eq!(f.kind, FailureKind::Timeout, "{f}");
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
