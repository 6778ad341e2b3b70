//! A name → addresses → a connected TCP socket, all before a deadline.
//!
//! Literal addresses and `localhost` need neither /etc/hosts nor DNS. Everything else is asked of the C library in a
//! short-lived thread, because nothing else can put an end to a lookup that hangs; of those there are few at once, and
//! when they all hang the next lookup fails instead of taking another thread.

use crate::limits;
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::target::{bracketed, is_localhost};
use crate::sys::thread;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Mutex, PoisonError};
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

/// Addresses that have not answered since any of their name did: they come last in the next attempt, so that each of a
/// long list has its turn.
static TRIED: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

/// A TCP connection to the first address that answers. The time is shared out, so that one address that swallows
/// everything leaves some for the next. The socket is blocking and without delay.
pub fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses = candidates(host, port, deadline)?;
    let mut failed = Vec::new();
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let share = left / (addresses.len() - i).min(limits::ADDRESSES_AT_ONCE) as u32;
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) if has_met_itself(stream.local_addr().ok(), stream.peer_addr().ok()) => {
                failed.push((*address, io::Error::from_raw_os_error(libc::ECONNREFUSED)));
            }
            Ok(stream) => {
                answered(&addresses);
                // Only ever a loss of milliseconds: no reason to give the connection up.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) => failed.push((*address, e)),
        }
    }
    Err(nobody("connect to", (host, port), addresses.len(), failed))
}

/// The addresses of a name in the order in which they are to be tried.
pub fn candidates(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
    Ok(in_turn(lookup(host, port, deadline)?, &TRIED))
}

/// One of these has answered: none of them comes last any more.
pub fn answered(addresses: &[SocketAddr]) {
    forget(addresses, &TRIED);
}

/// None has: these of `known` were tried, and come last next time. `attempt` is what was tried, as in «cannot connect to».
pub fn nobody(attempt: &str, place: (&str, u16), known: usize, failed: Vec<(SocketAddr, io::Error)>) -> Failure {
    note(failed.iter().map(|f| f.0), &TRIED);
    none_of(attempt, place, known, &failed)
}

/// Whether both ends are one: nobody listens there, and the kernel has picked that very port for our end.
fn has_met_itself(near: Option<SocketAddr>, far: Option<SocketAddr>) -> bool {
    near.is_some() && near == far
}

/// Those that were not tried since the last success stand first, each part in its order.
fn in_turn(found: Vec<SocketAddr>, tried: &Mutex<Vec<SocketAddr>>) -> Vec<SocketAddr> {
    let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
    let (old, new): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| tried.contains(a));
    if new.is_empty() {
        tried.retain(|a| !old.contains(a));
    }
    [new, old].concat()
}

fn forget(addresses: &[SocketAddr], tried: &Mutex<Vec<SocketAddr>>) {
    let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
    tried.retain(|a| !addresses.contains(a));
}

fn note(failed: impl Iterator<Item = SocketAddr>, tried: &Mutex<Vec<SocketAddr>>) {
    let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
    for address in failed {
        if tried.len() >= limits::ADDRESSES_TRIED {
            tried.clear();
        }
        if !tried.contains(&address) {
            tried.push(address);
        }
    }
}

/// Every address that was tried, by what came of it.
fn none_of(attempt: &str, (host, port): (&str, u16), known: usize, failed: &[(SocketAddr, io::Error)]) -> Failure {
    let place = format!("{}:{port}", bracketed(host));
    if failed.is_empty() {
        return Failure::new(FailureKind::Timeout, format!("cannot {attempt} `{place}`: no time was left"));
    }
    let why = |e: &io::Error| match e.kind() {
        io::ErrorKind::TimedOut => "no answer in time".to_string(),
        _ => words(e),
    };
    let mut causes: Vec<(String, Vec<SocketAddr>)> = Vec::new();
    for (address, e) in failed {
        let why = why(e);
        match causes.iter_mut().find(|c| c.0 == why) {
            Some(c) => c.1.push(*address),
            None => causes.push((why, vec![*address])),
        }
    }
    let kind = match failed.iter().all(|(_, e)| e.kind() == io::ErrorKind::TimedOut) {
        true => FailureKind::Timeout,
        false => FailureKind::Connect,
    };
    let said: Vec<String> = causes.iter().map(|(why, at)| format!("{why}{}", at_words(at, &place))).collect();
    let rest = known - failed.len();
    let later = if rest > 0 { format!("; {rest} more of its addresses are tried next time") } else { String::new() };
    Failure::new(kind, format!("cannot {attempt} `{place}`: {}{later}", said.join("; ")))
}

