//! The worker's cage: which files and calls a worker with these options needs, and what is done about one that asks for
//! more. The keeper and its stand-in stay outside: they start workers and the command of an alarm.
//!
//! When files are wanted that the cage was not made for (a directory that was made or replaced), the worker asks to be
//! started again: nothing is lost by that, and the next cage fits. Refuses: to ask for that more often than every few
//! seconds.

use crate::audit::alarm::AlarmKind;
use crate::audit::delivery::transport;
use crate::audit::options::keeping::roots;
use crate::audit::options::sealing::CopyTo;
use crate::audit::options::Options;
use crate::audit::spool::{place, Spool};
use crate::guard::calls::Extra;
use crate::guard::files::Wish;
use crate::guard::{self, Confined, Needs};
use crate::net::porch::{Closed, Prepared};
use crate::sys::ring::{Ring, Word};
use crate::{limits, log};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What name resolution reads.
const NAMES: &[&str] = &["/etc/hosts", "/etc/resolv.conf"];
/// glibc's reads more, and loads libraries.
#[cfg(target_env = "gnu")]
const MORE_NAMES: &[&str] = &["/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/ld.so.cache"];
#[cfg(not(target_env = "gnu"))]
const MORE_NAMES: &[&str] = &[];
#[cfg(target_env = "gnu")]
const LIBRARIES: &[&str] = &["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
#[cfg(not(target_env = "gnu"))]
const LIBRARIES: &[&str] = &[];

/// What a worker with these options needs. `probing`: directories may be made to see whether they can be used.
pub fn needs(options: &Options, probing: bool) -> Needs {
    let mut files = spool(options, probing);
    if let Some(seal) = &options.seal {
        files.push(Wish::Keep(seal.dir.clone()));
        files.extend(seal.copies.iter().filter_map(|copy| match copy {
            CopyTo::File(path) => Some(Wish::Copy(path.clone())),
            CopyTo::Journal(_) => None,
        }));
    }
    files.extend((options.source.row.wishes)(&options.source));
    files.extend(NAMES.iter().chain(MORE_NAMES).map(|f| Wish::Read(f.into())));
    files.extend(LIBRARIES.iter().map(|d| Wish::ReadTree(d.into())));
    files.push(Wish::Device("/dev/null".into()));
    files.push(Wish::ReadAlone("/dev/urandom".into()));
    let targets = || options.receivers.iter().flat_map(|r| &r.targets);
    files.extend(targets().flat_map(transport::wishes));
    let logs = files.iter().any(|w| matches!(w, Wish::Log(_) | Wish::Rotate(_) | Wish::Copy(_)));
    Needs { files, reads_anywhere: false, calls: Extra { logs, ..Extra::default() } }
}

/// The directory of the spool: the one that can be used, else all that may be it one day.
fn spool(options: &Options, probing: bool) -> Vec<Wish> {
    let roots = roots(options);
    match probing.then(|| place::choose(&roots).ok()).flatten() {
        Some(root) => vec![Wish::Work(root)],
        None => roots.into_iter().map(Wish::Work).collect(),
    }
}

/// A cage with a worker in it.
#[derive(Debug)]
pub struct Cage {
    confined: Confined,
    /// The page's socket, which cannot be made in here.
    page: Option<Closed>,
    next_look: Instant,
    told: u64,
}

/// Whether workers get one, said once. For the keeper, before its first worker.
pub fn wanted(options: &Options) -> bool {
    if options.unconfined {
        log::info("confinement", guard::SWITCHED_OFF);
    }
    !options.unconfined && guard::tolerated()
}

/// Closes it around this process, which has one thread. What it lacks is said by the first worker, not by each. `ahead`: what
/// is open of the page.
pub fn enter(options: &Options, wanted: bool, ring: &Ring, ahead: &mut Prepared) -> Cage {
    let first = ring.word(Word::Restarts).load(Ordering::Relaxed) == 0;
    let level = if first { log::Level::Info } else { log::Level::Debug };
    let confined = if wanted { guard::confine(needs(options, true), level) } else { guard::unconfined() };
    if wanted {
        ahead.seal();
    }
    let page = options.metrics_addr.as_ref().filter(|_| wanted).and_then(|address| Closed::of(address, ahead));
    Cage { confined, page, next_look: Instant::now() + Duration::from_secs(limits::GUARD_LOOK_SECONDS), told: 0 }
}

impl Cage {
    /// Tells of forbidden calls; true when the worker must be started again to have files that it wants now. `at_once`:
    /// it was asked to read them again. `homeless`: there is no directory for the spool yet, which is looked for more often.
    pub fn look(&mut self, at_once: bool, homeless: bool, spool: &Spool, ring: &Ring) -> bool {
        let (refused, last) = guard::refused_calls();
        if refused > self.told {
            ring.word(Word::Refused).fetch_add(refused - self.told, Ordering::Relaxed);
            self.told = refused;
            let text = format!("the worker tried a forbidden system call (number {last}); it was refused");
            spool.alarm(AlarmKind::Confinement, "confinement", text);
        }
        if self.page.as_mut().is_some_and(Closed::is_possible_now) {
            log::info("confinement", "the page's socket can be made now, but not from within: a new worker makes it");
            return true;
        }
        if !at_once && !homeless && Instant::now() < self.next_look {
            return false;
        }
        self.next_look = Instant::now() + Duration::from_secs(limits::GUARD_LOOK_SECONDS);
        let outgrown = self.confined.outgrown();
        if outgrown {
            log::info("confinement", "files have moved since the confinement was made: a new worker makes another");
        }
        outgrown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::options::table::PROGRAM;
    use crate::flags::{self, Outcome};
    use std::ffi::OsString;
    use std::path::Path;

    fn needs_of(args: &[&str]) -> Needs {
        let args: Vec<OsString> = args.iter().chain(&["--no-config"]).map(OsString::from).collect();
        match flags::parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into())) {
            Ok(Outcome::Run(parsed)) => needs(&Options::read(&parsed, &[], true).unwrap(), false),
            other => panic!("{other:?}"),
        }
    }

    /// An option with a file that is not here would be one that the worker cannot read.
    #[test]
    fn every_file_that_an_option_names_is_wished_for() {
        let n = needs_of(&[
            "--spool-dir",
            "/v/spool",
            "--url",
            "https://a",
            "--ca-certificate",
            "/a/ca",
            "--certificate",
            "/a/cert",
            "--private-key",
            "/a/key",
            "--user",
            "u",
            "--password-file",
            "/a/password",
            "--header",
            "X: @/a/header",
            "--url",
            "https://b",
            "--failover",
            "--token-file",
            "/b/token",
            "--metrics-addr",
            "unix:/run/x/page",
            "--type",
            "file",
            "--filename",
            "/l/audit.log",
            "--old-dir",
            "/l/old",
            "--seal",
            "/v/seal",
        ]);
        assert!(n.files.iter().any(|w| matches!(w, Wish::Keep(dir) if dir == Path::new("/v/seal"))), "{n:?}");
        assert!(n.files.iter().any(|w| matches!(w, Wish::List(dir) if dir == Path::new("/l/old"))), "{n:?}");
        assert!(n.files.iter().any(|w| matches!(w, Wish::Follow(log) if log == Path::new("/l/audit.log"))), "{n:?}");
        let read: Vec<String> = n
            .files
            .iter()
            .filter_map(|w| match w {
                Wish::Read(f) => Some(f.display().to_string()),
                _ => None,
            })
            .collect();
        for file in ["/a/ca", "/a/cert", "/a/key", "/a/password", "/a/header", "/b/token", "/etc/resolv.conf"] {
            assert!(read.iter().any(|f| f == file), "{file}: {read:?}");
        }
        let work: Vec<_> = n.files.iter().filter(|w| matches!(w, Wish::Work(_))).collect();
        assert!(matches!(work[..], [Wish::Work(dir)] if dir == Path::new("/v/spool")), "{work:?}");
        // The page is opened before the cage closes.
        let text = format!("{:?}", n.files);
        assert!(!["/run/x", "Bind", "Unbind"].iter().any(|word| text.contains(word)), "{text}");
        assert!(!n.calls.modes && !n.reads_anywhere);
        // The stand-in trusts the system.
        assert!(read.iter().any(|f| f.ends_with("ca-certificates.crt")), "{read:?}");
    }

    #[test]
    fn a_receiver_on_this_machine_widens_the_cage_by_what_it_needs() {
        let plain = format!("{:?}", needs_of(&["--spool-dir", "/v/spool", "--url", "http://a"]).files);
        for (args, more, logs) in [
            (&["--url", "file:///l/a"][..], Some("Log(\"/l/a\")"), true),
            (&["--url", "file:///l/a", "--file-max", "1M"], Some("Rotate(\"/l/a\")"), true),
            (&["--url", "-", "--seal", "/s", "--seal-copy", "/l/a"], Some("Keep(\"/s\"), Copy(\"/l/a\")"), true),
            (&["--url", "-", "--seal", "/s", "--seal-copy", "journald:"], Some("Keep(\"/s\")"), false),
            (&["--url", "fifo:///l/a"], Some("Device(\"/l/a\")"), false),
            (&["--url", "-"], None, false),
        ] {
            let n = needs_of(&[&["--spool-dir", "/v/spool"], args].concat());
            let text = format!("{:?}", n.files);
            let rest = more.map_or(text.clone(), |more| text.replace(&format!(", {more}"), ""));
            assert!(rest == plain && more.is_none_or(|more| text.contains(more)), "{args:?}: {text}");
            assert_eq!((n.calls.logs, n.calls.modes), (logs, false), "{args:?}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_not_wished_for() {
        let n = needs_of(&["--spool-dir", "/v/spool", "--url", "https://a", "--ca-certificate", "/a/ca"]);
        let text = format!("{:?}", n.files);
        assert!(!text.contains("ca-certificates.crt") && !text.contains("Bind"), "{text}");
        assert!(!n.calls.modes);
    }
}
