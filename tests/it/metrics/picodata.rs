//! Picodata as recorded: every grade of monitoring, every sample of the built-in page, the rules of asking sparingly.

use super::helper::{command, samples, Helper, Samples, Scratch};
use super::stand::{data, instance, named, picodata, recorded, recorded_page, Asked, Reply, Stand, LOCKED};
use gostech::iproto::auth::Method::{ChapSha1, Md5};
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(15);

fn start(stand: &Stand, user: &str, password: &str, more: &[&str]) -> Helper {
    let port = stand.port.to_string();
    let mut args = vec!["--port", &port, "--username", user];
    for (name, value) in [("--min-interval", "0"), ("--timeout", "2s")] {
        if !more.contains(&name) {
            args.extend([name, value]);
        }
    }
    Helper::start_with(&[&args[..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", password)])
}

fn up(page: &Samples) -> bool {
    page.iter().any(|(series, value)| series.starts_with("picodata_up") && *value == 1.0)
}

fn down(reason: &str) -> impl Fn(&Samples) -> bool {
    let series = format!("gostech_metrics_down{{reason=\"{reason}\"}}");
    move |page| page["picodata_up"] == 0.0 && page.get(&series) == Some(&1.0)
}

fn evals(asked: &[Asked]) -> usize {
    asked.iter().filter(|a| matches!(a, Asked::Eval(_))).count()
}

#[test]
fn full_every_sample_of_the_built_in_page_with_the_same_value_and_one_request_a_scrape() {
    for name in ["metrics-http.txt", "metrics-http-cluster-i1.txt"] {
        let page = recorded_page(name);
        let stand = Stand::start(&[("pico_service", ChapSha1, "T0psecret")], picodata(Some(page.clone())));
        let helper = start(&stand, "pico_service", "T0psecret", &[]);
        let got = helper.until("up", LIMIT, up);
        let want = samples(&page);
        assert!(want.len() > 250);
        for (series, value) in &want {
            assert_eq!(got.get(series), Some(value), "{series}");
        }
        let foreign: Vec<_> = got.keys().filter(|k| !want.contains_key(*k)).collect();
        assert!(foreign.iter().all(|k| k.starts_with("gostech_metrics_") || *k == "picodata_up"), "{foreign:?}");
        assert_eq!(got["gostech_metrics_source_success{source=\"full\"}"], 1.0);
        assert_eq!(got["gostech_metrics_series"], want.len() as f64);
        // Once: the login and the look at `_space`. From then on one EVAL a scrape, and nothing else.
        let first = stand.asked();
        assert_eq!(first[0], Asked::Auth("pico_service".into(), "chap-sha1".into()));
        assert_eq!(first[1], Asked::Select(280));
        helper.scrape();
        helper.scrape();
        let later = stand.asked();
        assert_eq!((later.len(), evals(&later)), (2, 2));
        assert!(helper.end().success());
    }
}

#[test]
fn the_dashboards_families_arrive_under_their_names() {
    let page = recorded_page("metrics-http-cluster-i1.txt");
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(page.clone())));
    let got = start(&stand, "pico_service", "x", &[]).until("up", LIMIT, up);
    let list = include_str!("../../data/dashboard-metrics.txt");
    let has = |text: &str, family: &str| text.lines().any(|l| l.starts_with(&format!("{family}{{")));
    let (mut there, mut wanted) = (0, 0);
    for family in list.split_whitespace() {
        wanted += usize::from(has(&page, family));
        there += usize::from(has(&page, family) && got.keys().any(|k| k.starts_with(&format!("{family}{{"))));
    }
    assert!(wanted > 90, "the recorded page has {wanted} of the dashboard's families");
    assert_eq!(there, wanted);
}

#[test]
fn full_without_the_http_listener_the_derivable_families() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(None));
    let got = start(&stand, "pico_service", "x", &[]).until("up", LIMIT, up);
    let own = "instance_name=\"default_1_1\"";
    for (series, value) in [
        (format!("pico_info_uptime{{cluster_name=\"demo\",instance_dir_name=\"data\",{own},replicaset=\"default_1\",tier=\"default\"}}"), 12.5),
        (format!("pico_raft_term{{{own}}}"), 4.0),
        (format!("pico_raft_applied_index{{{own}}}"), 59.0),
        (format!("pico_raft_commit_index{{{own}}}"), 59.0),
        (format!("pico_raft_leader_id{{{own}}}"), 1.0),
        (format!("pico_raft_state{{{own},state=\"Leader\"}}"), 1.0),
        (format!("pico_instance_state{{instance=\"default_1_2\",{own},state=\"Offline\",tier=\"default\"}}"), 1.0),
        (format!("pico_table_len{{engine=\"memtx\",{own},table_kind=\"user\",table_name=\"warehouse\"}}"), 1.0),
        (format!("pico_table_size_bytes{{engine=\"memtx\",{own},table_kind=\"user\",table_name=\"warehouse\"}}"), 98311.0),
        (format!("pico_table_len{{engine=\"vinyl\",{own},table_kind=\"user\",table_name=\"cold\"}}"), 5.0),
        (format!("tnt_slab_quota_used_ratio{{{own}}}"), 50.0),
        (format!("tnt_space_len{{engine=\"memtx\",{own},name=\"warehouse\"}}"), 1.0),
    ] {
        assert_eq!(got.get(&series), Some(&value), "{series}\n{got:#?}");
    }
    let made_up = |k: &&String| {
        k.starts_with("pico_governor_changes_total") || k.starts_with("pico_table_size_bytes{engine=\"vinyl\"")
    };
    assert_eq!(got.keys().find(made_up), None, "not derivable, so not made up");
}

