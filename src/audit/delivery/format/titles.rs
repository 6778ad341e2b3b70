//! ○ What each title of the audit log means to those who sort events: one table for ECS, CEF, LEEF, GELF and syslog.
//!
//! A title that is not here is normal, and passes with what its severity alone says. Refuses: to judge an event by its text.

use crate::audit::record::Severity;

/// What became of what somebody tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, or went wrong.
    Failure,
    /// The title does not say.
    Unknown,
}

impl Outcome {
    /// As ECS and CEF write it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Unknown => "unknown",
        }
    }
}

/// What a title means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The title; empty: of one that is not known.
    pub title: &'static str,
    /// In a few words; the same for all events of a title.
    pub name: &'static str,
    /// `event.category` of ECS.
    pub category: &'static str,
    /// `event.type` of ECS.
    pub types: &'static [&'static str],
    /// What became of it.
    pub outcome: Outcome,
    /// How grave, 0 to 10; none: as its severity says.
    pub grade: Option<u8>,
    /// Whether its event is about the audit trail itself, not about the database.
    pub of_trail: bool,
}

impl Meaning {
    /// How grave one of this severity is, 0 to 10, as CEF counts.
    pub fn grade(&self, severity: Severity) -> u8 {
        self.grade.unwrap_or(match severity {
            Severity::Low => 3,
            Severity::Medium | Severity::Other => 5,
            Severity::High => 8,
        })
    }

    /// `event.kind` of ECS.
    pub fn kind(&self) -> &'static str {
        match self.of_trail {
            true => "pipeline_error",
            false => "event",
        }
    }
}

/// The severity in the numbers of syslog and GELF. An unknown one is above what is routine.
pub fn syslog_level(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 6,
        Severity::Medium | Severity::Other => 5,
        Severity::High => 2,
    }
}

/// The word of such a number.
pub fn level_word(severity: Severity) -> &'static str {
    match syslog_level(severity) {
        2 => "critical",
        5 => "notice",
        _ => "info",
    }
}

/// The meaning of a title, escapes and all as it stands in the event.
pub fn of(title: &[u8]) -> &'static Meaning {
    match TITLES.binary_search_by(|m| m.title.as_bytes().cmp(title)) {
        Ok(i) => &TITLES[i],
        Err(_) => &UNKNOWN,
    }
}

/// Of a title that is not known.
pub const UNKNOWN: Meaning = Meaning {
    title: "",
    name: "",
    category: "database",
    types: INFO,
    outcome: Outcome::Unknown,
    grade: None,
    of_trail: false,
};

const INFO: &[&str] = &["info"];
const ACCESS_DENIED: &[&str] = &["access", "denied"];
const ACCESS_CHANGE: &[&str] = &["access", "change"];
const CHANGE: &[&str] = &["change"];
const CREATION: &[&str] = &["creation"];
const DELETION: &[&str] = &["deletion"];
const START: &[&str] = &["start"];
const END: &[&str] = &["end"];
const ERROR: &[&str] = &["error"];
const USER_CHANGE: &[&str] = &["user", "change"];
const USER_CREATION: &[&str] = &["user", "creation"];
const USER_DELETION: &[&str] = &["user", "deletion"];
const GROUP_CREATION: &[&str] = &["group", "creation"];
const GROUP_DELETION: &[&str] = &["group", "deletion"];
const GROUP_GRANT: &[&str] = &["admin", "group", "change"];
const USER_GRANT: &[&str] = &["admin", "user", "change"];

/// A thing that was done, for the rows.
const fn done(
    title: &'static str,
    name: &'static str,
    category: &'static str,
    types: &'static [&'static str],
    grade: u8,
) -> Meaning {
    Meaning { title, name, category, types, outcome: Outcome::Success, grade: Some(grade), of_trail: false }
}

/// One that was refused or went wrong.
const fn failed(
    title: &'static str,
    name: &'static str,
    category: &'static str,
    types: &'static [&'static str],
    grade: u8,
) -> Meaning {
    Meaning { outcome: Outcome::Failure, ..done(title, name, category, types, grade) }
}

/// One about the audit trail, which lacks something.
const fn of_trail(title: &'static str, name: &'static str, grade: Option<u8>) -> Meaning {
    Meaning { grade, of_trail: true, ..failed(title, name, "configuration", ERROR, 0) }
}

