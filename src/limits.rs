//! ○ Every bound of both programs, units last in the name, each with its reason.
//!
//! A loop, queue, buffer, wait or message that has no line here has no business in this project. Relations that must
//! hold between bounds are asserted at compile time at the end.

mod alarms;
mod lengths;
mod metrics;
mod outlets;
mod page;
mod porch;
mod receivers;
mod seal;
mod streams;
mod verify;

pub use alarms::*;
pub use lengths::*;
pub use metrics::*;
pub use outlets::*;
pub use page::*;
pub use porch::*;
pub use receivers::*;
pub use seal::*;
pub use streams::*;
pub use verify::*;

// ---- log ----

/// Lines of one cause that differ in their numbers alone, and after how long there may be one more of them.
pub const LOG_BURST_LINES: u32 = 5;
/// One more line whose numbers differ after this.
pub const LOG_VARIANT_SECONDS: u64 = 60;
/// A cause that lasts is said again after this, with the count of what was left out: an outage of an hour is a dozen lines.
pub const LOG_REPEAT_SECONDS: u64 = 300;
/// A cause that another one has relieved is said again when it comes back, but not more often than this.
pub const LOG_CHANGE_SECONDS: u64 = 60;
/// New causes of one matter that are said at once: a matter has some ten in this program, more are made up by a stranger.
pub const LOG_NEW_CAUSES: u32 = 16;
/// One more new cause after this.
pub const LOG_NEW_CAUSE_SECONDS: u64 = 10;
/// Causes of one matter that are remembered.
pub const LOG_CAUSES: usize = 16;
/// So often in a minute a matter may end and its next line be news: a receiver that refuses every second request, or a disk
/// that is full every other second, begins and ends an outage all the time.
pub const LOG_CALMS: u32 = 3;
/// That minute.
pub const LOG_CALM_SECONDS: u64 = 60;
/// Matters remembered by the rate limit; the oldest is forgotten.
pub const LOG_MATTERS: usize = 256;
/// A line is cut here: what a pipe takes at once is a page, and what stands behind a cut one has room.
pub const LOG_LINE_BYTES: usize = 3968;
const _: () = assert!(LOG_LINE_BYTES + 128 <= 4096);
/// How long a line waits for a stderr that takes nothing; after that lines are only counted until it takes them again.
pub const LOG_PATIENCE_MILLIS: u64 = 100;

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

const _: () = assert!(FLAGS_FILE_LINE_BYTES <= FLAGS_FILE_BYTES);
const _: () = assert!(FLAGS_NEAR_CHARS <= FLAGS_SHOWN_CHARS);

// ---- guard ----

/// Rules of a confinement: each receiver has at most six files and links, and the system some twenty.
pub const GUARD_RULES: usize = 512;
/// Directories with fewer components than this (`/etc`) are never opened as a whole for one file in them.
pub const GUARD_DEPTH: usize = 3;
/// The keeper makes no more than one stand-in in this time: one that is killed again and again costs next to nothing.
pub const STAND_IN_MILLIS: u64 = 200;
/// Whoever signals a whole unit signals all three: what comes within this time is one request to read the configuration.
pub const RELOAD_SETTLE_MILLIS: u64 = 50;
/// And there is at most one in this time: each may end a worker in good order and begin another.
pub const RELOAD_PAUSE_MILLIS: u64 = 1_000;
/// How long reading the configuration may take: it is a small file.
pub const RELOAD_READ_SECONDS: u64 = 5;
/// How long a worker that makes room for new options waits for answers to what it has sent; without them it would be sent
/// twice. Reading goes on meanwhile.
pub const RELOAD_SENDERS_SECONDS: u64 = 5;
/// And for a write that is under way. A disk that takes longer stands still.
pub const RELOAD_WRITER_MILLIS: u64 = 500;
/// Requests that may lie in the pipe to the keeper.
pub const RELOAD_KNOCKS: usize = 64;
/// The first and the longest wait of a stand-in that cannot take the keeper's place yet: somebody gives descriptors or
/// memory back within a moment, or an administrator does within minutes.
pub const SUCCESSION_RETRY_MILLIS: (u64, u64) = (10, 1_000);
/// How many descriptors it must be able to open besides its own: what a worker needs to work at all.
pub const SUCCESSION_DESCRIPTORS: usize = 8;
/// How often a worker that waits for its turn, and one without a keeper, look for each other.
pub const SUCCESSION_LOOK_MILLIS: u64 = 5;
/// A worker that has been without a keeper for so long says so.
pub const SUCCESSION_TELL_SECONDS: u64 = 10;
/// A worker that does not make room for so long stands still: leaving takes milliseconds.
pub const SUCCESSION_PATIENCE_SECONDS: u64 = 30;
/// A member of the family that stands stopped for so long is sent on: who wants to look at it has looked, and the database
/// waits. How often a stand-in looks whether its keeper does.
pub const STOPPED_SECONDS: u64 = 10;
/// How often it is looked whether the confinement still fits the files: a certificate that moved is found soon, and some
/// twenty looks at directories cost nothing.
pub const GUARD_LOOK_SECONDS: u64 = 10;

