//! What an answer means for the events it is about: taken, refused for their content, or to be tried again; and what the
//! cursor may pass.
//!
//! Refuses: to condemn an event for the fault of a receiver, to pass an event that has no verdict.

use super::between::{leaves_out, Between};
use super::examine::Trouble;
use super::size::Size;
use super::{Fate, Ground, Now, Sender, Task, Wait};
use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::parcel::{About, Blame, Delivery, Said, Stop, Verdict, Why};
use crate::audit::delivery::quarantine;
use crate::audit::record::loss::Loss;
use crate::audit::spool::read::{Next, Reader};
use crate::sys::crash;
use crate::{limits, log};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

impl Sender {
    pub(super) fn judge(&mut self, task: Task, d: Delivery, now: Now) {
        match (task, d.stop.clone()) {
            (Task::Send(part), Some(stop)) => self.stopped(part, d, stop, now),
            (task @ (Task::Witness | Task::Ahead(_)), None) => self.witnessed(task, now),
            (task, None) => self.taken(task, &d.said, now),
            (task, Some(stop)) => self.not_taken(task, stop, now),
        }
    }

    /// Not all of a parcel was taken: what was is done with, and the rest is judged by what was said of it.
    fn stopped(&mut self, part: Range<usize>, d: Delivery, stop: Stop, now: Now) {
        let first = part.start + d.taken.min(part.len() - 1);
        let before = self.suspects.clone();
        let mut taken: Vec<usize> = (part.start..first).collect();
        for (i, verdict) in d.also.into_iter().map(|(i, v)| (part.start + i, v)) {
            match verdict {
                _ if !(first + 1..part.end).contains(&i) => {}
                Verdict::Taken => taken.push(i),
                Verdict::Refused(said) => self.fates[i] = Fate::Condemned(said, Ground::Blamed),
            }
        }
        taken.iter().for_each(|&i| self.fates[i] = Fate::Taken);
        self.plan.pop();
        self.plan_open(first..part.end);
        let blames = matches!(stop.why, Why::Content(_) | Why::TooLarge);
        if let (true, About::Next, Some(Task::Send(run))) = (blames, stop.about, self.plan.last().cloned()) {
            self.plan.pop();
            self.plan_open(run.start + 1..run.end);
            self.plan.push(Task::Send(run.start..run.start + 1));
        }
        if let (Some(&some), Some(&last)) = (taken.first(), taken.last()) {
            (self.witness, self.last_taken) = (Some(some), Some(self.batch.seq(last)));
            self.proof.took_new(self.which, now.mono);
            self.goes_on(&d.said, now);
            if !self.commit(now) {
                return;
            }
        }
        if let Some(task) = self.plan.last().cloned() {
            self.not_taken(task, stop, now);
        }
        if !taken.is_empty() {
            // They were refused alone before, and it has taken others since.
            let again = before.iter().rev().filter(|i| self.suspects.contains(i));
            self.plan.extend(again.map(|&i| Task::Again(i)));
        }
    }

    /// Those of these events that nothing has become of yet are to be sent.
    fn plan_open(&mut self, part: Range<usize>) {
        let mut end = part.end;
        while end > part.start {
            let is_open = |i: &usize| matches!(self.fates[*i], Fate::Open);
            let run = (part.start..end).rev().take_while(is_open).count();
            if run > 0 {
                self.plan.push(Task::Send(end - run..end));
            }
            end -= run.max(1);
        }
    }

    fn not_taken(&mut self, task: Task, stop: Stop, now: Now) {
        let blames = matches!(stop.why, Why::Content(_) | Why::TooLarge);
        match task {
            Task::Witness | Task::Ahead(_) => self.troubled(task, Trouble::of(stop), now),
            _ if blames => self.refused(task, stop, now),
            _ => self.troubled(task, Trouble::of(stop), now),
        }
    }

