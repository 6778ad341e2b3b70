//! ○ What the status page of the metrics helper shows: for the page at `/` and for `--watch`.
//!
//! Refuses: to ask anybody, a number that is older than the reading it shows.

use super::push::counts::Counts;
use super::queries::Told;
use super::readings::Seen;
use super::snapshot::Snapshot;
use crate::guard::Parts;
use crate::limits;
use crate::page::history::{points, Span, WORDS};
use crate::page::{Body, Cell, Chart, Fact, Lang, Sheet, Station, Tone};
use crate::sorted;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is kept for the curves.
#[derive(Clone, Copy, Debug)]
pub enum Series {
    /// Requests a second of all instances, tenths.
    Requests,
    /// Memory in use of all instances, KiB.
    Memory,
    /// Instances that answer.
    Answer,
}

/// How many series there are.
pub const SERIES: usize = 3;

/// What it is a page of.
pub struct About<'a> {
    /// Where the database is.
    pub place: &'a str,
    /// As whom it is asked.
    pub user: &'a str,
    /// Instances of a cluster are looked for.
    pub discover: bool,
    /// The curves, as they are kept; empty: there are none.
    pub history: &'a [u64],
    /// Of a program that serves; else of one that looks, of which nobody wants to know anything.
    pub service: bool,
}

/// What the page is made of.
pub struct Facts<'a> {
    /// Now, milliseconds since the epoch.
    pub now_ms: i64,
    /// Of what.
    pub of: About<'a>,
    /// What is seen of each instance.
    pub seen: &'a [Seen],
    /// The outlets.
    pub outlets: &'a [(String, Counts)],
    /// The own queries.
    pub queries: &'a [Told],
    /// When the program was started.
    pub started: SystemTime,
    /// Resident memory.
    pub memory: Option<u64>,
    /// What protects it.
    pub protection: Parts,
}

/// What is known of an instance.
pub struct Instance {
    name: String,
    state: String,
    tone: Tone,
    leader: Option<f64>,
    applied: Option<f64>,
    behind: Option<f64>,
    replication: Option<f64>,
    used: Option<f64>,
    quota: Option<f64>,
    connections: Option<f64>,
    requests: Option<f64>,
}

fn most(page: &Snapshot, name: &str) -> Option<f64> {
    let family = page.family(name)?;
    family
        .samples()
        .iter()
        .map(|s| s.value)
        .filter(|v| v.is_finite())
        .fold(None, |a, b| Some(a.map_or(b, |a: f64| a.max(b))))
}

/// States of all instances that this one knows: name, state.
fn states(page: &Snapshot) -> Vec<(String, String)> {
    let Some(family) = page.family("pico_instance_state") else { return Vec::new() };
    let held = family.samples().iter().filter(|s| s.value == 1.0);
    let pick =
        |s, name: &str| family.pairs(s).find(|(n, _)| *n == name).map(|(_, v)| v.into_owned()).unwrap_or_default();
    held.map(|s| (pick(s, "instance"), pick(s, "state"))).collect()
}

fn page_of(seen: &Seen) -> Option<&Snapshot> {
    Some(&seen.view.reading.as_ref()?.result.as_ref().ok()?.0.snapshot)
}

impl Instance {
    /// As it was read.
    pub fn of(seen: &Seen, place: &str) -> Instance {
        let label = seen.labels.iter().find(|(name, _)| name == "instance_name").map(|(_, text)| text.as_str());
        let page = page_of(seen);
        let number = |name: &str| most(page?, name);
        let own = page.and_then(|p| p.family("pico_raft_term")).and_then(|f| {
            let first = f.samples().first()?;
            f.pairs(first).find(|(n, _)| *n == "instance_name").map(|(_, v)| v.into_owned())
        });
        let name = label.map(String::from).or(own).unwrap_or_else(|| place.to_string());
        let state = page.and_then(|p| states(p).into_iter().find(|(n, _)| *n == name)).map(|(_, state)| state);
        let (state, tone) = match (seen.view.down(), state) {
            (Some(reason), _) => (reason.name().to_string(), Tone::Bad),
            (None, Some(state)) if state != "Online" => (state, Tone::Warn),
            (None, state) => {
                let tone = if seen.view.late { Tone::Warn } else { Tone::Good };
                (state.unwrap_or_else(|| "up".into()), tone)
            }
        };
        let applied = number("pico_raft_applied_index");
        Instance {
            name,
            state,
            tone,
            leader: number("pico_raft_leader_id"),
            applied,
            behind: applied.and_then(|a| Some((number("pico_raft_commit_index")? - a).max(0.0))),
            replication: number("tnt_replication_lag"),
            used: number("tnt_slab_arena_used"),
            quota: number("tnt_slab_quota_size"),
            connections: number("tnt_net_connections_current"),
            requests: page.and(seen.view.counts.load),
        }
    }

