//! ○ The frames of RELP: `TXNR SP COMMAND SP DATALEN [SP DATA] LF`, written and read; and what an answer says.
//!
//! Written from the protocol's description (RELP 0). Refuses: an answer that is longer than anybody has to say, and what is
//! no frame.

use crate::limits;
use std::borrow::Cow;

/// Numbers go from 1 up to this, and then begin anew.
const LAST: u32 = 999_999_999;

/// The number after one.
pub fn after(number: u32) -> u32 {
    if number >= LAST {
        1
    } else {
        number + 1
    }
}

/// How many numbers `number` stands behind `first`.
pub fn between(first: u32, number: u32) -> usize {
    match number >= first {
        true => (number - first) as usize,
        false => (LAST - first + number) as usize,
    }
}

/// Writes a frame.
pub fn push(out: &mut Vec<u8>, number: u32, command: &str, data: &[u8]) {
    out.extend_from_slice(format!("{number} {command} {}", data.len()).as_bytes());
    if !data.is_empty() {
        out.push(b' ');
        out.extend_from_slice(data);
    }
    out.push(b'\n');
}

/// A frame that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The transaction; 0 of what nobody has asked for.
    pub number: u32,
    /// `rsp`, `serverclose`.
    pub command: String,
    /// What it says.
    pub data: Vec<u8>,
}

impl Frame {
    /// The code of an answer, and the words behind it in the same line.
    pub fn answer(&self) -> Option<(u16, Cow<'_, str>)> {
        let line = self.data.split(|b| *b == b'\n').next().unwrap_or_default();
        let (code, words) = line.split_at(line.iter().position(|b| *b == b' ').unwrap_or(line.len()));
        let code = std::str::from_utf8(code).ok().filter(|c| c.len() == 3)?.parse().ok()?;
        Some((code, String::from_utf8_lossy(words.strip_prefix(b" ").unwrap_or(words))))
    }
}

/// What the beginning of the bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A frame, and how many bytes it takes.
    Whole(Frame, usize),
    /// The beginning of one.
    Part,
    /// None.
    Not,
}

/// Reads the frame that the bytes begin with.
pub fn read(bytes: &[u8]) -> Read {
    match head(bytes) {
        Head::Part => Read::Part,
        Head::Not => Read::Not,
        Head::Whole { number, command, length, at } => {
            // Where there is no data, some write the blank before it all the same.
            let from = at + usize::from(length > 0 || bytes.get(at) == Some(&b' '));
            match bytes.get(from + length) {
                None => Read::Part,
                Some(b'\n') if from == at || bytes[at] == b' ' => {
                    let data = bytes[from..from + length].to_vec();
                    Read::Whole(Frame { number, command, data }, from + length + 1)
                }
                Some(_) => Read::Not,
            }
        }
    }
}

enum Head {
    Whole {
        number: u32,
        command: String,
        length: usize,
        /// Where it ends.
        at: usize,
    },
    Part,
    Not,
}

/// Number, command and length.
fn head(bytes: &[u8]) -> Head {
    let begin = &bytes[..bytes.len().min(limits::RELP_HEAD_BYTES)];
    let mut ends = begin.iter().enumerate().filter(|(_, b)| matches!(b, b' ' | b'\n')).map(|(i, _)| i);
    let (Some(first), Some(second), third) = (ends.next(), ends.next(), ends.next()) else {
        return part_or_not(bytes, begin);
    };
    let Some(third) = third else { return part_or_not(bytes, begin) };
    let number = digits(&begin[..first], 9);
    let command = std::str::from_utf8(&begin[first + 1..second]).ok().filter(|c| is_command(c));
    let length = digits(&begin[second + 1..third], 9).filter(|n| *n as usize <= limits::RELP_ANSWER_BYTES);
    match (number, command, length) {
        (Some(number), Some(command), Some(length)) if begin[first] == b' ' && begin[second] == b' ' => {
            Head::Whole { number, command: command.to_string(), length: length as usize, at: third }
        }
        _ => Head::Not,
    }
}

/// Whether what is there may become a head: it begins with a digit, and is not too long for one.
fn part_or_not(bytes: &[u8], begin: &[u8]) -> Head {
    let may = begin.len() == bytes.len() && begin.len() < limits::RELP_HEAD_BYTES && begin.iter().all(u8::is_ascii);
    match may && begin.first().is_none_or(u8::is_ascii_digit) {
        true => Head::Part,
        false => Head::Not,
    }
}

fn is_command(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic())
}

fn digits(text: &[u8], most: usize) -> Option<u32> {
    let fits = !text.is_empty() && text.len() <= most && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| fits)?.parse().ok()
}

/// What the answer to `open` offers under a name.
pub fn offer<'a>(data: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let value = |line: &'a [u8]| line.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
    data.split(|b| *b == b'\n').find_map(value).map(String::from_utf8_lossy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> (Frame, usize) {
        match read(bytes) {
            Read::Whole(frame, n) => (frame, n),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_written_and_read() {
        let mut out = Vec::new();
        push(&mut out, 1, "open", b"relp_version=0\ncommands=syslog");
        push(&mut out, 2, "close", b"");
        assert_eq!(out, b"1 open 30 relp_version=0\ncommands=syslog\n2 close 0\n");
        let (frame, n) = whole(&out);
        assert_eq!((frame.number, frame.command.as_str(), n), (1, "open", 41));
        assert_eq!(whole(&out[n..]), (Frame { number: 2, command: "close".into(), data: vec![] }, 10));
        for cut in 0..n {
            assert_eq!(read(&out[..cut]), Read::Part, "{cut}");
        }
        assert_eq!((after(1), after(LAST), after(0)), (2, 1, 1));
        assert_eq!((between(5, 5), between(5, 9), between(LAST, 1), between(LAST - 1, 2)), (0, 4, 1, 3));
    }

    #[test]
    fn answers_have_a_code() {
        let (frame, _) = whole(b"7 rsp 6 200 OK\n");
        assert_eq!(frame.answer(), Some((200, "OK".into())));
        let (frame, _) = whole(b"1 rsp 57 200 OK\nrelp_version=0\nrelp_software=librelp\ncommands=sys\n\n");
        assert_eq!(frame.answer(), Some((200, "OK".into())));
        assert_eq!(offer(&frame.data, "commands").as_deref(), Some("sys"));
        assert_eq!(offer(&frame.data, "command"), None);
        assert_eq!(whole(b"0 serverclose 0\n").0.command, "serverclose");
        assert_eq!(whole(b"0 serverclose 0 \n").1, 17);
        for odd in ["ok", "20 x", "2000", "", "20x y"] {
            assert_eq!(Frame { number: 1, command: "rsp".into(), data: odd.into() }.answer(), None, "{odd}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_and_asks_for_no_memory() {
        for bad in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\x15\x03\x01\0\x02",
            b"1 rsp 999999999 x",
            b"1 rsp 3 abcd\n",
            b"1 rsp -3 abc\n",
            b"1234567890 rsp 0\n",
            b"1  0 0\n",
            b"1 rsp\n0\n",
            b"1 r\xffp 0\n",
            &[b'1'; 100],
        ] {
            assert_eq!(read(bad), Read::Not, "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!((read(b""), read(b"12"), read(b"12 rs")), (Read::Part, Read::Part, Read::Part));
    }
}
