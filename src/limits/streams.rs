//! ○ Bounds of the transports without HTTP: streams, syslog, RELP. Units last in the name, each with its reason.

/// How long a new connection is listened to, behind the first parcel, before that counts as taken: whoever takes no events
/// there says so or closes within a moment. Once a connection, so it slows nothing down.
pub const STREAM_PROOF_MILLIS: u64 = 300;
/// And at most, where its opening took long: so many times as long, as the one who refuses is as slow.
pub const STREAM_PROOF_MOST_MILLIS: u64 = 5_000;
/// The times.
pub const STREAM_PROOF_TIMES: u32 = 2;
const _: () = assert!(STREAM_PROOF_MILLIS < STREAM_PROOF_MOST_MILLIS);
/// How often it is looked whether the other side's kernel has all, first and at most: a millisecond is what a wait can be,
/// and a receiver that reads has taken a parcel by then.
pub const STREAM_LOOK_MILLIS: (u64, u64) = (1, 50);
/// What is read of words that nobody asked for: a line of them names the protocol.
pub const STREAM_WORDS_BYTES: usize = 512;
/// How long such words are waited for when the connection has broken: they are there already, or they never come.
pub const STREAM_WORDS_MILLIS: u64 = 50;
/// Characters of them that are shown: a line of a terminal.
pub const FOREIGN_SHOWN_CHARS: usize = 80;