#[test]
fn least_any_user_without_grants_and_never_an_eval() {
    let stand = Stand::start(&[("mon", Md5, "x")], picodata(None));
    let helper = start(&stand, "mon", "x", &["--label", "dc=east"]);
    let got = helper.until("up", LIMIT, up);
    let own = "dc=\"east\",instance_name=\"default_1_1\"";
    for (series, value) in [
        (format!("pico_raft_term{{{own}}}"), 4.0),
        (format!("pico_raft_state{{{own},state=\"Leader\"}}"), 1.0),
        (format!("tnt_slab_items_used_ratio{{{own}}}"), 0.98),
        (format!("tnt_slab_quota_size{{{own}}}"), 67108864.0),
        (format!("picodata_slab_system_arena_used_ratio{{{own}}}"), 8.3),
        (format!("picodata_loop_status{{{own},loop=\"governor\",status=\"idle\"}}"), 1.0),
        (format!("picodata_governor_steps_total{{{own}}}"), 6.0),
        ("pico_instance_state{dc=\"east\",instance=\"default_1_1\",instance_name=\"default_1_1\",state=\"Online\",tier=\"default\"}".into(), 1.0),
        (format!("picodata_peer_address_info{{address=\"127.0.0.1:24327\",connection_type=\"pgproto\",{own},raft_id=\"1\"}}"), 1.0),
    ] {
        assert_eq!(got.get(&series), Some(&value), "{series}\n{got:#?}");
    }
    let theirs = got.keys().filter(|k| !k.starts_with("gostech_metrics_") && !k.starts_with("picodata_up"));
    assert!(theirs.clone().count() > 20 && theirs.clone().all(|k| k.contains("instance_name=\"default_1_1\"")));
    assert!(got.keys().any(|k| k.starts_with("picodata_version_info{build_profile=\"release\"")));
    stand.asked();
    helper.scrape();
    let asked = stand.asked();
    assert_eq!(asked, [Asked::Call(".proc_runtime_info_v2".into()), Asked::Select(515), Asked::Select(514)]);
}

