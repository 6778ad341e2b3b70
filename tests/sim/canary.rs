//! Mistakes that the suite has to find; else it finds nothing.

/// A mistake that the suite has to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// None: the real thing.
    #[default]
    None,
    /// `sync` does nothing.
    FsyncSkipped,
    /// `sync_names` does nothing.
    NamesNotSynced,
    /// The cursor moves before the receiver has answered.
    CursorFirst,
    /// Recovery takes a segment for one byte shorter.
    ShortRecovery,
    /// A new worker takes up the input one byte too late.
    StreamOffByOne,
    /// A new worker takes up the input where the dead one let go, and not where the spool stands.
    NoCatchUp,
    /// A receiver's cursor file is written only once.
    CursorNotSaved,
}

impl Canary {
    /// All mistakes.
    pub const ALL: [Canary; 7] = [
        Canary::FsyncSkipped,
        Canary::NamesNotSynced,
        Canary::CursorFirst,
        Canary::ShortRecovery,
        Canary::StreamOffByOne,
        Canary::NoCatchUp,
        Canary::CursorNotSaved,
    ];
}
