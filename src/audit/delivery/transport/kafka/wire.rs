//! ○ Kafka's requests and answers as bytes: those few that a producer needs, in versions that every broker from 0.11 to 4.x
//! takes, none of them «flexible».
//!
//! A foreign answer is read with bounds: a length is believed only as far as there are bytes, a count allocates nothing.
//! Refuses: to know a socket, to judge an error.

use crate::limits;

/// An API, and the versions of it that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its number.
    pub key: i16,
    /// The oldest and the newest version.
    pub versions: (i16, i16),
}

/// Which versions of which APIs the broker has.
pub const API_VERSIONS: Api = Api { key: 18, versions: (0, 0) };
/// The way of a login.
pub const SASL_HANDSHAKE: Api = Api { key: 17, versions: (1, 1) };
/// The login.
pub const SASL_AUTHENTICATE: Api = Api { key: 36, versions: (0, 1) };
/// Who leads which partition.
pub const METADATA: Api = Api { key: 3, versions: (1, 4) };
/// A number for a producer whose repeats are told.
pub const INIT_PRODUCER_ID: Api = Api { key: 22, versions: (0, 1) };
/// Records.
pub const PRODUCE: Api = Api { key: 0, versions: (3, 8) };

/// What came cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// APIs by their numbers, each with its oldest and its newest version.
pub type Versions = Vec<(i16, i16, i16)>;

/// The result of reading.
pub type Read<T> = Result<T, Malformed>;

// ---- writing ----

/// A request being written: its length is put in at the end.
#[derive(Debug)]
pub struct Request {
    out: Vec<u8>,
}

impl Request {
    /// A request of this version, under this number.
    pub fn new(api: Api, version: i16, correlation: i32) -> Request {
        let mut r = Request { out: vec![0; 4] };
        r.short(api.key).short(version).int(correlation).text(limits::KAFKA_CLIENT);
        r
    }

    fn short(&mut self, n: i16) -> &mut Self {
        self.out.extend_from_slice(&n.to_be_bytes());
        self
    }

    fn int(&mut self, n: i32) -> &mut Self {
        self.out.extend_from_slice(&n.to_be_bytes());
        self
    }

    /// A text; those of ours are short.
    fn text(&mut self, text: &str) -> &mut Self {
        self.short(text.len().min(i16::MAX as usize) as i16);
        self.out.extend_from_slice(&text.as_bytes()[..text.len().min(i16::MAX as usize)]);
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.int(bytes.len() as i32);
        self.out.extend_from_slice(bytes);
        self
    }

    /// All of it, as it goes over the wire.
    pub fn done(mut self) -> Vec<u8> {
        let length = (self.out.len() - 4) as i32;
        self.out[..4].copy_from_slice(&length.to_be_bytes());
        self.out
    }

    /// Asks how to log in.
    pub fn handshake(mut self, mechanism: &str) -> Vec<u8> {
        self.text(mechanism);
        self.done()
    }

    /// A step of a login.
    pub fn authenticate(mut self, step: &[u8]) -> Vec<u8> {
        self.bytes(step);
        self.done()
    }

    /// Asks who leads a topic's partitions. A topic that is not there is not made, where the version can say so.
    pub fn metadata(mut self, version: i16, topic: &str) -> Vec<u8> {
        self.int(1).text(topic);
        if version >= 4 {
            self.out.push(0);
        }
        self.done()
    }

    /// Asks for a producer's number; no transactions.
    pub fn init_producer_id(mut self) -> Vec<u8> {
        self.short(-1).int(i32::MAX);
        self.done()
    }

    /// Sends a batch of records to one partition, to be kept by all replicas in sync.
    pub fn produce(mut self, topic: &str, partition: i32, timeout_ms: i32, records: &[u8]) -> Vec<u8> {
        self.short(-1).short(-1).int(timeout_ms);
        self.int(1).text(topic).int(1).int(partition).bytes(records);
        self.done()
    }
}

// ---- reading ----

