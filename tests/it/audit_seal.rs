//! `seal init` and `--seal` as a user meets them: what is made, what is printed, what is refused before anything is read.

use crate::harness::setup::text;
use crate::harness::{Den, Receiver, Setup};
use gostech::audit::seal::VerifierKey;
use gostech::limits;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

#[test]
fn a_directory_of_keys_is_made_once_and_prints_the_public_key_alone() {
    let den = Den::new("seal-init");
    let setup = Setup::new(&den);
    let init = |dir: &str| setup.tool(&["seal", "init", "--seal", dir, "--no-config"]);
    let dir = den.file("a/seal");
    let out = init(&dir);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let key = text(&out.stdout);
    assert!(VerifierKey::parse(key.trim_end()).is_some() && key.lines().count() == 1, "{key}");
    let file = std::fs::read_to_string(format!("{dir}/key")).expect("a key");
    let seed = file.split_whitespace().last().expect("a seed");
    assert!(!key.contains(seed) && !text(&out.stderr).contains(seed));
    let mode = |path: &str| std::fs::metadata(path).expect("it was made").mode() & 0o777;
    assert_eq!((mode(&dir), mode(&format!("{dir}/key"))), (0o700, 0o600));
    // Once more, beside a key, beside checkpoints alone, and without saying where.
    let again = init(&dir);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stdout));
    assert_eq!(std::fs::read_to_string(format!("{dir}/key")).expect("a key"), file);
    std::fs::rename(format!("{dir}/key"), format!("{dir}/checkpoints")).expect("renamed");
    assert_eq!(init(&dir).status.code(), Some(2));
    let nowhere = setup.tool(&["seal", "init", "--no-config"]);
    assert!(nowhere.status.code() == Some(2) && text(&nowhere.stderr).contains("--seal DIR"));
    // A link in the place of the key leads nowhere.
    let other = den.file("b");
    std::fs::create_dir(&other).expect("a directory");
    symlink(den.file("elsewhere"), format!("{other}/key")).expect("a link");
    assert!(init(&other).status.code() == Some(2) && std::fs::symlink_metadata(den.file("elsewhere")).is_err());
}

#[test]
fn a_directory_without_a_key_is_a_usage_error_with_its_cure() {
    let den = Den::new("seal-usage");
    let receiver = Receiver::start();
    let dir = den.file("seal");
    std::fs::create_dir(&dir).expect("a directory");
    let out = Setup::new(&den).url(&receiver.url()).args(&["--seal", &dir]).run(b"{\"id\":\"1.0.1\"}\n");
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    let cure = format!("gostech-audit-log seal init --seal {dir}");
    assert!(text(&out.stderr).contains(&cure), "{}", text(&out.stderr));
    assert!(std::fs::metadata(den.file("spool")).is_err(), "nothing was touched");
    // A key that has signed, and was lost since, costs no event.
    let checkpoints = format!("{dir}/checkpoints");
    let out = Setup::new(&den).tool(&["seal", "init", "--seal", &dir, "--no-config"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let sealed = || Setup::new(&den).url(&receiver.url()).args(&["--seal", &dir]).run(b"{\"id\":\"1.0.1\"}\n");
    assert!(sealed().status.success() && std::fs::metadata(&checkpoints).is_ok_and(|m| m.len() > 0));
    std::fs::remove_file(format!("{dir}/key")).expect("a key");
    let out = sealed();
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains(&format!("move `{dir}` away")), "{}", text(&out.stderr));
    // One that is not there may come later: events are delivered meanwhile.
    let late = den.file("late");
    let out = Setup::new(&den).url(&receiver.url()).args(&["--seal", &late]).run(b"{\"id\":\"1.0.1\"}\n");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(std::fs::metadata(&late).is_err(), "it is not made unasked");
}

/// From within the cage: what is signed is in the copy as well, and the auditor reads that.
#[test]
fn each_checkpoint_is_copied_where_it_was_wanted() {
    let den = Den::new("seal-copy");
    let receiver = Receiver::start();
    let (dir, copy) = (den.file("seal"), den.file("elsewhere/checkpoints"));
    let key = Setup::new(&den).tool(&["seal", "init", "--seal", &dir]).stdout;
    std::fs::create_dir(den.file("elsewhere")).expect("a directory");
    let setup = || Setup::new(&den).url(&receiver.url()).args(&["--seal", &dir, "--seal-copy", &copy]);
    let out = setup().run(b"{\"id\":\"1.0.1\"}\n");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let read = |path: &str| std::fs::read_to_string(path).expect("checkpoints");
    let all = read(&format!("{dir}/checkpoints"));
    assert_eq!(read(&copy), all, "{}", text(&out.stderr));
    assert!(all.contains("\nwhy stop\n") && std::fs::metadata(&copy).expect("it").mode() & 0o777 == 0o640);
    // The next one tells the last of them again.
    let out = setup().run(b"{\"id\":\"1.0.2\"}\n");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let (more, rest) = (read(&format!("{dir}/checkpoints")), read(&copy));
    assert!(rest.starts_with(&all) && rest.len() > more.len() && rest.ends_with(&more[all.len()..]), "{rest}");
    let verify = |files: &[&str]| {
        let files: Vec<&str> = files.iter().flat_map(|f| ["--checkpoints", f]).collect();
        Setup::new(&den).tool(&[&["seal", "verify", "--key", text(&key).trim()][..], &files].concat())
    };
    for files in [&[&copy[..]][..], &[&copy, &format!("{dir}/checkpoints")]] {
        let out = verify(files);
        assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    }
    // A file that was put aside, and the one that begins with a copy of its last.
    let notes: Vec<&str> = more.split_inclusive("\n\n").collect();
    let (old, new) = (den.file("checkpoints-1"), den.file("new"));
    std::fs::write(&old, notes[..4].concat()).expect("written");
    std::fs::write(&new, notes[2..].concat()).expect("written");
    for files in [[&old[..], &new], [&new, &old]] {
        let out = verify(&files);
        assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    }
    // Where it cannot be written all else goes on.
    std::fs::remove_file(&copy).expect("it is there");
    std::fs::create_dir(&copy).expect("a directory");
    let out = setup().run(b"{\"id\":\"1.0.3\"}\n");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("checkpoints are not copied"), "{}", text(&out.stderr));
    assert!(read(&format!("{dir}/checkpoints")).len() > more.len());
}

