//! What any user of Picodata may see, and what of the built-in page's `pico_*` families can be derived ○.
//!
//! Picodata 24 says `instance_id`, `replicaset_id` and `cluster_id` where later ones say `name`, `replicaset_name` and
//! `cluster_name`; both are read. What the built-in page has keeps its name and labels. Never made up: `pico_governor_changes_total` (the governor's step
//! counter is another count and has a name of its own), the counters and histograms of SQL, RPC and CAS.

use super::sheet::{text_of, Sheet};
use crate::metrics::snapshot::Builder;
use crate::msgpack::Value;

/// What an instance is called, in 25 and in 24.
const NAME: [&str; 2] = ["name", "instance_id"];

/// An instance of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// `default_1_1`
    pub name: String,
    /// Who it is, for ever.
    pub uuid: String,
    /// Its replicaset.
    pub replicaset: String,
    /// Its number in raft.
    pub raft_id: Option<u64>,
    /// Online, Offline, Expelled.
    pub state: String,
    /// Its tier.
    pub tier: String,
}

/// The columns of `_pico_instance` by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    name: usize,
    uuid: usize,
    replicaset: usize,
    raft_id: usize,
    state: usize,
    tier: usize,
}

impl Default for Columns {
    /// As in 25.5: name, uuid, raft_id, replicaset_name, replicaset_uuid, current_state, target_state, failure_domain, tier;
    /// in 24 they stand in the same places.
    fn default() -> Self {
        Columns { name: 0, uuid: 1, raft_id: 2, replicaset: 3, state: 5, tier: 8 }
    }
}

impl Columns {
    /// From the row of `_vspace`, whose seventh field is the format: a list of maps with names.
    pub fn of_format(row: &Value<'_>) -> Option<Columns> {
        let format = row.items().get(6)?.items();
        let at = |name: &str| format.iter().position(|f| text_of(f, "name").as_deref() == Some(name));
        let name = NAME.iter().find_map(|n| at(n))?;
        let either = |names: [&str; 2]| names.iter().find_map(|n| at(n));
        let (uuid, replicaset) = (either(["uuid", "instance_uuid"])?, either(["replicaset_name", "replicaset_id"])?);
        let (raft_id, state, tier) = (at("raft_id")?, at("current_state")?, at("tier")?);
        Some(Columns { name, uuid, raft_id, replicaset, state, tier })
    }

    /// Reads a row of `_pico_instance`.
    pub fn read(&self, row: &Value<'_>) -> Option<Instance> {
        let fields = row.items();
        let text = |at: usize| fields.get(at).and_then(Value::text).map(|t| t.into_owned());
        // The state is a list of its name and a counter.
        let state = fields.get(self.state)?.items().first()?.text()?.into_owned();
        let raft_id = fields.get(self.raft_id).and_then(Value::uint);
        let uuid = text(self.uuid).unwrap_or_default();
        let replicaset = text(self.replicaset).unwrap_or_default();
        Some(Instance { name: text(self.name)?, uuid, replicaset, raft_id, state, tier: text(self.tier)? })
    }
}

/// Writes the states of all instances.
pub fn instances(all: &[Instance], sheet: &mut Sheet<'_, '_>) {
    for i in all {
        let labels = [("instance", &*i.name), ("state", &*i.state), ("tier", &*i.tier)];
        sheet.put("pico_instance_state", &labels, Some(1.0));
    }
}

/// The number in raft of the instance that gave this answer: of `.proc_raft_info`, or of the `.proc_runtime_info` around it.
pub fn own_raft_id(info: &Value<'_>) -> Option<u64> {
    info.get("raft").unwrap_or(info).get("id").and_then(Value::uint)
}

/// Whether the instance that gave this `.proc_runtime_info_v2` is of Picodata 26 or newer, which says more of itself.
pub fn says_more(info: &Value<'_>) -> bool {
    let version = info.find(&["version_info", "picodata_version"]).and_then(Value::text).unwrap_or_default();
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 26)
}

/// Writes `.proc_raft_info`.
pub fn raft(info: &Value<'_>, sheet: &mut Sheet<'_, '_>) {
    sheet.take("pico_raft_term", &[], Some(info), &["term"]);
    sheet.take("pico_raft_applied_index", &[], Some(info), &["applied"]);
    // Nil when there is no leader; the built-in page shows 0 then.
    sheet.put("pico_raft_leader_id", &[], info.get("leader_id").map(|id| id.number().unwrap_or(0.0)));
    if let Some(state) = text_of(info, "state") {
        sheet.put("pico_raft_state", &[("state", &state)], Some(1.0));
    }
}