/// All titles that are known, in the order of their bytes.
pub const TITLES: &[Meaning] = &[
    failed("access_denied", "Access denied", "database", ACCESS_DENIED, 6),
    of_trail("audit_gap", "Audit records are missing", Some(9)),
    done("audit_policy", "Audit policy changed", "configuration", CHANGE, 8),
    done("audit_rotate", "Audit log reopened", "configuration", INFO, 3),
    Meaning { outcome: Outcome::Unknown, ..done("audit_test", "Test of the audit delivery", "configuration", INFO, 1) },
    failed("auth_fail", "Login", "authentication", START, 7),
    done("auth_ok", "Login", "authentication", START, 3),
    done("change_current_state", "Current state of instance changed", "host", CHANGE, 3),
    done("change_password", "Password changed", "iam", USER_CHANGE, 6),
    done("change_table_format", "Table format changed", "database", CHANGE, 4),
    done("change_target_state", "Target state of instance changed", "host", CHANGE, 3),
    done("connect_local_db", "Local database connected", "host", CHANGE, 3),
    done("create_index", "Index created", "database", CREATION, 4),
    done("create_local_db", "Local database created", "host", CHANGE, 3),
    done("create_procedure", "Procedure created", "database", CREATION, 4),
    done("create_role", "Role created", "iam", GROUP_CREATION, 6),
    done("create_table", "Table created", "database", CREATION, 4),
    done("create_user", "User created", "iam", USER_CREATION, 6),
    done("dml", "Data changed", "database", ACCESS_CHANGE, 3),
    done("drop_index", "Index dropped", "database", DELETION, 4),
    done("drop_local_db", "Local database dropped", "host", CHANGE, 3),
    done("drop_procedure", "Procedure dropped", "database", DELETION, 4),
    done("drop_role", "Role dropped", "iam", GROUP_DELETION, 6),
    done("drop_table", "Table dropped", "database", DELETION, 4),
    done("drop_user", "User dropped", "iam", USER_DELETION, 6),
    done("expel_instance", "Instance expelled", "host", CHANGE, 3),
    done("grant_privilege", "Privilege granted", "iam", USER_GRANT, 8),
    done("grant_role", "Role granted", "iam", GROUP_GRANT, 8),
    done("init_audit", "Audit log is ready", "process", START, 3),
    failed("integrity_violation", "Integrity violated", "database", ERROR, 10),
    done("join_instance", "Instance joined", "host", CHANGE, 3),
    done("local_shutdown", "Instance is shutting down", "process", END, 5),
    done("local_startup", "Instance is starting", "process", START, 3),
    done("recover_local_db", "Local database recovered", "host", CHANGE, 3),
    done("rename_index", "Index renamed", "database", CHANGE, 4),
    done("rename_procedure", "Procedure renamed", "database", CHANGE, 4),
    done("rename_table", "Table renamed", "database", CHANGE, 4),
    done("rename_user", "User renamed", "iam", USER_CHANGE, 6),
    done("revoke_privilege", "Privilege revoked", "iam", USER_GRANT, 8),
    done("revoke_role", "Role revoked", "iam", GROUP_GRANT, 8),
    failed("shredding_failed", "Shredding of a file failed", "file", DELETION, 4),
    done("shredding_finished", "Shredding of a file finished", "file", DELETION, 4),
    done("shredding_started", "Shredding of a file started", "file", DELETION, 4),
    done("truncate_table", "Table truncated", "database", DELETION, 4),
    of_trail("truncated", "Record that the database has cut", None),
    of_trail("unparsed", "Record that is no event", None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_row_is_found() {
        assert!(TITLES.windows(2).all(|w| w[0].title.as_bytes() < w[1].title.as_bytes()));
        TITLES.iter().for_each(|m| assert_eq!(of(m.title.as_bytes()), m));
        assert!(TITLES.iter().all(|m| !m.name.is_empty() && m.grade.unwrap_or(1) <= 10 && !m.types.is_empty()));
        assert_eq!((of(b"create_backup"), of(b"")), (&UNKNOWN, &UNKNOWN));
    }

    /// ECS says which types go with a category; `error` of the trail is ours.
    #[test]
    fn categories_and_types_are_those_that_ecs_allows() {
        let allowed = |category: &str| -> &[&str] {
            match category {
                "authentication" => &["start", "end", "info"],
                "configuration" => &["access", "change", "creation", "deletion", "info"],
                "database" => &["access", "change", "info", "error", "creation", "deletion", "denied"],
                "file" => &["access", "change", "creation", "deletion", "info"],
                "host" => &["access", "change", "end", "info", "start"],
                "iam" => &["admin", "change", "creation", "deletion", "group", "info", "user"],
                "process" => &["access", "change", "end", "info", "start"],
                other => panic!("{other}"),
            }
        };
        for m in TITLES.iter().chain([&UNKNOWN]) {
            assert!(m.of_trail || m.types.iter().all(|t| allowed(m.category).contains(t)), "{}", m.title);
        }
    }

    #[test]
    fn severities_have_one_number_each() {
        let all = [Severity::Low, Severity::Medium, Severity::High, Severity::Other];
        assert_eq!(all.map(syslog_level), [6, 5, 2, 5]);
        assert_eq!(all.map(level_word), ["info", "notice", "critical", "notice"]);
        assert_eq!(all.map(|s| UNKNOWN.grade(s)), [3, 5, 8, 5]);
        assert_eq!((of(b"auth_fail").grade(Severity::Low), of(b"truncated").grade(Severity::High)), (7, 8));
        let outcomes = [of(b"auth_fail"), of(b"auth_ok"), &UNKNOWN].map(|meaning| meaning.outcome);
        assert_eq!(outcomes, [Outcome::Failure, Outcome::Success, Outcome::Unknown]);
        assert_eq!((of(b"audit_gap").kind(), of(b"dml").kind()), ("pipeline_error", "event"));
    }
}
