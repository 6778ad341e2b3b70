//! What the database is asked, by what the user may do: learnt once a connection, refusals remembered.
//!
//! Invariant: no EVAL and no CALL of a foreign function goes out unless (a) a SELECT on `_space`, answered by the server's C
//! code alone, was allowed on this connection and the chunk begins with `guard.lua`, or (b) the function is one with setuid
//! that an administrator owns, looked at right before each call: it may have been made anew since the last one. Everything
//! else could kill an instance (see `guard.lua`). Every refused request is an event in the database's audit log: what was
//! refused is not asked again for minutes, also after a reconnect.

pub mod boxed;
pub mod members;
pub mod pico;
pub mod sheet;

use super::rules::{Rules, Tally};
use super::snapshot::{Builder, Snapshot};
use super::text;
use crate::iproto::protocol::{code, Answer, Refusal, Request};
use crate::iproto::{Client, Reason, Trouble};
use crate::limits;
use crate::msgpack::Value;
use members::Listed;
use pico::{Columns, Instance};
use sheet::Sheet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GUARD: &str = include_str!("guard.lua");
const FULL: &[&str] = &[include_str!("page.lua"), include_str!("pico.lua"), include_str!("box.lua")];
const TARANTOOL: &[&str] = &[include_str!("box.lua")];

/// Parts of a source that can be switched off: those whose cost grows with the cluster or the tables.
pub const PARTS: &[&str] = &["instances", "addresses", "tables", "spaces", "fibers", "luajit"];

const SPACE: u32 = 280;
const VSPACE: u32 = 281;
const VFUNC: u32 = 297;
const PEER_ADDRESS: u32 = 514;
const INSTANCE: u32 = 515;

/// Who may own a function that is called: the administrator of every Tarantool, and `pico_service` of a Picodata. In a plain
/// Tarantool the latter number is that of the first user that was made, mostly the one who asks.
const ADMIN: u64 = 1;
const PICO_SERVICE: u64 = 32;

/// A grade of monitoring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// One EVAL brings everything.
    Full,
    /// Functions that the administrator made.
    Function,
    /// What any user may see.
    Least,
    /// `box.*` of a plain Tarantool.
    Tarantool,
}

impl Grade {
    /// All of them.
    pub const ALL: [Grade; 4] = [Grade::Full, Grade::Function, Grade::Least, Grade::Tarantool];

    /// The word for `--source` and the page.
    pub fn name(self) -> &'static str {
        match self {
            Grade::Full => "full",
            Grade::Function => "function",
            Grade::Least => "least",
            Grade::Tarantool => "tarantool",
        }
    }

    /// The grade of a word.
    pub fn parse(word: &str) -> Option<Grade> {
        Grade::ALL.into_iter().find(|g| g.name() == word)
    }
}

/// What is wanted from the database.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// As whom.
    pub user: String,
    /// The grade; none: by what the user may do.
    pub grade: Option<Grade>,
    /// Functions to call.
    pub functions: Vec<String>,
    /// Parts that are not asked for, of `PARTS`.
    pub without: Vec<String>,
    /// What may be on the page.
    pub rules: Rules,
    /// All instances of the cluster, and not this one alone.
    pub discover: bool,
}

impl Wishes {
    fn leaves_out(&self, part: &str) -> bool {
        self.without.iter().any(|p| p == part)
    }

    /// The grades to try, best first.
    pub fn candidates(&self) -> &'static [Grade] {
        match self.grade {
            Some(Grade::Full) => &[Grade::Full, Grade::Least],
            Some(Grade::Function) => &[Grade::Function, Grade::Least],
            Some(Grade::Least) => &[Grade::Least],
            Some(Grade::Tarantool) => &[Grade::Tarantool],
            None if !self.functions.is_empty() => &[Grade::Function, Grade::Least],
            None if self.user == "pico_service" || self.user == "admin" => &[Grade::Full, Grade::Least],
            None => &[Grade::Least, Grade::Tarantool],
        }
    }
}

/// What was refused, and until when it is not asked again.
#[derive(Clone, Debug, Default)]
pub struct Memory(Vec<(Grade, Instant, String)>);

