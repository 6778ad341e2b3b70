//! What one poll found ○: families, sorted and checked, in few bytes.
//!
//! ```text
//! Family   name, kind, help, one text with the labels of all its samples, samples of 24 bytes
//! Sample   where its labels stand in that text, how much of them is `le` or `quantile` (always last), part, value
//! ```
//!
//! Labels are written once, escaped and in the order of their names, so that a page is mostly copying. A family that breaks
//! the rules of its kind is left out whole and counted; the others stay. Refuses: timestamps, a family without a kind (it
//! becomes `Unknown`), two samples with the same labels.

use super::rules::{Rules, Tally};
use crate::limits;
use crate::sorted;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What the numbers of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Quantiles.
    Summary,
    /// Nobody said.
    Unknown,
}

/// Which sample of its family: `name`, `name_bucket`, `name_sum`, `name_count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `name`; a summary's quantiles too.
    Plain,
    /// `name_bucket`
    Bucket,
    /// `name_sum`
    Sum,
    /// `name_count`
    Count,
}

impl Part {
    /// What stands behind the family's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Part::Plain => "",
            Part::Bucket => "_bucket",
            Part::Sum => "_sum",
            Part::Count => "_count",
        }
    }
}

/// One number.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    at: u32,
    size: u32,
    /// Bytes of the last label when it is `le` or `quantile`, else nothing.
    edge: u32,
    /// Which sample of the family.
    pub part: Part,
    /// The number.
    pub value: f64,
}

/// A family.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name, for counters with `_total` as in the text format.
    pub name: Box<str>,
    /// What its numbers mean.
    pub kind: Kind,
    /// What it is, in words; may be empty.
    pub help: Box<str>,
    labels: Box<str>,
    samples: Box<[Sample]>,
}

impl Family {
    /// The samples, in the order of the page.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The labels of a sample but for `le` and `quantile`: `a="x",b="y"`.
    pub fn base(&self, s: &Sample) -> &str {
        let whole = self.labels(s);
        let cut = whole.len() - s.edge as usize;
        whole[..cut].trim_end_matches(',')
    }

    /// All labels of a sample: `a="x",b="y",le="1"`.
    pub fn labels(&self, s: &Sample) -> &str {
        &self.labels[s.at as usize..(s.at + s.size) as usize]
    }

    /// The labels of a sample as names and values, unescaped: for formats that have other rules.
    pub fn pairs<'a>(&'a self, s: &Sample) -> Pairs<'a> {
        Pairs { rest: self.labels(s) }
    }

    /// The same without `le` and `quantile`.
    pub fn base_pairs<'a>(&'a self, s: &Sample) -> Pairs<'a> {
        Pairs { rest: self.base(s) }
    }

    /// The value of `le` or `quantile` as it was written.
    pub fn edge(&self, s: &Sample) -> Option<&str> {
        let text = &self.labels(s)[(s.size - s.edge) as usize..];
        text.split_once('"').map(|(_, v)| v.trim_end_matches('"'))
    }

    /// The same family of several instances as one, of the kind of the first. While a cluster changes to another version its unit
    /// may differ: the help says both.
    pub fn joined(all: &[&Family]) -> Family {
        let alike = || all.iter().filter(|f| f.kind == all[0].kind);
        let mut samples = Vec::with_capacity(alike().map(|f| f.samples.len()).sum());
        let mut labels = String::with_capacity(alike().map(|f| f.labels.len()).sum());
        for f in alike().filter(|f| f.labels.len() <= u32::MAX as usize) {
            let Ok(before) = u32::try_from(labels.len() + f.labels.len()).map(|end| end - f.labels.len() as u32) else {
                break;
            };
            labels.push_str(&f.labels);
            samples.extend(f.samples.iter().map(|s| Sample { at: s.at + before, ..*s }));
        }
        let (name, mut help) = (all[0].name.clone(), all[0].help.clone());
        if let Some(other) = alike().find(|f| f.help != help) {
            help = format!("{help}; on some instances: {}", other.help).into();
        }
        Family { name, kind: all[0].kind, help, labels: labels.into(), samples: samples.into() }
    }

    /// Bytes this family takes, about.
    pub fn bytes(&self) -> usize {
        self.name.len() + self.help.len() + self.labels.len() + std::mem::size_of_val::<[Sample]>(&self.samples) + 88
    }
}

