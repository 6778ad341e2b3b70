//! The alerts of `packaging/prometheus`: each fires and is silent when it should, has its section in the runbook and asks for
//! families that are served; and the whole way from an event of the database to a mail, with the real programs.

use crate::harness::setup::text;
use crate::harness::watch::{self, Watcher};
use crate::harness::{free_port, peer, wait, Den, Receiver, Setup};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const RULES: &str = "packaging/prometheus/gostech-alerts.yml";
const BOOK: &str = "file:///usr/share/doc/gostech-audit-log/runbook.md";
const CASES: [&str; 2] = ["tests/data/alerts-test.yml", "tests/data/alerts-days-test.yml"];

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name).display().to_string()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A change that finds nothing to change would test something else.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example has no `{from}`");
    text.replace(from, to)
}

/// The names of all alerts, in their order.
fn alerts() -> Vec<String> {
    let rules = read(RULES);
    rules.lines().filter_map(|l| Some(l.trim().strip_prefix("- alert: ")?.to_owned())).collect()
}

fn run_cases(promtool: &Path, den: &Den, name: &str, rules: &str) -> Result<(), String> {
    let cases = changed(&changed(&read(name), "RULES", rules), "RUNBOOK", BOOK);
    let cases = den.put(name.rsplit('/').next().unwrap_or(name), cases);
    let out = Command::new(promtool).args(["test", "rules", &cases]).output().expect("promtool runs");
    if out.status.success() {
        Ok(())
    } else {
        Err(text(&out.stdout) + &text(&out.stderr))
    }
}

#[test]
fn every_alert_fires_when_it_should_and_is_silent_when_it_should() {
    let Some(promtool) = peer("promtool") else { return };
    let den = Den::new("alerts");
    for name in CASES {
        assert_eq!(run_cases(&promtool, &den, name, &path(RULES)), Ok(()));
    }
    // A judge that takes everything is none.
    let blunt = den.put("blunt.yml", changed(&read(RULES), "- time()) < 14 * 86400", "- time()) < 7 * 86400"));
    assert!(run_cases(&promtool, &den, CASES[1], &blunt).is_err());
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() {
    let cases: String = CASES.iter().map(|name| read(name)).collect();
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for case in cases.split("eval_time: ").skip(1) {
        let name = case.split("alertname: ").nth(1).and_then(|rest| rest.split(['\n', ',']).next()).expect("a name");
        let fired = case.split("exp_alerts:").nth(1).is_some_and(|rest| rest.contains("exp_labels"));
        if fired { &mut fires } else { &mut silent }.insert(name.to_owned());
    }
    let all: BTreeSet<String> = alerts().into_iter().collect();
    assert!(all.len() > 45, "{all:?}");
    assert_eq!((&fires, &silent), (&all, &all));
}

#[test]
fn every_alert_has_its_section_in_both_runbooks_and_every_section_an_alert() {
    let all = alerts();
    for name in ["docs/runbook.md", "docs/runbook.ru.md"] {
        let book = read(name);
        let sections: Vec<&str> = book.lines().filter_map(|l| l.strip_prefix("### ")).collect();
        assert_eq!(sections, all, "{name}");
        for section in book.split("\n### ").skip(1) {
            let act = ["**What to do.** ", "**Что делать.** "].iter().find_map(|w| section.split(w).nth(1));
            assert!(act.is_some_and(|a| a.len() > 40), "{name} does not say what to do: {section}");
        }
    }
    let rules = read(RULES);
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default();
        let url = format!("runbook_url: {BOOK}#{}\n", name.to_lowercase());
        assert!(rule.contains(&url), "{name} leads elsewhere than to its section");
    }
    // The runbook shows each expression as it is.
    let book = flat(&read("docs/runbook.md"));
    for (name, expression) in expressions() {
        assert!(book.contains(&format!("`{expression}`")), "{name}: the runbook lacks `{expression}`");
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each alert with its expression in one line.
pub fn expressions() -> Vec<(String, String)> {
    let rules = read(RULES);
    let of = |rule: &str| {
        let end =
            ["\n        for:", "\n        labels:"].into_iter().filter_map(|w| rule.find(w)).min().expect("its end");
        let text = flat(&rule[rule.find("expr:").expect("an expression") + 5..end]);
        (rule.lines().next().unwrap_or_default().to_owned(), text.trim_start_matches(">- ").to_owned())
    };
    let all: Vec<_> = rules.split("- alert: ").skip(1).map(of).collect();
    assert_eq!(all.len(), alerts().len());
    all
}

/// The names of families in a text of expressions.
fn families(text: &str) -> BTreeSet<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !plain(c)).filter(|w| {
        ["tnt_", "pico_", "picodata_", "gostech_", "lj_"].iter().any(|p| w.starts_with(p) && w.len() > p.len())
    });
    words.map(str::to_owned).collect()
}

