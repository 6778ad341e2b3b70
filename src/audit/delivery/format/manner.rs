//! ○ What options say of how events are written, for the formats that ask. Refuses: to know where the options stood.

use crate::limits;

/// The names of the facilities of syslog; the place is the number.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// What options say of how events are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// `--facility`
    pub facility: u8,
    /// `--app-name`
    pub app: String,
    /// `--sd-id`
    pub element: String,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { facility: 13, app: "picodata".into(), element: "picodata@32473".into() }
    }
}

/// The number of a facility, by its name or number.
pub fn facility(text: &str) -> Result<u8, String> {
    let named = FACILITIES.iter().position(|f| *f == text).map(|n| n as u8);
    let known = || format!("`{}` is no facility: 0 to 23, or {}", text.escape_debug(), FACILITIES.join(", "));
    named.or_else(|| text.parse().ok().filter(|n| usize::from(*n) < FACILITIES.len())).ok_or_else(known)
}

/// An application's name as syslog can carry it: printable ASCII without blanks.
pub fn app_name(text: &str) -> Result<String, String> {
    match text.len() <= limits::SYSLOG_APP_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && !b"[]:".contains(&b)) {
        true if !text.is_empty() => Ok(text.to_string()),
        _ => Err(format!(
            "an application's name has 1 to {} visible ASCII characters, and none of `[`, `]`, `:`",
            limits::SYSLOG_APP_BYTES
        )),
    }
}

/// The id of a structured data element: `name@number`, or a name that is registered.
pub fn element(text: &str) -> Result<String, String> {
    match text.len() <= limits::SYSLOG_ID_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && !b"=]\"".contains(&b)) {
        true if !text.is_empty() && text != "meta" => Ok(text.to_string()),
        _ => Err(format!(
            "the id of an element is like `name@32473`, 1 to {} visible ASCII characters without `=`, `]`, `\"`, and not `meta`",
            limits::SYSLOG_ID_BYTES
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_have_names_and_numbers() {
        assert_eq!((facility("audit"), facility("13"), facility("local7")), (Ok(13), Ok(13), Ok(23)));
        assert!(facility("24").is_err() && facility("").is_err() && facility("AUDIT").is_err());
        assert!(app_name("picodata").is_ok() && element("a@1").is_ok());
        for bad in ["", "a b", "я", &"x".repeat(49)] {
            assert!(app_name(bad).is_err() && element(bad).is_err(), "{bad}");
        }
        assert!(app_name("a:").is_err() && element("a]").is_err() && element("meta").is_err());
    }
}
