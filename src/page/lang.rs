//! ○ The two languages of the status page, and numbers, sizes and times as their readers write them. Refuses: a third one.

use crate::{stamp, words};

/// In which language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

/// Units as Russians write them.
const UNITS: [(&str, &str); 12] = [
    ("byte", "Б"),
    ("bytes", "Б"),
    ("KiB", "КиБ"),
    ("MiB", "МиБ"),
    ("GiB", "ГиБ"),
    ("TiB", "ТиБ"),
    ("s", "с"),
    ("ms", "мс"),
    ("min", "мин"),
    ("h", "ч"),
    ("d", "д"),
    ("ago", "назад"),
];

impl Lang {
    /// The one that is wanted most, as `Accept-Language` says it; English where nobody says.
    pub fn wanted(accept: &str) -> Lang {
        let (mut en, mut ru, mut any) = (None, None, None);
        for range in accept.split(',').take(crate::limits::PAGE_LANGUAGES) {
            let (tag, rest) = range.split_once(';').unwrap_or((range, ""));
            let quality = match rest.trim().strip_prefix("q=").map(|q| q.trim().parse::<f64>()) {
                Some(Ok(q)) if (0.0..=1.0).contains(&q) => q,
                Some(_) => 0.0,
                None => 1.0,
            };
            let tag = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let of = match tag.as_str() {
                "en" => &mut en,
                "ru" => &mut ru,
                "*" => &mut any,
                _ => continue,
            };
            *of = Some(of.unwrap_or(0.0f64).max(quality));
        }
        // A language that is named is not among «any other».
        let weight = |named: Option<f64>| named.or(any).unwrap_or(0.0);
        if weight(ru) > weight(en) {
            Lang::Ru
        } else {
            Lang::En
        }
    }

    /// One of two.
    pub fn of(self, en: &'static str, ru: &'static str) -> &'static str {
        match self {
            Lang::En => en,
            Lang::Ru => ru,
        }
    }

    /// Its tag.
    pub fn tag(self) -> &'static str {
        self.of("en", "ru")
    }

    fn units(self, text: String) -> String {
        if self == Lang::En {
            return text;
        }
        let word = |w: &'_ str| -> String { UNITS.iter().find(|(en, _)| *en == w).map_or(w, |(_, ru)| ru).to_string() };
        text.split(' ').map(word).collect::<Vec<_>>().join(" ").replace('.', ",")
    }

    /// Bytes.
    pub fn size(self, bytes: u64) -> String {
        self.units(words::size(bytes))
    }

    /// A duration.
    pub fn lasting(self, millis: i64) -> String {
        self.units(stamp::for_people(millis.max(0) as f64 / 1000.0))
    }

    /// How long ago; a dash where it never was.
    pub fn ago(self, now_ms: i64, then_ms: i64) -> String {
        if then_ms == 0 {
            return "—".into();
        }
        self.units(stamp::for_people((now_ms - then_ms).max(0) as f64 / 1000.0) + " ago")
    }

    /// Digits in groups of three.
    pub fn count(self, n: u64) -> String {
        let digits = n.to_string();
        let mut out = String::new();
        for (i, d) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i) % 3 == 0 {
                out.push('\u{a0}');
            }
            out.push(d);
        }
        out
    }

    /// So many a second, with as many digits as matter.
    pub fn rate(self, n: f64) -> String {
        let number = match n {
            n if n >= 99.5 => self.count(n.round() as u64),
            0.0 => "0".into(),
            n if n < 0.1 => format!("{n:.2}"),
            n => format!("{n:.1}"),
        };
        self.point(number) + self.of("/s", "/с")
    }

    /// The decimal sign of its readers.
    pub fn point(self, number: String) -> String {
        match self {
            Lang::En => number,
            Lang::Ru => number.replace('.', ","),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_that_is_wanted_most() {
        for (accept, want) in [
            ("", Lang::En),
            ("ru", Lang::Ru),
            ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", Lang::Ru),
            ("en-US,en;q=0.9,ru;q=0.8", Lang::En),
            ("de, RU ; q=0.5", Lang::Ru),
            ("ru;q=0", Lang::En),
            ("en;q=0.1, *;q=0.5", Lang::Ru),
            ("*", Lang::En),
            ("ru;q=2,en;q=0.1", Lang::En),
            ("ru;q=,en;q=nan", Lang::En),
            ("rus", Lang::En),
        ] {
            assert_eq!(Lang::wanted(accept), want, "{accept}");
        }
    }

    #[test]
    fn numbers_as_their_readers_write_them() {
        let (en, ru) = (Lang::En, Lang::Ru);
        assert_eq!(en.count(123_456_789_012_345_678), "123\u{a0}456\u{a0}789\u{a0}012\u{a0}345\u{a0}678");
        assert_eq!((en.count(999), en.count(1_000)), ("999".into(), "1\u{a0}000".into()));
        assert_eq!((ru.size(1536), ru.size(3)), ("1,5 КиБ".into(), "3 Б".into()));
        assert_eq!((ru.ago(60_000, 18_000), en.ago(1, 0)), ("42 с назад".into(), "—".into()));
        assert_eq!(
            (en.rate(0.0), en.rate(0.04), en.rate(12.34), ru.rate(12.34)),
            ("0/s".into(), "0.04/s".into(), "12.3/s".into(), "12,3/с".into())
        );
        assert_eq!(en.rate(1e6), "1\u{a0}000\u{a0}000/s");
    }
}
