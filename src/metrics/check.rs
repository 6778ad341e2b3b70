//! `--check`: says in words what this user can see, and what a grant would add.

use super::asker::Asker;
use super::board::Reading;
use super::source::Grade;
use crate::iproto::Reason;

/// The report; the second part says whether the database could be asked.
pub fn report(asker: &Asker, reading: &Reading, database: Option<&(String, String)>) -> (String, bool) {
    let user = &asker.wishes.user;
    let mut out = format!("database  {}\nuser      {user}\n", asker.place());
    if let Some((version, instance)) = database {
        out.push_str(&format!("version   Tarantool {version}, instance {instance}\n"));
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
    for (reason, count) in page.tally.iter() {
        out.push_str(&format!("left out  {count} for `{reason}`\n"));
    }
    for other in Grade::ALL {
        if let Some(why) = asker.refused(other) {
            out.push_str(&format!("refused   {}: {why}\n", other.name()));
        }
    }
    out.push('\n');
    out.push_str(&advice(user, grade, page.via));
    (out, true)
}

fn advice(user: &str, grade: Grade, via: &str) -> String {
    let more = match (grade, via) {
        (Grade::Full, "route") => "this is everything that the built-in page has\n".to_string(),
        (Grade::Full, "plugin") => {
            "the HTTP listener of the instance is off, so the counters and histograms of SQL, RPC and CAS (pico_*) cannot \
             be read by anyone: set instance.http_listen to have them\n"
                .into()
        }
        (Grade::Full, _) => "the instance has no module `metrics`: these are its box.* numbers\n".into(),
        (Grade::Tarantool, _) => "these are the box.* numbers of a Tarantool without the module `metrics`\n".into(),
        (Grade::Function, _) => "this is what the functions of the administrator give\n".into(),
        (Grade::Least, _) => format!(
            "any user sees this much. For all tnt_*, lj_* and pico_* families, either\n\
             - let an administrator run monitoring-functions.lua on the master of each replicaset for `{user}` and name \
             the functions: --function mon.pico,mon.metrics (no right beside these two calls), or\n\
             - log in as pico_service (--password-file with .picodata-cookie): full rights, keep the file safe\n"
        ),
    };
    format!("{more}{}", if grade == Grade::Full { FULL } else { "" })
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
