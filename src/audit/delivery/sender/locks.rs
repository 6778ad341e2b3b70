//! What a sender holds while it waits: a disk that does not come back from a sync must hold up no writer, and with that no
//! database.

use super::tests::{memory_disk, spool_on, Strange};
use super::*;
use crate::audit::delivery::format::FORMATS;
use crate::audit::intake::writer::Writer;
use crate::audit::record::Ending;
use crate::audit::spool::disk::{Disk, Entry};
use crate::audit::spool::memory_disk::MemoryDisk;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::Instant;

/// A disk that does not come back from the sync of a cursor for a while.
struct Slow {
    memory_disk: MemoryDisk,
    holds: AtomicBool,
    held: AtomicBool,
}

impl Disk for Slow {
    fn list(&self) -> io::Result<Vec<Entry>> {
        self.memory_disk.list()
    }
    fn read_at(&self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.memory_disk.read_at(name, at, buf)
    }
    fn write_at(&self, name: &str, at: u64, data: &[u8]) -> io::Result<()> {
        self.memory_disk.write_at(name, at, data)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        while name.starts_with("cursor-") && self.holds.load(Ordering::SeqCst) {
            self.held.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        self.memory_disk.sync(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.memory_disk.truncate(name, bytes)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory_disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.memory_disk.remove(name)
    }
    fn place(&self) -> String {
        "slow".into()
    }
}

fn until(so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    so()
}

#[test]
fn a_delivery_that_waits_for_a_disk_keeps_the_account_from_nobody() {
    crate::log::mute();
    let disk =
        Arc::new(Slow { memory_disk: memory_disk(), holds: AtomicBool::new(false), held: AtomicBool::new(false) });
    let spool = spool_on(disk.clone());
    Writer::new(spool.clone(), 1 << 20, false).step(b"{\"id\":\"1.0.1\"}\n", (1, 0).into(), Ending::Open, 0);
    let sink = Strange { asked: 0, from: 0, to: 0, took: Arc::new(Mutex::new(Vec::new())) };
    let portion = Portion { events: 16, bytes: 1 << 20, linger: Duration::ZERO };
    let mut sender = Sender::new("r1", spool.clone(), vec![Box::new(sink)], FORMATS[0].form(None), portion, 1 << 20);
    spool.no_directory("a test");
    disk.holds.store(true, Ordering::SeqCst);
    let (stands, moved, free) = std::thread::scope(|threads| {
        // Syncs the cursors, as the tender does, and stands.
        threads.spawn(|| spool.recover_disk());
        let stands = until(|| disk.held.load(Ordering::SeqCst));
        // Its cursor has a part that its file lacks: it has to be saved, behind that sync.
        let _ = spool.change("r1", |c| c.filtered += 1);
        threads.spawn(|| sender.step(Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 }, true));
        let moved = until(|| spool.position("r1") == 2);
        let free = until(|| spool.account.try_lock().is_some());
        disk.holds.store(false, Ordering::SeqCst);
        (stands, moved, free)
    });
    assert!(
        stands && moved && free,
        "the sync stands: {stands}, the cursor moved: {moved}, the account is free: {free}"
    );
}
