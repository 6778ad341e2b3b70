//! Turns: so many pages are made at once, each by a thread of its own, so that one that hangs is nobody's wait but its own.
//!
//! A turn lasts from the making of a page until most of it is taken: pages in memory are bounded by it. Refuses: to make a
//! page in the thread of the visitor, who has a deadline.

use crate::limits;
use crate::net::page::{Page, PageRequest};
use crate::sys::thread;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What makes the pages.
pub type Handler = Arc<dyn Fn(&PageRequest) -> Page + Send + Sync>;

/// The turns of a porch.
#[derive(Default)]
pub struct Turns {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One of them; it is free again when this is dropped.
pub struct Turn(Arc<Turns>);

impl Turns {
    /// A free turn, waiting for one until the deadline. The last one is for those who are in a hurry: every other may be
    /// waiting for a database that hangs, and whether this program lives is asked just then.
    pub fn take(self: &Arc<Self>, deadline: Instant, hurry: bool) -> Option<Turn> {
        let most = if hurry { limits::PORCH_PAGES } else { limits::PORCH_PAGES - 1 };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= most {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            taken = self.freed.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *taken += 1;
        Some(Turn(Arc::clone(self)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        // Not everyone who waits may take every turn.
        self.0.freed.notify_all();
    }
}

/// Where a page is laid down for its visitor. When he waits no more, page and turn end with it.
#[derive(Default)]
struct Tray {
    page: Mutex<Option<(Page, Turn)>>,
    there: Condvar,
}

/// Has a page made. Nothing when it is not there at the deadline: it may take as long as it likes, and keeps its turn.
pub fn make(
    handler: &Handler,
    request: PageRequest,
    turn: Turn,
    deadline: Instant,
) -> io::Result<Option<(Page, Turn)>> {
    let tray = Arc::new(Tray::default());
    let (handler, theirs) = (Arc::clone(handler), Arc::clone(&tray));
    let work = move || {
        let page = handler(&request);
        *theirs.page.lock().unwrap_or_else(PoisonError::into_inner) = Some((page, turn));
        theirs.there.notify_one();
    };
    thread::with_stack("page", limits::PORCH_STACK_BYTES, work)?;
    let mut page = tray.page.lock().unwrap_or_else(PoisonError::into_inner);
    while page.is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        page = tray.there.wait_timeout(page, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    Ok(page.take())
}
