//! How a world is made of its seed, and what is counted in it.

use crate::chance::Chance;
use crate::disk::Injected;
use crate::receiver::Wall;
use gostech::audit::delivery::sender::Portion;
use gostech::audit::spool::Full;
use std::time::Duration;

/// How one seed's world is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub full: Full,
    pub max: u64,
    pub memory_max: u64,
    pub receivers: Vec<(String, bool)>,
    pub formats: Vec<&'static str>,
    pub portion: Portion,
    pub event_max: usize,
    pub sync_each: bool,
    pub deaths: bool,
    pub disk_faults: bool,
    pub power: bool,
    pub flips: bool,
    pub retain_ms: u64,
    pub steps: u64,
    pub ways: u64,
    /// Answers may come later, and receivers have more moods.
    pub late: bool,
    /// How many receivers are there from the beginning.
    pub first: usize,
    /// Receivers come and go.
    pub changes: bool,
    /// The first of them stays all the time.
    pub anchored: bool,
    /// Somebody takes away what the spool is made of.
    pub gone: bool,
    /// What stands before each of them.
    pub walls: Vec<Option<Wall>>,
    /// Receivers may say of a part of a parcel that it was taken.
    pub parts: bool,
    /// The input is a log.
    pub followed: bool,
    /// Segments are packed.
    pub packs: bool,
    /// Records are sealed; with the other hash.
    pub seals: bool,
    pub streebog: bool,
}

/// Seeds from here on have more in them: what that is comes from a stream of its own, so that each seed below is still the
/// run that it always was.
pub const MORE: u64 = 300_000_000_000_000;

/// From here on something may stand before receivers.
pub const WALLS: u64 = 600_000_000_000_000;

/// From here on receivers may take a part of what they are sent, and say which.
pub const PARTS: u64 = 900_000_000_000_000;

/// From here on somebody takes things away, where nothing else costs what is in the spool: then it is known to the record what
/// has to be told.
pub const GONE: u64 = 1_200_000_000_000_000;

/// From here on the input is a log that others rotate, and that can be read again: whatever becomes of the power.
pub const FOLLOWED: u64 = 1_500_000_000_000_000;

/// From here on segments are packed, at any moment.
pub const PACKED: u64 = 1_800_000_000_000_000;

/// From here on records are sealed.
pub const SEALED: u64 = 2_100_000_000_000_000;

impl Plan {
    /// By a seed: what goes wrong, and how the spool is kept.
    pub fn of(seed: u64, chance: &mut Chance, more: &mut Chance) -> Plan {
        let class = seed % 5;
        let mut receivers = Vec::new();
        for i in 0..chance.between(1, 3) {
            receivers.push((format!("r{i}"), i > 0 && chance.once_in(3)));
        }
        let first = receivers.len();
        let mut formats: Vec<&'static str> =
            receivers.iter().map(|_| chance.pick(&["json", "ndjson", "ndjson", "single"])).collect();
        let late = seed >= MORE && !more.once_in(3);
        let seals = seed >= SEALED;
        let packs = seed >= PACKED && !(seals && more.once_in(2));
        let streebog = seals && more.once_in(10);
        let followed = seed >= FOLLOWED && (class == 0 || class == 2) && !(packs && more.once_in(2));
        let gone = seed >= GONE && class < 2 && !followed;
        let changes = seed >= MORE && more.once_in(2) && !gone && !followed;
        for i in 0..if changes { more.between(1, 2) } else { 0 } {
            receivers.push((format!("later{i}"), more.once_in(4)));
            formats.push(more.pick(&["json", "ndjson", "single"]));
        }
        let millis = chance.pick(&[0, 0, 50, 1000]);
        let anchored = more.once_in(2);
        let kinds = [Wall::Says(403), Wall::Says(415), Wall::Says(502), Wall::Closes, Wall::Swallows];
        let count = if seed >= WALLS && !gone { receivers.len() } else { 0 };
        let walls = (0..count).map(|_| (!more.once_in(3)).then(|| more.pick(&kinds))).collect();
        Plan {
            walls,
            parts: seed >= PARTS && !gone,
            followed,
            packs,
            seals,
            streebog,
            anchored,
            full: Some(chance.pick(&[Full::Block, Full::Block, Full::DropNewest, Full::DropOldest]))
                .filter(|_| !gone)
                .unwrap_or(Full::Block),
            max: chance.pick(&[256 << 10, 384 << 10, 2 << 20]),
            memory_max: chance.pick(&[32 << 10, 256 << 10, 1 << 20]),
            receivers,
            formats,
            portion: Portion {
                events: chance.pick(&[1, 7, 100, 1000]),
                bytes: chance.pick(&[2_000, 20_000, 200_000]),
                linger: Duration::from_millis(millis),
            },
            event_max: chance.pick(&[1_001, 5_003, 1 << 20]),
            sync_each: chance.once_in(4),
            deaths: true,
            disk_faults: class == 1 || class >= 3,
            power: class == 2 || class >= 3,
            flips: class == 4,
            retain_ms: chance.pick(&[0, 0, 3_000]),
            steps: chance.pick(&[300, 1_500, 4_000]),
            ways: chance.pick(&[1, 1, 2]),
            late,
            gone,
            first,
            changes,
        }
    }

    /// In a line.
    pub fn words(&self) -> String {
        let injected = [
            (self.disk_faults, "disk faults"),
            (self.power, "power cuts"),
            (self.flips, "flipped bits"),
            (self.gone, "things taken away"),
            (self.followed, "a log"),
            (self.packs, "packing"),
            (self.seals, "seals"),
        ];
        let injected: Vec<&str> = injected.iter().filter(|i| i.0).map(|i| i.1).collect();
        format!(
            "{:?}, {} bytes, {} receivers, deaths {}",
            self.full,
            self.max,
            self.receivers.len(),
            injected.join(" ")
        )
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub steps: u64,
    pub records: u64,
    pub delivered: u64,
    pub repeats: u64,
    pub quarantined: u64,
    pub dropped: u64,
    pub deaths: u64,
    pub power_cuts: u64,
    pub calls: u64,
    /// Steps that had their answers later, where they asked for any.
    pub late: u64,
    pub unsecured: u64,
    /// Events of our own that tell of missing records.
    pub gaps: u64,
    /// Segments that were packed.
    pub packed: u64,
    /// Trails that have proved themselves, and checkpoints in them.
    pub trails: u64,
    pub checkpoints: u64,
    /// Verdicts of `seal verify` over them.
    pub clean: u64,
    pub unclear: u64,
    /// Receivers renamed, added, taken away and forgotten.
    pub changes: u64,
    pub injected: Injected,
}
