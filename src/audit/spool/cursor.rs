//! ○ How far a receiver has come, and what became of its events. Pure; kept in a file of three copies beside the segments.

use crate::limits;
use crate::sorted::Map;
use serde_json::{json, Value};

/// A receiver's cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Whose it is, as its file says; empty: it does not say.
    pub receiver: String,
    /// The next record to be delivered.
    pub next: u64,
    /// Records the receiver has taken.
    pub delivered: u64,
    /// Records set aside because the receiver refuses their content.
    pub quarantined: u64,
    /// Records that were dropped or damaged before they could be delivered.
    pub dropped: u64,
    /// Records that were never meant for it: before its time, or left out by `--only` and `--skip`.
    pub filtered: u64,
    /// Failed attempts by reason.
    pub retries: Map<String, u64>,
    /// When it last took something, milliseconds since the epoch.
    pub last_ok_ms: i64,
    /// Its last answer, in words.
    pub last_answer: String,
    /// When that was.
    pub last_answer_ms: i64,
    /// Which records it was not given since a checkpoint said so; kept where records are sealed.
    pub excused: Excused,
}

/// Why a receiver was not given a record that was meant for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It was set aside.
    Quarantined,
    /// It was dropped, or is gone.
    Dropped,
}

/// Records that a receiver was not given, for the next checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excused {
    /// From there to there.
    pub ranges: Vec<(Fate, u64, u64)>,
    /// How many more were quarantined and dropped that had no room here.
    pub more: [u64; 2],
    /// The first of those; 0: nobody knows.
    pub since: u64,
}

impl Excused {
    /// The records from there to there as well.
    pub fn add(&mut self, fate: Fate, from: u64, to: u64) {
        let room = self.ranges.len() < limits::EXCUSED_KEPT;
        match self.ranges.last_mut() {
            Some((f, _, last)) if *f == fate && *last + 1 == from => *last = to,
            _ if room => self.ranges.push((fate, from, to)),
            _ => {
                if self.more == [0; 2] {
                    self.since = from;
                }
                self.more[fate as usize] += to + 1 - from;
            }
        }
    }

    /// A checkpoint has said these.
    pub fn said(&mut self, these: &Excused) {
        for (mine, said) in self.more.iter_mut().zip(these.more) {
            *mine = mine.saturating_sub(said);
        }
        if self.more == [0; 2] {
            self.since = 0;
        }
        for &(fate, from, to) in &these.ranges {
            // The last one may have grown meanwhile.
            if let Some(i) = self.ranges.iter().position(|r| (r.0, r.1) == (fate, from)) {
                self.ranges[i].1 = to + 1;
                if self.ranges[i].1 > self.ranges[i].2 {
                    self.ranges.remove(i);
                }
            }
        }
    }

    fn save(&self) -> String {
        let letter = |fate| if fate == Fate::Quarantined { 'q' } else { 'd' };
        let ranges: Vec<String> =
            self.ranges.iter().map(|(f, from, to)| format!("{}{from}-{to}", letter(*f))).collect();
        ranges.join(" ")
    }

    fn load(v: &Value) -> Excused {
        let range = |text: &str| {
            let fate = match text.get(..1)? {
                "q" => Fate::Quarantined,
                "d" => Fate::Dropped,
                _ => return None,
            };
            let (from, to) = text[1..].split_once('-')?;
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            (0 < from && from <= to && to <= limits::SPOOL_NUMBER_MAX).then_some((fate, from, to))
        };
        let ranges = v["excused"].as_str().unwrap_or("").split(' ').filter_map(range).take(limits::EXCUSED_KEPT);
        let more = |i: usize| v["excused_more"][i].as_u64().unwrap_or(0).min(limits::SPOOL_NUMBER_MAX);
        Excused { ranges: ranges.collect(), more: [more(0), more(1)], since: more(2) }
    }
}

/// The file of a receiver's cursor.
pub fn file_name(receiver: &str) -> String {
    format!("cursor-{receiver}")
}

/// The receiver of such a file.
pub fn receiver_of(file: &str) -> Option<&str> {
    file.strip_prefix("cursor-").filter(|name| is_name(name))
}

/// The file that asks a running helper to forget a receiver's cursor.
pub fn request_name(receiver: &str) -> String {
    format!("forget-{receiver}")
}

/// Whether a text can name a receiver, an instance directory, a label.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.';
    !text.is_empty() && text.len() <= limits::LABEL_BYTES && text.bytes().all(plain) && !text.starts_with('.')
}

impl Cursor {
    /// The records it is past that were not delivered, by their fates.
    pub fn others(&self) -> (u64, u64, u64) {
        (self.quarantined, self.dropped, self.filtered)
    }

    /// Whether it can be the cursor of that receiver: in the place of another one's it would skip what this one lacks.
    pub fn is_of(&self, receiver: &str) -> bool {
        self.receiver.is_empty() || self.receiver == receiver
    }

