//! The configuration files of both programs: understood or refused in one line that shows no secret; a quoted value comes
//! back as it was meant.
//!
//! Refuses: to read a file that the configuration names.

use super::{is_one_line, stretch, Dice};
use gostech::audit::options::Options;
use gostech::error::Result;
use gostech::flags::{parse, Outcome, Parsed, Program};
use std::ffi::OsString;
use std::path::Path;

const SECRET: &str = "hunter2hunter2";

/// Seeds: configurations as the packages ship them, and every piece of the syntax.
pub fn seeds() -> Vec<Vec<u8>> {
    let audit =
        "# audit\nurl https://logstash.example.com:8080\nname = main\ngzip\nheader \"X-A: b\" # more\nformat=ndjson\n\
                 url https://b\nfailover yes\nspool-max 4G\nretain 1h\nspool-full drop-oldest\non-alarm /bin/true x\n\
                 event-max 1M\nmemory-max 8M\n--sync always\nuser u\npassword-file /x\n";
    let metrics = "host localhost\nport 3301\nusername mon\npassword \"a\\\"b\\\\\"\naddr [::]:4401\naddr unix:/run/x.sock,mode=0660\n\
                   source least\nlabel dc=x\nonly pico\nskip lj_\ntls-auth\ntls-ca /a\ntimeout 5s\nmin-interval 1s\n";
    let odd = "\u{feff}url \"unclosed\nurl\n= x\nnosuch 1\r\nname\t\"a\" b\n";
    let mut seeds = Vec::new();
    for text in [audit, metrics, odd] {
        seeds.push([stretch("a \"b\\ #я".as_bytes()), text.as_bytes().to_vec()].concat());
    }
    for line in audit.lines().chain(metrics.lines()) {
        seeds.push([stretch(line.as_bytes()), format!("{line}\n").into_bytes()].concat());
    }
    seeds
}

fn read(program: &'static Program, bytes: &[u8]) -> Result<Parsed> {
    let args: Vec<OsString> = vec!["--config".into(), "/x.conf".into()];
    let file = |_: &Path| Ok(bytes.to_vec());
    match parse(program, &args, &[], &file)? {
        Outcome::Run(parsed) => Ok(parsed),
        Outcome::Print(text) => panic!("a file cannot ask for {text:?}"),
    }
}

/// All that may be shown of a call: errors, warnings, what a log of options would say.
fn shown(bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    match read(&gostech::audit::options::table::PROGRAM, bytes) {
        Ok(parsed) => {
            all.push(format!("{parsed:?}"));
            match Options::read(&parsed, &[], true) {
                Ok(o) => all.extend(o.warnings),
                Err(e) => all.push(e.text().to_string()),
            }
        }
        Err(e) => all.push(e.text().to_string()),
    }
    match read(&gostech::metrics::options::PROGRAM, bytes) {
        Ok(parsed) => {
            all.push(format!("{parsed:?}"));
            match gostech::metrics::options::understand(&parsed, None) {
                Ok(o) => all.extend(o.warnings),
                Err(e) => all.push(e.text().to_string()),
            }
        }
        Err(e) => all.push(e.text().to_string()),
    }
    all
}

/// A secret in any of its places is not shown. One place an input, for an input costs a hundred parsings else.
fn hides(before: &[u8], place: usize) {
    if before.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()) {
        return;
    }
    let lines = [
        format!("password {SECRET}"),
        format!("url https://u:{SECRET}@h/?t={SECRET}"),
        format!("header \"Authorization: {SECRET}\""),
        format!("proxy http://u:{SECRET}@p:1"),
        format!("\"{SECRET}"),
    ];
    let file = [before, b"\n", lines[place % lines.len()].as_bytes(), b"\n"].concat();
    for text in shown(&file) {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// A value in quotes is that value.
fn quoted(value: &str) {
    let plain: String = value.chars().filter(|c| !c.is_control()).take(60).collect();
    let escaped = plain.replace('\\', "\\\\").replace('"', "\\\"");
    let file = format!("label \"{escaped}\" # and more\n");
    match read(&gostech::metrics::options::PROGRAM, file.as_bytes()) {
        Ok(parsed) => assert_eq!(parsed.get("label").map(|i| i.value.as_str()), Some(plain.as_str()), "{file}"),
        Err(e) => assert!(is_one_line(e.text()) && plain.is_empty(), "{file}: {}", e.text()),
    }
}

/// The target.
pub fn check(input: &[u8]) {
    let mut dice = Dice(input);
    let value = dice.text();
    let file = dice.0;
    for text in shown(file) {
        assert!(is_one_line(&text) && text.len() < 200_000, "{text:?}");
    }
    quoted(&value);
    hides(file, input.len());
}
