//! ○ A spool at one moment: what `status`, the page and the metrics are made of, and how a worker tells it to `status`.
//!
//! All figures are taken under the same locks, so that for each receiver read + own = delivered + quarantined + dropped +
//! filtered + waiting. Refuses: a secret, a number that no spool has.

use crate::audit::alarm::diary::Entry;
use crate::audit::alarm::{Alarm, AlarmKind, Gravity};
use crate::audit::record::account::Account;
use crate::audit::spool::cursor::Cursor;
use crate::limits;
use serde_json::{json, Value};

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// It is configured.
    pub live: bool,
    /// How far it is.
    pub cursor: Cursor,
    /// When the oldest event that waits for it was read.
    pub oldest_ms: Option<i64>,
}

/// What sizes there are, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// That somebody still needs.
    pub live: u64,
    /// Kept for replay.
    pub retained: u64,
    /// Of these in memory.
    pub in_memory: u64,
    /// The bound.
    pub max: u64,
    /// Read, and not in the spool yet.
    pub cushion: u64,
    /// Segments that are packed, what they take, and what they took before.
    pub packed: (u64, u64, u64),
}

/// An option in force, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `spool-max`, `url of r1`.
    pub name: String,
    /// Without what is secret in it.
    pub value: String,
    /// It is not what it is when nobody says anything.
    pub given: bool,
}

/// Where the source stands that can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// What is read now, by its name.
    pub at: String,
    /// How far it is read, in bytes.
    pub offset: u64,
    /// Bytes that are there and not read.
    pub behind: u64,
    /// When the oldest of them was written, as far as is known.
    pub oldest_ms: Option<i64>,
    /// Why it cannot be read.
    pub wrong: Option<String>,
}

/// How far evidence is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// The stream that is sealed now.
    pub stream: String,
    /// How many of its records are in lists.
    pub size: u64,
    /// Records in the spool that are not.
    pub open: u64,
    /// The number of the last checkpoint that was signed; 0: there is none.
    pub number: u64,
    /// When that was, milliseconds since the epoch; 0: nobody knows.
    pub signed_ms: i64,
    /// When its key was made; 0: nobody knows, because the key cannot be read.
    pub key_ms: i64,
    /// How often a checkpoint could not be signed.
    pub failures: u64,
}

impl Sealed {
    fn save(&self) -> Value {
        json!([self.stream, self.size, self.open, self.number, self.signed_ms, self.key_ms, self.failures])
    }

    fn load(v: &Value) -> Option<Sealed> {
        let (number, time) = (|i: usize| v[i].as_u64(), |i: usize| v[i].as_i64());
        Some(Sealed {
            stream: v[0].as_str()?.into(),
            size: number(1)?,
            open: number(2)?,
            number: number(3)?,
            signed_ms: time(4)?,
            key_ms: time(5)?,
            failures: number(6)?,
        })
    }
}

/// What the status page shows besides: what the worker knows of itself, and what was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    /// Where the spool is.
    pub place: String,
    /// Cluster and instance.
    pub of: String,
    /// When this worker began, milliseconds since the epoch.
    pub begin_ms: i64,
    /// How often a worker was started again.
    pub restarts: u64,
    /// What restricts the worker, and whether that is in force.
    pub protections: Vec<(String, bool)>,
    /// Spools of others that wait for nobody, and how many events are in them.
    pub stranded: Vec<(String, u64)>,
    /// How much a receiver has taken a second in the last minute.
    pub rates: Vec<(String, f64)>,
    /// The curves, as they are kept.
    pub history: Vec<u64>,
    /// The alarms of the last day, the newest first.
    pub alarms: Vec<Entry>,
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When, milliseconds since the epoch.
    pub now_ms: i64,
    /// What has been taken in.
    pub account: Account,
    /// The number of the next record.
    pub next: u64,
    /// The receivers.
    pub receivers: Vec<Standing>,
    /// Sizes.
    pub bytes: Bytes,
    /// Why the disk is not written to, if so.
    pub disk_bad: Option<String>,
    /// Files set aside.
    pub set_aside: u64,
    /// What is wrong, the gravest first.
    pub wrong: Vec<Alarm>,
    /// The options in force.
    pub in_force: Vec<Row>,
    /// The source.
    pub input: Option<Input>,
    /// Evidence, where records are sealed.
    pub sealed: Option<Sealed>,
    /// What has happened there, by the name of the count.
    pub happened: Vec<(String, u64)>,
    /// The rest of the page.
    pub around: Around,
}