#[test]
fn least_of_older_versions_and_with_parts_switched_off() {
    let stand = Stand::start(&[("mon", Md5, "x")], |user, asked| match asked {
        Asked::Call(name) if name == ".proc_runtime_info_v2" => Reply::No(33, "Procedure is not defined"),
        Asked::Select(281) => Reply::No(42, "denied"),
        other => picodata(None)(user, other),
    });
    let helper = start(&stand, "mon", "x", &["--without", "instances,addresses"]);
    let got = helper.until("up", LIMIT, up);
    assert_eq!(got["pico_raft_term{instance_name=\"default_1_1\"}"], 4.0);
    assert!(!got.keys().any(|k| k.starts_with("pico_instance_state") || k.starts_with("picodata_peer")));
    stand.asked();
    helper.scrape();
    assert_eq!(stand.asked(), [Asked::Call(".proc_runtime_info".into())]);
    // Still older: no runtime info at all.
    let stand = Stand::start(&[("mon", Md5, "x")], |user, asked| match asked {
        Asked::Call(name) if name.starts_with(".proc_runtime_info") => Reply::No(33, "Procedure is not defined"),
        other => picodata(None)(user, other),
    });
    let got = start(&stand, "mon", "x", &[]).until("up", LIMIT, up);
    assert_eq!(got["pico_raft_leader_id{instance_name=\"default_1_1\"}"], 1.0);
    assert!(got.keys().any(|k| k.starts_with("picodata_version_info{")));
}

/// Columns of `_pico_instance` in Picodata 24, as its public source has them.
const COLUMNS_24: [&str; 9] = [
    "instance_id",
    "instance_uuid",
    "raft_id",
    "replicaset_id",
    "replicaset_uuid",
    "current_state",
    "target_state",
    "failure_domain",
    "tier",
];

#[test]
fn picodata_24_with_its_own_names_of_columns() {
    // One column has moved, so that only who reads the names finds them.
    let mut columns = COLUMNS_24.to_vec();
    columns.rotate_right(1);
    let row = |name: &str, state: &str| {
        let mut row = instance(name, state).as_array().unwrap()[..9].to_vec();
        row.rotate_right(1);
        serde_json::Value::from(row)
    };
    let rows = [row("i1", "Offline"), row("default_1_1", "Online")];
    let format: Vec<_> = columns.iter().map(|c| json!({"name": c, "type": "any"})).collect();
    let named_rows: Vec<_> = rows.iter().map(|r| named(&columns, r)).collect();
    let own = json!({"raft_id": 1, "instance_id": "default_1_1", "instance_uuid": "3c", "replicaset_id": "r1",
        "cluster_id": "demo", "current_state": ["Online", 1], "tier": "default"});
    let script = move |user: &str, asked: &Asked| match asked {
        Asked::Eval(_) => data(json!([{"pico": {"instance": own, "uptime": 5, "instances": named_rows}}])),
        Asked::Call(name) if name == ".proc_runtime_info_v2" => Reply::No(33, "Procedure is not defined"),
        Asked::Select(281) => data(json!([[515, 1, "_pico_instance", "memtx", 0, {}, format]])),
        Asked::Select(515) => data(json!(rows)),
        Asked::Select(514) => data(json!([[1, "127.0.0.1:3301"]])),
        other => picodata(None)(user, other),
    };
    let stand = Stand::start(&[("mon", Md5, "x"), ("admin", Md5, "x")], script);
    let states = [
        "pico_instance_state{instance=\"default_1_1\",instance_name=\"default_1_1\",state=\"Online\",tier=\"default\"}",
        "pico_instance_state{instance=\"i1\",instance_name=\"default_1_1\",state=\"Offline\",tier=\"default\"}",
    ];
    let least = start(&stand, "mon", "x", &[]).until("up", LIMIT, up);
    let full = start(&stand, "admin", "x", &[]).until("up", LIMIT, up);
    for state in states {
        assert_eq!((least.get(state), full.get(state)), (Some(&1.0), Some(&1.0)), "{state}\n{least:#?}\n{full:#?}");
    }
    assert_eq!(least["pico_raft_term{instance_name=\"default_1_1\"}"], 4.0);
    let uptime = full.keys().find(|k| k.starts_with("pico_info_uptime")).expect("uptime");
    assert!(uptime.contains("cluster_name=\"demo\"") && uptime.contains("replicaset=\"r1\""), "{uptime}");
}

