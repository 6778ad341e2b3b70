//! The commands as root, in a spool of another user who has planted links there: whatever they point to is neither made,
//! changed nor given away, and what is made belongs to him.

use crate::harness::setup::{files_below, text};
use crate::harness::{Den, Events, Receiver, Setup};
use std::fs::Permissions;
use std::os::unix::fs::{lchown, symlink, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const OWNER: u32 = 61_234;

fn is_root() -> bool {
    let root = std::fs::metadata("/proc/self").expect("/proc").uid() == 0;
    if !root {
        eprintln!("skipped: only root can become another user");
    }
    root
}

/// Gives a directory and all below it to a user, links themselves and not what they point to.
fn give(path: &Path) {
    lchown(path, Some(OWNER), Some(OWNER)).expect("root");
    if std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        std::fs::read_dir(path).expect("a directory").flatten().for_each(|e| give(&e.path()));
    }
}

/// A spool of that user with delivered events, some that wait, an event in quarantine and a damaged cursor.
fn spool_of_another(den: &Den) -> (Setup, PathBuf) {
    let receiver = Receiver::start();
    let setup = Setup::new(den).url(&receiver.url()).args(&["--instance", "i1", "--drain", "200ms"]);
    let mut picodata = setup.picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 20, 10_000);
    receiver.wait_count(20, LIMIT);
    receiver.down();
    picodata.events(&mut events, 20, 10_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    std::fs::set_permissions(den.path(), Permissions::from_mode(0o755)).expect("a mode");
    let root = den.path().join("spool");
    give(&root);
    (setup, root.join("i1"))
}

/// What is not to be made, and what is not to be changed: root's own, and its owner, mode and bytes.
struct Aim {
    none: PathBuf,
    some: PathBuf,
}

impl Aim {
    fn new(den: &Den) -> Aim {
        let some = PathBuf::from(den.put("etc-shadow", "root's own"));
        std::fs::set_permissions(&some, Permissions::from_mode(0o600)).expect("a mode");
        Aim { none: den.path().join("etc-cron"), some }
    }

    fn is_untouched(&self, what: &str) {
        assert!(std::fs::symlink_metadata(&self.none).is_err(), "{what}: made");
        let meta = std::fs::metadata(&self.some).expect("a file");
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (0, 0, 0o600), "{what}: given away");
        assert_eq!(std::fs::read(&self.some).expect("a file"), b"root's own", "{what}: changed");
    }

    /// Plants a link in the place of a name; what was there is kept beside it.
    fn plant(&self, place: &Path, there: bool) {
        if std::fs::symlink_metadata(place).is_ok() {
            std::fs::rename(place, place.with_extension("kept")).expect("a rename");
        }
        symlink(if there { &self.some } else { &self.none }, place).expect("a link");
        lchown(place, Some(OWNER), Some(OWNER)).expect("root");
    }
}

fn unplant(place: &Path) {
    let _ = std::fs::remove_file(place).or_else(|_| std::fs::remove_dir_all(place));
    let _ = std::fs::rename(place.with_extension("kept"), place);
}

/// All the commands that open a spool, each with what tells that it did not stand still.
fn all(setup: &Setup, den: &Den, home: &Path) -> Vec<(String, Output)> {
    let (spool, dir) = (den.file("spool"), home.display().to_string());
    let of_root: &[&[&str]] =
        &[&["status"], &["quarantine", "list"], &["quarantine", "retry"], &["spool", "forget", "r1"]];
    let of_dir: &[&[&str]] = &[
        &["spool", "verify"],
        &["spool", "export"],
        &["spool", "repair"],
        &["spool", "repair", "--apply"],
        &["spool", "replay", "--from", "1.1.1", "--to", "1.1.9"],
    ];
    let root = of_root.iter().map(|c| [c, &["--spool-dir", &spool][..]].concat());
    let dirs = of_dir.iter().map(|c| [&c[..2], &[dir.as_str()], &c[2..]].concat());
    let calls = dirs.chain(root);
    calls.map(|c| (c.join(" "), setup.clone().tool(&[&c[..], &["--no-config"]].concat()))).collect()
}

/// Everything below a directory belongs to its user.
fn belongs_to_him(dir: &Path) {
    for (path, _) in files_below(dir) {
        let meta = std::fs::symlink_metadata(&path).expect("a file");
        assert_eq!(meta.uid(), OWNER, "{}", path.display());
    }
}

#[test]
fn root_makes_and_changes_nothing_through_planted_links() {
    if !is_root() {
        return;
    }
    let den = Den::new("planted");
    let (setup, home) = spool_of_another(&den);
    let aim = Aim::new(&den);
    let quarantine = home.join("quarantine-r1.jsonl");
    for there in [false, true] {
        for name in [
            "lock",
            "forget-r1",
            "cursor-r1",
            "cursor-r1.new",
            "state",
            "owner",
            "quarantine-r1.jsonl",
            "00000000000000000001.seg",
            "00000000000000000001.seg.new",
            "ephemeral",
        ] {
            std::fs::write(&quarantine, "no line\n").expect("a quarantine");
            give(&quarantine);
            let place = home.join(name);
            aim.plant(&place, there);
            for (call, out) in all(&setup, &den, &home) {
                aim.is_untouched(&format!("{name}: {call}: {}{}", text(&out.stdout), text(&out.stderr)));
            }
            unplant(&place);
        }
    }
    belongs_to_him(&den.path().join("spool"));
}

