//! What the stand-in for Picodata wrote, and the comparison with what a receiver got: the heart of «nothing is lost».
//!
//! The comparison is by the events' own ids and fields, in order; it never trusts a count.

use crate::harness::receiver::Doc;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The records that were written whole, as they went through the pipe (without the newline).
#[derive(Default, Clone)]
pub struct Ledger {
    records: Vec<String>,
}

impl Ledger {
    pub fn note(&mut self, record: &str) {
        self.records.push(record.to_owned());
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn records(&self) -> &[String] {
        &self.records
    }

    pub fn join(&mut self, other: &Ledger) {
        self.records.extend(other.records.iter().cloned());
    }

    /// Every record delivered, once by document id, in order, its fields untouched, and nothing else delivered.
    pub fn compare(&self, docs: &[Doc]) -> Result<(), String> {
        let mut place: HashMap<String, usize> = HashMap::new();
        let mut expected = Vec::new();
        for (i, record) in self.records.iter().enumerate() {
            let value: Value = serde_json::from_str(record).map_err(|e| format!("ledger {i}: {e}"))?;
            place.insert(event_id(&value), i);
            expected.push(value);
        }
        let mut last = None;
        let mut got = HashSet::new();
        for doc in docs {
            let id = event_id(&doc.value);
            let at = *place.get(&id).ok_or_else(|| format!("an event nobody wrote: {}", doc.raw))?;
            if !got.insert(at) {
                return Err(format!("event {id} has two document ids, the second {}", doc.id));
            }
            if last.is_some_and(|l| at < l) {
                return Err(format!("event {id} came after a later one"));
            }
            last = Some(at);
            same_fields(&expected[at], &doc.value)?;
        }
        self.all_there(&got)
    }

    /// Like `compare`, without a word on order and on further events: for receivers that got some of it by other ways.
    pub fn missing(&self, docs: &[Doc]) -> Vec<String> {
        let got: HashSet<String> = docs.iter().map(|d| event_id(&d.value)).collect();
        let ids = self.records.iter().filter_map(|r| Some(event_id(&serde_json::from_str(r).ok()?)));
        ids.filter(|id| !got.contains(id)).collect()
    }

    fn all_there(&self, got: &HashSet<usize>) -> Result<(), String> {
        let missing: Vec<usize> = (0..self.records.len()).filter(|i| !got.contains(i)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let first: Vec<&str> = missing.iter().take(3).map(|&i| self.records[i].as_str()).collect();
        Err(format!("{} of {} missing, from place {}: {first:?}", missing.len(), self.records.len(), missing[0]))
    }
}

fn event_id(value: &Value) -> String {
    value["id"].as_str().unwrap_or("").to_owned()
}

/// The delivered object is the written one plus `@timestamp` and `gostech`, nothing more and nothing less.
fn same_fields(written: &Value, delivered: &Value) -> Result<(), String> {
    let mut rest = delivered.as_object().ok_or("not an object")?.clone();
    let stamp = rest.remove("@timestamp");
    let ours = rest.remove("gostech");
    if !stamp.is_some_and(|s| s.is_string()) || !ours.is_some_and(|g| g.is_object()) {
        return Err(format!("without @timestamp or gostech: {delivered}"));
    }
    if Value::Object(rest) != *written {
        return Err(format!("fields changed: wrote {written}, delivered {delivered}"));
    }
    Ok(())
}
