//! Parcels over HTTP: one request for each, all of it taken or nothing.
//!
//! Which status blames an event and which the configuration is decided here, in one table. Refuses: to believe an answer
//! other than 2xx, to retry, to wait.

use super::route::Route;
use super::row::{Promise, Transport, OF_TLS};
use crate::audit::delivery::parcel::{Blame, Delivery, Parcel, Said, Sink, Verdict, Why};
use crate::error::Result;
use crate::flags::text;
use crate::net::answer::Answer;
use crate::net::failure::Failure;
use crate::net::http::Client;
use crate::net::target;
use std::time::Duration;

/// Options of everything that is spoken over HTTP.
pub const OF_HTTP: &[&str] =
    &["gzip", "header", "user", "password-file", "token-file", "send-timeout", "first-byte-timeout"];

/// `http://`
pub const PLAIN: Transport = Transport {
    scheme: &target::HTTP,
    url: "http://HOST[:PORT][/URI]",
    about: text("HTTP POST", "HTTP POST"),
    formats: &["json", "ndjson", "single", "gostech", "ecs", "cef", "leef", "gelf", "gelf-lines"],
    frame: None,
    // Those of TLS are of no use to `http`, and yet no fault: `check` says so. The day the URL is `https` they have to be right.
    options: &[OF_HTTP, OF_TLS, &["proxy"]],
    promise: Promise::Acknowledged,
    open,
    wishes: Route::files,
};

/// `https://`
pub const TLS: Transport = Transport {
    scheme: &target::HTTPS,
    url: "https://HOST[:PORT][/URI]",
    about: text("HTTP POST over TLS", "HTTP POST поверх TLS"),
    ..PLAIN
};

/// `http+unix://`: to a terminator on this machine, so no name, no proxy and no TLS of ours.
pub const UNIX: Transport = Transport {
    scheme: &target::HTTP_UNIX,
    url: "http+unix:///PATH/TO.SOCK[:/URI]",
    about: text(
        "HTTP POST to a Unix socket of this machine, as of a TLS terminator",
        "HTTP POST в сокет Unix этой машины, например терминатора TLS",
    ),
    options: &[OF_HTTP],
    ..PLAIN
};

