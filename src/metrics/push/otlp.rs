//! OTLP over HTTP, in protobuf, which every receiver takes: OpenTelemetry's collector, VictoriaMetrics, Prometheus 3.
//!
//! What a receiver says it has rejected is counted and not sent again.

use super::posted::Posted;
use super::row::{Outlet, Push, Route, Trouble, OF_HTTP, OF_HTTPS};
use crate::error::Result;
use crate::flags::text;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::lines::Written;
use crate::metrics::render::otlp::{self, Start};
use crate::net::target::{Scheme, Shape};
use std::time::Instant;

/// `otlp+http://`
pub const HTTP: Outlet = Outlet {
    scheme: &Scheme { name: "otlp+http", shape: Shape::Host { port: 4318 }, tls: false },
    url: "otlp+http://HOST[:PORT][/URI]",
    about: text(
        "OTLP metrics in protobuf; default URI /v1/metrics",
        "метрики OTLP в protobuf; URI по умолчанию /v1/metrics",
    ),
    timed: true,
    settings: &[],
    options: OF_HTTP,
    open: |route| Ok(Box::new(open(route)?)),
};

/// `otlp+https://`
pub const HTTPS: Outlet = Outlet {
    scheme: &Scheme { name: "otlp+https", shape: Shape::Host { port: 4318 }, tls: true },
    url: "otlp+https://HOST[:PORT][/URI]",
    about: text("the same over TLS", "то же поверх TLS"),
    options: OF_HTTPS,
    ..HTTP
};

struct Otlp {
    post: Posted,
    prefix: String,
    start: Start,
}

fn open(route: &Route) -> Result<Otlp> {
    let post = Posted::new(route, route.path("/v1/metrics"), "Bearer")?;
    Ok(Otlp { post, prefix: route.prefix.clone(), start: None })
}

impl Push for Otlp {
    fn push(&mut self, page: &Assembled<'_>, _: Instant) -> std::result::Result<Written, Trouble> {
        let mut bodies = Vec::new();
        self.start = otlp::start(page, self.start).or(self.start);
        let mut written = otlp::put(page, &self.prefix, self.start, &mut bodies);
        for body in &bodies {
            let said = self.post.send(body, &[("content-type", "application/x-protobuf")])?;
            let n = otlp::rejected(&said).ok_or_else(|| Trouble {
                reason: "answer",
                text: "its answer is cut, and may say that it has rejected some".to_string(),
                forever: false,
            })?;
            // Whatever it says: no more than it was sent.
            let n = n.min(written.samples);
            (written.samples, written.refused) = (written.samples - n, written.refused + n);
        }
        Ok(written)
    }

    fn reload(&mut self) {
        self.post.reload();
    }
}
