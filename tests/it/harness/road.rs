//! A rough road: a TCP proxy of the tests' own, between a program and the server it talks to, with every fault a network has.
//!
//! What happens to a connection is decided by the seed and its number alone, so that a run can be repeated; a failing test
//! prints the seed and what befell each connection. Whether a fault has bitten, and whether an answer was on its way when
//! the connection ended, is on record by the port under which the server saw it: that is what repeats are held against.
//! Refuses: to duplicate or reorder bytes (TCP does not), to touch a connection in fair weather.

use super::den::free_listener;
use super::events::Chance;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the program to the server.
    To,
    /// From the server to the program.
    Back,
}

/// What can befall a connection; counts are bytes that pass before it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Every piece comes so much later, both ways.
    Delay(Duration),
    /// Both sides are closed.
    Cut(Way, usize),
    /// Both sides are reset.
    Reset(Way, usize),
    /// This direction ends, the other goes on.
    Half(Way, usize),
    /// From there so many bytes a second.
    Slow(Way, usize, usize),
    /// This byte is another one.
    Corrupt(Way, usize, u8),
    /// From there nothing arrives, and nobody is told.
    Swallow(Way, usize),
    /// Closed at once.
    Refuse,
}

/// What is met on the road.
type Menu = Arc<dyn Fn(&mut Chance) -> Fault + Send + Sync>;

#[derive(Default)]
struct Conn {
    fault: Option<Fault>,
    /// The fault has happened.
    bitten: AtomicBool,
    /// Bytes that went to the server since it said something last.
    asked: AtomicU64,
    /// The program hung up without waiting for the answer.
    left: AtomicBool,
    /// The port under which the server saw it.
    port: AtomicU16,
    over: AtomicBool,
}

struct Shared {
    to: SocketAddr,
    seed: u64,
    weather: Mutex<Option<(Menu, u64)>>,
    conns: Mutex<Vec<Arc<Conn>>>,
    open: AtomicBool,
}

/// The road; closed when dropped.
pub struct Road {
    port: u16,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `SEED=`, or this one.
pub fn seed(default: u64) -> u64 {
    std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}

impl Road {
    /// Leads to a port of loopback; the weather is fair.
    pub fn to(port: u16, seed: u64) -> Road {
        Road::on(free_listener(), port, seed)
    }

