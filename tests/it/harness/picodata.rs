//! A stand-in for Picodata: it starts the helper and writes to it exactly as the real one does.
//!
//! One fork of `/bin/sh -c ' CMD'` in a process group of its own, the pipe's read end and a file of the database leaked
//! into it, blocking writes of one record each, records over 16,383 bytes cut to exactly that without a newline, no
//! signal at the end. It keeps its own ledger and the longest time a write was blocked. Refuses to restart the helper:
//! the real one does not either.

use super::den::wait_for;
use super::events::Events;
use super::ledger::Ledger;
use super::procs::{self, Family};
use super::setup::binary;
use std::fs::File;
use std::io::{self, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most bytes of one record on the pipe.
pub const RECORD_BYTES: usize = 16_383;

/// A running Picodata with its audit pipe.
pub struct Picodata {
    sh: Child,
    pipe: Option<PipeWriter>,
    dir: PathBuf,
    /// What keeper and worker run: they are known by it.
    pub program: PathBuf,
    pub ledger: Ledger,
    /// The longest time one write was blocked.
    pub longest: Duration,
    /// A test that makes the worker do what it must not.
    pub forbidden: bool,
    guard: Arc<Guard>,
}

/// When the write that is under way began, in milliseconds since `since`; 0 when none is.
struct Guard {
    since: Instant,
    began: AtomicU64,
    over: AtomicBool,
}

/// No test blocks the database longer on purpose: a write that takes so long ends with the helper killed and EPIPE.
const BLOCKED: Duration = Duration::from_secs(100);

impl Guard {
    fn start(group: u32) -> Arc<Guard> {
        let guard = Arc::new(Guard { since: Instant::now(), began: AtomicU64::new(0), over: AtomicBool::new(false) });
        let watched = guard.clone();
        std::thread::spawn(move || {
            while !watched.over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(500));
                let began = watched.began.load(Ordering::Relaxed);
                if began > 0 && watched.now() > began + BLOCKED.as_millis() as u64 {
                    eprintln!("a write was blocked for {BLOCKED:?}: the helper is killed");
                    procs::signal("KILL", -i64::from(group));
                }
            }
        });
        guard
    }

    fn now(&self) -> u64 {
        self.since.elapsed().as_millis() as u64 + 1
    }
}

/// The read end lies on 5, 6 and 7 besides, a file of the database on 8 and a directory on 9.
const LEAK: &str = "exec 5<&0 6<&0 7<&0 8>>wal.leak 9<.; exec /bin/sh -c \" $1\"";

impl Picodata {
    /// Forks the shell with the command, as `--audit='| CMD'` does.
    pub fn start(cmd: &str, dir: &Path, env: &[(String, String)]) -> Picodata {
        let (reader, writer) = io::pipe().expect("a pipe");
        let log = |name: &str| {
            let file = File::options().create(true).append(true).open(dir.join(name));
            Stdio::from(file.expect("a file for the output"))
        };
        let sh = Command::new("/bin/sh")
            .args(["-c", LEAK, "sh", cmd])
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(env.iter().map(|(k, v)| (k, v)))
            .stdin(reader)
            .stdout(log("out"))
            .stderr(log("err"))
            .process_group(0)
            .spawn()
            .expect("the shell starts");
        let (dir, guard) = (dir.to_owned(), Guard::start(sh.id()));
        Picodata {
            sh,
            pipe: Some(writer),
            dir,
            program: binary(),
            ledger: Ledger::default(),
            longest: Duration::ZERO,
            forbidden: false,
            guard,
        }
    }

    /// Writes one record as Picodata does, and notes it in the ledger.
    pub fn write(&mut self, record: &str) -> io::Result<()> {
        self.write_raw(&on_the_pipe(record.as_bytes()))?;
        self.ledger.note(record);
        Ok(())
    }

