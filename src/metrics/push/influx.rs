//! InfluxDB: the line protocol over HTTP(S), to version 1 (`?db=`) and to 2 and 3 (`?org=&bucket=`), or in datagrams.

use super::posted::Posted;
use super::row::{Outlet, Push, Route, OF_HTTP, OF_HTTPS};
use super::wire::{self, Wire};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::metrics::render::influx;
use crate::net::target::{Scheme, Shape};

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
    open: |route| Ok(lines(route, wire::packets(route))),
    ..HTTP
};

fn http(route: &Route) -> Result<Box<dyn Push>> {
    let post = Posted::new(route, uri(route)?, "Token")?;
    Ok(lines(route, wire::requests(post, "text/plain; charset=utf-8")))
}

fn lines(route: &Route, wire: Box<dyn Wire>) -> Box<dyn Push> {
    let prefix = route.prefix.clone();
    wire::pieces(wire, move |page, out| influx::put(page, &prefix, out))
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
