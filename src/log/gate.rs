//! ○ Which lines of a matter are printed: a cause once, a new cause at once, then a count every few minutes, with how long.
//!
//! A cause is the text without its numbers (a status stays): «80 % full» and «81 % full» are one. Lines of one cause that
//! differ in numbers are printed some times, then now and then; equal ones are only counted. Pure: the time comes in.
//! Refuses: to hide a new cause behind an old one, as long as causes are not invented by the dozen.

use crate::hash::xxh64;
use crate::limits;
use std::time::{Duration, Instant};

/// So many at once, and one more after each pause.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant, most: u32, seconds: u64) -> bool {
        let more = now.duration_since(self.at).as_secs() / seconds;
        if more > 0 {
            self.left = self.left.saturating_add(more.min(u64::from(most)) as u32).min(most);
            self.at = now;
        }
        let taken = self.left > 0;
        self.left -= u32::from(taken);
        taken
    }
}

#[derive(Debug)]
struct Cause {
    shape: u64,
    /// The text that was printed last.
    text: u64,
    first: Instant,
    seen: Instant,
    printed: Instant,
    left_out: u64,
    variants: Bucket,
}

/// What is said behind a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// So many lines of this cause were left out since the last one.
    pub left_out: u64,
    /// And it lasts for so long.
    pub lasts: Duration,
}

/// A matter.
#[derive(Debug)]
pub struct Gate {
    causes: Vec<Cause>,
    /// The cause of the line before.
    current: u64,
    fresh: Bucket,
    /// How often it was calmed since when.
    calms: (u32, Instant),
    used: Instant,
}

impl Gate {
    /// One of which nothing was said.
    pub fn new(now: Instant) -> Gate {
        let fresh = Bucket { left: limits::LOG_NEW_CAUSES, at: now };
        Gate { causes: Vec::new(), current: 0, fresh, calms: (0, now), used: now }
    }

    /// When it was last used.
    pub fn used(&self) -> Instant {
        self.used
    }

    /// Whether this line is printed, and what is said behind it.
    pub fn admit(&mut self, level: u8, text: &str, now: Instant) -> Option<Before> {
        self.used = now;
        let shape = shape(level, text);
        let changed = std::mem::replace(&mut self.current, shape) != shape;
        let repeat = Duration::from_secs(limits::LOG_REPEAT_SECONDS);
        self.causes.retain(|c| now.duration_since(c.seen) < repeat || c.left_out > 0 && c.shape == shape);
        let exact = xxh64(text.as_bytes(), u64::from(level));
        let Some(c) = self.causes.iter_mut().find(|c| c.shape == shape) else {
            return self.begin(shape, exact, now);
        };
        c.seen = now;
        let quiet = now.duration_since(c.printed);
        let variant = c.text != exact && c.variants.take(now, limits::LOG_BURST_LINES, limits::LOG_VARIANT_SECONDS);
        if variant || quiet >= repeat || changed && quiet.as_secs() >= limits::LOG_CHANGE_SECONDS {
            (c.text, c.printed) = (exact, now);
            let left_out = std::mem::take(&mut c.left_out);
            return Some(Before { left_out, lasts: now.duration_since(c.first) });
        }
        c.left_out += 1;
        None
    }

    fn begin(&mut self, shape: u64, text: u64, now: Instant) -> Option<Before> {
        if !self.fresh.take(now, limits::LOG_NEW_CAUSES, limits::LOG_NEW_CAUSE_SECONDS) {
            return None;
        }
        if self.causes.len() >= limits::LOG_CAUSES {
            let oldest = self.causes.iter().enumerate().min_by_key(|(_, c)| c.seen).map_or(0, |(i, _)| i);
            self.causes.remove(oldest);
        }
        let variants = Bucket { left: limits::LOG_BURST_LINES - 1, at: now };
        self.causes.push(Cause { shape, text, first: now, seen: now, printed: now, left_out: 0, variants });
        Some(Before::default())
    }

