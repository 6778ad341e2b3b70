//! A real receiver that is not ours, as the tests see it: a program that is started, killed and started again, and one
//! decoder that says which documents have arrived so far.
//!
//! A new one is a file with a `Plan`: how it is started, how one sees that it is ready, how what it has kept becomes
//! documents. Refuses: to judge what arrived; the ledger does that.

use super::den::{wait_for, Den};
use super::ledger::Ledger;
use super::procs;
use super::receiver::Doc;
use super::rough::Rough;
use super::setup::Setup;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a receiver is run.
pub struct Plan {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Whether it takes events now.
    pub ready: Box<dyn Fn() -> bool>,
    /// What it has kept so far.
    pub decode: Box<dyn Fn() -> Vec<Doc>>,
}

/// A running receiver.
pub struct Peer {
    plan: Plan,
    child: Option<Child>,
    log: String,
}

impl Peer {
    /// Starts it, and waits until it is ready.
    pub fn start(den: &Den, plan: Plan) -> Peer {
        let mut peer = Peer { plan, child: None, log: den.file("peer.out") };
        peer.start_again();
        peer
    }

    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = std::fs::File::options().create(true).append(true).open(&self.log).expect("a file for its words");
        let mut command = Command::new(&self.plan.program);
        command.args(&self.plan.args).stdin(Stdio::null()).stdout(log.try_clone().expect("a copy")).stderr(log);
        self.child = Some(command.spawn().expect("it starts"));
        let ready = wait_for(Duration::from_secs(20), || (self.plan.ready)());
        assert!(ready, "{} is not ready:\n{}", self.plan.program.display(), self.words());
    }

    /// Killed as by the OOM killer.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a signal");
        child.wait().expect("an end");
    }

    /// A signal by its name.
    pub fn signal(&self, name: &str) {
        procs::signal(name, i64::from(self.pid()));
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What it said.
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Everything that arrived, repeats too.
    pub fn all(&self) -> Vec<Doc> {
        (self.plan.decode)()
    }

    /// Each document once, in the order of first arrival.
    pub fn docs(&self) -> Vec<Doc> {
        let mut seen = HashSet::new();
        self.all().into_iter().filter(|d| seen.insert(d.id.clone())).collect()
    }

    /// Waits for so many different documents.
    pub fn wait_docs(&self, count: usize, limit: Duration) -> bool {
        wait_for(limit, || self.docs().len() >= count)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The document of an event that came as JSON; None for what is none, as a last line that is cut.
pub fn json(text: &str) -> Option<Doc> {
    let value: Value = serde_json::from_str(text).ok()?;
    let id = value["gostech"]["id"].as_str().unwrap_or_default().to_owned();
    Some(Doc { id, value, raw: text.to_owned(), at: Instant::now() })
}

/// What a delivery with a death in its middle has come to.
#[derive(Debug)]
pub struct Outcome {
    pub written: usize,
    pub lost: usize,
    pub repeats: usize,
}

/// How a receiver dies.
#[derive(Clone, Copy, PartialEq)]
pub enum Death {
    /// At work.
    Sudden,
    /// After it has stood still for a while, and its buffers are full: the worst for what it had not read.
    Stopped,
}

/// Writes `count` rough events; in their middle the receiver is killed and, a moment later, started again. Everything that
/// arrived is what was written, field by field and in order; what did not arrive is counted.
pub fn killed_in_the_middle(den: &Den, setup: &Setup, peer: &mut Peer, count: usize, death: Death) -> Outcome {
    let mut picodata = setup.picodata();
    let mut rough = Rough::new();
    for i in 0..count {
        if i == count / 2 {
            assert!(peer.wait_docs(1, Duration::from_secs(30)), "nothing came:\n{}\n{}", picodata.err(), peer.words());
            match death {
                Death::Sudden => peer.kill9(),
                Death::Stopped => peer.signal("STOP"),
            }
        }
        if i == count * 5 / 8 && death == Death::Stopped {
            std::thread::sleep(Duration::from_millis(500));
            peer.kill9();
        }
        if i == count * 3 / 4 {
            peer.start_again();
        }
        rough.write(&mut picodata, i);
    }
    assert_eq!(picodata.finish(Duration::from_secs(100)), 0, "{}", picodata.err());
    // What it has read it may still have to write.
    let mut last = (0, Instant::now());
    wait_for(Duration::from_secs(20), || {
        let now = peer.docs().len();
        if now != last.0 {
            last = (now, Instant::now());
        }
        now >= count || last.1.elapsed() > Duration::from_secs(2)
    });
    let ordered = !setup.args.iter().any(|arg| arg.contains("udp://"));
    compare(den, &picodata.ledger, rough.cut(), peer, ordered)
}

/// Compares what arrived with what was written; the lost ones are counted, everything else has to be right. Over UDP the order
/// too is nobody's promise: a datagram that was lost comes, when its parcel is sent again, behind those that were not.
fn compare(den: &Den, ledger: &Ledger, cut: &[String], peer: &Peer, ordered: bool) -> Outcome {
    let (all, docs) = (peer.all().len(), peer.docs());
    let is_cut = |d: &Doc| d.value["gostech"]["truncated"] == true;
    let (of_cut, mut whole): (Vec<Doc>, Vec<Doc>) = docs.into_iter().partition(is_cut);
    if !ordered {
        let written = ledger.records().iter().filter_map(|r| serde_json::from_str::<Value>(r).ok());
        let places: HashMap<String, usize> = written.zip(0..).map(|(v, i)| (v["id"].to_string(), i)).collect();
        whole.sort_by_key(|d| places.get(&d.value["id"].to_string()).copied());
    }
    let raws: Vec<&str> = of_cut.iter().filter_map(|d| d.value["gostech"]["raw"].as_str()).collect();
    assert!(raws.iter().all(|raw| cut.iter().any(|c| c == raw)), "a cut record came as another one");
    let missing: HashSet<String> = ledger.missing(&whole).into_iter().collect();
    let mut arrived = Ledger::default();
    for record in ledger.records() {
        let value: Value = serde_json::from_str(record).expect("a record");
        if !missing.contains(value["id"].as_str().unwrap_or_default()) {
            arrived.note(record);
        }
    }
    assert_eq!(arrived.compare(&whole), Ok(()), "{}", den.path().display());
    let lost = missing.len() + cut.len() - raws.len();
    let outcome = Outcome { written: ledger.len() + cut.len(), lost, repeats: all - whole.len() - of_cut.len() };
    eprintln!("{outcome:?}");
    outcome
}
