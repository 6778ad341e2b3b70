//! ○ The bounds of the porch: visitors, their heads, what they take, who they are. Refuses: a bound without its reason.

/// Visitors that are listened to or answered at once.
pub const PORCH_VISITORS: usize = 64;
/// Connections that wait to be accepted; the system may allow fewer.
pub const PORCH_QUEUE: i32 = 1024;
/// Threads of visitors, those included whose seat was given to another and who are still on their way out.
pub const PORCH_THREADS: usize = 96;
/// How long the door waits for visitors on their way out, when their threads are as many as that.
pub const PORCH_CROWD_MILLIS: u64 = 500;
/// A whole request head, TLS handshake included: a scraper in the same city needs 0.05 s.
pub const PORCH_HEAD_SECONDS: u64 = 5;
/// A request head; browsers send 1 KiB, and cookies of other services on the same name come along.
pub const PORCH_HEAD_BYTES: usize = 8 * 1024;
/// Headers of one request.
pub const PORCH_HEADERS: usize = 64;
/// Until the answer begins: Prometheus' own default patience.
pub const PORCH_ANSWER_SECONDS: u64 = 10;
/// For a visitor to take the answer, once it has begun.
pub const PORCH_TAKE_SECONDS: u64 = 10;
/// A visitor who has been taking an answer for longer than this makes room when another one waits: a page of 10 MB over a
/// gigabit takes a tenth of it.
pub const PORCH_TAKE_GRACE_MILLIS: u64 = 1_000;
/// And so does one who has taken nothing at all for this long: no network that works stalls so long between two packets.
pub const PORCH_STALL_MILLIS: u64 = 250;
/// Pages of visitors who take theirs slowly, all visitors together: 64 of the usual ones (30 to 120 KB) fit, so that nobody's
/// slowness keeps others from theirs.
pub const PORCH_AHEAD_BYTES: usize = 8 << 20;
/// A page of this size goes in one write with its head.
pub const PORCH_COPY_BYTES: usize = 16 * 1024;
/// Pages that are made at once. More would only wait for the same snapshot. One of them is for the page of health alone.
pub const PORCH_PAGES: usize = 4;
/// Stack of a visitor's thread, and of one that makes a page: a TLS handshake with RSA takes the most of it.
pub const PORCH_STACK_BYTES: usize = 256 * 1024;
/// Pause after an accept that failed for want of descriptors or memory.
pub const PORCH_PAUSE_MILLIS: u64 = 50;
/// Between two tries to listen on an address that is taken.
pub const PORCH_RETRY_SECONDS: u64 = 3;
/// After a refusal, what the visitor still sends is read away for this long, so that it sees the refusal and no reset.
pub const PORCH_LINGER_MILLIS: u64 = 500;
/// And at most so much of it.
pub const PORCH_LINGER_BYTES: usize = 256 * 1024;
/// Addresses that one porch listens on.
pub const PORCH_ADDRESSES: usize = 16;
/// `--web-users`: lines of it.
pub const USERS: usize = 1000;
/// `--web-users`: the file.
pub const USERS_FILE_BYTES: u64 = 256 * 1024;
/// The dearest bcrypt accepted: 14 is a second of one core; 31, the format's own bound, is a day.
pub const BCRYPT_COST_MAX: u32 = 14;
/// Passwords checked at once: scrapes must not take every core from the database.
pub const BCRYPT_AT_ONCE: usize = 2;
/// How long a visitor waits for its turn to be checked.
pub const BCRYPT_WAIT_SECONDS: u64 = 3;
/// Passwords remembered as right, salted and hashed.
pub const USERS_CACHE: usize = 64;

const _: () = assert!(PORCH_VISITORS < PORCH_THREADS);
const _: () = assert!(1 < PORCH_PAGES && PORCH_PAGES < PORCH_VISITORS);