/// The directories that commands make beside a spool: their names can be foreseen to the second.
#[test]
fn root_builds_in_no_planted_directory() {
    if !is_root() {
        return;
    }
    let den = Den::new("planted-build");
    let (setup, home) = spool_of_another(&den);
    let elsewhere = den.path().join("root-owned");
    std::fs::create_dir(&elsewhere).expect("a directory");
    let root = den.path().join("spool");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis() as i64;
    for second in 0..40 {
        let time: String = gostech::stamp::rfc3339_text(now + second * 1000);
        let time: String = time.chars().filter(char::is_ascii_alphanumeric).take(15).collect();
        for place in [root.join(format!(".i1.replay-{time}")), home.join(format!("backup-{time}"))] {
            symlink(&elsewhere, &place).expect("a link");
            lchown(&place, Some(OWNER), Some(OWNER)).expect("root");
        }
    }
    std::fs::write(home.join("cursor-r1"), "damaged").expect("a damaged cursor");
    give(&home.join("cursor-r1"));
    for (call, out) in all(&setup, &den, &home) {
        let made = files_below(&elsewhere);
        assert!(made.is_empty(), "{call}: {made:?}\n{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(std::fs::metadata(&elsewhere).expect("a directory").uid(), 0, "{call}");
    }
    let queued = std::fs::read_dir(&root).expect("a directory").flatten();
    let queued = queued.filter(|e| e.file_name().to_string_lossy().starts_with("i1.replay-"));
    assert_eq!(queued.count(), 1, "made under another name");
}

/// The way to the spool itself is led elsewhere.
#[test]
fn root_follows_no_link_of_another_to_what_is_its_own() {
    if !is_root() {
        return;
    }
    let den = Den::new("planted-way");
    let (setup, home) = spool_of_another(&den);
    // Root's own spool, closed to others, and a link of his that leads there.
    let roots = den.path().join("roots");
    assert!(std::process::Command::new("cp").args(["-r"]).arg(&home).arg(&roots).status().expect("cp").success());
    std::fs::set_permissions(&roots, Permissions::from_mode(0o700)).expect("a mode");
    std::fs::write(roots.join("cursor-r1"), "damaged").expect("a cursor");
    let before = files_below(&roots);
    let link = home.with_file_name("led");
    symlink(&roots, &link).expect("a link");
    lchown(&link, Some(OWNER), Some(OWNER)).expect("root");
    for (call, out) in all(&setup, &den, &link).into_iter().take(5) {
        assert_eq!(out.status.code(), Some(1), "{call}: {}", text(&out.stdout));
        assert_eq!(files_below(&roots), before, "{call}");
    }
    let said = text(&all(&setup, &den, &link)[0].1.stderr);
    assert!(said.contains(&format!("the user {OWNER}")), "{said}");
    // Root's own beside his is closed to whom root has become, and that is said.
    let beside = home.with_file_name("roots");
    std::fs::create_dir(&beside).expect("a directory");
    std::fs::set_permissions(&beside, Permissions::from_mode(0o700)).expect("a mode");
    std::fs::remove_file(&link).expect("the link");
    let out = setup.clone().tool(&["spool", "verify", &den.file("spool"), "--no-config"]);
    assert!(text(&out.stderr).contains("/roots` may not be read by the user 61234"), "{}", text(&out.stderr));
    // Root's own directory is root's to work in.
    let out = setup.clone().tool(&["spool", "repair", roots.to_str().expect("text"), "--apply", "--no-config"]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
}

/// A FIFO or a device in the place of a file keeps nobody waiting, and is named.
#[test]
fn nobody_waits_for_what_is_no_file() {
    let den = Den::new("planted-fifo");
    let receiver = Receiver::start();
    receiver.down();
    let setup = Setup::new(&den).url(&receiver.url()).args(&["--instance", "i1", "--drain", "200ms"]);
    let mut picodata = setup.picodata();
    picodata.events(&mut Events::new(1, 1), 20, 10_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let home = den.path().join("spool/i1");
    for name in ["lock", "cursor-r1", "state", "owner", "ephemeral", "quarantine-r1.jsonl", "00000000000000000001.seg"]
    {
        let place = home.join(name);
        if place.exists() {
            std::fs::rename(&place, place.with_extension("kept")).expect("a rename");
        }
        assert!(std::process::Command::new("mkfifo").arg(&place).status().expect("mkfifo").success());
        let begin = std::time::Instant::now();
        let calls = all(&setup, &den, &home);
        assert!(begin.elapsed() < Duration::from_secs(60), "{name}: {:?}", begin.elapsed());
        let said: String = calls.iter().map(|(_, out)| text(&out.stdout) + &text(&out.stderr)).collect();
        assert!(said.contains(&format!("`{name}` is a FIFO, a socket or a device, where")), "{name}: {said}");
        std::fs::remove_file(&place).expect("a FIFO");
        let _ = std::fs::rename(place.with_extension("kept"), &place);
    }
}
