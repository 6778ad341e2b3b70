//! The process itself: what it inherits, what others may see of it, children.

use super::check;
use crate::sorted;
use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Closes every descriptor from 3 up but those of `keep` (any order).
pub fn close_from_3(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter(|&&fd| fd >= 3).map(|&fd| fd as u32).collect();
    sorted::sort(&mut keep);
    let mut from = 3u32;
    let mut ranges = Vec::new();
    for fd in keep {
        if fd > from {
            ranges.push((from, fd - 1));
        }
        from = fd + 1;
    }
    ranges.push((from, u32::MAX));
    for &(a, b) in &ranges {
        // SAFETY: numbers only. Called before anything of ours is open, or with all of ours in `keep`.
        if unsafe { libc::syscall(libc::SYS_close_range, a, b, 0u32) } != 0 {
            close_one_by_one(a, b);
        }
    }
}

/// Before kernel 5.9: what /proc says is open, else every number up to the limit.
fn close_one_by_one(a: u32, b: u32) {
    let listed: Option<Vec<u32>> = std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|dir| dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect());
    let fds = listed.unwrap_or_else(|| (3..4096).collect());
    for fd in fds.into_iter().filter(|fd| (a..=b).contains(fd)) {
        // SAFETY: closing a number; the one of the directory itself is closed already and answers EBADF.
        unsafe { libc::close(fd as libc::c_int) };
    }
}

/// No program that this one starts can gain rights (setuid bits, file capabilities).
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(|_| ())
}

/// No core dump, no ptrace by the same user, /proc/PID readable by root alone.
pub fn not_dumpable() -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid rlimit; root's cores are covered too where the core pattern is a pipe.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) }).map(|_| ())
}

/// Whether `no_new_privileges` is in force, by the kernel's word.
pub fn has_no_new_privileges() -> bool {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 }
}

/// Whether `not_dumpable` is in force, by the kernel's word.
pub fn is_not_dumpable() -> bool {
    // SAFETY: numbers only. 2 is «for root alone».
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 }
}

/// What we create is for the owner alone.
pub fn private_umask() {
    // SAFETY: a number only; called before threads exist.
    unsafe { libc::umask(0o077) };
}

/// The user that this process acts as.
pub fn user() -> u32 {
    // SAFETY: asks for a number, and cannot fail.
    unsafe { libc::geteuid() }
}

/// This process's number.
pub fn pid() -> i32 {
    std::process::id() as i32
}

static LEADER: AtomicI32 = AtomicI32::new(0);
static LEADER_BORN: AtomicU64 = AtomicU64::new(0);

/// Says that this process leads those that it forks.
pub fn lead() {
    LEADER.store(pid(), Ordering::Relaxed);
    LEADER_BORN.store(born(pid()).unwrap_or(0), Ordering::Relaxed);
}

/// Who leads this process, and when it was started, by its own word before the fork; 0: nobody. The parent says less: a
/// leader that has died leaves its children to another one; and a confined process cannot ask when another was started.
pub fn leader() -> (i32, u64) {
    (LEADER.load(Ordering::Relaxed), LEADER_BORN.load(Ordering::Relaxed))
}

/// When a process was started, in the system's ticks: with its number it tells a process from a later one. None: there is
/// no such process, or it is dead and only not buried.
pub fn born(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold blanks: count from the last `)`. Field 22 of proc(5), the first after it being 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let lives = !matches!(*fields.first()?, "Z" | "X");
    fields.get(19).filter(|_| lives)?.parse().ok()
}

/// Whether a process was stopped by a signal. One that is traced stands still for somebody who looks at it.
pub fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.split_whitespace().next() == Some("T"))
}

/// How many descriptors this process may have.
pub fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it writes to one struct, which is ours.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => limit.rlim_cur,
        _ => 0,
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    let mut name = [0u8; 256];
    // SAFETY: room for 255 bytes and a NUL that stays.
    if unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0 {
        return "localhost".into();
    }
    let end = name.iter().position(|&b| b == 0).unwrap_or(0);
    match std::str::from_utf8(&name[..end]) {
        Ok(n) if !n.is_empty() => n.to_string(),
        _ => "localhost".into(),
    }
}

/// Who a `fork` came back as.
#[derive(Debug, PartialEq, Eq)]
pub enum Forked {
    /// The parent, with the child's number.
    Parent(i32),
    /// The child.
    Child,
}

/// Forks. Only for a process with a single thread: the child of several may find locks that nobody will ever open.
pub fn fork_single_threaded() -> io::Result<Forked> {
    // SAFETY: the caller has one thread, so the child's memory is as consistent as the parent's.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A child that has ended, if any has.
pub fn reap() -> Option<(i32, Ended)> {
    let mut status = 0;
    // SAFETY: room for one status; WNOHANG never waits.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    Some((pid, how(status)))
}

fn how(status: libc::c_int) -> Ended {
    if libc::WIFSIGNALED(status) {
        Ended::Signal(libc::WTERMSIG(status))
    } else {
        Ended::Code(libc::WEXITSTATUS(status))
    }
}

/// Waits for the end of a child; none when it cannot be waited for.
pub fn wait_for(pid: i32) -> Option<Ended> {
    let mut status = 0;
    // SAFETY: room for one status; a pid above 0 is one child.
    while pid > 0 && unsafe { libc::waitpid(pid, &mut status, 0) } != pid {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
    Some(how(status))
}

/// Ends at once, without destructors: for a forked child that must not run its parent's.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns.
    unsafe { libc::_exit(code) }
}

/// Closes a descriptor that a forked child shall not have. Its owner is the parent's copy: the child never drops it.
pub fn close(fd: RawFd) {
    // SAFETY: a number; the child leaves by `exit_now`, without destructors that would close it again.
    unsafe { libc::close(fd) };
}

/// Has something done in a child between fork and exec.
pub fn before_exec(command: &mut std::process::Command, what: fn()) {
    use std::os::unix::process::CommandExt;
    let run = move || {
        what();
        Ok(())
    };
    // SAFETY: `what` makes system calls only (it calls functions of this room: `signal::defaults`, `end_with_parent`).
    unsafe { command.pre_exec(run) };
}

/// From now on this process is sent this signal when the one ends that has started it. For a child between fork and exec.
pub fn end_with_parent(signal: i32) {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) };
}

