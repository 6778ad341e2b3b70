//! Every bound of both programs, units last in the name, each with its reason.
//!
//! A loop, queue, buffer, wait or message that has no line here has no business in this project. Relations that must
//! hold between bounds are asserted at compile time at the end.

// ---- log ----

/// Lines of one matter that are printed before it is only counted: an outage of an hour is a handful of lines.
pub const LOG_BURST_LINES: u32 = 5;
/// After the burst, one line of the same matter at most this often, with the count of what was left out.
pub const LOG_REPEAT_SECONDS: u64 = 600;
/// Matters remembered by the rate limit; the oldest is forgotten.
pub const LOG_MATTERS: usize = 256;
/// A line is cut here: journald splits at 48 KiB, terminals long before.
pub const LOG_LINE_BYTES: usize = 4096;

// ---- msgpack ----

/// Lists within lists: the deepest answer met (`box.stat.memtx.tx`) has 6; recursion stays far from any stack's end.
pub const MSGPACK_DEPTH: usize = 32;
/// Values in one message, 32 bytes each: 16 MiB at most. 2,000 tables with their indexes are about 60,000.
pub const MSGPACK_VALUES: usize = 524_288;

// ---- iproto ----

/// The longest answer taken: a page of 100,000 series is about 12 MB.
pub const IPROTO_ANSWER_BYTES: usize = 64 << 20;
/// Read in steps of this size: the buffer grows with what comes, not with what is promised.
pub const IPROTO_READ_BYTES: usize = 64 << 10;
/// The words of a refusal are cut here.
pub const IPROTO_REFUSAL_CHARS: usize = 300;
/// Requests sent in one go: `sync` must stay below 128 (see `iproto::protocol`), and no source needs more.
pub const IPROTO_PIPELINE: usize = 16;
const _: () = assert!(IPROTO_PIPELINE < 127);

// ---- json ----

/// Nesting of a value that is passed on; serde_json stops at 128, Jackson at 1000, and one bit a level is all we keep.
pub const JSON_DEPTH: u32 = 100;
/// A number longer than this is refused by Jackson 2.15 (1000) and with it by Logstash.
pub const JSON_NUMBER_BYTES: usize = 900;
const _: () = assert!(JSON_DEPTH < 128);

// ---- metrics ----

/// Numbers on one page; at about 100 bytes each that is 50 MB. What is beyond is left out and counted.
pub const METRICS_SERIES: usize = 500_000;