    /// The same from a listener of one's own.
    pub fn on(listener: TcpListener, port: u16, seed: u64) -> Road {
        let road = Road {
            port: listener.local_addr().expect("an address").port(),
            shared: Arc::new(Shared {
                to: SocketAddr::from(([127, 0, 0, 1], port)),
                seed,
                weather: Mutex::new(None),
                conns: Mutex::default(),
                open: AtomicBool::new(true),
            }),
        };
        listener.set_nonblocking(true).expect("a listener that does not block");
        let shared = road.shared.clone();
        std::thread::spawn(move || accept(&listener, &shared));
        road
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on so many of a hundred new connections meet a fault of this menu.
    pub fn foul(&self, menu: impl Fn(&mut Chance) -> Fault + Send + Sync + 'static, percent: u64) {
        *lock(&self.shared.weather) = Some((Arc::new(menu), percent));
    }

    /// From now on new connections meet none; those that suffer go on suffering.
    pub fn fair(&self) {
        *lock(&self.shared.weather) = None;
    }

    /// The connections there are now end.
    pub fn clear(&self) {
        lock(&self.shared.conns).iter().for_each(|c| c.over.store(true, Ordering::SeqCst));
    }

    /// How many connections there were.
    pub fn count(&self) -> usize {
        lock(&self.shared.conns).len()
    }

    /// The faults that have happened.
    pub fn bitten(&self) -> Vec<Fault> {
        let conns = lock(&self.shared.conns);
        conns.iter().filter(|c| c.bitten.load(Ordering::SeqCst)).filter_map(|c| c.fault).collect()
    }

    /// What befell the connections that the server saw under this port.
    pub fn about(&self, port: u16) -> String {
        let conns = lock(&self.shared.conns);
        let of = conns.iter().enumerate().filter(|(_, c)| c.port.load(Ordering::SeqCst) == port);
        of.map(|(n, c)| format!("connection {n}: {:?}, {:?} open; ", c.fault, c.asked)).collect()
    }

    /// Whether an answer on the connection that the server saw under this port may not have arrived.
    pub fn may_have_lost_an_answer(&self, port: u16) -> bool {
        let conns = lock(&self.shared.conns);
        let of = conns.iter().filter(|c| c.port.load(Ordering::SeqCst) == port);
        let lost = |c: &Arc<Conn>| {
            let open_question = c.asked.load(Ordering::SeqCst) > GOODBYE_BYTES;
            open_question || c.bitten.load(Ordering::SeqCst) || c.left.load(Ordering::SeqCst)
        };
        of.into_iter().any(lost)
    }
}

/// TLS says goodbye in less.
const GOODBYE_BYTES: u64 = 100;

impl Drop for Road {
    fn drop(&mut self) {
        self.shared.open.store(false, Ordering::SeqCst);
        if std::thread::panicking() {
            eprintln!("the road's plan, SEED={}:", self.shared.seed);
            for (n, c) in lock(&self.shared.conns).iter().enumerate().filter(|(_, c)| c.fault.is_some()) {
                eprintln!("  connection {n}: {:?}, happened: {}", c.fault, c.bitten.load(Ordering::SeqCst));
            }
        }
        self.clear();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while shared.open.load(Ordering::SeqCst) {
        let Ok((client, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let _ = client.set_nonblocking(false);
        let mut conns = lock(&shared.conns);
        let mut chance = Chance::new(shared.seed.wrapping_mul(1_000_003) + conns.len() as u64);
        let foul = lock(&shared.weather).clone().filter(|(_, percent)| chance.within(1, 100) <= *percent);
        let conn = Arc::new(Conn { fault: foul.map(|(menu, _)| menu(&mut chance)), ..Conn::default() });
        conns.push(conn.clone());
        let to = shared.to;
        std::thread::spawn(move || lead(client, to, &conn));
    }
}

fn lead(client: TcpStream, to: SocketAddr, conn: &Arc<Conn>) -> Option<()> {
    if conn.fault == Some(Fault::Refuse) {
        conn.bitten.store(true, Ordering::SeqCst);
        return None;
    }
    let server = TcpStream::connect(to).ok()?;
    conn.port.store(server.local_addr().ok()?.port(), Ordering::SeqCst);
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
        let _ = socket.set_read_timeout(Some(Duration::from_millis(10)));
        let _ = socket.set_write_timeout(Some(Duration::from_secs(5)));
    }
    let (client, server) = (Arc::new(client), Arc::new(server));
    let there = Lane::new(Way::To, &client, &server, conn);
    let back = Lane::new(Way::Back, &server, &client, conn);
    // The last of the two to let go of the sockets closes them.
    drop((client, server));
    std::thread::spawn(move || there.run());
    back.run();
    Some(())
}

/// One direction of a connection.
struct Lane {
    way: Way,
    from: Arc<TcpStream>,
    to: Arc<TcpStream>,
    conn: Arc<Conn>,
    passed: usize,
    /// Bytes that stay unread in the socket: closing it then is a reset.
    held: usize,
}

/// What to do with the connection after a piece.
#[derive(PartialEq)]
enum Then {
    GoOn,
    End,
}

impl Lane {
    fn new(way: Way, from: &Arc<TcpStream>, to: &Arc<TcpStream>, conn: &Arc<Conn>) -> Lane {
        Lane { way, from: from.clone(), to: to.clone(), conn: conn.clone(), passed: 0, held: 0 }
    }

    fn run(mut self) {
        let mut piece = [0; 8 << 10];
        while !self.conn.over.load(Ordering::SeqCst) {
            match self.take(&mut piece) {
                Ok(0) if self.held > 0 => std::thread::sleep(Duration::from_millis(1)),
                Ok(0) => {
                    let impatient = self.way == Way::To && self.conn.asked.load(Ordering::SeqCst) > GOODBYE_BYTES;
                    self.conn.left.fetch_or(impatient, Ordering::SeqCst);
                    // The end is passed on; the other direction may still have something to say.
                    let _ = self.to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(n) => {
                    if self.pass(&mut piece[..n]) == Then::End {
                        break;
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(_) => {
                    // A program that closes with an answer unread resets: that answer is lost, by its own impatience.
                    self.conn.left.fetch_or(self.way == Way::To, Ordering::SeqCst);
                    break;
                }
            }
        }
        if self.held > 0 {
            // Closed with something unread it is reset, wherever it was on its road: what was passed may be lost.
            self.bite();
        }
        self.conn.over.store(true, Ordering::SeqCst);
    }

    /// Reads what is new; on a road to a reset, the last byte stays in the socket.
    fn take(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        if !matches!(self.conn.fault, Some(Fault::Reset(..))) {
            return (&*self.from).read(piece);
        }
        let seen = self.from.peek(piece)?;
        if seen == 0 {
            self.held = 0;
            return Ok(0);
        }
        let old = self.held;
        let mut away = vec![0; seen - 1];
        (&*self.from).read_exact(&mut away)?;
        self.held = 1;
        piece.copy_within(old..seen, 0);
        Ok(seen - old)
    }

    fn bite(&self) {
        self.conn.bitten.store(true, Ordering::SeqCst);
    }

    /// Passes a piece on, or does to it what is to be done.
    fn pass(&mut self, piece: &mut [u8]) -> Then {
        match self.way {
            Way::To => self.conn.asked.fetch_add(piece.len() as u64, Ordering::SeqCst),
            Way::Back => self.conn.asked.swap(0, Ordering::SeqCst),
        };
        let (before, after) = (self.passed, self.passed + piece.len());
        self.passed = after;
        let mine = |way: Way, at: usize| way == self.way && after > at;
        let left = |at: usize| at.saturating_sub(before);
        match self.conn.fault {
            Some(Fault::Delay(time)) => {
                self.bite();
                std::thread::sleep(time);
            }
            Some(Fault::Cut(way, at) | Fault::Reset(way, at)) if mine(way, at) => {
                self.bite();
                self.write(&piece[..left(at)]);
                return Then::End;
            }
            Some(Fault::Half(way, at)) if mine(way, at) => {
                self.bite();
                self.write(&piece[..left(at)]);
                let _ = self.to.shutdown(Shutdown::Write);
                return Then::GoOn;
            }
            Some(Fault::Swallow(way, at)) if mine(way, at) => {
                self.bite();
                return self.write(&piece[..left(at)]);
            }
            Some(Fault::Slow(way, at, rate)) if mine(way, at) => return self.trickle(piece, left(at), rate),
            Some(Fault::Corrupt(way, at, with)) if mine(way, at) && at >= before => {
                self.bite();
                piece[at - before] ^= with;
            }
            _ => {}
        }
        self.write(piece)
    }

    fn trickle(&mut self, piece: &[u8], whole: usize, rate: usize) -> Then {
        self.bite();
        let mut then = self.write(&piece[..whole]);
        for bytes in piece[whole..].chunks((rate / 20).max(1)) {
            if then == Then::End || self.conn.over.load(Ordering::SeqCst) {
                return Then::End;
            }
            std::thread::sleep(Duration::from_millis(50));
            then = self.write(bytes);
        }
        then
    }

    fn write(&self, bytes: &[u8]) -> Then {
        match (&*self.to).write_all(bytes) {
            Ok(()) => Then::GoOn,
            // After a half-close the rest of this direction goes nowhere.
            Err(e) if e.kind() == ErrorKind::BrokenPipe && matches!(self.conn.fault, Some(Fault::Half(..))) => {
                Then::GoOn
            }
            Err(_) => Then::End,
        }
    }
}
