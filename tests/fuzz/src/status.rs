//! `status`, `spool verify` and `quarantine list` over any files: an answer in words that a terminal bears and in JSON
//! that is JSON, and not a byte of the spool is changed.
//!
//! Refuses: the commands that write.

use super::recovery::{records, settings};
use super::slots::version;
use super::{stretch, Dice};
use gostech::audit::options::table::PROGRAM;
use gostech::audit::options::Options;
use gostech::audit::record::Kind;
use gostech::audit::spool::record::Head;
use gostech::audit::tools::call::{Call, Result, Stop};
use gostech::audit::tools::{quarantine, status, verify};
use gostech::error::Exit;
use gostech::flags::{parse, Outcome, Parsed};
use gostech::limits::{CURSOR_SLOT_BYTES, STATE_SLOT_BYTES};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const NOW: i64 = 1_795_224_477_000;
const SEGMENT: &str = "00000000000000000001.seg";

/// Seeds: a whole spool, one of halves, words that should not reach a terminal.
pub fn seeds() -> Vec<Vec<u8>> {
    let head = Head { first_seq: 1, epoch: 1, created_ms: NOW, identity: settings().identity, ..Head::default() };
    let segment = [head.encode(), records(&head, 3)].concat();
    let cursor = br#"{"next":2,"delivered":1,"retries":{"status":3},"last_ok_ms":5,"last_answer":"503\u001b[31m\n","last_answer_ms":9}"#;
    let state = br#"{"seq":3,"read":3,"titles":[["\u001b[2J",1,2]],"damages":[[2,2]],"generations":[[1,0,3,5]],"receivers":["r1"]}"#;
    let line = super::quarantine::written(Kind::Unparsed, Some(400), "\u{1b}[31m", (0, 0), b"\x1b[31m");
    let input = |flags: u8, segment: &[u8]| {
        let parts = [stretch(cursor), stretch(state), stretch(&line)].concat();
        [&[flags][..], &parts, segment].concat()
    };
    vec![input(3, &segment), input(0, &segment[..segment.len() - 9]), input(7, &segment[..2100]), input(3, &[])]
}

/// A directory that is gone with its input.
struct Den(PathBuf);

impl Den {
    fn new() -> Den {
        let fast = Path::new("/dev/shm");
        let root = if fast.is_dir() { fast.to_path_buf() } else { std::env::temp_dir() };
        let dir = root.join(format!("gostech-fuzz-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(dir.join("i")).expect("a directory can be made");
        Den(dir)
    }
}

impl Drop for Den {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Command = fn(&mut Call<'_>) -> Result<Exit>;

/// The commands that look, and how they are called.
const COMMANDS: [(Command, &[&str]); 3] =
    [(status::run, &["status"]), (verify::run, &["spool", "verify"]), (quarantine::list, &["quarantine", "list"])];

fn call(run: Command, den: &Den, words: &[&str]) -> String {
    let mut args: Vec<OsString> = words.iter().map(OsString::from).collect();
    args.extend(["--no-config".into(), "--spool-dir".into(), den.0.clone().into_os_string()]);
    let parsed: Parsed = match parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into())) {
        Ok(Outcome::Run(parsed)) => parsed,
        other => panic!("{words:?}: {other:?}"),
    };
    let options = Options::read(&parsed, &[], false).expect("these options are right");
    let mut out = Vec::new();
    let done = run(&mut Call { parsed: &parsed, options: &options, now_ms: NOW, out: &mut out });
    let mut text = String::from_utf8(out).expect("text");
    match done {
        Ok(_) => {}
        Err(Stop::Error(e)) => text.push_str(e.text()),
        Err(Stop::Output(e)) => panic!("{e}"),
    }
    text
}

/// The target.
pub fn check(input: &[u8]) {
    let den = Den::new();
    let mut dice = Dice(input);
    let flags = dice.byte();
    let small = |payload: &[u8], whole: bool, room: u64| {
        version(u64::from(flags / 8), payload, room).filter(|_| whole).unwrap_or(payload.to_vec())
    };
    let files = [
        ("cursor-r1", small(dice.stretch(), flags & 1 != 0, CURSOR_SLOT_BYTES)),
        ("state", small(dice.stretch(), flags & 2 != 0, STATE_SLOT_BYTES)),
        ("quarantine-r1.jsonl", dice.stretch().to_vec()),
        (SEGMENT, dice.0.to_vec()),
    ];
    let dir = den.0.join("i");
    let files = &files[..if flags & 4 != 0 { 3 } else { 4 }];
    files.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).expect("a file can be written"));
    for (run, words) in COMMANDS {
        let page = call(run, &den, words);
        let strange = page.chars().find(|c| c.is_control() && *c != '\n');
        assert!(strange.is_none() && !page.is_empty(), "{words:?} prints {strange:?}: {page:?}");
        let json = call(run, &den, &[words, &["--json"]].concat());
        serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|e| panic!("{words:?}: {e}: {json}"));
    }
    for (name, bytes) in files {
        assert!(std::fs::read(dir.join(name)).is_ok_and(|now| now == *bytes), "`{name}` was changed");
    }
    assert_eq!(std::fs::read_dir(&dir).map(Iterator::count).ok(), Some(files.len()), "a file was made");
}