    /// As bytes for its file.
    pub fn save(&self) -> Vec<u8> {
        let mut answer = self.last_answer.as_str();
        while answer.len() > limits::ANSWER_KEPT_BYTES {
            let cut = (0..=limits::ANSWER_KEPT_BYTES).rev().find(|&n| answer.is_char_boundary(n)).unwrap_or(0);
            answer = &answer[..cut];
        }
        let mut all = json!({
            "receiver": self.receiver, "next": self.next, "delivered": self.delivered, "quarantined": self.quarantined, "dropped": self.dropped,
            "filtered": self.filtered, "retries": self.retries_as_json(), "last_ok_ms": self.last_ok_ms,
            "last_answer": answer, "last_answer_ms": self.last_answer_ms,
        });
        if self.excused != Excused::default() {
            all["excused"] = self.excused.save().into();
            all["excused_more"] = json!([self.excused.more[0], self.excused.more[1], self.excused.since]);
        }
        all.to_string().into_bytes()
    }

    /// How often something failed, by reason.
    pub fn retries_as_json(&self) -> Value {
        let mut all = serde_json::Map::new();
        self.retries.iter().for_each(|(reason, n)| drop(all.insert(reason.clone(), (*n).into())));
        Value::Object(all)
    }

    /// From such bytes; none when they hold a number that no cursor has.
    pub fn load(bytes: &[u8]) -> Option<Cursor> {
        let v: Value = serde_json::from_slice(bytes).ok()?;
        let n = |name: &str| v[name].as_u64().unwrap_or(0);
        let retries = v["retries"].as_object()?.iter().take(16);
        let next = v["next"].as_u64().filter(|n| *n > 0)?;
        let counts = [next, n("delivered"), n("quarantined"), n("dropped"), n("filtered")];
        counts.iter().all(|n| *n <= limits::SPOOL_NUMBER_MAX).then_some(())?;
        Some(Cursor {
            receiver: v["receiver"].as_str().unwrap_or("").to_string(),
            next,
            delivered: n("delivered"),
            quarantined: n("quarantined"),
            dropped: n("dropped"),
            filtered: n("filtered"),
            retries: retries.filter_map(|(k, n)| Some((k.clone(), n.as_u64()?))).collect(),
            last_ok_ms: v["last_ok_ms"].as_i64().unwrap_or(0),
            last_answer: v["last_answer"].as_str().unwrap_or("").to_string(),
            last_answer_ms: v["last_answer_ms"].as_i64().unwrap_or(0),
            excused: Excused::load(&v),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_fits() {
        let mut c = Cursor { next: 7, delivered: 5, last_answer: "\u{1}я".repeat(4000), ..Cursor::default() };
        c.retries.insert("status".into(), 3);
        let bytes = c.save();
        assert!(bytes.len() < limits::CURSOR_SLOT_BYTES as usize - 64);
        let again = Cursor::load(&bytes).unwrap();
        let named = Cursor { receiver: "r1".into(), next: 1, ..Cursor::default() };
        let named = Cursor::load(&named.save()).unwrap();
        assert!(again.is_of("r1") && named.is_of("r1") && !named.is_of("r2"));
        assert_eq!((again.next, again.delivered, again.retries.get("status")), (7, 5, Some(&3)));
        assert!(c.last_answer.starts_with(&again.last_answer) && Cursor::load(b"{}").is_none());
    }

    #[test]
    fn excuses_that_have_no_room_are_known_by_the_first_of_them() {
        let mut all = Excused::default();
        let most = limits::EXCUSED_KEPT as u64;
        (1..=most + 3).for_each(|n| all.add(Fate::Quarantined, 2 * n, 2 * n));
        assert_eq!((all.more, all.since), ([3, 0], 2 * (most + 1)));
        let said = all.clone();
        all.add(Fate::Dropped, 900, 909);
        all.said(&said);
        assert_eq!((all.ranges.len(), all.more, all.since), (0, [0, 10], 2 * (most + 1)));
        let cursor = Cursor { next: 910, excused: all.clone(), ..Cursor::default() };
        assert_eq!(Cursor::load(&cursor.save()).unwrap().excused, all);
        all.said(&Excused { more: [0, 10], ..Excused::default() });
        assert_eq!(all, Excused::default());
    }

    #[test]
    fn numbers_that_no_cursor_has_make_it_none() {
        for bad in ["\"next\":0", "\"next\":18446744073709551615", "\"next\":3,\"delivered\":1152921504606846977"] {
            assert_eq!(Cursor::load(format!("{{{bad},\"retries\":{{}}}}").as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(receiver_of(&file_name("r1")), Some("r1"));
        for bad in ["", "a/b", "..", "a b", "я"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
