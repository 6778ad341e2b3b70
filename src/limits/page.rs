//! ○ The status pages and what they remember.

/// Ranges of `Accept-Language` that are looked at; a reader's program sends a handful.
pub const PAGE_LANGUAGES: usize = 32;
/// `?refresh=` at most: who wants it less often than hourly asks himself.
pub const PAGE_REFRESH_SECONDS: u32 = 3_600;
/// A stretch of the last 15 minutes in milliseconds, and how many there are.
pub const PAGE_SHORT: (i64, usize) = (15_000, 60);
/// The same of the last 24 hours.
pub const PAGE_LONG: (i64, usize) = (900_000, 96);
const _: () = assert!(PAGE_SHORT.0 * PAGE_SHORT.1 as i64 == 15 * 60_000);
const _: () = assert!(PAGE_LONG.0 * PAGE_LONG.1 as i64 == 24 * 3_600_000);
/// Words of all curves of a program, with room.
pub const PAGE_HISTORY_WORDS: usize = 512;
const _: () = assert!(3 * (PAGE_SHORT.1 + PAGE_LONG.1) <= PAGE_HISTORY_WORDS);
/// How often is noted how it is: three times in a stretch, so that each has its note.
pub const PAGE_NOTE_MILLIS: u64 = 5_000;
const _: () = assert!(PAGE_NOTE_MILLIS as i64 * 3 <= PAGE_SHORT.0);
/// So many notes make a minute.
pub const PAGE_PACES: usize = 12;
/// Alarms that are remembered: what begins more often in a day is one that flaps.
pub const PAGE_ALARMS: usize = 21;
/// Characters of a foreign text on the page: an answer in words is a line or two.
pub const PAGE_TEXT_CHARS: usize = 300;
/// And of a name.
pub const PAGE_NAME_CHARS: usize = 80;
/// Rows of a table, and receivers in the picture; the rest is counted.
pub const PAGE_ROWS: usize = 24;
/// Rows of the table of a cluster: so many fit a page of 30 KB.
pub const PAGE_INSTANCES: usize = 64;
/// How long the page waits for an answer of the database that is not there yet.
pub const PAGE_WAIT_SECONDS: u64 = 2;
/// Two readings that are closer say nothing of a rate: the answer itself takes as long.
pub const METRICS_LOAD_SECONDS: f64 = 0.2;
/// A reading that is older is none for the curves: who asks once a minute, as Prometheus does by itself, has no holes.
pub const METRICS_STALE_SECONDS: u64 = 90;
/// How often `--watch` draws.
pub const WATCH_MILLIS: u64 = 1_000;
/// Columns at most: no terminal is wider.
pub const WATCH_COLUMNS: usize = 1_000;
/// Columns and rows where there is no terminal to ask.
pub const WATCH_SIZE: (usize, usize) = (80, 24);
/// A day, over which alarms are shown.
pub const PAGE_DAY_MILLIS: i64 = 86_400_000;
