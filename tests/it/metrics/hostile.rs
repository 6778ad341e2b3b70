//! Ten thousand servers that are not what they should be: each ends in a clear error, in bounded time and memory.
//!
//! A server plays Picodata's part up to a random step and then does something else. `SEED=` replays, and 5 % of the
//! servers are the slow kind.

use super::helper::figure;
use gostech::iproto::auth::Method;
use gostech::iproto::{Place, Reason};
use gostech::metrics::asker::{Address, Asker};
use gostech::metrics::login::Login;
use gostech::metrics::source::{Grade, Wishes};
use gostech::msgpack::{put, Value};
use gostech::net::secret::Secret;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn noise(&mut self, most: u64) -> Vec<u8> {
        (0..self.roll(most)).map(|_| self.roll(256) as u8).collect()
    }
}

const GREETING: &str = "Tarantool 2.11.5 (Binary) 3cd6b7a8-5e28-46eb-9113-acbac4e868f8";
const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A frame that answers the request of this sync.
fn frame(sync: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xce];
    out.extend((body.len() as u32 + 5).to_be_bytes());
    out.extend([0x82, 0, 0, 1, sync]);
    out.extend(body);
    out
}

/// A value of random shape, some of them far from what is asked for.
fn shape(dice: &mut Dice, depth: u64) -> Value<'static> {
    const TEXT: &[u8] = b"# TYPE a counter\na{b=\"c\"} 1\na{ 2\nh_bucket NaN\n\xff\xfe{}\"\\";
    let some = |d: &mut Dice| &TEXT[..d.roll(TEXT.len() as u64) as usize];
    match dice.roll(if depth == 0 { 7 } else { 10 }) {
        0 => Value::Nil,
        1 => Value::Bool(true),
        2 => Value::Int(-1),
        3 => Value::Uint(dice.roll(u64::MAX)),
        4 => Value::Float(f64::NAN),
        5 => Value::Str(some(dice)),
        6 => Value::Ext(dice.roll(8) as i8, some(dice)),
        7 => Value::Array((0..dice.roll(6)).map(|_| shape(dice, depth - 1)).collect()),
        _ => {
            const KEYS: [&[u8]; 8] = [b"page", b"via", b"refused", b"box", b"pico", b"body", b"spaces", b"instances"];
            Value::Map(
                (0..dice.roll(6)).map(|_| (Value::Str(KEYS[dice.roll(8) as usize]), shape(dice, depth - 1))).collect(),
            )
        }
    }
}

