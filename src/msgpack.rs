//! MessagePack ○: bytes to values that borrow from them, and values to bytes.
//!
//! Hostile input is the normal case: a length is compared with what is really there before anything is set aside for it,
//! depth and the number of values are bounded, and nothing here panics or recurses further than `MSGPACK_DEPTH`.
//! Refuses: trailing rubbish is the caller's question (`Reader::rest`), reserved byte 0xc1 is an error, maps keep their order
//! and their doubles. Knows nothing of sockets, frames or Tarantool, but for the scalars it sends as extensions.

use crate::limits;
use std::borrow::Cow;
use std::fmt;

/// One value; texts and bytes borrow from the message.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A negative integer (or one that was written as signed).
    Int(i64),
    /// An integer from zero up.
    Uint(u64),
    /// A number with a point.
    Float(f64),
    /// A text; whether it is UTF-8 is not promised.
    Str(&'a [u8]),
    /// Bytes.
    Bin(&'a [u8]),
    /// A list.
    Array(Vec<Value<'a>>),
    /// Pairs in the order they came.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// An extension: its type and its bytes.
    Ext(i8, &'a [u8]),
}

/// What was wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The message ends inside a value, or claims more than it holds.
    Short,
    /// Lists within lists beyond `MSGPACK_DEPTH`.
    Deep,
    /// More values than `MSGPACK_VALUES`.
    Many,
    /// The byte 0xc1, which nothing may use.
    Reserved,
    /// Another type than the place asks for.
    Type,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bad::Short => "the message is shorter than it claims",
            Bad::Deep => "the message is nested too deeply",
            Bad::Many => "the message holds too many values",
            Bad::Reserved => "the message holds the reserved byte 0xc1",
            Bad::Type => "a value has another type than expected",
        })
    }
}

