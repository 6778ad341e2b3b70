//! ○ The options in force, as they are shown, and what differs between two sets of them. Refuses: to show a secret.

use crate::audit::delivery::transport;
use crate::audit::spool::moment::Row;
use crate::flags::{Parsed, Scope, Takes};
use crate::limits;
use crate::net::target::Target;

/// One option with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The receiver it speaks of: `r1`, `r1 (failover 1)`; empty: the program.
    pub of: String,
    /// The name of the option.
    pub name: &'static str,
    /// As it was given.
    value: String,
    secret: bool,
    /// It was given, and is not what it is when nobody says anything.
    pub given: bool,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.label(), self.shown())
    }
}

impl Setting {
    /// `spool-max`, `url of r1`.
    pub fn label(&self) -> String {
        match self.of.is_empty() {
            true => self.name.to_string(),
            false => format!("{} of {}", self.name, self.of),
        }
    }

    /// The value without what is secret in it.
    pub fn shown(&self) -> String {
        match (self.secret, self.name) {
            (false, _) => self.value.clone(),
            (true, "url") => {
                Target::parse(&self.value, &transport::schemes()).map_or_else(|_| "***".into(), |t| t.display())
            }
            (true, "header") => match self.value.split_once(':') {
                // A file is no secret.
                Some((name, value)) if value.trim().starts_with('@') => format!("{}: {}", name.trim(), value.trim()),
                Some((name, _)) => format!("{}: ***", name.trim()),
                None => "***".into(),
            },
            (true, _) => "***".into(),
        }
    }

    fn is_same_option(&self, other: &Setting) -> bool {
        (&self.of, self.name) == (&other.of, other.name)
    }
}

/// Every option of the main job that has a value, in the order of the table: those of the program, then those of each
/// receiver. `names`: the names of the receivers in the order of their URLs, stand-ins among them.
pub fn of(parsed: &Parsed, names: &[String]) -> Vec<Setting> {
    let rows = || parsed.rows().filter(|row| row.commands.is_empty() && !row.hidden && !row.only_flag);
    let mut all = Vec::new();
    let mut push = |of: &str, row: &'static crate::flags::Row, values: Vec<String>| {
        let given = !values.is_empty() && values != [row.default];
        let values = match (values.is_empty(), row.takes) {
            (true, Takes::Value(_)) if !row.default.is_empty() => vec![row.default.to_string()],
            (true, _) => return,
            (false, _) => values,
        };
        all.extend(values.into_iter().map(|value| {
            let value = if row.takes == Takes::Nothing && value == "true" { "yes".to_string() } else { value };
            Setting { of: of.to_string(), name: row.name, value, secret: row.secret, given }
        }));
    };
    for row in rows().filter(|row| row.scope == Scope::Program) {
        let values = parsed.all(row.name).into_iter().filter(|i| i.value != "false");
        let values: Vec<String> = values.map(|i| i.value.clone()).collect();
        push("", row, if row.repeat { values } else { values.last().cloned().into_iter().collect() });
    }
    for (receiver, name) in names.iter().enumerate() {
        for row in rows().filter(|row| row.scope == Scope::Receiver && row.name != "name" && row.name != "failover") {
            let values = parsed.all_of(row.name, receiver).into_iter().filter(|i| i.value != "false");
            let values: Vec<String> = values.map(|i| i.value.clone()).collect();
            push(name, row, if row.repeat { values } else { values.last().cloned().into_iter().collect() });
        }
    }
    all
}

/// What they show.
pub fn rows(settings: &[Setting]) -> Vec<Row> {
    let shown = |s: &Setting| s.shown().chars().take(limits::STATUS_OPTION_CHARS).collect();
    settings
        .iter()
        .take(limits::STATUS_OPTIONS)
        .map(|s| Row { name: s.label(), value: shown(s), given: s.given })
        .collect()
}

/// One option that is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The receiver it speaks of; empty: the program.
    pub of: String,
    /// The name of the option.
    pub name: &'static str,
    /// In words, without secrets.
    pub text: String,
}

