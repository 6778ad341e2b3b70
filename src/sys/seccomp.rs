//! Seccomp: a list of the system calls that a process may make, checked by the kernel before each call.
//!
//! A call that is not on the list is refused with «operation not permitted», counted, and the process goes on: killed for
//! it, a worker would be started again, and make it again. A call that no kernel had when this was written is answered as
//! an older kernel would («no such call»), so that a C library falls back instead of failing.
//!
//! The filter is a program of classic BPF, assembled here. Refuses: to know which calls a program needs; other processors
//! than x86_64 and aarch64; to be undone.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The number of a system call on this processor.
pub type Number = libc::c_long;

/// What an argument must be: masked, one of the values. Only its lower half is looked at: so does the kernel with what it
/// takes for an `int`.
#[derive(Clone, Copy, Debug)]
pub struct Argument(pub u8, pub u32, pub &'static [u32]);

/// When a call is allowed.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// In any case.
    Always,
    /// When all of this holds.
    All(&'static [Argument]),
    /// The same, but otherwise it is refused without a word, and with this error.
    AllOr(&'static [Argument], i32),
    /// When this argument is the number of our own process.
    Own(u8),
    /// Never; but without a word, and with this error: libraries try it and have another way.
    Never(i32),
}

/// A call and when it is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Rule(pub Number, pub When);

/// The newest call that was known when this was written (`file_setattr`, Linux 6.17).
const LAST_KNOWN: u32 = 469;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

// Where `struct seccomp_data` has them; both processors are little-endian, so an argument's lower half comes first.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_ABOVE: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE_AND_COUNT: u32 = libc::SECCOMP_RET_TRAP;

fn refuse(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error as u32
}

fn step(code: u32, k: u32, yes: usize, no: usize) -> libc::sock_filter {
    debug_assert!(yes <= 255 && no <= 255);
    libc::sock_filter { code: code as u16, jt: yes as u8, jf: no as u8, k }
}

fn end(verdict: u32) -> libc::sock_filter {
    step(RETURN, verdict, 0, 0)
}

/// Goes on behind itself when the argument is right, else ends.
fn one_of(argument: u8, mask: u32, values: &[u32], otherwise: u32) -> Vec<libc::sock_filter> {
    let mut p = vec![step(LOAD, ARGUMENTS_AT + 8 * u32::from(argument), 0, 0), step(AND, mask, 0, 0)];
    p.extend(values.iter().enumerate().map(|(i, value)| step(IF_EQUAL, *value, values.len() - i, 0)));
    p.push(end(otherwise));
    p
}

fn all_of(arguments: &[Argument], otherwise: u32) -> Vec<libc::sock_filter> {
    arguments.iter().flat_map(|Argument(n, mask, values)| one_of(*n, *mask, values, otherwise)).collect()
}

/// The filter of a list, for the process `pid`. Rules are looked at in order: those that are used most come first.
pub fn program(rules: &[Rule], pid: u32) -> Vec<libc::sock_filter> {
    let mut p = vec![
        step(LOAD, ARCHITECTURE_AT, 0, 0),
        step(IF_EQUAL, ARCHITECTURE, 1, 0),
        // The calls of another processor (32 bits on 64): other numbers, other meanings.
        end(refuse(libc::EPERM)),
        step(LOAD, NUMBER_AT, 0, 0),
        step(IF_ABOVE, LAST_KNOWN, 0, 1),
        end(refuse(libc::ENOSYS)),
    ];
    for Rule(number, when) in rules {
        let (block, last) = match when {
            When::Always => (Vec::new(), ALLOW),
            When::Never(error) => (Vec::new(), refuse(*error)),
            When::Own(argument) => (one_of(*argument, u32::MAX, &[pid], REFUSE_AND_COUNT), ALLOW),
            When::All(arguments) => (all_of(arguments, REFUSE_AND_COUNT), ALLOW),
            When::AllOr(arguments, error) => (all_of(arguments, refuse(*error)), ALLOW),
        };
        p.push(step(IF_EQUAL, *number as u32, 0, block.len() + 1));
        p.extend(block);
        p.push(end(last));
    }
    p.push(end(REFUSE_AND_COUNT));
    p
}

/// Whether this kernel (and whatever stands around this process) lets us have a filter as ours is.
pub fn available() -> bool {
    let action = REFUSE_AND_COUNT;
    // SAFETY: the call reads one word that lives through it, and changes nothing.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0 as libc::c_uint, &action) == 0 }
}

/// Whether a filter is in force for this thread, by the kernel's word.
pub fn in_force() -> bool {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) == 2 }
}

/// Puts a filter in force for all threads, for ever. No new privileges must be set before.
pub fn enforce(filter: &[libc::sock_filter]) -> io::Result<()> {
    catch_refusals()?;
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, "the filter is too long");
    let program =
        libc::sock_fprog { len: u16::try_from(filter.len()).map_err(|_| bad())?, filter: filter.as_ptr().cast_mut() };
    // LOG: the kernel writes refusals into the system's audit log. Not with glibc, whose every thread begins with one.
    let log = if cfg!(target_env = "musl") { libc::SECCOMP_FILTER_FLAG_LOG } else { 0 };
    let mut last = bad();
    // Kernels before 4.14 know no LOG.
    for flags in [libc::SECCOMP_FILTER_FLAG_TSYNC | log, libc::SECCOMP_FILTER_FLAG_TSYNC] {
        // SAFETY: `program` names `filter`, which lives through the call; the kernel copies and checks it.
        let answer = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) };
        match answer {
            0 => return Ok(()),
            -1 => last = io::Error::last_os_error(),
            thread => return Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
        }
        if last.raw_os_error() != Some(libc::EINVAL) {
            break;
        }
    }
    Err(last)
}