/// Walks labels as `put_label` has written them.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, quoted) = self.rest.split_once("=\"")?;
        let mut escaped = false;
        let end = quoted.bytes().position(|b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })?;
        self.rest = quoted[end + 1..].trim_start_matches(',');
        Some((name, unescaped(&quoted[..end])))
    }
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let (mut out, mut chars) = (String::with_capacity(value.len()), value.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| if c == 'n' { '\n' } else { c })),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// What one poll found.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sorted by name.
    pub families: Vec<Family>,
}

impl Snapshot {
    /// How many numbers there are.
    pub fn series(&self) -> usize {
        self.families.iter().map(|f| f.samples.len()).sum()
    }

    /// Bytes they take, about.
    pub fn bytes(&self) -> usize {
        self.families.iter().map(Family::bytes).sum()
    }

    /// Takes over the families of another that are not here yet.
    pub fn add_missing(&mut self, other: Snapshot) {
        let before = self.families.len();
        for family in other.families {
            if self.families[..before].binary_search_by(|f| f.name.cmp(&family.name)).is_err() {
                self.families.push(family);
            }
        }
        if before < self.families.len() {
            sorted::by(&mut self.families, |a, b| a.name < b.name);
        }
    }

    /// The family of a name.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.binary_search_by(|f| (*f.name).cmp(name)).ok().map(|i| &self.families[i])
    }
}

/// A family that is being gathered.
struct Draft {
    kind: Kind,
    help: String,
    labels: String,
    samples: Vec<Sample>,
    bad: Option<&'static str>,
}

impl Draft {
    fn new(kind: Kind) -> Draft {
        Draft { kind, help: String::new(), labels: String::new(), samples: Vec::new(), bad: None }
    }

    /// Adds a sample whose labels are in order; `edge_name` is that of the last one, where there must be one.
    fn push(&mut self, part: Part, labels: &[(&str, &str)], edge_name: &str, value: f64) {
        let at = self.labels.len();
        let mut last = at;
        for (i, (name, value)) in labels.iter().enumerate() {
            if i > 0 {
                self.labels.push(',');
            }
            last = self.labels.len();
            put_label(&mut self.labels, name, value);
        }
        let end = self.labels.len();
        let edge = if edge_name.is_empty() { 0 } else { end - last };
        if (!edge_name.is_empty() && labels.last().is_none_or(|(n, _)| *n != edge_name)) || end > u32::MAX as usize {
            self.bad = Some("labels");
            return;
        }
        self.samples.push(Sample { at: at as u32, size: (end - at) as u32, edge: edge as u32, part, value });
    }
}

/// Gathers samples in any order, then checks and sorts them.
pub struct Builder<'r> {
    rules: &'r Rules,
    drafts: BTreeMap<String, Draft>,
    /// The family at hand, kept out of `drafts`: its samples mostly follow one another.
    open: Option<(String, Draft)>,
    series: usize,
    /// Memory that this and the builders before it take, about.
    cost: usize,
    /// Why nothing more is gathered.
    over: Option<String>,
    /// What was left out, by reason.
    pub tally: Tally,
}

impl<'r> Builder<'r> {
    /// Gathers by these rules.
    pub fn new(rules: &'r Rules) -> Self {
        let (drafts, tally) = (BTreeMap::new(), Tally::default());
        Builder { rules, drafts, open: None, series: 0, cost: 0, over: None, tally }
    }