/// What stands in a request to an API over HTTP, and what its answer means.
pub struct Api {
    /// Makes the body, where that is not the parcel's.
    pub body: Option<fn(&Parcel<'_>, &mut Vec<u8>)>,
    /// What the body is, where the format does not say it.
    pub content_type: Option<&'static str>,
    /// How much of an answer is read to be understood.
    pub answer_bytes: usize,
    /// What a 2xx means.
    pub taken: fn(&Parcel<'_>, Answer) -> Delivery,
}

/// Bodies as they are, taken as a whole.
pub const WHOLE: Api = Api {
    body: None,
    content_type: None,
    answer_bytes: 0,
    taken: |parcel, a| answered(parcel, a.status, a.excerpt, None),
};

/// The same to an API that has no pages: one is said by somebody before it, or by whoever else listens there.
pub const NO_PAGE: Api = Api {
    taken: |parcel, a| match a.excerpt.starts_with('<') {
        true => {
            let text = format!("with a web page, so look at the URL: {}", a.excerpt);
            Delivery::none(Why::Configuration, Said { status: Some(a.status), text })
        }
        false => answered(parcel, a.status, a.excerpt, None),
    },
    ..WHOLE
};

/// Makes the sink.
pub fn open(route: &Route) -> Result<Box<dyn Sink>> {
    open_api(route, route.to.target.uri().to_string(), &WHOLE)
}

/// The sink to an API that is asked for this.
pub fn open_api(route: &Route, uri: String, api: &'static Api) -> Result<Box<dyn Sink>> {
    let mut options = route.to.clone();
    let place = options.target.display();
    options.target = options.target.over_http(uri);
    Ok(Box::new(Post { client: Client::new(options)?.keeping(api.answer_bytes), place, api, body: Vec::new() }))
}

/// What a URL asks for, or the usual path of an API where it names none.
pub fn uri_or(route: &Route, usual: &str) -> String {
    match route.to.target.uri().strip_prefix('/') {
        Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("{usual}{rest}"),
        _ => route.to.target.uri().to_string(),
    }
}

/// Posts parcels.
struct Post {
    client: Client,
    place: String,
    api: &'static Api,
    body: Vec<u8>,
}

/// What a status means; nothing: it was taken.
pub fn judge(status: u16, retry_after: Option<Duration>) -> Option<Why> {
    Some(match status {
        200..=299 => return None,
        400 | 422 => Why::Content(Blame::NeedsWitness),
        413 => Why::TooLarge,
        401 | 407 => Why::Identity,
        429 => Why::TooOften(retry_after),
        408 | 425 | 500..=599 => Why::NotNow(retry_after),
        _ => Why::Configuration,
    })
}

/// What an answer means for all of a parcel.
pub fn answered(parcel: &Parcel<'_>, status: u16, text: String, retry_after: Option<Duration>) -> Delivery {
    let said = Said { status: Some(status), text };
    match judge(status, retry_after) {
        None => Delivery::whole(parcel, said),
        Some(why) => Delivery::none(why, said),
    }
}

/// All that a receiver has said to a parcel.
fn said(delivery: &mut Delivery) -> impl Iterator<Item = &mut Said> {
    let also = delivery.also.iter_mut().filter_map(|(_, verdict)| match verdict {
        Verdict::Refused(said) => Some(said),
        Verdict::Taken => None,
    });
    also.chain([&mut delivery.said]).chain(delivery.stop.iter_mut().map(|stop| &mut stop.said))
}

impl Sink for Post {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Delivery {
        let node = parcel.node.map(|n| n.to_string());
        let content_type = self.api.content_type.unwrap_or(parcel.content_type);
        let mut headers = vec![("content-type", content_type), ("idempotency-key", parcel.key)];
        headers.extend(node.as_deref().map(|n| ("x-node-id", n)));
        let bytes = match self.api.body {
            None => parcel.bytes,
            Some(make) => {
                self.body.clear();
                make(parcel, &mut self.body);
                &self.body
            }
        };
        match self.client.post(bytes, &headers, parcel.wall) {
            Ok(a) if a.is_success() => {
                let mut delivery = (self.api.taken)(parcel, a);
                // What an API has found in a body may be a secret of ours, said back.
                said(&mut delivery).for_each(|said| said.text = self.client.masked(&said.text));
                delivery
            }
            Ok(a) => answered(parcel, a.status, a.excerpt, a.retry_after),
            Err(f) => Delivery::failed(f, self.client.was_sending()),
        }
    }

    fn check(&mut self) -> std::result::Result<(), Failure> {
        self.client.check()
    }

    fn spent(&self) -> u32 {
        self.client.spent()
    }

    fn reload(&mut self) {
        self.client.reload();
    }

    fn rest(&mut self) {
        self.body = Vec::new();
        self.client.rest();
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lines;
    use super::*;
    use crate::audit::delivery::transport;
    use crate::net::http::{Auth, HttpOptions};
    use crate::net::secret::Secret;
    use crate::net::target::Target;
    use crate::net::testing::{read_request, serve};
    use std::io::Write;

    #[test]
    fn a_secret_that_is_said_back_in_a_success_is_in_none_of_the_words() {
        let refused = r#"{"create":{"status":400,"error":{"type":"no","reason":"header SAID"}}}"#;
        let items = format!(r#"{{"items":[{refused},{{"create":{{"status":201}}}},{refused}]}}"#);
        for (scheme, answer, words) in [
            ("elasticsearch+http", items.as_str(), 2),
            ("elasticsearch+http", r#"{"authorization":"SAID"}"#, 1),
            ("otlp+http", r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"SAID"}}"#, 1),
            ("otlp+http", "SAID", 1),
        ] {
            let answer = answer.replace("SAID", r"Bearer t0ken\/of+ours\u003d=");
            let port = serve(move |mut s, _| {
                read_request(&mut s);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                s.write_all((head + &answer).as_bytes()).unwrap();
            });
            let url = format!("{scheme}://127.0.0.1:{port}/x");
            let mut to = HttpOptions::new(Target::parse(&url, &transport::schemes()).unwrap());
            to.auth = Auth::Bearer(Secret::literal("t0ken/of+ours=="));
            let mut sink = transport::open(&Route::new(to, Vec::new())).unwrap();
            let mut delivery = sink.deliver(&Lines::of(0..3, 10).parcel());
            let said: Vec<String> = said(&mut delivery).map(|said| said.text.clone()).collect();
            assert_eq!(said.iter().filter(|text| text.contains("***")).count(), words, "{said:?}");
            assert!(!said.iter().any(|text| text.contains("t0ken") || text.contains("ours")), "{said:?}");
        }
    }

    #[test]
    fn a_web_page_is_no_answer_of_an_api() {
        for (scheme, answer, taken) in [
            ("http", "<html>", true),
            ("loki+http", "\r\n<!DOCTYPE html><html>Sign in", false),
            ("gelf+http", "<html>", false),
            ("otlp+http", "<html>", false),
            ("otlp+http", "{}", true),
            ("loki+http", "", true),
        ] {
            let port = serve(move |mut s, _| {
                read_request(&mut s);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                s.write_all((head + answer).as_bytes()).unwrap();
            });
            let url = format!("{scheme}://127.0.0.1:{port}/");
            let to = HttpOptions::new(Target::parse(&url, &transport::schemes()).unwrap());
            let delivery = transport::open(&Route::new(to, Vec::new())).unwrap().deliver(&Lines::of(0..2, 10).parcel());
            assert_eq!(delivery.taken, if taken { 2 } else { 0 }, "{scheme} {answer}");
            let said = delivery.stop.map(|stop| (stop.why, stop.said.text.contains("a web page")));
            assert_eq!(said, (!taken).then_some((Why::Configuration, true)), "{scheme} {answer}");
        }
    }

    #[test]
    fn answers_mean_what_the_table_says() {
        let all = |list: &[u16], why: Option<Why>| list.iter().for_each(|s| assert_eq!(judge(*s, None), why, "{s}"));
        all(&[200, 201, 202, 204, 299], None);
        all(&[400, 422], Some(Why::Content(Blame::NeedsWitness)));
        all(&[413], Some(Why::TooLarge));
        all(&[401, 407], Some(Why::Identity));
        all(&[403, 404, 405, 410, 301, 302, 308, 411, 415, 431, 451], Some(Why::Configuration));
        all(&[429], Some(Why::TooOften(None)));
        all(&[408, 425, 500, 502, 503, 504, 599], Some(Why::NotNow(None)));
        assert_eq!(judge(503, Some(Duration::from_secs(7))), Some(Why::NotNow(Some(Duration::from_secs(7)))));
    }
}
