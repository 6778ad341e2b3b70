//! A page for the tests of renders ○: with everything that they have trouble with.

use crate::metrics::assemble::Assembled;
use crate::metrics::rules::Rules;
use crate::metrics::snapshot::{Builder, Kind, Part, Snapshot};

/// A page with everything that renders have trouble with.
pub fn sample() -> Snapshot {
    let rules = Rules::default();
    let mut b = Builder::new(&rules);
    let mut put = |name: &str, kind, part, labels: &[(&'static str, &'static str)], value| {
        b.family(name, kind, "help");
        b.sample(name, part, &mut labels.to_vec(), value);
    };
    put("a_total", Kind::Counter, Part::Plain, &[], 3.0);
    put("b", Kind::Gauge, Part::Plain, &[("who", "a b.c"), ("x", "~;=,\\\"\n")], -1.5);
    put("b", Kind::Gauge, Part::Plain, &[("who", "a_b_c"), ("x", "~;=,\\\"\n")], 2.0);
    put("c", Kind::Gauge, Part::Plain, &[("имя", "Ж")], f64::NAN);
    put("d", Kind::Gauge, Part::Plain, &[("e", "\\")], f64::INFINITY);
    for (le, n) in [("0.1", 1.0), ("+Inf", 4.0)] {
        put("h", Kind::Histogram, Part::Bucket, &[("le", le)], n);
    }
    put("h", Kind::Histogram, Part::Sum, &[], 2.5);
    put("h", Kind::Histogram, Part::Count, &[], 4.0);
    b.finish().0
}

/// The page of a snapshot.
pub fn page(snapshot: &Snapshot) -> Assembled<'_> {
    Assembled::of([snapshot], &[], 1_795_224_477_349)
}
