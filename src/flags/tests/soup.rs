//! Bytes from a seeded generator in arguments, environment and file: an answer each time, never a panic, and no control
//! character in an error. `SEED=… cargo test` replays one round.

use super::*;
use std::os::unix::ffi::OsStringExt;

/// Known words and pieces of syntax.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "--", "-", "=", "\"", "\\", "#", " ", "\n", "\r", "\t", "url", "name", "header", "gzip", "password", "drain",
    "debug", "config", "no-config", "from", "spool", "replay", "forget", "status", "-u", "-v", "-d", "yes", "no",
    "SECRET", "я", "\u{feff}", "\u{202e}", "[::1]:80", "unix:/x", "10s", "64K", "json|x", "%", "$", "`",
];

const ROUNDS: u64 = 20_000;

/// xorshift64*: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Known words, pieces of syntax and raw bytes in a row.
    fn soup(&mut self, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.below(most) {
            match self.below(8) {
                0 => out.extend((0..self.below(4)).map(|_| self.below(256) as u8)),
                _ => out.extend(self.pick(PIECES).bytes()),
            }
        }
        out
    }

    fn argument(&mut self) -> OsString {
        match self.below(4) {
            0 => OsString::from_vec(self.soup(6)),
            1 => self.pick(&["--url", "--name", "--gzip", "-v", "spool", "--password", "--drain", "--"]).into(),
            2 => format!("--{}={}", self.pick(&["url", "tag", "debug", "password"]), self.pick(&["x", "", "SECRET"]))
                .into(),
            _ => OsString::from_vec([b"--".to_vec(), self.soup(4)].concat()),
        }
    }

    fn variable(&mut self) -> (OsString, OsString) {
        let known = ["URL", "NAME", "HEADER", "GZIP", "PASSWORD", "DRAIN", "DEBUG", "ULR", "CONFIG", "", "Я", "_"];
        let name = match self.below(5) {
            0 => OsString::from_vec(self.soup(4)),
            1 => OsString::from_vec([b"GOSTECH_TEST_".to_vec(), self.soup(3)].concat()),
            _ => format!("GOSTECH_TEST_{}", self.pick(&known)).into(),
        };
        (name, OsString::from_vec(self.soup(6)))
    }
}

fn one(seed: u64) -> Result<Outcome> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let args: Vec<_> = (0..dice.below(6)).map(|_| dice.argument()).collect();
    let env: Vec<_> = (0..dice.below(5)).map(|_| dice.variable()).collect();
    let file = if dice.below(3) == 0 { None } else { Some(dice.soup(30)) };
    let read = |_: &Path| file.clone().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    parse(&PROGRAM, &args, &env, &read)
}

/// Every way to read a value, on everything that was taken.
fn read_all(parsed: &Parsed) {
    for item in &parsed.items {
        let _ = (value::duration(item), value::size(item), value::count(item, 0..=9), value::listed(item));
        let _ = (value::name(item, 9), value::path(item), value::boolean(&item.value));
        assert!(!item.value.contains(char::is_control));
        assert!(item.receiver.is_none_or(|receiver| receiver < parsed.receivers()), "{parsed:?}");
    }
    for receiver in 0..parsed.receivers() {
        assert!(parsed.opener(receiver).is_some() && parsed.all_of("name", receiver).len() <= 1, "{parsed:?}");
    }
}

#[test]
fn no_soup_makes_it_panic() {
    // At build time: this room has no environment, not in its tests either.
    let given = option_env!("SEED").and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(1..ROUNDS + 1, |seed: u64| seed..seed + 1);
    let (mut ran, mut refused) = (0, 0);
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| one(seed));
        match outcome.unwrap_or_else(|_| panic!("SEED={seed} makes it panic")) {
            Ok(Outcome::Run(parsed)) => {
                ran += 1;
                read_all(&parsed);
            }
            Ok(Outcome::Print(text)) => assert!(!text.is_empty()),
            Err(error) => {
                refused += 1;
                assert!(!error.text().contains(char::is_control), "SEED={seed}: {error:?}");
            }
        }
    }
    assert!(
        given.is_some() || (ran > ROUNDS / 50 && refused > ROUNDS / 50),
        "one-sided soup: {ran} ran, {refused} refused"
    );
}
