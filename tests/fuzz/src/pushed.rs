//! What receivers of numbers say: collectd's answers in any pieces, and what an OTLP receiver has rejected.
//!
//! Refuses: to know the sockets.

use super::{is_one_line, Dice};
use gostech::metrics::render::collectd::Answers;
use gostech::metrics::render::otlp;

/// Seeds: answers as they are, cut, of others.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 5] = [
        b"0 Success: 1 value has been dispatched.\n0 Success: 1 value has been dispatched.\n",
        b"-1 Type `x' isn't defined.\n0 Success\n-1 \x1b[31m\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x0a\x05\x08\xac\x02\x12\x00",
        b"9999999999999999999999 x\n",
    ];
    texts.iter().enumerate().map(|(n, t)| [&[n as u8 * 7], *t].concat()).collect()
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let piece = usize::from(dice.byte()) + 1;
    let bytes = dice.0;
    let (mut whole, mut pieces) = (Answers::default(), Answers::default());
    let at_once = whole.read(bytes);
    let in_turn = bytes.chunks(piece).try_for_each(|part| pieces.read(part));
    let lines = bytes.iter().filter(|b| **b == b'\n').count() as u64;
    for answers in [&whole, &pieces] {
        assert!(answers.taken + answers.refused <= lines, "{answers:?}");
        assert_eq!(answers.why.is_some(), answers.refused > 0, "{answers:?}");
        assert!(answers.why.as_ref().is_none_or(|why| is_one_line(why)), "{answers:?}");
    }
    // In pieces or at once is the same, but for a line without an end, which is given up early or late.
    if at_once.is_ok() {
        assert!(in_turn.is_ok() && pieces == whole, "{pieces:?} {whole:?}");
    }
    // Only a field of number 1 can say so: its key is 0x0a, or begins with 0x8a where it is written longer than it need be.
    assert!(otlp::rejected(bytes) == Some(0) || bytes.iter().any(|b| b & 0x7f == 0x0a), "{:?}", otlp::rejected(bytes));
}
