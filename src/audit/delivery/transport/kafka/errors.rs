//! ○ What Kafka's errors mean: a table by number. Refuses: to take an error for a fault of the events that is none.

use crate::audit::delivery::parcel::{Blame, Why};
use crate::limits;
use crate::words::line;

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// The event's content is at fault.
    Content,
    /// There is too much of it at once.
    TooLarge,
    /// It was kept before: taken.
    Repeat,
    /// It does not know or admit us.
    Identity,
    /// Somebody has to mend something.
    Configuration,
    /// Somebody else leads the partition: look again.
    Moved,
    /// The cluster has lost the count of this producer: another number, and the batch again.
    Recount,
    /// Not now; it is not there.
    NotNow,
    /// Not now; it may be there all the same.
    Unknown,
}

impl Sense {
    /// For the sender.
    pub fn why(self) -> Why {
        match self {
            Sense::Content => Why::Content(Blame::NeedsWitness),
            Sense::TooLarge => Why::TooLarge,
            Sense::Identity => Why::Identity,
            Sense::Configuration => Why::Configuration,
            Sense::Repeat | Sense::Moved | Sense::Recount | Sense::NotNow | Sense::Unknown => Why::NotNow(None),
        }
    }
}

/// An error.
#[derive(Debug)]
pub struct Row {
    /// Its number.
    pub code: i16,
    /// Its name.
    pub name: &'static str,
    /// What is to be done.
    pub sense: Sense,
    /// What somebody can do about it; empty: nothing.
    pub cure: &'static str,
}

const fn row(code: i16, name: &'static str, sense: Sense, cure: &'static str) -> Row {
    Row { code, name, sense, cure }
}

/// A topic that is not there.
pub const UNKNOWN_TOPIC: i16 = 3;
/// A question that is not understood.
pub const UNSUPPORTED_VERSION: i16 = 35;

const TOPIC: &str = "make the topic (kafka-topics.sh --create), or mend it in the URL";
const RIGHTS: &str = "give this user the right to write there (kafka-acls.sh --producer)";
const LOGIN: &str = "look at --user, --password-file and --sasl";

