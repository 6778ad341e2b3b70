//! A stand-in for Picodata: iproto answered from the recorded answers, with faults on request.
//!
//! It keeps accounts (scrambles are checked), counts what it is asked, and can play the database that is slow or away.
//! The demo shows the same one (`examples/demo/database.rs`).

use gostech::iproto::auth::{put_proof, Method};
use gostech::msgpack::{put, put_array, put_map, put_str, put_uint, Reader, Value};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the stand-in says to a request.
#[derive(Clone)]
pub enum Reply {
    /// MessagePack of the data: a list.
    Data(Vec<u8>),
    /// MessagePack of the rows, and the names of their columns: the answer to a statement of SQL.
    Rows(&'static [&'static str], Vec<u8>),
    /// A refusal.
    No(u64, &'static str),
    /// Nothing, for so long; then the connection ends.
    Silence(Duration),
    /// These bytes instead of an answer.
    Raw(Vec<u8>),
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Auth(String, String),
    Ping,
    Call(String),
    Eval(String),
    Execute(String),
    Select(u64),
    Other(u64),
}

/// A connection of any kind.
pub trait Line: Read + Write + Send {}

impl<T: Read + Write + Send> Line for T {}

type Script = dyn Fn(&str, &Asked) -> Reply + Send + Sync;

pub struct Stand {
    pub port: u16,
    log: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Arc<Script>>>,
    /// Wrong tries in a row, by user.
    wrong: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// So many wrong tries in a row, and Picodata locks an account (but never `pico_service`).
const LOCKING_TRIES: u32 = 4;

/// A user whose account is locked.
pub const LOCKED: &str = "locked";

/// No request of the helper is near this.
const FRAME_BYTES: usize = 1 << 20;
/// Requests remembered between two looks: a demo asks for days, and nobody looks.
const REMEMBERED: usize = 1 << 16;
/// The instance that was recorded.
pub const UUID: &str = "3cd6b7a8-5e28-46eb-9113-acbac4e868f8";
const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

impl Stand {
    /// Listens; users are name, method, password. The script gets the user and the request.
    pub fn start(
        users: &[(&str, Method, &str)],
        script: impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        Stand::at(port, users, script, move || listener.accept().ok().map(|(s, _)| Box::new(s) as Box<dyn Line>))
    }

    /// The same as an instance of this identity.
    pub fn start_as(
        uuid: &str,
        users: &[(&str, Method, &str)],
        script: impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static,
    ) -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        Stand::of(uuid, port, users, script, move || listener.accept().ok().map(|(s, _)| Box::new(s) as Box<dyn Line>))
    }

    /// The same for connections that come in any other way; `None` is one that failed.
    pub fn at(
        port: u16,
        users: &[(&str, Method, &str)],
        script: impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static,
        accept: impl FnMut() -> Option<Box<dyn Line>> + Send + 'static,
    ) -> Stand {
        Stand::of(UUID, port, users, script, accept)
    }

    fn of(
        uuid: &str,
        port: u16,
        users: &[(&str, Method, &str)],
        script: impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static,
        mut accept: impl FnMut() -> Option<Box<dyn Line>> + Send + 'static,
    ) -> Stand {
        let accounts: BTreeMap<String, Vec<u8>> =
            users.iter().map(|(u, m, p)| (u.to_string(), proof(*m, u, p))).collect();
        let script: Arc<Script> = Arc::new(script);
        let stand = Stand { port, log: Arc::default(), script: Arc::new(Mutex::new(script)), wrong: Arc::default() };
        let uuid = uuid.to_string();
        let (log, script, wrong) = (stand.log.clone(), stand.script.clone(), stand.wrong.clone());
        std::thread::spawn(move || loop {
            let Some(line) = accept() else { continue };
            let (accounts, wrong) = (accounts.clone(), wrong.clone());
            let visit = Visit { uuid: uuid.clone(), accounts, log: log.clone(), script: script.clone(), wrong };
            std::thread::spawn(move || visit.run(line));
        });
        stand
    }