impl Memory {
    /// Not this grade until then.
    pub fn bar(&mut self, grade: Grade, until: Instant, why: String) {
        self.0.retain(|(g, _, _)| *g != grade);
        self.0.push((grade, until, why));
    }

    /// Why this grade is not tried now.
    pub fn barred(&self, grade: Grade, now: Instant) -> Option<&str> {
        self.0.iter().find(|(g, until, _)| *g == grade && now < *until).map(|(_, _, why)| why.as_str())
    }

    /// Whether a grade that was refused may be tried again. `Least` is not worth it: it is the last resort.
    pub fn worth_another_try(&self, now: Instant) -> bool {
        self.0.iter().any(|(g, until, _)| matches!(g, Grade::Full | Grade::Function) && now >= *until)
    }

    /// Another instance, another user: everything may be tried.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// How this connection is asked.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One EVAL of a guarded chunk.
    Chunk(Grade, String),
    /// CALLs of functions.
    Functions(Vec<String>),
    /// What any user may see.
    Least(Least),
}

impl Plan {
    /// Which grade this is.
    pub fn grade(&self) -> Grade {
        match self {
            Plan::Chunk(grade, _) => *grade,
            Plan::Functions(_) => Grade::Function,
            Plan::Least(_) => Grade::Least,
        }
    }
}

/// What any user of this Picodata may see.
#[derive(Clone, Debug)]
pub struct Least {
    call: &'static str,
    /// The answer about the version where the call has none: it cannot change on a connection.
    version: Option<Answer>,
    name: Option<String>,
    columns: Option<Columns>,
    instances: bool,
    addresses: bool,
    /// What else it is asked of itself.
    more: Vec<&'static str>,
}

/// What a poll brought.
#[derive(Debug, Default)]
pub struct Page {
    /// The numbers.
    pub snapshot: Snapshot,
    /// What was left out.
    pub tally: Tally,
    /// How they were had: `route`, `plugin`, `box`, `function`, `least`.
    pub via: &'static str,
    /// Who belongs to the cluster, where that was wanted.
    pub list: Option<Arc<Vec<Listed>>>,
}

/// The database says no: its words, and how long it is not asked again.
#[derive(Debug)]
pub struct No {
    /// The words.
    pub why: String,
    /// How long to believe them.
    pub pause: Duration,
}

impl No {
    fn denied(why: impl Into<String>) -> No {
        No { why: why.into(), pause: Duration::from_secs(limits::METRICS_DENIED_SECONDS) }
    }

    fn of(refusal: &Refusal) -> No {
        let mut no = No::denied(refusal.text.clone());
        if refusal.code != code::ACCESS_DENIED {
            no.pause = Duration::from_secs(limits::METRICS_FAILED_SECONDS);
        }
        no
    }
}

/// An answer of the database, its no, or no answer at all.
type Asked<T> = Result<Result<T, No>, Trouble>;

fn unreadable(why: String) -> Trouble {
    Trouble::new(Reason::Protocol, format!("cannot understand the database: {why}"))
}

fn data(answer: &Answer) -> Result<Result<Value<'_>, Refusal>, Trouble> {
    answer.data().map_err(unreadable)
}

/// Finds out once how this connection is to be asked: the best grade that is not refused.
pub fn learn(client: &mut Client, wishes: &Wishes, memory: &mut Memory, patience: Duration) -> Result<Plan, Trouble> {
    let mut whys = Vec::new();
    for grade in wishes.candidates() {
        if let Some(why) = memory.barred(*grade, Instant::now()) {
            whys.push(format!("{}: {why}", grade.name()));
            continue;
        }
        let tried = match grade {
            Grade::Full => chunk(client, *grade, compose(FULL, wishes), patience)?,
            Grade::Tarantool => chunk(client, *grade, compose(TARANTOOL, wishes), patience)?,
            // The poll looks at them.
            Grade::Function if !wishes.functions.is_empty() => Ok(Plan::Functions(wishes.functions.clone())),
            Grade::Function => Err(No::denied("no --function is named")),
            Grade::Least => least(client, wishes, patience)?,
        };
        match tried {
            Ok(plan) => return Ok(plan),
            Err(no) => {
                whys.push(format!("{}: {}", grade.name(), no.why));
                memory.bar(*grade, Instant::now() + no.pause, no.why);
            }
        }
    }
    let text = format!("user `{}` may see nothing here ({})", wishes.user, whys.join("; "));
    Err(Trouble::new(Reason::Denied, text))
}