fn environ() -> *const *const libc::c_char {
    extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: reading the pointer that libc keeps.
    unsafe { environ }
}

/// Variables that other programs of ours and libc need; every other value is overwritten by `wipe_environment`.
const HARMLESS: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "NO_COLOR",
    "USER",
    "LOGNAME",
    "PWD",
    "SHELL",
    "SHLVL",
    "TMPDIR",
    "HOSTNAME",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "INVOCATION_ID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "SSL_CERT_FILE",
    // Of a session, for a handler that shows events on its desktop.
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The environment as it was given.
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Overwrites every value of the environment but the harmless ones, in place: what was inherited (the database's
/// `PICODATA_ADMIN_PASSWORD` among it) is neither in /proc/PID/environ nor handed on. Before threads exist.
pub fn wipe_environment() {
    let mut at = environ();
    if at.is_null() {
        return;
    }
    // SAFETY: environ is an array of pointers to NUL-ended strings, itself ended by a null; the strings lie in writable
    // memory of this process; there is one thread, and `environment()` was copied before.
    unsafe {
        while !(*at).is_null() {
            let entry = *at as *mut u8;
            let len = libc::strlen(entry.cast());
            let bytes = std::slice::from_raw_parts_mut(entry, len);
            if let Some(eq) = bytes.iter().position(|&b| b == b'=') {
                let harmless = HARMLESS.iter().any(|h| h.as_bytes() == &bytes[..eq]) || bytes.starts_with(b"LC_");
                if !harmless {
                    // A NUL right after `=`: the variable is empty, its old length cannot be seen in its value.
                    bytes[eq + 1..].fill(0);
                }
            }
            at = at.add(1);
        }
    }
}

/// Overwrites `secret` wherever it stands in the visible arguments of this process, in place, with `*`. Before threads.
pub fn wipe_argument(secret: &OsStr) {
    let secret = secret.as_bytes();
    if secret.is_empty() {
        return;
    }
    let Some((start, len)) = argument_area() else { return };
    // SAFETY: `argument_area` found these bytes in this process's own writable stack, by the kernel's word; one thread.
    let area = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, len) };
    let mut at = 0;
    while at + secret.len() <= area.len() {
        if &area[at..at + secret.len()] == secret {
            area[at..at + secret.len()].fill(b'*');
        }
        at += 1;
    }
}

/// Where the kernel keeps the arguments: arg_start and arg_end of /proc/self/stat.
fn argument_area() -> Option<(usize, usize)> {
    let stat = std::fs::read("/proc/self/stat").ok()?;
    // The name in parentheses may hold blanks: count from the last `)`.
    let after = stat.iter().rposition(|&b| b == b')')? + 2;
    let fields: Vec<&[u8]> = stat[after..].split(|&b| b == b' ').collect();
    let number = |n: usize| std::str::from_utf8(fields.get(n)?.trim_ascii()).ok()?.parse::<usize>().ok();
    // Fields 48 and 49 of proc(5), the first after the name being 3.
    let (start, end) = (number(45)?, number(46)?);
    (start != 0 && end > start && end - start < (8 << 20)).then_some((start, end - start))
}

/// The arguments of this process, without its name.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// The name shown by `ps -o comm` and `top`: 15 bytes at most.
pub fn set_name(name: &CStr) {
    // SAFETY: a string with its NUL; the kernel copies 16 bytes at most.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Lets go of the program's own pages, for a process that will sleep long: they are in the file, and come back when they
/// are touched.
pub fn let_go_of_program() {
    extern "C" {
        static __ehdr_start: u8;
        static etext: u8;
    }
    // SAFETY: a number only.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
    let (start, end) = ((&raw const __ehdr_start) as usize, (&raw const etext) as usize);
    if page == 0 || start % page != 0 || end < start + page {
        return;
    }
    // SAFETY: from the program's head to the end of its code, by the linker's word: mapped from the file, and never
    // written, since relocations stand behind it. What is dropped is read from the file again.
    unsafe { libc::madvise(start as *mut libc::c_void, (end - start) / page * page, libc::MADV_DONTNEED) };
}

/// Gives free memory of the allocator back to the system, where the allocator can.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a number only; glibc's allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A number that differs from run to run, for jitter and epochs; not for secrets.
pub fn chance() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: room for eight bytes; GRND_NONBLOCK never waits for the pool.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), 8, libc::GRND_NONBLOCK) };
    if got != 8 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        return (now as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id());
    }
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_area_is_found() {
        let (_, len) = argument_area().unwrap();
        assert_eq!(len, std::fs::read("/proc/self/cmdline").unwrap().len());
        assert!(!host_name().is_empty());
        assert_ne!(chance(), chance());
        assert!(born(pid()).is_some() && born(1) <= born(pid()) && born(i32::MAX).is_none());
    }
}