    /// From now on it answers by another script.
    pub fn becomes(&self, script: impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Wrong tries in a row that it has counted.
    pub fn wrong_tries(&self, user: &str) -> u32 {
        self.wrong.lock().unwrap().get(user).copied().unwrap_or(0)
    }

    /// Somebody else tries so often.
    pub fn somebody_tries(&self, user: &str, times: u32) {
        *self.wrong.lock().unwrap().entry(user.into()).or_default() += times;
    }

    /// ALTER USER … WITH LOGIN
    pub fn unlock(&self, user: &str) {
        self.wrong.lock().unwrap().remove(user);
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

fn proof(method: Method, user: &str, password: &str) -> Vec<u8> {
    let salt: [u8; 20] = std::array::from_fn(|i| i as u8);
    let mut out = Vec::new();
    put_proof(&mut out, method, user, password, &salt);
    out
}

struct Visit {
    uuid: String,
    accounts: BTreeMap<String, Vec<u8>>,
    log: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Arc<Script>>>,
    wrong: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Visit {
    fn run(&self, mut socket: Box<dyn Line>) -> Option<()> {
        let uuid = &self.uuid;
        let greeting = format!("{:<63}\n{SALT:<63}\n", format!("Tarantool 2.11.5 (Binary) {uuid}"));
        socket.write_all(greeting.as_bytes()).ok()?;
        let mut user = "guest".to_string();
        loop {
            let mut prefix = [0; 5];
            socket.read_exact(&mut prefix).ok()?;
            let size = Reader::new(&prefix).value().ok()?.uint()?;
            let mut frame = vec![0; usize::try_from(size).ok().filter(|n| *n < FRAME_BYTES)?];
            socket.read_exact(&mut frame).ok()?;
            let mut reader = Reader::new(&frame);
            let header = reader.value().ok()?;
            let sync = header.at(1)?.uint()?;
            let body = reader.value().unwrap_or(Value::Nil);
            let asked = understand(header.at(0)?.uint()?, &body);
            let mut log = self.log.lock().unwrap();
            if log.len() < REMEMBERED {
                log.push(asked.clone());
            }
            drop(log);
            let reply = match &asked {
                Asked::Auth(name, _) => {
                    let mut shown = Vec::new();
                    put(&mut shown, body.at(0x21)?);
                    let right = self.accounts.get(name).is_some_and(|known| same(known, &shown));
                    let reply = self.judge(name, right);
                    if matches!(reply, Reply::Data(_)) {
                        user.clone_from(name);
                    }
                    reply
                }
                Asked::Ping => Reply::Data(vec![0x90]),
                other => {
                    let script = self.script.lock().unwrap().clone();
                    script(&user, other)
                }
            };
            answer(&mut *socket, sync, reply)?;
        }
    }

    /// What Picodata says to a login: whether the account is locked comes first, and a locked one counts nothing.
    fn judge(&self, name: &str, right: bool) -> Reply {
        let mut wrong = self.wrong.lock().unwrap();
        let before = wrong.get(name).copied().unwrap_or(0);
        if name != "pico_service" && (before >= LOCKING_TRIES || name == LOCKED) {
            return Reply::No(32, "Maximum number of login attempts exceeded");
        }
        if right {
            wrong.remove(name);
            return Reply::Data(vec![0x90]);
        }
        wrong.insert(name.into(), before + 1);
        Reply::No(47, "User not found or supplied credentials are invalid")
    }
}

/// The same value, whatever the widths of its lengths.
fn same(a: &[u8], b: &[u8]) -> bool {
    match (Reader::new(a).value(), Reader::new(b).value()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

pub fn understand(kind: u64, body: &Value<'_>) -> Asked {
    let text = |key| body.at(key).and_then(Value::text).map(|t| t.into_owned()).unwrap_or_default();
    match kind {
        7 => Asked::Auth(text(0x23), body.at(0x21).and_then(|t| t.items().first()?.text()).unwrap_or_default().into()),
        64 => Asked::Ping,
        10 => Asked::Call(text(0x22)),
        8 => Asked::Eval(text(0x27)),
        11 => Asked::Execute(text(0x40)),
        1 => Asked::Select(body.at(0x10).and_then(Value::uint).unwrap_or(0)),
        other => Asked::Other(other),
    }
}

fn answer(socket: &mut dyn Line, sync: u64, reply: Reply) -> Option<()> {
    let mut more = Vec::new();
    let (code, body) = match reply {
        Reply::Data(data) => (0, (0x30, data)),
        Reply::Rows(columns, data) => {
            put_uint(&mut more, 0x32);
            put_array(&mut more, columns.len());
            for column in columns {
                put_map(&mut more, 1);
                put_uint(&mut more, 0);
                put_str(&mut more, column);
            }
            (0, (0x30, data))
        }
        Reply::No(code, words) => {
            let mut text = Vec::new();
            put_str(&mut text, words);
            (0x8000 | code, (0x31, text))
        }
        Reply::Silence(how_long) => {
            std::thread::sleep(how_long);
            return None;
        }
        Reply::Raw(bytes) => return socket.write_all(&bytes).ok(),
    };
    let mut out = vec![0xce, 0, 0, 0, 0];
    put_map(&mut out, 3);
    for (key, value) in [(0, code), (1, sync), (5, 148)] {
        put_uint(&mut out, key);
        put_uint(&mut out, value);
    }
    put_map(&mut out, 1 + usize::from(!more.is_empty()));
    put_uint(&mut out, body.0);
    out.extend(body.1);
    out.extend(more);
    let size = (out.len() - 5) as u32;
    out[1..5].copy_from_slice(&size.to_be_bytes());
    socket.write_all(&out).ok()
}

/// JSON as MessagePack.
pub fn pack(json: &serde_json::Value, out: &mut Vec<u8>) {
    use serde_json::Value as J;
    match json {
        J::Null => put(out, &Value::Nil),
        J::Bool(b) => put(out, &Value::Bool(*b)),
        J::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
            (Some(n), _, _) => put_uint(out, n),
            (_, Some(n), _) => put(out, &Value::Int(n)),
            (_, _, n) => put(out, &Value::Float(n.expect("a number"))),
        },
        J::String(s) => put(out, &Value::Str(s.as_bytes())),
        J::Array(items) => {
            put_array(out, items.len());
            items.iter().for_each(|v| pack(v, out));
        }
        J::Object(pairs) => {
            put_map(out, pairs.len());
            for (name, v) in pairs {
                // Numbers that JSON had to write as texts.
                match name.parse() {
                    Ok(n) => put_uint(out, n),
                    Err(_) => put_str(out, name),
                }
                pack(v, out);
            }
        }
    }
}

/// A reply of these values.
pub fn data(json: serde_json::Value) -> Reply {
    let mut out = Vec::new();
    pack(&json, &mut out);
    Reply::Data(out)
}

/// A recorded answer.
pub fn recorded(name: &str) -> serde_json::Value {
    let path = format!("{}/tests/data/picodata-25.5.7/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let json: serde_json::Value = serde_json::from_str(&text).expect("json");
    json["body"]["DATA"].clone()
}

/// The recorded page of the built-in endpoint.
pub fn recorded_page(name: &str) -> String {
    let path = format!("{}/tests/data/picodata-25.5.7/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Picodata 25.5.7 as it was recorded, with an HTTP listener (`page` is what its route gives) or without.
pub fn picodata(page: Option<String>) -> impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static {
    use serde_json::json;
    move |user, asked| {
        let full = user == "pico_service" || user == "admin";
        match asked {
            Asked::Eval(_) if !full => Reply::No(42, "Execute access to universe '' is denied for user"),
            Asked::Eval(_) => match &page {
                Some(page) => data(json!([{"page": page, "via": "route"}])),
                None => data(json!([{
                    "page": recorded("iproto-eval-prometheus")[0]["body"], "via": "plugin",
                    "pico": {
                        "instance": recorded("iproto-call-proc_instance_info")[0],
                        "raft": recorded("iproto-call-proc_raft_info")[0],
                        "uptime": 12.5, "dir": "data", "commit": ["commit", 59],
                        "instances": [named_instance("default_1_1", "Online"), named_instance("default_1_2", "Offline")],
                        "tables": [["warehouse", "user", "memtx", 1, 98311], ["cold", "user", "vinyl", 5, -1]],
                    },
                }])),
            },
            Asked::Call(name) => match name.as_str() {
                ".proc_runtime_info_v2" | ".proc_runtime_info" | ".proc_version_info" | ".proc_raft_info" => {
                    data(recorded(&format!("iproto-call-{}", &name[1..])))
                }
                "mon.metrics" => data(recorded("iproto-eval-prometheus")),
                "mon.pico" => data(recorded("iproto-eval-httpd-route-metrics")),
                _ => Reply::No(42, "Execute access to function is denied for user"),
            },
            Asked::Select(280) if full => data(json!([[280, 1, "_space"]])),
            Asked::Select(281) => data(json!([[515, 1, "_pico_instance", "memtx", 0, {}, format_of_instance()]])),
            Asked::Select(297) => data(json!([[70, 1, "mon.metrics", 1, "LUA"]])),
            Asked::Select(514) => data(json!([[1, "127.0.0.1:23301", "iproto"], [1, "127.0.0.1:24327", "pgproto"]])),
            Asked::Select(515) => data(json!([instance("default_1_1", "Online"), instance("default_1_2", "Offline")])),
            _ => Reply::No(42, "Read access to space is denied for user"),
        }
    }
}

const COLUMNS: [&str; 10] = [
    "name",
    "uuid",
    "raft_id",
    "replicaset_name",
    "replicaset_uuid",
    "current_state",
    "target_state",
    "failure_domain",
    "tier",
    "picodata_version",
];

pub fn format_of_instance() -> serde_json::Value {
    COLUMNS.iter().map(|c| serde_json::json!({"name": c, "type": "any"})).collect()
}

pub fn instance(name: &str, state: &str) -> serde_json::Value {
    let (uuid, raft_id) =
        if name == "default_1_1" { ("3cd6b7a8-5e28-46eb-9113-acbac4e868f8", 1) } else { ("other", 2) };
    serde_json::json!([name, uuid, raft_id, "default_1", "c8", [state, 3], ["Online", 3], {}, "default", "25.5.7"])
}

fn named_instance(name: &str, state: &str) -> serde_json::Value {
    named(&COLUMNS, &instance(name, state))
}

/// A row as a map of its columns' names.
pub fn named(columns: &[&str], row: &serde_json::Value) -> serde_json::Value {
    columns.iter().enumerate().map(|(i, c)| (c.to_string(), row[i].clone())).collect::<serde_json::Map<_, _>>().into()
}
