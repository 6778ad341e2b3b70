//! Bench (t): stdin to each kind of receiver, and the peers that can do the same, in one run: events a second, CPU seconds a
//! million, peak memory, and what is left of an event when somebody dies. The same 227-byte events in pieces of 64 KiB for all,
//! default options for ours. Receivers only count (`come`), so the figures are the sender's; that of a file is the file, that of
//! Kafka librdkafka's mock cluster, that of `exec` a handler in Python, which is most of its cost and not counted.

use crate::come::{counter, file, kafka, lines_at, number_in, relp, Come};
use crate::harness::{peer, procs, Den, Picodata, Setup};
use crate::measure::{cpu, median, pids, rounds, scaled, Watch};
use crate::producer::{Stock, Way};
use crate::{rsyslog, syslog_ng};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

/// A sender and the receiver that it has: the process, and who counts.
type Started = (Picodata, Come);
type Start = Box<dyn Fn(&Den) -> Option<Started>>;

struct Row {
    name: &'static str,
    durable: &'static str,
    start: Start,
}

/// Events a second, CPU seconds a million, peak MiB.
type Run = (f64, f64, f64);

const ANSWERED: &str = "yes: on the disk until it is answered";
const KERNEL: &str = "yes, but for what the receiver's kernel had when that died";
const QUEUE: &str = "no: in memory until that is full";
const BOTH: &str = "no: in memory, and what the receiver's kernel had is lost";

pub fn run() {
    let stock = Stock::of_227(scaled(300_000));
    println!("(t) stdin to each kind of receiver: {} events of 227 bytes", stock.events());
    let rows = rows();
    let mut runs: Vec<Vec<Run>> = rows.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds() {
        for (row, runs) in rows.iter().zip(&mut runs) {
            runs.extend(once(&stock, row));
        }
    }
    println!("  {:<30} | {:>9} | {:>6} | {:>8} | durable?", "", "1/s", "CPU s", "peak MiB");
    for (row, runs) in rows.iter().zip(&runs).filter(|(_, runs)| !runs.is_empty()) {
        let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
        let (rate, cpu, memory) = (middle(|r| r.0), middle(|r| r.1), middle(|r| r.2));
        println!("  {:<30} | {rate:>9.0} | {cpu:>6.2} | {memory:>8.1} | {}", row.name, row.durable);
    }
}

fn once(stock: &Stock, row: &Row) -> Option<Run> {
    let den = Den::new("bench-t");
    let (mut picodata, mut come) = (row.start)(&den)?;
    std::thread::sleep(Duration::from_millis(150));
    let watch = Watch::group(picodata.group());
    let (begin, wanted) = (Instant::now(), stock.events() as u64);
    stock.pour(&mut picodata, Way::Pieces);
    while come.events() < wanted && begin.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(2));
    }
    let (seconds, came) = (begin.elapsed().as_secs_f64(), come.events());
    if came < wanted {
        println!("  {}: only {came} of {wanted} events came", row.name);
    }
    let family = pids(&picodata);
    let used = cpu(&if family.is_empty() { procs::group(picodata.group()) } else { family });
    Some((came as f64 / seconds, used * 1e6 / came.max(1) as f64, watch.peak().high_water))
}

/// Each kind of ours with its peers behind it.
fn rows() -> Vec<Row> {
    let to_rsyslog = |name, durable, action, to: fn() -> Come| {
        rsyslog::program().map(|p| theirs(name, durable, move |den, port| rsyslog::start(&p, den, port, action), to))
    };
    let mut rows = vec![
        ours("http", ANSWERED, || counter("http://127.0.0.1:$PORT/")),
        ours("gelf+tcp", KERNEL, || counter("gelf+tcp://127.0.0.1:$PORT")),
        ours("syslog+tcp", KERNEL, || counter("syslog+tcp://127.0.0.1:$PORT?framing=lf")),
    ];
    rows.extend(to_rsyslog("  rsyslog omfwd, RFC 5424", BOTH, rsyslog::SYSLOG, || counter("")));
    rows.push(ours("tcp, lines of JSON", KERNEL, || counter("tcp://127.0.0.1:$PORT")));
    rows.extend(to_rsyslog("  rsyslog omfwd, as they came", BOTH, rsyslog::OMFWD, || counter("")));
    rows.extend(syslog_ng::program().map(|p| {
        let start = move |den: &Den, port| syslog_ng::start_network(&p, den, port);
        theirs("  syslog-ng network, reliable", KERNEL, start, || counter(""))
    }));
    rows.push(ours("relp", ANSWERED, relp));
    rows.extend(to_rsyslog("  rsyslog omrelp", QUEUE, rsyslog::OMRELP, relp));
    rows.push(in_den("unix", "yes: until it was read", |den| lines_at("unix", den)));
    rows.push(in_den("file", "yes: synced before it counts", |den| Some(file(den, "file://"))));
    rows.extend(rsyslog::program().map(|p| Row {
        name: "  rsyslog omfile, sync",
        durable: QUEUE,
        start: Box::new(move |den| {
            let come = file(den, "");
            Some((rsyslog::start(&p, den, 0, rsyslog::OMFILE), come))
        }),
    }));
    rows.push(in_den("kafka", ANSWERED, |_| kafka()));
    rows.push(in_den("exec", ANSWERED, handler));
    rows
}

fn ours(name: &'static str, durable: &'static str, to: fn() -> Come) -> Row {
    in_den(name, durable, move |_| Some(to()))
}

fn in_den(name: &'static str, durable: &'static str, to: impl Fn(&Den) -> Option<Come> + 'static) -> Row {
    let start = move |den: &Den| {
        let come = to(den)?;
        let args = ["--no-config", "--spool-dir", &den.file("spool")];
        let picodata = Setup::bare(den).url(&come.url).args(&args).exec().picodata();
        picodata.wait_worker(None);
        Some((picodata, come))
    };
    Row { name, durable, start: Box::new(start) }
}

fn theirs(
    name: &'static str,
    durable: &'static str,
    start: impl Fn(&Den, u16) -> Picodata + 'static,
    to: fn() -> Come,
) -> Row {
    let start = move |den: &Den| {
        let come = to();
        Some((start(den, come.port), come))
    };
    Row { name, durable, start: Box::new(start) }
}

/// One that answers each event and says in a file how many there were.
fn handler(den: &Den) -> Option<Come> {
    let python = peer("python3")?;
    let body = "import os, sys\nout = os.open(sys.argv[0] + '.count', os.O_CREAT | os.O_WRONLY)\n\
        for n, line in enumerate(sys.stdin.buffer, 1):\n    \
        os.write(1, b'ok ' + line.split(b'\"id\":\"', 1)[1].split(b'\"', 1)[0] + b'\\n')\n    \
        os.pwrite(out, b'%9d' % n, 0)\n";
    let path = den.put("handler", format!("#!{}\n{body}", python.display()));
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).ok()?;
    Some(number_in(&format!("{path}.count"), format!("exec://{path}")))
}
