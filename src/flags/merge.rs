//! ○ Items of one source bound to their receivers and checked for doubles; items of the three sources merged.
//!
//! Refuses to do: mix receivers of two sources.

use super::item::Item;
use super::near::shown;
use super::row::{Row, Scope};
use super::table::Program;
use crate::error::Result;
use crate::sorted::Map;

/// Binds the items of a source where order has a meaning (command line, file) to the opener before them.
pub(super) fn bind(items: Vec<Item>) -> Result<Vec<Item>> {
    let mut opened: usize = 0;
    let mut bound = Vec::with_capacity(items.len());
    for item in items {
        opened += usize::from(item.spec.opens);
        bound.push(match (item.spec.scope, opened.checked_sub(1)) {
            (Scope::Receiver, Some(receiver)) => item.bound_to(receiver),
            (Scope::Receiver, None) if item.spec.own => {
                return Err(item.error("belongs to one receiver; write it after the option that opens it"))
            }
            _ => item,
        });
    }
    Ok(bound)
}

/// A row that counts once may be said twice in one source only with the same value.
pub(super) fn refuse_doubles(items: Vec<Item>) -> Result<Vec<Item>> {
    let mut seen: Map<(&str, Option<usize>), &Item> = Map::new();
    for item in items.iter().filter(|item| !item.spec.repeat) {
        let Some(first) = seen.insert((item.row, item.receiver), item) else {
            continue;
        };
        if first.value != item.value {
            let (one, two) = (first.shown(), item.shown());
            return Err(item.error(format!("given twice, first at {} as {one}, now as {two}; keep one", first.at())));
        }
    }
    Ok(items)
}

/// Flags, environment, file → what counts.
pub(super) fn merge(sources: [Vec<Item>; 3]) -> Vec<Item> {
    let owner = sources.iter().position(|items| items.iter().any(|item| item.spec.opens));
    let mut unbound: Map<&'static str, usize> = Map::new();
    for (level, items) in sources.iter().enumerate() {
        for item in items.iter().filter(|item| item.receiver.is_none()) {
            unbound.at(item.row, || level);
        }
    }
    let stays = |level: usize, item: &Item| match (item.receiver, unbound.get(item.row)) {
        (None, first) => first == Some(&level),
        // A default for all from a higher source is the later word of the administrator.
        (Some(_), first) => owner == Some(level) && first.is_none_or(|first| *first >= level),
    };
    let leveled = sources.into_iter().enumerate().flat_map(|(level, items)| items.into_iter().map(move |i| (level, i)));
    leveled.filter(|(level, item)| stays(*level, item)).map(|(_, item)| item).collect()
}

/// The row of a name that came from outside the command line, and nothing that belongs only there.
pub(super) fn row_outside(program: &'static Program, name: &str) -> std::result::Result<&'static Row, Refused> {
    match program.row(name) {
        None => Err(Refused::Unknown),
        Some(row) if row.only_flag => Err(Refused::OnlyFlag),
        Some(row) => Ok(row),
    }
}

/// Why a name from outside the command line was not taken.
pub(super) enum Refused {
    Unknown,
    OnlyFlag,
}

/// The names that may stand outside the command line.
pub(super) fn names_outside(program: &'static Program) -> impl Iterator<Item = &'static str> {
    program.all_rows().filter(|row| !row.only_flag && !row.hidden).flat_map(Row::names)
}

/// A switch outside the command line: a word for yes or no; `empty` is what nothing at all means there.
pub(super) fn switch_outside(item: Item, empty: bool) -> Result<Item> {
    let on = if item.value.is_empty() { Some(empty) } else { super::value::boolean(&item.value) };
    match on {
        Some(on) => Ok(Item { value: on.to_string(), ..item }),
        None => Err(item.error(format!("is a switch: write yes or no, not {}", shown(&item.value)))),
    }
}
