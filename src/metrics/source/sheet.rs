//! Where the sources write their numbers ○: kind and help come from the catalog, `instance_name` goes on every sample.

use crate::metrics::catalog;
use crate::metrics::snapshot::{Builder, Part};
use crate::msgpack::Value;

/// Writes into a builder.
pub struct Sheet<'b, 'r> {
    out: &'b mut Builder<'r>,
    instance: Option<&'b str>,
}

impl<'b, 'r> Sheet<'b, 'r> {
    /// Writes for this instance, if it has a name.
    pub fn new(out: &'b mut Builder<'r>, instance: Option<&'b str>) -> Self {
        Sheet { out, instance }
    }

    /// Writes a number, if there is one and the family is wanted.
    pub fn put(&mut self, name: &str, labels: &[(&str, &str)], value: Option<f64>) {
        let row = catalog::find(name).expect("every family of ours is in the catalog");
        let (Some(value), true) = (value, self.out.wants(name)) else { return };
        self.out.family(name, row.kind, row.help);
        let mut labels: Vec<(&str, &str)> = labels.to_vec();
        if let Some(instance) = self.instance {
            labels.push(("instance_name", instance));
        }
        self.out.sample(name, Part::Plain, &mut labels, value);
    }

    /// Writes a number of a map.
    pub fn take(&mut self, name: &str, labels: &[(&str, &str)], map: Option<&Value<'_>>, path: &[&str]) {
        self.put(name, labels, map.and_then(|m| m.find(path)).and_then(Value::number));
    }

    /// Writes what `box.slab.info()` says, under this beginning of a name.
    pub fn slab(&mut self, begin: &str, info: Option<&Value<'_>>) {
        for part in ["arena", "items", "quota"] {
            for what in ["size", "used", "used_ratio"] {
                let key = format!("{part}_{what}");
                let value = info.and_then(|i| i.get(&key));
                // Ratios are texts: "11.93%".
                let ratio = |v: &Value<'_>| v.text()?.trim_end_matches('%').parse().ok();
                self.put(&format!("{begin}_{key}"), &[], value.and_then(|v| v.number().or_else(|| ratio(v))));
            }
        }
    }
}

/// The text of a map's member.
pub fn text_of(map: &Value<'_>, name: &str) -> Option<String> {
    map.get(name).and_then(Value::text).map(|t| t.into_owned())
}
