//! What the real faults stand on: a helper with its page of metrics, mounts of its own, and the questions at the end.
//!
//! The program is that of `GOSTECH_AUDIT_BIN` where it names one (the static one). Mounts live in a namespace of the
//! helper's own and go with it. Refuses: to change a mount, a limit or a clock of the machine.

use super::{left_out, Row};
use crate::harness::{free_port, procs, wait, Den, Page, Picodata, Receiver, Setup};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

pub const LIMIT: Duration = Duration::from_secs(90);

/// A place for one fault.
pub struct Real {
    pub den: Den,
    pub receiver: Receiver,
    pub port: u16,
    pub begin: Instant,
}

impl Real {
    pub fn new(name: &str) -> Real {
        Real { den: Den::new(name), receiver: Receiver::start(), port: free_port(), begin: Instant::now() }
    }

    /// A helper with a cushion of 1 MiB and a page of metrics.
    pub fn setup(&self) -> Setup {
        self.remembering("1M")
    }

    /// The same with another `--memory-max`.
    pub fn remembering(&self, memory: &str) -> Setup {
        self.bare(memory).args(&["--metrics-addr", &format!("127.0.0.1:{}", self.port)])
    }

    /// The same without the page.
    pub fn without_page(&self) -> Setup {
        self.bare("1M")
    }

    fn bare(&self, memory: &str) -> Setup {
        let args = ["--memory-max", memory, "--event-max", "64K", "--drain", "60s"];
        Setup::new(&self.den).exec().url(&self.receiver.url()).args(&args)
    }

    /// The page, for one receiver's identity and single numbers.
    pub fn page(&self) -> Page {
        Page::scrape(self.port)
    }

    /// Everything written is delivered, and the page says so; then the end, with 0.
    pub fn whole(&self, picodata: &mut Picodata) {
        let count = picodata.ledger.len();
        wait("everything delivered", LIMIT, || self.receiver.count() >= count);
        wait("nothing in the spool", LIMIT, || {
            self.page().sum("gostech_audit_spool_events", &["receiver=\"r1\""]) == Some(0.0)
        });
        let page = self.page();
        page.assert_identity("r1");
        assert_eq!(page.must("gostech_audit_read_total", &[]) as usize, count, "{}", picodata.err());
        self.ended(picodata);
    }

    /// The same for a helper without a page: `status` says so when it has ended.
    pub fn whole_without_page(&self, setup: &Setup, picodata: &mut Picodata) {
        let count = picodata.ledger.len();
        wait("everything delivered", LIMIT, || self.receiver.count() >= count);
        self.ended(picodata);
        let (counters, receiver) = status(setup, &self.den);
        let figures = [&counters["read"], &receiver["delivered"], &receiver["waiting"]].map(Value::as_u64);
        assert_eq!(figures, [Some(count as u64), Some(count as u64), Some(0)], "{counters:#} {receiver:#}");
    }

    fn ended(&self, picodata: &mut Picodata) {
        let code = picodata.finish(LIMIT);
        assert_eq!(picodata.ledger.compare(&self.receiver.docs()), Ok(()), "{}", picodata.err());
        assert_eq!(code, 0, "nothing was lost\n{}", picodata.err());
    }

    /// The line of the table.
    pub fn say(&self, class: &'static str, injected: u64, records: usize) {
        let (survived, repeated) = (injected, self.receiver.repeats());
        Row { class, injected, survived, records: records as u64, lost: 0, repeated, begin: self.begin }.say();
    }
}

/// The counters of `status --json` of the sub-directory `default`, and its receiver `r1`.
pub fn status(setup: &Setup, den: &Den) -> (Value, Value) {
    let out = setup.tool(&["status", "--json", "--no-config", "--spool-dir", &den.file("spool")]);
    let page: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let spools = page["spools"].as_array().expect("spools");
    let own = spools.iter().find(|s| s["name"] == "default").unwrap_or_else(|| panic!("no spool in {page:#}"));
    (own["counters"].clone(), own["receivers"][0].clone())
}

/// Whether this process may make mounts in a namespace of its own; else it is said.
pub fn may_mount(what: &str) -> bool {
    let probe = Command::new("unshare").args(["-m", "/bin/sh", "-c", "mount -t tmpfs none /mnt"]).output();
    let may = probe.is_ok_and(|o| o.status.success());
    if !may {
        left_out(&format!("{what}: no right to mount here"));
    }
    may
}

/// A command prefix that runs the program in a mount namespace of its own after this preparation.
pub fn in_namespace(prepare: &str) -> String {
    format!("unshare -m /bin/sh -c '{prepare} && exec \"$0\" \"$@\"' ")
}

/// A tmpfs of so many MiB on the spool's directory. None: no right to it here, and it is said.
pub fn on_tmpfs(den: &Den, mib: u32) -> Option<String> {
    let spool = den.file("spool");
    let mount = format!("mkdir -p {spool} && mount -t tmpfs -o size={mib}m tmpfs {spool}");
    may_mount("a spool on tmpfs").then(|| in_namespace(&mount))
}

/// A loop-mounted ext4 of so many MiB on the spool's directory. None: no loop devices here, and it is said.
pub fn on_ext4(den: &Den, mib: u32) -> Option<String> {
    let (image, spool) = (den.file("disk"), den.file("spool"));
    let script = format!(
        "dd if=/dev/zero of={image} bs=1M count={mib} status=none && mkfs.ext4 -q -m 0 -O ^has_journal {image} && mkdir -p {spool}"
    );
    let made = Command::new("/bin/sh").args(["-c", &script]).env("PATH", PATH).output();
    let mount = format!("mount -o loop {image} {spool}");
    let probe = Command::new("unshare").args(["-m", "/bin/sh", "-c", &mount]).env("PATH", PATH).output();
    if !made.is_ok_and(|o| o.status.success()) || !probe.is_ok_and(|o| o.status.success()) {
        left_out("a loop-mounted ext4: no loop devices or no mkfs.ext4 here");
        return None;
    }
    Some(in_namespace(&mount))
}

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a command in the mount namespace of a process.
pub fn inside(pid: u32, script: &str) {
    let pid = pid.to_string();
    let out = Command::new("nsenter").args(["-m", "-t", &pid, "/bin/sh", "-c", script]).env("PATH", PATH).output();
    let out = out.expect("nsenter starts");
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

/// What a process holds: resident KiB, descriptors, threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holds {
    pub rss_kib: u64,
    pub descriptors: u64,
    pub threads: u64,
}

impl Holds {
    pub fn of(pid: u32) -> Holds {
        Holds {
            rss_kib: procs::status_kib(pid, "VmRSS"),
            descriptors: procs::descriptors(pid).len() as u64,
            threads: procs::threads(pid).len() as u64,
        }
    }
}
