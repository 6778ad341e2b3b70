//! The system calls that our programs make once they are at work, each list with what it is for.
//!
//! Made from what musl and the Rust library call on the paths of both programs, and tried with the whole of `tests/it`, by
//! both C libraries. What is not here and why: no new program and no new process (`execve`, `fork`), no signal to others
//! (`kill`), no change of modes, owners and attributes (landlock does not govern them), no links, devices and mounts, no
//! memory that can be executed, no tracing, keys, namespaces, kernel programs, `io_uring` (its calls pass no list), no
//! other kinds of sockets than Internet streams and datagrams and Unix ones. Refuses ○: to make a call.

use crate::limits;
use crate::sys::seccomp::{Argument, Number, Rule, When};
use libc as c;
use When::{All, Always, Never, Own};

/// What one program needs besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// `chmod`, for a Unix socket of the page that gets its mode after it is there.
    pub modes: bool,
    /// `fchmod` to the one mode of a file of events, which others are to read.
    pub logs: bool,
    /// `fchmod` to the one mode of a page in a file, which everyone may read.
    pub pages: bool,
}

/// Allowed requests of `ioctl`: what a pipe or socket holds, what of it the other side does not have yet (SIOCOUTQ, by its
/// older name), blocking or not.
const REQUESTS: &[u32] = &[c::FIONREAD as u32, c::TIOCOUTQ as u32, c::FIONBIO as u32];
/// Allowed commands of `fcntl`: copies, flags, the size of a pipe. Not those by which the kernel would send a signal, of
/// any number, to a process of the caller's choice when something comes (`F_SETOWN`, `F_SETSIG`).
const COMMANDS: &[u32] = &[
    c::F_DUPFD as u32,
    c::F_DUPFD_CLOEXEC as u32,
    c::F_GETFD as u32,
    c::F_SETFD as u32,
    c::F_GETFL as u32,
    c::F_SETFL as u32,
    c::F_SETPIPE_SZ as u32,
    c::F_GETPIPE_SZ as u32,
    // Of our own memory file, before journald is given it.
    c::F_ADD_SEALS as u32,
];
/// Internet and Unix, streams and datagrams.
const SOCKETS: &[Argument] = &[
    Argument(0, u32::MAX, &[c::AF_UNIX as u32, c::AF_INET as u32, c::AF_INET6 as u32]),
    Argument(1, 0xf, &[c::SOCK_STREAM as u32, c::SOCK_DGRAM as u32]),
];
/// A netlink socket is glibc's way to see whether there is IPv6; without one it takes it that there is. No word of that.
#[cfg(not(target_env = "musl"))]
const SOCKET: Rule = Rule(c::SYS_socket, When::AllOr(SOCKETS, c::EAFNOSUPPORT));
#[cfg(target_env = "musl")]
const SOCKET: Rule = Rule(c::SYS_socket, All(SOCKETS));
/// A process is what has no CLONE_THREAD; the rest of the mask are namespaces.
const THREAD: Argument = Argument(0, c::CLONE_THREAD as u32 | 0x7e02_0000, &[c::CLONE_THREAD as u32]);
/// Names of threads, and questions about ourselves.
const PROCESS_OPTIONS: &[u32] = &[
    c::PR_SET_NAME as u32,
    c::PR_GET_NAME as u32,
    c::PR_GET_SECCOMP as u32,
    c::PR_GET_NO_NEW_PRIVS as u32,
    c::PR_GET_DUMPABLE as u32,
];

// The libc crate does not name these two for each C library.
const RENAMEAT: Number = if cfg!(target_arch = "x86_64") { 264 } else { 38 };
const SYNC_FILE_RANGE: Number = if cfg!(target_arch = "x86_64") { 277 } else { 84 };

/// What runs for each event and each request stands first: before kernel 5.11 the list is gone through at each call.
const BUSY: &[Rule] = &[
    Rule(c::SYS_futex, Always),
    Rule(c::SYS_read, Always),
    Rule(c::SYS_ioctl, All(&[Argument(1, u32::MAX, REQUESTS)])),
    Rule(c::SYS_splice, Always),
    Rule(c::SYS_pwrite64, Always),
    Rule(c::SYS_pread64, Always),
    Rule(c::SYS_write, Always),
    Rule(c::SYS_ppoll, Always),
    Rule(c::SYS_recvfrom, Always),
    Rule(c::SYS_sendto, Always),
    Rule(c::SYS_writev, Always),
    Rule(c::SYS_readv, Always),
    Rule(c::SYS_clock_nanosleep, Always),
    Rule(c::SYS_nanosleep, Always),
    Rule(c::SYS_clock_gettime, Always),
    Rule(c::SYS_fdatasync, Always),
];