// ---- json ----

/// Nesting of a value that is passed on; serde_json stops at 128, Jackson at 1000, and one bit a level is all we keep.
pub const JSON_DEPTH: u32 = 100;
/// A number longer than this is refused by Jackson 2.15 (1000) and with it by Logstash.
pub const JSON_NUMBER_BYTES: usize = 900;
const _: () = assert!(JSON_DEPTH < 128);

// ---- records ----

/// The database cuts a record here and glues the next one to it (its own buffer of 16 KiB less the final byte).
pub const PIPE_RECORD_BYTES: usize = 16_383;
/// A cut record at the end of the stream is ended by this much silence: the rest of it will never come.
pub const CUT_SILENCE_MILLIS: u64 = 1_000;
/// An event id longer than this is no id of the database (three 64-bit numbers and two dots are 62).
pub const EVENT_ID_BYTES: usize = 64;
/// Names of cluster and instance: document ids are at most 512 bytes in Elasticsearch, and hold both.
pub const NAME_BYTES: usize = 128;
/// How much of an unparsed record is shown in `message`; all of it is in `gostech.raw`.
pub const MESSAGE_SHOWN_BYTES: usize = 8 * 1024;
/// Records parsed in one go: what a chunk of the writer holds.
pub const CHUNK_RECORDS: usize = 4_096;
/// Bytes taken from the cushion in one go: large enough to make a write cheap, small enough to stay in the cache.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// The smallest and largest `--event-max`.
pub const EVENT_MAX_BYTES: (u64, u64) = (1024, 64 << 20);
/// Of the largest events so many must fit the spool, and of the others as many as there are.
pub const EVENTS_IN_SPOOL: usize = 4;
/// Record numbers, places in the input, counts and times of the spool's files: a larger one was never written by us (a
/// million events a second reach it in 36,000 years), and sums of some of them still fit.
pub const SPOOL_NUMBER_MAX: u64 = 1 << 60;

// ---- gaps ----

/// Generations (raft_id, gen) that are followed; the one seen longest ago is forgotten.
pub const GENERATIONS: usize = 1_024;
/// Bytes of the shortest line that can be an event: `{"id":"1.0.1"}` and its end.
pub const EVENT_LINE_LEAST: u64 = 15;
/// Missing ranges remembered for one generation; the oldest is declared lost early.
pub const GAP_RANGES: usize = 64;
/// The same with those that are to be told again, because the events that told of them went: these find room where all others are
/// not told yet.
pub const GAP_RANGES_MOST: usize = GAP_RANGES + TELLINGS;
/// Ranges of all generations that are saved: with their generations they fit a copy of the state.
pub const GAP_RANGES_SAVED: usize = 1_300;
/// How far back a number may be and is merely out of order, where many seem to come again: connections write side by side.
pub const DISORDER: u64 = 16;
/// Hashes kept of one start of a node, of the events whose counts are powers of two: to tell a repeat from a database that
/// was made anew. Up to the eight-millionth event.
pub const MARKS: usize = 24;
/// And in the state file, of the starts seen last: a new life has the number of a recent one.
pub const MARKS_SAVED: usize = 240;
/// Events of our own that are kept in the state until their records may go: a receiver that lacks more of them has been away
/// for weeks of trouble. Those that tell of gaps in the input give way to those that tell of what was here and went.
pub const TELLINGS: usize = 32;
/// The most that such an event is in the state, where each quote of it has a backslash, with both ids at their longest.
pub const TELLING_BYTES: usize = 640;
/// Of these, what its number and what stands around it take.
pub const TELLING_NUMBER_BYTES: usize = 32;
const _: () = assert!(
    (GENERATIONS + GAP_RANGES_SAVED) * 100 + MARKS_SAVED * 32 + TELLINGS * TELLING_BYTES < STATE_SLOT_BYTES as usize
);
/// A gap is an event only after this: what comes late within it was only out of order.
pub const GAP_PATIENCE_MILLIS: u64 = 1_000;

