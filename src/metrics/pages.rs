//! The pages: `/metrics`, the same in other formats, `/`, `/-/healthy`, `/-/ready`; anything else is 404. Methods and bounds are the porch's matter.

use super::cluster::Cluster;
use super::numbers::Numbers;
use super::readings::{Readings, Seen};
use super::render::{Render, OPENMETRICS, PROMETHEUS, RENDERS};
use crate::limits;
use crate::net::gzip::Gzip;
use crate::net::page::{escaped, Page, PageRequest};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

/// What the pages are made from.
pub struct Pages {
    /// The readings of the instance that was named.
    pub readings: Arc<Readings>,
    /// All instances.
    pub cluster: Arc<Cluster>,
    /// How old a reading may be.
    pub floor: Duration,
    /// What of the scraper's patience is kept for the way back.
    pub offset: Duration,
    /// What is shown.
    pub numbers: Arc<Numbers>,
    /// Where the database is.
    pub place: String,
    /// As whom it is asked.
    pub user: String,
    /// Packs pages, once somebody wants them packed.
    pub zip: Zip,
}

/// One compressor for all visitors: its tables are 300 KB, made at the first use.
#[derive(Default)]
pub struct Zip(Mutex<Option<Gzip>>);

impl Zip {
    fn pack(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut gzip = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gzip.is_none() {
            // Without optimisation the tables are made on the stack, and the one of a page's thread is too small for them.
            let maker = thread::Builder::new().stack_size(limits::METRICS_ZIP_STACK_BYTES).spawn(Gzip::fast).ok()?;
            *gzip = maker.join().ok();
        }
        let mut out = Vec::new();
        gzip.as_mut()?.pack(body, &mut out);
        out.shrink_to_fit();
        Some(out)
    }
}

impl Pages {
    /// Answers a visitor.
    pub fn answer(&self, request: &PageRequest) -> Page {
        match request.path.as_str() {
            "/metrics" => self.metrics(request, negotiate(request.header("accept").unwrap_or_default())),
            "/" => self.landing(),
            "/sd" => match self.cluster.sd() {
                Some(body) => Page { content_type: "application/json".into(), body, ..Page::text(200, "") },
                None => Page::text(404, "the instances of the cluster are known with --discover"),
            },
            "/probe" => self.probe(request),
            "/-/healthy" => Page::text(200, "alive"),
            "/-/ready" => self.ready(request),
            path => match RENDERS.iter().find(|r| r.page == Some(path)) {
                Some(format) => self.metrics(request, format),
                None => Page::text(404, "there is /metrics, /json, /graphite, /varz, /, /-/healthy and /-/ready"),
            },
        }
    }

    fn patience(&self, request: &PageRequest) -> Duration {
        patience(request.header("x-prometheus-scrape-timeout-seconds"), self.offset)
    }

    fn metrics(&self, request: &PageRequest, format: &Render) -> Page {
        let seen = self.cluster.read(self.floor, self.patience(request));
        self.page_of(&seen, request, format)
    }

    /// The page of one instance alone, which must be allowed.
    fn probe(&self, request: &PageRequest) -> Page {
        let Some(target) = request.arguments("target").pop() else {
            return Page::text(400, "name an instance: /probe?target=HOST:PORT");
        };
        match self.cluster.probe(&target, self.floor, self.patience(request)) {
            Some(seen) => self.page_of(&[seen], request, negotiate(request.header("accept").unwrap_or_default())),
            None => Page::text(
                403,
                "this target may not be probed: allow it by --probe HOST:PORT, or all by --probe discovered",
            ),
        }
    }

    fn page_of(&self, seen: &[Seen], request: &PageRequest, format: &Render) -> Page {
        let prefixes = request.arguments("name[]");
        let body = self.numbers.page(seen, format, &prefixes);
        let page = Page { status: 200, content_type: format.content_type.into(), headers: Vec::new(), body };
        let page = page.with("Vary", "Accept, Accept-Encoding").with("Cache-Control", "no-store");
        match request.header("accept-encoding") {
            Some(accepted) if page.body.len() >= limits::METRICS_GZIP_BYTES && takes_gzip(accepted) => {
                self.zipped(page)
            }
            _ => page,
        }
    }

