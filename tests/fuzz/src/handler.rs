//! What handlers of `exec://` answer: a line is about one of the events that were given, or about none, and its reason is short.
//!
//! Refuses: to know processes.

use gostech::audit::delivery::transport::exec::words::{read, Word};
use gostech::limits;

const IDS: [&str; 3] = ["c/i/1.0.1/ab", "c/i/1.0.12/cd", "c d\"/i/1.0.2/ef"];

/// Seeds: answers of all kinds, and what is none.
pub fn seeds() -> Vec<Vec<u8>> {
    let lines = [
        "ok c/i/1.0.1/ab",
        "no c/i/1.0.12/cd why \u{1b}[31m",
        "later c d\\\"/i/1.0.2/ef full\r",
        "ok c/i/1.0.1",
        "OK x",
        "no ",
    ];
    lines.iter().map(|l| l.as_bytes().to_vec()).collect()
}

/// The target.
pub fn check(input: &[u8]) {
    let all: Vec<_> = (0..=IDS.len()).map(|next| read(input, next, IDS.len(), |i| IDS[i])).collect();
    assert!(all.windows(2).all(|w| w[0] == w[1]), "where it is looked first changes nothing");
    let Some(line) = &all[0] else { return };
    let word: &[u8] = match line.word {
        Word::Ok => b"ok ",
        Word::No => b"no ",
        Word::Later => b"later ",
    };
    assert!(input.starts_with(word) && line.why.chars().count() <= limits::EXEC_WHY_CHARS);
    let rest = &input[word.len()..];
    let id = IDS[line.event];
    assert!(rest.starts_with(id.as_bytes()) || rest.starts_with(id.replace('"', "\\\"").as_bytes()));
    assert_eq!(read(input, 0, 0, |i| IDS[i]), None, "nothing was given, so it is about nothing");
    assert!(super::is_one_line(&line.why), "{:?}", line.why);
}
