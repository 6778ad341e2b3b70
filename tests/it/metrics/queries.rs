//! Own SELECTs as metrics: against Debian's tarantool, whose SQL goes by the same request, and a stand-in that is slow.

use super::helper::{command, wait, Helper, Scratch};
use super::stand::{picodata, recorded_page, Asked, Reply, Stand};
use super::tarantool::Tarantool;
use gostech::iproto::auth::Method::ChapSha1;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

const TABLES: &str = "
    for _, sql in ipairs{
        'CREATE TABLE orders (id INT PRIMARY KEY, state TEXT, price NUMBER)',
        [[INSERT INTO orders VALUES (1, 'new', 1.5), (2, 'new', 2), (3, 'it''s \"old\"', 4.25)]],
        'CREATE TABLE empty (id INT PRIMARY KEY, n INT)'} do
        local ok, why = box.execute(sql)
        if ok == nil then error(why) end
    end";

/// Three that are well, and one for each way to fail.
const QUERIES: &str = r#"
# what the shop is at
[shop_orders]
help     = Orders by state
labels   = state
value    = n
interval = 1s
sql      = SELECT state, count(*) AS n
             FROM orders GROUP BY state; -- all of them

[shop_price_total]
kind = counter
interval 1s
sql = SELECT sum(price) FROM orders

[shop_newest]
interval = 1s
sql = SELECT max(n) FROM empty

[bad_table]
interval = 1s
sql = SELECT 1 FROM nowhere

[bad_rows]
rows = 2
labels = id
value = price
sql = SELECT id, price FROM orders

[bad_labels]
labels = state
value = price
sql = SELECT state, price FROM orders
"#;

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = command().args(["--no-config"]).args(args).env("GOSTECH_METRICS_PASSWORD", "secret").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn rows_of_a_real_database_are_families() {
    let Some(mut db) = Tarantool::start("tt-queries") else { return };
    db.run(TABLES);
    let scratch = Scratch::new("queries");
    let file = scratch.file("queries.conf", QUERIES);
    let helper = db.helper("full", "secret", &["--query-file", &file, "--label", "dc=a"]);
    let success = |name: &str| format!("gostech_metrics_query_success{{dc=\"a\",query=\"{name}\"}}");
    let new = "shop_orders{dc=\"a\",state=\"new\"}";
    let page = helper.until("asked", LIMIT, |p| p.contains_key(new) && p.get(&success("bad_labels")) == Some(&0.0));
    let old = page.iter().find(|(k, _)| k.starts_with("shop_orders{") && k.contains("it's")).expect("the other state");
    assert!((page[new], *old.1, page["shop_price_total{dc=\"a\"}"]) == (2.0, 1.0, 7.75), "{page:#?}");
    // NULL is no sample, and no fault.
    assert!(!page.keys().any(|k| k.starts_with("shop_newest")) && page[&success("shop_newest")] == 1.0);
    // One that fails is told, and takes nothing from the page.
    let failed = |name: &str, reason: &str| {
        format!("gostech_metrics_query_failures_total{{dc=\"a\",query=\"{name}\",reason=\"{reason}\"}}")
    };
    for (name, reason) in [("bad_table", "refused"), ("bad_rows", "rows"), ("bad_labels", "labels")] {
        assert!(page[&success(name)] == 0.0 && page[&failed(name, reason)] >= 1.0, "{name}: {page:#?}");
        assert!(!page.keys().any(|k| k.starts_with(name)), "{name}");
    }
    assert!(page["picodata_up{dc=\"a\"}"] == 1.0 && page.keys().any(|k| k.starts_with("tnt_info_uptime")));
    let text = helper.get("/metrics").text();
    assert!(text.contains("# HELP shop_orders Orders by state\n# TYPE shop_orders gauge\n"), "{text}");
    assert!(text.contains("# TYPE shop_price_total counter\n"));
    let log = helper.log();
    assert!(
        log.contains("query bad_table: in ") && log.contains("queries.conf line 20: the database refuses it"),
        "{log}"
    );
    // What changes there changes here, and the file is read again.
    db.run("box.execute([[UPDATE orders SET state = 'new']])");
    helper.until("three are new", LIMIT, |p| p.get(new) == Some(&3.0));
    scratch.file("queries.conf", "[bad-name]\nsql = SELECT 1\n");
    helper.signal("HUP");
    wait("the new file is refused", LIMIT, || helper.log().contains("query `bad-name` in"));
    scratch.file("queries.conf", "[shop_ids]\ninterval = 1s\nsql = SELECT count(*) FROM orders\n");
    helper.signal("HUP");
    let page = helper.until("the file is read again", LIMIT, |p| p.get("shop_ids{dc=\"a\"}") == Some(&3.0));
    assert!(!page.keys().any(|k| k.contains("shop_orders")), "{page:#?}");
    helper.tells("read again: queries");
    // Nothing old beside a database that is gone; and all comes back.
    db.stop();
    let page = helper.until("down", LIMIT, |p| p["picodata_up{dc=\"a\"}"] == 0.0);
    assert!(!page.contains_key("shop_ids{dc=\"a\"}") && page[&success("shop_ids")] == 0.0, "{page:#?}");
    db.again();
    helper.until("back", LIMIT, |p| p.get("shop_ids{dc=\"a\"}") == Some(&3.0));
}

