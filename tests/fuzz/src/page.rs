//! The Prometheus text of a source: whatever it is, what is written again is strict, is read back as the same numbers,
//! and is the same text the second time; the OpenMetrics page of it is well-formed too.
//!
//! Refuses: to say which families a sloppy page should keep (the unit tests do).

use super::Dice;
use gostech::metrics::assemble::Assembled;
use gostech::metrics::render::{Render, OPENMETRICS, PROMETHEUS};
use gostech::metrics::rules::{is_own, Rules, Tally};
use gostech::metrics::snapshot::{Builder, Snapshot};
use gostech::metrics::text;

/// Seeds: pieces of the recorded pages, the sloppy forms, histograms.
pub fn seeds() -> Vec<Vec<u8>> {
    let page = super::data("picodata-25.5.7/metrics-http.txt");
    let mut seeds: Vec<Vec<u8>> = page.chunks(3000).map(|c| [&[0], c].concat()).collect();
    let sloppy = "# HELP a with \\ and \\\\ in it\n# TYPE a gauge\na{z=\"1\" , b=\"x\\\"\\\\\\n\",} Nan 123456\r\n\
                  # HELP b runs over\nits line {and\n# TYPE b counter\nb 2ULL\na{z=\"2\"} -1e3\nlate 5\n# TYPE late gauge\n";
    let hist = "# TYPE h histogram\nh_bucket{le=\"1\",a=\"b\"} 1\nh_bucket{le=\"+Inf\",a=\"b\"} 2\nh_sum{a=\"b\"} 3\n\
                h_count{a=\"b\"} 2\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\nw_total 1\nw{le=\"\"} NaN\n";
    for flags in [0u8, 1, 2, 4, 7] {
        seeds.push([&[flags], sloppy.as_bytes()].concat());
        seeds.push([&[flags], hist.as_bytes()].concat());
    }
    seeds
}

fn read(page: &str, rules: &Rules) -> (Snapshot, Tally) {
    let mut b = Builder::new(rules);
    text::read(page, &mut b);
    b.finish()
}

fn written(snapshot: &Snapshot, render: &Render) -> String {
    let mut out = Vec::new();
    (render.write)(&Assembled::of([snapshot], &[], 0), &mut out);
    String::from_utf8(out).expect("a page is text")
}

/// What is written can be read, and is what it was.
pub fn is_strict(snapshot: Snapshot) {
    let page = written(&snapshot, &PROMETHEUS);
    let (again, tally) = read(&page, &Rules::default());
    assert_eq!(tally, Tally::default(), "our own page is refused:\n{page}");
    assert_eq!(written(&again, &PROMETHEUS), page, "another page the second time");
    assert_eq!(again.series(), snapshot.series());
    for (a, b) in snapshot.families.iter().zip(&again.families) {
        assert_eq!((&a.name, a.kind, &a.help), (&b.name, b.kind, &b.help));
        for (x, y) in a.samples().iter().zip(b.samples()) {
            assert_eq!((a.labels(x), x.part, a.edge(x), a.base(x)), (b.labels(y), y.part, b.edge(y), b.base(y)));
            assert!(
                x.value.to_bits() == y.value.to_bits() || x.value.is_nan() && y.value.is_nan() || x.value == y.value
            );
        }
    }
    assert!(snapshot.families.windows(2).all(|w| w[0].name < w[1].name), "not sorted, or twice");
    lines(&page);
    let open = written(&snapshot, &OPENMETRICS);
    assert!(open.ends_with("# EOF\n"));
    lines(&open);
}

/// Each line is a comment of the three kinds or a sample, and no control character is in any.
fn lines(page: &str) {
    assert!(page.is_empty() || page.ends_with('\n'));
    for line in page.lines() {
        let comment = ["# HELP ", "# TYPE ", "# EOF"].iter().any(|c| line.starts_with(c));
        assert!(comment || line.starts_with(|c: char| c.is_ascii_alphabetic() || "_:".contains(c)), "{line:?}");
        assert!(comment || line.rsplit_once(' ').is_some_and(|(_, n)| n.parse::<f64>().is_ok()), "{line:?}");
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let flags = dice.byte();
    let page = String::from_utf8_lossy(dice.0);
    let list = |on: bool, prefix: &str| if on { vec![prefix.to_string()] } else { Vec::new() };
    let rules = Rules {
        only: list(flags & 1 != 0, "a"),
        skip: list(flags & 2 != 0, "ab"),
        constants: if flags & 4 != 0 { vec![("dc".into(), "x\"\\\n".into()), ("z".into(), "".into())] } else { vec![] },
    };
    let (snapshot, _) = read(&page, &rules);
    for f in &snapshot.families {
        assert!(rules.admits(&f.name) && !is_own(&f.name) && !f.samples().is_empty());
    }
    is_strict(snapshot);
}