    /// How full its memory is, in percent.
    fn fill(&self) -> Option<u8> {
        let (used, quota) = (self.used?, self.quota.filter(|q| *q > 0.0)?);
        Some((used * 100.0 / quota).clamp(0.0, 100.0) as u8)
    }
}

/// What is to be noted for the curves; none: nobody answers.
pub fn noted(seen: &[Seen]) -> [u64; SERIES] {
    let all: Vec<Instance> = seen.iter().map(|s| Instance::of(s, "")).collect();
    let sum = |of: fn(&Instance) -> Option<f64>| all.iter().filter_map(of).sum::<f64>();
    let up = all.iter().filter(|i| i.tone != Tone::Bad).count();
    [(sum(|i| i.requests) * 10.0) as u64, (sum(|i| i.used) / 1024.0) as u64, up as u64]
}

struct Painter<'a> {
    f: &'a Facts<'a>,
    lang: Lang,
    /// The troubled first.
    all: Vec<Instance>,
    /// Of those that some instance knows, those that are not online.
    not_online: Vec<(String, String)>,
}

/// The page.
pub fn sheet(f: &Facts<'_>, lang: Lang) -> Sheet {
    let mut all: Vec<Instance> = f.seen.iter().map(|seen| Instance::of(seen, f.of.place)).collect();
    sorted::by(&mut all, |a, b| (b.tone, &a.name) < (a.tone, &b.name));
    let known = f.seen.iter().filter_map(page_of).map(states).find(|all| !all.is_empty()).unwrap_or_default();
    let not_online = known.into_iter().filter(|(_, state)| state != "Online" && state != "Expelled").collect();
    let p = Painter { f, lang, all, not_online };
    let t = |en, ru| lang.of(en, ru);
    let mut sheet = Sheet {
        lang,
        program: "gostech-metrics",
        about: format!("{} {}", env!("CARGO_PKG_VERSION"), f.of.place),
        verdict: p.verdict(),
        now_ms: f.now_ms,
        sections: Vec::new(),
        links: &["metrics", "json", "graphite", "varz", "-/healthy", "-/ready"],
    };
    sheet.add(t("Last errors", "Последние ошибки"), Body::Lines(p.errors()));
    sheet.add(t("The way of a number", "Путь числа"), Body::Way(p.way()));
    sheet.add(t("Database", "СУБД"), Body::Facts(p.figures()));
    if !f.of.history.is_empty() {
        sheet.add(t("What was", "Что было"), Body::Charts(p.charts()));
    }
    sheet.add(t("Instances", "Инстансы"), p.instances());
    sheet.add(t("Own queries", "Свои запросы"), p.queries());
    if f.of.service {
        sheet.add(t("Protection", "Защита"), Body::Lines(Cell::protections(lang, f.protection)));
    }
    sheet
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

impl Painter<'_> {
    fn t(&self, en: &'static str, ru: &'static str) -> &'static str {
        self.lang.of(en, ru)
    }

    fn or_dash(&self, value: Option<f64>, shown: impl Fn(f64) -> String) -> Cell {
        Cell::number(value.map_or_else(|| "—".into(), shown))
    }

    fn count(&self, value: Option<f64>) -> Cell {
        self.or_dash(value, |n| self.lang.count(n.max(0.0) as u64))
    }

    fn seconds(&self, value: Option<f64>) -> Cell {
        self.or_dash(value, |s| self.lang.lasting((s * 1000.0) as i64))
    }

    fn sum(&self, of: fn(&Instance) -> Option<f64>) -> Option<f64> {
        let all: Vec<f64> = self.all.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().sum())
    }

    fn most(&self, of: fn(&Instance) -> Option<f64>) -> Option<f64> {
        self.all.iter().filter_map(of).fold(None, |a, b| Some(a.map_or(b, |a: f64| a.max(b))))
    }

    fn answering(&self) -> usize {
        self.all.iter().filter(|i| i.tone != Tone::Bad).count()
    }

    /// How far an instance is behind the one that is first, or behind what was agreed on.
    fn lag(&self, i: &Instance) -> Option<f64> {
        let first = self.most(|i| i.applied)?;
        Some((first - i.applied?).max(i.behind.unwrap_or(0.0)))
    }

    /// How long ago the oldest reading was that stands for one that has not come in time.
    fn age(&self) -> Option<String> {
        let late = self.f.seen.iter().filter(|s| s.view.late).filter_map(|s| s.view.reading.as_ref());
        Some(self.lang.ago(self.f.now_ms, late.map(|r| r.wall_ms).min()?))
    }

    fn verdict(&self) -> Cell {
        let (up, all) = (self.answering(), self.all.len());
        let silent = self.all.iter().find(|i| i.tone == Tone::Bad);
        let (words, tone) = match silent {
            _ if self.f.seen.iter().all(|s| s.view.reading.is_none()) => {
                (self.t("The database has not answered yet", "СУБД ещё не ответила").into(), Tone::Warn)
            }
            None if self.age().is_some() => {
                let within = self.lang.lasting(limits::PAGE_WAIT_SECONDS as i64 * 1000);
                let (no, old) = (
                    self.t("No answer within", "Нет ответа за"),
                    self.t("what follows is of", "далее — данные, полученные"),
                );
                (format!("{no} {within}; {old} {}", self.age().unwrap_or_default()), Tone::Warn)
            }
            Some(i) if up == 0 => {
                (format!("{}: {}", self.t("The database does not answer", "СУБД не отвечает"), i.state), Tone::Bad)
            }
            Some(i) => (
                format!("{} ({}: {up}/{all})", self.t("An instance does not answer", "Инстанс не отвечает"), i.name),
                Tone::Bad,
            ),
            None if self.most(|i| i.leader) == Some(0.0) => {
                (self.t("No raft leader", "Нет лидера raft").into(), Tone::Bad)
            }
            None => match self.not_online.first() {
                Some((name, state)) => (
                    format!("{} {name}: {state}", self.t("An instance is not online:", "Инстанс не в работе:")),
                    Tone::Warn,
                ),
                None if all > 1 => {
                    (format!("{} ({all})", self.t("All instances answer", "Все инстансы отвечают")), Tone::Good)
                }
                None => (self.t("The database answers", "СУБД отвечает").into(), Tone::Good),
            },
        };
        Cell::text(words).tone(tone)
    }

    /// The newest trouble of each instance, and what the outlets did not take.
    fn errors(&self) -> Vec<Cell> {
        let mut all: Vec<(i64, bool, String)> = Vec::new();
        for seen in self.f.seen {
            if let Some((at, words)) = &seen.view.counts.last {
                let name = seen.labels.first().map_or(String::new(), |(_, name)| format!("{name}: "));
                all.push((millis(*at), seen.view.down().is_some(), format!("{name}{words}")));
            }
        }
        sorted::by(&mut all, |a, b| a.0 > b.0);
        let line = |(at, now, words): (i64, bool, String)| {
            let tone = if now { Tone::Bad } else { Tone::Plain };
            Cell::text(format!("{}: {words}", self.lang.ago(self.f.now_ms, at))).tone(tone)
        };
        all.into_iter().take(limits::PAGE_ROWS).map(line).collect()
    }

    fn way(&self) -> Vec<Vec<Station>> {
        let mut takers = vec![Station {
            name: "/metrics".into(),
            tone: Tone::Good,
            facts: Vec::new(),
            said: self.t("for Prometheus and whoever asks", "для Prometheus и всех, кто спросит").into(),
        }];
        takers.extend(self.f.outlets.iter().take(limits::PAGE_ROWS).map(|(name, counts)| self.outlet(name, counts)));
        if !self.f.of.service {
            return vec![vec![self.database()]];
        }
        vec![vec![self.database()], vec![self.helper()], takers]
    }

    fn database(&self) -> Station {
        let (mut good, mut failed) = (0, 0);
        for seen in self.f.seen {
            good += seen.view.counts.good;
            failed += seen.view.counts.failed;
        }
        let first = self.f.seen.iter().find_map(|s| s.view.reading.as_ref());
        let grade = first.and_then(|r| r.result.as_ref().ok()).map_or("—", |(_, grade)| grade.name());
        let asked = first.map_or("—".into(), |r| self.lang.ago(self.f.now_ms, r.wall_ms));
        let took = first.map(|r| r.took.as_secs_f64());
        let version = self.f.seen.iter().find_map(|s| s.view.counts.database.clone()).map_or("—".into(), |d| d.0);
        let failed_cell = Cell::number(self.lang.count(failed)).tone(Tone::Warn.when(failed > 0));
        let facts = vec![
            (self.t("answer", "отвечают"), Cell::number(format!("{}/{}", self.answering(), self.all.len()))),
            (self.t("asked", "опрос"), Cell::number(asked).tone(Tone::Warn.when(self.age().is_some()))),
            (self.t("took", "длился"), self.seconds(took)),
            (self.t("source", "источник"), Cell::number(grade)),
            ("Tarantool", Cell::number(version)),
            (self.t("polls", "опросов"), Cell::number(self.lang.count(good))),
            (self.t("failed", "неудачных"), failed_cell),
        ];
        let tone = self.all.iter().map(|i| i.tone).max().unwrap_or(Tone::Warn);
        let said = format!("{} {}", self.t("as user", "пользователь"), self.f.of.user);
        Station { name: self.f.of.place.to_string(), tone, facts, said }
    }

    fn helper(&self) -> Station {
        let series: usize = self.f.seen.iter().filter_map(page_of).map(Snapshot::series).sum();
        let refused = self.f.seen.iter().any(|s| s.view.counts.refused_configuration);
        let running = self.lang.lasting(self.f.now_ms - millis(self.f.started));
        let mut facts = vec![
            (self.t("series", "рядов"), Cell::number(self.lang.count(series as u64))),
            (self.t("memory", "память"), self.or_dash(self.f.memory.map(|m| m as f64), |m| self.lang.size(m as u64))),
            (self.t("runs for", "работает"), Cell::number(running)),
        ];
        if refused {
            let words = self.t("refused; the old one is in force", "отклонена; действует прежняя");
            facts.push((self.t("configuration", "конфигурация"), Cell::text(words).tone(Tone::Warn)));
        }
        let tone = if refused { Tone::Warn } else { Tone::Good };
        Station { name: "gostech-metrics".into(), tone, facts, said: String::new() }
    }

    fn outlet(&self, name: &str, c: &Counts) -> Station {
        let failures: u64 = c.failures.iter().map(|(_, n)| n).sum();
        let last = c.last.map_or(0, |s| (s * 1000.0) as i64);
        let mut facts = vec![
            (self.t("pages taken", "страниц взято"), Cell::number(self.lang.count(c.taken))),
            (self.t("waiting", "ждёт"), Cell::number(self.lang.count(c.waiting as u64))),
            (self.t("last", "последняя"), Cell::number(self.lang.ago(self.f.now_ms, last))),
        ];
        for (name, tally, tone) in [
            (self.t("failed tries", "неудачных попыток"), &c.failures, Tone::Plain),
            (self.t("never sent", "не отправлено"), &c.dropped, Tone::Warn),
        ] {
            if tally.iter().next().is_some() {
                let reasons: Vec<String> = tally.iter().map(|(why, n)| format!("{why} {n}")).collect();
                facts.push((name, Cell::text(reasons.join(", ")).tone(tone)));
            }
        }
        let stuck = c.waiting > 1 || c.taken == 0 && failures > 0;
        Station { name: name.into(), tone: if stuck { Tone::Warn } else { Tone::Good }, facts, said: String::new() }
    }

    fn figures(&self) -> Vec<Fact> {
        let leader = self.most(|i| i.leader);
        let none = leader == Some(0.0);
        let leader = if none { Cell::text(self.t("none", "нет")).tone(Tone::Bad) } else { self.count(leader) };
        let lag = self.all.iter().filter_map(|i| self.lag(i)).fold(None, |a, b| Some(a.map_or(b, |a: f64| a.max(b))));
        let fill = self.all.iter().filter_map(Instance::fill).max();
        let memory = Cell { percent: fill, ..self.or_dash(self.sum(|i| i.used), |n| self.lang.size(n as u64)) };
        vec![
            (
                self.t("instances that answer", "инстансов отвечает"),
                Cell::number(format!("{}/{}", self.answering(), self.all.len())),
            ),
            (
                self.t("not online", "не в работе"),
                self.count(Some(self.not_online.len() as f64)).tone(Tone::Warn.when(!self.not_online.is_empty())),
            ),
            (self.t("raft leader (its id)", "лидер raft (id)"), leader),
            (self.t("raft lag, entries", "отставание raft, записей"), self.count(lag)),
            (self.t("replication lag", "отставание репликации"), self.seconds(self.most(|i| i.replication))),
            (self.t("memory in use", "занято памяти"), memory),
            (self.t("requests", "запросы"), self.or_dash(self.sum(|i| i.requests), |n| self.lang.rate(n))),
            (self.t("connections", "соединения"), self.count(self.sum(|i| i.connections))),
        ]
    }

    fn charts(&self) -> Vec<Chart> {
        let mut charts = Vec::new();
        for (span, time) in [(Span::Short, self.t("15 min", "15 мин")), (Span::Long, self.t("24 h", "24 ч"))] {
            for (series, name) in [
                (Series::Requests, self.t("requests", "запросы")),
                (Series::Memory, self.t("memory in use", "занято памяти")),
                (Series::Answer, self.t("instances that answer", "инстансов отвечает")),
            ] {
                let words =
                    self.f.of.history.get(series as usize * WORDS..(series as usize + 1) * WORDS).unwrap_or_default();
                let shown: fn(Lang, f64) -> String = match series {
                    Series::Requests => |l, n| l.rate(n / 10.0),
                    Series::Memory => |l, n| l.size(n as u64 * 1024),
                    Series::Answer => |l, n| l.count(n as u64),
                };
                charts.push(Chart::of(
                    self.lang,
                    format!("{name}, {time}:"),
                    points(words, span, self.f.now_ms),
                    shown,
                ));
            }
        }
        charts
    }

    fn instances(&self) -> Body {
        let head = vec![
            self.t("instance", "инстанс"),
            self.t("state", "состояние"),
            self.t("leader", "лидер"),
            self.t("lag", "отставание"),
            self.t("memory", "память"),
            self.t("requests", "запросы"),
        ];
        if !self.f.of.discover {
            // The one that is asked stands above; of the others it is known how they stand.
            let rows = self.not_online.iter().take(limits::PAGE_ROWS);
            return Body::Table(
                head[..2].to_vec(),
                rows.map(|(n, s)| vec![Cell::text(n), Cell::text(s).tone(Tone::Warn)]).collect(),
            );
        }
        let row = |i: &Instance| {
            let memory = Cell { percent: i.fill(), ..self.or_dash(i.used, |n| self.lang.size(n as u64)) };
            vec![
                Cell::text(&i.name),
                Cell::text(&i.state).tone(i.tone),
                self.count(i.leader),
                self.count(self.lag(i)),
                memory,
                self.or_dash(i.requests, |n| self.lang.rate(n)),
            ]
        };
        let mut rows: Vec<_> = self.all.iter().take(limits::PAGE_INSTANCES).map(row).collect();
        let rest = self.all.len() - rows.len();
        if rest > 0 {
            rows.push(vec![Cell::text(format!("… {}: {rest}", self.t("others", "ещё")))]);
        }
        Body::Table(head, rows)
    }

    fn queries(&self) -> Body {
        let head = vec![
            self.t("query", "запрос"),
            self.t("rows", "строк"),
            self.t("took", "длился"),
            self.t("last", "последний"),
            self.t("failures", "ошибки"),
        ];
        let row = |q: &Told| {
            let last = q.last.map_or(0, |s| (s * 1000.0) as i64);
            let failures: Vec<String> = q.failures.iter().map(|(why, n)| format!("{why} {n}")).collect();
            let tone = if q.brought.is_some() { Tone::Good } else { Tone::Warn };
            vec![
                Cell::text(&q.name).tone(tone),
                self.count(Some(q.rows as f64)),
                self.seconds(Some(q.took)),
                Cell::number(self.lang.ago(self.f.now_ms, last)),
                Cell::text(failures.join(", ")),
            ]
        };
        Body::Table(head, self.f.queries.iter().take(limits::PAGE_ROWS).map(row).collect())
    }
}

#[cfg(test)]
mod tests;