    fn taken(&mut self, task: Task, said: &Said, now: Now) {
        self.plan.pop();
        match task {
            Task::Send(part) => {
                self.witness = Some(part.start);
                self.last_taken = Some(self.batch.seq(part.end - 1));
                let sent = Size { events: part.len(), bytes: self.batch.bytes_of(part.clone()) };
                let most = Size { events: self.portion.events, bytes: self.portion.bytes };
                self.sizes[self.which].took(sent, self.sinks[self.which].spent(), most);
                self.fates[part].fill(Fate::Taken);
                self.proof.took_new(self.which, now.mono);
                self.try_suspects_again();
            }
            Task::Probe(_) | Task::Recall | Task::Witness | Task::Ahead(_) => self.try_suspects_again(),
            Task::Again(i) => {
                self.last_taken = Some(self.batch.seq(i));
                self.fates[i] = Fate::Taken;
                self.suspects.retain(|&s| s != i);
            }
        }
        self.goes_on(said, now);
        self.commit(now);
    }

    /// The receiver has taken something.
    fn goes_on(&mut self, said: &Said, now: Now) {
        crash::point("send.answered");
        self.tally.took(self.which);
        self.bound = limits::SUSPECTS_FIRST;
        self.backoff.reset();
        self.watch.mark.well();
        self.spool.well(&self.matter);
        (self.failed, self.recalls_refused) = (0, 0);
        let words = match said.status {
            Some(status) => format!("took the events ({status})"),
            None => "took the events".to_string(),
        };
        self.spool.update(&self.name, |c| {
            c.last_ok_ms = now.wall_ms;
            c.last_answer.clone_from(&words);
            c.last_answer_ms = now.wall_ms;
        });
        if let Some(since) = self.since.take() {
            log::calm(&self.matter);
            let spent = crate::stamp::for_people(now.mono.saturating_sub(since).as_secs_f64());
            log::info(&self.matter, format!("takes events again after {spent}"));
            log::calm(&self.matter);
        }
    }

    /// The receiver takes events: is it their content that it refuses of the suspects?
    fn try_suspects_again(&mut self) {
        self.plan.extend(self.suspects.iter().rev().map(|&i| Task::Again(i)));
    }

    /// The content is at fault: halve, down to the one bad event.
    fn refused(&mut self, task: Task, stop: Stop, now: Now) {
        let Stop { why, said, .. } = stop;
        if why == Why::TooLarge {
            self.sizes[self.which].halve_bytes(self.batch.bytes());
        }
        self.note(&said.words(), now);
        match task {
            Task::Send(part) if part.len() == 1 && why == Why::Content(Blame::Certain) => {
                self.plan.pop();
                // Where nobody was asked, nobody has blamed it.
                let ground = if said.status.is_some() { Ground::Blamed } else { Ground::Impossible };
                self.fates[part.start] = Fate::Condemned(said, ground);
                self.commit(now);
            }
            Task::Send(part) if part.len() > 1 => self.split(part),
            Task::Send(part) if self.tally.took_from_others_since(self.batch.seq(part.start), self.which) => {
                self.plan.pop();
                self.fates[part.start] = Fate::Condemned(said, Ground::Blamed);
                self.commit(now);
            }
            Task::Send(part) => {
                self.plan.pop();
                self.suspects.push(part.start);
                self.refusal = Some(said);
                if let Some(w) = self.witness {
                    // One that it has taken tells whether it still takes any, and the order is kept while it is judged.
                    self.plan.push(Task::Probe(w));
                } else if self.last_taken.is_some() && !std::mem::replace(&mut self.recalled, true) {
                    self.plan.push(Task::Recall);
                } else if self.suspects.len() >= self.bound {
                    self.leave_in_peace(now);
                }
            }
            Task::Recall => {
                self.plan.pop();
                self.recalls_refused += 1;
                // It has turned bad, or does not want that one twice: in some halvings later ones are asked all the same.
                if self.recalls_refused % limits::RECALLS_BEFORE_LATER != 0 {
                    self.refusal = Some(said);
                    self.leave_in_peace(now);
                }
            }
            // (Witnesses are judged elsewhere.)
            Task::Probe(_) | Task::Witness | Task::Ahead(_) => {
                // It has turned bad: nothing can be judged now.
                self.refusal = Some(said);
                self.leave_in_peace(now);
            }
            Task::Again(i) => {
                self.plan.pop();
                self.fates[i] = Fate::Condemned(said, Ground::Blamed);
                self.suspects.retain(|&s| s != i);
                self.commit(now);
            }
        }
    }

