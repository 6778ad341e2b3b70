//! Graphite: lines over TCP, TLS or UDP; labels as parts of the path, or as tags (`?style=tags`).

use super::row::{Outlet, Push, Route, OF_TLS};
use super::wire::{self, Wire};
use crate::error::Result;
use crate::flags::text;
use crate::metrics::render::graphite;
use crate::metrics::render::names::Style;
use crate::net::target::{Scheme, Shape};

const PORT: Shape = Shape::Host { port: 2003 };

/// `graphite://`
pub const TCP: Outlet = Outlet {
    scheme: &Scheme { name: "graphite", shape: PORT, tls: false },
    url: "graphite://HOST[:PORT][?style=dots|tags]",
    about: text("graphite's lines over TCP", "строки graphite по TCP"),
    timed: true,
    settings: &["style"],
    options: &[],
    open: |route| open(route, wire::stream(route)),
};

/// `graphite+tls://`
pub const TLS: Outlet = Outlet {
    scheme: &Scheme { name: "graphite+tls", shape: PORT, tls: true },
    url: "graphite+tls://HOST[:PORT][?style=dots|tags]",
    about: text("graphite's lines over TLS", "строки graphite поверх TLS"),
    options: OF_TLS,
    ..TCP
};

/// `graphite+udp://`
pub const UDP: Outlet = Outlet {
    scheme: &Scheme { name: "graphite+udp", shape: PORT, tls: false },
    url: "graphite+udp://HOST[:PORT][?style=dots|tags]",
    about: text("graphite's lines in datagrams", "строки graphite в датаграммах"),
    open: |route| open(route, wire::packets(route)),
    ..TCP
};

fn open(route: &Route, wire: Box<dyn Wire>) -> Result<Box<dyn Push>> {
    let style = if route.choice("style", &["dots", "tags"])? == "tags" { Style::Semicolons } else { Style::Dots };
    let prefix = route.prefix.clone();
    Ok(wire::pieces(wire, move |page, out| graphite::put(page, &prefix, style, out)))
}
