//! Bench (p): packing the spool's segments, in CPU seconds of the thread that does it, against `gzip -1` and `zstd -1` of the
//! same bytes.
//!
//! The helper writes its spool; then its segments are packed here by the same code: read, deflated, written, synced, read again.
//! Two stocks: events of the generator, and the recorded audit log with other ids, times and users, again and again.

use crate::harness::procs::cpu_seconds_of_children;
use crate::harness::{free_port, Den, Setup};
use crate::measure::{goal, line, scaled};
use crate::producer::{Stock, Way};
use gostech::audit::spool::disk::{Disk, RealDisk};
use gostech::audit::spool::packed::{Job, Packing};
use gostech::audit::spool::record::{HEADER_BYTES, RECORDS_AT};
use gostech::audit::spool::survey::Look;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

pub fn run() {
    println!("(p) packing of segments, CPU seconds of the thread");
    for (name, stock) in [
        ("events of the generator", Stock::real_like(scaled(200_000_000))),
        ("the recorded log, varied", Stock::recorded(scaled(200_000_000))),
    ] {
        report(name, &stock);
    }
}

fn report(name: &str, stock: &Stock) {
    let den = Den::new("bench-p");
    let dir = spool(&den, stock);
    let segments = Look::at(&dir).expect("a spool").segments;
    let ends = segments.iter().skip(1).map(|s| s.head.first_seq).collect::<Vec<_>>();
    let (mut cpu, mut before, mut after, mut raw) = (0.0, 0u64, 0u64, 0u64);
    let disk = RealDisk::new(&dir);
    // The last one has no one behind it that says where it ends.
    for (s, next) in segments.iter().zip(ends) {
        let (name, head, bytes) = (s.name.clone(), s.head.clone(), s.bytes);
        let to = s.name.replace(".seg", "-1.seg");
        let job = Job { name, head, bytes, next, to };
        let begin = cpu_of_this_thread();
        let Ok(Packing::Done(size)) = job.pack(&disk) else { panic!("`{}` is not packed", s.name) };
        cpu += cpu_of_this_thread() - begin;
        disk.remove(&job.unborn()).expect("it was there");
        (before, after) = (before + bytes, after + size);
        raw += bytes - RECORDS_AT - (next - s.head.first_seq) * HEADER_BYTES as u64;
    }
    if before == 0 {
        println!("  {name}: too little for a segment");
        return;
    }
    let files: Vec<PathBuf> = segments[..segments.len() - 1].iter().map(|s| dir.join(&s.name)).collect();
    let megabytes = before as f64 / 1e6;
    for tool in ["gzip", "zstd"] {
        let Some((seconds, size)) = packed_by(tool, &files) else {
            println!("  skipped: no {tool} here");
            continue;
        };
        let rate = goal(">= 150", megabytes / cpu >= 150.0);
        line(
            &format!("{name}, packed"),
            megabytes / cpu,
            "MB/CPU s",
            &format!("{tool} -1"),
            megabytes / seconds,
            &rate,
        );
        let part = |size: u64| size as f64 / raw as f64;
        let share = goal("<= 0.12 of the log", part(after) <= 0.12);
        line(&format!("{name}, left of it"), part(after), "of log", &format!("{tool} -1"), part(size), &share);
    }
}

/// The directory in which a helper has spooled all of it, plain.
fn spool(den: &Den, stock: &Stock) -> PathBuf {
    let url = format!("http://127.0.0.1:{}/", free_port());
    let args = ["--no-config", "--spool-dir", &den.file("spool"), "--spool-pack", "never", "--drain", "1ms"];
    let mut picodata = Setup::bare(den).url(&url).args(&args).exec().picodata();
    picodata.wait_worker(None);
    stock.pour(&mut picodata, Way::Pieces);
    picodata.close();
    assert_eq!(picodata.wait_end(LIMIT).code(), Some(0), "{}", picodata.err());
    Path::new(&den.file("spool")).join("default")
}

/// CPU seconds and bytes; none: there is no such program.
fn packed_by(tool: &str, files: &[PathBuf]) -> Option<(f64, u64)> {
    let begin = cpu_seconds_of_children();
    let mut size = 0;
    for file in files {
        let out = Command::new(tool).args(["-1", "-c"]).arg(file).stderr(Stdio::null()).output().ok()?;
        size += out.stdout.len() as u64;
    }
    Some((cpu_seconds_of_children() - begin, size))
}

fn cpu_of_this_thread() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel's account of a thread");
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}
