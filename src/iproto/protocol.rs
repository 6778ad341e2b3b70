//! The frames of iproto ○: greeting, requests, answers; bytes in, bytes out.
//!
//! ```text
//! greeting  128 bytes: «Tarantool 2.11.5 (Binary) <uuid>», then 44 characters of base64 salt; two lines of 64
//! frame     length (MessagePack unsigned) · header map · body map
//! header    0x00 type or code, 0x01 sync, 0x05 schema version
//! ```
//!
//! Refuses: requests that change data (no INSERT, REPLACE, UPDATE, DELETE, UPSERT, no PREPARE, no transactions). What a statement
//! of SQL does is the matter of whoever sends it.

use super::auth::{self, Method};
use crate::json::from_base64;
use crate::limits;
use crate::msgpack::{self, Bad, Reader, Value};

/// Bytes of a greeting.
pub const GREETING_BYTES: usize = 128;

/// Codes of refusals that mean something to us.
pub mod code {
    /// Access denied.
    pub const ACCESS_DENIED: u64 = 42;
    /// There is no such procedure.
    pub const NO_PROCEDURE: u64 = 33;
    /// The account is locked, or may not log in at all.
    pub const LOCKED: u64 = 32;
    /// The instance is not ready yet: nobody was asked for a password.
    pub const LOADING: u64 = 116;
    /// The server knows no such way to log in: it did not look at the password.
    pub const UNKNOWN_METHOD: u64 = 251;
}

/// What the server says before anything is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// «2.11.5»
    pub version: String,
    /// The instance, as long as it is not made anew.
    pub uuid: String,
    /// What the scrambles are made with.
    pub salt: [u8; 20],
}

impl Greeting {
    /// Reads a greeting, or says in words why it is none.
    pub fn parse(bytes: &[u8; GREETING_BYTES]) -> Result<Greeting, String> {
        // Bytes, and not characters, make the two lines.
        let (first, second) = bytes.split_at(64);
        let line = |bytes| std::str::from_utf8(bytes).map_err(|_| "what answers there is no Tarantool: no greeting");
        let (first, second) = (line(first)?, line(second)?);
        let mut words = first.split_whitespace();
        if words.next() != Some("Tarantool") {
            return Err("what answers there is no Tarantool: no greeting".into());
        }
        let version = words.next().unwrap_or_default().to_string();
        match words.next() {
            Some("(Binary)") => {}
            Some("(Lua") => return Err("that is an admin console, not the iproto port".into()),
            _ => return Err("a greeting of an unknown kind".into()),
        }
        let uuid = words.next().unwrap_or_default().to_string();
        let salt = from_base64(second.trim_end()).and_then(|salt| salt.get(..20)?.try_into().ok());
        let salt = salt.ok_or("a greeting without a salt")?;
        Ok(Greeting { version, uuid, salt })
    }