    /// Writes bytes as they are, past the ledger, one write(2) when it is not interrupted.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pipe = self.pipe.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let start = Instant::now();
        self.guard.began.store(self.guard.now(), Ordering::Relaxed);
        let result = pipe.write_all(bytes);
        self.guard.began.store(0, Ordering::Relaxed);
        self.longest = self.longest.max(start.elapsed());
        result
    }

    /// Writes records at a rate; the first error ends it.
    pub fn stream(&mut self, records: impl IntoIterator<Item = String>, per_second: u32) -> io::Result<()> {
        let start = Instant::now();
        for (i, record) in records.into_iter().enumerate() {
            let due = Duration::from_secs_f64(i as f64 / f64::from(per_second));
            if let Some(early) = due.checked_sub(start.elapsed()) {
                std::thread::sleep(early);
            }
            self.write(&record)?;
        }
        Ok(())
    }

    /// Writes so many of these events at a rate. Whatever a test does to the helper, the pipe never breaks.
    pub fn events(&mut self, events: &mut Events, count: usize, per_second: u32) {
        self.stream((0..count).map(|_| events.event()), per_second).expect("the pipe never breaks");
    }

    /// The end of Picodata, orderly or by kill -9: for the helper both are the end of the input and nothing else.
    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// Killed with -9 while a write was blocked: part of a record is in the pipe, then the end.
    pub fn kill9_within(&mut self, part: &str) {
        let _ = self.write_raw(part.as_bytes());
        self.close();
    }

    /// The process group of the shell and of everything below it.
    pub fn group(&self) -> u32 {
        self.sh.id()
    }

    /// Keeper and worker as they are now.
    pub fn family(&self) -> Family {
        procs::family(self.group(), &self.program)
    }

    /// Waits until keeper and worker are there, the worker another one than `than`.
    pub fn wait_worker(&self, than: Option<u32>) -> u32 {
        let mut worker = None;
        let so = wait_for(Duration::from_secs(20), || {
            worker = self.family().worker.filter(|&w| Some(w) != than);
            worker.is_some()
        });
        assert!(so, "no worker (another than {than:?}) within 20 s; processes {:?}\n{}", self.family(), self.err());
        worker.unwrap_or(0)
    }

    /// The same, whichever it is.
    pub fn wait_debug_worker(&self) -> u32 {
        self.wait_worker(None)
    }

    /// A signal to the whole group, as systemd stops a unit.
    pub fn signal_group(&self, name: &str) {
        procs::signal(name, -i64::from(self.group()));
    }

    /// Waits for the end of every process of the helper; the exit status is that of the shell.
    pub fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let group = self.group();
        let mut status = None;
        let so = wait_for(limit, || {
            status = self.sh.try_wait().expect("a child to wait for");
            status.is_some() && procs::group(group).is_empty()
        });
        assert!(so, "after {limit:?} still there: {:?}, status {status:?}\n{}", procs::group(group), self.err());
        let err = self.err();
        assert!(self.forbidden || !err.contains("forbidden system call"), "the list of calls lacks one:\n{err}");
        status.expect("an exit status")
    }

    /// End of input, then the exit code.
    pub fn finish(&mut self, limit: Duration) -> i32 {
        self.close();
        self.wait_end(limit).code().unwrap_or(-1)
    }

    /// What the helper wrote to stderr so far.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("err")).unwrap_or_default()).into_owned()
    }

    /// What the helper wrote to stdout so far: should be nothing.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("out")).unwrap_or_default()).into_owned()
    }

    /// Kills keeper, worker and shell at once, as the OOM killer or a careless administrator does.
    ///
    /// One signal to the group: one after the other, a worker would find the keeper dead and start the next.
    pub fn kill9_all(&mut self) {
        self.signal_group("KILL");
        let _ = self.sh.wait();
        let gone = wait_for(Duration::from_secs(5), || procs::group(self.group()).is_empty());
        assert!(gone || std::thread::panicking(), "still there after SIGKILL: {:?}", procs::group(self.group()));
    }
}

impl Drop for Picodata {
    fn drop(&mut self) {
        self.guard.over.store(true, Ordering::Relaxed);
        self.pipe = None;
        self.kill9_all();
    }
}

/// The bytes of a record on the pipe: with its newline, or cut to 16,383 bytes without one.
pub fn on_the_pipe(record: &[u8]) -> Vec<u8> {
    let mut bytes = record.to_vec();
    bytes.push(b'\n');
    bytes.truncate(RECORD_BYTES);
    bytes
}
