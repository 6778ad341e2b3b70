//! What is pushed where. Refuses: an option that its outlet has no use for, and one outlet twice.

use crate::error::{Error, Result};
use crate::flags::{value, Item, Parsed, Scope};
use crate::limits;
use crate::metrics::push::row::Plan;
use crate::metrics::push::{self, Outlet, Route};
use crate::metrics::render::Render;
use crate::net::http::{Auth, HttpOptions, Timeouts};
use crate::net::secret::Secret;
use crate::net::target::Target;
use crate::net::tls::ClientOptions;
use crate::net::verdict::Names;
use std::time::Duration;

/// Options that every outlet has.
const OF_EVERY_OUTLET: &[&str] = &["push", "push-prefix"];

/// mtail's words for an outlet: the option, how its URL begins, the option with its prefix.
const OF_MTAIL: &[(&str, &str, &str)] = &[
    ("graphite-host-port", "graphite://", "graphite-prefix"),
    ("statsd-hostport", "statsd://", "statsd-prefix"),
    ("collectd-socketpath", "collectd+unix://", "collectd-prefix"),
];

/// Every opener as a URL, with the number of its options, and the option of its prefix.
fn openers(parsed: &Parsed) -> Vec<(Item, usize, &'static str)> {
    let own = (0..parsed.receivers()).filter_map(|i| Some((parsed.opener(i)?.clone(), i, "push-prefix")));
    let mtail = OF_MTAIL.iter().filter_map(|(name, scheme, prefix)| {
        let item = parsed.get(name)?;
        // It has no options of its own, only those for all.
        Some((item.saying(format!("{scheme}{}", item.value)), usize::MAX, *prefix))
    });
    own.chain(mtail).collect()
}

/// Reads them.
pub fn find(parsed: &Parsed, format: &'static Render) -> Result<Plan> {
    let (least, most) = limits::PUSH_MILLIS;
    let range = Duration::from_millis(least)..=Duration::from_millis(most);
    let deadline = value::duration_within(&parsed.need("push-deadline"), range.clone())?;
    let interval = value::duration_within(&parsed.need("push-interval"), range)?;
    let all = All { deadline, interval, format };
    let mut routes: Vec<(String, Route)> = Vec::new();
    for (opener, i, prefix) in openers(parsed) {
        let prefix = parsed.of(prefix, i).map_or_else(String::new, |item| item.value.clone());
        let route = route(parsed, &opener, i, prefix, all)?;
        let name = route.to.target.display();
        if routes.iter().any(|(n, r)| *n == name && r.to.target.uri() == route.to.target.uri()) {
            return Err(opener.error(format!("`{name}` stands here twice: every number would arrive twice")));
        }
        routes.push((unique(name, &routes), route));
    }
    if routes.len() > limits::PUSH_OUTLETS {
        return Err(Error::usage(format!("there are more than {} places to push to", limits::PUSH_OUTLETS)));
    }
    Ok(Plan {
        routes,
        interval,
        deadline,
        buffer: value::count(&parsed.need("push-buffer"), 1..=limits::PUSH_BUFFER)? as usize,
    })
}

/// The name in logs and metrics: the URL without its secrets, and a number where that is not enough.
fn unique(name: String, routes: &[(String, Route)]) -> String {
    match routes.iter().filter(|(n, _)| n.starts_with(&name)).count() {
        0 => name,
        others => format!("{name}#{}", others + 1),
    }
}

/// What is the same for all outlets.
#[derive(Clone, Copy)]
struct All {
    deadline: Duration,
    interval: Duration,
    format: &'static Render,
}

fn route(parsed: &Parsed, opener: &Item, i: usize, prefix: String, all: All) -> Result<Route> {
    let target = Target::parse(value::nonempty(opener)?, &push::schemes()).map_err(|e| opener.error(e.text()))?;
    let row = push::of(&target);
    fits(parsed, i, row)?;
    if target.user().is_some() && !row.options.contains(&"push-user") {
        return Err(opener.error(format!("{}:// has no use for a user: leave it out", row.scheme.name)));
    }
    let path = |name: &str| parsed.of(name, i).map(value::path).transpose();
    let mut to = HttpOptions::new(target);
    to.tls = ClientOptions {
        names: Names::Receiver,
        ca: path("push-tls-ca")?,
        certificate: path("push-tls-cert")?,
        key: path("push-tls-key")?,
        ..ClientOptions::default()
    };
    if let (None, Some(key)) = (&to.tls.certificate, parsed.of("push-tls-key", i)) {
        return Err(key.error("a private key needs a --push-tls-cert"));
    }
    to.auth = auth(parsed, i)?;
    let All { deadline, interval, format } = all;
    to.timeouts = Timeouts { connect: deadline, send: deadline, first_byte: deadline, total: deadline };
    to.user_agent = concat!("gostech-metrics/", env!("CARGO_PKG_VERSION")).to_string();
    let route = Route { to, prefix, interval, format };
    if let Some((name, _)) = route.query().find(|(name, _)| !row.settings.contains(name)) {
        let known = row.settings.join(", ");
        let known = if known.is_empty() { "none".into() } else { known };
        let text = format!("`{}` has no setting `{}`; known are {known}", row.scheme.name, name.escape_debug());
        return Err(opener.error(text));
    }
    (row.open)(&route).map_err(|e| opener.error(e.text()))?;
    Ok(route)
}

/// An option that the outlet cannot take would be passed over without a word.
fn fits(parsed: &Parsed, i: usize, row: &Outlet) -> Result<()> {
    let known = |name: &str| OF_EVERY_OUTLET.contains(&name) || row.options.contains(&name);
    let mut own = parsed.rows().filter(|r| r.scope == Scope::Receiver).map(|r| r.name);
    match own.find_map(|name| parsed.of(name, i).filter(|item| item.receiver == Some(i) && !known(name))) {
        Some(item) => Err(item.error(format!("{}:// has no use for it: leave it out", row.scheme.name))),
        None => Ok(()),
    }
}

fn auth(parsed: &Parsed, i: usize) -> Result<Auth> {
    let (user, password) = (parsed.of("push-user", i), parsed.of("push-password-file", i));
    match (user, password, parsed.of("push-token-file", i)) {
        (Some(_), _, Some(token)) | (_, Some(_), Some(token)) => {
            Err(token.error("either --push-user or --push-token-file, not both"))
        }
        (Some(user), Some(file), None) => {
            Ok(Auth::Basic { user: value::nonempty(user)?.to_string(), password: Secret::file(value::path(file)?) })
        }
        (Some(user), None, None) => Err(user.error("a user needs a --push-password-file")),
        (None, Some(file), None) => Err(file.error("a password needs a --push-user")),
        (None, None, Some(file)) => Ok(Auth::Bearer(Secret::file(value::path(file)?))),
        (None, None, None) => Ok(Auth::None),
    }
}
