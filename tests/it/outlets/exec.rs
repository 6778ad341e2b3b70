//! `exec://`: handlers that answer, refuse, put off, hang, die, say nonsense; and those that are shipped.

use super::{assert_all, check, docs_of, pour, wait_said, LIMIT, MANY};
use crate::harness::receiver::{Mode, Receiver};
use crate::harness::setup::text;
use crate::harness::{peer, procs, wait, Den, Events, Setup};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// The id of a line, as our handlers find it.
const ID: &str = r#"id=$(printf '%s' "$line" | sed 's/^{"@timestamp":"[^"]*","gostech":{"id":"\([^"\\]*\)".*/\1/')"#;

fn handler(den: &Den, name: &str, body: &str) -> String {
    let path = den.put(name, format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

/// Keeps each line and answers `ok`, all in one process. What a kill tore apart was not answered: it is cut away first.
pub fn keeping(den: &Den, name: &str) -> String {
    let python = r#"exec python3 -c '
import json, os, sys
open("PID", "w").write(str(os.getpid()))
out = open("OUT", "ab+")
out.seek(0)
out.truncate(out.read().rfind(b"\n") + 1)
for line in sys.stdin.buffer:
    if line.endswith(b"\n"):
        out.write(line)
        out.flush()
        print("ok", json.loads(line)["gostech"]["id"], flush=True)
'"#;
    handler(den, name, &python.replace("OUT", &den.file("got")).replace("PID", &den.file("pid")))
}

pub fn got(den: &Den) -> Vec<String> {
    std::fs::read_to_string(den.file("got")).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_handler_gets_everything_after_deaths_of_worker_and_handler() {
    let Some(_) = peer("python3") else { return };
    let den = Den::new("exec-kill");
    let program = keeping(&den, "keep");
    let mut picodata = Setup::new(&den).url(&format!("exec://{program}")).args(&["--drain", "60s"]).picodata();
    let (pid, out, done) = (den.file("pid"), den.file("got"), Arc::new(AtomicBool::new(false)));
    let killer = std::thread::spawn({
        let done = done.clone();
        move || {
            let (mut killed, mut last) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let size = std::fs::metadata(&out).map_or(0, |m| m.len());
                if size > last + 600_000 {
                    let handler = std::fs::read_to_string(&pid).ok().and_then(|text| text.parse().ok());
                    (killed, last) = (killed + u32::from(handler.is_some_and(procs::kill9)), size);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            killed
        }
    });
    let cut = pour(&mut picodata, MANY, true);
    wait("all is there", LIMIT, || got(&den).len() >= MANY);
    done.store(true, Ordering::Relaxed);
    let killed = killer.join().expect("it ends");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    // (`finish` has seen that nobody of the group is left.)
    let lines = got(&den);
    let (docs, repeats) = docs_of(lines.iter().map(String::as_str));
    assert_all(&picodata, &cut, &docs);
    assert!(killed > 0, "no handler was killed");
    eprintln!(
        "exec: {} events, {repeats} came again after 10 deaths of the worker and {killed} of the handler, lost 0",
        docs.len()
    );
}

#[test]
fn what_it_refuses_is_set_aside_and_what_it_puts_off_comes_again() {
    let den = Den::new("exec-words");
    let body = format!(
        "while IFS= read -r line; do {ID}\ncase $line in\n*poison*) echo \"no $id it is poison\" ;;\n\
         *later*) if [ -e {flag} ]; then echo \"$line\" >> {got}; echo \"ok $id\"; else echo 'not yet' >&2; echo \"later $id busy\"; fi ;;\n\
         *) echo \"$line\" >> {got}; echo \"ok $id\" ;;\nesac; done",
        flag = den.file("flag"),
        got = den.file("got")
    );
    let program = handler(&den, "judge", &body);
    let mut picodata = Setup::new(&den).url(&format!("exec://{program}")).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    for message in ["one", "poison", "two", "later", "three"] {
        picodata.write(&events.event_saying(message)).expect("the pipe never breaks");
    }
    wait_said(&picodata, "busy");
    wait_said(&picodata, "not yet");
    den.put("flag", "");
    wait("all but one are there", LIMIT, || docs_of(got(&den).iter().map(String::as_str)).0.len() == 4);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let list = Setup::new(&den).tool(&["quarantine", "list", "--no-config", "--spool-dir", &den.file("spool")]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("it is poison"), "{list}");
}

#[test]
fn one_that_hangs_dies_or_talks_nonsense_is_started_anew() {
    for (name, body, words) in [
        ("hangs", "sleep 600", "answered nothing for"),
        ("dies", "exit 3", "ended before it had answered"),
        ("nonsense", "read -r line; echo fine, thanks; cat > /dev/null", "it said `fine, thanks`"),
        ("missing", "", "cannot run"),
    ] {
        let den = Den::new(&format!("exec-{name}"));
        let program = den.file("handler");
        if !body.is_empty() {
            handler(&den, "handler", body);
        }
        let args = ["--drain", "60s", "--first-byte-timeout", "2s"];
        let mut picodata = Setup::new(&den).url(&format!("exec://{program}")).args(&args).picodata();
        picodata.events(&mut Events::new(1, 1), 3, 1000);
        wait_said(&picodata, words);
        let (well, said) =
            check(&Setup::new(&den), &["--url", &format!("exec://{program}"), "--send", "--first-byte-timeout", "2s"]);
        assert!(!well && said.contains(words), "{name}: {said}");
        let new = keeping(&den, "new");
        std::fs::rename(new, &program).expect("another program");
        wait("it comes", LIMIT, || got(&den).len() >= 3);
        assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
        let lines = got(&den);
        assert_eq!(picodata.ledger.compare(&docs_of(lines.iter().map(String::as_str)).0), Ok(()), "{name}");
        let (well, said) = check(&Setup::new(&den), &["--url", &format!("exec://{program}"), "--send"]);
        assert!(well && said.contains("took the test event"), "{said}");
    }
}

#[test]
fn a_handler_has_a_small_environment_and_no_descriptor_of_the_database() {
    let den = Den::new("exec-environment");
    let body = format!(
        "env > {env}; ls -l /proc/self/fd > {fds}; read -r line; {ID}; echo \"ok $id\"",
        env = den.file("env"),
        fds = den.file("fds")
    );
    let program = handler(&den, "look", &body);
    let setup = Setup::new(&den).url(&format!("exec://{program}")).env("PICODATA_ADMIN_PASSWORD", "s3cret");
    let mut picodata = setup.args(&["--drain", "60s"]).picodata();
    picodata.events(&mut Events::new(1, 1), 1, 1000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let env = std::fs::read_to_string(den.file("env")).expect("its environment");
    assert!(!env.contains("s3cret") && !env.contains("GOSTECH") && env.contains("PATH="), "{env}");
    let fds = std::fs::read_to_string(den.file("fds")).expect("its descriptors");
    assert!(!fds.contains("wal.leak") && !fds.contains("memfd") && !fds.contains("socket"), "{fds}");
}

/// One that is shipped, with a file of its own to read.
fn shipped(den: &Den, name: &str, file: &str) -> String {
    let program = format!("{}/packaging/handlers/{name}", env!("CARGO_MANIFEST_DIR"));
    format!("exec://{}", handler(den, &format!("to-{name}"), &format!("exec {program} '{file}'")))
}

/// A program of this name, which the handler finds first.
fn stand_in(den: &Den, name: &str, body: &str) -> String {
    std::fs::create_dir_all(den.file("bin")).expect("a directory");
    handler(den, &format!("bin/{name}"), body);
    format!("{}:{}", den.file("bin"), std::env::var("PATH").expect("a path"))
}

const SAID: &str = r#"\"Ёжик\" <b> & -- C:\\path"#;

#[test]
fn the_shipped_mailer_waits_for_addresses_and_mails_each_event_whole() {
    let den = Den::new("exec-mail");
    let body =
        format!("echo \"$*\" >> {0}/args; cat > {0}/mail.$$.new; mv {0}/mail.$$.new {0}/mail.$$", den.path().display());
    let path = stand_in(&den, "sendmail", &body);
    let url = shipped(&den, "mail", &den.file("mail-to"));
    let mut picodata = Setup::new(&den).url(&url).env("PATH", &path).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    picodata.write(&events.event_saying(SAID)).expect("the pipe never breaks");
    picodata.write(&events.event_long(15_000)).expect("the pipe never breaks");
    wait_said(&picodata, "write the addresses into");
    den.put("mail-to", "# the watch\nmaria@example.com\nivan@example.com\n");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let mails: Vec<String> = std::fs::read_dir(den.path())
        .expect("a directory")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("mail.")))
        .map(|p| std::fs::read_to_string(p).expect("a mail"))
        .collect();
    let mut lines = Vec::new();
    for mail in &mails {
        let (head, body) = mail.split_once("\n\n").expect("a head");
        assert!(head.starts_with("To: maria@example.com,ivan@example.com\nSubject: picodata audit: "), "{head}");
        assert!(body.lines().all(|l| l.len() <= 76), "no mailer takes longer lines");
        lines.push(String::from_utf8(decoded(body)).expect("text").trim().to_owned());
    }
    let by_time = |l: &String| l.find("\"count\":").map(|at| l[at..at + 10].to_owned());
    lines.sort_by_key(by_time);
    assert_eq!(picodata.ledger.compare(&docs_of(lines.iter().map(String::as_str)).0), Ok(()));
    assert_eq!(std::fs::read_to_string(den.file("args")).expect("arguments"), "-i -t\n-i -t\n");
}

/// Decoded by a program that is not ours.
fn decoded(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut command = std::process::Command::new("base64");
    command.arg("-d").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("base64");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends").stdout
}

#[test]
fn the_shipped_desktop_handler_shows_title_and_message() {
    let den = Den::new("exec-desktop");
    let body =
        format!("[ -e {0}/session ] || exit 1; printf '%s|' \"$@\" \"$DISPLAY\" >> {0}/shown", den.path().display());
    let path = stand_in(&den, "notify-send", &body);
    let url = shipped(&den, "desktop", "");
    let setup = Setup::new(&den).url(&url).env("PATH", &path).env("DISPLAY", ":7");
    let mut picodata = setup.args(&["--drain", "60s"]).picodata();
    picodata.write(&Events::new(1, 1).event_saying(SAID)).expect("the pipe never breaks");
    wait_said(&picodata, "notify-send failed");
    den.put("session", "");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    let shown = std::fs::read_to_string(den.file("shown")).expect("what it shows");
    let said = r#"\"Ёжик\" &lt;b&gt; &amp; -- C:\\path|:7|"#;
    assert!(shown.starts_with("--app-name=picodata|--|") && shown.ends_with(said), "{shown}");
}

#[test]
fn the_shipped_webhook_posts_by_curl_and_understands_the_answers() {
    let Some(_) = peer("curl") else { return };
    let den = Den::new("exec-webhook");
    let receiver = Receiver::start();
    receiver.set(Mode::Marker(400, "poison".into()));
    let url = shipped(&den, "webhook", &den.file("webhook.curl"));
    let mut picodata = Setup::new(&den).url(&url).args(&["--drain", "60s"]).picodata();
    let mut events = Events::new(1, 1);
    for message in [SAID, "poison", "two"] {
        picodata.write(&events.event_saying(message)).expect("the pipe never breaks");
    }
    wait_said(&picodata, "write the URL of the webhook into");
    let hook = format!("{}?secret=t0ken", receiver.url());
    den.put("webhook.curl", format!("url = \"{hook}\"\nheader = \"Content-Type: application/json\"\n"));
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert!(
        picodata.err().contains("the webhook answers 400") && !picodata.err().contains("t0ken"),
        "{}",
        picodata.err()
    );
    let visits = receiver.visits();
    let bodies = visits.iter().filter(|v| v.status == 200).map(|v| text(&v.request.body));
    let bodies: Vec<String> = bodies.collect();
    let (docs, _) = docs_of(bodies.iter().map(String::as_str));
    // (One that was put off may come behind one that was not.)
    let mut messages: Vec<&str> = docs.iter().map(|d| d.value["message"].as_str().expect("a message")).collect();
    messages.sort_unstable();
    assert_eq!(messages, ["\"Ёжик\" <b> & -- C:\\path", "two"]);
}
