//! ○ Values of options: durations, sizes, counts, choices, paths. Pure functions of one item.
//!
//! Every error names the place, what is wrong, and how to write it. Refuses to do: guess a unit.

use super::item::Item;
use super::near::nearest;
use crate::error::Result;
use crate::limits::FLAGS_DURATION_SECONDS;
use crate::words;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// A word for yes or no.
pub fn boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// `100ms`, `10s`, `5m`, `1h`, `1d`, `0`.
pub fn duration(item: &Item) -> Result<Duration> {
    const UNITS: &str = "ms, s, m, h or d, as in 100ms or 10s";
    let Some((number, unit)) = number_and_unit(&item.value) else {
        return Err(item.error(format!("{} is not a duration: write a whole number and {UNITS}", item.shown())));
    };
    let milliseconds = match unit {
        "" if number == 0 => 1,
        "" => return Err(item.error(format!("{} has no unit: write {UNITS}", item.shown()))),
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(item.error(format!("{} has a unit we do not know: write {UNITS}", item.shown()))),
    };
    let total = number.checked_mul(milliseconds).filter(|total| *total <= FLAGS_DURATION_SECONDS * 1000);
    match total {
        Some(total) => Ok(Duration::from_millis(total)),
        None => Err(item.error(format!("{} is too long: at most {}d", item.shown(), FLAGS_DURATION_SECONDS / 86_400))),
    }
}

/// A duration within bounds.
pub fn duration_within(item: &Item, range: RangeInclusive<Duration>) -> Result<Duration> {
    let value = duration(item)?;
    if range.contains(&value) {
        return Ok(value);
    }
    Err(item.error(format!("{} is out of range: from {:?} to {:?}", item.shown(), range.start(), range.end())))
}

/// Bytes: `512`, `64K`, `1M`, `4G`, `1T`; units of 1024.
pub fn size(item: &Item) -> Result<u64> {
    const UNITS: &str = "a whole number of bytes, or one with K, M, G or T (of 1024), as in 64K";
    let wrong = |what: &str| item.error(format!("{} {what}: write {UNITS}", item.shown()));
    let (number, unit) = number_and_unit(&item.value).ok_or_else(|| wrong("is not a size"))?;
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong("has a unit we do not know")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| wrong("is too large"))
}

/// A size within bounds.
pub fn size_within(item: &Item, range: RangeInclusive<u64>) -> Result<u64> {
    within(item, size(item)?, range, words::size)
}

/// A whole number within bounds.
pub fn count(item: &Item, range: RangeInclusive<u64>) -> Result<u64> {
    match number_and_unit(&item.value) {
        Some((number, "")) => within(item, number, range, |n| n.to_string()),
        _ => Err(item.error(format!("{} is not a whole number", item.shown()))),
    }
}

fn within(item: &Item, value: u64, range: RangeInclusive<u64>, shown: impl Fn(u64) -> String) -> Result<u64> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (from, to) = (shown(*range.start()), shown(*range.end()));
    Err(item.error(format!("{} is out of range: from {from} to {to}", item.shown())))
}

/// One of a few words, by its number in the list.
pub fn choice(item: &Item, words: &[&str]) -> Result<usize> {
    if let Some(at) = words.iter().position(|word| *word == item.value) {
        return Ok(at);
    }
    let near = nearest(&item.value, words.iter().copied()).filter(|_| !item.spec.secret);
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Err(item.error(format!("{} is none of {}{near}", item.shown(), words.join(", "))))
}

/// One of the words that the row itself lists (`block|drop-newest|drop-oldest`).
pub fn listed(item: &Item) -> Result<&'static str> {
    let words = item.spec.choices();
    choice(item, &words).map(|at| words[at])
}

/// A path; only an empty one is wrong here.
pub fn path(item: &Item) -> Result<PathBuf> {
    nonempty(item).map(PathBuf::from)
}

/// The words of a command, split at blanks.
pub fn command(item: &Item) -> Result<Vec<String>> {
    let words: Vec<String> = item.value.split_whitespace().map(String::from).collect();
    if words.is_empty() {
        return Err(item.error("there is no command in it"));
    }
    Ok(words)
}

/// Any text but none.
pub fn nonempty(item: &Item) -> Result<&str> {
    if item.value.is_empty() {
        return Err(item.error("the value is empty"));
    }
    Ok(&item.value)
}

