//! Reads the Prometheus text of a source ○, sloppy as it may be, into what is strict.
//!
//! Bears: families in pieces, labels in any order, `Nan`, HELP that is not escaped or runs over its line, timestamps (dropped),
//! a TYPE that comes after its samples. Does not bear: lines that are no sample, and labels that are none: the whole family
//! is left out and counted, the others stay. Never panics, whatever the bytes.

use super::rules::is_own;
use super::snapshot::{number, Builder, Kind, Part};
use crate::limits;
use std::borrow::Cow;
use std::collections::HashMap;

/// Reads a page into the builder.
pub fn read(page: &str, out: &mut Builder<'_>) {
    let longest = page.split('\n').map(str::len).max().unwrap_or(0);
    if longest > limits::METRICS_LINE_BYTES {
        return out
            .refuse(format!("it has a line of {longest} bytes (at most {} are read)", limits::METRICS_LINE_BYTES));
    }
    let kinds = kinds(page, out);
    let mut help_open: Option<(&str, String)> = None;
    for line in page.split('\n').map(|l| l.trim_end_matches('\r')) {
        if out.over().is_some() {
            return;
        }
        if let Some(comment) = line.strip_prefix('#') {
            close_help(&mut help_open, &kinds, out);
            help_open = help(comment);
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        match (sample(line), &mut help_open) {
            (Ok(found), _) => {
                close_help(&mut help_open, &kinds, out);
                add(found, &kinds, out);
            }
            // HELP is not escaped by everyone: what follows it and is no sample is its next line.
            (Err(_), Some((_, text))) => {
                if !out.spend(line.len() + 1) {
                    return;
                }
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(line.trim());
            }
            (Err(name), None) => reject(name, &kinds, out),
        }
    }
    close_help(&mut help_open, &kinds, out);
}

/// All TYPE lines, wherever they stand.
fn kinds<'p>(page: &'p str, out: &mut Builder<'_>) -> HashMap<&'p str, Kind> {
    let mut kinds = HashMap::new();
    for line in page.split('\n').filter(|l| l.starts_with('#')) {
        let mut words = line.split_ascii_whitespace();
        if (words.next(), words.next()) != (Some("#"), Some("TYPE")) {
            continue;
        }
        let (Some(name), kind) = (words.next(), words.next()) else {
            out.tally.add("syntax");
            continue;
        };
        let kind = match kind {
            Some("counter") => Kind::Counter,
            Some("gauge") => Kind::Gauge,
            Some("histogram") => Kind::Histogram,
            Some("summary") => Kind::Summary,
            _ => Kind::Unknown,
        };
        if !out.spend(limits::METRICS_KIND_COST_BYTES) {
            return kinds;
        }
        if *kinds.entry(name).or_insert(kind) != kind && out.wants(name) {
            out.spoil(name, "type");
        }
    }
    kinds
}

/// `# HELP name text`
fn help(comment: &str) -> Option<(&str, String)> {
    let rest = comment.trim_start().strip_prefix("HELP")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (name, text) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    Some((name, unescape(text.trim(), false).unwrap_or(Cow::Borrowed(text.trim())).into_owned()))
}

fn close_help(open: &mut Option<(&str, String)>, kinds: &HashMap<&str, Kind>, out: &mut Builder<'_>) {
    let Some((name, text)) = open.take() else { return };
    if name_size(name) == name.len() && out.wants(name) && !is_own(name) {
        out.family(name, kinds.get(name).copied().unwrap_or(Kind::Unknown), &text);
    }
}

/// One line, taken apart.
struct Found<'p> {
    name: &'p str,
    labels: Vec<(&'p str, Cow<'p, str>)>,
    value: f64,
}

/// How many bytes of the text are a metric's name.
fn name_size(text: &str) -> usize {
    let fits =
        |(i, b): (usize, u8)| b.is_ascii_alphabetic() || matches!(b, b'_' | b':') || (i > 0 && b.is_ascii_digit());
    text.bytes().enumerate().take_while(|x| fits(*x)).count()
}

/// A sample, or as much of its name as can be read.
fn sample(line: &str) -> Result<Found<'_>, &str> {
    let line = line.trim_start();
    let (name, rest) = line.split_at(name_size(line));
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside).ok_or(name)?,
        None if rest.starts_with([' ', '\t']) => (Vec::new(), rest),
        None => return Err(name),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().and_then(number).ok_or(name)?;
    // A timestamp may follow; the time of a sample is the time of the scrape.
    let timed = words.next().is_none_or(|t| t.parse::<f64>().is_ok());
    if name.is_empty() || !timed || words.next().is_some() {
        return Err(name);
    }
    Ok(Found { name, labels, value })
}

type Labels<'p> = Vec<(&'p str, Cow<'p, str>)>;

/// What stands between the braces, and what behind them.
fn labels(mut text: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_at(name_size(text));
        if name.is_empty() || name.contains(':') || name == "__name__" {
            return None;
        }
        let inside = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        let end = closing_quote(inside)?;
        labels.push((name, unescape(&inside[..end], true)?));
        text = inside[end + 1..].trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None if text.starts_with('}') => {}
            None => return None,
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i),
            _ => {}
        }
    }
    None
}

/// `\\`, `\n` and, in labels, `\"`; an escape of another kind is taken as it stands in HELP and refused in labels.
fn unescape(text: &str, label: bool) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') => out.push('"'),
            _ if label => return None,
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    Some(Cow::Owned(out))
}

