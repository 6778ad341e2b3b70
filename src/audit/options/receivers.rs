//! The receivers of a call: a URL, what belongs to it, its stand-ins.
//!
//! Refuses: an option that the transport of its receiver has no use for.

use super::{in_force, of_env, Options, ReceiverOptions};
use crate::audit::delivery::filter::{Condition, Filter};
use crate::audit::delivery::format::titles::TITLES;
use crate::audit::delivery::format::{self, manner, Form, Manner};
use crate::audit::delivery::sender::Portion;
use crate::audit::delivery::transport::{self, Route, Transport};
use crate::error::{Error, Result};
use crate::flags::{self, value, Item, Parsed, Scope};
use crate::limits;
use crate::net::http::{self, Auth, HttpOptions, Timeouts};
use crate::net::proxy::Proxy;
use crate::net::secret::Secret;
use crate::net::target::Target;
use crate::net::tls::{self, ClientOptions};
use crate::net::verdict::Names;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

impl Options {
    pub(super) fn read_receivers(&mut self, parsed: &Parsed, env: &[(OsString, OsString)]) -> Result<()> {
        let mut names = Vec::new();
        for i in 0..parsed.receivers() {
            let Some(opener) = parsed.opener(i) else { continue };
            let target = self.route(parsed, env, opener, i)?;
            if parsed.is_on_of("failover", i) {
                names.push(self.add_stand_in(parsed, opener, i, target)?);
                continue;
            }
            let name = match parsed.of("name", i) {
                Some(item) => value::name(item, limits::LABEL_BYTES)?.to_string(),
                None => format!("r{}", self.receivers.len() + 1),
            };
            if self.receivers.iter().any(|r| r.name == name) {
                return Err(
                    opener.error(format!("there are two receivers of the name `{name}`: give each its own --name"))
                );
            }
            let form = form_of(parsed, i, &target.to.target)?;
            let receiver = ReceiverOptions {
                name,
                optional: parsed.is_on_of("optional", i),
                targets: vec![target],
                form,
                filter: Filter { only: self.conditions(parsed, "only", i)?, skip: self.conditions(parsed, "skip", i)? },
                portion: Portion {
                    events: value::count(&parsed.need_of("batch-events", i), 1..=limits::BATCH_EVENTS)? as usize,
                    bytes: value::size_within(&parsed.need_of("batch-bytes", i), 1..=limits::BATCH_BYTES)? as usize,
                    linger: value::duration(&parsed.need_of("linger", i))?,
                },
                quarantine_max: value::size(&parsed.need_of("quarantine-max", i))?,
            };
            names.push(receiver.name.clone());
            self.receivers.push(receiver);
        }
        if self.receivers.len() > limits::RECEIVERS {
            return Err(Error::usage(format!("there are more than {} receivers", limits::RECEIVERS)));
        }
        self.in_force = in_force::of(parsed, &names);
        Ok(())
    }

    /// What `--only` and `--skip` ask. A title that nobody knows may be one of a newer database, or a slip of the pen.
    fn conditions(&mut self, parsed: &Parsed, name: &str, i: usize) -> Result<Vec<Condition>> {
        let mut all = Vec::new();
        for item in parsed.all_of(name, i) {
            let condition = Condition::parse(value::nonempty(item)?).map_err(|e| item.error(e))?;
            if let Some(title) = condition.unknown_title() {
                let near = flags::nearest(title, TITLES.iter().map(|m| m.title));
                let near = near.map_or_else(String::new, |near| format!("; is `{near}` meant?"));
                let shown = flags::shown(title);
                let text = format!("{}: no title {shown} is known of the database{near}", item.at());
                // Of a default for all once.
                if !self.warnings.contains(&text) {
                    self.warnings.push(text);
                }
            }
            all.push(condition);
        }
        Ok(all)
    }

