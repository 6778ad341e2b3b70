//! The pages of the audit helper: `/metrics`, and the status page for people.
//!
//! Numbers are taken at one moment, so that for each receiver read + own = delivered + quarantined + dropped + filtered +
//! in spool. Refuses: secrets (there are none in what it is given), to count anything itself.

use crate::audit::alarm::{self, diary};
use crate::audit::intake::reader::Cushion;
use crate::audit::intake::source::COUNTS;
use crate::audit::options::in_force::{self, Setting};
use crate::audit::options::Options;
use crate::audit::process::certificates::Certificates;
use crate::audit::process::pace::Pace;
use crate::audit::process::{history, overview};
use crate::audit::record::account::Account;
use crate::audit::spool::moment::{Around, Moment, Standing};
use crate::audit::spool::orphans::Orphans;
use crate::audit::spool::Spool;
use crate::net::page::{Page, PageRequest};
use crate::net::porch::{self, PorchOptions};
use crate::page::answer;
use crate::sys::clock::wall_ms;
use crate::sys::ring::Word;
use crate::{sorted, words};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// What the pages are made of, and what the running helper tells `status`.
pub struct Source {
    spool: Arc<Spool>,
    cushion: Arc<Cushion>,
    orphans: Arc<Orphans>,
    begin_ms: i64,
    certificates: Arc<Certificates>,
    in_force: Vec<Setting>,
    pace: Pace,
}

/// What is opened of them before the cage closes.
pub fn ahead(options: &Options) -> porch::Prepared {
    porch::Prepared::open(options.metrics_addr.as_slice())
}

/// Serves them, if they are asked for, until the end of the process.
pub fn start(options: &Options, ahead: porch::Prepared, source: Arc<Source>) -> Option<porch::Porch> {
    let address = options.metrics_addr.clone()?;
    let handler: porch::Handler = Arc::new(move |request: &PageRequest| source.answer(request));
    let street = PorchOptions { addresses: vec![address], prepared: ahead, ..PorchOptions::default() };
    Some(porch::start(street, handler))
}

impl Source {
    /// Of this spool; `orphans`: what is wrong in those that were adopted.
    pub fn new(
        spool: Arc<Spool>,
        cushion: Arc<Cushion>,
        orphans: Arc<Orphans>,
        certificates: Arc<Certificates>,
        in_force: Vec<Setting>,
    ) -> Source {
        Source { spool, cushion, orphans, begin_ms: wall_ms(), certificates, in_force, pace: Pace::default() }
    }

    /// All of it as it is now.
    pub fn moment(&self) -> Moment {
        let mut moment = self.spool.moment(wall_ms(), self.cushion.held());
        moment.wrong.extend(self.orphans.troubles.standing());
        sorted::by_key(&mut moment.wrong, |a| a.kind);
        moment.in_force = in_force::rows(&self.in_force);
        moment.input = self.cushion.input();
        let count = |w| self.cushion.ring.word(w).load(Ordering::Relaxed);
        moment.around = self.around(&moment.receivers);
        moment.happened = COUNTS.iter().map(|(word, name, _)| ((*name).to_string(), count(*word))).collect();
        moment
    }

    fn around(&self, receivers: &[Standing]) -> Around {
        let ring = &self.cushion.ring;
        let identity = &self.spool.settings.identity;
        let of = [identity.cluster.as_str(), identity.instance.as_str()];
        Around {
            place: self.spool.place(),
            of: of.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("/"),
            begin_ms: self.begin_ms,
            restarts: ring.word(Word::Restarts).load(Ordering::Relaxed),
            protections: crate::guard::in_force().iter().map(|(kind, on)| ((*kind).to_string(), *on)).collect(),
            stranded: self.orphans.stranded(),
            rates: self.pace.rates(receivers),
            history: history::words(ring),
            alarms: diary::all(ring),
        }
    }

    /// Takes note of how it stands, from time to time. Whoever calls it looks after the worker: it waits for nobody, and comes
    /// again.
    pub fn note(&self) {
        if !self.pace.is_due() {
            return;
        }
        let Some((account, receivers, _)) = self.spool.glance() else { return };
        // Of all: one that leaves and comes again would be a leap of all it has ever taken.
        let taken = receivers.iter().map(|r| r.cursor.delivered).sum();
        let live = receivers.iter().filter(|r| r.live);
        let waiting = live.map(|r| (account.seq + 1).saturating_sub(r.cursor.next)).max().unwrap_or(0);
        history::note(&self.cushion.ring, wall_ms(), account.counters.read, taken, waiting);
        self.pace.note(receivers.iter().map(|r| (r.name.clone(), r.cursor.delivered)).collect());
    }