    /// A suspect cannot be sent again: it is not there any more, or the disk does not give it now.
    pub(super) fn not_again(&mut self, i: usize, trouble: Option<String>, now: Now) {
        if let Some(text) = trouble {
            return self.retry("status", &text, None, Some(AlarmKind::SpoolUnreadable), now);
        }
        // Damaged or dropped meanwhile: whoever passes it sees that.
        self.plan.pop();
        let said = self.refusal.clone().unwrap_or_default();
        self.fates[i] = Fate::Condemned(said, Ground::Blamed);
        self.suspects.retain(|&s| s != i);
        self.commit(now);
    }

    /// Moves the cursor over what is judged, in order. False: the quarantine does not take an event.
    pub(super) fn commit(&mut self, now: Now) -> bool {
        while self.committed < self.fates.len() {
            let from = self.committed;
            if !matches!(self.fates[from], Fate::Open) {
                self.pass_between(self.batch.seq(from));
            }
            match self.fates[from].clone() {
                Fate::Open => break,
                Fate::Taken => {
                    // Up to a loss between two events: what is lost was not delivered.
                    let joined = |i: &usize| *i == from || self.batch.seq(*i) == self.batch.end(*i - 1);
                    let taken = |i: &usize| matches!(self.fates[*i], Fate::Taken);
                    let run = (from..self.fates.len()).take_while(|i| taken(i) && joined(i)).count();
                    self.deliver(from..from + run);
                    crash::point("send.committed");
                    self.committed += run;
                }
                Fate::Condemned(said, ground) => {
                    if !self.condemn(from, &said, ground, now) {
                        return false;
                    }
                    self.pass_left_out(self.batch.end(from));
                    self.committed += 1;
                }
            }
        }
        self.hold();
        if self.committed == self.batch.len() && self.plan.is_empty() {
            self.pass_between(u64::MAX);
            self.batch.clear();
            self.fates.clear();
            self.committed = 0;
            self.witness = None;
            (self.recalled, self.examining) = (false, false);
        }
        true
    }

    fn deliver(&mut self, part: Range<usize>) {
        let (from, to) = (self.batch.seq(part.start), self.batch.end(part.end - 1));
        let left_out = self.batch.left_out(part.clone());
        // Held over both, so that nobody drops between them; not while the cursor is kept, which may wait for a disk.
        let mut account = self.spool.account();
        let moved = self.spool.change(&self.name, &mut |c| {
            // Dropped from the spool while they were on their way, and yet they have come through.
            let saved = to.min(c.next).saturating_sub(from).min(c.dropped);
            c.dropped -= saved;
            let moved = saved + to.saturating_sub(c.next);
            c.filtered += left_out.min(moved);
            c.delivered += moved - left_out.min(moved);
            c.next = c.next.max(to);
        });
        // Noted as dropped, perhaps before the cursors moved. Where there is one receiver, they are not told as dropped.
        let dropped_to = account.dropped_to;
        let came_through = from < dropped_to && self.spool.has_one_receiver();
        if came_through {
            for i in part.filter(|&i| self.batch.seq(i) < dropped_to) {
                match self.batch.own(i) {
                    Some(raw) => account.came_through(raw),
                    None => account.not_dropped(self.batch.noted(i)),
                }
            }
        }
        drop(account);
        self.spool.keep(&self.name, moved);
        if came_through {
            // Or the next worker tells of them what the note before says.
            self.spool.remember_state();
        }
    }

    /// Says which records are in memory: those of the batch that the cursor is not past.
    pub(super) fn hold(&self) {
        let held = match self.batch.len() {
            n if n > self.committed => (self.batch.seq(self.committed), self.batch.seq(n - 1) + 1),
            _ => (0, 0),
        };
        self.spool.hold(&self.name, held);
    }