    /// The next one of the same page: what the page may cost is for all of them.
    pub fn beside(&self) -> Builder<'r> {
        Builder { cost: self.cost, ..Builder::new(self.rules) }
    }

    /// Says that the page is too large for us, in words; the first words stay.
    pub fn refuse(&mut self, why: String) {
        self.over.get_or_insert(why);
    }

    /// Why this page is too large, if it is: what was gathered of it is worth nothing.
    pub fn over(&self) -> Option<&str> {
        self.over.as_deref()
    }

    /// So much more memory; false when it is too much, and nothing more is taken.
    pub fn spend(&mut self, bytes: usize) -> bool {
        self.cost = self.cost.saturating_add(bytes);
        if self.cost > limits::METRICS_PAGE_COST_BYTES {
            let (mib, drafts) = (limits::METRICS_PAGE_COST_BYTES >> 20, self.drafts.len());
            self.refuse(format!(
                "its numbers would take more than {mib} MiB ({} series, {drafts} families)",
                self.series
            ));
        }
        self.over.is_none()
    }

    /// Whether the family may be on the page at all.
    pub fn wants(&self, family: &str) -> bool {
        self.rules.admits(family)
    }

    /// Says what a family is; what was said first stays, another kind makes it malformed.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        if !self.admit(name, help.len()) {
            return;
        }
        let draft = self.draft(name, kind);
        if draft.help.is_empty() {
            draft.help.push_str(help);
        }
        if draft.kind != kind {
            draft.bad = Some("type");
        }
    }

    /// The whole family will be left out, for this reason.
    pub fn spoil(&mut self, name: &str, reason: &'static str) {
        if !self.admit(name, 0) {
            return;
        }
        self.draft(name, Kind::Unknown).bad.get_or_insert(reason);
    }

    /// Whether there is room for a family of this name and more of its help.
    fn admit(&mut self, name: &str, help: usize) -> bool {
        let open = self.open.as_ref().is_some_and(|(open, _)| open == name);
        let known = open || self.drafts.contains_key(name);
        self.spend(help + if known { 0 } else { limits::METRICS_FAMILY_COST_BYTES + 2 * name.len() })
    }

    fn draft(&mut self, name: &str, kind: Kind) -> &mut Draft {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            self.put_away();
            let found = self.drafts.remove_entry(name);
            self.open = Some(found.unwrap_or_else(|| (name.to_string(), Draft::new(kind))));
        }
        let (_, draft) = self.open.as_mut().expect("opened above");
        draft
    }

    fn put_away(&mut self) {
        if let Some((name, draft)) = self.open.take() {
            self.drafts.insert(name, draft);
        }
    }

    /// Adds a sample to a family that was announced. Labels in any order, values unescaped.
    pub fn sample<'l>(&mut self, family: &str, part: Part, labels: &mut Vec<(&'l str, &'l str)>, value: f64)
    where
        'r: 'l,
    {
        self.series += 1;
        let constants: usize = self.rules.constants.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
        let text: usize = labels.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
        // Twice: what grows has up to as much room again.
        if !self.admit(family, 2 * (std::mem::size_of::<Sample>() + text + constants)) {
            return;
        }
        let over = self.series > limits::METRICS_SERIES;
        let rules = self.rules;
        let draft = self.draft(family, Kind::Unknown);
        if over {
            draft.bad.get_or_insert("limit");
        }
        if draft.bad.is_some() {
            return;
        }
        for (name, value) in &rules.constants {
            if labels.iter().all(|(n, _)| n != name) {
                labels.push((name, value));
            }
        }
        let edge_name = match (draft.kind, part) {
            (Kind::Histogram, Part::Bucket) => "le",
            (Kind::Summary, Part::Plain) => "quantile",
            _ => "",
        };
        sorted::by(labels, |(a, _), (b, _)| (*a == edge_name, *a) < (*b == edge_name, *b));
        if labels.windows(2).any(|w| w[0].0 == w[1].0) {
            draft.bad = Some("labels");
            return;
        }
        draft.push(part, labels, edge_name, value);
    }

    /// Checks and sorts everything; families without samples are no families.
    pub fn finish(mut self) -> (Snapshot, Tally) {
        self.put_away();
        let mut families = Vec::with_capacity(self.drafts.len());
        for (name, draft) in std::mem::take(&mut self.drafts) {
            match close(name, draft, &mut self.tally) {
                Ok(Some(family)) => families.push(family),
                Ok(None) => {}
                Err(reason) => self.tally.add(reason),
            }
        }
        (Snapshot { families }, self.tally)
    }
}