const FILES: &[Rule] = &[
    Rule(c::SYS_openat, Always),
    Rule(c::SYS_close, Always),
    Rule(c::SYS_fstat, Always),
    Rule(c::SYS_newfstatat, Always),
    Rule(c::SYS_statx, Always),
    Rule(c::SYS_lseek, Always),
    Rule(c::SYS_fsync, Always),
    Rule(SYNC_FILE_RANGE, Always),
    Rule(c::SYS_fadvise64, Always),
    Rule(c::SYS_ftruncate, Always),
    Rule(c::SYS_fallocate, Always),
    Rule(c::SYS_flock, Always),
    Rule(c::SYS_fcntl, All(&[Argument(1, u32::MAX, COMMANDS)])),
    Rule(c::SYS_dup, Always),
    Rule(c::SYS_getdents64, Always),
    Rule(RENAMEAT, Always),
    Rule(c::SYS_renameat2, Always),
    Rule(c::SYS_unlinkat, Always),
    Rule(c::SYS_mkdirat, Always),
    Rule(c::SYS_readlinkat, Always),
    Rule(c::SYS_faccessat, Always),
    Rule(c::SYS_faccessat2, Always),
    Rule(c::SYS_statfs, Always),
    Rule(c::SYS_fstatfs, Always),
    Rule(c::SYS_getcwd, Always),
    Rule(c::SYS_memfd_create, Always),
    Rule(c::SYS_pipe2, Always),
    Rule(c::SYS_tee, Always),
    Rule(c::SYS_preadv, Always),
    Rule(c::SYS_pwritev, Always),
    Rule(c::SYS_copy_file_range, Always),
    Rule(c::SYS_sendfile, Always),
    // To be told of what happens in the directory of a log that is followed.
    Rule(c::SYS_inotify_init1, Always),
    Rule(c::SYS_inotify_add_watch, Always),
];

/// The same by their old names, which only the older processor has.
#[cfg(target_arch = "x86_64")]
const OLD: &[Rule] = &[
    Rule(c::SYS_poll, Always),
    Rule(c::SYS_open, Always),
    Rule(c::SYS_stat, Always),
    Rule(c::SYS_lstat, Always),
    Rule(c::SYS_access, Always),
    Rule(c::SYS_readlink, Always),
    Rule(c::SYS_rename, Always),
    Rule(c::SYS_unlink, Always),
    Rule(c::SYS_rmdir, Always),
    Rule(c::SYS_mkdir, Always),
    Rule(c::SYS_getdents, Always),
    Rule(c::SYS_pipe, Always),
    Rule(c::SYS_time, Always),
    Rule(c::SYS_getrlimit, Always),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Rule] = &[];

const NETWORK: &[Rule] = &[
    SOCKET,
    Rule(c::SYS_socketpair, All(&[Argument(0, u32::MAX, &[c::AF_UNIX as u32])])),
    Rule(c::SYS_connect, Always),
    Rule(c::SYS_bind, Always),
    Rule(c::SYS_listen, Always),
    Rule(c::SYS_accept, Always),
    Rule(c::SYS_accept4, Always),
    Rule(c::SYS_shutdown, Always),
    Rule(c::SYS_getsockname, Always),
    Rule(c::SYS_getpeername, Always),
    Rule(c::SYS_setsockopt, Always),
    Rule(c::SYS_getsockopt, Always),
    Rule(c::SYS_sendmsg, Always),
    Rule(c::SYS_recvmsg, Always),
    Rule(c::SYS_sendmmsg, Always),
    Rule(c::SYS_recvmmsg, Always),
];

const MEMORY_AND_THREADS: &[Rule] = &[
    Rule(c::SYS_munmap, Always),
    Rule(c::SYS_mremap, Always),
    Rule(c::SYS_madvise, Always),
    Rule(c::SYS_brk, Always),
    Rule(c::SYS_clone, All(&[THREAD])),
    // Its flags lie in memory, where no filter sees them; libraries go back to `clone`.
    Rule(c::SYS_clone3, Never(c::ENOSYS)),
    Rule(c::SYS_exit, Always),
    Rule(c::SYS_exit_group, Always),
    Rule(c::SYS_set_robust_list, Always),
    Rule(c::SYS_rseq, Always),
    Rule(c::SYS_membarrier, Always),
    Rule(c::SYS_sched_yield, Always),
    Rule(c::SYS_sched_getaffinity, Always),
    // The thread that packs the spool steps back behind the others: of one thread, the calling one (0 and 0).
    Rule(c::SYS_setpriority, All(&[Argument(0, u32::MAX, &[0]), Argument(1, u32::MAX, &[0])])),
    Rule(c::SYS_rt_sigaction, Always),
    Rule(c::SYS_rt_sigprocmask, Always),
    Rule(c::SYS_rt_sigreturn, Always),
    Rule(c::SYS_sigaltstack, Always),
    Rule(c::SYS_restart_syscall, Always),
    // To end ourselves by a signal. `tkill` names a thread of anybody, and which numbers ours will have no filter can know;
    // musl's `abort` would use it, so the static binaries have one of their own (`sys::abort`).
    Rule(c::SYS_tgkill, Own(0)),
    Rule(c::SYS_tkill, Never(c::EPERM)),
    Rule(c::SYS_prctl, All(&[Argument(0, u32::MAX, PROCESS_OPTIONS)])),
    Rule(c::SYS_prlimit64, All(&[Argument(0, u32::MAX, &[0])])),
];

