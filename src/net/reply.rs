//! ○ The answer to an HTTP request as its bytes come: first its head, then its body, a piece at a time.
//!
//! HTTP/1.0 and 1.1. Refuses: folded headers, a length that is none or said twice, chunks whose length is none, lines
//! without an end; to unpack anything.

use crate::limits;

/// A head that was understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// `Retry-After`, as it stands there.
    pub retry_after: Option<String>,
    /// What comes behind it.
    pub body: Body,
    /// Whether another request may follow on the same connection.
    pub keeps: bool,
}

/// What is still to come of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Whatever comes until the connection ends.
    UntilTheEnd,
}

/// Where in its chunks a body is.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// In the line with the length of one; what is there of it.
    Size(Vec<u8>),
    /// So many bytes of one are to come.
    Data(u64),
    /// Behind one, where a line ends: in how many bytes.
    Behind(u8),
    /// In the lines after the last one: how much of them was passed over, and whether this line is empty so far.
    Trailer(usize, bool),
    /// All is there.
    Done,
}

/// Understands the head of an answer, and says how long it is; nothing while it is not whole. An error is what is wrong.
pub fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    // A server may end its last answer with a line more than it should.
    let before = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let text = &bytes[before..];
    if text.iter().zip(b"HTTP/1.").any(|(is, should)| is != should) {
        return Err("it does not begin with `HTTP/1.`");
    }
    let mut lines = Vec::new();
    let mut at = 0;
    loop {
        let Some(end) = memchr::memchr(b'\n', &text[at..]) else { return Ok(None) };
        let line = &text[at..at + end];
        at += end + 1;
        match line.strip_suffix(b"\r").unwrap_or(line) {
            b"" => break,
            line => lines.push(line),
        }
    }
    let (status, new) = status_line(lines.first().copied().unwrap_or_default())?;
    Ok(Some((understood(status, new, &lines[1..])?, before + at)))
}

/// The status, and whether it is HTTP/1.1.
fn status_line(line: &[u8]) -> Result<(u16, bool), &'static str> {
    let wrong = "a status line that is none";
    let (new, rest) = match line.strip_prefix(b"HTTP/1.1 ") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix(b"HTTP/1.0 ").ok_or(wrong)?),
    };
    let (digits, more) = rest.split_at_checked(3).ok_or(wrong)?;
    let status = number(digits, 10).filter(|n| *n >= 100).ok_or(wrong)?;
    if !matches!(more.first(), None | Some(b' ')) {
        return Err(wrong);
    }
    Ok((status as u16, new))
}

fn understood(status: u16, new: bool, lines: &[&[u8]]) -> Result<Head, &'static str> {
    let (mut length, mut coding, mut retry_after, mut keeps) = (None, None, None, new);
    for line in lines {
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            let said = number(value, 10).ok_or("a Content-Length that is no number")?;
            if length.replace(said).is_some_and(|before| before != said) {
                return Err("two lengths");
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            coding = Some(value);
        } else if name.eq_ignore_ascii_case(b"connection") {
            keeps &= !value.split(|b| *b == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if name.eq_ignore_ascii_case(b"retry-after") {
            retry_after = String::from_utf8(value.to_vec()).ok();
        }
    }
    let last = coding.map(|c| c.rsplit(|b| *b == b',').next().unwrap_or_default().trim_ascii());
    let body = match (last, length) {
        _ if status < 200 || matches!(status, 204 | 304) => Body::Length(0),
        (Some(last), _) if last.eq_ignore_ascii_case(b"chunked") => Body::Chunked(Chunk::Size(Vec::new())),
        (None, Some(length)) => Body::Length(length),
        _ => Body::UntilTheEnd,
    };
    // Another protocol may begin behind a 101; with two lengths the other side may mean the other one.
    keeps &= body != Body::UntilTheEnd && status != 101 && (coding.is_none() || length.is_none());
    Ok(Head { status, retry_after, body, keeps })
}

fn header(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let colon = line.iter().position(|b| *b == b':').ok_or("a header without its colon")?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_name(name) {
        return Err("a header with a name that is none");
    }
    if !may_be_value(value) {
        return Err("a control character in a header");
    }
    Ok((name, value))
}

/// Whether a header may have this name.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Whether a header may have this value.
pub fn may_be_value(value: &[u8]) -> bool {
    value.iter().all(|b| (*b >= b' ' && *b != 0x7f) || *b == b'\t')
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    // No sign.
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u64::from_str_radix(text, radix).ok())?
}