/// Takes fields off the front of an answer.
#[derive(Debug)]
pub struct Answer<'a> {
    rest: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The answer with this number; its length was taken off already.
    pub fn to(correlation: i32, bytes: &'a [u8]) -> Read<Answer<'a>> {
        let mut a = Answer { rest: bytes };
        match a.int()? == correlation {
            true => Ok(a),
            false => Err(Malformed),
        }
    }

    fn take(&mut self, n: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn short(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn int(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn long(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// None: there is no text.
    fn text(&mut self) -> Read<Option<String>> {
        match self.short()? {
            -1 => Ok(None),
            n => Ok(Some(String::from_utf8_lossy(self.take(usize::try_from(n).map_err(|_| Malformed)?)?).into_owned())),
        }
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        match self.int()? {
            -1 => Ok(&[]),
            n => self.take(usize::try_from(n).map_err(|_| Malformed)?),
        }
    }

    /// Reads as many as a count says; each takes a byte at least, so there are never more than bytes. What is read may be
    /// many times as large as its bytes.
    fn each<T>(&mut self, mut one: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let n = self.int()?;
        if n < -1 || n > 0 && n as usize > self.rest.len().min(limits::KAFKA_ITEMS) {
            return Err(Malformed);
        }
        let mut all = Vec::new();
        for _ in 0..n {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// The error, and each API with its versions.
    pub fn api_versions(mut self) -> Read<(i16, Versions)> {
        let error = self.short()?;
        Ok((error, self.each(|a| Ok((a.short()?, a.short()?, a.short()?)))?))
    }

    /// The error, and the mechanisms that it takes.
    pub fn handshake(mut self) -> Read<(i16, Vec<String>)> {
        let error = self.short()?;
        Ok((error, self.each(|a| Ok(a.text()?.unwrap_or_default()))?))
    }

    /// What came of a step of a login.
    pub fn authenticate(mut self, version: i16) -> Read<Login> {
        let (error, message) = (self.short()?, self.text()?);
        let said = self.bytes()?.to_vec();
        let lifetime_ms = if version >= 1 { self.long()? } else { 0 };
        Ok(Login { error, message: message.unwrap_or_default(), said, lifetime_ms })
    }

    /// Who leads the partitions of the one topic that was asked for.
    pub fn metadata(mut self, version: i16) -> Read<Metadata> {
        if version >= 3 {
            self.int()?;
        }
        let brokers = self.each(|a| {
            let (id, host, port) = (a.int()?, a.text()?.unwrap_or_default(), a.int()?);
            a.text()?;
            let is_host = (1..=limits::HOST_BYTES).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_graphic());
            let port = u16::try_from(port).ok().filter(|port| is_host && *port > 0).ok_or(Malformed)?;
            Ok(Broker { id, host, port })
        })?;
        if version >= 2 {
            self.text()?;
        }
        self.int()?;
        let mut topics = self.each(|a| {
            let error = a.short()?;
            a.text()?;
            a.take(1)?;
            let mut partitions = a.each(|a| {
                let p = Partition { error: a.short()?, index: a.int()?, leader: a.int()? };
                a.each(Self::int)?;
                a.each(Self::int)?;
                Ok(p)
            })?;
            partitions.sort_by_key(|p| p.index);
            // A list with holes would have other keys for each partition.
            let whole = partitions.iter().zip(0..).all(|(p, i)| p.index == i);
            whole.then_some((error, partitions)).ok_or(Malformed)
        })?;
        let (error, partitions) = topics.pop().ok_or(Malformed)?;
        Ok(Metadata { brokers, error, partitions })
    }

    /// The error, the producer's number and its epoch.
    pub fn init_producer_id(mut self) -> Read<(i16, i64, i16)> {
        self.int()?;
        Ok((self.short()?, self.long()?, self.short()?))
    }

    /// What became of the one batch that was sent.
    pub fn produce(mut self, version: i16) -> Read<Produced> {
        let mut topics = self.each(|a| {
            a.text()?;
            a.each(|a| {
                let mut p = Produced { partition: a.int()?, error: a.short()?, ..Produced::default() };
                p.offset = a.long()?;
                a.long()?;
                if version >= 5 {
                    a.long()?;
                }
                if version >= 8 {
                    p.bad = a.each(|a| Ok((a.int()?, a.text()?.unwrap_or_default())))?;
                    p.message = a.text()?.unwrap_or_default();
                }
                Ok(p)
            })
        })?;
        let one = topics.pop().and_then(|mut partitions| partitions.pop());
        one.filter(|_| topics.is_empty()).ok_or(Malformed)
    }
}

/// A step of a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// 0: well so far.
    pub error: i16,
    /// In words.
    pub message: String,
    /// The server's part of the conversation.
    pub said: Vec<u8>,
    /// How long the login is good for; 0: as long as the connection.
    pub lifetime_ms: i64,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Where it wants to be spoken to.
    pub host: String,
    /// At which port.
    pub port: u16,
}

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// 0: well.
    pub error: i16,
    /// Its number.
    pub index: i32,
    /// The broker that leads it; -1: none.
    pub leader: i32,
}

/// The cluster as far as one topic is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The brokers.
    pub brokers: Vec<Broker>,
    /// What is wrong with the topic; 0: nothing.
    pub error: i16,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
}

impl Produced {
    /// It speaks of this partition.
    pub fn of(self, partition: i32) -> Read<Produced> {
        Some(self).filter(|p| p.partition == partition).ok_or(Malformed)
    }

    /// In which words it was refused.
    pub fn words(&self) -> String {
        let bad = self.bad.iter().map(|(i, why)| format!("record {i}: {why}"));
        Some(self.message.clone())
            .into_iter()
            .filter(|m| !m.is_empty())
            .chain(bad)
            .take(3)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// In which partition.
    pub partition: i32,
    /// 0: kept.
    pub error: i16,
    /// Where the first of its records stands.
    pub offset: i64,
    /// Records that are at fault, by their place in the batch, and why.
    pub bad: Vec<(i32, String)>,
    /// In words.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_protocol_says() {
        let bytes = Request::new(PRODUCE, 8, 7).produce("t", 2, 500, b"xyz");
        let head = [0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 7, 0, 17];
        assert_eq!(&bytes[4..14], &head[4..]);
        assert_eq!(i32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len() - 4);
        let body = [
            255, 255, 255, 255, 0, 0, 1, 244, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, b'x', b'y',
            b'z',
        ];
        assert!(bytes.ends_with(&body), "{bytes:?}");
        // Whether a topic may be made can be said from version 4 on.
        let of = |version| Request::new(METADATA, version, 1).metadata(version, "t").len();
        assert_eq!(of(4), of(3) + 1);
    }

    #[test]
    fn answers_are_read_with_bounds() {
        let metadata = [
            &9i32.to_be_bytes()[..],
            &[0; 4],
            &1i32.to_be_bytes(),
            &5i32.to_be_bytes(),
            b"\0\x01h",
            &9092i32.to_be_bytes(),
            &[255, 255],
            &[255, 255],
            &5i32.to_be_bytes(),
            &1i32.to_be_bytes(),
            &[0, 0],
            b"\0\x01t",
            &[0],
            &2i32.to_be_bytes(),
            &[0, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 5, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let read = |bytes: &[u8]| Answer::to(9, bytes).and_then(|a| a.metadata(4));
        let m = read(&metadata).unwrap();
        assert_eq!((m.brokers[0].host.as_str(), m.brokers[0].port, m.error), ("h", 9092, 0));
        let seen: Vec<_> = m.partitions.iter().map(|p| (p.index, p.leader, p.error)).collect();
        assert_eq!(seen, [(0, -1, 5), (1, 5, 0)]);
        assert!((0..metadata.len()).all(|n| read(&metadata[..n]).is_err()), "a cut answer is none");
        assert!(Answer::to(8, &metadata).is_err(), "an answer to another question is none");
        // Partitions 0 and 2 are no list of all.
        let mut holes = metadata.clone();
        let at = holes.windows(4).rposition(|w| w == [0, 5, 0, 0]).unwrap() - 18;
        assert_eq!(holes[at..at + 6], [0, 0, 0, 0, 0, 1]);
        holes[at + 5] = 2;
        assert!(read(&holes).is_err());
        // Mechanisms without names, two bytes each, as many as an answer has room for.
        let many = |n: usize| [&[0, 0, 0, 9, 0, 0][..], &(n as i32).to_be_bytes(), &vec![0; 2 * n]].concat();
        let read_many = |n| Answer::to(9, &many(n)).and_then(|a| a.handshake()).map(|(_, names)| names.len());
        assert_eq!(read_many(limits::KAFKA_ITEMS), Ok(limits::KAFKA_ITEMS));
        assert_eq!(read_many(limits::KAFKA_ITEMS + 1), Err(Malformed));
        // A count that there are no bytes for.
        let mut many = metadata.clone();
        many[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(read(&many).is_err());
    }
}
