//! ○ What is found: verdicts with their ranges, bounded; how many there are of each is always exact.
//!
//! Refuses: to call anything tampering that has another explanation; that is decided where it is found.

use super::claim::Spot;
use crate::audit::seal::StreamId;
use crate::limits;

/// What it means for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// It is explained.
    Fine,
    /// Nobody can tell from what is here.
    Unclear,
    /// Somebody has done it.
    Tampered,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What stands there is not what was sealed.
    Altered,
    /// Something that was never sealed there.
    Inserted,
    /// Something sealed is not there any more.
    Removed,
    /// Two histories under one key or number.
    Forked,
    /// A checkpoint or list that says what was never so.
    Forged,
    /// A line without a seal.
    Bare,
    /// What nothing that is here can prove.
    Unproven,
    /// Missing, and there may be a reason.
    Missing,
    /// Missing behind the end of what is here, and signed.
    Tail,
    /// Behind the end of a stream that was closed.
    Beyond,
    /// Checkpoints that are missing between others.
    Gap,
    /// A checkpoint by a key that nobody vouches for.
    Unknown,
    /// A line that cannot be read.
    Unread,
    /// Shown as if it were no object.
    Odd,
    /// There was too much of something to look at all of it.
    TooMuch,
    /// Missing, and its receiver's filter says why.
    Filtered,
    /// The same, as a list says that no checkpoint signs yet.
    FilteredUnsigned,
    /// Missing, and a checkpoint says that it was dropped or set aside.
    Excused,
    /// Missing, and a checkpoint or list says that it was lost before it was delivered.
    Lost,
    /// Missing before the beginning of what is here.
    Pruned,
    /// Behind the last checkpoint.
    Unsealed,
}

impl Kind {
    /// All of them, the gravest first.
    pub const ALL: [Kind; 21] = [
        Kind::Altered,
        Kind::Inserted,
        Kind::Removed,
        Kind::Forked,
        Kind::Forged,
        Kind::Bare,
        Kind::Unproven,
        Kind::Missing,
        Kind::Tail,
        Kind::Beyond,
        Kind::Gap,
        Kind::Unknown,
        Kind::Unread,
        Kind::Odd,
        Kind::TooMuch,
        Kind::Filtered,
        Kind::FilteredUnsigned,
        Kind::Excused,
        Kind::Lost,
        Kind::Pruned,
        Kind::Unsealed,
    ];

    /// What it means for the end.
    pub fn grade(self) -> Grade {
        match self {
            Kind::Altered | Kind::Inserted | Kind::Removed | Kind::Forked | Kind::Forged => Grade::Tampered,
            Kind::Filtered | Kind::FilteredUnsigned | Kind::Excused | Kind::Lost => Grade::Fine,
            Kind::Pruned | Kind::Unsealed => Grade::Fine,
            _ => Grade::Unclear,
        }
    }

    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Altered => "altered",
            Kind::Inserted => "inserted",
            Kind::Removed => "removed",
            Kind::Forked => "forked",
            Kind::Forged => "forged",
            Kind::Bare => "without-seal",
            Kind::Unproven => "unproven",
            Kind::Missing => "missing",
            Kind::Tail => "missing-end",
            Kind::Beyond => "behind-the-end",
            Kind::Gap => "missing-checkpoints",
            Kind::Unknown => "unknown-key",
            Kind::Unread => "unreadable",
            Kind::Odd => "shown-oddly",
            Kind::TooMuch => "too-much",
            Kind::Filtered => "filtered",
            Kind::FilteredUnsigned => "filtered-unsigned",
            Kind::Excused => "excused",
            Kind::Lost => "lost",
            Kind::Pruned => "pruned",
            Kind::Unsealed => "unsealed",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Altered => "not what was sealed",
            Kind::Inserted => "was never sealed there",
            Kind::Removed => "was sealed and delivered, and is not there",
            Kind::Forked => "two histories",
            Kind::Forged => "contradicts what is signed",
            Kind::Bare => "bears no seal: inserted, or not by a sealing helper",
            Kind::Unproven => "nothing signed that is here reaches it",
            Kind::Missing => "not there, and nothing here tells whether it should be",
            Kind::Tail => "signed, and behind the end of what is here: an older export, or its end was cut off",
            Kind::Beyond => "behind the end of its stream",
            Kind::Gap => "checkpoints are missing",
            Kind::Unknown => "signed by a key that neither --key nor a believed checkpoint names",
            Kind::Unread => "cannot be read",
            Kind::Odd => "a whole event that is shown as if it could not be parsed",
            Kind::TooMuch => "too much to look at all of it",
            Kind::Filtered => "kept back by the receiver's filter",
            Kind::FilteredUnsigned => "kept back by the receiver's filter, as a list says that no checkpoint signs yet",
            Kind::Excused => "dropped or set aside, as a checkpoint says",
            Kind::Lost => "lost before it was delivered, as is signed",
            Kind::Pruned => "before the beginning of what is here",
            Kind::Unsealed => "not sealed yet",
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub kind: Kind,
    /// The stream, where it is about one.
    pub stream: Option<StreamId>,
    /// The first and the last place; 0: it is about none.
    pub places: (u64, u64),
    /// How many places or lines.
    pub count: u64,
    /// The event there, or for what is missing the one before.
    pub first: Option<Spot>,
    /// The last event there, or for what is missing the one behind.
    pub last: Option<Spot>,
    /// What else is to be said.
    pub text: String,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Those that are listed.
    pub all: Vec<Finding>,
    counts: [u64; Kind::ALL.len()],
    /// The last one of each kind, which the next place may go on.
    open: [Option<usize>; Kind::ALL.len()],
    listed: [usize; 3],
}

