//! ○ What the status page of the audit helper shows, from one moment of it: for the page at `/` and for `status --watch`.
//!
//! Refuses: to ask anybody, a figure that is not in the moment.

use crate::audit::alarm::{Alarm, AlarmKind, Gravity};
use crate::audit::intake::source::table::TABLE;
use crate::audit::process::history::{self, Series};
use crate::audit::record::Severity;
use crate::audit::spool::moment::{Moment, Standing};
use crate::limits;
use crate::page::history::{lately, points, rates, Span};
use crate::page::{Body, Cell, Chart, Fact, Lang, Sheet, Station, Tone};
use crate::sorted;

/// One moment in one language, as it is being drawn.
struct Painter<'a> {
    m: &'a Moment,
    lang: Lang,
}

/// The page of this moment.
pub fn sheet(m: &Moment, lang: Lang) -> Sheet {
    let p = Painter { m, lang };
    let t = |en, ru| lang.of(en, ru);
    let mut sheet = Sheet {
        lang,
        program: "gostech-audit-log",
        about: format!("{} {}", env!("CARGO_PKG_VERSION"), m.around.of),
        verdict: p.verdict(),
        now_ms: m.now_ms,
        sections: Vec::new(),
        links: &["metrics", "-/healthy", "-/ready"],
    };
    sheet.add(t("What is wrong", "Что не так"), Body::Lines(p.wrong()));
    sheet.add(t("The way of an event", "Путь события"), Body::Way(p.way()));
    sheet.add(t("What was", "Что было"), Body::Charts(p.charts()));
    sheet.add(t("Evidence", "Полнота"), Body::Facts(p.evidence()));
    let head = vec![t("event", "событие"), t("severity", "важность"), t("read", "прочитано"), t("share", "доля")];
    sheet.add(t("Events", "События"), Body::Table(head, p.titles()));
    sheet.add(t("Alarms of the last 24 hours", "Тревоги за 24 часа"), Body::Lines(p.diary()));
    sheet.add(
        t("Protection", "Защита"),
        Body::Lines(Cell::protections(lang, m.around.protections.iter().map(|(name, on)| (name, *on)))),
    );
    sheet
}

fn tone(gravity: Gravity) -> Tone {
    match gravity {
        Gravity::Critical => Tone::Bad,
        Gravity::Warning => Tone::Warn,
    }
}

/// The receiver that an alarm is about.
fn receiver_of(a: &Alarm) -> Option<&str> {
    a.about.strip_prefix("receiver ")
}

