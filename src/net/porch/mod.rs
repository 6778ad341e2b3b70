//! What stands between the street and tiny_http: the porch owns the public listeners.
//!
//! Nothing from the network reaches tiny_http directly. A visitor gets a seat (bounded), some seconds for one request
//! head (bounded), TLS and a name if they are wanted; a request that was understood is written anew and taken to the
//! inner server, its answer back. Running out of descriptors or threads costs a visitor, never the server; an address
//! that is taken is tried again for ever. Refuses: bodies, other methods, keep-alive.

pub mod head;
mod inner;
mod listen;
mod seats;
mod users;
mod visit;

use crate::limits;
use crate::log;
use crate::net::address::Address;
use crate::net::stream::Socket;
use crate::net::tls;
pub use inner::{place, places_for_good, Handler};
pub use listen::Listener;
use listen::{Door, Next};
use seats::Seats;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use visit::{House, Patience};

/// What a porch is made of.
#[derive(Default)]
pub struct PorchOptions {
    /// Where to listen.
    pub addresses: Vec<Address>,
    /// Listeners that somebody else bound already (socket activation).
    pub listeners: Vec<Listener>,
    /// `--web-tls-cert` and the like.
    pub tls: Option<tls::ServerOptions>,
    /// `--web-users`.
    pub users: Option<PathBuf>,
}

/// An open porch; dropping it closes it.
pub struct Porch {
    wake: Option<UnixStream>,
    doors: Vec<JoinHandle<()>>,
    seats: Arc<Seats>,
    house: Arc<House>,
    open: Arc<Mutex<Vec<Address>>>,
}

/// Opens a porch. It never fails: what cannot be had now is tried again until it can.
pub fn start(options: PorchOptions, handler: Handler) -> Porch {
    start_with(options, handler, Patience::default())
}

fn start_with(options: PorchOptions, handler: Handler, patience: Patience) -> Porch {
    let house = Arc::new(House {
        tls: options.tls.map(tls::Server::new),
        users: options.users.map(users::Users::new),
        handler,
        inner: Mutex::new(None),
        patience,
        ahead: AtomicUsize::new(0),
    });
    // Made before the first visitor, while descriptors are there.
    house.current();
    // What is wrong with a file is said now, not to the first visitor.
    house.look();
    let mut porch = Porch { wake: None, doors: Vec::new(), seats: Arc::default(), house, open: Arc::default() };
    let woken = match UnixStream::pair() {
        Ok((wake, woken)) => {
            porch.wake = Some(wake);
            Arc::new(woken)
        }
        Err(e) => {
            log::error("page", format!("no pages: cannot make a pair of sockets: {e}"));
            return porch;
        }
    };
    let mut doors: Vec<Door> = options.listeners.into_iter().map(Door::given).collect();
    doors.extend(options.addresses.iter().take(limits::PORCH_ADDRESSES).flat_map(Door::for_address));
    for mut door in doors {
        // The first try is made here, so that whoever started us finds the address open when it can be.
        door.open(&porch.open);
        let keeper = Keeper { house: porch.house.clone(), seats: porch.seats.clone(), open: porch.open.clone() };
        let woken = Arc::clone(&woken);
        let name = format!("door {door}");
        let thread = thread::Builder::new().name("door".into()).stack_size(limits::PORCH_STACK_BYTES);
        match thread.spawn(move || keeper.keep(door, &woken)) {
            Ok(handle) => porch.doors.push(handle),
            Err(e) => log::error("page", format!("no thread for {name}: {e}")),
        }
    }
    porch
}

impl Porch {
    /// The addresses that are open now, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<Address> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many visitors' threads run now.
    pub fn visitors(&self) -> usize {
        self.seats.threads()
    }

    /// TLS files are read again at the next visit; the file of users is anyway.
    pub fn reload(&self) {
        if let Some(tls) = &self.house.tls {
            tls.reload();
        }
    }
}

impl Drop for Porch {
    fn drop(&mut self) {
        // The end of the pair wakes every door.
        self.wake = None;
        for door in self.doors.drain(..) {
            let _ = door.join();
        }
        self.seats.close();
        *self.house.inner.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a door's thread works with.
struct Keeper {
    house: Arc<House>,
    seats: Arc<Seats>,
    open: Arc<Mutex<Vec<Address>>>,
}

impl Keeper {
    fn keep(&self, mut door: Door, woken: &UnixStream) {
        loop {
            match door.next(&self.open, woken) {
                Next::Visitor(socket, visitor) => self.welcome(socket, visitor),
                Next::Nobody => {}
                Next::Closed => return,
            }
        }
    }

    fn welcome(&self, socket: Socket, visitor: String) {
        let socket = Arc::new(socket);
        let Some(ticket) = self.seats.enter(&socket) else { return visit::turn_away(&self.house, &socket) };
        let (house, guest) = (Arc::clone(&self.house), Arc::clone(&socket));
        let thread = thread::Builder::new().name("visitor".into()).stack_size(limits::PORCH_STACK_BYTES);
        if thread.spawn(move || visit::receive(&house, guest, &visitor, ticket)).is_err() {
            visit::turn_away(&self.house, &socket);
            thread::sleep(Duration::from_millis(limits::PORCH_PAUSE_MILLIS));
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
