//! Events that are refused in words that do not blame them: 403, 404, 500, a reset, no answer. Is it the receiver, or the
//! text of one of them?
//!
//! What is refused again and again is halved down to one event, as after a 400. That one is asked for again and again, each
//! time with a witness right behind it (`proof`): one that was taken before, so that the order is kept; in the end one that
//! stands behind it. When both are taken and it alone is not, for minutes, it is set aside. A receiver that refuses its
//! witnesses too is left alone, and keeps all its events.
//!
//! Refuses: to set anything aside whose refusal says that it was us (401, 407) or too much at once (429), or that was never
//! sent.

use super::proof::Cause;
use super::size::Size;
use super::{Fate, Ground, Now, Sender, Task};
use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::parcel::{Delivery, Said, Stop, Why};
use crate::limits;
use crate::net::failure::FailureKind;
use std::ops::Range;
use std::time::Duration;

const REFUSES: Option<AlarmKind> = Some(AlarmKind::ReceiverRefuses);

/// A refusal that does not blame the content.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// For people.
    pub text: String,
    /// The reason, as the metrics name it.
    pub reason: &'static str,
    /// The wait that the receiver asks for.
    pub after: Option<Duration>,
    /// What somebody has to mend.
    pub alarm: Option<AlarmKind>,
    /// What it was, if the content can be at fault all the same.
    pub cause: Option<Cause>,
    said: Said,
}

/// The reason of a failure, as the metrics name it.
fn reason(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Protocol => "closed",
        kind => kind.word(),
    }
}

impl Trouble {
    /// Of a stop.
    pub fn of(stop: Stop) -> Trouble {
        let status = Some(Cause::Said(stop.said.status));
        let (reason, after, alarm, cause) = match stop.why {
            Why::Configuration => ("status", None, REFUSES, status),
            // It blames the content, of one that it has taken before: then it blames everything.
            Why::Identity | Why::Content(_) | Why::TooLarge => ("status", None, REFUSES, None),
            Why::TooOften(after) => ("status", after, None, None),
            Why::NotNow(after) => ("status", after, None, status),
            Why::Unanswered(kind) if kind == FailureKind::Timeout => (reason(kind), None, None, Some(Cause::Late)),
            Why::Unanswered(kind) => (reason(kind), None, None, Some(Cause::Closed)),
            Why::NotSent(kind) => {
                (reason(kind), None, (kind == FailureKind::Secret).then_some(AlarmKind::SecretUnreadable), None)
            }
        };
        let mut text = stop.said.words();
        if matches!(stop.why, Why::Configuration | Why::Identity) {
            text.push_str("; events are kept until this is mended");
        }
        Trouble { text, reason, after, alarm, cause, said: stop.said }
    }
}

impl Sender {
    pub(super) fn troubled(&mut self, task: Task, t: Trouble, now: Now) {
        match task {
            Task::Send(part) => self.not_taken_now(part, t, now),
            Task::Witness => self.witness_refused(t, now),
            Task::Ahead(seq) => self.later_refused(seq, t, now),
            Task::Probe(_) | Task::Recall => self.retry(t.reason, &t.text, t.after, t.alarm, now),
            // First its content was blamed, and now it is not: what that means is seen when it is sent once more.
            Task::Again(_) => {
                self.retry(t.reason, &t.text, t.after, t.alarm, now);
                self.forget_batch();
            }
        }
    }

    fn not_taken_now(&mut self, part: Range<usize>, t: Trouble, now: Now) {
        let Some(cause) = t.cause else { return self.retry(t.reason, &t.text, t.after, t.alarm, now) };
        self.proof.failed(now.mono);
        self.examining |= self.proof.is_due(self.which, cause, self.sinks.len(), now.mono);
        if part.len() == 1 && self.examining {
            return self.doubt(part.start, cause, t, now);
        }
        let late = cause == Cause::Late;
        if part.len() > 1 && (late || self.examining) {
            if late {
                let sent = Size { events: part.len(), bytes: self.batch.bytes_of(part.clone()) };
                self.sizes[self.which].halve(sent);
            }
            self.split(part);
        }
        match self.examining {
            // By one and the same: whoever judges an event must be who took the other one.
            true => self.pause(&t, now),
            false => self.retry(t.reason, &t.text, t.after, t.alarm, now),
        }
    }

    /// The first half of what is to be sent next stands before the second.
    pub(super) fn split(&mut self, part: Range<usize>) {
        self.plan.pop();
        let middle = part.start + part.len() / 2;
        self.plan.push(Task::Send(middle..part.end));
        self.plan.push(Task::Send(part.start..middle));
    }

    /// Tells, and waits, and asks the same receiver again.
    fn pause(&mut self, t: &Trouble, now: Now) {
        self.tell(t.reason, &t.text, t.alarm, now);
        self.wait(t.after, now);
    }

    /// One event is refused alone, and not for the first time.
    fn doubt(&mut self, i: usize, cause: Cause, t: Trouble, now: Now) {
        self.proof.refused(self.which, self.batch.seq(i), now.mono);
        self.tell(t.reason, &t.text, t.alarm, now);
        self.doubted = Some((cause, t.after.unwrap_or_default()));
        if !self.proof.is_enough(self.which, cause, now.mono) {
            // By chance once or twice: behind a balancer every second request may meet the one that is out of order.
            self.plan.push(Task::Witness);
            if now.chance % 2 == 1 {
                self.plan.push(Task::Witness);
            }
        } else if !self.proof.is_fresh(self.which, cause, now.mono) {
            self.ask_later(i);
        } else {
            self.proof.condemned(self.which, cause, now.mono);
            self.plan.pop();
            self.fates[i] = Fate::Condemned(t.said, Ground::Proven);
            self.commit(now);
        }
    }