    /// All of the batch was tried, and some of it only refused: is there an event that the receiver takes?
    pub(super) fn look_for_a_witness(&mut self, now: Now) -> Option<Wait> {
        if let Some(i) = self.witness {
            self.plan.push(Task::Probe(i));
            return None;
        }
        // Nothing was taken: all that is here waits for a judgement, and is read again for that.
        self.batch.let_go();
        let before = self.batch.len();
        self.passed.extend(self.loss.take().map(Between::Lost));
        self.read_on(now);
        if self.batch.len() == before {
            self.passed.extend(self.loss.take().map(Between::Lost));
        }
        if self.batch.len() == before && self.suspects.len() < self.bound {
            // One more, beyond the portion: bounded by the number of suspects.
            // What is lost or left out between bears no witness; whoever stopped at it would stand there for ever.
            loop {
                match self.reader.next(&self.spool) {
                    Next::Record(r, _) if leaves_out(&mut self.sieve, &mut self.batch, &mut self.passed, &r) => {
                        continue
                    }
                    Next::Record(r, head) => self.watch.push(&mut self.batch, r, head),
                    Next::Lost(loss) => {
                        self.passed.push(Between::Lost(loss));
                        continue;
                    }
                    Next::Wait | Next::Trouble(_) => {}
                }
                break;
            }
        }
        if self.batch.len() == before {
            self.leave_in_peace(now);
            return Some(Wait::Not);
        }
        self.plan_from(before);
        None
    }

    /// Nothing was taken: the configuration is at fault, or there is no later event yet. All is kept and tried again.
    fn leave_in_peace(&mut self, now: Now) {
        let said = self.refusal.take();
        let tried = self.suspects.len();
        let ends = self.suspects.first().zip(self.suspects.last());
        let ends = ends.map(|(a, b)| self.batch.seq(*a)..=self.batch.seq(*b));
        // One that was not asked alone between them: then nothing is said of any.
        let whole = |seqs: &RangeInclusive<u64>| seqs.end() - seqs.start() + 1 == tried as u64;
        self.tally.refused(ends.filter(whole), self.which);
        self.forget_batch();
        if tried >= self.bound {
            self.bound = (self.bound * 2).min(limits::SUSPECTS_MOST);
        }
        if let Some(said) = said {
            let text = format!(
                "{}, also to each of {tried} events alone; events are kept, since nothing shows that their content is at fault",
                said.words()
            );
            self.retry("status", &text, None, Some(AlarmKind::ReceiverRefuses), now);
        }
    }

    /// The batch is read anew from the cursor.
    pub(super) fn forget_batch(&mut self) {
        self.suspects.clear();
        self.plan.clear();
        self.batch.clear();
        self.fates.clear();
        self.committed = 0;
        self.witness = None;
        (self.recalled, self.examining) = (false, false);
        self.hold();
        self.loss = None;
        self.passed.clear();
        let next = self.spool.cursor(&self.name).map_or(1, |c| c.next);
        self.reader.seek(next);
    }

    /// Puts one event into the quarantine and the cursor behind it. False: it stays where it is.
    fn condemn(&mut self, at: usize, said: &Said, ground: Ground, now: Now) -> bool {
        let seq = self.batch.seq(at);
        let mut reader = Reader::new(seq);
        let line = match reader.next(&self.spool) {
            Next::Record(r, head) if r.seq == seq => quarantine::line(&r, head, self.batch.id(at), said, now.wall_ms),
            Next::Trouble(text) => {
                self.retry("status", &text, None, None, now);
                return false;
            }
            // Damaged meanwhile, or dropped: then the cursor is past it already.
            Next::Lost(loss) => {
                let after = loss.after.filter(|_| loss.to == seq);
                self.pass(Loss { to: seq, after, ..loss });
                return true;
            }
            Next::Record(..) | Next::Wait => return true,
        };
        match self.quarantine.put(self.spool.disk(), &line) {
            Ok(()) => {
                self.tell_of_quarantine(at, said, ground);
                crash::point("quarantine.synced");
                self.spool.quarantined(&self.name, seq);
                crash::point("quarantine.passed");
                true
            }
            Err(e) => {
                let text = format!("cannot quarantine a refused event, so it and all behind it wait: {e}");
                self.retry("status", &text, None, Some(AlarmKind::QuarantineFailing), now);
                false
            }
        }
    }

