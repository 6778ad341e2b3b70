//! The file of own queries ○: bytes → queries.
//!
//! ```text
//! # a comment
//! [shop_orders]                         the family's name
//! help     = Orders by state
//! kind     = gauge                      or counter, whose name ends with _total
//! labels   = state, shop=shop_id        columns; a label may have another name than its column
//! value    = n                          the column of the number; the only one left needs no name
//! interval = 1m
//! timeout  = 5s
//! rows     = 100                        more are a fault, not a part
//! sql      = SELECT state, shop_id, count(*) AS n
//!              FROM orders GROUP BY state, shop_id
//! ```
//!
//! A line that stands further in than its key goes on with the value. Refuses: names that are not Prometheus', families of the
//! database's and this program's own, a statement that does not read; more queries and rows than the bounds.

use super::statement;
use crate::error::{Error, Result};
use crate::flags::{nearest, shown, value, Item, Place, Row};
use crate::limits;
use crate::metrics::snapshot::Kind;
use std::path::Path;
use std::time::Duration;

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its family.
    pub name: String,
    /// What it is.
    pub help: String,
    /// What its numbers mean.
    pub kind: Kind,
    /// Labels and the columns they come from.
    pub labels: Vec<(String, String)>,
    /// The column of the number; none: the only one left.
    pub value: Option<String>,
    /// How often.
    pub interval: Duration,
    /// How long it may take.
    pub patience: Duration,
    /// So many rows at most.
    pub rows: usize,
    /// What is sent.
    pub sql: String,
    /// Where it stands.
    pub place: String,
}

#[rustfmt::skip]
static KEYS: [Row; 8] = [
    Row::value("", "help", "TEXT", "", ""),
    Row::value("", "kind", "gauge|counter", "", "").default("gauge"),
    Row::value("", "labels", "COLUMN,…", "", ""),
    Row::value("", "value", "COLUMN", "", ""),
    Row::value("", "interval", "TIME", "", "").default("1m"),
    Row::value("", "timeout", "TIME", "", "").default("5s"),
    Row::value("", "rows", "N", "", "").default("100"),
    Row::value("", "sql", "SELECT …", "", ""),
];

/// Beginnings of families that have their meaning from the database or from this program.
const TAKEN: [&str; 5] = ["pico_", "picodata_", "tnt_", "lj_", "gostech_"];

/// What stands under a name.
struct Section {
    name: String,
    place: Place,
    items: Vec<Item>,
}

