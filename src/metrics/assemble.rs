//! One page of all families ○: the program's own and the source's, filtered and in order, with the time of the reading.
//!
//! Whoever serves, prints or pushes numbers begins here. Refuses: to write anything.

use super::snapshot::{Family, Snapshot};
use crate::sorted;
use std::borrow::Cow;

/// A page before it is written.
#[derive(Debug)]
pub struct Assembled<'a> {
    /// Sorted by name.
    pub families: Vec<Cow<'a, Family>>,
    /// When the numbers were read, milliseconds since the epoch.
    pub at_ms: i64,
}

impl<'a> Assembled<'a> {
    /// Of these snapshots; with prefixes, only families that begin with one. Those of several instances that have the same
    /// name are one; of those that differ in kind, as two versions of the database may, the first kind stays.
    pub fn of(all: impl IntoIterator<Item = &'a Snapshot>, prefixes: &[String], at_ms: i64) -> Assembled<'a> {
        let wanted = |f: &&Family| prefixes.is_empty() || prefixes.iter().any(|p| f.name.starts_with(p.as_str()));
        let mut families: Vec<&Family> = all.into_iter().flat_map(|s| &s.families).filter(wanted).collect();
        sorted::by(&mut families, |a, b| a.name < b.name);
        let one = |same: &[&'a Family]| match same {
            [alone] => Cow::Borrowed(*alone),
            several => Cow::Owned(Family::joined(several)),
        };
        Assembled { families: families.chunk_by(|a, b| a.name == b.name).map(one).collect(), at_ms }
    }

    /// Bytes its families take, about.
    pub fn bytes(&self) -> usize {
        self.families.iter().map(|f| f.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rules::Rules;
    use crate::metrics::snapshot::{Builder, Kind, Part};

    #[test]
    fn of_two_versions_both_helps_are_said() {
        let of = |help: &str, instance: &str| {
            let rules = Rules::default();
            let mut b = Builder::new(&rules);
            b.family("d", Kind::Gauge, help);
            b.sample("d", Part::Plain, &mut vec![("instance_name", instance)], 1.0);
            b.finish().0
        };
        let all = [of("durations (in ms)", "i1"), of("durations (in seconds)", "i2"), of("durations (in ms)", "i3")];
        let help = |all: &[Snapshot]| Assembled::of(all, &[], 0).families[0].help.to_string();
        assert_eq!(help(&all), "durations (in ms); on some instances: durations (in seconds)");
        assert_eq!(help(&[all[0].clone(), all[2].clone()]), "durations (in ms)");
        assert_eq!(Assembled::of(&all, &[], 0).families[0].samples().len(), 3);
    }
}