impl Body {
    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        matches!(self, Body::Length(0) | Body::Chunked(Chunk::Done))
    }

    /// Takes the next bytes: how many of them were taken, and those of them that are the body's own. One call takes what
    /// stands together; it takes nothing only when all is there, or of nothing.
    pub fn take<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, &'b [u8]), &'static str> {
        match self {
            Body::UntilTheEnd => Ok((bytes.len(), bytes)),
            Body::Length(left) => Ok(data(left, bytes)),
            Body::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

/// Bytes that are the body's own, as far as there are to be some.
fn data<'b>(left: &mut u64, bytes: &'b [u8]) -> (usize, &'b [u8]) {
    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= n as u64;
    (n, &bytes[..n])
}

impl Chunk {
    fn take<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, &'b [u8]), &'static str> {
        let Some(&first) = bytes.first() else { return Ok((0, bytes)) };
        match self {
            Chunk::Done => return Ok((0, &[])),
            Chunk::Data(left) => {
                let taken = data(left, bytes);
                if *left == 0 {
                    *self = Chunk::Behind(2);
                }
                return Ok(taken);
            }
            Chunk::Behind(2) if first == b'\r' => *self = Chunk::Behind(1),
            Chunk::Behind(_) if first == b'\n' => *self = Chunk::Size(Vec::new()),
            Chunk::Behind(_) => return Err("a chunk that is longer than it said"),
            Chunk::Size(line) if first == b'\n' => {
                *self = match size(line)? {
                    0 => Chunk::Trailer(0, true),
                    size => Chunk::Data(size),
                }
            }
            Chunk::Size(line) if line.len() < limits::HTTP_LINE_BYTES => line.push(first),
            Chunk::Trailer(_, true) if first == b'\n' => *self = Chunk::Done,
            Chunk::Trailer(passed, empty) if *passed < limits::HTTP_INPUT_BYTES => {
                *passed += 1;
                *empty = first == b'\n' || (*empty && first == b'\r');
            }
            Chunk::Size(_) | Chunk::Trailer(..) => return Err("chunks whose lines have no end"),
        }
        Ok((1, &[]))
    }
}

/// The length of a chunk; what else its line says is for nobody.
fn size(line: &[u8]) -> Result<u64, &'static str> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    number(digits, 16).ok_or("a chunk whose length is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of an answer, in pieces of this size: status, body, whether it is whole, how much of it was not taken.
    fn read(answer: &[u8], piece: usize) -> Result<(u16, Vec<u8>, bool, usize), &'static str> {
        let mut upto = 0;
        let (mut head, mut at) = loop {
            upto = (upto + piece).min(answer.len());
            match super::head(&answer[..upto])? {
                Some(head) => break head,
                None if upto == answer.len() => return Err("no head"),
                None => {}
            }
        };
        let mut body = Vec::new();
        while at < answer.len() && !head.body.is_whole() {
            let (n, own) = head.body.take(&answer[at..answer.len().min(at + piece)])?;
            body.extend_from_slice(own);
            at += n;
        }
        Ok((head.status, body, head.body.is_whole(), answer.len() - at))
    }

    #[test]
    fn an_answer_is_the_same_in_pieces_of_any_size() {
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", Ok((200, "ok", true, 4))),
            ("\r\nHTTP/1.0 404\n\nno", Ok((404, "no", false, 0))),
            ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\nrest", Ok((204, "", true, 4))),
            (
                "HTTP/1.1 500 A\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3;x=y\r\nabc\r\n1 \n.\n0\r\nA: b\r\n\r\n!",
                Ok((500, "abc.", true, 1)),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
                Err("a chunk that is longer than it said"),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", Err("a chunk whose length is none")),
            ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Err("a header with a name that is none")),
            ("HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", Err("a control character in a header")),
            ("HTTP/1.1 099 OK\r\n\r\n", Err("a status line that is none")),
            ("HTTP/1.1 +20 OK\r\n\r\n", Err("a status line that is none")),
            ("SSH-2.0", Err("it does not begin with `HTTP/1.`")),
        ] {
            let want = want.map(|(status, body, whole, left)| (status, body.as_bytes().to_vec(), whole, left));
            for piece in 1..=answer.len() {
                assert_eq!(read(answer.as_bytes(), piece), want, "{answer:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_connection_is_kept_only_where_the_end_of_the_answer_is_certain() {
        let keeps = |rest: &str| head(format!("HTTP/1.1 {rest}\r\n\r\n").as_bytes()).unwrap().unwrap().0.keeps;
        assert!(
            keeps("200 OK\r\nContent-Length: 1") && keeps("200 OK\r\nTransfer-Encoding: chunked") && keeps("204 A")
        );
        assert!(!keeps("200 OK") && !keeps("101 Other") && !keeps("204 A\r\nConnection: x, Close"));
        assert!(!keeps("200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1"));
        assert!(!head(b"HTTP/1.0 204 A\r\n\r\n").unwrap().unwrap().0.keeps);
    }

    #[test]
    fn lines_without_an_end_end() {
        for (begin, more) in [("1;", "x"), ("0\r\n", "x"), ("0\r\n", "a\r\n")] {
            let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{begin}{}", more.repeat(40_000));
            assert_eq!(read(text.as_bytes(), 4096), Err("chunks whose lines have no end"), "{begin:?}");
        }
    }
}
