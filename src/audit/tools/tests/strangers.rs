//! What a stranger may put into a spool: links, FIFOs and names that a terminal would obey; and what is asked for and is not
//! there.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Nobody waits, nobody follows, and each is named with what it is.
#[test]
fn what_stands_in_the_place_of_a_file_is_named_and_left_alone() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 5, 1, &["r1"]));
    let aim = den.path("aim");
    for (name, link) in [("cursor-r2", true), ("quarantine-r1.jsonl", false), ("00000000000000000900.seg", true)] {
        match link {
            true => symlink(&aim, dir.join(name)).unwrap(),
            false => fifo(&dir.join(name)),
        }
    }
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert_eq!(exit, Exit::Failed, "{text}");
    for said in
        ["`cursor-r2` is a symbolic link", "`quarantine-r1.jsonl` is a FIFO", "`00000000000000000900.seg` is a symb"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let (exit, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert!(exit == Exit::Failed && text.contains("to remove it: rm -r "), "{text}");
    for args in [&["status"][..], &["quarantine", "list"]] {
        let (exit, text) = tool(&[args, &["--spool-dir", &den.text("")]].concat());
        assert_eq!(exit, Exit::Clean, "{text}");
        assert_eq!(text.contains("`quarantine-r1.jsonl` is a FIFO"), args[0] == "status", "{text}");
    }
    fs::remove_file(dir.join("lock")).unwrap();
    symlink(&aim, dir.join("lock")).unwrap();
    let (exit, text) = tool(&["spool", "repair", &den.text("a")]);
    assert!(exit == Exit::Failed && text.contains("`lock` is a symbolic link, where a file should be"), "{text}");
    fs::remove_file(dir.join("lock")).unwrap();
    fifo(&dir.join("lock"));
    let (_, text) = tool(&["status", "--spool-dir", &den.text("")]);
    assert!(text.contains("perhaps in use"), "{text}");
    assert!(!aim.exists());
}

/// Names that a command gives to what it makes are taken by links: it makes its own all the same, or refuses.
#[test]
fn what_a_command_makes_goes_into_no_link() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 5, 1, &["r1", "r2"]));
    let aim = den.path("aim");
    fs::write(&aim, "theirs").unwrap();
    for name in ["forget-r2", "cursor-r1.new", "backup-20261121T012757"] {
        symlink(&aim, dir.join(name)).unwrap();
    }
    symlink(den.path("nowhere"), den.path(".a.replay-20261121T012757")).unwrap();
    fs::write(dir.join("cursor-r1"), vec![7; 100]).unwrap();
    let (exit, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert!(
        exit == Exit::Failed && text.contains("cannot make `cursor-r1` anew"),
        "the backup's place is taken: {text}"
    );
    fs::remove_file(dir.join("backup-20261121T012757")).unwrap();
    let (_, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert!(text.contains("done: make `cursor-r1` anew"), "{text}");
    assert!(fs::symlink_metadata(dir.join("cursor-r1")).unwrap().is_file());
    let (exit, text) = tool(&["spool", "forget", "r2", "--spool-dir", &den.text("")]);
    assert_eq!(exit, Exit::Clean, "{text}");
    let (exit, text) = tool(&["spool", "replay", "--from", "1.0.1", "--to", "1.0.3", &den.text("a")]);
    assert!(exit == Exit::Clean && text.contains("replay-20261121T012757-2:"), "{text}");
    assert_eq!(fs::read(&aim).unwrap(), b"theirs");
    assert!(!den.path("nowhere").exists());
}

#[test]
fn names_are_shown_escaped_and_cures_quoted() {
    let den = Den::new();
    let name = "a\x1b[31m b\n'";
    drop(made(&den.path(name), 5, 1, &["r1"]));
    fs::write(den.path(name).join("cursor-r1"), vec![7; 100]).unwrap();
    let root = den.text("");
    for args in [
        &["status", "--spool-dir", &root][..],
        &["spool", "verify", &root],
        &["spool", "repair", &root],
        &["spool", "repair", "--apply", &root],
        &["spool", "replay", "--from", "1.0.1", "--to", "1.0.2", &root],
        &["quarantine", "list", "--spool-dir", &root],
    ] {
        let (_, text) = tool(args);
        assert!(!text.contains('\x1b') && !text.contains(" b\n'"), "{args:?}: {text}");
    }
    fs::write(den.path(name).join("cursor-r1"), vec![7; 100]).unwrap();
    let (_, text) = tool(&["spool", "verify", &root]);
    assert!(text.contains("spool repair $'") && text.contains("\\x1b[31m b\\x0a\\'' --apply"), "{text}");
}

#[test]
fn an_export_of_what_is_not_there_is_no_success() {
    let den = Den::new();
    drop(made(&den.path("a"), 5, 1, &["r1"]));
    let export = |args: &[&str]| tool(&[&["spool", "export", &den.text("a")], args].concat());
    for args in [&["--from", "2.0.1"][..], &["--to", "0.0.1"], &["--from", "c/i/1.0.3/0123456789abcdef"]] {
        let (exit, text) = export(args);
        assert!(exit == Exit::Failed && text.contains("no event in that range is held"), "{args:?}: {text}");
    }
    assert_eq!(export(&["--from", "1.0.4"]).0, Exit::Clean);
    assert_eq!(export(&[]).0, Exit::Clean);
}

#[test]
fn verify_knows_what_was_set_aside() {
    let den = Den::new();
    drop(made(&den.path("a"), 5, 1, &["r1"]));
    fs::write(den.path("a").join("00000000000000000001.seg.2048.bad"), vec![7; 100]).unwrap();
    let (exit, text) = tool(&["spool", "verify", &den.text("a")]);
    assert!(exit == Exit::Clean && text.contains("seg.2048.bad`: 100 bytes of damage, set aside"), "{text}");
}

/// Two copies of a segment, the longer one with fewer whole records: the repair keeps the one that the helper would keep.
#[test]
fn of_two_copies_the_one_with_more_whole_records_stays() {
    let den = Den::new();
    let dir = den.path("a");
    drop(made(&dir, 20, 1, &["r1"]));
    let seg = dir.join("00000000000000000001.seg");
    let whole = fs::read(&seg).unwrap();
    // The longer one: bytes of its records are damaged, and there is garbage behind them.
    let mut damaged = whole.clone();
    damaged[2048 + 44 + 5..2048 + 1500].fill(7);
    damaged.extend_from_slice(&[9; 4000]);
    fs::write(dir.join("00000000000000000001-1.seg"), &damaged).unwrap();
    fs::write(&seg, &whole).unwrap();
    let (_, text) = tool(&["spool", "repair", "--apply", &den.text("a")]);
    assert!(text.contains("set `00000000000000000001-1.seg` aside"), "{text}");
    assert_eq!(tool(&["spool", "export", &den.text("a")]).1.lines().count(), 20, "{text}");
    // Of equals the later edition, as the helper has it.
    fs::write(dir.join("00000000000000000001-2.seg"), &whole).unwrap();
    let (_, text) = tool(&["spool", "repair", &den.text("a")]);
    assert!(text.contains("set `00000000000000000001.seg` aside"), "{text}");
}
