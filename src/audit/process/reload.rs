//! The configuration, read again on SIGHUP: the file, and the same arguments and environment as at the start.
//!
//! ```text
//! SIGHUP ─▶ a child reads and tries it ─▶ the keeper takes the bytes ─▶ new options, or all stays as it is
//! ```
//!
//! The keeper opens no file of an administrator: one that hangs (a FIFO, a lost mount) would hold it, and what kills the
//! parser would kill it. Refuses: half a configuration; to take what cannot change while the helper runs.

use crate::audit::intake::source::{table as sources, Choice};
use crate::audit::options::in_force::{self, Change};
use crate::audit::options::table::PROGRAM;
use crate::audit::options::Options;
use crate::error::{Error, Result};
use crate::flags::{self, Outcome};
use crate::limits;
use crate::sys::process::{self, Forked};
use crate::sys::{pipe, signal};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// What cannot change while the helper runs: memory and places that outlive workers, what the spool is for, and the cage.
const FOR_GOOD: &[&str] = &[
    "spool-dir",
    "instance",
    "cluster",
    "memory-max",
    "type",
    "once",
    "journal-match",
    "socket",
    "socket-mode",
    "no-confinement",
];
/// The last byte of a child that has come to its end.
const DONE: u8 = b'.';

/// How the program was called. With the secrets of that call, so only in processes that cannot be dumped.
#[derive(Clone)]
pub struct Call {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Call {
    /// Keeps of the environment what options are made of.
    pub fn new(args: &[OsString], env: &[(OsString, OsString)]) -> Call {
        let ours = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with(PROGRAM.env_prefix) || name == "STATE_DIRECTORY" || name.to_uppercase().ends_with("_PROXY")
        };
        Call { args: args.to_vec(), env: env.iter().filter(|(name, _)| ours(name)).cloned().collect() }
    }

    /// The options by this call.
    fn options(&self, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Options> {
        match flags::parse(&PROGRAM, &self.args, &self.env, read)? {
            Outcome::Run(parsed) => Options::read(&parsed, &self.env, true),
            Outcome::Print(_) => Err(Error::usage("the call has become one that only prints")),
        }
    }
}

/// A small file, read to its bound.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::FLAGS_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A child that reads the configuration.
struct Reading {
    child: i32,
    answer: OwnedFd,
    bytes: Vec<u8>,
    until: Instant,
}

impl Reading {
    /// Starts it. `forget`: what the child lets go of first.
    fn begin(call: &Call, read: fn(&Path) -> io::Result<Vec<u8>>, forget: impl FnOnce()) -> io::Result<Reading> {
        let (answer, mut out) = pipe::pair().map(|(r, w)| (r, File::from(w)))?;
        match process::fork_single_threaded()? {
            Forked::Parent(child) => {
                let until = Instant::now() + Duration::from_secs(limits::RELOAD_READ_SECONDS);
                Ok(Reading { child, answer, bytes: Vec::new(), until })
            }
            Forked::Child => {
                forget();
                let tell = |path: &Path| {
                    let got = read(path);
                    let code = got.as_ref().map_or_else(|e| e.raw_os_error().unwrap_or(libc::EIO), |_| 0);
                    let mut out = &out;
                    let _ =
                        out.write_all(&code.to_le_bytes()).and_then(|()| out.write_all(got.as_deref().unwrap_or(&[])));
                    got
                };
                // Whatever it comes to: the keeper comes to the same.
                let _ = call.options(&tell);
                let _ = out.write_all(&[DONE]);
                process::exit_now(0)
            }
        }
    }

