//! ○ The event of our own that tells of records that are not there (`audit_gap`): how it is written, and read again.
//!
//! Whoever drops or loses such an event must know what it told, so that it is told again. This is the one place that knows
//! how it looks. Pure: the time is an argument. Refuses: to read what it would not write.

use crate::audit::record::EventId;
use crate::limits;
use crate::stamp;
use serde_json::{json, Value};

/// The reason of an `audit_gap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// They never came.
    Lost,
    /// They were dropped, as `--spool-full` says.
    Dropped,
    /// The disk has damaged them.
    Damaged,
    /// The source was to give them, and has them no more: nobody knows which, and how many.
    Skipped,
}

impl Reason {
    /// Its name in the event.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Lost => "lost",
            Reason::Dropped => "dropped",
            Reason::Damaged => "damaged",
            Reason::Skipped => "skipped",
        }
    }

    fn of(name: &str) -> Option<Reason> {
        [Reason::Lost, Reason::Dropped, Reason::Damaged, Reason::Skipped]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

/// What a source has not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// What no other one has.
    pub id: String,
    /// What has happened, in words.
    pub text: String,
    /// Which kind it is, by the source's table.
    pub kind: usize,
}

/// An event of our own that tells of records that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapEvent {
    /// The first missing id, when it is known.
    pub from: Option<EventId>,
    /// The last missing id, when it is known.
    pub to: Option<EventId>,
    /// How many.
    pub missing: u64,
    /// Why.
    pub reason: Reason,
    /// For damage: the numbers of the records in the spool.
    pub spool: Option<(u64, u64)>,
    /// For what was skipped: what that was.
    pub skip: Option<Skip>,
}

impl GapEvent {
    /// Of what was skipped.
    pub fn skipped(skip: Skip) -> GapEvent {
        GapEvent { from: None, to: None, missing: 0, reason: Reason::Skipped, spool: None, skip: Some(skip) }
    }

    /// The event as a JSON object. Its id is made of what it tells, so that telling it twice is telling it once.
    /// `seq`: the record it becomes, which makes an id where nothing else does.
    pub fn write(&self, now_ms: i64, seq: u64) -> Vec<u8> {
        let text = |id: Option<EventId>| id.map_or_else(|| "unknown".to_string(), |id| id.to_string());
        let (from, to) = (text(self.from), text(self.to));
        let mut id = format!("gap-{}-{from}-{to}", self.reason.name());
        if let Some(skip) = &self.skip {
            id = format!("gap-{}-{}", self.reason.name(), skip.id);
        } else if let (None, Some((a, b))) = (self.from, self.spool) {
            id = format!("gap-{}-spool-{a}-{b}", self.reason.name());
        } else if self.from.is_none() {
            id = format!("gap-{}-{now_ms}-{seq}", self.reason.name());
        }
        let what = match self.reason {
            Reason::Lost => "never reached the audit helper",
            Reason::Dropped => "dropped because the spool was full",
            Reason::Damaged => "damaged on the spool's disk",
            Reason::Skipped => "skipped",
        };
        let records = match (self.missing, self.reason) {
            (1, Reason::Lost) => "audit record",
            (1, _) => "audit record was",
            (_, Reason::Lost) => "audit records",
            _ => "audit records were",
        };
        let range = if self.from.is_some() { format!(": {from} to {to}") } else { String::new() };
        let message = match &self.skip {
            Some(skip) => format!("audit records may be missing: {}", skip.text),
            None => format!("{} {records} {what}{range}", self.missing),
        };
        let time = stamp::rfc3339_text(now_ms);
        let mut event = json!({
            "id": id, "title": "audit_gap", "severity": "high", "time": time, "message": message,
            "from": from, "to": to, "missing": self.missing, "reason": self.reason.name(),
        });
        if let Some((a, b)) = self.spool {
            event["spool_from"] = a.into();
            event["spool_to"] = b.into();
        }
        if self.reason == Reason::Skipped {
            event["missing"] = Value::Null;
        }
        event.to_string().into_bytes()
    }

    /// Reads what `write` has written; none of anything else.
    pub fn read(raw: &[u8]) -> Option<GapEvent> {
        let event: Value = serde_json::from_slice(raw).ok()?;
        let id = |name: &str| EventId::parse(event[name].as_str()?.as_bytes());
        let reason = Reason::of(event["reason"].as_str()?)?;
        let spool = event["spool_from"].as_u64().zip(event["spool_to"].as_u64());
        Some(GapEvent {
            from: id("from"),
            to: id("to"),
            missing: if reason == Reason::Skipped { 0 } else { event["missing"].as_u64()? },
            reason,
            // Of numbers that there can be.
            spool: spool.filter(|(from, to)| from <= to && *to <= limits::SPOOL_NUMBER_MAX),
            // What happened is no matter of who reads this.
            skip: None,
        })
    }

    /// The first and the last missing event, when they are known.
    pub fn range(&self) -> Option<(EventId, EventId)> {
        self.from.zip(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let id = |count| Some(EventId { raft_id: 1, gen: 2, count });
        for reason in [Reason::Lost, Reason::Dropped, Reason::Damaged] {
            for (from, to) in [(id(7), id(9)), (None, None)] {
                for spool in [Some((4, 6)), None] {
                    let event = GapEvent { from, to, missing: 3, reason, spool, skip: None };
                    let raw = event.write(1_795_224_477_349, 8);
                    assert_eq!(GapEvent::read(&raw), Some(event), "{}", String::from_utf8_lossy(&raw));
                }
            }
        }
    }

    #[test]
    fn what_was_skipped_is_told_without_a_number_and_under_its_own_id() {
        let skip = Skip { id: "2a-16-3".into(), text: "`/log`: it was truncated".into(), kind: 0 };
        let raw = GapEvent::skipped(skip).write(1_795_224_477_349, 8);
        let event: Value = serde_json::from_slice(&raw).unwrap();
        assert_eq!((&event["id"], &event["missing"]), (&"gap-skipped-2a-16-3".into(), &Value::Null));
        assert_eq!(event["message"], "audit records may be missing: `/log`: it was truncated");
        assert_eq!(GapEvent::read(&raw).map(|e| (e.reason, e.missing)), Some((Reason::Skipped, 0)));
    }

    #[test]
    fn what_it_would_not_write_is_not_read() {
        for raw in ["", "[]", "{}", r#"{"reason":"lost"}"#, r#"{"reason":"sold","missing":1}"#, r#"{"missing":1}"#] {
            assert_eq!(GapEvent::read(raw.as_bytes()), None, "{raw}");
        }
        let range = |from: u64, to: u64| {
            let raw = format!(r#"{{"reason":"damaged","missing":1,"spool_from":{from},"spool_to":{to}}}"#);
            GapEvent::read(raw.as_bytes()).expect("a gap").spool
        };
        assert_eq!(range(2, 2), Some((2, 2)));
        assert_eq!((range(2, 1), range(1, limits::SPOOL_NUMBER_MAX + 1)), (None, None));
    }
}
