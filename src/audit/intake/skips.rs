//! What a source knows to be lost before anybody read it, from where it is found out to the event that tells of it.
//!
//! It is counted in the ring, which outlives workers; so is how much of it was told. Whoever dies in between leaves the words
//! behind, and it is told without them. Refuses: to tell.

use crate::audit::intake::source::SKIPS;
use crate::audit::locks::{Rank, Ranked};
use crate::audit::record::gap_event::{GapEvent, Skip};
use crate::limits;
use crate::sys::ring::{Ring, Word};
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// What was skipped, and what of that was told.
#[derive(Debug)]
pub struct Skips {
    ring: Arc<Ring>,
    words: Ranked<Vec<(usize, String)>>,
}

impl Skips {
    /// Of what is counted in this ring.
    pub fn new(ring: Arc<Ring>) -> Skips {
        Skips { ring, words: Ranked::new(Rank::Skips, Vec::new()) }
    }

    /// This has happened.
    pub fn note(&self, what: Word, text: String) {
        if let Some(kind) = SKIPS.iter().position(|(word, ..)| *word == what) {
            let mut words = self.words.lock();
            if words.len() < limits::SKIPS_IN_WORDS {
                words.push((kind, text));
            }
        }
        self.ring.word(what).fetch_add(1, Ordering::Release);
    }

    /// The next one that is to be told.
    pub fn next(&self) -> Option<GapEvent> {
        let told = self.ring.word(Word::SkipsTold).load(Ordering::Acquire);
        let (kind, (word, text)) = SKIPS.iter().enumerate().find(|(kind, (word, _))| {
            self.ring.word(*word).load(Ordering::Acquire) as u16 != (told >> (16 * kind)) as u16
        })?;
        let number = u64::from((told >> (16 * kind)) as u16);
        let words = self.words.lock().iter().find(|(k, _)| *k == kind).map(|(_, text)| text.clone());
        let id = format!("{:x}-{}-{number}", self.ring.epoch(), *word as usize);
        Some(GapEvent::skipped(Skip { id, text: words.unwrap_or_else(|| (*text).into()), kind }))
    }

    /// It is told.
    pub fn told(&self, skip: &Skip) {
        let mut words = self.words.lock();
        if let Some(i) = words.iter().position(|(kind, _)| *kind == skip.kind) {
            words.remove(i);
        }
        let told = self.ring.word(Word::SkipsTold).load(Ordering::Acquire);
        let lane = 16 * skip.kind;
        let now = u64::from(((told >> lane) as u16).wrapping_add(1));
        self.ring.word(Word::SkipsTold).store(told & !(0xffff << lane) | now << lane, Ordering::Release);
    }
}