#[test]
fn function_setuid_functions_of_the_administrator_and_no_others() {
    let stand = Stand::start(&[("mon", Md5, "x")], picodata(None));
    let helper = start(&stand, "mon", "x", &["--function", "mon.pico,mon.metrics"]);
    let got = helper.until("up", LIMIT, up);
    assert_eq!(got["pico_cas_ops_duration_count{instance_name=\"default_1_1\"}"], 7.0);
    assert_eq!(got["gostech_metrics_source_success{source=\"function\"}"], 1.0);
    assert!(!got.keys().any(|k| k.starts_with("gostech_metrics_errors_total")), "what both give counts once: {got:#?}");
    stand.asked();
    helper.scrape();
    let look = Asked::Select(297);
    assert_eq!(stand.asked(), [look.clone(), look, Asked::Call("mon.pico".into()), Asked::Call("mon.metrics".into())]);
    // A function that runs as its caller, or that another user owns, could be the deadly collector: never called.
    for row in [json!([[70, 1, "mon.metrics", 0]]), json!([[70, 33, "mon.metrics", 1]]), json!([])] {
        let stand = Stand::start(&[("mon", Md5, "x")], move |user, asked| match asked {
            Asked::Select(297) => data(row.clone()),
            other => picodata(None)(user, other),
        });
        let helper = start(&stand, "mon", "x", &["--function", "mon.metrics"]);
        let got = helper.until("up", LIMIT, up);
        assert_eq!(got["gostech_metrics_source_success{source=\"function\"}"], 0.0);
        assert_eq!(got["gostech_metrics_source_success{source=\"least\"}"], 1.0);
        assert!(!stand.asked().contains(&Asked::Call("mon.metrics".into())));
    }
}

#[test]
fn the_number_of_pico_service_is_that_of_anybody_in_a_plain_tarantool() {
    for (picodata_too, called) in [(true, 1.0), (false, 0.0)] {
        let stand = Stand::start(&[("mon", Md5, "x")], move |user, asked| match asked {
            Asked::Select(297) => data(json!([[70, 32, "mon.metrics", 1]])),
            Asked::Call(name) if name == ".proc_version_info" && !picodata_too => Reply::No(33, "not defined"),
            other => picodata(None)(user, other),
        });
        let helper = start(&stand, "mon", "x", &["--function", "mon.metrics"]);
        let got = helper.until("up", LIMIT, up);
        assert_eq!(got["gostech_metrics_source_success{source=\"function\"}"], called);
        assert_eq!(stand.asked().contains(&Asked::Call("mon.metrics".into())), picodata_too);
    }
}

#[test]
fn a_function_that_is_made_anew_on_a_live_connection_is_looked_at_before_it_is_called() {
    let stand = Stand::start(&[("mon", Md5, "x")], picodata(None));
    let helper = start(&stand, "mon", "x", &["--function", "mon.metrics"]);
    helper.until("up", LIMIT, |p| p.get("gostech_metrics_source_success{source=\"function\"}") == Some(&1.0));
    // The same name, without setuid: it would run as this user.
    stand.becomes(|user, asked| match asked {
        Asked::Select(297) => data(json!([[71, 1, "mon.metrics", 0]])),
        other => picodata(None)(user, other),
    });
    // A poll may have been under way.
    helper.scrape();
    stand.asked();
    for _ in 0..3 {
        let page = helper.scrape();
        assert!(up(&page), "the least grade");
        assert_eq!(page["gostech_metrics_source_success{source=\"function\"}"], 0.0);
    }
    let asked = stand.asked();
    assert!(!asked.contains(&Asked::Call("mon.metrics".into())), "{asked:?}");
}

