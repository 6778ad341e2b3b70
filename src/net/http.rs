//! POST to one receiver over ureq: keep-alive, every timeout set, exact failures, secrets read again when they change.
//!
//! Refuses: redirects (they come back as answers), decompression, to believe a success that was said before the whole
//! request was taken, and to call a kept connection that was closed meanwhile a failure: that is tried once more at once, on
//! a new connection, as long as nothing of an answer had come.

use crate::error::{Error, Result};
use crate::json;
use crate::limits;
use crate::net::answer::{self, Answer};
use crate::net::dial::{self, Dial};
use crate::net::failure::{words, Failure, FailureKind};
use crate::net::gzip::Gzip;
use crate::net::mask::Mask;
use crate::net::proxy::Proxy;
use crate::net::secret::{Secret, Wiped};
use crate::net::target::{Place, Target};
use crate::net::tls;
pub use crate::net::wire::Timeouts;
use crate::net::wire::{self, NoResolver, Trace, Wire};
use std::io::Read;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use ureq::http::{header, HeaderName, HeaderValue, Request, Uri};
use ureq::{Agent, Body};

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
}

/// Parses `--header 'Name: value'`; a value `@file` is read from the file, again whenever it changes.
pub fn parse_header(text: &str) -> Result<(String, Secret)> {
    let Some((name, value)) = text.split_once(':') else {
        // Not quoted: it may be a token whose name was forgotten.
        return Err(Error::usage("header without a `:`; it should be like `Name: value` or `Name: @file`"));
    };
    let (name, value) = (name.trim(), value.trim());
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::usage("header with a name that no header can have; it should be like `Name: value`"))?;
    let ours = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::CONTENT_ENCODING];
    if ours.contains(&parsed) || parsed == header::EXPECT {
        return Err(Error::usage(format!("header `{name}` is made by this program and cannot be given")));
    }
    if let Some(path) = value.strip_prefix('@') {
        return match path {
            "" => Err(Error::usage(format!("header `{name}`: no file name after the `@`"))),
            path => Ok((parsed.to_string(), Secret::file(path))),
        };
    }
    if HeaderValue::from_str(value).is_err() {
        return Err(Error::usage(format!("header `{name}` has a value with control characters")));
    }
    Ok((parsed.to_string(), Secret::literal(value)))
}

