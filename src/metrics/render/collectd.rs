//! collectd's values ○: as lines (`PUTVAL`) for its Unix socket, and as packets of its network protocol, plain, signed or
//! encrypted.
//!
//! What only grows in whole numbers is a `derive`, everything else a `gauge`: sums, and counters that have a fraction, which no
//! `derive` can carry. The value is that of the page. A series is `HOST/picodata/TYPE-NAME`, labels are parts of the name.
//!
//! ```text
//! part       type, length (of all of it), content; big-endian
//! host 0 · time 8 · interval 9 · plugin 2 · { type 4 · type instance 5 · values 6 }…       times in 2⁻³⁰ s
//! signed     0x0200 length HMAC-SHA-256(user, packet) user · packet
//! encrypted  0x0210 length length-of-user user start AES-256-OFB(SHA-1(packet), packet)
//! ```
//!
//! Refuses: a name that collectd would cut; it ends in its hash.

use super::lines::{self, Written};
use super::names::{self, Style};
use super::text::put_number;
use crate::hash::xxh64;
use crate::limits;
use crate::metrics::assemble::Assembled;
use crate::metrics::snapshot::{Family, Kind, Part, Sample};
use crate::net::aes::Aes256;
use ring::{digest, hmac};
use std::io::Write;

/// Whose values, and how often they come.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The host they are of.
    pub host: String,
    /// What stands before every name.
    pub prefix: String,
    /// Milliseconds between two of them.
    pub interval_ms: u64,
}

/// Whether it is a whole number that only grows.
fn derives(f: &Family, s: &Sample) -> bool {
    let grows = f.kind == Kind::Counter || matches!(s.part, Part::Bucket | Part::Count);
    // A sum is whole by chance.
    let whole = s.part != Part::Sum && !f.name.ends_with("_seconds_total");
    grows && whole && s.value.trunc() == s.value && (0.0..9e18).contains(&s.value)
}

/// Hands over type and name of each value.
fn each(page: &Assembled<'_>, origin: &Origin, mut take: impl FnMut(&'static str, &[u8], f64)) -> Written {
    let mut name = Vec::new();
    lines::each(
        page,
        &mut name,
        |out, f, s| {
            let from = out.len();
            names::put(out, &origin.prefix, f, s, Style::Dots);
            if out.len() - from > limits::COLLECTD_NAME_BYTES {
                let hash = format!("-{:016x}", xxh64(&out[from..], 0));
                let mut cut = from + limits::COLLECTD_NAME_BYTES - hash.len();
                while out[cut] & 0xc0 == 0x80 {
                    cut -= 1;
                }
                out.truncate(cut);
                out.extend_from_slice(hash.as_bytes());
            }
        },
        |out, f, s, from| {
            take(if derives(f, s) { "derive" } else { "gauge" }, &out[from..], s.value);
            out.truncate(from);
        },
    )
}

/// Writes a line for each.
pub fn lines(page: &Assembled<'_>, origin: &Origin, out: &mut Vec<u8>) -> Written {
    let (seconds, ms) = (page.at_ms.div_euclid(1000), page.at_ms.rem_euclid(1000));
    let interval = origin.interval_ms as f64 / 1000.0;
    each(page, origin, |kind, name, value| {
        // Writing to memory cannot fail.
        let _ = write!(out, "PUTVAL \"{}/picodata/{kind}-", origin.host);
        out.extend_from_slice(name);
        let _ = write!(out, "\" interval={interval} {seconds}.{ms:03}:");
        match kind {
            "derive" => drop(write!(out, "{}", value as i64)),
            _ => put_number(out, value),
        }
        out.push(b'\n');
    })
}

/// Makes packets of at most so many bytes.
pub fn packets(page: &Assembled<'_>, origin: &Origin, most: usize, out: &mut Vec<Vec<u8>>) -> Written {
    let mut head = Vec::new();
    put_text(&mut head, 0, origin.host.as_bytes());
    put_uint(&mut head, 8, in_ticks(page.at_ms.max(0) as u64));
    put_uint(&mut head, 9, in_ticks(origin.interval_ms));
    put_text(&mut head, 2, b"picodata");
    let mut last = "";
    each(page, origin, |kind, name, value| {
        let full = |packet: &Vec<u8>| packet.len() + kind.len() + name.len() + 25 > most;
        if out.last().is_none_or(full) {
            out.push(head.clone());
            last = "";
        }
        let Some(packet) = out.last_mut() else { return };
        if last != kind {
            put_text(packet, 4, kind.as_bytes());
            last = kind;
        }
        put_text(packet, 5, name);
        put_head(packet, 6, 11);
        packet.extend_from_slice(&[0, 1]);
        match kind {
            "derive" => {
                packet.push(2);
                packet.extend_from_slice(&(value as i64).to_be_bytes());
            }
            _ => {
                packet.push(1);
                packet.extend_from_slice(&value.to_le_bytes());
            }
        }
    })
}

fn in_ticks(ms: u64) -> u64 {
    ((u128::from(ms) << 30) / 1000) as u64
}

fn put_head(out: &mut Vec<u8>, kind: u16, content: usize) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&((content + 4) as u16).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, kind: u16, text: &[u8]) {
    put_head(out, kind, text.len() + 1);
    out.extend_from_slice(text);
    out.push(0);
}