#[test]
fn functions_that_bring_nothing_are_no_database_in_health() {
    let stand = Stand::start(&[("mon", Md5, "x")], |user, asked| match asked {
        Asked::Call(name) if name == "mon.pico" => data(json!([{"status": 200, "body": ""}])),
        other => picodata(None)(user, other),
    });
    let helper = start(&stand, "mon", "x", &["--function", "mon.pico"]);
    let got = helper.until("up", LIMIT, up);
    assert_eq!(got["gostech_metrics_source_success{source=\"function\"}"], 0.0);
    assert_eq!(got["gostech_metrics_source_success{source=\"least\"}"], 1.0);
    helper.tells("HTTP listener");
    // Beside another one that brings something it is no trouble.
    let helper = start(&stand, "mon", "x", &["--function", "mon.pico,mon.metrics"]);
    let series = "gostech_metrics_source_success{source=\"function\"}";
    helper.until("function", LIMIT, |p| p.get(series) == Some(&1.0));
}

#[test]
fn no_eval_without_a_look_at_space_and_none_after_a_refusal() {
    for source in ["full", "tarantool", "auto"] {
        let stand = Stand::start(&[("mon", Md5, "x")], |user, asked| match asked {
            // The worst of users: everything may be executed, `_space` may not be read.
            Asked::Eval(_) => panic!("an EVAL as a user who may not read _space"),
            other => picodata(None)(user, other),
        });
        let helper = start(&stand, "mon", "x", &["--source", source]);
        for _ in 0..5 {
            helper.scrape();
        }
        let asked = stand.asked();
        assert_eq!(evals(&asked), 0, "{source}");
        let looks = asked.iter().filter(|a| **a == Asked::Select(280)).count();
        assert!(looks <= 1, "a denial is an audit event, {looks} were provoked by --source {source}");
    }
}

#[test]
fn rights_revoked_on_a_live_connection_fall_back_and_are_not_asked_for_again() {
    let stand = Stand::start(&[("admin", Md5, "x")], picodata(None));
    let helper = start(&stand, "admin", "x", &[]);
    helper.until("full", LIMIT, |p| p.get("gostech_metrics_source_success{source=\"full\"}") == Some(&1.0));
    for refusal in
        [data(json!([{"refused": "_space: Read access is denied"}])), Reply::No(42, "Execute access is denied")]
    {
        let stand = Stand::start(&[("admin", Md5, "x")], picodata(None));
        let helper = start(&stand, "admin", "x", &[]);
        helper.until("full", LIMIT, up);
        stand.becomes(move |user, asked| match asked {
            Asked::Eval(_) => refusal.clone(),
            other => picodata(None)(user, other),
        });
        stand.asked();
        let page = helper.scrape();
        assert!(up(&page), "the least grade within the same poll");
        assert_eq!(page["gostech_metrics_source_success{source=\"full\"}"], 0.0);
        assert_eq!(page["gostech_metrics_source_success{source=\"least\"}"], 1.0);
        for _ in 0..4 {
            helper.scrape();
        }
        assert_eq!(evals(&stand.asked()), 1, "refused once, not asked again");
    }
}

#[test]
fn what_failed_but_was_not_denied_is_tried_again_soon() {
    let stand = Stand::start(&[("admin", Md5, "x")], |user, asked| match asked {
        Asked::Eval(_) => Reply::No(32, "an error in Lua"),
        other => picodata(None)(user, other),
    });
    let helper = start(&stand, "admin", "x", &[]);
    let series = "gostech_metrics_source_success{source=\"full\"}";
    helper.until("least", LIMIT, |p| up(p) && p.get(series) == Some(&0.0));
    stand.becomes(picodata(None));
    helper.until("full again", Duration::from_secs(20), |p| p.get(series) == Some(&1.0));
}

