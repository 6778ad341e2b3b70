//! Servers that are not what they should be: each plays Picodata's part up to one place, does one wrong thing there, and
//! says beforehand what the helper must make of it: which trouble in which words, or which numbers exactly.
//!
//! Everything follows from the seed. Refuses: a wrong thing without a verdict.

use super::helper::{samples, Samples};
use super::stand::{picodata, Asked, Reply};
use gostech::iproto::Reason;
use gostech::metrics::source::Grade;
use gostech::msgpack::{put, put_str, put_uint, Reader, Value};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }
}

/// What is asked of the database, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plan {
    Least,
    Full,
    Function,
    Tarantool,
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        [Plan::Least, Plan::Full, Plan::Function, Plan::Tarantool][(seed % 4) as usize]
    }

    pub fn user(self) -> &'static str {
        if matches!(self, Plan::Full | Plan::Tarantool) {
            "pico_service"
        } else {
            "mon"
        }
    }

    pub fn grade(self) -> Grade {
        match self {
            Plan::Least => Grade::Least,
            Plan::Full => Grade::Full,
            Plan::Function => Grade::Function,
            Plan::Tarantool => Grade::Tarantool,
        }
    }

    /// Frames of a whole poll: the login; what is learnt; what is asked. Least: runtime, three details, then three.
    fn frames(self) -> u64 {
        if self == Plan::Least {
            8
        } else {
            3
        }
    }
}

/// The one wrong thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Evil {
    /// The first 128 bytes are these, or fewer and then the end.
    Greeting(Vec<u8>),
    /// The end instead of an answer.
    Close,
    /// Nothing instead of an answer, or a byte now and then.
    Silence,
    Trickle,
    /// These bytes, and then the end.
    Raw(Vec<u8>),
    /// An answer with this header (the right sync where it says `SYNC`) and this body.
    Frame(Vec<u8>, Vec<u8>),
    /// A refusal of this code, with this body.
    Refuse(u64, Vec<u8>),
    /// A success with this data; none: no data at all.
    Data(Option<Vec<u8>>),
    /// A page of text, as a chunk and as a function bring it.
    Page(String),
}

/// What the helper must make of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// No numbers: the reason, and words in the sentence.
    No(Reason, String),
    /// These numbers, from this source.
    Numbers(Grade, Samples),
}

/// A server.
pub struct Villain {
    pub plan: Plan,
    /// At which frame of the helper's; 0 is the login. Greetings come before.
    pub at: u64,
    pub evil: Evil,
    pub verdict: Verdict,
}

const PAGE: &str = "# TYPE mon_good gauge\nmon_good{of=\"a\"} 1\nmon_good{of=\"b\"} 2.5\n";
const UUID: &str = "3cd6b7a8-5e28-46eb-9113-acbac4e868f8";
const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Stands for the sync of the request in the header of a `Frame`.
const SYNC: u8 = 0xc1;
const HEADER: &[u8] = &[0x82, 0, 0, 1, SYNC];

fn greeting(first: &str, second: &str) -> Vec<u8> {
    format!("{first:<63}\n{second:<63}\n").into_bytes()
}

fn right_greeting() -> Vec<u8> {
    greeting(&format!("Tarantool 2.11.5 (Binary) {UUID}"), SALT)
}

fn no(reason: Reason, words: &str) -> Verdict {
    Verdict::No(reason, words.to_string())
}

impl Villain {
    /// The server of a seed.
    pub fn of(seed: u64, whole: &Whole) -> Villain {
        let mut dice = Dice::new(seed);
        let plan = Plan::of(seed);
        let at = dice.roll(plan.frames());
        let (evil, verdict) = match dice.roll(10) {
            0 | 1 => bad_greeting(&mut dice, plan, whole),
            2 => broken_off(&mut dice),
            3..=5 => no_frame(&mut dice),
            6 => refusal(&mut dice, plan, at, whole),
            7 | 8 => odd_data(&mut dice, plan, at, whole),
            _ => return page_of_text(&mut dice, plan, whole),
        };
        Villain { plan, at, evil, verdict }
    }

    /// Whether the verdict is that it took too long.
    pub fn slow(&self) -> bool {
        matches!(self.verdict, Verdict::No(Reason::Timeout, _))
    }
}

/// What servers without fault give: the numbers by plan.
pub struct Whole {
    pub of: Box<dyn Fn(Plan) -> Samples + Send + Sync>,
}

impl Whole {
    fn page(&self, plan: Plan) -> Verdict {
        Verdict::Numbers(plan.grade(), (self.of)(plan))
    }

