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

/// The fields of the head of a message (RFC 5424, 6): what a receiver must take of each.
pub const SYSLOG_HOST_BYTES: usize = 255;
/// APP-NAME.
pub const SYSLOG_APP_BYTES: usize = 48;
/// PROCID, which is the instance.
pub const SYSLOG_PROCID_BYTES: usize = 128;
/// MSGID, which is the title, and the name of a structured data element.
pub const SYSLOG_ID_BYTES: usize = 32;
/// The tag of the older form (RFC 3164, 5.3).
pub const SYSLOG_TAG_BYTES: usize = 32;
/// Characters of one value of structured data: it is there to be sorted by, and all of it stands in the message.
pub const SYSLOG_VALUE_CHARS: usize = 256;
/// After so many datagrams in a row there is a pause: the usual buffer of a receiver holds some two hundred small ones.
pub const DATAGRAM_BURST: usize = 64;
/// The pause: 64,000 datagrams a second are more than a receiver of UDP reads, and a burst finds it reading.
pub const DATAGRAM_PAUSE_MILLIS: u64 = 1;
/// A refusal is waited for behind a parcel at most so often.
pub const DATAGRAM_LOOK_EVERY_MILLIS: u64 = 1_000;

/// Messages that are on their way at once and have no answer yet: what librelp takes by default.
pub const RELP_WINDOW: usize = 128;
/// The beginning of a frame up to its data: number, command, length, and what stands between them.
pub const RELP_HEAD_BYTES: usize = 64;
/// The data of an answer: 200 and a word; that to `open` is a few lines.
pub const RELP_ANSWER_BYTES: usize = 16 * 1024;
/// What is written at once: a window of large messages would be a copy of all of them.
pub const RELP_OUTPUT_BYTES: usize = 1 << 20;