/// A chunk: always the guard first.
fn compose(parts: &[&str], wishes: &Wishes) -> String {
    let off: String =
        wishes.without.iter().filter(|p| PARTS.contains(&p.as_str())).map(|p| format!("{p}=true,")).collect();
    format!("{GUARD}local without = {{{off}}}\n{}return answer\n", parts.concat())
}

/// Whether `_space` may be read, asked in a way that runs no Lua at all; the chunk looks again each time.
fn chunk(client: &mut Client, grade: Grade, chunk: String, patience: Duration) -> Asked<Plan> {
    let look = Request::Select { space: SPACE, index: 0, limit: 1, key: Some(Value::Uint(u64::from(SPACE))) };
    let answers = client.ask(&[look], patience)?;
    Ok(match data(&answers[0])? {
        Ok(rows) if rows.items().len() == 1 => Ok(Plan::Chunk(grade, chunk)),
        Ok(_) => Err(No::denied("`_space` is empty for this user")),
        Err(refusal) => Err(No::of(&refusal)),
    })
}

/// Only functions with setuid that an administrator owns: a function that ran as this user could be the deadly collector.
fn are_safe(client: &mut Client, names: &[String], patience: Duration) -> Asked<()> {
    let key = |name| Some(Value::Str(str::as_bytes(name)));
    let select = |name| Request::Select { space: VFUNC, index: 2, limit: 1, key: key(name) };
    let requests: Vec<_> = names.iter().map(|n| select(n)).collect();
    let mut of_service = None;
    for (name, answer) in names.iter().zip(client.ask(&requests, patience)?) {
        let rows = match data(&answer)? {
            Ok(rows) => rows,
            Err(refusal) => return Ok(Err(No::of(&refusal))),
        };
        let Some([_, owner, _, setuid, ..]) = rows.items().first().map(Value::items) else {
            return Ok(Err(No::denied(format!("no function `{name}` that this user may call"))));
        };
        match owner.uint().filter(|_| setuid.number() == Some(1.0)) {
            Some(ADMIN) => {}
            Some(PICO_SERVICE) => of_service = Some(name),
            _ => return Ok(Err(unsafe_to_call(name))),
        }
    }
    let Some(name) = of_service else { return Ok(Ok(())) };
    // Every Picodata answers this to every user, and nothing else does.
    let answers = client.ask(&[Request::Call(".proc_version_info")], patience)?;
    Ok(data(&answers[0])?.map(drop).map_err(|_| unsafe_to_call(name)))
}

fn unsafe_to_call(name: &str) -> No {
    No::denied(format!("function `{name}` is not a setuid function of an administrator, so it is not called"))
}

/// The calls that bring the state of an instance, newest first; beside the last one the version is asked once.
const CALLS: [&[&str]; 3] =
    [&[".proc_runtime_info_v2"], &[".proc_runtime_info"], &[".proc_raft_info", ".proc_version_info"]];

/// What an instance says of its health, and of its replication: since 26, to every user.
const HEALTH: &str = ".proc_instance_health_status";
const DETAILS: &str = ".proc_instance_details";

fn least(client: &mut Client, wishes: &Wishes, patience: Duration) -> Asked<Plan> {
    let mut why = None;
    for calls in CALLS {
        let requests: Vec<_> = calls.iter().map(|name| Request::Call(name)).collect();
        let answers = client.ask(&requests, patience)?;
        if let Err(refusal) = data(&answers[0])? {
            why = why.or(Some(refusal));
            continue;
        }
        let state = data(&answers[0])?.unwrap_or(Value::Nil);
        let own = state.items().first().and_then(pico::own_raft_id);
        let says_more = state.items().first().is_some_and(pico::says_more);
        let mut version = answers.into_iter().nth(1);
        if version.as_ref().map(data).transpose()?.is_some_and(|said| said.is_err()) {
            version = None;
        }
        let more = if says_more { vec![HEALTH, DETAILS] } else { Vec::new() };
        let found = least_details(client, wishes, (calls[0], own, version), patience)?;
        return Ok(Ok(Plan::Least(Least { more, ..found })));
    }
    let mut no = No::of(&why.unwrap_or(Refusal { code: 0, text: String::new() }));
    no.why = format!("this is no Picodata that answers .proc_runtime_info: {}", no.why);
    Ok(Err(no))
}