fn put_uint(out: &mut Vec<u8>, kind: u16, n: u64) {
    put_head(out, kind, 8);
    out.extend_from_slice(&n.to_be_bytes());
}

/// The packet with its signature.
pub fn signed(packet: &[u8], user: &str, password: &[u8]) -> Vec<u8> {
    let theirs = [user.as_bytes(), packet].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, password);
    let mut out = Vec::with_capacity(theirs.len() + 36);
    put_head(&mut out, 0x0200, 32 + user.len());
    out.extend_from_slice(hmac::sign(&key, &theirs).as_ref());
    out.extend_from_slice(&theirs);
    out
}

/// The packet, encrypted; `start` is never the same.
pub fn encrypted(packet: &[u8], user: &str, password: &[u8], start: [u8; 16]) -> Vec<u8> {
    let mut key = [0; 32];
    key.copy_from_slice(digest::digest(&digest::SHA256, password).as_ref());
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, packet);
    let mut secret = [sum.as_ref(), packet].concat();
    Aes256::new(&key).ofb(start, &mut secret);
    key.fill(0);
    std::hint::black_box(&mut key);
    let mut out = Vec::with_capacity(secret.len() + user.len() + 22);
    put_head(&mut out, 0x0210, 2 + user.len() + 16 + secret.len());
    out.extend_from_slice(&(user.len() as u16).to_be_bytes());
    out.extend_from_slice(user.as_bytes());
    out.extend_from_slice(&start);
    out.extend_from_slice(&secret);
    out
}

/// What its Unix socket answers to a line each: how many were taken, how many not, and the first reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Taken.
    pub taken: u64,
    /// Refused.
    pub refused: u64,
    /// Why the first one was.
    pub why: Option<String>,
    rest: Vec<u8>,
}

impl Answers {
    /// Reads on; an error when it is no collectd that speaks.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim_end())?;
        }
        match self.rest.len() > limits::COLLECTD_ANSWER_BYTES {
            true => Err("an answer without an end".into()),
            false => Ok(()),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (status, words) = line.split_once(' ').unwrap_or((line, ""));
        match status.parse::<i64>() {
            Ok(0) => self.taken += 1,
            Ok(n) if n < 0 => {
                self.refused += 1;
                self.why.get_or_insert_with(|| words.chars().flat_map(char::escape_debug).take(200).collect());
            }
            _ => return Err("no answer of collectd's unixsock plugin".into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{page, sample};
    use super::*;

    fn origin() -> Origin {
        Origin { host: "db1".into(), prefix: String::new(), interval_ms: 10_000 }
    }

    #[test]
    fn a_line_has_the_type_that_can_carry_the_number() {
        let (snapshot, mut out) = (sample(), Vec::new());
        let written = lines(&page(&snapshot), &origin(), &mut out);
        let text = String::from_utf8(out).unwrap();
        let all: Vec<_> = text.lines().collect();
        assert_eq!(all[0], "PUTVAL \"db1/picodata/derive-a_total\" interval=10 1795224477.349:3");
        assert_eq!(all[2], "PUTVAL \"db1/picodata/derive-h_bucket.le.0_1\" interval=10 1795224477.349:1");
        assert_eq!(all[4], "PUTVAL \"db1/picodata/gauge-h_sum\" interval=10 1795224477.349:2.5");
        assert_eq!((written.samples, written.not_finite, written.collisions), (6, 2, 1));
        let long = Origin { prefix: "ж".repeat(200), ..origin() };
        let mut names = Vec::new();
        each(&page(&snapshot), &long, |_, name, _| names.push(String::from_utf8(name.to_vec()).unwrap()));
        assert!(names.iter().all(|n| n.len() <= limits::COLLECTD_NAME_BYTES) && names.len() == 6, "{names:?}");
    }

    #[test]
    fn a_packet_is_bounded_and_says_all_that_its_values_need() {
        let (snapshot, mut all) = (sample(), Vec::new());
        packets(&page(&snapshot), &origin(), 110, &mut all);
        assert!(all.len() > 2 && all.iter().all(|p| p.len() <= 110), "{all:?}");
        // host «db1», then the time: 1795224477.349 s in 2⁻³⁰ s.
        assert_eq!(all[0][..12], [0, 0, 0, 8, b'd', b'b', b'1', 0, 0, 8, 0, 12]);
        assert_eq!(
            u64::from_be_bytes(all[0][12..20].try_into().unwrap()),
            (1_795_224_477_349u128 * (1 << 30) / 1000) as u64
        );
        let alike = |p: &Vec<u8>| p[..45] == all[0][..45];
        assert!(all.iter().all(alike));
    }

    #[test]
    fn answers_come_in_any_pieces() {
        let text = b"0 Success: 1 value has been dispatched.\n-1 Type `x' isn't defined.\n0 Success\n";
        let mut answers = Answers::default();
        text.chunks(5).for_each(|piece| answers.read(piece).unwrap());
        assert_eq!(
            (answers.taken, answers.refused, answers.why.as_deref()),
            (2, 1, Some("Type `x\\' isn\\'t defined."))
        );
        assert!(Answers::default().read(b"HTTP/1.1 400 Bad\n").is_err());
        assert!(Answers::default().read(&[b'1'; 5000]).is_err());
    }
}
