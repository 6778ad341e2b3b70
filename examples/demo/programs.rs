//! The two real programs as processes of the demo, in a scratch directory that goes away with it.
//!
//! They are this very file under their own names: an example does not build the other binaries. Refuses: to hand on
//! this shell's environment and the machine's configuration files, so that the demo is the same everywhere.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{symlink, DirBuilderExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The scratch directory: links that give this file the names of the programs, and the spool.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it.
    pub fn make() -> io::Result<Scratch> {
        let dir = std::env::temp_dir().join(format!("gostech-demo-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let scratch = Scratch(dir);
        let exe = std::env::current_exe()?;
        for name in ["gostech-audit-log", "gostech-metrics"] {
            symlink(&exe, scratch.0.join(name))?;
        }
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        let path = format!("{}:/usr/bin:/bin", self.0.display());
        // A process group of its own, as Picodata makes one: Ctrl-C is for the demo, not for the helpers.
        shell.args(["-c", &format!(" {command}")]).current_dir(&self.0).env_clear().env("PATH", path).process_group(0);
        shell.stdout(Stdio::null()).stderr(Stdio::piped());
        shell
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running program.
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts it the way Picodata starts what stands behind `--audit='| `; gives the pipe into it too.
    pub fn behind_a_pipe(scratch: &Scratch, command: &str) -> io::Result<(Program, File)> {
        let (reader, writer) = gostech::sys::pipe::pair()?;
        let child = scratch.shell(command).stdin(reader).spawn()?;
        Ok((Program::new(child, "audit  "), File::from(writer)))
    }

    /// Starts it as a shell does.
    pub fn start(scratch: &Scratch, command: &str) -> io::Result<Program> {
        let child = scratch.shell(&format!("exec {command}")).stdin(Stdio::null()).spawn()?;
        Ok(Program::new(child, "metrics"))
    }

    /// What it says on stderr is shown, each line behind its name.
    fn new(mut child: Child, name: &'static str) -> Program {
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    crate::say(&format!("  {name} | {line}"));
                }
            });
        }
        Program { child }
    }

    /// The process that was started; its children are the workers.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The worker below the keeper, another one than `than`.
    pub fn worker(&self, than: Option<u32>) -> Option<u32> {
        // Beside it stands one that waits to take the keeper's place.
        let named = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "gostech-audit-w")
        };
        until(|| children(self.id()).into_iter().find(|pid| Some(*pid) != than && named(pid)))
    }

    /// Sends a signal to a process of this program.
    pub fn signal(&self, pid: u32, signal: i32) {
        gostech::sys::signal::send(pid as i32, signal);
    }

    /// Waits for its end; one that does not end is killed.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = until(|| self.child.try_wait().ok().flatten()) {
            return Ok(status);
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Only when the demo ends early: the group is this program's own.
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            gostech::sys::signal::send(-(self.child.id() as i32), gostech::sys::signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Children of a process. /proc/PID/stat: `pid (name) state ppid …`; the name may hold anything but ends with the last `)`.
fn children(parent: u32) -> Vec<u32> {
    let pid_of = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let Ok(proc) = fs::read_dir("/proc") else { return Vec::new() };
    let parent_of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    proc.flatten().filter_map(pid_of).filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// What `look` finds, within the patience.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// GET, as `curl` does it.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.take(8 << 20).read_to_string(&mut answer)?;
    Ok(answer)
}
