//! StatsD's lines ○: `name:value|g`, `name:increment|c`.
//!
//! A counter there is an increment: what has come since the last push. The first sight of one says nothing of that, so it
//! primes; a counter that has fallen was begun anew, and all of it has come since. Buckets, sums and counts of histograms are
//! counters. Refuses: a gauge below zero without the zero before it, which would be a decrement.

use super::lines::{self, Written};
use super::names::{self, Style};
use super::text::put_number;
use crate::hash::xxh64;
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{Family, Kind, Part, Sample};
use std::collections::HashMap;

/// The counters as they were when they were last sent: by the hash of the family, then of part and labels. A family that is
/// away stays (the database was down); of one that is there, only what is on the page.
#[derive(Clone, Debug, Default)]
pub struct Carry(HashMap<u64, HashMap<u64, f64>>);

impl Carry {
    /// What has come since; none: nobody can know. Only what grows is asked for.
    fn increment(&self, family: u64, key: u64, now: f64) -> Option<f64> {
        match self.0.get(&family)?.get(&key) {
            Some(before) if now >= *before => Some(now - before),
            // Begun anew, or new in a family that was there: from zero.
            Some(_) | None => Some(now),
        }
    }
}

/// Whether a sample only grows.
fn grows(f: &Family, s: &Sample) -> bool {
    match f.kind {
        Kind::Counter => true,
        Kind::Histogram | Kind::Summary => s.part != Part::Plain,
        Kind::Gauge | Kind::Unknown => false,
    }
}

/// How labels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// As parts of the name.
    InName,
    /// Behind it, as DogStatsD has them: `|#label:value`.
    Dogstatsd,
}

/// Writes a page; what is to be carried to the next push comes back, and counts once this one has succeeded.
pub fn put(page: &Assembled<'_>, prefix: &str, tags: Tags, carry: &Carry, out: &mut Vec<u8>) -> (Written, Carry) {
    let mut next = Carry::default();
    let mut primed = 0;
    let style = if tags == Tags::InName { Style::Dots } else { Style::Bare };
    let mut written = lines::each(
        page,
        out,
        |out, f, s| {
            names::put(out, prefix, f, s, style);
            if tags == Tags::Dogstatsd {
                // Part of what makes it unique; taken away below, since it stands behind the value.
                put_tags(out, f, s);
            }
        },
        |out, f, s, from| {
            let (family, key) = (xxh64(f.name.as_bytes(), 0), xxh64(f.labels(s).as_bytes(), s.part as u64));
            let name = out.split_off(from);
            let end = name.iter().position(|b| *b == b'|').unwrap_or(name.len());
            let mut line = |kind: &[u8], value: f64| {
                out.extend_from_slice(&name[..end]);
                out.push(b':');
                put_number(out, value);
                out.extend_from_slice(kind);
                out.extend_from_slice(&name[end..]);
                out.push(b'\n');
            };
            if !grows(f, s) {
                if s.value < 0.0 && tags == Tags::InName {
                    line(b"|g", 0.0);
                }
                return line(b"|g", s.value);
            }
            next.0.entry(family).or_default().insert(key, s.value);
            match carry.increment(family, key, s.value) {
                Some(increment) if increment > 0.0 => line(b"|c", increment),
                Some(_) => {}
                None => primed += 1,
            }
        },
    );
    written.samples -= primed;
    for (family, values) in &carry.0 {
        next.0.entry(*family).or_insert_with(|| values.clone());
    }
    (written, next)
}

fn put_tags(out: &mut Vec<u8>, f: &Family, s: &Sample) {
    let free = |c: char| !(c.is_whitespace() || c.is_control() || matches!(c, ',' | '|' | '#' | ':'));
    for (i, (name, value)) in f.pairs(s).enumerate() {
        out.extend_from_slice(if i == 0 { b"|#" } else { b"," });
        names::put_plain(out, name, free);
        out.push(b':');
        names::put_plain(out, &value, |c| free(c) || c == ':');
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::page;
    use super::*;
    use crate::metrics::rules::Rules;
    use crate::metrics::snapshot::{Builder, Snapshot};

    fn snapshot(counters: &[(&'static str, f64)], gauge: f64) -> Snapshot {
        let rules = Rules::default();
        let mut b = Builder::new(&rules);
        b.family("n_total", Kind::Counter, "");
        for (who, value) in counters {
            b.sample("n_total", Part::Plain, &mut vec![("who", *who)], *value);
        }
        b.family("g", Kind::Gauge, "");
        b.sample("g", Part::Plain, &mut vec![("t", "a:b,c")], gauge);
        b.finish().0
    }

    fn pushed(carry: &mut Carry, tags: Tags, counters: &[(&'static str, f64)], gauge: f64) -> String {
        let (snapshot, mut out) = (snapshot(counters, gauge), Vec::new());
        *carry = put(&page(&snapshot), "", tags, carry, &mut out).1;
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_counter_is_what_has_come_since_the_last_push() {
        let mut carry = Carry::default();
        let mut push = |counters: &[(&'static str, f64)]| pushed(&mut carry, Tags::InName, counters, 1.0);
        // Primes.
        assert_eq!(push(&[("a", 1000.0)]), "g.t.a_b_c:1|g\n");
        assert_eq!(push(&[("a", 1007.0)]), "g.t.a_b_c:1|g\nn_total.who.a:7|c\n");
        // Nothing has come.
        assert_eq!(push(&[("a", 1007.0)]), "g.t.a_b_c:1|g\n");
        // Begun anew; and a new one beside it.
        assert_eq!(push(&[("a", 3.0), ("b", 2.0)]), "g.t.a_b_c:1|g\nn_total.who.a:3|c\nn_total.who.b:2|c\n");
    }

    #[test]
    fn a_gauge_below_zero_is_no_decrement_and_tags_stand_behind() {
        let mut carry = Carry::default();
        assert_eq!(pushed(&mut carry, Tags::InName, &[], -5.0), "g.t.a_b_c:0|g\ng.t.a_b_c:-5|g\n");
        assert_eq!(pushed(&mut carry, Tags::Dogstatsd, &[], -5.0), "g:-5|g|#t:a:b_c\n");
    }

    #[test]
    fn what_came_while_the_database_was_not_seen_is_counted() {
        let mut carry = Carry::default();
        pushed(&mut carry, Tags::InName, &[("a", 5.0)], 1.0);
        // The database was down: nothing of it was on the page.
        let empty = Snapshot::default();
        carry = put(&page(&empty), "", Tags::InName, &carry, &mut Vec::new()).1;
        assert_eq!(pushed(&mut carry, Tags::InName, &[("a", 9.0)], 1.0), "g.t.a_b_c:1|g\nn_total.who.a:4|c\n");
    }
}