/// An episode of dropping is over when nothing was dropped for this long; then one event tells of it.
pub const DROP_PAUSE_MILLIS: u64 = 1_000;

// ---- titles ----

/// Titles counted one by one; the rest are `other`.
pub const TITLES: usize = 200;
/// A title longer than this is counted as `other`: it is none of the database's.
pub const TITLE_BYTES: usize = 64;

// ---- spool ----

/// A segment is a sixteenth of `--spool-max`, but not above this: what can be freed at once.
pub const SEGMENT_BYTES: (u64, u64) = (16 * 1024, 16 << 20);
/// How many segments `--spool-max` is divided into.
pub const SEGMENTS: u64 = 16;
/// The smallest `--spool-max`: below it a segment would hold a handful of records.
pub const SPOOL_MIN_BYTES: u64 = 256 * 1024;
/// The default `--spool-max`, unless a tenth of the file system is less.
pub const SPOOL_DEFAULT_BYTES: u64 = 4 << 30;
/// What a reader takes from a segment at once.
pub const READ_BYTES: usize = 128 * 1024;
/// What the sealer takes at once: it waits for nobody, and so a tenth of a megabyte less is held beside the senders.
pub const READ_BESIDE_BYTES: usize = 32 * 1024;
/// How many bytes of records a packed block holds, and at most, where one record alone is longer: what one damaged byte costs.
/// A segment with a longer record than that stays plain.
pub const PACKED_BLOCK_BYTES: (usize, usize) = (READ_BYTES, 1 << 20);
/// The longest segment that is packed, as it was before: places in it have four bytes.
pub const PACKED_PLAIN_BYTES: u64 = MEMORY_DISK_FILE_BYTES;
/// A segment that is shorter than this is not worth packing.
pub const PACK_MIN_BYTES: u64 = 4 * 1024;
/// How far the thread that packs steps back: a tenth of a busy processor is left to it, so a lock that it holds is free soon.
pub const PACKER_NICE: i32 = 10;
/// Somebody has waited so long for what is in a segment: then it is packed.
pub const PACK_AFTER_MILLIS: i64 = 60_000;
/// After a segment that could not be packed because the disk refused something, for so long none is.
pub const PACK_RETRY_MILLIS: u64 = 60_000;
/// Damaged ranges remembered so that each is told once.
pub const DAMAGES: usize = 1_024;
/// Losses that readers have found and no event tells of yet, as they are saved: the writer tells them within a tick.
pub const LOSSES: usize = 64;
/// The room that each copy of a new cursor or state is given at once: a full disk must not refuse what makes room on it.
pub const SLOT_MADE_BYTES: u64 = 16 * 1024;
/// Names tried for a segment beside others that begin with the same record; each failed return from memory may leave one.
pub const NAME_TRIES: u32 = 1_000;
/// Segments of one spool that are looked at: more files than this are not ours.
pub const SPOOL_FILES: usize = 100_000;
/// Segments that the memory spool can hold, and the most each can have: it is a sparse memory file.
pub const MEMORY_DISK_FILES: usize = 64;
/// The most that a segment in memory can have.
pub const MEMORY_DISK_FILE_BYTES: u64 = 128 << 20;
/// Cursors, state and marks beside them: one for each receiver that ever had a cursor here, and as many marks again.
pub const MEMORY_DISK_SMALL_FILES: usize = 2 * STATE_RECEIVERS;
/// The most that one of these can have: the copies of the state.
pub const MEMORY_DISK_SMALL_BYTES: u64 = 4 * STATE_SLOT_BYTES;
const _: () = assert!(MEMORY_DISK_FILE_BYTES > EVENT_MAX_BYTES.1 + SEGMENT_BYTES.1);
const _: () = assert!(SPOOL_MIN_BYTES / SEGMENTS >= SEGMENT_BYTES.0);
/// So long a new helper waits for the sub-directory of one that is gone: its processes are buried in a tenth of that. The
/// next one's events would lie apart from those before. And how often it looks.
pub const SETTLE_MILLIS: u64 = 1_000;
/// The pause between two looks.
pub const SETTLE_LOOK_MILLIS: u64 = 20;
/// What is kept of a receiver's last answer in its cursor (control characters take six bytes there).
pub const ANSWER_KEPT_BYTES: usize = 400;
/// Stretches of records that a receiver was not given, until a checkpoint says so: they stand in its cursor, two numbers of 19
/// digits each; at the half of them the sealer makes haste.
pub const EXCUSED_KEPT: usize = 14;
const _: () = assert!(ANSWER_KEPT_BYTES * 6 + 1024 + EXCUSED_KEPT * 41 + 64 < CURSOR_SLOT_BYTES as usize);
/// How long a chunk that is being written is waited for when its file is to be copied: longer than a stall of a journal.
pub const WRITER_WAIT_MILLIS: u64 = 1_000;
/// What is read of a lock's file: a process and its birth are 30 bytes.
pub const LOCK_BYTES: usize = 256;
/// How often everything is brought to a failing disk at the end, when there is no later: an error of a sync is told once.
pub const END_TRIES: u32 = 10;
/// What is written to see whether a full disk has room again: more than a byte, or it would flap.
pub const PROBE_BYTES: usize = 64 * 1024;

