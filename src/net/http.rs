//! POST to one receiver: keep-alive, every timeout set, exact failures, secrets read again when they change.
//!
//! Refuses: redirects (they come back as answers), decompression, to believe a success that was said before the whole
//! request was taken, and to call a kept connection that was closed meanwhile a failure: that is tried once more at once, on
//! a new connection, as long as nothing of an answer had come.

use crate::error::{Error, Result};
use crate::json;
use crate::limits;
use crate::net::answer::{self, Answer};
use crate::net::dial::{self, Dial};
pub use crate::net::exchange::Timeouts;
use crate::net::exchange::{late, Exchange, CONNECT, TOTAL};
use crate::net::failure::{Failure, FailureKind};
use crate::net::gzip::Gzip;
use crate::net::kept::Kept;
use crate::net::mask::Mask;
use crate::net::proxy::Proxy;
use crate::net::reply::{is_name, may_be_value};
use crate::net::secret::{Secret, Wiped};
use crate::net::target::{Place, Target};
use crate::net::tls;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Who we say we are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Nobody.
    None,
    /// `--user` and its password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `--token-file`.
    Bearer(Secret),
}

/// Everything about one receiver.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where.
    pub target: Target,
    /// Through which proxy; never used for a Unix socket.
    pub proxy: Option<Proxy>,
    /// Whom to trust and who we are, for `https`.
    pub tls: tls::ClientOptions,
    /// Who we say we are; when `None`, the userinfo of the URL is used.
    pub auth: Auth,
    /// `--header`: each replaces what would be sent under its name.
    pub headers: Vec<(String, Secret)>,
    /// Pack bodies.
    pub gzip: bool,
    /// How long each part may take.
    pub timeouts: Timeouts,
    /// `User-Agent`.
    pub user_agent: String,
    /// What stands before a token: `Bearer`, and with some receivers another word.
    pub token_word: &'static str,
}

impl HttpOptions {
    /// The defaults for a target.
    pub fn new(target: Target) -> Self {
        HttpOptions {
            target,
            proxy: None,
            tls: tls::ClientOptions::default(),
            auth: Auth::None,
            headers: Vec::new(),
            gzip: false,
            timeouts: Timeouts::default(),
            user_agent: concat!("gostech/", env!("CARGO_PKG_VERSION")).to_string(),
            token_word: "Bearer",
        }
    }

    /// A connection straight there, for who speaks something else: nobody may acknowledge in the name of another.
    pub fn straight(&self) -> Kept {
        let tls = self.target.is_tls().then(|| Arc::new(tls::Client::new(self.tls.clone())));
        let dial = Dial { tls, ..Dial::new(self.target.place().clone()) };
        Kept::new(dial, self.target.display(), self.timeouts.connect)
    }
}

/// Those that say how a message ends, and what we alone decide.
const OURS: [&str; 5] = ["content-length", "transfer-encoding", "connection", "content-encoding", "expect"];

/// Parses `--header 'Name: value'`; a value `@file` is read from the file, again whenever it changes.
pub fn parse_header(text: &str) -> Result<(String, Secret)> {
    let Some((name, value)) = text.split_once(':') else {
        // Not quoted: it may be a token whose name was forgotten.
        return Err(Error::usage("header without a `:`; it should be like `Name: value` or `Name: @file`"));
    };
    let (name, value) = (name.trim(), value.trim());
    if !is_name(name.as_bytes()) {
        return Err(Error::usage("header with a name that no header can have; it should be like `Name: value`"));
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) {
        return Err(Error::usage(format!("header `{name}` is made by this program and cannot be given")));
    }
    if let Some(path) = value.strip_prefix('@') {
        return match path {
            "" => Err(Error::usage(format!("header `{name}`: no file name after the `@`"))),
            path => Ok((lower, Secret::file(path))),
        };
    }
    if !value.is_ascii() || !may_be_value(value.as_bytes()) {
        return Err(Error::usage(format!("header `{name}` has a value with control characters")));
    }
    Ok((lower, Secret::literal(value)))
}