    /// The same for whoever reaches the page. (`status` asks by a socket that is its owner's alone.)
    fn public_moment(&self) -> Moment {
        let mut moment = self.moment();
        let texts = moment.wrong.iter_mut().map(|a| &mut a.text);
        let texts = texts.chain(moment.in_force.iter_mut().map(|row| &mut row.value));
        for text in texts.chain(moment.receivers.iter_mut().map(|r| &mut r.cursor.last_answer)) {
            *text = words::without_paths(text);
        }
        moment
    }

    fn answer(&self, request: &PageRequest) -> Page {
        match request.path.as_str() {
            "/metrics" => {
                let content_type = "text/plain; version=0.0.4; charset=utf-8".to_string();
                Page { status: 200, content_type, headers: Vec::new(), body: self.metrics().into_bytes() }
            }
            "/" => answer::page(request, &overview::sheet(&self.public_moment(), answer::lang(request))),
            "/-/healthy" => Page::text(200, "the worker lives"),
            "/-/ready" => {
                let moment = self.public_moment();
                let wrong = moment.sentences().join("\n");
                match (moment.is_ready(), wrong.is_empty()) {
                    (true, true) => Page::text(200, "ready"),
                    (true, false) => Page::text(200, format!("{wrong}\nready")),
                    (false, _) => Page::text(503, format!("{wrong}\nnot ready")),
                }
            }
            _ => Page::text(404, "there are /, /metrics, /-/healthy and /-/ready"),
        }
    }

    fn metrics(&self) -> String {
        let moment = self.moment();
        let (account, receivers) = (&moment.account, &moment.receivers);
        let mut p = Text::default();
        let c = &account.counters;
        p.one("read_total", "counter", "Records read from standard input.", c.read as f64);
        p.one("own_total", "counter", "Events of the helper's own (audit_gap).", c.own as f64);
        receivers_part(&mut p, account, receivers, moment.now_ms);
        sizes_part(&mut p, &moment);
        source_part(&mut p, &moment);
        seal_part(&mut p, &moment);
        self.others_part(&mut p);
        wrong_part(&mut p, &moment);
        p.one("gaps_total", "counter", "Gaps found in the numbers of the database's events.", c.gaps as f64);
        p.one("repeats_total", "counter", "Events that the database wrote twice.", c.repeats as f64);
        p.one("reordered_total", "counter", "Events that came out of order.", c.late as f64);
        p.one("truncated_total", "counter", "Events that came cut.", c.truncated as f64);
        p.one("unparsed_total", "counter", "Lines that were no JSON objects.", c.unparsed as f64);
        p.one("damaged_total", "counter", "Events that damage of the spool's disk has cost.", c.damaged as f64);
        self.process_part(&mut p);
        p.family(
            "title_total",
            "counter",
            "Events read, by title and severity; at most 200 titles, the rest is other.",
        );
        for ((title, severity), n) in account.titles.iter() {
            p.sample("title_total", &[("title", title), ("severity", severity.name())], *n as f64);
        }
        p.out
    }

    fn others_part(&self, p: &mut Text) {
        let help = "Undelivered events in a spool beside ours that belongs to another helper, which does not run.";
        p.family("stranded_events", "gauge", help);
        for (spool, events) in self.orphans.stranded() {
            p.sample("stranded_events", &[("spool", &spool)], events as f64);
        }
    }

    fn process_part(&self, p: &mut Text) {
        let word = |w| self.cushion.ring.word(w).load(Ordering::Relaxed);
        p.one(
            "worker_restarts_total",
            "counter",
            "How often the worker died and was started again.",
            word(Word::Restarts) as f64,
        );
        let waited = word(Word::Waited) as f64 / 1e6;
        p.one("stdin_wait_seconds_total", "counter", "Time in which input was there and could not be taken.", waited);
        let refused = word(Word::Refused) as f64;
        p.one("refused_calls_total", "counter", "Forbidden system calls that the worker tried.", refused);
        p.family("protection", "gauge", "What restricts the worker: 1 when it is in force.");
        for (kind, on) in crate::guard::in_force() {
            p.sample("protection", &[("kind", kind)], f64::from(u8::from(on)));
        }
        p.family(
            "certificate_not_after_timestamp_seconds",
            "gauge",
            "When a certificate ends: of several in a file the first, of authorities the last.",
        );
        for (file, end) in self.certificates.ends() {
            p.sample("certificate_not_after_timestamp_seconds", &[("file", &file)], end as f64);
        }
        p.family("build_info", "gauge", "The program.");
        p.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        p.one("start_timestamp_seconds", "gauge", "When this worker began.", self.begin_ms as f64 / 1000.0);
    }
}

