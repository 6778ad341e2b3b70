//! A name → addresses → a connected TCP socket, all before a deadline.
//!
//! Literal addresses and `localhost` need neither /etc/hosts nor DNS. Everything else is asked of the C library in a
//! short-lived thread, because nothing else can put an end to a lookup that hangs; of those there are few at once, and
//! when they all hang the next lookup fails instead of taking another thread.

use crate::limits;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::target::{bracketed, is_localhost};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What answers for a name; the C library, or a test.
type Ask = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Lookups that have not come back yet.
static ASKING: AtomicUsize = AtomicUsize::new(0);

/// The addresses of a name, as many as are worth trying.
pub fn lookup(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(known) = without_asking(host, port) {
        return Ok(known);
    }
    ask_in_a_thread(host, port, deadline, the_c_library, &ASKING)
}

/// A TCP connection to the first address that answers. The time is shared out, so that one address that swallows
/// everything leaves some for the next. The socket is blocking and without delay.
pub fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses = lookup(host, port, deadline)?;
    let mut last = None;
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let share = left / (addresses.len() - i) as u32;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                // Only ever a loss of milliseconds: no reason to give the connection up.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => last = Some((*address, e)),
        }
    }
    Err(no_connection(host, port, addresses.len(), last))
}

fn no_connection(host: &str, port: u16, tried: usize, last: Option<(SocketAddr, io::Error)>) -> Failure {
    let place = format!("{}:{port}", bracketed(host));
    let Some((address, e)) = last else {
        return Failure::new(FailureKind::Timeout, format!("cannot connect to `{place}`: no time was left"));
    };
    // Which address, where it is not plain from the place.
    let at = if address.to_string() == place { String::new() } else { format!(" at {address}") };
    let of = if tried > 1 { format!(", the last of {tried} addresses") } else { String::new() };
    if e.kind() == io::ErrorKind::TimedOut {
        return Failure::new(FailureKind::Timeout, format!("cannot connect to `{place}`{at}{of}: no answer in time"));
    }
    Failure::new(FailureKind::Connect, format!("cannot connect to `{place}`{at}{of}: {}", words(&e)))
}

fn without_asking(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if is_localhost(host) {
        let (four, six) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        return Some(vec![SocketAddr::new(four, port), SocketAddr::new(six, port)]);
    }
    host.parse::<IpAddr>().ok().map(|ip| vec![SocketAddr::new(ip, port)])
}

fn the_c_library(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(|all| all.take(limits::ADDRESSES).collect())
}

fn ask_in_a_thread(
    host: &str,
    port: u16,
    deadline: Instant,
    ask: Ask,
    asking: &'static AtomicUsize,
) -> Result<Vec<SocketAddr>, Failure> {
    let fail = |why: &str| Failure::new(FailureKind::Dns, format!("cannot find the address of `{host}`: {why}"));
    if asking.fetch_add(1, Ordering::SeqCst) >= limits::LOOKUPS_STUCK {
        asking.fetch_sub(1, Ordering::SeqCst);
        return Err(fail("earlier lookups still hang; is the name server of /etc/resolv.conf alive?"));
    }
    let (tell, told) = mpsc::channel();
    let name = host.to_string();
    let spawned =
        std::thread::Builder::new().name("lookup".into()).stack_size(limits::LOOKUP_STACK_BYTES).spawn(move || {
            let answer = ask(&name, port);
            asking.fetch_sub(1, Ordering::SeqCst);
            // Nobody listens any more when the deadline was first.
            let _ = tell.send(answer);
        });
    if let Err(e) = spawned {
        asking.fetch_sub(1, Ordering::SeqCst);
        return Err(fail(&words(&e)));
    }
    match told.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Ok(found)) if found.is_empty() => Err(fail("the name has no address")),
        Ok(Ok(found)) => Ok(found),
        Ok(Err(e)) => Err(fail(words(&e).trim_start_matches("failed to lookup address information: "))),
        Err(_) => Err(fail("the name server gave no answer in time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::atomic::AtomicBool;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn literals_and_localhost_are_never_asked_for() {
        let is = |host: &str, want: &[&str]| {
            let got: Vec<String> = without_asking(host, 7).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(got, want, "{host}");
        };
        is("localhost", &["127.0.0.1:7", "[::1]:7"]);
        is("LocalHost.", &["127.0.0.1:7", "[::1]:7"]);
        is("10.1.2.3", &["10.1.2.3:7"]);
        is("fe80::1", &["[fe80::1]:7"]);
        assert!(without_asking("localhost.example.com", 7).is_none());
    }

    #[test]
    fn localhost_finds_whichever_family_listens() {
        let six = TcpListener::bind("[::1]:0").unwrap();
        let port = six.local_addr().unwrap().port();
        let stream = connect("localhost", port, soon()).unwrap();
        assert!(stream.peer_addr().unwrap().is_ipv6() && stream.nodelay().unwrap());
        drop(six);
        let f = connect("localhost", port, soon()).unwrap_err();
        assert_eq!(f.kind, FailureKind::Connect);
        assert!(f.text.contains("Connection refused") && f.text.contains("localhost"), "{f}");
    }

    #[test]
    fn a_lookup_that_hangs_costs_its_deadline_and_never_more_than_a_few_threads() {
        static HANGING: AtomicUsize = AtomicUsize::new(0);
        static ENOUGH: AtomicBool = AtomicBool::new(false);
        fn until(so: fn() -> bool) {
            let end = Instant::now() + Duration::from_secs(20);
            while !so() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let hang: Ask = |_, _| {
            until(|| ENOUGH.load(Ordering::SeqCst));
            Ok(vec![])
        };
        let ask = |ms| ask_in_a_thread("x.test", 1, Instant::now() + Duration::from_millis(ms), hang, &HANGING);
        for _ in 0..limits::LOOKUPS_STUCK {
            let f = ask(10).unwrap_err();
            assert!(f.kind == FailureKind::Dns && f.text.contains("no answer in time"), "{f}");
        }
        let begun = Instant::now();
        assert!(ask(10_000).unwrap_err().text.contains("still hang"));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        ENOUGH.store(true, Ordering::SeqCst);
        until(|| HANGING.load(Ordering::SeqCst) == 0);
        assert_eq!(HANGING.load(Ordering::SeqCst), 0);
        assert!(ask(5_000).unwrap_err().text.contains("no address"));
    }

    #[test]
    fn a_name_that_is_not_there_is_dns() {
        let f = lookup("no-such-name.invalid", 1, soon()).unwrap_err();
        assert_eq!(f.kind, FailureKind::Dns);
        assert!(f.text.contains("no-such-name.invalid") && !f.text.contains("os error"), "{f}");
    }
}
