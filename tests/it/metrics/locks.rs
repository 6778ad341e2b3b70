//! Accounts are not locked: a stand-in that counts wrong tries and locks at the fourth as Picodata does, many runs, few tries.

use super::helper::{command, state, wait, Helper, Scratch};
use super::stand::{picodata, Asked, Line, Stand};
use gostech::iproto::auth::Method::{ChapSha1, Md5};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// A connection whose every piece takes its time on the way back.
struct Far(TcpStream, Duration);

impl Read for Far {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Far {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        std::thread::sleep(self.1);
        self.0.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn far(user: &str, method: gostech::iproto::auth::Method, password: &str, way: Duration) -> Stand {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    Stand::at(port, &[(user, method, password)], picodata(None), move || {
        listener.accept().ok().map(|(s, _)| Box::new(Far(s, way)) as Box<dyn Line>)
    })
}

fn run(stand: &Stand, state: &Path, password: &str, args: &[&str]) -> Command {
    let mut command = command();
    command.args(["--no-config", "--port", &stand.port.to_string(), "--username", "mon"]).args(args);
    command.env("GOSTECH_METRICS_PASSWORD", password).env("STATE_DIRECTORY", state);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, and both outputs in one.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("an end");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("text"))
}

fn record(state: &Path) -> PathBuf {
    let names = fs::read_dir(state).unwrap().flatten().map(|e| e.path());
    let mut found = names.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("login-"));
    found.next().expect("a record")
}

#[test]
fn a_right_password_and_four_runs_at_a_time_over_a_long_way_lock_nothing() {
    for (method, crowd) in [(ChapSha1, 4), (Md5, 8)] {
        let (stand, state) = (far("mon", method, "right", Duration::from_millis(20)), state());
        for round in 0..3 {
            let all: Vec<_> = (0..crowd).map(|_| run(&stand, &state, "right", &["--once"]).spawn().unwrap()).collect();
            for (code, said) in all.into_iter().map(end) {
                assert_eq!(code, Some(0), "{method:?}, round {round}: {said}");
            }
        }
        let wrong = stand.asked().iter().filter(|a| **a == Asked::Auth("mon".into(), "md5".into())).count();
        // Only the very first run did not know the method.
        assert_eq!(wrong, if method == Md5 { 3 * crowd } else { 1 });
        assert_eq!(stand.wrong_tries("mon"), 0);
    }
}

#[test]
fn a_wrong_password_costs_two_tries_in_all_runs_together() {
    let (stand, state, scratch) =
        (Stand::start(&[("mon", Md5, "right")], picodata(None)), state(), Scratch::new("locks"));
    let file = scratch.file("password", "wrong\n");
    let once = |args: &[&str]| {
        let mut command = command();
        let port = stand.port.to_string();
        command.args(["--no-config", "--port", &port, "--username", "mon", "--password-file", &file]).args(args);
        command.env("STATE_DIRECTORY", &state).stdout(Stdio::piped()).stderr(Stdio::piped());
        end(command.spawn().unwrap())
    };
    let (code, said) = once(&["--check"]);
    assert!(code == Some(1) && said.contains("(md5, chap-sha1)"), "{said}");
    assert_eq!(stand.wrong_tries("mon"), 2);
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "mon", "--password-file", &file, "--min-interval", "0"];
    let place = state.display().to_string();
    let helper = Helper::start_with(&args, &[("STATE_DIRECTORY", &place)]);
    for args in [&["--once"][..], &["--check"], &["--once"], &["--check", "--auth-method", "md5"]] {
        let (code, said) = once(args);
        assert!(code == Some(1) && said.contains("refused before") && said.contains("is removed"), "{said}");
        helper.scrape();
        // A copy of the same password is the same password.
        scratch.file("password", "wrong\n");
    }
    assert_eq!(stand.wrong_tries("mon"), 2, "{}", helper.log());
    // Nothing of it in what is kept.
    let kept = fs::read_to_string(record(&state)).unwrap();
    assert!(kept.contains("tried md5 chap-sha1") && !kept.contains("wrong"), "{kept}");
    // A third try, with another password that is wrong too, is told before it is made; the fourth is not made.
    scratch.file("password", "wronger\n");
    let (_, said) = once(&["--once"]);
    assert!(said.contains("this is try 3") && said.contains("--auth-method"), "{said}");
    assert_eq!(stand.wrong_tries("mon"), 3);
    scratch.file("password", "wrongest\n");
    let (_, said) = once(&["--once"]);
    assert!(said.contains("could lock the account"), "{said}");
    assert_eq!(stand.wrong_tries("mon"), 3);
    // Nor does the running service make it unasked, with whatever password. Told, it takes the right one, and everything is
    // forgotten.
    scratch.file("password", "right\n");
    for _ in 0..20 {
        helper.scrape();
    }
    assert_eq!(stand.wrong_tries("mon"), 3, "{}", helper.log());
    helper.signal("HUP");
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    assert_eq!((stand.wrong_tries("mon"), once(&["--once"]).0), (0, Some(0)));
}