/// What differs.
pub fn changes(old: &[Setting], new: &[Setting]) -> Vec<Change> {
    let values = |all: &[Setting], like: &Setting| -> Vec<Setting> {
        all.iter().filter(|s| s.is_same_option(like)).cloned().collect()
    };
    let shown = |all: &[Setting]| match all {
        [] => "none".to_string(),
        _ => all.iter().map(|s| format!("`{}`", s.shown())).collect::<Vec<_>>().join(", "),
    };
    let is_there = |all: &[Setting], of: &str| of.is_empty() || all.iter().any(|s| s.of == of);
    let mut found: Vec<Change> = Vec::new();
    for s in old.iter().chain(new) {
        let (before, now) = (values(old, s), values(new, s));
        // Of a receiver that comes or goes it is enough to say where it is.
        let partly = is_there(old, &s.of) && is_there(new, &s.of);
        if !partly && s.name != "url" {
            continue;
        }
        if before == now || found.iter().any(|c| c.of == s.of && c.name == s.name) {
            continue;
        }
        let (a, b) = (shown(&before), shown(&now));
        let text = match a == b {
            true => format!("{}: another secret", s.label()),
            false => format!("{}: {b} instead of {a}", s.label()),
        };
        found.push(Change { of: s.of.clone(), name: s.name, text });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::options::table::PROGRAM;
    use crate::audit::options::Options;
    use crate::flags::{self, Outcome};
    use std::ffi::OsString;

    fn settings(args: &[&str]) -> Vec<Setting> {
        let args: Vec<OsString> = args.iter().chain(&["--no-config"]).map(OsString::from).collect();
        match flags::parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into())) {
            Ok(Outcome::Run(parsed)) => Options::read(&parsed, &[], true).expect("good options").in_force,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_in_force_is_shown_whole_and_without_a_secret() {
        let all = settings(&[
            "--gzip",
            "--url",
            "https://u:hush@a/x?key=hush",
            "--header",
            "X-Key: hush",
            "--header",
            "X-File: @/a/b",
            "--url",
            "http://b",
            "--failover",
            "--url",
            "http://c",
            "--name",
            "siem",
            "--proxy",
            "http://u:hush@p:1",
        ]);
        let rows = rows(&all);
        let of = |name: &str| rows.iter().filter(|r| r.name == name).map(|r| r.value.as_str()).collect::<Vec<_>>();
        assert!(!format!("{rows:?} {all:?}").contains("hush"), "{rows:?}");
        assert_eq!((of("spool-full"), of("gzip of siem")), (vec!["block"], vec!["yes"]));
        let given = |name: &str| rows.iter().any(|r| r.name == name && r.given);
        assert!(given("gzip of siem") && !given("spool-full"), "{rows:?}");
        assert_eq!(of("header of r1"), ["X-Key: ***", "X-File: @/a/b"]);
        assert_eq!((of("url of r1 (failover 1)"), of("batch-events of siem")), (vec!["http://b/"], vec!["1000"]));
    }

    #[test]
    fn changes_are_named_once_each_also_those_of_secrets() {
        let old = settings(&["--url", "https://u:one@a", "--header", "A: 1", "--header", "B: 2", "--retain", "1h"]);
        let new = settings(&["--url", "https://u:two@a", "--header", "A: 1", "--url", "http://b", "--retain", "2h"]);
        let texts: Vec<String> = changes(&old, &new).into_iter().map(|c| c.text).collect();
        assert!(texts.contains(&"url of r1: another secret".to_string()), "{texts:?}");
        assert!(texts.contains(&"retain: `2h` instead of `1h`".to_string()), "{texts:?}");
        assert!(texts.contains(&"header of r1: `A: ***` instead of `A: ***`, `B: ***`".to_string()), "{texts:?}");
        assert!(texts.contains(&"url of r2: `http://b/` instead of none".to_string()), "{texts:?}");
        assert!(!texts.iter().any(|t| t.contains("batch-events")), "{texts:?}");
        assert_eq!(changes(&old, &old), []);
    }
}
