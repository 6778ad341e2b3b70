//! A page to bytes ○: one pure file and one row for each format.

pub mod collectd;
pub mod graphite;
pub mod influx;
pub mod json;
pub mod lines;
pub mod names;
pub mod openmetrics;
pub mod otlp;
pub mod prometheus;
pub mod remote_write;
#[cfg(test)]
mod sample;
pub mod statsd;
pub mod text;
pub mod varz;

use super::assemble::Assembled;

/// A row of the table.
#[derive(Debug)]
pub struct Render {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// The page that is always in this format; without one `/metrics` is, for who asks for it.
    pub page: Option<&'static str>,
    /// What stands in Content-Type.
    pub content_type: &'static str,
    /// Writes a page.
    pub write: fn(&Assembled<'_>, &mut Vec<u8>),
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Prometheus text 0.0.4
pub static PROMETHEUS: Render = Render {
    name: "prometheus",
    page: None,
    content_type: "text/plain; version=0.0.4; charset=utf-8",
    write: prometheus::write,
};

/// OpenMetrics 1.0
pub static OPENMETRICS: Render = Render {
    name: "openmetrics",
    page: None,
    content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    write: openmetrics::write,
};

/// InfluxDB's line protocol, as Telegraf's `exec` reads it.
pub static INFLUX: Render = Render { name: "influx", page: None, content_type: PLAIN, write: influx::write };

/// Graphite's lines.
pub static GRAPHITE: Render =
    Render { name: "graphite", page: Some("/graphite"), content_type: PLAIN, write: graphite::write };

/// JSON.
pub static JSON: Render =
    Render { name: "json", page: Some("/json"), content_type: "application/json", write: json::write };

/// mtail's lines.
pub static VARZ: Render = Render { name: "varz", page: Some("/varz"), content_type: PLAIN, write: varz::write };

/// All of them.
pub static RENDERS: &[&Render] = &[&PROMETHEUS, &OPENMETRICS, &INFLUX, &GRAPHITE, &JSON, &VARZ];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Render> {
    RENDERS.iter().copied().find(|r| r.name == name)
}