const QUESTIONS: &[Rule] = &[
    Rule(c::SYS_getrandom, Always),
    Rule(c::SYS_getpid, Always),
    Rule(c::SYS_gettid, Always),
    Rule(c::SYS_getuid, Always),
    Rule(c::SYS_geteuid, Always),
    Rule(c::SYS_getgid, Always),
    Rule(c::SYS_getegid, Always),
    Rule(c::SYS_uname, Always),
    Rule(c::SYS_sysinfo, Always),
    Rule(c::SYS_gettimeofday, Always),
    Rule(c::SYS_clock_getres, Always),
    Rule(c::SYS_getrusage, Always),
];

/// Memory that can be executed is mapped by none of us. glibc does, when it loads its name services.
#[cfg(target_env = "musl")]
const MAPPING: &[Rule] = &[
    Rule(c::SYS_mmap, All(&[Argument(2, c::PROT_EXEC as u32, &[0])])),
    Rule(c::SYS_mprotect, All(&[Argument(2, c::PROT_EXEC as u32, &[0])])),
];
#[cfg(not(target_env = "musl"))]
const MAPPING: &[Rule] = &[Rule(c::SYS_mmap, Always), Rule(c::SYS_mprotect, Always)];

#[cfg(target_arch = "x86_64")]
const MODES: &[Rule] = &[Rule(c::SYS_chmod, Always), Rule(c::SYS_fchmodat, Always)];
#[cfg(not(target_arch = "x86_64"))]
const MODES: &[Rule] = &[Rule(c::SYS_fchmodat, Always)];

const LOGS: &[Rule] = &[Rule(c::SYS_fchmod, All(&[Argument(1, u32::MAX, &[limits::FILE_MODE])]))];
const PAGES: &[Rule] = &[Rule(c::SYS_fchmod, All(&[Argument(1, u32::MAX, &[limits::PUSH_FILE_MODE])]))];

/// The list.
pub fn list(extra: Extra) -> Vec<Rule> {
    let modes = if extra.modes { MODES } else { &[] };
    let logs = if extra.logs { LOGS } else { &[] };
    let pages = if extra.pages { PAGES } else { &[] };
    let parts = [BUSY, OLD, FILES, NETWORK, MEMORY_AND_THREADS, QUESTIONS, MAPPING, modes, logs, pages];
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_call_is_named_twice_and_none_that_would_open_the_list() {
        let all = list(Extra { modes: true, logs: true, pages: false });
        let numbers: BTreeSet<_> = all.iter().map(|Rule(n, _)| *n).collect();
        assert_eq!(numbers.len(), all.len());
        for call in [
            c::SYS_execve,
            c::SYS_execveat,
            c::SYS_ptrace,
            c::SYS_kill,
            c::SYS_mount,
            c::SYS_bpf,
            c::SYS_keyctl,
            c::SYS_unshare,
            c::SYS_setns,
            c::SYS_io_uring_setup,
            c::SYS_init_module,
            c::SYS_kexec_load,
            c::SYS_process_vm_writev,
            c::SYS_pidfd_getfd,
            c::SYS_userfaultfd,
            c::SYS_open_by_handle_at,
            c::SYS_fchownat,
            c::SYS_linkat,
            c::SYS_symlinkat,
            c::SYS_mknodat,
            c::SYS_setxattr,
            c::SYS_setuid,
            c::SYS_perf_event_open,
            c::SYS_seccomp,
            c::SYS_chroot,
        ] {
            assert!(!numbers.contains(&call), "call {call}");
        }
        let without = list(Extra::default());
        let modes = [c::SYS_fchmodat, c::SYS_fchmod];
        assert!(!without.iter().any(|Rule(n, _)| modes.contains(n)) && without.len() < all.len());
        let logs = list(Extra { logs: true, ..Extra::default() });
        let pages = list(Extra { pages: true, ..Extra::default() });
        assert_eq!([logs.len(), pages.len()], [without.len() + 1; 2], "one call more, and for one mode alone");
    }
}
