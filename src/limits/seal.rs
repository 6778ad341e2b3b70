//! ○ Bounds of the evidence. Units last in the name, each with its reason.

/// Leaves in one list: 4 KiB of them, so that the evidence adds a tenth to what is delivered, and an event waits for its own
/// a tenth of a second at a thousand a second.
pub const SEAL_LIST: usize = 128;
/// A checkpoint at the latest after so many records: some hundred bytes for each megabyte of events.
pub const CHECKPOINT_RECORDS: u64 = 4096;
/// And after so long, idle as well: what an attacker has before what he does is signed away from him.
pub const CHECKPOINT_SECONDS: u64 = 60;
/// No more of them in a second, also under a flood: each waits for the disk.
pub const CHECKPOINTS_PER_SECOND: u64 = 10;
/// Ranges of one receiver that a checkpoint names; of more only their number is told.
pub const EXCUSED_RANGES: usize = 64;
/// One checkpoint with its signatures: all filters of a configuration file, escaped, and what is said of each receiver.
pub const NOTE_BYTES: usize = 1024 * 1024;
/// Signatures of a note that are looked at; there are two with an outside signer, and strangers may add witnesses.
pub const NOTE_SIGNATURES: usize = 16;
/// Streams whose names the sealer keeps, for what their receivers are not given later: a helper that was started so often with
/// events in its spool has told of the oldest.
pub const SEAL_STREAMS: usize = 64;
/// Starts of the database whose last events stand in a checkpoint.
pub const SEAL_IDS: usize = 64;
/// Lists that are handed to the writer at once, in bytes: a few thousandths of a second of a flood, and as much memory again
/// in the writer.
pub const SEAL_POST_BYTES: usize = 64 * 1024;
/// How long the sealer waits for the vault before it closes the stream of an earlier keeper without it: the record of that
/// stream's root then comes with the next checkpoint.
pub const SEAL_VAULT_MILLIS: u64 = 10_000;
/// How often a vault that cannot be used is tried again.
pub const SEAL_RETRY_MILLIS: u64 = 1_000;
/// When `--drain` is over, so long is waited for the last list and checkpoint: two syncs of a slow disk.
pub const SEAL_END_MILLIS: u64 = 2_000;
/// Leaves that `spool verify` holds while it waits for their list: the sealer is no further behind unless a disk stands still;
/// 4 MiB.
pub const SEAL_CHECK_LEAVES: usize = 1 << 16;
/// The file of a key is one line of 80.
pub const SEAL_KEY_BYTES: usize = 128;
/// `--seal-key-life`: less would be a key for each checkpoint, more a key for ever.
pub const SEAL_KEY_LIFE_SECONDS: (u64, u64) = (1, 10 * 366 * 86_400);
/// `--seal-copy`: a file on another disk, one on a mount, the journal, and one more; each has a thread.
pub const SEAL_COPIES: usize = 4;
/// Checkpoints that wait for a copy that cannot be written: some hours of an idle trail.
pub const SEAL_COPY_NOTES: usize = 256;
/// And their bytes.
pub const SEAL_COPY_BYTES: usize = 256 * 1024;
/// What of the end of a copy is looked at first for its last checkpoint: most have a kilobyte or two.
pub const SEAL_COPY_LOOK_BYTES: u64 = 64 * 1024;
/// How long a copy waits for another writer, or for room in journald's socket.
pub const SEAL_COPY_MILLIS: u64 = 5_000;
/// How long the last checkpoint waits for its copies at the end: a sync of a slow disk.
pub const SEAL_COPY_END_MILLIS: u64 = 500;
/// `DIR/checkpoints` is put aside when it is so long: a month of an idle trail, and what a tool reads in a second.
pub const SEAL_CHECKPOINTS_BYTES: u64 = 64 * 1024 * 1024;
/// The first lines of a checkpoint, in which its number stands.
pub const SEAL_HEAD_BYTES: usize = 1024;
/// The command of `--seal-sign` has so long: a token that is asked over a network.
pub const SEAL_SIGN_MILLIS: u64 = 5_000;
/// When the helper ends, so long: less than is waited for the last checkpoint (`SEAL_END_MILLIS`), so that it comes, without its
/// signature.
pub const SEAL_SIGN_END_MILLIS: u64 = 1_500;
const _: () = assert!(SEAL_SIGN_END_MILLIS < SEAL_END_MILLIS);
/// It is not called more often for checkpoints that come by the number of records.
pub const SEAL_SIGN_EVERY_MILLIS: u64 = 1_000;
/// After a failure these go without for so long: one that does not answer would hold up each.
pub const SEAL_SIGN_RETRY_MILLIS: u64 = 60_000;
/// What it prints: a line with a signature; those that hold against quantum computers take some thousands of bytes.
pub const SEAL_SIGN_BYTES: usize = 64 * 1024;
