//! The page for one instance, for a cluster of many, for a database that is away, and with names that strangers chose.

use super::super::readings::{Reading, View};
use super::super::rules::Rules;
use super::super::snapshot::Builder;
use super::super::source::{Grade, Page};
use super::super::text;
use super::*;
use crate::iproto::{Reason, Trouble};
use crate::page::{html, term};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: i64 = 1_795_224_477_349;

fn seen(name: &str, page: Result<&str, &str>) -> Seen {
    let rules = Rules::default();
    let result = match page {
        Ok(page) => {
            let mut out = Builder::new(&rules);
            text::read(page, &mut out);
            Ok((Page { snapshot: out.finish().0, ..Page::default() }, Grade::Full))
        }
        Err(words) => Err(Trouble::new(Reason::Connect, words)),
    };
    let at = Instant::now();
    let reading = Reading { result, sources: Vec::new(), at, wall_ms: NOW - 2_000, took: Duration::from_millis(5) };
    let mut view = View { reading: Some(Arc::new(reading)), counts: Default::default(), late: false };
    view.counts.load = Some(12.5);
    if let Err(words) = page {
        view.counts.last = Some((UNIX_EPOCH + Duration::from_millis(NOW as u64 - 60_000), words.into()));
    }
    let labels = if name.is_empty() { Vec::new() } else { vec![("instance_name".to_string(), name.to_string())] };
    Seen { labels, view }
}

fn page(name: &str, state: &str, leader: u64, applied: u64) -> String {
    format!(
        "# TYPE pico_instance_state gauge\npico_instance_state{{instance=\"{name}\",state=\"{state}\",tier=\"default\"}} 1\n\
         pico_raft_leader_id {leader}\npico_raft_applied_index {applied}\npico_raft_commit_index 50\n\
         tnt_slab_arena_used 33554432\ntnt_slab_quota_size 67108864\ntnt_net_requests_total 123456789012345678\n"
    )
}

fn draw(seen: &[Seen], discover: bool, lang: Lang) -> Sheet {
    let mut failures = super::super::rules::Tally::default();
    failures.add("refused");
    let counts = Counts { taken: 0, failures, waiting: 9, ..Counts::default() };
    let facts = Facts {
        now_ms: NOW,
        of: About { place: "db<1>:3301", user: "mon", discover, history: &[0; SERIES * WORDS], service: true },
        seen,
        outlets: &[("graphite \"a\"".to_string(), counts)],
        queries: &[Told { name: "orders".into(), rows: 3, ..Told::default() }],
        started: UNIX_EPOCH + Duration::from_millis(NOW as u64 - 7_200_000),
        memory: Some(5 << 20),
        protection: [("landlock", true), ("seccomp", false), ("no_new_privs", true), ("not_dumpable", true)],
    };
    sheet(&facts, lang)
}

#[test]
fn one_instance_in_figures_and_in_two_languages() {
    let all = [seen("", Ok(&page("i1", "Online", 3, 41)))];
    let en = html::draw(&draw(&all, false, Lang::En), None);
    for want in [
        "verdict good\">The database answers",
        "<dt>raft lag, entries</dt><dd>9</dd>",
        "<dt>raft leader (its id)</dt><dd>3</dd>",
        "32.0 MiB<svg class=\"bar\"",
        "<rect width=\"50\"",
        "12.5/s",
        "db&lt;1&gt;:3301",
        "graphite &quot;a&quot;",
        "refused 1",
        "<td class=\"warn\">orders</td>",
        "seccomp: not in force",
        "full",
    ] {
        assert!(en.contains(want), "{want} in {en}");
    }
    let ru = html::draw(&draw(&all, false, Lang::Ru), None);
    assert!(ru.contains("СУБД отвечает") && ru.contains("32,0 МиБ") && !ru.contains("answer"), "{ru}");
}

#[test]
fn what_is_wrong_is_said_first() {
    let verdict = |seen: &[Seen]| draw(seen, true, Lang::En).verdict.text;
    let up = || seen("i1", Ok(&page("i1", "Online", 3, 50)));
    let down = || seen("i2", Err("cannot connect to `<b>`\x1b[2J"));
    assert_eq!(verdict(&[down()]), "The database does not answer: connect");
    assert_eq!(verdict(&[up(), down()]), "An instance does not answer (i2: 1/2)");
    assert_eq!(verdict(&[seen("i1", Ok(&page("i1", "Online", 0, 50)))]), "No raft leader");
    assert_eq!(verdict(&[seen("i1", Ok(&page("i9", "Offline", 1, 50)))]), "An instance is not online: i9: Offline");
    assert_eq!(verdict(&[up(), up()]), "All instances answer (2)");
    let page = html::draw(&draw(&[up(), down()], true, Lang::En), None);
    assert!(page.contains("60 s ago: ") || page.contains("1 min ago: "), "{page}");
    assert!(page.contains("i2: cannot connect to `&lt;b&gt;`\\u{1b}[2J"), "{page}");
    assert!(page.find(">i2</td>") < page.find(">i1</td>"), "the troubled first");
}

#[test]
fn two_hundred_instances_fit_and_none_is_no_fault() {
    let all: Vec<Seen> = (0..200).map(|i| seen(&format!("storage_{i}_{i}"), Ok(&page("x", "Online", 1, i)))).collect();
    let sheet = draw(&all, true, Lang::Ru);
    let page = html::draw(&sheet, None);
    assert!(page.len() < 30_000 && page.contains("ещё: 136"), "{}", page.len());
    assert!(term::draw(&sheet, 80, false).iter().all(|l| l.chars().count() <= 80));
    let none = html::draw(&draw(&[], true, Lang::En), None);
    assert!(none.contains("has not answered yet"), "{none}");
}

#[test]
fn hostile_names_are_text() {
    let name = "<script>\"'\u{202e}";
    let page = html::draw(&draw(&[seen(name, Ok(&page("x", "Online", 1, 1)))], true, Lang::En), None);
    assert!(page.contains("&lt;script&gt;&quot;&#39;\\u{202e}") && !page.contains("<script"), "{page}");
}