    /// The page of `least`, changed.
    fn least(&self, change: impl Fn(&str) -> Option<String>) -> Verdict {
        let all = (self.of)(Plan::Least).into_iter();
        Verdict::Numbers(Grade::Least, all.filter_map(|(k, v)| Some((change(&k)?, v))).collect())
    }
}

fn bad_greeting(dice: &mut Dice, plan: Plan, whole: &Whole) -> (Evil, Verdict) {
    let right = right_greeting();
    let protocol = |bytes: Vec<u8>, words| (Evil::Greeting(bytes), no(Reason::Protocol, words));
    match dice.roll(9) {
        0 => {
            let part = right[..dice.roll(128) as usize].to_vec();
            (Evil::Greeting(part), no(Reason::Closed, "closed the connection before its greeting"))
        }
        1 => protocol((0..128).map(|_| 0x80 | dice.roll(128) as u8).collect(), "no Tarantool: no greeting"),
        2 => protocol(greeting("HTTP/1.1 400 Bad Request", "Connection: close"), "no Tarantool: no greeting"),
        3 => protocol(greeting("Tarantool 2.11.5 (Lua console)", "type 'help' for help"), "an admin console"),
        4 => protocol(greeting("Tarantool 2.11.5 (Quantum) x", SALT), "a greeting of an unknown kind"),
        5 => {
            // Not base64, too short, or not there.
            let salt = dice.pick(&["!AECAwQFBgcICQoLDA0ODxAREhM=", "AAECAwQ=", ""]);
            protocol(greeting(&format!("Tarantool 2.11.5 (Binary) {UUID}"), salt), "a greeting without a salt")
        }
        6 => {
            // An answer that nobody asked for comes along.
            let early = frame(77, HEADER, &[0x81, 0x30, 0x90]);
            protocol([right, early].concat(), "a question that was not asked")
        }
        _ => {
            // Versions that nobody has heard of, and no identity: strange, but a greeting.
            let first =
                dice.pick(&["Tarantool 99.1.0 (Binary) x", "Tarantool x.y (Binary)", "Tarantool  3.0  (Binary) "]);
            (Evil::Greeting(greeting(first, SALT)), whole.page(plan))
        }
    }
}

/// No answer, or a part of one.
fn broken_off(dice: &mut Dice) -> (Evil, Verdict) {
    let late = || no(Reason::Timeout, "did not answer in time");
    let closed = no(Reason::Closed, "closed the connection before");
    let whole = frame(1, HEADER, &[0x81, 0x30, 0x91, 0xa5, b'w', b'o', b'r', b'd', b's']);
    match dice.roll(8) {
        0 => (Evil::Silence, late()),
        1 => (Evil::Trickle, late()),
        2..=4 => (Evil::Close, closed),
        5 => {
            // Promises up to 64 MiB, and brings little.
            let promise = (1_000 + dice.roll((64 << 20) - 1_000)) as u32;
            let bytes = [&[0xce][..], &promise.to_be_bytes(), &vec![7; dice.roll(900) as usize]].concat();
            (Evil::Raw(bytes), closed)
        }
        _ => (Evil::Raw(whole[..dice.roll(whole.len() as u64) as usize].to_vec()), closed),
    }
}

