//! What is asked of the database, and what of it may be on the page.

use crate::error::Result;
use crate::flags::{value, Parsed};
use crate::limits;
use crate::metrics::rules::Rules;
use crate::metrics::source::{Grade, Wishes, PARTS};

/// The values of a list, also those with commas between them.
fn list(parsed: &Parsed, name: &str, most: usize) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for item in parsed.all(name) {
        for word in value::nonempty(item)?.split(',') {
            if word.is_empty() {
                return Err(item.error("an empty word between commas"));
            }
            all.push(word.to_string());
        }
        if all.len() > most {
            return Err(item.error(format!("more than {most} values")));
        }
    }
    Ok(all)
}

/// What is wanted.
pub fn find(parsed: &Parsed, user: &str) -> Result<Wishes> {
    let source = parsed.need("source");
    let grade = Grade::parse(value::listed(&source)?);
    let functions = list(parsed, "function", limits::METRICS_FUNCTIONS)?;
    if grade == Some(Grade::Function) && functions.is_empty() {
        return Err(source.error("`function` needs the name of one: --function mon.metrics"));
    }
    let without = list(parsed, "without", PARTS.len())?;
    if let (Some(bad), Some(item)) = (without.iter().find(|p| !PARTS.contains(&p.as_str())), parsed.get("without")) {
        return Err(item.error(format!("`{}` is none of {}", bad.escape_debug(), PARTS.join(", "))));
    }
    let rules = Rules {
        only: list(parsed, "only", limits::METRICS_RULES)?,
        skip: list(parsed, "skip", limits::METRICS_RULES)?,
        constants: labels(parsed)?,
    };
    let discover = parsed.is_on("discover");
    Ok(Wishes { user: user.into(), grade, functions, without, rules, discover })
}

fn labels(parsed: &Parsed) -> Result<Vec<(String, String)>> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for item in parsed.all("label") {
        let (name, text) = item.value.split_once('=').ok_or_else(|| item.error("write it as name=text"))?;
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !name.starts_with("__");
        if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(item.error("a label's name is letters, digits and `_`, not first a digit or `__`"));
        }
        if labels.iter().any(|(n, _)| n == name) || ["le", "quantile"].contains(&name) {
            return Err(item.error(format!("the label `{name}` is there twice, or has a meaning of its own")));
        }
        labels.push((name.to_string(), text.to_string()));
    }
    match parsed.all("label").get(limits::METRICS_RULES) {
        Some(item) => Err(item.error(format!("more than {} labels", limits::METRICS_RULES))),
        None => Ok(labels),
    }
}