    /// A later event is to bear witness.
    fn ask_later(&mut self, i: usize) {
        // Of each event it begins anew: whoever skipped one that nobody was asked for would break the order.
        let seq = self.batch.seq(i);
        if self.ahead_of != seq {
            (self.ahead_of, self.ahead) = (seq, seq + 1);
        }
        self.ahead = self.ahead.max(seq + 1);
        self.ahead_left = self.ahead_most;
        self.plan.push(Task::Ahead(self.ahead));
    }

    /// Asks for a witness. None: there is none, and it is seen what to do about that.
    pub(super) fn ask_witness(&mut self, task: &Task, now: Now) -> Option<Delivery> {
        let Some(&Task::Send(Range { start, .. })) = self.plan.iter().rev().find(|t| matches!(t, Task::Send(_))) else {
            self.plan.pop();
            return None;
        };
        if let Task::Ahead(seq) = *task {
            return self.ask_ahead(seq, now);
        }
        // Not the one that stands before it: it may be of a time before this receiver's, or in quarantine.
        match self.last_taken.map(|seq| self.send_known(seq, now)) {
            Some(Ok(delivery)) => Some(delivery),
            Some(Err(_)) | None => {
                self.drop_witnesses();
                self.ask_later(start);
                None
            }
        }
    }

    fn ask_ahead(&mut self, seq: u64, now: Now) -> Option<Delivery> {
        if seq >= self.spool.next_seq() {
            // The next time from the beginning: some of them may have been refused by accident.
            self.plan.pop();
            self.ahead = 0;
            let text = "refuses this event alone, and there is no later one to compare it with; it is kept";
            self.tell("status", text, None, now);
            self.wait(None, now);
            return None;
        }
        if self.given.contains_key(&seq) || self.is_left_out(seq) {
            // It bears no witness twice: whoever knows repeats would take it.
            self.plan.pop();
            self.plan.push(Task::Ahead(seq + 1));
            return None;
        }
        match self.send_known(seq, now) {
            Ok(delivery) => Some(delivery),
            // Not there any more: the next one.
            Err(None) => {
                self.plan.pop();
                self.plan.push(Task::Ahead(seq + 1));
                None
            }
            Err(Some(text)) => {
                self.plan.pop();
                self.retry("status", &text, None, Some(AlarmKind::SpoolUnreadable), now);
                None
            }
        }
    }

    /// One that is in the batch comes from there: it may be dropped from the spool meanwhile, and whoever skipped it would
    /// break the order.
    fn send_known(&mut self, seq: u64, now: Now) -> Result<Delivery, Option<String>> {
        let here = |i: &usize| self.batch.seq(*i) == seq && self.batch.bytes_of(*i..*i + 1) > 0;
        match (0..self.batch.len()).find(here) {
            Some(i) => Ok(self.send(i..i + 1, now)),
            None => self.send_anew(seq, now),
        }
    }

    fn drop_witnesses(&mut self) {
        while matches!(self.plan.last(), Some(Task::Witness)) {
            self.plan.pop();
        }
    }

    /// Another one was taken, right after the event was refused.
    pub(super) fn witnessed(&mut self, task: Task, now: Now) {
        self.plan.pop();
        self.proof.vouched(self.which);
        self.recalls_refused = 0;
        if let Task::Ahead(seq) = task {
            self.proof.took_new(self.which, now.mono);
            self.last_taken = Some(seq);
            let here = self.spool.position(&self.name);
            self.given.retain(|s, ()| *s >= here);
            if self.given.len() < limits::LATER_GIVEN {
                self.given.insert(seq, ());
            }
            (self.ahead, self.ahead_most) = (seq + 1, limits::SUSPECTS_FIRST);
        }
        if matches!(self.plan.last(), Some(Task::Witness)) {
            return;
        }
        let Some((cause, after)) = self.doubted else { return };
        let pause = self.proof.pause(self.which, cause, now.mono, now.chance);
        self.until = Some(now.mono + pause.max(after.min(Duration::from_secs(limits::RETRY_AFTER_MOST_SECONDS))));
        if !pause.is_zero() && self.sinks.len() > 1 {
            // Another one may take it.
            self.turn(now);
            (self.witness, self.recalled) = (None, false);
        }
    }

    /// The receiver refuses what it took before: it is out of order, or does not want that one twice.
    fn witness_refused(&mut self, t: Trouble, now: Now) {
        self.drop_witnesses();
        self.proof.not_vouched(self.which, now.mono);
        self.recalls_refused += 1;
        if self.recalls_refused % limits::RECALLS_BEFORE_LATER == 0 {
            if let Some(Task::Send(part)) = self.plan.last().cloned() {
                return self.ask_later(part.start);
            }
        }
        let text = format!("{}, also to an event that it took before; all are kept", t.text);
        self.retry(t.reason, &text, t.after, t.alarm, now);
    }

    /// The one behind it is refused as well: the next may be taken.
    fn later_refused(&mut self, seq: u64, t: Trouble, now: Now) {
        self.plan.pop();
        self.ahead = seq + 1;
        self.ahead_left = self.ahead_left.saturating_sub(1);
        if self.ahead_left > 0 {
            return self.plan.push(Task::Ahead(self.ahead));
        }
        // A row of bad ones is got over in the end, where those before it are still taken.
        if self.proof.pairs(self.which) > 0 {
            self.ahead_most = (self.ahead_most * 2).min(limits::LATER_MOST);
        }
        let text = format!("{}, also to the events behind; all are kept", t.text);
        self.retry(t.reason, &text, t.after, t.alarm, now);
    }
}