    /// It is over: the next line is news, but not when it ends and begins all the time. True when something was said.
    pub fn calm(&mut self, now: Instant) -> bool {
        if self.causes.is_empty() {
            return false;
        }
        if now.duration_since(self.calms.1).as_secs() >= limits::LOG_CALM_SECONDS {
            self.calms = (0, now);
        }
        if self.calms.0 < limits::LOG_CALMS {
            self.calms.0 += 1;
            self.causes.clear();
        }
        true
    }
}

/// The text without its numbers, but for the status of an answer.
fn shape(level: u8, text: &str) -> u64 {
    let (mut plain, mut number) = (String::with_capacity(text.len()), false);
    for (at, c) in text.char_indices() {
        if !c.is_ascii_digit() {
            number = false;
            plain.push(c);
        } else if text[..at].trim_end_matches(|c: char| c.is_ascii_digit()).ends_with("answered ") {
            plain.push(c);
        } else if !std::mem::replace(&mut number, true) {
            plain.push('#');
        }
    }
    xxh64(plain.as_bytes(), u64::from(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these lines, one every so many milliseconds, are printed.
    fn printed(gate: &mut Gate, begin: Instant, millis: u64, lines: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut out = Vec::new();
        for (i, text) in lines.into_iter().enumerate() {
            if let Some(b) = gate.admit(4, &text, begin + Duration::from_millis(i as u64 * millis)) {
                out.push(format!("{text} +{} {}s", b.left_out, b.lasts.as_secs()));
            }
        }
        out
    }

    fn equal(text: &str, n: usize) -> Vec<String> {
        vec![text.to_string(); n]
    }

    #[test]
    fn a_cause_is_said_once_and_then_counted_every_few_minutes() {
        let (mut gate, now) = (Gate::new(Instant::now()), Instant::now());
        assert_eq!(printed(&mut gate, now, 1000, equal("refused", 700)).len(), 3);
        let mut gate = Gate::new(now);
        let said = printed(&mut gate, now, 1000, equal("refused", 301));
        assert_eq!(said, ["refused +0 0s", "refused +299 300s"]);
    }

    #[test]
    fn a_new_cause_is_said_at_once_whatever_was_said_before() {
        let (mut gate, now) = (Gate::new(Instant::now()), Instant::now());
        let lines = [equal("connection refused", 100), equal("certificate and key do not belong together", 100)];
        let lines = lines.concat().into_iter().chain(equal("answered 401", 9)).chain(equal("answered 403", 9));
        assert_eq!(printed(&mut gate, now, 30, lines).len(), 4);
        // Also behind one whose numbers change all the time.
        let noise = (0..10_000).map(|n| format!("took {n} ms"));
        let said = printed(&mut gate, now, 1, noise.chain(equal("no room", 5)));
        assert_eq!(said.len(), limits::LOG_BURST_LINES as usize + 1, "{said:?}");
        assert!(said.last().expect("one").starts_with("no room"));
    }

    #[test]
    fn what_comes_and_goes_all_the_time_is_a_handful_of_lines() {
        let (mut gate, begin) = (Gate::new(Instant::now()), Instant::now());
        let mut said = 0;
        for i in 0..90 {
            let now = begin + Duration::from_millis(i * 100);
            said += usize::from(gate.admit(3, "no space left", now).is_some());
            gate.calm(now);
            said += usize::from(gate.admit(6, "it works again", now).is_some());
        }
        assert!(said <= 2 * (1 + limits::LOG_CALMS as usize), "{said} lines in 9 s");
        let later = begin + Duration::from_secs(limits::LOG_CALM_SECONDS + 10);
        assert!(gate.calm(later) && gate.admit(3, "no space left", later).is_some());
    }

    #[test]
    fn causes_by_the_thousand_are_bounded() {
        let (mut gate, now) = (Gate::new(Instant::now()), Instant::now());
        let word = |n: u32| (0..8).map(|i| (b'a' + (n >> (2 * i) & 3) as u8) as char).collect::<String>();
        let said = printed(&mut gate, now, 1, (0..10_000).map(word));
        assert!(said.len() <= limits::LOG_NEW_CAUSES as usize + 1 && gate.causes.len() <= limits::LOG_CAUSES);
    }
}
