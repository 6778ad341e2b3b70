//! Lines taken at a stride: the same records, with the same facts, as by the letter, wherever a portion ends; and what is
//! called canonical is that.
//!
//! An input is a byte of settings and a text. Refuses: to know which records there should be.

use super::Dice;
use gostech::audit::record::{Ending, Splitter};
use gostech::audit::seal::{form, Form};

/// Seeds: recorded lines, whole and cut at odd places; texts beyond ASCII, escapes, what is only nearly of that shape.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        super::events(40).chunks(4).map(|lines| [b"\0", &lines.join(&b"\n"[..])[..]].concat()).collect();
    for text in [
        "{\"id\":\"1.0.9\",\"time\":\"2026-11-21T01:27:57.349+0000\",\"title\":\"dml\"}\n{\"id\":\"1.0.10\",\"title\":\"\u{43e}\"}\n",
        "{\"id\":\"1.0.1\",\"m\":\"a \\\"b\\\" \\\\ \\n \\u0041\"}\n{\"\":\"\"}\n{}\n{\"gostech\":\"\"}\n",
        "{\"id\":\"1.0.1\"}\r\n{\"id\":\"1.0.2\" }\n {\"id\":\"1.0.3\"}\n{\"id\":\"1.0.4\",\"id\":\"x\"}\n{\"a\":1}\n",
    ] {
        seeds.push([b"\x02", text.as_bytes()].concat());
    }
    seeds
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let settings = dice.byte();
    let event_max = [1 << 20, 100, 16_383, 180][usize::from(settings % 4)];
    let ending = [Ending::Open, Ending::Silent, Ending::Crowded, Ending::Ended][usize::from(settings / 4 % 4)];
    let pieces = u32::from(settings / 16 % 2);
    // Every beginning of the last two hundred bytes: a record may end anywhere in what is looked at together.
    for to in dice.0.len().saturating_sub(200)..=dice.0.len() {
        let data = &dice.0[..to];
        let by_strides = Splitter::new(event_max, pieces).for_leaves(true);
        let [strides, letter] = [by_strides, Splitter::new(event_max, pieces).by_the_letter()].map(|mut s| {
            let mut out = Vec::new();
            let used = s.split(data, ending, 1 + usize::from(settings / 32), &mut out);
            for item in &mut out {
                assert!(!std::mem::take(&mut item.canonical) || form(item.raw.of(data)) == Form::Canonical);
            }
            (used, s.pieces(), out)
        });
        assert_eq!(strides, letter);
    }
}