fn receivers_part(p: &mut Text, account: &Account, receivers: &[Standing], now: i64) {
    p.family("events_total", "counter", "What became of the events, by receiver.");
    for r in receivers {
        let (c, name) = (&r.cursor, r.name.as_str());
        let dropped = c.dropped + account.counters.dropped;
        let states = [
            ("delivered", c.delivered),
            ("quarantined", c.quarantined),
            ("dropped", dropped),
            ("filtered", c.filtered),
        ];
        for (state, n) in states {
            p.sample("events_total", &[("receiver", name), ("state", state)], n as f64);
        }
    }
    p.family("spool_events", "gauge", "Events that wait for a receiver.");
    for r in receivers {
        let waiting = r.waiting(account.seq + 1);
        p.sample("spool_events", &[("receiver", &r.name)], waiting as f64);
    }
    p.family(
        "oldest_undelivered_seconds",
        "gauge",
        "Age of the oldest event that waits for a receiver; 0 when none does.",
    );
    for r in receivers {
        let age = r.oldest_ms.map_or(0, |ms| (now - ms).max(0));
        p.sample("oldest_undelivered_seconds", &[("receiver", &r.name)], age as f64 / 1000.0);
    }
    p.family("last_delivery_timestamp_seconds", "gauge", "When a receiver last took events; 0: never.");
    for r in receivers {
        p.sample("last_delivery_timestamp_seconds", &[("receiver", &r.name)], r.cursor.last_ok_ms as f64 / 1000.0);
    }
    p.family("retries_total", "counter", "Deliveries that failed and were tried again, by reason.");
    for r in receivers {
        for reason in ["status", "timeout", "connect", "tls", "dns", "closed"] {
            let n = r.cursor.retries.get(reason).copied().unwrap_or(0);
            p.sample("retries_total", &[("receiver", &r.name), ("reason", reason)], n as f64);
        }
        for (reason, n) in r.cursor.retries.iter().filter(|(k, _)| *k == "secret") {
            p.sample("retries_total", &[("receiver", &r.name), ("reason", reason)], *n as f64);
        }
    }
}

fn sizes_part(p: &mut Text, m: &Moment) {
    let s = &m.bytes;
    p.one("spool_bytes", "gauge", "Bytes of the spool that somebody still needs.", s.live as f64);
    p.one("spool_max_bytes", "gauge", "How large the spool may become.", s.max as f64);
    p.one("retained_bytes", "gauge", "Bytes of delivered events kept for replay.", s.retained as f64);
    let (segments, size, before) = s.packed;
    p.one("packed_segments", "gauge", "Segments of the spool that are packed.", segments as f64);
    p.one("packed_bytes", "gauge", "Bytes of the packed segments.", size as f64);
    p.one("packed_plain_bytes", "gauge", "Bytes of the packed segments before they were packed.", before as f64);
    p.one(
        "memory_spool_bytes",
        "gauge",
        "Bytes of the spool that lie in memory because the disk fails.",
        s.in_memory as f64,
    );
    let failing = f64::from(u8::from(m.disk_bad.is_some()));
    p.one("disk_failing", "gauge", "1 while the spool's disk is not written to.", failing);
    p.one("cushion_bytes", "gauge", "Bytes read and not yet in the spool.", s.cushion as f64);
    p.one("set_aside_files", "gauge", "Files of damaged bytes that were set aside.", m.set_aside as f64);
}

fn source_part(p: &mut Text, m: &Moment) {
    for ((name, n), (.., help)) in m.happened.iter().zip(COUNTS) {
        p.one(&format!("source_{name}_total"), "counter", help, *n as f64);
    }
    let Some(i) = &m.input else { return };
    let age = i.oldest_ms.map_or(0, |ms| (m.now_ms - ms).max(0)) as f64 / 1000.0;
    let readable = f64::from(u8::from(i.wrong.is_none()));
    for (name, help, value) in [
        ("source_offset_bytes", "How far the file at hand is read.", i.offset as f64),
        ("source_behind_bytes", "Bytes that are there and not read.", i.behind as f64),
        ("source_oldest_unread_seconds", "Age of the oldest of them; 0 when there are none.", age),
        ("source_readable", "1 while the source can be read.", readable),
    ] {
        p.family(name, "gauge", help);
        p.sample(name, &[("source", &i.at)], value);
    }
}