impl Input {
    fn save(&self) -> Value {
        json!([self.at, self.offset, self.behind, self.oldest_ms, self.wrong])
    }

    fn load(v: &Value) -> Option<Input> {
        let (at, wrong) = (v[0].as_str()?.into(), v[4].as_str().map(String::from));
        Some(Input { at, offset: v[1].as_u64()?, behind: v[2].as_u64()?, oldest_ms: v[3].as_i64(), wrong })
    }
}

impl Around {
    fn save(&self) -> Value {
        let alarms: Vec<Value> = self.alarms.iter().map(|a| json!([a.kind.row().id, a.since_ms, a.over_ms])).collect();
        json!([
            self.place,
            self.of,
            self.begin_ms,
            self.restarts,
            self.protections,
            self.stranded,
            self.history,
            alarms,
            self.rates
        ])
    }

    /// A worker of a version before says nothing of it.
    fn load(v: &Value) -> Around {
        let all = |i: usize, most: usize| v[i].as_array().into_iter().flatten().take(most);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
        let alarm = |a: &Value| {
            Some(Entry { kind: AlarmKind::of(a[0].as_str()?)?, since_ms: a[1].as_i64()?, over_ms: a[2].as_i64()? })
        };
        Around {
            place: text(&v[0]),
            of: text(&v[1]),
            begin_ms: v[2].as_i64().unwrap_or(0),
            restarts: v[3].as_u64().unwrap_or(0),
            protections: all(4, 16).map(|p| (text(&p[0]), p[1] == true)).collect(),
            stranded: all(5, limits::STATE_RECEIVERS).map(|s| (text(&s[0]), s[1].as_u64().unwrap_or(0))).collect(),
            history: all(6, limits::PAGE_HISTORY_WORDS).map(|n| n.as_u64().unwrap_or(0)).collect(),
            rates: all(8, limits::STATE_RECEIVERS).map(|r| (text(&r[0]), r[1].as_f64().unwrap_or(0.0))).collect(),
            alarms: all(7, limits::PAGE_ALARMS).filter_map(alarm).collect(),
        }
    }
}

impl Standing {
    /// How many events wait for it, where the next record has this number.
    pub fn waiting(&self, next: u64) -> u64 {
        next.saturating_sub(self.cursor.next)
    }
}

