//! The page of an audit helper that is well, one that is not, an empty one, and one with much of everything.

use super::*;
use crate::audit::alarm::diary::Entry;
use crate::audit::alarm::{AlarmKind, State};
use crate::audit::record::account::Account;
use crate::audit::spool::cursor::Cursor;
use crate::audit::spool::moment::{Around, Bytes, Row};
use crate::page::{html, term};

const NOW: i64 = 1_795_224_477_349;
const MANY: u64 = 123_456_789_012_345_678;

fn receiver(name: &str, next: u64) -> Standing {
    let cursor = Cursor {
        receiver: name.into(),
        next,
        delivered: MANY,
        last_ok_ms: NOW - 3_000,
        last_answer_ms: NOW - 2_000,
        last_answer: "HTTP 503 <b>\"later\"</b>\x1b[2J\u{202e}".into(),
        ..Cursor::default()
    };
    Standing { name: name.into(), live: true, cursor, oldest_ms: Some(NOW - 90_000) }
}

fn moment() -> Moment {
    let mut account = Account::default();
    account.counters.read = MANY;
    let alarm = Alarm {
        kind: AlarmKind::ReceiverDown,
        about: "receiver r1".into(),
        state: State::Firing,
        since_ms: NOW - 300_000,
        text: "connection refused <script>".into(),
    };
    Moment {
        now_ms: NOW,
        account,
        next: 10,
        receivers: vec![receiver("r1", 4), receiver("r2", 10)],
        bytes: Bytes { live: 90, retained: 7, max: 100, ..Bytes::default() },
        disk_bad: None,
        set_aside: 0,
        wrong: vec![alarm],
        in_force: vec![Row { name: "url of r1".into(), value: "https://siem.example.com/".into(), given: true }],
        input: None,
        happened: Vec::new(),
        sealed: None,
        around: Around {
            protections: vec![("seccomp".into(), true), ("landlock".into(), false)],
            history: vec![0; limits::PAGE_HISTORY_WORDS],
            alarms: vec![
                Entry { kind: AlarmKind::DiskFull, since_ms: NOW - 8_400_000, over_ms: NOW - 3_600_000 },
                Entry { kind: AlarmKind::DiskFailing, since_ms: NOW - 2 * limits::PAGE_DAY_MILLIS, over_ms: 1 },
            ],
            ..Around::default()
        },
    }
}

fn titled(mut m: Moment, titles: usize) -> Moment {
    let rows = (0..titles).map(|i| ((format!("title_{i}"), Severity::Medium), 1 + i as u64));
    let hostile = (("<img src=x onerror=alert(1)>".to_string(), Severity::High), 9_999);
    m.account.titles = rows.chain([hostile, (("auth_fail".into(), Severity::High), 77)]).collect();
    m
}

#[test]
fn what_is_wrong_is_said_first_in_both_languages_and_nothing_foreign_is_markup() {
    let m = titled(moment(), 3);
    let en = html::draw(&sheet(&m, Lang::En), None);
    for want in [
        "r1: a receiver takes nothing while events wait (5 min): connection refused",
        "connection refused &lt;script&gt;",
        "HTTP 503 &lt;b&gt;&quot;later&quot;&lt;/b&gt;\\u{1b}[2J\\u{202e}",
        "https://siem.example.com/ · 2.0 s ago",
        "&lt;img src=x onerror=alert(1)&gt;",
        "<dt>failed logins</dt><dd>77</dd>",
        "<dd class=\"warn\">90 % of 100 bytes",
        "2 h 20 min ago; for 80 min: the spool&#39;s disk has no room",
        "<li class=\"warn\">landlock: not in force</li>",
    ] {
        assert!(en.contains(want), "{want} in {en}");
    }
    assert!(!en.contains("refuses to write"), "two days ago");
    assert!(!en.contains("<img") && !en.contains("<script"));
    let ru = html::draw(&sheet(&m, Lang::Ru), None);
    assert!(
        ru.contains("lang=\"ru\"") && ru.contains("неудачные входы") && ru.contains("r1: приёмник ничего не берёт"),
        "{ru}"
    );
    assert!(!ru.contains("waits") && !ru.contains("delivered"), "{ru}");
}

#[test]
fn it_is_small_with_twenty_receivers_and_all_titles_and_drawn_when_there_is_nothing() {
    let mut m = titled(moment(), 25);
    m.receivers = (0..20).map(|i| receiver(&format!("receiver-{i}"), 10)).collect();
    let page = html::draw(&sheet(&m, Lang::Ru), None);
    assert!(page.len() < 30_000, "{}", page.len());
    let mut most = titled(moment(), limits::TITLES);
    most.receivers = (0..limits::STATE_RECEIVERS).map(|i| receiver(&format!("receiver-{i}"), 1)).collect();
    most.wrong = vec![most.wrong[0].clone(); 2 * limits::ALARMS];
    let page = html::draw(&sheet(&most, Lang::Ru), None);
    assert!(page.len() < 60_000, "{}", page.len());
    assert!(page.contains("и ещё: "), "{page}");
    let rest = 2 * limits::ALARMS - limits::PAGE_ROWS;
    assert!(page.contains(&format!("<li class=\"warn\">… и ещё: {rest}</li>")), "{page}");
    let mut empty = moment();
    (empty.receivers, empty.wrong, empty.around) = Default::default();
    (empty.account, empty.bytes, empty.next) = (Account::default(), Bytes::default(), 1);
    let sheet = sheet(&empty, Lang::En);
    assert_eq!(sheet.verdict.text, "All is well: everything that was read is delivered");
    assert!(html::draw(&sheet, None).contains("0 % of 0 bytes"));
    assert!(term::draw(&sheet, 40, false).iter().all(|l| l.chars().count() <= 40));
}

#[test]
fn it_is_called_well_only_where_everything_was_delivered() {
    let mut well = moment();
    (well.receivers, well.wrong, well.account) = (vec![receiver("r1", 10)], Vec::new(), Account::default());
    let verdict = |m: &Moment| sheet(m, Lang::En).verdict;
    assert_eq!(verdict(&well).tone, Tone::Good);
    let not_all = "Works; but not everything was delivered, see «Evidence»: 1";
    let counters: [fn(&mut Moment); 5] = [
        |m| m.account.counters.dropped = 1,
        |m| m.account.counters.damaged = 1,
        |m| m.account.counters.gaps = 1,
        |m| m.receivers[0].cursor.quarantined = 1,
        |m| m.receivers[0].cursor.dropped = 1,
    ];
    for change in counters {
        let mut m = well.clone();
        change(&mut m);
        assert_eq!((verdict(&m).text.as_str(), verdict(&m).tone), (not_all, Tone::Warn));
    }
    well.receivers.push(receiver("r2", 4));
    assert_eq!(verdict(&well).text, "All is well; events on their way: 6");
    // Nobody carries those of one that is configured no more.
    well.receivers[1].live = false;
    let verdict = verdict(&well);
    assert_eq!(verdict.text, "Works; but events wait for a receiver that is configured no more: 6");
    assert_eq!(verdict.tone, Tone::Warn);
    let page = html::draw(&sheet(&well, Lang::En), None);
    assert!(page.contains("<li class=\"warn\">r2: 6 events are kept for this receiver"), "{page}");
    assert!(page.contains("gostech-audit-log spool forget r2"), "{page}");
}
