//! The whole thing on one machine, with nothing else installed: `cargo run --release --example demo [-- --seconds N]`.
//!
//! ```text
//! stand-in for Picodata ──pipe──▶ gostech-audit-log ──HTTP──▶ collector, stopped for a while
//!                       ──iproto─▶ gostech-metrics ──▶ /metrics
//! ```
//!
//! Both helpers are the real programs: this file runs as either of them when it is called by that name. Only loopback,
//! only ports of the system's choice, everything in one scratch directory. Refuses: to call anything well that is not.

mod collector;
mod database;
mod programs;

use collector::Collector;
use database::AuditLog;
use gostech::sys::pipe;
use gostech::sys::signal::{self, Signals};
use programs::{Program, Scratch};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The acts: all is well, the collector is down, it is back, the worker is killed.
const WELL: Duration = Duration::from_secs(3);
const DOWN: Duration = Duration::from_secs(5);
/// At most: the helper's longest pause between two tries is 30 s.
const BACK: Duration = Duration::from_secs(35);
/// So few events are on their way at any time: `--linger 200ms` of them.
const NEARLY: u64 = 150;
const KILLED: Duration = Duration::from_secs(3);
/// Afterwards one line so often.
const LATER: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|n| n.to_str()) {
        // Both programs are this file, by another name.
        Some("gostech-audit-log") => return gostech::audit::main(),
        Some("gostech-metrics") => return gostech::metrics::main(),
        _ => {}
    }
    let seconds = match arguments() {
        Ok(seconds) => seconds,
        Err(usage) => {
            say(&usage);
            return ExitCode::from(2);
        }
    };
    match play(seconds) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            say(&format!("demo: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// `--seconds N`, if it is there.
fn arguments() -> Result<Option<u64>, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = || "usage: cargo run --release --example demo [-- --seconds N]".to_string();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        ["--seconds", n] => n.parse().map(Some).map_err(|_| usage()),
        _ => Err(usage()),
    }
}

/// One line; a reader that has gone away is no error.
pub fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

struct Stage {
    began: Instant,
    signals: Signals,
    collector: Collector,
    log: AuditLog,
    audit: Program,
    metrics: Program,
    pages: [SocketAddr; 2],
    /// Ctrl-C has come.
    over: bool,
    // The last to be dropped: the programs above have their spool in it.
    _scratch: Scratch,
}

fn play(seconds: Option<u64>) -> io::Result<bool> {
    // Before any thread is there, so that all have these signals blocked.
    let signals = Signals::take(&[signal::SIGINT, signal::SIGTERM, signal::SIGHUP])?;
    let mut stage = set_up(signals)?;
    stage.story()?;
    stage.addresses(seconds);
    let end = seconds.map(|n| stage.began + Duration::from_secs(n));
    while !stage.over && end.is_none_or(|t| t > Instant::now()) {
        let left = end.map_or(LATER, |t| t.saturating_duration_since(Instant::now()));
        stage.wait(left.min(LATER));
        stage.line("");
    }
    stage.finish()
}

/// Starts everything.
fn set_up(signals: Signals) -> io::Result<Stage> {
    let scratch = Scratch::make()?;
    let collector = Collector::start()?;
    let iproto = database::serve_iproto();
    let pages = [programs::free_port()?, programs::free_port()?].map(|p| SocketAddr::from(([127, 0, 0, 1], p)));
    let url = format!("http://{}", collector.address);
    let audit = format!("gostech-audit-log --url {url}");
    let metrics = format!(
        "gostech-metrics --host localhost --port {} --username pico_service --password '{}' --addr localhost:{}",
        iproto.port(),
        database::PASSWORD,
        pages[0].port(),
    );
    say(&format!("picodata run --audit='| {audit}'   (the database is a stand-in)"));
    say(&format!("{metrics}\n"));
    // Besides the words of the documents: the pages of the audit helper, a spool in the scratch directory, no
    // configuration of this machine, and `exec`, so that the keeper is our own child.
    let more = "--metrics-addr 127.0.0.1";
    let spool = scratch.path().join("spool");
    let audit = format!("exec {audit} --no-config {more}:{} --spool-dir '{}'", pages[1].port(), spool.display());
    let (audit, pipe) = Program::behind_a_pipe(&scratch, &audit)?;
    let metrics = Program::start(&scratch, &format!("{metrics} --no-config"))?;
    let log = AuditLog::start(pipe);
    let began = Instant::now();
    Ok(Stage { began, signals, collector, log, audit, metrics, pages, over: false, _scratch: scratch })
}