/// Writes `.proc_runtime_info_v2` or `.proc_runtime_info`.
pub fn runtime(info: &Value<'_>, sheet: &mut Sheet<'_, '_>) {
    if let Some(info) = info.get("raft") {
        raft(info, sheet);
    }
    sheet.slab("tnt_slab", info.get("slab_info"));
    sheet.slab("picodata_slab_system", info.get("slab_system_info"));
    for (loop_name, key) in [("main", "main_loop_status"), ("governor", "governor_loop_status")] {
        if let Some(status) = info.get("internal").and_then(|i| text_of(i, key)) {
            sheet.put("picodata_loop_status", &[("loop", loop_name), ("status", &status)], Some(1.0));
        }
    }
    sheet.take("picodata_governor_steps_total", &[], Some(info), &["internal", "governor_step_counter"]);
    if let Some(info) = info.get("version_info") {
        version(info, sheet);
    }
}

/// Writes `.proc_instance_health_status`, which Picodata has since 26; a list that is not there is empty.
pub fn health(info: &Value<'_>, sheet: &mut Sheet<'_, '_>) {
    let Some(status) = text_of(info, "status") else { return };
    sheet.put("picodata_health_status", &[("status", &status)], Some(1.0));
    let issues = ["issues", "reasons"].iter().find_map(|name| info.get(name)).map_or(0, |all| all.items().len());
    sheet.put("picodata_health_issues", &[], Some(issues as f64));
    for (state, count) in info.get("buckets").map_or(&[][..], |b| b.pairs()) {
        let state = state.text().unwrap_or_default();
        sheet.put("picodata_buckets", &[("state", &state)], count.number());
    }
    // As it is spelled there.
    sheet.take("pico_raft_commit_index", &[], Some(info), &["raft", "commitedIndex"]);
}

/// Writes `.proc_version_info`.
pub fn version(info: &Value<'_>, sheet: &mut Sheet<'_, '_>) {
    let names = ["picodata_version", "rpc_api_version", "build_type", "build_profile", "tarantool_version"];
    let texts: Vec<(&str, String)> = names.iter().filter_map(|n| Some((*n, text_of(info, n)?))).collect();
    if !texts.is_empty() {
        let labels: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (*n, t.as_str())).collect();
        sheet.put("picodata_version_info", &labels, Some(1.0));
    }
}

/// Writes the rows of `_pico_peer_address`: raft id, address, and (since 25.1) the kind of connection.
pub fn addresses(rows: &[Value<'_>], sheet: &mut Sheet<'_, '_>) {
    for row in rows {
        let [id, address, rest @ ..] = row.items() else { continue };
        let (Some(id), Some(address)) = (id.uint(), address.text()) else { continue };
        let id = id.to_string();
        let kind = rest.first().and_then(Value::text).unwrap_or("iproto".into());
        let labels = [("raft_id", &*id), ("address", &*address), ("connection_type", &*kind)];
        sheet.put("picodata_peer_address_info", &labels, Some(1.0));
    }
}

/// Writes what `pico.lua` brought; answers the instance's name.
pub fn derived(found: &Value<'_>, out: &mut Builder<'_>) -> Option<String> {
    let own = found.get("instance");
    let own_text = |names: [&str; 2]| own.and_then(|o| text_of_either(o, names));
    let name = own_text(NAME);
    let mut sheet = Sheet::new(out, name.as_deref());
    let uptime = [
        ("cluster_name", own_text(["cluster_name", "cluster_id"])),
        ("instance_dir_name", text_of(found, "dir")),
        ("replicaset", own_text(["replicaset_name", "replicaset_id"])),
        ("tier", own.and_then(|o| text_of(o, "tier"))),
    ];
    let labels: Vec<(&str, &str)> = uptime.iter().filter_map(|(n, t)| Some((*n, t.as_deref()?))).collect();
    sheet.take("pico_info_uptime", &labels, Some(found), &["uptime"]);
    if let Some(info) = found.get("raft") {
        raft(info, &mut sheet);
    }
    let commit = found.get("commit").and_then(|row| row.items().get(1)).and_then(Value::number);
    sheet.put("pico_raft_commit_index", &[], commit);
    let rows = found.get("instances").map_or(&[][..], |r| r.items());
    instances(&rows.iter().filter_map(named_instance).collect::<Vec<_>>(), &mut sheet);
    for row in found.get("tables").map_or(&[][..], |r| r.items()) {
        let [table, kind, engine, length, bytes] = row.items() else { continue };
        let (Some(table), Some(kind), Some(engine)) = (table.text(), kind.text(), engine.text()) else { continue };
        let labels = [("table_name", &*table), ("table_kind", &*kind), ("engine", &*engine)];
        sheet.put("pico_table_len", &labels, length.number());
        sheet.put("pico_table_size_bytes", &labels, bytes.number().filter(|n| *n >= 0.0));
    }
    name
}

/// A row of `_pico_instance` as a map of names.
fn named_instance(row: &Value<'_>) -> Option<Instance> {
    let state = row.get("current_state")?.items().first()?.text()?.into_owned();
    let raft_id = row.get("raft_id").and_then(Value::uint);
    Some(Instance {
        name: text_of_either(row, NAME)?,
        raft_id,
        state,
        tier: text_of(row, "tier")?,
        ..Instance::default()
    })
}

fn text_of_either(map: &Value<'_>, names: [&str; 2]) -> Option<String> {
    names.iter().find_map(|n| text_of(map, n))
}