/// What goes wrong; true when the server has said its last word.
fn misbehave(socket: &mut TcpStream, sync: u8, dice: &mut Dice) -> bool {
    let bytes = match dice.roll(14) {
        0 => dice.noise(400),
        1 => vec![0xce, 0xff, 0xff, 0xff, 0xff],
        2 => [&[0xce, 0x03, 0xff, 0xff, 0xff][..], &dice.noise(1000)].concat(),
        3 => frame(sync, &[&[0x81, 0x30][..], &[0x91; 5000]].concat()),
        4 => frame(sync, &[0x81, 0x30, 0xdd, 0x7f, 0xff, 0xff, 0xff]),
        5 => frame(sync, &[0x81, 0x30, 0xdb, 0x7f, 0xff, 0xff, 0xff]),
        6 => frame(sync.wrapping_add(7), &[0x81, 0x30, 0x90]),
        7 => frame(sync, &[0xc1]),
        8 => frame(sync, b"\x90"),
        9 => vec![0xc0; 20],
        10 => {
            let whole = frame(sync, &[0x81, 0x30, 0x90]);
            whole[..dice.roll(whole.len() as u64) as usize].to_vec()
        }
        11 => {
            let mut body = vec![0x81, 0x30];
            put(&mut body, &Value::Array(vec![shape(dice, 5)]));
            let bytes = frame(sync, &body);
            // A right frame of a wrong shape may be taken for an answer: the connection goes on.
            return socket.write_all(&bytes).is_err();
        }
        12 => {
            let mut bytes = frame(sync, &[0x81, 0x30, 0x91, 0x81, 0xa1, b'x', 0x05]);
            let at = dice.roll(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << dice.roll(8);
            bytes
        }
        _ => Vec::new(),
    };
    let _ = socket.write_all(&bytes);
    true
}

/// A byte now and then, for as long as somebody reads.
fn trickle(socket: &mut TcpStream, mut bytes: Vec<u8>) -> Option<()> {
    bytes.resize(bytes.len() + 500, 0);
    for byte in bytes {
        socket.write_all(&[byte]).ok()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn play(mut socket: TcpStream, seed: u64) -> Option<()> {
    let mut dice = Dice::new(seed);
    let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
    let greeting = format!("{GREETING:<63}\n{SALT:<63}\n").into_bytes();
    let slow = seed.is_multiple_of(20);
    match dice.roll(8) {
        0 if slow => return trickle(&mut socket, greeting),
        0 => return socket.write_all(&dice.noise(300)).ok(),
        1 => return socket.write_all(&greeting[..dice.roll(128) as usize]).ok(),
        2 => {
            let mut bytes = greeting.clone();
            bytes[dice.roll(128) as usize] = dice.roll(256) as u8;
            socket.write_all(&bytes).ok()?;
        }
        _ => socket.write_all(&greeting).ok()?,
    }
    let good = dice.roll(4);
    for step in 0.. {
        let mut prefix = [0; 5];
        socket.read_exact(&mut prefix).ok()?;
        let size = u32::from_be_bytes(prefix[1..].try_into().ok()?);
        let mut request = vec![0; size as usize];
        socket.read_exact(&mut request).ok()?;
        // The header is a map of two, the second value the sync.
        let sync = request[4];
        if step < good {
            socket.write_all(&frame(sync, &[0x81, 0x30, 0x91, 0x94, 1, 1, 0xa1, b'x', 1])).ok()?;
        } else if slow {
            return trickle(&mut socket, frame(sync, &[0x81, 0x30, 0x90]));
        } else if misbehave(&mut socket, sync, &mut dice) {
            return None;
        }
    }
    None
}

/// Runs a test again in a process of its own, where the memory measured is its own; true when that was done.
fn alone(test: &str) -> bool {
    if std::env::var_os("GOSTECH_ALONE").is_some() {
        return false;
    }
    let this = std::env::current_exe().expect("this test binary");
    let status =
        std::process::Command::new(this).args(["--exact", test, "--nocapture"]).env("GOSTECH_ALONE", "1").status();
    assert!(status.expect("a second run").success(), "{test} failed in its own process");
    true
}

#[test]
fn ten_thousand_hostile_servers() {
    if alone("metrics::hostile::ten_thousand_hostile_servers") {
        return;
    }
    let first: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().unwrap().port();
    let seed = Arc::new(AtomicU64::new(first));
    let now = seed.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let seed = now.load(Ordering::SeqCst);
            std::thread::spawn(move || play(socket, seed));
        }
    });
    let before = figure(std::process::id(), "VmRSS");
    let (begun, mut slowest, mut failed) = (Instant::now(), Duration::ZERO, 0);
    let patience = Duration::from_millis(60);
    for n in 0..10_000 {
        seed.store(first + n, Ordering::SeqCst);
        let grade = [None, Some(Grade::Full), Some(Grade::Function), Some(Grade::Tarantool)][n as usize % 4];
        let user = ["mon", "pico_service"][n as usize / 4 % 2];
        let login = Login::new(user, Secret::literal("x"), Some(Method::ChapSha1));
        let functions = vec!["mon.metrics".to_string()];
        let wishes = Wishes { user: user.into(), grade, functions, ..Wishes::default() };
        let place = Place::Tcp("127.0.0.1".into(), port);
        let mut asker = Asker::new(Address { place, tls: None, patience }, login, wishes);
        let one = Instant::now();
        if let Err(trouble) = asker.poll() {
            failed += 1;
            assert!(!trouble.text.is_empty() && trouble.text.len() < 2000, "seed {}: {trouble:?}", first + n);
            assert!(
                trouble.reason != Reason::Connect && trouble.reason != Reason::Dns,
                "seed {}: {trouble:?}",
                first + n
            );
        }
        slowest = slowest.max(one.elapsed());
        assert!(one.elapsed() < Duration::from_secs(3), "seed {}: {:?}", first + n, one.elapsed());
    }
    let grown = figure(std::process::id(), "VmHWM").saturating_sub(before);
    eprintln!(
        "10000 hostile servers: {failed} errors, slowest {slowest:?}, all {:?}, memory +{grown} KiB",
        begun.elapsed()
    );
    assert!(failed > 7_000, "only {failed} of 10000 were noticed");
    assert!(grown < 128 * 1024, "{grown} KiB");
}