fn seal_part(p: &mut Text, m: &Moment) {
    let Some(s) = &m.sealed else { return };
    let seconds = |ms: i64| ms as f64 / 1000.0;
    p.one("seal_records", "gauge", "Records of the stream at hand that are sealed.", s.size as f64);
    p.one("seal_open_records", "gauge", "Records in the spool that are not sealed yet.", s.open as f64);
    p.one("seal_checkpoints", "gauge", "The number of the last checkpoint.", s.number as f64);
    let help = "When the last checkpoint was signed; 0: never.";
    p.one("seal_last_checkpoint_timestamp_seconds", "gauge", help, seconds(s.signed_ms));
    let help = "When the key that signs was made; 0: it cannot be read.";
    p.one("seal_key_created_timestamp_seconds", "gauge", help, seconds(s.key_ms));
    p.one("seal_failures_total", "counter", "Checkpoints that could not be signed or kept.", s.failures as f64);
}

/// The alarms that last, in the words of `--on-alarm` and `status`.
fn wrong_part(p: &mut Text, m: &Moment) {
    p.family("alarms", "gauge", "What is wrong now, by the id of the alarm: of how many things.");
    for row in alarm::ROWS.iter().filter(|r| r.lasts) {
        let n = m.wrong.iter().filter(|a| a.kind == row.kind).count();
        p.sample("alarms", &[("id", row.id), ("gravity", row.gravity.name())], n as f64);
    }
    let waits = m.wrong.iter().any(|a| a.kind == alarm::AlarmKind::DatabaseWaits);
    p.one(
        "database_waits",
        "gauge",
        "1 while the database stands still because nothing is read.",
        f64::from(u8::from(waits)),
    );
}

/// Prometheus text.
#[derive(Default)]
struct Text {
    out: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.out, "# HELP gostech_audit_{name} {help}\n# TYPE gostech_audit_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.out, "gostech_audit_{name}");
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.out, "{}{label}=\"{text}\"", if i == 0 { "{" } else { "," });
        }
        let _ = writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::options::table::PROGRAM;
    use crate::audit::spool::memory_disk::MemoryDisk;
    use crate::audit::spool::record::Identity;
    use crate::audit::spool::{Full, Settings};
    use crate::flags::{self, Outcome};
    use crate::sys::ring::Ring;
    use std::ffi::OsString;
    use std::thread;
    use std::time::{Duration, Instant};

    fn memory() -> Arc<MemoryDisk> {
        Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap())
    }

    fn spool(disk: &Arc<MemoryDisk>, receivers: &[&str]) -> Arc<Spool> {
        let settings = Settings {
            max: 1 << 20,
            full: Full::DropOldest,
            retain_ms: 3_600_000,
            memory_max: 1 << 20,
            identity: Identity::default(),
            receivers: receivers.iter().map(|name| ((*name).to_string(), false)).collect(),
            owner: None,
            sealing: None,
        };
        Arc::new(Spool::open(disk.clone(), memory(), settings, None, 0).unwrap())
    }

    fn source(spool: &Arc<Spool>, ring: &Arc<Ring>) -> Source {
        let cushion = Arc::new(Cushion::new(ring.clone(), false));
        let args = ["--url", "http://a", "--no-config"].map(OsString::from);
        let Ok(Outcome::Run(parsed)) = flags::parse(&PROGRAM, &args, &[], &|_| unreachable!()) else {
            panic!("options")
        };
        let certificates = Arc::new(Certificates::of(&Options::read(&parsed, &[], true).unwrap()));
        Source::new(spool.clone(), cushion, Arc::default(), certificates, Vec::new())
    }

    #[test]
    fn who_looks_after_the_worker_waits_for_no_lock() {
        let (spool, ring) = (spool(&memory(), &["r1"]), Arc::new(Ring::create(1, 1).unwrap()));
        let source = Arc::new(source(&spool, &ring));
        let noted = || history::words(&ring).iter().any(|w| *w != 0);
        // As `drop-oldest` does while it reads the segment that goes.
        let held = spool.account();
        let looks = source.clone();
        let looking = thread::spawn(move || looks.note());
        let end = Instant::now() + Duration::from_secs(20);
        while !looking.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(looking.is_finished() && !noted());
        drop(held);
        source.note();
        assert!(noted(), "it comes again at once");
    }

    #[test]
    fn a_receiver_that_leaves_and_comes_again_is_no_burst() {
        let (disk, ring) = (memory(), Arc::new(Ring::create(1, 1).unwrap()));
        for receivers in [&["r1", "r2"][..], &["r1"], &["r1", "r2"]] {
            let spool = spool(&disk, receivers);
            let _ = spool.change("r2", &mut |c| c.delivered = 10_000_000);
            spool.save_cursors();
            source(&spool, &ring).note();
            let words = history::words(&ring);
            let taken = history::of(&words, history::Series::Taken);
            let taken = taken.iter().find(|w| **w != 0).unwrap() & ((1 << 40) - 1);
            assert_eq!(taken, 10_000_000, "{receivers:?}");
        }
    }
}
