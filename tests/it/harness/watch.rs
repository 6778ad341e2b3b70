//! Those who watch: Prometheus, VictoriaMetrics, vmalert, Alertmanager, InfluxDB, as a test runs them, and questions to them.
//!
//! Each listens on a port of the test's own and ends with it. Refuses: to judge what they answer.

use super::den::{free_port, wait_for, Den};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A running server.
pub struct Watcher {
    child: Child,
    pub port: u16,
    log: String,
}

impl Watcher {
    /// Starts it, and waits until it answers at `ready`.
    pub fn start(den: &Den, program: &Path, args: &[String], port: u16, ready: &str) -> Watcher {
        let name = program.file_name().and_then(|n| n.to_str()).unwrap_or("server");
        let log = den.file(&format!("{name}-{port}.log"));
        let out = File::create(&log).expect("a file for its words");
        let mut command = Command::new(program);
        command.args(args).current_dir(den.path()).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("a copy")).stderr(out);
        let watcher = Watcher { child: command.spawn().expect("it starts"), port, log };
        let so = wait_for(LIMIT, || get(port, ready).is_some_and(|(status, _)| (200..300).contains(&status)));
        assert!(so, "{name} is not ready:\n{}", watcher.words());
        watcher
    }

    /// What it said.
    pub fn words(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The answer to a query of PromQL at this moment: series with their values. Words when it is refused.
    pub fn query(&self, text: &str) -> Result<Vec<(Value, f64)>, String> {
        let (_, body) = get(self.port, &format!("/api/v1/query?query={}", encoded(text))).ok_or("no answer")?;
        let answer: Value = serde_json::from_str(&body).map_err(|e| format!("{e}: {body}"))?;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let number = |v: &Value| v.as_str().and_then(|t| t.parse().ok()).unwrap_or(f64::NAN);
        if answer["data"]["resultType"] == "scalar" {
            return Ok(vec![(Value::Null, number(&answer["data"]["result"][1]))]);
        }
        let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(result.into_iter().map(|s| (s["metric"].clone(), number(&s["value"][1]))).collect())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prometheus with this configuration.
pub fn prometheus(den: &Den, program: &Path, config: &str) -> Watcher {
    let port = free_port();
    let config = den.put(&format!("prometheus-{port}.yml"), config);
    let args = [
        format!("--config.file={config}"),
        format!("--storage.tsdb.path={}", den.file("tsdb")),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    Watcher::start(den, program, &args, port, "/-/ready")
}

/// VictoriaMetrics, which scrapes by the same configuration.
pub fn victoria(den: &Den, program: &Path, config: &str) -> Watcher {
    let port = free_port();
    let config = den.put(&format!("victoria-{port}.yml"), config);
    let args = [
        format!("-promscrape.config={config}"),
        format!("-storageDataPath={}", den.file("victoria")),
        format!("-httpListenAddr=127.0.0.1:{port}"),
        "-memory.allowedBytes=64MB".to_owned(),
        "-search.latencyOffset=0s".to_owned(),
    ];
    Watcher::start(den, program, &args, port, "/health")
}

/// GET without chunks: the status and the body; None when nobody answers.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    ask(port, "GET", path)
}

/// The same by another method.
pub fn ask(port: u16, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// As a part of a query.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}
