//! StatsD: increments and gauges over UDP or TCP; labels as parts of the name, or as DogStatsD's tags (`?tags=dogstatsd`).
//!
//! Increments count as sent when the push has succeeded. One over TCP that broke off in between is sent again whole: what had
//! arrived of it is counted twice. Over UDP nobody knows what arrived.

use super::row::{Outlet, Push, Route, Trouble};
use super::wire::{self, Wire};
use crate::error::Result;
use crate::flags::text;
use crate::metrics::assemble::Assembled;
use crate::metrics::render::lines::Written;
use crate::metrics::render::statsd::{self, Carry, Tags};
use crate::net::target::{Scheme, Shape};
use std::time::Instant;

const PORT: Shape = Shape::Host { port: 8125 };

/// `statsd://`
pub const UDP: Outlet = Outlet {
    scheme: &Scheme { name: "statsd", shape: PORT, tls: false },
    url: "statsd://HOST[:PORT][?tags=dogstatsd]",
    about: text("increments and gauges in datagrams", "приращения и значения в датаграммах"),
    timed: false,
    settings: &["tags"],
    options: &[],
    open: |route| open(route, wire::packets(route)),
};

/// `statsd+tcp://`
pub const TCP: Outlet = Outlet {
    scheme: &Scheme { name: "statsd+tcp", shape: PORT, tls: false },
    url: "statsd+tcp://HOST[:PORT][?tags=dogstatsd]",
    about: text("increments and gauges over TCP", "приращения и значения по TCP"),
    open: |route| open(route, wire::stream(route)),
    ..UDP
};

struct Statsd {
    wire: Box<dyn Wire>,
    tags: Tags,
    prefix: String,
    carry: Carry,
    lines: Vec<u8>,
}

fn open(route: &Route, wire: Box<dyn Wire>) -> Result<Box<dyn Push>> {
    let tags = if route.choice("tags", &["none", "dogstatsd"])? == "none" { Tags::InName } else { Tags::Dogstatsd };
    let (prefix, carry, lines) = (route.prefix.clone(), Carry::default(), Vec::new());
    Ok(Box::new(Statsd { wire, tags, prefix, carry, lines }))
}

impl Push for Statsd {
    fn push(&mut self, page: &Assembled<'_>, deadline: Instant) -> std::result::Result<Written, Trouble> {
        self.lines.clear();
        let (written, carry) = statsd::put(page, &self.prefix, self.tags, &self.carry, &mut self.lines);
        self.wire.send(&self.lines, deadline)?;
        self.carry = carry;
        Ok(written)
    }

    fn reload(&mut self) {
        self.wire.reload();
    }
}
