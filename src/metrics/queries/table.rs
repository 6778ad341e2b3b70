//! What a query brought ○: columns and rows → one family.
//!
//! A row is a sample. A number may be a decimal, a moment (seconds since 1970), true or false, or a text that is a number; NULL is
//! no sample. Labels are texts, numbers, true or false; NULL is no label. Refuses: more rows than were allowed, two rows with
//! the same labels, a column that is not there: half an answer would be a wrong one.

use super::file::Query;
use crate::limits;
use crate::metrics::rules::Rules;
use crate::metrics::snapshot::{number, Builder, Part, Snapshot};
use crate::msgpack::Value;
use std::borrow::Cow;

/// A reason for the page, and words for people.
pub type Fault = (&'static str, String);

/// The family, and how many rows there were.
pub fn family(q: &Query, columns: &[String], rows: &[Value<'_>], rules: &Rules) -> Result<(Snapshot, usize), Fault> {
    if rows.len() > q.rows {
        let cure = "let it bring less, or raise `rows`";
        return Err(("rows", format!("{} rows, and at most {} are allowed: {cure}", rows.len(), q.rows)));
    }
    let labels: Vec<usize> = q.labels.iter().map(|(_, column)| find(columns, column)).collect::<Result<_, _>>()?;
    let value = match &q.value {
        Some(column) => find(columns, column)?,
        None => only_one(columns, &labels)?,
    };
    let mut out = Builder::new(rules);
    out.family(&q.name, q.kind, &q.help);
    for row in rows.iter().map(Value::items) {
        let cell = row.get(value).unwrap_or(&Value::Nil);
        if *cell == Value::Nil {
            continue;
        }
        let number = as_number(cell).ok_or_else(|| no_use(&columns[value], cell, "number"))?;
        let texts = q.labels.iter().zip(&labels).map(|((label, _), at)| {
            let cell = row.get(*at).unwrap_or(&Value::Nil);
            let text = as_text(cell).filter(|t| t.len() <= limits::QUERY_LABEL_BYTES);
            Ok((label.as_str(), text.ok_or_else(|| no_use(&columns[*at], cell, "label"))?))
        });
        let texts = texts.collect::<Result<Vec<_>, Fault>>()?;
        let mut pairs: Vec<_> = texts.iter().map(|(l, t)| (*l, &**t)).filter(|(_, t)| !t.is_empty()).collect();
        out.sample(&q.name, Part::Plain, &mut pairs, number);
    }
    let (snapshot, tally) = out.finish();
    let left_out = tally.iter().next();
    match left_out {
        None => Ok((snapshot, rows.len())),
        Some(("duplicate", _)) => {
            Err(("labels", "two rows have the same labels: name in `labels` what tells them apart".into()))
        }
        Some((reason, _)) => Err((reason, format!("its numbers cannot be a family: {reason}"))),
    }
}

/// A column by its name; some databases write names that were not quoted in capitals.
fn find(columns: &[String], name: &str) -> Result<usize, Fault> {
    let exact = columns.iter().position(|c| c == name);
    let found = exact.or_else(|| columns.iter().position(|c| c.eq_ignore_ascii_case(name)));
    found.ok_or_else(|| ("columns", format!("no column `{name}` in the answer, which has {}", listed(columns))))
}

fn only_one(columns: &[String], labels: &[usize]) -> Result<usize, Fault> {
    let mut left = (0..columns.len()).filter(|at| !labels.contains(at));
    match (left.next(), left.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(("columns", format!("which column is the number? the answer has {}: say `value`", listed(columns)))),
    }
}

fn listed(columns: &[String]) -> String {
    let shown = columns.iter().take(limits::QUERY_LABELS).map(|c| crate::flags::shown(c));
    let all = shown.collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        "none".into()
    } else {
        all
    }
}

fn no_use(column: &str, cell: &Value<'_>, what: &str) -> Fault {
    let shown = as_text(cell).map_or("a list or a map".into(), |text| crate::flags::shown(&text));
    ("values", format!("column `{column}` holds {shown}, which makes no {what}"))
}

fn as_number(cell: &Value<'_>) -> Option<f64> {
    cell.number().or_else(|| cell.text().and_then(|text| number(text.trim())))
}

fn as_text<'a>(cell: &Value<'a>) -> Option<Cow<'a, str>> {
    match cell {
        Value::Nil => Some("".into()),
        Value::Bool(b) => Some(if *b { "true" } else { "false" }.into()),
        Value::Uint(n) => Some(n.to_string().into()),
        Value::Int(n) => Some(n.to_string().into()),
        other => other.text().or_else(|| other.number().map(|n| n.to_string().into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::assemble::Assembled;
    use crate::metrics::queries::file;
    use crate::metrics::render::PROMETHEUS;

    fn query(text: &str) -> Query {
        let mut all = Vec::new();
        let text = format!("[x]\nhelp = What it is\nsql = SELECT 1\n{text}");
        file::read("/q".as_ref(), text.as_bytes(), &mut all).expect("a query");
        all.remove(0)
    }

    fn run(text: &str, columns: &[&str], rows: Vec<Vec<Value<'_>>>) -> Result<String, Fault> {
        let columns: Vec<String> = columns.iter().map(|c| c.to_string()).collect();
        let rows: Vec<_> = rows.into_iter().map(Value::Array).collect();
        let rules = Rules { constants: vec![("dc".into(), "a".into())], ..Rules::default() };
        let (snapshot, _) = family(&query(text), &columns, &rows, &rules)?;
        let mut out = Vec::new();
        (PROMETHEUS.write)(&Assembled::of([&snapshot], &[], 0), &mut out);
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_row_is_a_sample() {
        let moment = [&1_700_000_000i64.to_le_bytes()[..], &500_000_000i32.to_le_bytes(), &[0; 4]].concat();
        let rows = vec![
            vec![Value::Str(b"new \"x\""), Value::Uint(7), Value::Nil],
            vec![Value::Str(b"old"), Value::Str(b" 1.5 "), Value::Bool(true)],
            vec![Value::Str(b"none"), Value::Nil, Value::Nil],
            vec![Value::Str(b"when"), Value::Ext(4, &moment), Value::Int(-3)],
            // 12.34
            vec![Value::Str(b"dec"), Value::Ext(1, &[2, 0x01, 0x23, 0x4c]), Value::Float(0.5)],
        ];
        let page = run("labels = state, of = b\nvalue = n\n", &["STATE", "N", "b"], rows).expect("a family");
        assert_eq!(
            page,
            "# HELP x What it is\n# TYPE x gauge\nx{dc=\"a\",of=\"-3\",state=\"when\"} 1700000000.5\n\
             x{dc=\"a\",of=\"0.5\",state=\"dec\"} 12.34\nx{dc=\"a\",of=\"true\",state=\"old\"} 1.5\n\
             x{dc=\"a\",state=\"new \\\"x\\\"\"} 7\n"
        );
        assert_eq!(run("", &["anything"], vec![]).expect("nothing"), "");
        assert_eq!(
            run("", &["COLUMN_1"], vec![vec![Value::Uint(1)]]).expect("one").lines().last(),
            Some("x{dc=\"a\"} 1")
        );
    }

    #[test]
    fn half_an_answer_is_none() {
        let long = vec![b'x'; limits::QUERY_LABEL_BYTES + 1];
        let one = |v| vec![vec![v, Value::Uint(1)]];
        for (text, columns, rows, fault) in [
            (
                "rows = 1\n",
                &["n"][..],
                vec![vec![Value::Uint(1)], vec![Value::Uint(2)]],
                ("rows", "2 rows, and at most 1"),
            ),
            ("", &["n"], vec![vec![Value::Uint(1)], vec![Value::Uint(2)]], ("labels", "two rows have the same labels")),
            ("labels = z\n", &["a", "b"], vec![], ("columns", "no column `z` in the answer, which has `a`, `b`")),
            ("value = z\n", &[], vec![], ("columns", "which has none")),
            ("", &["a", "b"], vec![], ("columns", "say `value`")),
            ("", &["a"], vec![vec![Value::Str(b"many")]], ("values", "column `a` holds `many`, which makes no number")),
            ("", &["a"], vec![vec![Value::Array(vec![])]], ("values", "a list or a map")),
            ("labels = a\n", &["a", "n"], one(Value::Map(vec![])), ("values", "makes no label")),
            ("labels = a\n", &["a", "n"], one(Value::Str(&long)), ("values", "makes no label")),
        ] {
            let (reason, words) = run(text, columns, rows).expect_err(fault.1);
            assert!(reason == fault.0 && words.contains(fault.1), "{reason}: {words}");
        }
    }
}