    /// How long it may still take.
    fn patience(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Takes what is there; the options once all is there, or why there are none.
    fn look(&mut self, call: &Call) -> Option<Result<Options>> {
        while pipe::wait([self.answer.as_fd()], Some(Duration::ZERO)).is_ok_and(|[a]| a.readable) {
            let Ok(copy) = self.answer.try_clone() else { break };
            let mut some = [0; 16 * 1024];
            match File::from(copy).read(&mut some) {
                Ok(0) => return Some(self.result(call)),
                Ok(n) => self.bytes.extend_from_slice(&some[..n]),
                Err(e) => return Some(Err(Error::failed(format!("cannot read the configuration: {e}")))),
            }
        }
        let late = self.patience().is_zero() || self.bytes.len() > limits::FLAGS_FILE_BYTES + 16;
        late.then(|| {
            signal::send(self.child, signal::SIGKILL);
            let seconds = limits::RELOAD_READ_SECONDS;
            Err(Error::failed(format!("the configuration could not be read within {seconds} s: is it a regular file?")))
        })
    }

    fn result(&self, call: &Call) -> Result<Options> {
        let Some((&DONE, said)) = self.bytes.split_last() else {
            return Err(Error::failed("whoever read the configuration has died of it"));
        };
        let said = said.split_first_chunk::<4>();
        call.options(&|_| match said {
            Some((code, bytes)) if i32::from_le_bytes(*code) == 0 => Ok(bytes.to_vec()),
            Some((code, _)) => Err(io::Error::from_raw_os_error(i32::from_le_bytes(*code))),
            None => Err(io::Error::from_raw_os_error(libc::EIO)),
        })
    }
}

/// Asks the keeper for it, by a byte in its pipe.
pub fn knock(keeper: BorrowedFd<'_>) {
    if pipe::held(keeper).is_ok_and(|n| n < limits::RELOAD_KNOCKS) {
        let _ = keeper.try_clone_to_owned().map(|fd| File::from(fd).write_all(b"!"));
    }
}

/// Takes the bytes out again.
pub fn answer_knocks(pipe: &OwnedFd) {
    let _ = pipe.try_clone().map(|fd| File::from(fd).read(&mut [0; limits::RELOAD_KNOCKS]));
}

/// When the configuration is read again, and who is at it.
pub struct Renewal {
    call: Call,
    due: Option<Instant>,
    last: Option<Instant>,
    reading: Option<Reading>,
}

impl Renewal {
    /// Of this call; nothing is to be done.
    pub fn of(call: Call) -> Renewal {
        Renewal { call, due: None, last: None, reading: None }
    }

    /// Somebody asks for it. All who do so within a moment are answered at once, and not more often than every second.
    pub fn ask(&mut self) {
        let settle = Duration::from_millis(limits::RELOAD_SETTLE_MILLIS);
        let pause = Duration::from_millis(limits::RELOAD_PAUSE_MILLIS);
        let wait = self.last.map_or(settle, |t| pause.saturating_sub(t.elapsed()).max(settle));
        self.due.get_or_insert(Instant::now() + wait);
    }

    /// For who takes over: what was under way was the one's before.
    pub fn forget(&mut self) {
        (self.due, self.last, self.reading) = (None, None, None);
    }

    /// What tells that there is an answer.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reading.as_ref().map(|r| r.answer.as_fd())
    }

    /// How long there is nothing to do.
    pub fn patience(&self) -> Option<Duration> {
        let due = self.due.map(|t| t.saturating_duration_since(Instant::now()));
        self.reading.as_ref().map(Reading::patience).or(due)
    }

    /// Begins when it is time, and gives what came of it. `forget`: what a child lets go of first.
    pub fn tick(&mut self, forget: impl FnOnce()) -> Option<Result<Options>> {
        if let Some(reading) = &mut self.reading {
            let result = reading.look(&self.call)?;
            self.reading = None;
            return Some(result);
        }
        self.due.filter(|t| *t <= Instant::now())?;
        (self.due, self.last) = (None, Some(Instant::now()));
        match Reading::begin(&self.call, read_file, forget) {
            Ok(reading) => self.reading = Some(reading),
            Err(e) => return Some(Err(Error::failed(format!("cannot read the configuration now: {e}")))),
        }
        None
    }
}

/// What a new configuration comes to.
#[derive(Debug, Default)]
pub struct News {
    /// What is applied.
    pub applied: Vec<Change>,
    /// What is not, in words.
    pub refused: Vec<String>,
    /// Receivers that are there no more.
    pub gone: Vec<String>,
}

/// Brings what cannot change back to what it was, and says what is new.
pub fn compare(old: &Options, new: &mut Options) -> News {
    let mut news = News::default();
    // What the keeper has opened under its name stays what it is; and what belongs to a source that does not come is for none.
    let opened = !old.source.row.rereads || new.source.row.name != old.source.row.name;
    let of_source = |name: &str| opened && !sources::takers(name).is_empty();
    let stays = |name: &str, of: &str| of.is_empty() && (FOR_GOOD.contains(&name) || of_source(name));
    for change in in_force::changes(&old.in_force, &new.in_force) {
        match stays(change.name, &change.of) {
            true => news.refused.push(format!("{} needs a restart of the instance", change.text)),
            false => news.applied.push(change),
        }
    }
    new.spool_dir.clone_from(&old.spool_dir);
    new.instance.clone_from(&old.instance);
    new.cluster.clone_from(&old.cluster);
    let again = std::mem::replace(&mut new.source, old.source.clone());
    if !opened {
        let Choice { filename, old_dir, from_end, .. } = again;
        new.source = Choice { filename, old_dir, from_end, ..old.source.clone() };
    }
    new.unconfined = old.unconfined;
    new.memory_max = old.memory_max;
    if new.event_max as u64 > old.memory_max / 2 {
        news.refused
            .push("event-max: at most half of the memory-max in force; more needs a restart of the instance".into());
    }
    new.fit_memory(old.memory_max);
    new.in_force.retain(|s| !stays(s.name, &s.of));
    new.in_force.extend(old.in_force.iter().filter(|s| stays(s.name, &s.of)).cloned());
    let is_there = |name: &str| new.receivers.iter().any(|r| r.name == name);
    news.gone = old.receivers.iter().map(|r| r.name.clone()).filter(|name| !is_there(name)).collect();
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: &[&str]) -> Call {
        Call::new(&args.iter().map(OsString::from).collect::<Vec<_>>(), &[])
    }