    /// Whether the server is older than `major.minor`.
    pub fn older_than(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (major, minor)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// Are you there?
    Ping,
    /// Call a stored or global function without arguments.
    Call(&'a str),
    /// The same with one argument, a text.
    CallWith(&'a str, &'a str),
    /// Run a chunk of Lua.
    Eval(&'a str),
    /// A statement of SQL without parameters.
    Execute(&'a str),
    /// The first `limit` rows of a space by its first index; or those of an index and a key.
    Select {
        /// The number of the space.
        space: u32,
        /// The number of the index.
        index: u32,
        /// How many rows at most.
        limit: u32,
        /// The key; none means all.
        key: Option<Value<'a>>,
    },
}

impl Request<'_> {
    /// What the request does, in a word or two: for errors.
    pub fn name(&self) -> String {
        match self {
            Request::Ping => "ping".into(),
            Request::Call(name) | Request::CallWith(name, _) => format!("call of {name}"),
            Request::Eval(_) => "eval".into(),
            Request::Execute(_) => "query".into(),
            Request::Select { space, .. } => format!("select from space {space}"),
        }
    }

    /// Appends the frame of this request.
    pub fn put(&self, out: &mut Vec<u8>, sync: u64) {
        match self {
            Request::Ping => frame(out, 64, sync, |b| msgpack::put_map(b, 0)),
            Request::Call(name) => frame(out, 10, sync, |b| pair(b, (0x22, name), 0x21, &[])),
            Request::CallWith(name, text) => frame(out, 10, sync, |b| pair(b, (0x22, name), 0x21, &[text])),
            Request::Eval(chunk) => frame(out, 8, sync, |b| pair(b, (0x27, chunk), 0x21, &[])),
            Request::Execute(sql) => frame(out, EXECUTE, sync, |b| pair(b, (0x40, sql), 0x41, &[])),
            Request::Select { space, index, limit, key } => frame(out, 1, sync, |b| {
                msgpack::put_map(b, 6);
                let fields = [(0x10, *space), (0x11, *index), (0x12, *limit), (0x13, 0), (0x14, iterator(key))];
                for (k, v) in fields {
                    msgpack::put_uint(b, k);
                    msgpack::put_uint(b, u64::from(v));
                }
                msgpack::put_uint(b, 0x20);
                msgpack::put_array(b, usize::from(key.is_some()));
                key.iter().for_each(|k| msgpack::put(b, k));
            }),
        }
    }
}

/// The number of a request with SQL.
const EXECUTE: u64 = 11;

/// EQ for a key, ALL without one.
fn iterator(key: &Option<Value<'_>>) -> u32 {
    if key.is_some() {
        0
    } else {
        2
    }
}

/// What is to be done, and the arguments; each under its key.
fn pair(body: &mut Vec<u8>, (what, text): (u64, &str), key: u64, arguments: &[&str]) {
    msgpack::put_map(body, 2);
    msgpack::put_uint(body, what);
    msgpack::put_str(body, text);
    msgpack::put_uint(body, key);
    msgpack::put_array(body, arguments.len());
    arguments.iter().for_each(|argument| msgpack::put_str(body, argument));
}

/// Appends the frame that logs a user in.
pub fn put_auth(out: &mut Vec<u8>, sync: u64, method: Method, user: &str, password: &str, salt: &[u8; 20]) {
    frame(out, 7, sync, |b| {
        msgpack::put_map(b, 2);
        msgpack::put_uint(b, 0x23);
        msgpack::put_str(b, user);
        msgpack::put_uint(b, 0x21);
        auth::put_proof(b, method, user, password, salt);
    });
}

fn frame(out: &mut Vec<u8>, kind: u64, sync: u64, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0xce, 0, 0, 0, 0]);
    // Picodata runs a statement that comes without the version of the schema, and answers it with an error all the same.
    let fields = [(0x00, kind), (0x01, sync), (0x05, 0)];
    let fields = if kind == EXECUTE { &fields[..] } else { &fields[..2] };
    msgpack::put_map(out, fields.len());
    for number in fields.iter().flat_map(|(key, number)| [*key, *number]) {
        msgpack::put_uint(out, number);
    }
    body(out);
    let size = (out.len() - at - 5) as u32;
    out[at + 1..at + 5].copy_from_slice(&size.to_be_bytes());
}

/// The length of the frame that these bytes begin: the size of the prefix and that of the frame; `None`: more bytes needed.
pub fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let Some(tag) = bytes.first() else { return Ok(None) };
    let width = match tag {
        0x00..=0x7f => 0,
        0xcc..=0xcf => 1 << (tag - 0xcc),
        _ => return Err(format!("a frame cannot begin with byte 0x{tag:02x}")),
    };
    if bytes.len() <= width {
        return Ok(None);
    }
    let size = Reader::new(bytes).uint().map_err(|bad: Bad| bad.to_string())?;
    match usize::try_from(size) {
        Ok(size) if (1..=limits::IPROTO_ANSWER_BYTES).contains(&size) => Ok(Some((1 + width, size))),
        _ => Err(format!("a frame of {size} bytes (at most {} are taken)", limits::IPROTO_ANSWER_BYTES)),
    }
}

/// What the server refused, in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code, see `code`.
    pub code: u64,
    /// The words, cut to a bound.
    pub text: String,
}

/// An answer: a frame without its length.
#[derive(Clone, Debug)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    /// The code and the sync of the header, and where the body begins.
    fn header(&self) -> Result<(u64, u64, &[u8]), String> {
        let mut r = Reader::new(&self.0);
        let header = r.value().map_err(|bad| format!("an answer's header cannot be read: {bad}"))?;
        let number = |key| header.at(key).and_then(Value::uint);
        match (number(0), number(1)) {
            (Some(code), Some(sync)) => Ok((code, sync, r.rest())),
            _ => Err("an answer without code or sync in its header".into()),
        }
    }

    /// Which request this answers.
    pub fn sync(&self) -> Result<u64, String> {
        self.header().map(|(_, sync, _)| sync)
    }

    /// The data of a success, or the refusal; an unreadable answer is an error in words.
    pub fn data(&self) -> Result<Result<Value<'_>, Refusal>, String> {
        Ok(self.body()?.map(|pairs| member(pairs, DATA)))
    }

    /// The same of a statement of SQL: the names of the columns, and the rows.
    #[allow(clippy::type_complexity)]
    pub fn table(&self) -> Result<Result<(Vec<String>, Value<'_>), Refusal>, String> {
        Ok(self.body()?.map(|pairs| {
            let of = |column: &Value<'_>| column.at(0).and_then(Value::text).unwrap_or_default().into_owned();
            let columns = pairs.iter().find(|(key, _)| key.uint() == Some(0x32)).map(|(_, all)| all.items());
            let columns = columns.unwrap_or_default().iter().map(of).collect();
            (columns, member(pairs, DATA))
        }))
    }

    fn body(&self) -> Result<Result<Pairs<'_>, Refusal>, String> {
        let (code, _, rest) = self.header()?;
        let mut r = Reader::new(rest);
        let body = if rest.is_empty() { Value::Map(Vec::new()) } else { r.value().map_err(|b| unreadable(&b))? };
        if !r.rest().is_empty() {
            return Err("an answer with something behind its body".into());
        }
        if code & 0x8000 != 0 {
            let text = body.at(0x31).and_then(Value::text).unwrap_or("no words given".into());
            let text = text.chars().take(limits::IPROTO_REFUSAL_CHARS).collect();
            return Ok(Err(Refusal { code: code & 0x7fff, text }));
        }
        if code != 0 {
            return Err(format!("an answer with the unknown code {code}"));
        }
        let Value::Map(pairs) = body else { return Err("an answer whose body is no map".into()) };
        Ok(Ok(pairs))
    }
}