impl<'a> Value<'a> {
    /// A text (or bytes that are one) with what is not UTF-8 replaced.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Value::Str(b) | Value::Bin(b) => Some(String::from_utf8_lossy(b)),
            Value::Ext(UUID, b) if b.len() == 16 => Some(Cow::Owned(uuid(b))),
            _ => None,
        }
    }

    /// A number of any kind, decimals too; true is 1 and false is 0; of a moment the seconds since 1970.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Uint(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Ext(DECIMAL, b) => decimal(b),
            Value::Ext(DATETIME, b) => moment(b),
            _ => None,
        }
    }

    /// An integer from zero up.
    pub fn uint(&self) -> Option<u64> {
        match self {
            Value::Uint(n) => Some(*n),
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The members of a list; of anything else none.
    pub fn items(&self) -> &[Value<'a>] {
        match self {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// The pairs of a map; of anything else none (an empty Lua table arrives as a list).
    pub fn pairs(&self) -> &[(Value<'a>, Value<'a>)] {
        match self {
            Value::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// The member of a map under a text.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.pairs().iter().find(|(k, _)| matches!(k, Value::Str(b) if *b == name.as_bytes())).map(|(_, v)| v)
    }

    /// The member of a map under a number.
    pub fn at(&self, key: u64) -> Option<&Value<'a>> {
        self.pairs().iter().find(|(k, _)| k.uint() == Some(key)).map(|(_, v)| v)
    }

    /// The member under a path of texts.
    pub fn find(&self, path: &[&str]) -> Option<&Value<'a>> {
        path.iter().try_fold(self, |v, name| v.get(name))
    }
}

/// Tarantool's extension types that are scalars.
const DECIMAL: i8 = 1;
const UUID: i8 = 2;
const DATETIME: i8 = 4;

fn uuid(b: &[u8]) -> String {
    let mut out = String::with_capacity(36);
    for (i, byte) in b.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out
}

/// A moment: seconds since 1970, then nanoseconds where there are any; the zone does not matter.
fn moment(b: &[u8]) -> Option<f64> {
    let (seconds, rest) = b.split_first_chunk().map(|(s, rest)| (i64::from_le_bytes(*s), rest))?;
    let nanos = rest.first_chunk().map_or(0, |n| i32::from_le_bytes(*n));
    Some(seconds as f64 + f64::from(nanos) / 1e9)
}

/// A decimal: a MessagePack integer (the scale), then packed digits of which the last half byte is the sign.
fn decimal(b: &[u8]) -> Option<f64> {
    let mut r = Reader::new(b);
    let scale = match r.value().ok()? {
        Value::Uint(n) => i32::try_from(n).ok()?,
        Value::Int(n) => i32::try_from(n).ok()?,
        _ => return None,
    };
    let (last, digits) = r.rest().split_last()?;
    if digits.len() > 40 {
        return None;
    }
    let mut text = String::from(if matches!(last & 15, 0x0b | 0x0d) { "-" } else { "" });
    for half in digits.iter().flat_map(|d| [d >> 4, d & 15]).chain([last >> 4]) {
        text.push(char::from_digit(u32::from(half), 10)?);
    }
    text.push_str(&format!("e{}", -i64::from(scale)));
    text.parse().ok()
}

/// Reads values one after another.
pub struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte on.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, values: limits::MSGPACK_VALUES }
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value, whole.
    pub fn value(&mut self) -> Result<Value<'a>, Bad> {
        self.nested(limits::MSGPACK_DEPTH)
    }

    /// The next value, which must be an integer from zero up.
    pub fn uint(&mut self) -> Result<u64, Bad> {
        self.nested(0)?.uint().ok_or(Bad::Type)
    }

    fn nested(&mut self, depth: usize) -> Result<Value<'a>, Bad> {
        let tag = self.take(1)?[0];
        match tag {
            0x00..=0x7f => Ok(Value::Uint(u64::from(tag))),
            0x80..=0x8f => self.map(usize::from(tag & 15), depth),
            0x90..=0x9f => self.array(usize::from(tag & 15), depth),
            0xa0..=0xbf => Ok(Value::Str(self.take(usize::from(tag & 31))?)),
            0xe0..=0xff => Ok(Value::Int(i64::from(tag as i8))),
            0xc0 => Ok(Value::Nil),
            0xc1 => Err(Bad::Reserved),
            0xc2 | 0xc3 => Ok(Value::Bool(tag == 0xc3)),
            _ => self.sized(tag, depth),
        }
    }

    fn sized(&mut self, tag: u8, depth: usize) -> Result<Value<'a>, Bad> {
        match tag {
            0xc4..=0xc6 => self.run(1 << (tag - 0xc4)).map(Value::Bin),
            0xc7..=0xc9 => {
                let size = self.size(1 << (tag - 0xc7))?;
                self.ext(size)
            }
            0xca => Ok(Value::Float(f64::from(f32::from_be_bytes(self.fixed()?)))),
            0xcb => Ok(Value::Float(f64::from_be_bytes(self.fixed()?))),
            0xcc..=0xcf => self.number(1 << (tag - 0xcc)).map(Value::Uint),
            0xd0..=0xd3 => self.signed(1 << (tag - 0xd0)),
            0xd4..=0xd8 => self.ext(1 << (tag - 0xd4)),
            0xd9..=0xdb => self.run(1 << (tag - 0xd9)).map(Value::Str),
            0xdc | 0xdd => {
                let count = self.size(2 << (tag - 0xdc))?;
                self.array(count, depth)
            }
            _ => {
                let count = self.size(2 << (tag - 0xde))?;
                self.map(count, depth)
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(Bad::Short)?;
        self.rest = tail;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        self.take(N)?.try_into().map_err(|_| Bad::Short)
    }

    fn number(&mut self, width: usize) -> Result<u64, Bad> {
        Ok(self.take(width)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn signed(&mut self, width: usize) -> Result<Value<'a>, Bad> {
        let unused = 64 - 8 * width as u32;
        Ok(Value::Int((self.number(width)? << unused) as i64 >> unused))
    }

    fn size(&mut self, width: usize) -> Result<usize, Bad> {
        usize::try_from(self.number(width)?).map_err(|_| Bad::Short)
    }

    fn run(&mut self, width: usize) -> Result<&'a [u8], Bad> {
        let size = self.size(width)?;
        self.take(size)
    }

    fn ext(&mut self, size: usize) -> Result<Value<'a>, Bad> {
        let kind = self.take(1)?[0] as i8;
        Ok(Value::Ext(kind, self.take(size)?))
    }

    /// Admits `count` members before room for them is made: each takes at least `least` bytes of what is left, and as many
    /// values of the budget, which is spent here, so that lists within lists share it. Answers the depth below.
    fn admit(&mut self, count: usize, least: usize, depth: usize) -> Result<usize, Bad> {
        if count > self.rest.len() / least {
            return Err(Bad::Short);
        }
        self.values = self.values.checked_sub(count.saturating_mul(least)).ok_or(Bad::Many)?;
        depth.checked_sub(1).ok_or(Bad::Deep)
    }

    fn array(&mut self, count: usize, depth: usize) -> Result<Value<'a>, Bad> {
        let depth = self.admit(count, 1, depth)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.nested(depth)?);
        }
        Ok(Value::Array(items))
    }

    fn map(&mut self, count: usize, depth: usize) -> Result<Value<'a>, Bad> {
        let depth = self.admit(count, 2, depth)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            pairs.push((self.nested(depth)?, self.nested(depth)?));
        }
        Ok(Value::Map(pairs))
    }
}