/// Who this instance is, and which tables may be read.
fn least_details(
    client: &mut Client,
    wishes: &Wishes,
    (call, own, version): (&'static str, Option<u64>, Option<Answer>),
    patience: Duration,
) -> Result<Least, Trouble> {
    let answers = client.ask(
        &[
            Request::Select { space: VSPACE, index: 0, limit: 1, key: Some(Value::Uint(u64::from(INSTANCE))) },
            rows_of(INSTANCE),
            rows_of(PEER_ADDRESS),
        ],
        patience,
    )?;
    let [format, rows, addresses] = &answers[..] else { return Err(unreadable("answers are missing".into())) };
    let format = data(format)?.ok().and_then(|rows| rows.items().first().and_then(Columns::of_format));
    let columns = format.unwrap_or_default();
    let rows = data(rows)?;
    let all = rows.as_ref().map_or(Vec::new(), |rows| read_instances(rows, &columns));
    let name = all.into_iter().find(|i| i.raft_id.is_some() && i.raft_id == own).map(|i| i.name);
    let addresses = data(addresses)?.is_ok() && !wishes.leaves_out("addresses");
    let instances = !wishes.leaves_out("instances");
    Ok(Least { call, version, name, columns: rows.ok().map(|_| columns), instances, addresses, more: Vec::new() })
}

/// Who belongs to the cluster; none: this database does not say.
pub fn list(client: &mut Client, patience: Duration) -> Result<Option<Vec<Listed>>, Trouble> {
    let format = Request::Select { space: VSPACE, index: 0, limit: 1, key: Some(Value::Uint(u64::from(INSTANCE))) };
    let answers = client.ask(&[format, rows_of(INSTANCE), rows_of(PEER_ADDRESS)], patience)?;
    let [format, rows, addresses] = &answers[..] else { return Ok(None) };
    let (Ok(rows), Ok(addresses)) = (data(rows)?, data(addresses)?) else { return Ok(None) };
    let columns = data(format)?.ok().and_then(|f| f.items().first().and_then(Columns::of_format)).unwrap_or_default();
    Ok(members::read(&rows, &addresses, &columns))
}

fn rows_of(space: u32) -> Request<'static> {
    Request::Select { space, index: 0, limit: limits::METRICS_ROWS, key: None }
}

fn read_instances(rows: &Value<'_>, columns: &Columns) -> Vec<Instance> {
    rows.items().iter().filter_map(|row| columns.read(row)).collect()
}

/// Asks once, as was learnt.
pub fn ask(client: &mut Client, plan: &mut Plan, wishes: &Wishes, patience: Duration) -> Asked<Page> {
    match plan {
        Plan::Chunk(_, chunk) => {
            let answers = client.ask(&[Request::Eval(chunk)], patience)?;
            evaluated(&answers[0], &wishes.rules)
        }
        Plan::Functions(names) => {
            if let Err(no) = are_safe(client, names, patience)? {
                return Ok(Err(no));
            }
            let requests: Vec<_> = names.iter().map(|name| Request::Call(name)).collect();
            let answers = client.ask(&requests, patience)?;
            called(&answers, &wishes.rules)
        }
        Plan::Least(least) => ask_least(client, least, &wishes.rules, patience),
    }
}