    fn tell_of_quarantine(&self, at: usize, said: &Said, ground: Ground) {
        let (id, words) = (self.batch.id(at), said.words());
        let alarm = |text: String| {
            // After all the lines about its refusals this one is news.
            log::calm(&self.matter);
            self.spool.alarm(AlarmKind::EventSetAside, &self.matter, text);
        };
        match ground {
            Ground::Blamed => {
                let text = format!("refuses event `{id}` for its content ({words}); it is in quarantine");
                log::warn(&self.matter, text);
            }
            Ground::Impossible => {
                alarm(format!(
                    "event `{id}` cannot be sent there ({words}): it is in quarantine, and delivery goes on"
                ));
            }
            Ground::Proven => {
                let so = "again and again, and takes those before and behind it";
                alarm(format!("refuses event `{id}` {so} ({words}): it is in quarantine, and delivery goes on"));
            }
        }
    }

    /// Remembers an answer that is no success.
    fn note(&self, words: &str, now: Now) {
        self.spool.update(&self.name, |c| {
            words.clone_into(&mut c.last_answer);
            c.last_answer_ms = now.wall_ms;
        });
    }

    /// Not delivered: counted, said, and tried again after a while (or at once with a stand-in).
    pub(super) fn retry(
        &mut self,
        reason: &str,
        text: &str,
        after: Option<Duration>,
        alarm: Option<AlarmKind>,
        now: Now,
    ) {
        self.tell(reason, text, alarm, now);
        self.failed += 1;
        if self.sinks.len() > 1 {
            self.turn(now);
            if self.failed < self.sinks.len() {
                // Another one may judge differently: the halving begins anew.
                self.forget_batch();
                return;
            }
            self.failed = 0;
        }
        self.wait(after, now);
    }

    /// The next one has its turn.
    pub(super) fn turn(&mut self, now: Now) {
        self.which = (self.which + 1) % self.sinks.len();
        self.away = (self.which != 0).then_some(now.mono);
    }

    /// Counts and tells what was not delivered; with an alarm when it lasts.
    pub(super) fn tell(&mut self, reason: &str, text: &str, alarm: Option<AlarmKind>, now: Now) {
        let place = self.sinks[self.which].place();
        self.spool.update(&self.name, |c| {
            *c.retries.at(reason.to_string(), Default::default) += 1;
            text.clone_into(&mut c.last_answer);
            c.last_answer_ms = now.wall_ms;
        });
        // Most failures of the network name the place themselves.
        let text = if text.contains(&format!("`{place}`")) { text.to_string() } else { format!("`{place}` {text}") };
        let since = *self.since.get_or_insert(now.mono);
        if let Some(kind) = alarm {
            self.spool.alarm(kind, &self.matter, text);
        } else {
            log::warn(&self.matter, &text);
            match now.mono.saturating_sub(since).as_secs() < limits::RECEIVER_DOWN_SECONDS {
                true => self.spool.troubles.shows(AlarmKind::ReceiverDown, &self.matter, &text),
                false => self.spool.troubles.fires(AlarmKind::ReceiverDown, &self.matter, &text),
            };
        }
    }

    /// The next request is not made before a while is over.
    pub(super) fn wait(&mut self, after: Option<Duration>, now: Now) {
        let most = Duration::from_secs(limits::RETRY_AFTER_MOST_SECONDS);
        let wait = self.backoff.next(now.chance).max(after.unwrap_or_default().min(most));
        self.until = Some(now.mono + wait);
    }
}