    fn read_again(call: &Call, read: fn(&Path) -> io::Result<Vec<u8>>) -> Result<Options> {
        let mut reading = Reading::begin(call, read, || {}).expect("a child");
        let result = loop {
            if let Some(result) = reading.look(call) {
                break result;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        process::wait_for(reading.child);
        result
    }

    fn plain(path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    #[test]
    fn a_file_is_read_by_a_child_and_its_faults_are_named() {
        let path = std::env::temp_dir().join(format!("gostech-reload-{}", std::process::id()));
        let call = call(&["--config", path.to_str().expect("a path")]);
        std::fs::write(&path, "url http://a\nretain 2h\n").expect("a file");
        let options = read_again(&call, plain).expect("good options");
        assert_eq!((options.receivers.len(), options.retain), (1, Duration::from_secs(7200)));
        std::fs::write(&path, "url http://a\nretain soon\n").expect("a file");
        let e = read_again(&call, plain).expect_err("a fault");
        assert!(e.text().contains("line 2") && e.text().contains("retain"), "{e}");
        std::fs::remove_file(&path).expect("it goes");
        let e = read_again(&call, plain).expect_err("no file");
        assert!(e.text().contains("No such file"), "{e}");
        let e = read_again(&call, |_| process::exit_now(3)).expect_err("a death");
        assert!(e.text().contains("died"), "{e}");
    }

    #[test]
    fn what_cannot_change_stays_and_is_named() {
        let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let options = |args: &[&str]| call(&[args, &["--no-config"]].concat()).options(&none).expect("good options");
        let old = options(&["--url", "http://a", "--url", "http://b", "--spool-dir", "/a", "--cluster", "c"]);
        let mut new = options(&["--url", "http://a", "--spool-dir", "/b", "--memory-max", "8M", "--retain", "2h"]);
        let news = compare(&old, &mut new);
        assert_eq!(news.refused.len(), 3, "{news:?}");
        assert!(news.refused.iter().any(|t| t.starts_with("spool-dir: `/b` instead of `/a` needs")), "{news:?}");
        assert_eq!(news.gone, ["r2"]);
        assert!(news.applied.iter().any(|c| c.text == "retain: `2h` instead of `1h`"), "{news:?}");
        assert_eq!((&new.spool_dir, &new.cluster, new.memory_max), (&old.spool_dir, &old.cluster, old.memory_max));
        // What was opened stays; a log that is read again and again may be another one.
        for (kind, other, refused) in
            [("fifo", "unix", 2), ("fifo", "fifo", 1), ("file", "fifo", 2), ("file", "file", 0)]
        {
            let of = |kind: &str, name: &str| options(&["--url", "http://a", "--type", kind, "--filename", name]);
            let (old, mut new) = (of(kind, "/a"), of(other, "/b"));
            let news = compare(&old, &mut new);
            let name = if refused > 0 { "/a" } else { "/b" };
            assert_eq!((news.refused.len(), news.applied.len()), (refused, usize::from(refused == 0)), "{news:?}");
            assert_eq!((new.source.row.name, new.source.filename.as_deref()), (kind, Some(Path::new(name))));
        }
        let old = options(&["--url", "http://a", "--type", "file", "--filename", "/a"]);
        let mut new = options(&["--url", "http://a", "--type", "pipe"]);
        assert_eq!(compare(&old, &mut new).refused.len(), 2);
        assert_eq!(new.source.filename, old.source.filename, "no other log is read than was");
        let again = compare(&new.clone(), &mut new);
        assert!(again.applied.is_empty() && again.refused.is_empty(), "{again:?}");
    }
}
