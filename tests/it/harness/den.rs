//! A place of one's own for each test: a temporary directory, a free port, a bounded wait, and the peers of the machine.
//!
//! Refuses to wait without an end: every wait has a limit and a sentence that says what did not come.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A temporary directory, gone with its test; kept and named when the test fails.
pub struct Den {
    path: PathBuf,
}

static DENS: AtomicU32 = AtomicU32::new(0);

impl Den {
    pub fn new(name: &str) -> Den {
        let number = DENS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gostech-it-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Den { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file inside, as text for a command line.
    pub fn file(&self, name: &str) -> String {
        self.path.join(name).to_str().expect("a path of plain text").to_owned()
    }

    /// Writes a file inside and returns its path.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.file(name);
        std::fs::write(&path, content).expect("a file in the temporary directory");
        path
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Ports come in blocks, and a block is one run's as long as it lives: while a receiver is away nobody listens on its port,
/// and another run of these tests would take it, and with it the events. Below the ephemeral range: a client that knocks
/// at a closed port of that range can end connected to itself.
struct Ports {
    /// What says of each block that it is ours: a name that one process can have, and that goes with it.
    blocks: VecDeque<(u16, UnixListener)>,
    next: u16,
    end: u16,
}

const FIRST: u16 = 20_000;
const BLOCKS: u16 = 120;
const BLOCK: u16 = 100;
static TAKEN: Mutex<Ports> = Mutex::new(Ports { blocks: VecDeque::new(), next: 0, end: 0 });

impl Ports {
    fn next(&mut self) -> u16 {
        if self.next == self.end {
            // Not always those of the run before, whose helpers may still knock.
            let start = (std::process::id() % u32::from(BLOCKS)) as u16;
            let free = (start..start + BLOCKS).map(|n| FIRST + n % BLOCKS * BLOCK).find_map(|first| {
                let name = SocketAddr::from_abstract_name(format!("gostech-it-ports-{first}")).ok()?;
                Some((first, UnixListener::bind_addr(&name).ok()?))
            });
            // In a very long run those of the beginning come again.
            let block = free.or_else(|| self.blocks.pop_front()).expect("a block of ports that no other run has");
            (self.next, self.end) = (block.0, block.0 + BLOCK);
            self.blocks.push_back(block);
        }
        self.next += 1;
        self.next - 1
    }
}

/// A listener on a free port of loopback, outside the ephemeral range.
pub fn free_listener() -> TcpListener {
    let mut ports = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", ports.next())) {
            return listener;
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    free_listener().local_addr().expect("an address").port()
}

/// Waits until something is so; panics with what did not come.
pub fn wait(what: &str, limit: Duration, so: impl FnMut() -> bool) {
    assert!(wait_for(limit, so), "after {limit:?} still not so: {what}");
}

/// Waits until something is so; false when the time is over.
pub fn wait_for(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Runs one test of this binary again by a command that ends with the binary, and says what it says. A name that no test has
/// would run none of them and end well: so one must have passed.
pub fn run_again(mut command: Command, test: &str) {
    let out = command.args(["--exact", test, "--nocapture"]).output().expect("a second run");
    let said = String::from_utf8_lossy(&out.stdout);
    eprint!("{}", String::from_utf8_lossy(&out.stderr));
    assert!(
        out.status.success() && said.contains("test result: ok. 1 passed"),
        "{test} in a process of its own:\n{said}"
    );
}

/// Whether the long runs are asked for: `GOSTECH_LONG=1`.
pub fn long() -> bool {
    std::env::var_os("GOSTECH_LONG").is_some_and(|v| v == "1")
}

/// The path of a real program, or «skipped» said and None. `GOSTECH_PEERS=required` makes its absence a failure.
pub fn peer(name: &str) -> Option<PathBuf> {
    let found = peer_here(name);
    if found.is_none() {
        let required = std::env::var_os("GOSTECH_PEERS").is_some_and(|v| v == "required");
        assert!(!required, "no {name} here, and GOSTECH_PEERS=required");
        eprintln!("skipped: no {name} here");
    }
    found
}

/// The path of a real program that nobody has to have.
pub fn peer_here(name: &str) -> Option<PathBuf> {
    find_peer(name, &std::env::var_os("PATH").unwrap_or_default(), &own_peers())
}

/// Where `tests/run` puts those that cannot be installed.
fn own_peers() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("peers/bin")
}

/// As `tests/run` looks for it: our own wrappers, the PATH, and the places of servers, which are not in a user's PATH.
pub fn find_peer(name: &str, path: &OsStr, own: &Path) -> Option<PathBuf> {
    let runs = |p: &PathBuf| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let servers = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let dirs = std::iter::once(own.to_path_buf()).chain(std::env::split_paths(path)).chain(servers);
    // An empty entry of PATH is the current directory, where no peer is.
    dirs.filter(|d| d.is_absolute()).map(|d| d.join(name)).find(runs)
}
