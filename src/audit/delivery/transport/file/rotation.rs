//! ○ When a file of events is put aside and another one begun, how the old one is called, and which old ones go.
//!
//! `audit.jsonl` becomes `audit.jsonl.20261129T171530`: the time of the rotation, so that names sort as they came about. A
//! file goes only when it was asked for (`--file-keep`). Refuses: to touch a file, to call a stranger's file an old one of ours.

use crate::sorted;
use crate::words;
use std::time::Duration;

/// When it is rotated; nothing: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// So large.
    pub bytes: Option<u64>,
    /// So old.
    pub age: Option<Duration>,
}

impl Limits {
    /// Whether a file is to be put aside before `more` bytes are added.
    pub fn reached(&self, bytes: u64, more: u64, age: Duration) -> bool {
        let full = self.bytes.is_some_and(|most| bytes.saturating_add(more) > most);
        bytes > 0 && (full || self.age.is_some_and(|most| age >= most))
    }
}

/// Which old ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All.
    #[default]
    All,
    /// So many.
    Count(usize),
    /// Those that are younger.
    Younger(Duration),
}

/// The name of a file that is put aside now; `n`: others of this second have it already.
pub fn aside(base: &str, now_ms: i64, n: u32) -> String {
    let again = if n == 0 { String::new() } else { format!("-{n:02}") };
    format!("{base}.{}{again}", words::file_time(now_ms))
}

/// Those of these names that are to go.
pub fn outdated(base: &str, names: &[String], keep: Keep, now_ms: i64) -> Vec<String> {
    let mut ours: Vec<&String> = names.iter().filter(|n| is_ours(base, n)).collect();
    sorted::sort(&mut ours);
    let go: Vec<&String> = match keep {
        Keep::All => Vec::new(),
        Keep::Count(n) => ours.iter().take(ours.len().saturating_sub(n)).copied().collect(),
        Keep::Younger(age) => {
            let oldest = aside(base, now_ms.saturating_sub(age.as_millis().min(i64::MAX as u128) as i64), 0);
            ours.into_iter().filter(|n| **n < oldest).collect()
        }
    };
    go.into_iter().cloned().collect()
}

/// `BASE.20261129T171530` or `BASE.20261129T171530-01`.
fn is_ours(base: &str, name: &str) -> bool {
    let Some(mark) = name.strip_prefix(base).and_then(|rest| rest.strip_prefix('.')) else { return false };
    let form = b"ddddddddTdddddd";
    let fits = |(b, f): (u8, &u8)| if *f == b'd' { b.is_ascii_digit() } else { b == *f };
    let (head, again) = mark.split_at_checked(form.len()).unwrap_or_default();
    let digits = |n: &str| n.len() == 2 && n.bytes().all(|b| b.is_ascii_digit());
    !head.is_empty()
        && head.bytes().zip(form).all(fits)
        && (again.is_empty() || again.strip_prefix('-').is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_224_477_349;

    #[test]
    fn a_file_is_put_aside_when_it_is_large_or_old_and_holds_something() {
        let limits = Limits { bytes: Some(100), age: Some(Duration::from_secs(60)) };
        let young = Duration::from_secs(1);
        assert!(!limits.reached(60, 40, young) && limits.reached(60, 41, young));
        assert!(limits.reached(1, 0, Duration::from_secs(60)) && !limits.reached(0, 500, Duration::from_secs(90)));
        assert!(!Limits::default().reached(u64::MAX, 1, Duration::MAX));
    }

    #[test]
    fn names_sort_as_they_came_about_and_strangers_stay() {
        assert_eq!(aside("a.jsonl", NOW, 0), "a.jsonl.20261121T012757");
        let mut names: Vec<String> = [(0, 0), (1, 0), (1, 1), (90_000, 0)]
            .map(|(s, n)| aside("a.jsonl", NOW - 100_000_000 + s * 1000, n))
            .into();
        assert!(names.is_sorted());
        let strangers = ["a.jsonl", "a.jsonl.1", "a.jsonl.gz", "a.jsonl.20261121T012757.gz", "b.jsonl.20261121T012757"];
        names.extend(strangers.map(String::from));
        assert_eq!(outdated("a.jsonl", &names, Keep::All, NOW), Vec::<String>::new());
        assert_eq!(outdated("a.jsonl", &names, Keep::Count(1), NOW), names[..3]);
        assert_eq!(outdated("a.jsonl", &names, Keep::Count(9), NOW), Vec::<String>::new());
        assert_eq!(outdated("a.jsonl", &names, Keep::Younger(Duration::from_secs(50_000)), NOW), names[..3]);
        assert_eq!(outdated("a.jsonl", &names, Keep::Younger(Duration::MAX), NOW), Vec::<String>::new());
    }
}