// ---- net ----

/// A receiver's URL: proxies and servers refuse longer ones anyway.
pub const URL_BYTES: usize = 4096;
/// `sun_path` of Linux is 108 bytes, the last one is the terminating zero.
pub const UNIX_PATH_BYTES: usize = 107;
/// A DNS name (RFC 1035).
pub const HOST_BYTES: usize = 253;
/// A password, token or header value read from a file: a kerberos-sized bearer token fits, a wrong file does not.
pub const SECRET_BYTES: usize = 16 * 1024;
/// A certificate, key or CA file: the system's bundles are 220 KB.
pub const PEM_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Certificates taken from one bundle: the system's have 140.
pub const PEM_CERTIFICATES: usize = 2000;
/// Files with certificates whose ends are told: two for each URL, and those of the pages.
pub const CERTIFICATE_FILES: usize = 256;
/// How often it is said again that a certificate ends or has ended.
pub const CERTIFICATE_TOLD_SECONDS: u64 = 86_400;
/// How often its file is looked at.
pub const CERTIFICATE_LOOK_SECONDS: u64 = 10;
/// TLS sessions kept for resumption: one receiver, and a few because servers send two tickets a handshake.
pub const TLS_SESSIONS: usize = 4;
/// Name lookups that hang in the C library at once: the next one fails instead of taking one more thread.
pub const LOOKUPS_STUCK: usize = 4;
/// Stack of a lookup thread: the C library's resolver keeps its packets on the stack.
pub const LOOKUP_STACK_BYTES: usize = 256 * 1024;
/// Addresses of one name that are known, and tried in turn: no name of a receiver has more.
pub const ADDRESSES: usize = 256;
/// By how many the time of an attempt is shared out: the others have their turn in the next attempt.
pub const ADDRESSES_AT_ONCE: usize = 16;
/// Addresses of all names that were tried in vain, and are tried last the next time.
pub const ADDRESSES_TRIED: usize = 1_024;
/// Addresses of one name that an error names; the rest is counted.
pub const ADDRESSES_NAMED: usize = 6;
/// The longest datagram: what UDP over IPv4 takes, and less than the default of a Unix socket.
pub const DATAGRAM_BYTES: usize = 65_507;
/// How long one socket is used: what is sent to a place that a name has left is lost without a word.
pub const DATAGRAM_AGE_SECONDS: u64 = 300;
/// How long the refusal of a first datagram is waited for before the address counts as one that takes it: within a site the
/// answer needs a millisecond or two.
pub const DATAGRAM_LOOK_MILLIS: u64 = 50;
/// `--connect-timeout`: name, TCP, proxy and TLS handshake together.
pub const HTTP_CONNECT_SECONDS: u64 = 10;
/// `--send-timeout`: from the first byte of the request to its last.
pub const HTTP_SEND_SECONDS: u64 = 30;
/// `--first-byte-timeout`: from the moment at which the kernel of the other side has the last byte of the request to the
/// whole head of the answer.
pub const HTTP_FIRST_BYTE_SECONDS: u64 = 60;
/// How often it is looked whether the kernel has sent the request, first and at most: an answer on the same machine takes
/// less than the first.
pub const UNSENT_LOOK_MILLIS: (u64, u64) = (5, 200);
/// `--total-timeout`: one delivery from its beginning to its end.
pub const HTTP_TOTAL_SECONDS: u64 = 120;
/// A connection that was idle longer is closed by us: most servers close after 60 to 75 s, and racing them costs a retry.
pub const HTTP_IDLE_SECONDS: u64 = 50;
/// A connection is given up after this, however busy, and its name is asked for again: a receiver that has moved, or came to
/// more addresses, is found although the old one still takes. A handshake every ten minutes costs nothing.
pub const HTTP_AGE_SECONDS: u64 = 600;
/// The head of an answer, with those before it that only say that it is to come; and what stands behind the last chunk.
pub const HTTP_INPUT_BYTES: usize = 16 * 1024;
/// The line before a chunk: its length, and what nobody reads.
pub const HTTP_LINE_BYTES: usize = 4 * 1024;
/// The body of an answer that is read so that the connection can be used again; a longer one costs the connection.
pub const HTTP_ANSWER_BYTES: usize = 64 * 1024;
/// The beginning of an answer's body that is kept for people.
pub const HTTP_EXCERPT_BYTES: usize = 512;
/// bytes; what is shorter is not looked for in answers: no secret should be, and everyday words are.
pub const MASK_BYTES: usize = 4;
/// values of a URL's query that are looked for in answers; more stand in no URL of a receiver.
pub const MASK_PAIRS: usize = 64;
/// The head of a proxy's answer to CONNECT.
pub const PROXY_HEAD_BYTES: usize = 8 * 1024;
/// Extra headers (`--header`).
pub const HTTP_HEADERS: usize = 64;

