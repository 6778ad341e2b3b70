//! What a pushed number costs, in processor time and bytes, beside vmagent and Prometheus as an agent, which scrape the same
//! page and write it to the same receiver. The receiver reads everything and keeps nothing.

use super::helper::{free_port, get, peer, samples, Helper, Scratch};
use super::sink::{sink, Sink};
use super::stand::{picodata, Stand};
use super::{page_of, scaled, Peer};
use gostech::iproto::auth::Method::ChapSha1;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ticks of a processor in a second, as Linux has them everywhere.
const TICKS: f64 = 100.0;
/// How long each is looked at when the scale is 1.
const WINDOW: Duration = Duration::from_secs(20);

/// What one did while it was looked at.
struct Look {
    samples: f64,
    seconds: f64,
    bytes: u64,
}

fn datagrams() -> Sink {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let sink = Sink { port: socket.local_addr().expect("an address").port(), bytes: Arc::default() };
    let bytes = sink.bytes.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(size) = socket.recv(&mut buffer) {
            bytes.fetch_add(size as u64, Ordering::Relaxed);
        }
    });
    sink
}

/// Processor time of a process so far, in seconds.
fn spent(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// Looks at a process for a while, from its first whole page on.
fn look(pid: u32, sink: &Sink, series: usize, counted: impl Fn() -> f64) -> Look {
    let end = Instant::now() + Duration::from_secs(60);
    while counted() < series as f64 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let now = || (counted(), spent(pid), sink.bytes.load(Ordering::Relaxed));
    let begin = now();
    std::thread::sleep(WINDOW.mul_f64(scaled(1000) as f64 / 1000.0).max(Duration::from_secs(2)));
    let after = now();
    Look { samples: after.0 - begin.0, seconds: after.1 - begin.1, bytes: after.2 - begin.2 }
}

/// The sum of the families of a name on a page.
fn sum(port: u16, name: &str) -> f64 {
    let page = get(port, "/metrics", &[]).map(|a| samples(&a.text())).unwrap_or_default();
    page.iter().filter(|(series, _)| series.starts_with(name)).map(|(_, value)| value).sum()
}

pub fn table() {
    let series = scaled(100_000);
    println!(
        "\n| push of {series} series each second | s of CPU a million numbers | bytes a number | beside vmagent |"
    );
    println!("| --- | ---: | ---: | ---: |");
    let mut base = None;
    let mut row = |name: &str, look: Option<Look>| {
        let Some(look) = look.filter(|l| l.samples > 0.0) else { return };
        let each = look.seconds / look.samples * 1e6;
        let ratio = each / *base.get_or_insert(each);
        println!("| {name} | {each:.2} | {:.0} | {ratio:.2} |", look.bytes as f64 / look.samples);
    };
    let page = page_of(series);
    row("vmagent, scrape and remote write", vmagent(series, &page));
    row("Prometheus as an agent, scrape and remote write", prometheus(series, &page));
    let stand = Stand::start(&[("pico_service", ChapSha1, "x")], picodata(Some(page)));
    for (name, url, http) in [
        ("gostech-metrics, remote write", "prometheus+http://127.0.0.1:@/api/v1/write", true),
        ("gostech-metrics, OTLP", "otlp+http://127.0.0.1:@/v1/metrics", true),
        ("gostech-metrics, InfluxDB", "influx+http://127.0.0.1:@/?db=p", true),
        ("gostech-metrics, Graphite", "graphite://127.0.0.1:@", false),
    ] {
        let sink = sink(http, Arc::default());
        row(name, Some(ours(&stand, url, &sink, series)));
    }
    row("gostech-metrics, collectd (UDP)", Some(ours(&stand, "collectd://127.0.0.1:@", &datagrams(), series)));
}

fn ours(stand: &Stand, url: &str, sink: &Sink, series: usize) -> Look {
    let (port, url) = (stand.port.to_string(), url.replace('@', &sink.port.to_string()));
    let args = ["--port", &port, "--push-interval", "1s", "--push", &url, "--only", "tnt_family", "--timeout", "20s"];
    let helper = Helper::start_with(&args, &[("GOSTECH_METRICS_PASSWORD", "x")]);
    // A prefix, so that the look at it is no page of everything.
    let counted = || {
        let page = get(helper.port, "/metrics?name[]=gostech_metrics_push_samples_total", &[]);
        page.map(|a| samples(&a.text())).unwrap_or_default().values().sum()
    };
    look(helper.child.id(), sink, series, counted)
}

fn start(mut command: Command) -> Peer {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Peer(command.spawn().expect("a peer"))
}

fn scrape_of(dir: &Scratch, page: &str, more: &str) -> String {
    let source = sink(true, Arc::new(page.as_bytes().to_vec()));
    let jobs = format!(
        "scrape_configs:\n- job_name: p\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs:\n  - targets: \
         ['127.0.0.1:{}']\n",
        source.port
    );
    dir.file("scrape.yml", &format!("{jobs}{more}"))
}

fn vmagent(series: usize, page: &str) -> Option<Look> {
    peer("victoria-metrics")?;
    let (dir, sink, port) = (Scratch::new("vmagent"), sink(true, Arc::default()), free_port());
    let config = scrape_of(&dir, page, "");
    let mut command = Command::new("vmagent");
    command.arg(format!("-promscrape.config={config}")).arg(format!("-httpListenAddr=127.0.0.1:{port}"));
    command.arg(format!("-remoteWrite.url=http://127.0.0.1:{}/w", sink.port));
    command.arg(format!("-remoteWrite.tmpDataPath={}", dir.0.join("wait").display()));
    let agent = start(command);
    Some(look(agent.0.id(), &sink, series, || sum(port, "vmagent_remotewrite_rows_pushed_after_relabel_total")))
}

fn prometheus(series: usize, page: &str) -> Option<Look> {
    let program = peer("prometheus")?;
    let (dir, sink, port) = (Scratch::new("agent"), sink(true, Arc::default()), free_port());
    let config = scrape_of(&dir, page, &format!("remote_write:\n- url: http://127.0.0.1:{}/w\n", sink.port));
    let mut command = Command::new(program);
    command.arg("--enable-feature=agent").arg(format!("--config.file={config}"));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg(format!("--storage.agent.path={}", dir.0.join("data").display()));
    let agent = start(command);
    Some(look(agent.0.id(), &sink, series, || sum(port, "prometheus_remote_storage_samples_total")))
}