/// What stands in a request and comes from options and files.
type Secrets = Vec<(String, Wiped)>;

/// Posts to one receiver.
pub struct Client {
    options: HttpOptions,
    /// What the request line asks for: of a proxy, the whole URL.
    uri: String,
    kept: Kept,
    /// When its last request was over.
    used: Instant,
    gzip: Option<Gzip>,
    packed: Vec<u8>,
    put: bool,
    /// How much of an answer's body is kept as it came.
    keep: usize,
    was_sending: bool,
    /// What of an answer would be a secret of the last request, said back.
    mask: Mask,
    spent: u32,
    #[cfg(test)]
    opened: usize,
}

impl Client {
    /// Checks what could not be right on any day; nothing is read or connected yet.
    pub fn new(mut options: HttpOptions) -> Result<Client> {
        if options.target.socket().is_some() {
            options.proxy = None;
        }
        if options.headers.len() > limits::HTTP_HEADERS {
            return Err(Error::usage(format!("more than {} headers", limits::HTTP_HEADERS)));
        }
        if let (Auth::None, Some(user)) = (&options.auth, options.target.user()) {
            let password = Secret::literal(user.password.clone().unwrap_or_default());
            options.auth = Auth::Basic { user: user.name.clone(), password };
        }
        let (dial, before) = way(&options);
        Ok(Client {
            uri: before + options.target.uri(),
            kept: Kept::new(dial, options.target.display(), options.timeouts.connect),
            options,
            used: Instant::now(),
            gzip: None,
            packed: Vec::new(),
            put: false,
            keep: 0,
            was_sending: false,
            mask: Mask::default(),
            spent: 0,
            #[cfg(test)]
            opened: 0,
        })
    }

    /// With PUT in place of POST.
    pub fn by_put(self) -> Client {
        Client { put: true, ..self }
    }

    /// With so much of each answer's body kept as it came.
    pub fn keeping(mut self, bytes: usize) -> Client {
        self.keep = bytes;
        self
    }

    /// Secrets and certificates are read again and the kept connection is given up.
    pub fn reload(&mut self) {
        self.rest();
        self.kept.reload();
        match &mut self.options.auth {
            Auth::None => {}
            Auth::Basic { password, .. } => password.forget(),
            Auth::Bearer(token) => token.forget(),
        }
        self.options.headers.iter_mut().for_each(|(_, value)| value.forget());
    }

    /// Gives the kept connection and every buffer back, for a time without events.
    pub fn rest(&mut self) {
        self.kept.rest();
        self.gzip = None;
        self.packed = Vec::new();
        self.mask = Mask::default();
    }

    /// Reads every file of this receiver without connecting: the first trouble, if any.
    pub fn check(&mut self) -> std::result::Result<(), Failure> {
        self.secret_headers()?;
        // Files that are named are looked at even where `http` has no use for them: they were named for something.
        let named = self.options.tls.ca.is_some() || self.options.tls.certificate.is_some();
        match self.options.target.is_tls() || !named {
            true => self.kept.check(),
            false => tls::Client::new(self.options.tls.clone()).config().map(drop),
        }
    }

    /// Sends one body and returns what was answered. `now` is for a `Retry-After` that is a date.
    pub fn post(
        &mut self,
        body: &[u8],
        headers: &[(&str, &str)],
        now: SystemTime,
    ) -> std::result::Result<Answer, Failure> {
        let secrets = self.secret_headers()?;
        let mut packed = std::mem::take(&mut self.packed);
        let body = if self.options.gzip {
            self.gzip.get_or_insert_with(Gzip::fast).pack(body, &mut packed);
            &packed[..]
        } else {
            body
        };
        let head = self.request(body.len(), headers, &secrets);
        self.mask = self.mask_of(&secrets);
        (self.was_sending, self.spent) = (false, 0);
        let begun = Instant::now();
        let end = begun + self.options.timeouts.total;
        let mut result = self.once(&head, body, now, end);
        if matches!(&result, Err((f, true)) if f.kind == FailureKind::Closed) {
            result = self.once(&head, body, now, end);
        }
        self.packed = packed;
        self.used = Instant::now();
        self.spent = self.spent.max(dial::spent(begun, self.options.timeouts.total));
        result.map_err(|(failure, _)| failure)
    }