/// Posts to one receiver.
pub struct Client {
    options: HttpOptions,
    uri: Uri,
    tls: Arc<tls::Client>,
    trace: Arc<Trace>,
    agent: Option<Agent>,
    /// When the agent, and with it the connection, was made.
    born: Instant,
    gzip: Option<Gzip>,
    packed: Vec<u8>,
    put: bool,
    /// How much of an answer's body is kept as it came.
    keep: usize,
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
        let scheme = if options.target.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{}", options.target.authority(), options.target.uri());
        let uri = uri
            .parse()
            .map_err(|_| Error::usage(format!("URL `{}` is nothing an HTTP request can carry", options.target)))?;
        if let (Auth::None, Some(user)) = (&options.auth, options.target.user()) {
            let password = Secret::literal(user.password.clone().unwrap_or_default());
            options.auth = Auth::Basic { user: user.name.clone(), password };
        }
        let tls = Arc::new(tls::Client::new(options.tls.clone()));
        let (trace, packed) = (Arc::default(), Vec::new());
        Ok(Client {
            options,
            uri,
            tls,
            trace,
            agent: None,
            born: Instant::now(),
            gzip: None,
            packed,
            put: false,
            keep: 0,
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
        self.tls.reload();
        match &mut self.options.auth {
            Auth::None => {}
            Auth::Basic { password, .. } => password.forget(),
            Auth::Bearer(token) => token.forget(),
        }
        self.options.headers.iter_mut().for_each(|(_, value)| value.forget());
    }

    /// Gives the kept connection and every buffer back, for a time without events.
    pub fn rest(&mut self) {
        self.agent = None;
        self.gzip = None;
        self.packed = Vec::new();
    }

    /// Reads every file of this receiver without connecting: the first trouble, if any.
    pub fn check(&mut self) -> std::result::Result<(), Failure> {
        self.secret_headers()?;
        // Files that are named are looked at even where `http` has no use for them: they were named for something.
        let named = self.options.tls.ca.is_some() || self.options.tls.certificate.is_some();
        if self.options.target.is_tls() || named {
            self.tls.config()?;
        }
        Ok(())
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
        let opened = self.trace.opened.load(Ordering::Relaxed);
        self.trace.sending.store(false, Ordering::Relaxed);
        let begun = Instant::now();
        let mut result = self.once(body, headers, &secrets, now);
        if let Err(f) = &result {
            let reused = self.trace.opened.load(Ordering::Relaxed) == opened;
            if f.kind == FailureKind::Closed && reused && !self.trace.answered.load(Ordering::Relaxed) {
                result = self.once(body, headers, &secrets, now);
            }
        }
        self.packed = packed;
        self.trace.spent.fetch_max(dial::spent(begun, self.options.timeouts.total).into(), Ordering::Relaxed);
        result
    }

    /// Whether anything of the last request was handed to a connection.
    pub fn was_sending(&self) -> bool {
        self.trace.sending.load(Ordering::Relaxed)
    }

    /// How much of its time the last request has taken, in percent: of that for its slowest phase, or of all.
    pub fn spent(&self) -> u32 {
        self.trace.spent.load(Ordering::Relaxed) as u32
    }

    fn once(
        &mut self,
        body: &[u8],
        headers: &[(&str, &str)],
        secrets: &[(HeaderName, HeaderValue)],
        now: SystemTime,
    ) -> std::result::Result<Answer, Failure> {
        let request = self.request(body, headers, secrets)?;
        self.trace.answered.store(false, Ordering::Relaxed);
        self.trace.cut.store(false, Ordering::Relaxed);
        self.trace.spent.store(0, Ordering::Relaxed);
        let agent = self.agent();
        let mut response = agent.run(request).map_err(|e| self.failure(e))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
        let retry_after = retry_after.and_then(|v| answer::retry_after(v, now));
        let mask = self.mask(secrets);
        let shown = limits::HTTP_EXCERPT_BYTES + mask.longest();
        let (keep, most) = (self.keep.max(shown), self.keep.max(limits::HTTP_ANSWER_BYTES));
        let (read, kept) = read_body(response.body_mut(), keep, most);
        let excerpt = answer::excerpt(&mask.apply(kept[..kept.len().min(shown)].to_vec()));
        let body = if self.keep > 0 { kept } else { Vec::new() };
        if (200..300).contains(&status) && self.trace.cut.load(Ordering::Relaxed) {
            // What it has not read it cannot have taken, whatever it says.
            let place = self.options.target.display();
            let text = format!("`{place}` answered {status} before it had the whole request");
            return Err(Failure::new(FailureKind::Closed, text));
        }
        match read {
            // A refusal whose words were cut off is a refusal; only a success must be whole to be believed.
            Err(e) if (200..300).contains(&status) => Err(self.failure(e)),
            _ => Ok(Answer { status, retry_after, excerpt, body }),
        }
    }

    fn request<'b>(
        &self,
        body: &'b [u8],
        headers: &[(&str, &str)],
        secrets: &[(HeaderName, HeaderValue)],
    ) -> std::result::Result<Request<&'b [u8]>, Failure> {
        let bad = |what: &str| Failure::new(FailureKind::Protocol, format!("request header `{what}` cannot be sent"));
        let request = if self.put { Request::put(self.uri.clone()) } else { Request::post(self.uri.clone()) };
        let mut request = request.body(body).map_err(|e| bad(&e.to_string()))?;
        let map = request.headers_mut();
        for (name, value) in headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad(name))?;
            map.append(parsed, HeaderValue::from_str(value).map_err(|_| bad(name))?);
        }
        for (name, _) in secrets {
            map.remove(name);
        }
        for (name, value) in secrets {
            map.append(name.clone(), value.clone());
        }
        if self.options.gzip {
            map.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(request)
    }

    /// The headers that come from options and files, as they are now.
    fn secret_headers(&mut self) -> std::result::Result<Vec<(HeaderName, HeaderValue)>, Failure> {
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
        if let Some(value) = authorization {
            out.push((header::AUTHORIZATION, hidden(value.bytes(), "authorization")?));
        }
        if !self.options.target.is_tls() {
            if let Some(value) = self.options.proxy.as_ref().and_then(Proxy::authorization) {
                out.push((header::PROXY_AUTHORIZATION, hidden(value, "proxy-authorization")?));
            }
        }
        for (name, value) in &mut self.options.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Failure::new(FailureKind::Protocol, format!("header `{name}` cannot be sent")))?;
            out.push((parsed, hidden(value.read()?, name)?));
        }
        Ok(out)
    }

    /// What of an answer is one of our secrets, said back.
    fn mask(&self, secrets: &[(HeaderName, HeaderValue)]) -> Mask {
        let mut mask = Mask::default();
        for (name, value) in secrets {
            let value = value.as_bytes();
            mask.add(value);
            if *name == header::AUTHORIZATION || *name == header::PROXY_AUTHORIZATION {
                mask.add(value.splitn(2, |b| *b == b' ').last().unwrap_or_default());
            }
        }
        if let Auth::Basic { password, .. } = &self.options.auth {
            mask.add(password.last_read());
        }
        mask.add_query(self.options.target.uri());
        mask
    }

    /// The agent with its connection; another one when it is too old.
    /// The agent with its connection; another one when it is too old.
    fn agent(&mut self) -> Agent {
        let old = self.born.elapsed() > Duration::from_secs(limits::HTTP_AGE_SECONDS);
        if let Some(agent) = self.agent.as_ref().filter(|_| !old) {
            return agent.clone();
        }
        let agent = self.new_agent();
        self.born = Instant::now();
        self.agent = Some(agent.clone());
        agent
    }

    fn new_agent(&self) -> Agent {
        let t = &self.options.timeouts;
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(&self.options.user_agent)
            .accept_encoding("")
            .max_response_header_size(limits::HTTP_INPUT_BYTES)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(Duration::from_secs(limits::HTTP_IDLE_SECONDS))
            .timeout_connect(Some(t.connect))
            .timeout_send_request(Some(t.send))
            .timeout_send_body(Some(t.send))
            // Its time begins when the request has left the kernel (`wire`), which this library does not know.
            .timeout_recv_response(Some(t.total))
            .timeout_recv_body(Some(t.first_byte))
            .timeout_global(Some(t.total))
            .build();
        let (dial, absolute) = self.way();
        let place = self.options.target.display();
        let wire = Wire { place, dial, absolute, trace: Arc::clone(&self.trace), timeouts: self.options.timeouts };
        Agent::with_parts(config, wire, NoResolver)
    }

    /// How it is reached. With TLS a proxy gives a tunnel; without, it is the one who is asked, with the whole URL: what
    /// stands before the path there comes second.
    fn way(&self) -> (Dial, Option<String>) {
        let (target, proxy) = (&self.options.target, self.options.proxy.clone());
        if target.is_tls() {
            let tls = Some(Arc::clone(&self.tls));
            return (Dial { place: target.place().clone(), proxy, tls }, None);
        }
        let Some(proxy) = proxy else { return (Dial::new(target.place().clone()), None) };
        let whole = format!("http://{}", target.authority());
        (Dial::new(Place::Net { host: proxy.host, port: proxy.port }), Some(whole))
    }

    /// What ureq says, as one of our failures.
    fn failure(&self, e: ureq::Error) -> Failure {
        let place = self.options.target.display();
        match e {
            ureq::Error::Other(inner) => match inner.downcast::<Failure>() {
                Ok(own) => *own,
                Err(e) => Failure::new(FailureKind::Protocol, format!("`{place}`: {e}")),
            },
            ureq::Error::Timeout(reason) => wire::timeout(&place, reason),
            ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                Failure::new(FailureKind::Closed, format!("`{place}` closed the connection before a whole answer"))
            }
            ureq::Error::Io(e) => {
                Failure::new(FailureKind::Closed, format!("connection to `{place}` broke: {}", words(&e)))
            }
            other => Failure::new(FailureKind::Protocol, format!("`{place}` does not answer as HTTP should: {other}")),
        }
    }
}

fn hidden(value: &[u8], name: &str) -> std::result::Result<HeaderValue, Failure> {
    let text = || format!("the value for the header `{name}` has control characters");
    let mut value = HeaderValue::from_bytes(value).map_err(|_| Failure::new(FailureKind::Secret, text()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads the body, so that the connection can be used again, up to a bound, and gives its beginning, `keep` bytes of it; and
/// whether all of it came.
fn read_body(body: &mut Body, keep: usize, most: usize) -> (std::result::Result<(), ureq::Error>, Vec<u8>) {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    let mut total = 0;
    let mut reader = body.as_reader();
    while total <= most {
        let n = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            // ureq's own errors travel inside io errors through `Read`.
            Err(e) => return (Err(e.downcast::<ureq::Error>().unwrap_or_else(ureq::Error::Io)), kept),
        };
        total += n;
        let room = keep - kept.len();
        kept.extend_from_slice(&chunk[..n.min(room)]);
    }
    (Ok(()), kept)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "http_hostile.rs"]
mod hostile;
