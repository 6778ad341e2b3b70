//! `--check`: says in words what this user can see, and what a grant would add.

use super::asker::Asker;
use super::readings::Reading;
use super::source::Grade;
use crate::iproto::Reason;

/// The report; the second part says whether the database could be asked. `printed` is the page as `--once` prints it.
pub fn report(
    asker: &mut Asker,
    reading: &Reading,
    database: Option<&(String, String)>,
    printed: &[u8],
) -> (String, bool) {
    let version = asker.picodata_version();
    let user = &asker.wishes.user;
    let mut out = format!("database  {}\nuser      {user}\n", asker.place());
    if let Some((tarantool, instance)) = database {
        let picodata = version.as_ref().map_or(String::new(), |v| format!("Picodata {}, ", v.escape_debug()));
        out.push_str(&format!("version   {picodata}Tarantool {tarantool}, instance {instance}\n"));
    }
    let (page, grade) = match &reading.result {
        Err(trouble) => {
            out.push_str(&format!("\nthe database could not be asked ({}): {}\n", trouble.reason.name(), trouble.text));
            if trouble.reason == Reason::Denied {
                out.push_str(&grant(user));
            }
            return (out, false);
        }
        Ok(found) => (&found.0, found.1),
    };
    let families = page.snapshot.families.len();
    let series = page.snapshot.series();
    out.push_str(&format!("source    {}, by {}: {families} families, {series} series\n", grade.name(), page.via));
    let (all, together) = counted(printed);
    out.push_str(&format!("printed   {all} families, {together} series with those of this program (--once)\n"));
    for l in page.list.iter().flat_map(|all| all.iter()) {
        let (name, address) = (l.name.escape_debug(), l.address.escape_debug());
        let (state, tier) = (l.state.escape_debug(), l.tier.escape_debug());
        out.push_str(&format!("instance  {name} at {address}: {state}, tier {tier} (--discover)\n"));
    }
    for (reason, count) in page.tally.iter() {
        out.push_str(&format!("left out  {count} for `{reason}`\n"));
    }
    for other in Grade::ALL {
        if let Some(why) = asker.refused(other) {
            out.push_str(&format!("refused   {}: {why}\n", other.name()));
        }
    }
    out.push('\n');
    out.push_str(&advice(user, grade, page.via, version.as_deref()));
    (out, true)
}

/// Families and series of a page.
fn counted(page: &[u8]) -> (usize, usize) {
    let lines = || page.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let families = lines().filter(|line| line.starts_with(b"# TYPE ")).count();
    (families, lines().filter(|line| !line.starts_with(b"#")).count())
}

fn advice(user: &str, grade: Grade, via: &str, version: Option<&str>) -> String {
    let more = match (grade, via) {
        (Grade::Full, "route") => "this is everything that the built-in page has\n".to_string(),
        (Grade::Full, "plugin") => format!(
            "the HTTP listener of the instance is off, so the counters and histograms of SQL, RPC and CAS (pico_*) cannot \
             be read by anyone: set {} to have them\n",
            listener(version)
        ),
        (Grade::Full, _) => "the instance has no module `metrics`: these are its box.* numbers\n".into(),
        (Grade::Tarantool, _) => "these are the box.* numbers of a Tarantool without the module `metrics`\n".into(),
        (Grade::Function, _) => "this is what the functions of the administrator give\n".into(),
        (Grade::Least, _) if user == "guest" => "guest is everyone who reaches the port, so give it nothing more: for all \
             tnt_*, lj_* and pico_* families make a user of your own (CREATE USER \"mon\" WITH PASSWORD '...'), run \
             monitoring-functions.lua for it, and name --username mon --password-file FILE --function mon.pico,mon.metrics\n"
            .into(),
        (Grade::Least, _) => format!(
            "any user sees this much. For all tnt_*, lj_* and pico_* families, either\n\
             - let an administrator run monitoring-functions.lua on the master of each replicaset for `{user}` and name \
             the functions: --function mon.pico,mon.metrics (no right beside these two calls), or\n\
             - log in as pico_service (--password-file with .picodata-cookie): full rights, keep the file safe\n"
        ),
    };
    format!("{more}{}", if grade == Grade::Full { FULL } else { "" })
}

/// The setting of the HTTP listener: an instance of 26.1 does not start when the old one stands beside the new group.
fn listener(version: Option<&str>) -> &'static str {
    let mut parts = version.unwrap_or_default().split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    match (parts.next(), parts.next()) {
        (Some(0) | None, _) => "instance.http_listen (instance.http.listen since 26.1)",
        (Some(major), minor) if (major, minor.unwrap_or(0)) >= (26, 1) => "instance.http.listen",
        _ => "instance.http_listen",
    }
}

/// Every user of Picodata sees something, so this is no Picodata, or one that does not answer yet.
fn grant(user: &str) -> String {
    format!(
        "\na Picodata lets any user see raft, instances, loops and memory; if this is one, it may not be ready yet. A plain \
         Tarantool shows its box.* numbers to users who may read and execute everything; its administrator grants it by\n  \
         box.schema.user.grant({user:?}, 'read,execute', 'universe')\nwith that right {user} may run any Lua there: keep \
         the password safe\n"
    )
}

const FULL: &str = "this user may run any code in the database; a user without grants would see the state of raft, \
instances, loops and memory\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_of_the_listener_goes_by_the_version() {
        for (version, name) in [
            (Some("25.5.7-0-g123"), "instance.http_listen"),
            (Some("26.1.6"), "instance.http.listen"),
            (Some("26.2.1-rc2"), "instance.http.listen"),
            (Some("27.0"), "instance.http.listen"),
            (None, "instance.http_listen (instance.http.listen since 26.1)"),
        ] {
            assert_eq!(listener(version), name);
        }
    }

    #[test]
    fn guest_is_given_nothing() {
        let words = advice("guest", Grade::Least, "least", None);
        assert!(
            words.contains("everyone") && words.contains("CREATE USER") && !words.contains("for `guest`"),
            "{words}"
        );
        assert!(advice("mon", Grade::Least, "least", None).contains("for `mon`"));
    }
}