const _: () = assert!(HTTP_CONNECT_SECONDS <= HTTP_TOTAL_SECONDS);
const _: () = assert!(HTTP_SEND_SECONDS + HTTP_FIRST_BYTE_SECONDS <= HTTP_TOTAL_SECONDS);
const _: () = assert!(HTTP_EXCERPT_BYTES <= HTTP_ANSWER_BYTES);

// ---- delivery ----

/// `--batch-events` and `--batch-bytes` at their most: a receiver that takes more is not known.
pub const BATCH_EVENTS: u64 = 100_000;
/// The most that `--batch-bytes` takes; Logstash refuses bodies over 100 MB.
pub const BATCH_BYTES: u64 = 64 << 20;
/// The memory that a batch keeps between two large ones.
pub const BATCH_KEPT_BYTES: usize = 2 << 20;
/// The first wait after a failure.
pub const BACKOFF_FIRST_MILLIS: u64 = 100;
/// The longest wait after failures.
pub const BACKOFF_MOST_SECONDS: u64 = 30;
/// A `Retry-After` is honoured up to this.
pub const RETRY_AFTER_MOST_SECONDS: u64 = 300;
/// Events in a row that are tried alone before a receiver that refuses them all is left in peace for a while; doubled
/// each time, so that a long row of bad events is got over in the end.
pub const SUSPECTS_FIRST: usize = 8;
/// The most events in a row that are tried alone.
pub const SUSPECTS_MOST: usize = 16_384;
/// An event is refused alone, and so is the last one that was taken before: this many halvings leave it at that, and each
/// time the next one asks later events too. A receiver that is wrong for a minute must not get a later one first; one that
/// refuses the earlier one for being a repeat must not stand still for ever.
pub const RECALLS_BEFORE_LATER: u32 = 4;
/// A request that was taken within so many percent of its time leaves room for a larger one.
pub const SPARE_PERCENT: u32 = 25;
/// By which part of itself a request grows then: slowly, for each that is too large costs a time-out.
pub const GROWTH_PART: usize = 64;
/// So often the same events are refused as a whole, by each URL, before their parts are tried: most refusals are over by
/// then.
pub const STUCK_TRIES: u32 = 4;
/// And for so long: a restart behind a balancer takes seconds.
pub const STUCK_MILLIS: u64 = 3_000;
/// An answer that does not blame the content (403, 500, a reset) condemns an event that was refused alone so often, each
/// time with another one taken right after it.
pub const PROOF_TRIES: u32 = 10;
/// And over so long: a receiver that is being repaired is not so regular for minutes.
pub const PROOF_SECONDS: u64 = 180;
/// The same answer of the same URL needs so many in a row for the next event, at once: a stranger can write faster than
/// minutes pass. One that fails at every second request by chance gets through that once in thousands.
pub const PROOF_TRIES_KNOWN: u32 = 6;
/// As long as the last proof is no older than this.
pub const PROOF_KEPT_SECONDS: u64 = 3_600;
/// Answers that are proven at once: a firewall has one or two.
pub const PROOFS: usize = 16;
/// Later events that are asked in a row to bear witness: the next time it is those behind them.
pub const LATER_MOST: usize = 512;
/// Later events that were taken so before their turn: one each half minute, of a row of bad ones that takes hours.
pub const LATER_GIVEN: usize = 4_096;
/// How old the last witness may be that the receiver was never given before.
pub const FRESH_SECONDS: u64 = 30;
const _: () = assert!(PROOF_TRIES_KNOWN < PROOF_TRIES && STUCK_MILLIS < PROOF_SECONDS * 1_000);
/// How long a stand-in is used before the first choice is tried again.
pub const FAILBACK_SECONDS: u64 = 30;
/// A receiver that had nothing to take for this long gives the memory of its last batches back: the next one is made in
/// microseconds.
pub const SENDER_SPARE_MILLIS: u64 = 1_000;
/// And after this its connection and what belongs to that: a handshake costs more.
pub const SENDER_REST_SECONDS: u64 = 60;
const _: () = assert!(SENDER_SPARE_MILLIS < SENDER_REST_SECONDS * 1_000);
/// How long a sender sleeps at most when there is nothing to do: it is woken when there is.
pub const SENDER_NAP_MILLIS: u64 = 1_000;
/// `--quarantine-max` by default.
pub const QUARANTINE_BYTES: u64 = 64 << 20;