    fn zipped(&self, mut page: Page) -> Page {
        // No thread to be had: the page goes as it is.
        let Some(body) = self.zip.pack(&page.body) else { return page };
        page.body = body;
        page.with("Content-Encoding", "gzip")
    }

    fn ready(&self, request: &PageRequest) -> Page {
        let view = self.readings.read(self.floor, self.patience(request));
        match (&view.reading, view.down()) {
            (_, None) => Page::text(200, "ready"),
            (Some(reading), _) => {
                let words = reading.result.as_ref().err().map_or(String::new(), |t| t.text.clone());
                Page::text(503, format!("the database could not be asked: {words}"))
            }
            (None, _) => Page::text(503, "the database did not answer in time"),
        }
    }

    fn landing(&self) -> Page {
        let view = self.readings.glance();
        let (state, grade) = match &view.reading {
            None => ("not asked yet".into(), "-".into()),
            // This page asks nobody: what it knows may be old, and it says how old.
            Some(r) => match (&r.result, r.at.elapsed().as_secs()) {
                (Ok((page, grade)), age) => {
                    (format!("up, when asked {}", in_words(age)), format!("{} ({})", grade.name(), page.via))
                }
                (Err(trouble), age) => {
                    (format!("down, when asked {}: {}", in_words(age), trouble.reason.name()), "-".into())
                }
            },
        };
        let (version, instance) = view.counts.database.clone().unwrap_or(("-".into(), "-".into()));
        let since = view.counts.since.map_or("-".into(), ago);
        let last = view.counts.last.as_ref().map_or("none".into(), |(at, words)| format!("{}: {words}", ago(*at)));
        let rows = [
            ("Database", self.place.clone()),
            ("User", self.user.clone()),
            ("State", state),
            ("Since", since),
            ("Source", grade),
            ("Tarantool version", version),
            ("Instance", instance),
            ("Polls", format!("{} good, {} failed", view.counts.good, view.counts.failed)),
            ("Last error", last),
            ("Started", ago(self.numbers.started)),
            ("Version", env!("CARGO_PKG_VERSION").into()),
        ];
        let rows: String =
            rows.iter().map(|(name, text)| format!("<tr><th>{name}</th><td>{}</td></tr>\n", escaped(text))).collect();
        Page::html(200, LANDING.replace("{rows}", &rows))
            .with("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            .with("X-Content-Type-Options", "nosniff")
    }
}

const LANDING: &str =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>gostech-metrics</title>\n\
<style>body{font-family:sans-serif;margin:2em}th{text-align:left;padding-right:1em;vertical-align:top}</style></head>\n\
<body><h1>gostech-metrics</h1>\n<p><a href=\"metrics\">/metrics</a> <a href=\"json\">/json</a> \
<a href=\"graphite\">/graphite</a> <a href=\"varz\">/varz</a> <a href=\"-/healthy\">/-/healthy</a> \
<a href=\"-/ready\">/-/ready</a></p>\n<table>\n{rows}</table></body></html>\n";

fn ago(at: SystemTime) -> String {
    in_words(at.elapsed().map_or(0, |d| d.as_secs()))
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// How long this scraper waits, less what the way back takes.
fn patience(header: Option<&str>, offset: Duration) -> Duration {
    let most = Duration::from_secs(limits::METRICS_WAIT_SECONDS);
    let asked = header.and_then(|h| h.trim().parse::<f64>().ok()).filter(|s| s.is_finite() && *s > 0.0);
    let Some(asked) = asked.map(|s| Duration::from_secs_f64(s.min(3600.0))) else { return most };
    asked.saturating_sub(offset).max(asked / 2).min(most)
}

/// The format that a scraper wants most, of those there are.
fn negotiate(accept: &str) -> &'static Render {
    let (mut open, mut text) = (0.0, 0.0f64);
    for range in accept.split(',').take(limits::METRICS_ACCEPT_RANGES) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut version) = (1.0, String::new());
        for (name, value) in parts.filter_map(|p| p.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version = value.trim().trim_matches('"').to_string(),
                _ => {}
            }
        }
        match (kind.as_str(), version.as_str()) {
            ("application/openmetrics-text", "" | "1.0.0") => open = f64::max(open, quality),
            ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => text = text.max(quality),
            _ => {}
        }
    }
    if open > 0.0 && open >= text {
        &OPENMETRICS
    } else {
        &PROMETHEUS
    }
}

fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = quality.trim().strip_prefix("q=").and_then(|q| q.parse::<f64>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::super::readings::Reading;
    use super::super::rules::Rules;
    use super::super::source::Grade;
    use super::*;
    use crate::guard;
    use std::time::Instant;

    #[test]
    fn the_format_is_the_one_that_is_wanted_most() {
        for (accept, format) in [
            ("", &PROMETHEUS),
            ("*/*", &PROMETHEUS),
            ("text/html", &PROMETHEUS),
            ("application/openmetrics-text", &OPENMETRICS),
            ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", &OPENMETRICS),
            ("text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5", &PROMETHEUS),
            ("application/openmetrics-text;version=2.0.0", &PROMETHEUS),
            ("application/openmetrics-text; version=\"1.0.0\"; q=0.3, text/plain;version=1.0.0;q=0.2", &OPENMETRICS),
            ("application/openmetrics-text;q=0", &PROMETHEUS),
        ] {
            assert_eq!(negotiate(accept).name, format.name, "{accept}");
        }
    }

    #[test]
    fn the_wait_is_a_little_shorter_than_the_scrapers() {
        let offset = Duration::from_millis(500);
        let most = Duration::from_secs(limits::METRICS_WAIT_SECONDS);
        for (header, want) in [
            (None, most),
            (Some("5"), Duration::from_millis(4500)),
            (Some("0.4"), Duration::from_millis(200)),
            (Some("1e300"), most),
            (Some("nan"), most),
            (Some("-1"), most),
            (Some("x"), most),
        ] {
            assert_eq!(patience(header, offset), want, "{header:?}");
        }
    }

    #[test]
    fn codings() {
        assert!(takes_gzip("deflate, GZIP;q=0.5") && takes_gzip("gzip"));
        assert!(!takes_gzip("gzip;q=0") && !takes_gzip("br") && !takes_gzip(""));
    }

    fn pages() -> Pages {
        let readings = Arc::<Readings>::default();
        let options = super::super::options::tests::options(&[]).unwrap();
        Pages {
            cluster: Arc::new(Cluster::new(readings.clone(), options.maker())),
            readings,
            floor: Duration::from_secs(1),
            offset: Duration::ZERO,
            numbers: Arc::new(Numbers {
                rules: Rules::default(),
                started: SystemTime::now(),
                memory: || Some(1),
                protection: || (guard::in_force(), 0),
                certificates: Arc::default(),
                outlets: Arc::default(),
                queries: Arc::default(),
            }),
            place: "<db>:3301".into(),
            user: "mon".into(),
            zip: Zip::default(),
        }
    }

    #[test]
    fn the_small_pages() {
        let get = |path: &str| pages().answer(&PageRequest { path: path.into(), ..Default::default() });
        assert_eq!(get("/-/healthy").status, 200);
        assert_eq!(get("/favicon.ico").status, 404);
        let landing = String::from_utf8(get("/").body).unwrap();
        assert!(landing.contains("&lt;db&gt;:3301") && landing.contains("not asked yet"), "{landing}");
        // An old reading is never shown as how it is now.
        let pages = pages();
        let (at, result) = (Instant::now(), Ok((Default::default(), Grade::Least)));
        pages.readings.publish(Reading { result, sources: Vec::new(), at, wall_ms: 0, took: Duration::ZERO }, None);
        let landing = pages.answer(&PageRequest { path: "/".into(), ..Default::default() });
        let landing = String::from_utf8(landing.body).unwrap();
        assert!(landing.contains("<td>up, when asked 0 s ago</td>"), "{landing}");
        assert_eq!(in_words(600), "10 min ago");
    }

    #[test]
    fn no_reading_in_time_is_down_and_nothing_old() {
        let headers = vec![("x-prometheus-scrape-timeout-seconds".to_string(), "0.02".to_string())];
        let request = PageRequest { path: "/metrics".into(), headers, ..Default::default() };
        let page = String::from_utf8(pages().answer(&request).body).unwrap();
        assert!(page.contains("\npicodata_up 0\n"), "{page}");
        assert!(page.contains("gostech_metrics_down{reason=\"timeout\"} 1\n"), "{page}");
    }
}