/// What a chunk brought: a refusal, a page, or the parts of one.
fn evaluated(answer: &Answer, rules: &Rules) -> Asked<Page> {
    let values = match data(answer)? {
        Ok(values) => values,
        Err(refusal) => return Ok(Err(No::of(&refusal))),
    };
    let Some(found) = values.items().first() else { return Err(unreadable("the chunk brought nothing".into())) };
    check_size(found.get("page"))?;
    if let Some(why) = found.get("refused") {
        return Ok(Err(No::denied(why.text().unwrap_or_default())));
    }
    let part = |name: &str| found.get(name).filter(|part| matches!(part, Value::Map(_)));
    let (page, of_box, of_pico) = (found.get("page").and_then(Value::text), part("box"), part("pico"));
    if page.is_none() && of_box.is_none() && of_pico.is_none() {
        // No numbers at all is never what the chunk says: a page of nothing would look like a database in health.
        return Err(unreadable("the chunk brought no numbers".into()));
    }
    let mut out = Builder::new(rules);
    if let Some(page) = page {
        text::read(&page, &mut out);
    }
    if let Some(parts) = of_box {
        boxed::write(parts, &mut out);
    }
    let mut more = out.beside();
    if let Some(parts) = of_pico {
        pico::derived(parts, &mut more);
    }
    let via = found.get("via").and_then(Value::text).unwrap_or_default();
    let via = ["route", "plugin", "box"].into_iter().find(|known| *known == via).unwrap_or("box");
    page_of([out, more], via).map(Ok)
}

/// What functions brought: a page each; of two families with one name the first stays.
fn called(answers: &[Answer], rules: &Rules) -> Asked<Page> {
    let (mut builders, mut empty): (Vec<Builder<'_>>, _) = (Vec::new(), true);
    for answer in answers {
        let values = match data(answer)? {
            Ok(values) => values,
            Err(refusal) => return Ok(Err(No::of(&refusal))),
        };
        let first = values.items().first();
        check_size(first.map(|v| v.get("body").unwrap_or(v)))?;
        let Some(page) = first.and_then(|v| v.text().or_else(|| v.get("body").and_then(Value::text))) else {
            return Ok(Err(No::denied("a function brought neither a text nor a table with `body`")));
        };
        empty &= page.trim().is_empty();
        let mut out = builders.last().map_or_else(|| Builder::new(rules), Builder::beside);
        text::read(&page, &mut out);
        builders.push(out);
    }
    if empty {
        // A page of nothing would look like a database in health. An HTTP listener may still be coming up.
        let why = "the functions brought empty pages; the one of the route does while the HTTP listener is off";
        let pause = Duration::from_secs(limits::METRICS_FAILED_SECONDS);
        return Ok(Err(No { why: why.into(), pause }));
    }
    page_of(builders, "function").map(Ok)
}

/// Before any copy is made of it: what is no UTF-8 would grow threefold.
fn check_size(page: Option<&Value<'_>>) -> Result<(), Trouble> {
    let (Some(Value::Str(bytes)) | Some(Value::Bin(bytes))) = page else { return Ok(()) };
    match bytes.len() > limits::METRICS_PAGE_BYTES {
        true => {
            Err(too_large(&format!("{} MiB of text (at most {})", bytes.len() >> 20, limits::METRICS_PAGE_BYTES >> 20)))
        }
        false => Ok(()),
    }
}

fn too_large(why: &str) -> Trouble {
    let cure = "ask for less with --without tables,spaces, --only or --skip";
    Trouble::new(Reason::TooLarge, format!("the page of the database is too large: {why}; {cure}"))
}

fn page_of<'r>(builders: impl IntoIterator<Item = Builder<'r>>, via: &'static str) -> Result<Page, Trouble> {
    let mut page = Page { via, ..Page::default() };
    for builder in builders {
        if let Some(why) = builder.over() {
            return Err(too_large(why));
        }
        let (snapshot, tally) = builder.finish();
        page.snapshot.add_missing(snapshot);
        page.tally.merge(&tally);
    }
    Ok(page)
}