/// The pairs of a body.
type Pairs<'a> = Vec<(Value<'a>, Value<'a>)>;

/// Where the rows stand.
const DATA: u64 = 0x30;

fn member(pairs: Pairs<'_>, key: u64) -> Value<'_> {
    pairs.into_iter().find(|(k, _)| k.uint() == Some(key)).map_or(Value::Nil, |(_, v)| v)
}

fn unreadable(bad: &Bad) -> String {
    format!("an answer's body cannot be read: {bad}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(first: &str, second: &str) -> [u8; GREETING_BYTES] {
        let text = format!("{first:<63}\n{second:<63}\n");
        text.as_bytes().try_into().expect("128 bytes")
    }

    #[test]
    fn a_greeting_is_read() {
        let uuid = "3cd6b7a8-5e28-46eb-9113-acbac4e868f8";
        let bytes =
            greeting(&format!("Tarantool 2.11.5 (Binary) {uuid}"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let g = Greeting::parse(&bytes).expect("a greeting");
        assert_eq!((g.version.as_str(), g.uuid.as_str()), ("2.11.5", uuid));
        assert_eq!(g.salt.to_vec(), (0..20).collect::<Vec<u8>>());
        assert!(!g.older_than(2, 11) && g.older_than(3, 0) && g.older_than(2, 12));
    }

    #[test]
    fn what_is_no_greeting_is_said_in_words() {
        for (first, second, words) in [
            ("HTTP/1.1 400 Bad Request", "", "no Tarantool"),
            ("Tarantool 2.6.0 (Lua console)", "type 'help'", "admin console"),
            ("Tarantool 2.6.0 (Binary) x", "!!!!", "salt"),
            ("Tarantool 2.6.0 (Binary) x", "AAEC", "salt"),
        ] {
            let said = Greeting::parse(&greeting(first, second)).expect_err("no greeting");
            assert!(said.contains(words), "{said}");
        }
        assert!(Greeting::parse(&[0xff; 128]).is_err());
        // A character that stands across the border of the two lines.
        let mut across = greeting("Tarantool 2.6.0 (Binary) x", "AAEC");
        across[63..65].copy_from_slice("я".as_bytes());
        assert!(Greeting::parse(&across).expect_err("no greeting").contains("no greeting"));
    }

    #[test]
    fn a_request_is_one_whole_frame() {
        let key = Some(Value::Str(b"x"));
        for request in [
            Request::Ping,
            Request::Call(".proc_raft_info"),
            Request::CallWith(".proc_instance_health_status", "uuid"),
            Request::Eval("return 1"),
            Request::Execute("SELECT 1"),
            Request::Select { space: 515, index: 0, limit: 10, key },
        ] {
            let mut out = Vec::new();
            request.put(&mut out, 7);
            assert_eq!(length(&out), Ok(Some((5, out.len() - 5))));
            let mut r = Reader::new(&out[5..]);
            assert_eq!(r.value().expect("a header").at(1).and_then(Value::uint), Some(7));
            assert!(matches!(r.value(), Ok(Value::Map(_))));
            assert!(r.rest().is_empty());
        }
    }

    #[test]
    fn lengths_are_read_in_every_form_and_bounded() {
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&[0xce, 0, 0]), Ok(None));
        assert_eq!(length(&[5]), Ok(Some((1, 5))));
        assert_eq!(length(&[0xcd, 1, 0]), Ok(Some((3, 256))));
        for bad in [&[0x00][..], &[0xce, 0xff, 0xff, 0xff, 0xff], &[0xa1], &[0xcf, 255, 255, 255, 255, 0, 0, 0, 0]] {
            assert!(length(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn answers_and_refusals() {
        let ok = Answer(vec![0x82, 0, 0, 1, 9, 0x81, 0x30, 0x91, 42]);
        assert_eq!(ok.sync(), Ok(9));
        assert_eq!(ok.data(), Ok(Ok(Value::Array(vec![Value::Uint(42)]))));
        let refused = Answer([&[0x82, 0, 0xcd, 0x80, 42, 1, 9, 0x81, 0x31, 0xa2][..], b"no"].concat());
        assert_eq!(refused.data(), Ok(Err(Refusal { code: 42, text: "no".into() })));
        for bad in [
            &[][..],
            &[0x80],
            &[0x82, 0, 0, 1],
            &[0x82, 0, 0, 1, 9, 0x81],
            &[0x82, 0, 5, 1, 9],
            &[0x82, 0, 0, 1, 9, 0x80, 1],
        ] {
            assert!(Answer(bad.to_vec()).data().is_err(), "{bad:?}");
        }
    }
}
