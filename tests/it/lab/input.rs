//! Input that is no audit log: lines of garbage by the hundred thousand, one line that does not end.
//!
//! All of it is delivered, byte for byte, and memory stays bounded. Refuses: to trust a count.

use super::real::{Holds, Real, LIMIT};
use crate::harness::events::Chance;
use crate::harness::{long, procs, wait, Events};
use serde_json::Value;
use std::time::Duration;

/// The exact bytes of a wrapped record.
fn raw_of(value: &Value) -> Vec<u8> {
    match value["gostech"]["raw"].as_str() {
        Some(raw) => raw.as_bytes().to_vec(),
        None => {
            gostech::json::from_base64(value["gostech"]["raw_base64"].as_str().expect("raw bytes")).expect("base64")
        }
    }
}

/// A line of garbage: bytes of all kinds, texts that look like events, half objects, numbers, controls.
fn garbage(chance: &mut Chance, number: u64) -> Vec<u8> {
    let mut line = match chance.within(0, 5) {
        0 => format!("{{\"id\":\"no event {number}\",\"title\":").into_bytes(),
        1 => format!("[1,2,{number}]").into_bytes(),
        2 => format!("{{\"gostech\":{number}}}").into_bytes(),
        3 => format!("{number} \u{1b}[31mкрасный\u{7}").into_bytes(),
        4 => format!("{{\"a\":{}{number}}}", "[".repeat(chance.within(1, 300) as usize)).into_bytes(),
        _ => Vec::new(),
    };
    if line.is_empty() {
        let length = chance.within(1, 200);
        line = (0..length).map(|_| chance.within(0, 255) as u8).filter(|b| *b != b'\n' && *b != b'\r').collect();
        line.extend(number.to_le_bytes().iter().map(|b| b | 0x80));
    }
    line
}

#[test]
fn a_hundred_thousand_lines_of_garbage() {
    let real = Real::new("lab-garbage");
    let count = 100_000;
    let mut picodata = real.setup().picodata();
    let mut chance = Chance::new(5);
    let mut lines: Vec<Vec<u8>> = Vec::with_capacity(count);
    for burst in 0..count / 100 {
        let from = lines.len();
        lines.extend((0..100).map(|n| garbage(&mut chance, (burst * 100 + n) as u64)));
        let bytes: Vec<u8> = lines[from..].iter().flat_map(|l| [l.as_slice(), b"\n"].concat()).collect();
        picodata.write_raw(&bytes).expect("the pipe never breaks");
    }
    wait("every line delivered", LIMIT, || real.receiver.count() >= count);
    let page = real.page();
    page.assert_identity("r1");
    assert_eq!(page.must("gostech_audit_read_total", &[]) as usize, count);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let docs = real.receiver.docs();
    assert_eq!(docs.len(), count);
    for (doc, line) in docs.iter().zip(&lines) {
        assert_eq!(doc.value["title"], "unparsed", "{}", doc.raw);
        assert_eq!(raw_of(&doc.value), *line, "{}", doc.raw);
    }
    real.say("100,000 lines of garbage", count as u64, count);
}