fn ask_least(client: &mut Client, least: &mut Least, rules: &Rules, patience: Duration) -> Asked<Page> {
    let mut requests = vec![Request::Call(least.call)];
    let columns = least.columns.filter(|_| least.instances);
    requests.extend(columns.map(|_| rows_of(INSTANCE)));
    requests.extend(least.addresses.then(|| rows_of(PEER_ADDRESS)));
    let (addresses, uuid, more) = (least.addresses, client.greeting().uuid.clone(), least.more.clone());
    requests.extend(more.iter().map(|name| match *name {
        HEALTH => Request::CallWith(HEALTH, &uuid),
        name => Request::Call(name),
    }));
    let answers = client.ask(&requests, patience)?;
    let mut out = Builder::new(rules);
    let [state, tables @ ..] = &answers[..] else { return Err(unreadable("answers are missing".into())) };
    let values = match data(state)? {
        Ok(values) => values,
        Err(refusal) => return Ok(Err(No::of(&refusal))),
    };
    let Some(info @ Value::Map(_)) = values.items().first() else {
        return Err(unreadable(format!("{} brought no table", least.call)));
    };
    let mut sheet = Sheet::new(&mut out, least.name.as_deref());
    match least.call {
        ".proc_raft_info" => pico::raft(info, &mut sheet),
        _ => pico::runtime(info, &mut sheet),
    }
    if let Some(Ok(version)) = least.version.as_ref().map(data).transpose()? {
        version.items().first().into_iter().for_each(|v| pico::version(v, &mut sheet));
    }
    let mut tables = tables.iter();
    if let (Some(columns), Some(answer)) = (columns, columns.and_then(|_| tables.next())) {
        match data(answer)? {
            Ok(rows) => {
                let all = read_instances(&rows, &columns);
                pico::instances(&all, &mut Sheet::new(&mut out, least.name.as_deref()));
            }
            // Revoked just now: not asked again on this connection.
            Err(_) => least.columns = None,
        }
    }
    if let Some(answer) = addresses.then(|| tables.next()).flatten() {
        match data(answer)? {
            Ok(rows) => pico::addresses(rows.items(), &mut Sheet::new(&mut out, least.name.as_deref())),
            Err(_) => least.addresses = false,
        }
    }
    of_itself(more, tables, least, &mut out)?;
    page_of([out], "least").map(Ok)
}

/// What else the instance says of itself, where it was asked.
fn of_itself<'a>(
    asked: Vec<&'static str>,
    answers: impl Iterator<Item = &'a Answer>,
    least: &mut Least,
    out: &mut Builder<'_>,
) -> Result<(), Trouble> {
    for (name, answer) in asked.into_iter().zip(answers) {
        match data(answer)? {
            Ok(values) => {
                let mut sheet = Sheet::new(out, least.name.as_deref());
                let info = values.items().first().unwrap_or(&Value::Nil);
                pico::health(info, &mut sheet);
                boxed::replication(info.get("replication"), &mut sheet);
            }
            // Not asked again on this connection: a denial is an event in the audit log.
            Err(no) if matches!(no.code, code::ACCESS_DENIED | code::NO_PROCEDURE) => least.more.retain(|n| *n != name),
            // Not ready yet.
            Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_begins_with_the_guard_whatever_is_wished() {
        let wishes = Wishes { without: vec!["spaces".into(), "x} os.exit() --".into()], ..Wishes::default() };
        for parts in [FULL, TARANTOOL] {
            let chunk = compose(parts, &wishes);
            assert!(chunk.starts_with(GUARD));
            assert!(chunk.contains("local without = {spaces=true,}\n") && !chunk.contains("exit"));
        }
        let code: Vec<&str> = GUARD.lines().filter(|l| !l.starts_with("--")).collect();
        assert_eq!(code[0], "if jit then jit.off(true, true) end");
        assert!(code.contains(&"if why ~= nil then return {refused = why} end"));
        assert!(PARTS.iter().all(|p| p.bytes().all(|b| b.is_ascii_lowercase())));
    }

    #[test]
    fn full_is_for_those_who_are_known_to_be_safe_or_asked_for() {
        let of = |user: &str, grade| Wishes { user: user.into(), grade, ..Wishes::default() };
        assert_eq!(of("pico_service", None).candidates()[0], Grade::Full);
        assert_eq!(of("admin", None).candidates()[0], Grade::Full);
        assert!(!of("mon", None).candidates().contains(&Grade::Full));
        assert_eq!(of("mon", Some(Grade::Full)).candidates(), [Grade::Full, Grade::Least]);
        let named = Wishes { functions: vec!["mon.metrics".into()], ..of("mon", None) };
        assert_eq!(named.candidates(), [Grade::Function, Grade::Least]);
    }
}
