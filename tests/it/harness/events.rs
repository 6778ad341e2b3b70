//! Audit events like those of a real instance: keys sorted, values strings, ids `raft.gen.count`, 200 to 360 bytes.
//!
//! The shapes are those of Picodata 25.5.7; the values come from a seeded generator, so a run can be repeated.
//! Refuses braces inside messages: the counting receiver counts events by their braces.

/// A small seeded generator (xorshift64*), enough for lengths, shapes and moments.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from `low` to `high`, both included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 11) % (high - low + 1)
    }
}

/// One start of one instance: each event counts one further.
pub struct Events {
    raft: u32,
    gen: u32,
    count: u64,
    chance: Chance,
}

const USERS: [&str; 6] = ["admin", "alice", "bob", "пользователь", "pico_service", "we\\\\ird \\\"quote"];
const TABLES: [&str; 4] = ["warehouse", "friends_of_peppa", "orders_2026", "остатки"];

impl Events {
    pub fn new(raft: u32, gen: u32) -> Events {
        Events { raft, gen, count: 0, chance: Chance::new(u64::from(raft) << 32 | u64::from(gen)) }
    }

    /// Leaves out `n` counts, as an instance whose events were lost on the way.
    pub fn skip(&mut self, n: u64) {
        self.count += n;
    }

    /// The number of the event made last.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn id(&mut self) -> String {
        self.count += 1;
        format!("{}.{}.{}", self.raft, self.gen, self.count)
    }

    /// The `time` of the event `count`: local, milliseconds, offset without colon.
    fn time(&self) -> String {
        let ms = self.count;
        format!(
            "2026-11-21T{:02}:{:02}:{:02}.{:03}+0300",
            ms / 3_600_000 % 24,
            ms / 60_000 % 60,
            ms / 1000 % 60,
            ms % 1000
        )
    }

    /// A real-like event of 200 to 360 bytes, without its newline.
    pub fn event(&mut self) -> String {
        let id = self.id();
        let user = USERS[self.chance.within(0, 5) as usize];
        let table = TABLES[self.chance.within(0, 3) as usize];
        let time = self.time();
        let length = self.chance.within(200, 360) as usize;
        let (open, close) = match self.chance.within(0, 3) {
            0 => (
                format!(r#"{{"id":"{id}","initiator":"{user}","message":"apply `INSERT INTO {table} VALUES (1, '"#),
                format!(r#"')`","severity":"low","time":"{time}","title":"dml"}}"#),
            ),
            1 => (
                format!(
                    r#"{{"grantee":"{user}","grantee_type":"user","id":"{id}","initiator":"admin","message":"granted privilege on "#
                ),
                format!(r#"","object":"{table}","severity":"high","time":"{time}","title":"grant_privilege"}}"#),
            ),
            2 => (
                format!(
                    r#"{{"auth_type":"md5","id":"{id}","initiator":"{user}","message":"failed to authenticate user "#
                ),
                format!(
                    r#"","severity":"high","time":"{time}","title":"auth_fail","user":"{user}","verdict":"invalid"}}"#
                ),
            ),
            _ => (
                format!(r#"{{"id":"{id}","initiator":"{user}","message":"created table "#),
                format!(r#"","name":"{table}","severity":"medium","time":"{time}","title":"create_table"}}"#),
            ),
        };
        padded(&open, &close, length)
    }

    /// An event of exactly 227 bytes, the size the figures of the issue were measured with.
    pub fn event_227(&mut self) -> String {
        let open =
            format!(r#"{{"id":"{}","initiator":"admin","message":"apply `INSERT INTO warehouse VALUES ("#, self.id());
        let close = format!(r#")`","severity":"low","time":"{}","title":"dml","user":"admin"}}"#, self.time());
        padded(&open, &close, 227)
    }

    /// An event whose message is `filler` bytes long, as DML auditing writes for a long SQL text.
    pub fn event_long(&mut self, filler: usize) -> String {
        let open = format!(r#"{{"id":"{}","initiator":"admin","message":""#, self.id());
        let close = format!(r#"","severity":"low","time":"{}","title":"dml"}}"#, self.time());
        padded(&open, &close, open.len() + close.len() + filler)
    }

    /// An event of exactly `length` bytes.
    pub fn event_of(&mut self, length: usize) -> String {
        let at = self.count;
        let empty = self.event_long(0).len();
        self.count = at;
        self.event_long(length - empty)
    }

    /// An event with a message of one's own.
    pub fn event_saying(&mut self, message: &str) -> String {
        let time = self.time();
        format!(r#"{{"id":"{}","message":"{message}","severity":"low","time":"{time}","title":"dml"}}"#, self.id())
    }
}

/// `open`, words up to `length` bytes in all, `close`.
fn padded(open: &str, close: &str, length: usize) -> String {
    const WORDS: &str = "value of the row 0123456789, name of the thing abcdefghijklmnopqrstuvwxyz; ";
    let mut line = String::with_capacity(length.max(open.len() + close.len()));
    line.push_str(open);
    let mut missing = length.saturating_sub(open.len() + close.len());
    while missing > 0 {
        let piece = &WORDS[..missing.min(WORDS.len())];
        line.push_str(piece);
        missing -= piece.len();
    }
    line.push_str(close);
    line
}