impl Stage {
    /// Waits, but not beyond Ctrl-C.
    fn wait(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while !self.over {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let _ = pipe::wait([self.signals.as_fd()], Some(left));
            self.over = self.signals.next().is_some();
        }
    }

    /// Where things stand.
    fn line(&self, what: &str) {
        let written = self.log.written();
        let ledger = self.collector.ledger();
        let waiting = written.saturating_sub(ledger.unique());
        let figures = format!(
            "{:6.1} s  written {written:6}  arrived {:6}  waiting {waiting:5}",
            self.began.elapsed().as_secs_f64(),
            ledger.unique(),
        );
        say(format!("{figures}  {what}").trim_end());
    }

    /// What can go wrong, one after the other.
    fn story(&mut self) -> io::Result<()> {
        self.wait(WELL);
        self.line("all is well");
        self.collector.stop();
        self.line("the collector is stopped");
        self.wait(DOWN);
        self.line("it is still down; events wait on disk, the database does not");
        self.collector.restart()?;
        self.line("the collector is started again");
        self.caught_up();
        self.line("it has what waited for it");
        if let (false, Some(worker)) = (self.over, self.audit.worker(None)) {
            self.audit.signal(worker, signal::SIGKILL);
            let began = Instant::now();
            let next = self.audit.worker(Some(worker));
            let words = format!("kill -9 {worker} (the worker)");
            self.line(&match next {
                Some(pid) => format!("{words}; {pid} is there after {} ms", began.elapsed().as_millis()),
                None => format!("{words}; no new one came"),
            });
            self.wait(KILLED);
            self.line("all is well");
        }
        Ok(())
    }

    /// Waits until what waited has arrived. The helper may be in the middle of a pause between two tries.
    fn caught_up(&mut self) {
        let end = Instant::now() + BACK;
        while !self.over && Instant::now() < end {
            self.wait(Duration::from_millis(100));
            if self.collector.ledger().unique() + NEARLY >= self.log.written() {
                return;
            }
        }
    }

    fn addresses(&self, seconds: Option<u64>) {
        let page = programs::get(self.pages[0], "/metrics").unwrap_or_default();
        let samples = page.split("\r\n\r\n").nth(1).unwrap_or("").lines().filter(|l| !l.starts_with('#')).count();
        let up = page.lines().any(|l| l == "picodata_up 1");
        let (metrics, audit) = (self.pages[0], self.pages[1]);
        say(&format!("\n  http://{metrics}/metrics   the database: picodata_up {}, {samples} samples", u8::from(up)));
        say(&format!("  http://{metrics}/          the same for people"));
        say(&format!("  http://{audit}/metrics   the audit log's way"));
        say(&format!("  http://{audit}/          the same for people"));
        say(&match seconds {
            Some(n) => format!("\nends {n} s after its beginning\n"),
            None => "\nruns until Ctrl-C\n".to_string(),
        });
    }

    /// The database ends; what is on its way must arrive.
    fn finish(mut self) -> io::Result<bool> {
        let longest = self.log.longest_write();
        let written = self.log.end();
        let audit = self.audit.end()?;
        self.metrics.signal(self.metrics.id(), signal::SIGTERM);
        let metrics = self.metrics.end()?;
        // The last answer may be on its way through the collector's thread.
        let _ = programs::until(|| (self.collector.ledger().unique() >= written).then_some(()));
        let ledger = self.collector.ledger();
        let (arrived, repeats) = (ledger.unique(), ledger.repeats());
        say(&format!(
            "\nwritten {written}, arrived {arrived} different document ids, lost {}",
            written.abs_diff(arrived)
        ));
        say(&format!(
            "repeated {repeats} (same id, so an index overwrites them), out of order {}",
            ledger.out_of_order
        ));
        say(&format!("cut by the database's buffer and delivered as such {}", ledger.cut));
        say(&format!("longest write of the database {:.1} ms", longest.as_secs_f64() * 1e3));
        say(&format!("gostech-audit-log: {audit}; gostech-metrics: {metrics}"));
        Ok(written == arrived && ledger.out_of_order == 0 && audit.success() && metrics.success())
    }
}
