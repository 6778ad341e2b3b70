//! Tests of the commands over temporary directories, with spools that the real spool has written.

mod damage;
mod queue;
mod seeing;
mod strangers;

use super::{dispatch, Call, Stop};
use crate::audit::options::table::PROGRAM;
use crate::audit::options::Options;
use crate::audit::record::{read, Kind};
use crate::audit::spool::append::Appender;
use crate::audit::spool::disk::RealDisk;
use crate::audit::spool::lock;
use crate::audit::spool::memory_disk::MemoryDisk;
use crate::audit::spool::record::{Identity, New};
use crate::audit::spool::survey::Look;
use crate::audit::spool::{Full, Settings, Spool};
use crate::error::Exit;
use crate::flags::{self, Outcome};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// The time at which the tests happen.
const NOW: i64 = 1_795_224_477_349;

/// A directory that is gone with its test.
struct Den(PathBuf);

impl Den {
    fn new() -> Den {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("gostech-tools-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Den(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The names below the root, hidden ones too.
    fn names(&self) -> Vec<String> {
        let mut all: Vec<String> =
            std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(receivers: &[&str]) -> Settings {
    Settings {
        max: 1 << 20,
        full: Full::Block,
        retain_ms: 3_600_000,
        memory_max: 1 << 20,
        identity: Identity { cluster: "c".into(), instance: "i".into(), node: "n".into() },
        receivers: receivers.iter().map(|n| (n.to_string(), false)).collect(),
        owner: None,
        sealing: None,
    }
}

fn open(dir: &Path, receivers: &[&str]) -> Spool {
    std::fs::create_dir_all(dir).unwrap();
    let memory_disk = Arc::new(MemoryDisk::open(MemoryDisk::create().unwrap()).unwrap());
    Spool::open(Arc::new(RealDisk::new(dir)), memory_disk, settings(receivers), None, NOW).unwrap()
}

fn raw(n: u64) -> Vec<u8> {
    format!(r#"{{"id":"1.0.{n}","message":"{}","severity":"low","title":"t"}}"#, "x".repeat(40)).into_bytes()
}

fn put(spool: &Spool, a: &mut Appender, raw: &[u8], kind: Option<Kind>, (part, parts): (u32, u32)) {
    let mut f = read(raw, kind == Some(Kind::Cut));
    f.kind = kind.unwrap_or(f.kind);
    let (kind, id, time) = (f.kind, f.id, f.time);
    let new =
        New { kind, raw, id, time, part, parts, stream: spool.next_seq() * 100, read_ms: NOW - 60_000, form: None };
    let seq = spool.append(a, 1, &[new], NOW, false).unwrap();
    spool.account().take(seq, &f, raw, part, parts, NOW as u64);
}

/// A spool with the events 1.0.1 to 1.0.`n`, in as many segments as `cuts` says, saved as at a clean end.
fn made(dir: &Path, n: u64, cuts: u64, receivers: &[&str]) -> Spool {
    let spool = open(dir, receivers);
    let mut a = Appender::default();
    for i in 1..=n {
        if cuts > 1 && i % n.div_ceil(cuts) == 1 {
            a = Appender::default();
        }
        put(&spool, &mut a, &raw(i), None, (0, 0));
    }
    save(&spool, dir);
    spool
}

fn save(spool: &Spool, dir: &Path) {
    spool.sync(NOW);
    spool.save_cursors();
    spool.save_state(true);
    drop(lock::take(dir).unwrap());
}

/// Runs a command; its exit code and what it printed, the sentence of an error included.
pub(super) fn tool(args: &[&str]) -> (Exit, String) {
    let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
    args.push("--no-config".into());
    let parsed = match flags::parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap() {
        Outcome::Run(parsed) => parsed,
        Outcome::Print(text) => panic!("{text}"),
    };
    let options = Options::read(&parsed, &[], false).unwrap();
    let mut out = Vec::new();
    let done = dispatch(&mut Call { parsed: &parsed, options: &options, now_ms: NOW, out: &mut out });
    let mut text = String::from_utf8(out).unwrap();
    match done {
        Ok(exit) => (exit, text),
        Err(Stop::Error(e)) => {
            text.push_str(e.text());
            (e.exit(), text)
        }
        Err(Stop::Output(e)) => panic!("{e}"),
    }
}
