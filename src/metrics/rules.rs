//! What may be on the page ○: `--only`, `--skip`, `--label`; and the tally of what was left out.

use crate::sorted::Map;

/// The program's own families; what a source calls so is left out.
const OWN: &[&str] = &["picodata_up", "gostech_metrics_"];

/// Which families are wanted, and what every sample carries.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Prefixes; none means all.
    pub only: Vec<String>,
    /// Prefixes.
    pub skip: Vec<String>,
    /// Labels of every sample; a label that the source gives itself is left as it is.
    pub constants: Vec<(String, String)>,
}

impl Rules {
    /// Whether the family may be on the page.
    pub fn admits(&self, family: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|p| family.starts_with(p.as_str()));
        (self.only.is_empty() || has(&self.only)) && !has(&self.skip)
    }

    /// The same labels, no filter: for the program's own families.
    pub fn unfiltered(&self) -> Rules {
        Rules { constants: self.constants.clone(), ..Rules::default() }
    }
}

/// Whether a family's name is ours alone.
pub fn is_own(family: &str) -> bool {
    OWN.iter().any(|own| family.starts_with(own))
}

/// What was left out, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Map<&'static str, u64>);

impl Tally {
    /// One more.
    pub fn add(&mut self, reason: &'static str) {
        self.add_many(reason, 1);
    }

    /// So many more; none leaves no trace.
    pub fn add_many(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.0.at(reason, Default::default) += count;
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Tally) {
        other.0.iter().for_each(|(reason, count)| self.add_many(reason, *count));
    }

    /// How many for this reason.
    #[cfg(test)]
    pub fn get(&self, reason: &str) -> u64 {
        self.0.get(reason).copied().unwrap_or(0)
    }

    /// How many in all.
    #[cfg(test)]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Reasons and counts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, *count))
    }
}