/// The families that the alerts ask for.
pub fn asked() -> BTreeSet<String> {
    let all: String = expressions().into_iter().map(|(_, expression)| expression + "\n").collect();
    // One regular expression names both programs; one name is that of a rule.
    let all = all.replace("gostech_(audit|metrics)_", "gostech_audit_");
    families(&all.replace("instance_title:gostech_audit_title:increase5m", "gostech_audit_title_total"))
}

#[test]
fn every_family_of_an_alert_is_on_a_page_that_was_recorded_or_is_ours() {
    let pages = ["25.5.7/metrics-http.txt", "25.5.7/metrics-http-cluster-i1.txt", "26.1.6/metrics-http.txt"];
    let pages: String = pages.iter().map(|name| read(&format!("tests/data/picodata-{name}"))).collect();
    let (catalog, audit) = (read("src/metrics/catalog.rs"), read("src/audit/process/page.rs"));
    let served = |family: &str| {
        let of_audit = family.strip_prefix("gostech_audit_").is_some_and(|f| audit.contains(&format!("\"{f}\"")));
        of_audit || pages.contains(&format!("\n{family}{{")) || catalog.contains(&format!("row(\"{family}\""))
    };
    // Of the dashboards of 26.2, which has a family that 26.1 has not.
    let dashboard = read("tests/data/dashboard-metrics.txt");
    let all = asked();
    let missing: Vec<_> = all.iter().filter(|f| !served(f) && !dashboard.lines().any(|l| l == f.as_str())).collect();
    assert!(all.len() > 35, "{all:?}");
    assert!(missing.is_empty(), "no page has {missing:?}");
    assert!(!served("tnt_no_such_family") && !served("gostech_audit_no_such"));
}

/// A server of mail that takes everything and remembers it.
fn smtp() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = mails.clone();
    std::thread::spawn(move || {
        for visitor in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || take_mail(visitor, &kept));
        }
    });
    (port, mails)
}

