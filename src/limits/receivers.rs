//! ○ The bounds of what single receivers take: formats, filters, APIs over HTTP, GELF. Refuses: a bound without its reason.

/// Fields of an event that there is room for at once; the database writes twelve at most.
pub const FIELDS_USUAL: usize = 12;
/// The name of a field where a receiver wants names of its own kind: what is longer is cut, and stays apart from others.
pub const FIELD_NAME_CHARS: usize = 200;
/// The answer of `_bulk`: what became of each of 100,000 documents is 3 MB, and the reasons of a few thousand.
pub const BULK_ANSWER_BYTES: usize = 8 << 20;
/// Chunks of a GELF message over UDP: what Graylog puts together.
pub const GELF_CHUNKS: usize = 128;
/// The length of a chunk: what an Ethernet frame takes; where that is not enough, what Graylog's own examples have for a LAN.
pub const GELF_CHUNK_BYTES: [usize; 2] = [1420, 8154];
/// Records in a row that a filter leaves out before the sender looks at the clock and at what it is told.
pub const LEFT_OUT_AT_ONCE: u32 = 1_024;