fn put_label(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("=\"");
    if !value.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n')) {
        out.push_str(value);
        out.push('"');
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn close(name: String, mut draft: Draft, tally: &mut Tally) -> Result<Option<Family>, &'static str> {
    if let Some(reason) = draft.bad {
        return Err(reason);
    }
    if draft.samples.is_empty() {
        return Ok(None);
    }
    draft.labels.shrink_to_fit();
    let family = Family {
        name: name.into_boxed_str(),
        kind: draft.kind,
        help: draft.help.into_boxed_str(),
        labels: draft.labels.into_boxed_str(),
        samples: Box::new([]),
    };
    let mut samples = std::mem::take(&mut draft.samples);
    // Stable: of two samples with the same labels the first one stays.
    samples.sort_by(|a, b| order(&family, a, b));
    let before = samples.len();
    samples.dedup_by(|b, a| order(&family, a, b) == Ordering::Equal);
    tally.add_many("duplicate", (before - samples.len()) as u64);
    check(&family, &samples)?;
    Ok(Some(Family { samples: samples.into_boxed_slice(), ..family }))
}

fn order(f: &Family, a: &Sample, b: &Sample) -> Ordering {
    let edge = |s| f.edge(s).and_then(number).unwrap_or(f64::NEG_INFINITY);
    f.base(a).cmp(f.base(b)).then(a.part.cmp(&b.part)).then_with(|| edge(a).total_cmp(&edge(b)))
}

/// A number as the text formats write it, and as Lua does.
pub fn number(text: &str) -> Option<f64> {
    let lower = text.trim_start_matches(['+', '-']);
    match lower.len() {
        0 => return None,
        3..=8 if lower.eq_ignore_ascii_case("nan") => return Some(f64::NAN),
        3..=8 if lower.eq_ignore_ascii_case("inf") || lower.eq_ignore_ascii_case("infinity") => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        _ => {}
    }
    // Lua writes 64-bit integers as 123LL and 123ULL.
    let digits = text.strip_suffix("ULL").or_else(|| text.strip_suffix("LL")).unwrap_or(text);
    // What is left must be a number and no word: std reads «nan» and «inf» in more spellings than the formats have.
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    digits.parse().ok().filter(|_| plain)
}

fn check(f: &Family, samples: &[Sample]) -> Result<(), &'static str> {
    let fits = |s: &Sample| match f.kind {
        Kind::Histogram => s.part != Part::Plain,
        Kind::Summary => s.part != Part::Bucket,
        _ => s.part == Part::Plain,
    };
    if !samples.iter().all(fits) {
        return Err("type");
    }
    if samples.iter().filter(|s| s.edge > 0).any(|s| f.edge(s).and_then(number).is_none_or(f64::is_nan)) {
        return Err("labels");
    }
    match f.kind {
        Kind::Histogram => samples.chunk_by(|a, b| f.base(a) == f.base(b)).try_for_each(|h| histogram(f, h)),
        _ => Ok(()),
    }
}