/// All that a producer can meet.
pub const ERRORS: &[Row] = &[
    row(-1, "UNKNOWN_SERVER_ERROR", Sense::Unknown, "look at the broker's log"),
    row(2, "CORRUPT_MESSAGE", Sense::NotNow, ""),
    row(3, "UNKNOWN_TOPIC_OR_PARTITION", Sense::Configuration, TOPIC),
    row(5, "LEADER_NOT_AVAILABLE", Sense::Moved, ""),
    row(6, "NOT_LEADER_OR_FOLLOWER", Sense::Moved, ""),
    row(7, "REQUEST_TIMED_OUT", Sense::Unknown, ""),
    row(8, "BROKER_NOT_AVAILABLE", Sense::Moved, ""),
    row(9, "REPLICA_NOT_AVAILABLE", Sense::Moved, ""),
    row(10, "MESSAGE_TOO_LARGE", Sense::TooLarge, "raise max.message.bytes of the topic"),
    row(13, "NETWORK_EXCEPTION", Sense::Unknown, ""),
    row(14, "COORDINATOR_LOAD_IN_PROGRESS", Sense::NotNow, ""),
    row(15, "COORDINATOR_NOT_AVAILABLE", Sense::NotNow, ""),
    row(16, "NOT_COORDINATOR", Sense::NotNow, ""),
    row(17, "INVALID_TOPIC_EXCEPTION", Sense::Configuration, "mend the topic in the URL"),
    row(18, "RECORD_LIST_TOO_LARGE", Sense::TooLarge, "raise max.message.bytes of the topic"),
    row(19, "NOT_ENOUGH_REPLICAS", Sense::NotNow, "fewer replicas are in sync than min.insync.replicas asks for"),
    row(
        20,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        Sense::Unknown,
        "fewer replicas are in sync than min.insync.replicas asks for",
    ),
    row(21, "INVALID_REQUIRED_ACKS", Sense::Configuration, ""),
    row(29, "TOPIC_AUTHORIZATION_FAILED", Sense::Configuration, RIGHTS),
    row(
        31,
        "CLUSTER_AUTHORIZATION_FAILED",
        Sense::Configuration,
        "give this user the right IdempotentWrite on the cluster",
    ),
    row(32, "INVALID_TIMESTAMP", Sense::Configuration, "look at the clocks, and at message.timestamp.* of the topic"),
    row(33, "UNSUPPORTED_SASL_MECHANISM", Sense::Configuration, "choose another --sasl"),
    row(
        34,
        "ILLEGAL_SASL_STATE",
        Sense::Configuration,
        "this listener wants no login: leave --user out, or mend the port",
    ),
    row(35, "UNSUPPORTED_VERSION", Sense::Configuration, "the broker must be of version 0.11 or newer"),
    row(42, "INVALID_REQUEST", Sense::Configuration, ""),
    row(
        43,
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        Sense::Configuration,
        "the topic must have message.format.version 0.11 or newer",
    ),
    row(44, "POLICY_VIOLATION", Sense::Configuration, ""),
    row(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Sense::Recount, ""),
    row(46, "DUPLICATE_SEQUENCE_NUMBER", Sense::Repeat, ""),
    row(47, "INVALID_PRODUCER_EPOCH", Sense::Recount, ""),
    row(56, "KAFKA_STORAGE_ERROR", Sense::Unknown, "look at the broker's disk"),
    row(58, "SASL_AUTHENTICATION_FAILED", Sense::Identity, LOGIN),
    row(59, "UNKNOWN_PRODUCER_ID", Sense::Recount, ""),
    row(
        72,
        "LISTENER_NOT_FOUND",
        Sense::Moved,
        "the leader has no listener of this kind: look at advertised.listeners",
    ),
    row(74, "FENCED_LEADER_EPOCH", Sense::Moved, ""),
    row(75, "UNKNOWN_LEADER_EPOCH", Sense::Moved, ""),
    row(76, "UNSUPPORTED_COMPRESSION_TYPE", Sense::Configuration, "leave --gzip out"),
    row(87, "INVALID_RECORD", Sense::Content, ""),
    row(89, "THROTTLING_QUOTA_EXCEEDED", Sense::NotNow, "raise the quota of this user"),
    row(90, "PRODUCER_FENCED", Sense::Recount, ""),
];

/// What is not in the table: of a newer broker.
const STRANGER: Row = row(0, "", Sense::Unknown, "look at the broker's log");

/// The row of an error.
pub fn find(code: i16) -> &'static Row {
    ERRORS.iter().find(|r| r.code == code).unwrap_or(&STRANGER)
}

/// An error in words, with what the broker said of it; `about`: at which place, or of what.
pub fn words(code: i16, said: &str, about: &str) -> String {
    let row = find(code);
    let name = if row.name.is_empty() { format!("error {code}") } else { row.name.into() };
    let said = if said.is_empty() { String::new() } else { format!(" ({})", line(said, limits::FOREIGN_SHOWN_CHARS)) };
    let cure = if row.cure.is_empty() { String::new() } else { format!(": {}", row.cure) };
    format!("answers {name}{said} {about}{cure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_of_three_kinds_and_named_once() {
        let of = |codes: &[i16], sense: Sense| codes.iter().for_each(|c| assert_eq!(find(*c).sense, sense, "{c}"));
        of(&[10, 18], Sense::TooLarge);
        of(&[87], Sense::Content);
        of(&[58], Sense::Identity);
        of(&[3, 17, 21, 29, 31, 33, 34, 35], Sense::Configuration);
        of(&[5, 6, 8], Sense::Moved);
        of(&[45, 47, 59], Sense::Recount);
        of(&[46], Sense::Repeat);
        of(&[14, 15, 16, 19], Sense::NotNow);
        of(&[-1, 7, 20, 56, 1234], Sense::Unknown);
        assert!(ERRORS.windows(2).all(|w| w[0].code < w[1].code));
        assert_eq!(Sense::Content.why(), Why::Content(Blame::NeedsWitness));
        assert_eq!(
            words(58, "no such user", "at `h:1`"),
            format!("answers SASL_AUTHENTICATION_FAILED (no such user) at `h:1`: {LOGIN}")
        );
        assert_eq!(words(1234, "a\nb", "here"), "answers error 1234 (a b) here: look at the broker's log");
    }
}
