//! ○ The environment: variables → items.
//!
//! A variable is the prefix and the name in capitals. An empty one is not set (of a switch: no). Lists hold one value a
//! line. Of a receiver's row that is no list, one line is a default for all; several lines, and every line of a row
//! that is a receiver's own, go to the receivers of the environment in order; an empty line skips one.
//!
//! Refuses to do: end a program because of a variable it does not know. Environments are inherited: a warning.

use super::item::{Item, Place};
use super::line::check_value;
use super::merge::{names_outside, refuse_doubles, switch_outside};
use super::near::{nearest, shown};
use super::row::{Row, Scope, Takes};
use super::table::Program;
use crate::error::{Error, Result};
use crate::limits::{FLAGS_ENV_LINES, FLAGS_WARNINGS};
use crate::sorted::Map;
use std::ffi::{OsStr, OsString};

/// What the environment says.
pub(super) struct Environment {
    pub(super) items: Vec<Item>,
    pub(super) warnings: Vec<String>,
}

type Variables<'a> = Map<&'a str, &'a OsStr>;

/// Reads it. `opened`: the command line has receivers, so that those of the environment do not count.
pub(super) fn read(program: &'static Program, env: &[(OsString, OsString)], opened: bool) -> Result<Environment> {
    let variables: Variables<'_> = env.iter().filter_map(|(name, value)| Some((name.to_str()?, &**value))).collect();
    let mut items = Vec::new();
    let (openers, others): (Vec<_>, Vec<_>) = outside(program).partition(|row| row.opens);
    for row in openers {
        for (variable, value) in given(program, row, &variables)? {
            for line in list(&variable, value)? {
                let receiver = items.len();
                items.push(item(row, &variable, line)?.bound_to(receiver));
            }
        }
    }
    let receivers = items.len();
    for row in others {
        for (variable, value) in given(program, row, &variables)? {
            items.extend(values(row, &variable, value, receivers, opened)?);
        }
    }
    Ok(Environment { items: refuse_doubles(items)?, warnings: unknown(program, &variables) })
}

fn outside(program: &'static Program) -> impl Iterator<Item = &'static Row> {
    program.all_rows().filter(|row| !row.only_flag)
}

/// The variables of a row that are set: ours, by every name, else the first of the others.
fn given<'a>(program: &Program, row: &Row, variables: &Variables<'a>) -> Result<Vec<(String, &'a str)>> {
    let mut ours: Vec<String> = row.names().map(|name| program.variable(name)).collect();
    // A name with `_` is the same variable as that with a dash.
    ours.dedup();
    let others = row.env_also.iter().map(|name| (*name).to_owned());
    let mut found = Vec::new();
    for (at, variable) in ours.iter().cloned().chain(others).enumerate() {
        let Some(value) = variables.get(variable.as_str()).filter(|value| !value.is_empty()) else {
            continue;
        };
        if at >= ours.len() && !found.is_empty() {
            break;
        }
        let value =
            value.to_str().ok_or_else(|| Error::usage(format!("`{variable}` is not UTF-8; set it in UTF-8")))?;
        found.push((variable, value));
    }
    Ok(found)
}

/// The items of one variable that opens no receiver.
fn values(row: &'static Row, variable: &str, value: &str, receivers: usize, opened: bool) -> Result<Vec<Item>> {
    // One newline at the end is what `$(cat file)` would have cut.
    let value = value.strip_suffix('\n').unwrap_or(value);
    let many = value.contains('\n');
    if row.own || (row.scope == Scope::Receiver && !row.repeat && many) {
        return paired(row, variable, value, receivers, opened);
    }
    if row.repeat {
        return list(variable, value)?.into_iter().map(|line| item(row, variable, line)).collect();
    }
    Ok(vec![item(row, variable, value)?])
}

/// One line for each receiver.
fn paired(row: &'static Row, variable: &str, value: &str, receivers: usize, opened: bool) -> Result<Vec<Item>> {
    if opened {
        return Ok(Vec::new());
    }
    let lines: Vec<&str> = value.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    if lines.len() > receivers {
        let (lines, cure) = (lines.len(), "one line for each receiver that the environment opens");
        return Err(Error::usage(format!("`{variable}` has {lines} lines for {receivers} receivers; write {cure}")));
    }
    let given = lines.into_iter().enumerate().filter(|(_, line)| !line.is_empty());
    given.map(|(receiver, line)| Ok(item(row, variable, line)?.bound_to(receiver))).collect()
}

fn list<'a>(variable: &str, value: &'a str) -> Result<Vec<&'a str>> {
    let lines: Vec<&str> = value.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() > FLAGS_ENV_LINES {
        return Err(Error::usage(format!("`{variable}` has {} lines; at most {FLAGS_ENV_LINES}", lines.len())));
    }
    Ok(lines)
}

fn item(row: &'static Row, variable: &str, value: &str) -> Result<Item> {
    let item = check_value(Item::new(row, value, Place::Env(variable.to_owned())))?;
    if row.takes == Takes::Nothing {
        return switch_outside(item, false);
    }
    Ok(item)
}

/// Warnings about variables that look like ours.
fn unknown(program: &'static Program, variables: &Variables<'_>) -> Vec<String> {
    let known = |name: &str| {
        program.environment.iter().any(|(own, _)| *own == name)
            || outside(program)
                .any(|row| row.env_also.contains(&name) || row.names().any(|n| program.variable(n) == name))
    };
    let strange: Vec<&str> =
        variables.keys().copied().filter(|name| name.starts_with(program.env_prefix) && !known(name)).collect();
    let mut warnings: Vec<String> = strange.iter().take(FLAGS_WARNINGS).map(|name| warning(program, name)).collect();
    if strange.len() > FLAGS_WARNINGS {
        warnings.push(format!("{} more unknown variables of the environment", strange.len() - FLAGS_WARNINGS));
    }
    warnings
}

fn warning(program: &'static Program, variable: &str) -> String {
    let name = variable[program.env_prefix.len()..].to_lowercase().replace('_', "-");
    if program.row(&name).is_some() {
        return format!("variable {} is left out: `--{name}` goes on the command line only", shown(variable));
    }
    let near = nearest(&name, names_outside(program)).map(|near| program.variable(near));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("variable {} is no option of {}{near}", shown(variable), program.name)
}