/// One histogram: buckets that only grow, the last one +Inf and equal to the count, and a sum.
fn histogram(f: &Family, samples: &[Sample]) -> Result<(), &'static str> {
    let of = |part| samples.iter().filter(move |s| s.part == part);
    let grows = samples.windows(2).all(|w| w[1].part != Part::Bucket || w[0].value <= w[1].value);
    let last = of(Part::Bucket).next_back().filter(|s| f.edge(s).and_then(number) == Some(f64::INFINITY));
    let counted = of(Part::Count).next();
    let whole = matches!((last, counted), (Some(last), Some(count)) if last.value == count.value);
    if grows && whole && of(Part::Sum).count() == 1 {
        Ok(())
    } else {
        Err("histogram")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(fill: impl FnOnce(&mut Builder<'_>)) -> (Snapshot, Tally) {
        let rules = Rules::default();
        let mut b = Builder::new(&rules);
        fill(&mut b);
        b.finish()
    }

    #[test]
    fn families_and_samples_are_sorted_and_labels_too() {
        let (s, tally) = built(|b| {
            b.family("z", Kind::Gauge, "last");
            b.family("a_total", Kind::Counter, "first");
            b.sample("z", Part::Plain, &mut vec![("b", "2"), ("a", "x\"\\\n")], 1.0);
            b.sample("z", Part::Plain, &mut vec![], 2.0);
            b.sample("a_total", Part::Plain, &mut vec![], 3.0);
        });
        assert_eq!(tally.total(), 0);
        let names: Vec<_> = s.families.iter().map(|f| &*f.name).collect();
        assert_eq!(names, ["a_total", "z"]);
        let z = s.family("z").expect("z");
        assert_eq!(z.labels(&z.samples()[0]), "");
        assert_eq!(z.labels(&z.samples()[1]), r#"a="x\"\\\n",b="2""#);
        let pairs = z.pairs(&z.samples()[1]).map(|(n, v)| (n, v.into_owned())).collect::<Vec<_>>();
        assert_eq!(pairs, [("a", "x\"\\\n".to_string()), ("b", "2".to_string())]);
        assert_eq!(z.pairs(&z.samples()[0]).count(), 0);
        assert_eq!(s.series(), 3);
        assert!(std::mem::size_of::<Sample>() <= 24);
    }

    fn buckets(b: &mut Builder<'_>, counts: &[(&str, f64)], count: f64) {
        b.family("h", Kind::Histogram, "");
        for (le, n) in counts {
            b.sample("h", Part::Bucket, &mut vec![("le", le), ("z", "1")], *n);
        }
        b.sample("h", Part::Sum, &mut vec![("z", "1")], 1.5);
        b.sample("h", Part::Count, &mut vec![("z", "1")], count);
    }

    #[test]
    fn a_histogram_must_be_one() {
        let (s, _) = built(|b| buckets(b, &[("+Inf", 3.0), ("10", 2.0), ("2", 1.0)], 3.0));
        let h = s.family("h").expect("h");
        let edges: Vec<_> = h.samples().iter().filter_map(|x| h.edge(x)).collect();
        assert_eq!(edges, ["2", "10", "+Inf"]);
        assert_eq!(h.base(&h.samples()[0]), r#"z="1""#);
        for (counts, count) in [
            (&[("1", 5.0), ("+Inf", 3.0)][..], 3.0),
            (&[("1", 1.0), ("+Inf", 3.0)], 4.0),
            (&[("1", 1.0)], 1.0),
            (&[], 0.0),
        ] {
            let (s, tally) = built(|b| buckets(b, counts, count));
            assert!(s.family("h").is_none(), "{counts:?}");
            assert_eq!(tally.get("histogram"), 1);
        }
    }

    #[test]
    fn doubles_and_contradictions() {
        let (s, tally) = built(|b| {
            b.family("a", Kind::Gauge, "");
            b.sample("a", Part::Plain, &mut vec![("x", "1")], 1.0);
            b.sample("a", Part::Plain, &mut vec![("x", "1")], 2.0);
            b.family("b", Kind::Gauge, "");
            b.family("b", Kind::Counter, "");
            b.sample("b", Part::Plain, &mut vec![], 1.0);
            b.family("c", Kind::Gauge, "");
            b.sample("c", Part::Plain, &mut vec![("x", "1"), ("x", "2")], 1.0);
        });
        assert_eq!(s.series(), 1);
        assert_eq!(s.families[0].samples()[0].value, 1.0);
        assert_eq!((tally.get("duplicate"), tally.get("type"), tally.get("labels")), (1, 1, 1));
    }

    #[test]
    fn numbers_in_every_spelling() {
        for (text, n) in
            [("1", 1.0), ("-1.5e3", -1500.0), ("+Inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY), ("12ULL", 12.0)]
        {
            assert_eq!(number(text), Some(n), "{text}");
        }
        for text in ["Nan", "NaN", "-nan", "nan"] {
            assert!(number(text).is_some_and(f64::is_nan), "{text}");
        }
        for text in ["", "x", "1 2", "0x10", "1_000", "infinit", "--", "LL"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