/// Writes an integer from zero up in its shortest form.
pub fn put_uint(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=0x7f => out.push(n as u8),
        0x80..=0xff => out.extend([0xcc, n as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend((n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend((n as u32).to_be_bytes());
        }
        _ => {
            out.push(0xcf);
            out.extend(n.to_be_bytes());
        }
    }
}

/// Writes a text.
pub fn put_str(out: &mut Vec<u8>, text: &str) {
    let b = text.as_bytes();
    match b.len() {
        n @ 0..=31 => out.push(0xa0 | n as u8),
        n @ 32..=0xff => out.extend([0xd9, n as u8]),
        n @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0xdb);
            out.extend((n as u32).to_be_bytes());
        }
    }
    out.extend(b);
}

/// Writes the head of a list: `count` values follow.
pub fn put_array(out: &mut Vec<u8>, count: usize) {
    put_head(out, count, 0x90, 0xdc);
}

/// Writes the head of a map: `count` pairs follow.
pub fn put_map(out: &mut Vec<u8>, count: usize) {
    put_head(out, count, 0x80, 0xde);
}

fn put_head(out: &mut Vec<u8>, count: usize, fix: u8, wide: u8) {
    match count {
        0..=15 => out.push(fix | count as u8),
        16..=0xffff => {
            out.push(wide);
            out.extend((count as u16).to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend((count as u32).to_be_bytes());
        }
    }
}

/// Writes any value; what `Reader` reads from it is equal to it.
pub fn put(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Nil => out.push(0xc0),
        Value::Bool(b) => out.push(0xc2 | u8::from(*b)),
        Value::Uint(n) => put_uint(out, *n),
        Value::Int(n) => {
            out.push(0xd3);
            out.extend(n.to_be_bytes());
        }
        Value::Float(n) => {
            out.push(0xcb);
            out.extend(n.to_be_bytes());
        }
        Value::Str(b) => {
            out.push(0xdb);
            out.extend((b.len() as u32).to_be_bytes());
            out.extend(*b);
        }
        Value::Bin(b) => {
            out.push(0xc6);
            out.extend((b.len() as u32).to_be_bytes());
            out.extend(*b);
        }
        Value::Ext(kind, b) => {
            out.push(0xc9);
            out.extend((b.len() as u32).to_be_bytes());
            out.push(*kind as u8);
            out.extend(*b);
        }
        Value::Array(items) => {
            put_array(out, items.len());
            items.iter().for_each(|v| put(out, v));
        }
        Value::Map(pairs) => {
            put_map(out, pairs.len());
            pairs.iter().for_each(|(k, v)| {
                put(out, k);
                put(out, v);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xorshift: chance that can be replayed.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
    }

    fn random<'a>(dice: &mut Dice, depth: usize, pool: &'a [u8]) -> Value<'a> {
        let cut = |d: &mut Dice| &pool[..d.roll() as usize % pool.len()];
        match dice.roll() % if depth == 0 { 7 } else { 9 } {
            0 => Value::Nil,
            1 => Value::Bool(dice.roll().is_multiple_of(2)),
            2 => Value::Int(-((dice.roll() >> (1 + dice.roll() % 60)) as i64) - 1),
            3 => Value::Uint(dice.roll() >> (dice.roll() % 64)),
            4 => Value::Float(dice.roll() as f64 / 7.0),
            5 => Value::Str(cut(dice)),
            6 => Value::Ext(dice.roll() as i8, cut(dice)),
            7 => Value::Array((0..dice.roll() % 20).map(|_| random(dice, depth - 1, pool)).collect()),
            _ => Value::Map(
                (0..dice.roll() % 20).map(|_| (random(dice, 0, pool), random(dice, depth - 1, pool))).collect(),
            ),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let pool = vec![b'x'; 300];
        for seed in 1..300 {
            let v = random(&mut Dice(seed * 7919), 3, &pool);
            let mut bytes = Vec::new();
            put(&mut bytes, &v);
            let mut r = Reader::new(&bytes);
            assert_eq!(r.value().as_ref(), Ok(&v), "seed {seed}");
            assert!(r.rest().is_empty(), "seed {seed}");
            for cut in 0..bytes.len().min(200) {
                assert!(Reader::new(&bytes[..cut]).value().is_err(), "seed {seed}, cut at {cut}");
            }
        }
    }

    #[test]
    fn noise_and_flipped_bits_never_panic() {
        let pool = vec![b'y'; 40];
        for seed in 1..4000u64 {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut bytes = Vec::new();
            if seed.is_multiple_of(2) {
                put(&mut bytes, &random(&mut dice, 4, &pool));
                for _ in 0..1 + dice.roll() % 8 {
                    let at = dice.roll() as usize % bytes.len();
                    bytes[at] ^= 1 << (dice.roll() % 8);
                }
            } else {
                bytes.extend((0..dice.roll() % 200).map(|_| dice.roll() as u8));
            }
            let mut r = Reader::new(&bytes);
            while let Ok(v) = r.value() {
                let _ = (v.number(), v.text(), v.get("a"), v.at(1));
            }
        }
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_set_aside() {
        for head in [&[0xdd, 255, 255, 255, 255][..], &[0xdf, 255, 255, 255, 255], &[0xdb, 255, 255, 255, 255]] {
            assert_eq!(Reader::new(head).value(), Err(Bad::Short));
        }
        assert_eq!(Reader::new(&[0x91; 10_000]).value(), Err(Bad::Deep));
        let mut many = vec![0xdd];
        many.extend((limits::MSGPACK_VALUES as u32 + 1).to_be_bytes());
        many.resize(many.len() + limits::MSGPACK_VALUES + 1, 0xc0);
        assert_eq!(Reader::new(&many).value(), Err(Bad::Many));
        // Many lists that are each small are counted together.
        let mut many = vec![0xdc, 0xff, 0xff];
        for _ in 0..0xffff {
            many.extend([0x9f; 1]);
            many.extend([0xc0; 15]);
        }
        assert_eq!(Reader::new(&many).value(), Err(Bad::Many));
        assert_eq!(Reader::new(&[0xc1]).value(), Err(Bad::Reserved));
    }

    #[test]
    fn integers_of_every_width() {
        for n in [0, 1, 127, 128, 255, 256, 65535, 65536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let mut b = Vec::new();
            put_uint(&mut b, n);
            assert_eq!(Reader::new(&b).uint(), Ok(n));
        }
        for (bytes, n) in [(&[0xff][..], -1), (&[0xd0, 0x80], -128), (&[0xd1, 0xff, 0x7f], -129), (&[0xe0], -32)] {
            assert_eq!(Reader::new(bytes).value(), Ok(Value::Int(n)));
        }
        assert_eq!(Reader::new(&[0xca, 0x3f, 0x80, 0, 0]).value(), Ok(Value::Float(1.0)));
    }

    #[test]
    fn scalars_that_arrive_as_extensions() {
        // decimal -12.345: scale 3, digits 12345, sign 0xd
        assert_eq!(
            Reader::new(&[0xc7, 4, 1, 3, 0x12, 0x34, 0x5d]).value().ok().and_then(|v| v.number()),
            Some(-12.345)
        );
        let id: Vec<u8> = [0xd8, 2].into_iter().chain(0..16).collect();
        let text = Reader::new(&id).value().ok().and_then(|v| v.text().map(Cow::into_owned));
        assert_eq!(text.as_deref(), Some("00010203-0405-0607-0809-0a0b0c0d0e0f"));
    }
}
