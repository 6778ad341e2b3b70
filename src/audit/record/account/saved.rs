//! ○ Parts of a saved account, as they are read again. Pure. Refuses: what cannot be, and more than there is room for.

use crate::audit::record::loss::Loss;
use crate::audit::record::EventId;
use crate::limits;
use serde_json::Value;

pub(super) fn ranges(lines: Vec<Vec<u64>>) -> Vec<(u64, u64)> {
    let ranges = lines.into_iter().filter_map(|l| <[u64; 2]>::try_from(l).ok().map(|[from, to]| (from, to)));
    ranges.filter(|(from, to)| from <= to && *to <= limits::SPOOL_NUMBER_MAX).take(limits::DAMAGES).collect()
}

pub(super) fn tellings_of(v: &Value) -> Vec<(u64, String)> {
    let all = v.as_array().into_iter().flatten().take(limits::TELLINGS);
    all.filter_map(|t| Some((t[0].as_u64()?, t[1].as_str()?.to_string()))).collect()
}

pub(super) fn id_of(v: &Value) -> Option<EventId> {
    EventId::parse(v.as_str()?.as_bytes())
}

pub(super) fn losses_of(v: &Value) -> Vec<Loss> {
    let all = v.as_array().into_iter().flatten().take(limits::LOSSES).filter_map(|l| {
        Some(Loss { from: l[0].as_u64()?, to: l[1].as_u64()?, before: id_of(&l[2]), after: id_of(&l[3]) })
    });
    all.filter(|l| l.from <= l.to && l.to <= limits::SPOOL_NUMBER_MAX).collect()
}
