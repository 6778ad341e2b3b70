//! The producer's longest blocked write, the receiver down: ours beside `cat > file`, on this disk and on one that stalls
//! half a second at each fsync (strace delays the calls; cat makes none, so its column is the plain cost of strace).
//!
//! One write a record, as Picodata writes; 20,000 events/s (DML auditing) and 106,000/s (a flood of denied calls).

use crate::harness::{free_port, peer, Den, Picodata, Setup};
use crate::measure::{line, percentile, scaled};
use crate::producer::Stock;
use std::time::Duration;

pub fn run() {
    println!("blocked: the longest write of the producer, receiver down");
    let strace = peer("strace").map(|path| {
        let calls = "fsync,fdatasync,sync_file_range";
        format!(
            "{} -f -qq --seccomp-bpf -o trace -e trace={calls} -e inject={calls}:delay_enter=500000 ",
            path.display()
        )
    });
    for (rate, seconds) in [(20_000, 10), (106_000, 10)] {
        let stock = Stock::real_like(scaled(rate * seconds * 280));
        for (disk, before) in [("this disk", Some(String::new())), ("500 ms at each fsync", strace.clone())] {
            let Some(before) = before else { continue };
            let ours = ours(&stock, rate, &before);
            let cat = cat(&stock, rate, &before);
            let ms = |d: Duration| d.as_secs_f64() * 1e3;
            for (what, share) in [("longest", 1.0), ("p99.9", 0.999)] {
                let (a, b) = (percentile(&ours, share), percentile(&cat, share));
                line(&format!("{rate}/s, {disk}, {what}"), ms(a), "ms", "cat > file", ms(b), "");
            }
        }
    }
}

fn ours(stock: &Stock, rate: usize, before: &str) -> Vec<Duration> {
    let den = Den::new("bench-blocked");
    let url = format!("http://127.0.0.1:{}/", free_port());
    let args = ["--no-config", "--spool-dir", &den.file("spool"), "--drain", "1ms"];
    let mut setup = Setup::bare(&den).url(&url).args(&args).exec();
    setup.before = before.to_owned();
    let mut picodata = setup.picodata();
    picodata.wait_worker(None);
    std::thread::sleep(Duration::from_millis(500));
    let times = stock.pace(&mut picodata, rate);
    picodata.finish(Duration::from_secs(120));
    if !before.is_empty() {
        let trace = std::fs::read_to_string(den.file("trace")).unwrap_or_default();
        println!("    {} syncs of ours stalled", trace.matches("DELAYED").count());
    }
    times
}

fn cat(stock: &Stock, rate: usize, before: &str) -> Vec<Duration> {
    let den = Den::new("bench-blocked-cat");
    let mut picodata = Picodata::start(&format!("exec {before}cat > file"), den.path(), &[]);
    std::thread::sleep(Duration::from_millis(500));
    let times = stock.pace(&mut picodata, rate);
    picodata.finish(Duration::from_secs(120));
    times
}