/// What is no frame, or a frame that is no answer.
fn no_frame(dice: &mut Dice) -> (Evil, Verdict) {
    let protocol = |evil, words: &str| (evil, no(Reason::Protocol, words));
    let body = |bytes: &[u8]| Evil::Frame(HEADER.to_vec(), bytes.to_vec());
    let head = |bytes: &[u8]| Evil::Frame(bytes.to_vec(), vec![0x81, 0x30, 0x90]);
    match dice.roll(12) {
        0 => {
            let tag = dice
                .pick(&[0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc4, 0xca, 0xcb, 0xd0, 0xd3, 0xd9, 0xdc, 0xdf, 0xe0, 0xff_u8]);
            let noise: Vec<u8> = (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect();
            protocol(Evil::Raw([&[tag][..], &noise].concat()), &format!("a frame cannot begin with byte 0x{tag:02x}"))
        }
        1 => {
            let size: &[u8] = dice.pick(&[
                &[0xce, 0xff, 0xff, 0xff, 0xff][..],
                &[0xce, 4, 0, 0, 1],
                &[0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0],
                &[0],
                &[0xcd, 0, 0],
            ]);
            protocol(Evil::Raw(size.to_vec()), "(at most 67108864 are taken)")
        }
        2 => protocol(
            body(&[&[0x81, 0x30][..], &vec![0x91; 40 + dice.roll(5_000) as usize]].concat()),
            "nested too deeply",
        ),
        3 => {
            let claim = dice.pick(&[0xdd, 0xdf, 0xdb, 0xc6, 0xc9_u8]);
            let most = dice.pick(&[[0x7f, 0xff, 0xff, 0xff], [0, 0, 0x10, 0], [0xff; 4]]);
            protocol(body(&[&[0x81, 0x30, claim][..], &most, &[0; 20]].concat()), "shorter than it claims")
        }
        4 if dice.roll(8) == 0 => {
            protocol(body(&[&[0x81, 0x30, 0xdd, 0, 9, 0, 0][..], &vec![0xc0; 9 << 16]].concat()), "too many values")
        }
        4 | 5 => protocol(body(&[0x81, 0x30, 0x91, 0xc1]), "the reserved byte 0xc1"),
        6 => {
            let other: &[u8] =
                dice.pick(&[&[0][..], &[0x7f], &[0xcc, 0x80], &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]]);
            protocol(head(&[&[0x82, 0, 0, 1][..], other].concat()), "a question that was not asked")
        }
        7 => {
            let header: &[u8] =
                dice.pick(&[&[0x80][..], &[0x81, 0, 0], &[0x81, 1, SYNC], &[0x82, 0, 0xa1, b'x', 1, SYNC], &[0x90]]);
            protocol(head(header), "without code or sync in its header")
        }
        8 => protocol(head(&[0x82, 0, 0, 1]), ""),
        9 => protocol(body(dice.pick(&[&[0x90][..], &[0xa1, b'x'], &[5], &[0xc0]])), "whose body is no map"),
        10 => protocol(body(&[0x81, 0x30, 0x90, 0x80]), "something behind its body"),
        _ => protocol(head(&[0x82, 0, dice.pick(&[1, 5, 0x7f]), 1, SYNC]), "the unknown code"),
    }
}

/// A label of every sample, taken away.
fn nameless(series: &str) -> Option<String> {
    let own = "instance_name=\"default_1_1\"";
    let bare =
        series.replace(&format!("{{{own}}}"), "").replace(&format!("{own},"), "").replace(&format!(",{own}"), "");
    Some(bare)
}

fn without(family: &'static str) -> impl Fn(&str) -> Option<String> {
    move |series| (!series.starts_with(family)).then(|| series.to_string())
}

const STATES: &str = "pico_instance_state";
const ADDRESSES: &str = "picodata_peer_address_info";

fn refusal(dice: &mut Dice, plan: Plan, at: u64, whole: &Whole) -> (Evil, Verdict) {
    let text = |t: &str| {
        let mut body = vec![0x81, 0x31];
        put_str(&mut body, t);
        body
    };
    // Words, none, a number for words, and more words than anybody wants.
    let body = dice.pick(&[text("not for you"), vec![0x80], vec![0x81, 0x31, 5], text(&"no ".repeat(5_000))]);
    let verdict = match (plan, at) {
        (_, 0) => no(Reason::Auth, "the database does not let"),
        (Plan::Full | Plan::Function, _) | (Plan::Least, 2) => whole.least(|s| Some(s.to_string())),
        // The older call does not tell of the system's memory.
        (Plan::Least, 1) => whole.least(without("picodata_slab_system")),
        (Plan::Tarantool, _) | (Plan::Least, 5) => no(Reason::Denied, "may see nothing here"),
        (Plan::Least, 3) => whole.least(|s| without(STATES)(s).and_then(|s| nameless(&s))),
        (Plan::Least, 6) => whole.least(without(STATES)),
        (Plan::Least, _) => whole.least(without(ADDRESSES)),
    };
    (Evil::Refuse(dice.pick(&[42, 33, 36, 32, 1]), body), verdict)
}