// ---- processes and threads ----

/// Sub-directories of one name that are tried: helpers of one name on one machine.
pub const SPOOL_DIRECTORIES: u32 = 64;
/// How often a directory is looked for when there is none.
pub const HOME_LOOK_SECONDS: u64 = 3;
/// The next worker could not live in what was found: each time it is looked for half as often, as far as this.
pub const HOME_LOOK_DOUBLINGS: u64 = 5;
/// A disk that fails now and then lets a worker in at one of so many tries, with a moment between two of them.
pub const HOME_TRIES: usize = 3;
/// That moment. Nothing is read by this worker meanwhile; the one that reads goes on.
pub const HOME_TRY_MILLIS: u64 = 100;
/// The stack of our threads. Only what is touched is memory; the gzip compressor passes a few hundred KiB over it.
pub const STACK_BYTES: usize = 1 << 20;
/// The pipe from the database is widened to this, where the system lets us.
pub const PIPE_BYTES: usize = 1 << 20;
/// `--memory-max`: smaller than a chunk it would be no cushion.
pub const MEMORY_BYTES: (u64, u64) = (1 << 20, 1 << 30);
/// When the input comes in small portions at a high rate the reader waits so long for more: fewer calls for each event.
pub const READ_NAP_MICROS: u64 = 500;
/// A portion smaller than this is small.
pub const READ_SMALL_BYTES: usize = 48 * 1024;
/// Portions that follow each other faster than this are a high rate.
pub const READ_BUSY_MICROS: u64 = 1_500;
/// How often a source that ends when it is told to is asked whether it was: so long a stop waits for it.
pub const READ_STOP_MILLIS: u64 = 200;
/// How often a file is looked at for more: half of that is what a line waits, and a look is four system calls.
pub const FOLLOWED_LOOK_MILLIS: u64 = 25;
/// The same where the kernel tells of changes: of those that others make on a file server it does not.
pub const FOLLOWED_WATCHED_MILLIS: u64 = 250;
/// After a change that is no line so long nothing is looked at: many come at once, and in a busy directory most are not ours.
pub const FOLLOWED_PAUSE_MILLIS: u64 = 1;
/// By so much of its beginning a file is known; its first line, where that is shorter. Any record of the database has an id and a
/// time there.
pub const BEGINNING_BYTES: usize = 1024;
/// Zeros at the beginning of a file are looked behind as far as this: as much as a log of years.
pub const HOLE_BYTES: u64 = 1 << 40;
/// So many bytes before the place that is read must be what they were: whatever is written in their stead differs there.
pub const FOLLOWED_TRACE_BYTES: usize = 64;
/// So many empty lines may stand behind the record that was kept last.
pub const FOLLOWED_BLANK_BYTES: u64 = 4096;
/// So often a directory is looked at that changes between two looks: a rotation takes less.
pub const FOLLOWED_LOOKS: usize = 32;
/// So much of what a source has skipped is kept in words until it is told; more is told without.
pub const SKIPS_IN_WORDS: usize = 16;
/// So many entries of a log's directory are looked at for older files: half a second.
pub const FOLLOWED_ENTRIES: usize = 1_000_000;
/// So many older files of a log are kept apart: one for each hour of a year.
pub const FOLLOWED_FILES: usize = 10_000;
/// A packed file that ends too early may be in the making when it was written to so lately: whoever packs writes all the time.
pub const PACKING_SECONDS: u64 = 10;
/// What stands before a message of syslog is no longer than this: names and times have their own bounds in its RFCs.
pub const FRAME_BYTES: usize = 4096;
/// So much of a socket is looked at in one go; a line of a stream that is longer comes in parts.
pub const SOURCE_LOOK_BYTES: usize = 64 * 1024;
/// The longest message that a Unix socket holds by default is 208 KiB; of a longer one the rest is cut.
pub const SOURCE_MESSAGE_BYTES: usize = 512 * 1024;
/// Digits of a length before a message.
pub const SOURCE_COUNT_DIGITS: usize = 6;
/// Writers of a stream at once: their connections go into the keeper's hands in one message. Others wait outside.
pub const SOURCE_WRITERS: usize = 16;
/// How many may wait to be taken.
pub const SOURCE_QUEUE: i32 = 64;
/// A program that feeds us and has ended is started again after this.
pub const FEEDER_RETRY_MILLIS: u64 = 1_000;
/// How often the keeper looks whether it may be started: until then all that came must be in the spool.
pub const FEEDER_LOOK_MILLIS: u64 = 50;
/// A place in the journal of systemd is a text of some 130 bytes.
pub const CURSOR_BYTES: usize = 512;
/// How often a source is asked where it stands: that is a look into a directory.
pub const SOURCE_TELL_MILLIS: u64 = 1_000;
/// So much behind the place that is read is searched for the first whole line, which has a time.
pub const SOURCE_TIME_BYTES: usize = 40 * 1024;
/// So many files that hold nothing new are passed at one look.
pub const FOLLOWED_ROUNDS: usize = 64;
/// Where only what comes is wanted, so much of what is there is searched for its last line.
pub const FOLLOWED_TAIL_BYTES: u64 = 64 * 1024;
/// Streams before the one at hand that are remembered: as many rotations as anybody keeps.
pub const STREAMS_KNOWN: usize = 64;
/// After so long without input the cushion's memory goes back to the system.
pub const READ_REST_MILLIS: u64 = 2_000;
/// Between two looks at an input that cannot be waited for: no thread spins, and the pipe holds far more than comes meanwhile.
pub const READ_RETRY_MILLIS: u64 = 10;
/// How often the tender looks around; `--sync 100ms` is this and the time a record needs to get there.
pub const TEND_MILLIS: u64 = 80;
/// What of a segment the disk refuses to read for so long, while it takes and keeps other things, is damage: a
/// bad sector must not hold up all that stands behind it. A disk that is gone may be back in an hour, and is waited for.
pub const UNREADABLE_SECONDS: u64 = 300;
/// And so often.
pub const UNREADABLE_TRIES: u32 = 100;
/// What a disk reads or refuses at once.
pub const PAGE_BYTES: u64 = 4 << 10;
/// Files of a spool that are kept open at least and at most: the one being written and those being read, one for each
/// receiver. In between an eighth of the descriptors allowed: a sender must find one to connect with.
pub const OPEN_FILES: (u64, u64) = (2, 16);
/// How often the state is saved while it changes.
pub const STATE_MILLIS: u64 = 1_000;
/// How often a failed disk is tried again.
pub const DISK_RETRY_MILLIS: u64 = 1_000;
/// For how long what a full disk took is the bound of `drop-oldest`: after that there may be more room, or it is full again.
pub const DISK_TAKES_MILLIS: u64 = 60_000;
/// The file that says to whom a spool belongs: all receivers with a few long URLs each. What is longer is not written, and
/// nobody else adopts that spool.
pub const OWNER_BYTES: u64 = 256 * 1024;
const _: () = assert!(OWNER_BYTES > RECEIVERS as u64 * (LABEL_BYTES + URL_BYTES + 32) as u64);
const _: () = assert!(NOTE_BYTES > 3 * FLAGS_FILE_BYTES + RECEIVERS * 2 * EXCUSED_RANGES * 42);
/// How often orphaned sub-directories are looked for.
pub const ADOPT_SECONDS: u64 = 10;
/// Orphans drained at once.
pub const ADOPT_AT_ONCE: usize = 4;
/// One of them that stands still for so long gives way to another one that waits.
pub const ADOPT_STALL_SECONDS: u64 = 30;
/// A worker that lived less than this died at once.
pub const WORKER_SHORT_LIFE_MILLIS: u64 = 1_000;
/// Deaths in a row, each at once, before the keeper waits longer than a moment.
pub const WORKER_QUICK_DEATHS: u32 = 10;
/// The wait before the first restart, and the longest one.
pub const WORKER_RESTART_MILLIS: (u64, u64) = (5, 5_000);
/// A worker that dies so often at the same place of the input by its own fault is given the record as mere bytes.
pub const WORKER_FAULTS: u64 = 3;
/// What more workers have died of than that, and never came through (a delivery, the opening of an orphan), is begun so
/// late in the next one, doubled each time: everything else goes on in the meantime.
pub const LATE_SECONDS: (u64, u64) = (1, 300);
/// How often a thread that could not be started is tried again.
pub const THREAD_RETRY_MILLIS: u64 = 2_000;
/// Receivers of one helper: each has a thread.
pub const RECEIVERS: usize = 32;

