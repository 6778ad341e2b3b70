//! When the certificates end that a program was given: looked at when it starts, whenever a file is another one, and once a
//! day; for a warning in time, and for the pages.
//!
//! A certificate is read long before anybody needs it, so that the other side is not the first to say that it is too old.
//! Refuses: to tell (the program knows to whom), to judge a chain or a name. A file that cannot be read is told by whoever
//! needs it.

use crate::limits;
use crate::net::pem;
use crate::net::validity::Validity;
use crate::net::watch::FileStamp;
use crate::stamp;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file with certificates, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The file.
    pub file: PathBuf,
    /// What it is, for sentences: `certificate`, `authority`.
    pub what: &'static str,
    /// Authorities: one that is valid is enough, bundles have old ones.
    pub authorities: bool,
}

impl Named {
    /// A certificate of our own.
    pub fn certificate(file: &Path) -> Named {
        Named { file: file.to_path_buf(), what: "certificate", authorities: false }
    }

    /// Whom we trust.
    pub fn authority(file: &Path) -> Named {
        Named { file: file.to_path_buf(), what: "authority", authorities: true }
    }

    /// How it is called in logs and alarms.
    fn matter(&self) -> String {
        format!("{} `{}`", self.what, self.file.display())
    }
}

/// What was seen of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The matter, for logs and alarms.
    pub about: String,
    /// What is wrong; nothing: it is valid for long enough.
    pub wrong: Option<String>,
    /// It has ended, or has not begun.
    pub invalid: bool,
    /// The last second of the certificate that decides; none: it could not be read.
    pub ends: Option<i64>,
    /// It was not said yet, or a day ago.
    pub news: bool,
}

#[derive(Debug)]
struct Kept {
    named: Named,
    stamp: Option<FileStamp>,
    judged: Option<Validity>,
    /// What was said last, and when.
    said: Option<(String, i64)>,
}

/// The files of one program.
#[derive(Debug, Default)]
pub struct Expiry(Mutex<Vec<Kept>>);

impl Expiry {
    /// Of these; none is read yet. A file that is named twice is one.
    pub fn new(files: impl IntoIterator<Item = Named>) -> Expiry {
        let mut all: Vec<Kept> = Vec::new();
        for named in files {
            if all.len() < limits::CERTIFICATE_FILES && !all.iter().any(|k| k.named == named) {
                all.push(Kept { named, stamp: None, judged: None, said: None });
            }
        }
        Expiry(Mutex::new(all))
    }

    /// Looks at each file; `now` in seconds since 1970. It is read only when it is another one.
    pub fn look(&self, now: i64) -> Vec<Seen> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter_mut().map(|k| k.look(now)).collect()
    }

    /// Whether this matter, by its name, is about one of these files.
    pub fn is_about(&self, matter: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|k| k.named.matter() == matter)
    }

    /// The files that could be read, and the last second of the certificate that decides.
    pub fn ends(&self) -> Vec<(String, i64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = |k: &Kept| Some((k.named.file.display().to_string(), k.judged?.to));
        all.iter().filter_map(end).collect()
    }
}

impl Kept {
    fn look(&mut self, now: i64) -> Seen {
        let stamp = FileStamp::of(&self.named.file);
        if self.stamp.as_ref() != Some(&stamp) {
            let read = pem::validities(&self.named.file, self.named.what).unwrap_or_default();
            self.judged = decides(&read, self.named.authorities);
            self.stamp = Some(stamp);
        }
        let about = self.named.matter();
        let (wrong, invalid) = self.judged.map_or((None, false), |v| words(&about, v, now));
        let old = |at: i64| (now - at).unsigned_abs() >= limits::CERTIFICATE_TOLD_SECONDS;
        let news = match (&wrong, &self.said) {
            (None, _) => false,
            (Some(text), Some((before, at))) => text != before || old(*at),
            (Some(_), None) => true,
        };
        if news || wrong.is_none() {
            self.said = wrong.clone().map(|text| (text, now));
        }
        Seen { about, wrong, invalid, ends: self.judged.map(|v| v.to), news }
    }
}

/// The certificate that ends first; of authorities the one that ends last.
fn decides(all: &[Option<Validity>], authorities: bool) -> Option<Validity> {
    let known = all.iter().flatten().copied();
    match authorities {
        true => known.max_by_key(|v| v.to),
        false => known.min_by_key(|v| v.to),
    }
}

/// What is wrong with these times now, and whether it is wrong already.
fn words(about: &str, v: Validity, now: i64) -> (Option<String>, bool) {
    let day = |at: i64| stamp::rfc3339_text(at.saturating_mul(1000))[..10].to_string();
    let left = v.to.saturating_sub(now);
    if left < 0 {
        return (Some(format!("{about} has ended on {}: have a new one issued", day(v.to))), true);
    }
    if v.from > now {
        let text = format!("{about} begins on {} only: look at this machine's clock, or wait", day(v.from));
        return (Some(text), true);
    }
    if left >= limits::CHECK_EXPIRY_DAYS * 86_400 {
        return (None, false);
    }
    let days = left / 86_400;
    let days = if days == 1 { "1 day".to_string() } else { format!("{days} days") };
    (Some(format!("{about} ends on {}, in {days}: have a new one issued in time", day(v.to))), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{self_signed, Scratch};

    const DAY: i64 = 86_400;
    /// 2026-11-21.
    const END: i64 = 1_795_219_200;

    #[test]
    fn the_end_is_told_in_time_daily_and_when_the_file_changes() {
        let dir = Scratch::new("expiry");
        let file = dir.write("page.pem", &self_signed(2026));
        let expiry = Expiry::new([Named::certificate(&file), Named::certificate(&file)]);
        let look = |now: i64| {
            let seen = expiry.look(now);
            assert_eq!(seen.len(), 1, "named twice");
            seen[0].clone()
        };
        let fine = look(END - 14 * DAY);
        assert_eq!((fine.wrong, fine.news), (None, false));
        assert_eq!(expiry.ends(), [(file.display().to_string(), END)]);
        let soon = look(END - 14 * DAY + 1);
        let text = soon.wrong.unwrap();
        assert!(soon.news && !soon.invalid && text.contains("ends on 2026-11-21, in 13 days"), "{text}");
        assert!(!look(END - 14 * DAY + 11).news, "the same within the day");
        assert!(look(END - 13 * DAY + 1).news);
        let over = look(END + 1);
        let text = over.wrong.unwrap();
        assert!(over.news && over.invalid && text.contains("has ended on 2026-11-21"), "{text}");
        assert!(!look(END + 10).news);
        assert!(look(END + 10 + DAY).news, "and daily");
        dir.write("page.pem", &self_signed(2036));
        assert_eq!(look(END + 20 + DAY).wrong, None);
        dir.write("page.pem", "nothing");
        let seen = look(END + 30 + DAY);
        assert!(!seen.news && seen.wrong.is_none() && expiry.ends().is_empty());
    }

    #[test]
    fn of_authorities_the_last_counts_and_of_our_own_the_first() {
        let dir = Scratch::new("expiry-many");
        let both = dir.write("both.pem", &(self_signed(2026) + &self_signed(2036)));
        let expiry = Expiry::new([Named::certificate(&both), Named::authority(&both)]);
        let wrong: Vec<bool> = expiry.look(END - DAY).iter().map(|s| s.wrong.is_some()).collect();
        assert_eq!(wrong, [true, false]);
        assert!(expiry.look(0).iter().all(|s| s.invalid), "not begun");
    }
}