/// The family of a sample's name, and which of its samples it is.
fn belongs<'p>(name: &'p str, kinds: &HashMap<&str, Kind>) -> (&'p str, Part, Kind) {
    if let Some(kind) = kinds.get(name) {
        return (name, Part::Plain, *kind);
    }
    for part in [Part::Bucket, Part::Sum, Part::Count] {
        let Some(base) = name.strip_suffix(part.suffix()) else { continue };
        match kinds.get(base) {
            Some(Kind::Histogram) => return (base, part, Kind::Histogram),
            Some(Kind::Summary) if part != Part::Bucket => return (base, part, Kind::Summary),
            _ => {}
        }
    }
    (name, Part::Plain, Kind::Unknown)
}

fn add(found: Found<'_>, kinds: &HashMap<&str, Kind>, out: &mut Builder<'_>) {
    let (family, part, kind) = belongs(found.name, kinds);
    if is_own(family) {
        return out.tally.add("collision");
    }
    if out.wants(family) {
        out.family(family, kind, "");
        let mut labels = found.labels.iter().map(|(n, v)| (*n, v.as_ref())).collect();
        out.sample(family, part, &mut labels, found.value);
    }
}

fn reject(name: &str, kinds: &HashMap<&str, Kind>, out: &mut Builder<'_>) {
    let (family, _, kind) = belongs(name, kinds);
    if name.is_empty() || is_own(family) {
        out.tally.add("syntax");
    } else if out.wants(family) {
        out.family(family, kind, "");
        out.spoil(family, "syntax");
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Rules, Tally};
    use super::super::snapshot::Snapshot;
    use super::*;

    fn page(text: &str, rules: &Rules) -> (Snapshot, Tally) {
        let mut b = Builder::new(rules);
        read(text, &mut b);
        b.finish()
    }

    fn first(s: &Snapshot, name: &str) -> (String, f64) {
        let f = s.family(name).unwrap_or_else(|| panic!("no {name}"));
        (f.labels(&f.samples()[0]).to_string(), f.samples()[0].value)
    }

    #[test]
    fn the_sloppy_is_borne() {
        let text = "# HELP a with \\ and \\\\ in it\n# TYPE a gauge\na{z=\"1\" , b=\"x\\\"\\\\\\n\",} Nan 123456\r\n\
                    # HELP b runs over\nits line {and\n# TYPE b counter\nb 2ULL\na{z=\"2\"} -1e3\n\
                    late 5\n# TYPE late gauge\nnobody 7\n\n# just a comment\n";
        let (s, tally) = page(text, &Rules::default());
        assert_eq!(tally, Tally::default());
        let a = s.family("a").expect("a");
        assert_eq!((&*a.help, a.kind, a.samples().len()), ("with \\ and \\ in it", Kind::Gauge, 2));
        assert_eq!(first(&s, "a").0, "b=\"x\\\"\\\\\\n\",z=\"1\"");
        assert!(first(&s, "a").1.is_nan());
        assert_eq!(s.family("b").map(|b| &*b.help), Some("runs over its line {and"));
        assert_eq!(s.family("late").map(|f| f.kind), Some(Kind::Gauge));
        assert_eq!(s.family("nobody").map(|f| f.kind), Some(Kind::Unknown));
    }

    #[test]
    fn help_that_begins_on_the_next_line_is_written_as_it_is_read() {
        let (s, _) = page("# HELP a \nover\n# TYPE a gauge\na 1\n", &Rules::default());
        assert_eq!(s.family("a").map(|f| &*f.help), Some("over"));
    }

    #[test]
    fn a_malformed_family_goes_and_the_others_stay() {
        let text = "# TYPE good gauge\ngood 1\n# TYPE bad gauge\nbad{x=\"1\"} 1\nbad{x=} 2\nbad2 one\nbad3{a=\"\\q\"} 1\n\
                    bad4{a=\"1\" b=\"2\"} 1\nbad5{a=\"1\"} 1 2 3\nbad6{__name__=\"x\"} 1\nbad7{a:b=\"1\"} 1\nbad8{a=\"1} 1\n}{\n\
                    # TYPE h histogram\nh_bucket{le=\"x\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n";
        let (s, tally) = page(text, &Rules::default());
        assert_eq!(s.families.iter().map(|f| &*f.name).collect::<Vec<_>>(), ["good"]);
        assert_eq!((tally.get("syntax"), tally.get("labels")), (9, 1));
    }

    #[test]
    fn our_own_names_are_ours_alone() {
        let (s, tally) = page("picodata_up 1\ngostech_metrics_series 5\npicodata_loop 2\n", &Rules::default());
        assert_eq!(s.families.len(), 1);
        assert_eq!(tally.get("collision"), 2);
    }

    #[test]
    fn only_skip_and_labels() {
        let rules = Rules {
            only: vec!["a".into(), "b".into()],
            skip: vec!["ab".into()],
            constants: vec![("dc".into(), "x".into()), ("own".into(), "ours".into())],
        };
        let (s, _) = page("aa{own=\"theirs\"} 1\nab 1\nb 1\nc{ 1\n", &rules);
        assert_eq!(s.families.len(), 2);
        assert_eq!(first(&s, "aa").0, r#"dc="x",own="theirs""#);
        assert_eq!(first(&s, "b").0, r#"dc="x",own="ours""#);
    }

    #[test]
    fn noise_never_panics() {
        let seeds = ["# TYPE h histogram\nh_bucket{le=\"1\",a=\"b\\n\"} 1\nh_sum 3\n", "# HELP x y\nx{a=\"б\"} 1e5\n"];
        let mut dice = 88172645463325252u64;
        for round in 0..20_000 {
            let mut bytes = seeds[round % 2].as_bytes().to_vec();
            for _ in 0..1 + round % 5 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let at = dice as usize % bytes.len();
                match dice >> 61 {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, b"{}\"\\=, \n#_"[(dice >> 32) as usize % 10]),
                    _ => bytes[at] = (dice >> 40) as u8,
                }
            }
            page(&String::from_utf8_lossy(&bytes), &Rules::default());
        }
    }
}
