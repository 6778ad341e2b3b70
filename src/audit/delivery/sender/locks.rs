//! What a sender holds while it waits: a disk that does not come back from a sync must hold up no writer, and with that no
//! database.

use super::tests::{memory_disk, sender_of, spool_on, Ask, Asked, Strange};
use super::*;
use crate::audit::intake::writer::Writer;
use crate::audit::record::Ending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::Instant;

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
    // A disk that does not come back from the sync of a cursor while `holds`.
    let (holds, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (waits, waiting) = (holds.clone(), held.clone());
    let ask = move |ask: Ask<'_>| {
        while matches!(ask, Ask::Sync(name) if name.starts_with("cursor-")) && waits.load(Ordering::SeqCst) {
            waiting.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let spool = spool_on(Arc::new(Asked { memory_disk: memory_disk(), ask }));
    Writer::new(spool.clone(), 1 << 20, false).step(b"{\"id\":\"1.0.1\"}\n", (1, 0).into(), Ending::Open, 0);
    let sink = Strange { asked: 0, from: 0, to: 0, took: Arc::new(Mutex::new(Vec::new())) };
    let mut sender = sender_of(&spool, sink);
    spool.no_directory("a test");
    holds.store(true, Ordering::SeqCst);
    let (stands, moved, free) = std::thread::scope(|threads| {
        // Syncs the cursors, as the tender does, and stands.
        threads.spawn(|| spool.recover_disk());
        let stands = until(|| held.load(Ordering::SeqCst));
        // Its cursor has a part that its file lacks: it has to be saved, behind that sync.
        let _ = spool.change("r1", &mut |c| c.filtered += 1);
        threads.spawn(|| sender.step(Now { mono: Duration::ZERO, wall_ms: 0, chance: 7 }, true));
        let moved = until(|| spool.position("r1") == 2);
        let free = until(|| spool.account.try_lock().is_some());
        holds.store(false, Ordering::SeqCst);
        (stands, moved, free)
    });
    assert!(
        stands && moved && free,
        "the sync stands: {stands}, the cursor moved: {moved}, the account is free: {free}"
    );
}
