//! ○ Which events one receiver gets: `--only` and `--skip`.
//!
//! Without a filter everything. What does not say its title or its severity passes `--only`, since it may be what was asked
//! for; events of this program's own (`audit_gap`) pass everything. A later piece of a long record goes with the first.
//! Refuses: to lose an event because it cannot be read.

use crate::audit::delivery::format::titles::TITLES;
use crate::audit::record::{self, Kind, Severity};
use crate::audit::spool::record::Stored;
use crate::json;

/// What an option asks of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its title is this.
    Title(String),
    /// Its severity is one of these.
    Severity(Vec<Severity>),
}

const SEVERITIES: [Severity; 3] = [Severity::Low, Severity::Medium, Severity::High];

impl Condition {
    /// Reads `title=auth_ok`, `severity>=medium`, `severity<=low`, `severity=high`. The error says what it should be.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let at = text.find(['=', '<', '>']).unwrap_or(text.len());
        let (what, rest) = text.split_at(at);
        let value = rest.trim_start_matches(['=', '<', '>']);
        let sign = &rest[..rest.len() - value.len()];
        let (what, value) = (what.trim(), value.trim());
        match (what, sign) {
            ("title", "=") if !value.is_empty() => Ok(Condition::Title(value.to_string())),
            ("severity", "=" | ">=" | "<=") => {
                let border = Severity::of(value.as_bytes());
                if border == Severity::Other {
                    return Err("a severity is low, medium or high, as in `severity>=medium`".to_string());
                }
                let within = |s: &Severity| match sign {
                    ">=" => *s >= border,
                    "<=" => *s <= border,
                    _ => *s == border,
                };
                Ok(Condition::Severity(SEVERITIES.into_iter().filter(within).collect()))
            }
            _ => Err("write `title=TITLE`, `severity>=medium`, `severity<=medium` or `severity=high`".to_string()),
        }
    }

    fn text(&self) -> String {
        match self {
            Condition::Title(title) => format!("title={title}"),
            Condition::Severity(all) => {
                let names: Vec<&str> = all.iter().map(|s| s.name()).collect();
                format!("severity={}", names.join("|"))
            }
        }
    }

    /// A title that is not among those that are known.
    pub fn unknown_title(&self) -> Option<&str> {
        match self {
            Condition::Title(title) if !TITLES.iter().any(|m| m.title == title) => Some(title),
            _ => None,
        }
    }

    /// Whether it holds; none: the event does not say.
    fn holds(&self, told: &Facts<'_>) -> Option<bool> {
        match self {
            Condition::Title(title) => told.title.map(|t| json::key_is(t, title)),
            Condition::Severity(all) => told.severity.map(|s| all.contains(&s)),
        }
    }
}

/// What an event says of itself.
struct Facts<'a> {
    title: Option<&'a [u8]>,
    severity: Option<Severity>,
}

/// Which events a receiver gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `--only`: one of them has to hold.
    pub only: Vec<Condition>,
    /// `--skip`: none of them may.
    pub skip: Vec<Condition>,
}

impl Filter {
    /// Whether everything passes.
    pub fn is_open(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }

    /// As it is written in options, for people.
    pub fn text(&self) -> String {
        let named =
            |name: &str, all: &[Condition]| all.iter().map(|c| format!("{name} {}", c.text())).collect::<Vec<_>>();
        [named("only", &self.only), named("skip", &self.skip)].concat().join("; ")
    }

    fn passes(&self, r: &Stored<'_>) -> bool {
        if r.kind == Kind::Own {
            return true;
        }
        let f = record::read_again(r.kind, r.raw, r.id, r.time, r.part);
        let own_word = f.kind != Kind::Unparsed;
        let said = Some(f.title.of(r.raw)).filter(|t| own_word && !t.is_empty());
        let severity = Some(f.severity).filter(|s| own_word && *s != Severity::Other);
        let said = Facts { title: said, severity };
        // Of a cut one the words that stand in for its own are nothing that somebody asked for: but they can be refused.
        let given =
            Facts { title: Some(f.title_of(r.raw)), severity: said.severity.or(r.kind.stand_in().map(|s| s.1)) };
        let asked = self.only.is_empty() || self.only.iter().any(|c| c.holds(&said).unwrap_or(true));
        asked && !self.skip.iter().any(|c| c.holds(&given) == Some(true))
    }
}

/// A filter at work: what was said of the first piece of a long record holds for the others.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    filter: Filter,
    /// The piece that was seen last, which one it was, and whether it passed.
    piece: Option<(u64, u32, bool)>,
}

impl Sieve {
    /// With a filter.
    pub fn new(filter: Filter) -> Sieve {
        Sieve { filter, piece: None }
    }

    /// Whether everything passes.
    pub fn is_open(&self) -> bool {
        self.filter.is_open()
    }

