//! As much HTTP/1.1 as a receiver needs: requests with Content-Length or chunks, gzip bodies, keep-alive.
//!
//! Strict on purpose: what it cannot read is an error that the test sees, never a guess.

use std::io::{self, Read, Write};

/// A plain or TLS stream.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A request, its body decoded.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A connection with what was read ahead.
pub struct Conn {
    pub stream: Box<dyn Stream>,
    ahead: Vec<u8>,
}

/// More than any test sends in one request.
const BODY_BYTES: usize = 64 << 20;
const HEAD_BYTES: usize = 64 << 10;

impl Conn {
    pub fn new(stream: Box<dyn Stream>) -> Conn {
        Conn { stream, ahead: Vec::new() }
    }

    /// The next request; None when the other side has closed.
    pub fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let mut request = parse_head(&head)?;
        if request.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = if request.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            self.chunks()?
        } else {
            let length = request.header("content-length").unwrap_or("0");
            self.bytes(length.parse().map_err(|_| bad("a content-length that is no number"))?)?
        };
        request.body = match request.header("content-encoding") {
            None | Some("identity") => body,
            Some("gzip") => gunzip(&body)?,
            Some(other) => return Err(bad(&format!("content-encoding {other}"))),
        };
        Ok(Some(request))
    }

    fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).map(Some).map_err(|_| bad("a head that is not UTF-8"));
            }
            if self.ahead.len() > HEAD_BYTES {
                return Err(bad("a head without an end"));
            }
            if self.fill()? == 0 {
                return if self.ahead.is_empty() { Ok(None) } else { Err(bad("closed within a head")) };
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 64 << 10];
        let n = self.stream.read(&mut piece)?;
        self.ahead.extend_from_slice(&piece[..n]);
        Ok(n)
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > BODY_BYTES {
            return Err(bad("a body over the limit"));
        }
        while self.ahead.len() < length {
            if self.fill()? == 0 {
                return Err(bad("closed within a body"));
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(bad("closed within a chunk"));
            }
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or("").trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk size that is no number"))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.bytes(size)?);
            if body.len() > BODY_BYTES || !self.line()?.is_empty() {
                return Err(bad("a chunk without its end"));
            }
        }
    }
}

fn parse_head(head: &str) -> io::Result<Request> {
    let mut lines = head.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or("").split(' ').collect();
    let [method, path, version] = first[..] else { return Err(bad("a request line without three parts")) };
    if version != "HTTP/1.1" {
        return Err(bad("not HTTP/1.1"));
    }
    let mut request = Request { method: method.into(), path: path.into(), ..Request::default() };
    for line in lines.filter(|l| !l.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(request)
}

fn gunzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(body).take(BODY_BYTES as u64).read_to_end(&mut plain)?;
    Ok(plain)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The elements of a JSON array as they are written, not re-serialised: exact numbers and escapes stay visible.
pub fn array_elements(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0, false, false, 0);
    let mut elements = Vec::new();
    for (i, byte) in text.bytes().enumerate() {
        if quoted {
            (escaped, quoted) = (byte == b'\\' && !escaped, byte != b'"' || escaped);
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                if depth == 1 {
                    start = i + 1;
                }
            }
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    elements.push(text[start..i].trim());
                }
            }
            b',' if depth == 1 => {
                elements.push(text[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    elements.retain(|e| !e.is_empty());
    elements
}

/// Base64 with the usual alphabet and padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, &b)| w | u32::from(b) << (16 - 8 * i));
        for i in 0..4 {
            let sextet = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(sextet) } else { '=' });
        }
    }
    out
}

/// The bytes of a base64 text; panics on what is none.
pub fn unbase64(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut word, mut bits) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("not base64: {text}"),
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    out
}
