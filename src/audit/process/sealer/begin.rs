//! How sealing begins: where the last worker has left it, by closing the stream of an earlier keeper, and by what was signed
//! already. Refuses: to sign another tree of the size of one that was signed.

use super::gather::{Gather, Redo};
use super::progress::Progress;
use super::{Now, Sealer, Sent};
use crate::audit::seal::checkpoint::{self, body_hash, After, Why};
use crate::audit::seal::{Checkpoint, Note, Tree};
use crate::limits;
use crate::log;
use std::time::Duration;

impl Sealer {
    /// The vault can be used: what it has signed last may be more than is known here.
    pub(super) fn find_redo(&mut self) {
        let Some(note) = self.signer.last() else { return };
        let read = Note::parse(&note).and_then(|n| Some((body_hash(&n.body), Checkpoint::read(&n.body).ok()?)));
        let Some((hash, c)) = read else { return };
        self.spool.say_sealed(|said| said.signed_ms = said.signed_ms.max(c.time_ms));
        if self.progress.last.is_none_or(|last| last.0 < c.number) {
            self.again = Some((checkpoint::event(&note, &c), c.number, hash));
        }
        self.signed = Some((c.number, hash)).max(self.signed);
        // It has begun a later stream: then those before are closed, and are not signed again.
        let place = |id| self.then.iter().position(|s| s.id == id);
        let begun = match (place(c.stream), c.after) {
            (Some(i), after) => Some((i, after)),
            // Nothing of that one is left, and it followed one of these: what is behind that follows it.
            (None, After::Stream(before, ..)) if c.stream != self.progress.stream.id => {
                let i = if before == self.progress.stream.id { Some(0) } else { place(before).map(|i| i + 1) };
                i.filter(|i| *i < self.then.len()).map(|i| (i, After::Stream(c.stream, c.size, c.root)))
            }
            _ => None,
        };
        if let Some((i, after)) = begun {
            let later = self.then[i];
            let closed = self.then.drain(..=i).filter(|s| *s != later);
            let mut next = Progress { last: self.progress.last, ..Progress::of(later, after) };
            next.past = std::mem::take(&mut self.progress.past);
            std::iter::once(self.progress.stream).chain(closed).for_each(|s| next.add_past(s));
            self.go_on_with(next);
            if later.id != c.stream {
                self.wanted = Some(Why::Start).filter(|_| !self.is_closing());
            }
        }
        if c.stream == self.progress.stream.id {
            self.last_size = self.last_size.max(c.size);
            if c.size > self.gather.leaves.tree.size() {
                self.redo = Some(Redo { size: c.size, root: c.root, edge: c.edge });
            }
        } else if self.progress.size == 0 && matches!(self.progress.after, After::None | After::Unknown) {
            self.progress.after = After::Stream(c.stream, c.size, c.root);
        }
    }

    /// A checkpoint that was signed, and may not have come into the spool, is told as it is.
    pub(super) fn tell_again(&mut self) -> bool {
        let Some((event, number, hash)) = self.again.take() else { return false };
        self.spool.post(vec![event]);
        self.sent = Some(Sent::Note(number, hash, Vec::new()));
        true
    }

    /// What is signed already is gathered again, and is the same; where it cannot be read any more, what was signed counts.
    pub(super) fn follow_redo(&mut self, now: Now) {
        let Some(redo) = &self.redo else { return };
        let tree = &self.gather.leaves.tree;
        let unread = self.gather.torn || self.gather.over && tree.size() < redo.size;
        if !unread && tree.size() < redo.size {
            return;
        }
        if unread || tree.root() != redo.root {
            let signed = Tree::resume(self.progress.stream.id.algorithm(), redo.size, &redo.edge);
            signed.into_iter().for_each(|tree| self.gather.jump(tree));
            log::warn("seal", format!("records before {} were sealed, and cannot be read any more", self.gather.next));
        } else {
            self.gather.close_list(now.wall_ms);
        }
        self.gather.leaves.fresh = 0;
        self.redo = None;
    }

    /// Whether the stream of an earlier keeper is being closed.
    pub(super) fn is_closing(&self) -> bool {
        !self.then.is_empty()
    }

    /// What was signed of that must be known before: for so long its end waits.
    pub(super) fn waits_for_signer(&self, now: Now) -> bool {
        let begun = self.begun.unwrap_or(now.mono);
        let long = now.mono.saturating_sub(begun) >= Duration::from_millis(limits::SEAL_VAULT_MILLIS);
        self.is_closing() && self.retry.is_some() && !long && !self.spool.closing()
    }

    /// The stream of the earlier keeper is closed, and the one behind it begins: that of this keeper, or of one between them who
    /// has died before he came to it.
    pub(super) fn begin_next(&mut self) {
        let next = self.progress.followed_by(self.then.remove(0), &self.gather.leaves.tree);
        self.go_on_with(next);
        self.wanted = Some(Why::Start).filter(|_| !self.is_closing());
        // What was told of the old one is on the platter before anybody takes it for closed.
        let first = self.progress.stream.first;
        self.spool.keep_progress(self.progress.save(), self.spool.next_seq(), first);
        if self.retry.is_none() {
            self.find_redo();
        }
    }

    /// Another stream is gathered from here on.
    fn go_on_with(&mut self, next: Progress) {
        let end = self.then.first().map(|s| s.first);
        let Some(gather) = Gather::new(&next, end, Vec::new()) else { return };
        let rules = std::mem::replace(&mut self.gather, gather).into_rules();
        self.gather.leaves.set_rules(rules);
        (self.progress, self.closed, self.last_size, self.redo) = (next, false, 0, None);
    }
}