    /// It stands in for the URL before it; how the two are called.
    fn add_stand_in(&mut self, parsed: &Parsed, opener: &Item, i: usize, target: Route) -> Result<String> {
        let Some(last) = self.receivers.last_mut() else {
            let text = "the first URL cannot be --failover: it must stand behind the URL it stands in for";
            return Err(opener.error(text));
        };
        // Those of the transport are its own; these are the receiver's, and would be passed over without a word.
        const OF_RECEIVER: &[&str] = &[
            "name",
            "optional",
            "format",
            "only",
            "skip",
            "batch-events",
            "batch-bytes",
            "linger",
            "quarantine-max",
            "facility",
            "app-name",
            "sd-id",
        ];
        let own = |name: &&str| parsed.of(name, i).filter(|item| item.receiver == Some(i));
        if let Some(item) = OF_RECEIVER.iter().find_map(own) {
            let text = "a --failover URL has none of its own: it delivers for";
            return Err(item.error(format!("{text} `{}`; write it behind the URL of that", last.name)));
        }
        let (transport, form) = (transport::of(&target.to.target), last.form.clone());
        let frame = transport.frame_at(&target.to.target);
        if !transport.formats.contains(&form.format.name) || form.format.form(frame).frame != form.frame {
            let name = &last.name;
            return Err(opener.error(format!("a stand-in for `{name}` has to take events in the same form as that")));
        }
        last.targets.push(target);
        Ok(format!("{} (failover {})", last.name, last.targets.len() - 1))
    }

    fn route(&mut self, parsed: &Parsed, env: &[(OsString, OsString)], opener: &Item, i: usize) -> Result<Route> {
        let target =
            Target::parse(value::nonempty(opener)?, &transport::schemes()).map_err(|e| opener.error(e.text()))?;
        fits(parsed, i, transport::of(&target))?;
        if let Some(userinfo) = userinfo(&opener.value) {
            self.secrets.push(userinfo.into());
        }
        // Tokens stand there too; with its `?`, so that only the query itself is overwritten.
        self.secrets.extend(opener.value.find('?').map(|at| OsString::from(&opener.value[at..])));
        let path = |name: &str| parsed.of(name, i).map(value::path).transpose();
        let mut http = HttpOptions::new(target);
        http.tls = ClientOptions {
            names: Names::Receiver,
            ca: path("ca-certificate")?,
            system_too: parsed.is_on_of("system-ca", i),
            certificate: path("certificate")?,
            key: path("private-key")?,
            server_name: parsed.of("tls-server-name", i).map(value::nonempty).transpose()?.map(String::from),
        };
        if let Some(name) = parsed.of("tls-server-name", i) {
            tls::Client::new(http.tls.clone()).name_for("").map_err(|f| name.error(f.text))?;
        }
        if let (None, Some(key)) = (&http.tls.certificate, parsed.of("private-key", i)) {
            return Err(key.error("a private key needs a --certificate"));
        }
        http.auth = auth_of(parsed, i)?;
        for item in parsed.all_of("header", i) {
            http.headers.push(http::parse_header(value::nonempty(item)?).map_err(|e| item.error(e.text()))?);
            if let Some((_, v)) = item.value.split_once(':').filter(|(_, v)| !v.trim().starts_with('@')) {
                self.secrets.push(v.trim().into());
            }
        }
        http.gzip = parsed.is_on_of("gzip", i);
        http.timeouts = timeouts_of(parsed, i)?;
        http.user_agent = concat!("gostech-audit-log/", env!("CARGO_PKG_VERSION")).to_string();
        http.proxy = match parsed.of("proxy", i) {
            Some(item) => {
                self.secrets.extend(userinfo(&item.value).map(OsString::from));
                Some(Proxy::parse(&item.value).map_err(|e| item.error(e.text()))?)
            }
            // One that acknowledges in the name of another is of no use where a kernel's acknowledgement counts.
            None if !transport::of(&http.target).takes("proxy") => None,
            None => Proxy::from_env(|name| of_env(env, name), &http.target)?,
        };
        // What the client refuses of them could not be right on any day: a receiver without a sender would never take any.
        let options = transport::of(&http.target).options.iter().copied().flatten();
        let route = Route::new(http, options.filter_map(|name| parsed.of(name, i).cloned()).collect());
        transport::open(&route).map_err(|e| opener.error(e.text()))?;
        Ok(route)
    }
}