#[test]
fn a_refused_password_rests_and_the_right_one_is_taken_at_once() {
    let scratch = Scratch::new("refused");
    let file = scratch.file("password", "wrong\n");
    let stand = Stand::start(&[("mon", Md5, "right")], picodata(None));
    let port = stand.port.to_string();
    let helper =
        Helper::start(&["--port", &port, "--username", "mon", "--password-file", &file, "--min-interval", "0"]);
    for _ in 0..6 {
        assert!(down("auth")(&helper.scrape()));
        std::thread::sleep(Duration::from_millis(100));
    }
    let tries = stand.asked();
    assert_eq!(tries, [Asked::Auth("mon".into(), "md5".into()), Asked::Auth("mon".into(), "chap-sha1".into())]);
    assert_eq!(helper.log().matches("does not let").count(), 1, "said once: {}", helper.log());
    helper.tells("(md5, chap-sha1)");
    scratch.file("password", "right\n");
    helper.until("the new password", LIMIT, |p| up(p) || stand.asked().len() > 2);
    helper.until("up", LIMIT, up);
    assert!(!helper.log().contains("right"), "{}", helper.log());
}

#[test]
fn a_locked_account_is_not_tried_with_the_other_method() {
    let stand = Stand::start(&[("mon", Md5, "x")], picodata(None));
    let helper = start(&stand, "mon", "y", &["--auth-method", "md5"]);
    helper.until("down", LIMIT, down("auth"));
    assert_eq!(stand.asked().len(), 1);
    let helper = start(&stand, LOCKED, "y", &[]);
    for _ in 0..3 {
        helper.until("down", LIMIT, down("auth"));
    }
    assert_eq!(stand.asked(), [Asked::Auth(LOCKED.into(), "md5".into())]);
    helper.tells("ALTER USER");
    // `ldap` on loopback is no danger; the password goes out as it is.
    let stand = Stand::start(&[("mon", gostech::iproto::auth::Method::Ldap, "x")], picodata(None));
    start(&stand, "mon", "x", &["--auth-method", "ldap"]).until("up", LIMIT, up);
    assert_eq!(stand.asked()[0], Asked::Auth("mon".into(), "ldap".into()));
}

#[test]
fn slow_silent_and_garbled_are_named_and_never_served_as_live() {
    let page = recorded_page("metrics-http.txt");
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(page.clone())));
    let helper = start(&stand, "pico_service", "x", &["--timeout", "300ms"]);
    helper.until("up", LIMIT, up);
    for (reply, reason) in [
        (Reply::Silence(Duration::from_secs(2)), "timeout"),
        (Reply::Silence(Duration::ZERO), "closed"),
        (Reply::Raw(vec![0xc1; 64]), "protocol"),
        (Reply::Raw(b"\xce\x00\x00\x00\x05hello".to_vec()), "protocol"),
    ] {
        stand.becomes(move |user, asked| match asked {
            Asked::Eval(_) => reply.clone(),
            other => picodata(None)(user, other),
        });
        let got = helper.until(reason, LIMIT, down(reason));
        assert!(!got.keys().any(|k| k.starts_with("tnt_") || k.starts_with("pico_")), "frozen numbers: {got:#?}");
        stand.becomes(picodata(Some(page.clone())));
        helper.until("up again", LIMIT, up);
    }
}

#[test]
fn one_poll_serves_all_scrapes_and_a_fresh_reading_none() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], |user, asked| {
        if let Asked::Eval(_) = asked {
            std::thread::sleep(Duration::from_millis(300));
        }
        picodata(Some(recorded_page("metrics-http.txt")))(user, asked)
    });
    let helper = start(&stand, "pico_service", "x", &["--min-interval", "5s"]);
    let port = helper.port;
    let crowd: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || super::helper::get(port, "/metrics", &[]).map(|a| a.status)))
        .collect();
    assert!(crowd.into_iter().all(|t| t.join().unwrap() == Some(200)));
    helper.scrape();
    assert_eq!(evals(&stand.asked()), 1);
}

