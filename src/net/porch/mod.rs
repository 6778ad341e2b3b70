//! What stands between the street and the pages: the porch owns the public listeners.
//!
//! A visitor gets a seat (bounded), some seconds for one request head (bounded), TLS and a name if they are wanted; a request
//! that was understood has its page made by a thread of its own, a few at once. Running out of descriptors or threads costs a
//! visitor, never the server; an address that is taken is tried again for ever. Refuses: bodies, other methods, keep-alive.

pub mod head;
mod listen;
mod prepared;
mod seats;
mod turns;
mod users;
mod visit;

use crate::limits;
use crate::log;
use crate::net::address::Address;
use crate::net::stream::Socket;
use crate::net::tls;
use crate::sys::thread;
pub use listen::Listener;
use listen::{Door, Next};
pub use prepared::{sweep, Closed, Prepared};
use seats::Seats;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
pub use turns::Handler;
pub use users::check_file as check_users;
use visit::{Patience, Shared};

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
    /// What was opened before the process confined itself.
    pub prepared: Prepared,
}

/// An open porch; dropping it closes it.
pub struct Porch {
    doors: Vec<KeptDoor>,
    seats: Arc<Seats>,
    shared: Arc<Shared>,
    open: Arc<Mutex<Vec<Address>>>,
}

/// A door and who keeps it; dropping its end of the pair closes it.
struct KeptDoor {
    /// None: the listener was given.
    address: Option<Address>,
    wake: UnixStream,
    thread: JoinHandle<()>,
}

/// Opens a porch. It never fails: what cannot be had now is tried again until it can.
pub fn start(options: PorchOptions, handler: Handler) -> Porch {
    start_with(options, handler, Patience::default())
}

fn start_with(mut options: PorchOptions, handler: Handler, patience: Patience) -> Porch {
    let shared = Arc::new(Shared {
        tls: Mutex::new(options.tls.map(|o| Arc::new(tls::Server::new(o)))),
        users: Mutex::new(options.users.map(|path| Arc::new(users::Users::new(path)))),
        handler,
        turns: Arc::default(),
        patience,
        read_ahead: AtomicUsize::new(0),
    });
    // What is wrong with a file is said now, not to the first visitor.
    shared.look();
    let mut porch = Porch { doors: Vec::new(), seats: Arc::default(), shared, open: Arc::default() };
    options.listeners.into_iter().for_each(|listener| porch.add(None, Door::given(listener)));
    for address in options.addresses.iter().take(limits::PORCH_ADDRESSES) {
        match options.prepared.take(address) {
            Some(door) => porch.add(Some(address.clone()), door),
            None if options.prepared.keeps_closed(address) => {}
            None => porch.open(address),
        }
    }
    porch
}

impl Porch {
    /// The addresses that are open now, with the ports that the system chose.
    #[cfg(test)]
    pub fn addresses(&self) -> Vec<Address> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many visitors' threads run now.
    #[cfg(test)]
    pub fn visitors(&self) -> usize {
        self.seats.threads()
    }

    /// From now on it is open here, with these files, all of which are read again. What was open and stays so goes on.
    pub fn change(&mut self, options: PorchOptions) {
        let tls = options.tls.map(|o| Arc::new(tls::Server::new(o)));
        *self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner) = tls;
        let users = options.users.map(|path| Arc::new(users::Users::new(path)));
        *self.shared.users.lock().unwrap_or_else(PoisonError::into_inner) = users;
        self.shared.look();
        // First the old ones are closed: an address may be part of another one.
        let stays = |door: &KeptDoor| door.address.as_ref().is_none_or(|a| options.addresses.contains(a));
        let (stay, go) = std::mem::take(&mut self.doors).into_iter().partition(stays);
        self.doors = stay;
        close(go);
        let kept = |a: &Address| self.doors.iter().any(|door| door.address.as_ref() == Some(a));
        let new: Vec<Address> = options.addresses.into_iter().filter(|a| !kept(a)).collect();
        new.iter().take(limits::PORCH_ADDRESSES).for_each(|address| self.open(address));
    }

    fn open(&mut self, address: &Address) {
        Door::for_address(address).into_iter().for_each(|door| self.add(Some(address.clone()), door));
    }

    /// Opens a door, and gives it a keeper.
    fn add(&mut self, address: Option<Address>, mut door: Door) {
        let (wake, woken) = match UnixStream::pair() {
            Ok(pair) => pair,
            Err(e) => return log::error("page", format!("no pages at {door}: cannot make a pair of sockets: {e}")),
        };
        // The first try is made here, so that whoever started us finds the address open when it can be.
        door.open(&self.open);
        let keeper = Keeper { shared: self.shared.clone(), seats: self.seats.clone(), open: self.open.clone() };
        let name = format!("door {door}");
        let work = move || keeper.keep(door, &woken);
        match thread::with_stack("door", limits::PORCH_STACK_BYTES, work) {
            Ok(thread) => self.doors.push(KeptDoor { address, wake, thread }),
            Err(e) => log::error("page", format!("no thread for {name}: {e}")),
        }
    }
}

impl Drop for Porch {
    fn drop(&mut self) {
        close(std::mem::take(&mut self.doors));
        self.seats.close();
    }
}

/// Closes these doors: first all are woken, then each is waited for.
fn close(doors: Vec<KeptDoor>) {
    let woken = |door: KeptDoor| {
        drop(door.wake);
        door.thread
    };
    let threads: Vec<JoinHandle<()>> = doors.into_iter().map(woken).collect();
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

/// What a door's thread works with.
struct Keeper {
    shared: Arc<Shared>,
    seats: Arc<Seats>,
    open: Arc<Mutex<Vec<Address>>>,
}

impl Keeper {
    fn keep(&self, mut door: Door, woken: &UnixStream) {
        loop {
            match door.next(&self.open, woken) {
                Next::Visitor(socket, visitor) => self.welcome(socket, visitor),
                Next::Nobody => {}
                Next::Closed => break,
            }
        }
        if let Some(address) = door.address() {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|a| *a != address);
        }
    }

    fn welcome(&self, socket: Socket, visitor: String) {
        let socket = Arc::new(socket);
        let Some(seat) = self.seats.enter(&socket) else { return visit::turn_away(&self.shared, &socket) };
        let (shared, guest) = (Arc::clone(&self.shared), Arc::clone(&socket));
        let visit = move || visit::receive(&shared, guest, &visitor, seat);
        if thread::with_stack("visitor", limits::PORCH_STACK_BYTES, visit).is_err() {
            visit::turn_away(&self.shared, &socket);
            std::thread::sleep(Duration::from_millis(limits::PORCH_PAUSE_MILLIS));
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
