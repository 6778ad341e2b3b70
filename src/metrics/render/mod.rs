//! A page to bytes ○: one pure file and one row for each format.

pub mod graphite;
pub mod influx;
pub mod json;
pub mod lines;
pub mod names;
pub mod openmetrics;
pub mod prometheus;
pub mod remote_write;
#[cfg(test)]
mod sample;
pub mod statsd;
pub mod text;

use super::assemble::Assembled;

/// A row of the table.
#[derive(Debug)]
pub struct Render {
    /// The name that `--format` takes.
    pub name: &'static str,
    /// What stands in Content-Type.
    pub content_type: &'static str,
    /// Writes a page.
    pub write: fn(&Assembled<'_>, &mut Vec<u8>),
}

/// Prometheus text 0.0.4
pub static PROMETHEUS: Render =
    Render { name: "prometheus", content_type: "text/plain; version=0.0.4; charset=utf-8", write: prometheus::write };

/// OpenMetrics 1.0
pub static OPENMETRICS: Render = Render {
    name: "openmetrics",
    content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    write: openmetrics::write,
};

/// InfluxDB's line protocol, as Telegraf's `exec` reads it.
pub static INFLUX: Render = Render { name: "influx", content_type: "text/plain; charset=utf-8", write: influx::write };

/// Graphite's lines.
pub static GRAPHITE: Render =
    Render { name: "graphite", content_type: "text/plain; charset=utf-8", write: graphite::write };

/// JSON.
pub static JSON: Render = Render { name: "json", content_type: "application/json", write: json::write };

/// All of them.
pub static RENDERS: &[&Render] = &[&PROMETHEUS, &OPENMETRICS, &INFLUX, &GRAPHITE, &JSON];

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Render> {
    RENDERS.iter().copied().find(|r| r.name == name)
}
