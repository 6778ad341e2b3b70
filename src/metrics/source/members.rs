//! Who belongs to the cluster ○: the rows of `_pico_instance` and `_pico_peer_address`, which any user may read.
//!
//! Refuses: to take an answer without rows for a cluster without instances.

use super::pico::Columns;
use crate::msgpack::Value;

/// An instance, as `_pico_instance` and `_pico_peer_address` have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Who it is, for ever.
    pub uuid: String,
    /// What it is called now.
    pub name: String,
    /// Of which replicaset.
    pub replicaset: String,
    /// Of which tier.
    pub tier: String,
    /// What state it is in.
    pub state: String,
    /// `host:port`
    pub address: String,
}

impl Listed {
    /// The labels of its samples.
    pub fn labels(&self) -> Vec<(String, String)> {
        let all = [("instance_name", &self.name), ("replicaset", &self.replicaset), ("tier", &self.tier)];
        all.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
    }
}

/// Reads them; none: this answer is of no use.
pub fn read(rows: &Value<'_>, addresses: &Value<'_>, columns: &Columns) -> Option<Vec<Listed>> {
    let all: Vec<Listed> = rows.items().iter().filter_map(|row| listed(row, columns, addresses.items())).collect();
    Some(all).filter(|all| !all.is_empty())
}

fn listed(row: &Value<'_>, columns: &Columns, addresses: &[Value<'_>]) -> Option<Listed> {
    let i = columns.read(row)?;
    let address = addresses.iter().find_map(|row| match row.items() {
        [id, address, kind @ ..] if id.uint() == i.raft_id => {
            let iproto = kind.first().and_then(Value::text).is_none_or(|kind| kind == "iproto");
            address.text().filter(|_| iproto).map(|a| a.into_owned())
        }
        _ => None,
    });
    let address = address.unwrap_or_default();
    Some(Listed { uuid: i.uuid, name: i.name, replicaset: i.replicaset, tier: i.tier, state: i.state, address })
}