/// An option that the transport of its receiver cannot take would be passed over without a word. As a default for all it is
/// for those that can.
fn fits(parsed: &Parsed, i: usize, transport: &Transport) -> Result<()> {
    let mut own = parsed.rows().filter(|row| row.scope == Scope::Receiver).map(|row| row.name);
    match own.find_map(|name| parsed.of(name, i).filter(|item| item.receiver == Some(i) && !transport.takes(name))) {
        Some(item) => {
            let whose = parsed.of("name", i).map_or_else(String::new, |name| format!(" (`{}`)", name.value));
            Err(item.error(format!("a {}:// receiver{whose} has no use for it: leave it out", transport.scheme.name)))
        }
        None => Ok(()),
    }
}

/// The format, by the choice of the transport, and the frame.
fn form_of(parsed: &Parsed, i: usize, target: &Target) -> Result<Form> {
    let transport = transport::of(target);
    let item = parsed.need_of("format", i);
    let name = match parsed.of("format", i) {
        Some(_) => value::listed(&item)?,
        None => transport.formats.first().copied().unwrap_or_default(),
    };
    match format::find(name).filter(|f| transport.formats.contains(&f.name)) {
        Some(format) => {
            let form = format.form(transport.frame_at(target));
            Ok(Form { manner: Arc::new(manner_of(parsed, i)?), ..form })
        }
        None => {
            let (scheme, list) = (transport.scheme.name, transport.formats.join(", "));
            Err(item.error(format!("a {scheme}:// receiver takes no `{name}`: {list}")))
        }
    }
}

/// How the formats that ask are to write.
fn manner_of(parsed: &Parsed, i: usize) -> Result<Manner> {
    let of = |name: &str, read: fn(&str) -> std::result::Result<String, String>| {
        let item = parsed.need_of(name, i);
        read(&item.value).map_err(|what| item.error(what))
    };
    let facility = parsed.need_of("facility", i);
    Ok(Manner {
        facility: manner::facility(&facility.value).map_err(|what| facility.error(what))?,
        app: of("app-name", manner::app_name)?,
        element: of("sd-id", manner::element)?,
    })
}

fn timeouts_of(parsed: &Parsed, i: usize) -> Result<Timeouts> {
    let time = |name: &str| {
        value::duration_within(&parsed.need_of(name, i), Duration::from_millis(1)..=Duration::from_secs(3600))
    };
    Ok(Timeouts {
        connect: time("connect-timeout")?,
        send: time("send-timeout")?,
        first_byte: time("first-byte-timeout")?,
        total: time("total-timeout")?,
    })
}

fn auth_of(parsed: &Parsed, i: usize) -> Result<Auth> {
    let (user, password, token) = (parsed.of("user", i), parsed.of("password-file", i), parsed.of("token-file", i));
    match (user, password, token) {
        (Some(_), _, Some(token)) => Err(token.error("a receiver has either --user or --token-file, not both")),
        (Some(user), Some(file), None) => {
            let name = value::nonempty(user)?;
            if name.contains(':') {
                return Err(user.error("a user name has no `:`; the password goes into a --password-file"));
            }
            Ok(Auth::Basic { user: name.to_string(), password: Secret::file(value::path(file)?) })
        }
        (Some(user), None, None) => Err(user.error("a user needs a --password-file")),
        (None, Some(file), _) => Err(file.error("a password needs a --user")),
        (None, None, Some(file)) => Ok(Auth::Bearer(Secret::file(value::path(file)?))),
        (None, None, None) => Ok(Auth::None),
    }
}

/// The part of a URL before its `@`, where it has one.
fn userinfo(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(u, _)| u.to_string()).filter(|u| !u.is_empty())
}
