//! Acts that a confined process must not be able to do, for a child that tries them: `check` shows by it that the
//! confinement bites on this machine.
//!
//! Each leaves nothing behind where it is possible. Refuses: to be done anywhere but in a child that ends right after.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Something that a process which was taken over would like to do.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// In words.
    pub name: &'static str,
    /// Whether it is the list of calls or the list of files that forbids it.
    pub by: By,
    /// Tries it.
    pub attempt: fn() -> io::Result<()>,
}

/// Which part of a confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The list of files.
    Files,
    /// The list of calls.
    Calls,
}

/// All acts; the last ones would end the child, so that what it cannot tell any more was possible.
pub const ACTS: &[Act] = &[
    Act { name: "read a file of the system", by: By::Files, attempt: || std::fs::File::open("/etc/passwd").map(drop) },
    Act { name: "list a directory of the system", by: By::Files, attempt: || std::fs::read_dir("/").map(drop) },
    Act { name: "write a file elsewhere", by: By::Files, attempt: write_elsewhere },
    Act { name: "remove a file elsewhere", by: By::Files, attempt: || std::fs::remove_file(prop()?.join("file")) },
    Act { name: "make a directory elsewhere", by: By::Files, attempt: || std::fs::create_dir(prop()?.join("new")) },
    Act { name: "remove a directory elsewhere", by: By::Files, attempt: || std::fs::remove_dir(prop()?.join("dir")) },
    Act { name: "make a socket elsewhere", by: By::Files, attempt: || UnixListener::bind(prop()?.join("s")).map(drop) },
    Act {
        name: "talk to the kernel's network side",
        by: By::Calls,
        attempt: || socket(libc::AF_NETLINK, libc::SOCK_RAW),
    },
    Act { name: "send raw packets", by: By::Calls, attempt: || socket(libc::AF_INET, libc::SOCK_RAW) },
    Act {
        name: "be traced or trace",
        by: By::Calls,
        attempt: || call(libc::SYS_ptrace, [libc::PTRACE_TRACEME as usize, 0]),
    },
    Act { name: "send a signal to another process", by: By::Calls, attempt: || call(libc::SYS_kill, [1, 0]) },
    Act {
        name: "have the kernel signal another process",
        by: By::Calls,
        // For standard input: nobody.
        attempt: || call(libc::SYS_fcntl, [0, libc::F_SETOWN as usize]),
    },
    Act { name: "change a file's mode", by: By::Calls, attempt: change_mode },
    Act {
        name: "make a namespace",
        by: By::Calls,
        attempt: || call(libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0]),
    },
    Act { name: "load a kernel program", by: By::Calls, attempt: || call(libc::SYS_bpf, [0, 0]) },
    Act { name: "use the kernel's keys", by: By::Calls, attempt: || call(libc::SYS_keyctl, [0, 0]) },
    Act {
        name: "mount a file system",
        by: By::Calls,
        attempt: || call(libc::SYS_umount2, [c"/".as_ptr() as usize, 4]),
    },
    Act { name: "queue calls past the list", by: By::Calls, attempt: || call(libc::SYS_io_uring_setup, [1, 0]) },
    Act { name: "fork", by: By::Calls, attempt: fork },
    Act { name: "start a program", by: By::Calls, attempt: start_a_program },
];

/// A directory with what the acts try to remove, for as long as the trial lasts.
#[derive(Debug)]
pub struct Props;

static PROPS: OnceLock<PathBuf> = OnceLock::new();

impl Props {
    /// Made before the confinement.
    pub fn make() -> io::Result<Props> {
        let dir = PROPS.get_or_init(|| std::env::temp_dir().join(format!(".gostech-trial-{}.d", std::process::id())));
        DirBuilder::new().mode(0o700).create(dir)?;
        let props = Props;
        std::fs::write(dir.join("file"), "")?;
        std::fs::create_dir(dir.join("dir"))?;
        Ok(props)
    }
}

impl Drop for Props {
    fn drop(&mut self) {
        PROPS.get().into_iter().for_each(|dir| drop(std::fs::remove_dir_all(dir)));
    }
}

fn prop() -> io::Result<&'static Path> {
    PROPS.get().map(PathBuf::as_path).filter(|dir| dir.is_dir()).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// A call with up to two arguments that are numbers, or addresses of strings that live for ever.
fn call(number: libc::c_long, [a, b]: [usize; 2]) -> io::Result<()> {
    // SAFETY: by the table above the arguments are numbers, a null or a string constant; none of these calls writes
    // through them.
    super::check_size(unsafe { libc::syscall(number, a, b, 0usize, 0usize, 0usize) } as isize).map(drop)
}

fn socket(family: i32, kind: i32) -> io::Result<()> {
    // SAFETY: numbers only; the descriptor ends with the child.
    super::check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) }).map(drop)
}

fn write_elsewhere() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!(".gostech-trial-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}

fn change_mode() -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // To what it is.
    let path = std::env::current_dir().unwrap_or_else(|_| Path::new("/").into());
    let mode = std::fs::metadata(&path)?.permissions().mode();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
}

/// Past the C library: musl's blocks all signals in it, and a filter's trap for who blocks its signal is death.
fn fork() -> io::Result<()> {
    // SAFETY: no stack is given, so it is a fork; the process has one thread, and the child ends at once.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD as usize, 0usize, 0usize, 0usize, 0usize) };
    match super::check_size(pid as isize)? {
        0 => super::process::exit_now(0),
        _ => Ok(()),
    }
}

/// When it works, the child is `true(1)` and tells nothing more.
fn start_a_program() -> io::Result<()> {
    let argv = [c"true".as_ptr(), std::ptr::null()];
    // SAFETY: a string with its NUL and an array that ends with a null, both living through the call.
    unsafe { libc::execv(c"/bin/true".as_ptr(), argv.as_ptr()) };
    Err(io::Error::last_os_error())
}
