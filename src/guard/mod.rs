//! Self-protection: a process that works with what strangers send gives up, once and for ever, what it does not need.
//!
//! ```text
//! wishes (files) ──▶ landlock     list (calls) ──▶ seccomp     before them: no new privileges, not dumpable
//! ```
//!
//! Best effort: an old kernel, or a container that forbids it, is said in one line and the work goes on. Refuses: to end
//! a process for a forbidden call (it is refused, counted and told), to be undone.

pub mod calls;
pub mod files;

use crate::log;
use crate::sys::trial::{By, Props, ACTS};
use crate::sys::{landlock, pipe, process, seccomp, signal};
use calls::Extra;
use files::{FileRule, Wish};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};

/// What is said of `--no-confinement`.
pub const SWITCHED_OFF: &str = "switched off by --no-confinement: files and system calls are not restricted";

/// What a process wants to keep.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Files.
    pub files: Vec<Wish>,
    /// Files may be read wherever they are: for a program that cannot be started again when a directory is replaced.
    pub reads_anywhere: bool,
    /// Calls besides the usual ones.
    pub calls: Extra,
}

/// The version of landlock that is in force in this process; 0: none.
static LANDLOCK: AtomicU32 = AtomicU32::new(0);

/// A confinement that is in force.
#[derive(Debug)]
pub struct Confined {
    files: Vec<Wish>,
    rules: Vec<FileRule>,
}

/// Confines this process. To be called while it has one thread; what cannot be had is logged, to `level`.
pub fn confine(needs: Needs, level: log::Level) -> Confined {
    let mut lacks = Vec::new();
    let rules = files::rules(&needs.files);
    match confine_files(&rules, needs.reads_anywhere) {
        Ok(abi) => LANDLOCK.store(abi, Ordering::Relaxed),
        Err(e) => lacks.push(format!("files are not restricted ({})", reason("landlock", &e))),
    }
    if let Err(e) = seccomp::enforce(&seccomp::program(&calls::list(needs.calls), std::process::id())) {
        lacks.push(format!("system calls are not restricted ({})", reason("seccomp", &e)));
    }
    if !lacks.is_empty() {
        let text = format!("{}; going on without", lacks.join(", "));
        match level {
            log::Level::Debug => log::debug("confinement", text),
            _ => log::info("confinement", text),
        }
    }
    Confined { files: needs.files, rules }
}

/// Whether asking for a confinement is survived here: around us there may be a list of calls that kills for it (a unit of
/// systemd with `SystemCallFilter=` and no `SystemCallErrorNumber=`). A child asks first. To be called while this process
/// has one thread, and before anyone who may have been taken over could have a say in it.
pub fn tolerated() -> bool {
    // Twice: once it may have been somebody who signals us all.
    let tolerated = (0..2).any(|_| survived());
    if !tolerated {
        log::warn(
            "confinement",
            "whoever asks for one is killed here (a list of system calls around us?); going on without",
        );
    }
    tolerated
}

fn survived() -> bool {
    let child = match process::fork_single_threaded() {
        Ok(process::Forked::Child) => {
            // What such a list sends must end the child, not be ignored.
            signal::let_end(signal::SIGSYS);
            landlock::abi();
            seccomp::available();
            process::exit_now(0)
        }
        Ok(process::Forked::Parent(pid)) => pid,
        // Nothing is known then, and nothing was killed.
        Err(_) => return true,
    };
    process::wait_for(child) == Some(process::Ended::Code(0))
}

/// No confinement; why was said.
pub fn unconfined() -> Confined {
    Confined { files: Vec::new(), rules: Vec::new() }
}

fn confine_files(rules: &[FileRule], reads_anywhere: bool) -> io::Result<u32> {
    let abi = landlock::abi();
    let reading = if reads_anywhere { landlock::READ_FILE | landlock::READ_DIR } else { 0 };
    // systemd's socket for its notifications may be an abstract one: a program that reads anywhere is such a service.
    let set = landlock::Ruleset::new(landlock::all(abi) & !reading, !reads_anywhere)?;
    for rule in rules {
        // Gone since it was looked at: it is looked for again later.
        if let Err(e) = set.allow(&rule.path, rule.rights) {
            log::debug("confinement", format!("`{}`: {e}", rule.path.display()));
        }
    }
    set.enforce()?;
    Ok(abi)
}

fn reason(what: &str, e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(libc::ENOSYS) => format!("this kernel has no {what}"),
        Some(libc::EOPNOTSUPP) => format!("{what} is switched off in this kernel"),
        Some(libc::EPERM | libc::EACCES) => format!("{what} is forbidden here"),
        _ => format!("{what}: {e}"),
    }
}