impl Findings {
    /// How many places or lines there are of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// How grave all of it is.
    pub fn grade(&self) -> Grade {
        let any = |grade: Grade| Kind::ALL.iter().any(|k| k.grade() == grade && self.count(*k) > 0);
        match () {
            () if any(Grade::Tampered) => Grade::Tampered,
            () if any(Grade::Unclear) => Grade::Unclear,
            () => Grade::Fine,
        }
    }

    /// Something about no place. What is said of one line after the other is said once.
    pub fn say(&mut self, kind: Kind, stream: Option<StreamId>, spot: Option<Spot>, text: impl Into<String>) {
        let text = text.into();
        let open = self.open[kind as usize].and_then(|at| self.all.get_mut(at));
        if let (Some(f), Some(spot)) =
            (open.filter(|f| f.places == (0, 0) && f.stream == stream && f.text == text), spot)
        {
            if f.last.or(f.first).is_some_and(|before| spot.line.is_behind(&before.line)) {
                self.counts[kind as usize] = self.counts[kind as usize].saturating_add(1);
                f.count = f.count.saturating_add(1);
                f.last = Some(spot);
                return;
            }
        }
        self.many(kind, stream, 1, [spot, None], text);
    }

    /// The same of so many, from the first spot to the last.
    pub fn many(&mut self, kind: Kind, stream: Option<StreamId>, count: u64, spots: [Option<Spot>; 2], text: String) {
        let [first, last] = spots;
        self.add(Finding { kind, stream, places: (0, 0), count, first, last, text });
    }

    /// Places of a stream, one behind the other; those that follow on the last ones of that kind go on with them.
    pub fn places(
        &mut self,
        kind: Kind,
        stream: StreamId,
        (from, to): (u64, u64),
        spots: [Option<Spot>; 2],
        text: &str,
    ) {
        self.places_of(kind, stream, (from, to), (to - from).saturating_add(1), spots, text);
    }

    fn places_of(
        &mut self,
        kind: Kind,
        stream: StreamId,
        (from, to): (u64, u64),
        count: u64,
        spots: [Option<Spot>; 2],
        text: &str,
    ) {
        let open = self.open[kind as usize].and_then(|at| self.all.get_mut(at));
        if let Some(f) = open.filter(|f| f.stream == Some(stream) && f.text == text) {
            if f.places.1.checked_add(1) == Some(from) || f.places == (from, to) {
                self.counts[kind as usize] = self.counts[kind as usize].saturating_add(count);
                f.count = f.count.saturating_add(count);
                f.places.1 = to;
                f.last = spots[1].or(spots[0]).or(f.last);
                return;
            }
        }
        let [first, last] = spots;
        self.add(Finding { kind, stream: Some(stream), places: (from, to), count, first, last, text: text.into() });
    }

    fn add(&mut self, finding: Finding) {
        let kind = finding.kind;
        self.counts[kind as usize] = self.counts[kind as usize].saturating_add(finding.count);
        self.open[kind as usize] = None;
        let listed = &mut self.listed[kind.grade() as usize];
        if *listed < limits::TOOL_FINDINGS {
            *listed += 1;
            self.open[kind as usize] = Some(self.all.len());
            self.all.push(finding);
        }
    }

    /// And those.
    pub fn absorb(&mut self, other: Findings) {
        let mut counted = [0u64; Kind::ALL.len()];
        for finding in other.all {
            let count = &mut counted[finding.kind as usize];
            *count = count.saturating_add(finding.count);
            let spots = [finding.first, finding.last];
            match finding.stream.filter(|_| finding.places != (0, 0)) {
                Some(s) => self.places_of(finding.kind, s, finding.places, finding.count, spots, &finding.text),
                None => self.add(finding),
            }
        }
        // What was not listed there is not listed here.
        for ((own, all), listed) in self.counts.iter_mut().zip(other.counts).zip(counted) {
            *own = own.saturating_add(all.saturating_sub(listed));
        }
    }

    /// How many of a grade are not listed.
    pub fn unlisted(&self, grade: Grade) -> u64 {
        let counted: u64 =
            Kind::ALL.iter().filter(|k| k.grade() == grade).fold(0, |n: u64, k| n.saturating_add(self.count(*k)));
        let listed: u64 =
            self.all.iter().filter(|f| f.kind.grade() == grade).fold(0, |n: u64, f| n.saturating_add(f.count));
        counted.saturating_sub(listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::seal::Algorithm;
    use crate::audit::tools::evidence::claim::Line;

    #[test]
    fn neighbours_are_one_range_and_the_list_is_bounded() {
        let id = StreamId::new(1, [1; 9], Algorithm::Sha256);
        let mut f = Findings::default();
        for seq in [5, 6, 7, 9] {
            f.places(Kind::Removed, id, (seq, seq), [None, None], "");
        }
        let ranges: Vec<(u64, u64)> = f.all.iter().map(|f| f.places).collect();
        assert_eq!((ranges, f.count(Kind::Removed), f.grade()), (vec![(5, 7), (9, 9)], 4, Grade::Tampered));
        for seq in 0..1_000 {
            f.places(Kind::Missing, id, (2 * seq, 2 * seq), [None, None], "");
        }
        assert_eq!((f.all.len(), f.unlisted(Grade::Unclear)), (2 + limits::TOOL_FINDINGS, 1_000 - 200));
        assert!(Kind::ALL.iter().enumerate().all(|(i, k)| *k as usize == i));
        let mut f = Findings::default();
        for number in [4, 5, 6, 9] {
            let line = Line { file: 0, number };
            f.say(Kind::Unread, None, Some(Spot { line, ..Spot::default() }), "no JSON object");
        }
        assert_eq!((f.all.len(), f.all[0].count, f.count(Kind::Unread)), (2, 3, 4));
    }
}