static REFUSED: AtomicU64 = AtomicU64::new(0);
static LAST_REFUSED: AtomicI64 = AtomicI64::new(-1);

/// How many calls were refused in this process, and the number of the last one.
pub fn refused() -> (u64, i64) {
    (REFUSED.load(Ordering::Acquire), LAST_REFUSED.load(Ordering::Relaxed))
}

/// From now on a refused call raises a signal, whose handler counts it and makes the call answer EPERM.
fn catch_refusals() -> io::Result<()> {
    // SAFETY: sigaction is plain data for which all zeros is a value; the handler has the signature that SA_SIGINFO
    // asks for, and does nothing but touch atomics and the registers it was given.
    let answer = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_refusal as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut())
    };
    super::check(answer).map(drop)
}

/// Where the kernel's `siginfo_t` of SIGSYS has the number of the call.
const CALL_AT: usize = 24;
/// Where the kernel's `ucontext` has the register that a call answers in: `rax`, `x0`.
#[cfg(target_arch = "x86_64")]
const ANSWER_AT: usize = 40 + 13 * 8;
#[cfg(target_arch = "aarch64")]
const ANSWER_AT: usize = 176 + 8;

extern "C" fn on_refusal(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// `si_code` of a signal that a filter raised.
    const BY_FILTER: i32 = 1;
    // SAFETY: the kernel gives both; their layouts are its interface and the same for every C library. A SIGSYS that
    // somebody sent has another code and is left alone.
    unsafe {
        if (*info).si_code != BY_FILTER {
            return;
        }
        let call = info.cast::<u8>().add(CALL_AT).cast::<i32>().read_unaligned();
        LAST_REFUSED.store(i64::from(call), Ordering::Relaxed);
        context.cast::<u8>().add(ANSWER_AT).cast::<i64>().write_unaligned(-i64::from(libc::EPERM));
    }
    REFUSED.fetch_add(1, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a filter as the kernel does.
    fn verdict(p: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut a) = (0, 0u32);
        loop {
            let s = p[at];
            at += 1;
            match u32::from(s.code) {
                LOAD if s.k == NUMBER_AT => a = number,
                LOAD if s.k == ARCHITECTURE_AT => a = architecture,
                LOAD => {
                    assert!(s.k >= ARGUMENTS_AT && (s.k - ARGUMENTS_AT) % 8 == 0);
                    a = arguments[((s.k - ARGUMENTS_AT) / 8) as usize] as u32;
                }
                AND => a &= s.k,
                IF_EQUAL => at += usize::from(if a == s.k { s.jt } else { s.jf }),
                IF_ABOVE => at += usize::from(if a > s.k { s.jt } else { s.jf }),
                RETURN => return s.k,
                other => panic!("a step of code {other:#x}"),
            }
        }
    }

    const RULES: &[Rule] = &[
        Rule(0, When::Always),
        Rule(41, When::All(&[Argument(0, u32::MAX, &[1, 2, 10]), Argument(1, 0xf, &[1, 9])])),
        Rule(56, When::All(&[Argument(0, 0x10000, &[0x10000])])),
        Rule(9, When::AllOr(&[Argument(0, 4, &[0])], 97)),
        Rule(435, When::Never(libc::ENOSYS)),
        Rule(234, When::Own(0)),
        Rule(1, When::Always),
    ];

    #[test]
    fn a_filter_allows_what_the_rules_say_and_nothing_else() {
        let p = program(RULES, 4711);
        let of = |number, argument| verdict(&p, ARCHITECTURE, number, [argument, 9, 9, 9, 9, 9]);
        assert_eq!((of(0, 5), of(1, 5)), (ALLOW, ALLOW));
        for family in 0..64 {
            let expect = if [1, 2, 10].contains(&family) { ALLOW } else { REFUSE_AND_COUNT };
            assert_eq!(of(41, family), expect, "{family}");
        }
        // The upper half of an `int` is nothing.
        assert_eq!((of(41, 0xffff_ffff_0000_0002), of(41, 0xffff_ffff_0000_0003)), (ALLOW, REFUSE_AND_COUNT));
        assert_eq!((of(56, 0x3d0f00), of(56, 0x1200011)), (ALLOW, REFUSE_AND_COUNT));
        assert_eq!((of(234, 4711), of(234, 1), of(234, 0)), (ALLOW, REFUSE_AND_COUNT, REFUSE_AND_COUNT));
        let kind = |kind| verdict(&p, ARCHITECTURE, 41, [2, kind, 0, 0, 0, 0]);
        assert_eq!((kind(1), kind(0x80801), kind(3)), (ALLOW, ALLOW, REFUSE_AND_COUNT));
        assert_eq!((of(9, 3), of(9, 7)), (ALLOW, refuse(97)));
        assert_eq!(of(435, 0), refuse(libc::ENOSYS));
        for number in (2..9).chain(10..41).chain(57..234).chain([LAST_KNOWN]) {
            assert_eq!(of(number, 0), REFUSE_AND_COUNT, "{number}");
        }
        for number in [LAST_KNOWN + 1, 0x4000_0000, 0x4000_0001, u32::MAX] {
            assert_eq!(of(number, 0), refuse(libc::ENOSYS), "{number:#x}");
        }
    }

    #[test]
    fn calls_of_another_processor_are_refused() {
        let p = program(RULES, 1);
        for architecture in [0x4000_0003, 0x4000_0028, 0, ARCHITECTURE ^ 1] {
            assert_eq!(verdict(&p, architecture, 0, [0; 6]), refuse(libc::EPERM));
        }
    }
}
