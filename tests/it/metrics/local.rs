//! Numbers that stay on this machine: the page in a file, as node-exporter's textfile collector reads it, and on standard output.

use super::helper::{command, free_port, get, peer, samples, wait, Scratch};
use super::push::{database, pushing, steady, Server, LIMIT};
use super::stand::recorded_page;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn node_exporter_has_every_number_of_the_file_and_no_half_page() {
    let Some(exporter) = peer("prometheus-node-exporter") else { return };
    let (dir, port) = (Scratch::new("textfile"), free_port());
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let file = dir.0.join("picodata.prom");
    let url = format!("file://{}", file.display());
    let helper = pushing(&stand, "500ms", &["--push", &url]);
    let mut command = Command::new(exporter);
    command.args(["--collector.disable-defaults", "--collector.textfile"]);
    command.arg(format!("--collector.textfile.directory={}", dir.0.display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _exporter = Server::start(command);
    let pushes = format!("gostech_metrics_push_total{{outlet=\"{url}\"}}");
    let page = helper.until("pushed", LIMIT, |p| p.get(&pushes).is_some_and(|n| *n >= 2.0));
    assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o644);
    // Of a family in the collector itself it keeps the words of its own.
    let theirs = |series: &str| series.starts_with("go_") || series.starts_with("process_");
    for _ in 0..5 {
        // On a slow machine a poll may take longer than a push waits for it: then the file says that, and nothing else.
        let mut got = Default::default();
        wait("it has a page of the database", LIMIT, || {
            let Some(answer) = get(port, "/metrics", &[]).filter(|a| a.status == 200) else { return false };
            got = samples(&answer.text());
            got.get("node_textfile_scrape_error") == Some(&0.0) && got.get("picodata_up") == Some(&1.0)
        });
        for (series, value) in steady(&page).filter(|(s, _)| !theirs(s)) {
            assert_eq!(got.get(series), Some(&value), "{series}");
        }
    }
    // The database is gone: the file says so, and nothing old.
    stand.becomes(|_, _| super::stand::Reply::Silence(Duration::from_millis(10)));
    wait("the file says it", LIMIT, || {
        let page = samples(&std::fs::read_to_string(&file).expect("the file"));
        page["picodata_up"] == 0.0 && !page.keys().any(|s| s.starts_with("tnt_"))
    });
    assert_eq!(std::fs::read_dir(&dir.0).expect("a directory").count(), 1);
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_counted() {
    let dir = Scratch::new("textfile-gone");
    let stand = database(&recorded_page("metrics-http.txt"));
    let url = format!("file://{}/gone/picodata.prom", dir.0.display());
    let helper = pushing(&stand, "100ms", &["--push", &url]);
    let failed = format!("gostech_metrics_push_failures_total{{outlet=\"{url}\",reason=\"file\"}}");
    helper.until("told", LIMIT, |p| p.get(&failed).is_some_and(|n| *n >= 1.0));
    helper.tells("picodata.prom`: No such file or directory");
}

#[test]
fn standard_output_has_whole_lines_also_for_a_reader_that_dawdles() {
    let stand = database(&recorded_page("metrics-http-cluster-i1.txt"));
    let mut command = command();
    command.args(["--no-config", "--addr", "127.0.0.1:0", "--port", &stand.port.to_string()]);
    command.args(["--push", "stdout:", "--format", "influx", "--push-interval", "300ms", "--push-deadline", "300ms"]);
    command.env("GOSTECH_METRICS_PASSWORD", "T0psecret");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the helper");
    let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    // More than a pipe holds waits meanwhile.
    std::thread::sleep(Duration::from_secs(1));
    let (mut ups, mut last) = (Vec::new(), 0);
    for line in lines.map_while(Result::ok) {
        let (series, rest) = line.split_once(" value=").unwrap_or_else(|| panic!("no whole line: {line}"));
        let (value, at) = rest.split_once(' ').expect("value and time");
        value.parse::<f64>().unwrap_or_else(|_| panic!("no number: {line}"));
        let at: u64 = at.parse().unwrap_or_else(|_| panic!("no time: {line}"));
        assert!(at >= last, "older than the one before: {line}");
        last = at;
        if series == "picodata_up" {
            ups.push(value.to_string());
        }
        if ups.len() == 12 {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    // The database is not waited for longer than a push may take.
    assert!(ups.iter().any(|up| up == "1"), "{ups:?}");
}