#[test]
fn a_scraper_in_a_hurry_is_answered_in_time() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], |user, asked| {
        if let Asked::Eval(_) = asked {
            std::thread::sleep(Duration::from_millis(1500));
        }
        picodata(Some(recorded_page("metrics-http.txt")))(user, asked)
    });
    let helper = start(&stand, "pico_service", "x", &[]);
    let begun = std::time::Instant::now();
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "1")];
    let answer = super::helper::get(helper.port, "/metrics", &header).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1000), "{:?}", begun.elapsed());
    assert!(down("timeout")(&samples(&answer.text())));
    // The poll went on meanwhile; nobody asked twice.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(evals(&stand.asked()), 1);
}

#[test]
fn what_is_malformed_is_left_out_and_counted() {
    let page = "# TYPE good gauge\ngood 1\n# TYPE bad gauge\nbad{x=} 1\npicodata_up 7\n# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n";
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(page.into())));
    let got = start(&stand, "pico_service", "x", &[]).until("up", LIMIT, up);
    assert_eq!(got["good"], 1.0);
    assert!(!got.keys().any(|k| k.starts_with("bad") || k.starts_with("h_")));
    for reason in ["syntax", "collision", "histogram"] {
        assert_eq!(got[&format!("gostech_metrics_errors_total{{reason=\"{reason}\"}}")], 1.0, "{reason}");
    }
}

