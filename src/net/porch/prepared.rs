//! What a process that is about to confine itself opens of its porch before: the Unix sockets.
//!
//! Afterwards it needs no right to make or remove directories and sockets, nor to change modes. Starts no thread, and says
//! nothing: what cannot be had now is told by the porch, which tries again. Refuses: Internet addresses, which need no such
//! right; their names would have to be looked up, and somebody may be waiting.

use super::listen::{self, Door};
use crate::log;
use crate::net::address::Address;
use crate::net::failure::words;
use crate::sys::file;
use std::io;
use std::path::{Path, PathBuf};

/// It.
#[derive(Default)]
pub struct Prepared {
    pub(super) doors: Vec<(Address, Door)>,
    closed: Vec<Refused>,
    sealed: bool,
}

/// An address that could not be opened.
struct Refused {
    address: Address,
    error: io::Error,
    /// As it seemed before the try.
    looked_possible: bool,
}

impl Prepared {
    /// For these addresses, as far as it can be had now.
    pub fn open(addresses: &[Address]) -> Prepared {
        let mut prepared = Prepared::default();
        let unix = addresses.iter().filter(|a| matches!(a, Address::Unix { .. }));
        for (address, mut door) in
            unix.flat_map(|a| Door::for_address(a).into_iter().map(move |door| (a.clone(), door)))
        {
            let looked_possible = unix_path(&address).is_some_and(is_possible);
            match door.try_to_open() {
                Ok(()) => prepared.doors.push((address, door)),
                Err(error) => prepared.closed.push(Refused { address, error, looked_possible }),
            }
        }
        prepared
    }

    /// What is not open is not tried again by this process: another one will.
    pub fn seal(&mut self) {
        self.sealed = true;
    }

    /// Whether this address is open.
    pub fn has(&self, address: &Address) -> bool {
        self.doors.iter().any(|(a, _)| a == address)
    }

    /// Whether this address is to stay closed, which is told.
    pub(super) fn keeps_closed(&self, address: &Address) -> bool {
        let closed = self.closed.iter().find(|c| self.sealed && c.address == *address);
        if let Some(Refused { error, .. }) = closed {
            log::warn(
                &format!("page at {address}"),
                format!("cannot listen: {}; tried again when it can be", words(error)),
            );
        }
        closed.is_some()
    }

    pub(super) fn take(&mut self, address: &Address) -> Option<Door> {
        let at = self.doors.iter().position(|(a, _)| a == address)?;
        Some(self.doors.swap_remove(at).1)
    }
}

/// An address that could not be opened before the process gave up the right to: another process is to try when it can be.
#[derive(Debug)]
pub struct Closed {
    path: PathBuf,
    /// It looked possible and was not: another try would end the same way.
    looked_possible: bool,
}

impl Closed {
    /// The address of those that should be open, if it is not.
    pub fn of(address: &Address, prepared: &Prepared) -> Option<Closed> {
        let path = unix_path(address).filter(|_| !prepared.has(address))?;
        // Not as it seems now: the directory may have come since.
        let looked_possible = prepared.closed.iter().any(|c| c.address == *address && c.looked_possible);
        Some(Closed { path: path.to_path_buf(), looked_possible })
    }

    /// Whether it can be opened now, as it seems, and could not before.
    pub fn is_possible_now(&mut self) -> bool {
        let before = std::mem::replace(&mut self.looked_possible, is_possible(&self.path));
        self.looked_possible && !before
    }
}

fn unix_path(address: &Address) -> Option<&Path> {
    match address {
        Address::Unix { path, .. } => Some(path),
        _ => None,
    }
}

/// Looks without touching anything.
fn is_possible(path: &Path) -> bool {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    listen::is_free(path) && dir.is_dir() && file::is_writable(dir)
}

/// Removes the socket file of an address at which nobody listens any more: for whoever outlives a confined process.
pub fn sweep(address: &Address) {
    if let Address::Unix { path, .. } = address {
        if listen::is_left_over(path) {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Scratch;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn page(path: &Path) -> Address {
        Address::parse(&format!("unix:{},mode=0660", path.display())).unwrap()
    }

    #[test]
    fn what_is_open_has_its_mode_and_what_is_taken_is_tried_once_it_is_free() {
        let dir = Scratch::new("ahead");
        let path = dir.path("page.sock");
        let address = page(&path);
        let other = UnixListener::bind(&path).unwrap();
        let prepared = Prepared::open(std::slice::from_ref(&address));
        assert!(!prepared.has(&address));
        let mut closed = Closed::of(&address, &prepared).unwrap();
        assert!(!closed.is_possible_now());
        sweep(&address);
        assert!(path.exists(), "somebody listens");
        drop(other);
        // A program that a neighbouring test starts just now holds the socket for a moment.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !listen::is_left_over(&path) && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(closed.is_possible_now());
        assert!(!closed.is_possible_now(), "a try that fails all the same is not repeated for ever");
        let prepared = Prepared::open(std::slice::from_ref(&address));
        assert!(prepared.has(&address) && Closed::of(&address, &prepared).is_none());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        // As a process that is not allowed to remove it leaves it.
        std::mem::forget(prepared);
        sweep(&address);
        assert!(path.exists());
        drop(UnixListener::bind(dir.path("old.sock")).unwrap());
        sweep(&page(&dir.path("old.sock")));
        assert!(!dir.path("old.sock").exists());
        dir.write("file", "of somebody");
        sweep(&page(&dir.path("file")));
        assert!(dir.path("file").exists());
    }

    #[test]
    fn a_directory_that_is_missing_is_waited_for_and_internet_addresses_are_not_opened() {
        let dir = Scratch::new("ahead-late");
        let address = page(&dir.path("late/page.sock"));
        let mut prepared = Prepared::open(&[address.clone(), Address::parse("127.0.0.1:0").unwrap()]);
        assert!(prepared.doors.is_empty() && !prepared.keeps_closed(&address));
        prepared.seal();
        assert!(prepared.keeps_closed(&address));
        let mut closed = Closed::of(&address, &prepared).unwrap();
        assert!(!closed.is_possible_now());
        std::fs::create_dir(dir.path("late")).unwrap();
        assert!(closed.is_possible_now());
        let came_before_the_look = Closed::of(&address, &prepared);
        assert!(came_before_the_look.is_some_and(|mut closed| closed.is_possible_now()));
    }
}
