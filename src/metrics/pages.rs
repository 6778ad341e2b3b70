//! The pages: `/metrics`, the same in other formats, `/`, `/-/healthy`, `/-/ready`; anything else is 404. Methods and bounds are the porch's matter.

use super::cluster::Cluster;
use super::numbers::Numbers;
use super::overview::{self, About, Series, SERIES};
use super::readings::{Readings, Seen, View};
use super::render::{Render, OPENMETRICS, PROMETHEUS, RENDERS};
use crate::limits;
use crate::net::gzip::Gzip;
use crate::net::page::{Page, PageRequest};
use crate::page::{answer, history};
use crate::sys::clock::wall_ms;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

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
    /// The curves of the status page.
    pub curves: Curves,
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
            "/" => self.landing(request),
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

    /// As much as is there soon: who looks does not wait for long.
    fn landing(&self, request: &PageRequest) -> Page {
        let seen = soon(&self.cluster, self.floor);
        let of = About {
            place: &self.place,
            user: &self.user,
            discover: self.cluster.discovers(),
            history: &self::seen(&self.curves),
            service: true,
        };
        answer::page(request, &self.numbers.sheet(&seen, answer::lang(request), of))
    }

    /// Takes note of how it stands, if anybody has asked lately.
    pub fn note(&self) {
        if self.readings.glance().reading.is_none() {
            return;
        }
        note(&self.curves, self.cluster.read(Duration::MAX, Duration::ZERO));
    }
}

/// What is seen of the cluster soon; of who needs longer, what was there before.
pub fn soon(cluster: &Cluster, floor: Duration) -> Vec<Seen> {
    let mut seen = cluster.read(floor, Duration::from_secs(limits::PAGE_WAIT_SECONDS));
    if seen.iter().any(|s| s.view.reading.is_none()) {
        for before in cluster.read(Duration::MAX, Duration::ZERO) {
            let same = seen.iter_mut().find(|s| s.labels == before.labels && s.view.reading.is_none());
            if let Some(s) = same.filter(|_| before.view.reading.is_some()) {
                s.view = View { late: true, ..before.view };
            }
        }
    }
    seen
}

/// Takes note of what is seen, for the curves, as far as it is not too old for that.
pub fn note(curves: &[AtomicU64], mut seen: Vec<Seen>) {
    seen.retain(|seen| {
        let reading = seen.view.reading.as_ref();
        reading.is_some_and(|r| r.at.elapsed() < Duration::from_secs(limits::METRICS_STALE_SECONDS))
    });
    if seen.is_empty() {
        return;
    }
    for (series, value) in overview::noted(&seen).into_iter().enumerate() {
        let at = series * history::WORDS;
        // Of those that answer the last count is the one that holds.
        let most = series != Series::Answer as usize;
        history::note(&curves[at..at + history::WORDS], wall_ms(), value, most);
    }
}

/// The curves as they are now.
pub fn seen(curves: &[AtomicU64]) -> Vec<u64> {
    curves.iter().map(|word| word.load(Ordering::Relaxed)).collect()
}

/// The curves of the status page, empty.
pub fn curves() -> Curves {
    (0..SERIES * history::WORDS).map(|_| AtomicU64::new(0)).collect()
}

/// Those.
pub type Curves = Arc<[AtomicU64]>;

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
                started: std::time::SystemTime::now(),
                memory: || Some(1),
                protection: || (guard::in_force(), 0),
                certificates: Arc::default(),
                outlets: Arc::default(),
                queries: Arc::default(),
            }),
            place: "<db>:3301".into(),
            user: "mon".into(),
            curves: curves(),
            zip: Zip::default(),
        }
    }

    #[test]
    fn the_small_pages() {
        let get = |path: &str| pages().answer(&PageRequest { path: path.into(), ..Default::default() });
        assert_eq!(get("/-/healthy").status, 200);
        assert_eq!(get("/favicon.ico").status, 404);
        let landing = String::from_utf8(get("/").body).unwrap();
        assert!(landing.contains("&lt;db&gt;:3301") && landing.contains("has not answered yet"), "{landing}");
        // An old reading is never shown as how it is now.
        let pages = Pages { floor: Duration::ZERO, ..pages() };
        let (at, result) = (Instant::now(), Ok((Default::default(), Grade::Least)));
        pages.readings.publish(Reading { result, sources: Vec::new(), at, wall_ms: 0, took: Duration::ZERO }, None);
        let landing = |pages: &Pages| {
            let page = pages.answer(&PageRequest { path: "/".into(), ..Default::default() });
            String::from_utf8(page.body).unwrap()
        };
        let late = landing(&pages);
        assert!(
            late.contains("verdict warn\">No answer within 2.0 s; what follows is of")
                && !late.contains("not answered"),
            "{late}"
        );
        let pages = Pages { floor: Duration::from_secs(60), ..pages };
        assert!(landing(&pages).contains("verdict good\">The database answers"), "{}", landing(&pages));
        pages.note();
        assert!(landing(&pages).contains("<polyline"), "what was noted is drawn");
    }

    #[test]
    fn who_does_not_answer_in_time_is_no_hole_and_no_end_in_the_curves() {
        let (pages, unasked) = (pages(), || Seen { labels: Vec::new(), view: Readings::default().glance() });
        note(&pages.curves, vec![unasked()]);
        assert!(seen(&pages.curves).iter().all(|word| *word == 0), "nobody knows anything");
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