/// Data of a shape that was not asked for.
fn odd_data(dice: &mut Dice, plan: Plan, at: u64, whole: &Whole) -> (Evil, Verdict) {
    let other = vec![0x91, 0x81, 0xa3, b'f', b'o', b'o', 1];
    let shapes = [
        None,
        Some(vec![0x90]),
        Some(vec![0x91, 5]),
        Some(vec![0x91, 0xc0]),
        Some(vec![0x91, 0x90]),
        Some(vec![0x91, 0x80]),
        Some(other),
        Some(vec![0x80]),
        Some(vec![5]),
    ];
    let n = dice.roll(shapes.len() as u64) as usize;
    let shape = shapes[n].clone();
    let one = (2..=6).contains(&n);
    let same = || whole.page(plan);
    let fallback = || whole.least(|s| Some(s.to_string()));
    let nothing = |words| no(Reason::Protocol, words);
    let verdict = match (plan, at) {
        (_, 0) => same(),
        // One row is one row; the chunk looks again.
        (Plan::Full | Plan::Tarantool, 1) if one => same(),
        (Plan::Full, 1) | (Plan::Function, _) => fallback(),
        (Plan::Tarantool, 1) => no(Reason::Denied, "`_space` is empty for this user"),
        (Plan::Full | Plan::Tarantool, _) if one => nothing("the chunk brought no numbers"),
        (Plan::Full | Plan::Tarantool, _) => nothing("the chunk brought nothing"),
        (Plan::Least, 2 | 4) => same(),
        // Who it is stands in the first answer, what it is called in its row.
        (Plan::Least, 1 | 3) => whole.least(nameless),
        (Plan::Least, 5) if n == 5 || n == 6 => {
            whole.least(|s| (s.starts_with(STATES) || s.starts_with(ADDRESSES)).then(|| s.to_string()))
        }
        (Plan::Least, 5) => nothing(".proc_runtime_info_v2 brought no table"),
        (Plan::Least, 6) => whole.least(without(STATES)),
        (Plan::Least, _) => whole.least(without(ADDRESSES)),
    };
    (Evil::Data(shape), verdict)
}

/// A page in which good families stand among broken ones: the good ones come through, exactly.
fn page_of_text(dice: &mut Dice, plan: Plan, whole: &Whole) -> Villain {
    let plan = if plan == Plan::Least { Plan::Function } else { plan };
    const BAD: [&str; 6] = [
        "bad_labels{a=\"1\" 5\n",
        "bad_value x\n",
        "9bad_name 1\n",
        "{} 1\n",
        "# TYPE bad_histogram histogram\nbad_histogram_bucket{le=\"x\"} 1\nbad_histogram_count 1\nbad_histogram_sum 1\n",
        "\u{fffd}\u{0} 1\n",
    ];
    let (mut page, mut good) = (String::new(), Samples::new());
    for i in 0..dice.roll(6) {
        for _ in 0..dice.roll(3) {
            page.push_str(dice.pick(&BAD));
        }
        let value = dice.roll(1 << 40) as f64 / 8.0;
        page.push_str(&format!("# TYPE good_{i} gauge\ngood_{i}{{n=\"{i}\"}} {value}\n"));
        good.insert(format!("good_{i}{{n=\"{i}\"}}"), value);
    }
    let verdict = match plan {
        // Functions that bring nothing at all are not in order.
        Plan::Function if page.trim().is_empty() => whole.least(|s| Some(s.to_string())),
        _ => Verdict::Numbers(plan.grade(), good),
    };
    Villain { plan, at: 2, evil: Evil::Page(page), verdict }
}

/// A frame with this header and body.
fn frame(sync: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = header.iter().map(|b| if *b == SYNC { sync } else { *b }).collect();
    let size = (header.len() + body.len()) as u32;
    [&[0xce][..], &size.to_be_bytes(), &header, body].concat()
}

/// The answer of a Picodata without fault.
fn right(user: &str, asked: &Asked, sync: u8) -> Vec<u8> {
    let reply = match asked {
        Asked::Auth(..) | Asked::Ping => Reply::Data(vec![0x90]),
        Asked::Eval(_) | Asked::Call(_) | Asked::Select(_) => match (asked, picodata(Some(PAGE.into()))(user, asked)) {
            (Asked::Call(name), _) if name == "mon.metrics" => Reply::Data(text_page(PAGE, false)),
            (_, reply) => reply,
        },
        Asked::Other(_) | Asked::Execute(_) => Reply::No(1, "what is that?"),
    };
    match reply {
        Reply::Data(data) => frame(sync, HEADER, &[&[0x81, 0x30][..], &data].concat()),
        Reply::No(code, words) => refused(sync, code, &{
            let mut body = vec![0x81, 0x31];
            put_str(&mut body, words);
            body
        }),
        Reply::Silence(_) | Reply::Raw(_) | Reply::Rows(..) => Vec::new(),
    }
}

fn refused(sync: u8, code: u64, body: &[u8]) -> Vec<u8> {
    let mut header = vec![0x82, 0];
    put_uint(&mut header, 0x8000 | code);
    frame(sync, &[&header[..], &[1, SYNC]].concat(), body)
}