    /// Whether an event passes. They are asked for in order; after a restart in the middle of a long record its pieces pass.
    pub fn passes(&mut self, r: &Stored<'_>) -> bool {
        if self.filter.is_open() {
            return true;
        }
        let first = self.piece.filter(|(seq, part, _)| r.part > 1 && (seq + 1, part + 1) == (r.seq, r.part));
        let passes = match (r.part, first) {
            (2.., Some((_, _, passes))) => passes,
            (2.., None) => true,
            _ => self.filter.passes(r),
        };
        self.piece = (r.part > 0).then_some((r.seq, r.part, passes));
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::spool::record::{decode, encode, Head, New};

    fn filter(only: &[&str], skip: &[&str]) -> Filter {
        let read = |all: &[&str]| all.iter().map(|c| Condition::parse(c).expect("a condition")).collect();
        Filter { only: read(only), skip: read(skip) }
    }

    fn passes(sieve: &mut Sieve, seq: u64, raw: &[u8], kind: Kind, part: u32) -> bool {
        let head = Head { first_seq: 1, ..Head::default() };
        let facts = record::read(raw, kind == Kind::Cut);
        let (mut bytes, id, time, parts) = (Vec::new(), facts.id, facts.time, part.min(1) * 3);
        encode(&mut bytes, &head, seq, &New { kind, raw, id, time, part, parts, stream: 0, read_ms: 0, form: None });
        sieve.passes(&decode(&head, &bytes).expect("a record"))
    }

    fn one(f: Filter, raw: &str, kind: Kind) -> bool {
        passes(&mut Sieve::new(f), 1, raw.as_bytes(), kind, 0)
    }

    #[test]
    fn conditions_are_read_and_faults_are_told() {
        let severity = |text: &str| match Condition::parse(text).expect("a condition") {
            Condition::Severity(all) => all,
            other => panic!("{other:?}"),
        };
        use Severity::{High, Low, Medium};
        assert_eq!(severity("severity>=medium"), [Medium, High]);
        assert_eq!((severity("severity <= medium"), severity("severity=low")), (vec![Low, Medium], vec![Low]));
        assert_eq!(Condition::parse("title=dml"), Ok(Condition::Title("dml".into())));
        for bad in
            ["", "dml", "title", "title=", "title>=x", "severity", "severity=", "severity>low", "severity==x", "x=y"]
        {
            assert!(Condition::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Condition::parse("title=dmll").expect("one").unknown_title(), Some("dmll"));
        assert!(["title=dml", "title=truncated"]
            .iter()
            .all(|c| Condition::parse(c).unwrap().unknown_title().is_none()));
    }

    #[test]
    fn one_of_the_only_and_none_of_the_skip() {
        let dml = r#"{"id":"1.0.1","severity":"medium","title":"dml"}"#;
        let fail = r#"{"id":"1.0.1","severity":"high","title":"auth_fail"}"#;
        let start = r#"{"id":"1.0.1","severity":"low","title":"local_startup"}"#;
        let f = || filter(&["severity>=high", "title=local_startup"], &["title=auth_ok"]);
        assert_eq!([dml, fail, start].map(|e| one(f(), e, Kind::Object)), [false, true, true]);
        let f = || filter(&["severity>=medium"], &["title=dml"]);
        assert_eq!([dml, fail, start].map(|e| one(f(), e, Kind::Object)), [false, true, false]);
        assert!(one(Filter::default(), dml, Kind::Object) && Filter::default().is_open());
        assert!(!one(f(), r#"{"severity":"medium","title":"d\u006dl"}"#, Kind::Object), "escapes are read");
    }

    #[test]
    fn what_does_not_say_passes_and_ours_always() {
        let f = || filter(&["title=auth_fail"], &[]);
        assert!(one(f(), r#"{"id":"gap","severity":"high","title":"audit_gap"}"#, Kind::Own));
        assert!(one(f(), r#"{"id":"1.0.7","message":"failed"#, Kind::Cut) && one(f(), "junk", Kind::Unparsed));
        assert!(one(f(), r#"{"id":"1.0.7"}"#, Kind::Object), "it has no title");
        assert!(one(filter(&["severity>=high"], &[]), r#"{"title":"x","severity":"grave"}"#, Kind::Object));
        assert!(!one(f(), r#"{"id":"1.0.7","title":"dml","message":"failed"#, Kind::Cut), "it says what it is");
        // Who asks for it by its name is heard.
        assert!(!one(filter(&[], &["title=truncated"]), r#"{"id":"1.0.7","message":"x"#, Kind::Cut));
        assert!(!one(filter(&[], &["title=unparsed"]), "junk", Kind::Unparsed));
        assert!(one(filter(&[], &["title=audit_gap"]), r#"{"title":"audit_gap"}"#, Kind::Own));
    }

    #[test]
    fn the_pieces_of_a_long_record_go_with_the_first() {
        let first = br#"{"id":"1.0.7","title":"dml","message":"x"#;
        for (skip, expect) in [("title=dml", [false, false, false, true]), ("title=x", [true; 4])] {
            let mut s = Sieve::new(filter(&[], &[skip]));
            let kinds = [(1, &first[..], Kind::Cut), (2, b"more", Kind::Unparsed), (3, b"end", Kind::Unparsed)];
            let mut got: Vec<bool> = kinds.map(|(n, raw, kind)| passes(&mut s, n, raw, kind, n as u32)).to_vec();
            // Of another record, whose beginning nobody has seen here.
            got.push(passes(&mut s, 9, b"other", Kind::Unparsed, 2));
            assert_eq!(got, expect, "{skip}");
        }
    }
}
