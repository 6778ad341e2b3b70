//! Events into Grafana Loki by its push API: a line of JSON each, under few labels (`format/loki`).
//!
//! Loki takes no line older than a week, or longer than 256 KiB, unless it is told to: such a one is refused with 400, found and
//! set aside. Refuses: nothing of its own.

use super::http;
use super::route::Route;
use super::row::Transport;
use crate::audit::delivery::parcel::Sink;
use crate::error::Result;
use crate::flags::text;
use crate::net::target::{Scheme, Shape};

/// `loki+http://`
pub const PLAIN: Transport = Transport {
    scheme: &Scheme { name: "loki+http", shape: Shape::Host { port: 3100 }, tls: false },
    url: "loki+http://HOST[:PORT]",
    about: text("Grafana Loki (push API)", "Grafana Loki (push API)"),
    formats: &["loki"],
    open,
    ..http::PLAIN
};

/// `loki+https://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "loki+https", shape: Shape::Host { port: 443 }, tls: true },
    url: "loki+https://HOST[:PORT]",
    about: text("Grafana Loki over TLS", "Grafana Loki поверх TLS"),
    ..PLAIN
};

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    http::open_api(route, http::uri_or(route, "/loki/api/v1/push"), &http::NO_PAGE)
}