// ---- msgpack ----

/// Lists within lists: the deepest answer met (`box.stat.memtx.tx`) has 6; recursion stays far from any stack's end.
pub const MSGPACK_DEPTH: usize = 32;
/// Values in one message, 32 bytes each: 16 MiB at most. 2,000 tables with their indexes are about 60,000.
pub const MSGPACK_VALUES: usize = 524_288;

// ---- tools ----

/// Damaged places and missing ranges that a command lists for one sub-directory; the rest is only counted.
pub const TOOL_FINDINGS: usize = 200;
/// Files of damage that `spool verify` names; the rest is only counted.
pub const TOOL_ASIDE_LINES: usize = 20;
/// Lines of a quarantine that the page for people lists; `--json` gives all.
pub const TOOL_LIST_LINES: usize = 200;
/// A line of a quarantine file: the largest event, each byte as `\u00xx`, and what stands around it.
pub const QUARANTINE_LINE_BYTES: u64 = 6 * EVENT_MAX_BYTES.1 + 64 * 1024;
/// What a command writes to a new segment at once.
pub const TOOL_WRITE_BYTES: usize = 1 << 20;
/// How long `spool forget` waits for a running helper: it looks for requests about once a second.
pub const FORGET_WAIT_MILLIS: u64 = 8_000;
/// After a quarantine file was renamed a line may still be on its way into it.
pub const RETRY_SETTLE_MILLIS: u64 = 200;
/// How often a progress bar is drawn at most.
pub const PROGRESS_MILLIS: u64 = 100;
/// Groups of the user that root becomes for `check`: the system itself allows 65,536, a user has a dozen.
pub const CHECK_GROUPS: usize = 256;
/// How long `check` waits for a name to be found.
pub const CHECK_LOOKUP_SECONDS: u64 = 5;
/// How long before a certificate ends that is said: time enough to have one issued in a large house.
pub const CHECK_EXPIRY_DAYS: i64 = 14;
/// With less room than this on the spool's file system `check` is not content: a few segments.
pub const CHECK_FREE_BYTES: u64 = 4 * SEGMENT_BYTES.1;
/// A half-made sub-directory without a lock is left alone so long: somebody may just be beginning it.
pub const TOOL_LEFTOVER_SECONDS: u64 = 60;
/// Times that a segment which grows under a reader's eyes is looked at again.
pub const TOOL_GROWTHS: usize = 3;
/// Symbolic links that are followed on the way to a spool: as many as the kernel follows.
pub const PATH_LINKS: u32 = 40;
/// The group of nobody: for a user whose own group the system does not know.
pub const NOBODYS_GROUP: u32 = 65_534;
const _: () = assert!(VERIFY_LINE_BYTES as u64 >= 4 * EVENT_MAX_BYTES.1 && VERIFY_IN_FLIGHT >= 2 * BATCH_EVENTS);
const _: () = assert!(VERIFY_WINDOW > 2 * SEAL_LIST);
