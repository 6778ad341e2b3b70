//! What Picodata says since 26: against the stand-in, with what its public source has, until somebody records it.

use super::helper::Helper;
use super::stand::{data, picodata, recorded, Asked, Reply, Stand, UUID};
use gostech::iproto::auth::Method::Md5;
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

fn start(stand: &Stand, more: &[&str]) -> Helper {
    let port = stand.port.to_string();
    let args = ["--port", &port, "--username", "mon", "--min-interval", "0", "--timeout", "2s"];
    Helper::start_with(&[&args[..], more].concat(), &[("GOSTECH_METRICS_PASSWORD", "x")])
}

/// The answers have the members that the public source of 26 gives them; those of the second one are read where they have
/// the shape of `box.info.replication`. Nobody has recorded them yet.
#[test]
fn picodata_26_says_more_of_itself_and_is_asked_only_for_what_it_has() {
    let version = |version: &str| {
        let mut info = recorded("iproto-call-proc_runtime_info_v2");
        info[0]["version_info"]["picodata_version"] = version.into();
        info
    };
    let health = json!([{"status": "degraded", "issues": ["resharding in progress"], "uuid": UUID,
        "raft": {"commitedIndex": 61}, "buckets": {"active": 2990, "sending": 10, "total": 3000}}]);
    let details =
        json!([{"instance_dir": "/x", "replication": {"2": {"id": 2, "upstream": {"status": "follow", "lag": 0.25}}}}]);
    let database = move |of: &'static str| {
        let (info, health, details) = (version(of), health.clone(), details.clone());
        move |user: &str, asked: &Asked| match asked {
            Asked::Call(name) if name == ".proc_runtime_info_v2" => data(info.clone()),
            Asked::Call(name) if name == ".proc_instance_health_status" => data(health.clone()),
            Asked::Call(name) if name == ".proc_instance_details" && of.starts_with("26.2") => data(details.clone()),
            Asked::Call(name) if name == ".proc_instance_details" => Reply::No(33, "Procedure is not defined"),
            other => picodata(None)(user, other),
        }
    };
    let stand = Stand::start(&[("mon", Md5, "x")], database("26.2.1-0-gabc"));
    let got = start(&stand, &[]).until("up", LIMIT, |p| p["picodata_up"] == 1.0);
    let own = "instance_name=\"default_1_1\"";
    for (series, value) in [
        (format!("picodata_health_status{{{own},status=\"degraded\"}}"), 1.0),
        (format!("picodata_health_issues{{{own}}}"), 1.0),
        (format!("picodata_buckets{{{own},state=\"active\"}}"), 2990.0),
        (format!("pico_raft_commit_index{{{own}}}"), 61.0),
        (format!("tnt_replication_lag{{id=\"2\",{own},stream=\"upstream\"}}"), 0.25),
    ] {
        assert_eq!(got.get(&series), Some(&value), "{series}\n{got:#?}");
    }
    // One that lacks the second is asked for it once; one before 26 for neither.
    for (of, health, details) in [("26.1.6-0-g1", 2, 1), ("25.5.7-0-g1", 0, 0)] {
        let stand = Stand::start(&[("mon", Md5, "x")], database(of));
        let helper = start(&stand, &["--without", "addresses"]);
        let page = helper.until("up", LIMIT, |p| p["picodata_up"] == 1.0);
        helper.scrape();
        assert_eq!(page.keys().any(|k| k.starts_with("picodata_health_issues")), health > 0, "{of}");
        let asked = stand.asked();
        let count = |name: &str| asked.iter().filter(|a| **a == Asked::Call(name.into())).count();
        let seen = (count(".proc_instance_health_status"), count(".proc_instance_details"));
        assert!(seen.0.min(2) == health && seen.1 == details, "{of}: {asked:?}");
    }
}
