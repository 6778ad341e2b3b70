//! Answers that come later. A sender's step may run on a thread of its own, which has the turn until its sink is asked;
//! while the answer is under way the world has it, and gives it back with the answer, or with the worker's death.
//!
//! Exactly one thread runs at any moment, so a seed is the same run whatever the machine does. Refuses: two turns at once.

use crate::disk::Death;
use gostech::audit::delivery::sender::{Now, Sender, Wait};
use std::cell::RefCell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::mpsc::{channel, Receiver as Ear, Sender as Mouth};
use std::thread::{self, JoinHandle};

/// What the world says to a step that waits.
enum Go {
    /// The answer is here.
    Answer,
    /// The worker is dead, and all its threads with it.
    Die,
}

/// What a step says to the world.
enum Turn {
    UnderWay,
    Over(thread::Result<(Box<Sender>, Wait)>),
}

thread_local! {
    /// On the thread of a step: how it gives its turn away and gets it back.
    static DESK: RefCell<Option<(Mouth<Turn>, Ear<Go>)>> = const { RefCell::new(None) };
}

/// Whether the answer to what is sent now comes later.
pub fn comes_later() -> bool {
    DESK.with_borrow(Option::is_some)
}

/// For the sink: the answer is under way, and others have their turns. At once where it does not come later.
pub fn await_answer() {
    let go = DESK.with_borrow(|desk| {
        let (mouth, ear) = desk.as_ref()?;
        mouth.send(Turn::UnderWay).ok()?;
        Some(ear.recv().unwrap_or(Go::Die))
    });
    if let Some(Go::Die) = go {
        // The spool is not touched any more: nothing of a sender has work to do when it is dropped.
        resume_unwind(Box::new(Death::Worker));
    }
}

/// A step whose answer is under way.
pub struct Flight {
    mouth: Mouth<Go>,
    ear: Ear<Turn>,
    thread: Option<JoinHandle<()>>,
    /// So many of this receiver's steps pass before the answer comes.
    pub patience: u64,
}

/// What became of a turn.
pub enum Came {
    /// The step is over.
    Back(Box<Sender>, Wait),
    /// The answer is under way.
    UnderWay(Flight),
}

impl Flight {
    /// Begins a step.
    pub fn begin(mut sender: Box<Sender>, now: Now, hurry: bool, patience: u64) -> Came {
        let ((mouth, its_ear), (its_mouth, ear)) = (channel(), channel());
        let thread = thread::spawn(move || {
            DESK.set(Some((its_mouth.clone(), its_ear)));
            let over = catch_unwind(AssertUnwindSafe(move || {
                let wait = sender.step(now, hurry);
                (sender, wait)
            }));
            // Nobody listens any more when the worker is dead.
            let _ = its_mouth.send(Turn::Over(over));
        });
        Flight { mouth, ear, thread: Some(thread), patience }.hear()
    }

    /// The answer is here: the step goes on with it.
    pub fn arrive(self) -> Came {
        let _ = self.mouth.send(Go::Answer);
        self.hear()
    }

    fn hear(self) -> Came {
        match self.ear.recv() {
            Ok(Turn::UnderWay) => Came::UnderWay(self),
            Ok(Turn::Over(Ok((sender, wait)))) => Came::Back(sender, wait),
            // It died at the disk, or something is wrong: the same befalls the world.
            Ok(Turn::Over(Err(e))) => resume_unwind(e),
            Err(_) => panic!("a step has ended without a word"),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Heard only by one that waits for its answer.
        let _ = self.mouth.send(Go::Die);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