#[test]
fn once_and_check_print_and_end() {
    let stand = Stand::start(&[("mon", Md5, "x")], picodata(None));
    let run = |args: &[&str]| {
        let port = stand.port.to_string();
        let mut command = command();
        command.args(["--no-config", "--port", &port, "--username", "mon"]).args(args);
        command.env("GOSTECH_METRICS_PASSWORD", "x").output().expect("a run")
    };
    let once = run(&["--once"]);
    assert_eq!(once.status.code(), Some(0));
    assert!(up(&samples(&String::from_utf8(once.stdout).unwrap())));
    let once = run(&["--once", "--format", "openmetrics"]);
    assert!(once.stdout.ends_with(b"# EOF\n"));
    let check = run(&["--check"]);
    let words = String::from_utf8(check.stdout).unwrap();
    assert!(words.contains("source    least") && words.contains("monitoring-functions.lua"), "{words}");
    let away = command().args(["--no-config", "--port", "1", "--once"]).output().unwrap();
    assert_eq!(away.status.code(), Some(1));
    assert!(down("connect")(&samples(&String::from_utf8(away.stdout).unwrap())));
    let wrong = command().args(["--no-config", "--port", "x"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn no_password_in_arguments_environment_log_or_page() {
    let secret = "T0psecret-7c1f";
    let stand = Stand::start(&[("pico_service", ChapSha1, secret)], picodata(Some(recorded_page("metrics-http.txt"))));
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "pico_service", "--log-level", "debug"];
    for (more, env) in [
        (vec!["--password", secret], vec![]),
        (vec![], vec![("GOSTECH_METRICS_PASSWORD", secret)]),
        (vec!["--password=T0psecret-7c1f"], vec![("PICODATA_ADMIN_PASSWORD", secret)]),
    ] {
        let helper = Helper::start_with(&[&args[..], &more].concat(), &env);
        helper.until("up", LIMIT, up);
        let pid = helper.child.id();
        for name in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
            assert!(!bytes.is_empty() && !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{name}");
        }
        let pages = ["/metrics", "/", "/-/ready"].map(|p| helper.get(p).text()).concat();
        assert!(!pages.contains(secret) && !helper.log().contains(secret));
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap_or_default();
        assert!(core.split_whitespace().nth(4) == Some("0"), "{core}");
    }
    let wrong = command().args(["--no-config", "--password", secret, "--nonsense"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&wrong.stderr).contains(secret));
}

/// What `box.lua` brings, of these recordings.
fn boxed(parts: serde_json::Value) -> impl Fn(&str, &Asked) -> Reply + Send + Sync + 'static {
    move |user, asked| match asked {
        Asked::Eval(_) => data(json!([{"box": parts, "via": "box"}])),
        other => picodata(None)(user, other),
    }
}

#[test]
fn the_numbers_of_box_as_recorded_on_2_11() {
    let of = |name: &str| recorded(&format!("iproto-call-{name}"))[0].clone();
    let stand = Stand::start(
        &[("admin", Md5, "x")],
        boxed(json!({
            "info": of("box.info"), "memory": of("box.info.memory"), "stat": of("box.stat"), "net": of("box.stat.net"),
            "threads": [of("box.stat.net")], "slab": of("box.slab.info"), "runtime": of("box.runtime.info"),
            "vinyl": of("box.stat.vinyl"), "tx": of("box.stat.memtx.tx"), "lj": {"gc_total": 5, "strhash_hit": 7},
            "time": 1795224224.7, "fibers": {"amount": 3, "csw": 4, "memalloc": 5, "memused": 6}, "spaces": [],
        })),
    );
    let got = start(&stand, "admin", "x", &[]).until("up", LIMIT, up);
    for (series, value) in [
        ("tnt_info_lsn", 6291.0),
        ("tnt_info_vclock{id=\"0\"}", 507.0),
        ("tnt_info_memory_net", 1736704.0),
        ("tnt_read_only", 0.0),
        ("tnt_election_state", 0.0),
        ("tnt_election_term", 1.0),
        ("tnt_synchro_queue_len", 0.0),
        ("tnt_net_sent_total", 108536.0),
        ("tnt_net_requests_in_progress_current", 1.0),
        ("tnt_net_per_thread_received_total{thread=\"1\"}", 2520.0),
        ("tnt_stats_op_total{operation=\"select\"}", 620.0),
        ("tnt_slab_items_used_ratio", 0.98),
        ("tnt_runtime_used", 58720256.0),
        ("tnt_vinyl_regulator_dump_watermark", 134217715.0),
        ("tnt_vinyl_scheduler_dump_total", 0.0),
        ("tnt_memtx_tnx_statements{kind=\"average\"}", 0.0),
        ("tnt_memtx_mvcc_tuples_read_view_stories{kind=\"count\"}", 0.0),
        ("lj_gc_memory", 5.0),
        ("lj_strhash_hit_total", 7.0),
        ("tnt_cfg_current_time", 1795224224.0),
        ("tnt_fiber_memused", 6.0),
    ] {
        assert_eq!(got.get(series), Some(&value), "{series}\n{got:#?}");
    }
}

#[test]
fn the_numbers_of_box_as_recorded_on_a_replica_of_2_6() {
    let old = |name: &str| {
        let path = format!("{}/tests/data/tarantool-2.6/tt26.{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let spaces = json!([
        ["mem", "memtx", 8511, 1000, [["pk", 65536], ["v", 65536]]],
        ["vin", "vinyl", 40511, -1, [["pk", 65536]]]
    ]);
    let stand = Stand::start(
        &[("admin", Md5, "x")],
        boxed(json!({"info": old("replica.box.info"), "memory": [], "net": old("box.stat.net"), "spaces": spaces})),
    );
    let got = start(&stand, "admin", "x", &[]).until("up", LIMIT, up);
    for (series, value) in [
        ("tnt_read_only", 1.0),
        ("tnt_replication_status{id=\"1\",stream=\"upstream\"}", 1.0),
        ("tnt_replication_lag{id=\"1\",stream=\"upstream\"}", 7.915496826171875e-05),
        ("tnt_space_total_bsize{engine=\"memtx\",name=\"mem\"}", 139583.0),
        ("tnt_space_index_bsize{index_name=\"v\",name=\"mem\"}", 65536.0),
        ("tnt_space_bsize{engine=\"vinyl\",name=\"vin\"}", 40511.0),
        ("tnt_net_received_total", 548.0),
    ] {
        assert_eq!(got.get(series), Some(&value), "{series}\n{got:#?}");
    }
    assert!(
        !got.contains_key("tnt_space_len{engine=\"vinyl\",name=\"vin\"}") && !got.contains_key("tnt_election_term")
    );
}