/// Which addresses, where that is not plain from the place.
fn at_words(addresses: &[SocketAddr], place: &str) -> String {
    if addresses.len() == 1 && addresses[0].to_string() == place {
        return String::new();
    }
    let named: Vec<String> = addresses.iter().take(limits::ADDRESSES_NAMED).map(ToString::to_string).collect();
    let more = addresses.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(" at {}{more}", named.join(", "))
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
    let work = move || {
        let answer = ask(&name, port);
        asking.fetch_sub(1, Ordering::SeqCst);
        // Nobody listens any more when the deadline was first.
        let _ = tell.send(answer);
    };
    if let Err(e) = thread::with_stack("lookup", limits::LOOKUP_STACK_BYTES, work) {
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

    /// A port is ours in one family alone: another process may get its number in the other one, and each of them once it
    /// is given back. Then the question is asked again, of another port.
    #[test]
    fn localhost_finds_whichever_family_listens() {
        let found = (0..20).any(|_| {
            let six = TcpListener::bind("[::1]:0").unwrap();
            let port = six.local_addr().unwrap().port();
            let stream = connect("localhost", port, soon()).unwrap();
            assert!(stream.nodelay().unwrap());
            let is_ours = stream.peer_addr().unwrap().is_ipv6();
            drop((six, stream));
            let nobody = connect("localhost", port, soon());
            is_ours
                && nobody.is_err_and(|f| {
                    assert_eq!(f.kind, FailureKind::Connect);
                    f.text.contains("Connection refused") && f.text.contains("localhost")
                })
        });
        assert!(found, "of twenty ports none was found, or none was refused afterwards");
    }

    /// A connection to a port that nobody listens on can meet itself, where the kernel picks that very port for our end: it
    /// would say back what it is sent, and keep the port from the receiver.
    #[test]
    fn a_connection_that_has_met_itself_is_none() {
        let near = SocketAddr::from((Ipv4Addr::LOCALHOST, 7));
        let ends = |near: &str, far: &str| has_met_itself(near.parse().ok(), far.parse().ok());
        assert!(ends("127.0.0.1:40000", "127.0.0.1:40000") && ends("[::1]:9", "[::1]:9"));
        assert!(!ends("127.0.0.1:40000", "127.0.0.1:40001") && !ends("127.0.0.1:9", "127.0.0.2:9"));
        assert!(!has_met_itself(None, None) && !has_met_itself(Some(near), None));
    }

    fn address(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 7))
    }

    #[test]
    fn each_address_of_a_long_list_has_its_turn() {
        let tried = Mutex::new(Vec::new());
        let all: Vec<SocketAddr> = (1..=40).map(address).collect();
        for first in [1, 17, 33] {
            let turn = in_turn(all.clone(), &tried);
            assert_eq!((turn.len(), turn[0]), (40, address(first)));
            note(turn.into_iter().take(limits::ADDRESSES_AT_ONCE), &tried);
        }
        assert_eq!(in_turn(all.clone(), &tried), all, "and then from the beginning");
        note(all[..3].iter().copied(), &tried);
        forget(&all, &tried);
        assert_eq!(in_turn(all.clone(), &tried), all, "one has answered");
        note((0..=limits::ADDRESSES_TRIED).map(|n| SocketAddr::from(([127, 0, 0, 1], n as u16))), &tried);
        assert!(tried.lock().unwrap().len() <= limits::ADDRESSES_TRIED);
    }

    #[test]
    fn an_error_names_every_address_and_its_cause() {
        let failed = |n: u8, code: i32| (address(n), io::Error::from_raw_os_error(code));
        let some = [failed(1, libc::ECONNREFUSED), failed(2, libc::ETIMEDOUT), failed(3, libc::ECONNREFUSED)];
        let f = none_of("connect to", ("db", 7), 5, &some);
        let said = "cannot connect to `db:7`: Connection refused at 10.0.0.1:7, 10.0.0.3:7; no answer in time at \
                    10.0.0.2:7; 2 more of its addresses are tried next time";
        assert_eq!((f.kind, f.text.as_str()), (FailureKind::Connect, said));
        let late: Vec<_> = (1..=9).map(|n| failed(n, libc::ETIMEDOUT)).collect();
        let f = none_of("connect to", ("db", 7), 9, &late);
        assert!(f.kind == FailureKind::Timeout && f.text.ends_with("10.0.0.6:7 and 3 more"), "{f}");
        let f = none_of("connect to", ("10.0.0.1", 7), 1, &some[..1]);
        assert_eq!(f.text, "cannot connect to `10.0.0.1:7`: Connection refused");
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