/// A list of one page, as a chunk or as a function gives it.
fn text_page(page: &str, chunk: bool) -> Vec<u8> {
    let mut data = vec![0x91];
    let text = Value::Str(page.as_bytes());
    put(&mut data, &if chunk { Value::Map(vec![(Value::Str(b"page"), text)]) } else { text });
    data
}

impl Evil {
    /// What it writes instead of the right answer, and whether it goes on rightly afterwards.
    fn words(&self, sync: u8, plan: Plan) -> (Vec<u8>, bool) {
        match self {
            Evil::Greeting(_) => (Vec::new(), true),
            Evil::Close | Evil::Silence | Evil::Trickle => (Vec::new(), false),
            Evil::Raw(bytes) => (bytes.clone(), false),
            // A whole frame: the other answers of a batch follow before all of them are looked into.
            Evil::Frame(header, body) => (frame(sync, header, body), true),
            Evil::Refuse(code, body) => (refused(sync, *code, body), true),
            Evil::Data(None) => (frame(sync, HEADER, &[0x80]), true),
            Evil::Data(Some(data)) => (frame(sync, HEADER, &[&[0x81, 0x30][..], data].concat()), true),
            Evil::Page(page) => {
                let data = text_page(page, plan != Plan::Function);
                (frame(sync, HEADER, &[&[0x81, 0x30][..], &data].concat()), true)
            }
        }
    }
}

/// Plays a villain's part on one connection, to its end; none: a server without fault.
pub fn play(mut socket: TcpStream, villain: Option<&Villain>) -> Option<()> {
    let _ = socket.set_read_timeout(Some(Duration::from_secs(20)));
    let _ = socket.set_nodelay(true);
    match villain.map(|v| &v.evil) {
        Some(Evil::Greeting(bytes)) => {
            socket.write_all(bytes).ok()?;
            if bytes.len() < 128 {
                return drain(&mut socket);
            }
        }
        _ => socket.write_all(&right_greeting()).ok()?,
    }
    let mut user = "guest".to_string();
    for n in 0.. {
        let mut prefix = [0; 5];
        socket.read_exact(&mut prefix).ok()?;
        let mut request = vec![0; u32::from_be_bytes(prefix[1..].try_into().ok()?) as usize];
        socket.read_exact(&mut request).ok()?;
        let mut reader = Reader::new(&request);
        let header = reader.value().ok()?;
        let (kind, sync) = (header.at(0)?.uint()?, header.at(1)?.uint()? as u8);
        let asked = super::stand::understand(kind, &reader.value().ok()?);
        if let Asked::Auth(name, _) = &asked {
            user.clone_from(name);
        }
        let here = villain.filter(|v| v.at == n && !matches!(v.evil, Evil::Greeting(_)));
        let Some(v) = here else {
            socket.write_all(&right(&user, &asked, sync)).ok()?;
            continue;
        };
        let (bytes, goes_on) = v.evil.words(sync, v.plan);
        socket.write_all(&bytes).ok()?;
        match v.evil {
            Evil::Silence => return hold(&mut socket),
            Evil::Trickle => return trickle(&mut socket, &right(&user, &asked, sync)),
            _ if goes_on => {}
            _ => return drain(&mut socket),
        }
    }
    None
}

/// Says that nothing more comes, and reads until the other side has gone: a close with something unread would be a reset.
fn drain(socket: &mut TcpStream) -> Option<()> {
    socket.shutdown(Shutdown::Write).ok()?;
    hold(socket)
}

fn hold(socket: &mut TcpStream) -> Option<()> {
    while socket.read(&mut [0; 4096]).ok()? > 0 {}
    None
}

/// Everything but the last byte, slower than anybody waits.
fn trickle(socket: &mut TcpStream, answer: &[u8]) -> Option<()> {
    for byte in &answer[..answer.len() - 1] {
        socket.write_all(&[*byte]).ok()?;
        std::thread::sleep(Duration::from_millis(10));
    }
    hold(socket)
}

/// The numbers of a snapshot as a scraper would read them.
pub fn shown(snapshot: &gostech::metrics::snapshot::Snapshot) -> Samples {
    let mut page = Vec::new();
    let all = gostech::metrics::assemble::Assembled::of([snapshot], &[], 0);
    gostech::metrics::render::prometheus::write(&all, &mut page);
    samples(&String::from_utf8(page).expect("a page of UTF-8"))
}
