//! The examples of the documents in the hands of the programs that they are for: nginx's, Prometheus's.
//!
//! Only addresses and the places of certificates are changed. Logstash is in no Debian: its example is not tried here.

use crate::harness::nginx::Nginx;
use crate::harness::setup::text;
use crate::harness::{peer, tls::Certs, Den, Events, Receiver, Setup};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A change that finds nothing to change would test something else.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example has no `{from}`");
    text.replace(from, to)
}

#[test]
fn nginx_delivers_by_the_example() {
    let (den, receiver) = (Den::new("example-nginx"), Receiver::start());
    let [ca, cert, key, client, client_key] = Certs::new().put(&den, "a");
    let mut conf = read("packaging/receivers/nginx.conf");
    for (from, to) in [
        ("192.0.2.11:8080", format!("127.0.0.1:{}", receiver.port())),
        ("192.0.2.12:8080", format!("127.0.0.1:{}", receiver.port())),
        ("listen 8443 ssl", "listen 127.0.0.1:$PORT ssl".into()),
        ("/etc/nginx/audit/server.pem", cert),
        ("/etc/nginx/audit/server.key", key),
        ("/etc/nginx/audit/ca.pem", ca.clone()),
    ] {
        conf = changed(&conf, from, &to);
    }
    let Some(nginx) = Nginx::http(&den, &conf) else { return };
    let url = format!("https://localhost:{}/", nginx.port());
    let options = ["--ca-certificate", &ca, "--certificate", &client, "--private-key", &client_key];
    let mut picodata = Setup::new(&den).url(&url).args(&options).picodata();
    let mut events = Events::new(1, 1);
    picodata.events(&mut events, 500, 5000);
    assert_eq!(picodata.finish(LIMIT), 0, "{}", picodata.err());
    assert_eq!(picodata.ledger.compare(&receiver.docs()), Ok(()), "{}", picodata.err());
}

#[test]
fn prometheus_takes_the_configurations_of_the_documents() {
    let Some(promtool) = peer("promtool") else { return };
    let den = Den::new("example-prometheus");
    let check = |what: &str, path: &str| {
        let out = Command::new(&promtool).args(["check", what, path]).output().expect("promtool runs");
        (out.status.success(), text(&out.stdout) + &text(&out.stderr))
    };
    let mut seen = 0;
    for readme in ["README.md", "README.ru.md"] {
        for block in read(readme).split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let path = den.put(&format!("{readme}-{seen}.yml"), block);
            let (clean, said) = check("config", &path);
            assert!(clean, "{readme}: {said}\n{block}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} blocks");
    // Its rules stand beside it, as they are installed.
    let rules = den.put("gostech-alerts.yml", read("packaging/prometheus/gostech-alerts.yml"));
    let whole = den.put("prometheus.yml", read("packaging/prometheus/prometheus.yml"));
    for (what, path) in [("rules", &rules), ("config", &whole)] {
        let (clean, said) = check(what, path);
        assert!(clean, "{said}");
    }
    let broken = den.put("broken.yml", "scrape_configs:\n  - jobname: x\n");
    assert!(!check("config", &broken).0, "a judge that takes everything is none");
}