impl Moment {
    /// What is wrong, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        self.wrong.iter().map(|a| a.sentence(self.now_ms)).collect()
    }

    /// Whether events are taken and kept as they should be.
    pub fn is_ready(&self) -> bool {
        self.wrong.iter().all(|a| a.kind.row().gravity != Gravity::Critical)
    }

    /// As bytes for whoever asks.
    pub fn save(&self) -> Vec<u8> {
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let receivers: Vec<Value> = self
            .receivers
            .iter()
            .map(|r| {
                json!({"name": r.name, "live": r.live, "cursor": value(&r.cursor.save()), "oldest_ms": r.oldest_ms})
            })
            .collect();
        let wrong: Vec<String> = self.wrong.iter().map(Alarm::line).collect();
        let in_force: Vec<Value> = self.in_force.iter().map(|r| json!([r.name, r.value, r.given])).collect();
        let b = &self.bytes;
        let bytes = [b.live, b.retained, b.in_memory, b.max, b.cushion, b.packed.0, b.packed.1, b.packed.2];
        json!({
            "now_ms": self.now_ms, "account": value(&self.account.save()), "next": self.next, "receivers": receivers,
            "bytes": bytes, "disk_bad": self.disk_bad, "set_aside": self.set_aside, "wrong": wrong,
            "in_force": in_force, "input": self.input.as_ref().map(Input::save), "happened": self.happened, "around": self.around.save(),
            "sealed": self.sealed.as_ref().map(Sealed::save),
        })
        .to_string()
        .into_bytes()
    }

    /// From such bytes; none when they are not ours.
    pub fn load(bytes: &[u8]) -> Option<Moment> {
        let v: Value = serde_json::from_slice(bytes).ok()?;
        let number = |v: &Value| v.as_u64().filter(|n| *n <= limits::SPOOL_NUMBER_MAX);
        let receivers = v["receivers"].as_array()?.iter().take(limits::STATE_RECEIVERS).map(|r| {
            Some(Standing {
                name: r["name"].as_str().filter(|n| crate::audit::spool::cursor::is_name(n))?.to_string(),
                live: r["live"].as_bool()?,
                cursor: Cursor::load(r["cursor"].to_string().as_bytes())?,
                oldest_ms: r["oldest_ms"].as_i64(),
            })
        });
        let rows = v["in_force"].as_array()?.iter().take(limits::STATUS_OPTIONS).filter_map(|r| {
            Some(Row { name: r[0].as_str()?.into(), value: r[1].as_str()?.into(), given: r[2].as_bool()? })
        });
        let happened = v["happened"].as_array()?.iter().take(limits::STATUS_OPTIONS);
        let happened = happened.filter_map(|c| Some((c[0].as_str()?.into(), c[1].as_u64()?)));
        let b = &v["bytes"];
        let wrong = v["wrong"].as_array()?.iter().take(2 * limits::ALARMS);
        Some(Moment {
            now_ms: v["now_ms"].as_i64()?,
            account: Account::load(v["account"].to_string().as_bytes())?,
            next: number(&v["next"])?,
            receivers: receivers.collect::<Option<_>>()?,
            bytes: Bytes {
                live: number(&b[0])?,
                retained: number(&b[1])?,
                in_memory: number(&b[2])?,
                max: number(&b[3])?,
                cushion: number(&b[4])?,
                packed: (number(&b[5])?, number(&b[6])?, number(&b[7])?),
            },
            disk_bad: v["disk_bad"].as_str().map(String::from),
            set_aside: number(&v["set_aside"])?,
            wrong: wrong.filter_map(|l| Alarm::parse(l.as_str()?.trim_end_matches('\n'))).collect(),
            in_force: rows.collect(),
            input: Input::load(&v["input"]),
            happened: happened.collect(),
            around: Around::load(&v["around"]),
            sealed: Sealed::load(&v["sealed"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::alarm::{AlarmKind, State};

    #[test]
    fn a_moment_is_read_back_and_begins_with_what_is_wrong() {
        let mut account = Account::default();
        account.counters.read = 9;
        let cursor = Cursor { receiver: "r1".into(), next: 4, delivered: 3, ..Cursor::default() };
        let wrong = Alarm {
            kind: AlarmKind::DatabaseWaits,
            about: "input".into(),
            state: State::Firing,
            since_ms: 1_795_224_431_000,
            text: "the spool is full".into(),
        };
        let moment = Moment {
            now_ms: 1_795_224_477_000,
            account,
            next: 10,
            receivers: vec![Standing { name: "r1".into(), live: true, cursor, oldest_ms: Some(5) }],
            bytes: Bytes { live: 1, retained: 2, in_memory: 3, max: 4, cushion: 5, packed: (6, 7, 8) },
            disk_bad: Some("No space left".into()),
            set_aside: 2,
            wrong: vec![wrong],
            in_force: vec![Row { name: "url of r1".into(), value: "https://a/".into(), given: true }],
            input: Some(Input { at: "/l".into(), offset: 7, behind: 2, oldest_ms: Some(3), wrong: None }),
            happened: vec![("rotations".into(), 1)],
            sealed: Some(Sealed {
                stream: "01".into(),
                size: 9,
                open: 1,
                number: 2,
                signed_ms: 7,
                key_ms: 3,
                failures: 4,
            }),
            around: Around {
                place: "/var/lib/s".into(),
                of: "prod/i1".into(),
                begin_ms: 5,
                restarts: 2,
                protections: vec![("seccomp".into(), true)],
                stranded: vec![("h-2".into(), 3)],
                rates: vec![("r1".into(), 1.5)],
                history: vec![1 << 63, 0, 7],
                alarms: vec![Entry { kind: AlarmKind::DiskFull, since_ms: 1, over_ms: 2 }],
            },
        };
        let back = Moment::load(&moment.save()).expect("read back");
        assert_eq!((back.save(), back.receivers[0].waiting(back.next)), (moment.save(), 6));
        assert_eq!((&back.around, &back.sealed), (&moment.around, &moment.sealed));
        assert_eq!((&back.in_force, &back.input, &back.happened), (&moment.in_force, &moment.input, &moment.happened));
        assert_eq!(back.sentences(), ["THE DATABASE WAITS since 2026-11-21T01:27:11 UTC (46 s): the spool is full"]);
        assert!(!back.is_ready());
        let bytes = moment.save();
        assert!((0..bytes.len()).all(|n| Moment::load(&bytes[..n]).is_none()), "half of it is none");
        assert!(bytes.len() < limits::STATUS_ANSWER_BYTES as usize);
    }
}
