//! ○ The bounds of iproto and of `gostech-metrics`: answers, polls, pages, logins, pushes. Refuses: a bound without its reason.

use super::porch::{PORCH_AHEAD_BYTES, PORCH_PAGES, PORCH_THREADS};

/// All answers to what was asked in one go: a page of 100,000 series is about 12 MB.
pub const IPROTO_ANSWER_BYTES: usize = 64 << 20;
/// Read in steps of this size: the buffer grows with what comes, not with what is promised.
pub const IPROTO_READ_BYTES: usize = 64 << 10;
/// The words of a refusal are cut here.
pub const IPROTO_REFUSAL_CHARS: usize = 300;
/// Requests sent in one go: `sync` must stay below 128 (see `iproto::protocol`), and no source needs more.
pub const IPROTO_PIPELINE: usize = 16;
const _: () = assert!(IPROTO_PIPELINE < 127);

/// Numbers on one page; at about 100 bytes each that is 50 MB. What is beyond is left out and counted.
pub const METRICS_SERIES: usize = 500_000;
/// The text of a page: 100,000 series are about 12 MB.
pub const METRICS_PAGE_BYTES: usize = 20 << 20;
/// A line of it: a name, labels, a number, or the words of HELP.
pub const METRICS_LINE_BYTES: usize = 256 << 10;
/// What a page may take in memory while it is gathered, about, everything that grows counted twice. Beside it stand the answer
/// (`IPROTO_ANSWER_BYTES`), the numbers before it (half as much) and the pages that are made at once: together they fit the 256 MiB
/// that the unit gives the program.
pub const METRICS_PAGE_COST_BYTES: usize = 64 << 20;
/// What a family takes beside its name and samples: a draft, a place in two maps, six pieces from the heap.
pub const METRICS_FAMILY_COST_BYTES: usize = 512;
/// What a TYPE line takes: a place in a map that doubles.
pub const METRICS_KIND_COST_BYTES: usize = 80;
const _: () = assert!(
    IPROTO_ANSWER_BYTES + METRICS_PAGE_COST_BYTES * 3 / 2 + (PORCH_PAGES - 1) * METRICS_PAGE_BYTES + PORCH_AHEAD_BYTES
        <= 232 << 20
);
/// Own queries in all files together: each is work for the database again and again.
pub const QUERIES: usize = 64;
/// Rows of one of them: a family of more series is a table, and no metric.
pub const QUERY_ROWS: usize = 10_000;
/// Rows that all of them may bring: some 10 MB.
pub const QUERIES_ROWS: usize = 50_000;
/// The answer to one of them: some 100 bytes a row.
pub const QUERY_ANSWER_BYTES: usize = 1 << 20;
const _: () = assert!(QUERY_ANSWER_BYTES >= 100 * QUERY_ROWS);
/// Labels of a family of theirs; also the columns that an error names.
pub const QUERY_LABELS: usize = 16;
/// A label's text: what is longer is no name of anything.
pub const QUERY_LABEL_BYTES: usize = 512;
/// A family's name: what collectd and others keep whole.
pub const QUERY_NAME_BYTES: usize = 120;
/// How long one may take: as each phase of a poll.
pub const QUERY_MOST_SECONDS: u64 = 60;
/// The longest pause after queries that took too long; each is work that the database does for nothing.
pub const QUERY_SLOW_SECONDS: u64 = 3600;
/// Rows of `_pico_instance` and `_pico_peer_address`: clusters have hundreds of instances.
pub const METRICS_ROWS: u32 = 4096;
/// What was denied is asked again after this long: each denial is an event in the audit log.
pub const METRICS_DENIED_SECONDS: u64 = 600;
/// A source that failed otherwise (a procedure that is not there yet while an instance starts, an error in Lua) is tried
/// again after this long: that is no event in the audit log.
pub const METRICS_FAILED_SECONDS: u64 = 10;
/// Functions that may be named: all are called in one go.
pub const METRICS_FUNCTIONS: usize = 8;
const _: () = assert!(METRICS_FUNCTIONS <= IPROTO_PIPELINE);
/// The first wait after a database that could not be reached; a restart takes a second or two.
pub const METRICS_RETRY_FIRST_MILLIS: u64 = 250;
/// The longest such wait: not longer than a usual scrape interval, so that the database's return is seen at once.
pub const METRICS_RETRY_MOST_SECONDS: u64 = 5;
/// Wrong tries in a row, a wrong method among them, after which Picodata locks an account.
pub const METRICS_LOCKING_TRIES: u32 = 4;
/// Tries that a password has in its whole life, in all runs together: two methods, and half of what locks.
pub const METRICS_TRIES: usize = 2;
const _: () = assert!(METRICS_TRIES as u32 * 2 <= METRICS_LOCKING_TRIES);
/// After a refusal it is looked this often whether something is different now. A locked account is asked then: while it is
/// locked a try does not count, and whoever unlocks it sees that within a minute.
pub const METRICS_LOCKED_SECONDS: u64 = 45;
/// `pico_service` is never locked: its password is tried again after this long.
pub const METRICS_REFUSED_FIRST_SECONDS: u64 = 300;
/// And each time twice as long, up to this.
pub const METRICS_REFUSED_MOST_SECONDS: u64 = 3600;
/// The file that keeps what is known of a login: some twelve short lines, a user's name among them.
pub const METRICS_LOGIN_BYTES: u64 = 2048;
/// Such files in one directory, and in memory where there is none: one for each user and instance.
pub const METRICS_LOGINS: usize = 256;
/// Another run that logs in is waited for this often the patience of one phase: several may stand before us, each of which
/// takes some round trips.
pub const METRICS_LOGIN_TURNS: u32 = 4;
/// How often it is looked whether it has.
pub const METRICS_LOGIN_TURN_MILLIS: u64 = 10;
/// Rounds of the digest by which a password is recognised: some 10 ms, once a login, and too much for a dictionary.
pub const METRICS_MARK_ROUNDS: u32 = 20_000;
/// Connections opened for one poll: the kept one may be dead without having said so.
pub const METRICS_CONNECTS: usize = 2;
/// A page smaller than this is not worth packing.
pub const METRICS_GZIP_BYTES: usize = 1024;
/// Stack of the thread that asks the database: a page is read there.
pub const METRICS_POLL_STACK_BYTES: usize = 2 << 20;
/// Stack of the thread that makes the compressor, in builds that do not optimise.
pub const METRICS_ZIP_STACK_BYTES: usize = 2 << 20;
/// Ranges of an Accept header that are looked at.
pub const METRICS_ACCEPT_RANGES: usize = 32;
/// How long a visitor waits for a poll who does not say how long they may: under Prometheus' 10 s.
pub const METRICS_WAIT_SECONDS: u64 = 9;
/// A poll that runs longer than this means that the poll thread hangs: the watchdog is not fed any more. Each phase of
/// a poll has a deadline of at most a minute; there are about ten.
pub const METRICS_HUNG_SECONDS: u64 = 900;
/// After a poll that brought more than this, free memory goes back to the system.
pub const METRICS_LARGE_BYTES: usize = 1 << 20;
/// Addresses to listen on.
pub const METRICS_ADDRESSES: usize = 16;
/// Descriptors that the program needs at its busiest: two for each visitor, files that are read.
pub const METRICS_DESCRIPTORS: u64 = 256;
const _: () = assert!(METRICS_DESCRIPTORS >= 2 * PORCH_THREADS as u64 + METRICS_ADDRESSES as u64);
/// Memory that the unit gives the program, and that the largest page fits.
pub const METRICS_MEMORY_BYTES: u64 = 256 << 20;
/// Instances of a cluster: each has a thread, a connection and its numbers.
pub const METRICS_INSTANCES: usize = 512;
/// How often it is asked who belongs to the cluster.
pub const METRICS_LIST_SECONDS: u64 = 20;
/// An instance that is at a poll for longer is not waited for any more.
pub const METRICS_LONG_MILLIS: u64 = 1000;
/// So long those are waited for who failed the last time: who is back answers in less.
pub const METRICS_GRACE_MILLIS: u64 = 250;
/// Places that may be probed.
pub const METRICS_PROBES: usize = 64;
/// Prefixes and labels that may be given.
pub const METRICS_RULES: usize = 256;
/// Places to push to: each has a thread and a connection.
pub const PUSH_OUTLETS: usize = 16;
/// Bytes of the pages that wait for one outlet; with several that are down they are the same pages.
pub const PUSH_WAITING_BYTES: usize = 32 << 20;
/// Pages that may be kept for an outlet by an option: a day of one each ten seconds.
pub const PUSH_BUFFER: u64 = 8640;
/// A datagram of lines: what an Ethernet frame takes behind the heads of IPv6 and UDP, as StatsD's own documents advise.
pub const PUSH_PACKET_BYTES: usize = 1432;
/// Series in one request of remote write: some 500 KB, which every receiver takes.
pub const REMOTE_WRITE_SERIES: usize = 5000;
/// A request of OTLP ends behind the family that reaches this: receivers take some megabytes.
pub const OTLP_BODY_BYTES: usize = 1 << 20;
/// How often a stream is looked at whether the other side's kernel has everything.
pub const PUSH_LOOK_MILLIS: u64 = 2;
/// The waits after a push that failed, from and to.
pub const PUSH_RETRY_FIRST_MILLIS: u64 = 500;
/// The longest of them.
pub const PUSH_RETRY_MOST_SECONDS: u64 = 30;
/// How often pushes may be, and how long one may take: nobody's graphs are finer, and a database has other things to do.
pub const PUSH_MILLIS: (u64, u64) = (100, 86_400_000);
/// A name that collectd keeps whole.
pub const COLLECTD_NAME_BYTES: usize = 127;
/// Lines before the answers to them are read: both fit the buffers of a Unix socket.
pub const COLLECTD_LINES: usize = 128;
/// An answer of its: a status and a sentence.
pub const COLLECTD_ANSWER_BYTES: usize = 4096;
/// Mode of a page in a file: node-exporter, who reads it, is another user, and the page itself is open to everyone who asks.
pub const PUSH_FILE_MODE: u32 = 0o644;
