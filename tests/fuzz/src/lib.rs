//! What must hold for every input, one file a target: properties of the parsers and of the spool's recovery, and the
//! inputs that a search begins with.
//!
//! Used twice: by the fuzzer (`fuzz_targets`), which looks for an input that breaks one, and by `cargo test --test fuzz`,
//! which tries the seeds, everything that was ever found, and some chance. Refuses: a property that only says «no panic»
//! where more can be said; sockets, clocks, the network.

pub mod answer;
pub mod blocks;
pub mod bulk;
pub mod checkpoints;
pub mod exports;
pub mod formats;
pub mod handler;
pub mod head;
pub mod iproto;
pub mod json;
pub mod kafka;
pub mod leaves;
pub mod lists;
pub mod memory;
pub mod msgpack;
pub mod notes;
pub mod options;
pub mod page;
pub mod pushed;
pub mod quarantine;
pub mod records;
pub mod recovery;
pub mod relp;
pub mod slots;
pub mod status;
pub mod strides;
pub mod url;

/// One target.
pub struct Target {
    /// Its name, and that of its program.
    pub name: &'static str,
    /// Panics when a property does not hold.
    pub check: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "records", check: records::check, seeds: records::seeds },
    Target { name: "strides", check: strides::check, seeds: strides::seeds },
    Target { name: "recovery", check: recovery::check, seeds: recovery::seeds },
    Target { name: "blocks", check: blocks::check, seeds: blocks::seeds },
    Target { name: "slots", check: slots::check, seeds: slots::seeds },
    Target { name: "msgpack", check: msgpack::check, seeds: msgpack::seeds },
    Target { name: "iproto", check: iproto::check, seeds: iproto::seeds },
    Target { name: "page", check: page::check, seeds: page::seeds },
    Target { name: "url", check: url::check, seeds: url::seeds },
    Target { name: "head", check: head::check, seeds: head::seeds },
    Target { name: "answer", check: answer::check, seeds: answer::seeds },
    Target { name: "options", check: options::check, seeds: options::seeds },
    Target { name: "quarantine", check: quarantine::check, seeds: quarantine::seeds },
    Target { name: "status", check: status::check, seeds: status::seeds },
    Target { name: "json", check: json::check, seeds: json::seeds },
    Target { name: "formats", check: formats::check, seeds: formats::seeds },
    Target { name: "bulk", check: bulk::check, seeds: bulk::seeds },
    Target { name: "relp", check: relp::check, seeds: relp::seeds },
    Target { name: "kafka", check: kafka::check, seeds: kafka::seeds },
    Target { name: "handler", check: handler::check, seeds: handler::seeds },
    Target { name: "pushed", check: pushed::check, seeds: pushed::seeds },
    Target { name: "leaves", check: leaves::check, seeds: leaves::seeds },
    Target { name: "lists", check: lists::check, seeds: lists::seeds },
    Target { name: "notes", check: notes::check, seeds: notes::seeds },
    Target { name: "checkpoints", check: checkpoints::check, seeds: checkpoints::seeds },
    Target { name: "exports", check: exports::check, seeds: exports::seeds },
];

/// Before the first input: the programs' own log is silent, and the seeds are where the fuzzer looks for them
/// (`GOSTECH_FUZZ_SEEDS`, if that is set).
pub fn begin(name: &str) {
    gostech::log::mute();
    let Some(dir) = std::env::var_os("GOSTECH_FUZZ_SEEDS").map(std::path::PathBuf::from) else { return };
    let target = TARGETS.iter().find(|t| t.name == name).expect("a target of the table");
    for (i, seed) in (target.seeds)().into_iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{i:03}")), seed).expect("a seed can be written");
    }
}

/// A file of recorded data, read when the seeds are made.
pub fn data(path: &str) -> Vec<u8> {
    let root = env!("CARGO_MANIFEST_DIR");
    let root = root.strip_suffix("/tests/fuzz").unwrap_or(root);
    std::fs::read(format!("{root}/tests/data/{path}")).unwrap_or_default()
}

/// The first lines of the recorded audit log.
pub fn events(most: usize) -> Vec<Vec<u8>> {
    let lines = data("picodata-25.5.7/audit.jsonl");
    lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()).take(most).map(<[u8]>::to_vec).collect()
}

/// Takes numbers off the front of an input; zeros when there is nothing left.
pub struct Dice<'a>(pub &'a [u8]);

impl<'a> Dice<'a> {
    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number of eight bytes.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A stretch as long as its first two bytes say, or what there is.
    pub fn stretch(&mut self) -> &'a [u8] {
        let most = usize::from(self.short()).min(self.0.len());
        let (stretch, rest) = self.0.split_at(most);
        self.0 = rest;
        stretch
    }

    /// A text of such a stretch.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.stretch()).into_owned()
    }
}

/// An input that `Dice::stretch` reads back.
pub fn stretch(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u16).to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// Whether a text may be shown to people: one line, nothing that moves the cursor.
pub fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