/// One line of 64 MB (a long run: 1 GB), events before and after it.
#[test]
fn a_line_that_does_not_end() {
    let bytes: u64 = if long() { 1 << 30 } else { 64 << 20 };
    let real = Real::new("lab-line");
    let mut setup = real.setup().args(&["--spool-max", "16M", "--retain", "0s"]);
    for (option, value) in [("--event-max", "1M"), ("--memory-max", "4M")] {
        let at = setup.args.iter().position(|a| a == option).expect("the option");
        setup.args[at + 1] = value.to_owned();
    }
    let mut picodata = setup.picodata();
    let worker = picodata.wait_worker(None);
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 50, 2000);
    let block: Vec<u8> = (0..65_536u32).map(|i| b'a' + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 26).collect();
    let (mut most, mut sent) = (0, 0u64);
    while sent < bytes {
        picodata.write_raw(&block).expect("the pipe never breaks");
        sent += block.len() as u64;
        most = most.max(procs::status_kib(worker, "RssAnon"));
    }
    picodata.write_raw(b"\n").expect("the pipe never breaks");
    picodata.events(&mut events, 50, 2000);
    let pieces = (bytes >> 20) as usize;
    wait("all pieces and events", LIMIT * 4, || real.receiver.count() >= pieces + 100);
    real.page().assert_identity("r1");
    assert_eq!(picodata.finish(LIMIT * 4), 0, "{}", picodata.err());
    let (parts, docs): (Vec<_>, Vec<_>) =
        real.receiver.docs().into_iter().partition(|d| d.value["title"] == "unparsed");
    assert_eq!(picodata.ledger.compare(&docs), Ok(()), "{}", picodata.err());
    let mut at = 0usize;
    for (i, part) in parts.iter().enumerate() {
        assert_eq!(part.value["gostech"]["part"], i + 1);
        for b in raw_of(&part.value).chunks(block.len()) {
            assert!(*b == block[..b.len()], "piece {i}: other bytes");
            at += b.len();
        }
    }
    assert_eq!((parts.len(), at as u64), (pieces, bytes), "put together the pieces are the line");
    println!("a line of {} MB: {most} KiB of the worker's own memory at most", bytes >> 20);
    assert!(most < 48 * 1024, "{most} KiB for a line of {bytes} bytes");
    real.say("a line without an end", 1, pieces + 100);
}

/// A day of events (100,000; a long run: 2,000,000) while the receiver comes and goes: nothing grows.
#[test]
fn a_soak_with_a_receiver_that_comes_and_goes() {
    let (seconds, rate) = if long() { (400, 5_000) } else { (20, 2_000) };
    let real = Real::new("lab-soak");
    let mut picodata = real.setup().args(&["--spool-max", "64M", "--retain", "0s"]).picodata();
    let worker = picodata.wait_worker(None);
    let keeper = picodata.family().keeper.expect("a keeper");
    let mut events = Events::new(1, 1);
    let mut seen: Vec<(Holds, Holds)> = Vec::new();
    for second in 0..seconds {
        match second % 5 {
            1 => real.receiver.down(),
            2 => real.receiver.up(),
            3 => real.receiver.set(crate::harness::Mode::Refusing(503, None)),
            4 => real.receiver.set(crate::harness::Mode::Healthy),
            _ => {}
        }
        picodata.events(&mut events, rate, rate as u32);
        if second % 5 == 0 {
            seen.push((Holds::of(keeper), Holds::of(worker)));
        }
    }
    real.receiver.set(crate::harness::Mode::Healthy);
    let flaps = seconds as u64 / 5 * 2;
    std::thread::sleep(Duration::from_millis(300));
    real.whole(&mut picodata);
    for (second, (k, w)) in seen.iter().enumerate() {
        println!(
            "soak {:>4} s: keeper {} KiB, {} descriptors, {} threads; worker {} KiB, {} descriptors, {} threads",
            second * 5,
            k.rss_kib,
            k.descriptors,
            k.threads,
            w.rss_kib,
            w.descriptors,
            w.threads
        );
    }
    // The first figures are of a helper that has seen a few seconds; from then on nothing grows but by what breathes.
    let (early, late) = (seen[1], seen[seen.len() - 1]);
    for (name, a, b) in [("keeper", early.0, late.0), ("worker", early.1, late.1)] {
        assert!(b.rss_kib <= a.rss_kib + 4096, "{name}: from {} to {} KiB", a.rss_kib, b.rss_kib);
        // Sixteen files of the spool are kept open at most, fewer while there is no backlog.
        assert!(b.descriptors <= a.descriptors + 16, "{name}: from {} to {} descriptors", a.descriptors, b.descriptors);
        assert_eq!(a.threads, b.threads, "{name}: threads");
    }
    real.say("soak: the receiver comes and goes", flaps, picodata.ledger.len());
}
