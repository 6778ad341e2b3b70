//! InfluxDB: the line protocol over HTTP(S), to version 1 (`?db=`) and to 2 and 3 (`?org=&bucket=`), or in datagrams.

use super::posted::Posted;
use super::row::{Outlet, Push, Route, Trouble, OF_HTTP, OF_HTTPS};
use super::wire::{self, Wire};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::influx;
use crate::metrics::render::lines::Written;
use crate::net::target::{Scheme, Shape};
use std::time::Instant;

const PORT: Shape = Shape::Host { port: 8086 };

/// `influx+http://`
pub const HTTP: Outlet = Outlet {
    scheme: &Scheme { name: "influx+http", shape: PORT, tls: false },
    url: "influx+http://HOST[:PORT]/?db=NAME",
    about: text(
        "InfluxDB over HTTP: `?db=NAME` for version 1, `?org=NAME&bucket=NAME` for 2 and 3",
        "InfluxDB по HTTP: `?db=NAME` для версии 1, `?org=NAME&bucket=NAME` для 2 и 3",
    ),
    timed: true,
    settings: &["db", "rp", "org", "bucket"],
    options: OF_HTTP,
    open: http,
};

/// `influx+https://`
pub const HTTPS: Outlet = Outlet {
    scheme: &Scheme { name: "influx+https", shape: PORT, tls: true },
    url: "influx+https://HOST[:PORT]/?db=NAME",
    about: text("the same over TLS", "то же поверх TLS"),
    options: OF_HTTPS,
    ..HTTP
};

/// `influx+udp://`
pub const UDP: Outlet = Outlet {
    scheme: &Scheme { name: "influx+udp", shape: Shape::Host { port: 8089 }, tls: false },
    url: "influx+udp://HOST[:PORT]",
    about: text("InfluxDB's lines in datagrams", "строки InfluxDB в датаграммах"),
    settings: &[],
    options: &[],
    open: |route| {
        let (wire, prefix) = (wire::packets(route), route.prefix.clone());
        Ok(Box::new(Udp { wire, prefix, lines: Vec::new() }))
    },
    ..HTTP
};

fn http(route: &Route) -> Result<Box<dyn Push>> {
    let (prefix, lines) = (route.prefix.clone(), Vec::new());
    Ok(Box::new(Http { post: Posted::new(route, uri(route)?, "Token")?, prefix, lines }))
}

/// Where it writes to; one of both pairs must be there.
fn uri(route: &Route) -> Result<String> {
    let place = match (route.setting("db"), route.setting("bucket")) {
        (Some(_), None) => "/write",
        (None, Some(_)) => "/api/v2/write",
        _ => {
            let text = "name one database: `/?db=NAME` of InfluxDB 1, or `/?org=NAME&bucket=NAME` of 2 and 3";
            return Err(Error::usage(text));
        }
    };
    let query: Vec<String> = route.query().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(format!("{}?{}", route.path(place), query.join("&")))
}

struct Http {
    post: Posted,
    prefix: String,
    lines: Vec<u8>,
}

impl Push for Http {
    fn push(&mut self, page: &Assembled<'_>, _: Instant) -> std::result::Result<Written, Trouble> {
        self.lines.clear();
        let written = influx::put(page, &self.prefix, &mut self.lines);
        self.post.send(&self.lines, &[("content-type", "text/plain; charset=utf-8")])?;
        Ok(written)
    }

    fn reload(&mut self) {
        self.post.reload();
    }
}

struct Udp {
    wire: Box<dyn Wire>,
    prefix: String,
    lines: Vec<u8>,
}

impl Push for Udp {
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> std::result::Result<Written, Trouble> {
        self.lines.clear();
        let written = influx::put(page, &self.prefix, &mut self.lines);
        self.wire.send(&self.lines, deadline)?;
        Ok(written)
    }

    fn reload(&mut self) {
        self.wire.reload();
    }
}
