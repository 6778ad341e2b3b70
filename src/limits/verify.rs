//! ○ Bounds of `seal verify`, which reads what strangers may have written. Units last in the name, each with its reason.

/// Claims that are put in order in memory; what is more goes in runs of as much into a file without a name.
pub const VERIFY_HELD_BYTES: usize = 64 << 20;
/// What all runs together are read through, and the least for one of them: a disk likes large reads.
pub const VERIFY_MERGE_BYTES: (usize, usize) = (32 << 20, 4096);
/// A line of an export: the largest event, once as fields and once as text in text, and what an index puts around it. A
/// longer one is passed over and told.
pub const VERIFY_LINE_BYTES: usize = 256 << 20;
/// What is read of an export at once.
pub const VERIFY_READ_BYTES: usize = 1 << 20;
/// Streams of one export: a helper begins one at each start, and strangers may make names up.
pub const VERIFY_STREAMS: usize = 65_536;
/// Different checkpoints of one export, of which a few hundred bytes each are remembered: two years of idle minutes.
pub const VERIFY_CHECKPOINTS: usize = 1 << 20;
/// Keys that may sign, of all days: a new one each day for a hundred years.
pub const VERIFY_KEYS: usize = 36_500;
/// A file of keys: a line for each.
pub const VERIFY_KEY_FILE_BYTES: u64 = 1 << 20;
/// Receivers whose filters are followed: a bit of a word for each.
pub const VERIFY_RECEIVERS: usize = 64;
/// Places between two checkpoints that are held to be weighed again when the root is another one; longer ways are gone once.
pub const VERIFY_WINDOW: usize = 1 << 17;
/// Lists that are open at one place: an honest one has two after a death.
pub const VERIFY_LISTS: usize = 64;
/// Versions of one place that are weighed; of more only their number is told.
pub const VERIFY_VERSIONS: usize = 8;
/// Ways of choosing among versions that are tried for one checkpoint.
pub const VERIFY_TRIES: usize = 256;
/// Ways in which what no list is here of may have been gone that are tried for one checkpoint: one stretch among 360
/// places, or two among 35, is all of them; a list tells of 128 places. So many again for what a list is here of that may
/// have been told before it was gone.
pub const VERIFY_STRETCHES: u64 = 1 << 16;
/// Hashes spent on such tries in all: half a minute.
pub const VERIFY_TRY_HASHES: u64 = 1 << 26;
/// Ranges of places without a record that are remembered of one stream with their reasons.
pub const VERIFY_RANGES: usize = 1 << 18;
/// How many of them are looked at for checkpoints that are missing, in all: a tenth of a second. Behind that it cannot be told
/// whether somebody took them away.
pub const VERIFY_LOOKS: usize = 1 << 26;
/// At its pruned beginning an index is ragged: events are pruned by their times, which do not follow the numbers by a few.
pub const VERIFY_RAGGED: u64 = 1024;
/// What may still be on its way to a receiver that has later ones already.
pub const VERIFY_IN_FLIGHT: u64 = 200_000;
const _: () = assert!(VERIFY_VERSIONS > 1 && VERIFY_RECEIVERS <= 64);
/// Fields of one event that are looked at; an audit event has ten.
pub const VERIFY_FIELDS: usize = 65_536;
/// Of the way the progress bar goes, judging what was read is this part.
pub const VERIFY_JUDGING_PART: u64 = 4;
/// Events without a seal that are judged by their times: an index that holds more was filled before its events were sealed.
pub const VERIFY_BARE: usize = 65_536;
/// Instances whose sealed events are in one export.
pub const VERIFY_ORIGINS: usize = 4_096;
