//! ○ Bounds of the receivers on this machine, and of Kafka. Refuses: a bound without its reason.

/// A path in a URL: the system takes no longer one.
pub const PATH_BYTES: usize = 4095;
/// Hosts of one URL: each is only a way to learn of all.
pub const URL_HOSTS: usize = 64;

/// `--file-max`: below it a file would be put aside at each batch, above it nobody could open one.
pub const FILE_MAX_BYTES: (u64, u64) = (64 * 1024, 1 << 40);
/// `--file-keep`: more names would make each look at the directory slow.
pub const FILES_KEPT: u64 = 100_000;
/// Files that are put aside within one second: more than a disk can sync.
pub const FILES_A_SECOND: u32 = 100;
/// Mode of a file of events: the owner writes, the group of those who read logs reads.
pub const FILE_MODE: u32 = 0o640;
/// How often it is looked whether another writer has gone: he syncs, which takes milliseconds.
pub const FILE_LOCK_MILLIS: u64 = 5;
/// The end of a file is read in such blocks, to find where its last line begins.
pub const FILE_LOOK_BYTES: u64 = 64 * 1024;
/// A torn line that is longer is ended, and not completed: twice the largest event of the usual `--event-max`, escaped.
pub const FILE_TORN_BYTES: usize = 8 << 20;

/// How long a delivery waits for the reader of a FIFO; then the usual waits begin.
pub const FIFO_WAIT_MILLIS: u64 = 2_000;
/// Lines that are written into a pipe in one go, where it has room: more would save nothing.
pub const PIPE_GROUP_BYTES: usize = 64 * 1024;
/// Room of a pipe that is not reckoned with: its first, its last and a begun page, of the largest size that a system has.
pub const PIPE_SLACK_BYTES: usize = 4 * 65_536;
/// How often it is looked whether there is one, or room: a reader is a program that is started.
pub const FIFO_LOOK_MILLIS: u64 = 20;

/// Fields of an event that journald is given: it takes 1,024 of an entry, and some are ours. The rest stands in its raw bytes.
pub const JOURNAL_FIELDS: usize = 900;
/// A field's name: journald takes no longer one.
pub const JOURNAL_NAME_BYTES: usize = 64;
/// An entry: journald throws a longer one of an ordinary user away.
pub const JOURNAL_ENTRY_BYTES: usize = 32 << 20;

/// How Kafka's brokers call us in their logs.
pub const KAFKA_CLIENT: &str = "gostech-audit-log";
/// A topic's name: Kafka takes no longer one.
pub const KAFKA_TOPIC_BYTES: usize = 249;
/// An answer: that of a topic with ten thousand partitions is a third of it.
pub const KAFKA_ANSWER_BYTES: i32 = 4 << 20;
/// So many brokers of a cluster are remembered: one of them is always there.
pub const KAFKA_BROKERS: usize = 16;
/// A list in an answer: Kafka advises against more partitions in a whole cluster.
pub const KAFKA_ITEMS: usize = 200_000;
/// Room for an answer is made in such steps, as it comes.
pub const KAFKA_READ_BYTES: usize = 64 * 1024;
/// Records of one batch: a broker takes 1,048,588 bytes by default.
pub const KAFKA_BATCH_BYTES: usize = 1_000_000;
/// What a record adds to its bytes and twice its id.
pub const KAFKA_RECORD_BYTES: usize = 40;
/// How often a batch is sent in one delivery, when leaders change or the count begins anew: an election takes a second.
pub const KAFKA_TURNS: u32 = 5;
/// The first wait between two of these, doubled each time.
pub const KAFKA_TURN_MILLIS: u64 = 50;
/// How often a batch of which nobody knows whether it is there goes before all else: with the waits of a sender some ten minutes.
pub const KAFKA_INSISTS: u32 = 20;
/// A login is renewed when so much of its time is over.
pub const KAFKA_LOGIN_SHARE: f64 = 0.8;
/// Rounds of SCRAM: RFC 7677 asks for 4,096 at least; a million is half a second of a processor.
pub const SCRAM_ROUNDS: (u32, u32) = (4_096, 1_000_000);

/// Events that a handler is given ahead of its answers: it need not wait for each, and does few twice after a death.
pub const EXEC_AHEAD: usize = 64;
/// What a handler says of one event, in a log.
pub const EXEC_WHY_CHARS: usize = 300;
/// A line of a handler: an id is at most 512 bytes.
pub const EXEC_LINE_BYTES: usize = 8 * 1024;
/// What a handler says between two answers that is none: whoever says more does something else than it should.
pub const EXEC_NOISE_BYTES: usize = 1 << 20;
/// A request to the keeper: a number and a path.
pub const EXEC_REQUEST_BYTES: usize = 8 + PATH_BYTES;
/// Handlers that run at once: one for each receiver, and those of adopted spools.
pub const EXEC_HANDLERS: usize = 64;
/// A handler that is not needed any more has so long to finish what it is at; so has each at the end.
pub const EXEC_END_MILLIS: u64 = 2_000;
/// How often it is looked whether it has, and whether its pipe is empty.
pub const EXEC_LOOK_MILLIS: u64 = 10;