#[test]
fn a_try_says_what_each_query_brings() {
    let Some(db) = Tarantool::start("tt-query-check") else { return };
    db.run(TABLES);
    let scratch = Scratch::new("query-check");
    let file = scratch.file("queries.conf", QUERIES);
    let port = db.port.to_string();
    let args = ["--port", &port, "--username", "full", "--query-file", &file];
    let (code, out, _) = run(&[&args[..], &["--check"]].concat());
    assert_eq!(code, Some(1));
    assert!(out.contains("query     shop_orders: 2 rows in "), "{out}");
    for words in ["bad_table` in ", "3 rows, and at most 2 are allowed", "two rows have the same labels"] {
        assert!(out.lines().any(|l| l.starts_with("fault     query `") && l.contains(words)), "{words}: {out}");
    }
    let (code, out, said) = run(&[&args[..], &["--once"]].concat());
    assert!(code == Some(0) && out.contains("\nshop_orders{state=\"new\"} 2\n"), "{out}");
    assert!(said.contains("query `bad_rows`"), "{said}");
    // A user who may read nothing of it: told with the cure, and the page is there.
    let args = ["--port", &port, "--username", "exec", "--query-file", &file];
    let (_, out, _) = run(&[&args[..], &["--check"]].concat());
    assert!(out.contains("denied") && out.contains("GRANT READ ON TABLE"), "{out}");
    // A file with a fault is a wrong option: nothing is asked.
    for (text, words) in [
        ("[x]\nsql = DROP TABLE orders\n", "`sql` in `"),
        ("", "has no query"),
        ("[x]\nsql = SELECT 1\nevery = 1s\n", "line 3: no key `every`"),
    ] {
        let bad = scratch.file("bad.conf", text);
        let (code, _, said) = run(&["--port", &port, "--query-file", &bad, "--once"]);
        assert!(code == Some(2) && said.contains(words), "{said}");
    }
    let (code, _, said) = run(&["--query-file", "/nowhere/q", "--once"]);
    assert!(code == Some(2) && said.contains("`--query-file`: cannot read `/nowhere/q`: No such file"), "{said}");
}

#[test]
fn a_slow_query_holds_up_nobody_and_hides_no_family_of_the_database() {
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], {
        let database = picodata(Some(recorded_page("metrics-http.txt") + "# TYPE shop gauge\nshop 1\n"));
        move |user, asked| match asked {
            Asked::Execute(sql) if sql.contains("slow") => Reply::Silence(Duration::from_secs(60)),
            Asked::Execute(sql) if sql.contains("many") => Reply::Rows(&["n"], vec![0xc6, 0, 0x20, 0, 0]),
            Asked::Execute(_) => Reply::Rows(&["n"], vec![0x91, 0x91, 7]),
            other => database(user, other),
        }
    });
    let scratch = Scratch::new("query-slow");
    let text =
        "[slow]\ntimeout = 300ms\ninterval = 1s\nsql = SELECT slow\n[quick]\ninterval = 1s\nsql = SELECT quick\n\
                [shop]\nsql = SELECT shop\n[unreadable]\ninterval = 1s\nsql = SELECT many\n";
    let file = scratch.file("queries.conf", text);
    let args = ["--port", &stand.port.to_string(), "--query-file", &file, "--min-interval", "0"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let timeouts = "gostech_metrics_query_failures_total{query=\"slow\",reason=\"timeout\"}";
    let page = helper.until("both were asked", LIMIT, |p| {
        p.get("quick") == Some(&7.0) && p.get(timeouts).is_some_and(|n| *n >= 2.0)
    });
    // The database's own stays, and the query of its name is told.
    assert!(page["shop"] == 1.0 && page["gostech_metrics_query_success{query=\"shop\"}"] == 0.0, "{page:#?}");
    helper.tells("the database has a family `shop` itself");
    assert_eq!(page["gostech_metrics_query_success{query=\"unreadable\"}"], 0.0);
    // While it is waited for.
    let before = Instant::now();
    (0..20).for_each(|_| assert_eq!(helper.scrape()["picodata_up"], 1.0));
    assert!(before.elapsed() < LIMIT);
    let asked = stand.asked();
    let count = |what: &str| asked.iter().filter(|a| matches!(a, Asked::Execute(sql) if sql.contains(what))).count();
    assert!(count("slow") < count("quick"), "{}, {}", count("slow"), count("quick"));
}

#[test]
fn a_database_that_says_nothing_is_no_slow_query() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = silent.local_addr().expect("an address").port().to_string();
    let scratch = Scratch::new("query-silent");
    let file = scratch.file("queries.conf", "[one]\ninterval = 1s\nsql = SELECT 1\n");
    let args = ["--port", &port, "--timeout", "200ms", "--query-file", &file];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    let failed = |reason: &str| format!("gostech_metrics_query_failures_total{{query=\"one\",reason=\"{reason}\"}}");
    let page = helper.until("tried twice", LIMIT, |p| p.get(&failed("connect")).is_some_and(|n| *n >= 2.0));
    assert!(!page.contains_key(&failed("timeout")), "{page:#?}");
}
