//! The program's own page of metrics, fetched over plain HTTP and read as numbers by name and labels.
//!
//! Refuses a page that is no text of samples: a line that cannot be read fails the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// `GET` of a path at a port of loopback: the head and the body; None when nobody answers.
pub fn get(port: u16, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// One scrape, read.
pub struct Page {
    pub text: String,
    samples: Vec<(String, f64)>,
}

impl Page {
    /// The page at a port, waiting until it answers.
    pub fn scrape(port: u16) -> Page {
        let mut page = None;
        super::wait("the metrics page answers", Duration::from_secs(20), || {
            page = get(port, "/metrics").filter(|(head, _)| head.contains(" 200 "));
            page.is_some()
        });
        Page::read(page.expect("answered").1)
    }

    fn read(text: String) -> Page {
        let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#') && l.starts_with("gostech"));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        });
        Page { samples: samples.collect(), text: text.clone() }
    }

    /// The sum of the samples of a family that carry all these labels (`receiver="r1"`). None when there is none.
    pub fn sum(&self, family: &str, labels: &[&str]) -> Option<f64> {
        let fits = |name: &str| {
            let (base, rest) = name.split_once('{').unwrap_or((name, ""));
            base == family && labels.iter().all(|l| rest.contains(l))
        };
        let found: Vec<f64> = self.samples.iter().filter(|(n, _)| fits(n)).map(|(_, v)| *v).collect();
        if found.is_empty() {
            None
        } else {
            Some(found.iter().sum())
        }
    }

    /// The same where absence is a failure.
    pub fn must(&self, family: &str, labels: &[&str]) -> f64 {
        self.sum(family, labels).unwrap_or_else(|| panic!("no {family} {labels:?} in\n{}", self.text))
    }

    /// The identity of the issue for one receiver: read + own = delivered + quarantined + dropped + filtered + in spool.
    pub fn assert_identity(&self, receiver: &str) {
        let label = format!("receiver=\"{receiver}\"");
        let come = self.must("gostech_audit_read_total", &[]) + self.sum("gostech_audit_own_total", &[]).unwrap_or(0.0);
        let gone = self.must("gostech_audit_events_total", &[&label]);
        let there = self.must("gostech_audit_spool_events", &[&label]);
        assert!((come - gone - there).abs() < 0.5, "{come} came, {gone} gone, {there} in the spool\n{}", self.text);
    }
}
