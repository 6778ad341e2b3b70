//! A network of the test's own: namespaces in which /etc is empty and nothing leaves the machine, and a name server that
//! answers rightly, wrongly or not at all.
//!
//! A test that calls `inside` runs again as a process in fresh mount and network namespaces (`unshare`), so that /etc can be
//! written and port 53 bound without a trace on the machine. Refuses: to touch /etc anywhere else (the mark must be there).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const MARK: &str = "/etc/gostech-laboratory";

/// loopback is up, /etc is a file system of its own with nothing in it but the mark and the order of lookups.
const SCRIPT: &str =
    "ip link set lo up && mount -t tmpfs none /etc && printf 'hosts: files dns\\n' >/etc/nsswitch.conf && \
                      touch /etc/gostech-laboratory && exec \"$@\"";

/// Runs a test in namespaces of its own. True: this is that process, go on. False: it was done there, or left out.
pub fn inside(test: &str) -> bool {
    if std::env::var_os("GOSTECH_LABORATORY").is_some() {
        assert!(std::path::Path::new(MARK).exists(), "this is the machine's own /etc");
        return true;
    }
    let Some(flags) = [&["-m", "-n"][..], &["-U", "-r", "-m", "-n"]].into_iter().find(|flags| possible(flags)) else {
        eprintln!("left out: {test}: no namespaces here");
        return false;
    };
    let this = std::env::current_exe().expect("this test binary");
    let mut command = Command::new("unshare");
    command.args(flags).args(["sh", "-c", SCRIPT, "sh"]).arg(this).env("GOSTECH_LABORATORY", "1");
    super::den::run_again(command, test);
    false
}

fn possible(flags: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    let tried = command.args(flags).args(["sh", "-c", SCRIPT, "sh", "true"]).output();
    tried.is_ok_and(|out| out.status.success())
}

/// Writes a file of /etc as those do who manage it: beside, then renamed.
pub fn etc(name: &str, text: &str) {
    assert!(std::path::Path::new(MARK).exists(), "this is the machine's own /etc");
    std::fs::write(format!("/etc/{name}.new"), text).expect("a file in our own /etc");
    std::fs::rename(format!("/etc/{name}.new"), format!("/etc/{name}")).expect("a file in our own /etc");
}

/// Removes a file of /etc.
pub fn no_etc(name: &str) {
    assert!(std::path::Path::new(MARK).exists(), "this is the machine's own /etc");
    let _ = std::fs::remove_file(format!("/etc/{name}"));
}

/// What the name server says to every question.
#[derive(Clone, Debug, PartialEq)]
pub enum Zone {
    /// Every name has these addresses.
    Is(Vec<Ipv4Addr>),
    /// There is no such name.
    NoName,
    /// There is the name, and it has no address.
    NoAddress,
    /// The server is sick.
    ServFail,
    /// It does not answer us.
    Refused,
    /// Nothing at all.
    Silence,
    /// Bytes that are no answer.
    Garbage,
    /// An answer to another question.
    Stranger,
    /// A name that leads to itself.
    Loop,
    /// Promises more records than it brings.
    Short,
}

/// The name server.
pub struct Dns {
    zone: Arc<Mutex<Zone>>,
    asked: Arc<AtomicU64>,
    open: Arc<AtomicBool>,
}

impl Dns {
    /// Listens on port 53 of an address of loopback.
    pub fn at(address: [u8; 4], zone: Zone) -> Dns {
        let socket = UdpSocket::bind(SocketAddr::from((address, 53))).expect("port 53 of our own network");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a read timeout");
        let dns =
            Dns { zone: Arc::new(Mutex::new(zone)), asked: Arc::default(), open: Arc::new(AtomicBool::new(true)) };
        let (zone, asked, open) = (dns.zone.clone(), dns.asked.clone(), dns.open.clone());
        std::thread::spawn(move || {
            let mut question = [0; 1500];
            while open.load(Ordering::SeqCst) {
                let Ok((n, from)) = socket.recv_from(&mut question) else { continue };
                asked.fetch_add(1, Ordering::SeqCst);
                let zone = zone.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(answer) = answer(&question[..n], &zone) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        dns
    }

    pub fn becomes(&self, zone: Zone) {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
    }

    /// How many questions came.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.open.store(false, Ordering::SeqCst);
    }
}

/// The answer to one question, by RFC 1035.
fn answer(question: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    // The name: labels with their lengths, ended by a zero; then type and class.
    let end = 12 + question.get(12..)?.iter().position(|b| *b == 0)? + 5;
    let is_a = question.get(end - 4..end - 2)? == [0, 1];
    let with = |code: u8, count: u8, records: Vec<u8>| {
        let head = [question[0], question[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
        Some([&head[..], &question[12..end], &records].concat())
    };
    let record =
        |kind: u8, value: &[u8]| [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, value.len() as u8], value].concat();
    match zone {
        Zone::Is(addresses) if is_a => {
            let records: Vec<u8> = addresses.iter().flat_map(|a| record(1, &a.octets())).collect();
            with(0, addresses.len() as u8, records)
        }
        Zone::Is(_) | Zone::NoAddress => with(0, 0, Vec::new()),
        Zone::NoName => with(3, 0, Vec::new()),
        Zone::ServFail => with(2, 0, Vec::new()),
        Zone::Refused => with(5, 0, Vec::new()),
        Zone::Silence => None,
        Zone::Garbage => Some(question.iter().rev().map(|b| b ^ 0x5a).collect()),
        Zone::Stranger => with(0, 1, record(1, &[127, 0, 0, 1])).map(|mut a| {
            a[0] ^= 0xff;
            a
        }),
        Zone::Loop => with(0, 1, record(5, &[0xc0, 12])),
        Zone::Short => with(0, 9, record(1, &[127, 0, 0])),
    }
}
