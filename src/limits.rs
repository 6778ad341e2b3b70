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

// ---- json ----

/// Nesting of a value that is passed on; serde_json stops at 128, Jackson at 1000, and one bit a level is all we keep.
pub const JSON_DEPTH: u32 = 100;
/// A number longer than this is refused by Jackson 2.15 (1000) and with it by Logstash.
pub const JSON_NUMBER_BYTES: usize = 900;
const _: () = assert!(JSON_DEPTH < 128);
