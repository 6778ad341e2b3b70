//! `status` and `check` on spools and options of the tests: what they say, and that they make and change nothing.

use super::super::check;
use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn status_tells_what_waits_for_whom() {
    let den = Den::new();
    let dir = den.path("a");
    let spool = made(&dir, 40, 4, &["r1", "siem"]);
    spool.delivered("r1", 31);
    spool.update("siem", |c| {
        c.last_answer = "answered 403: go\u{1b}[2J away".into();
        c.last_answer_ms = NOW - 120_000;
        c.retries.insert("status".into(), 7);
    });
    save(&spool, &dir);
    fs::write(dir.join("00000000000000000001.seg.2048.bad"), b"12345").unwrap();
    let (exit, text) = tool(&["status", "--spool-dir", &den.text("")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    for words in [
        "a: no helper runs",
        "40 read, 0 own",
        "r1        10 events waiting, the oldest 1.0.31, read 60 s ago",
        "siem      40 events waiting, the oldest 1.0.1",
        "30 delivered",
        "last answer 2 min ago: answered 403: go [2J away",
        "failed attempts: 7 status",
        "1 file of 5 bytes set aside",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(text.lines().count() < 20 && !text.contains('\u{1b}'), "{text}");
    let lock = lock::take(&dir).unwrap();
    let (_, json) = tool(&["status", "--json", "--spool-dir", &den.text("")]);
    let v: serde_json::Value = serde_json::from_str(&json).unwrap();
    let s = &v["spools"][0];
    assert_eq!((&v["version"], &s["in_use"], &s["pid"]), (&1.into(), &true.into(), &std::process::id().into()));
    let r = &s["receivers"][0];
    assert_eq!((&r["name"], &r["waiting"], &r["oldest"]["id"]), (&"r1".into(), &10.into(), &"1.0.31".into()));
    assert_eq!((&r["oldest"]["age_seconds"], &s["counters"]["read"]), (&60.0.into(), &40.into()));
    assert_eq!((&s["set_aside"]["bytes"], &s["next"]), (&5.into(), &41.into()));
    drop(lock);
    // What everybody has is kept for replay alone.
    spool.delivered("r1", 41);
    spool.delivered("siem", 41);
    save(&spool, &dir);
    let (_, json) = tool(&["status", "--json", "--spool-dir", &den.text("")]);
    let v: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(v["spools"][0]["live_bytes"], 0);
}

#[test]
fn status_without_a_spool_says_where_it_looked() {
    let den = Den::new();
    let (exit, text) = tool(&["status", "--spool-dir", &den.text("nowhere")]);
    assert!(exit == Exit::Failed && text.contains("nowhere") && text.contains("--spool-dir"), "{text}");
    // Somebody else's directory is no spool either, for no command.
    fs::create_dir(den.path("foreign")).unwrap();
    fs::write(den.path("foreign/file"), "theirs").unwrap();
    let range = ["spool", "replay", "--from", "1.1.1", "--to", "1.1.2"];
    let commands: [&[&str]; 8] = [
        &["status"],
        &["spool", "verify"],
        &["spool", "export"],
        &["spool", "repair", "--apply"],
        &range,
        &["spool", "forget", "r1"],
        &["quarantine", "list"],
        &["quarantine", "retry"],
    ];
    for command in commands {
        let (exit, text) = tool(&[command, &["--spool-dir", &den.text("")]].concat());
        let said = text.contains("there is no spool in") && text.contains("--spool-dir DIR");
        assert!(exit == Exit::Failed && said, "{command:?}: {text}");
    }
    assert_eq!(fs::read(den.path("foreign/file")).unwrap(), b"theirs");
}

fn faults(args: &[&str]) -> Vec<String> {
    found(args).0
}

/// What `check` calls wrong, and its notes.
fn found(args: &[&str]) -> (Vec<String>, Vec<String>) {
    let args: Vec<OsString> = ["check", "--no-config"].iter().chain(args).map(OsString::from).collect();
    match flags::parse(&PROGRAM, &args, &[], &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap() {
        Outcome::Run(parsed) => check::faults(&Options::read(&parsed, &[], false).unwrap(), NOW),
        Outcome::Print(text) => panic!("{text}"),
    }
}

#[test]
fn check_names_each_fault_and_its_cure_and_makes_nothing() {
    let den = Den::new();
    let (secret, spool) = (den.text("token"), den.text("new/spool"));
    fs::write(&secret, "t0ken").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let base = ["--spool-dir", &spool, "--url", "http://127.0.0.1:1/", "--token-file", &secret];
    assert_eq!(faults(&base), Vec::<String>::new());
    assert!(!den.path("new").exists());
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let found = faults(&base);
    assert!(found.len() == 1 && found[0].contains("chmod o-r"), "{found:?}");
    fs::write(&secret, "\n").unwrap();
    assert!(faults(&base)[0].contains("is empty"));
    fs::remove_file(&secret).unwrap();
    let found = faults(&base);
    assert!(found.len() == 1 && found[0].contains("No such file"), "{found:?}");
    let blocked = den.text("file");
    fs::write(&blocked, "").unwrap();
    let found =
        faults(&["--spool-dir", &format!("{blocked}/x"), "--url", "http://127.0.0.1:1/", "--on-alarm", "/no/such x"]);
    assert!(found.len() == 2 && found[0].contains("--spool-dir DIR") && found[1].contains("--on-alarm"), "{found:?}");
    let found = faults(&["--spool-dir", &spool, "--url", "http://no-such-name.invalid/"]);
    assert!(found.len() == 1 && found[0].contains("resolv.conf"), "{found:?}");
}

#[test]
fn check_reads_when_certificates_end() {
    let den = Den::new();
    let (file, spool) = (den.text("client.pem"), den.text("spool"));
    // Valid from and to, by NOW on 2026-11-21.
    type Day = (i32, u8, u8);
    let write = |pairs: &[(Day, Day)]| {
        let mut text = String::new();
        for (from, to) in pairs {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["client".into()]).unwrap();
            params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
            text += &params.self_signed(&key).unwrap().pem();
            if pairs.len() == 1 {
                text += &key.serialize_pem();
            }
        }
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let base = ["--spool-dir", &spool, "--url", "https://127.0.0.1:1/"];
    let own = [&base[..], &["--certificate", &file]].concat();
    let authority = [&base[..], &["--ca-certificate", &file]].concat();
    let (start, past, soon, far) = ((2026, 1, 1), (2026, 11, 20), (2026, 11, 27), (2046, 1, 1));
    let cases = [
        (past, "has ended on 2026-11-20: have a new one", ""),
        (soon, "", "ends on 2026-11-27, in 5 days: have a new one"),
        (far, "", ""),
    ];
    for (to, wrong, note) in cases {
        write(&[(start, to)]);
        for args in [&own, &authority] {
            let (faults, notes) = found(args);
            let fit = |said: &[String], words: &str| match words {
                "" => said.is_empty(),
                words => said.len() == 1 && said[0].contains(words) && said[0].contains("client.pem"),
            };
            assert!(fit(&faults, wrong) && fit(&notes, note), "{to:?} {args:?}: {faults:?} {notes:?}");
        }
    }
    write(&[((2026, 12, 1), far)]);
    assert!(faults(&own)[0].contains("begins on 2026-12-01 only"), "{:?}", faults(&own));
    // A bundle of authorities is good as long as one of them is.
    write(&[(start, past), (start, far), (start, past)]);
    assert_eq!(found(&authority), Default::default());
    write(&[(start, past), (start, past)]);
    assert!(faults(&authority)[0].contains("has ended"), "{:?}", faults(&authority));
}