/// The keeper starts it for the caged worker; what it does not sign is said, and delivered all the same.
#[test]
fn another_signer_adds_its_line_and_its_failure_is_told() {
    let den = Den::new("seal-sign");
    let receiver = Receiver::start();
    let (dir, script) = (den.file("seal"), den.file("signer"));
    let write = |text: &str| {
        std::fs::write(&script, format!("#!/bin/sh\n{text}\n")).expect("a script");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    };
    let key = Setup::new(&den).tool(&["seal", "init", "--seal", &dir]).stdout;
    let run = |id: u32| {
        let sign = format!("{script} gost.example");
        let setup = Setup::new(&den).url(&receiver.url()).args(&["--seal", &dir, "--seal-sign", &sign]);
        let out = setup.run(format!("{{\"id\":\"1.0.{id}\"}}\n").as_bytes());
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        (std::fs::read_to_string(format!("{dir}/checkpoints")).expect("checkpoints"), text(&out.stderr).to_string())
    };
    write("cat > \"$0.body\"; echo \"— $1 AAAAAAAA\"");
    let (signed, err) = run(1);
    let ours = signed.matches("\n— gostech-audit-log ").count();
    assert!(ours >= 2 && signed.matches("=\n— gost.example AAAAAAAA\n\n").count() == ours, "{signed}{err}");
    let body = std::fs::read_to_string(format!("{script}.body")).expect("the last body");
    assert!(body.starts_with("gostech-audit-log/") && signed.contains(&format!("{body}\n— ")), "{body}");
    write("echo no token >&2; exit 1");
    let (more, err) = run(2);
    let rest = &more[signed.len()..];
    assert!(err.contains("go without the signature of") && err.contains("no token"), "{err}");
    assert!(rest.contains("\nsign-failed it%20has%20ended%20without%20a%20line\n"), "{rest}");
    assert!(!rest.contains("gost.example") && !rest.contains("token"), "{rest}");
    // One that hangs does not hold up the end, and nothing is lost by it.
    write("exec sleep 60");
    let begun = Instant::now();
    let (last, err) = run(3);
    assert!(begun.elapsed() < Duration::from_millis(limits::SEAL_SIGN_MILLIS + limits::SEAL_END_MILLIS), "{err}");
    assert!(last[more.len()..].contains("\nwhy stop\n"), "{last}");
    let file = format!("{dir}/checkpoints");
    let out = Setup::new(&den).tool(&["seal", "verify", "--key", text(&key).trim(), "--checkpoints", &file]);
    assert_eq!(out.status.code(), Some(0), "{}{}", text(&out.stdout), text(&out.stderr));
    let told = format!("note: {ours} checkpoints bear a signature of `gost.example` too, which is not checked here");
    assert!(text(&out.stdout).contains(&told), "{}", text(&out.stdout));
}

/// What a run would stumble over is told before, and nothing is changed by asking.
#[test]
fn check_tries_where_copies_go_and_whether_the_other_signer_signs() {
    let den = Den::new("seal-check");
    let (dir, copy, alien) = (den.file("seal"), den.file("copy"), den.put("alien", "somebody's letters\n"));
    Setup::new(&den).tool(&["seal", "init", "--seal", &dir]);
    let check = |more: &[&str]| {
        let usual = ["check", "--no-config", "--spool-dir", &den.file("spool"), "--url", "file:///dev/null"];
        let out = Setup::new(&den).tool(&[&usual[..], &["--seal", &dir], more].concat());
        text(&out.stdout)
    };
    let good = den.put("sign", "#!/bin/sh\ncat >/dev/null\necho '— gost.example AAAAAAAA'\n");
    let slow = den.put("slow", "#!/bin/sh\nexec sleep 60\n");
    for program in [&good, &slow] {
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let said = check(&["--seal-copy", &copy, "--seal-sign", &good]);
    for line in [
        format!("copies of checkpoints can be written to `{copy}`"),
        format!("`{good}` has signed a trial as `gost.example`"),
    ] {
        assert!(said.contains(&format!("ok     {line}")), "{said}");
    }
    assert!(std::fs::metadata(&copy).is_err(), "it is not made");
    let nowhere = format!("journald://{}", den.file("no-journal"));
    let said = check(&["--seal-copy", &alien, "--seal-copy", &nowhere, "--seal-sign", &slow]);
    for line in [
        format!("--seal-copy: `{alien}` holds something else than checkpoints"),
        "--seal-copy: cannot reach journald".into(),
        format!("--seal-sign `{slow}`: it has not answered within 5000 ms"),
    ] {
        assert!(said.contains(&format!("wrong  {line}")), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&alien).expect("it"), "somebody's letters\n");
}
