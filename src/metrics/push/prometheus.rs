//! Those who keep what Prometheus would have scraped: remote write (Prometheus, Mimir, Thanos), VictoriaMetrics' import, the
//! Pushgateway.

use super::posted::Posted;
use super::row::{Outlet, Push, Route, Trouble, OF_HTTP, OF_HTTPS};
use super::wire;
use crate::error::{Error, Result};
use crate::flags::text;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::lines::Written;
use crate::metrics::render::prometheus;
use crate::metrics::render::remote_write::{self, Carry};
use crate::net::target::{Scheme, Shape};
use std::time::Instant;

/// `prometheus+http://`
pub const REMOTE_WRITE: Outlet = Outlet {
    scheme: &Scheme { name: "prometheus+http", shape: Shape::Host { port: 9090 }, tls: false },
    url: "prometheus+http://HOST[:PORT][/URI][?job=NAME&instance=NAME]",
    about: text(
        "remote write 1.0 (Prometheus, Mimir, Thanos); default URI /api/v1/write",
        "remote write 1.0 (Prometheus, Mimir, Thanos); URI по умолчанию /api/v1/write",
    ),
    timed: true,
    settings: &["job", "instance"],
    options: OF_HTTP,
    open: remote,
};

/// `prometheus+https://`
pub const REMOTE_WRITE_TLS: Outlet = Outlet {
    scheme: &Scheme { name: "prometheus+https", shape: Shape::Host { port: 443 }, tls: true },
    url: "prometheus+https://HOST[:PORT][/URI][?job=NAME&instance=NAME]",
    about: text("the same over TLS", "то же поверх TLS"),
    options: OF_HTTPS,
    ..REMOTE_WRITE
};

/// `victoria+http://`
pub const VICTORIA: Outlet = Outlet {
    scheme: &Scheme { name: "victoria+http", shape: Shape::Host { port: 8428 }, tls: false },
    url: "victoria+http://HOST[:PORT][/URI]",
    about: text(
        "VictoriaMetrics' import of pages; default URI /api/v1/import/prometheus",
        "импорт страниц в VictoriaMetrics; URI по умолчанию /api/v1/import/prometheus",
    ),
    timed: true,
    settings: &["extra_label"],
    options: OF_HTTP,
    open: |route| paged(route, "/api/v1/import/prometheus", true),
};

/// `victoria+https://`
pub const VICTORIA_TLS: Outlet = Outlet {
    scheme: &Scheme { name: "victoria+https", shape: Shape::Host { port: 443 }, tls: true },
    url: "victoria+https://HOST[:PORT][/URI]",
    about: text("the same over TLS", "то же поверх TLS"),
    options: OF_HTTPS,
    ..VICTORIA
};

/// `pushgateway+http://`
pub const PUSHGATEWAY: Outlet = Outlet {
    scheme: &Scheme { name: "pushgateway+http", shape: Shape::Host { port: 9091 }, tls: false },
    url: "pushgateway+http://HOST[:PORT]/metrics/job/NAME[/LABEL/VALUE]",
    about: text("Prometheus' Pushgateway: the whole group each time", "Pushgateway: каждый раз вся группа"),
    timed: false,
    settings: &[],
    options: OF_HTTP,
    open: gateway,
};

/// `pushgateway+https://`
pub const PUSHGATEWAY_TLS: Outlet = Outlet {
    scheme: &Scheme { name: "pushgateway+https", shape: Shape::Host { port: 443 }, tls: true },
    url: "pushgateway+https://HOST[:PORT]/metrics/job/NAME[/LABEL/VALUE]",
    about: text("the same over TLS", "то же поверх TLS"),
    options: OF_HTTPS,
    ..PUSHGATEWAY
};

struct Remote {
    post: Posted,
    prefix: String,
    extra: Vec<(String, String)>,
    carry: Carry,
}

fn remote(route: &Route) -> Result<Box<dyn Push>> {
    let extra = ["job", "instance"].into_iter();
    let extra = extra.filter_map(|name| Some((name.to_string(), route.setting(name)?))).collect();
    let uri = route.path("/api/v1/write");
    let (post, prefix) = (Posted::new(route, uri, "Bearer")?, route.prefix.clone());
    Ok(Box::new(Remote { post, prefix, extra, carry: Carry::default() }))
}

impl Push for Remote {
    fn push(&mut self, page: &Assembled<'_>, _: Instant) -> std::result::Result<Written, Trouble> {
        let (written, bodies, carry) = remote_write::put(page, &self.prefix, &self.extra, &self.carry);
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        for body in &bodies {
            self.post.send(body, &headers)?;
        }
        self.carry = carry;
        Ok(written)
    }

    fn reload(&mut self) {
        self.post.reload();
    }
}

fn gateway(route: &Route) -> Result<Box<dyn Push>> {
    let uri = route.path("/");
    if !uri.starts_with("/metrics/job") {
        return Err(Error::usage("name the group: pushgateway+http://HOST/metrics/job/NAME/instance/NAME"));
    }
    paged(route, "/", false)
}

fn paged(route: &Route, usual: &str, timed: bool) -> Result<Box<dyn Push>> {
    route.without_prefix()?;
    let query = route.to.target.uri().split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
    let post = Posted::new(route, format!("{}{query}", route.path(usual)), "Bearer")?;
    let wire = wire::requests(if timed { post } else { post.by_put() }, "text/plain; version=0.0.4; charset=utf-8");
    Ok(wire::pieces(wire, move |page, out| {
        match timed {
            true => prometheus::write_timed(page, out),
            false => prometheus::write(page, out),
        }
        Written::whole(page)
    }))
}
