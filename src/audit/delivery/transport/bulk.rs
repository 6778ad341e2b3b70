//! Events into Elasticsearch or OpenSearch by `_bulk`: each is created under its document id, and judged by itself.
//!
//! 409 says that a document of this id is there already: it was taken before, in a request whose answer was lost. A data stream
//! takes nothing but `create`. A document id is at most 340 bytes (`limits::NAME_BYTES`), Elasticsearch takes 512. Refuses: to
//! believe an answer about another number of documents than it sent.

use super::http::{self, Api};
use super::route::Route;
use super::row::Transport;
use crate::audit::delivery::frame::Frame;
use crate::audit::delivery::parcel::{About, Blame, Delivery, Parcel, Said, Sink, Verdict, Why};
use crate::error::{Error, Result};
use crate::flags::text;
use crate::json;
use crate::limits;
use crate::net::answer::excerpt;
use crate::net::failure::FailureKind;
use crate::net::target::{Scheme, Shape};
use serde_json::Value;

/// `elasticsearch+http://`
pub const PLAIN: Transport = Transport {
    scheme: &Scheme { name: "elasticsearch+http", shape: Shape::Host { port: 9200 }, tls: false },
    url: "elasticsearch+http://HOST[:PORT]/INDEX",
    about: text(
        "Elasticsearch or OpenSearch (`_bulk`): an index or a data stream",
        "Elasticsearch или OpenSearch (`_bulk`): индекс или поток данных",
    ),
    formats: &["ecs", "ndjson"],
    frame: Some(Frame::Lines),
    open,
    ..http::PLAIN
};

/// `elasticsearch+https://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "elasticsearch+https", shape: Shape::Host { port: 9200 }, tls: true },
    url: "elasticsearch+https://HOST[:PORT]/INDEX",
    about: text("Elasticsearch or OpenSearch over TLS", "Elasticsearch или OpenSearch поверх TLS"),
    ..PLAIN
};

const API: Api = Api {
    body: Some(body),
    content_type: Some("application/x-ndjson"),
    answer_bytes: limits::BULK_ANSWER_BYTES,
    taken: |parcel, answer| judged(parcel, &answer.body, answer.status),
};

/// What of an answer is wanted: what became of each document, and why.
const WANTED: &str = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason";

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    let target = &route.to.target;
    let (path, query) = target.uri().split_once('?').unwrap_or((target.uri(), ""));
    let index = path.trim_matches('/').trim_end_matches("_bulk").trim_end_matches('/');
    if index.is_empty() || index.contains('/') {
        let scheme = target.scheme().name;
        return Err(Error::usage(format!(
            "URL `{target}` has to name one index or data stream, as in {scheme}://HOST:9200/picodata-audit"
        )));
    }
    let more = if query.is_empty() { String::new() } else { format!("{query}&") };
    http::open_api(route, format!("/{index}/_bulk?{more}{WANTED}"), &API)
}

/// Two lines for each event: what is to be done, and the document.
fn body(parcel: &Parcel<'_>, out: &mut Vec<u8>) {
    for i in 0..parcel.len() {
        out.extend_from_slice(b"{\"create\":{\"_id\":\"");
        json::push_text(out, parcel.id(i).as_bytes());
        out.extend_from_slice(b"\"}}\n");
        out.extend_from_slice(parcel.event(i));
        out.push(b'\n');
    }
}

/// What became of each document, by an answer.
pub fn judged(parcel: &Parcel<'_>, answer: &[u8], status: u16) -> Delivery {
    let items: Vec<Item> = match items_of(answer) {
        Some(items) if items.len() == parcel.len() => items,
        other => {
            let text = match other {
                Some(items) => format!("answered about {} of {} documents", items.len(), parcel.len()),
                None if answer.len() >= limits::BULK_ANSWER_BYTES => {
                    "answered at too great a length: lower --batch-events".to_string()
                }
                None => format!("does not answer as `_bulk` should: {}", excerpt(answer)),
            };
            return Delivery::none(Why::Unanswered(FailureKind::Protocol), Said { status: None, text });
        }
    };
    let is_taken = |item: &Item| matches!(item.status, 200..=299 | 409);
    let any = items.iter().any(is_taken);
    let Some(first) = items.iter().position(|item| !is_taken(item)) else {
        return Delivery::whole(parcel, Said { status: Some(status), text: String::new() });
    };
    // One that is refused beside others that are taken is at fault itself.
    let verdict = |item: &Item| match why(item.status, any) {
        _ if is_taken(item) => Some(Verdict::Taken),
        Why::Content(Blame::Certain) => Some(Verdict::Refused(item.said())),
        _ => None,
    };
    let also = items.iter().enumerate().skip(first + 1).filter_map(|(i, item)| Some((i, verdict(item)?))).collect();
    let (stopped, said) = (&items[first], Said { status: Some(status), text: String::new() });
    Delivery { also, said, ..Delivery::up_to(first, why(stopped.status, any), About::Next, stopped.said()) }
}