/// A name that may become a file name and a label: letters, digits, `-`, `_` and `.`, not first `.` or `-`.
pub fn name(item: &Item, most: usize) -> Result<&str> {
    let value = nonempty(item)?;
    let clean = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !clean || value.starts_with(['.', '-']) || value.len() > most {
        let how =
            format!("up to {most} letters of ASCII, digits, `-`, `_`, `.`, beginning with a letter, digit or `_`");
        return Err(item.error(format!("{} is not a name: write {how}", item.shown())));
    }
    Ok(value)
}

/// Digits, and what stands behind them. Neither sign nor fraction.
fn number_and_unit(value: &str) -> Option<(u64, &str)> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    digits.parse().ok().map(|number| (number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Place, Row};
    use crate::limits::FLAGS_VALUE_BYTES;

    static ROW: Row = Row::value("g", "drain", "block|drop-newest", "h", "п");
    static SECRET: Row = Row::value("g", "password", "PASSWORD", "h", "п").secret();

    fn item(value: &str) -> Item {
        Item::new(&ROW, value, Place::Flag("--drain".to_owned()))
    }

    fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.expect_err("an error").text().to_owned()
    }

    #[test]
    fn durations() {
        for (value, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("100ms", 100),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(duration(&item(value)).unwrap(), Duration::from_millis(milliseconds), "{value}");
        }
        assert_eq!(
            text(duration(&item("10"))),
            "`--drain`: `10` has no unit: write ms, s, m, h or d, as in 100ms or 10s"
        );
        for value in ["", "s", "-1s", "1.5s", "1w", "1 s", "36501d", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration(&item(value)).is_err(), "{value}");
        }
        assert!(duration_within(&item("5s"), Duration::from_secs(1)..=Duration::from_secs(4)).is_err());
        assert!(duration_within(&item("4s"), Duration::from_secs(1)..=Duration::from_secs(4)).is_ok());
    }

    #[test]
    fn sizes_and_counts() {
        for (value, bytes) in
            [("0", 0), ("512", 512), ("64K", 65_536), ("1m", 1 << 20), ("4G", 4 << 30), ("1T", 1 << 40)]
        {
            assert_eq!(size(&item(value)).unwrap(), bytes, "{value}");
        }
        for value in ["", "K", "1KB", "1.5M", "-1", "18446744073709551615K", "1 M"] {
            assert!(size(&item(value)).is_err(), "{value}");
        }
        assert!(size_within(&item("1K"), 0..=1023).is_err());
        assert_eq!(count(&item("1000"), 1..=1000).unwrap(), 1000);
        assert_eq!(text(count(&item("1001"), 1..=1000)), "`--drain`: `1001` is out of range: from 1 to 1000");
        assert!(count(&item("1K"), 1..=9999).is_err());
    }

    #[test]
    fn choices_and_names() {
        assert_eq!(listed(&item("drop-newest")).unwrap(), "drop-newest");
        assert_eq!(
            text(listed(&item("drop-newst"))),
            "`--drain`: `drop-newst` is none of block, drop-newest; did you mean `drop-newest`?"
        );
        assert_eq!(name(&item("r1.main_2-b"), 32).unwrap(), "r1.main_2-b");
        for value in ["", ".", "..", "a/b", "-a", "имя", "a b", "123456789"] {
            assert!(name(&item(value), 8).is_err(), "{value}");
        }
        assert!(path(&item("")).is_err());
    }

    #[test]
    fn no_secret_in_an_error() {
        let item = Item::new(&SECRET, "T0psecret", Place::Env("X_PASSWORD".to_owned()));
        let errors = [
            text(duration(&item)),
            text(size(&item)),
            text(count(&item, 0..=1)),
            text(choice(&item, &["one", "two"])),
            text(name(&item, 3)),
            format!("{item:?}"),
        ];
        for error in errors {
            assert!(!error.contains("T0ps"), "{error}");
        }
    }

    #[test]
    fn no_value_makes_them_panic() {
        for value in ["я", "1я", ":", "[", "]", "[]", "[]:", "\u{0}", &"9".repeat(FLAGS_VALUE_BYTES)] {
            let item = item(value);
            let outcomes = [duration(&item).is_ok(), size(&item).is_ok(), listed(&item).is_ok()];
            assert_eq!(outcomes, [false; 3], "{value}");
        }
    }
}
