//! Handlers of all manners, real programs of the shell. Refuses: a handler that outlives its test.

use super::*;
use crate::audit::delivery::transport::testing::Lines;
use crate::net::testing::Scratch;

/// A handler that finds the id of each line, and then does this.
fn handler(dir: &Scratch, body: &str) -> PathBuf {
    let path = dir.path("handler");
    let head = r#"id() { printf '%s' "$1" | sed 's/.*"id":"\([^"]*\)".*/\1/'; }"#;
    std::fs::write(&path, format!("#!/bin/sh\n{head}\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn exec(program: PathBuf, patience_ms: u64) -> Exec {
    let patience = Duration::from_millis(patience_ms);
    Exec { program, place: "exec://x".into(), patience, total: Duration::from_secs(20), spent: 0, talk: None }
}

/// What becomes of this many events of `filling` bytes each with a handler that does this with each.
fn told(name: &str, body: &str, events: usize, filling: usize, patience_ms: u64) -> Delivery {
    let dir = Scratch::new(name);
    let mut exec = exec(handler(&dir, body), patience_ms);
    let delivery = exec.deliver(&Lines::of(0..events, filling).parcel());
    exec.rest();
    delivery
}

fn stopped(d: Delivery) -> (usize, Why, String) {
    let stop = d.stop.expect("it was not taken");
    (d.taken, stop.why, stop.said.text)
}

const LONG: u64 = 20_000;
const EACH: &str = "while IFS= read -r line; do";

#[test]
fn answers_may_come_twice_late_in_another_order_and_beside_other_words() {
    let twice =
        format!("{EACH} i=$(id \"$line\"); echo \"ok $i\"; echo \"ok $i\"; echo \"ok c/i/9.9.9/ff\"; echo hello; done");
    let backwards = "while read -r a && read -r b; do echo \"ok $(id \"$b\")\"; echo \"ok $(id \"$a\")\"; done";
    let deaf = "read -r a; read -r b; exec <&-; echo \"ok $(id \"$a\")\"; echo \"ok $(id \"$b\")\"; sleep 60";
    for (name, body) in [("twice", twice.as_str()), ("backwards", backwards), ("deaf", deaf)] {
        let d = told(&format!("exec-{name}"), body, 2, 10, LONG);
        assert!(d.stop.is_none() && d.taken == 2, "{name}: {d:?}");
    }
}

#[test]
fn each_word_is_about_its_event() {
    let body = format!(
        "{EACH} case $line in *.0.1/*) w='no' y=' too odd' ;; *.0.2/*) w=later y=' busy' ;; *) w=ok y= ;; esac; echo \"$w $(id \"$line\")$y\"; done"
    );
    let d = told("exec-words", &body, 4, 10, LONG);
    assert_eq!(d.also, [(3, Verdict::Taken)]);
    assert_eq!(stopped(d), (1, Why::Content(Blame::NeedsWitness), "refuses it: too odd".into()));
    let puts_off = told("exec-later", &format!("{EACH} echo \"later $(id \"$line\") busy\"; done"), 2, 10, LONG);
    assert_eq!(stopped(puts_off), (0, Why::NotNow(None), "puts it off: busy".into()));
}

#[test]
fn one_that_is_out_of_order_is_ended_and_what_it_did_counts() {
    let first = "read -r line; echo \"ok $(id \"$line\")\"";
    for (name, body, patience, taken, words) in [
        ("hangs", format!("{first}; sleep 60"), 300, 1, "answered nothing for"),
        ("says-why", "echo oops >&2; sleep 60".into(), 300, 0, "it said `oops`"),
        ("dies", format!("{first}; exit 3"), LONG, 1, "ended before it had answered"),
        (
            "talks",
            "exec yes fine, thanks".into(),
            LONG,
            0,
            "says very much, and answers nothing; it said `fine, thanks`",
        ),
        ("endless", "exec tr '\\0' x < /dev/zero".into(), LONG, 0, "a line without an end: `xxx"),
        ("complains", "while :; do echo oops >&2; done".into(), 300, 0, "answered nothing for"),
        ("unanswered", "echo ok c/i/1.0.77/00; sleep 60".into(), 300, 0, "it said `ok c/i/1.0.77/00`"),
    ] {
        let (n, why, text) = stopped(told(&format!("exec-{name}"), &body, 3, 10, patience));
        assert!(n == taken && matches!(why, Why::Unanswered(_)) && text.contains(words), "{name}: {n} {why:?} {text}");
    }
}

#[test]
fn the_next_delivery_goes_to_the_same_one_or_to_a_new_one_when_that_is_gone() {
    let dir = Scratch::new("exec-again");
    let body = format!(
        "echo x >> {}; {EACH} echo \"ok $(id \"$line\")\"; case $line in *.0.3/*) exit ;; esac; done",
        dir.path("starts").display()
    );
    let mut exec = exec(handler(&dir, &body), LONG);
    for (from, starts) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2)] {
        let d = exec.deliver(&Lines::of(from..from + 1, 10).parcel());
        assert!(d.stop.is_none(), "{d:?}");
        if from == 3 {
            while exec.talk.as_ref().is_some_and(Talk::lives) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert_eq!(std::fs::read_to_string(dir.path("starts")).unwrap().lines().count(), starts, "{from}");
    }
    exec.rest();
}

#[test]
fn events_of_any_length_arrive_whole_and_many_go_ahead_of_their_answers() {
    let dir = Scratch::new("exec-long");
    let out = dir.path("out");
    let body =
        format!(r#"tee {} | grep --line-buffered -o '"id":"[^"]*"' | sed -u 's/"id":"/ok /; s/"$//'"#, out.display());
    let mut exec = exec(handler(&dir, &body), LONG);
    let mut all = String::new();
    for (numbers, filling) in [(0..300, 10), (300..320, 20_000), (320..323, 300_000), (323..324, 3 << 20)] {
        let lines = Lines::of(numbers, filling);
        let d = exec.deliver(&lines.parcel());
        assert!(d.stop.is_none(), "{filling}: {d:?}");
        all.push_str(&lines.text());
    }
    exec.rest();
    assert!(std::fs::read_to_string(out).unwrap() == all);
}

#[test]
fn a_slow_one_gets_fewer_and_is_not_ended() {
    let dir = Scratch::new("exec-slow");
    let mut exec = exec(handler(&dir, &format!("{EACH} sleep 0.01; echo \"ok $(id \"$line\")\"; done")), LONG);
    exec.total = Duration::from_millis(300);
    let d = exec.deliver(&Lines::of(0..900, 10).parcel());
    let taken = d.taken;
    let (_, why, text) = stopped(d);
    assert!(taken > 0 && taken < 900 && text.contains("the next get fewer"), "{taken} {text}");
    assert!(why == Why::Unanswered(FailureKind::Timeout) && exec.talk.is_some() && exec.spent() >= 100);
    exec.rest();
}

#[test]
fn what_cannot_be_run_is_told_with_its_cure() {
    let dir = Scratch::new("exec-missing");
    let path = dir.path("none");
    let mut exec = exec(path.clone(), LONG);
    let lines = Lines::of(0..1, 1);
    let mut says = |words: &str| {
        let (_, why, text) = stopped(exec.deliver(&lines.parcel()));
        assert!(matches!(why, Why::NotSent(_)) && text.contains(words) && text.contains("cannot run"), "{text}");
    };
    says("mend the path");
    std::fs::write(&path, "#!/no/such/shell\n").unwrap();
    says("chmod +x");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    says("the interpreter that its first line names is not here");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    says("it is no file");
}