    /// Words that were found in the body of the last answer, without the secrets that they say back.
    pub fn masked(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask.apply(text.into())).into_owned()
    }

    /// Whether anything of the last request was handed to a connection.
    pub fn was_sending(&self) -> bool {
        self.was_sending
    }

    /// How much of its time the last request has taken, in percent: of that for its slowest phase, or of all.
    pub fn spent(&self) -> u32 {
        self.spent
    }

    /// One try. With a failure comes whether it is one of a kept connection of which nothing of an answer had come.
    fn once(
        &mut self,
        head: &Wiped,
        body: &[u8],
        now: SystemTime,
        end: Instant,
    ) -> std::result::Result<Answer, (Failure, bool)> {
        if self.used.elapsed() > Duration::from_secs(limits::HTTP_IDLE_SECONDS) {
            self.kept.rest();
        }
        let place = self.kept.place().to_string();
        let conn = self.kept.take(end).map_err(|f| match f.kind {
            FailureKind::Timeout => {
                let what = if Instant::now() < end { CONNECT } else { TOTAL };
                (late(&place, &format!("{what}: {}", f.text)), false)
            }
            _ => (f, false),
        })?;
        let reused = conn.is_new().is_none();
        #[cfg(test)]
        {
            self.opened += usize::from(!reused);
        }
        self.was_sending = true;
        let mut exchange = Exchange::new(conn, &place, &self.mask, self.options.timeouts, end);
        let answer = self.answer(&mut exchange, [head.bytes(), body], now);
        self.spent = exchange.spent;
        let stale = reused && !exchange.answered;
        let (answer, keeps) = answer.map_err(|f| (exchange.explained(f), stale))?;
        exchange.into_conn().filter(|_| keeps).into_iter().for_each(|conn| self.kept.put(conn));
        Ok(answer)
    }

    /// The answer to this request, and whether another one may follow.
    fn answer(
        &self,
        exchange: &mut Exchange<'_>,
        request: [&[u8]; 2],
        now: SystemTime,
    ) -> std::result::Result<(Answer, bool), Failure> {
        exchange.send(request)?;
        let mut head = exchange.head()?;
        let status = head.status;
        let retry_after = head.retry_after.and_then(|v| answer::retry_after(&v, now));
        let shown = limits::HTTP_EXCERPT_BYTES + self.mask.longest();
        let (keep, most) = (self.keep.max(shown), self.keep.max(limits::HTTP_ANSWER_BYTES));
        let mut kept = Vec::new();
        let read = exchange.body(&mut head.body, most, keep, &mut kept);
        let excerpt = answer::excerpt(&self.mask.apply(kept[..kept.len().min(shown)].to_vec()));
        let body = if self.keep > 0 { kept } else { Vec::new() };
        if (200..300).contains(&status) && exchange.cut {
            // What it has not read it cannot have taken, whatever it says.
            let place = self.kept.place();
            let text = format!("`{place}` answered {status} before it had the whole request");
            return Err(Failure::new(FailureKind::Closed, text));
        }
        let whole = match read {
            // A refusal whose words were cut off is a refusal; only a success must be whole to be believed.
            Err(f) if (200..300).contains(&status) => return Err(f),
            read => read.unwrap_or(false),
        };
        Ok((Answer { status, retry_after, excerpt, body }, whole && head.keeps))
    }

    /// The head of a request. What comes from options stands in the place of what would be sent under the same name.
    fn request(&self, length: usize, headers: &[(&str, &str)], secrets: &Secrets) -> Wiped {
        let (method, host, length) =
            (if self.put { "PUT" } else { "POST" }, self.options.target.authority(), length.to_string());
        let mut ours = vec![("host", host.as_str()), ("user-agent", &self.options.user_agent), ("accept", "*/*")];
        ours.extend(headers);
        ours.retain(|(name, _)| secrets.iter().all(|(given, _)| !given.eq_ignore_ascii_case(name)));
        ours.push(("content-length", &length));
        if self.options.gzip {
            ours.push(("content-encoding", "gzip"));
        }
        let all = ours.iter().map(|(name, value)| (*name, value.as_bytes()));
        let all: Vec<_> = all.chain(secrets.iter().map(|(name, value)| (name.as_str(), value.bytes()))).collect();
        // Room for all of it at once: a vector that grows leaves copies behind.
        let room: usize = all.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut head = Vec::with_capacity(room + self.uri.len() + 32);
        [method, " ", &self.uri, " HTTP/1.1\r\n"].iter().for_each(|part| head.extend_from_slice(part.as_bytes()));
        for (name, value) in all {
            [name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|part| head.extend_from_slice(part));
        }
        head.extend_from_slice(b"\r\n");
        Wiped::new(head)
    }

    /// The headers that come from options and files, as they are now.
    fn secret_headers(&mut self) -> std::result::Result<Secrets, Failure> {
        let mut out = Vec::new();
        let authorization = match &mut self.options.auth {
            Auth::None => None,
            Auth::Basic { user, password } => {
                let mut pair = user.clone().into_bytes();
                pair.push(b':');
                pair.extend_from_slice(password.read()?);
                let pair = Wiped::new(pair);
                // Room for all of it at once: a vector that grows leaves copies behind.
                let mut value = Vec::with_capacity(pair.bytes().len() * 2 + 16);
                value.extend_from_slice(b"Basic ");
                json::push_base64(&mut value, pair.bytes());
                Some(Wiped::new(value))
            }
            Auth::Bearer(token) => Some(Wiped::new([self.options.token_word.as_bytes(), b" ", token.read()?].concat())),
        };
        let own = self.options.headers.iter().any(|(name, _)| name == AUTHORIZATION);
        if let Some(value) = authorization.filter(|_| !own) {
            out.push((AUTHORIZATION.to_string(), value));
        }
        if !self.options.target.is_tls() {
            if let Some(value) = self.options.proxy.as_ref().and_then(Proxy::authorization) {
                out.push((PROXY_AUTHORIZATION.to_string(), Wiped::new(value.to_vec())));
            }
        }
        for (name, value) in &mut self.options.headers {
            out.push((name.clone(), Wiped::new(value.read()?.to_vec())));
        }
        match out.iter().find(|(_, value)| !may_be_value(value.bytes())) {
            Some((name, _)) => {
                let text = format!("the value for the header `{name}` has control characters");
                Err(Failure::new(FailureKind::Secret, text))
            }
            None => Ok(out),
        }
    }

    /// What of an answer is one of our secrets, said back.
    fn mask_of(&self, secrets: &Secrets) -> Mask {
        let mut mask = Mask::default();
        for (name, value) in secrets {
            let value = value.bytes();
            mask.add(value);
            if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
                mask.add(value.splitn(2, |b| *b == b' ').last().unwrap_or_default());
            }
        }
        if let Auth::Basic { password, .. } = &self.options.auth {
            mask.add(password.last_read());
        }
        mask.add_query(self.options.target.uri());
        mask
    }
}

const AUTHORIZATION: &str = "authorization";
const PROXY_AUTHORIZATION: &str = "proxy-authorization";

/// How it is reached. With TLS a proxy gives a tunnel; without, it is the one who is asked, with the whole URL: what stands
/// before the path there comes second.
fn way(options: &HttpOptions) -> (Dial, String) {
    let (target, proxy) = (&options.target, options.proxy.clone());
    if target.is_tls() {
        let tls = Some(Arc::new(tls::Client::new(options.tls.clone())));
        return (Dial { place: target.place().clone(), proxy, tls }, String::new());
    }
    let Some(proxy) = proxy else { return (Dial::new(target.place().clone()), String::new()) };
    let whole = format!("http://{}", target.authority());
    (Dial::new(Place::Net { host: proxy.host, port: proxy.port }), whole)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "http_hostile.rs"]
mod hostile;