impl Confined {
    /// Whether files are wanted now that the confinement was not made for.
    pub fn outgrown(&self) -> bool {
        LANDLOCK.load(Ordering::Relaxed) > 0 && files::outgrown(&self.rules, &files::rules(&self.files))
    }
}

/// The parts of a protection by name, each with whether it is in force.
pub type Parts = [(&'static str, bool); 4];

/// What protects this process.
pub fn in_force() -> Parts {
    [
        ("landlock", LANDLOCK.load(Ordering::Relaxed) > 0),
        ("seccomp", seccomp::in_force()),
        ("no_new_privs", process::has_no_new_privileges()),
        ("not_dumpable", process::is_not_dumpable()),
    ]
}

/// How many forbidden calls this process has tried, and the number of the last one.
pub fn refused_calls() -> (u64, i64) {
    seccomp::refused()
}

/// A line for `--version`: what this machine lets us protect ourselves with.
pub fn version_lines() -> Vec<String> {
    let landlock = match landlock::abi() {
        0 => "no landlock".to_string(),
        abi => format!("landlock ABI {abi}"),
    };
    let word = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_string();
    let words = [
        landlock,
        word(seccomp::available(), "seccomp", "no seccomp"),
        word(process::has_no_new_privileges(), "no-new-privs", "no no-new-privs"),
        word(process::is_not_dumpable(), "not dumpable", "dumpable"),
    ];
    vec![format!("protection: {}", words.join(", "))]
}

/// What came of an act that should have been refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// In words.
    pub name: &'static str,
    /// Which part refuses it.
    pub by: By,
    /// It was refused.
    pub refused: bool,
}

/// What the child says of an act that it could not try.
const UNTRIED: u8 = 2;

/// Confines a child with these needs and has it try what it must not be able to do. To be called while this process has
/// one thread.
pub fn trial(needs: Needs) -> io::Result<(bool, bool, Vec<Tried>)> {
    let (read, write) = pipe::pair()?;
    // Where there is no place for them, nothing can be removed.
    let props = Props::make();
    let child = match process::fork_single_threaded()? {
        process::Forked::Child => {
            let mut out = File::from(write);
            confine(needs, log::Level::Debug);
            let [(_, files), (_, calls), ..] = in_force();
            let _ = out.write_all(&[u8::from(files), u8::from(calls)]);
            for act in ACTS {
                let before = refused_calls().0;
                let error = (act.attempt)().err();
                // By the filter itself, or as it refuses without a word: a call can fail for other reasons too.
                let without_a_word = error.as_ref().and_then(io::Error::raw_os_error) == Some(libc::EAFNOSUPPORT);
                // What it would be tried on could not be made.
                let untried = error.as_ref().is_some_and(|e| e.kind() == io::ErrorKind::Unsupported);
                let refused = match act.by {
                    By::Calls => refused_calls().0 > before || without_a_word,
                    By::Files => error.is_some_and(|e| e.raw_os_error() == Some(libc::EACCES)),
                };
                let _ = out.write_all(&[if untried { UNTRIED } else { u8::from(refused) }]);
            }
            process::exit_now(0)
        }
        process::Forked::Parent(pid) => pid,
    };
    drop(write);
    let mut said = Vec::new();
    File::from(read).take(2 + ACTS.len() as u64).read_to_end(&mut said)?;
    let _ = process::wait_for(child);
    drop(props);
    // What the child could not tell any more is what ended it: it was possible.
    let refused = |i: usize| said.get(2 + i) == Some(&1);
    let acts = ACTS.iter().enumerate().filter(|(i, _)| said.get(2 + i) != Some(&UNTRIED));
    let tried = acts.map(|(i, act)| Tried { name: act.name, by: act.by, refused: refused(i) });
    Ok((said.first() == Some(&1), said.get(1) == Some(&1), tried.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const HOW: &str = "GOSTECH_TEST_ABORT";

    /// The keeper tells by the signal what became of a worker.
    #[test]
    fn whoever_aborts_in_the_cage_ends_by_that_very_signal() {
        if let Some(how) = std::env::var_os(HOW) {
            confine(Needs::default(), log::Level::Debug);
            assert!(!seccomp::available() || seccomp::in_force());
            match how == "ours" {
                true => crate::sys::abort::abort(),
                false => std::process::abort(),
            }
        }
        for how in ["ours", "of the C library"] {
            let this = std::env::current_exe().expect("this test binary");
            let name = "guard::tests::whoever_aborts_in_the_cage_ends_by_that_very_signal";
            let out = Command::new(this).args(["--exact", name]).env(HOW, how).output().expect("it starts");
            assert_eq!(out.status.signal(), Some(libc::SIGABRT), "{how}: {out:?}");
        }
    }
}