fn take_mail(mut visitor: TcpStream, kept: &Mutex<Vec<String>>) -> Option<()> {
    let mut lines = BufReader::new(visitor.try_clone().ok()?).lines().map_while(Result::ok);
    visitor.write_all(b"220 localhost ready\r\n").ok()?;
    let mut whole = String::new();
    while let Some(line) = lines.next() {
        whole.push_str(&format!("{line}\n"));
        let word = line.split(' ').next().unwrap_or_default().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-localhost\r\n250 AUTH PLAIN",
            "AUTH" => "235 ok",
            "DATA" => {
                visitor.write_all(b"354 go on\r\n").ok()?;
                lines.by_ref().take_while(|l| l != ".").for_each(|l| whole.push_str(&format!("{l}\n")));
                // A line too long for a mail comes in two.
                kept.lock().ok()?.push(std::mem::take(&mut whole).replace("=\n", ""));
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        visitor.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
    }
    Some(())
}

/// Alertmanager by the example, but for addresses, waits and TLS to the server of mail.
fn alertmanager(den: &Den, program: &Path, smtp: u16) -> Watcher {
    let password = den.put("smtp.password", "s3cret");
    let mut config = read("packaging/prometheus/alertmanager.yml");
    for (from, to) in [
        ("smtp.example.com:587", format!("127.0.0.1:{smtp}")),
        ("/etc/prometheus/smtp.password", password),
        ("smtp_require_tls: true", "smtp_require_tls: false".to_owned()),
        ("group_wait: 30s", "group_wait: 1s".to_owned()),
        ("group_wait: 10s", "group_wait: 1s".to_owned()),
    ] {
        config = changed(&config, from, &to);
    }
    let (port, config) = (free_port(), den.put("alertmanager.yml", config));
    let args = [
        format!("--config.file={config}"),
        format!("--storage.path={}", den.file("alertmanager")),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    Watcher::start(den, program, &args, port, "/-/ready")
}

/// One event of a title.
fn event(n: u32, title: &str) -> String {
    format!(
        r#"{{"id":"1.1.{n}","initiator":"admin","message":"as told","severity":"high","time":"2026-11-21T01:27:28.815+0000","title":"{title}"}}"#
    )
}

#[test]
fn an_event_of_the_database_becomes_a_mail_by_the_examples() {
    let (Some(prometheus), Some(manager)) = (peer("prometheus"), peer("prometheus-alertmanager")) else { return };
    let (Some(victoria), Some(vmalert)) = (peer("victoria-metrics"), peer("vmalert")) else { return };
    let (den, receiver, page) = (Den::new("alert-mail"), Receiver::start(), free_port().to_string());
    let (smtp, mails) = smtp();
    let manager = alertmanager(&den, &manager, smtp);
    let mut picodata =
        Setup::new(&den).url(&receiver.url()).args(&["--metrics-addr", &format!("127.0.0.1:{page}")]).picodata();
    den.put("gostech-alerts.yml", read(RULES));
    let mut config = read("packaging/prometheus/prometheus.yml");
    for (from, to) in [
        ("scrape_interval: 10s", "scrape_interval: 1s\n  evaluation_interval: 1s"),
        ("localhost:9093", &format!("127.0.0.1:{}", manager.port)),
        ("localhost:9464", &format!("127.0.0.1:{page}")),
        ("localhost:4401", &format!("127.0.0.1:{}", free_port())),
    ] {
        config = changed(&config, from, to);
    }
    let prometheus = watch::prometheus(&den, &prometheus, &config);
    let scrapes = &config[config.find("scrape_configs:").expect("a section")..];
    let victoria = watch::victoria(&den, &victoria, &format!("global:\n  scrape_interval: 1s\n{scrapes}"));
    let watched = |series: &str| {
        prometheus.query(series).is_ok_and(|s| !s.is_empty()) && victoria.query(series).is_ok_and(|s| !s.is_empty())
    };
    picodata.write(&event(1, "audit_policy")).expect("written");
    picodata.write(&event(2, "auth_fail")).expect("written");
    wait("both watch", LIMIT, || watched("gostech_audit_title_total{title=\"auth_fail\"}"));
    let loaded = vmalert_with(&den, &vmalert, &victoria, &manager);
    picodata.write(&event(3, "audit_policy")).expect("written");
    (4..40).for_each(|n| picodata.write(&event(n, "auth_fail")).expect("written"));
    let mail_of = |alert: &str| {
        mails
            .lock()
            .expect("mails")
            .iter()
            .find(|m| m.contains(&format!("Subject: {alert}")) || m.contains(&format!("] {alert}")))
            .cloned()
    };
    for (alert, to, says) in [
        ("PicodataFailedLogins", "team@example.com", "more than 10 refused logins in 5 minutes"),
        ("PicodataAuditPolicyChanged", "duty@example.com", "the audit policy was changed"),
    ] {
        wait(&format!("the mail of {alert}: {}", manager.words()), LIMIT, || mail_of(alert).is_some());
        let mail = mail_of(alert).expect("it came");
        assert!(mail.contains(&format!("RCPT TO:<{to}>")) && mail.contains(says), "{mail}");
        assert!(
            mail.contains("AUTH PLAIN") && mail.contains(&format!("runbook.md#{}", alert.to_lowercase())),
            "{mail}"
        );
    }
    // vmalert tells the same Alertmanager, by the same file.
    wait("vmalert has loaded all and found the same", LIMIT, || {
        let told = watch::get(manager.port, "/api/v2/alerts").map(|(_, body)| body).unwrap_or_default();
        told.contains("vmalert") && told.contains("PicodataFailedLogins")
    });
    let rules = watch::get(loaded.port, "/api/v1/rules").expect("its rules").1;
    let missing: Vec<String> = alerts().into_iter().filter(|a| !rules.contains(&format!("\"{a}\""))).collect();
    assert!(missing.is_empty(), "vmalert lacks {missing:?}");
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
}

/// vmalert over VictoriaMetrics, with the rules of the package.
fn vmalert_with(den: &Den, program: &Path, victoria: &Watcher, manager: &Watcher) -> Watcher {
    let port = free_port();
    let args = [
        format!("-rule={}", path(RULES)),
        format!("-datasource.url=http://127.0.0.1:{}", victoria.port),
        format!("-remoteWrite.url=http://127.0.0.1:{}", victoria.port),
        format!("-notifier.url=http://127.0.0.1:{}", manager.port),
        format!("-httpListenAddr=127.0.0.1:{port}"),
        "-evaluationInterval=1s".to_owned(),
    ];
    Watcher::start(den, program, &args, port, "/health")
}
