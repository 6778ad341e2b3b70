//! The input: lines as a database writes them and as others do, and the records that each has to become.

use super::{World, RING_BYTES};
use crate::receiver::Fed;
use gostech::hash::xxh64;

impl World {
    /// A line, and the records that it has to become.
    pub(super) fn feed(&mut self, may_be_bad: bool) {
        self.count += 1;
        if self.chance.once_in(60) {
            // The database has lost some before they reached the pipe.
            self.count += self.chance.between(1, 5);
        }
        let n = self.count;
        let bad = may_be_bad && self.chance.once_in(50);
        let size = match self.chance.below(40) {
            0 => self.chance.between(5_000, 14_000),
            1..=4 => self.chance.between(600, 3_000),
            _ => self.chance.between(10, 300),
        };
        let plain = self.chance.once_in(30);
        let mut line = if plain {
            format!("plain {n} ")
        } else {
            let severity = self.chance.pick(&["low", "medium", "high"]);
            format!(r#"{{"id":"1.0.{n}","severity":"{severity}","title":"t","message":""#)
        };
        let mut i = 0;
        while (line.len() as u64) < size {
            line.push_str(&format!("{n}-{i} "));
            i += 1;
        }
        // No last piece so short that it could be another line's as well.
        while line.len() + 2 >= self.plan.event_max && (line.len() + 2) % self.plan.event_max < 40 {
            line.push_str(&format!("{n}-{i} "));
            i += 1;
        }
        if !plain {
            line.push_str("\"}");
        }
        self.expect(line.as_bytes(), n, plain, bad);
        self.pipe.extend_from_slice(line.as_bytes());
        self.pipe.push(b'\n');
    }

    fn expect(&mut self, line: &[u8], n: u64, plain: bool, bad: bool) {
        let pieces = line.chunks(self.plan.event_max).count();
        let base = self.fed_to;
        let mut end = base;
        for (i, piece) in line.chunks(self.plan.event_max).enumerate() {
            end += piece.len() as u64;
            let last = i + 1 == pieces;
            let first = i == 0 && !plain;
            let name = if first { format!("1.0.{n}") } else { "-".into() };
            let part = if pieces > 1 { format!(".{}", i + 1) } else { String::new() };
            let doc = format!("c/i/{name}{part}/{:016x}", xxh64(piece, 0));
            let tail = if pieces == 1 && !plain { piece[1..].to_vec() } else { Vec::new() };
            let fed = Fed {
                doc: doc.clone(),
                life: self.stream(),
                end: end + u64::from(last),
                count: first.then_some(n),
                tail,
                excused: false,
                bad,
            };
            let mut o = self.outside();
            let at = o.fed.len();
            o.fed.push(fed);
            assert!(o.by_doc.insert(doc, at).is_none(), "two records of one id");
        }
        self.fed_to = end + 1;
    }

    /// More of the input comes into the cushion. True: there is no more.
    pub(super) fn pour(&mut self) -> Result<bool, String> {
        if self.log.is_some() {
            self.write_log();
            return Ok(self.read_log()? && self.pipe.is_empty());
        }
        let room = RING_BYTES - self.cushion.len();
        let most = self.pipe.len().min(room);
        let n = if self.chance.once_in(3) { self.chance.below(most as u64 + 1) as usize } else { most };
        self.cushion.extend(self.pipe.drain(..n));
        Ok(self.pipe.is_empty())
    }
}
