//! The helper as a process, its page as a scraper sees it, and the world around: scratch directories, peers, waiting.

pub use crate::harness::peer;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The program under test: the one cargo built, or `GOSTECH_METRICS_BIN` (the static one).
pub fn program() -> String {
    std::env::var("GOSTECH_METRICS_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_gostech-metrics").to_owned())
}

/// The program, with a place of its own for what it knows of logins: another test's stand-in may have had the same port.
pub fn command() -> Command {
    let mut command = Command::new(program());
    command.env("STATE_DIRECTORY", state());
    command
}

/// A directory that no other run works in.
pub fn state() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("logins-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// A directory that goes away with its owner.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("gostech-metrics-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory");
        Scratch(path)
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the long runs are asked for.
pub fn long() -> bool {
    std::env::var_os("GOSTECH_LONG").is_some_and(|v| v == "1")
}

pub fn wait(what: &str, limit: Duration, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < end, "after {limit:?} still not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

/// The running helper.
pub struct Helper {
    pub child: Child,
    pub port: u16,
    /// A test that makes it do what it must not.
    pub forbidden: bool,
    log: Arc<Mutex<String>>,
}

impl Helper {
    /// Starts it with these arguments, serving on a port of the system's choice.
    pub fn start(args: &[&str]) -> Helper {
        Helper::start_with(args, &[])
    }

    pub fn start_with(args: &[&str], env: &[(&str, &str)]) -> Helper {
        let mut command = command();
        command.args(["--no-config", "--addr", "127.0.0.1:0"]).args(args).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the helper");
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, sink) = (child.stderr.take().expect("stderr"), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let mut helper = Helper { child, port: 0, forbidden: false, log };
        let end = Instant::now() + Duration::from_secs(20);
        while helper.port == 0 {
            assert!(Instant::now() < end, "the helper does not listen: {}", helper.log());
            std::thread::sleep(Duration::from_millis(5));
            let log = helper.log();
            let open = log.split("open at 127.0.0.1:").nth(1).and_then(|rest| rest.split_whitespace().next());
            helper.port = open.and_then(|p| p.parse().ok()).unwrap_or(0);
        }
        helper
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// It has said this, or does soon: who reads its log may be a moment behind.
    pub fn tells(&self, what: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(what) {
            assert!(Instant::now() < end, "nothing was said of `{what}`: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        get(self.port, path, &[]).expect("an answer")
    }

    pub fn scrape(&self) -> Samples {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200);
        samples(&answer.text())
    }

    /// Scrapes until something is so.
    pub fn until(&self, what: &str, limit: Duration, mut so: impl FnMut(&Samples) -> bool) -> Samples {
        let end = Instant::now() + limit;
        loop {
            let page = self.scrape();
            if so(&page) {
                return page;
            }
            assert!(Instant::now() < end, "after {limit:?} still not so: {what}\n{page:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub fn end(mut self) -> ExitStatus {
        self.signal("TERM");
        let limit = Instant::now() + Duration::from_secs(10);
        while Instant::now() < limit {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the helper does not end: {}", self.log());
    }

    /// A figure of /proc/PID/status, in KiB or a count.
    pub fn figure(&self, name: &str) -> u64 {
        figure(self.child.id(), name)
    }
}

pub fn figure(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with(&format!("{name}:"))).unwrap_or_default().to_string();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let forbidden = self.log().contains("forbidden system calls");
        assert!(
            self.forbidden || !forbidden || std::thread::panicking(),
            "the list of calls lacks one: {}",
            self.log()
        );
    }
}

pub fn signal(pid: u32, name: &str) {
    assert!(crate::harness::procs::signal(name, i64::from(pid)), "no signal {name} to {pid}");
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a page of UTF-8")
    }
}

/// GETs a page, or says why not.
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    ask(port, "GET", path, headers)
}

pub fn ask(port: u16, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let more: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    write!(socket, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n").ok()?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).ok()?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<_, _> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_string())).collect();
    let mut body = bytes[end + 4..].to_vec();
    if headers.get("transfer-encoding").is_some_and(|t| t.contains("chunked")) {
        body = unchunked(&body)?;
    }
    Some(Answer { status, headers, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        out.extend(rest.get(end + 2..end + 2 + size)?);
        rest = &rest[end + 4 + size..];
    }
}

/// Samples of a page: name and sorted labels → value, read by a parser that is not ours.
pub type Samples = BTreeMap<String, f64>;

pub fn samples(page: &str) -> Samples {
    let mut all = Samples::new();
    for line in page.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let value = match value {
            "NaN" | "Nan" => f64::NAN,
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            v => v.parse().unwrap_or_else(|_| panic!("no number: {line}")),
        };
        let doubled = all.insert(sorted(series), value);
        assert!(doubled.is_none(), "twice: {line}");
    }
    all
}

/// The same series has the same text, whatever the order of its labels. (No label value of the tests holds `",`.)
fn sorted(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_string() };
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split("\",").map(|l| l.trim_end_matches('"')).collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.iter().map(|l| format!("{l}\"")).collect::<Vec<_>>().join(","))
}
