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
    /// State and cursors have one copy, written over each time.
    OneCopy,
    /// An fsync that failed is called a success.
    FsyncErrorIgnored,
    /// A refused event is said to be in quarantine, and is not.
    QuarantineDropped,
    /// The spool's bound is taken for four times as large.
    BoundIgnored,
    /// Something is told as dropped that never was.
    DropInvented,
    /// A gap in the input is taken note of, and not told.
    GapNotTold,
    /// The cursor of a receiver that is not configured now is overlooked.
    AwayOverlooked,
    /// A new receiver begins at the end.
    NewAtTheEnd,
    /// Something before a receiver refuses good records alone, and they are set aside as if their text were bad.
    WallUnseen,
    /// A receiver has said that it took the front of a parcel, and all of it is counted as taken.
    FrontForWhole,
    /// That files, folder or lock are gone is not looked at.
    NamesUnseen,
    /// A new worker does not ask what the one before had put into its spool.
    PastForgotten,
    /// The mark of what can be read again moves with the reading, and not with the records.
    MarkEarly,
    /// It moves a whole life too late.
    MarkLate,
    /// A packed segment takes the plain one's place, and was never synced.
    PackedNotSynced,
    /// The plain segment goes as soon as the packed one is written.
    PlainRemovedFirst,
    /// A leaf of a list is passed over.
    LeafSkipped,
    /// How far sealing is, is kept before the list is in the spool.
    ProgressEarly,
    /// The key that was to go signs on.
    KeyKept,
}

impl Canary {
    /// All mistakes.
    pub const ALL: [Canary; 26] = [
        Canary::FsyncSkipped,
        Canary::NamesNotSynced,
        Canary::CursorFirst,
        Canary::ShortRecovery,
        Canary::StreamOffByOne,
        Canary::NoCatchUp,
        Canary::CursorNotSaved,
        Canary::OneCopy,
        Canary::FsyncErrorIgnored,
        Canary::QuarantineDropped,
        Canary::BoundIgnored,
        Canary::DropInvented,
        Canary::GapNotTold,
        Canary::AwayOverlooked,
        Canary::NewAtTheEnd,
        Canary::WallUnseen,
        Canary::FrontForWhole,
        Canary::NamesUnseen,
        Canary::PastForgotten,
        Canary::MarkEarly,
        Canary::MarkLate,
        Canary::PackedNotSynced,
        Canary::PlainRemovedFirst,
        Canary::LeafSkipped,
        Canary::ProgressEarly,
        Canary::KeyKept,
    ];

    /// Whether it shows only where something is taken away.
    pub fn is_of_what_goes(self) -> bool {
        matches!(self, Canary::NamesUnseen | Canary::PastForgotten)
    }

    /// Whether it shows only where segments are packed.
    pub fn is_of_packing(self) -> bool {
        matches!(self, Canary::PackedNotSynced | Canary::PlainRemovedFirst)
    }

    /// Whether it shows only where records are sealed.
    pub fn is_of_seals(self) -> bool {
        matches!(self, Canary::LeafSkipped | Canary::ProgressEarly | Canary::KeyKept)
    }

    /// Whether it shows only where receivers come and go.
    pub fn is_of_names(self) -> bool {
        matches!(self, Canary::AwayOverlooked | Canary::NewAtTheEnd)
    }
}
