//! `exec://`: handlers that answer, refuse, put off, hang, die, say nonsense; and those that are shipped.

use super::{assert_all, check, docs_of, pour, wait_said, LIMIT};
use crate::harness::{wait, Den, Events, Setup};
use std::os::unix::fs::PermissionsExt;

/// The id of a line, as our handlers find it.
const ID: &str = r#"id=$(printf '%s' "$line" | sed 's/^{"@timestamp":"[^"]*","gostech":{"id":"\([^"\\]*\)".*/\1/')"#;

fn handler(den: &Den, name: &str, body: &str) -> String {
    let path = den.put(name, format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    path
}

/// Keeps each line and answers `ok`, all in one process.
fn keeping(den: &Den, name: &str) -> String {
    let awk = r#"exec awk -v out="OUT" '{ print >> out; fflush(out); match($0, /"gostech":{"id":"[^"]*"/); print "ok " substr($0, RSTART + 17, RLENGTH - 18); fflush() }'"#;
    handler(den, name, &awk.replace("OUT", &den.file("got")))
}

fn got(den: &Den) -> Vec<String> {
    std::fs::read_to_string(den.file("got")).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_handler_gets_everything_after_deaths_of_worker_and_handler() {
    let den = Den::new("exec-kill");
    let program = keeping(&den, "keep");
    let mut picodata = Setup::new(&den).url(&format!("exec://{program}")).args(&["--drain", "60s"]).picodata();
    let cut = pour(&mut picodata, 5_000, true);
    wait("all is there", LIMIT, || got(&den).len() >= 5_000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    // (`finish` has seen that nobody of the group is left.)
    let lines = got(&den);
    let (docs, repeats) = docs_of(lines.iter().map(String::as_str));
    assert_all(&picodata, &cut, &docs);
    eprintln!("exec: {} events, {repeats} came again after 5 deaths, lost 0", docs.len());
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
        ("nonsense", "read -r line; echo fine, thanks; cat > /dev/null", "which is no answer to an event"),
        ("missing", "", "cannot run"),
    ] {
        let den = Den::new(&format!("exec-{name}"));
        let program = den.file("handler");
        if !body.is_empty() {
            handler(&den, "handler", body);
        }
        let args = ["--drain", "60s", "--first-byte-timeout", "500ms"];
        let mut picodata = Setup::new(&den).url(&format!("exec://{program}")).args(&args).picodata();
        picodata.events(&mut Events::new(1, 1), 3, 1000);
        wait_said(&picodata, words);
        let (well, said) = check(
            &Setup::new(&den),
            &["--url", &format!("exec://{program}"), "--send", "--first-byte-timeout", "500ms"],
        );
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
    let body = format!("env > {env}; ls -l /proc/self/fd > {fds}; exec awk '{{ match($0, /\"gostech\":{{\"id\":\"[^\"]*\"/); print \"ok \" substr($0, RSTART + 17, RLENGTH - 18); fflush() }}'",
        env = den.file("env"), fds = den.file("fds"));
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