/// Appends the queries of a file.
pub fn read(path: &Path, bytes: &[u8], all: &mut Vec<Query>) -> Result<()> {
    let wrong = |what: String| Error::usage(format!("query file `{}`{what}", path.display()));
    if bytes.len() > limits::FLAGS_FILE_BYTES {
        return Err(wrong(format!(" has more than {} bytes; is it the right file?", limits::FLAGS_FILE_BYTES)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(" is no UTF-8 text".into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sections: Vec<Section> = Vec::new();
    // How far in the last key stands.
    let mut margin = 0;
    for (at, line) in text.lines().enumerate() {
        let (body, refuse) = (line.trim(), |what: String| wrong(format!(" line {}: {what}", at + 1)));
        let indent = line.len() - line.trim_start().len();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let place = Place::File(path.into(), at + 1);
        if let Some(name) = body.strip_prefix('[').filter(|_| indent == 0) {
            let name = name.strip_suffix(']').ok_or_else(|| refuse("a query begins with `[name]`".into()))?;
            sections.push(Section { name: name.trim().into(), place, items: Vec::new() });
            continue;
        }
        let section = sections.last_mut().ok_or_else(|| refuse("a query begins with `[name]`".into()))?;
        match section.items.last_mut() {
            Some(open) if indent > margin => {
                // In SQL a line may begin so, anywhere else it is a key that slipped.
                if open.row != "sql" && body.contains('=') && entry(body, place).is_ok() {
                    let what = format!("it stands further in than `{}`, and so goes on with that; ", open.row);
                    return Err(refuse(what + "begin both in the same column"));
                }
                open.value.push('\n');
                open.value.push_str(body);
            }
            _ => {
                let item = entry(body, place).map_err(refuse)?;
                if section.items.iter().any(|i| i.row == item.row) {
                    return Err(item.error("is there twice; keep one"));
                }
                margin = indent;
                section.items.push(item);
            }
        }
    }
    if sections.is_empty() {
        return Err(wrong(" has no query: one begins with `[name]`".into()));
    }
    for section in sections {
        let query = section.query()?;
        if let Some(before) = all.iter().find(|q| q.name == query.name) {
            return Err(section.error(format!("is in {} already; give it another name", before.place)));
        }
        all.push(query);
    }
    bounded(all)
}

fn bounded(all: &[Query]) -> Result<()> {
    let rows: usize = all.iter().map(|q| q.rows).sum();
    let (Some(last), true) = (all.last(), all.len() > limits::QUERIES || rows > limits::QUERIES_ROWS) else {
        return Ok(());
    };
    let (most, most_rows) = (limits::QUERIES, limits::QUERIES_ROWS);
    let what = format!("at most {most} queries and {most_rows} rows (`rows` of all together) are taken");
    Err(Error::usage(format!("query `{}` in {}: {what}; here are {} and {rows}", last.name, last.place, all.len())))
}

/// `key = value` or `key value`, as in the configuration.
fn entry(body: &str, place: Place) -> std::result::Result<Item, String> {
    let end = body.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(body.len());
    let (key, rest) = body.split_at(end);
    let Some(row) = KEYS.iter().find(|row| row.name == key) else {
        let near = nearest(key, KEYS.iter().map(|row| row.name));
        let hint = near.map_or_else(
            || format!("there are {}", KEYS.each_ref().map(|row| row.name).join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(format!("no key {}; {hint}", shown(key)));
    };
    let rest = rest.trim_start();
    Ok(Item::new(row, rest.strip_prefix('=').unwrap_or(rest).trim(), place))
}

impl Section {
    fn error(&self, what: String) -> Error {
        Error::usage(format!("query `{}` in {}: {what}", self.name.escape_debug(), self.place))
    }

    fn get(&self, key: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.row == key)
    }

    /// What was given, or the default.
    fn need(&self, key: &str) -> Item {
        let row = KEYS.iter().find(|row| row.name == key).unwrap_or(&KEYS[0]);
        self.get(key).cloned().unwrap_or_else(|| Item::new(row, row.default, Place::Default(row.name)))
    }

    fn query(&self) -> Result<Query> {
        let kind = if self.need("kind").value == "counter" { Kind::Counter } else { Kind::Gauge };
        value::listed(&self.need("kind"))?;
        self.name(kind)?;
        let sql = self.get("sql").ok_or_else(|| self.error("has no `sql`".into()))?;
        let help = self.get("help").map_or_else(String::new, |item| item.value.replace('\n', " "));
        let (second, most) = (Duration::from_secs(1), Duration::from_secs(limits::QUERY_MOST_SECONDS));
        Ok(Query {
            name: self.name.clone(),
            help,
            kind,
            labels: self.labels()?,
            value: self.get("value").map(value::nonempty).transpose()?.map(str::to_string),
            interval: value::duration_within(&self.need("interval"), second..=24 * 3600 * second)?,
            patience: value::duration_within(&self.need("timeout"), second / 10..=most)?,
            rows: value::count(&self.need("rows"), 1..=limits::QUERY_ROWS as u64)? as usize,
            sql: statement::reading(&sql.value).map_err(|why| sql.error(why))?.to_string(),
            place: self.place.to_string(),
        })
    }

    /// A family's name as Prometheus has them, and free.
    fn name(&self, kind: Kind) -> Result<()> {
        let name = &self.name;
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
        let what = if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
            "a family's name is letters, digits, `_` and `:`, not first a digit".to_string()
        } else if name.len() > limits::QUERY_NAME_BYTES {
            format!("a name has at most {} bytes", limits::QUERY_NAME_BYTES)
        } else if let Some(taken) = TAKEN.iter().find(|taken| name.starts_with(**taken)) {
            format!("families that begin with `{taken}` are the database's and this program's; take another name")
        } else if kind == Kind::Counter && !name.ends_with("_total") {
            "the name of a counter ends with `_total`".to_string()
        } else if kind != Kind::Counter && name.ends_with("_total") {
            "`_total` ends the name of a counter: say `kind = counter`, or take another name".to_string()
        } else {
            return Ok(());
        };
        Err(self.error(what))
    }

    fn labels(&self) -> Result<Vec<(String, String)>> {
        let Some(item) = self.get("labels") else { return Ok(Vec::new()) };
        let mut labels: Vec<(String, String)> = Vec::new();
        for word in item.value.split(',').map(str::trim) {
            let (label, column) = word.split_once('=').unwrap_or((word, word));
            let (label, column) = (label.trim(), column.trim());
            let begins = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !label.starts_with("__");
            if !begins || column.is_empty() || !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let how = "write `column` or `label=column`: letters, digits and `_`, not first a digit or `__`";
                return Err(item.error(format!("{} makes no label: {how}", shown(word))));
            }
            if labels.iter().any(|(l, _)| l == label) || ["le", "quantile"].contains(&label) {
                return Err(item.error(format!("the label `{label}` is there twice, or has a meaning of its own")));
            }
            labels.push((label.into(), column.into()));
        }
        match labels.len() > limits::QUERY_LABELS {
            true => Err(item.error(format!("more than {} labels", limits::QUERY_LABELS))),
            false => Ok(labels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Query>> {
        let mut all = Vec::new();
        read(Path::new("/q.conf"), text.as_bytes(), &mut all).map(|()| all)
    }

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let all = parse(
            "\u{feff}# shops\r\n[shop_orders]\nhelp = Orders by state\n  and shop\nlabels = state, shop = shop_id\n\
             sql = SELECT state,\n      # not sent\n      shop_id, count(*) AS n\n  FROM orders;\n\n\
             [ jobs_total ]\n  kind counter\n  value N\n  interval=10s\n  timeout 1s\n  rows 5000\n  sql VALUES (1)\n",
        )
        .expect("queries");
        let [a, b] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (a.name.as_str(), a.help.as_str(), a.kind),
            ("shop_orders", "Orders by state and shop", Kind::Gauge)
        );
        assert_eq!(a.labels, [("state".into(), "state".into()), ("shop".into(), "shop_id".into())]);
        assert_eq!((&*a.sql, &a.value), ("SELECT state,\nshop_id, count(*) AS n\nFROM orders", &None));
        assert_eq!((a.interval.as_secs(), a.patience.as_secs(), a.rows), (60, 5, 100));
        assert_eq!((b.name.as_str(), b.kind, b.value.as_deref()), ("jobs_total", Kind::Counter, Some("N")));
        assert_eq!((b.interval.as_secs(), b.patience.as_secs(), b.rows), (10, 1, 5000));
    }

    #[test]
    fn faults_name_file_line_query_and_cure() {
        for (text, words) in [
            ("", "`/q.conf` has no query: one begins with `[name]`"),
            ("sql = SELECT 1\n", "`/q.conf` line 1: a query begins with `[name]`"),
            ("[x\n", "line 1: a query begins with `[name]`"),
            ("[x]\nhelp = y\n", "query `x` in /q.conf line 1: has no `sql`"),
            ("[x]\nsqll = SELECT 1\n", "line 2: no key `sqll`; did you mean `sql`?"),
            ("[x]\nfoo = 1\n", "there are help, kind, labels"),
            ("[x]\nsql = SELECT 1\nsql = SELECT 2\n", "`sql` in `/q.conf` line 3: is there twice"),
            ("[x]\nsql = DELETE FROM t\n", "`sql` in `/q.conf` line 2: only a statement that begins with"),
            ("[x]\nsql = SELECT 1\nkind = histogram\n", "`kind` in `/q.conf` line 3: `histogram` is none of"),
            ("[x]\nsql = SELECT 1\ninterval = 10\n", "line 3: `10` has no unit"),
            ("[x]\nsql = SELECT 1\ninterval = 10ms\n", "out of range"),
            ("[x]\nsql = SELECT 1\ntimeout = 2m\n", "out of range"),
            ("[x]\nsql = SELECT 1\nrows = 0\n", "out of range"),
            ("[x]\nsql = SELECT 1\nlabels = a b\n", "`a b` makes no label"),
            ("[x]\nsql = SELECT 1\nlabels = a,,b\n", "makes no label"),
            ("[x]\nsql = SELECT 1\nlabels = __a\n", "makes no label"),
            ("[x]\nsql = SELECT 1\nlabels = le=x\n", "a meaning of its own"),
            ("[x]\nsql = SELECT 1\nlabels = a, a=b\n", "there twice"),
            ("[x]\nsql = SELECT 1\nvalue =\n", "the value is empty"),
            ("[x-y]\nsql = SELECT 1\n", "a family's name is letters"),
            ("[1x]\nsql = SELECT 1\n", "a family's name is letters"),
            ("[tnt_x]\nsql = SELECT 1\n", "begin with `tnt_`"),
            ("[x_total]\nsql = SELECT 1\n", "say `kind = counter`"),
            ("[x]\nhelp = X\n  sql = SELECT 1\n", "line 3: it stands further in than `help`"),
            ("[x]\nkind = counter\nsql = SELECT 1\n", "ends with `_total`"),
            ("[x]\nsql = SELECT 1\n[x]\nsql = SELECT 1\n", "in /q.conf line 3: is in /q.conf line 1 already"),
        ] {
            let said = parse(text).expect_err(text).to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
        assert!(read(Path::new("q"), b"[x]\nsql = SELECT '\xff'\n", &mut Vec::new()).is_err());
        let many: String = (0..65).map(|i| format!("[x{i}]\nsql = SELECT 1\n")).collect();
        assert!(parse(&many).expect_err("too many").text().contains("at most 64 queries"));
        let rows: String = (0..6).map(|i| format!("[x{i}]\nrows = 10000\nsql = SELECT 1\n")).collect();
        assert!(parse(&rows).expect_err("too many rows").text().contains("here are 6 and 60000"));
    }
}