/// Why one document was not taken.
fn why(status: u16, others_were: bool) -> Why {
    match http::judge(status, None) {
        Some(Why::Content(_)) if others_were => Why::Content(Blame::Certain),
        // Said of a document: not that we ask too often, but that there is no room for it now.
        Some(Why::TooOften(after)) => Why::NotNow(after),
        Some(why) => why,
        None => Why::NotNow(None),
    }
}

/// What is said of one document.
struct Item {
    status: u16,
    error: String,
}

impl Item {
    fn said(&self) -> Said {
        Said { status: Some(self.status), text: self.error.clone() }
    }
}

/// Of `{"errors":…,"items":[{"create":{"status":201}},…]}` the items; none: it is something else.
fn items_of(answer: &[u8]) -> Option<Vec<Item>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer["items"].as_array()?.iter().map(item_of).collect()
}

fn item_of(item: &Value) -> Option<Item> {
    let said = item.as_object()?.values().next()?;
    let status = said["status"].as_u64().and_then(|s| u16::try_from(s).ok()).filter(|s| (100..600).contains(s))?;
    let text = |name: &str| said["error"][name].as_str().unwrap_or_default();
    Some(Item { status, error: excerpt(format!("{} {}", text("type"), text("reason")).trim().as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lines;
    use super::*;

    fn of(answer: &str, n: usize) -> Delivery {
        judged(&Lines::of(0..n, 1).parcel(), answer.as_bytes(), 200)
    }

    fn answer(statuses: &[u16]) -> String {
        let item = |s: &u16| match s {
            200..=299 => format!("{{\"create\":{{\"status\":{s}}}}}"),
            s => format!("{{\"create\":{{\"status\":{s},\"error\":{{\"type\":\"t\",\"reason\":\"r\\nx\"}}}}}}"),
        };
        format!("{{\"errors\":true,\"items\":[{}]}}", statuses.iter().map(item).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn each_document_is_judged_by_itself() {
        let d = of(&answer(&[201, 409, 200]), 3);
        assert_eq!((d.taken, d.stop), (3, None));
        let d = of(&answer(&[201, 400, 201, 429, 400]), 5);
        let stop = d.stop.expect("a stop");
        assert_eq!((d.taken, stop.why, stop.about), (1, Why::Content(Blame::Certain), About::Next));
        assert_eq!(stop.said.words(), "answered 400: t r x");
        assert_eq!(d.also.iter().map(|(i, v)| (*i, *v == Verdict::Taken)).collect::<Vec<_>>(), [(2, true), (4, false)]);
        let d = of(&answer(&[429, 201]), 2);
        assert_eq!((d.taken, d.stop.map(|s| s.why), d.also.len()), (0, Some(Why::NotNow(None)), 1));
    }

    #[test]
    fn who_refuses_all_condemns_none() {
        let d = of(&answer(&[400, 400]), 2);
        assert_eq!((d.stop.map(|s| s.why), d.also), (Some(Why::Content(Blame::NeedsWitness)), Vec::new()));
        for (status, why) in [(403, Why::Configuration), (404, Why::Configuration), (401, Why::Identity)] {
            assert_eq!(of(&answer(&[status]), 1).stop.map(|s| s.why), Some(why), "{status}");
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for bad in ["", "{}", "[]", "<html>", "{\"items\":[{}]}", "{\"items\":[{\"create\":{}}]}", &answer(&[201, 201])]
        {
            let stop = of(bad, 1).stop.expect("a stop");
            assert_eq!(stop.why, Why::Unanswered(FailureKind::Protocol), "{bad}");
        }
        assert!(of(&answer(&[201, 201]), 1).stop.is_some_and(|s| s.said.text == "answered about 2 of 1 documents"));
    }
}
