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

// ---- flags ----

/// Arguments of one call: a hundred receivers with forty options each still fit.
pub const FLAGS_ARGS: usize = 8192;
/// One value, wherever it came from: the longest honest one is a header or a URL with a token.
pub const FLAGS_VALUE_BYTES: usize = 32 * 1024;
/// Lines of one variable of the environment that is a list.
pub const FLAGS_ENV_LINES: usize = 1024;
/// The configuration file; the shipped one with its comments is a few KiB.
pub const FLAGS_FILE_BYTES: usize = 256 * 1024;
/// Lines of the configuration file.
pub const FLAGS_FILE_LINES: usize = 8192;
/// One line of the configuration file: a name, a value with every quote escaped, a comment.
pub const FLAGS_FILE_LINE_BYTES: usize = 2 * FLAGS_VALUE_BYTES + 1024;
/// Warnings of one start about variables that look like ours; the rest is only counted.
pub const FLAGS_WARNINGS: usize = 8;
/// Foreign text is cut to this many characters in an error: a terminal line.
pub const FLAGS_SHOWN_CHARS: usize = 80;
/// Longer words are never compared with the known names: no name is near this.
pub const FLAGS_NEAR_CHARS: usize = 48;
/// A century: so that «now plus a duration» never overflows.
pub const FLAGS_DURATION_SECONDS: u64 = 36_500 * 86_400;
/// Columns of `--help`: the terminal of old.
pub const FLAGS_COLUMNS: usize = 80;
/// Help of one option: two or three lines beside its name; more belongs to the man page.
pub const FLAGS_HELP_CHARS: usize = 150;

const _: () = assert!(FLAGS_FILE_LINE_BYTES <= FLAGS_FILE_BYTES);
const _: () = assert!(FLAGS_NEAR_CHARS <= FLAGS_SHOWN_CHARS);