#[test]
fn two_wrong_passwords_in_a_row_lock_nothing() {
    // The method is not known: the first password costs two tries, the second one, and the fourth is made when somebody says so.
    let (stand, scratch) = (Stand::start(&[("mon", Md5, "right")], picodata(None)), Scratch::new("locks-two"));
    let file = scratch.file("password", "wrong\n");
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "mon", "--password-file", &file, "--min-interval", "0"];
    let helper = Helper::start(&args);
    let tries = |n: u32| {
        wait(&format!("{n} tries"), LIMIT, || {
            helper.scrape();
            stand.wrong_tries("mon") == n
        });
    };
    tries(2);
    scratch.file("password", "wronger\n");
    tries(3);
    wait("it is told", LIMIT, || helper.log().contains("one more failed try could lock the account"));
    for password in ["wronger\n", "right\n"] {
        scratch.file("password", password);
        for _ in 0..20 {
            helper.scrape();
        }
        assert_eq!(stand.wrong_tries("mon"), 3, "{}", helper.log());
    }
    helper.signal("HUP");
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    assert_eq!(stand.wrong_tries("mon"), 0);
}

#[test]
fn a_right_password_that_needs_the_other_method_waits_to_be_told() {
    // The wrong one has cost two tries, the right one a third, by the method that is not this user's.
    let (stand, scratch) = (Stand::start(&[("mon", ChapSha1, "right")], picodata(None)), Scratch::new("locks-other"));
    let file = scratch.file("password", "wrong\n");
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "mon", "--password-file", &file, "--min-interval", "0"];
    let helper = Helper::start(&args);
    helper.until("two tries", LIMIT, |_| stand.wrong_tries("mon") == 2);
    scratch.file("password", "right\n");
    helper.until("a third", LIMIT, |_| stand.wrong_tries("mon") == 3);
    wait("it is told", LIMIT, || helper.log().contains("one more failed try could lock the account"));
    assert_eq!(helper.scrape()["picodata_up"], 0.0);
    helper.signal("HUP");
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    assert_eq!(stand.wrong_tries("mon"), 0);
}

#[test]
fn a_reload_says_that_a_refused_password_is_right_now() {
    let stand = Stand::start(&[("mon", Md5, "later")], picodata(None));
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "mon", "--min-interval", "0"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "now")]);
    helper.until("down", LIMIT, |p| p["picodata_up"] == 0.0);
    assert_eq!(stand.wrong_tries("mon"), 2);
    helper.signal("HUP");
    wait("one more try", LIMIT, || {
        helper.scrape();
        stand.wrong_tries("mon") == 3
    });
    for _ in 0..10 {
        helper.scrape();
    }
    assert_eq!(stand.wrong_tries("mon"), 3, "{}", helper.log());
}

#[test]
fn a_locked_account_is_told_with_its_cure_and_found_unlocked_within_a_minute_at_no_cost() {
    let stand = Stand::start(&[("mon", Md5, "right")], picodata(None));
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "mon", "--min-interval", "0"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "right")]);
    helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    // Somebody else locks it; the connection is lost later.
    stand.somebody_tries("mon", 4);
    stand.becomes(|_, _| super::stand::Reply::Silence(Duration::ZERO));
    helper.until("down", LIMIT, |p| p["picodata_up"] == 0.0);
    stand.becomes(picodata(None));
    let auth = "gostech_metrics_down{reason=\"auth\"}";
    helper.until("locked", LIMIT, |p| p.contains_key(auth));
    let log = helper.log();
    assert!(log.contains("the account is locked") && log.contains("ALTER USER \"mon\" WITH LOGIN"), "{log}");
    stand.unlock("mon");
    helper.until("up again", Duration::from_secs(60), |p| p["picodata_up"] == 1.0);
    assert_eq!(stand.wrong_tries("mon"), 0);
}

#[test]
fn a_record_that_is_damaged_or_planted_harms_nobody() {
    let (stand, state) = (Stand::start(&[("mon", Md5, "right")], picodata(None)), state());
    let once = || end(run(&stand, &state, "right", &["--once"]).spawn().unwrap());
    assert_eq!(once().0, Some(0));
    let path = record(&state);
    for bytes in [&b""[..], b"\xff\xfe\x00", b"gostech-metrics login 1\n", &[b'x'; 100_000]] {
        fs::write(&path, bytes).unwrap();
        let (code, said) = once();
        assert_eq!(code, Some(0), "{said}");
        assert!(bytes.is_empty() || said.contains("counting anew"), "{said}");
    }
    // What stands there in its place is not followed, waited for or written to.
    let victim = state.join("victim");
    fs::write(&victim, "mine").unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    let (code, said) = once();
    assert!(code == Some(0) && said.contains("in this process alone"), "{said}");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(once().0, Some(0));
    fs::remove_file(&path).unwrap();
    fs::hard_link(&victim, &path).unwrap();
    assert_eq!(once().0, Some(0));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
}

#[test]
fn where_nothing_can_be_kept_there_is_no_second_guess() {
    let stand = Stand::start(&[("mon", ChapSha1, "right")], picodata(None));
    let scratch = Scratch::new("nowhere");
    let Some(unshare) = super::helper::peer("unshare") else { return };
    let script = "mount -t tmpfs -o ro none /var/lib && mount -t tmpfs -o ro none \"$TMPDIR\" && exec \"$@\"";
    let mut command = Command::new(unshare);
    command.args(["-m", "/bin/sh", "-c", script, "sh", &super::helper::program(), "--no-config", "--once"]);
    command.args(["--port", &stand.port.to_string(), "--username", "mon"]).env_remove("STATE_DIRECTORY");
    command.env("TMPDIR", &scratch.0).env("GOSTECH_METRICS_PASSWORD", "right");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unshare") || said.contains("mount:") {
        return eprintln!("skipped: no mount table of one's own here: {said}");
    }
    assert!(output.status.code() == Some(1) && said.contains("--auth-method"), "{said}");
    assert_eq!(stand.asked(), [Asked::Auth("mon".into(), "md5".into())]);
}