impl Painter<'_> {
    fn t(&self, en: &'static str, ru: &'static str) -> &'static str {
        self.lang.of(en, ru)
    }

    /// Events that wait for the slowest of the receivers that are configured, or of those that are no more.
    fn waiting(&self, live: bool) -> u64 {
        self.m.receivers.iter().filter(|r| r.live == live).map(|r| r.waiting(self.m.next)).max().unwrap_or(0)
    }

    /// Events that were lost or set aside.
    fn missing(&self) -> u64 {
        let c = &self.m.account.counters;
        let of = self.m.receivers.iter().map(|r| r.cursor.dropped + r.cursor.quarantined);
        c.gaps + c.dropped + c.damaged + of.sum::<u64>()
    }

    fn meaning(&self, a: &Alarm) -> String {
        let meaning = a.kind.row().meaning;
        // The rest says what is done about it.
        let words = self.t(meaning.en, meaning.ru).split(';').next().unwrap_or_default();
        receiver_of(a).map_or_else(|| words.to_string(), |name| format!("{name}: {words}"))
    }

    fn verdict(&self) -> Cell {
        let Some(first) = self.m.wrong.first() else { return self.verdict_of_counters() };
        let more = match self.m.wrong.len() - 1 {
            0 => String::new(),
            n => format!(" ({} {n})", self.t("and others:", "и ещё:")),
        };
        Cell::text(self.meaning(first) + &more).tone(tone(first.kind.row().gravity))
    }

    /// Nothing is wrong now. What happened once is over as an alarm; it was not delivered all the same.
    fn verdict_of_counters(&self) -> Cell {
        let (words, n, tone) = match (self.missing(), self.waiting(false), self.waiting(true)) {
            (0, 0, 0) => {
                let words = self.t(
                    "All is well: everything that was read is delivered",
                    "Всё в порядке: всё прочитанное доставлено",
                );
                return Cell::text(words).tone(Tone::Good);
            }
            (0, 0, n) => (self.t("All is well; events on their way", "Всё в порядке; событий в пути"), n, Tone::Good),
            (0, n, _) => (
                self.t(
                    "Works; but events wait for a receiver that is configured no more",
                    "Работает, но события ждут приёмник, которого больше нет",
                ),
                n,
                Tone::Warn,
            ),
            (n, ..) => (
                self.t(
                    "Works; but not everything was delivered, see «Evidence»",
                    "Работает, но доставлено не всё, см. «Полнота»",
                ),
                n,
                Tone::Warn,
            ),
        };
        Cell::text(format!("{words}: {}", self.lang.count(n))).tone(tone)
    }

    fn wrong(&self) -> Vec<Cell> {
        let line = |a: &Alarm| {
            let lasts = self.lang.lasting(self.m.now_ms - a.since_ms);
            let text = format!("{} ({lasts}): {}", self.meaning(a), a.text);
            Cell::text(text).tone(tone(a.kind.row().gravity))
        };
        let mut lines: Vec<Cell> = self.m.wrong.iter().take(limits::PAGE_ROWS).map(line).collect();
        let rest = self.m.wrong.len() - lines.len();
        if rest > 0 {
            lines.push(Cell::text(format!("… {}: {rest}", self.t("and others", "и ещё"))).tone(Tone::Warn));
        }
        let stranded = self.m.around.stranded.iter().take(limits::PAGE_ROWS).map(|(spool, n)| {
            let words = self.t(
                "events wait in a spool that nobody works in",
                "событий ждут в очереди, с которой никто не работает",
            );
            Cell::text(format!("{spool}: {} {words}", self.lang.count(*n))).tone(Tone::Warn)
        });
        lines.extend(stranded);
        let left = self.m.receivers.iter().filter(|r| !r.live && r.waiting(self.m.next) > 0).take(limits::PAGE_ROWS);
        lines.extend(left.map(|r| {
            let words = self.t(
                "events are kept for this receiver, which is configured no more; give it its --url back, or:",
                "событий хранится для этого приёмника, которого больше нет; верните его --url или:",
            );
            let (name, n) = (&r.name, self.lang.count(r.waiting(self.m.next)));
            Cell::text(format!("{name}: {n} {words} gostech-audit-log spool forget {name}")).tone(Tone::Warn)
        }));
        lines
    }

    fn way(&self) -> Vec<Vec<Station>> {
        let m = self.m;
        let shown = m.receivers.iter().filter(|r| r.live || r.waiting(m.next) > 0);
        let mut receivers: Vec<Station> = shown.clone().take(limits::PAGE_ROWS).map(|r| self.receiver(r)).collect();
        let rest = shown.count().saturating_sub(receivers.len());
        if rest > 0 {
            receivers
                .push(Station {
                    name: format!("… {}: {rest}", self.t("and others", "и ещё")), ..Station::default()
                });
        }
        vec![vec![self.input()], vec![self.spool()], receivers]
    }

    fn option(&self, name: &str) -> &str {
        self.m.in_force.iter().find(|r| r.name == name).map_or("", |r| &r.value)
    }

    fn rate(&self, series: Series, value: u64) -> Fact {
        let rate = lately(history::of(&self.m.around.history, series), self.m.now_ms, value);
        (self.t("rate", "в секунду"), Cell::text(rate.map_or_else(|| "—".into(), |r| self.lang.rate(r))))
    }

    fn input(&self) -> Station {
        let (m, lang) = (self.m, self.lang);
        let what = TABLE.iter().find(|r| r.name == self.option("type")).map_or(TABLE[0].what, |r| r.what);
        let read = m.account.counters.read;
        let mut facts =
            vec![(self.t("read", "прочитано"), Cell::number(lang.count(read))), self.rate(Series::Read, read)];
        if let Some(input) = &m.input {
            let behind = Cell::number(lang.size(input.behind));
            facts.push((
                self.t("not read yet", "ещё не прочитано"),
                behind.tone(Tone::Warn.when(input.behind > 1 << 20)),
            ));
        }
        facts.push((self.t("in the cushion", "в буфере"), Cell::number(lang.size(m.bytes.cushion))));
        let wrong = m.input.as_ref().and_then(|i| i.wrong.clone());
        let said = wrong.clone().or_else(|| m.input.as_ref().map(|i| i.at.clone())).unwrap_or_default();
        let tone = if wrong.is_some() { Tone::Bad } else { Tone::Good };
        Station { name: self.t(what.en, what.ru).into(), tone, facts, said }
    }

    fn spool(&self) -> Station {
        let (b, lang) = (&self.m.bytes, self.lang);
        let percent = (b.live.saturating_mul(100) / b.max.max(1)).min(100) as u8;
        let full = match percent {
            95.. => Tone::Bad,
            80.. => Tone::Warn,
            _ => Tone::Good,
        };
        let of = format!("{percent} % {} {}", self.t("of", "из"), lang.size(b.max));
        let mut facts = vec![
            (self.t("fill", "заполнение"), Cell { percent: Some(percent), ..Cell::text(of).tone(full) }),
            (self.t("waits", "ждёт"), Cell::number(lang.size(b.live))),
            (self.t("kept for replay", "хранится для повтора"), Cell::number(lang.size(b.retained))),
        ];
        if b.packed.0 > 0 {
            let text = format!("{} → {}", lang.size(b.packed.2), lang.size(b.packed.1));
            facts.push((self.t("packed", "сжато"), Cell::number(text)));
        }
        if b.in_memory > 0 {
            let memory = Cell::number(lang.size(b.in_memory)).tone(Tone::Bad);
            facts.push((self.t("in memory alone", "только в памяти"), memory));
        }
        if self.m.set_aside > 0 {
            let files = Cell::number(lang.count(self.m.set_aside)).tone(Tone::Warn);
            facts.push((self.t("damaged files", "повреждённых файлов"), files));
        }
        let tone = if self.m.disk_bad.is_some() { Tone::Bad } else { full };
        let said = self.m.disk_bad.clone().unwrap_or_else(|| self.m.around.place.clone());
        Station { name: self.t("spool", "очередь").into(), tone, facts, said }
    }

    fn receiver(&self, r: &Standing) -> Station {
        let (m, lang, c) = (self.m, self.lang, &r.cursor);
        let waiting = r.waiting(m.next);
        let alarm = m.wrong.iter().find(|a| receiver_of(a) == Some(&r.name)).map(|a| tone(a.kind.row().gravity));
        let failed = c.last_answer_ms > c.last_ok_ms;
        let tone = alarm.unwrap_or(if waiting > 0 && failed || !r.live { Tone::Warn } else { Tone::Good });
        let mut facts = vec![
            (
                self.t("waits", "ждёт"),
                Cell::number(lang.count(waiting)).tone(if tone > Tone::Good { tone } else { Tone::Plain }),
            ),
            (self.t("delivered", "доставлено"), Cell::number(lang.count(c.delivered))),
        ];
        if let Some(oldest) = r.oldest_ms.filter(|_| waiting > 0) {
            facts.insert(1, (self.t("the oldest", "старейшему"), Cell::text(lang.lasting(m.now_ms - oldest))));
        }
        if let Some((_, rate)) = m.around.rates.iter().find(|(name, _)| *name == r.name) {
            facts.push((self.t("rate", "в секунду"), Cell::text(lang.rate(*rate))));
        }
        let dropped = c.dropped + m.account.counters.dropped;
        for (name, n, tone) in [
            (self.t("quarantined", "в карантине"), c.quarantined, Tone::Warn),
            (self.t("dropped", "отброшено"), dropped, Tone::Bad),
            (self.t("filtered", "отфильтровано"), c.filtered, Tone::Plain),
            (self.t("failed attempts", "неудачных попыток"), c.retries.values().sum(), Tone::Plain),
        ] {
            if n > 0 {
                facts.push((name, Cell::number(lang.count(n)).tone(tone)));
            }
        }
        let url = self.option(&format!("url of {}", r.name)).to_string();
        let answer = match c.last_answer_ms {
            0 => self.t("no answer yet", "ответов ещё не было").to_string(),
            ms => format!("{}: {}", lang.ago(m.now_ms, ms), c.last_answer),
        };
        let gone = if r.live {
            ""
        } else {
            self.t("no such receiver any more; ", "такого приёмника больше нет; ")
        };
        let at = if url.is_empty() { String::new() } else { format!("{url} · ") };
        Station { name: r.name.clone(), tone, facts, said: format!("{gone}{at}{answer}") }
    }

    fn charts(&self) -> Vec<Chart> {
        let (words, now, lang) = (&self.m.around.history, self.m.now_ms, self.lang);
        if words.is_empty() {
            return Vec::new();
        }
        let mut charts = Vec::new();
        for (span, time) in [(Span::Short, self.t("15 min", "15 мин")), (Span::Long, self.t("24 h", "24 ч"))] {
            for (series, name) in [
                (Series::Read, self.t("read", "прочитано")),
                (Series::Taken, self.t("delivered", "доставлено")),
                (Series::Waiting, self.t("waits", "ждёт")),
            ] {
                let words = history::of(words, series);
                let title = format!("{name}, {time}:");
                charts.push(match series {
                    Series::Waiting => Chart::of(lang, title, points(words, span, now), |l, n| l.count(n as u64)),
                    _ => Chart::of(lang, title, rates(words, span, now), Lang::rate),
                });
            }
        }
        charts
    }

    /// How often something of this title came.
    fn came(&self, title: &str) -> u64 {
        self.m.account.titles.iter().filter(|((t, _), _)| t == title).map(|(_, n)| n).sum()
    }

    fn evidence(&self) -> Vec<Fact> {
        let c = &self.m.account.counters;
        let held: u64 = self.m.receivers.iter().map(|r| r.cursor.quarantined).sum();
        let dropped: u64 = self.m.receivers.iter().map(|r| r.cursor.dropped).sum();
        let (good, warn, bad, plain) = (Tone::Good, Tone::Warn, Tone::Bad, Tone::Plain);
        let all = [
            (self.t("failed logins", "неудачные входы"), self.came("auth_fail"), plain, plain),
            (self.t("denied calls", "отказы в доступе"), self.came("access_denied"), plain, plain),
            (self.t("gaps", "пропуски"), c.gaps, good, bad),
            (self.t("dropped", "отброшено"), c.dropped + dropped, good, bad),
            (self.t("damaged", "повреждено"), c.damaged, good, bad),
            (self.t("quarantined", "в карантине"), held, good, warn),
            (self.t("came cut", "обрезано"), c.truncated, plain, warn),
            (self.t("no JSON", "не JSON"), c.unparsed, plain, warn),
            (self.t("written twice", "записано дважды"), c.repeats, plain, plain),
            (self.t("out of order", "не по порядку"), c.late, plain, plain),
            (self.t("worker restarts", "перезапуски"), self.m.around.restarts, plain, warn),
        ];
        let fact = |(name, n, none, some): (&'static str, u64, Tone, Tone)| {
            (name, Cell::number(self.lang.count(n)).tone(if n == 0 { none } else { some }))
        };
        all.into_iter().map(fact).chain(self.sealed()).collect()
    }

    /// Where records are sealed: how far, and when that was last signed.
    fn sealed(&self) -> Vec<Fact> {
        let Some(s) = &self.m.sealed else { return Vec::new() };
        let failing = self.m.wrong.iter().any(|a| a.kind == AlarmKind::SealFailing && a.about == "seal");
        let signed = match s.signed_ms {
            0 => self.t("no", "нет").to_string(),
            ms => format!("{} ({})", self.lang.ago(self.m.now_ms, ms), self.lang.count(s.number)),
        };
        vec![
            (self.t("sealed", "запечатано"), Cell::number(self.lang.count(s.size))),
            (self.t("not sealed yet", "ещё не запечатано"), Cell::number(self.lang.count(s.open))),
            (
                self.t("signed checkpoint", "подписанная точка"),
                Cell::text(signed).tone(if failing { Tone::Bad } else { Tone::Good }),
            ),
        ]
    }

    fn titles(&self) -> Vec<Vec<Cell>> {
        let mut all: Vec<_> = self.m.account.titles.iter().collect();
        sorted::by(&mut all, |a, b| a.1 > b.1);
        let sum: u64 = all.iter().map(|(_, n)| **n).sum();
        let rest = all.len().saturating_sub(limits::PAGE_ROWS);
        let row = |((title, severity), n): (&(String, Severity), &u64)| {
            let (word, tone) = match severity {
                Severity::Low => (self.t("low", "низкая"), Tone::Plain),
                Severity::Medium => (self.t("medium", "средняя"), Tone::Plain),
                Severity::High => (self.t("high", "высокая"), Tone::Warn),
                Severity::Other => ("—", Tone::Plain),
            };
            let share = self.share(*n, sum);
            vec![Cell::text(title), Cell::text(word).tone(tone), Cell::number(self.lang.count(*n)), share]
        };
        let few: u64 = all.iter().skip(limits::PAGE_ROWS).map(|(_, n)| **n).sum();
        let mut rows: Vec<_> = all.into_iter().take(limits::PAGE_ROWS).map(row).collect();
        if rest > 0 {
            let name = format!("… {}: {rest}", self.t("others", "ещё"));
            rows.push(vec![Cell::text(name), Cell::text(""), Cell::number(self.lang.count(few)), self.share(few, sum)]);
        }
        rows
    }

    fn share(&self, n: u64, of: u64) -> Cell {
        let percent = (u128::from(n) * 100 / u128::from(of.max(1))).min(100) as u8;
        Cell { percent: Some(percent), ..Cell::text(format!("{percent} %")) }
    }

    fn diary(&self) -> Vec<Cell> {
        let (now, lang) = (self.m.now_ms, self.lang);
        let all = self.m.around.alarms.iter().filter(|a| now - a.since_ms.max(a.over_ms) < limits::PAGE_DAY_MILLIS);
        let line = |a: &crate::audit::alarm::diary::Entry| {
            let row = a.kind.row();
            let lasts = a.over_ms == 0 && self.m.wrong.iter().any(|w| w.kind == a.kind);
            let how = match (row.lasts, a.over_ms) {
                (true, 0) if lasts => self.t("; lasts", "; длится").to_string(),
                (true, over) if over > 0 => {
                    format!("; {} {}", self.t("for", "длилось"), lang.lasting(over - a.since_ms))
                }
                _ => String::new(),
            };
            let text = format!("{}{how}: {}", lang.ago(now, a.since_ms), self.t(row.meaning.en, row.meaning.ru));
            Cell::text(text).tone(tone(row.gravity).when(lasts))
        };
        let mut lines: Vec<Cell> = all.map(line).collect();
        if self.m.around.alarms.len() >= limits::PAGE_ALARMS {
            let words =
                self.t("no more than these are kept; the log has all", "больше не хранится; все есть в журнале");
            lines.push(Cell::text(words));
        }
        match lines.is_empty() {
            true => vec![Cell::text(self.t("none", "не было"))],
            false => lines,
        }
    }
}

#[cfg(test)]
mod tests;
