//! How one run of `gostech-audit-log` is set up: its options, environment and directory; then started as Picodata does,
//! or alone with a given input.
//!
//! The binary is the one cargo built, or `GOSTECH_AUDIT_BIN` (the static one). Refuses the machine's own configuration:
//! every run gets `--no-config`, a clean environment and a spool of its own, unless the test says otherwise.

use super::den::{wait_for, Den};
use super::picodata::Picodata;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The program under test.
pub fn binary() -> PathBuf {
    match std::env::var_os("GOSTECH_AUDIT_BIN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_BIN_EXE_gostech-audit-log")),
    }
}

/// The program as cargo built it for the tests, with its crash points, whatever `GOSTECH_AUDIT_BIN` names.
pub fn debug_binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_gostech-audit-log"))
}

/// Options and environment of a run.
#[derive(Clone)]
pub struct Setup {
    pub program: PathBuf,
    pub dir: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// `| exec gostech-audit-log …`: the shell is replaced, so its exit code is ours.
    pub exec: bool,
    /// What stands before the program's path in the command: `strace …`.
    pub before: String,
    /// The whole command instead of path and options: for the commands of the documents.
    pub literal: Option<String>,
}

impl Setup {
    /// With a spool in the den, the configuration of the machine left out, and batches that do not wait long.
    pub fn new(den: &Den) -> Setup {
        Setup::bare(den).args(&["--no-config", "--spool-dir", &den.file("spool"), "--linger", "20ms"])
    }

    /// Without any option.
    pub fn bare(den: &Den) -> Setup {
        let dir = den.path().to_owned();
        Setup {
            program: binary(),
            dir,
            args: Vec::new(),
            env: Vec::new(),
            exec: false,
            before: String::new(),
            literal: None,
        }
    }

    pub fn args(mut self, args: &[&str]) -> Setup {
        self.args.extend(args.iter().map(|a| (*a).to_owned()));
        self
    }

    pub fn url(self, url: &str) -> Setup {
        self.args(&["--url", url])
    }

    pub fn env(mut self, key: &str, value: &str) -> Setup {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With the build that has crash points.
    pub fn debug(mut self) -> Setup {
        self.program = debug_binary();
        self
    }

    pub fn exec(mut self) -> Setup {
        self.exec = true;
        self
    }

    /// The CMD of `--audit='| CMD'`.
    pub fn command_line(&self) -> String {
        if let Some(literal) = &self.literal {
            return literal.clone();
        }
        let words = std::iter::once(self.program.display().to_string()).chain(self.args.iter().cloned());
        let quoted: Vec<String> = words.map(|w| format!("'{}'", w.replace('\'', r"'\''"))).collect();
        let exec = if self.exec { "exec " } else { "" };
        format!("{exec}{}{}", self.before, quoted.join(" "))
    }

    /// Started by Picodata's way; standard error goes to `err` in the den.
    pub fn picodata(&self) -> Picodata {
        let mut picodata = Picodata::start(&self.command_line(), &self.dir, &self.env);
        picodata.program.clone_from(&self.program);
        picodata
    }

    /// Run alone to its end with this input; killed and failed after a minute.
    pub fn run(&self, input: &[u8]) -> Output {
        let file = self.dir.join("input");
        std::fs::write(&file, input).expect("an input file");
        self.run_on(Stdio::from(std::fs::File::open(&file).expect("the input file")))
    }

    /// The same with an input of one's own.
    pub fn run_on(&self, input: Stdio) -> Output {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir).env_clear().envs(self.env.iter().map(|(k, v)| (k, v)));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let pid = child.id();
        let (tell, told) = std::sync::mpsc::channel();
        let guard = std::thread::spawn(move || {
            if told.recv_timeout(Duration::from_secs(60)).is_err() {
                super::procs::kill9(pid);
            }
        });
        let output = child.wait_with_output().expect("an exit");
        let _ = tell.send(());
        let _ = guard.join();
        output
    }

    /// A subcommand (`status`, `spool verify`…) with arguments, no option of the run, and nothing on stdin.
    pub fn tool(&self, args: &[&str]) -> Output {
        let mut tool = self.clone();
        tool.args = args.iter().map(|a| (*a).to_owned()).collect();
        tool.run_on(Stdio::null())
    }
}

/// Text of a captured stream.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file below a directory, with its bytes.
pub fn files_below(dir: &std::path::Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.is_file() {
            found.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

/// Whether some file below the directory holds these bytes.
pub fn holds(dir: &std::path::Path, needle: &str) -> bool {
    files_below(dir).iter().any(|(_, bytes)| contains(bytes, needle.as_bytes()))
}

/// Whether the bytes hold the needle.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle)
}

/// Waits until what was written lies in the spool below `dir`, seen by a text of the last record.
pub fn wait_spooled(dir: &std::path::Path, needle: &str) {
    let so = wait_for(Duration::from_secs(20), || holds(dir, needle));
    assert!(so, "after 20 s no file below {} holds {needle}", dir.display());
}
